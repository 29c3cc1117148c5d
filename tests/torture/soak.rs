//! Minutes or hours under random faults.

fn main() {}
