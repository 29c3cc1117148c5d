//! Serves the connections: reads a request, decodes it, records it, answers.
//!
//! Owns the HTTP side of OTLP. It runs on the receiver's thread only and holds no lock across an `.await`.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use prost::Message;
use tokio::sync::oneshot;

use super::{ReceivedRequest, Response, Shared};
use crate::decode;
use crate::span::ReceivedSpan;

/// Where OTLP/HTTP puts traces.
pub(super) const TRACES_PATH: &str = "/v1/traces";
/// The content type of binary OTLP.
pub(super) const PROTOBUF: &str = "application/x-protobuf";
/// Larger bodies are refused with 413: eight times what the exporter is meant to send at most.
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;
/// How long to wait after `accept` failed, which it does when the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Accepts connections until `stop` is dropped.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>, stop: oneshot::Receiver<()>) {
    // Fails only outside of a runtime with I/O; then there is nothing to serve.
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        return;
    };
    let accept = async {
        loop {
            let Ok((connection, _)) = listener.accept().await else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let shared = Arc::clone(&shared);
            tokio::spawn(async move {
                let service = service_fn(|request| answer(request, &shared));
                // Ends with an error when the peer goes away or the script drops the connection: both are expected.
                let _ = http1::Builder::new()
                    .serve_connection(TokioIo::new(connection), service)
                    .await;
            });
        }
    };
    tokio::select! {
        () = accept => {}
        _ = stop => {}
    }
}

/// Answers one request; an error makes hyper drop the connection without an answer.
async fn answer(
    request: Request<Incoming>,
    shared: &Shared,
) -> Result<http::Response<Full<Bytes>>, Error> {
    let (head, body) = request.into_parts();
    let (body, outcome) = match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(body) => {
            let body = body.to_bytes();
            let outcome = accept(&head, &body);
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
        Err(error) => return Err(error),
    };
    let request = ReceivedRequest {
        received_at: Instant::now(),
        method: head.method.to_string(),
        path: head.uri.to_string(),
        headers: headers(&head.headers),
        spans: outcome.as_ref().map_or(0, Vec::len),
        rejection: outcome.as_ref().err().map(|refusal| refusal.reason.clone()),
        body,
    };
    let scripted = {
        let mut state = shared.lock();
        state.requests.push(request);
        state.script.pop_front()
    };
    shared.changed.notify_all();

    let response = match (scripted, &outcome) {
        (Some(scripted), _) => scripted,
        (None, Ok(_)) => Response::ok(),
        (None, Err(refusal)) => refusal.response(),
    };
    if !response.delay.is_zero() {
        tokio::time::sleep(response.delay).await;
    }
    if response.drop_connection {
        return Err("the script drops the connection".into());
    }
    if let (true, Ok(spans)) = (response.is_accepting(), outcome) {
        shared.lock().spans.extend(spans);
        shared.changed.notify_all();
    }
    Ok(response.into_http())
}

/// Why a request is no valid export request, and what OTLP answers.
struct Refusal {
    status: u16,
    reason: String,
}

impl Refusal {
    /// A `google.rpc.Status`, as the specification wants it: field 2 is the message.
    fn response(&self) -> Response {
        let status = RpcStatus {
            message: self.reason.clone(),
        };
        let response = Response::new(self.status).body(status.encode_to_vec());
        match self.status {
            405 => response.header("allow", "POST"),
            _ => response,
        }
    }
}

/// The part of `google.rpc.Status` that OTLP/HTTP uses.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RpcStatus {
    #[prost(string, tag = "2")]
    pub(super) message: String,
}

fn accept(head: &http::request::Parts, body: &Bytes) -> Result<Vec<ReceivedSpan>, Refusal> {
    let refuse = |status, reason| Err(Refusal { status, reason });
    if head.uri.path() != TRACES_PATH {
        return refuse(404, format!("nothing is received at {}", head.uri.path()));
    }
    if head.method != Method::POST {
        return refuse(405, format!("{} instead of POST", head.method));
    }
    let text = |name| {
        let value: Option<&http::HeaderValue> = head.headers.get(name);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let content_type = text(header::CONTENT_TYPE);
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case(PROTOBUF) {
        return refuse(
            415,
            format!("content type {content_type:?} instead of {PROTOBUF:?}"),
        );
    }
    let encoding = text(header::CONTENT_ENCODING);
    if !matches!(encoding, "" | "identity") {
        return refuse(
            415,
            format!("content encoding {encoding:?} is not supported"),
        );
    }
    decode::request(body).or_else(|error| refuse(400, error.to_string()))
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
