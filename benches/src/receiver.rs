//! The receiver: OTLP over HTTP in a process of its own. It decodes every request and counts what it
//! finds, by run; the first segment of the URL's path names the run.
//!
//! It speaks with the coordinator by lines: it prints its port, then answers each run's name on its
//! standard input with that run's counts as JSON, and ends with its input.
//!
//! Decoding a span into objects takes this process a microsecond or two, so that it is the bottleneck
//! below a million spans a second. Runs whose name begins with [`COUNT_ONLY`] are counted without.

use std::cell::RefCell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::io::{self, BufRead, Write};
use std::rc::Rc;
use std::thread;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::{DecodeError, Message};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::LocalSet;

use crate::measurement::Received;

/// Serves until standard input ends.
pub(crate) fn serve() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        say(&listener.local_addr()?.port())?;
        let counts = Counts::default();
        tokio::task::spawn_local(accept(listener, Rc::clone(&counts)));
        let mut questions = questions();
        while let Some(run) = questions.recv().await {
            say(&counts.borrow_mut().remove(&run).unwrap_or_default())?;
        }
        Ok(())
    })
}

type Counts = Rc<RefCell<HashMap<String, Received>>>;

async fn accept(listener: TcpListener, counts: Counts) {
    while let Ok((stream, _)) = listener.accept().await {
        let counts = Rc::clone(&counts);
        tokio::task::spawn_local(async move {
            let service = service_fn(|request| answer(request, Rc::clone(&counts)));
            // A worker that goes away in the middle of a request shows as spans not received.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    counts: Counts,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.method() == Method::GET {
        // A pacing worker asks whether the receiver has had its turn.
        return Ok(Response::new(Full::default()));
    }
    let run = request.uri().path().split('/').nth(1).map(str::to_owned);
    let body = request
        .into_body()
        .collect()
        .await
        .map(|body| body.to_bytes());
    let (Some(run), Ok(body)) = (run, body) else {
        return Ok(bad_request());
    };
    let count = if run.starts_with(COUNT_ONLY) {
        count_spans
    } else {
        count_all
    };
    let Ok(found) = count(&body) else {
        return Ok(bad_request());
    };
    let mut counts = counts.borrow_mut();
    let received = counts.entry(run).or_default();
    received.bytes += body.len() as u64;
    received.spans += found.spans;
    received.roots += found.roots;
    received.attributes += found.attributes;
    let mut response = Response::new(Full::new(Bytes::from(
        ExportTraceServiceResponse::default().encode_to_vec(),
    )));
    response.headers_mut().insert(
        CONTENT_TYPE,
        hyper::header::HeaderValue::from_static("application/x-protobuf"),
    );
    Ok(response)
}

/// Decodes `body` whole and counts all that is of interest.
fn count_all(body: &Bytes) -> Result<Received, DecodeError> {
    let export = ExportTraceServiceRequest::decode(body.as_ref())?;
    let spans = export
        .resource_spans
        .iter()
        .flat_map(|resource| &resource.scope_spans)
        .flat_map(|scope| &scope.spans);
    let mut found = Received::default();
    for span in spans {
        found.spans += 1;
        if span.parent_span_id.is_empty() || span.parent_span_id == [0; 8] {
            found.roots += 1;
        }
        let agreed = span
            .attributes
            .iter()
            .filter(|attribute| attribute.key.starts_with("order."));
        found.attributes += agreed.count() as u64;
    }
    Ok(found)
}

/// Walks over the fields of `body` and counts its spans.
fn count_spans(body: &Bytes) -> Result<Received, DecodeError> {
    let export = Export::decode(body.as_ref())?;
    let scopes = export
        .resources
        .iter()
        .flat_map(|resource| &resource.scopes);
    let spans: usize = scopes.map(|scope| scope.spans.len()).sum();
    Ok(Received {
        spans: spans as u64,
        ..Received::default()
    })
}

/// The levels of an `ExportTraceServiceRequest` above the spans' own fields.
#[derive(Clone, PartialEq, Message)]
struct Export {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceSpans {
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<ScopeSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeSpans {
    #[prost(message, repeated, tag = "2")]
    spans: Vec<Span>,
}

/// No field is kept: each is skipped.
#[derive(Clone, PartialEq, Message)]
struct Span {}

fn bad_request() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}

/// The lines of standard input, read on a thread because reading blocks.
fn questions() -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

fn say(answer: &impl serde::Serialize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, answer)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Begins the names of runs whose spans are counted and not decoded into objects.
pub(crate) const COUNT_ONLY: &str = "count-";
