//! The context survives every hop: one test a hop, each with its whole tree.

mod automatic; // bare spawns on a runtime of our builder
mod misuse; // guards, threads, runtimes and unwinding that do what they should not
mod rayon_jobs; // jobs and parallel iterators
mod runtimes; // what several modules share: the same work on every kind of runtime
mod streams; // combinators of futures, and spans for the items of streams and sinks
mod tasks; // spawning
mod threads; // threads of the standard library
