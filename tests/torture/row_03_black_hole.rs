//! A destination that takes connections and never answers.

use std::io::Read;
use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use throughline::testing::{Fault, Oracle, Response, TcpProxy};
use throughline_tests::support::{inv, load};

use crate::support::{LONG, Row, SLACK, receiver, time, to, within};

const ATTEMPT: Duration = Duration::from_millis(500);
const TOTAL: Duration = Duration::from_millis(2000);

#[test]
fn row_03_a_black_hole_costs_no_more_than_the_deadlines() {
    let row = Row::alone(
        3,
        "accepts, never answers (listener that never reads, stalled proxy, silent server)",
        "attempt <= timeout + 10 %, export <= deadline + 10 %, shutdown <= deadline + 100 ms, INV",
    );
    let attempt = within(ATTEMPT.mul_f64(1.1), "an attempt", longest_attempt);
    let (mut export, mut shutdown) = (Duration::ZERO, Duration::ZERO);
    for hole in [Hole::Kernel, Hole::Proxy, Hole::Server] {
        export = export.max(within(TOTAL.mul_f64(1.1), "an export", || {
            failed_export(hole)
        }));
        shutdown = shutdown.max(within(ATTEMPT / 2 + SLACK, "a shutdown", || {
            cut_off_shutdown(hole)
        }));
    }
    row.holds(format!(
        "attempt {attempt:.2?} of {ATTEMPT:?}, export {export:.2?} of {TOTAL:?}, \
         shutdown {shutdown:.2?} of {:?}, INV exact",
        ATTEMPT / 2
    ));
}

#[derive(Clone, Copy)]
enum Hole {
    /// The kernel accepts the connections, and nobody takes them.
    Kernel,
    Proxy,
    Server,
}

/// Runs a test against a hole and checks the account at its end.
fn against(hole: Hole, test: impl FnOnce(&throughline::Pipeline)) {
    let receiver = receiver();
    receiver.respond_by(|_| Some(Response::stall()));
    let kernel = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let proxy = TcpProxy::start(receiver.addr()).expect("a proxy starts");
    proxy.set(Fault::Stall);
    let endpoint = match hole {
        Hole::Kernel => format!("http://{}", kernel.local_addr().expect("an address")),
        Hole::Proxy => proxy.endpoint(),
        Hole::Server => receiver.endpoint(),
    };
    let pipeline = to(&endpoint)
        .timeout(ATTEMPT)
        .export_timeout(TOTAL)
        .start()
        .expect("a pipeline starts");
    let oracle = Oracle::new();
    oracle.issue(load::record_in(&pipeline, 100));
    test(&pipeline);
    let stats = inv::settle(&pipeline, LONG).expect("nothing waits for ever");
    let verdict = inv::hold(&oracle, &receiver, &stats);
    assert_eq!((stats.exported, verdict.accepted), (0, 0));
}

/// How long one batch is tried before it counts as failed.
fn failed_export(hole: Hole) -> Duration {
    let mut took = Duration::ZERO;
    against(hole, |pipeline| {
        let (report, time) = time(|| pipeline.flush(LONG));
        assert_eq!((report.failed, report.timed_out), (100, false), "{report}");
        assert_eq!(pipeline.stats().failed.get("timeout"), 100);
        took = time;
    });
    took
}

/// How long a shutdown takes that has half the time of an attempt.
fn cut_off_shutdown(hole: Hole) -> Duration {
    let mut took = Duration::ZERO;
    against(hole, |pipeline| {
        let (report, time) = time(|| pipeline.shutdown(ATTEMPT / 2));
        assert!(!report.is_complete(), "{report}");
        took = time;
    });
    took
}

/// The longest time that a connection stays open while nothing is answered on it: attempts end by closing it.
fn longest_attempt() -> Duration {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let (told, heard) = mpsc::channel();
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let (mut connection, accepted, told) = (connection, Instant::now(), told.clone());
            thread::spawn(move || {
                // Ends when the other side closes.
                while connection.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {}
                let _ = told.send(accepted.elapsed());
            });
        }
    });
    let pipeline = to(&endpoint)
        .timeout(ATTEMPT)
        .export_timeout(TOTAL)
        .start()
        .expect("a pipeline starts");
    load::record_in(&pipeline, 10);
    let report = pipeline.flush(LONG);
    assert_eq!(report.failed, 10, "{report}");
    // The end of the last connection may be noticed after the flush is.
    let attempts = [(); 2].map(|()| heard.recv_timeout(LONG).expect("it was tried again"));
    attempts
        .into_iter()
        .chain(heard.try_iter())
        .fold(Duration::ZERO, Duration::max)
}
