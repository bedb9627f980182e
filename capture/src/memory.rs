//! Keeps the allocator's own reserves small.

/// glibc gives every few threads an arena of their own, and each keeps what was freed in it. Two
/// arenas, and an early return of freed memory, keep the process near what it really holds.
pub fn bound_allocator() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const SETTINGS: [(libc::c_int, libc::c_int); 3] = [
            (libc::M_ARENA_MAX, 2),
            (libc::M_TRIM_THRESHOLD, 4 << 20),
            (libc::M_MMAP_THRESHOLD, 1 << 20),
        ];
        for (parameter, value) in SETTINGS {
            #[expect(
                unsafe_code,
                reason = "mallopt is a plain C call, made before any thread is started"
            )]
            // SAFETY: mallopt only changes parameters of the allocator.
            unsafe {
                libc::mallopt(parameter, value);
            }
        }
    }
}
