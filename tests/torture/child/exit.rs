//! Records, and leaves in the way it is told.

use std::process;
use std::time::Duration;

use throughline::Pipeline;
use throughline_tests::support::load;

use crate::{say, say_ids};

const GRACE: Duration = Duration::from_secs(5);

pub(crate) fn run(way: &str, spans: u64) {
    let pipeline = Pipeline::builder()
        .env()
        .schedule_delay(Duration::from_secs(3600))
        .start_global()
        .expect("a pipeline starts");
    if way == "handler" {
        pipeline
            .shutdown_on_signals(GRACE)
            .expect("signals can be waited for");
    }
    say_ids(load::record(spans));
    say("recorded", "");
    match way {
        "return" => {}
        "forget" => std::mem::forget(pipeline),
        "exit" => process::exit(0),
        "abort" => process::abort(),
        "flush-and-exit" => {
            let report = pipeline.flush(GRACE);
            process::exit(i32::from(!report.is_complete()));
        }
        "panic" => panic!("the pipeline is dropped on the way out"),
        _ => loop {
            std::thread::sleep(GRACE);
        },
    }
}
