//! What waits for one exporter, in order, and how much of it there may be.
//!
//! A plain value: [`crate::destination`] has the lock around it. A batch counts as
//! waiting until it is settled, that is, while it is in flight too.

use std::collections::VecDeque;

use crate::exporter::Batch;

/// One piece of work for an export thread.
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
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Capacity {
    pub(crate) spans: u64,
    /// May be exceeded by one batch.
    pub(crate) bytes: usize,
}

impl Capacity {
    /// Whether there is room for more beside these.
    pub(crate) fn exceeds(self, spans: u64, bytes: usize) -> bool {
        spans < self.spans && bytes < self.bytes
    }
}

#[derive(Debug)]
pub(crate) struct Queue {
    items: VecDeque<Item>,
    spans: u64,
    bytes: usize,
    /// Spans and bytes of the batch in flight.
    in_flight: (u64, usize),
    capacity: Capacity,
}

impl Queue {
    pub(crate) fn new(capacity: Capacity) -> Self {
        Self {
            items: VecDeque::new(),
            spans: 0,
            bytes: 0,
            in_flight: (0, 0),
            capacity,
        }
    }

    pub(crate) fn push(&mut self, item: Item) {
        if let Item::Batch(batch) = &item {
            self.spans += batch.spans();
            self.bytes += batch.request().len();
        }
        self.items.push_back(item);
    }

    /// Takes the first item.
    pub(crate) fn pop(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        if let Item::Batch(batch) = &item {
            self.in_flight = (batch.spans(), batch.request().len());
        }
        Some(item)
    }

    /// Says that the batch that was popped last is done with.
    pub(crate) fn settle(&mut self) {
        let (spans, bytes) = std::mem::take(&mut self.in_flight);
        self.spans -= spans;
        self.bytes -= bytes;
    }

    /// Removes everything and says how many spans that were.
    pub(crate) fn clear(&mut self) -> u64 {
        self.items.clear();
        let waiting = self.spans - self.in_flight.0;
        (self.spans, self.bytes) = self.in_flight;
        waiting
    }

    /// How much may still come.
    pub(crate) fn room(&self) -> Capacity {
        Capacity {
            spans: self.capacity.spans.saturating_sub(self.spans),
            bytes: self.capacity.bytes.saturating_sub(self.bytes),
        }
    }

    /// Whether a batch may be pushed. That is so whenever its spans were collected
    /// while there was room beside them.
    pub(crate) fn takes(&self, batch: &Batch) -> bool {
        self.spans + batch.spans() <= self.capacity.spans && self.bytes < self.capacity.bytes
    }

    /// Whether no batch waits or is in flight.
    pub(crate) fn is_idle(&self) -> bool {
        self.spans == 0
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
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

    fn queue() -> Queue {
        Queue::new(Capacity {
            spans: 10,
            bytes: 100,
        })
    }

    #[test]
    fn a_batch_takes_room_until_it_is_settled() {
        let mut queue = queue();
        assert!(queue.is_idle() && queue.room().exceeds(9, 99));
        assert!(!queue.room().exceeds(10, 0) && !queue.room().exceeds(0, 100));
        queue.push(Item::Batch(batch(4, 60)));
        queue.push(Item::Close);
        let room = queue.room();
        assert!(room.exceeds(5, 39) && !room.exceeds(6, 0) && !room.exceeds(0, 40));
        assert!(matches!(queue.pop(), Some(Item::Batch(_))));
        assert!(!queue.is_idle());
        queue.settle();
        queue.settle();
        assert!(queue.is_idle() && queue.bytes() == 0);
        assert!(matches!(queue.pop(), Some(Item::Close)));
        assert!(queue.pop().is_none());
    }

    #[test]
    fn what_was_collected_while_there_was_room_is_taken() {
        let mut queue = queue();
        assert!(queue.takes(&batch(10, 150)));
        assert!(!queue.takes(&batch(11, 1)));
        queue.push(Item::Batch(batch(2, 99)));
        assert!(queue.takes(&batch(8, 99)) && !queue.takes(&batch(9, 1)));
        queue.push(Item::Batch(batch(2, 99)));
        assert!(!queue.takes(&batch(1, 1)));
    }

    #[test]
    fn what_is_in_flight_is_not_removed() {
        let mut queue = queue();
        for spans in 1..4 {
            queue.push(Item::Batch(batch(spans, 10)));
        }
        assert!(queue.pop().is_some());
        assert_eq!(queue.clear(), 5);
        assert!(!queue.is_idle() && queue.pop().is_none());
        queue.settle();
        assert!(queue.is_idle());
    }
}
