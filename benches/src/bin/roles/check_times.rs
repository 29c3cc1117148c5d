//! Whether the wait and the processing time of a span are the time between send and completion.
//!
//! The other clock is the caller's: one reading immediately before the send, one after the handler is done. Messages
//! are sent in bursts, so that each waits for those before it, up to some fifty milliseconds. A thread that is taken off
//! its processor between one of the readings and the span's makes them differ, so a few may.

use std::collections::VecDeque;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use kameo::error::Infallible;
use kameo::mailbox;
use kameo::prelude::*;
use kameo::reply::{BoxReplySender, ReplyError};
use throughline::channel::{self, Arrival, Operation, Policy, observe};
use throughline::core::{Callsite, callsite};
use throughline::kameo::{ActorRefExt, traced_actor};
use throughline::testing::{Capture, ReceivedSpan, Value};
use throughline::{FutureExt, current, span};
use tokio::runtime::Builder;
use tokio::sync::mpsc;

use crate::measure::Result;

/// Checks all hosts and prints a line for each.
pub(crate) fn run() -> Result<ExitCode> {
    let runtime = Builder::new_current_thread().enable_time().build()?;
    println!(
        "{MESSAGES} messages a host: span's wait + processing beside send to completion, which may differ by 1 % or \
         {} µs",
        SLACK.as_micros()
    );
    println!(
        "host         send to completion, ms    differ by, µs: median      p99       max    too far"
    );
    let checked = [
        ("tokio", runtime.block_on(tokio())?),
        ("kameo", runtime.block_on(kameo())?),
        ("observer", runtime.block_on(observer())?),
    ];
    let mut code = ExitCode::SUCCESS;
    for (host, times) in checked {
        if !times.print(host) {
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

/// A message, and what its handler does.
struct Work {
    number: usize,
    busy: Duration,
    idle: bool,
}

impl Work {
    fn burst(first: usize, chance: &mut fastrand::Rng) -> impl Iterator<Item = Self> {
        (first..first + BURST).map(|number| Self {
            number,
            busy: Duration::from_nanos(chance.u64(..BUSY_NS)),
            idle: number % IDLE == IDLE / 2,
        })
    }

    /// Keeps the processor busy, before and after it lets others go first.
    async fn run(self) {
        current().set_attribute(NUMBER, self.number as i64);
        for _ in 0..2 {
            let start = Instant::now();
            while start.elapsed() < self.busy / 2 {
                std::hint::spin_loop();
            }
            if self.idle {
                tokio::time::sleep(Duration::from_millis(1)).await;
            } else {
                tokio::task::yield_now().await;
            }
        }
    }
}

/// The channel, a loop, a handler.
async fn tokio() -> Result<Times> {
    let capture = Capture::start();
    let mut chance = fastrand::Rng::with_seed(1);
    let (tx, mut rx) = channel::mpsc::named("timed", BURST);
    let (mut sent, mut done) = (Vec::new(), Vec::new());
    for first in (0..MESSAGES).step_by(BURST) {
        let send = async {
            for work in Work::burst(first, &mut chance) {
                sent.push(Instant::now());
                tx.send(work).await?;
            }
            Ok::<_, channel::mpsc::error::SendError<Work>>(())
        };
        send.in_span(span!(parent: capture.context(), "request"))
            .await?;
        for _ in 0..BURST {
            if let Some(delivery) = rx.recv().await {
                delivery.handle(Work::run).await;
                done.push(Instant::now());
            }
        }
    }
    Times::of(&capture, "actor.mailbox.wait", &sent, &done)
}

/// An actor that reads the clock when the handler of a message is done and its span has ended.
struct Timed(mpsc::UnboundedSender<Instant>);

impl Actor for Timed {
    type Args = Self;
    type Error = Infallible;

    async fn on_start(timed: Self, _: ActorRef<Self>) -> std::result::Result<Self, Infallible> {
        Ok(timed)
    }

    async fn on_message(
        &mut self,
        message: BoxMessage<Self>,
        actor_ref: ActorRef<Self>,
        reply: Option<BoxReplySender>,
        stop: &mut bool,
    ) -> std::result::Result<(), Box<dyn ReplyError>> {
        let handled = throughline::kameo::on_message(self, message, actor_ref, reply, stop).await;
        let now = Instant::now();
        // Nobody waits for it if the check has failed already.
        _ = self.0.send(now);
        handled
    }
}

impl Message<Work> for Timed {
    type Reply = ();

    async fn handle(&mut self, work: Work, _: &mut Context<Self, ()>) {
        work.run().await;
    }
}

traced_actor!(Timed);

async fn kameo() -> Result<Times> {
    let capture = Capture::start();
    let mut chance = fastrand::Rng::with_seed(2);
    let (tx, mut rx) = mpsc::unbounded_channel();
    let actor = Timed::spawn_with_mailbox(Timed(tx), mailbox::bounded(BURST));
    let (mut sent, mut done) = (Vec::new(), Vec::new());
    for first in (0..MESSAGES).step_by(BURST) {
        let send = async {
            for work in Work::burst(first, &mut chance) {
                sent.push(Instant::now());
                let told = actor.tell_traced(work).await;
                told.map_err(|error| error.to_string())?;
            }
            Ok::<_, String>(())
        };
        send.in_span(span!(parent: capture.context(), "request"))
            .await?;
        for _ in 0..BURST {
            done.extend(rx.recv().await);
        }
    }
    Times::of(&capture, "actor.mailbox.wait", &sent, &done)
}

static PROCESS: Callsite = callsite!("process timed", Consumer);

/// The observer by itself, with a queue that says when each record was written.
async fn observer() -> Result<Times> {
    let capture = Capture::start();
    let mut chance = fastrand::Rng::with_seed(3);
    let (mut sent, mut done) = (Vec::new(), Vec::new());
    let mut queue = VecDeque::new();
    for first in (0..MESSAGES).step_by(BURST) {
        let request = span!(parent: capture.context(), "request");
        let sender = request.context();
        for work in Work::burst(first, &mut chance) {
            let written = Instant::now();
            sent.push(written);
            queue.push_back((written, work));
        }
        request.end();
        while let Some((written, work)) = queue.pop_front() {
            let arrival = Arrival::new(&sender, Operation::Record).waited(written.elapsed());
            observe(arrival.span(&PROCESS, &Policy::new()), work.run()).await;
            done.push(Instant::now());
        }
    }
    Times::of(&capture, "queue.wait", &sent, &done)
}

/// What both clocks say about each message.
struct Times {
    /// From send to completion, by the caller's clock, ascending.
    elapsed: Vec<Duration>,
    /// What the span's wait and processing differ from that by, ascending.
    apart: Vec<Duration>,
    /// How many differ by too much.
    too_far: usize,
}

impl Times {
    fn of(capture: &Capture, wait: &str, sent: &[Instant], done: &[Instant]) -> Result<Self> {
        let spans = capture.spans();
        let told = spans.iter().filter_map(|span| told(span, wait));
        let mut told: Vec<_> = told.collect();
        // In the order of the messages, whatever the order of the spans.
        told.sort_unstable();
        let numbers = told.iter().map(|(number, _)| *number);
        if !numbers.eq(0..MESSAGES) || sent.len() != MESSAGES || done.len() != MESSAGES {
            return Err("some message has no span, or some span no message".into());
        }
        let mut times = Self {
            elapsed: Vec::with_capacity(MESSAGES),
            apart: Vec::with_capacity(MESSAGES),
            too_far: 0,
        };
        for ((_, told), (sent, done)) in told.iter().zip(sent.iter().zip(done)) {
            let elapsed = done.duration_since(*sent);
            let apart = elapsed.abs_diff(*told);
            times.too_far += usize::from(apart > SLACK.max(elapsed / 100));
            times.elapsed.push(elapsed);
            times.apart.push(apart);
        }
        times.elapsed.sort_unstable();
        times.apart.sort_unstable();
        Ok(times)
    }

    /// Whether it is near enough.
    fn print(&self, host: &str) -> bool {
        let part = |of: &[Duration], percent: usize| of[(of.len() - 1) * percent / 100];
        let millis = |percent| part(&self.elapsed, percent).as_secs_f64() * 1e3;
        let micros = |percent| part(&self.apart, percent).as_secs_f64() * 1e6;
        let share = 100.0 * self.too_far as f64 / MESSAGES as f64;
        println!(
            "{host:<10} {:>8.3} to {:>8.3} {:>32.2} {:>8.2} {:>9.2} {share:>8.2} %",
            millis(0),
            millis(100),
            micros(50),
            micros(99),
            micros(100),
        );
        self.too_far * 100 <= MESSAGES
    }
}

/// Which message a span is about, and the sum of its wait and its own time; none for other spans.
fn told(span: &ReceivedSpan, wait: &str) -> Option<(usize, Duration)> {
    let (Value::Int(number), Value::Double(wait)) =
        (span.attribute(NUMBER)?, span.attribute(wait)?)
    else {
        return None;
    };
    let wait = Duration::try_from_secs_f64(*wait).ok()?;
    let number = usize::try_from(*number).ok()?;
    Some((number, wait + Duration::from_nanos(span.duration_ns())))
}

const NUMBER: &str = "check.number";
const MESSAGES: usize = 10_000;
/// Messages that are sent at once: with the time that each takes, the last waits for fifty milliseconds.
const BURST: usize = 500;
/// A handler is busy for less than this.
const BUSY_NS: u64 = 160_000;
/// Of so many handlers one waits for a timer, too.
const IDLE: usize = 250;
/// What the clocks may differ by where that is more than a hundredth.
const SLACK: Duration = Duration::from_micros(20);
