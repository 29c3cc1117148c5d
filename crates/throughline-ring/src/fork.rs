//! Owns the count of forks between the first process and this one. Knows
//! nothing of hubs; they compare the count with the one they were made in.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// How many forks lie between the process that made the first
/// [`Hub`](crate::Hub) and this one: 0 until that process forks, and larger by
/// one in each child than in its parent. Constant 0 where there is no `fork`.
///
/// Compare it with a remembered value to notice that state was inherited from
/// another process. Costs one relaxed load.
#[inline]
pub fn fork_generation() -> u32 {
    // Relaxed: the only store is made in a child while it has a single thread,
    // and every later thread of that child is spawned after it.
    GENERATION.load(Ordering::Relaxed)
}

/// Has a flag set in every child that is forked from now on, before anything else
/// runs in it. There is one such flag in a process, the first one that is given;
/// false if it is another one. Where there is no `fork`, none is ever set.
///
/// It is for handlers of signals, which may come before the child has had time
/// to ask for its [`fork_generation`].
///
/// ```
/// use std::sync::atomic::AtomicBool;
///
/// static FORKED: AtomicBool = AtomicBool::new(false);
/// assert!(throughline_ring::set_in_children(&FORKED));
/// ```
pub fn set_in_children(flag: &'static AtomicBool) -> bool {
    watch();
    let known = FLAG.get_or_init(|| flag);
    std::ptr::eq(*known, flag)
}

/// Makes every child forked from now on count itself. Idempotent, and complete
/// when it returns: threads that race here register the handlers twice rather
/// than wait for each other, and [`handlers`] count each fork once all the same.
pub(crate) fn watch() {
    static WATCHING: AtomicBool = AtomicBool::new(false);

    // Acquire pairs with the release store below: whoever sees `true` also
    // has the handlers in place.
    if WATCHING.load(Ordering::Acquire) {
        return;
    }
    // A failure (no memory) leaves fork unnoticed; the next hub tries again.
    WATCHING.store(handlers::register(), Ordering::Release);
}

/// What runs around a fork, in the thread that forks, before it and in the
/// child. Registered more than once, all of the former run before any of the
/// latter.
#[cfg(any(
    target_os = "linux",
    target_os = "android",
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly",
    target_os = "solaris",
    target_os = "illumos",
))]
mod handlers {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::{FLAG, GENERATION};

    /// Whether this process has counted the fork it came from.
    static COUNTED: AtomicBool = AtomicBool::new(false);

    /// Whether it worked: there may be no memory.
    pub(super) fn register() -> bool {
        // SAFETY: the handlers are functions that live as long as the program
        // (or, in a shared library, as long as that library: libc drops them
        // when the library is unloaded), and they touch atomics only.
        unsafe { libc::pthread_atfork(Some(before), None, Some(in_child)) == 0 }
    }

    // Relaxed everywhere: see `fork_generation`. An atomic is all that is safe to
    // touch here, where another thread may hold any lock at the fork; to look at
    // the flag is to load one.

    extern "C" fn before() {
        COUNTED.store(false, Ordering::Relaxed);
    }

    extern "C" fn in_child() {
        if !COUNTED.swap(true, Ordering::Relaxed) {
            GENERATION.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(flag) = FLAG.get() {
            flag.store(true, Ordering::Relaxed);
        }
    }
}

/// There is no `fork` to watch on this target.
#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly",
    target_os = "solaris",
    target_os = "illumos",
)))]
mod handlers {
    pub(super) fn register() -> bool {
        true
    }
}

/// A plain atomic even in the model checker's build: models do not fork.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// What is set in each child.
static FLAG: OnceLock<&'static AtomicBool> = OnceLock::new();

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_fork_counts_once_however_often_the_handlers_are_registered() {
        static FORKED: AtomicBool = AtomicBool::new(false);
        static OTHER: AtomicBool = AtomicBool::new(false);
        for _ in 0..3 {
            assert!(handlers::register());
            assert!(set_in_children(&FORKED) && !set_in_children(&OTHER));
        }
        let generation = fork_generation();
        // SAFETY: the child reads an atomic and leaves.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "fork failed");
        if pid == 0 {
            let grown = fork_generation().wrapping_sub(generation);
            let flags = [&FORKED, &OTHER].map(|flag| flag.load(Ordering::Relaxed));
            let right = (grown, flags) == (1, [true, false]);
            // SAFETY: ends the child without running anything of the parent's.
            unsafe { libc::_exit(i32::from(!right)) };
        }
        let mut status = 0;
        // SAFETY: waits for our own child, with a valid place for its status.
        assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
        assert!(libc::WIFEXITED(status));
        assert_eq!(libc::WEXITSTATUS(status), 0);
        assert!(!FORKED.load(Ordering::Relaxed), "this is no child");
    }
}
