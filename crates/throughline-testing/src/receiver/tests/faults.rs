//! What a script does to connections, over HTTP/1.1, HTTP/2 and gRPC.

use std::io::Write as _;
use std::net::Shutdown;

use bytes::BytesMut;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::*;

#[test]
fn connections_end_as_the_script_says() {
    let receiver = OtlpReceiver::start().expect("a free port");
    receiver.respond_with([
        Response::reset(),
        Response::garbage("what is this?\r\n"),
        Response::half_close(),
        Response::stall(),
    ]);
    let body = request(&[(1, 0, "work")]);

    let reset = raw(receiver.addr(), &export(&body));
    assert_eq!(reset, Err(ErrorKind::ConnectionReset));
    let garbage = raw(receiver.addr(), &export(&body));
    assert_eq!(garbage.as_deref(), Ok(&b"what is this?\r\n"[..]));
    // The end of the answers, although the connection still takes requests.
    let mut half = TcpStream::connect(receiver.addr()).expect("a listening receiver");
    send(&mut half, &export(&body));
    assert_eq!(half.read(&mut [0; 8]).expect("an end"), 0);
    half.write_all(b"more").expect("the other half is open");
    half.shutdown(Shutdown::Write).expect("an open connection");

    let mut stalled = TcpStream::connect(receiver.addr()).expect("a listening receiver");
    send(&mut stalled, &export(&body));
    assert!(receiver.wait_for_requests(4, SOON));
    stalled.set_nonblocking(true).expect("a socket");
    let nothing = stalled.read(&mut [0; 8]).expect_err("no answer");
    assert_eq!(nothing.kind(), ErrorKind::WouldBlock);

    assert_eq!(
        receiver.span_count(),
        0,
        "none of these is an acknowledgement"
    );
    assert_eq!(receiver.seen_ids(), [1, 1, 1, 1]);
}

#[test]
fn bodies_go_out_slowly_for_ever_or_in_part() {
    let receiver = OtlpReceiver::start().expect("a free port");
    let pause = Duration::from_millis(2);
    receiver.respond_with([
        Response::new(503).body("slowly").slow_body(pause),
        Response::new(503).body("half").cut_body(),
        Response::new(503).body("again ").endless_body(),
        Response::endless_headers(200),
    ]);
    let body = request(&[(1, 0, "work")]);
    let start = Instant::now();
    assert_eq!(post(receiver.addr(), &body).body, b"slowly");
    assert!(start.elapsed() >= pause * 6);

    let cut = raw(receiver.addr(), &export(&body)).expect("FIN");
    let cut = String::from_utf8(cut).expect("ASCII");
    assert!(
        cut.starts_with("HTTP/1.1 503 ") && cut.ends_with("\r\n\r\nhalf"),
        "{cut}"
    );
    assert!(cut.contains("content-length: 5"), "{cut}");

    for _ in ["body", "headers"] {
        let mut endless = TcpStream::connect(receiver.addr()).expect("a listening receiver");
        send(&mut endless, &export(&body));
        let mut much = vec![0; 1 << 20];
        endless.read_exact(&mut much).expect("there is always more");
    }
}

#[test]
fn a_function_answers_what_the_script_does_not() {
    let receiver = OtlpReceiver::start().expect("a free port");
    receiver.respond_with([Response::new(429)]);
    let mut left = 2;
    receiver.respond_by(move |request| {
        assert_eq!(request.spans, 1);
        left -= 1;
        (left > 0).then(|| Response::new(500))
    });
    let statuses = [1, 2, 3].map(|id| post(receiver.addr(), &request(&[(id, 0, "work")])).status);
    assert_eq!(statuses, [429, 500, 200]);
    assert_eq!(
        (receiver.accepted_ids(), receiver.seen_ids()),
        (vec![3], vec![1, 2, 3])
    );
    receiver.respond_with([Response::new(500)]);
    receiver.respond_well();
    assert_eq!(
        post(receiver.addr(), &request(&[(4, 0, "work")])).status,
        200
    );
}

#[test]
fn ids_can_be_all_that_is_kept() {
    let receiver = OtlpReceiver::start().expect("a free port");
    receiver.keep_ids_only();
    post(receiver.addr(), &request(&[(7, 0, "a"), (8, 7, "b")]));
    assert!(receiver.wait_for_spans(2, SOON));
    assert_eq!(receiver.accepted_ids(), [7, 8]);
    assert!(receiver.spans().is_empty() && receiver.requests()[0].body().is_empty());
    assert_eq!(
        (receiver.span_count(), receiver.requests()[0].spans),
        (2, 2)
    );
}

