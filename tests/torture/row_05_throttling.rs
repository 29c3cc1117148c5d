//! What a server may ask for in `Retry-After`, and what it gets.

use std::thread;
use std::time::{Duration, SystemTime};

use throughline::export::Protocol;
use throughline::testing::{Oracle, Response};
use throughline_tests::support::{inv, load};

use crate::support::{LONG, Row, SLACK, receiver, time, to, within};

/// The bound of the first wait that nobody asked for.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
/// The deadline of a batch.
const TOTAL: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug)]
enum Wait {
    /// Within these seconds, and a tenth more.
    Asked(u64, u64),
    /// As if nothing had been asked.
    Usual,
    /// Longer than the batch has: it is given up.
    TooLong,
}

#[test]
fn row_05_throttling_is_honoured_within_the_deadline() {
    let row = Row::start(
        5,
        "Retry-After: 0, 1, 120, dates, negative, float, 10^30, garbage, twice; RetryInfo: 0, ns, 1 s, huge",
        "wait >= requested and <= requested + 10 %; garbage: usual backoff; never past the deadline; \
         a shutdown interrupts within 100 ms",
    );
    let date = |offset: i64| {
        let now = now();
        let then = match offset {
            0.. => now + Duration::from_secs(offset.unsigned_abs()),
            _ => now - Duration::from_secs(offset.unsigned_abs()),
        };
        httpdate::fmt_http_date(then)
    };
    let huge = format!("1{}", "0".repeat(30));
    let calls = [
        (Duration::ZERO, Wait::Usual),
        (Duration::from_nanos(1), Wait::Usual),
        (Duration::from_secs(1), Wait::Asked(1, 1)),
        (Duration::from_secs(120), Wait::TooLong),
        (Duration::MAX, Wait::TooLong),
    ];
    let cells: Vec<(Vec<String>, Wait)> = vec![
        (vec!["0".into()], Wait::Usual),
        (vec!["1".into()], Wait::Asked(1, 1)),
        (vec!["2".into()], Wait::Asked(2, 2)),
        (vec!["1".into(), "2".into()], Wait::Asked(2, 2)),
        // Dates have whole seconds.
        (vec![date(3)], Wait::Asked(1, 3)),
        (vec![date(-3600)], Wait::Usual),
        (vec!["-1".into()], Wait::Usual),
        (vec!["1.5".into()], Wait::Usual),
        (vec!["soon".into()], Wait::Usual),
        (vec![String::new()], Wait::Usual),
        (vec!["120".into()], Wait::TooLong),
        (vec![huge], Wait::TooLong),
        (vec![date(86_400)], Wait::TooLong),
    ];
    let checked = thread::scope(|scope| {
        let cells: Vec<_> = cells
            .iter()
            .map(|(values, wait)| {
                scope.spawn(move || {
                    let busy = values.iter().fold(Response::new(503), |busy, value| {
                        busy.header("retry-after", value)
                    });
                    throttled(Protocol::HttpProtobuf, busy, *wait);
                })
            })
            .collect();
        let calls: Vec<_> = calls
            .map(|(delay, wait)| {
                let busy = Response::grpc(14, "busy").retry_info(delay);
                scope.spawn(move || throttled(Protocol::Grpc, busy, wait))
            })
            .into();
        let cells = cells
            .into_iter()
            .chain(calls)
            .map(|cell| cell.join().expect("the wait is right"));
        cells.count()
    });
    let shutdown = within(SLACK, "a shutdown during a throttle", interrupted);
    row.holds(format!(
        "{checked} of {checked} cells; shutdown during a wait of 120 s took {shutdown:.1?}"
    ));
}

#[expect(
    clippy::disallowed_methods,
    reason = "an HTTP date means wall-clock time"
)]
fn now() -> SystemTime {
    SystemTime::now()
}

fn throttled(protocol: Protocol, busy: Response, wait: Wait) {
    let values = format!("{busy:?}");
    let receiver = receiver();
    receiver.respond_with([busy]);
    let pipeline = to(&receiver.endpoint())
        .protocol(protocol)
        .export_timeout(TOTAL)
        .start()
        .expect("a pipeline starts");
    let oracle = Oracle::new();
    oracle.issue(load::record_in(&pipeline, 1));
    let (report, took) = time(|| pipeline.flush(LONG));
    assert!(took <= TOTAL.mul_f64(1.1), "{values} took {took:?}");
    let requests = receiver.requests();
    let gap = |index: usize| requests[index].received_at - requests[index - 1].received_at;
    let latest = |seconds: f64| Duration::from_secs_f64(seconds * 1.1) + SLACK * 4;
    match wait {
        Wait::TooLong => assert_eq!((requests.len(), report.failed), (1, 1), "{values}"),
        Wait::Usual => {
            assert_eq!((requests.len(), report.exported), (2, 1), "{values}");
            assert!(
                gap(1) <= latest(FIRST_BACKOFF.as_secs_f64()),
                "{values}: {:?}",
                gap(1)
            );
        }
        Wait::Asked(least, most) => {
            assert_eq!((requests.len(), report.exported), (2, 1), "{values}");
            assert!(
                gap(1) >= Duration::from_secs(least),
                "{values}: {:?}",
                gap(1)
            );
            assert!(gap(1) <= latest(most as f64), "{values}: {:?}", gap(1));
        }
    }
    inv::hold(&oracle, &receiver, &pipeline.stats());
}

/// How long a shutdown takes while the pipeline waits because it was asked to.
fn interrupted() -> Duration {
    let receiver = receiver();
    receiver.respond_by(|_| Some(Response::new(503).header("retry-after", "120")));
    let pipeline = to(&receiver.endpoint())
        .export_timeout(Duration::from_secs(600))
        .start()
        .expect("a pipeline starts");
    let oracle = Oracle::new();
    oracle.issue(load::record_in(&pipeline, 10));
    let early = pipeline.flush(Duration::from_millis(50));
    assert!(early.timed_out, "it waits: {early}");
    assert!(receiver.wait_for_requests(1, LONG));
    let (report, took) = time(|| pipeline.shutdown(Duration::from_secs(20)));
    assert_eq!(report.failed, 10, "{report}");
    inv::hold(&oracle, &receiver, &pipeline.stats());
    took
}
