//! The filter of traces, as `tracing` asks for it.
//!
//! Owns the translation only: what passes is decided by [`throughline_core::set_filter`].

use std::sync::Once;

use throughline_core::{Level, filter_enables, filter_max_level, on_filter_change};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata};
use tracing_log::NormalizeEvent;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Filter};

use crate::site::{Site, level};

/// Hides from a layer what the filter of traces rejects.
///
/// [`TraceLayer`](crate::TraceLayer) records the same with this filter and without it. The difference is the cost of
/// what is rejected: with it, and if no other layer wants them, such spans are not even made. A change by
/// [`throughline_core::set_filter`] takes effect at once.
#[derive(Clone, Debug)]
pub struct TraceFilter {
    most: LevelFilter,
}

impl TraceFilter {
    /// The filter of traces.
    #[must_use]
    pub fn new() -> Self {
        static OBSERVED: Once = Once::new();
        OBSERVED.call_once(|| on_filter_change(tracing::callsite::rebuild_interest_cache));
        Self {
            most: LevelFilter::TRACE,
        }
    }

    /// Rejects what is more verbose than `most`, whatever the filter of traces says: libraries trace a great deal at
    /// the levels below `INFO`, and native annotations are not concerned.
    #[must_use]
    pub const fn up_to(mut self, most: LevelFilter) -> Self {
        self.most = most;
        self
    }
}

impl Default for TraceFilter {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Filter<S> for TraceFilter {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        if *metadata.level() > self.most {
            return false;
        }
        match Site::known(metadata) {
            Some(site) => site.callsite.is_enabled(),
            // A `log` record asks before it becomes an event.
            None => filter_enables(metadata.target(), level(*metadata.level())),
        }
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        let site = Site::of(metadata);
        if site.is_log {
            return Interest::sometimes();
        }
        // Independent of whether a recorder runs: that changes without anybody asking again.
        let passes = *metadata.level() <= self.most;
        if passes && filter_enables(site.callsite.target(), site.callsite.level()) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let most = match filter_max_level() {
            None => LevelFilter::OFF,
            Some(Level::Error) => LevelFilter::ERROR,
            Some(Level::Warn) => LevelFilter::WARN,
            Some(Level::Info) => LevelFilter::INFO,
            Some(Level::Debug) => LevelFilter::DEBUG,
            Some(Level::Trace) => LevelFilter::TRACE,
        };
        Some(most.min(self.most))
    }
}

/// Whether an event may be recorded.
#[inline]
pub(crate) fn lets_pass(site: &'static Site, event: &Event<'_>) -> bool {
    if !site.is_log {
        return site.callsite.is_enabled();
    }
    event
        .normalized_metadata()
        .is_none_or(|metadata| filter_enables(metadata.target(), level(*metadata.level())))
}
