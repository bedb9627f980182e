//! This test program again, as a process of its own: to be killed, or to have its memory measured.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use super::{crash, given::Place, memory};
use crate::{
    sqlite::{SqliteFile, SqliteTarget},
    target::Target,
};

const FILE: &str = "TAILWATER_TEST_FILE";
const DEED: &str = "TAILWATER_TEST_DEED";

/// Begins one of the deeds below on a file.
pub(super) fn child(place: &Place, deed: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sqlite::tests::child::child_of_a_test", "--ignored", "--nocapture"])
        .env(FILE, &place.path)
        .env(DEED, deed)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test]
#[ignore = "run by other tests, in a process of its own"]
async fn child_of_a_test() {
    let (Ok(file), Ok(deed)) = (std::env::var(FILE), std::env::var(DEED)) else { return };
    let mut target = SqliteTarget::open(&SqliteFile::new(&file).unwrap()).await.unwrap();
    assert!(target.lock(&super::given::source(), Duration::from_secs(10)).await.unwrap());
    match deed.as_str() {
        "load" => crash::load_all(&mut target).await,
        "apply" => crash::apply_on_and_on(&mut target).await,
        "much" => memory::much(target).await,
        deed => panic!("{deed}"),
    }
}