#[test]
fn gzip_is_understood_and_bombs_are_made_of_it() {
    let receiver = OtlpReceiver::start().expect("a free port");
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed
        .write_all(&request(&[(1, 0, "packed")]))
        .expect("memory");
    let headers = [
        ("content-type", "application/x-protobuf"),
        ("content-encoding", "gzip"),
    ];
    let packed = packed.finish().expect("memory");
    let bytes = http("POST", "/v1/traces", &headers, &packed);
    assert_eq!(
        exchange(receiver.addr(), &bytes).expect("an answer").status,
        200
    );
    assert_eq!(receiver.spans()[0].name, "packed");

    receiver.respond_with([Response::gzip_bomb(400, 8 << 20)]);
    let bomb = post(receiver.addr(), &request(&[(2, 0, "work")]));
    assert_eq!(bomb.header("content-encoding"), Some("gzip"));
    assert!(bomb.body.len() < 16 << 10, "{} bytes", bomb.body.len());
}

#[test]
fn calls_over_grpc_are_answered_as_calls() {
    let receiver = OtlpReceiver::start().expect("a free port");
    receiver.respond_with([
        Response::ok(),
        Response::partial_success(1, "one too many"),
        Response::grpc(14, "later").retry_info(Duration::from_millis(1500)),
        Response::grpc(99, ""),
        Response::grpc(3, "no").body("but a message"),
        Response::gzip_bomb(200, 8 << 20),
    ]);
    let answers = calls(receiver.addr(), 6);
    let codes: Vec<_> = answers.iter().map(|answer| answer.code.as_str()).collect();
    assert_eq!(codes, ["0", "0", "14", "99", "3", "0"]);
    let partial = ExportTraceServiceResponse::decode(&answers[1].message[..]).expect("a response");
    assert_eq!(
        partial
            .partial_success
            .map(|partial| partial.rejected_spans),
        Some(1)
    );
    assert!(!answers[2].details.is_empty());
    assert_eq!(answers[4].message, b"but a message");
    let bomb = &answers[5];
    assert!(bomb.is_packed && bomb.message.len() < 16 << 10);
    assert_eq!(receiver.span_count(), 3, "only code 0 acknowledges");
    assert_eq!(receiver.requests()[0].path, grpc::TRACES_CALL);
}

struct CallAnswer {
    code: String,
    details: String,
    message: Vec<u8>,
    /// Whether both the headers and the frame say so.
    is_packed: bool,
}

/// Makes calls over one HTTP/2 connection.
fn calls(addr: SocketAddr, count: u64) -> Vec<CallAnswer> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let socket = tokio::net::TcpStream::connect(addr)
            .await
            .expect("a listening receiver");
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(socket))
            .await
            .expect("HTTP/2");
        tokio::spawn(connection);
        let mut answers = Vec::new();
        for id in 0..count {
            let message = grpc::frame(&request(&[(id + 1, 0, "call")]), false);
            let call = http::Request::post(format!("http://{addr}{}", grpc::TRACES_CALL))
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .body(Full::new(message))
                .expect("a request");
            let response = sender.send_request(call).await.expect("an answer");
            let (head, mut body) = response.into_parts();
            let (mut trailers, mut framed) = (head.headers, BytesMut::new());
            while let Some(frame) = body.frame().await {
                match frame.expect("a whole answer").into_data() {
                    Ok(data) => framed.extend_from_slice(&data),
                    Err(last) => trailers.extend(last.into_trailers().expect("trailers")),
                }
            }
            let text = |name: &str| {
                let value = trailers
                    .get(name)
                    .map(|value| value.to_str().expect("ASCII"));
                value.unwrap_or_default().to_owned()
            };
            answers.push(CallAnswer {
                code: text("grpc-status"),
                details: text("grpc-status-details-bin"),
                is_packed: text("grpc-encoding") == "gzip" && framed.first() == Some(&1),
                message: framed.get(5..).unwrap_or_default().to_vec(),
            });
        }
        answers
    })
}

/// Everything that comes back until the other side ends.
fn raw(addr: SocketAddr, bytes: &[u8]) -> Result<Vec<u8>, ErrorKind> {
    let mut connection = TcpStream::connect(addr).expect("a listening receiver");
    send(&mut connection, bytes);
    let mut answer = Vec::new();
    connection
        .read_to_end(&mut answer)
        .map_err(|error| error.kind())?;
    Ok(answer)
}
