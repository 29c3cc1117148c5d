//! Rayon jobs that keep their Throughline context.
//!
//! The functions have the names and signatures of Rayon's own; what runs on another thread of the pool has the context
//! that was current where the job was made. Parallel iterators get it from [`ParallelIteratorExt::with_current_context`],
//! put where the iterator starts: it covers all adapters after it, on whichever thread they run.
//!
//! ```
//! use rayon::prelude::*;
//! use throughline_rayon::ParallelIteratorExt;
//!
//! let (left, right) = throughline_rayon::join(|| 1, || 2);
//! let sum: i32 = (0..10).into_par_iter().with_current_context().map(|number| number * 2).sum();
//! assert_eq!((left + right, sum), (3, 90));
//! ```
#![forbid(unsafe_code)]

mod iter;
mod jobs;

pub use iter::ParallelIteratorExt;
pub use jobs::{Scope, ThreadPool, join, scope, spawn};
