//! The process that a torture test does something to: it is told what to be by its first argument.
//!
//! It says the ids of the spans that it starts as `id <hex>`, and at its end what it counts.
#![expect(clippy::print_stdout, reason = "this is how the test hears of it")]

mod clock;
mod exit;
mod feedback;
mod fork;
mod fork_signals;
mod hook;
mod resources;

use std::env;
use std::io::Write;
use std::process::ExitCode;

use throughline::core::SpanId;
use throughline::export::PipelineStats;
use throughline_tests::support::{inv, runtimes};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["runtimes", runs] => run_cells(runs.parse().unwrap_or(1)),
        ["panic-hook"] => hook::run(),
        ["feedback"] => feedback::run(),
        ["clock"] => clock::run(),
        ["exit", way, spans] => exit::run(way, spans.parse().unwrap_or(1)),
        ["fork", open] => fork::run(open.parse().unwrap_or(0)),
        ["fork-signals", forks] => fork_signals::run(forks.parse().unwrap_or(1)),
        ["start"] => resources::start(),
        ["cycles", count] => resources::cycles(count.parse().unwrap_or(1)),
        ["exhaust"] => resources::exhaust(),
        _ => {
            println!("unknown {arguments:?}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn run_cells(runs: u64) {
    for _ in 0..runs {
        for &cell in runtimes::CELLS {
            if let Err(wrong) = runtimes::run(cell) {
                panic!("{wrong}");
            }
        }
    }
}

/// Says which spans were started.
fn say_ids(ids: impl IntoIterator<Item = SpanId>) {
    let mut out = std::io::stdout().lock();
    for id in ids {
        // Nobody may be listening any more, which is no matter.
        let _ = writeln!(out, "id {:016x}", u64::from_be_bytes(id.to_bytes()));
    }
    let _ = out.flush();
}

fn say(word: &str, value: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(
        out,
        "{}",
        format_args!("{word} {value}").to_string().trim_end()
    );
    let _ = out.flush();
}

fn say_stats(stats: &PipelineStats) {
    let counts = inv::counts(stats);
    say("unaccounted", stats.unaccounted());
    say("started", counts.started);
    say("exported", counts.exported);
    say("lost", counts.lost + stats.queued + stats.in_flight);
}
