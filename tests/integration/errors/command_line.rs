//! Flags, environment and configuration files: wrong ones end with 2 and say which.

use std::path::Path;

use anyhow::Result;
use harness::{Finished, ProcessBuilder, Scratch, binary, test};

use crate::{
    ending::{hides, says},
    setup::LIMIT,
};

const PROGRAMS: [(&str, &str); 3] =
    [("tailwater-capture", "run"), ("tailwater-relay", "serve"), ("tailwater-terminal", "pull")];

async fn run(program: &str, args: &[&str]) -> Result<Finished> {
    ProcessBuilder::new(program, binary(program)?).args(args).run(LIMIT).await
}

#[test]
fn unknown_flags_and_commands_are_named() {
    test(async {
        for (program, command) in PROGRAMS {
            says(&run(program, &[command, "--no-such-flag"]).await?, 2, &["--no-such-flag"]);
            says(&run(program, &["dance"]).await?, 2, &["dance"]);
            let nothing = run(program, &[]).await?;
            assert_eq!(nothing.code, 2, "{program}");
            assert!(nothing.stderr.contains("Usage"), "{program}: {}", nothing.stderr);
            let help = run(program, &["--help"]).await?;
            assert_eq!(help.code, 0, "{program}");
            assert!(help.stdout.contains("Usage") && help.stderr.is_empty(), "{program}");
            assert_eq!(run(program, &["--version"]).await?.code, 0, "{program}");
        }
        Ok(())
    });
}

#[test]
fn what_is_missing_is_named() {
    test(async {
        says(&run("tailwater-capture", &["run"]).await?, 2, &["--source"]);
        let source = ["run", "--source", "postgres://app@h/d"];
        says(&run("tailwater-capture", &source).await?, 2, &["--name"]);
        let named = [&source[..], &["--name", "orders"]].concat();
        says(&run("tailwater-capture", &named).await?, 2, &["--relay"]);
        says(&run("tailwater-relay", &["serve"]).await?, 2, &["--data-dir"]);
        says(&run("tailwater-terminal", &["pull"]).await?, 2, &["--source-name"]);
        let named = ["pull", "--source-name", "orders", "--target", "sqlite:/tmp/never-made.db"];
        says(&run("tailwater-terminal", &named).await?, 2, &["--relay"]);
        let relay = ["pull", "--relay", "http://h", "--source-name", "orders"];
        says(&run("tailwater-terminal", &relay).await?, 2, &["--target"]);
        Ok(())
    });
}

async fn with_config(program: &str, args: &[&str], file: &Path) -> Result<Finished> {
    let name = file.display().to_string();
    run(program, &[args, &["--config", &name]].concat()).await
}

#[test]
fn configuration_files_are_read_strictly() {
    test(async {
        let folder = Scratch::new("config")?;
        let file = folder.path().join("tailwater.toml");
        let name = file.display().to_string();
        for (program, command) in PROGRAMS {
            let missing =
                with_config(program, &[command], &folder.path().join("none.toml")).await?;
            says(&missing, 2, &["none.toml"]);
            std::fs::write(&file, "surprise = 1\n")?;
            says(&with_config(program, &[command], &file).await?, 2, &[&name, "surprise"]);
            std::fs::write(&file, "this is no TOML\n")?;
            says(&with_config(program, &[command], &file).await?, 2, &[&name]);
            // A secret has no place in it, and is not repeated.
            std::fs::write(&file, "token = \"tw_hush_hush\"\n")?;
            let done = with_config(program, &[command], &file).await?;
            says(&done, 2, &[&name, "token"]);
        }
        std::fs::write(&file, "keyless = \"perhaps\"\n")?;
        says(&with_config("tailwater-capture", &["run"], &file).await?, 2, &["perhaps"]);
        std::fs::write(&file, "[channels.control]\ntables = [\"*.*\"]\n")?;
        let run = ["run", "--source", "postgres://app@h/d", "--name", "o", "--relay", "http://h"];
        says(&with_config("tailwater-capture", &run, &file).await?, 2, &["control", "reserved"]);
        Ok(())
    });
}

