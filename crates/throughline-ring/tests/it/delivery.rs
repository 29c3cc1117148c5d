use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use throughline_ring::{Hub, HubConfig, Writer};

/// Tallies of these tests.
const ACCEPTED: usize = 0;
const REFUSED: usize = 1;

/// A record says who made it, its place, and where its body is cut from.
struct Record {
    thread: u32,
    number: u32,
    offset: u32,
    length: u32,
}

impl Record {
    fn random(thread: u32, number: u32, random: &mut fastrand::Rng) -> Self {
        // Mostly as spans are, some empty, some bigger than a chunk.
        let length = match random.u32(0..100) {
            0..5 => 0,
            5..90 => random.u32(1..300),
            90..98 => random.u32(300..2_000),
            _ => random.u32(2_000..9_000),
        };
        Self {
            thread,
            number,
            offset: random.u32(0..256),
            length,
        }
    }

    fn header(&self) -> [u8; 16] {
        let mut header = [0; 16];
        header[..4].copy_from_slice(&self.thread.to_le_bytes());
        header[4..8].copy_from_slice(&self.number.to_le_bytes());
        header[8..12].copy_from_slice(&self.offset.to_le_bytes());
        header[12..].copy_from_slice(&self.length.to_le_bytes());
        header
    }

    fn body<'a>(&self, noise: &'a [u8]) -> &'a [u8] {
        &noise[self.offset as usize..][..self.length as usize]
    }

    fn parse(bytes: &[u8]) -> Self {
        let field = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        Self {
            thread: field(0),
            number: field(4),
            offset: field(8),
            length: field(12),
        }
    }
}

fn noise() -> Arc<[u8]> {
    let mut random = fastrand::Rng::with_seed(1);
    (0..10_000).map(|_| random.u8(..)).collect()
}

/// Checks what a consumer gets: bytes, and the order within each lane.
struct Check {
    noise: Arc<[u8]>,
    /// Numbers delivered by thread.
    seen: HashMap<u32, Vec<u32>>,
}

impl Check {
    fn record(&mut self, bytes: &[u8]) {
        let record = Record::parse(bytes);
        assert_eq!(bytes.len(), 16 + record.length as usize);
        assert!(bytes[16..] == *record.body(&self.noise), "body differs");
        let seen = self.seen.entry(record.thread).or_default();
        assert!(seen.last() < Some(&record.number), "out of order or twice");
        seen.push(record.number);
    }
}

/// Writes `count` records and returns the numbers of those that were accepted.
fn produce(mut writer: Writer, thread: u32, count: u32, noise: &[u8]) -> Vec<u32> {
    let mut random = fastrand::Rng::with_seed(u64::from(thread));
    let mut accepted = Vec::new();
    for number in 0..count {
        let record = Record::random(thread, number, &mut random);
        if writer.push(record.header(), record.body(noise)).is_ok() {
            writer.tally(ACCEPTED, 1);
            accepted.push(number);
        } else {
            writer.tally(REFUSED, 1);
            // Now and then lets a consumer that shares the core make room.
            if number % 8 == 0 {
                thread::yield_now();
            }
        }
    }
    accepted
}

/// One run: threads write while a consumer drains in bites of random size.
fn conserve(threads: u32, count: u32, config: HubConfig, bite: usize) {
    let hub = Hub::new(config);
    let noise = noise();
    let running = Arc::new(AtomicUsize::new(threads as usize));
    let start = Arc::new(Barrier::new(threads as usize + 1));
    let producers: Vec<_> = (0..threads)
        .map(|thread| {
            let (hub, noise, running, start) =
                (hub.clone(), noise.clone(), running.clone(), start.clone());
            thread::spawn(move || {
                start.wait();
                let accepted = produce(hub.writer(), thread, count, &noise);
                running.fetch_sub(1, Ordering::Release);
                accepted
            })
        })
        .collect();

    let mut random = fastrand::Rng::with_seed(u64::from(threads));
    let mut check = Check {
        noise,
        seen: HashMap::new(),
    };
    let mut delivered = 0;
    start.wait();
    while running.load(Ordering::Acquire) > 0 {
        let mut left = random.usize(1..=bite);
        delivered += hub
            .drain(|bytes| {
                check.record(bytes);
                left -= 1;
                if left == 0 {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })
            .records;
        assert!(hub.allocated_bytes() <= hub.max_bytes());
        thread::yield_now();
    }
    let accepted: Vec<Vec<u32>> = producers.into_iter().map(|p| p.join().unwrap()).collect();
    delivered += hub
        .drain(|bytes| {
            check.record(bytes);
            ControlFlow::Continue(())
        })
        .records;

    for (thread, accepted) in (0..).zip(&accepted) {
        let seen = check.seen.remove(&thread).unwrap_or_default();
        assert!(
            seen == *accepted,
            "thread {thread}: delivered is not accepted"
        );
    }
    let accepted: usize = accepted.iter().map(Vec::len).sum();
    assert_eq!(delivered, accepted);
    assert_eq!(hub.tally(ACCEPTED), accepted as u64);
    assert_eq!(
        hub.tally(ACCEPTED) + hub.tally(REFUSED),
        u64::from(threads) * u64::from(count)
    );
    assert_eq!(hub.drain(|_| ControlFlow::Continue(())).records, 0);
}

#[test]
fn one_thread_delivers_each_record_once_in_order() {
    conserve(1, 100_000, small(), 500);
}

#[test]
fn two_threads_deliver_each_record_once_in_order() {
    conserve(2, 100_000, small(), 1);
}

#[test]
fn eight_threads_deliver_each_record_once_in_order() {
    conserve(8, 20_000, small(), 2_000);
}

#[test]
fn sixty_four_threads_deliver_each_record_once_in_order() {
    conserve(64, 4_000, small(), usize::MAX);
}

#[test]
fn default_sizes_deliver_each_record_once_in_order() {
    conserve(4, 50_000, HubConfig::default(), 10_000);
}

#[test]
fn seeded_runs_with_too_little_memory_conserve_the_count() {
    // Fewer chunks than writers: some get none, all are counted.
    for chunks in 1..=200 {
        let config = HubConfig {
            max_bytes: chunks % 7 * 512 + 100,
            chunk_bytes: 512,
        };
        conserve(1 + chunks as u32 % 5, 300, config, chunks);
    }
}

fn small() -> HubConfig {
    HubConfig {
        max_bytes: 256 << 10,
        chunk_bytes: 2 << 10,
    }
}
