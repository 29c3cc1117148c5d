//! Answers that are meant to fill memory or to take for ever.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use throughline::export::Protocol;
use throughline::testing::{Oracle, OtlpReceiver, Response, TcpProxy};
use throughline_tests::support::{inv, load};

use crate::MEMORY;
use crate::http2;
use crate::support::{LONG, Row, receiver, size, time, to};

/// The largest answer that is read, and what the matrix adds to it.
const HEAP_LIMIT: usize = (4 << 20) + (1 << 20);
const ATTEMPT: Duration = Duration::from_secs(1);

#[test]
fn row_08_a_response_bomb_costs_5_mib_at_most() {
    let row = Row::alone(
        8,
        "body of 32 MiB, gzip 1000:1, endless body, endless headers, slow loris, no HTTP",
        "extra heap <= 5 MiB; not retried; connection closed; <= timeout",
    );
    let mut bombs = Vec::new();
    for status in [200, 400, 503] {
        bombs.extend([
            Bomb::unread("32 MiB", large(Response::new(status))),
            Bomb::read("gzip", Response::gzip_bomb(status, inflated())),
            Bomb::unread("endless", endless(Response::new(status))),
            Bomb::unread("headers", Response::endless_headers(status)),
            Bomb::unread("slow", slow(Response::new(status))),
        ]);
    }
    bombs.push(Bomb::unread("garbage", Response::garbage(GARBAGE)));
    row.holds(explode(Protocol::HttpProtobuf, bombs));
}

#[test]
fn row_08_a_response_bomb_over_grpc_costs_5_mib_at_most() {
    let row = Row::alone(
        8,
        "over gRPC: message of 32 MiB, gzip 1000:1, endless message, endless headers, status of 1 MiB, slow loris, \
         HTTP 503 of 32 MiB, message that is none, no HTTP/2",
        "extra heap <= 5 MiB; not retried; connection closed; <= timeout",
    );
    let mut bombs = Vec::new();
    // Accepted, refused, and to be sent again if it were not for the bomb.
    for code in [0, 3, 14] {
        let answer = || Response::grpc(code, "");
        let words = "word ".repeat(200_000);
        bombs.extend([
            Bomb::unread("32 MiB", large(answer())),
            Bomb::unread("endless", endless(answer())),
            Bomb::unread("words", Response::grpc(code, &words)),
            Bomb::unread("slow", slow(answer())),
        ]);
    }
    bombs.extend([
        // What is packed is not looked at, since nobody asked for that.
        Bomb::read("gzip", Response::gzip_bomb(200, inflated())),
        Bomb::read("gzip", Response::gzip_bomb(503, inflated())),
        Bomb::unread("headers", Response::endless_headers(200)),
        Bomb::unread("headers", Response::endless_headers(503)),
        Bomb::unread("a proxy's words", large(Response::new(503))),
        Bomb::unread("garbage", Response::garbage(GARBAGE)),
        Bomb::read("no message", Response::ok().body(GARBAGE)),
    ]);
    row.holds(explode(Protocol::Grpc, bombs));
}

struct Bomb {
    name: &'static str,
    answer: Response,
    /// Whether it is read to its end, so that its status counts and the connection stays.
    is_read: bool,
}

impl Bomb {
    fn unread(name: &'static str, answer: Response) -> Self {
        let is_read = false;
        Self {
            name,
            answer,
            is_read,
        }
    }

    fn read(name: &'static str, answer: Response) -> Self {
        let is_read = true;
        Self {
            name,
            answer,
            is_read,
        }
    }
}

/// Neither HTTP nor a message of protobuf.
const GARBAGE: &[u8] = b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff garbage";

fn large(answer: Response) -> Response {
    answer.body(vec![0x0a; 32 << 20])
}

fn endless(answer: Response) -> Response {
    answer.body(vec![0x0a; 1 << 16]).endless_body()
}

fn slow(answer: Response) -> Response {
    answer.body("slow").slow_body(ATTEMPT)
}

fn inflated() -> usize {
    size(8, 32, 32) as usize * (1 << 20)
}

/// Answers one request with each bomb, and says what that cost.
fn explode(protocol: Protocol, bombs: Vec<Bomb>) -> String {
    let receiver = receiver();
    receiver.keep_ids_only();
    let proxy = TcpProxy::start(receiver.addr()).expect("a proxy starts");
    let pipeline = to(&proxy.endpoint())
        .protocol(protocol)
        .timeout(ATTEMPT)
        .export_timeout(ATTEMPT)
        .start()
        .expect("a pipeline starts");
    let oracle = Oracle::new();
    oracle.issue(load::record_in(&pipeline, 1));
    assert!(pipeline.flush(LONG).is_complete());

    let (mut most_heap, mut longest) = (0, Duration::ZERO);
    let cells = bombs.len();
    let mut unanswered = 0;
    for Bomb {
        name,
        answer,
        is_read,
    } in bombs
    {
        let theirs = heap_of_the_others(protocol, &receiver, &proxy, &answer);
        let (requests, connections) = (receiver.requests().len(), proxy.connections());
        receiver.respond_with([answer]);
        MEMORY.reset_peak_usage();
        let before = MEMORY.current_usage();
        oracle.issue(load::record_in(&pipeline, 1));
        let (report, took) = time(|| pipeline.flush(LONG));
        let heap = MEMORY.peak_usage().saturating_sub(before + theirs);
        assert!(heap <= HEAP_LIMIT, "{name}: {heap} bytes more");
        assert!(
            took <= ATTEMPT.mul_f64(1.1) + ATTEMPT / 4,
            "{name} took {took:?}"
        );
        if !is_read {
            assert_eq!(report.failed, 1, "{name}: {report}");
            assert_eq!(
                receiver.requests().len(),
                requests + 1,
                "{name} is not retried"
            );
        }
        unanswered += report.failed;
        most_heap = most_heap.max(heap);
        longest = longest.max(took);

        oracle.issue(load::record_in(&pipeline, 1));
        assert!(pipeline.flush(LONG).is_complete(), "after {name}");
        if !is_read {
            assert!(
                proxy.connections() > connections,
                "{name}: the connection is closed"
            );
        }
    }
    // A bomb that says success acknowledges the spans all the same, as far as its server knows.
    let stats = pipeline.stats();
    inv::hold_with_lost_answers(&oracle, &receiver, &stats, unanswered);
    format!(
        "{cells} bombs: {:.1} MiB extra heap at most, {longest:.1?} at most, {} failed, not retried",
        most_heap as f64 / f64::from(1 << 20),
        stats.failed
    )
}

/// What the receiver and the proxy need to send a bomb, to somebody who keeps nothing of it.
fn heap_of_the_others(
    protocol: Protocol,
    receiver: &OtlpReceiver,
    proxy: &TcpProxy,
    bomb: &Response,
) -> usize {
    let request = match protocol {
        Protocol::Grpc => http2::call(),
        _ => b"POST /v1/traces HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\n\
               content-type: application/x-protobuf\r\n\r\n"
            .to_vec(),
    };
    receiver.respond_with([bomb.clone()]);
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let mut connection = TcpStream::connect(proxy.addr()).expect("a listening proxy");
    connection
        .set_read_timeout(Some(ATTEMPT / 4))
        .expect("a socket");
    connection.write_all(&request).expect("an open connection");
    let (mut piece, mut read) = ([0; 4096], 0);
    while read < HEAP_LIMIT
        && let Ok(more @ 1..) = connection.read(&mut piece)
    {
        read += more;
    }
    MEMORY.peak_usage().saturating_sub(before)
}
