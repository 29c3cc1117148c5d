//! Calls against a scripted HTTP/2 server.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Response;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};

use crate::connect::testing::{Directory, read_request};
use crate::exporter::{Batch, SpanExporter};
use crate::otlp::{OtlpExporter, OtlpExporterBuilder, Protocol};

use super::*;

/// What the server answers.
#[derive(Clone, Default)]
struct Answer {
    status: Option<u16>,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
    trailers: Vec<(&'static str, String)>,
    /// Never answers.
    silent: bool,
}

/// Says a code at the end, like a server that began to answer.
fn trailers(code: u32, more: &[(&'static str, String)]) -> Answer {
    let mut trailers = vec![("grpc-status", code.to_string())];
    trailers.extend_from_slice(more);
    Answer {
        trailers,
        ..Answer::default()
    }
}

/// Says a code at once, as servers do that have nothing else to say.
fn trailers_only(code: u32, more: &[(&'static str, String)]) -> Answer {
    let mut headers = vec![("grpc-status", code.to_string())];
    headers.extend_from_slice(more);
    Answer {
        headers,
        ..Answer::default()
    }
}

fn framed(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], &length[..], message].concat().into()
}

/// What the server has seen.
#[derive(Default)]
struct Seen {
    connections: usize,
    requests: Vec<(http::request::Parts, Bytes)>,
}

struct Server {
    url: String,
    seen: Arc<Mutex<Seen>>,
}

/// A server that gives these answers, and the last of them for ever.
async fn server(answers: Vec<Answer>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Seen::default()));
    let server = Server {
        url,
        seen: Arc::clone(&seen),
    };
    let answers = Arc::new(Mutex::new(answers));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (seen, answers) = (Arc::clone(&seen), Arc::clone(&answers));
            tokio::spawn(serve(stream, seen, answers));
        }
    });
    server
}

/// Serves one connection.
async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    seen: Arc<Mutex<Seen>>,
    answers: Arc<Mutex<Vec<Answer>>>,
) {
    seen.lock().unwrap().connections += 1;
    let service = service_fn(|request: Request<Incoming>| {
        let (seen, answers) = (Arc::clone(&seen), Arc::clone(&answers));
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            seen.lock().unwrap().requests.push((head, body));
            let answer = {
                let mut answers = answers.lock().unwrap();
                match answers.len() {
                    1 => answers[0].clone(),
                    _ => answers.remove(0),
                }
            };
            Ok::<_, Infallible>(answer.response().await)
        }
    });
    // A client that goes is none of our business.
    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

impl Answer {
    async fn response(self) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
        if self.silent {
            std::future::pending::<()>().await;
        }
        let mut trailers = HeaderMap::new();
        for (name, value) in self.trailers {
            trailers.insert(name, value.parse().unwrap());
        }
        let body = if trailers.is_empty() {
            Full::new(self.body).boxed_unsync()
        } else {
            let frames = [Frame::data(self.body), Frame::trailers(trailers)];
            StreamBody::new(tokio_stream::iter(frames.map(Ok))).boxed_unsync()
        };
        let mut response = Response::new(body);
        if let Some(status) = self.status {
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
        }
        for (name, value) in self.headers {
            response.headers_mut().insert(name, value.parse().unwrap());
        }
        response
    }
}

fn configured(url: &str) -> OtlpExporterBuilder {
    OtlpExporter::builder()
        .protocol(Protocol::Grpc)
        .endpoint(url)
        .header("authorization", "Bearer c4nary")
        .header("grpc-encoding", "br")
        .header("te", "gzip")
}

fn batch() -> Batch {
    Batch::new(Bytes::from_static(b"request"), 3)
}

/// What the exporter makes of one answer.
async fn export(answer: Answer) -> Result<Receipt, ExportError> {
    let server = server(vec![answer]).await;
    let mut exporter = configured(&server.url).build().unwrap();
    exporter.export(batch()).await
}

