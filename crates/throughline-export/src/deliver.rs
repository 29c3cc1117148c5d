//! Delivers one batch after another: attempts, waits and their interruption.
//!
//! Owns the exporter and the clock side of retrying. It must not know where
//! batches come from, nor count them; each call of the exporter is announced to the
//! destination, which gives up one that does not return. What can interrupt it is one watched
//! [`Urgency`]:
//!
//! 1. a nudge (somebody flushes) ends a backoff, but not a wait that the other
//!    side asked for;
//! 2. a shutdown ends a backoff too, and its deadline ends everything.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::destination::{Destination, blocked};
use crate::exporter::{Batch, ExportError, ExportFuture, Receipt, SpanExporter, SpooledReader};
use crate::retry::{Backoff, Circumstances, Decision, asked_wait, decide, throttle};

/// What the rest of the process wants from the export thread.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Urgency {
    /// Grows with each flush.
    pub(crate) nudges: u64,
    /// When a shutdown must be over.
    pub(crate) closing: Option<Instant>,
}

/// Longer than anybody waits, and short enough to be added to any instant.
pub(crate) const FOREVER: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// The bounds of one batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    /// Of one attempt.
    pub(crate) attempt: Duration,
    /// Of all attempts and the waits between them.
    pub(crate) total: Duration,
}

pub(crate) struct Delivery {
    exporter: Box<dyn SpanExporter>,
    destination: Arc<Destination>,
    timeouts: Timeouts,
    urgency: watch::Receiver<Urgency>,
    /// Set by a throttling answer; holds for later batches too.
    not_before: Option<Instant>,
    chance: fastrand::Rng,
}

impl Delivery {
    pub(crate) fn new(
        exporter: Box<dyn SpanExporter>,
        destination: Arc<Destination>,
        timeouts: Timeouts,
        urgency: watch::Receiver<Urgency>,
    ) -> Self {
        Self {
            exporter,
            destination,
            timeouts,
            urgency,
            not_before: None,
            chance: fastrand::Rng::new(),
        }
    }

    /// Waits until the other side wants to hear of us, and returns when the batch that
    /// is sent now must be done with.
    pub(crate) async fn begin(&mut self) -> Result<Instant, ExportError> {
        if !self.wait_out_throttle().await {
            return Err(still_throttled());
        }
        Ok(after(self.timeouts.total))
    }

    /// Sends a batch, or a part of one, until it is accepted, refused, or out of time.
    /// `failed` hears of each failed attempt and whether another one follows.
    pub(crate) async fn send(
        &mut self,
        batch: &Batch,
        deadline: Instant,
        mut failed: impl FnMut(&ExportError, bool),
    ) -> Result<Receipt, ExportError> {
        // The part before this one may have used up the time, or been told to wait.
        let from = self.not_before.unwrap_or_else(Instant::now);
        if from.max(Instant::now()) >= deadline {
            return Err(no_time_left());
        }
        if !self.wait_out_throttle().await {
            return Err(still_throttled());
        }
        let mut backoff = Backoff::default();
        loop {
            let error = match self.attempt(batch, deadline).await {
                Ok(receipt) => return Ok(receipt),
                Err(error) => error,
            };
            let chance = self.chance.f64();
            let closing = self.urgency.borrow().closing;
            let end = closing.map_or(deadline, |closing| closing.min(deadline));
            let now = Circumstances {
                remaining: end.saturating_duration_since(Instant::now()),
                closing: closing.is_some(),
                chance,
            };
            self.not_before = asked_wait(&error).map(|asked| after(throttle(asked, chance)));
            let decision = decide(&error, &mut backoff, now);
            failed(&error, decision != Decision::GiveUp);
            match decision {
                Decision::GiveUp => return Err(error),
                Decision::Wait(_) if self.not_before.is_some() => {
                    if !self.wait_out_throttle().await {
                        return Err(still_throttled());
                    }
                }
                Decision::Wait(wait) => self.back_off(wait).await,
            }
        }
    }

    /// Lets the exporter pass on what it holds back itself.
    pub(crate) async fn flush(&mut self) -> Result<Receipt, ExportError> {
        let deadline = after(self.timeouts.total);
        self.call(deadline, |exporter| exporter.flush()).await
    }

    /// Lets the exporter give back what the next one may want.
    pub(crate) fn release(&mut self) {
        quietly(|| self.exporter.release());
    }

    async fn attempt(&mut self, batch: &Batch, deadline: Instant) -> Result<Receipt, ExportError> {
        let deadline = deadline.min(after(self.timeouts.attempt));
        let batch = batch.clone();
        self.call(deadline, |exporter| exporter.export(batch)).await
    }

    async fn call(
        &mut self,
        deadline: Instant,
        call: impl FnOnce(&mut dyn SpanExporter) -> ExportFuture<'_>,
    ) -> Result<Receipt, ExportError> {
        let Self {
            exporter,
            destination,
            urgency,
            ..
        } = self;
        destination.calling(deadline.into_std());
        let result = bounded(|| call(exporter.as_mut()), deadline, urgency).await;
        if destination.returned() {
            result
        } else {
            Err(blocked())
        }
    }

