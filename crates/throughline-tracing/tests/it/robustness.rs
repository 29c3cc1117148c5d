use std::cell::RefCell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use throughline_core::Context;
use throughline_testing::{Capture, TreeOptions, Value};
use throughline_tracing::{LayerExt, TraceLayer, context_of};
use tracing::field::Empty;
use tracing::{Span, info, info_span};
use tracing_subscriber::fmt as fmt_layer;
use tracing_subscriber::layer::SubscriberExt;

use crate::support::{Output, alone, captured, native, under, use_global};

#[test]
fn values_that_trace_while_they_are_formatted_do_no_harm() {
    let capture = Capture::start();
    alone(|| {
        captured(&capture, || {
            let _outer = native().enter();
            let span = info_span!("span", first = ?Tracing("first"), late = Empty).entered();
            span.record("late", tracing::field::debug(Tracing("late")));
            info!(value = ?Tracing("event"), "{:?}", Tracing("message"));
            info!(parent: &span, value = ?Tracing("explicit"), "explicit");
        });
    });
    let tree = capture.tree_with(&TreeOptions::new().hide("level").hide("target"));
    insta::assert_snapshot!(tree, @r#"
    native {formatted.first=true}
    │  • formatting first
    ├─ span {first="first", formatted.late=true, formatted.message=true, formatted.event=true, formatted.explicit=true, late="overwritten"}
    │  │  • formatting late
    │  │  • formatting message
    │  │  • formatting event
    │  │  • message {value="event"}
    │  │  • formatting explicit
    │  │  • explicit {value="explicit"}
    │  ├─ inside {of="late"}
    │  │  └─ native
    │  ├─ inside {of="message"}
    │  │  └─ native
    │  ├─ inside {of="event"}
    │  │  └─ native
    │  └─ inside {of="explicit"}
    │     └─ native
    └─ inside {of="first"}
       └─ native
    "#);
    assert_eq!(
        (capture.stats().live(), Context::current()),
        (0, Context::default())
    );
}

/// Records all it can while it is formatted.
struct Tracing(&'static str);

impl fmt::Debug for Tracing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(name) = *self;
        info!("formatting {name}");
        throughline_core::current().set_attribute(format!("formatted.{name}"), true);
        let span = info_span!("inside", of = name).entered();
        drop(native());
        drop(span);
        Span::current().record("late", "overwritten");
        f.write_str(name)
    }
}

#[test]
fn a_value_may_wait_for_a_thread_that_traces_in_the_same_span() {
    let capture = Capture::start();
    captured(&capture, || {
        let span = info_span!("span", late = Empty);
        let (ask, asked) = channel();
        let worker = thread::spawn({
            let span = span.clone();
            move || {
                let _inside = span.enter();
                answer(asked, &span);
            }
        });
        let _inside = span.enter();
        info!(value = ?Waiting(&ask), "{:?}", Waiting(&ask));
        info!(parent: &span, value = ?Waiting(&ask), "explicit");
        span.record("late", tracing::field::debug(Waiting(&ask)));
        drop(ask);
        worker.join().expect("the worker does not panic");
    });
    let spans = capture.spans();
    assert_eq!(
        spans[0].events.len(),
        2 + 4,
        "two of this thread, four answers"
    );
}

/// Traces in the span before each answer.
fn answer(asked: Receiver<Sender<()>>, span: &Span) {
    for asker in asked {
        info!(parent: span, "answering");
        asker.send(()).expect("the asker waits");
    }
}

struct Waiting<'a>(&'a Sender<Sender<()>>);

impl fmt::Debug for Waiting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (done, is_done) = channel();
        self.0.send(done).expect("the worker listens");
        is_done.recv().expect("the worker answers");
        f.write_str("waited")
    }
}