/// `google.rpc.Status` with a `RetryInfo`, as it stands in a trailer.
fn retry_details(seconds: u8, nanos: u8) -> (&'static str, String) {
    let delay = [0x08, seconds, 0x10, nanos];
    let info = [&[0x0a, 4], &delay[..]].concat();
    let url = b"type.googleapis.com/google.rpc.RetryInfo";
    let any = [&[0x0a, url.len() as u8], &url[..], &[0x12, 6], &info].concat();
    let status = [&[0x08, 8, 0x1a, any.len() as u8], &any[..]].concat();
    let value = tonic::metadata::BinaryMetadataValue::from_bytes(&status);
    let text = std::str::from_utf8(value.as_encoded_bytes()).unwrap();
    (GRPC_STATUS_DETAILS, text.to_owned())
}

#[tokio::test]
async fn a_call_is_what_a_collector_expects() {
    let server = server(vec![trailers(0, &[])]).await;
    let mut exporter = configured(&server.url).build().unwrap();
    for _ in 0..2 {
        assert_eq!(exporter.export(batch()).await.unwrap(), Receipt::complete());
    }
    let seen = server.seen.lock().unwrap();
    assert_eq!((seen.connections, seen.requests.len()), (1, 2));
    for (head, body) in &seen.requests {
        assert_eq!(head.method, Method::POST);
        assert_eq!(
            head.uri.path(),
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
        );
        let mut headers: Vec<_> = head
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        headers.sort_unstable();
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            headers,
            [
                "authorization: Bearer c4nary",
                "content-type: application/grpc",
                "te: trailers",
                &format!("user-agent: throughline/{version} OTel-OTLP-Exporter-Rust/{version}"),
            ]
        );
        assert_eq!(*body, framed(b"request"));
    }
}

#[tokio::test]
async fn every_code_is_classified_with_and_without_retry_info() {
    let transient = [1, 4, 10, 11, 14, 15];
    for code in 1..40 {
        for (details, wait) in [
            (vec![], None),
            (vec![retry_details(7, 9)], Some(Duration::new(7, 9))),
            (vec![retry_details(0, 0)], Some(Duration::ZERO)),
        ] {
            for answer in [trailers(code, &details), trailers_only(code, &details)] {
                let error = export(answer).await.unwrap_err();
                let exhausted = code == 8;
                let retries = transient.contains(&code) || exhausted && wait.is_some();
                assert_eq!(error.is_transient(), retries, "{code} {wait:?}");
                assert_eq!(error.is_too_large(), exhausted && wait.is_none());
                assert_eq!(error.retry_after(), wait.filter(|_| retries));
                assert_eq!(error.error_type(), name(Code::from(code as i32)), "{code}");
                assert!(!error.is_unreachable());
            }
        }
    }
}

