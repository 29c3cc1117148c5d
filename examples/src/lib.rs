//! Stories told with Throughline; each is a binary.
