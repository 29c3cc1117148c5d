//! Questions that are given up: what the asker's span tells of it, and when the user is warned.

use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use throughline_core::{EventFields, Level, current, diagnostics};

use super::Identity;
use crate::keys;

impl Identity<'_> {
    /// Tells that a question to the actor, asked at that place, was given up when its time was over: an event of the
    /// current span, and a warning. Of all such questions the first is warned of, the second, the fourth, the eighth and
    /// so on.
    ///
    /// ```
    /// use std::panic::Location;
    /// use std::time::Duration;
    /// use throughline_messaging::actor::Identity;
    ///
    /// let cart = Identity::of("mylibrary").actor_type("Cart");
    /// cart.ask_timed_out(Duration::from_secs(1), Location::caller());
    /// ```
    pub fn ask_timed_out(&self, limit: Duration, asker: &Location<'_>) {
        // Relaxed: a count and nothing else.
        let so_far = GIVEN_UP.fetch_add(1, Ordering::Relaxed) + 1;
        let whom = self.short_type().unwrap_or(self.system);
        given_up(limit, asker, whom, so_far, |event| {
            event.attribute(&keys::ACTOR_SYSTEM, self.system);
            if let Some(actor) = self.short_type() {
                event.attribute(&keys::ACTOR_TYPE, actor);
            }
            if let Some(id) = self.id {
                event.attribute(&keys::ACTOR_ID, format_args!("{id}"));
            }
        });
    }
}

/// Tells the asker's span, which `describe` tells whom the question was to, and, more and more rarely, the user.
pub(crate) fn given_up(
    limit: Duration,
    asker: &Location<'_>,
    whom: &str,
    so_far: u64,
    describe: impl FnOnce(&mut EventFields<'_, '_>),
) {
    let (file, line) = (asker.file(), asker.line());
    current().add_event("actor.ask.timeout", |event| {
        describe(event);
        event.attribute(&keys::ASK_LIMIT, limit.as_secs_f64());
        event.attribute(&keys::CODE_FILE_PATH, file);
        event.attribute(&keys::CODE_LINE_NUMBER, i64::from(line));
    });
    if so_far.is_power_of_two() {
        diagnostics::say(
            Level::Warn,
            format_args!(
                "the question asked at {file}:{line} was not answered within {limit:?}; questions to {whom} that were \
                 given up so far: {so_far}"
            ),
        );
    }
}

static GIVEN_UP: AtomicU64 = AtomicU64::new(0);
