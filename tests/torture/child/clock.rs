//! Records over a while, through a retry that waits, under whatever clock it has.

use std::time::Duration;

use throughline::{Pipeline, span};
use throughline_tests::support::load;

use crate::{say, say_ids, say_stats};

pub(crate) fn run() {
    let pipeline = Pipeline::builder()
        .env()
        .schedule_delay(Duration::from_millis(10))
        .start_global()
        .expect("a pipeline starts");
    for _ in 0..30 {
        let outer = span!("outer");
        let id = load::id_of(&outer);
        outer.in_scope(|| {
            say_ids(load::record(10));
            std::thread::sleep(Duration::from_millis(2));
        });
        say_ids([id]);
    }
    let report = pipeline.shutdown(Duration::from_secs(30));
    say("complete", u8::from(report.is_complete()));
    say_stats(&pipeline.stats());
}
