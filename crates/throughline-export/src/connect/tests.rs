//! Ways to the other side that are not straight.

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};

use crate::connect::testing::{Directory, read_request};
use crate::exporter::{Batch, SpanExporter};
use crate::otlp::OtlpExporter;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

fn batch() -> Batch {
    Batch::new(Bytes::from_static(b"request"), 3)
}

/// A proxy, and an exporter that goes through it by this variable.
async fn proxied(variable: &str, scheme: &str, endpoint: &str) -> (TcpListener, OtlpExporter) {
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("{scheme}://me:c4nary@{}", proxy.local_addr().unwrap());
    let exporter = OtlpExporter::builder()
        .endpoint(endpoint)
        .env_from(|name| (name == variable).then(|| url.clone()))
        .build()
        .unwrap();
    assert!(!format!("{exporter:?} {}", exporter.destination()).contains("c4nary"));
    (proxy, exporter)
}

#[tokio::test]
async fn a_proxy_passes_requests_on() {
    let (proxy, mut exporter) =
        proxied("HTTP_PROXY", "http", "http://collector.invalid:4318").await;
    let server = tokio::spawn(async move {
        let mut stream = proxy.accept().await.unwrap().0;
        let request = read_request(&mut stream).await.unwrap();
        stream.write_all(OK).await.unwrap();
        request
    });
    assert!(exporter.export(batch()).await.is_ok());
    let request = server.await.unwrap();
    let lines: Vec<_> = request.head.lines().collect();
    assert_eq!(
        lines[0],
        "POST http://collector.invalid:4318/v1/traces HTTP/1.1"
    );
    assert!(lines.contains(&"host: collector.invalid:4318"));
    assert!(lines.contains(&"proxy-authorization: Basic bWU6YzRuYXJ5"));
    assert_eq!(request.body, b"request");
}

#[tokio::test]
async fn a_socks_proxy_passes_bytes_on() {
    let (proxy, mut exporter) =
        proxied("ALL_PROXY", "socks5h", "http://collector.invalid:4318").await;
    let server = tokio::spawn(async move {
        let mut stream = proxy.accept().await.unwrap().0;
        let mut read = async |bytes: usize, answer: &[u8]| {
            let mut read = vec![0; bytes];
            stream.read_exact(&mut read).await.unwrap();
            stream.write_all(answer).await.unwrap();
            read
        };
        let methods = read(2, b"").await[1];
        read(methods.into(), &[5, 2]).await;
        assert_eq!(
            read(1 + 1 + 2 + 1 + 6, &[1, 0]).await,
            b"\x01\x02me\x06c4nary"
        );
        let target = read(4 + 1 + 17 + 2, &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await;
        assert_eq!(&target[5..22], b"collector.invalid");
        assert_eq!(target[22..], 4318_u16.to_be_bytes());
        let request = read_request(&mut stream).await.unwrap();
        stream.write_all(OK).await.unwrap();
        request
    });
    assert!(exporter.export(batch()).await.is_ok());
    let request = server.await.unwrap();
    assert!(request.head.starts_with("POST /v1/traces HTTP/1.1"));
    assert!(!request.head.contains("proxy-authorization"));
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn what_goes_over_tls_goes_through_a_tunnel() {
    let (proxy, mut exporter) = proxied("HTTPS_PROXY", "http", "https://collector.invalid").await;
    let server = tokio::spawn(async move {
        let mut stream = proxy.accept().await.unwrap().0;
        let request = read_request(&mut stream).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        (request, stream.read_u8().await.unwrap())
    });
    let error = exporter.export(batch()).await.unwrap_err();
    assert_eq!(error.error_type(), "tls", "{error}");
    let (request, first) = server.await.unwrap();
    assert!(
        request
            .head
            .starts_with("CONNECT collector.invalid:443 HTTP/1.1\r\n")
    );
    assert!(
        request
            .head
            .contains("Proxy-Authorization: Basic bWU6YzRuYXJ5")
    );
    assert!(!request.head.contains("v1/traces"));
    assert_eq!(first, 0x16, "a handshake");
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn a_proxy_that_refuses_may_change_its_mind() {
    let (proxy, mut exporter) = proxied("HTTPS_PROXY", "http", "https://collector.invalid").await;
    let server = tokio::spawn(async move {
        let mut stream = proxy.accept().await.unwrap().0;
        read_request(&mut stream).await.unwrap();
        let answer = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";
        stream.write_all(answer).await.unwrap();
    });
    let error = exporter.export(batch()).await.unwrap_err();
    server.await.unwrap();
    assert_eq!(error.error_type(), "proxy");
    assert_eq!(
        error.to_string(),
        "tunnel error: proxy authorization required"
    );
    assert!(error.is_transient() && error.is_unreachable());
}

#[tokio::test]
async fn a_unix_socket_is_served_like_a_port() {
    let files = Directory::new();
    let path = files.path("otlp.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let server = tokio::spawn(async move {
        let mut stream = listener.accept().await.unwrap().0;
        let mut requests = Vec::new();
        for _ in 0..2 {
            requests.push(read_request(&mut stream).await.unwrap());
            stream.write_all(OK).await.unwrap();
        }
        requests
    });
    let url = format!("unix://{}", path.display());
    let mut exporter = OtlpExporter::builder().endpoint(&url).build().unwrap();
    assert_eq!(exporter.destination(), url);
    for _ in 0..2 {
        assert!(exporter.export(batch()).await.is_ok());
    }
    for request in server.await.unwrap() {
        assert!(request.head.starts_with("POST /v1/traces HTTP/1.1\r\n"));
        assert!(request.head.contains("\r\nhost: localhost\r\n"));
    }
    let error = exporter.export(batch()).await.unwrap_err();
    assert_eq!(error.error_type(), "connect", "{error}");
    assert_eq!(error.to_string(), "connection refused");
}

#[tokio::test]
async fn a_server_that_comes_back_elsewhere_is_found_by_its_name() {
    let serve = async |listener: TcpListener| {
        let mut stream = listener.accept().await.unwrap().0;
        read_request(&mut stream).await.unwrap();
        stream.write_all(OK).await.unwrap();
    };
    let first = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = first.local_addr().unwrap().port();
    let url = format!("http://localhost:{port}");
    let mut exporter = OtlpExporter::builder().endpoint(&url).build().unwrap();
    let (result, ()) = tokio::join!(exporter.export(batch()), serve(first));
    assert!(result.is_ok());
    // The name has another address where there is IPv6. Otherwise it is the same again.
    let addresses = tokio::net::lookup_host(("localhost", port)).await.unwrap();
    let mut addresses: Vec<_> = addresses.collect();
    addresses.sort_by_key(|address| address.is_ipv4());
    let second = TcpListener::bind(&addresses[..]).await.unwrap();
    tokio::select! {
        biased;
        result = exporter.export(batch()) => assert!(result.is_ok(), "{result:?}"),
        () = async { serve(second).await; std::future::pending().await } => {}
    }
}
