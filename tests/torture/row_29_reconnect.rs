//! A receiver that comes back elsewhere, and endpoints that must not be spoken to in the clear.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use throughline::Pipeline;
use throughline::testing::{Fault, Oracle, TcpProxy};
use throughline_tests::support::{inv, load};

use crate::support::{LONG, Row, receiver, size, to};

/// The longest backoff, and what the matrix adds to it.
const RECOVERY: Duration = Duration::from_secs(5 + 5);

#[test]
fn row_29_a_receiver_that_moves_is_found_again() {
    let row = Row::start(
        29,
        "receiver restarts at another port behind the proxy, connections reset",
        "recovery <= longest backoff + 5 s, nothing lost, INV",
    );
    let mut receivers = vec![receiver()];
    let proxy = TcpProxy::start(receivers[0].addr()).expect("a proxy starts");
    let pipeline = to(&proxy.endpoint()).start().expect("a pipeline starts");
    let moves = size(3, 5, 50);
    let mut slowest = Duration::ZERO;
    for _ in 0..moves {
        let oracle = Oracle::new();
        let before = pipeline.stats().exported;
        oracle.issue(load::record_in(&pipeline, 100));
        proxy.set(Fault::Reset);
        let _ = pipeline.flush(Duration::from_millis(50));
        receivers.push(receiver());
        let newest = receivers.last().expect("the newest");
        proxy.set_target(newest.addr());
        proxy.set(Fault::None);
        let start = Instant::now();
        assert!(
            newest.wait_for_spans(100, LONG),
            "the spans arrive at the new place"
        );
        slowest = slowest.max(start.elapsed());
        let stats = inv::settle(&pipeline, LONG).expect("the pipeline comes to rest");
        assert_eq!(stats.exported - before, 100, "{stats}");
        let verdict = oracle.compare(newest);
        assert_eq!(
            (verdict.accepted, verdict.repeated, verdict.foreign),
            (100, 0, 0)
        );
    }
    assert!(slowest <= RECOVERY, "recovery took {slowest:?}");
    row.holds(format!(
        "{moves} moves: recovery after at most {slowest:.1?}, 0 lost, 0 repeated"
    ));
}

#[test]
fn row_29_https_never_becomes_plaintext_and_secrets_stay_secret() {
    let row = Row::start(
        29,
        "https without a way to speak it, secrets in headers and endpoints",
        "0 plaintext bytes sent for https; 0 secrets in Debug or errors",
    );
    // A listener that would see the first byte of any attempt.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("a socket");
    let addr = listener.local_addr().expect("an address");
    let https = Pipeline::builder()
        .endpoint(&format!("https://{addr}"))
        .header("authorization", "Bearer c4nary");
    let shown = format!("{https:?}");
    assert!(!shown.contains("c4nary"), "{shown}");
    let plaintext = match https.export_timeout(Duration::from_millis(500)).start() {
        Err(error) => {
            assert!(!error.to_string().contains("c4nary"), "{error}");
            0
        }
        Ok(pipeline) => plaintext_bytes(&pipeline, &listener),
    };
    assert_eq!(plaintext, 0);
    for url in ["http://me:c4nary@localhost:4318", "https://c4nary@h"] {
        let error = Pipeline::builder().endpoint(url).start().err();
        let error = error.expect("user information is refused").to_string();
        assert!(!error.contains("c4nary"), "{error}");
    }
    row.holds("0 plaintext bytes, 0 secrets");
}

/// What a pipeline sends to a listener that should see TLS: nothing, or a record of the handshake.
fn plaintext_bytes(pipeline: &Pipeline, listener: &TcpListener) -> usize {
    use std::io::Read;
    load::record_in(pipeline, 1);
    let _ = pipeline.flush(LONG);
    let mut plaintext = 0;
    while let Ok((mut connection, _)) = listener.accept() {
        connection.set_nonblocking(true).expect("a socket");
        let mut sent = [0; 1024];
        let read = connection.read(&mut sent).unwrap_or(0);
        // 22 begins a handshake of TLS.
        if read > 0 && sent[0] != 22 {
            plaintext += read;
        }
    }
    plaintext
}
