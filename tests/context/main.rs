//! The context, in one binary.
