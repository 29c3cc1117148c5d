//! Parallel iterators whose closures run in a context.

use rayon::iter::ParallelIterator;
use throughline_core::{Context, ContextGuard};

/// Carries the context into the closures of a parallel iterator.
pub trait ParallelIteratorExt: ParallelIterator {
    /// Makes the context that is current now current in every adapter after this one, on whatever threads they run.
    ///
    /// ```
    /// use rayon::prelude::*;
    /// use throughline_core::Context;
    /// use throughline_rayon::ParallelIteratorExt;
    ///
    /// let here = Context::current();
    /// let there = (0..100).into_par_iter().with_current_context();
    /// assert!(there.all(|_| Context::current() == here));
    /// ```
    fn with_current_context(self) -> impl ParallelIterator<Item = Self::Item> {
        let context = Context::current();
        // The guard lives as long as the thread works on its part of the items.
        self.map_init(
            move || context.attach(),
            |_guard: &mut ContextGuard, item| item,
        )
    }
}

impl<I: ParallelIterator> ParallelIteratorExt for I {}
