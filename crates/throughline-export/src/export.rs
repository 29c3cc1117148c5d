//! Empties the queue into the exporter, and counts and tells what came of it.

use std::time::Instant;

use crate::deliver::Delivery;
use crate::exporter::{Batch, ExportError, Receipt};
use crate::notice::{Memory, Notices};
use crate::queue::{Item, Queue};
use crate::say;
use crate::shared::Shared;
use crate::split::Parts;

pub(crate) struct Export {
    delivery: Delivery,
    notices: Notices,
}

impl Export {
    pub(crate) fn new(delivery: Delivery) -> Self {
        Self {
            notices: Notices::new(delivery.destination()),
            delivery,
        }
    }

    /// Works until the queue says that nothing comes any more.
    pub(crate) async fn run(&mut self, shared: &Shared, queue: &Queue) {
        loop {
            match queue.pop().await {
                Item::Batch(batch) => {
                    if shared.is_too_late() {
                        shared.dropped("shutdown", batch.spans());
                    } else {
                        self.export(&batch, shared, queue).await;
                    }
                    queue.settle();
                    queue.recycle(batch);
                }
                Item::Flush(number) => {
                    let result = self.delivery.flush().await;
                    shared.flushed(number, &result);
                }
                Item::Close => {
                    let result = self.delivery.flush().await;
                    return shared.flushed(0, &result);
                }
            }
        }
    }

    /// Sends a batch, in parts if the other side finds it too large, and counts each
    /// part by itself.
    async fn export(&mut self, batch: &Batch, shared: &Shared, queue: &Queue) {
        shared.exporting(batch.spans());
        let deadline = match self.delivery.begin().await {
            Ok(deadline) => deadline,
            Err(error) => return self.settle(batch, Err(error), shared),
        };
        let mut parts = Parts::of(batch);
        while let Some(part) = parts.next() {
            let Self { delivery, notices } = self;
            let result = delivery
                .send(&part.batch, deadline, |error, again| {
                    if again {
                        let memory = memory(shared, queue);
                        tell(notices.retrying(Instant::now(), error, memory));
                    }
                })
                .await;
            let too_large = result.as_ref().is_err_and(ExportError::is_too_large);
            if !(too_large && parts.halve(&part)) {
                self.settle(&part.batch, result, shared);
            }
        }
    }

    /// Counts and tells what became of a batch or a part.
    fn settle(&mut self, batch: &Batch, result: Result<Receipt, ExportError>, shared: &Shared) {
        shared.exported(batch.spans(), &result);
        let (now, notices) = (Instant::now(), &mut self.notices);
        match &result {
            Ok(receipt) => {
                if let Some(line) = notices.delivered(now) {
                    say::inform(line);
                }
                tell(notices.partly_accepted(now, receipt));
            }
            Err(error) => tell(notices.gave_up(now, error, batch.spans())),
        }
    }
}

fn tell(line: Option<String>) {
    if let Some(line) = line {
        say::warn(line);
    }
}

/// What spans occupy at this moment, in the threads' buffers and in the queue.
fn memory(shared: &Shared, queue: &Queue) -> Memory {
    let buffers = shared.recorder.stats();
    Memory {
        used_bytes: buffers.buffer_bytes + queue.bytes(),
        max_bytes: buffers.buffer_limit_bytes + queue.max_bytes(),
    }
}
