//! A destination that takes connections and never answers.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use throughline::Pipeline;
use throughline::core::SpanId;
use throughline::export::Protocol;
use throughline::span;
use throughline::testing::{Fault, Oracle, Response, TcpProxy};
use throughline_tests::support::{inv, load};

use crate::http2;
use crate::support::{LONG, Row, SLACK, receiver, time, to, within};

const ATTEMPT: Duration = Duration::from_millis(500);
const TOTAL: Duration = Duration::from_millis(2000);

/// How many spans are exported in vain.
const SPANS: u64 = 100;
/// What one of them holds: more than may be sent over HTTP/2 before the other side asks for it.
const LARGE: usize = 100_000;

#[test]
fn row_03_a_black_hole_costs_no_more_than_the_deadlines() {
    let row = Row::alone(
        3,
        "accepts, never answers (listener that never reads, stalled proxy, silent server)",
        "attempt <= timeout + 10 %, export <= deadline + 10 %, shutdown <= deadline + 100 ms, INV",
    );
    let holes = [Hole::Kernel, Hole::Proxy, Hole::Server];
    row.holds(measure(Protocol::HttpProtobuf, &holes));
}

#[test]
fn row_03_a_black_hole_over_grpc_costs_no_more_than_the_deadlines() {
    let row = Row::alone(
        3,
        "over gRPC: accepts, never answers (the same, and a server that never opens its window)",
        "attempt <= timeout + 10 %, export <= deadline + 10 %, shutdown <= deadline + 100 ms, INV",
    );
    let holes = [Hole::Kernel, Hole::Proxy, Hole::Server, Hole::Window];
    row.holds(measure(Protocol::Grpc, &holes));
}

fn measure(protocol: Protocol, holes: &[Hole]) -> String {
    let attempt = within(ATTEMPT.mul_f64(1.1), "an attempt", || {
        longest_attempt(protocol)
    });
    let (mut export, mut shutdown) = (Duration::ZERO, Duration::ZERO);
    for &hole in holes {
        export = export.max(within(TOTAL.mul_f64(1.1), "an export", || {
            failed_export(protocol, hole)
        }));
        shutdown = shutdown.max(within(ATTEMPT / 2 + SLACK, "a shutdown", || {
            cut_off_shutdown(protocol, hole)
        }));
    }
    format!(
        "attempt {attempt:.2?} of {ATTEMPT:?}, export {export:.2?} of {TOTAL:?}, \
         shutdown {shutdown:.2?} of {:?}, INV exact",
        ATTEMPT / 2
    )
}

#[derive(Clone, Copy)]
enum Hole {
    /// The kernel accepts the connections, and nobody takes them.
    Kernel,
    Proxy,
    Server,
    /// HTTP/2 is spoken, but nothing is asked for beyond what may be sent unasked.
    Window,
}

/// Runs a test against a hole and checks the account at its end.
fn against(protocol: Protocol, hole: Hole, test: impl FnOnce(&Pipeline)) {
    let receiver = receiver();
    receiver.respond_by(|_| Some(Response::stall()));
    let kernel = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let proxy = TcpProxy::start(receiver.addr()).expect("a proxy starts");
    proxy.set(Fault::Stall);
    let window = Silent::start(http2::settings());
    let endpoint = match hole {
        Hole::Kernel => format!("http://{}", kernel.local_addr().expect("an address")),
        Hole::Proxy => proxy.endpoint(),
        Hole::Server => receiver.endpoint(),
        Hole::Window => window.endpoint.clone(),
    };
    let pipeline = impatient(protocol, &endpoint);
    let oracle = Oracle::new();
    oracle.issue(load::record_in(&pipeline, SPANS - 1));
    oracle.issue([record_large(&pipeline)]);
    test(&pipeline);
    let stats = inv::settle(&pipeline, LONG).expect("nothing waits for ever");
    let verdict = inv::hold(&oracle, &receiver, &stats);
    assert_eq!((stats.exported, verdict.accepted), (0, 0));
    if let Hole::Window = hole {
        let first = window.ended.recv_timeout(LONG).expect("it was tried");
        assert!(first.bytes < LARGE, "{} bytes went unasked", first.bytes);
    }
}

fn record_large(pipeline: &Pipeline) -> SpanId {
    let _here = pipeline.context().attach();
    let payload = "x".repeat(LARGE);
    load::id_of(&span!("large", payload = payload.as_str()))
}

fn impatient(protocol: Protocol, endpoint: &str) -> Pipeline {
    to(endpoint)
        .protocol(protocol)
        .timeout(ATTEMPT)
        .export_timeout(TOTAL)
        .start()
        .expect("a pipeline starts")
}

/// How long one batch is tried before it counts as failed.
fn failed_export(protocol: Protocol, hole: Hole) -> Duration {
    let mut took = Duration::ZERO;
    against(protocol, hole, |pipeline| {
        let (report, time) = time(|| pipeline.flush(LONG));
        assert_eq!(
            (report.failed, report.timed_out),
            (SPANS, false),
            "{report}"
        );
        assert_eq!(pipeline.stats().failed.get("timeout"), SPANS);
        took = time;
    });
    took
}

/// How long a shutdown takes that has half the time of an attempt.
fn cut_off_shutdown(protocol: Protocol, hole: Hole) -> Duration {
    let mut took = Duration::ZERO;
    against(protocol, hole, |pipeline| {
        let (report, time) = time(|| pipeline.shutdown(ATTEMPT / 2));
        assert!(!report.is_complete(), "{report}");
        took = time;
    });
    took
}

/// The longest time that a connection stays open while nothing is answered on it: attempts end by closing it.
fn longest_attempt(protocol: Protocol) -> Duration {
    let silent = Silent::start(Vec::new());
    let pipeline = impatient(protocol, &silent.endpoint);
    load::record_in(&pipeline, 10);
    let report = pipeline.flush(LONG);
    assert_eq!(report.failed, 10, "{report}");
    // The end of the last connection may be noticed after the flush is.
    let attempts = [(); 2].map(|()| {
        let ended = silent.ended.recv_timeout(LONG);
        ended.expect("it was tried again")
    });
    attempts
        .into_iter()
        .chain(silent.ended.try_iter())
        .map(|ended| ended.after)
        .fold(Duration::ZERO, Duration::max)
}

/// A server that reads everything and says no more than a greeting.
struct Silent {
    endpoint: String,
    /// The connections that the other side has closed.
    ended: mpsc::Receiver<Ended>,
}

struct Ended {
    after: Duration,
    /// How much was read from it.
    bytes: usize,
}

impl Silent {
    fn start(greeting: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let (told, ended) = mpsc::channel();
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (mut connection, accepted, told) = (connection, Instant::now(), told.clone());
                let greeting = greeting.clone();
                thread::spawn(move || {
                    // Fails when nobody is there any more, which the reading tells.
                    let _ = connection.write_all(&greeting);
                    let (mut piece, mut bytes) = ([0; 4096], 0);
                    while let Ok(read @ 1..) = connection.read(&mut piece) {
                        bytes += read;
                    }
                    let after = accepted.elapsed();
                    let _ = told.send(Ended { after, bytes });
                });
            }
        });
        Self { endpoint, ended }
    }
}
