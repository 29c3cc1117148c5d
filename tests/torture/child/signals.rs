//! Waits for the signals that ask a process to end.
#![expect(unsafe_code, reason = "the C library has no safe form of these calls")]

/// SIGTERM and SIGINT, blocked in this thread and in those it makes.
pub(crate) struct Blocked(libc::sigset_t);

pub(crate) fn block() -> Blocked {
    // SAFETY: a set of zeros is a valid place, and `sigemptyset` fills it.
    let mut set = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is a valid place.
    unsafe { libc::sigemptyset(&raw mut set) };
    for signal in [libc::SIGTERM, libc::SIGINT] {
        // SAFETY: `set` was initialised above.
        unsafe { libc::sigaddset(&raw mut set, signal) };
    }
    // SAFETY: `set` is initialised, and the old mask is not wanted.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
    Blocked(set)
}

impl Blocked {
    pub(crate) fn wait(&self) {
        let mut signal = 0;
        // SAFETY: the set is initialised, and the result has a place.
        unsafe { libc::sigwait(&raw const self.0, &raw mut signal) };
    }
}
