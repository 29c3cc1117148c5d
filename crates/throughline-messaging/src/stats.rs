//! What goes through each channel, by name, and where the spans of its handlers are made.
//!
//! Owns the counters and callsites; how names are kept is `names`'s. Rules of concurrency:
//!
//! 1. Counters are relaxed: each is exact by itself, and a snapshot taken while messages move may be one message off
//!    between two of them.
//! 2. What is counted for each message is counted by each thread by itself: [`Tally`]. The rest is seldom.
//! 3. A lock is taken when a channel is made and when a snapshot is taken, never when a message moves.

use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(feature = "tokio")]
use std::time::Duration;

use throughline_core::clock::{self, Ticks};
use throughline_core::{Callsite, CallsiteSpec, Level, SpanKind, short_type_name};
use throughline_wire::{AttributeField, Buffer, Limits, put_attribute};

#[cfg(feature = "tokio")]
use crate::actor::given_up;
use crate::keys;
use crate::names::{Names, OVERFLOW_NAME};
use crate::tally::Tally;

/// The counts of the channels of one name.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ChannelStats {
    /// The name the channels were made with, else the file and line they are made at.
    pub name: &'static str,
    /// Messages put into the channels; a broadcast counts once for each of its receivers.
    pub sent: u64,
    /// Messages taken out.
    pub received: u64,
    /// Messages that were left in a channel when its receiver went.
    pub undelivered: u64,
    /// Messages that a receiver of a broadcast was too slow for.
    pub lagged: u64,
    /// Messages that a channel did not take, because it was full or closed.
    pub rejected: u64,
    /// Questions that were given up, since no answer came in time.
    pub ask_timeouts: u64,
    /// Messages that are in the channels.
    pub depth: u64,
    /// How long messages waited until their handlers started, together, in nanoseconds: those whose handlers' spans are
    /// recorded. Of all others nobody reads the clock, unless somebody [measures](throughline_core::Recorder::measure),
    /// who is told of each.
    pub wait_sum_nanos: u64,
    /// How long the slowest of them was.
    pub wait_max_nanos: u64,
}

/// The counts of every channel name so far, in the order of the names.
///
/// ```
/// use throughline_messaging::{mpsc, stats};
///
/// let (tx, mut rx) = mpsc::unbounded_named("thumbnails");
/// tx.send(1).unwrap();
/// tx.send(2).unwrap();
/// rx.try_recv().unwrap();
/// let stats = stats().into_iter().find(|channel| channel.name == "thumbnails").unwrap();
/// assert_eq!((stats.sent, stats.received, stats.depth), (2, 1, 1));
/// ```
#[must_use]
pub fn stats() -> Vec<ChannelStats> {
    let mut all: Vec<_> = NAMES
        .all()
        .into_iter()
        .map(|(_, channel)| channel.snapshot())
        .filter(|stats| stats.name != OVERFLOW_NAME || stats.sent + stats.rejected > 0)
        .collect();
    all.sort_by_key(|channel| channel.name);
    all.dedup_by(|later, first| {
        let same = later.name == first.name;
        if same {
            first.add(later);
        }
        same
    });
    all
}

impl ChannelStats {
    /// Channels of one name that have messages of several types are counted together.
    fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.received += other.received;
        self.undelivered += other.undelivered;
        self.lagged += other.lagged;
        self.rejected += other.rejected;
        self.ask_timeouts += other.ask_timeouts;
        self.depth += other.depth;
        self.wait_sum_nanos += other.wait_sum_nanos;
        self.wait_max_nanos = self.wait_max_nanos.max(other.wait_max_nanos);
    }
}

/// The counters of one name and one type of messages, and the callsite of their handlers' spans.
#[derive(Debug)]
pub(crate) struct Channel {
    name: &'static str,
    callsite: Callsite,
    tally: Tally<COUNTERS>,
    rejected: AtomicU64,
    ask_timeouts: AtomicU64,
    undelivered: AtomicU64,
    lagged: AtomicU64,
}

impl Channel {
    const fn new(name: &'static str, callsite: Callsite) -> Self {
        Self {
            name,
            callsite,
            tally: Tally::new(),
            rejected: AtomicU64::new(0),
            ask_timeouts: AtomicU64::new(0),
            undelivered: AtomicU64::new(0),
            lagged: AtomicU64::new(0),
        }
    }

