//! The variables of a spool.

use std::path::PathBuf;
use std::time::Duration;

use super::error::SpoolError;
use super::exporter::{SpoolBuilder, SpoolExporter};
use crate::env::Env;
use crate::exporter::SpanExporter;

/// What all files together may occupy.
pub(super) const MAX_BYTES: u64 = 128 << 20;

/// The least that all files together may occupy.
pub(super) const MIN_MAX_BYTES: u64 = 64 << 10;

/// What the environment says of a spool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SpoolSettings {
    /// Where it is. Without one there is none.
    pub(crate) directory: Option<PathBuf>,
    /// What it may occupy.
    pub(crate) max_bytes: Option<u64>,
}

impl SpoolSettings {
    /// Reads the variables. The specification leaves names that begin with
    /// `OTEL_RUST_` to implementations in this language.
    pub(crate) fn from_env(env: &mut Env<'_>) -> Self {
        Self {
            directory: env
                .text("OTEL_RUST_EXPORTER_SPOOL_DIRECTORY")
                .map(PathBuf::from),
            max_bytes: env.number(
                "OTEL_RUST_EXPORTER_SPOOL_MAX_BYTES",
                MIN_MAX_BYTES..=u64::MAX,
                MAX_BYTES,
            ),
        }
    }

    /// Lays these settings over weaker ones.
    pub(crate) fn over(self, weaker: Self) -> Self {
        Self {
            directory: self.directory.or(weaker.directory),
            max_bytes: self.max_bytes.or(weaker.max_bytes),
        }
    }

    /// A spool around an exporter, in a directory of its own.
    pub(crate) fn around(
        &self,
        exporter: Box<dyn SpanExporter>,
        directory: PathBuf,
        attempt: Duration,
    ) -> Result<SpoolExporter, SpoolError> {
        SpoolBuilder::new(exporter, directory)
            .max_bytes(self.max_bytes.unwrap_or(MAX_BYTES))
            .timeout(attempt)
            .open()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variables_of_a_spool() {
        const DIRECTORY: &str = "OTEL_RUST_EXPORTER_SPOOL_DIRECTORY";
        const MAX: &str = "OTEL_RUST_EXPORTER_SPOOL_MAX_BYTES";
        let at = |directory: &str| SpoolSettings {
            directory: Some(directory.into()),
            max_bytes: None,
        };
        let bounded = SpoolSettings {
            directory: None,
            max_bytes: Some(65536),
        };
        let unset = SpoolSettings::default;
        let rows = [
            (DIRECTORY, "/var/spool/cart", at("/var/spool/cart"), 0),
            (DIRECTORY, " relative ", at("relative"), 0),
            (DIRECTORY, "", unset(), 0),
            (DIRECTORY, "  ", unset(), 0),
            (MAX, "65536", bounded, 0),
            (MAX, "", unset(), 0),
            (MAX, "65535", unset(), 1),
            (MAX, "-1", unset(), 1),
            (MAX, "64MiB", unset(), 1),
            (MAX, "99999999999999999999", unset(), 1),
        ];
        for (name, value, expected, warnings) in rows {
            let lookup = |wanted: &str| (wanted == name).then(|| value.to_owned());
            let mut env = Env::new(&lookup);
            let read = SpoolSettings::from_env(&mut env);
            assert_eq!(read, expected, "{name}={value}");
            assert_eq!(env.into_warnings().len(), warnings, "{name}={value}");
        }
    }
}
