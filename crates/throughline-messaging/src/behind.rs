//! What was written and is not handled yet, and since when, in bounded memory.
//!
//! A stream is read in order, so that how far it was handled is one number. Since when an event waits is kept in marks:
//! one stands for all events of a stream that were written within a millisecond, and says when the first of them was. Where
//! there are too many marks, neighbours become one, if what lies between them is a small part of their age. So an age is
//! never too small, and too large by a millisecond or by a 256th of itself, whichever is more.

use std::collections::{HashMap, VecDeque};

/// What one reader has before it.
#[derive(Debug)]
pub(crate) struct Behind {
    streams: HashMap<Box<str>, Stream>,
    /// Those of all streams.
    marks: usize,
    /// What found no room among the streams.
    rest: Rest,
}

/// Nanoseconds since some moment that is before all others.
pub(crate) type Moment = u64;

#[derive(Debug)]
struct Stream {
    /// The last event that was written.
    head: u64,
    /// The last one that was handled.
    handled: u64,
    /// Nobody told that it was: the first that was written came after it.
    is_assumed: bool,
    /// Of those between the two, the earliest first. There is one at least if there is an event.
    marks: VecDeque<Mark>,
}

/// Events that follow on those of the mark before.
#[derive(Clone, Copy, Debug)]
struct Mark {
    last: u64,
    /// When the first of them was written.
    at: Moment,
}

/// Events of streams that are not told apart.
#[derive(Clone, Copy, Debug, Default)]
struct Rest {
    events: u64,
    first: Moment,
    last: Moment,
}

/// How far a reader is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) events: u64,
    /// When the oldest of them was written.
    pub(crate) oldest: Option<Moment>,
}

impl Gap {
    pub(crate) fn add(&mut self, other: Self) {
        self.events += other.events;
        self.oldest = self.oldest.into_iter().chain(other.oldest).min();
    }
}

impl Behind {
    pub(crate) fn new() -> Self {
        Self {
            streams: HashMap::new(),
            marks: 0,
            rest: Rest::default(),
        }
    }

    /// The stream was written up to there, at that time; `now` tells how old the marks are.
    ///
    /// What is known first of a stream is taken for the first that is not handled, until an earlier one is.
    pub(crate) fn written(&mut self, stream: &str, sequence: u64, at: Moment, now: Moment) {
        let Some(stream) = self.find_or_insert(stream, sequence.saturating_sub(1)) else {
            self.rest.written(at);
            return;
        };
        if stream.written(sequence, at) {
            self.marks += 1;
        }
        if self.marks > MAX_MARKS {
            self.thin(now);
        }
    }

    /// The stream was handled up to there.
    pub(crate) fn handled(&mut self, stream: &str, sequence: u64) {
        // Which was written, therefore, whoever tells of that later.
        let Some(stream) = self.find_or_insert(stream, sequence) else {
            self.rest.handled();
            return;
        };
        if stream.is_assumed && sequence < stream.handled {
            stream.handled = sequence;
        }
        stream.is_assumed = false;
        if sequence <= stream.handled {
            self.rest.handled();
            return;
        }
        let (popped, latest) = stream.handled(sequence);
        self.marks -= popped;
        if latest.is_some_and(|latest| latest > self.rest.last) {
            // Readers go by the order of writing, more or less: what is left was passed by.
            self.rest = Rest::default();
        }
    }

    pub(crate) fn gap(&self) -> Gap {
        let mut gap = self.rest.gap();
        for stream in self.streams.values() {
            gap.add(stream.gap());
        }
        gap
    }

    /// The stream, which is handled up to there if nothing is known of it; none if there is no room.
    fn find_or_insert(&mut self, name: &str, handled: u64) -> Option<&mut Stream> {
        if !self.streams.contains_key(name) {
            if self.streams.len() >= MAX_STREAMS {
                self.streams.retain(|_, stream| stream.events() > 0);
            }
            if self.streams.len() >= MAX_STREAMS {
                return None;
            }
            let stream = Stream {
                head: handled,
                handled,
                is_assumed: true,
                marks: VecDeque::new(),
            };
            self.streams.insert(name.into(), stream);
        }
        self.streams.get_mut(name)
    }

    /// Makes room for as many marks as there are, by bringing together what is closer than a part of its age: a small one,
    /// and a larger one if that does not do.
    fn thin(&mut self, now: Moment) {
        for part in (0..=PART).rev().chain([u32::MAX]) {
            self.marks = 0;
            for stream in self.streams.values_mut() {
                stream.thin(now, part);
                self.marks += stream.marks.len();
            }
            if self.marks <= MAX_MARKS / 2 {
                return;
            }
        }
    }
}

