//! How far projections are behind what is written: the write side tells a [`Head`], and those who follow it count what
//! they handled.
//!
//! Rules of concurrency:
//! 1. Each follower has a lock of its own, held for a look-up and a step or two by whoever writes, handles or looks. Nothing
//!    is waited for and nothing of others runs under it.
//! 2. Locks are taken in this order: the list of followers (of a head, or of the process), then one follower's.
//! 3. Lists refer to followers weakly: a projection that is dropped is gone.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use throughline_core::clock;

use crate::behind::{Behind, Gap, Moment};
use crate::projection::Projection;
use crate::stored::StoredEvent;

/// The head of what is written: where those who write events say how far they are, for the projections that
/// [follow](Projection::follow) it.
///
/// A clone is the same head. In one process the writer tells it; where the store is elsewhere, whoever asks the store how
/// far it was written does. `throughline-cqrs-es` does it by itself.
///
/// An event is known by its stream and its sequence there, or where a store numbers all its events by this position alone,
/// without a stream, just as the [`StoredEvent`] says it.
///
/// ```
/// use std::time::Duration;
/// use throughline_core::Context;
/// use throughline_messaging::{Head, Projection, StoredEvent, projection_lags};
///
/// # async fn update() -> Result<(), std::io::Error> { Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let goals = Head::new();
/// let summary = Projection::new("goals by owner");
/// summary.follow(&goals);
///
/// goals.written("goal-7", 1); // just now
/// goals.written_ago("goal-7", 2, Duration::from_secs(2)); // or as the store tells
///
/// let stored = Context::default();
/// let event = StoredEvent::new(&stored, "GoalReached").stream("goal-7").sequence(1);
/// summary.try_handle(&event, update()).await?;
/// let lag = projection_lags().into_iter().find(|lag| lag.name == "goals by owner").unwrap();
/// assert_eq!(lag.events, 1);
/// # Ok::<(), std::io::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Default)]
pub struct Head {
    followers: Arc<Mutex<Vec<Weak<Follower>>>>,
}

impl Head {
    /// A head that nobody follows yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The stream was written up to this sequence, just now.
    ///
    /// What a projection has heard nothing of before is one event, unless the first that it handles is an earlier one; after
    /// that, each number is an event, so that who tells of every tenth event tells of ten. Nothing is told back: a lower
    /// number than before changes nothing.
    pub fn written<'a>(&self, stream: impl Into<Option<&'a str>>, sequence: u64) {
        self.tell(stream.into(), sequence, Duration::ZERO);
    }

    /// The same of what was written a while ago, as far as two processes' clocks agree.
    ///
    /// ```
    /// use std::time::Duration;
    /// use throughline_messaging::Head;
    ///
    /// # async fn newest_event() -> (u64, Duration) { (7, Duration::from_millis(40)) }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let log = Head::new();
    /// // Asked of the store every now and then: events between two answers count as written with the later one.
    /// let (position, age) = newest_event().await;
    /// log.written_ago(None, position, age);
    /// # });
    /// ```
    pub fn written_ago<'a>(
        &self,
        stream: impl Into<Option<&'a str>>,
        sequence: u64,
        age: Duration,
    ) {
        self.tell(stream.into(), sequence, age);
    }

    fn tell(&self, stream: Option<&str>, sequence: u64, age: Duration) {
        let now = now();
        let at = now.saturating_sub(u64::try_from(age.as_nanos()).unwrap_or(u64::MAX));
        let mut followers = locked(&self.followers);
        followers.retain(|follower| {
            let Some(follower) = follower.upgrade() else {
                return false;
            };
            let stream = stream.unwrap_or_default();
            locked(&follower.behind).written(stream, sequence, at, now);
            true
        });
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let followers = locked(&self.followers).len();
        f.debug_struct("Head")
            .field("followers", &followers)
            .finish()
    }
}

impl Projection {
    /// Counts from now on what is written there and not handled: for [`projection_lags`], and for metrics.
    ///
    /// Events count as handled once [`handle`](Self::handle), [`try_handle`](Self::try_handle) or
    /// [`handle_page`](Self::handle_page) is done with them, also those that are [passed over](Self::skipping), and where
    /// [`handled`](Self::handled) says so. One whose handler returned an `Err`, reported [`event_failed`](crate::event_failed),
    /// panicked or was dropped does not, until a later attempt succeeds or the projection goes on: a stream is handled in
    /// order, and who handles an event of it has handled those before or has given them up. What a replay handles counts as
    /// well, and nothing counts backwards.
    ///
    /// A projection may follow several heads, whose streams have names that differ. To follow one again changes nothing.
    ///
    /// The count is exact. The time is as long as the oldest event is unhandled; it is too long by a millisecond at most, or,
    /// after some thousand events in the backlog, by a 256th of itself. Of 4 096 streams each is known by itself. Where
    /// more are behind at once, the others' events are counted, all with the time of the first of them, and forgotten when
    /// the projection handles one that was written after them.
    pub fn follow(&self, head: &Head) {
        let follower = self.follower.get_or_init(|| {
            let follower = Arc::new(Follower {
                name: self.known_name(),
                partition: self.partition().map(Box::from),
                behind: Mutex::new(Behind::new()),
            });
            let mut followers = locked(&FOLLOWERS);
            followers.retain(|follower| follower.strong_count() > 0);
            followers.push(Arc::downgrade(&follower));
            follower
        });
        let follower = Arc::downgrade(follower);
        let mut followers = locked(&head.followers);
        if !followers.iter().any(|known| known.ptr_eq(&follower)) {
            followers.push(follower);
        }
    }

