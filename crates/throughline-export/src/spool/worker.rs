//! The thread of a spool: sends, keeps, and sends again.
//!
//! Owns the order of things. There is one attempt at a time, of a batch that the
//! pipeline waits for or of the oldest one in the log.
//!
//! 1. While the log is empty, a batch goes to the destination. It goes to the log,
//!    too, once that takes longer than the patience allows, and the attempt goes on.
//! 2. While it is not, a batch goes to the end of the log.
//! 3. A batch that the log does not take is the pipeline's to try again.
//! 4. Who asked may have stopped waiting. What was written for him is counted as
//!    accepted after he was told, and taken back if he was not.

use std::any::Any;
use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::log::{Fate, Log};
use super::notices::Notices;
use super::storage::Storage;
use crate::deliver::FOREVER;
use crate::exporter::{Batch, ExportError, ExportFuture, Receipt, SpanExporter};
use crate::retry::{Backoff, asked_wait, throttle};
use crate::split::{Part, Parts};

/// What the pipeline asks for.
pub(super) enum Request {
    Export(Batch, oneshot::Sender<Answer>),
    Flush(oneshot::Sender<Answer>),
}

pub(super) enum Answer {
    /// The destination said so.
    Settled(Result<Receipt, ExportError>),
    /// The log has it. To be confirmed by whoever hears it.
    Kept(oneshot::Sender<()>),
}

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// One attempt.
    pub(super) attempt: Duration,
    /// The time until a batch that is not answered is written.
    pub(super) patience: Duration,
}

pub(super) struct Worker<S: Storage> {
    inner: Box<dyn SpanExporter>,
    log: Log<S>,
    times: Times,
    requests: mpsc::Receiver<Request>,
    pause: Pause,
    /// What was taken out of the log, while it is being sent.
    head: Option<Head>,
    /// Whoever waits for the log to be empty.
    flush: Option<oneshot::Sender<Answer>>,
    notices: Notices,
}

/// The oldest batch of the log, in parts once it was found too large.
struct Head {
    parts: Parts,
    part: Part,
    is_split: bool,
}

/// Whether there is more to do.
#[derive(Debug, PartialEq, Eq)]
enum Flow {
    GoOn,
    Closed,
}

impl<S: Storage> Worker<S> {
    pub(super) fn new(
        inner: Box<dyn SpanExporter>,
        log: Log<S>,
        times: Times,
        requests: mpsc::Receiver<Request>,
        notices: Notices,
    ) -> Self {
        Self {
            inner,
            log,
            times,
            requests,
            pause: Pause::default(),
            head: None,
            flush: None,
            notices,
        }
    }

    /// Works until nobody can ask any more.
    pub(super) async fn run(&mut self) {
        while self.step().await == Flow::GoOn {}
        self.log.put_back();
        self.log.sync();
    }

    /// The exporter, once the work is over and the files are free.
    pub(super) fn into_inner(self) -> Box<dyn SpanExporter> {
        self.inner
    }

    async fn step(&mut self) -> Flow {
        if !self.pause.is_on() {
            match self.next_part() {
                Ok(Some(batch)) => return self.attempt(batch, None).await,
                Ok(None) => {
                    self.notices.emptied();
                    self.finish_flush().await;
                }
                Err(error) => {
                    self.notices.storage_failed(&error);
                    let error = unreadable(&error);
                    self.pause.begin(&error);
                    self.fail_flush();
                }
            }
        }
        let request = tokio::select! {
            request = self.requests.recv() => request,
            () = self.pause.over() => return Flow::GoOn,
        };
        match request {
            None => return Flow::Closed,
            Some(Request::Flush(answer)) => self.begin_flush(answer),
            Some(Request::Export(_, answer)) if answer.is_closed() => {}
            Some(Request::Export(batch, answer)) => {
                let write_ahead = self.times.patience.is_zero() || !self.log.is_empty();
                if !write_ahead {
                    return self.attempt(batch, Some(answer)).await;
                }
                match keep(&mut self.log, &batch, answer).await {
                    Ok(()) => {}
                    // The destination may work, so a batch that is to be written first
                    // but cannot be goes there all the same.
                    Err((answer, error)) if self.log.is_empty() => {
                        self.notices.storage_failed(&error);
                        return self.attempt(batch, Some(answer)).await;
                    }
                    Err((answer, error)) => {
                        self.notices.storage_failed(&error);
                        settle(answer, Err(not_kept(&error)));
                    }
                }
            }
        }
        Flow::GoOn
    }

