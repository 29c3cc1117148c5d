//! Shuts down in the panic hook, on the thread that panics, inside a runtime.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::Duration;

use throughline::{Pipeline, span};
use throughline_tests::support::load;
use tokio::runtime::Builder;

use crate::{say_ids, say_stats};

pub(crate) fn run() {
    let pipeline = Arc::new(
        Pipeline::builder()
            .env()
            .start_global()
            .expect("a pipeline starts"),
    );
    let hooked = Arc::clone(&pipeline);
    panic::set_hook(Box::new(move |_| {
        let report = hooked.shutdown(Duration::from_secs(5));
        // A failure here is a panic in a panic, and an abort that the test sees.
        assert!(report.is_complete(), "{report}");
    }));
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let unwound = panic::catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            say_ids(load::record(100));
            span!("ended before the panic").in_scope(load_one);
            panic!("the hook shuts down");
        })
    }));
    assert!(unwound.is_err());
    say_stats(&pipeline.stats());
}

fn load_one() {
    let current = throughline::Context::current();
    say_ids([current.span_context().span_id()]);
}
