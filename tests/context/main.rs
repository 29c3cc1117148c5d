//! The context survives every hop: one test a hop, each with its whole tree.

mod automatic; // bare spawns on a runtime of our builder
mod channels; // channels and the handlers of their messages
mod misuse; // guards, threads, runtimes and unwinding that do what they should not
mod opentelemetry; // the bridges to the OpenTelemetry API and SDK
mod opentelemetry_sdk; // its SDK at either end of the pipeline
mod propagation; // headers between processes
mod rayon_jobs; // jobs and parallel iterators
mod relations; // children, links and roots: how handlers relate to senders
mod requests; // the layer that makes a span of each request to a server
mod runtimes; // what several modules share: the same work on every kind of runtime
mod streams; // combinators of futures, and spans for the items of streams and sinks
mod tasks; // spawning
mod threads; // threads of the standard library
