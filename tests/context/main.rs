//! The context at every hop, in one binary: each test captures its own spans, so all of them run in parallel.

mod channels; // channels and the handlers of their messages
mod relations; // children, links and roots: how handlers relate to senders
