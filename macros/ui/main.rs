//! What the macros accept and what they say about mistakes. The files are named after what the user did; messages are
//! those of the pinned toolchain.

use trybuild::TestCases;

#[test]
fn macros() {
    let cases = TestCases::new();
    cases.pass("ui/pass/*.rs");
    cases.compile_fail("ui/fail/*.rs");
}
