//! How many actors there are, by library and type. The counters are relaxed.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Identity;
use crate::names::{Names, OVERFLOW_NAME};

/// The counts of the actors of one type.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ActorStats {
    /// The library whose actors these are; empty for the types past the first thousand, which are counted together.
    pub system: &'static str,
    /// The name of the type; empty where it is not known.
    pub actor_type: &'static str,
    /// How many of them run: started and not stopped.
    pub live: u64,
}

/// The counts of every type of actors that was started so far, in the order of the types.
///
/// ```
/// use throughline_messaging::actor::{self, Identity};
///
/// let cart = Identity::of("mylibrary").actor_type("shop::Cart");
/// cart.started();
/// let carts = || actor::stats().into_iter().find(|stats| stats.actor_type == "Cart").unwrap();
/// assert_eq!(carts().live, 1);
/// cart.stopped();
/// assert_eq!(carts().live, 0);
/// ```
#[must_use]
pub fn stats() -> Vec<ActorStats> {
    let all = TYPES.all().into_iter();
    let all = all.map(|(actor_type, counts)| ActorStats {
        system: counts.system,
        actor_type,
        live: counts.live.load(Ordering::Relaxed),
    });
    let used = all.filter(|stats| stats.live > 0 || stats.actor_type != OVERFLOW_NAME);
    used.collect()
}

impl Identity<'_> {
    /// Counts the actor among those of its type that run: to be said once it is started, and each time that it is started
    /// again.
    pub fn started(&self) {
        self.counts().live.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes back a [`started`](Self::started): the actor stopped, whatever the reason, and if only to be started again.
    pub fn stopped(&self) {
        let live = &self.counts().live;
        // Who says so of an actor that nobody counted does no harm.
        let _ = live.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |live| {
            live.checked_sub(1)
        });
    }

    fn counts(&self) -> &'static Counts {
        let actor_type = self.short_type().unwrap_or_default();
        TYPES.find(actor_type, self.system, |_| Counts::new(self.system))
    }
}

struct Counts {
    system: &'static str,
    live: AtomicU64,
}

impl Counts {
    const fn new(system: &'static str) -> Self {
        Self {
            system,
            live: AtomicU64::new(0),
        }
    }
}

static TYPES: Names<Counts> = Names::new(&OVERFLOW);
static OVERFLOW: Counts = Counts::new("");
