//! A terminal's first load: killed, cut off, begun with something else. PITFALLS 19 at the terminal.

use std::time::Duration;

use anyhow::{Context, Result};
use harness::{Cluster, Database, Process, RelayProcess, Tables, eventually, rng, test};
use rand::Rng;

use crate::setup::{LIMIT, Options, Setup, Target, Terminal, capture_command};

/// Some 100 MB of rows as COPY prints them, most of them in one table: seven objects and a small one.
pub(crate) const MUCH: &str = "
    CREATE TABLE big (id int PRIMARY KEY, t text);
    CREATE TABLE line (id int PRIMARY KEY, big int REFERENCES big, note text);
    CREATE INDEX line_big ON line (big);
    CREATE TABLE empty_one (id int PRIMARY KEY);
    CREATE TABLE small (id int PRIMARY KEY, t text);
    INSERT INTO big SELECT n, repeat(md5((n % 100)::text), 45) FROM generate_series(1, 50000) n;
    INSERT INTO line SELECT n, n, repeat('note ' || n % 10 || ' ', 100) FROM generate_series(1, 40000) n;
    INSERT INTO small SELECT n, 'small ' || n FROM generate_series(1, 1000) n";

/// What the load's record says; none where there is no load.
pub(crate) async fn loaded_bytes(terminal: &Terminal) -> Result<Option<u64>> {
    let (exists, read) = match &terminal.target {
        Target::Postgres(_) => (
            "SELECT count(*)::text FROM pg_class WHERE oid = to_regclass('tailwater.load')",
            "SELECT max(point::json ->> 'bytes') FROM tailwater.load",
        ),
        Target::Sqlite { .. } => (
            "SELECT count(*) FROM sqlite_schema WHERE name = 'tailwater_load'",
            "SELECT max(point ->> 'bytes') FROM tailwater_load",
        ),
    };
    if terminal.value(exists).await?.as_deref() != Some("1") {
        return Ok(None);
    }
    Ok(terminal.value(read).await?.map(|bytes| bytes.parse()).transpose()?)
}

/// Waits until a part is committed behind those that were.
pub(crate) async fn part_behind(
    terminal: &Terminal,
    before: u64,
    pull: &mut Process,
) -> Result<u64> {
    let mut now = before;
    eventually("another part is committed", LIMIT, async || {
        now = loaded_bytes(terminal).await?.unwrap_or(before);
        Ok(now > before || !pull.is_running()?)
    })
    .await?;
    Ok(now)
}

/// Where each run of this kind of load began, MB: all lines, in order.
pub(crate) fn began_at(kind: &str, stderr: &str) -> Vec<u64> {
    let (first, more) = (format!("{kind} of "), format!("going on with the {kind} of "));
    let fresh = |line: &str| line.starts_with(&first).then_some(0);
    let again = |line: &str| {
        let rest = line.strip_prefix(&more)?;
        let (_, rest) = rest.split_once(" tables, ")?;
        rest.split_once(" of ")?.0.parse().ok()
    };
    stderr.lines().filter_map(|line| fresh(line).or_else(|| again(line))).collect()
}

/// Kills a pull until its load is over, at most so often; tells how often, and in how many MB.
async fn killed_at_random_moments(
    setup: &Setup,
    terminal: &Terminal,
    most: usize,
    rng: &mut impl Rng,
) -> Result<(usize, Vec<u64>)> {
    let mut pull = terminal.command(&setup.relay.url())?.spawn()?;
    let (mut kills, mut at) = (0, 0);
    while kills < most {
        // Now and then behind a part, so that there is always something to go on from; else anywhere.
        if kills % 3 == 2 {
            part_behind(terminal, at, &mut pull).await?;
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..300))).await;
        if !pull.is_running()? {
            break;
        }
        pull.kill()?;
        // Over, but for what follows the first load.
        let Some(now) = loaded_bytes(terminal).await?.or((at == 0).then_some(0)) else {
            pull.start()?;
            break;
        };
        assert!(now >= at, "what was committed went from {at} back to {now} bytes");
        at = now;
        kills += 1;
        pull.start()?;
    }
    let done = pull.wait(LIMIT).await?;
    assert_eq!(done.code, 0, "{}", done.stderr);
    let began = began_at("first load", &done.stderr);
    assert_eq!(began.last(), Some(&(at / 1_000_000)), "it did not go on at {at}: {}", done.stderr);
    assert!(began.is_sorted(), "a run began before the one before it: {}", done.stderr);
    Ok((kills, began))
}

