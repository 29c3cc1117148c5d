//! Requests and responses against a server that answers with scripted bytes.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::connect::testing::{Received, read_request};
use crate::exporter::{Batch, SpanExporter};
use crate::otlp::{OtlpExporter, OtlpExporterBuilder};

use super::*;

/// What the server does once it has read a request.
enum Answer {
    /// Sends this and keeps the connection.
    Bytes(Vec<u8>),
    /// Closes the connection.
    Close,
    /// Sends this over and over until the client goes.
    Endless(&'static [u8]),
}

/// A server that answers one request after another, and the requests it has read.
async fn server(answers: Vec<Answer>) -> (String, tokio::task::JoinHandle<Vec<Received>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let mut requests = Vec::new();
        let mut open: Option<TcpStream> = None;
        for answer in answers {
            let mut stream = match open.take() {
                Some(stream) => stream,
                None => listener.accept().await.unwrap().0,
            };
            requests.push(read_request(&mut stream).await.unwrap());
            match answer {
                Answer::Bytes(bytes) => {
                    stream.write_all(&bytes).await.unwrap();
                    open = Some(stream);
                }
                Answer::Close => drop(stream),
                Answer::Endless(bytes) => while stream.write_all(bytes).await.is_ok() {},
            }
        }
        requests
    });
    (url, task)
}

fn answer(head: &str, body: &[u8]) -> Answer {
    let length = body.len();
    let head = format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\n\r\n");
    Answer::Bytes([head.as_bytes(), body].concat())
}

fn exporter(url: &str) -> OtlpExporter {
    configured(url).build().unwrap()
}

fn configured(url: &str) -> OtlpExporterBuilder {
    OtlpExporter::builder()
        .endpoint(url)
        .header("authorization", "Bearer c4nary")
        .header("content-type", "text/plain")
        .header("accept-encoding", "br")
        .header("content-encoding", "br")
}

fn batch() -> Batch {
    Batch::new(Bytes::from_static(b"request"), 3)
}

/// What the exporter makes of one answer.
async fn export(what: Answer) -> Result<Receipt, ExportError> {
    let (url, server) = server(vec![what]).await;
    let mut exporter = exporter(&url);
    let result = tokio::time::timeout(Duration::from_secs(60), exporter.export(batch()))
        .await
        .expect("every answer ends");
    drop(exporter);
    server.await.unwrap();
    result
}

/// `ExportTraceServiceResponse` with a partial success.
fn partial_success(rejected: i64, message: &str) -> Vec<u8> {
    let mut partial = vec![0x08];
    let mut rest = rejected.cast_unsigned();
    while rest >= 0x80 {
        partial.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    partial.push(rest as u8);
    partial.extend([0x12, message.len() as u8]);
    partial.extend(message.as_bytes());
    let mut response = vec![0x0a, partial.len() as u8];
    response.extend(partial);
    response
}

/// `google.rpc.Status` with a message.
fn status_body(message: &str) -> Vec<u8> {
    [&[0x08, 3, 0x12, message.len() as u8], message.as_bytes()].concat()
}

#[tokio::test]
async fn a_request_is_what_a_collector_expects() {
    let (url, server) = server(vec![answer("200 OK", b""), answer("200 OK", b"")]).await;
    let mut exporter = exporter(&url);
    assert_eq!(exporter.destination(), format!("{url}/v1/traces"));
    for _ in 0..2 {
        assert_eq!(exporter.export(batch()).await.unwrap(), Receipt::complete());
    }
    // The same connection served both, or the server would have hung.
    for request in server.await.unwrap() {
        assert_eq!(request.body, b"request");
        let mut lines: Vec<&str> = request.head.lines().collect();
        lines.sort_unstable();
        // Only what was compiled in is asked for.
        if cfg!(feature = "gzip") {
            assert_eq!(lines.remove(1), "accept-encoding: gzip");
        }
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            lines,
            [
                "POST /v1/traces HTTP/1.1",
                "authorization: Bearer c4nary",
                "content-length: 7",
                "content-type: application/x-protobuf",
                &format!("host: {}", url.strip_prefix("http://").unwrap()),
                &format!("user-agent: throughline/{version} OTel-OTLP-Exporter-Rust/{version}"),
            ]
        );
    }
}

