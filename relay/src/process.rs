//! What the process asks of the system once, before it has threads.

/// Keeps resident memory close to what is in use, allows as many open files as are permitted, and
/// makes a file that grows too large an error instead of a signal.
pub(crate) fn prepare() {
    keep_little_memory();
    #[cfg(unix)]
    open_many_files();
    #[cfg(unix)]
    survive_file_size_limit();
}

/// glibc's allocator keeps an arena per thread and gives little back; the relay's memory is bounded
/// by promise, so it is told to keep less. What it refuses stays as it was: a matter of footprint only.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn keep_little_memory() {
    const MMAP_FROM: libc::c_int = 128 << 10;
    const TRIM_FROM: libc::c_int = 256 << 10;
    for (parameter, value) in [
        (libc::M_ARENA_MAX, 2),
        (libc::M_MMAP_THRESHOLD, MMAP_FROM),
        (libc::M_TRIM_THRESHOLD, TRIM_FROM),
    ] {
        #[expect(unsafe_code, reason = "mallopt(3) has no safe form")]
        // SAFETY: it takes two numbers, and no other thread runs yet.
        unsafe {
            libc::mallopt(parameter, value);
        }
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn keep_little_memory() {}

/// Each connection is an open file; the usual soft limit of 1,024 is for programs that call select(2).
#[cfg(unix)]
fn open_many_files() {
    let mut files = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    #[expect(unsafe_code, reason = "getrlimit(2) and setrlimit(2) have no safe form")]
    // SAFETY: the pointers are to a live struct of the right type.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut files) == 0 {
            files.rlim_cur = files.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const files);
        }
    }
}

/// Then a write fails with an error, which is answered as a full disk is.
#[cfg(unix)]
fn survive_file_size_limit() {
    #[expect(unsafe_code, reason = "signal(2) has no safe form")]
    // SAFETY: ignoring a signal runs no code of ours.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
}
