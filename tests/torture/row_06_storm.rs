//! Exporters that were cut off together do not come back together.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use throughline::testing::{Oracle, Response};
use throughline_tests::support::load;

use crate::support::{LONG, Row, receiver, size, to};

const BIN: Duration = Duration::from_millis(100);

#[test]
fn row_06_a_retry_storm_is_spread() {
    let row = Row::start(
        6,
        "exporters cut off at the same instant, each with threads and connections of its own",
        "no 100 ms hold > 5 % of the second and later attempts; jitter still there at the cap",
    );
    let exporters = size(150, 150, 1000);
    let outage = Duration::from_secs(size(12, 12, 30));
    let receiver = receiver();
    receiver.keep_ids_only();
    receiver.respond_by(|_| Some(Response::new(503)));
    let oracle = Oracle::new();
    let pipelines: Vec<_> = (0..exporters)
        .map(|number| {
            to(&receiver.endpoint())
                .header("x-exporter", &number.to_string())
                .schedule_delay(Duration::from_millis(1))
                .export_timeout(LONG * 10)
                .start()
                .expect("a pipeline starts")
        })
        .collect();
    let cut = Instant::now();
    for pipeline in &pipelines {
        oracle.issue(load::record_in(pipeline, 1));
    }
    while cut.elapsed() < outage {
        std::thread::sleep(BIN);
    }
    let mut first = HashSet::new();
    let attempts: Vec<Duration> = receiver
        .requests()
        .iter()
        // The first attempt of each comes when it comes.
        .filter(|request| !first.insert(request.header("x-exporter").map(str::to_owned)))
        .map(|request| request.received_at.saturating_duration_since(cut))
        .collect();
    receiver.respond_well();
    let mut bins = BTreeMap::<u128, usize>::new();
    for at in &attempts {
        *bins.entry(at.as_millis() / BIN.as_millis()).or_default() += 1;
    }
    let fullest = bins.values().max().copied().unwrap_or(0) as f64 / attempts.len() as f64;
    assert!(
        fullest <= 0.05,
        "{fullest:.3} of {} attempts in one bin",
        attempts.len()
    );
    // The waits have reached their cap by now: the last stretch is as even as the first.
    let late = (outage.as_millis() - 5000) / BIN.as_millis();
    let late: Vec<usize> = bins.range(late..).map(|(_, count)| *count).collect();
    assert!(late.len() > 20, "attempts at the cap are spread: {late:?}");

    for pipeline in &pipelines {
        assert!(!pipeline.shutdown(LONG).timed_out);
    }
    let stats = pipelines.iter().map(throughline::Pipeline::stats);
    let (mut started, mut exported) = (0, 0);
    for stats in stats {
        assert_eq!(stats.unaccounted(), 0);
        started += stats.started;
        exported += stats.exported;
    }
    let counts = throughline::testing::SpanCounts {
        started,
        exported,
        lost: started - exported,
    };
    assert_eq!(oracle.compare(&receiver).check(counts), Ok(()));
    row.holds(format!(
        "{exporters} exporters, {} attempts in {outage:?}: fullest bin {:.1} %",
        attempts.len(),
        fullest * 100.0
    ));
}