    /// What is to be sent next of what is in the log.
    fn next_part(&mut self) -> io::Result<Option<Batch>> {
        if self.head.is_none() {
            self.head = self.log.head()?.and_then(Head::of);
        }
        Ok(self.head.as_ref().map(|head| head.part.batch.clone()))
    }

    /// Sends one batch: one that somebody waits for, or a part of the head of the log.
    async fn attempt(&mut self, batch: Batch, mut answer: Option<oneshot::Sender<Answer>>) -> Flow {
        let Self {
            inner,
            log,
            times,
            requests,
            head,
            flush,
            notices,
            ..
        } = self;
        let started = Instant::now();
        let mut call = Call::new(|| inner.export(batch.clone()));
        let mut patience = started + times.patience.min(FOREVER);
        let deadline = started + times.attempt.min(FOREVER);
        let result = loop {
            tokio::select! {
                biased;
                result = &mut call => break result,
                () = sleep_until(deadline) => break Err(ExportError::transient(
                    "timeout",
                    format!("no answer within {} ms", times.attempt.as_millis()),
                )),
                // Who asked has given up, and tells the pipeline so.
                () = closed(&mut answer) => return Flow::GoOn,
                () = sleep_until(patience), if answer.is_some() => {
                    let Some(waiting) = answer.take() else { continue };
                    match keep(log, &batch, waiting).await {
                        // The attempt is now one at the head of the log, which is this batch.
                        Ok(()) => match log.head() {
                            Ok(Some(batch)) => *head = Head::of(batch),
                            // Taken back: nobody waits for the attempt any more.
                            Ok(None) => return Flow::GoOn,
                            Err(error) => {
                                notices.storage_failed(&error);
                                return Flow::GoOn;
                            }
                        },
                        Err((waiting, error)) => {
                            notices.storage_failed(&error);
                            answer = Some(waiting);
                            patience = deadline;
                        }
                    }
                }
                request = requests.recv(), if answer.is_none() => match request {
                    None => return Flow::Closed,
                    Some(Request::Flush(waiting)) => *flush = Some(waiting),
                    Some(Request::Export(batch, waiting)) => {
                        if let Err((waiting, error)) = keep(log, &batch, waiting).await {
                            notices.storage_failed(&error);
                            settle(waiting, Err(not_kept(&error)));
                        }
                    }
                },
            }
        };
        drop(call);
        match answer {
            Some(answer) => self.answered(&batch, answer, result).await,
            None => self.head_answered(result),
        }
        Flow::GoOn
    }

    /// A batch that somebody waits for was answered, or not in time.
    async fn answered(
        &mut self,
        batch: &Batch,
        answer: oneshot::Sender<Answer>,
        result: Result<Receipt, ExportError>,
    ) {
        let error = match result {
            Err(error) if error.is_transient() => error,
            result => return settle(answer, result),
        };
        match keep(&mut self.log, batch, answer).await {
            Ok(()) => {
                self.notices.keeping(&error);
                self.pause.begin(&error);
            }
            Err((answer, trouble)) => {
                self.notices.storage_failed(&trouble);
                settle(answer, Err(error));
            }
        }
    }

    /// A part of the head of the log was answered, or not in time.
    fn head_answered(&mut self, result: Result<Receipt, ExportError>) {
        let Some(mut head) = self.head.take() else {
            return;
        };
        let spans = head.part.batch.spans();
        match result {
            Ok(receipt) => {
                let rejected = receipt.rejected();
                self.log.settle(spans, Fate::Delivered { rejected });
                self.notices.partly_accepted(&receipt);
                self.pause = Pause::default();
            }
            Err(error) if error.is_transient() => {
                self.notices.keeping(&error);
                self.pause.begin(&error);
                self.fail_flush();
                if head.is_split {
                    // Some of its parts may have arrived.
                    self.head = Some(head);
                } else {
                    self.log.put_back();
                }
                return;
            }
            Err(error) if error.is_too_large() && head.parts.halve(&head.part) => {
                head.is_split = true;
            }
            Err(error) => {
                self.notices.refused(&error);
                let error_type = error.error_type().to_owned();
                self.log.settle(spans, Fate::Failed(error_type));
            }
        }
        self.head = head.parts.next().map(|part| Head { part, ..head });
    }

    /// Tries at once what is in the log, unless the other side asked for a wait.
    fn begin_flush(&mut self, answer: oneshot::Sender<Answer>) {
        self.flush = Some(answer);
        if self.pause.asked && self.pause.is_on() {
            self.fail_flush();
        } else {
            self.pause.until = None;
        }
    }

