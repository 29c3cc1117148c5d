//! Tells a person about an export that does not work, in one line a minute.
//!
//! Owns when to speak and the words. It is a state machine over times that are
//! passed in; what to do with a line is the caller's. Lines name the destination
//! and the cause, since those two are what the reader can act on.

use std::time::{Duration, Instant};

use crate::exporter::{ExportError, Receipt};
use crate::text::{Bytes, Line};

/// The least time between two lines of one subject.
pub(crate) const INTERVAL: Duration = Duration::from_secs(60);

/// What is kept in memory for the time being.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Memory {
    pub(crate) used_bytes: usize,
    pub(crate) max_bytes: usize,
}

#[derive(Debug)]
pub(crate) struct Notices {
    destination: String,
    outage: Option<Outage>,
    failure: Throttle,
    partial: Partial,
}

/// A time without a success.
#[derive(Debug)]
struct Outage {
    since: Instant,
    attempts: u64,
    failed_spans: u64,
    announced: bool,
}

impl Notices {
    pub(crate) fn new(destination: String) -> Self {
        Self {
            destination,
            outage: None,
            failure: Throttle::default(),
            partial: Partial::default(),
        }
    }

    /// An attempt failed and will be repeated.
    pub(crate) fn retrying(
        &mut self,
        now: Instant,
        error: &ExportError,
        memory: Memory,
    ) -> Option<String> {
        self.failing(now, 0).then(|| {
            format!(
                "export to {} failed ({}). Spans are kept in memory ({} of {}) and sent again; \
                 next notice in {} s at the earliest",
                self.destination,
                Line::quoted(&error.to_string()),
                Bytes(memory.used_bytes),
                Bytes(memory.max_bytes),
                INTERVAL.as_secs(),
            )
        })
    }

    /// A batch failed for good.
    pub(crate) fn gave_up(
        &mut self,
        now: Instant,
        error: &ExportError,
        spans: u64,
    ) -> Option<String> {
        self.failing(now, spans).then(|| {
            let lost = self
                .outage
                .as_ref()
                .map_or(spans, |outage| outage.failed_spans);
            format!(
                "export to {} failed ({}). {} lost; next notice in {} s at the earliest",
                self.destination,
                Line::quoted(&error.to_string()),
                spans_were(lost),
                INTERVAL.as_secs(),
            )
        })
    }

    /// A batch was accepted.
    pub(crate) fn delivered(&mut self, now: Instant) -> Option<String> {
        let outage = self.outage.take()?;
        outage.announced.then(|| {
            format!(
                "export to {} works again after {} s and {} failed {}; {} lost meanwhile",
                self.destination,
                now.saturating_duration_since(outage.since).as_secs(),
                outage.attempts,
                plural(outage.attempts, "attempt", "attempts"),
                spans_were(outage.failed_spans),
            )
        })
    }

    /// A batch was accepted in part, or with a warning.
    pub(crate) fn partly_accepted(&mut self, now: Instant, receipt: &Receipt) -> Option<String> {
        self.partial.look(now, &self.destination, receipt, "")
    }

    /// Notes a failure and says whether to speak of it.
    fn failing(&mut self, now: Instant, spans: u64) -> bool {
        let outage = self.outage.get_or_insert(Outage {
            since: now,
            attempts: 0,
            failed_spans: 0,
            announced: false,
        });
        outage.attempts += 1;
        outage.failed_spans += spans;
        let speak = self.failure.allows(now);
        outage.announced |= speak;
        speak
    }
}

/// Tells of batches that were accepted in part, or with a warning.
#[derive(Debug, Default)]
pub(crate) struct Partial(Throttle);

impl Partial {
    /// Looks at an answer of that destination; `whose` ends what is said of the spans.
    pub(crate) fn look(
        &mut self,
        now: Instant,
        destination: &str,
        receipt: &Receipt,
        whose: &str,
    ) -> Option<String> {
        let rejected = receipt.rejected();
        if (rejected == 0 && receipt.message().is_none()) || !self.0.allows(now) {
            return None;
        }
        let said = Line::quoted(receipt.message().unwrap_or("no reason given"));
        Some(match rejected {
            0 => format!("{destination} warns: {said}"),
            _ => {
                let spans = plural(rejected, "span", "spans");
                format!("{destination} rejected {rejected} {spans}{whose}: {said}")
            }
        })
    }
}

/// Tells of spans that were dropped for want of room.
#[derive(Debug, Default)]
pub(crate) struct DropNotices {
    /// The destination that has no room; none if the threads' buffers have none.
    destination: Option<String>,
    throttle: Throttle,
    seen: u64,
    announced: u64,
}

impl DropNotices {
    /// For the queue of a destination.
    pub(crate) fn at(destination: String) -> Self {
        Self {
            destination: Some(destination),
            ..Self::default()
        }
    }