#[tokio::test]
async fn every_status_is_classified() {
    for code in 200..600 {
        let error = match export(answer(&format!("{code} X"), b"")).await {
            Ok(receipt) => {
                assert!((200..300).contains(&code), "{code}");
                assert_eq!(receipt, Receipt::complete());
                continue;
            }
            Err(error) => error,
        };
        assert!(!(200..300).contains(&code), "{code}");
        assert_eq!(error.error_type(), code.to_string());
        assert_eq!(error.is_transient(), [429, 502, 503, 504].contains(&code));
        assert_eq!(error.is_too_large(), code == 413);
        assert!(!error.is_unreachable());
    }
}

#[tokio::test]
async fn partial_success_is_success_with_a_count() {
    for (rejected, message, expected) in [
        (2, "too old", Receipt::partial(2, "too old")),
        (0, "slow down", Receipt::partial(0, "slow down")),
        (-5, "odd", Receipt::partial(0, "odd")),
        (0, "", Receipt::complete()),
    ] {
        let body = partial_success(rejected, message);
        assert_eq!(export(answer("200 OK", &body)).await.unwrap(), expected);
    }
    // What is no protobuf says nothing.
    for body in [&b"\xff\xff\xff"[..], b"{}", b"\x0a\x7f"] {
        let receipt = export(answer("200 OK", body)).await.unwrap();
        assert_eq!(receipt, Receipt::complete());
    }
    let html = "200 OK\r\ncontent-type: text/html";
    let receipt = export(answer(html, &partial_success(2, "x")))
        .await
        .unwrap();
    assert_eq!(receipt, Receipt::complete());
}

#[tokio::test]
async fn the_servers_words_and_wishes_are_read() {
    let head = "503 Service Unavailable\r\nretry-after: 7\r\nretry-after: 9\r\nretry-after: x";
    let error = export(answer(head, &status_body("come later")))
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "503 Service Unavailable: come later");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(9)));
    let html = "400 Bad Request\r\ncontent-type: text/html";
    let error = export(answer(html, b"<html>")).await.unwrap_err();
    assert_eq!(error.to_string(), "400 Bad Request");
    assert_eq!(error.retry_after(), None);
}

#[tokio::test]
async fn no_response_may_come_later() {
    let error = export(Answer::Close).await.unwrap_err();
    assert_eq!(error.error_type(), "closed");
    assert!(error.is_transient() && !error.is_unreachable());

    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let mut exporter = exporter(&format!("http://127.0.0.1:{port}"));
    let error = exporter.export(batch()).await.unwrap_err();
    assert_eq!(error.to_string(), "connection refused");
    assert_eq!(error.error_type(), "connect");
    assert!(error.is_transient() && error.is_unreachable());
    assert!(std::error::Error::source(&error).is_some());
}

#[tokio::test]
async fn a_status_stands_although_its_body_is_cut_off() {
    let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc";
    let (url, server) = server(vec![Answer::Bytes(cut.to_vec())]).await;
    let mut exporter = exporter(&url);
    assert_eq!(exporter.export(batch()).await.unwrap(), Receipt::complete());
    server.await.unwrap();
}

