#![allow(unsafe_code, clippy::print_stdout, missing_docs)]
use std::alloc::{GlobalAlloc, Layout, System};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;
use throughline_core::{Recorder, RecorderConfig};
use throughline_tracing::{TraceFilter, TraceLayer};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;

struct A;
static COUNT: AtomicU64 = AtomicU64::new(0);
unsafe impl GlobalAlloc for A {
    unsafe fn alloc(&self, l: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(l) }
    }
    unsafe fn dealloc(&self, p: *mut u8, l: Layout) {
        unsafe { System.dealloc(p, l) }
    }
    unsafe fn realloc(&self, p: *mut u8, l: Layout, n: usize) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        unsafe { System.realloc(p, l, n) }
    }
}
#[global_allocator]
static G: A = A;

fn tree(id: &str) {
    let _r = tracing::info_span!("root", order.channel = "web", order.items = 3i64, order.id = %id)
        .entered();
    for i in 0..9i64 {
        let _c =
            tracing::info_span!("child", order.channel = "web", order.items = i, order.id = %id)
                .entered();
    }
}

use throughline_core::{Callsite, CallsiteSpec, Level, Span, SpanKind};
static CS: Callsite = Callsite::new(CallsiteSpec {
    name: "child",
    kind: SpanKind::Internal,
    level: Level::Info,
    target: "x",
    scope_name: "x",
    scope_version: "",
    static_fields: &[],
});
struct Ins;
struct Nop;
struct Vis;
struct X(#[allow(dead_code)] u64);
impl<S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>> Layer<S>
    for Ins
{
    fn on_new_span(
        &self,
        _a: &tracing::span::Attributes<'_>,
        id: &tracing::Id,
        ctx: tracing_subscriber::layer::Context<'_, S>,
    ) {
        if let Some(s) = ctx.span(id) {
            s.extensions_mut().replace(X(1));
        }
    }
}
impl<S: tracing::Subscriber> Layer<S> for Nop {}
struct V(u64);
impl tracing::field::Visit for V {
    fn record_str(&mut self, f: &tracing::field::Field, v: &str) {
        self.0 += (f.index() + v.len()) as u64
    }
    fn record_i64(&mut self, f: &tracing::field::Field, v: i64) {
        self.0 += f.index() as u64 + v as u64
    }
    fn record_debug(&mut self, f: &tracing::field::Field, _v: &dyn std::fmt::Debug) {
        self.0 += f.index() as u64
    }
}
impl<S: tracing::Subscriber> Layer<S> for Vis {
    fn on_new_span(
        &self,
        a: &tracing::span::Attributes<'_>,
        _id: &tracing::Id,
        _ctx: tracing_subscriber::layer::Context<'_, S>,
    ) {
        let mut v = V(0);
        a.record(&mut v);
        std::hint::black_box(v.0);
    }
}
fn one(i: i64, id: &str) -> Span {
    let mut s = Span::start(&CS);
    s.attribute(&"order.channel", "web");
    s.attribute(&"order.items", i);
    s.attribute(&"order.id", throughline_core::display(id));
    s
}
fn native(id: &str) {
    let _r = one(3, id).enter();
    for i in 0..9i64 {
        let _c = one(i, id).enter();
    }
}
fn shared(id: &str) {
    let r = one(3, id).share();
    r.enter();
    for i in 0..9i64 {
        let c = one(i, id).share();
        c.enter();
        c.exit();
        c.end();
    }
    r.exit();
    r.end();
}
fn main() {
    let mode = std::env::args().nth(1).unwrap_or_default();
    let recorder = Recorder::start(RecorderConfig::default());
    recorder.install_global().unwrap();
    let reg = tracing_subscriber::registry();
    match mode.as_str() {
        "nop" => tracing::subscriber::set_global_default(reg.with(Nop)).unwrap(),
        "ins" => tracing::subscriber::set_global_default(reg.with(Ins)).unwrap(),
        "vis" => tracing::subscriber::set_global_default(reg.with(Vis)).unwrap(),
        "registry" => tracing::subscriber::set_global_default(reg).unwrap(),
        "filtered" => tracing::subscriber::set_global_default(
            reg.with(TraceLayer::new().with_filter(TraceFilter::new())),
        )
        .unwrap(),
        _ => tracing::subscriber::set_global_default(reg.with(TraceLayer::new())).unwrap(),
    }
    static STOP: AtomicBool = AtomicBool::new(false);
    let r2 = recorder.clone();
    let t = std::thread::spawn(move || {
        let mut n = 0;
        while !STOP.load(Ordering::Relaxed) {
            n += r2.drain(|_| ControlFlow::Continue(()));
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        n
    });
    let id = "0123456789abcdef";
    let tree: fn(&str) = match mode.as_str() {
        "native" => native,
        "shared" => shared,
        _ => tree,
    };
    for _ in 0..2000 {
        tree(id);
    }
    let mut best = f64::MAX;
    let mut all = vec![];
    let a0 = COUNT.load(Ordering::Relaxed);
    let rounds = std::env::args()
        .nth(2)
        .and_then(|s| s.parse().ok())
        .unwrap_or(200);
    let per = 500;
    for _ in 0..rounds {
        let s = Instant::now();
        for _ in 0..per {
            tree(id);
        }
        let ns = s.elapsed().as_nanos() as f64 / (per * 10) as f64;
        best = best.min(ns);
        all.push(ns);
    }
    let a1 = COUNT.load(Ordering::Relaxed);
    all.sort_by(f64::total_cmp);
    STOP.store(true, Ordering::Relaxed);
    let drained = t.join().unwrap();
    println!(
        "{mode}: median {:.1} best {:.1} ns/span, {:.2} allocs/span, drained {drained} {:?}",
        all[all.len() / 2],
        best,
        (a1 - a0) as f64 / (rounds * per * 10) as f64,
        recorder.stats()
    );
}