#[test]
fn killed_at_random_moments_it_goes_on_where_it_was() {
    test(async {
        let setup = Setup::shared(MUCH).await?;
        let mut rng = rng("first load");
        for make in [0, 1] {
            let (mut kills, mut resumed) = (0, 0);
            // On a quick machine a load may be over before it was killed often enough.
            let terminal = loop {
                let terminal = match make {
                    0 => setup.postgres(&format!("store-{kills}")).await?,
                    _ => setup.sqlite(&format!("till-{kills}"))?,
                };
                let (killed, began) =
                    killed_at_random_moments(&setup, &terminal, 8, &mut rng).await?;
                println!("{}: {killed} kills, runs began at {began:?} MB", terminal.name);
                kills += killed;
                resumed += began.iter().filter(|at| **at > 0).count();
                if kills >= 8 && resumed > 0 {
                    break terminal;
                }
            };
            assert_eq!(loaded_bytes(&terminal).await?, None, "the record outlived the load");
            let id = 100_000 + make;
            let sql = format!(
                "INSERT INTO big VALUES ({id}, 'later'); DELETE FROM small WHERE id = {id} - 99999"
            );
            setup.master.execute(&sql).await?;
            setup.all_equal(&[&terminal]).await?;
        }
        Ok(())
    });
}

/// A pull that is killed in the middle of its load, behind at least one part; how far it came.
pub(crate) async fn interrupted(setup: &Setup, terminal: &Terminal) -> Result<u64> {
    let mut pull = terminal.command(&setup.relay.url())?.spawn()?;
    part_behind(terminal, 0, &mut pull).await?;
    pull.kill()?;
    let at = loaded_bytes(terminal).await?;
    at.filter(|at| *at > 0).context("the load was over before it was killed")
}

const CHANNELS: &str = "[channels.sales]\ntables = [\"public.line\", \"public.a_*\"]\n";

/// Half loaded tables are seen and said to be half loaded; what another snapshot, or another choice
/// of channels, needs is loaded from its beginning.
#[test]
fn it_begins_anew_where_the_snapshot_is_another() {
    test(async {
        let options = Options { capture: &[], config: Some(CHANNELS) };
        let sql = format!(
            "{MUCH}; CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE TABLE a_mood (id int PRIMARY KEY, m mood);
            INSERT INTO a_mood SELECT n, 'good' FROM generate_series(1, 100) n"
        );
        let setup = Setup::on(Cluster::shared().await?, &sql, options).await?;
        let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
        for terminal in &terminals {
            let at = interrupted(&setup, terminal).await?;
            let status = status(terminal).await?;
            assert!(
                status.contains("state    loading") && status.contains("position none"),
                "{status}"
            );
            assert!(status.contains(&format!(": {} of ", at / 1_000_000)), "{status}");
            let rows = terminal.value("SELECT count(*) FROM big").await?.context("no count")?;
            assert!(rows.parse::<u32>()? > 0, "the part is not seen");
        }
        // Other channels: the tables of those that are not asked for now go away again.
        let [postgres, sqlite] = terminals;
        let postgres = postgres.channels("sales");
        let done = setup.pull(&postgres).await?;
        assert!(done.stderr.contains("its snapshot is not offered"), "{}", done.stderr);
        let tables = Tables::only(&["public.a_mood", "public.line"]);
        postgres.equals(&setup.master, &tables).await?;
        let big = postgres.value("SELECT to_regclass('public.big')::text").await?;
        assert_eq!(big, None, "left of the first attempt");

        // Another history under the same name, whose tables are not the same.
        let relay = RelayProcess::builder().start().await?;
        let other = another_master().await?;
        let capture = capture_command(&other, &relay.url())?.spawn()?;
        let setup = Setup::assembled(other, relay, capture);
        setup.captured().await?;
        let done = setup.pull(&sqlite).await?;
        assert!(done.stderr.contains("its snapshot is not offered"), "{}", done.stderr);
        sqlite.equals(&setup.master, &Tables::All).await?;
        let line = sqlite.value("SELECT count(*) FROM sqlite_schema WHERE name = 'line'").await?;
        assert_eq!(line.as_deref(), Some("0"), "left of the first attempt");
        setup.all_equal(&[&sqlite]).await
    });
}

