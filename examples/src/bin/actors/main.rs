//! Actors: one story of a bank, told once with actors on plain Tokio and once with actors of kameo. The traces are the
//! same.
//!
//! ```text
//! transfer                      a chapter of the story
//! └─ Teller Transfer            an ask
//!    ├─ Checker Check           asks of eight actors at the same time
//!    ├─ …
//!    ├─ Account Withdraw        an ask
//!    └─ Account Deposit         a tell
//! Teller Settle                 → Teller Transfer: a timer
//! audit
//! ├─ Auditor Audit              it panics
//! └─ Auditor Audit              it waited in the mailbox meanwhile
//! Auditor panic                 → Auditor Audit
//! Auditor stop                  → Auditor Audit
//! Auditor restart               → Auditor Audit
//! look up                       an ask that is given up when its time is over
//! ├─ Archive GetTape            a tell, which keeps the archive busy
//! └─ Archive LookUp             nobody waits for the answer any more: abandoned
//! print
//! ├─ Printer Print              cancelled, since the printer is stopped
//! └─ Printer Print              left in the mailbox: undelivered
//! Printer stop                  → Printer start
//! ```
//!
//! `cargo run --release --bin actors` tells both, draws their traces, and compares them. What a reader may look at first
//! is `story`, then what the two forms of the bank have to write for it: `on_tokio` and `on_kameo`.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is the output of the program"
)]

mod bank;
mod on_kameo;
mod on_tokio;
mod story;

use std::process::ExitCode;

use throughline::testing::{Capture, TreeOptions};

use crate::bank::{Bank, Failure};
use crate::on_kameo::KameoBank;
use crate::on_tokio::TokioBank;

fn main() -> ExitCode {
    let capture = Capture::global();
    let told =
        tell::<TokioBank>(&capture).and_then(|tokio| Ok((tokio, tell::<KameoBank>(&capture)?)));
    let (tokio, kameo) = match told {
        Ok(both) => both,
        Err(error) => {
            eprintln!("actors: {error}");
            return ExitCode::from(2);
        }
    };
    println!("On plain Tokio:\n\n{}\n", tokio.join("\n\n"));
    println!("On kameo:\n\n{}\n", kameo.join("\n\n"));
    let [tokio, kameo] = [tokio, kameo].map(in_the_same_words);
    if tokio == kameo {
        println!("The {} traces are the same.", tokio.len());
        return ExitCode::SUCCESS;
    }
    for (here, there) in [(&tokio, &kameo), (&kameo, &tokio)] {
        for trace in here.iter().filter(|trace| !there.contains(trace)) {
            eprintln!("only in one of them:\n{trace}\n");
        }
    }
    ExitCode::FAILURE
}

/// The traces of the story, drawn one by one.
fn tell<B: Bank>(capture: &Capture) -> Result<Vec<String>, Failure> {
    let before = capture.traces().len();
    // On one thread, so that what happens side by side happens in the same order each time.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(story::tell::<B>())?;
    // What a task has not ended by now it ends here.
    drop(runtime);
    let shown = ["trace.relation*", "span.outcome", "actor.stop.reason"];
    let options = TreeOptions::new().sorted_by_name().hide("*");
    let options = shown.into_iter().fold(options, TreeOptions::show);
    // They are ordered by start, so that those of this story come last.
    let traces = capture.traces().split_off(before);
    Ok(traces
        .iter()
        .map(|trace| trace.tree_with(&options))
        .collect())
}

/// What differs is what each library says in its own words. The order is that of the text: actors start and stop side by
/// side.
fn in_the_same_words(mut traces: Vec<String>) -> Vec<String> {
    for trace in &mut traces {
        for (tokio, kameo) in WORDS {
            *trace = trace.replace(tokio, kameo);
        }
    }
    traces.sort();
    traces
}

const WORDS: [(&str, &str); 2] = [
    ("the actor panicked: ", "message handler panicked: "),
    // What is left in a channel was seen by nobody who knows whose mailbox it is.
    ("process printer", "Printer Print"),
];