impl Stream {
    const fn events(&self) -> u64 {
        self.head - self.handled
    }

    fn gap(&self) -> Gap {
        Gap {
            events: self.events(),
            oldest: self.marks.front().map(|mark| mark.at),
        }
    }

    /// Whether that takes a mark more.
    fn written(&mut self, sequence: u64, at: Moment) -> bool {
        if sequence <= self.head {
            return false;
        }
        self.head = sequence;
        match self.marks.back_mut() {
            Some(mark) if at.saturating_sub(mark.at) < RESOLUTION => {
                mark.last = sequence;
                false
            }
            _ => {
                self.marks.push_back(Mark { last: sequence, at });
                true
            }
        }
    }

    /// How many marks that did away with, and when the events of the last of them were written.
    fn handled(&mut self, sequence: u64) -> (usize, Option<Moment>) {
        self.handled = sequence;
        self.head = self.head.max(sequence);
        let latest = self.marks.front().map(|mark| mark.at);
        let mut popped = (0, latest);
        while let Some(mark) = self.marks.front()
            && mark.last <= sequence
        {
            popped = (popped.0 + 1, Some(mark.at));
            self.marks.pop_front();
        }
        popped
    }

    /// Brings together marks between which there is no more than that part of their age: a half to the power of `part`, or
    /// however much it is.
    fn thin(&mut self, now: Moment, part: u32) {
        let mut thinned: VecDeque<Mark> = VecDeque::with_capacity(self.marks.len() / 2 + 1);
        for (at, mark) in self.marks.iter().enumerate() {
            // Where the events of this one end, those of the next begin; of the last one nobody knows.
            let end = self.marks.get(at + 1).map_or(now, |next| next.at);
            match thinned.back_mut() {
                Some(before)
                    if part == u32::MAX
                        || end.saturating_sub(before.at) <= now.saturating_sub(end) >> part =>
                {
                    before.last = mark.last;
                }
                _ => thinned.push_back(*mark),
            }
        }
        self.marks = thinned;
    }
}

impl Rest {
    fn written(&mut self, at: Moment) {
        if self.events == 0 {
            (self.first, self.last) = (at, at);
        }
        self.events += 1;
        self.last = self.last.max(at);
    }

    fn gap(self) -> Gap {
        Gap {
            events: self.events,
            oldest: (self.events > 0).then_some(self.first),
        }
    }

    fn handled(&mut self) {
        self.events = self.events.saturating_sub(1);
    }
}

