//! An OTLP collector for tests: real HTTP, in this process.
//!
//! Owns what it received. It must not know who sends. Who may touch what:
//!
//! 1. `state` holds everything received and the script; the server thread writes it, any thread reads it.
//! 2. `changed` is signalled after each request that arrived and each that was accepted, with `state` unlocked.

mod body;
mod connection;
mod grpc;
mod http2;
mod response;
mod server;

use std::collections::VecDeque;
use std::fmt::{self, Display};
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

pub use self::response::Response;
use crate::decode::Content;
use crate::listening::Listening;
use crate::span::ReceivedSpan;
use crate::trace::Trace;

/// An in-process OTLP receiver on a free port of 127.0.0.1: protobuf bodies on `/v1/traces` over HTTP/1.1 and HTTP/2,
/// and calls over gRPC, plain or packed with gzip.
///
/// It runs on a thread and a runtime of its own, decodes with `opentelemetry-proto`, and answers as the OTLP
/// specification says; requests it cannot take are answered with a 4xx status and kept with the reason. It stops
/// when dropped, and waits at most [two seconds](Self::STOP_DEADLINE) for that.
///
/// Of each span it remembers the id, of those it [accepted](Self::accepted_ids) and of those it
/// [saw](Self::seen_ids); [`Oracle`](crate::Oracle) compares them with what was sent. For a test of millions of spans
/// the ids can be [all it keeps](Self::keep_ids_only).
///
/// ```
/// use std::io::{Read, Write};
/// use std::time::Duration;
/// use throughline_testing::OtlpReceiver;
///
/// let receiver = OtlpReceiver::start()?;
/// // An empty request: no spans, but valid.
/// let mut connection = std::net::TcpStream::connect(receiver.addr())?;
/// connection.write_all(
///     b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
///       Content-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n",
/// )?;
/// let mut answer = String::new();
/// connection.read_to_string(&mut answer)?;
///
/// assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"));
/// assert!(receiver.wait_for_requests(1, Duration::from_secs(5)));
/// assert!(receiver.spans().is_empty());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct OtlpReceiver {
    listening: Listening,
    shared: Arc<Shared>,
}

/// One HTTP request as it arrived, whatever the answer was.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReceivedRequest {
    /// When its last byte was read.
    pub received_at: Instant,
    /// The method.
    pub method: String,
    /// The path, with the query if there was one.
    pub path: String,
    /// The headers, names in lower case, in the order they were sent; values that are not UTF-8 are lossy.
    pub headers: Vec<(String, String)>,
    /// How many spans the body holds; zero when it could not be decoded.
    pub spans: usize,
    /// Why it is not a valid export request; `None` if it is one.
    pub rejection: Option<String>,
    body: Bytes,
}

impl OtlpReceiver {
    /// How long dropping a receiver waits for its thread.
    pub const STOP_DEADLINE: Duration = Listening::STOP_DEADLINE;

    /// Starts on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// If no socket, thread or runtime can be made.
    pub fn start() -> io::Result<Self> {
        Self::start_at(("127.0.0.1", 0))
    }

    /// Starts at a given address: to come back where an earlier receiver stopped.
    ///
    /// # Errors
    ///
    /// If the address is taken or invalid, or if no thread or runtime can be made.
    pub fn start_at(addr: impl ToSocketAddrs) -> io::Result<Self> {
        Self::start_on(TcpListener::bind(addr)?)
    }

