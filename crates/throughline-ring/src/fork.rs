//! Owns the count of forks between the first process and this one. Knows
//! nothing of hubs; they compare the count with the one they were made in.

use std::sync::atomic::{AtomicU32, Ordering};

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

/// Makes every child forked from now on count itself. Idempotent; two threads
/// that race here register twice, which only makes the count grow faster.
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
pub(crate) fn watch() {
    use std::sync::atomic::AtomicBool;

    static WATCHING: AtomicBool = AtomicBool::new(false);

    extern "C" fn in_child() {
        // Relaxed: see `fork_generation`. The addition is all that is safe to
        // do here, where another thread may have held any lock at the fork.
        GENERATION.fetch_add(1, Ordering::Relaxed);
    }

    // Acquire pairs with the release store below: whoever sees `true` also
    // has the handler in place.
    if WATCHING.load(Ordering::Acquire) {
        return;
    }
    // SAFETY: the handler is a function that lives as long as the program (or,
    // in a shared library, as long as that library: libc drops the handler
    // when the library is unloaded), and it touches one atomic only.
    let status = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    // A failure (no memory) leaves fork unnoticed; the next hub tries again.
    WATCHING.store(status == 0, Ordering::Release);
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
pub(crate) fn watch() {}

/// A plain atomic even in the model checker's build: models do not fork.
static GENERATION: AtomicU32 = AtomicU32::new(0);
