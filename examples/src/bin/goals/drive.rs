//! The load: real HTTP requests over a few connections, each with a `traceparent` of its own.
//!
//! Stands for the services upstream. It makes no spans; what it remembers of a request is what the checks hold the
//! spans and the log lines against.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use throughline::core::{SpanContext, SpanId, TraceFlags, TraceId};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::people::{GONE, MOVED, OWNERS};
use crate::service::Draft;

/// A request and its answer.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// The title is different for each request.
    pub(crate) draft: Draft,
    /// What the `traceparent` header said.
    pub(crate) caller: SpanContext,
    pub(crate) status: StatusCode,
    /// The goal's number, by the answer.
    pub(crate) id: Option<u64>,
}

/// The part of the answer that is remembered.
#[derive(Deserialize)]
struct Added {
    id: u64,
}

/// Sends `requests` requests to the service at `address` and waits for the answers.
///
/// Every tenth goal has no owner, so that the service has something to refuse; every twenty-fifth is of an owner whose
/// address is not known yet, and every twenty-fifth of one who cannot be written to.
pub(crate) async fn drive(address: SocketAddr, requests: usize) -> Result<Vec<Sent>, DriveError> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut connections = JoinSet::new();
    for _ in 0..CONNECTIONS.min(requests) {
        connections.spawn(connection(address, requests, Arc::clone(&next)));
    }
    let mut sent = Vec::with_capacity(requests);
    while let Some(finished) = connections.join_next().await {
        sent.extend(finished??);
    }
    Ok(sent)
}

pub(crate) type DriveError = Box<dyn Error + Send + Sync>;

const CONNECTIONS: usize = 4;

/// Sends one request after the other until all connections together have sent enough.
async fn connection(
    address: SocketAddr,
    requests: usize,
    next: Arc<AtomicUsize>,
) -> Result<Vec<Sent>, DriveError> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let mut sent = Vec::new();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed) + 1;
        if number > requests {
            break;
        }
        let draft = draft(number);
        let caller = upstream();
        let request = Request::post("/goals")
            .header("host", address.to_string())
            .header("content-type", "application/json")
            .header("traceparent", caller.to_traceparent().as_str())
            .body(Full::new(Bytes::from(serde_json::to_vec(&draft)?)))?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        let added = serde_json::from_slice(&body);
        sent.push(Sent {
            draft,
            caller,
            status,
            // What was refused has none, and an answer in words.
            id: added.ok().map(|Added { id }| id),
        });
    }
    drop(sender);
    connection.await??;
    Ok(sent)
}

fn draft(number: usize) -> Draft {
    let owner = match number % 50 {
        tenth if tenth.is_multiple_of(10) => "",
        4 | 29 => MOVED,
        9 | 34 => GONE,
        other => OWNERS[other % OWNERS.len()],
    };
    Draft {
        title: format!("Goal {number}: learn to juggle"),
        owner: owner.to_owned(),
    }
}

/// A span of the caller, which is in another process as far as the service knows.
fn upstream() -> SpanContext {
    let trace_id = TraceId::from_bytes(fastrand::u128(1..).to_be_bytes());
    let span_id = SpanId::from_bytes(fastrand::u64(1..).to_be_bytes());
    SpanContext::new(trace_id, span_id, TraceFlags::SAMPLED, false)
}
