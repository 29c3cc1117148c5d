#![expect(unsafe_code, reason = "a counting allocator cannot be had without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ops::ControlFlow;

use crate::{CHUNK, hub_of};

thread_local!(static ALLOCATIONS: Cell<usize> = const { Cell::new(0) });

struct Counting;

// SAFETY: forwards to the system allocator; counting touches a thread-local
// without a destructor, which does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(memory, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn writing_and_draining_allocate_nothing_after_warm_up() {
    let hub = hub_of(8);
    let mut writer = hub.writer();
    let mut round = || {
        for _ in 0..40 {
            writer.push([1; 72], &[2; 50]).unwrap();
            writer.tally(0, 1);
        }
        let drained = hub.drain(|_| ControlFlow::Continue(()));
        assert_eq!(drained.records, 40);
        hub.sleep(0);
        hub.tallies();
    };
    // Until as many chunks are in circulation as one round needs at most.
    for _ in 0..10 {
        round();
    }
    let warm = ALLOCATIONS.get();
    for _ in 0..100 {
        round();
    }
    assert_eq!(ALLOCATIONS.get(), warm);
}

#[test]
fn a_full_hub_refuses_without_allocating() {
    let hub = hub_of(1);
    let mut writer = hub.writer();
    while writer.push([1; 72], &[2; 50]).is_ok() {}
    let warm = ALLOCATIONS.get();
    let big = [0; 2 * CHUNK];
    for _ in 0..100 {
        assert!(writer.push([1; 72], &[2; 50]).is_err());
        assert!(writer.push([], &big).is_err());
    }
    assert_eq!(ALLOCATIONS.get(), warm);
}