async fn another_master() -> Result<Database> {
    let other = Cluster::shared().await?.database().await?;
    let sql =
        "CREATE TABLE big (id bigint PRIMARY KEY, other text); INSERT INTO big VALUES (7, 'x');
        CREATE TABLE b (id int PRIMARY KEY, t text)";
    other.execute(sql).await?;
    Ok(other)
}

pub(crate) async fn status(terminal: &Terminal) -> Result<String> {
    let program = harness::binary("tailwater-terminal")?;
    let command = harness::ProcessBuilder::new("status", program);
    let done = command.args(["status", "--target", &terminal.url()]).run(LIMIT).await?;
    assert_eq!(done.code, 0, "{}", done.stderr);
    Ok(done.stdout)
}

/// Rows without a word of how far they go would be loaded twice, a word without its rows never.
#[test]
fn a_part_is_in_with_its_record_or_not_at_all() {
    test(async {
        let setup = Setup::shared(MUCH).await?;
        let terminal = setup.postgres("store").await?;
        let Target::Postgres(target) = &terminal.target else { unreachable!() };
        // The record cannot be written: then the rows must not be there.
        target
            .execute(
                "CREATE SCHEMA tailwater; CREATE TABLE tailwater.load (source text PRIMARY KEY, snapshot text NOT NULL,
                    plan text NOT NULL, point text NOT NULL, updated_at timestamptz NOT NULL DEFAULT now());
                 ALTER TABLE tailwater.load ADD CONSTRAINT stop CHECK (point LIKE '%\"bytes\":0,%')",
            )
            .await?;
        let done = terminal.command(&setup.relay.url())?.run(LIMIT).await?;
        assert_eq!(done.code, 1, "{}", done.stderr);
        assert!(done.stderr.contains("\"stop\""), "{}", done.stderr);
        assert_eq!(rows_of_big(&terminal).await?, 0, "rows without a record");

        // The rows cannot be committed: then the record must not have moved.
        let refuse = "ALTER TABLE tailwater.load DROP CONSTRAINT stop;
            CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no rows today''; END';
            CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON public.big DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW EXECUTE FUNCTION public.refuse();
            ALTER TABLE public.big ENABLE ALWAYS TRIGGER refuse";
        target.execute(refuse).await?;
        let done = terminal.command(&setup.relay.url())?.run(LIMIT).await?;
        assert_eq!(done.code, 1, "{}", done.stderr);
        assert!(done.stderr.contains("no rows today"), "{}", done.stderr);
        assert_eq!(loaded_bytes(&terminal).await?, Some(0), "a record without rows");
        assert_eq!(rows_of_big(&terminal).await?, 0);

        target.execute("DROP TRIGGER refuse ON public.big").await?;
        setup.all_equal(&[&terminal]).await
    });
}

async fn rows_of_big(terminal: &Terminal) -> Result<u32> {
    Ok(terminal.value("SELECT count(*) FROM big").await?.context("no count")?.parse()?)
}