    /// Starts on a socket that listens already.
    ///
    /// # Errors
    ///
    /// If no thread or runtime can be made.
    pub fn start_on(listener: TcpListener) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let served = Arc::clone(&shared);
        let connection = move |socket| server::connection(socket, Arc::clone(&served));
        Ok(Self {
            listening: Listening::start(listener, "otlp-receiver", connection)?,
            shared,
        })
    }

    /// The address it listens on.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.listening.addr()
    }

    /// The value for `OTEL_EXPORTER_OTLP_ENDPOINT`: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.addr())
    }

    /// The value for `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`: `http://127.0.0.1:PORT/v1/traces`.
    #[must_use]
    pub fn traces_endpoint(&self) -> String {
        format!("http://{}{}", self.addr(), server::TRACES_PATH)
    }

    /// A copy of all spans accepted so far, in the order they arrived.
    ///
    /// A span is accepted just before the answer that says so is sent: spans of requests that a
    /// [script](Self::respond_with) answered with an error are not here.
    #[must_use]
    pub fn spans(&self) -> Vec<ReceivedSpan> {
        self.shared.lock().spans.clone()
    }

    /// How many spans were accepted so far.
    #[must_use]
    pub fn span_count(&self) -> usize {
        self.shared.lock().accepted_ids.len()
    }

    /// One trace, by its id: a `TraceId`, or text of 32 hexadecimal digits. Empty if nothing of it was accepted.
    #[must_use]
    pub fn trace(&self, trace_id: impl Display) -> Trace {
        match trace_id.to_string().parse() {
            Ok(trace_id) => Trace::of(trace_id, &self.shared.lock().spans),
            Err(_) => Trace::default(),
        }
    }

    /// All traces, ordered by the start of their first spans.
    #[must_use]
    pub fn traces(&self) -> Vec<Trace> {
        Trace::group(&self.shared.lock().spans)
    }

    /// All requests so far, in the order they arrived, accepted or not.
    #[must_use]
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.shared.lock().requests.clone()
    }

    /// The ids of all spans that were accepted, in the order they arrived, each as often as it was.
    ///
    /// An id is its eight bytes as a big-endian number.
    #[must_use]
    pub fn accepted_ids(&self) -> Vec<u64> {
        self.shared.lock().accepted_ids.clone()
    }

    /// The ids of all spans that ever arrived, accepted or not, each as often as it did.
    #[must_use]
    pub fn seen_ids(&self) -> Vec<u64> {
        self.shared.lock().seen_ids.clone()
    }

    /// Keeps neither spans nor bodies from here on, but only the ids of the spans.
    pub fn keep_ids_only(&self) {
        self.shared.lock().ids_only = true;
    }

    /// Forgets the spans, ids and requests received so far; the script stays.
    pub fn clear(&self) {
        let mut state = self.shared.lock();
        state.spans.clear();
        state.accepted_ids.clear();
        state.seen_ids.clear();
        state.requests.clear();
    }

    /// Adds answers to the script. Each request takes the next one; when there is none left, the receiver answers
    /// for itself.
    pub fn respond_with(&self, responses: impl IntoIterator<Item = Response>) {
        self.shared.lock().script.extend(responses);
    }

    /// Answers what the [script](Self::respond_with) does not: with `None` the receiver answers for itself.
    ///
    /// The function is called while the receiver is locked: it must not call the receiver.
    pub fn respond_by(
        &self,
        respond: impl FnMut(&ReceivedRequest) -> Option<Response> + Send + 'static,
    ) {
        self.shared.lock().respond = Respond(Box::new(respond));
    }

    /// Empties the script, so that the receiver answers for itself from here on.
    pub fn respond_well(&self) {
        let mut state = self.shared.lock();
        state.script.clear();
        state.respond = Respond::default();
    }

    /// Waits until at least `count` spans were accepted; `false` if that did not happen in time.
    #[must_use = "false means that the spans did not arrive"]
    pub fn wait_for_spans(&self, count: usize, timeout: Duration) -> bool {
        self.wait(timeout, |state| state.accepted_ids.len() >= count)
    }

    /// Waits until at least `count` requests arrived, accepted or not; `false` if that did not happen in time.
    #[must_use = "false means that the requests did not arrive"]
    pub fn wait_for_requests(&self, count: usize, timeout: Duration) -> bool {
        self.wait(timeout, |state| state.requests.len() >= count)
    }

    /// Waits until the accepted spans satisfy a condition; `false` if that did not happen in time.
    ///
    /// The condition is asked after each change, while the receiver is locked: it must not call the receiver.
    #[must_use = "false means that the condition was not met"]
    pub fn wait_until(
        &self,
        timeout: Duration,
        mut condition: impl FnMut(&[ReceivedSpan]) -> bool,
    ) -> bool {
        self.wait(timeout, |state| condition(&state.spans))
    }

    fn wait(&self, timeout: Duration, mut condition: impl FnMut(&State) -> bool) -> bool {
        let (_state, result) = self
            .shared
            .changed
            .wait_timeout_while(self.shared.lock(), timeout, |state| !condition(state))
            .unwrap_or_else(PoisonError::into_inner);
        !result.timed_out()
    }
}

impl ReceivedRequest {
    /// The body, as it was sent.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The first header of that name; names are not case-sensitive.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(header, _)| header.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// What the server thread and the handle have in common.
#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    spans: Vec<ReceivedSpan>,
    accepted_ids: Vec<u64>,
    seen_ids: Vec<u64>,
    requests: Vec<ReceivedRequest>,
    script: VecDeque<Response>,
    respond: Respond,
    ids_only: bool,
}

/// What answers when the script is at its end.
struct Respond(Box<RespondFn>);

type RespondFn = dyn FnMut(&ReceivedRequest) -> Option<Response> + Send;

impl Default for Respond {
    fn default() -> Self {
        Self(Box::new(|_| None))
    }
}

impl fmt::Debug for Respond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Respond")
    }
}

impl Shared {
    fn keeps_spans(&self) -> bool {
        !self.lock().ids_only
    }

    /// Notes a request that was read, and takes the answer that the script has for it.
    fn arrived(&self, mut request: ReceivedRequest, ids: &[u64]) -> Option<Response> {
        let response = {
            let mut state = self.lock();
            state.seen_ids.extend_from_slice(ids);
            let response = match state.script.pop_front() {
                Some(response) => Some(response),
                None => (state.respond.0)(&request),
            };
            if state.ids_only {
                request.body = Bytes::new();
            }
            state.requests.push(request);
            response
        };
        self.changed.notify_all();
        response
    }

    /// Notes what is about to be acknowledged.
    fn accepted(&self, content: Content) {
        let mut state = self.lock();
        state.accepted_ids.extend(content.ids);
        state.spans.extend(content.spans);
        drop(state);
        self.changed.notify_all();
    }

    /// A panic elsewhere cannot leave the lists half changed, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
