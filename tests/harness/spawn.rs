//! Starts child processes that cannot outlive this one.
//!
//! The kernel's parent-death signal fires when the *thread* that made the child ends, and a test's
//! thread ends long before the run does. So one thread, which lives as long as the process,
//! starts them all.

use std::{
    io,
    os::unix::process::CommandExt,
    process::{Child, Command},
    sync::{OnceLock, mpsc},
    thread,
};

/// What a child gets when we die.
#[derive(Debug, Clone, Copy)]
pub(crate) enum DeathSignal {
    /// PostgreSQL's immediate shutdown: it still removes its shared memory.
    Quit,
    Kill,
}

impl DeathSignal {
    fn number(self) -> libc::c_int {
        match self {
            Self::Quit => libc::SIGQUIT,
            Self::Kill => libc::SIGKILL,
        }
    }
}

type Order = (Command, mpsc::Sender<io::Result<Child>>);

/// Starts `command`; it gets `signal` when this process ends, however it ends.
pub(crate) fn spawn(mut command: Command, signal: DeathSignal) -> io::Result<Child> {
    static SPAWNER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, answer) in inbox {
                let _ = answer.send(command.spawn());
            }
        });
        orders
    });
    die_with_parent(&mut command, signal);
    let gone = || io::Error::other("the thread that starts processes is gone");
    let (answer, started) = mpsc::channel();
    spawner.send((command, answer)).map_err(|_| gone())?;
    started.recv().map_err(|_| gone())?
}

#[expect(
    unsafe_code,
    reason = "pre_exec is the only way to set the parent-death signal; prctl is async-signal-safe"
)]
fn die_with_parent(command: &mut Command, signal: DeathSignal) {
    let number = signal.number();
    // After a change of user id, which would clear the signal: the standard library changes ids
    // before it calls this.
    unsafe {
        command.pre_exec(move || match libc::prctl(libc::PR_SET_PDEATHSIG, number) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        });
    }
}

/// Sends `signal` to a child of ours that was not yet waited for.
#[expect(unsafe_code, reason = "kill(2) has no safe form in the standard library")]
pub(crate) fn send_signal(child: &Child, signal: libc::c_int) -> io::Result<()> {
    let pid = libc::pid_t::try_from(child.id()).map_err(io::Error::other)?;
    match unsafe { libc::kill(pid, signal) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Ends a process and all its children with SIGKILL: a postmaster and its backends.
pub(crate) fn kill_with_children(parent: &mut Child) -> io::Result<()> {
    // Stopped, it cannot make another child between the look and the kill.
    send_signal(parent, libc::SIGSTOP)?;
    let children = children_of(parent.id())?;
    parent.kill()?;
    children.into_iter().for_each(kill_pid);
    parent.wait()?;
    Ok(())
}

fn children_of(parent: u32) -> io::Result<Vec<libc::pid_t>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        // `pid (comm) state ppid …`; comm may hold anything, so read behind its last bracket.
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let ppid = stat
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        if ppid == Some(parent) {
            found.push(pid);
        }
    }
    Ok(found)
}

#[expect(unsafe_code, reason = "kill(2) has no safe form in the standard library")]
fn kill_pid(pid: libc::pid_t) {
    unsafe { libc::kill(pid, libc::SIGKILL) };
}
