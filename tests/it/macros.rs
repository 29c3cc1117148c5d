//! What the attribute macros record.

mod arguments; // each argument of `#[traced]`
mod pedantic; // expansions under all of clippy
mod places; // impl blocks, traits, modules, async-trait, functions that return futures
mod tests_with_captures; // `#[throughline::test]`
