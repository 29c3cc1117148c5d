//! A destination to script, and batches without a pipeline.

use std::future::ready;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use throughline_export::{
    Batch, ExportError, ExportFuture, Pipeline, Receipt, SpanExporter, SpoolExporter,
};

/// Longer than anything takes that is not broken.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// What becomes of each batch, told by a function.
pub(crate) struct Told<F>(pub(crate) F);

impl<F> SpanExporter for Told<F>
where
    F: FnMut(&Batch) -> Result<Receipt, ExportError> + Send,
{
    fn export(&mut self, batch: Batch) -> ExportFuture<'_> {
        Box::pin(ready((self.0)(&batch)))
    }

    fn destination(&self) -> String {
        "the destination of a test".to_owned()
    }
}

/// Accepts everything and keeps the bytes.
#[derive(Clone, Default)]
pub(crate) struct Keeper {
    pub(crate) requests: Arc<Mutex<Vec<Vec<u8>>>>,
    pub(crate) spans: Arc<AtomicU64>,
}

impl Keeper {
    pub(crate) fn exporter(&self) -> impl SpanExporter + 'static {
        let keeper = self.clone();
        Told(move |batch: &Batch| {
            keeper
                .requests
                .lock()
                .unwrap()
                .push(batch.request().to_vec());
            keeper.spans.fetch_add(batch.spans(), Ordering::SeqCst);
            Ok(Receipt::complete())
        })
    }
}

pub(crate) fn unavailable() -> ExportError {
    ExportError::transient("503", "unavailable")
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
}

/// Batches as a pipeline makes them, since nobody else can: each has one span.
pub(crate) fn batches(count: u64, padding: usize) -> Vec<Batch> {
    let made = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&made);
    let pipeline = Pipeline::builder()
        .max_batch_spans(1)
        .exporter(Told(move |batch: &Batch| {
            keep.lock().unwrap().push(batch.clone());
            Ok(Receipt::complete())
        }))
        .start()
        .unwrap();
    let padding = "x".repeat(padding);
    {
        let _here = pipeline.context().attach();
        for _ in 0..count {
            let mut span = throughline_core::Span::start(&WORK);
            span.set_attribute("padding", padding.as_str());
            span.end();
        }
    }
    assert!(pipeline.shutdown(LONG).is_complete());
    let made = std::mem::take(&mut *made.lock().unwrap());
    assert_eq!(made.len() as u64, count);
    made
}

pub(crate) static WORK: throughline_core::Callsite =
    throughline_core::Callsite::new(throughline_core::CallsiteSpec {
        name: "work",
        kind: throughline_core::SpanKind::Internal,
        level: throughline_core::Level::Info,
        target: "spool",
        scope_name: "spool",
        scope_version: "1",
        static_fields: &[],
    });

/// Takes everything out of a spool.
pub(crate) fn empty(exporter: &mut SpoolExporter) {
    runtime().block_on(exporter.flush()).unwrap();
}

pub(crate) fn export(exporter: &mut SpoolExporter, batch: &Batch) -> Result<Receipt, ExportError> {
    runtime().block_on(exporter.export(batch.clone()))
}
