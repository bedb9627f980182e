//! Random statements over a few tables that between them have what makes replication hard:
//! a composite key, no key, out-of-line values, a truncated table, names that need quotes.

use rand::{Rng, rngs::StdRng, seq::IndexedRandom};

/// Makes the tables. Every row belongs to one connection (`owner`), and only that one writes it,
/// so that open transactions never wait for each other and one driver can interleave them.
pub(super) const SCHEMA: &str = r#"
    CREATE SCHEMA "Back Office";
    CREATE TABLE accounts (id bigint PRIMARY KEY, owner integer NOT NULL, name text,
        balance numeric(12,2) NOT NULL DEFAULT 0, changed timestamptz, active boolean);
    CREATE TABLE documents (id bigint PRIMARY KEY, owner integer NOT NULL, title varchar(80),
        body text, raw bytea, meta jsonb);
    ALTER TABLE documents ALTER body SET STORAGE EXTERNAL, ALTER raw SET STORAGE EXTERNAL;
    CREATE TABLE stock (shop integer, item text, owner integer NOT NULL, amount integer,
        weight float8, tags text[], PRIMARY KEY (shop, item));
    CREATE TABLE journal (owner integer NOT NULL, at timestamp, kind text, amount numeric(18,0));
    ALTER TABLE journal REPLICA IDENTITY FULL;
    CREATE TABLE "Back Office"."Till Roll" (id bigint PRIMARY KEY, owner integer NOT NULL, "Line" text);
"#;

/// The tables as [`Tables::only`](crate::Tables::only) names them.
pub(super) const TABLES: [&str; 5] = [
    "public.accounts",
    "public.documents",
    "public.stock",
    "public.journal",
    "Back Office.Till Roll",
];

pub(super) const TRUNCATE: [&str; 2] =
    [r#"TRUNCATE "Back Office"."Till Roll""#, r#"TRUNCATE "Back Office"."Till Roll", journal"#];

/// Gives out keys of one connection: no two connections, and no two times, the same.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    owner: usize,
    owners: usize,
    given: usize,
}

impl Keys {
    pub(super) fn new(owner: usize, owners: usize) -> Self {
        Self { owner, owners, given: 0 }
    }

    fn fresh(&mut self) -> usize {
        self.given += 1;
        self.given * self.owners + self.owner
    }

    /// One that was given out, more often a young one; its row may be gone.
    fn known(&self, rng: &mut StdRng) -> usize {
        let back = rng.random_range(0..=self.given.min(40));
        (self.given - back) * self.owners + self.owner
    }
}

/// The next statement of the connection that owns `keys`.
pub(super) fn random(rng: &mut StdRng, keys: &mut Keys) -> String {
    match rng.random_range(0..100) {
        0..38 => insert(rng, keys),
        38..80 => update(rng, keys),
        80..88 => change_key(rng, keys),
        88..98 => delete(rng, keys),
        _ => {
            format!("SELECT pg_logical_emit_message({}, 'elsewhere', 'note')", rng.random_bool(0.5))
        }
    }
}