/// Events that are written within so many nanoseconds have one mark.
const RESOLUTION: u64 = 1_000_000;
/// Streams that are known at a time.
const MAX_STREAMS: usize = 4_096;
/// Marks of all streams together: after a thinning there is room for as many again.
const MAX_MARKS: usize = 2 * MAX_STREAMS;
/// Two to the power of this is the part of its age that an event may be reported too old by.
const PART: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    const fn millis(millis: u64) -> Moment {
        millis * 1_000_000
    }

    /// How old the oldest event is.
    fn age(behind: &Behind, now: u64) -> Option<u64> {
        let oldest = behind.gap().oldest?;
        Some((millis(now) - oldest) / 1_000_000)
    }

    /// The same with the number of events.
    fn gap(behind: &Behind, now: u64) -> (u64, Option<u64>) {
        (behind.gap().events, age(behind, now))
    }

    fn write(behind: &mut Behind, stream: &str, sequence: u64, at: u64) {
        behind.written(stream, sequence, millis(at), millis(at));
    }

    #[test]
    fn the_oldest_event_that_is_not_handled_counts() {
        let mut behind = Behind::new();
        assert_eq!(gap(&behind, 0), (0, None));
        for (sequence, at) in [(7, 10), (8, 30), (9, 50)] {
            write(&mut behind, "a", sequence, at);
        }
        assert_eq!(gap(&behind, 60), (3, Some(50)));
        assert_eq!(gap(&behind, 1_060), (3, Some(1_050)), "it grows by itself");
        behind.handled("a", 7);
        assert_eq!(gap(&behind, 60), (2, Some(30)));
        write(&mut behind, "b", 1, 20);
        assert_eq!(gap(&behind, 60), (3, Some(40)));
        behind.handled("a", 9);
        behind.handled("b", 1);
        assert_eq!(gap(&behind, 60), (0, None));
    }

    #[test]
    fn who_goes_on_has_given_up_and_nothing_goes_back() {
        let mut behind = Behind::new();
        for sequence in 1..=4 {
            write(&mut behind, "a", sequence, 10 * sequence);
        }
        // Of 1 and 2 there is no word.
        behind.handled("a", 3);
        assert_eq!(gap(&behind, 50), (1, Some(10)));
        behind.handled("a", 1);
        write(&mut behind, "a", 2, 45);
        assert_eq!(gap(&behind, 50), (1, Some(10)));
    }

    #[test]
    fn it_makes_no_difference_who_is_told_first() {
        let mut behind = Behind::new();
        behind.handled("a", 3);
        write(&mut behind, "a", 2, 10);
        write(&mut behind, "a", 3, 20);
        assert_eq!(gap(&behind, 30), (0, None));
        write(&mut behind, "a", 10, 25);
        assert_eq!(
            gap(&behind, 30),
            (7, Some(5)),
            "as many as were not told of"
        );
    }

    #[test]
    fn a_reader_that_begins_far_back_is_far_behind() {
        let mut behind = Behind::new();
        write(&mut behind, "", 5_000, 10);
        assert_eq!(gap(&behind, 20), (1, Some(10)));
        behind.handled("", 1_000);
        assert_eq!(gap(&behind, 20), (4_000, Some(10)));
        behind.handled("", 5_000);
        assert_eq!(gap(&behind, 20), (0, None));
        behind.handled("", 1_000);
        assert_eq!(gap(&behind, 20), (0, None), "it has been further");
    }

    #[test]
    fn marks_are_bounded_and_ages_nearly_exact() {
        let mut behind = Behind::new();
        const EVENTS: u64 = 200_000;
        const EACH: u64 = 3;
        for sequence in 1..=EVENTS {
            write(&mut behind, "", sequence, EACH * sequence);
            assert!(behind.marks <= MAX_MARKS);
        }
        assert_eq!(behind.marks, behind.streams[""].marks.len());
        assert!(behind.streams[""].marks.capacity() <= 2 * MAX_MARKS);
        let now = EACH * EVENTS + 1;
        for handled in (0..EVENTS).step_by(1_009) {
            behind.handled("", handled);
            let (events, age) = gap(&behind, now);
            assert_eq!(events, EVENTS - handled);
            let (age, exact) = (age.expect("it is behind"), now - EACH * (handled + 1));
            assert!(
                age >= exact && age <= exact + exact / 256 + 1,
                "{age} for {exact}"
            );
        }
        behind.handled("", EVENTS);
        assert_eq!(gap(&behind, now), (0, None));
        assert_eq!(behind.marks, 0);
    }

    #[test]
    fn streams_are_bounded_and_those_caught_up_with_go_first() {
        let mut behind = Behind::new();
        let name = |number: u64| format!("stream-{number}");
        let many = 3 * MAX_STREAMS as u64;
        for number in 0..many {
            write(&mut behind, &name(number), 1, number);
            behind.handled(&name(number), 1);
        }
        assert_eq!(gap(&behind, many), (0, None));
        assert!(behind.streams.len() <= MAX_STREAMS);
        for number in 0..many {
            write(&mut behind, &name(number), 2, many + number);
        }
        assert!(behind.streams.len() <= MAX_STREAMS);
        assert_eq!(
            gap(&behind, 3 * many),
            (many, Some(2 * many)),
            "none is lost"
        );
        for number in 0..many {
            behind.handled(&name(number), 2);
            if number % 97 == 0 {
                assert_eq!(behind.gap().events, many - number - 1);
            }
        }
        assert_eq!(gap(&behind, 3 * many), (0, None));
    }

    #[test]
    fn what_found_no_room_and_was_passed_by_does_not_stay() {
        let mut behind = Behind::new();
        let name = |number: u64| format!("stream-{number}");
        let many = MAX_STREAMS as u64 + 10;
        for number in 0..many {
            write(&mut behind, &name(number), 1, number);
        }
        // The reader fails at those that found no room.
        for number in 0..many - 10 {
            behind.handled(&name(number), 1);
        }
        assert_eq!(gap(&behind, many), (10, Some(10)));
        write(&mut behind, "later", 1, many);
        assert_eq!(behind.gap().events, 11);
        behind.handled("later", 1);
        assert_eq!(gap(&behind, many), (0, None));
    }
}
