//! The receiver against a client that is no more than a socket.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use super::*;

const SOON: Duration = Duration::from_secs(10);

#[test]
fn spans_arrive_over_http_and_form_traces() {
    let receiver = OtlpReceiver::start().expect("a free port");
    let answer = post(
        receiver.addr(),
        &request(&[(1, 0, "root"), (2, 1, "child")]),
    );
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        Some("application/x-protobuf")
    );
    let decoded = ExportTraceServiceResponse::decode(answer.body.as_slice()).expect("a response");
    assert_eq!(decoded.partial_success, None);

    assert!(receiver.wait_for_spans(2, SOON));
    assert_eq!(receiver.span_count(), 2);
    let trace = receiver.trace("01010101010101010101010101010101");
    insta::assert_snapshot!(trace.assert_complete().tree(), @r"
    root
    └─ child
    ");
    assert_eq!(receiver.traces().len(), 1);
    assert!(
        receiver
            .trace("02020202020202020202020202020202")
            .is_empty()
    );
    assert!(receiver.trace("no id").is_empty());
}

#[test]
fn one_connection_carries_many_requests() {
    let receiver = OtlpReceiver::start().expect("a free port");
    let mut connection = TcpStream::connect(receiver.addr()).expect("a listening receiver");
    for id in 1..=3 {
        send(&mut connection, &export(&request(&[(id, 0, "work")])));
        assert_eq!(read_answer(&mut connection).expect("an answer").status, 200);
    }
    assert!(receiver.wait_for_spans(3, SOON));
    let requests = receiver.requests();
    assert_eq!(requests.len(), 3);
    assert!(
        requests
            .windows(2)
            .all(|pair| pair[0].received_at <= pair[1].received_at)
    );
}

#[test]
fn requests_are_kept_as_they_were_sent() {
    let receiver = OtlpReceiver::start().expect("a free port");
    let body = request(&[(1, 0, "work")]);
    post(receiver.addr(), &body);
    let requests = receiver.requests();
    assert_eq!(requests[0].method, "POST");
    assert_eq!(requests[0].path, "/v1/traces");
    assert_eq!(requests[0].header("Authorization"), Some("Bearer secret"));
    assert_eq!(requests[0].body(), body);
    assert_eq!(requests[0].spans, 1);
    assert_eq!(requests[0].rejection, None);

    receiver.clear();
    assert_eq!((receiver.requests().len(), receiver.span_count()), (0, 0));
}

#[test]
fn what_is_no_export_request_is_refused_with_the_reason() {
    let receiver = OtlpReceiver::start().expect("a free port");
    let sent = [
        http(
            "POST",
            "/v1/logs",
            &[("content-type", "application/x-protobuf")],
            b"",
        ),
        http("GET", "/v1/traces", &[], b""),
        http(
            "POST",
            "/v1/traces",
            &[("content-type", "application/json")],
            b"{}",
        ),
        http(
            "POST",
            "/v1/traces",
            &[
                ("content-type", "application/x-protobuf"),
                ("content-encoding", "br"),
            ],
            b"",
        ),
        http(
            "POST",
            "/v1/traces",
            &[("content-type", "application/x-protobuf")],
            b"\xff",
        ),
    ];
    let mut picture = String::new();
    for bytes in &sent {
        let answer = exchange(receiver.addr(), bytes).expect("an answer");
        let status = grpc::RpcStatus::decode(answer.body.as_slice()).expect("an RPC status");
        picture += &format!("{} {}\n", answer.status, status.message);
    }
    insta::assert_snapshot!(picture, @r#"
    404 nothing is received at /v1/logs
    405 GET instead of POST
    415 content type "application/json" instead of "application/x-protobuf"
    415 content encoding "br" is not supported
    400 not an ExportTraceServiceRequest: failed to decode Protobuf message: invalid varint
    "#);
    assert_eq!(receiver.span_count(), 0);
    let reasons: Vec<_> = receiver
        .requests()
        .into_iter()
        .map(|request| request.rejection.is_some())
        .collect();
    assert_eq!(reasons, [true; 5]);
}

#[test]
fn a_script_is_followed_once_and_only_success_keeps_spans() {
    let receiver = OtlpReceiver::start().expect("a free port");
    receiver.respond_with([
        Response::new(503)
            .header("retry-after", "7")
            .body("overloaded"),
        Response::drop_connection(),
        Response::partial_success(1, "one too many"),
    ]);

    let busy = post(receiver.addr(), &request(&[(1, 0, "refused")]));
    assert_eq!((busy.status, busy.header("retry-after")), (503, Some("7")));
    assert_eq!(busy.body, b"overloaded");

    let dropped = exchange(receiver.addr(), &export(&request(&[(2, 0, "dropped")])));
    assert_eq!(dropped, Err(ErrorKind::UnexpectedEof));

    let partial = post(receiver.addr(), &request(&[(3, 0, "kept")]));
    let decoded = ExportTraceServiceResponse::decode(partial.body.as_slice()).expect("a response");
    let partial_success = decoded.partial_success.expect("a partial success");
    assert_eq!(partial_success.rejected_spans, 1);
    assert_eq!(partial_success.error_message, "one too many");

    assert_eq!(
        post(receiver.addr(), &request(&[(4, 0, "kept too")])).status,
        200
    );
    let names: Vec<_> = receiver.spans().into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["kept", "kept too"]);
    assert_eq!(receiver.requests().len(), 4);
}

