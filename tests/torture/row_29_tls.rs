//! Certificates that are wrong, and one that changes.

use std::net::TcpListener;
use std::time::Duration;

use rcgen::{CertificateParams, date_time_ymd};
use throughline::export::Protocol;
use throughline::testing::{Oracle, Response};
use throughline_tests::support::{inv, load};

use crate::support::{LONG, Row, lines_about, receiver, to};
use crate::tls_front::{Authority, TlsFront};

/// What no line may show.
const CANARY: &str = "c4nary";

fn same(_: &mut CertificateParams) {}

fn expired(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2021, 1, 1);
}

#[test]
fn row_29_a_wrong_certificate_gets_nothing_and_a_new_one_everything() {
    let row = Row::start(
        29,
        "wrong CA, expired, wrong name, TLS to plaintext; certificate rotation; over HTTP and gRPC",
        "0 spans to a wrong certificate, 0 plaintext bytes, rotation loses 0, 0 secrets in lines",
    );
    let (authority, stranger) = (Authority::new("authority"), Authority::new("stranger"));
    let (mut cells, mut rotated) = (0, 0);
    for protocol in [Protocol::HttpProtobuf, Protocol::Grpc] {
        let receiver = receiver();
        let connect = |endpoint: &str| {
            to(endpoint)
                .protocol(protocol)
                .certificate(authority.file())
                .header("authorization", CANARY)
                .export_timeout(Duration::from_millis(700))
                .start()
                .expect("a pipeline starts")
        };
        for (what, acceptor) in [
            ("wrong CA", stranger.acceptor("localhost", same)),
            ("expired", authority.acceptor("localhost", expired)),
            ("wrong name", authority.acceptor("elsewhere.example", same)),
        ] {
            let front = TlsFront::start(receiver.addr(), acceptor);
            let pipeline = connect(&front.endpoint());
            load::record_in(&pipeline, 10);
            let report = pipeline.flush(LONG);
            assert_eq!(
                (report.failed, report.exported),
                (10, 0),
                "{what}: {report}"
            );
            assert_eq!(
                (receiver.seen_ids().len(), front.plaintext()),
                (0, 0),
                "{what}"
            );
            assert_eq!(pipeline.stats().unaccounted(), 0, "{what}");
            let port = front.endpoint();
            assert!(
                lines_about(&port).iter().all(|line| !line.contains(CANARY)),
                "{what}"
            );
            cells += 1;
        }

        // A server that expects no TLS sees nothing that it could read.
        let plain = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = plain.local_addr().expect("an address");
        let pipeline = connect(&format!("https://localhost:{}", addr.port()));
        load::record_in(&pipeline, 10);
        let (mut connection, _) = {
            let _ = pipeline.flush(Duration::from_millis(10));
            plain.accept().expect("an attempt")
        };
        let mut first = [0; 4096];
        let read = std::io::Read::read(&mut connection, &mut first).expect("a handshake");
        assert_eq!(first[0], 22, "a handshake");
        let sent = String::from_utf8_lossy(&first[..read]).into_owned();
        assert!(!sent.contains(CANARY) && !sent.contains("POST"), "{sent}");
        drop((connection, plain));
        let _ = pipeline.shutdown(LONG);
        cells += 1;

        let front = TlsFront::start(receiver.addr(), authority.acceptor("localhost", same));
        let pipeline = to(&front.endpoint())
            .protocol(protocol)
            .certificate(authority.file())
            .start()
            .expect("a pipeline starts");
        let oracle = Oracle::new();
        for _ in 0..3 {
            oracle.issue(load::record_in(&pipeline, 100));
            assert!(pipeline.flush(LONG).is_complete());
            let before = front.handshakes();
            front.rotate(authority.acceptor("localhost", same));
            receiver.respond_with([Response::drop_connection()]);
            oracle.issue(load::record_in(&pipeline, 100));
            assert!(
                pipeline.flush(LONG).is_complete(),
                "with the new certificate"
            );
            assert!(
                front.handshakes() > before,
                "a handshake with the new certificate"
            );
            rotated += 1;
        }
        let verdict = inv::hold(&oracle, &receiver, &pipeline.stats());
        assert_eq!(verdict.accepted, verdict.issued);
    }
    row.holds(format!(
        "{cells} cells: 0 spans and 0 plaintext bytes to a wrong server; {rotated} rotations, 0 lost"
    ));
}
