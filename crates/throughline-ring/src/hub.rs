//! Owns the public face of the consumer's side, and the replacement of a hub's
//! state in a forked child. Knows nothing of lanes or chunks.
//!
//! Rules:
//! 1. `inner` holds one count of an `Arc` and is replaced in a forked child
//!    only. The replaced value is never freed or looked into, since a thread
//!    that did not survive the fork may have left it half-changed or locked.
//! 2. So whatever `inner()` returns stays valid for as long as the hub.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc as HubArc;

use crate::config::{HubConfig, TALLIES};
use crate::fork::{self, fork_generation};
use crate::inner::Inner;
use crate::sync::{Arc, AtomicPtr, Ordering};
use crate::writer::Writer;

/// A bounded store of records between many writers and one consumer.
///
/// Make one per pipeline. When the last `Arc` is dropped, records nobody has
/// drained are dropped with it; writers that are left over run into
/// [`Full`](crate::Full) at the end of their chunk, and the last of them frees
/// the rest.
pub struct Hub {
    inner: AtomicPtr<Inner>,
    config: HubConfig,
}

/// What one [`Hub::drain`] delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Records offered to the callback.
    pub records: usize,
    /// Sum of their lengths in bytes.
    pub bytes: usize,
}

impl Hub {
    /// Makes an empty hub. Allocates no record memory yet. The first hub of a
    /// process also makes forks noticeable, see
    /// [`fork_generation`].
    pub fn new(config: HubConfig) -> HubArc<Self> {
        fork::watch();
        let inner = Arc::into_raw(Arc::new(Inner::new(&config)));
        HubArc::new(Self {
            inner: AtomicPtr::new(inner.cast_mut()),
            config,
        })
    }

    /// Registers a writer, usually one per thread. Takes no record memory
    /// before the first push. Never blocks; costs one small allocation, or
    /// none when an earlier writer is gone.
    pub fn writer(self: &HubArc<Self>) -> Writer {
        Writer::new(HubArc::downgrade(self))
    }

    /// Offers each record that was published before the call began to `f`:
    /// writer by writer, and in the order written within one writer. Records
    /// published meanwhile may be among them. `f` stops the drain after the
    /// current record by returning `Break`; the next drain then begins with
    /// another writer.
    ///
    /// Each record is offered once, also if `f` panics. Memory that was read is
    /// free for reuse when the call returns, except the chunk each living
    /// writer is at.
    ///
    /// Waits while another thread drains the same hub. Called from its own
    /// callback, it returns at once with nothing. In a forked child that the
    /// callback itself made, it stops after that callback.
    pub fn drain(&self, f: impl FnMut(&[u8]) -> ControlFlow<()>) -> Drained {
        self.inner().drain(f)
    }

    /// Sum of one counter over all writers, gone ones included; 0 for an index
    /// from [`TALLIES`] on. Exact when no writer is counting, never too large
    /// otherwise. Takes no lock; one load per writer.
    pub fn tally(&self, index: usize) -> u64 {
        self.tallies().get(index).copied().unwrap_or(0)
    }

    /// All counters at once, as [`tally`](Self::tally) does.
    pub fn tallies(&self) -> [u64; TALLIES] {
        self.inner().tallies()
    }

    /// Sets what wakes the consumer. A writer calls it, on its own thread and
    /// from within [`Writer::push`]: it must be quick and must not panic. It
    /// should not own this hub, which would then never be dropped.
    ///
    /// Replaces an earlier waker, which is kept (a writer may be in it) until
    /// the hub is gone, so set it rarely. A forked child starts without one.
    pub fn set_waker(&self, waker: Box<dyn Fn() + Send + Sync>) {
        self.inner().wake.set_waker(waker);
    }

    /// Declares that the consumer is about to sleep until the writers have taken
    /// so much memory since the last drain began, or get none: whoever brings
    /// that about calls the waker, once. Memory is taken by the chunk; with `0`
    /// the next chunk that is taken wakes. The next [`drain`](Self::drain) takes
    /// the declaration back.
    ///
    /// Returns `false`, and declares nothing, if they have taken as much already:
    /// drain again instead. Who sleeps with a timeout may ignore that.
    pub fn sleep(&self, bytes: usize) -> bool {
        self.inner().wake.sleep(bytes)
    }

    /// Bytes allocated for records at this moment, idle chunks included. Never
    /// above [`max_bytes`](Self::max_bytes).
    pub fn allocated_bytes(&self) -> usize {
        self.inner().pool.allocated_bytes()
    }

    /// The bound this hub was made with.
    pub fn max_bytes(&self) -> usize {
        self.config.max_bytes
    }

    /// Whether the hub was inherited from a parent process and not used since:
    /// its next use finds it empty.
    pub fn is_stale(&self) -> bool {
        // Acquire pairs with the release in `renew`.
        let current = self.inner.load(Ordering::Acquire);
        // SAFETY: rule 2.
        unsafe { &*current }.generation() != fork_generation()
    }

    /// An owning reference to the state of this process.
    pub(crate) fn share(&self) -> Arc<Inner> {
        let inner: *const Inner = self.inner();
        // SAFETY: came from `Arc::into_raw`, and the hub holds a count.
        unsafe { Arc::increment_strong_count(inner) };
        // SAFETY: takes over the count that was just added.
        unsafe { Arc::from_raw(inner) }
    }

    /// The state of this process.
    fn inner(&self) -> &Inner {
        // Acquire pairs with the release in `renew`.
        let current = self.inner.load(Ordering::Acquire);
        // SAFETY: rule 2.
        let inner = unsafe { &*current };
        if inner.generation() == fork_generation() {
            inner
        } else {
            self.renew(current)
        }
    }

    /// Replaces the state inherited from the parent process; rule 1.
    #[cold]
    fn renew(&self, inherited: *mut Inner) -> &Inner {
        let fresh = Arc::into_raw(Arc::new(Inner::new(&self.config))).cast_mut();
        // Release pairs with the acquire loads of `inner`; acquire, on failure,
        // with the release of the thread that was faster.
        let exchanged =
            self.inner
                .compare_exchange(inherited, fresh, Ordering::AcqRel, Ordering::Acquire);
        let current = match exchanged {
            Ok(_) => fresh,
            Err(current) => {
                // SAFETY: made above, and shared with nobody.
                drop(unsafe { Arc::from_raw(fresh) });
                current
            }
        };
        // SAFETY: rule 2.
        unsafe { &*current }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        if self.is_stale() {
            return; // Rule 1.
        }
        // Acquire as in `inner`.
        let inner = self.inner.load(Ordering::Acquire);
        // SAFETY: takes over the count the hub holds; nobody uses the hub.
        let inner = unsafe { Arc::from_raw(inner.cast_const()) };
        inner.abandon();
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("config", &self.config)
            .field("stale", &self.is_stale())
            .finish_non_exhaustive()
    }
}