#[tokio::test]
async fn partial_success_is_success_with_a_count() {
    let partial = b"\x0a\x0b\x08\x02\x12\x07too old";
    for (body, expected) in [
        (framed(partial), Receipt::partial(2, "too old")),
        (framed(b""), Receipt::complete()),
        // What cannot be read says nothing.
        (Bytes::new(), Receipt::complete()),
        (Bytes::from_static(b"\0\0\0\0\xffabc"), Receipt::complete()),
        (Bytes::from_static(b"\x01\0\0\0\x01a"), Receipt::complete()),
        (framed(b"\x0a\x7f"), Receipt::complete()),
    ] {
        let answer = Answer {
            body,
            ..trailers(0, &[])
        };
        assert_eq!(export(answer).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn the_servers_words_are_read_whatever_they_are() {
    let said = ("grpc-message", "too%20many%0a%ff %C3%A9".to_owned());
    let error = export(trailers(3, &[said])).await.unwrap_err();
    assert_eq!(error.to_string(), "INVALID_ARGUMENT: too many\n\u{fffd} é");
    for details in ["!!!", "", "AAAA", "CAMa", "GgA="] {
        let details = (GRPC_STATUS_DETAILS, details.to_owned());
        let error = export(trailers(14, &[details])).await.unwrap_err();
        assert_eq!(error.to_string(), "UNAVAILABLE");
        assert!(error.is_transient() && error.retry_after().is_none());
    }
    for code in ["x", "", "-1", "1000000000000"] {
        let mut answer = trailers(0, &[]);
        answer.trailers[0].1 = code.to_owned();
        let error = export(answer).await.unwrap_err();
        assert!(!error.is_transient(), "{error}");
    }
}

#[tokio::test]
async fn who_does_not_speak_grpc_is_judged_by_the_http_status() {
    for status in 200..600 {
        let answer = Answer {
            status: Some(status),
            body: Bytes::from_static(b"<html>"),
            ..Answer::default()
        };
        let error = export(answer).await.unwrap_err();
        assert_eq!(error.is_transient(), [429, 502, 503, 504].contains(&status));
        assert!(!error.is_too_large());
        assert!(error.to_string().contains(&status.to_string()), "{error}");
    }
}

#[tokio::test]
async fn a_response_bomb_is_refused() {
    let answer = Answer {
        body: framed(&vec![0; MAX_RESPONSE_BYTES + 1]),
        ..trailers(0, &[])
    };
    let error = export(answer).await.unwrap_err();
    assert_eq!(error.error_type(), "response_too_large");
    assert!(!error.is_transient() && !error.is_too_large());
    let answer = Answer {
        body: framed(&vec![0; MAX_RESPONSE_BYTES]),
        ..trailers(0, &[])
    };
    assert!(export(answer).await.is_ok());
}

#[tokio::test]
async fn no_response_may_come_later() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut exporter = configured(&url).build().unwrap();
    let (error, ()) = tokio::join!(exporter.export(batch()), async {
        let mut stream = listener.accept().await.unwrap().0;
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).await.unwrap();
        drop(listener);
    });
    let error = error.unwrap_err();
    assert!(error.is_transient() && !error.is_unreachable(), "{error:?}");

    let error = exporter.export(batch()).await.unwrap_err();
    assert_eq!(error.to_string(), "connection refused");
    assert_eq!(error.error_type(), "connect");
    assert!(error.is_transient() && error.is_unreachable());
}

#[tokio::test]
async fn another_protocol_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut exporter = configured(&url).build().unwrap();
    let (error, _) = tokio::join!(exporter.export(batch()), async {
        let mut stream = listener.accept().await.unwrap().0;
        let answer = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        stream.read_to_end(&mut Vec::new()).await
    });
    let error = error.unwrap_err();
    assert_eq!(error.error_type(), "not_http", "{error:?}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_call_that_got_no_answer_takes_its_connection_along() {
    let silent = Answer {
        silent: true,
        ..Answer::default()
    };
    let server = server(vec![silent, trailers(0, &[])]).await;
    let mut exporter = configured(&server.url).build().unwrap();
    let asked = || server.seen.lock().unwrap().requests.len();
    tokio::select! {
        _ = exporter.export(batch()) => panic!("nobody answers"),
        () = async { while asked() == 0 { tokio::task::yield_now().await; } } => {}
    }
    assert!(exporter.export(batch()).await.is_ok());
    assert_eq!(server.seen.lock().unwrap().connections, 2);
}

#[cfg(feature = "gzip")]
#[tokio::test]
async fn a_compressed_request_is_the_same_when_it_is_sent_again() {
    use std::io::Read as _;
    let server = server(vec![trailers(14, &[]), trailers(0, &[])]).await;
    let mut exporter = configured(&server.url)
        .compression(Compression::Gzip)
        .build()
        .unwrap();
    let request = Bytes::from(b"a span, ".repeat(10_000));
    let batch = Batch::new(request.clone(), 3);
    assert!(exporter.export(batch.clone()).await.is_err());
    assert!(exporter.export(batch).await.is_ok());
    let seen = server.seen.lock().unwrap();
    let [(head, first), (_, second)] = &seen.requests[..] else {
        panic!("two requests")
    };
    assert_eq!(head.headers["grpc-encoding"], "gzip");
    assert_eq!(first, second);
    assert!(first.len() < request.len() / 10);
    assert_eq!(first[0], 1, "the frame says that it is compressed");
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&first[FRAME_HEADER_BYTES..])
        .read_to_end(&mut plain)
        .unwrap();
    assert_eq!(plain, request);
}

