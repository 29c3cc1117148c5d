//! Tokio tasks and threads that keep their Throughline context
