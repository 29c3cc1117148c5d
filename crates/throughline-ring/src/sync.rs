//! Owns the choice between the real concurrency primitives and the model
//! checker's. The rest of the crate names only these, so that `--cfg
//! throughline_loom` checks the very code that ships. Knows nothing of chunks
//! or lanes.

#[cfg(not(throughline_loom))]
mod real {
    pub(crate) use crossbeam_queue::{ArrayQueue, SegQueue};
    pub(crate) use std::alloc::{alloc, dealloc};
    pub(crate) use std::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence,
    };
    pub(crate) use std::sync::{Arc, Mutex};

    /// A number no other living thread has, never 0. Usable at any time in a
    /// thread's life, since the thread-local behind it has no destructor.
    pub(crate) fn thread_token() -> usize {
        thread_local!(static TOKEN: u8 = const { 0 });
        TOKEN.with(|token| std::ptr::from_ref(token).addr())
    }

    /// Stands where the model checker keeps its record of who touched which
    /// bytes; here it is nothing.
    pub(crate) struct Shadow;

    impl Shadow {
        pub(crate) fn new(_bytes: usize) -> Self {
            Self
        }

        #[inline(always)]
        pub(crate) fn write(&self, _from: usize, _to: usize) {}

        #[inline(always)]
        pub(crate) fn read(&self, _from: usize, _to: usize) {}
    }
}

#[cfg(throughline_loom)]
mod model {
    use std::collections::VecDeque;
    use std::hash::{DefaultHasher, Hash, Hasher};
    use std::sync::PoisonError;

    use loom::cell::UnsafeCell;

    pub(crate) use loom::alloc::{alloc, dealloc};
    pub(crate) use loom::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence,
    };
    pub(crate) use loom::sync::{Arc, Mutex};

    /// All threads of a model run on one thread of the system, so the address
    /// of a system thread-local would not tell them apart.
    pub(crate) fn thread_token() -> usize {
        let mut hasher = DefaultHasher::new();
        loom::thread::current().id().hash(&mut hasher);
        (hasher.finish() | 1) as usize
    }

    /// One tracked cell per four bytes of a chunk: a read that is not ordered
    /// after the write of the same bytes, or a write not ordered after an
    /// earlier read, fails the model.
    pub(crate) struct Shadow(Vec<UnsafeCell<()>>);

    impl Shadow {
        pub(crate) fn new(bytes: usize) -> Self {
            Self(
                (0..bytes.div_ceil(4))
                    .map(|_| UnsafeCell::new(()))
                    .collect(),
            )
        }

        pub(crate) fn write(&self, from: usize, to: usize) {
            for cell in &self.0[from / 4..to.div_ceil(4)] {
                cell.with_mut(|_| ());
            }
        }

        pub(crate) fn read(&self, from: usize, to: usize) {
            for cell in &self.0[from / 4..to.div_ceil(4)] {
                cell.with(|_| ());
            }
        }
    }

    /// The bounded queue's contract, in the simplest form a model can explore.
    pub(crate) struct ArrayQueue<T> {
        items: Mutex<VecDeque<T>>,
        capacity: usize,
    }

    impl<T> ArrayQueue<T> {
        pub(crate) fn new(capacity: usize) -> Self {
            Self {
                items: Mutex::new(VecDeque::new()),
                capacity,
            }
        }

        pub(crate) fn push(&self, item: T) -> Result<(), T> {
            let mut items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
            if items.len() == self.capacity {
                return Err(item);
            }
            items.push_back(item);
            Ok(())
        }

        pub(crate) fn pop(&self) -> Option<T> {
            let mut items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
            items.pop_front()
        }
    }

    /// The unbounded queue's contract, likewise.
    pub(crate) struct SegQueue<T>(Mutex<VecDeque<T>>);

    impl<T> SegQueue<T> {
        pub(crate) fn new() -> Self {
            Self(Mutex::new(VecDeque::new()))
        }

        pub(crate) fn push(&self, item: T) {
            let mut items = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            items.push_back(item);
        }

        pub(crate) fn pop(&self) -> Option<T> {
            let mut items = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            items.pop_front()
        }
    }
}

#[cfg(throughline_loom)]
pub(crate) use model::*;
#[cfg(not(throughline_loom))]
pub(crate) use real::*;
