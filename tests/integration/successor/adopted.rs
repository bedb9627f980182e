//! `tailwater-capture adopt`.

use anyhow::Result;
use harness::{
    Cluster, ProcessBuilder, RelayProcess, Scratch, Shutdown, Tables, binary, eventually, test,
};

use super::{
    CHANGES, TABLES, adopt, begun_anew, capture_again, followed, lineage, lose_slot, stops,
};
use crate::{
    ending::says,
    position::backup::Backup,
    setup::{LIMIT, Options, SOURCE, Setup, capture_command, slot_of},
};

async fn slots(setup: &Setup) -> Result<Option<String>> {
    let count = "SELECT count(*) FROM pg_replication_slots WHERE slot_name = ";
    setup.master.value(&format!("{count}'{}'", slot_of(&setup.master))).await
}

#[test]
fn a_restored_backup_goes_on_once_it_is_adopted() {
    test(async {
        let mut cluster = Cluster::new().await?;
        let mut setup = Setup::on(&cluster, TABLES, Options::default()).await?;
        let (store, till) = (setup.postgres("store").await?, setup.sqlite("till")?);
        setup.all_equal(&[&store, &till]).await?;
        setup.capture.stop().await?;
        cluster.stop(Shutdown::Fast).await?;
        let backup = Backup::take(&cluster.data_dir())?;
        cluster.start().await?;
        setup.capture.start()?;
        setup.master.execute(CHANGES).await?;
        setup.all_equal(&[&store, &till]).await?;
        setup.capture.kill()?;
        cluster.stop(Shutdown::Fast).await?;
        backup.put_back()?;
        cluster.start().await?;
        let before = lineage(&setup).await?;
        says(&stops(&setup).await?, 3, &["put back to an older state", "tailwater-capture adopt"]);
        assert_eq!(setup.relay.lag(SOURCE).await?.capture.state, "master-behind-relay");
        // Another way: what the terminals have is not what the master has at the same keys.
        setup.master.execute("UPDATE t SET n = -n; DELETE FROM keyless WHERE n = 1").await?;

        let shown = adopt(&setup)?.run(LIMIT).await?;
        says(&shown, 2, &["nothing was changed", "--yes"]);
        for word in ["master-behind-relay", &before, "is dropped", "system ", "at "] {
            assert!(shown.stdout.contains(word), "{word}: {}", shown.stdout);
        }
        assert_eq!(lineage(&setup).await?, before);
        assert_eq!(slots(&setup).await?.as_deref(), Some("1"));

        says(&adopt(&setup)?.arg("--yes").run(LIMIT).await?, 0, &[]);
        assert_eq!(slots(&setup).await?.as_deref(), Some("0"));
        // Said twice is as good.
        let again = adopt(&setup)?.arg("--yes").run(LIMIT).await?;
        says(&again, 0, &[]);
        assert!(again.stdout.contains("waits for the first copy"), "{}", again.stdout);
        // A terminal that comes too early waits, and gives up as one does.
        let early = store.command(&setup.relay.url())?.args(["--timeout", "1s"]).run(LIMIT).await?;
        says(&early, 4, &["history begins anew", "adopted by the operator"]);
        assert_eq!(followed(&store).await?, before);

        capture_again(&mut setup, &[])?;
        begun_anew(&setup, &before).await?;
        setup.all_equal(&[&store, &till]).await?;
        setup.master.execute(CHANGES).await?;
        setup.all_equal(&[&store, &till]).await
    });
}

#[test]
fn another_master_takes_the_place_of_the_first() {
    test(async {
        let mut setup = Setup::shared(TABLES).await?;
        let (store, till) = (setup.postgres("store").await?, setup.sqlite("till")?);
        setup.all_equal(&[&store, &till]).await?;
        let before = lineage(&setup).await?;
        setup.capture.stop().await?;
        let other = Cluster::shared().await?.database().await?;
        other.execute(TABLES).await?;
        other.execute(CHANGES).await?;
        let slot = slot_of(&setup.master);
        let first = std::mem::replace(&mut setup.master, other);
        says(&stops(&setup).await?, 3, &["another database", "tailwater-capture adopt"]);
        let shown = adopt(&setup)?.run(LIMIT).await?;
        says(&shown, 2, &["nothing was changed"]);
        assert!(shown.stdout.contains("another database"), "{}", shown.stdout);
        says(&adopt(&setup)?.arg("--yes").run(LIMIT).await?, 0, &[]);
        capture_again(&mut setup, &[])?;
        begun_anew(&setup, &before).await?;
        setup.all_equal(&[&store, &till]).await?;
        // The slot at the first master is not touched from here.
        first.drop_slot(&slot).await
    });
}

