//! Why a pipeline could not start.
//!
//! Owns the one error of the configuration boundary. Export errors are
//! [`crate::exporter::ExportError`].

use std::io;

/// Why [`PipelineBuilder::start`](crate::PipelineBuilder::start) failed.
///
/// The message names the option, the value and what to do about it.
#[derive(Debug)]
pub struct StartError {
    kind: Kind,
    message: String,
    source: Option<io::Error>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Invalid,
    Unsupported,
    Resources,
    Installed,
}

impl StartError {
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, message, None)
    }

    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(Kind::Unsupported, message, None)
    }

    pub(crate) fn resources(message: impl Into<String>, source: io::Error) -> Self {
        Self::new(Kind::Resources, message, Some(source))
    }

    pub(crate) fn installed() -> Self {
        Self::new(
            Kind::Installed,
            "a global pipeline is already installed; shut it down first or use a local one with `start`",
            None,
        )
    }

    /// Whether an option has a value that is wrong in itself.
    #[must_use]
    pub fn is_invalid_option(&self) -> bool {
        self.kind == Kind::Invalid
    }

    /// Whether an option asks for something that this version cannot do, such as
    /// an `https` endpoint.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        self.kind == Kind::Unsupported
    }

    /// Whether the operating system refused a thread or a file descriptor; the
    /// same call may succeed later.
    #[must_use]
    pub fn is_out_of_resources(&self) -> bool {
        self.kind == Kind::Resources
    }

    /// Whether [`PipelineBuilder::start_global`](crate::PipelineBuilder::start_global)
    /// found a global pipeline already in place.
    #[must_use]
    pub fn is_already_installed(&self) -> bool {
        self.kind == Kind::Installed
    }
}

/// What the errors of this crate's starts have in common: a kind to branch on, a message
/// for people, and what the operating system said.
macro_rules! start_error {
    ($name:ident) => {
        impl $name {
            fn new(kind: Kind, message: impl Into<String>, source: Option<io::Error>) -> Self {
                Self {
                    kind,
                    message: message.into(),
                    source,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.message)
            }
        }

        impl std::error::Error for $name {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                self.source.as_ref().map(|source| source as _)
            }
        }
    };
}

start_error!(StartError);
