//! What is known for sure of a writer and a reader that run: between which bounds their lag is at the time of a reading.
//!
//! Each step is noted before it is taken and again after it was. A reading that was made between two looks at those notes
//! saw a state between the least and the most that they allow, however long somebody was held up in between.

use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Streams of events, each numbered from one.
#[derive(Debug)]
pub(crate) struct Oracle {
    streams: Vec<Mutex<Stream>>,
}

#[derive(Clone, Debug, Default)]
struct Stream {
    /// When each event was about to be written.
    writing: Vec<Instant>,
    /// When each had been written.
    written: Vec<Instant>,
    /// How many were about to count as handled, and how many did.
    handling: usize,
    handled: usize,
}

/// All that was noted by a time.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    at: Instant,
    streams: Vec<Stream>,
}

/// What a reading may be.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    pub(crate) events: RangeInclusive<usize>,
    pub(crate) age: RangeInclusive<Duration>,
}

impl Oracle {
    pub(crate) fn new(streams: usize) -> Self {
        Self {
            streams: (0..streams).map(|_| Mutex::default()).collect(),
        }
    }

    fn edit(&self, stream: usize, edit: impl FnOnce(&mut Stream)) {
        edit(&mut self.streams[stream].lock().expect("no panic"));
    }

    /// The next event is about to be written.
    pub(crate) fn writing(&self, stream: usize) {
        self.edit(stream, |stream| stream.writing.push(Instant::now()));
    }

    /// So many are.
    pub(crate) fn written(&self, stream: usize, events: usize) {
        let now = Instant::now();
        self.edit(stream, |stream| stream.written.resize(events, now));
    }

    /// So many are about to count as handled.
    pub(crate) fn handling(&self, stream: usize, events: usize) {
        self.edit(stream, |stream| stream.handling = events);
    }

    /// They do.
    pub(crate) fn handled(&self, stream: usize, events: usize) {
        self.edit(stream, |stream| stream.handled = events);
    }

    fn streams(&self) -> Vec<Stream> {
        let streams = self.streams.iter();
        let streams = streams.map(|stream| stream.lock().expect("no panic").clone());
        streams.collect()
    }

    /// What was noted, for the time before a reading.
    pub(crate) fn before(&self) -> Look {
        // What is noted while this runs is later than the time that it says.
        let at = Instant::now();
        let streams = self.streams();
        Look { at, streams }
    }

    /// The same for the time after it.
    pub(crate) fn after(&self) -> Look {
        let streams = self.streams();
        let at = Instant::now();
        Look { at, streams }
    }
}

impl Look {
    /// What a reading between these two may be.
    pub(crate) fn bounds(&self, after: &Self) -> Bounds {
        let mut events = (0, 0);
        let mut age = (Duration::ZERO, Duration::ZERO);
        for (first, last) in self.streams.iter().zip(&after.streams) {
            events.0 += first.written.len().saturating_sub(last.handling);
            events.1 += last.writing.len().saturating_sub(first.handled);
            // The oldest event by then is this one or a later one…
            if let Some(written) = last.writing.get(first.handled) {
                age.1 = age.1.max(after.at.duration_since(*written));
            }
            // … and this one or an earlier one, if this one was there.
            if let Some(written) = first.written.get(last.handling) {
                age.0 = age.0.max(self.at.duration_since(*written));
            }
        }
        Bounds {
            events: events.0..=events.1,
            age: age.0..=age.1,
        }
    }
}
