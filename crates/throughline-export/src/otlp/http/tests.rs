//! Requests and responses against a server that answers with scripted bytes.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

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

/// A server that answers one request after another, and the heads it has read.
async fn server(answers: Vec<Answer>) -> (String, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let mut heads = Vec::new();
        let mut open: Option<TcpStream> = None;
        for answer in answers {
            let mut stream = match open.take() {
                Some(stream) => stream,
                None => listener.accept().await.unwrap().0,
            };
            heads.push(read_request(&mut stream).await);
            match answer {
                Answer::Bytes(bytes) => {
                    stream.write_all(&bytes).await.unwrap();
                    open = Some(stream);
                }
                Answer::Close => drop(stream),
                Answer::Endless(bytes) => while stream.write_all(bytes).await.is_ok() {},
            }
        }
        heads
    });
    (url, task)
}

/// Reads a request with a body of known length, and returns its head.
async fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        stream.read_buf(&mut bytes).await.unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let Some(end) = text.find("\r\n\r\n") else {
            continue;
        };
        let head = text[..end].to_owned();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse::<usize>().unwrap());
        if bytes.len() == end + 4 + length {
            return head;
        }
    }
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
    for head in server.await.unwrap() {
        let mut lines: Vec<&str> = head.lines().collect();
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