    /// Looks at the number of spans dropped so far: speaks up when it starts to
    /// grow, and again when it has stopped.
    pub(crate) fn look(&mut self, now: Instant, total: u64, max_bytes: usize) -> Option<String> {
        let growing = total > self.seen;
        self.seen = self.seen.max(total);
        if self.seen == self.announced || !self.throttle.allows(now) {
            return None;
        }
        let mut new = spans_were(self.seen - self.announced);
        if let Some(destination) = &self.destination {
            new = format!("for {destination}, {new}");
        }
        self.announced = self.seen;
        Some(if growing {
            format!(
                "{new} dropped because {} of memory are full: spans are recorded faster than \
                 they are exported",
                Bytes(max_bytes)
            )
        } else {
            format!("{new} dropped since the last notice, none of late")
        })
    }
}

/// Lets one line through per [`INTERVAL`].
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    last: Option<Instant>,
}

impl Throttle {
    pub(crate) fn allows(&mut self, now: Instant) -> bool {
        let allowed = self
            .last
            .is_none_or(|last| now.saturating_duration_since(last) >= INTERVAL);
        if allowed {
            self.last = Some(now);
        }
        allowed
    }
}

fn plural(count: u64, one: &'static str, many: &'static str) -> &'static str {
    if count == 1 { one } else { many }
}

pub(crate) fn spans_were(count: u64) -> String {
    match count {
        0 => "no span was".to_owned(),
        1 => "1 span was".to_owned(),
        many => format!("{many} spans were"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMORY: Memory = Memory {
        used_bytes: 8 << 20,
        max_bytes: 64 << 20,
    };

    fn notices() -> (Notices, Instant) {
        let destination = "http://localhost:4318/v1/traces".to_owned();
        (Notices::new(destination), Instant::now())
    }

    fn refused() -> ExportError {
        ExportError::unreachable("connect", "connection refused")
    }

    #[test]
    fn one_line_then_silence_for_a_minute_then_recovery() {
        let (mut notices, start) = notices();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(
            notices.retrying(at(0), &refused(), MEMORY).unwrap(),
            "export to http://localhost:4318/v1/traces failed (connection refused). Spans are kept \
             in memory (8 MiB of 64 MiB) and sent again; next notice in 60 s at the earliest"
        );
        for second in 1..60 {
            assert_eq!(notices.retrying(at(second), &refused(), MEMORY), None);
        }
        assert!(
            notices
                .gave_up(at(60), &refused(), 7)
                .unwrap()
                .contains("7 spans were lost")
        );
        assert_eq!(
            notices.delivered(at(75)).unwrap(),
            "export to http://localhost:4318/v1/traces works again after 75 s and 61 failed \
             attempts; 7 spans were lost meanwhile"
        );
        assert_eq!(notices.delivered(at(76)), None);
    }

    #[test]
    fn flapping_does_not_flood() {
        let (mut notices, start) = notices();
        let lines = (0..600)
            .flat_map(|tenth| {
                let now = start + Duration::from_millis(tenth * 100);
                [
                    notices.retrying(now, &refused(), MEMORY),
                    notices.delivered(now),
                ]
            })
            .flatten()
            .count();
        assert_eq!(lines, 2);
    }

    #[test]
    fn a_server_cannot_forge_lines() {
        let (mut notices, now) = notices();
        let error = ExportError::permanent("400", format!("400: \n\u{1b}[2J{}", "x".repeat(1000)));
        let line = notices.gave_up(now, &error, 1).unwrap();
        assert!(
            !line.contains(['\n', '\u{1b}']) && line.len() < 450,
            "{line}"
        );
    }

    #[test]
    fn partial_success_is_said_once_a_minute() {
        let (mut notices, now) = notices();
        assert_eq!(notices.partly_accepted(now, &Receipt::complete()), None);
        assert_eq!(
            notices
                .partly_accepted(now, &Receipt::partial(2, "too old"))
                .unwrap(),
            "http://localhost:4318/v1/traces rejected 2 spans: too old"
        );
        assert_eq!(
            notices.partly_accepted(now, &Receipt::partial(2, "too old")),
            None
        );
        assert_eq!(
            notices
                .partly_accepted(now + INTERVAL, &Receipt::partial(0, "slow down"))
                .unwrap(),
            "http://localhost:4318/v1/traces warns: slow down"
        );
        let late = Partial::default().look(now, "rotel", &Receipt::partial(1, ""), " of the spool");
        assert_eq!(
            late.unwrap(),
            "rotel rejected 1 span of the spool: no reason given"
        );
    }

    #[test]
    fn drops_are_said_when_they_start_and_when_they_end() {
        let (mut notices, start) = (DropNotices::default(), Instant::now());
        let mut look = |seconds, total| {
            let now = start + Duration::from_secs(seconds);
            notices.look(now, total, 64 << 20)
        };
        assert_eq!(look(0, 0), None);
        assert!(
            look(1, 5)
                .unwrap()
                .starts_with("5 spans were dropped because 64 MiB of memory are full")
        );
        assert_eq!(look(2, 9), None);
        assert_eq!(look(3, 9), None);
        assert_eq!(
            look(62, 9).unwrap(),
            "4 spans were dropped since the last notice, none of late"
        );
        assert_eq!(look(200, 9), None);
        let mut queue = DropNotices::at("http://collector".to_owned());
        assert!(
            queue
                .look(start, 1, 32 << 20)
                .unwrap()
                .starts_with("for http://collector, 1 span was dropped because 32 MiB")
        );
    }
}
