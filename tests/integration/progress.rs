//! What a person sees of a load and of a catch-up: one line that is rewritten at a terminal, few lines where
//! there is none.

use anyhow::Result;
use harness::{Finished, ProcessBuilder, binary, test};

use crate::{
    first_load::MUCH,
    setup::{LIMIT, SOURCE, Setup, Terminal},
};

/// A pull with a terminal of its own (util-linux's `script`); what it wrote there is standard output.
async fn at_a_terminal(setup: &Setup, terminal: &Terminal) -> Result<Finished> {
    let program = binary("tailwater-terminal")?;
    let (relay, target) = (setup.relay.url(), terminal.url());
    let pull = format!(
        "{} pull --relay {relay} --source-name {SOURCE} --target {target} --name {}",
        program.display(),
        terminal.name
    );
    let script = ProcessBuilder::new("script", "script");
    script.args(["--quiet", "--return", "--command", &pull, "/dev/null"]).run(LIMIT).await
}

#[test]
fn at_a_terminal_one_line_is_rewritten() {
    test(async {
        let setup = Setup::shared(MUCH).await?;
        let till = setup.sqlite("till")?;
        let done = at_a_terminal(&setup, &till).await?;
        assert_eq!(done.code, 0, "{}", done.stdout);
        let lines: Vec<&str> = done.stdout.lines().collect();
        // Where it begins, the bar in all its states, and what was done.
        assert_eq!(lines.len(), 2, "{}", done.stdout);
        let (bar, last) = lines[1].rsplit_once("\u{1b}[2K").unwrap_or_default();
        assert!(last.starts_with("orders is at "), "{last}");
        let states = || bar.split("\u{1b}[2K").filter(|state| state.contains(" MB/s"));
        assert!(states().count() > 3, "{bar}");
        let told = |state: &str| state.contains("% ") || state.contains("%, ");
        assert!(states().all(|state| told(state) && state.contains("first load: ")), "{bar}");
        assert!(bar.contains(" s left, table public."), "{bar}");

        for _ in 0..4 {
            setup.master.execute("UPDATE big SET t = t || '.'").await?;
        }
        setup.captured().await?;
        let done = at_a_terminal(&setup, &till).await?;
        assert_eq!((done.code, done.stdout.lines().count()), (0, 1), "{}", done.stdout);
        assert!(
            done.stdout.contains("%, at ") && done.stdout.contains(" changes, "),
            "{}",
            done.stdout
        );
        assert!(done.stdout.contains("\u{1b}[2Korders is at "), "{}", done.stdout);
        Ok(())
    });
}

#[test]
fn elsewhere_lines_are_few_and_plain() {
    test(async {
        let setup = Setup::shared(MUCH).await?;
        let store = setup.postgres("store").await?;
        let done = setup.pull(&store).await?;
        assert!(!done.stderr.contains(['\r', '\u{1b}']), "{}", done.stderr);
        assert!(done.stderr.starts_with("first load of orders from "), "{}", done.stderr);
        let last = done.stderr.lines().last().unwrap_or_default();
        assert!(last.starts_with("orders is at "), "{}", done.stderr);
        // At most one each ten seconds, besides the first and the last.
        let most = 2 + usize::try_from(LIMIT.as_secs() / 10)?;
        assert!(done.stderr.lines().count() <= most, "{}", done.stderr);
        Ok(())
    });
}