    /// Whether it follows a [`Head`].
    #[must_use]
    pub fn is_following(&self) -> bool {
        self.follower.get().is_some()
    }

    /// Says that the stream is handled up to this sequence, or the log up to this position.
    ///
    /// It is for those who start the [spans](Self::span) themselves, who give an event up, and who start at a checkpoint.
    ///
    /// ```
    /// use throughline_messaging::{Head, Projection};
    ///
    /// # fn checkpoint() -> u64 { 1_000 }
    /// let log = Head::new();
    /// let summary = Projection::new("goal_summary");
    /// summary.follow(&log);
    /// summary.handled(None, checkpoint());
    /// ```
    pub fn handled<'a>(&self, stream: impl Into<Option<&'a str>>, sequence: u64) {
        if let Some(follower) = self.follower.get() {
            follower.handled(stream.into().unwrap_or_default(), sequence);
        }
    }

    /// These need no handler.
    pub(crate) fn got_past(&self, events: &[StoredEvent<'_>]) {
        if let Some(progress) = self.progress(events) {
            progress.made();
        }
    }

    /// What is to be counted once these are handled, if anybody counts.
    pub(crate) fn progress(&self, events: &[StoredEvent<'_>]) -> Option<Progress> {
        let follower = self.follower.get()?;
        let places = events.iter().filter_map(StoredEvent::place);
        let places = places.map(|(stream, sequence)| (stream.into(), sequence));
        Some(Progress {
            follower: Arc::clone(follower),
            places: places.collect(),
        })
    }
}

/// A projection that follows a head.
#[derive(Debug)]
pub(crate) struct Follower {
    name: &'static str,
    partition: Option<Box<str>>,
    behind: Mutex<Behind>,
}

impl Follower {
    fn handled(&self, stream: &str, sequence: u64) {
        locked(&self.behind).handled(stream, sequence);
    }
}

/// What a follower will have handled.
#[derive(Debug)]
pub(crate) struct Progress {
    follower: Arc<Follower>,
    places: Vec<(Box<str>, u64)>,
}

impl Progress {
    pub(crate) fn made(self) {
        for (stream, sequence) in &self.places {
            self.follower.handled(stream, *sequence);
        }
    }
}

/// The projection's place among those that follow, once it does.
pub(crate) type Following = OnceLock<Arc<Follower>>;

/// How far the projections of one name, and of one partition where they have some, are behind.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ProjectionLag {
    /// The name, cut after 256 bytes.
    pub name: &'static str,
    /// The [partition](Projection::with_partition), if there is one.
    pub partition: Option<Box<str>>,
    /// Events that are written and not handled, of all these projections together.
    pub events: u64,
    /// How long ago the oldest of them was written; zero if there is none.
    pub age: Duration,
}

/// How far every projection that [follows](Projection::follow) a [`Head`] is behind just now, in the order of the names.
///
/// Nothing is asked of a store, and nobody who writes or handles is held up for longer than a look at the numbers takes.
///
/// ```
/// use throughline_messaging::{Head, Projection, projection_lags};
///
/// let orders = Head::new();
/// let bills = Projection::new("bills").with_partition("3");
/// bills.follow(&orders);
/// orders.written(None, 1);
/// orders.written(None, 2);
/// let of_bills = || projection_lags().into_iter().find(|lag| lag.name == "bills");
/// assert_eq!(of_bills().map(|lag| lag.events), Some(2));
/// drop(bills);
/// assert_eq!(of_bills(), None);
/// ```
#[must_use]
pub fn projection_lags() -> Vec<ProjectionLag> {
    let mut gaps = BTreeMap::<_, Gap>::new();
    // Whoever looks at the same time waits, and does not find a projection that only this keeps alive.
    let followers = locked(&FOLLOWERS);
    for follower in followers.iter().filter_map(Weak::upgrade) {
        let gap = locked(&follower.behind).gap();
        let name = (follower.name, follower.partition.clone());
        gaps.entry(name).or_default().add(gap);
    }
    drop(followers);
    let now = now();
    let lags = gaps
        .into_iter()
        .map(|((name, partition), gap)| ProjectionLag {
            name,
            partition,
            events: gap.events,
            age: gap.oldest.map_or(Duration::ZERO, |oldest| {
                Duration::from_nanos(now.saturating_sub(oldest))
            }),
        });
    lags.collect()
}

/// By the clock of recording, which may have begun just now: what was written is older than that.
fn now() -> Moment {
    YEARS_BEFORE + clock::ticks_to_nanos(clock::now().get())
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As many as 146.
const YEARS_BEFORE: Moment = 1 << 62;

static FOLLOWERS: Mutex<Vec<Weak<Follower>>> = Mutex::new(Vec::new());
