//! Why a spool could not be opened.

use std::io;
use std::path::Path;

use crate::error::StartError;

/// Why [`SpoolBuilder::open`](super::SpoolBuilder::open) failed.
///
/// The message names the directory and what to do about it. What fails later, such
/// as a write to a full disk, is counted instead: see [`SpoolStats`](super::SpoolStats).
#[derive(Debug)]
pub struct SpoolError {
    kind: Kind,
    message: String,
    source: Option<io::Error>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Invalid,
    InUse,
    Unusable,
    Resources,
}

impl SpoolError {
    pub(super) fn invalid(message: String) -> Self {
        Self::new(Kind::Invalid, message, None)
    }

    pub(super) fn in_use(path: &Path) -> Self {
        let message = format!(
            "the spool directory {} is in use, by another process or another exporter; give each \
             a directory of its own",
            path.display()
        );
        Self::new(Kind::InUse, message, None)
    }

    pub(super) fn unusable(path: &Path, source: io::Error) -> Self {
        let message = format!(
            "the spool directory {} cannot be used ({source}); give one that this process may \
             write to",
            path.display()
        );
        Self::new(Kind::Unusable, message, Some(source))
    }

    pub(super) fn resources(source: io::Error) -> Self {
        let message = format!("the thread of the spool could not be started: {source}");
        Self::new(Kind::Resources, message, Some(source))
    }

    /// Whether an option has a value that is wrong in itself.
    #[must_use]
    pub fn is_invalid_option(&self) -> bool {
        self.kind == Kind::Invalid
    }

    /// Whether another process, or another exporter of this one, holds the directory.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        self.kind == Kind::InUse
    }

    /// Whether the directory cannot be made, written to, read or locked.
    #[must_use]
    pub fn is_unusable(&self) -> bool {
        self.kind == Kind::Unusable
    }

    /// Whether the operating system refused a thread or a file descriptor; the
    /// same call may succeed later.
    #[must_use]
    pub fn is_out_of_resources(&self) -> bool {
        self.kind == Kind::Resources
    }
}

start_error!(SpoolError);

impl From<SpoolError> for StartError {
    fn from(error: SpoolError) -> Self {
        match (error.kind, error.source) {
            (Kind::Resources, Some(source)) => Self::resources(error.message, source),
            _ => Self::invalid(error.message),
        }
    }
}
