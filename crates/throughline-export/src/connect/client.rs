//! An HTTP client for one exporter, which sends one request after another.
//!
//! Owns the life of connections:
//!
//! 1. a connection stays open from one exchange to the next;
//! 2. an exchange that fails, whose response is not read to its end, or that is dropped
//!    before that, closes it: nobody can tell what it is still good for, and HTTP/2
//!    would go on using it;
//! 3. to close it is to drop it at once, whatever the other side still owes.

use std::sync::{Arc, Mutex, PoisonError};

use http::Request;
use http::response::Parts;
use hyper::body::Body;
use hyper::rt::Executor;
use hyper_util::client::legacy;
use hyper_util::rt::TokioTimer;
use tokio::task::JoinSet;

use super::Connector;
use super::body::{self, Read, ReadError};

/// Sends requests through a [`Connector`].
pub(crate) struct HttpClient<B> {
    connector: Connector,
    open: Option<Open<B>>,
}

/// A client with its connection.
struct Open<B> {
    client: legacy::Client<Connector, B>,
    tasks: Tasks,
}

impl<B> HttpClient<B>
where
    B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + Unpin + 'static,
    B::Data: Send,
{
    pub(crate) fn new(connector: Connector) -> Self {
        Self {
            connector,
            open: None,
        }
    }

    /// Sends a request and reads the response, whose body may have `limit` bytes. It must
    /// run inside a tokio runtime with time and I/O.
    pub(crate) async fn exchange(
        &mut self,
        request: Request<B>,
        limit: usize,
    ) -> Result<(Parts, Result<Read, ReadError>), legacy::Error> {
        let open = self.open.take().unwrap_or_else(|| self.connect());
        let (head, body) = open.client.request(request).await?.into_parts();
        let body = body::read(body, limit).await;
        if body.is_ok() {
            self.open = Some(open);
        }
        Ok((head, body))
    }

    fn connect(&self) -> Open<B> {
        let tasks = Tasks::default();
        let mut builder = legacy::Client::builder(tasks.clone());
        builder
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(1);
        #[cfg(feature = "grpc")]
        builder
            .http2_only(self.connector.version == super::Version::Http2)
            .http2_initial_stream_window_size(WINDOW_BYTES)
            .http2_initial_connection_window_size(WINDOW_BYTES);
        Open {
            client: builder.build(self.connector.clone()),
            tasks,
        }
    }
}

/// How much of a response may be on its way before it is read. It adds to the largest
/// response in memory, and what answers an export fits many times.
#[cfg(feature = "grpc")]
const WINDOW_BYTES: u32 = 64 << 10;

impl<B> Drop for Open<B> {
    fn drop(&mut self) {
        // The tasks may hold each other.
        self.tasks.lock().abort_all();
    }
}

/// The tasks that serve connections.
#[derive(Clone, Default)]
struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl Tasks {
    fn lock(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F> Executor<F> for Tasks
where
    F: Future + Send + 'static,
{
    fn execute(&self, task: F) {
        let mut tasks = self.lock();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            task.await;
        });
    }
}