#[tokio::test]
async fn calls_go_to_a_unix_socket() {
    let files = Directory::new();
    let path = files.path("otlp.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let seen = Arc::new(Mutex::new(Seen::default()));
    let answers = Arc::new(Mutex::new(vec![trailers(0, &[])]));
    let server = tokio::spawn({
        let seen = Arc::clone(&seen);
        async move { serve(listener.accept().await.unwrap().0, seen, answers).await }
    });
    let url = format!("unix://{}", path.display());
    let mut exporter = configured(&url).build().unwrap();
    assert!(exporter.export(batch()).await.is_ok());
    drop(exporter);
    server.await.unwrap();
    assert_eq!(seen.lock().unwrap().requests[0].1, framed(b"request"));
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn calls_go_over_tls_unless_somebody_insists() {
    use crate::connect::testing::certificates::{Guests, acceptor, authority, identity, same};
    let files = Directory::new();
    let authority = authority();
    let root = files.write("root.pem", authority.pem());
    let identity = identity(&authority, "localhost", same);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(Mutex::new(Seen::default()));
    let answers = Arc::new(Mutex::new(vec![trailers(0, &[])]));
    tokio::spawn({
        let seen = Arc::clone(&seen);
        async move {
            loop {
                let acceptor = acceptor(&identity, Guests::Everybody, b"h2");
                let stream = listener.accept().await.unwrap().0;
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream, Arc::clone(&seen), Arc::clone(&answers)).await;
                }
            }
        }
    });
    for address in [
        format!("https://localhost:{port}"),
        format!("localhost:{port}"),
    ] {
        let mut exporter = configured(&address).certificate(&root).build().unwrap();
        assert!(exporter.destination().starts_with("https://localhost:"));
        assert!(exporter.export(batch()).await.is_ok(), "{address}");
    }
    assert_eq!(seen.lock().unwrap().requests.len(), 2);

    let mut exporter = configured(&format!("localhost:{port}")).insecure(true);
    exporter = exporter.certificate(&root);
    let mut exporter = exporter.build().unwrap();
    assert!(exporter.destination().starts_with("http://localhost:"));
    assert!(exporter.export(batch()).await.is_err());
    assert_eq!(seen.lock().unwrap().requests.len(), 2);
}

#[tokio::test]
async fn calls_go_through_a_tunnel() {
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", proxy.local_addr().unwrap());
    let mut exporter = configured("http://collector.invalid")
        .env_from(|name| (name == "HTTP_PROXY").then(|| url.clone()))
        .build()
        .unwrap();
    let seen = Arc::new(Mutex::new(Seen::default()));
    let answers = Arc::new(Mutex::new(vec![trailers(0, &[])]));
    let server = tokio::spawn(async move {
        let mut stream = proxy.accept().await.unwrap().0;
        let request = read_request(&mut stream).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        serve(stream, seen, answers).await;
        request.head
    });
    assert!(exporter.export(batch()).await.is_ok());
    drop(exporter);
    let head = server.await.unwrap();
    assert!(
        head.starts_with("CONNECT collector.invalid:80 HTTP/1.1\r\n"),
        "{head}"
    );
}

/// The pipeline has its own runtime; nobody needs to be inside another.
#[test]
fn a_pipeline_calls_without_any_runtime_around_it() {
    static WORK: throughline_core::Callsite =
        throughline_core::Callsite::new(throughline_core::CallsiteSpec {
            name: "work",
            kind: throughline_core::SpanKind::Internal,
            level: throughline_core::Level::Info,
            target: "grpc",
            scope_name: "grpc",
            scope_version: "1",
            static_fields: &[],
        });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let busy = trailers(14, &[]);
    let server = runtime.block_on(server(vec![busy, trailers(0, &[])]));
    let pipeline = crate::Pipeline::builder()
        .protocol(Protocol::Grpc)
        .endpoint(&server.url)
        .start()
        .unwrap();
    {
        let _here = pipeline.context().attach();
        for _ in 0..10 {
            throughline_core::Span::start(&WORK).end();
        }
    }
    let report = pipeline.shutdown(Duration::from_secs(60));
    assert_eq!((report.exported, report.failed), (10, 0), "{report}");
    let seen = server.seen.lock().unwrap();
    assert_eq!(seen.requests.len(), 2);
    assert_eq!(
        seen.requests[0].1, seen.requests[1].1,
        "the same bytes again"
    );
}
