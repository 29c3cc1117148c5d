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

fn main() {
    let mode = std::env::args().nth(1).unwrap_or_default();
    let recorder = Recorder::start(RecorderConfig::default());
    recorder.install_global().unwrap();
    let reg = tracing_subscriber::registry();
    match mode.as_str() {
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
