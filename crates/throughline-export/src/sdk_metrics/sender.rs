//! Sends the metrics: at intervals, and once more at the end.
//!
//! Owns the thread that does it. It waits for nobody but the clock and the shutdown,
//! so that a destination that holds its thread is told about all the same.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::SdkMetrics;
use crate::exporter::ExportError;
use crate::otlp::client::OtlpClient;
use crate::say;
use crate::shared::Shared;
use crate::text::Line;
use crate::thread;

pub(crate) struct Sender {
    pub(crate) metrics: SdkMetrics,
    pub(crate) client: OtlpClient,
    pub(crate) interval: Duration,
    /// Of one request.
    pub(crate) timeout: Duration,
    /// Whether the last request failed: the line about it is said once.
    pub(crate) failing: bool,
}

impl Sender {
    /// Starts the thread, which a shutdown waits for from here on.
    pub(crate) fn start(self, shared: &Arc<Shared>) -> io::Result<std::thread::ThreadId> {
        let shared = Arc::clone(shared);
        shared.lifecycle.metrics_are_due(true);
        let done = DoneOnDrop(Arc::clone(&shared));
        thread::start("throughline-metrics", thread::runtime, move |runtime| {
            self.run(&shared, &runtime);
            runtime.shutdown_background();
            drop(done);
        })
    }

    fn run(mut self, shared: &Shared, runtime: &Runtime) {
        while !shared.lifecycle.closes_within(self.interval) {
            self.send(shared, runtime, self.timeout);
        }
        // Those of the end tell what became of the last spans.
        if let Some(left) = shared.lifecycle.wait_for_threads() {
            self.send(shared, runtime, left.min(self.timeout));
        }
    }

    /// A failed request is not repeated: the next one says everything again.
    fn send(&mut self, shared: &Shared, runtime: &Runtime, limit: Duration) {
        let request = Bytes::from(self.metrics.request(&shared.stats(), unix_nano()));
        let sent = runtime.block_on(async { timeout(limit, self.client.send(&request)).await });
        let error = match sent {
            Ok(Ok(receipt)) if receipt.rejected() == 0 => {
                self.failing = false;
                return;
            }
            Ok(Ok(receipt)) => {
                let said = receipt.message().unwrap_or("no reason given");
                ExportError::permanent("rejected", format!("refused: {said}"))
            }
            Ok(Err(error)) => error,
            Err(_) => {
                let message = format!("no answer within {} ms", limit.as_millis());
                ExportError::transient("timeout", message)
            }
        };
        if !std::mem::replace(&mut self.failing, true) {
            say::warn(format_args!(
                "metrics of the pipeline were not sent to {} ({}); they are sent again at the next \
                 interval, and this is not repeated until that works",
                self.client.endpoint(),
                Line::quoted(&error.to_string()),
            ));
        }
    }
}

/// Lets the shutdown go on however the thread ends.
struct DoneOnDrop(Arc<Shared>);

impl Drop for DoneOnDrop {
    fn drop(&mut self) {
        self.0.lifecycle.metrics_are_due(false);
    }
}

/// The time by the clock on the wall; zero before 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "a collector wants to know when that was"
)]
pub(crate) fn unix_nano() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}