/// Each flag is also a key of the file and a variable of the environment; the flag wins.
#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    test(async {
        let folder = Scratch::new("config")?;
        let file = folder.path().join("tailwater.toml");
        let name = file.display().to_string();
        std::fs::write(
            &file,
            "source = \"wrong-file\"\nname = \"orders\"\nrelay = \"http://h\"\n",
        )?;
        let command = || -> Result<ProcessBuilder> {
            Ok(ProcessBuilder::new("capture", binary("tailwater-capture")?)
                .args(["run", "--config", &name]))
        };
        // None is the address of a master, so whichever is read is complained of, and not repeated in
        // full where it may hold a password.
        let done = command()?.run(LIMIT).await?;
        says(&done, 2, &["postgres://"]);
        let done = command()?
            .args(["--source", "postgres://app@h/d", "--slot", "from the flag"])
            .env("TAILWATER_SLOT", "from the environment")
            .run(LIMIT)
            .await?;
        says(&done, 2, &["from the flag"]);
        let done = command()?
            .args(["--source", "postgres://app@h/d"])
            .env("TAILWATER_SLOT", "from the environment")
            .run(LIMIT)
            .await?;
        says(&done, 2, &["from the environment"]);
        Ok(())
    });
}

#[test]
fn addresses_that_cannot_be_and_passwords_that_are_not_repeated() {
    test(async {
        let password = "hush-hush-hush";
        let ambiguous = format!("postgres://app:{password}/x@h/d");
        let query = format!("postgres://app:{password}@h/d?sslmode=perhaps");
        let scheme = format!("mysql://app:{password}@h/d");
        for source in ["", "orders", "host=h dbname=d", "postgres://", &ambiguous, &query, &scheme]
        {
            let args = ["run", "--source", source, "--name", "orders", "--relay", "http://h"];
            let done = run("tailwater-capture", &args).await?;
            assert_eq!(done.code, 2, "'{source}': {}", done.stderr);
            hides(&done, password);
        }
        let relay = format!("http://app:{password}@h:7070");
        for relay in ["h:7070", "ftp://h", "http://", &relay] {
            let args =
                ["run", "--source", "postgres://app@h/d", "--name", "orders", "--relay", relay];
            let done = run("tailwater-capture", &args).await?;
            assert_eq!(done.code, 2, "'{relay}': {}", done.stderr);
            assert!(done.stderr.contains("relay"), "'{relay}': {}", done.stderr);
            hides(&done, password);
        }
        for name in ["", "two words", "a/b", "ä"] {
            let args =
                ["run", "--source", "postgres://app@h/d", "--name", name, "--relay", "http://h"];
            let done = run("tailwater-capture", &args).await?;
            assert_eq!(done.code, 2, "'{name}': {}", done.stderr);
        }
        let given = ["run", "--source", "postgres://app@h/d", "--name", "o", "--relay", "http://h"];
        let too_long = "x".repeat(64);
        let with = |flag, value| [&given[..], &[flag, value]].concat();
        for slot in ["Upper", "with space", &too_long] {
            let done = run("tailwater-capture", &with("--slot", slot)).await?;
            says(&done, 2, &[slot, "slot"]);
        }
        for tables in ["orders", "*"] {
            let done = run("tailwater-capture", &with("--tables", tables)).await?;
            assert_eq!(done.code, 2, "'{tables}': {}", done.stderr);
        }
        Ok(())
    });
}

#[test]
fn tokens_are_made_once_and_listed_without_their_text() {
    test(async {
        let folder = Scratch::new("tokens")?;
        let data = folder.path().display().to_string();
        let token = async |args: &[&str]| {
            run("tailwater-relay", &[&["token"], args, &["--data-dir", &data]].concat()).await
        };
        let made = token(&["add", "store", "--role", "terminal", "--channels", "a,b"]).await?;
        assert_eq!(made.code, 0, "{}", made.stderr);
        let text = made.stdout.trim();
        assert!(text.len() >= 32, "{text}");
        let again = token(&["add", "store", "--role", "terminal"]).await?;
        assert_ne!(again.code, 0);
        says(&again, again.code, &["store", "revoke"]);
        let listed = token(&["list"]).await?;
        assert!(
            listed.stdout.contains("store") && listed.stdout.contains("terminal"),
            "{}",
            listed.stdout
        );
        hides(&listed, text);
        let unknown = token(&["revoke", "nobody"]).await?;
        assert_ne!(unknown.code, 0);
        says(&unknown, unknown.code, &["nobody"]);
        says(&token(&["add", "x", "--role", "king"]).await?, 2, &["king"]);
        let channels = token(&["add", "x", "--role", "ops", "--channels", "a"]).await?;
        says(&channels, 2, &["--channels"]);
        assert_eq!(token(&["revoke", "store"]).await?.code, 0);
        // At rest there is no token, only what it hashes to.
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder.path())? {
            found.push(entry?.path());
        }
        while let Some(path) = found.pop() {
            if path.is_dir() {
                for entry in std::fs::read_dir(path)? {
                    found.push(entry?.path());
                }
            } else {
                let bytes = std::fs::read(&path)?;
                let there = String::from_utf8_lossy(&bytes).contains(text);
                assert!(!there, "the token is in {}", path.display());
            }
        }
        Ok(())
    });
}