fn insert(rng: &mut StdRng, keys: &mut Keys) -> String {
    const TABLES: [&str; 5] =
        ["accounts", "documents", "stock", "journal", r#""Back Office"."Till Roll""#];
    let table = TABLES.choose(rng).copied().unwrap_or("accounts");
    let many = rng.random_bool(0.1);
    // Long values are for few rows: the workload shall be quick.
    let count = if many && table != "documents" {
        rng.random_range(20..200)
    } else {
        rng.random_range(1..4)
    };
    let rows: Vec<String> = (0..count).map(|_| row(rng, table, keys.fresh(), keys.owner)).collect();
    format!("INSERT INTO {table} VALUES {}", rows.join(", "))
}

fn row(rng: &mut StdRng, table: &str, id: usize, owner: usize) -> String {
    match table {
        "accounts" => {
            format!("({id}, {owner}, {}, {}, {}, {})", text(rng), money(rng), time(rng), flag(rng))
        }
        "documents" => {
            format!(
                "({id}, {owner}, {}, {}, {}, {})",
                text(rng),
                long_text(rng),
                bytes(rng),
                json(rng)
            )
        }
        "stock" => {
            let amount = rng.random_range(0..1000);
            format!("({}, 'item {id}', {owner}, {amount}, {}, {})", id % 7, float(rng), tags(rng))
        }
        "journal" => format!("({owner}, {}, {}, {})", time(rng), text(rng), rng.random_range(0..5)),
        _ => format!("({id}, {owner}, {})", text(rng)),
    }
}

fn update(rng: &mut StdRng, keys: &Keys) -> String {
    let (owner, id) = (keys.owner, keys.known(rng));
    match rng.random_range(0..8) {
        0 => format!("UPDATE accounts SET balance = balance + {} WHERE id = {id}", money(rng)),
        1 => format!(
            "UPDATE accounts SET changed = {}, active = {} WHERE owner = {owner} AND id % 5 = {}",
            time(rng),
            flag(rng),
            id % 5
        ),
        // The long value stays, and is not sent.
        2 => format!(
            "UPDATE documents SET title = {}, meta = {} WHERE owner = {owner} AND id % 3 = {}",
            text(rng),
            json(rng),
            id % 3
        ),
        3 => format!("UPDATE documents SET body = {} WHERE id = {id}", long_text(rng)),
        4 => format!(
            "UPDATE stock SET amount = amount + 1, tags = {} WHERE owner = {owner} AND shop = {}",
            tags(rng),
            id % 7
        ),
        5 => format!(
            "UPDATE journal SET amount = amount + 1, at = NULL WHERE owner = {owner} AND amount = {}",
            id % 5
        ),
        6 => format!(
            r#"UPDATE "Back Office"."Till Roll" SET "Line" = {} WHERE owner = {owner} AND id % 4 = {}"#,
            text(rng),
            id % 4
        ),
        // Nothing changes, and yet a new row version is written.
        _ => format!("UPDATE accounts SET name = name WHERE id = {id}"),
    }
}

fn change_key(rng: &mut StdRng, keys: &mut Keys) -> String {
    let (old, new) = (keys.known(rng), keys.fresh());
    match rng.random_range(0..4) {
        0 => format!("UPDATE accounts SET id = {new}, name = {} WHERE id = {old}", text(rng)),
        // With a long value that stays.
        1 => format!("UPDATE documents SET id = {new} WHERE id = {old}"),
        2 => format!(
            "UPDATE stock SET shop = {}, item = 'item {new}' WHERE shop = {} AND item = 'item {old}'",
            new % 7,
            old % 7
        ),
        _ => format!(r#"UPDATE "Back Office"."Till Roll" SET id = {new} WHERE id = {old}"#),
    }
}

fn delete(rng: &mut StdRng, keys: &Keys) -> String {
    let (owner, id) = (keys.owner, keys.known(rng));
    match rng.random_range(0..5) {
        0 => format!("DELETE FROM accounts WHERE id = {id}"),
        1 => format!("DELETE FROM documents WHERE owner = {owner} AND id % 8 = {}", id % 8),
        2 => format!("DELETE FROM stock WHERE shop = {} AND item = 'item {id}'", id % 7),
        3 => format!("DELETE FROM journal WHERE owner = {owner} AND amount >= 5"),
        _ => format!(
            r#"DELETE FROM "Back Office"."Till Roll" WHERE owner = {owner} AND id % 6 = {}"#,
            id % 6
        ),
    }
}

fn text(rng: &mut StdRng) -> String {
    const TEXTS: [&str; 8] = [
        "NULL",
        "''",
        "'plain'",
        "'it''s \"quoted\"'",
        "E'tab\\tnew\\nline\\\\'",
        "'ünï ☃ 𝄞'",
        "'NULL'",
        "'\\N'",
    ];
    let chosen = TEXTS.choose(rng).copied().unwrap_or("NULL");
    if rng.random_bool(0.5) {
        chosen.to_owned()
    } else {
        format!("'text {}'", rng.random_range(0..100_000))
    }
}

/// About 10 kB: stored out of line.
fn long_text(rng: &mut StdRng) -> String {
    if rng.random_bool(0.1) {
        "NULL".to_owned()
    } else {
        format!("repeat(md5('{}'), 320)", rng.random::<u32>())
    }
}

fn bytes(rng: &mut StdRng) -> String {
    match rng.random_range(0..4) {
        0 => "NULL".to_owned(),
        1 => "''".to_owned(),
        2 => format!("decode(repeat('00ff5c27', {}), 'hex')", rng.random_range(1..2000)),
        _ => format!("'\\x{:016x}'", rng.random::<u64>()),
    }
}

fn json(rng: &mut StdRng) -> String {
    if rng.random_bool(0.2) {
        "NULL".to_owned()
    } else {
        format!(r#"'{{"n": {}, "s": [1, null]}}'"#, rng.random_range(0..1000))
    }
}

fn tags(rng: &mut StdRng) -> &'static str {
    ["NULL", "'{}'", "'{a,b}'", "'{NULL,\"with \\\"quote\\\"\",\"NULL\"}'", "'{{a,b},{c,d}}'"]
        .choose(rng)
        .copied()
        .unwrap_or("NULL")
}

fn money(rng: &mut StdRng) -> String {
    format!("{}.{:02}", rng.random_range(-500..500), rng.random_range(0..100))
}

fn float(rng: &mut StdRng) -> String {
    if rng.random_bool(0.1) {
        "'Infinity'".to_owned()
    } else {
        format!("{:?}", rng.random_range(-1e6..1e6))
    }
}

fn time(rng: &mut StdRng) -> String {
    let seconds = rng.random_range(0..2_000_000_000);
    match rng.random_range(0..6) {
        0 => "NULL".to_owned(),
        1 => format!("to_timestamp({seconds}.{:06})", rng.random_range(0..1_000_000)),
        _ => format!("to_timestamp({seconds})"),
    }
}

fn flag(rng: &mut StdRng) -> &'static str {
    ["NULL", "true", "false"].choose(rng).copied().unwrap_or("NULL")
}
