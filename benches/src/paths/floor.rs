//! The floor: what any span with times and an id must cost. Two readings of the time stamp counter,
//! one random id and 128 bytes written; nothing leaves the process.

use std::cell::RefCell;
use std::future::Future;
use std::hint::black_box;

use quanta::Clock;

use super::Path;
use crate::order::Order;
use crate::scenario::Sampling;
use crate::target::Destination;

/// The bare floor. Sampling makes no difference to it.
#[derive(Debug)]
pub(crate) struct Floor {
    clock: Clock,
}

impl Floor {
    #[inline]
    fn write(&self, start: u64) {
        let end = self.clock.raw();
        let id = fastrand::u64(..);
        BUFFER.with_borrow_mut(|(position, bytes)| {
            let record = &mut bytes[*position..*position + RECORD_BYTES];
            record.fill(id as u8);
            record[..8].copy_from_slice(&start.to_le_bytes());
            record[8..16].copy_from_slice(&end.to_le_bytes());
            record[16..24].copy_from_slice(&id.to_le_bytes());
            black_box(record);
            *position = (*position + RECORD_BYTES) % BUFFER_BYTES;
        });
    }
}

impl Path for Floor {
    const EXPORTS: bool = false;

    fn start(_destination: &Destination, _sampling: Sampling) -> Self {
        Self {
            clock: Clock::new(),
        }
    }

    #[inline]
    fn root<const A: usize>(&self, order: &Order, body: impl FnOnce()) {
        self.child::<A>(order, body);
    }

    #[inline]
    fn child<const A: usize>(&self, _order: &Order, body: impl FnOnce()) {
        let start = self.clock.raw();
        body();
        self.write(start);
    }

    fn root_future<const A: usize, F>(&self, order: Order, body: F) -> impl Future<Output = ()>
    where
        F: Future<Output = ()>,
    {
        self.child_future::<A, F>(order, body)
    }

    async fn child_future<const A: usize, F>(&self, _order: Order, body: F)
    where
        F: Future<Output = ()>,
    {
        let start = self.clock.raw();
        body.await;
        self.write(start);
    }

    fn context_future<F>(&self, _body: F) -> Option<impl Future<Output = ()>>
    where
        F: Future<Output = ()>,
    {
        None::<F>
    }

    fn flush(&self) {}
}

thread_local! {
    static BUFFER: RefCell<(usize, [u8; BUFFER_BYTES])> =
        const { RefCell::new((0, [0; BUFFER_BYTES])) };
}

const RECORD_BYTES: usize = 128;
const BUFFER_BYTES: usize = 64 * 1024;