    /// The log is empty: the exporter inside is next.
    async fn finish_flush(&mut self) {
        if let Some(mut answer) = self.flush.take() {
            let inner = &mut self.inner;
            let deadline = Instant::now() + self.times.attempt.min(FOREVER);
            let result = tokio::select! {
                biased;
                result = Call::new(|| inner.flush()) => result,
                () = answer.closed() => return,
                () = sleep_until(deadline) => {
                    Err(ExportError::transient("timeout", "the exporter does not flush"))
                }
            };
            settle(answer, result);
        }
    }

    /// What is in the log stays there, and is safe.
    fn fail_flush(&mut self) {
        if let Some(answer) = self.flush.take() {
            self.log.sync();
            let message = "spans wait in the spool until the destination works again";
            settle(answer, Err(ExportError::transient("spooled", message)));
        }
    }
}

impl Head {
    fn of(batch: Batch) -> Option<Self> {
        let mut parts = Parts::of(&batch);
        let part = parts.next()?;
        Some(Self {
            parts,
            part,
            is_split: false,
        })
    }
}

/// Writes a batch to the log, for somebody who waits for it. The error gives back
/// who that is.
async fn keep<S: Storage>(
    log: &mut Log<S>,
    batch: &Batch,
    answer: oneshot::Sender<Answer>,
) -> Result<(), (oneshot::Sender<Answer>, io::Error)> {
    if let Err(error) = log.append(batch) {
        return Err((answer, error));
    }
    let (confirm, confirmed) = oneshot::channel();
    // Whether he who asked still listens is known once he has confirmed; he does
    // nothing else in between, so this takes no time.
    let _ = answer.send(Answer::Kept(confirm));
    if confirmed.await.is_err() {
        log.retract(batch);
    }
    Ok(())
}

fn settle(answer: oneshot::Sender<Answer>, result: Result<Receipt, ExportError>) {
    // Who has stopped waiting counts it as lost, or asks again.
    let _ = answer.send(Answer::Settled(result));
}

/// Ends when nobody waits for the answer any more.
async fn closed(answer: &mut Option<oneshot::Sender<Answer>>) {
    match answer {
        Some(answer) => answer.closed().await,
        None => std::future::pending().await,
    }
}

fn not_kept(error: &io::Error) -> ExportError {
    ExportError::transient("spool", format!("the spool takes no batch: {error}"))
}

fn unreadable(error: &io::Error) -> ExportError {
    ExportError::transient("spool", format!("the spool cannot be read: {error}"))
}

/// The time between two attempts at the head of the log.
#[derive(Debug, Default)]
struct Pause {
    until: Option<Instant>,
    /// Whether the other side asked for it.
    asked: bool,
    backoff: Backoff,
}

impl Pause {
    fn begin(&mut self, error: &ExportError) {
        let chance = fastrand::f64();
        let asked = asked_wait(error);
        let wait = match asked {
            Some(asked) => throttle(asked, chance),
            None => self.backoff.next(chance),
        };
        self.asked = asked.is_some();
        self.until = Some(Instant::now() + wait);
    }

    fn is_on(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() < until)
    }

    /// Ends when the pause does; without one, never.
    async fn over(&mut self) {
        match self.until {
            Some(until) => sleep_until(until).await,
            None => std::future::pending().await,
        }
        self.until = None;
        self.asked = false;
    }
}

/// A call of the exporter inside. A panic becomes an error, also while it is dropped.
struct Call<'a>(Result<Option<ExportFuture<'a>>, Option<ExportError>>);

impl<'a> Call<'a> {
    fn new(call: impl FnOnce() -> ExportFuture<'a>) -> Self {
        Self(match catch_unwind(AssertUnwindSafe(call)) {
            Ok(future) => Ok(Some(future)),
            Err(payload) => Err(Some(panicked(payload))),
        })
    }
}

impl Future for Call<'_> {
    type Output = Result<Receipt, ExportError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Ok(Some(future)) => match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
                Ok(poll) => poll,
                Err(payload) => Poll::Ready(Err(panicked(payload))),
            },
            Ok(None) => Poll::Pending,
            Err(error) => error.take().map_or(Poll::Pending, |e| Poll::Ready(Err(e))),
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if let Ok(future) = &mut self.0 {
            let future = future.take();
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(future))) {
                mem::forget(payload);
            }
        }
    }
}

fn panicked(payload: Box<dyn Any + Send>) -> ExportError {
    // A payload may panic while it is dropped, which would end the thread.
    mem::forget(payload);
    ExportError::permanent("panic", "the exporter panicked")
}
