//! Which connection does what next: a pure function of the seed.

use rand::{Rng, rngs::StdRng};

use super::statement::{Keys, TRUNCATE, random};
use crate::seed::rng_from;

/// One statement on one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub connection: usize,
    pub sql: String,
}

/// An endless series of steps of several connections, whose transactions interleave: begun in one
/// order, committed in another, some rolled back, in part or whole.
#[derive(Debug)]
pub struct Plan {
    rng: StdRng,
    connections: Vec<Connection>,
    /// The connection that is truncating, which nobody may disturb until it commits.
    alone: Option<usize>,
}

#[derive(Debug)]
struct Connection {
    keys: Keys,
    open: Option<Open>,
}

/// An open transaction.
#[derive(Debug, Default)]
struct Open {
    savepoint: bool,
}

impl Plan {
    /// The same `seed` and number of `connections` (at least one) give the same steps.
    pub fn new(seed: u64, connections: usize) -> Self {
        let count = connections.max(1);
        let connections =
            (0..count).map(|owner| Connection { keys: Keys::new(owner, count), open: None });
        Self { rng: rng_from(seed, "workload"), connections: connections.collect(), alone: None }
    }

    /// What commits all that is open.
    pub fn finish(&mut self) -> Vec<Step> {
        self.alone = None;
        let open = self.connections.iter_mut().enumerate();
        open.filter_map(|(connection, state)| {
            state.open.take().map(|_| Step { connection, sql: "COMMIT".to_owned() })
        })
        .collect()
    }

    /// The connections were lost, and their transactions with them.
    pub fn forget_open(&mut self) {
        self.alone = None;
        self.connections.iter_mut().for_each(|connection| connection.open = None);
    }

    fn step_of(&mut self, chosen: usize) -> Option<String> {
        let all_idle = self.connections.iter().all(|connection| connection.open.is_none());
        let rng = &mut self.rng;
        let connection = self.connections.get_mut(chosen)?;
        let Some(open) = connection.open.as_mut() else {
            connection.open = Some(Open::default());
            if all_idle && rng.random_bool(0.1) {
                self.alone = Some(chosen);
            }
            return Some("BEGIN".to_owned());
        };
        if self.alone == Some(chosen) && rng.random_bool(0.3) {
            return Some(TRUNCATE.get(rng.random_range(0..TRUNCATE.len()))?.to_string());
        }
        let sql = match rng.random_range(0..100) {
            0..22 => {
                connection.open = None;
                self.alone = self.alone.filter(|alone| *alone != chosen);
                if rng.random_bool(0.9) { "COMMIT" } else { "ROLLBACK" }.to_owned()
            }
            22..30 => {
                open.savepoint = !open.savepoint;
                let release = if rng.random_bool(0.5) { "RELEASE s" } else { "ROLLBACK TO s" };
                if open.savepoint { "SAVEPOINT s" } else { release }.to_owned()
            }
            _ => random(rng, &mut connection.keys),
        };
        Some(sql)
    }
}

impl Iterator for Plan {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        let connection = match self.alone {
            Some(alone) => alone,
            None => self.rng.random_range(0..self.connections.len()),
        };
        let sql = self.step_of(connection)?;
        Some(Step { connection, sql })
    }
}