#[test]
fn a_capture_at_work_and_one_that_could_be_are_left_alone() {
    test(async {
        let master = Cluster::shared().await?.database().await?;
        master.execute(TABLES).await?;
        let quick = ["--capture-offline-after", "3s"];
        let relay = RelayProcess::builder().args(&quick).start().await?;
        let mut setup = Setup::with(master, relay, Options::default()).await?;
        let before = lineage(&setup).await?;
        eventually("it is at work", LIMIT, async || {
            Ok(setup.relay.lag(SOURCE).await?.capture.state == "streaming")
        })
        .await?;
        for yes in [&["--yes"][..], &[]] {
            let done = adopt(&setup)?.args(yes).run(LIMIT).await?;
            says(&done, 3, &["in use by PID", "stop it first"]);
        }
        // On another master, with the relay's capture at work.
        let other = Cluster::shared().await?.database().await?;
        let name = slot_of(&other);
        let elsewhere = ProcessBuilder::new("adopt", binary("tailwater-capture")?)
            .args(["adopt", "--source", other.url(), "--name", SOURCE, "--yes"])
            .args(["--relay", &setup.relay.url(), "--slot", &name]);
        says(&elsewhere.run(LIMIT).await?, 3, &["heard of a capture", "streaming"]);
        setup.master.execute(CHANGES).await?;
        setup.captured().await?;
        assert!(setup.capture.is_running()?);
        assert_eq!(lineage(&setup).await?, before);

        // Stopped in order, with nothing wrong.
        setup.capture.stop().await?;
        eventually("the relay takes it for gone", LIMIT, async || {
            Ok(setup.relay.lag(SOURCE).await?.capture.state == "offline")
        })
        .await?;
        let done = adopt(&setup)?.arg("--yes").run(LIMIT).await?;
        says(&done, 3, &["nothing is to be adopted"]);
        assert_eq!(lineage(&setup).await?, before);
        assert_eq!(slots(&setup).await?.as_deref(), Some("1"));
        Ok(())
    });
}

#[test]
fn a_slot_that_was_made_again_is_adopted_and_a_publication_that_is_gone() {
    test(async {
        let mut setup = Setup::shared(TABLES).await?;
        let (store, till) = (setup.postgres("store").await?, setup.sqlite("till")?);
        setup.all_equal(&[&store, &till]).await?;
        let mut before = lineage(&setup).await?;
        lose_slot(&mut setup).await?;
        let slot = slot_of(&setup.master);
        let make = format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')");
        setup.master.value(&make).await?;
        says(&stops(&setup).await?, 3, &[&slot, "cannot be had again", "adopt"]);
        says(&adopt(&setup)?.arg("--yes").run(LIMIT).await?, 0, &[]);
        capture_again(&mut setup, &[])?;
        before = begun_anew(&setup, &before).await?;
        setup.all_equal(&[&store, &till]).await?;

        setup.capture.stop().await?;
        setup.master.execute(&format!("DROP PUBLICATION tailwater_{SOURCE}")).await?;
        setup.master.execute(CHANGES).await?;
        says(&stops(&setup).await?, 3, &["publication", "tailwater-capture adopt"]);
        says(&adopt(&setup)?.arg("--yes").run(LIMIT).await?, 0, &[]);
        capture_again(&mut setup, &[])?;
        begun_anew(&setup, &before).await?;
        setup.all_equal(&[&store, &till]).await
    });
}

#[test]
fn a_token_of_another_role_adopts_nothing() {
    test(async {
        let folder = Scratch::new("adopt")?;
        let data = folder.path().join("data");
        let token = async |name: &str, role: &str| -> Result<String> {
            let done = ProcessBuilder::new("token", binary("tailwater-relay")?)
                .args(["token", "add", name, "--role", role, "--data-dir"])
                .arg(&data)
                .run(LIMIT)
                .await?;
            Ok(done.stdout.trim().to_owned())
        };
        let (own, ops) = (token("capture", "capture").await?, token("ops", "ops").await?);
        let terminal = token("store", "terminal").await?;
        let relay = RelayProcess::builder().data_dir(&data).token(&ops).start().await?;
        let master = Cluster::shared().await?.database().await?;
        master.execute(TABLES).await?;
        let capture =
            capture_command(&master, &relay.url())?.env("TAILWATER_TOKEN", &own).spawn()?;
        let mut setup = Setup::assembled(master, relay, capture);
        let store = setup.postgres("store").await?;
        setup.captured().await?;
        let pull = async |setup: &Setup| {
            let pull = store.command(&setup.relay.url())?.env("TAILWATER_TOKEN", &terminal);
            says(&pull.run(LIMIT).await?, 0, &[]);
            store.equals(&setup.master, &Tables::All).await
        };
        pull(&setup).await?;
        let before = lineage(&setup).await?;
        setup.capture.stop().await?;
        let stray = format!(
            "SELECT pg_replication_slot_advance('{}', pg_current_wal_lsn())",
            slot_of(&setup.master)
        );
        setup.master.execute(CHANGES).await?;
        // A slot goes no further than what is flushed.
        setup.master.execute("CHECKPOINT").await?;
        setup.master.value(&stray).await?;
        let stopped = capture_command(&setup.master, &setup.relay.url())?;
        says(&stopped.env("TAILWATER_TOKEN", &own).run(LIMIT).await?, 3, &["cannot be had again"]);
        for wrong in [&ops, &terminal, &"nonsense".to_owned()] {
            let done = adopt(&setup)?.arg("--yes").env("TAILWATER_TOKEN", wrong).run(LIMIT).await?;
            says(&done, 3, &["token"]);
            assert_eq!(lineage(&setup).await?, before);
            assert_eq!(slots(&setup).await?.as_deref(), Some("1"));
        }
        let done = adopt(&setup)?.arg("--yes").env("TAILWATER_TOKEN", &own).run(LIMIT).await?;
        says(&done, 0, &[]);
        setup.capture = capture_command(&setup.master, &setup.relay.url())?
            .env("TAILWATER_TOKEN", &own)
            .spawn()?;
        begun_anew(&setup, &before).await?;
        pull(&setup).await
    });
}