#[test]
fn a_delayed_answer_nobody_waits_for_accepts_nothing() {
    let receiver = OtlpReceiver::start().expect("a free port");
    receiver.respond_with([Response::ok().delay(Duration::from_secs(3600))]);
    let mut connection = TcpStream::connect(receiver.addr()).expect("a listening receiver");
    send(&mut connection, &export(&request(&[(1, 0, "slow")])));
    assert!(receiver.wait_for_requests(1, SOON));
    drop(connection);
    // The next request shows that the receiver is not held up by the one before.
    assert_eq!(
        post(receiver.addr(), &request(&[(2, 0, "quick")])).status,
        200
    );
    let names: Vec<_> = receiver.spans().into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["quick"]);
}

#[test]
fn a_delayed_answer_comes_late() {
    let receiver = OtlpReceiver::start().expect("a free port");
    let delay = Duration::from_millis(30);
    receiver.respond_with([Response::ok().delay(delay)]);
    let start = Instant::now();
    assert_eq!(
        post(receiver.addr(), &request(&[(1, 0, "slow")])).status,
        200
    );
    assert!(start.elapsed() >= delay);
}

#[test]
fn waiting_ends_at_the_timeout_or_with_the_condition() {
    let receiver = OtlpReceiver::start().expect("a free port");
    assert!(!receiver.wait_for_spans(1, Duration::from_millis(1)));
    assert!(receiver.wait_for_spans(0, Duration::ZERO));
    let addr = receiver.addr();
    let sender = thread::spawn(move || post(addr, &request(&[(1, 0, "first"), (2, 1, "last")])));
    assert!(receiver.wait_until(SOON, |spans| spans.iter().any(|span| span.name == "last")));
    assert_eq!(
        sender.join().expect("the sender does not panic").status,
        200
    );
}

#[test]
fn a_dropped_receiver_frees_its_port_even_while_a_request_is_open() {
    let receiver = OtlpReceiver::start().expect("a free port");
    let addr = receiver.addr();
    receiver.respond_with([Response::ok().delay(Duration::from_secs(3600))]);
    let mut connection = TcpStream::connect(addr).expect("a listening receiver");
    send(&mut connection, &export(&request(&[(1, 0, "open")])));
    assert!(receiver.wait_for_requests(1, SOON));
    let start = Instant::now();
    drop(receiver);
    assert!(start.elapsed() < OtlpReceiver::STOP_DEADLINE);
    assert!(read_answer(&mut connection).is_err());

    let again = OtlpReceiver::start_at(addr).expect("the port is free again");
    assert_eq!(again.traces_endpoint(), format!("http://{addr}/v1/traces"));
    assert_eq!(again.endpoint(), format!("http://{addr}"));
    assert_eq!(post(addr, &request(&[(2, 0, "again")])).status, 200);
}

/// A request body with spans of one trace: id, parent (0 for none), name; each starts after the one before.
fn request(spans: &[(u64, u64, &str)]) -> Vec<u8> {
    let spans = spans.iter().map(|&(id, parent, name)| Span {
        trace_id: vec![1; 16],
        span_id: id.to_be_bytes().to_vec(),
        parent_span_id: match parent {
            0 => Vec::new(),
            parent => parent.to_be_bytes().to_vec(),
        },
        name: name.to_owned(),
        start_time_unix_nano: id,
        end_time_unix_nano: 100,
        ..Span::default()
    });
    let scope_spans = ScopeSpans {
        spans: spans.collect(),
        ..ScopeSpans::default()
    };
    let resource_spans = ResourceSpans {
        scope_spans: vec![scope_spans],
        ..ResourceSpans::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![resource_spans],
    }
    .encode_to_vec()
}

fn export(body: &[u8]) -> Vec<u8> {
    let headers = [
        ("content-type", "application/x-protobuf"),
        ("authorization", "Bearer secret"),
    ];
    http("POST", "/v1/traces", &headers, body)
}

fn http(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "{method} {path} HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        bytes += &format!("{name}: {value}\r\n");
    }
    let mut bytes = (bytes + "\r\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

fn post(addr: SocketAddr, body: &[u8]) -> Answer {
    exchange(addr, &export(body)).expect("an answer")
}

fn exchange(addr: SocketAddr, bytes: &[u8]) -> Result<Answer, ErrorKind> {
    let mut connection = TcpStream::connect(addr).expect("a listening receiver");
    send(&mut connection, bytes);
    read_answer(&mut connection)
}

fn send(connection: &mut TcpStream, bytes: &[u8]) {
    connection.write_all(bytes).expect("an open connection");
}

#[derive(Debug, PartialEq)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(header, _)| *header == name)
            .map(|(_, value)| value)
    }
}

/// Reads one answer and leaves the connection open.
fn read_answer(connection: &mut TcpStream) -> Result<Answer, ErrorKind> {
    connection
        .set_read_timeout(Some(SOON))
        .expect("a timeout that is not zero");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        connection
            .read_exact(&mut byte)
            .map_err(|error| error.kind())?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).expect("headers in ASCII");
    let mut answer = Answer {
        status: head[9..12].parse().expect("a status line"),
        head,
        body: Vec::new(),
    };
    let length = answer
        .header("content-length")
        .expect("a body of known length");
    answer.body = vec![0; length.parse().expect("a number")];
    connection
        .read_exact(&mut answer.body)
        .map_err(|error| error.kind())?;
    Ok(answer)
}

mod faults;
