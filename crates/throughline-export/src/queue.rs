//! What waits for the exporter, in order.
//!
//! The drain fills it and the export loop empties it; both run on the export
//! thread, so nothing here is shared between threads. A batch counts as waiting
//! until it is settled, that is, while it is in flight too.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use tokio::sync::Notify;

use crate::exporter::Batch;

/// The largest buffer that is kept although nothing is in it: buffers grow by
/// doubling, and one of the usual size must be among those kept.
const MAX_SPARE_BYTES: usize = 5 << 18;

/// One piece of work for the export loop.
#[derive(Debug)]
pub(crate) enum Item {
    /// Deliver this.
    Batch(Batch),
    /// Everything that flushes up to this one asked for has gone before.
    Flush(u64),
    /// Nothing comes after this.
    Close,
}

/// The bounds of what waits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Capacity {
    pub(crate) spans: u64,
    pub(crate) bytes: usize,
}

pub(crate) struct Queue {
    items: RefCell<VecDeque<Item>>,
    spans: Cell<u64>,
    bytes: Cell<usize>,
    /// Spans and bytes of the batch in flight.
    in_flight: Cell<(u64, usize)>,
    capacity: Capacity,
    /// The buffer of the last batch that was settled.
    spare: Cell<Vec<u8>>,
    /// An item was pushed.
    filled: Notify,
    /// A batch was settled.
    settled: Notify,
}

impl Queue {
    pub(crate) fn new(capacity: Capacity) -> Self {
        Self {
            items: RefCell::default(),
            spans: Cell::new(0),
            bytes: Cell::new(0),
            in_flight: Cell::default(),
            capacity,
            spare: Cell::default(),
            filled: Notify::new(),
            settled: Notify::new(),
        }
    }

    pub(crate) fn push(&self, item: Item) {
        if let Item::Batch(batch) = &item {
            self.spans.set(self.spans.get() + batch.spans());
            self.bytes.set(self.bytes.get() + batch.request().len());
        }
        self.items.borrow_mut().push_back(item);
        self.filled.notify_one();
    }

    /// Takes the first item, waiting for one if need be.
    pub(crate) async fn pop(&self) -> Item {
        loop {
            let first = self.items.borrow_mut().pop_front();
            if let Some(item) = first {
                if let Item::Batch(batch) = &item {
                    self.in_flight.set((batch.spans(), batch.request().len()));
                }
                return item;
            }
            self.filled.notified().await;
        }
    }

    /// Says that the batch that was popped last is done with.
    pub(crate) fn settle(&self) {
        let (spans, bytes) = self.in_flight.take();
        self.spans.set(self.spans.get() - spans);
        self.bytes.set(self.bytes.get() - bytes);
        self.settled.notify_one();
    }

    /// Keeps the buffer of a batch that was settled, for a later one.
    pub(crate) fn recycle(&self, batch: Batch) {
        let buffer = batch.into_buffer();
        if let Some(buffer) = buffer.filter(|buffer| buffer.capacity() <= MAX_SPARE_BYTES) {
            self.spare.set(buffer);
        }
    }

    /// The buffer that was kept last; empty if there is none.
    pub(crate) fn spare(&self) -> Vec<u8> {
        self.spare.take()
    }

    /// Waits until a batch is settled.
    pub(crate) async fn settled(&self) {
        self.settled.notified().await;
    }

    /// Whether there is room beside these spans and bytes, which are about to come.
    pub(crate) fn has_room(&self, spans: u64, bytes: usize) -> bool {
        self.spans.get() + spans < self.capacity.spans
            && self.bytes.get() + bytes < self.capacity.bytes
    }

    /// Whether no batch waits or is in flight.
    pub(crate) fn is_idle(&self) -> bool {
        self.spans.get() == 0
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.get()
    }

    pub(crate) fn max_bytes(&self) -> usize {
        self.capacity.bytes
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn batch(spans: u64, bytes: usize) -> Batch {
        Batch::new(Bytes::from(vec![0; bytes]), spans)
    }

    #[tokio::test]
    async fn a_batch_takes_room_until_it_is_settled() {
        let queue = Queue::new(Capacity {
            spans: 10,
            bytes: 100,
        });
        assert!(queue.is_idle() && queue.has_room(9, 99));
        assert!(!queue.has_room(10, 0) && !queue.has_room(0, 100));
        queue.push(Item::Batch(batch(4, 60)));
        queue.push(Item::Close);
        assert!(queue.has_room(5, 39) && !queue.has_room(6, 0) && !queue.has_room(0, 40));
        assert!(matches!(queue.pop().await, Item::Batch(_)));
        assert!(!queue.is_idle());
        queue.settle();
        queue.settle();
        assert!(queue.is_idle() && queue.bytes() == 0);
        queue.settled().await;
        assert!(matches!(queue.pop().await, Item::Close));
    }
}