#[test]
fn values_that_panic_cost_nothing_but_themselves() {
    let capture = Capture::start();
    alone(|| {
        captured(&capture, || {
            let span = info_span!("survivor", late = Empty, kept = 1).entered();
            let panics = |f: &dyn Fn()| assert!(catch_unwind(AssertUnwindSafe(f)).is_err());
            panics(&|| drop(info_span!("never", value = ?Panicking)));
            panics(&|| {
                span.record("late", tracing::field::debug(Panicking));
            });
            panics(&|| info!(before = 1, value = ?Panicking, "lost"));
            panics(&|| info!("{:?}", Panicking));
            panics(&|| {
                let _unwound = info_span!("unwound").entered();
                panic!("in the span");
            });
            info!("kept");
            span.record("late", "recorded");
        });
    });
    insta::assert_snapshot!(capture.tree_with(&TreeOptions::new().hide("target")), @r#"
    survivor {kept=1, late="recorded"}
    │  • kept {level="INFO"}
    ├─ never {span.outcome="panicked", error.type="panic"} error: panicked
    └─ unwound {span.outcome="panicked", error.type="panic"} error: panicked
    "#);
    captured(&capture, || {
        for number in 0..10_000 {
            let _span = info_span!("after", number).entered();
            info!(number, "after");
        }
    });
    let stats = capture.stats();
    assert_eq!(
        (capture.spans().len(), stats.live(), stats.dropped_full),
        (10_003, 0, 0)
    );
    assert_eq!(Context::current(), Context::default());
}

struct Panicking;

impl fmt::Debug for Panicking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("half of it")?;
        panic!("while it was formatted");
    }
}

#[test]
fn log_lines_survive_panics_and_values_that_log() {
    let output = Output::default();
    let lines = fmt_layer::layer()
        .without_time()
        .with_ansi(false)
        .with_target(false)
        .with_writer(output.writer())
        .with_trace_ids();
    let capture = Capture::start();
    under(
        tracing_subscriber::registry()
            .with(lines)
            .with(TraceLayer::new()),
        || {
            let _here = capture.attach();
            assert!(catch_unwind(|| info!(value = ?Panicking, "lost")).is_err());
            info!(value = ?Tracing("logging"), "kept");
        },
    );
    assert_eq!(output.text(), " INFO kept value=logging\n");
}

#[test]
fn what_ends_in_destructors_of_thread_locals_is_recorded() {
    let capture = Capture::start();
    use_global();
    for opened_first in [true, false] {
        let context = capture.context();
        let ended = thread::spawn(move || {
            // Whichever thread-local is used first is destroyed last.
            if opened_first {
                LEFT_OPEN.with(|_| ());
            }
            let attached = context.attach();
            let span = info_span!("left open", value = 1);
            let inside = span.clone().entered();
            drop(attached);
            LEFT_OPEN.with(|left| left.replace(Some((LogsWhenDropped, span.clone(), inside))));
        });
        ended.join().expect("the thread does not panic");
    }
    let spans = capture.spans();
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["left open", "left open"]);
    assert_eq!(capture.stats().live(), 0);
}

type LeftOpen = (LogsWhenDropped, Span, tracing::span::EnteredSpan);

thread_local! {
    static LEFT_OPEN: RefCell<Option<LeftOpen>> = const { RefCell::new(None) };
}

struct LogsWhenDropped;

impl Drop for LogsWhenDropped {
    fn drop(&mut self) {
        // To start a span here is what the registry itself cannot do.
        info!(value = ?Some(1), "from a destructor");
    }
}

#[test]
fn a_guard_that_is_never_dropped_ends_with_its_thread() {
    let capture = Capture::start();
    use_global();
    let context = capture.context();
    let leaked = thread::spawn(move || {
        let _attached = context.attach();
        let span = info_span!("leaked").entered();
        drop(info_span!("child"));
        std::mem::forget(span);
    });
    leaked.join().expect("the thread does not panic");
    assert_eq!(Context::current(), Context::default());
    assert_eq!(
        capture.tree().lines().next(),
        Some("? missing parent"),
        "the span is still open: its guard is lost"
    );
}

