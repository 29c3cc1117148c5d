//! The costs that are too small for a trace: one poll, one unwanted span, and the bytes that an
//! instrumented future is larger than the bare one.
//!
//! Every path is measured in three processes, one for each kind of sampling, because a pipeline is
//! global to its process.

use std::fmt::Write as _;
use std::future::Future;
use std::io;
use std::mem::size_of_val;

use serde::{Deserialize, Serialize};

use crate::coordinator::{self, Receiver};
use crate::measurement::median;
use crate::options::WORK_MICRO;
use crate::order::Order;
use crate::pacer::Pacer;
use crate::paths::{self, Path};
use crate::scenario::{Axis, Fault, PathName, Sampling, Transport};
use crate::shapes::{Polls, drive};
use crate::target::Target;
use crate::{clock, report};

/// What a worker is asked: everything that can be measured under one kind of sampling.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct MicroTask {
    path: PathName,
    sampling: Sampling,
    target: Target,
}

/// What a worker answers.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Micro {
    /// A root span with three attributes and nothing in it, above the bare loop, in nanoseconds.
    root_ns: f64,
    /// A child span with three attributes, above the bare loop, in nanoseconds.
    child_ns: f64,
    /// One poll of a future in a span, above the bare poll, in nanoseconds.
    span_poll_ns: f64,
    /// One poll of a future that only has a context, above the bare poll, in nanoseconds.
    context_poll_ns: Option<f64>,
    /// Bytes by which a future in a span is larger than the future.
    span_bytes: usize,
    /// Bytes by which a future with a context is larger than the future.
    context_bytes: Option<usize>,
}

/// Measures `paths` and returns the table.
pub(crate) fn compare(paths: &[PathName]) -> io::Result<String> {
    let mut receiver = Receiver::start()?;
    let mut text = format!(
        "{}\nnanoseconds; medians of {ROUNDS} rounds\n\n",
        report::machine()
    );
    line(&mut text, &format!("{HEAD}\n{RULE}"));
    for &path in paths {
        let mut measure = |sampling: Sampling| -> io::Result<Micro> {
            let run = format!("micro-{path}-{sampling}");
            let target = receiver.target(run.clone());
            let answer = coordinator::work(
                WORK_MICRO,
                &MicroTask {
                    path,
                    sampling,
                    target,
                },
            )?;
            receiver.received(&run)?;
            Ok(answer)
        };
        let sampled = measure(Sampling::Sampled)?;
        let unsampled = measure(Sampling::Unsampled)?;
        let disabled = measure(Sampling::Disabled)?;
        let or_none = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
        line(
            &mut text,
            &format!(
                "{:<22} {:>8.1} {:>8} {:>7} {:>8} {:>10.1} {:>10.1} {:>10.1} {:>10.1}",
                path.name(),
                sampled.span_poll_ns,
                or_none(sampled.context_poll_ns.map(|ns| format!("{ns:.1}"))),
                sampled.span_bytes,
                or_none(sampled.context_bytes.map(|bytes| bytes.to_string())),
                unsampled.root_ns,
                unsampled.child_ns,
                disabled.root_ns,
                disabled.child_ns,
            ),
        );
    }
    text.push_str(LEGEND);
    Ok(text)
}

/// Carries out `task` in this process.
pub(crate) fn run(task: &MicroTask) -> io::Result<Micro> {
    match task.path {
        PathName::Throughline => measure::<paths::Throughline>(task),
        PathName::ThroughlineBridged => measure::<paths::ThroughlineBridged>(task),
        PathName::ThroughlineTracing => measure::<paths::ThroughlineTracing>(task),
        PathName::TracingOpentelemetry => measure::<paths::TracingOpentelemetry>(task),
        PathName::Opentelemetry => measure::<paths::Opentelemetry>(task),
        PathName::Fastrace => measure::<paths::Fastrace>(task),
        PathName::Emit => measure::<paths::Emit>(task),
        PathName::Floor => measure::<paths::Floor>(task),
    }
}

fn measure<P: Path>(task: &MicroTask) -> io::Result<Micro> {
    let path = P::start(
        &task.target.destination(Transport::Http, Fault::Healthy),
        task.sampling,
    );
    let pacer = Pacer::new(task.target.addresses.http)?;
    let per_repetition = |count: u32, section: &dyn Fn()| per_repetition(&pacer, count, section);
    // Recorded spans pile up in a queue: fewer of them, and time to go, where they are exported.
    let spans = match task.sampling {
        Sampling::Sampled => 500,
        Sampling::Unsampled | Sampling::Disabled => 20_000,
    };
    let order = Order::new();
    let bare_ns = per_repetition(spans, &|| {
        for _ in 0..spans {
            let _ = Order::new();
        }
    })?;
    let root_ns = per_repetition(spans, &|| {
        for _ in 0..spans {
            path.root::<3>(&Order::new(), || ());
        }
    })?;
    let child_ns = per_repetition(spans, &|| {
        path.root::<3>(&Order::new(), || {
            for _ in 0..spans {
                path.child::<3>(&Order::new(), || ());
            }
        });
    })?;
    let bare_poll_ns = per_repetition(POLLS, &|| drive(Polls::new(POLLS)))?;
    let span_poll_ns = per_repetition(POLLS, &|| {
        drive(path.root_future::<0, _>(order, Polls::new(POLLS)));
    })?;
    // The context to carry is that of a span, as it is where such an adapter is used.
    let mut context_poll_ns = None;
    let mut context_bytes = None;
    path.root::<0>(&order, || {
        context_bytes = path
            .context_future(Polls::new(1))
            .map(|future| added_bytes(&future));
        context_poll_ns = context_bytes.map(|_| {
            per_repetition(POLLS, &|| {
                if let Some(future) = path.context_future(Polls::new(POLLS)) {
                    drive(future);
                }
            })
        });
    });
    path.flush();
    Ok(Micro {
        root_ns: (root_ns - bare_ns).max(0.0),
        child_ns: (child_ns - bare_ns).max(0.0),
        span_poll_ns: span_poll_ns - bare_poll_ns,
        context_poll_ns: context_poll_ns
            .transpose()?
            .map(|poll_ns| poll_ns - bare_poll_ns),
        span_bytes: added_bytes(&path.root_future::<3, _>(order, Polls::new(1))),
        context_bytes,
    })
}

/// CPU nanoseconds of one of the `count` repetitions that `section` makes.
fn per_repetition(pacer: &Pacer, count: u32, section: &dyn Fn()) -> io::Result<f64> {
    let overhead = clock::thread_cpu_overhead();
    section();
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        pacer.wait_until_quiet()?;
        let start = clock::thread_cpu();
        section();
        let spent = (clock::thread_cpu() - start).saturating_sub(overhead);
        rounds.push(spent as f64 / f64::from(count));
    }
    Ok(median(rounds))
}

fn added_bytes(future: &impl Future) -> usize {
    size_of_val(future).saturating_sub(size_of::<Polls>())
}

fn line(text: &mut String, content: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{content}");
}

const ROUNDS: usize = 15;
const POLLS: u32 = 100_000;

const HEAD: &str = "\
                       one poll above bare     bytes added          unsampled              disabled
path                       span  context    span  context       root      child       root      child";
const RULE: &str = "\
-----------------------------------------------------------------------------------------------------";
const LEGEND: &str = "
span: a future in a span (busy and idle time where the library records it); context: one that only carries
the current context; spans have three attributes; disabled: the nearest thing a library has to a callsite
that is off, see the paths' module documentation.
";
