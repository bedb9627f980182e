//! The account PostgreSQL's programs run as: the server refuses to run as root.

use std::{fs, os::unix::process::CommandExt, process::Command};

use anyhow::{Context, Result};

/// Who runs the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Account {
    /// The one that runs the tests.
    Ours,
    /// Another, because we are root.
    Other { uid: u32, gid: u32 },
}

impl Account {
    /// Our own account; for root `postgres`, or `nobody` where that does not exist.
    pub fn for_postgres() -> Result<Self> {
        let status = fs::read_to_string("/proc/self/status").context("cannot read /proc")?;
        let effective_uid = status
            .lines()
            .find_map(|line| line.strip_prefix("Uid:"))
            .and_then(|ids| ids.split_whitespace().nth(1));
        if effective_uid != Some("0") {
            return Ok(Self::Ours);
        }
        let passwd = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
        ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| find(&passwd, name))
            .context("we are root, and there is neither a user postgres nor a user nobody")
    }

    /// Makes `command` run as this account.
    pub fn apply(self, command: &mut Command) {
        if let Self::Other { uid, gid } = self {
            command.uid(uid).gid(gid);
        }
    }
}

fn find(passwd: &str, name: &str) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next()? == name;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        found.then_some(Account::Other { uid, gid })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_account_list() {
        let passwd =
            "root:x:0:0:root:/root:/bin/bash\npostgres:x:101:104::/var/lib/postgresql:/bin/bash\n";
        assert_eq!(find(passwd, "postgres"), Some(Account::Other { uid: 101, gid: 104 }));
        assert_eq!(find(passwd, "nobody"), None);
    }
}
