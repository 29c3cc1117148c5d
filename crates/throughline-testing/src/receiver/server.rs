//! Serves the connections: reads a request, decodes it, records it, answers.
//!
//! Owns the HTTP side of OTLP. It runs on the receiver's thread only and holds no lock across an `.await`.

use std::convert::Infallible;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{HeaderName, Method, Request, StatusCode, Version, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use prost::Message;
use tokio::net::TcpStream;

use super::body::ScriptedBody;
use super::connection::Peer;
use super::grpc::{self, RpcStatus};
use super::http2;
use super::response::Action;
use super::{ReceivedRequest, Response, Shared};
use crate::decode::{self, Content};

/// Where OTLP/HTTP puts traces.
pub(super) const TRACES_PATH: &str = "/v1/traces";
/// The content type of binary OTLP.
pub(super) const PROTOBUF: &str = "application/x-protobuf";
/// Larger bodies are refused with 413: eight times what the exporter is meant to send at most.
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;
/// How many headers are written at a time when there is no end of them.
const HEADERS_AT_ONCE: usize = 64;

/// Serves one connection to its end, in the version of HTTP that its first bytes ask for.
pub(super) async fn connection(socket: TcpStream, shared: Arc<Shared>) {
    // Fails on a socket that is broken already, which the first read will tell.
    let _ = socket.set_nodelay(true);
    let (peer, stream) = Peer::of(socket);
    let ended = peer.clone();
    let service = service_fn(move |request| {
        let (shared, peer) = (Arc::clone(&shared), peer.clone());
        let stream = peer.next_stream();
        async move { answer(request, &shared, &peer, stream).await }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    // Ends with an error when the peer goes away, which is expected.
    tokio::select! {
        _ = builder.serve_connection(TokioIo::new(stream), service) => {}
        () = ended.ended() => {}
    }
}

/// Answers one request, unless the script ends the connection instead.
async fn answer(
    request: Request<Incoming>,
    shared: &Shared,
    peer: &Peer,
    stream: u32,
) -> Result<http::Response<ScriptedBody>, Infallible> {
    let (head, body) = request.into_parts();
    let (body, outcome) = match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(body) => {
            let body = body.to_bytes();
            let outcome = accept(&head, &body, shared.keeps_spans());
            (body, outcome)
        }
        Err(error) if error.is::<LengthLimitError>() => {
            let reason = format!("the body has more than {MAX_BODY_BYTES} bytes");
            (
                Bytes::new(),
                Err(Refusal {
                    status: 413,
                    reason,
                }),
            )
        }
        // The sender has gone away in the middle of it.
        Err(_) => peer.close().await,
    };
    let is_grpc = is_grpc(&head);
    let request = ReceivedRequest {
        received_at: Instant::now(),
        method: head.method.to_string(),
        path: head
            .uri
            .path_and_query()
            .map_or_else(String::new, ToString::to_string),
        headers: headers(&head.headers),
        spans: outcome.as_ref().map_or(0, |content| content.ids.len()),
        rejection: outcome.as_ref().err().map(|refusal| refusal.reason.clone()),
        body,
    };
    let ids = outcome.as_ref().map_or(&[][..], |content| &content.ids);
    let response = match (shared.arrived(request, ids), &outcome) {
        (Some(scripted), _) => scripted,
        (None, Ok(_)) => Response::ok(),
        (None, Err(refusal)) => refusal.response(is_grpc),
    };
    if !response.delay.is_zero() {
        tokio::time::sleep(response.delay).await;
    }
    match &response.action {
        Action::Answer => {}
        Action::Close => peer.close().await,
        Action::Reset => peer.reset().await,
        Action::HalfClose => peer.half_close().await,
        Action::Stall => std::future::pending().await,
        Action::Raw(bytes) => {
            // Fails when the other side has gone, and then so may this one.
            let _ = peer.write_raw(bytes).await;
            peer.close().await;
        }
        Action::EndlessHeaders => {
            let (first, more) = endless_headers(head.version, response.status, stream);
            let mut written = peer.write_raw(&first).await;
            while written.is_ok() {
                written = peer.write_raw(&more).await;
                tokio::task::yield_now().await;
            }
            peer.close().await;
        }
    }
    if let (true, Ok(content)) = (response.is_accepting(), outcome) {
        shared.accepted(content);
    }
    Ok(response.into_http(is_grpc))
}

/// The beginning of an answer, and what can follow it again and again.
fn endless_headers(version: Version, status: StatusCode, stream: u32) -> (Bytes, Bytes) {
    if version == Version::HTTP_2 {
        return (
            http2::first_headers(stream, status),
            http2::more_headers(stream, HEADERS_AT_ONCE),
        );
    }
    (
        Bytes::from(format!("HTTP/1.1 {} Endless\r\n", status.as_str())),
        Bytes::from(b"x-more: and more\r\n".repeat(HEADERS_AT_ONCE)),
    )
}

/// Why a request is no valid export request, and what OTLP answers.
struct Refusal {
    status: u16,
    reason: String,
}

impl Refusal {
    /// A `google.rpc.Status`, as the specification wants it: in the body, or in the trailers of gRPC.
    fn response(&self, is_grpc: bool) -> Response {
        if is_grpc {
            // Invalid argument.
            return Response::grpc(3, &self.reason);
        }
        let status = RpcStatus {
            message: self.reason.clone(),
            ..RpcStatus::default()
        };
        let response = Response::new(self.status).body(status.encode_to_vec());
        match self.status {
            405 => response.header("allow", "POST"),
            _ => response,
        }
    }
}

fn is_grpc(head: &http::request::Parts) -> bool {
    text(head, header::CONTENT_TYPE).starts_with(grpc::CONTENT_TYPE)
}

fn text(head: &http::request::Parts, name: HeaderName) -> &str {
    let value: Option<&http::HeaderValue> = head.headers.get(name);
    value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// Reads an export request over either protocol.
fn accept(
    head: &http::request::Parts,
    body: &Bytes,
    keeps_spans: bool,
) -> Result<Content, Refusal> {
    let refuse = |status, reason| Err(Refusal { status, reason });
    let is_grpc = is_grpc(head);
    let wanted_path = if is_grpc {
        grpc::TRACES_CALL
    } else {
        TRACES_PATH
    };
    if head.uri.path() != wanted_path {
        return refuse(404, format!("nothing is received at {}", head.uri.path()));
    }
    if head.method != Method::POST {
        return refuse(405, format!("{} instead of POST", head.method));
    }
    let content_type = text(head, header::CONTENT_TYPE);
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !is_grpc && !media_type.eq_ignore_ascii_case(PROTOBUF) {
        return refuse(
            415,
            format!("content type {content_type:?} instead of {PROTOBUF:?}"),
        );
    }
    let (message, encoding) = if is_grpc {
        match grpc::unframe(body) {
            Ok((message, true)) => {
                let encoding = HeaderName::from_static("grpc-encoding");
                (message, text(head, encoding))
            }
            Ok((message, false)) => (message, ""),
            Err(reason) => return refuse(400, reason),
        }
    } else {
        (body.clone(), text(head, header::CONTENT_ENCODING))
    };
    let message = match encoding {
        "" | "identity" => message,
        "gzip" => match gunzip(&message) {
            Ok(message) => message,
            Err(error) => return refuse(400, format!("not gzip: {error}")),
        },
        other => {
            return refuse(415, format!("content encoding {other:?} is not supported"));
        }
    };
    decode::content(message, keeps_spans).or_else(|error| refuse(400, error.to_string()))
}

fn gunzip(packed: &[u8]) -> io::Result<Bytes> {
    let mut message = Vec::new();
    // One byte beyond the limit tells that there was more.
    let limit = MAX_BODY_BYTES as u64 + 1;
    GzDecoder::new(packed)
        .take(limit)
        .read_to_end(&mut message)?;
    if message.len() > MAX_BODY_BYTES {
        return Err(io::Error::other(format!(
            "more than {MAX_BODY_BYTES} bytes inside"
        )));
    }
    Ok(Bytes::from(message))
}

fn headers(headers: &http::HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), value)
        })
        .collect()
}
