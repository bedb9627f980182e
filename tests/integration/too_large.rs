//! Values whose text is longer than a server can hold in one piece.

use harness::{Cluster, RelayProcess, test};

use crate::{
    ending::says,
    setup::{LIMIT, Options, SOURCE, Setup, capture_command},
    successor::{adopt, begun_anew, capture_again, lineage},
};

/// A `bytea` of 540 MB: its text would have 1.08 GB.
const VALUE: &str = "convert_to(repeat('x', 540000000), 'UTF8')";

/// PITFALLS 36: capture ends under a name of its own, and names the row, in the first copy and in the
/// stream; there `adopt` leads past it.
#[test]
fn a_value_that_the_master_cannot_send_is_named_with_its_key_and_got_past() {
    test(async {
        let cluster = Cluster::builder().without_fsync().start().await?;
        let master = cluster.database().await?;
        master
            .execute(&format!(
                "CREATE TABLE files (folder text, id int, body bytea, PRIMARY KEY (folder, id));
                 CREATE TABLE small (id int PRIMARY KEY, body text);
                 INSERT INTO small VALUES (1, 'x');
                 INSERT INTO files VALUES ('it''s', 1, 'small'), ('it''s', 2, {VALUE})"
            ))
            .await?;
        let relay = RelayProcess::builder().start().await?;
        let row = r#""public"."files" ("folder", "id") = ('it''s', '2') with 1080 MB"#;

        let done = capture_command(&master, &relay.url())?.run(LIMIT).await?;
        says(&done, 3, &["a row holds", row, "--exclude", "start capture again"]);

        master.execute("DELETE FROM files WHERE id = 2").await?;
        let mut setup = Setup::with(master, relay, Options::default()).await?;
        let (store, till) = (setup.postgres("store").await?, setup.sqlite("till")?);
        setup.all_equal(&[&store, &till]).await?;
        setup.capture.stop().await?;
        setup.master.execute(&format!("INSERT INTO files VALUES ('it''s', 2, {VALUE})")).await?;
        let done = capture_command(&setup.master, &setup.relay.url())?.run(LIMIT).await?;
        says(&done, 3, &["the change at ", row, "--exclude", "begin anew"]);
        assert_eq!(setup.relay.lag(SOURCE).await?.capture.state, "value-too-large");

        setup.master.execute("DELETE FROM files WHERE id = 2").await?;
        let done = capture_command(&setup.master, &setup.relay.url())?.run(LIMIT).await?;
        says(
            &done,
            3,
            &["the change at ", "No row is so large any more", "tailwater-capture adopt"],
        );

        let before = lineage(&setup).await?;
        says(&adopt(&setup)?.arg("--yes").run(LIMIT).await?, 0, &[]);
        capture_again(&mut setup, &[])?;
        begun_anew(&setup, &before).await?;
        setup.master.execute("INSERT INTO files VALUES ('it''s', 3, 'behind it')").await?;
        setup.all_equal(&[&store, &till]).await
    });
}
