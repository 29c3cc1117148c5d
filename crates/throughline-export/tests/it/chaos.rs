//! Exporters that do anything, and sums that are exact all the same.

use std::future::{pending, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use throughline_export::{
    Batch, DestinationReport, ExportError, ExportFuture, Pipeline, Receipt, SpanExporter,
};
use tokio::sync::watch;

use crate::support::{LONG, assert_settled, record, record_other};

/// Does something else each time, and keeps count of what it accepted.
struct Moody {
    chance: fastrand::Rng,
    accepted: Arc<AtomicU64>,
    /// Changes as the test goes on, and is closed before the shutdown.
    progress: watch::Receiver<()>,
}

impl SpanExporter for Moody {
    fn export(&mut self, batch: Batch) -> ExportFuture<'_> {
        let spans = batch.spans();
        let mood = self.chance.u8(0..40);
        assert_ne!(mood, 0, "as the test wants it");
        let accept = |spans| self.accepted.fetch_add(spans, Ordering::Relaxed);
        let error = match mood {
            1 => return Box::pin(pending()),
            2 => return Box::pin(async { panic!("as the test wants it") }),
            3 => ExportError::permanent("refused", "no"),
            4..8 => ExportError::too_large("too_large", "too large"),
            8 => ExportError::transient("busy", "later").with_retry_after(Duration::from_millis(1)),
            9 => {
                let rejected = self.chance.u64(0..=spans);
                accept(spans - rejected);
                return Box::pin(ready(Ok(Receipt::partial(rejected, "some"))));
            }
            _ => {
                let slow = mood >= 38;
                return Box::pin(async move {
                    if slow {
                        // Until other threads have got on.
                        self.progress.mark_unchanged();
                        let _ = self.progress.changed().await;
                    }
                    // Nothing can come between this and the answer.
                    self.accepted.fetch_add(spans, Ordering::Relaxed);
                    Ok(Receipt::complete())
                });
            }
        };
        Box::pin(ready(Err(error)))
    }

    fn flush(&mut self) -> ExportFuture<'_> {
        match self.chance.u8(0..10) {
            0 => panic!("as the test wants it"),
            1 => Box::pin(ready(Err(ExportError::permanent("flush", "no")))),
            _ => Box::pin(ready(Ok(Receipt::complete()))),
        }
    }
}

fn run(seed: u64) {
    const THREADS: u64 = 4;
    const SPANS: u64 = 1500;
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut accepted = Vec::new();
    let (progress, seen) = watch::channel(());
    let mut builder = Pipeline::builder()
        .timeout(Duration::from_millis(20))
        .export_timeout(Duration::from_millis(60))
        .schedule_delay(Duration::from_millis(1))
        .max_memory_bytes(chance.usize(64 << 10..1 << 20))
        .max_batch_spans(chance.u64(1..300));
    for _ in 0..chance.u64(1..4) {
        let count = Arc::<AtomicU64>::default();
        accepted.push(Arc::clone(&count));
        builder = builder.exporter(Moody {
            chance: chance.fork(),
            accepted: count,
            progress: seen.clone(),
        });
    }
    let pipeline = builder.start().unwrap();
    let mut reports = Vec::new();
    thread::scope(|scope| {
        let producers: Vec<_> = (0..THREADS)
            .map(|_| {
                let context = pipeline.context();
                let mut chance = chance.fork();
                let progress = progress.clone();
                scope.spawn(move || {
                    let _here = context.attach();
                    for id in 0..SPANS {
                        record([id]);
                        if chance.u8(..) < 8 {
                            record_other();
                            progress.send_replace(());
                            thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        for producer in producers {
            reports.push(pipeline.flush(Duration::from_millis(chance.u64(0..30))));
            producer.join().unwrap();
        }
    });
    // Nobody records any more; the export is still at work.
    for _ in 0..100 {
        let stats = pipeline.stats();
        assert_eq!(stats.unaccounted(), 0, "{stats}");
        progress.send_replace(());
        thread::yield_now();
    }
    drop(progress);
    let time = if seed.is_multiple_of(2) {
        LONG
    } else {
        Duration::from_millis(chance.u64(0..30))
    };
    let _ = pipeline.shutdown(time);
    // The same shutdown; this one waits until the last span is counted.
    reports.push(pipeline.shutdown(LONG));
    let stats = pipeline.stats();
    assert_settled(&stats);
    assert!(stats.started >= THREADS * SPANS);
    for (index, destination) in stats.destinations.iter().enumerate() {
        // A batch may be accepted in the moment in which it is given up.
        let accepted = accepted[index].load(Ordering::Relaxed);
        let given_up = destination.failed.get("shutdown") + destination.failed.get("blocked");
        assert!(
            (destination.exported..=destination.exported + given_up).contains(&accepted),
            "{accepted} accepted: {destination:?}"
        );
        // Every span was told in one report.
        let sum = |count: fn(&DestinationReport) -> u64| -> u64 {
            let here = reports.iter().map(|report| &report.destinations[index]);
            here.map(count).sum()
        };
        assert_eq!(
            (
                sum(|one| one.exported),
                sum(|one| one.failed),
                sum(|one| one.dropped)
            ),
            (
                destination.exported,
                destination.failed.total(),
                destination.dropped.total()
            ),
            "{destination:?}"
        );
    }
}

#[test]
fn whatever_exporters_do_every_span_is_counted_once() {
    // Two at a time, since they mostly wait.
    thread::scope(|scope| {
        for half in 0..2 {
            scope.spawn(move || {
                for seed in 0..15 {
                    run(2 * seed + half);
                }
            });
        }
    });
}
