//! Empties the queue of one destination into its exporter.

use std::sync::Arc;
use std::time::Instant;

use crate::deliver::Delivery;
use crate::destination::Destination;
use crate::exporter::{Batch, ExportError};
use crate::notice::Memory;
use crate::queue::Item;
use crate::shared::Shared;
use crate::split::Parts;

pub(crate) struct Export {
    /// The place of the destination among those of the pipeline.
    pub(crate) index: usize,
    pub(crate) destination: Arc<Destination>,
    pub(crate) delivery: Delivery,
}

impl Export {
    /// Works until the queue says that nothing comes any more.
    pub(crate) async fn run(&mut self, shared: &Shared) {
        loop {
            match self.destination.pop().await {
                Item::Batch(batch) => {
                    if shared.lifecycle.is_too_late() {
                        self.destination.drop_in_flight("shutdown");
                    } else {
                        self.export(&batch, shared).await;
                    }
                    // In this order, so that the drain finds the buffer when it is woken.
                    shared.recycle(batch);
                    self.destination.settle();
                }
                Item::Flush(number) => self.flush(number, shared).await,
                Item::Close => {
                    self.flush(0, shared).await;
                    return self.delivery.release();
                }
            }
        }
    }

    async fn flush(&mut self, number: u64, shared: &Shared) {
        let well = self.delivery.flush().await.is_ok();
        shared.lifecycle.flushed(self.index, number, well);
    }

    /// Sends a batch, in parts if the other side finds it too large, and counts each
    /// part by itself.
    async fn export(&mut self, batch: &Batch, shared: &Shared) {
        let Self {
            destination,
            delivery,
            ..
        } = self;
        let deadline = match delivery.begin().await {
            Ok(deadline) => deadline,
            Err(error) => {
                destination.exported(batch.spans(), &Err(error));
                return;
            }
        };
        let mut parts = Parts::of(batch);
        while let Some(part) = parts.next() {
            let started = Instant::now();
            let result = delivery
                .send(&part.batch, deadline, |error, again| {
                    if again {
                        destination.retrying(error, buffers(shared));
                    }
                })
                .await;
            destination.took(started.elapsed(), &result);
            let too_large = result.as_ref().is_err_and(ExportError::is_too_large);
            if too_large && parts.halve(&part) {
                continue;
            }
            if destination.exported(part.batch.spans(), &result) == 0 {
                // Also when the batch was given up meanwhile.
                return;
            }
        }
    }
}

/// What spans occupy at this moment in the threads' buffers.
fn buffers(shared: &Shared) -> Memory {
    let buffers = shared.recorder.stats();
    Memory {
        used_bytes: buffers.buffer_bytes,
        max_bytes: buffers.buffer_limit_bytes,
    }
}
