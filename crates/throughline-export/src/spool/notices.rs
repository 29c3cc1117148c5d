//! What a spool tells a person: one line a minute for each kind of trouble.

use std::io;
use std::path::PathBuf;
use std::time::Instant;

use super::stats::SpoolHandle;
use crate::exporter::{ExportError, Receipt};
use crate::notice::{INTERVAL, Partial, Throttle, spans_were};
use crate::say;
use crate::text::{Bytes, Line};

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
    partial: Partial,
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
            partial: Partial::default(),
            told_keeping: false,
            told_lost: 0,
        }
    }

    /// The destination does not work, and the spool does.
    pub(super) fn keeping(&mut self, error: &ExportError) {
        if self.keeping.allows(Instant::now()) {
            self.told_keeping = true;
            say::warn(format_args!(
                "export to {} failed ({}). Spans are kept in {} ({} of {}) and sent again; next \
                 notice in {} s at the earliest",
                self.destination,
                Line::quoted(&error.to_string()),
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
        if self.storage.allows(Instant::now()) {
            say::warn(format_args!(
                "the spool in {} failed ({}). Spans stay in memory; next notice in {} s at the \
                 earliest",
                self.directory.display(),
                Line::quoted(&error.to_string()),
                INTERVAL.as_secs(),
            ));
        }
    }

    /// The destination refused a batch for good.
    pub(super) fn refused(&mut self, error: &ExportError) {
        if self.refusals.allows(Instant::now()) {
            say::warn(format_args!(
                "export to {} failed ({}). Spans of the spool were lost; next notice in {} s at \
                 the earliest",
                self.destination,
                Line::quoted(&error.to_string()),
                INTERVAL.as_secs(),
            ));
        }
    }

    /// A batch of the spool was accepted, perhaps in part or with a warning.
    pub(super) fn partly_accepted(&mut self, receipt: &Receipt) {
        let now = Instant::now();
        let destination = &self.destination;
        if let Some(line) = self
            .partial
            .look(now, destination, receipt, " of the spool")
        {
            say::warn(line);
        }
    }

    /// Looks whether spans were lost.
    fn lost(&mut self) {
        let lost = self.counts.lock().lost();
        if lost > self.told_lost && self.losses.allows(Instant::now()) {
            say::warn(format_args!(
                "{} lost in the spool in {}, which holds {} at most",
                spans_were(lost - self.told_lost),
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
