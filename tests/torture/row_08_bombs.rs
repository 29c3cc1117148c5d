//! Answers that are meant to fill memory or to take for ever.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use throughline::testing::{Oracle, OtlpReceiver, Response, TcpProxy};
use throughline_tests::support::{inv, load};

use crate::MEMORY;
use crate::support::{LONG, Row, receiver, size, time, to};

/// The largest answer that is read, and what the matrix adds to it.
const HEAP_LIMIT: usize = (4 << 20) + (1 << 20);
const ATTEMPT: Duration = Duration::from_secs(1);

#[test]
fn row_08_a_response_bomb_costs_5_mib_at_most() {
    let row = Row::alone(
        8,
        "body of 32 MiB, gzip 1000:1, endless body, endless headers, slow loris",
        "extra heap <= 5 MiB; not retried; connection closed; <= timeout",
    );
    let receiver = receiver();
    receiver.keep_ids_only();
    let proxy = TcpProxy::start(receiver.addr()).expect("a proxy starts");
    let pipeline = to(&proxy.endpoint())
        .timeout(ATTEMPT)
        .export_timeout(ATTEMPT)
        .start()
        .expect("a pipeline starts");
    let oracle = Oracle::new();
    oracle.issue(load::record_in(&pipeline, 1));
    assert!(pipeline.flush(LONG).is_complete());

    let (mut most_heap, mut longest) = (0, Duration::ZERO);
    let mut bombs = Vec::new();
    let inflated = size(8, 32, 32) as usize * (1 << 20);
    for status in [200, 400, 503] {
        bombs.extend([
            ("32 MiB", Response::new(status).body(vec![0x0a; 32 << 20])),
            ("gzip", Response::gzip_bomb(status, inflated)),
            (
                "endless",
                Response::new(status)
                    .body(vec![0x0a; 1 << 16])
                    .endless_body(),
            ),
            ("headers", Response::endless_headers(status)),
            (
                "slow",
                Response::new(status).body("slow").slow_body(ATTEMPT),
            ),
        ]);
    }
    let cells = bombs.len();
    let mut unanswered = 0;
    for (name, bomb) in bombs {
        let (requests, connections) = (receiver.requests().len(), proxy.connections());
        let bounded = name != "gzip";
        let theirs = heap_of_the_others(&receiver, &proxy, &bomb);
        let requests = requests + 1;
        receiver.respond_with([bomb]);
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
        if bounded {
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
        if bounded {
            assert!(
                proxy.connections() > connections,
                "{name}: the connection is closed"
            );
        }
    }
    // A bomb of status 200 acknowledges the spans all the same, as far as its server knows.
    let stats = pipeline.stats();
    inv::hold_with_lost_answers(&oracle, &receiver, &stats, unanswered);
    row.holds(format!(
        "{cells} bombs: {:.1} MiB extra heap at most, {longest:.1?} at most, {} failed, not retried",
        most_heap as f64 / f64::from(1 << 20),
        stats.failed
    ));
}

/// What the receiver and the proxy need to send a bomb, to somebody who keeps nothing of it.
fn heap_of_the_others(receiver: &OtlpReceiver, proxy: &TcpProxy, bomb: &Response) -> usize {
    receiver.respond_with([bomb.clone()]);
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let mut connection = TcpStream::connect(proxy.addr()).expect("a listening proxy");
    connection
        .set_read_timeout(Some(ATTEMPT / 4))
        .expect("a socket");
    connection
        .write_all(
            b"POST /v1/traces HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\n\
              content-type: application/x-protobuf\r\n\r\n",
        )
        .expect("an open connection");
    let (mut piece, mut read) = ([0; 4096], 0);
    while read < HEAP_LIMIT
        && let Ok(more @ 1..) = connection.read(&mut piece)
    {
        read += more;
    }
    MEMORY.peak_usage().saturating_sub(before)
}
