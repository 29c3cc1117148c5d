//! The variables of a spool.

use std::path::PathBuf;

use crate::env::Env;

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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variables_of_a_spool() {
        const DIRECTORY: &str = "OTEL_RUST_EXPORTER_SPOOL_DIRECTORY";
        const MAX: &str = "OTEL_RUST_EXPORTER_SPOOL_MAX_BYTES";
        let somewhere = |directory: &str| Some(PathBuf::from(directory));
        let rows: [(&str, &str, Option<PathBuf>, Option<u64>, usize); 10] = [
            (
                DIRECTORY,
                "/var/spool/cart",
                somewhere("/var/spool/cart"),
                None,
                0,
            ),
            (DIRECTORY, " relative ", somewhere("relative"), None, 0),
            (DIRECTORY, "", None, None, 0),
            (DIRECTORY, "  ", None, None, 0),
            (MAX, "65536", None, Some(65536), 0),
            (MAX, "", None, None, 0),
            (MAX, "65535", None, None, 1),
            (MAX, "-1", None, None, 1),
            (MAX, "64MiB", None, None, 1),
            (MAX, "99999999999999999999", None, None, 1),
        ];
        for (name, value, directory, max_bytes, warnings) in rows {
            let lookup = |wanted: &str| (wanted == name).then(|| value.to_owned());
            let mut env = Env::new(&lookup);
            let read = SpoolSettings::from_env(&mut env);
            let expected = SpoolSettings {
                directory,
                max_bytes,
            };
            assert_eq!(read, expected, "{name}={value}");
            assert_eq!(env.into_warnings().len(), warnings, "{name}={value}");
        }
    }
}
