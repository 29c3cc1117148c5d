//! Throughline beside its peers, on the same spans, against a live receiver: see `--help`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    throughline_benches::run(std::env::args_os())
}
