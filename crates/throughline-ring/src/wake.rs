//! Owns the agreement by which a sleeping consumer is woken once when there is
//! reason to. Knows nothing of what is consumed.
//!
//! Rules:
//! 1. A writer that took memory (or got none) publishes what it has to say,
//!    then calls `announce`.
//! 2. The consumer calls `begin` before it reads, and `sleep` when it found
//!    nothing more to do; it may sleep only if that returned `true`.
//! 3. So either `sleep` sees what was announced, or the announcer sees the
//!    sleeper: both make their mark, then a sequentially consistent fence, then
//!    look at the other's mark. Of several announcers, the one that makes the
//!    sum large enough sees that it does.
//! 4. `wanted` is changed by exchanges only, never by plain stores, so that the
//!    changes of both sides stand in one chain, each aware of the one before.

use std::ptr;

use crate::sync::{AtomicPtr, AtomicUsize, Ordering, fence};

/// What the consumer leaves behind to be called.
pub(crate) type Waker = Box<dyn Fn() + Send + Sync>;

/// The state of the agreement.
pub(crate) struct Wake {
    /// How many bytes since the last `begin` wake the consumer; zero while it is
    /// awake.
    wanted: AtomicUsize,
    /// How many bytes writers announced; wraps.
    announced: AtomicUsize,
    /// The value of `announced` at the last `begin`.
    begun: AtomicUsize,
    /// The newest waker; older ones hang on it, since a writer may be calling
    /// one of them. All are freed with this value.
    waker: AtomicPtr<Node>,
}

struct Node {
    call: Waker,
    older: *mut Self,
}

impl Wake {
    pub(crate) fn new() -> Self {
        Self {
            wanted: AtomicUsize::new(0),
            announced: AtomicUsize::new(0),
            begun: AtomicUsize::new(0),
            waker: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Replaces the waker.
    pub(crate) fn set_waker(&self, call: Waker) {
        let node = Box::into_raw(Box::new(Node {
            call,
            older: ptr::null_mut(),
        }));
        // Relaxed: the exchange below is what publishes.
        let mut newest = self.waker.load(Ordering::Relaxed);
        loop {
            // SAFETY: the node is not shared before the exchange succeeds.
            unsafe { (*node).older = newest };
            // Release pairs with the acquire in `announce`; acquire takes over
            // the older node for whoever drops the list.
            match self
                .waker
                .compare_exchange(newest, node, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(other) => newest = other,
            }
        }
    }

    /// A writer took so much memory, or got [`NONE_LEFT`]. Calls the waker if the
    /// consumer sleeps until then, and nobody else has called it since it went to
    /// sleep.
    pub(crate) fn announce(&self, bytes: usize) {
        // Release pairs with the acquire in `begin`: a consumer that counts
        // this announcement also sees what was published before it.
        let before = self.announced.fetch_add(bytes, Ordering::Release);
        // Pairs with the fence in `sleep`, rule 3.
        fence(Ordering::SeqCst);
        // Relaxed: ordered by the fences.
        let wanted = self.wanted.load(Ordering::Relaxed);
        if wanted == 0 {
            return;
        }
        // Relaxed: an older value, or one from after our announcement, makes the
        // difference larger, and to wake the consumer too early is harmless.
        let begun = self.begun.load(Ordering::Relaxed);
        let since = before.wrapping_add(bytes).wrapping_sub(begun);
        // Relaxed: the exchange picks one caller.
        if since < wanted || self.wanted.swap(0, Ordering::Relaxed) == 0 {
            return;
        }
        // Acquire pairs with the release in `set_waker`.
        let node = self.waker.load(Ordering::Acquire);
        // SAFETY: null or a node, and nodes live as long as `self`.
        if let Some(node) = unsafe { node.as_ref() } {
            (node.call)();
        }
    }

    /// The consumer is awake and about to read.
    pub(crate) fn begin(&self) {
        // Relaxed: a writer that still sees the old value calls the waker of a
        // consumer that is awake, which is harmless.
        self.wanted.swap(0, Ordering::Relaxed);
        // Acquire pairs with the release in `announce`.
        let announced = self.announced.load(Ordering::Acquire);
        // Relaxed: see `announce`.
        self.begun.store(announced, Ordering::Relaxed);
    }

    /// The consumer wants to sleep until writers have taken so much memory since
    /// `begin`, or get none. `false`: it must not, that is so already.
    pub(crate) fn sleep(&self, bytes: usize) -> bool {
        let wanted = bytes.clamp(1, NONE_LEFT / 2);
        // Relaxed: ordered by the fence.
        self.wanted.swap(wanted, Ordering::Relaxed);
        // Pairs with the fence in `announce`, rule 3.
        fence(Ordering::SeqCst);
        // Relaxed: ordered by the fence, and `begun` is the consumer's own.
        let announced = self.announced.load(Ordering::Relaxed);
        if announced.wrapping_sub(self.begun.load(Ordering::Relaxed)) < wanted {
            return true;
        }
        // Relaxed: as in `begin`.
        self.wanted.swap(0, Ordering::Relaxed);
        false
    }
}

/// More than anybody can take: announced any number of times, it wakes whoever
/// sleeps.
pub(crate) const NONE_LEFT: usize = usize::MAX / 4;

impl Drop for Wake {
    fn drop(&mut self) {
        // Relaxed: nobody else has the value any more.
        let mut node = self.waker.load(Ordering::Relaxed);
        while !node.is_null() {
            // SAFETY: made by `Box::into_raw` in `set_waker`, and freed once,
            // since the list has no cycles and is dropped once.
            let owned = unsafe { Box::from_raw(node) };
            node = owned.older;
        }
    }
}
