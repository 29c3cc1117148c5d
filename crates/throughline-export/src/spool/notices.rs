//! What a spool tells a person: one line a minute for each kind of trouble.

use std::io;
use std::path::PathBuf;
use std::time::Instant;

use super::stats::SpoolHandle;
use crate::exporter::{ExportError, Receipt};
use crate::notice::INTERVAL;
use crate::say;
use crate::text::{Bytes, Line};

/// How much of the words of others is repeated, in characters.
const QUOTED_CHARS: usize = 200;

#[derive(Debug)]
pub(super) struct Notices {
    destination: String,
    directory: PathBuf,
    max_bytes: u64,
    counts: SpoolHandle,
    keeping: Throttle,
    storage: Throttle,
    losses: Throttle,
    refusals: Throttle,
    /// Whether somebody was told that spans are kept.
    told_keeping: bool,
    /// The losses that somebody was told of.
    told_lost: u64,
}

impl Notices {
    pub(super) fn new(
        destination: String,
        directory: PathBuf,
        max_bytes: u64,
        counts: SpoolHandle,
    ) -> Self {
        Self {
            destination,
            directory,
            max_bytes,
            counts,
            keeping: Throttle::default(),
            storage: Throttle::default(),
            losses: Throttle::default(),
            refusals: Throttle::default(),
            told_keeping: false,
            told_lost: 0,
        }
    }

    /// The destination does not work, and the spool does.
    pub(super) fn keeping(&mut self, error: &ExportError) {
        if self.keeping.allows() {
            self.told_keeping = true;
            say::warn(format_args!(
                "export to {} failed ({}). Spans are kept in {} ({} of {}) and sent again; next \
                 notice in {} s at the earliest",
                self.destination,
                Line::new(&error.to_string(), QUOTED_CHARS),
                self.directory.display(),
                self.file_bytes(),
                bytes(self.max_bytes),
                INTERVAL.as_secs(),
            ));
        }
        self.lost();
    }

    /// Nothing waits in the spool.
    pub(super) fn emptied(&mut self) {
        if std::mem::take(&mut self.told_keeping) {
            say::inform(format_args!(
                "export to {} works again, and nothing waits in {}",
                self.destination,
                self.directory.display()
            ));
        }
        self.lost();
    }

    /// The spool does not work. What it does not take stays in memory.
    pub(super) fn storage_failed(&mut self, error: &io::Error) {
        if self.storage.allows() {
            say::warn(format_args!(
                "the spool in {} failed ({}). Spans stay in memory; next notice in {} s at the \
                 earliest",
                self.directory.display(),
                Line::new(&error.to_string(), QUOTED_CHARS),
                INTERVAL.as_secs(),
            ));
        }
    }

    /// The destination refused a batch for good.
    pub(super) fn refused(&mut self, error: &ExportError) {
        if self.refusals.allows() {
            say::warn(format_args!(
                "export to {} failed ({}). Spans of the spool were lost; next notice in {} s at \
                 the earliest",
                self.destination,
                Line::new(&error.to_string(), QUOTED_CHARS),
                INTERVAL.as_secs(),
            ));
        }
    }

    /// A batch of the spool was accepted, perhaps in part or with a warning.
    pub(super) fn partly_accepted(&mut self, receipt: &Receipt) {
        if (receipt.rejected() > 0 || receipt.message().is_some()) && self.refusals.allows() {
            say::warn(format_args!(
                "{} rejected {} spans of the spool: {}",
                self.destination,
                receipt.rejected(),
                Line::new(receipt.message().unwrap_or("no reason given"), QUOTED_CHARS),
            ));
        }
    }

    /// Looks whether spans were lost.
    fn lost(&mut self) {
        let lost = self.counts.lock().lost();
        if lost > self.told_lost && self.losses.allows() {
            say::warn(format_args!(
                "{} spans were lost in the spool in {}, which holds {} at most",
                lost - self.told_lost,
                self.directory.display(),
                bytes(self.max_bytes),
            ));
            self.told_lost = lost;
        }
    }

    fn file_bytes(&self) -> Bytes {
        bytes(self.counts.lock().file_bytes)
    }
}

fn bytes(number: u64) -> Bytes {
    Bytes(usize::try_from(number).unwrap_or(usize::MAX))
}

/// Lets one line through per [`INTERVAL`].
#[derive(Debug, Default)]
struct Throttle(Option<Instant>);

impl Throttle {
    fn allows(&mut self) -> bool {
        let now = Instant::now();
        let allowed = self.0.is_none_or(|last| now - last >= INTERVAL);
        if allowed {
            self.0 = Some(now);
        }
        allowed
    }
}