    /// A wait of our own choice, which any urgency ends.
    async fn back_off(&mut self, wait: Duration) {
        let until = after(wait);
        // What was urgent before this wait began has had its attempt.
        let urgency = *self.urgency.borrow_and_update();
        if urgency.closing.is_some() {
            // The wait was chosen to fit the deadline.
            return sleep_until(until).await;
        }
        tokio::select! {
            () = sleep_until(until) => {}
            () = changed(&mut self.urgency) => {}
        }
    }

    /// A wait that the other side asked for. It is false if a shutdown will be over
    /// before the wait is.
    async fn wait_out_throttle(&mut self) -> bool {
        let Some(until) = self.not_before else {
            return true;
        };
        while Instant::now() < until {
            let closing = self.urgency.borrow_and_update().closing;
            if closing.is_some_and(|deadline| deadline < until) {
                return false;
            }
            tokio::select! {
                () = sleep_until(until) => {}
                () = changed(&mut self.urgency) => {}
            }
        }
        self.not_before = None;
        true
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        // The exporter is foreign code, and this is our thread's way out.
        let exporter = mem::replace(&mut self.exporter, Box::new(Gone));
        quietly(|| drop(exporter));
    }
}

/// Stands where an exporter was taken out.
struct Gone;

impl SpanExporter for Gone {
    fn export(&mut self, _: Batch) -> ExportFuture<'_> {
        Box::pin(std::future::ready(Err(ExportError::permanent(
            "shutdown",
            "the exporter is gone",
        ))))
    }
}

/// Where an exporter's spans go, for people.
pub(crate) fn name_of(exporter: &dyn SpanExporter) -> String {
    catch_unwind(AssertUnwindSafe(|| exporter.destination()))
        .unwrap_or_else(|_| "the exporter".to_owned())
}

/// Who knows what an exporter keeps.
pub(crate) fn spooled_by(exporter: &dyn SpanExporter) -> Option<SpooledReader> {
    catch_unwind(AssertUnwindSafe(|| exporter.spooled())).unwrap_or_default()
}

/// Runs a call of the exporter until it ends, panics, or is out of time.
async fn bounded<'a>(
    call: impl FnOnce() -> ExportFuture<'a>,
    deadline: Instant,
    urgency: &mut watch::Receiver<Urgency>,
) -> Result<Receipt, ExportError> {
    let future = match catch_unwind(AssertUnwindSafe(call)) {
        Ok(future) => CatchUnwind(Some(future)),
        Err(payload) => return Err(panicked(payload)),
    };
    let started = Instant::now();
    tokio::select! {
        biased;
        result = future => result,
        () = sleep_until(deadline) => Err(ExportError::transient(
            "timeout",
            format!("no answer within {} ms", started.elapsed().as_millis()),
        )),
        () = closed(urgency) => Err(ExportError::permanent(
            "shutdown",
            "the deadline of the shutdown passed",
        )),
    }
}

/// Turns a panic of the exporter's future into an error, also while it is dropped.
struct CatchUnwind<'a>(Option<ExportFuture<'a>>);

impl Future for CatchUnwind<'_> {
    type Output = Result<Receipt, ExportError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(future) = &mut self.0 else {
            return Poll::Pending;
        };
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(poll) => poll,
            Err(payload) => Poll::Ready(Err(panicked(payload))),
        }
    }
}

impl Drop for CatchUnwind<'_> {
    fn drop(&mut self) {
        let future = self.0.take();
        quietly(|| drop(future));
    }
}

fn still_throttled() -> ExportError {
    ExportError::permanent(
        "shutdown",
        "the other side asked for a longer wait than the shutdown has left",
    )
}

fn no_time_left() -> ExportError {
    ExportError::permanent("timeout", "the time of the batch is over")
}

fn panicked(payload: Box<dyn Any + Send>) -> ExportError {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    // A payload may panic while it is dropped, which would end the thread.
    mem::forget(payload);
    ExportError::permanent("panic", format!("the exporter panicked: {text}"))
}

/// Runs foreign code whose panics are of no interest.
pub(crate) fn quietly(action: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(action)) {
        mem::forget(payload);
    }
}

/// Ends when the deadline of a shutdown passes.
async fn closed(urgency: &mut watch::Receiver<Urgency>) {
    loop {
        let closing = urgency.borrow_and_update().closing;
        match closing {
            Some(deadline) => return sleep_until(deadline).await,
            None => changed(urgency).await,
        }
    }
}

/// Ends when the urgency changes. Without anybody left to change it, never.
async fn changed(urgency: &mut watch::Receiver<Urgency>) {
    if urgency.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn after(wait: Duration) -> Instant {
    Instant::now() + wait.min(FOREVER)
}

#[cfg(test)]
mod tests;
