//! A log whose place another one takes.

use std::sync::Arc;

use wire::{Lineage, SourceName, Succession};

use super::fixture::{BEGIN, begun, facts, get, open, pull, request, small, snapshot};
use crate::{
    fleet::{Clock, FleetLimits},
    log::{Channels, ReadError, Refusal},
    sources::Sources,
};

fn is_over<T: std::fmt::Debug>(result: Result<T, Refusal>) {
    assert!(matches!(result, Err(Refusal::Unavailable(_))), "{result:?}");
}

/// What it acknowledged afterwards would be lost.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_taken_where_another_log_is_the_living_one() {
    let folder = tempfile::tempdir().unwrap();
    let (log, session, mut feed) = begun(folder.path(), small()).await;
    let log = Arc::new(log);
    let succeed = async |lineage: Lineage| {
        let (log, folder) = (log.clone(), folder.path().to_owned());
        let succession = Succession { lineage, why: "x".into() };
        let work = move || log.succeed(&folder, &succession, &facts());
        tokio::task::spawn_blocking(work).await.unwrap()
    };
    let other = succeed(Lineage::from_bytes([9; 16])).await;
    assert!(matches!(other, Err(Refusal::OtherLineage { .. })), "{other:?}");
    log.append(session, feed.one(&[("a", b"1")])).await.unwrap();
    let lineage = succeed(feed.lineage).await.unwrap();

    is_over(log.append(session, feed.one(&[("a", b"2")])).await);
    is_over(log.open_session(request(false)).await);
    is_over(log.add_snapshot(session, snapshot(feed.lineage, BEGIN)).await);
    is_over(succeed(feed.lineage).await);
    let read = get(&log, &pull(BEGIN, 1 << 20, Channels::All));
    assert!(matches!(read, Err(ReadError::Succeeded { ours, .. }) if ours == lineage), "{read:?}");

    let living = open(folder.path(), small());
    let standing = living.standing();
    assert_eq!((standing.lineage, standing.head), (lineage, None));
    assert_eq!(standing.succeeded_lineages(), [feed.lineage]);
    let answer = living.open_session(request(true)).await.unwrap();
    assert!(answer.session > session, "an older capture could take itself for the newest");
}

/// As where the last sync of a succession fails: the log has ended, and nobody was told of the other.
#[test]
fn a_log_that_was_succeeded_unnoticed_is_gone_over_to() {
    let data = tempfile::tempdir().unwrap();
    let open =
        || Sources::open(data.path(), small(), FleetLimits::default(), Clock::start()).unwrap();
    let sources = open();
    let name = SourceName::new("orders").unwrap();
    let old = sources.begin(&name, &facts()).unwrap().unwrap();
    let succession = Succession { lineage: old.log.standing().lineage, why: "x".into() };
    let folder = data.path().join("orders");
    let lineage = old.log.succeed(&folder, &succession, &facts()).unwrap();

    let living = sources.living(&old).unwrap();
    assert_eq!(living.log.standing().lineage, lineage);
    let registered = sources.get(&name).unwrap().unwrap();
    assert_eq!(registered.log.standing().lineage, lineage);
    assert!(folder.join("catalog").exists(), "somebody reads the old one still");
    drop((living, registered));
    sources.close();
    drop(sources);
    let sources = open();
    assert!(!folder.join("catalog").exists(), "it goes at a start");
    assert_eq!(sources.get(&name).unwrap().unwrap().log.standing().lineage, lineage);
}