#[tokio::test]
async fn a_response_bomb_is_refused() {
    let body = "HTTP/1.1 200 OK\r\ncontent-length: 33554432\r\n\r\n";
    let bomb = [body.as_bytes(), &vec![0; 8 << 20]].concat();
    let (url, _server) = server(vec![Answer::Bytes(bomb)]).await;
    let error = exporter(&url).export(batch()).await.unwrap_err();
    assert_eq!(error.error_type(), "response_too_large");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn an_endless_head_or_another_protocol_is_refused() {
    for endless in [&b"HTTP/1.1 200 OK\r\n"[..], b"SSH-2.0-OpenSSH_9.6\r\n"] {
        let error = export(Answer::Endless(endless)).await.unwrap_err();
        assert_eq!(error.error_type(), "not_http", "{error}");
        assert!(!error.is_transient());
    }
}

#[cfg(all(feature = "gzip", feature = "zstd"))]
#[tokio::test]
async fn a_compressed_request_is_the_same_when_it_is_sent_again() {
    use std::io::Read as _;
    type Decode = fn(&[u8]) -> Vec<u8>;
    let gunzip: Decode = |body| {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(body)
            .read_to_end(&mut plain)
            .unwrap();
        plain
    };
    let unzstd: Decode = |body| zstd::decode_all(body).unwrap();
    for (compression, name, decode) in [
        (Compression::Gzip, "gzip", gunzip),
        (Compression::Zstd, "zstd", unzstd),
    ] {
        let answers = vec![answer("503 Busy", b""), answer("200 OK", b"")];
        let (url, server) = server(answers).await;
        let mut exporter = configured(&url).compression(compression).build().unwrap();
        let request = Bytes::from(b"a span, ".repeat(10_000));
        let batch = Batch::new(request.clone(), 3);
        assert!(exporter.export(batch.clone()).await.is_err());
        assert!(exporter.export(batch).await.is_ok());
        let requests = server.await.unwrap();
        let line = format!("content-encoding: {name}");
        assert!(
            requests
                .iter()
                .all(|got| got.head.lines().any(|l| l == line))
        );
        assert_eq!(requests[0].body, requests[1].body);
        assert!(requests[0].body.len() < request.len() / 10);
        assert_eq!(decode(&requests[0].body), request);
    }
}

#[cfg(feature = "gzip")]
#[tokio::test]
async fn a_compressed_response_is_read_up_to_the_limit() {
    let zipped = |body: Vec<u8>| Compression::Gzip.compress(body.into()).unwrap();
    let head = "200 OK\r\ncontent-encoding: gzip";
    let body = zipped(partial_success(2, "too old"));
    let receipt = export(answer(head, &body)).await.unwrap();
    assert_eq!(receipt, Receipt::partial(2, "too old"));
    // A thousand to one.
    let bomb = zipped(vec![0; 32 << 20]);
    assert!(bomb.len() < 1 << 20);
    for status in ["200 OK", "503 Busy"] {
        let head = format!("{status}\r\ncontent-encoding: gzip");
        let error = export(answer(&head, &bomb)).await.unwrap_err();
        assert_eq!(error.error_type(), "response_too_large");
        assert!(!error.is_transient());
    }
    // What cannot be read says nothing.
    for head in [head, "200 OK\r\ncontent-encoding: br"] {
        let receipt = export(answer(head, &partial_success(2, "x"))).await;
        assert_eq!(receipt.unwrap(), Receipt::complete());
    }
}

#[tokio::test]
async fn a_request_over_the_limit_is_not_sent() {
    let mut exporter = exporter("http://127.0.0.1:1");
    let request = Bytes::from(vec![0; (64 << 20) + 1]);
    let error = exporter.export(Batch::new(request, 3)).await.unwrap_err();
    assert!(error.is_too_large());
    assert_eq!(error.error_type(), "request_too_large");
}

#[cfg(feature = "json")]
#[tokio::test]
async fn a_json_request_is_answered_in_json() {
    let head = "200 OK\r\ncontent-type: application/json";
    let busy = "503 Busy\r\ncontent-type: application/json; charset=utf-8";
    let (url, server) = server(vec![
        answer(busy, br#"{"code":14,"message":"come later"}"#),
        answer(
            head,
            br#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"too old"}}"#,
        ),
        answer(head, br#"{"partialSuccess":{"rejectedSpans":1}}"#),
        answer(head, b"{}"),
        answer(head, b"{\"partialSuccess\":"),
        answer(head, b""),
    ])
    .await;
    let mut exporter = configured(&url)
        .protocol(Protocol::HttpJson)
        .build()
        .unwrap();
    // One empty list of resource spans.
    let batch = Batch::new(Bytes::from_static(b"\x0a\0"), 3);
    let error = exporter.export(batch.clone()).await.unwrap_err();
    assert_eq!(error.to_string(), "503 Service Unavailable: come later");
    for expected in [
        Receipt::partial(2, "too old"),
        Receipt::partial(1, ""),
        Receipt::complete(),
        Receipt::complete(),
        Receipt::complete(),
    ] {
        assert_eq!(exporter.export(batch.clone()).await.unwrap(), expected);
    }
    for request in server.await.unwrap() {
        let json = |line| line == "content-type: application/json";
        assert!(request.head.lines().any(json), "{}", request.head);
        assert_eq!(request.body, br#"{"resourceSpans":[{}]}"#);
    }
}