    /// The channels of a name that the program chose.
    pub(crate) fn named<T>(name: &str) -> &'static Self {
        find(name, message_type::<T>(), true)
    }

    /// The channels of a place in the program.
    pub(crate) fn located<T>(place: &Location<'_>) -> &'static Self {
        let name = format!("{}:{}", place.file(), place.line());
        find(&name, message_type::<T>(), false)
    }

    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    /// Where the spans of handlers are made: `process {name}`, or by the type of the message where the program did not
    /// choose the name. They have both for attributes.
    pub(crate) const fn callsite(&'static self) -> &'static Callsite {
        &self.callsite
    }

    // All orderings below are relaxed: see rule 1 of the module.

    #[inline(always)]
    pub(crate) fn sent(&self, messages: u64) {
        self.tally.add(SENT, messages);
    }

    /// Takes back a [`sent`](Self::sent): the channel did not take the message.
    pub(crate) fn unsent(&self) {
        self.tally.take_back(SENT, 1);
        self.rejected();
    }

    pub(crate) fn rejected(&self) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a question that was given up, and tells the asker's span and, more and more rarely, the user.
    #[cfg(feature = "tokio")]
    pub(crate) fn ask_timed_out(&self, limit: Duration, asker: &Location<'_>) {
        let timeouts = self.ask_timeouts.fetch_add(1, Ordering::Relaxed) + 1;
        given_up(limit, asker, self.name, timeouts, |event| {
            event.attribute(&keys::MAILBOX_NAME, self.name);
        });
    }

    pub(crate) fn undelivered(&self, messages: u64) {
        self.undelivered.fetch_add(messages, Ordering::Relaxed);
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn lagged(&self, messages: u64) {
        self.lagged.fetch_add(messages, Ordering::Relaxed);
    }

    #[inline(always)]
    pub(crate) fn received(&self) {
        self.tally.add(RECEIVED, 1);
    }

    /// The handler of a message started.
    #[inline]
    pub(crate) fn waited(&self, enqueued: Ticks, started: Ticks) {
        let wait = started.since(enqueued);
        self.tally.add(WAIT_TICKS, wait);
        self.tally.raise(LONGEST_WAIT, wait);
    }

    fn snapshot(&self) -> ChannelStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let received = self.tally.sum(RECEIVED);
        let undelivered = read(&self.undelivered);
        let lagged = read(&self.lagged);
        // Read last, so that what is received while this runs was sent by then.
        let sent = self.tally.sum(SENT);
        ChannelStats {
            name: self.name,
            sent,
            received,
            undelivered,
            lagged,
            rejected: read(&self.rejected),
            ask_timeouts: read(&self.ask_timeouts),
            depth: sent.saturating_sub(received + undelivered + lagged),
            wait_sum_nanos: clock::ticks_to_nanos(self.tally.sum(WAIT_TICKS)),
            wait_max_nanos: clock::ticks_to_nanos(self.tally.largest(LONGEST_WAIT)),
        }
    }
}

// The counters of a tally.
const SENT: usize = 0;
const RECEIVED: usize = 1;
const WAIT_TICKS: usize = 2;
const LONGEST_WAIT: usize = 3;
const COUNTERS: usize = 4;

/// What spans call messages of the type.
pub(crate) fn message_type<T>() -> &'static str {
    short_type_name(std::any::type_name::<T>())
}

fn find(name: &str, message: &'static str, chosen: bool) -> &'static Channel {
    NAMES.find(name, message, |name| {
        let callsite = Callsite::new(CallsiteSpec {
            name: format!("process {}", if chosen { name } else { message }).leak(),
            static_fields: encoded(name, message).leak(),
            ..PROCESS
        });
        Channel::new(name, callsite)
    })
}

/// The attributes of every handler's span.
fn encoded(name: &str, message: &str) -> Vec<u8> {
    let mut fields = Buffer::new();
    for (key, value) in [(keys::MAILBOX_NAME, name), (keys::MESSAGE_TYPE, message)] {
        let field = AttributeField::Span;
        put_attribute(&mut fields, field, &key, Limits::default(), |out| {
            out.str(value);
        });
    }
    fields.into_vec()
}

/// The callsite of what is handled.
pub(crate) const PROCESS: CallsiteSpec = CallsiteSpec {
    name: "process",
    kind: SpanKind::Internal,
    level: Level::Info,
    target: env!("CARGO_CRATE_NAME"),
    scope_name: env!("CARGO_PKG_NAME"),
    scope_version: env!("CARGO_PKG_VERSION"),
    static_fields: &[],
};

static NAMES: Names<Channel> = Names::new(&OVERFLOW);
static OVERFLOW: Channel = Channel::new(
    OVERFLOW_NAME,
    Callsite::new(CallsiteSpec {
        name: "process (other)",
        static_fields: throughline_wire::static_fields!["actor.mailbox.name" = (OVERFLOW_NAME)],
        ..PROCESS
    }),
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{MAX_NAME_BYTES, MAX_NAMES};

    // One test, since it fills the registry of the process.
    #[test]
    fn names_are_shared_cut_and_bounded() {
        let first = Channel::named::<u8>("stats: shared");
        assert!(std::ptr::eq(first, Channel::named::<u8>("stats: shared")));
        let long = "é".repeat(1000);
        assert_eq!(Channel::named::<u8>(&long).name().len(), MAX_NAME_BYTES);
        first.sent(2);
        first.received();
        let enqueued = clock::now();
        first.waited(enqueued, clock::now());
        let of = |name: &str| stats().into_iter().find(|channel| channel.name == name);
        // Another type of messages, under the same name.
        let other = Channel::named::<u16>("stats: shared");
        assert!(!std::ptr::eq(first, other));
        other.sent(1);
        other.received();
        let counts = of("stats: shared").expect("it has counters");
        assert_eq!((counts.sent, counts.received, counts.depth), (3, 2, 1));
        assert!(counts.wait_max_nanos <= counts.wait_sum_nanos);
        assert_eq!(of(OVERFLOW_NAME), None);
        let many = 0..=MAX_NAMES;
        many.for_each(|number| Channel::named::<u8>(&format!("stats: {number}")).sent(1));
        let all = stats();
        assert_eq!(all.len(), MAX_NAMES);
        assert!(of(OVERFLOW_NAME).expect("too many names").sent >= 2);
        first.sent(1);
        assert_eq!(of("stats: shared").expect("it is kept").sent, 4);
    }
}
