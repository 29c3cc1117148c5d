//! Tell and handle on plain Tokio: a channel, a loop, a handler.

use std::hint::black_box;

use throughline::channel::mpsc;
use throughline::{FutureExt, actor, span};
use tokio::runtime::Builder;

use crate::measure::{Cpu, Recording, Result, Row, medians, with_metrics};

pub(crate) fn measure() -> Result<Row> {
    let runtime = Builder::new_current_thread().build()?;
    let [off, on] = Recording::off_and_on();
    let recorded = |recording: &Recording| {
        let nanos = runtime.block_on(traced(recording))?;
        recording.empty()?;
        Ok(nanos)
    };
    let [
        untraced_ns,
        unsampled_ns,
        traced_ns,
        unsampled_measured_ns,
        traced_measured_ns,
    ] = medians(
        ROUNDS,
        [
            &mut || runtime.block_on(bare()),
            &mut || recorded(&off),
            &mut || recorded(&on),
            &mut || off.measured(MESSAGES, recorded),
            &mut || on.measured(MESSAGES, recorded),
        ],
    )?;
    Ok(Row {
        host: "tokio",
        untraced_ns,
        unsampled_ns,
        traced_ns,
        measure: "CPU of the thread",
        beside: with_metrics(untraced_ns, unsampled_measured_ns, traced_measured_ns),
    })
}

/// What a message asks for.
struct Add(u64);

/// The actor as it is without instrumentation.
struct Bare(u64);

impl Bare {
    async fn handle(&mut self, message: Add) {
        self.0 = black_box(self.0 + message.0);
    }
}

/// The same with the attribute.
struct Traced(u64);

#[actor]
impl Traced {
    async fn handle(&mut self, message: Add) {
        self.0 = black_box(self.0 + message.0);
    }
}

async fn bare() -> Result<f64> {
    let (tx, mut rx) = tokio::sync::mpsc::channel(MAILBOX);
    let mut actor = Bare(0);
    let mut nanos = 0.0;
    for _ in 0..MESSAGES / MAILBOX {
        let cpu = Cpu::start();
        for number in 0..MAILBOX as u64 {
            tx.send(Add(number)).await?;
        }
        nanos += cpu.nanos();
        let cpu = Cpu::start();
        for _ in 0..MAILBOX {
            if let Some(message) = rx.recv().await {
                actor.handle(message).await;
            }
        }
        nanos += cpu.nanos();
    }
    Ok(nanos / MESSAGES as f64)
}

async fn traced(recording: &Recording) -> Result<f64> {
    let (tx, mut rx) = mpsc::named("actor", MAILBOX);
    let mut actor = Traced(0);
    let mut nanos = 0.0;
    for _ in 0..MESSAGES / MAILBOX {
        let request = span!(parent: recording.context(), "request");
        let send = async {
            let cpu = Cpu::start();
            for number in 0..MAILBOX as u64 {
                tx.send(Add(number)).await?;
            }
            Ok::<_, mpsc::error::SendError<Add>>(cpu.nanos())
        };
        nanos += send.in_span(request).await?;
        let cpu = Cpu::start();
        for _ in 0..MAILBOX {
            if let Some(delivery) = rx.recv().await {
                delivery
                    .handle(async |message| actor.handle(message).await)
                    .await;
            }
        }
        nanos += cpu.nanos();
    }
    Ok(nanos / MESSAGES as f64)
}

const ROUNDS: usize = 101;
const MESSAGES: usize = 1_024;
/// Messages that are sent before the first is handled.
const MAILBOX: usize = 64;
