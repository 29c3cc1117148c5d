//! The receiver: OTLP over HTTP and gRPC in a process of its own. It decodes every request and counts what it
//! finds, by run. The first segment of the URL's path says what is wrong with the receiver and the second names the
//! run; over gRPC a header names it.
//!
//! It speaks with the coordinator by lines: it prints its addresses, then answers each run's name on its
//! standard input with that run's counts as JSON, and ends with its input.
//!
//! Decoding a span into objects takes this process a microsecond or two, so that it is the bottleneck
//! below a million spans a second. Runs whose name begins with [`COUNT_ONLY`] are counted without.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future;
use std::io::{self, BufRead, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use flate2::read::GzDecoder;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::{DecodeError, Message};
use tokio::net::TcpListener;
use tokio::sync::{Mutex as AsyncMutex, mpsc};
use tokio::time::{Interval, interval};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::companion::say;
use crate::measurement::Received;
use crate::scenario::{Axis, Fault};
use crate::target::{Addresses, RUN};

/// Serves until standard input ends: the process of a [`Receiver`](crate::Receiver).
///
/// # Errors
///
/// There is no port to listen on, or nobody who reads the answers.
pub fn serve() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (http, grpc) = (
            TcpListener::bind(anywhere).await?,
            TcpListener::bind(anywhere).await?,
        );
        say(&Addresses {
            http: http.local_addr()?,
            grpc: grpc.local_addr()?,
        })?;
        let counts = Counts::default();
        let beat = Arc::new(AsyncMutex::new(interval(BEAT)));
        tokio::spawn(accept(http, counts.clone(), beat));
        let service = TraceServiceServer::new(counts.clone()).max_decoding_message_size(LARGEST);
        let server = Server::builder().add_service(service);
        let incoming = TcpIncoming::from(grpc).with_nodelay(Some(true));
        // A worker that finds no server shows as spans not received.
        tokio::spawn(server.serve_with_incoming(incoming));
        let mut questions = questions();
        while let Some(run) = questions.recv().await {
            say(&counts.lock().remove(&run).unwrap_or_default())?;
        }
        Ok(())
    })
}

/// What came, by run.
#[derive(Clone, Default)]
struct Counts(Arc<Mutex<HashMap<String, Received>>>);

impl Counts {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Received>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, run: String, bytes: usize, found: Received) {
        let mut counts = self.lock();
        let received = counts.entry(run).or_default();
        received.bytes += bytes as u64;
        received.spans += found.spans;
        received.roots += found.roots;
        received.attributes += found.attributes;
    }
}

/// A slow receiver takes one request after the other, and a whole beat for each.
type Beat = Arc<AsyncMutex<Interval>>;

async fn accept(listener: TcpListener, counts: Counts, beat: Beat) {
    while let Ok((stream, _)) = listener.accept().await {
        let (counts, beat) = (counts.clone(), beat.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, counts.clone(), &beat));
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
    beat: &AsyncMutex<Interval>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.method() == Method::GET {
        // A pacing worker asks whether the receiver has had its turn.
        return Ok(Response::new(Full::default()));
    }
    let mut segments = request.uri().path().split('/').skip(1).map(str::to_owned);
    let (fault, run) = (segments.next(), segments.next());
    let compressed = request.headers().contains_key(CONTENT_ENCODING);
    let body = request
        .into_body()
        .collect()
        .await
        .map(|body| body.to_bytes());
    let (Some(fault), Some(run), Ok(body)) = (fault.and_then(named), run, body) else {
        return Ok(refusal(StatusCode::BAD_REQUEST));
    };
    match fault {
        Fault::Healthy | Fault::Absent => (),
        Fault::BlackHole => future::pending().await,
        Fault::Slow => {
            let mut beat = beat.lock().await;
            beat.reset();
            beat.tick().await;
        }
        Fault::Unavailable => return Ok(refusal(StatusCode::SERVICE_UNAVAILABLE)),
    }
    let count = if run.starts_with(COUNT_ONLY) {
        count_spans
    } else {
        count_all
    };
    let sent = body.len();
    let Some(found) = unpacked(body, compressed).and_then(|body| count(&body).ok()) else {
        return Ok(refusal(StatusCode::BAD_REQUEST));
    };
    counts.add(run, sent, found);
    let mut response = Response::new(Full::new(Bytes::from(
        ExportTraceServiceResponse::default().encode_to_vec(),
    )));
    let protobuf = HeaderValue::from_static("application/x-protobuf");
    response.headers_mut().insert(CONTENT_TYPE, protobuf);
    Ok(response)
}

fn named(fault: String) -> Option<Fault> {
    Fault::ALL
        .iter()
        .copied()
        .find(|known| known.name() == fault)
}

fn unpacked(body: Bytes, compressed: bool) -> Option<Bytes> {
    if !compressed {
        return Some(body);
    }
    let mut plain = Vec::new();
    GzDecoder::new(body.as_ref()).read_to_end(&mut plain).ok()?;
    Some(plain.into())
}

#[tonic::async_trait]
impl TraceService for Counts {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        let run = request.metadata().get(RUN);
        let run = run.and_then(|run| run.to_str().ok()).map(str::to_owned);
        let Some(run) = run else {
            return Err(tonic::Status::invalid_argument("no run is named"));
        };
        let export = request.get_ref();
        self.add(run, export.encoded_len(), count_decoded(export));
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

/// Decodes `body` whole and counts all that is of interest.
fn count_all(body: &Bytes) -> Result<Received, DecodeError> {
    Ok(count_decoded(&ExportTraceServiceRequest::decode(
        body.as_ref(),
    )?))
}

fn count_decoded(export: &ExportTraceServiceRequest) -> Received {
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
    found
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

fn refusal(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
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

/// Begins the names of runs whose spans are counted and not decoded into objects.
pub const COUNT_ONLY: &str = "count-";

/// How long a slow receiver takes.
const BEAT: Duration = Duration::from_secs(1);
/// The largest message that the gRPC server takes.
const LARGEST: usize = 64 << 20;
