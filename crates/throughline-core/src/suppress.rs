//! Threads that must not be observed: the pipeline's own.

use std::marker::PhantomData;

use crate::{local, switch};

/// Stops recording on this thread until the guard is dropped. Nests.
pub fn suppress() -> SuppressGuard {
    let active = local::with(|local| local.suppress()).is_some();
    SuppressGuard {
        active,
        not_send: PhantomData,
    }
}

/// Whether this thread is inside [`suppress`].
pub fn is_suppressed() -> bool {
    local::with(|local| local.is_suppressed()).unwrap_or(false) || switch::is_suppressed()
}

/// Ends the suppression when dropped.
#[derive(Debug)]
#[must_use = "recording is suppressed only while the guard lives"]
pub struct SuppressGuard {
    active: bool,
    not_send: PhantomData<*const ()>,
}

impl Drop for SuppressGuard {
    fn drop(&mut self) {
        if self.active {
            local::with(|local| local.unsuppress());
        }
    }
}
