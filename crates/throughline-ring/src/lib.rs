//! Per-thread single-writer record buffers and their hand-off to one consumer