#[test]
fn threads_may_trace_in_one_span_as_they_like() {
    let capture = Capture::start();
    captured(&capture, || {
        let span = info_span!("busy", last = Empty);
        thread::scope(|scope| {
            for thread in 0..8 {
                let span = &span;
                scope.spawn(move || {
                    for number in 0..10 {
                        let _inside = span.enter();
                        info!(thread, number, "event");
                        span.record("last", number);
                        drop(info_span!("child", thread, number));
                        assert_eq!(Context::current(), context_of(span));
                    }
                });
            }
        });
    });
    let spans = capture.spans();
    let busy = spans
        .iter()
        .find(|span| span.name == "busy")
        .expect("it ended");
    let recorded = busy
        .attributes
        .iter()
        .filter(|(key, _)| key == "last")
        .count();
    let children = spans
        .iter()
        .filter(|span| span.parent == Some(busy.span_id))
        .count();
    assert_eq!((recorded, children, busy.events.len()), (1, 80, 80));
}

#[test]
fn a_lock_that_a_value_takes_may_be_held_while_logging() {
    let capture = Capture::start();
    captured(&capture, || {
        let state = Arc::new(Mutex::new(0));
        let span = info_span!("span");
        thread::scope(|scope| {
            for _ in 0..4 {
                let (span, state) = (&span, &state);
                scope.spawn(move || {
                    let _inside = span.enter();
                    for _ in 0..50 {
                        info!(state = ?Locking(state), "reading");
                        let mut locked = state.lock().unwrap_or_else(PoisonError::into_inner);
                        *locked += 1;
                        info!(state = *locked, "writing");
                    }
                });
            }
        });
    });
    let spans = capture.spans();
    assert_eq!(
        (spans[0].events.len(), spans[0].dropped_events),
        (128, 400 - 128)
    );
}

struct Locking<'a>(&'a Mutex<i32>);

impl fmt::Debug for Locking<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0.lock().unwrap_or_else(PoisonError::into_inner), f)
    }
}

/// A span whose first stay is on the thread that made it and whose others are elsewhere knows all of them.
#[test]
fn stays_on_several_threads_add_up() {
    let capture = Capture::start();
    captured(&capture, || {
        let span = info_span!("moves");
        span.in_scope(|| ());
        let elsewhere = {
            let span = span.clone();
            thread::spawn(move || {
                span.in_scope(|| span.in_scope(|| ()));
            })
        };
        elsewhere.join().expect("nothing panics");
        span.in_scope(|| ());
    });
    let spans = capture.spans();
    assert_eq!(spans.len(), 1);
    let number = |key| match spans[0].attribute(key) {
        Some(&Value::Int(number)) => number,
        other => panic!("{key} is {other:?}"),
    };
    assert_eq!(number("poll_count"), 4);
    assert!(number("longest_poll_ns") <= number("busy_ns"));
}

/// A cell that was kept for the next span is not reused while a context of the old span is entered elsewhere.
#[test]
fn a_span_that_is_entered_elsewhere_keeps_its_identity() {
    let capture = Capture::start();
    let (entered, wait): (Sender<()>, Receiver<()>) = channel();
    let (go_on, until): (Sender<()>, Receiver<()>) = channel();
    captured(&capture, || {
        let outer = info_span!("outer");
        let context = context_of(&outer);
        let thread = {
            let outer = outer.clone();
            thread::spawn(move || {
                let dropped = outer.clone();
                let _inside = outer.enter();
                drop(dropped);
                entered.send(()).expect("the test waits");
                until.recv().expect("the test goes on");
                assert_eq!(Context::current(), context);
                info_span!("late child").in_scope(|| ());
            })
        };
        wait.recv().expect("the thread enters");
        drop(outer);
        for _ in 0..100 {
            info_span!("other").in_scope(|| ());
        }
        go_on.send(()).expect("the thread waits");
        thread.join().expect("nothing panics");
    });
    let spans = capture.spans();
    let outer = spans
        .iter()
        .find(|span| span.name == "outer")
        .expect("it ended");
    let child = spans
        .iter()
        .find(|span| span.name == "late child")
        .expect("it ended");
    assert_eq!(child.parent, Some(outer.span_id));
    assert_eq!(spans.len(), 102);
}
