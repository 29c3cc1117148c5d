//! Which callsites are on: a level per target, changeable while the program runs.
//!
//! The filter itself is consulted once per callsite and change; what the hot path reads is the state that the
//! callsite keeps (see [`callsite`](crate::callsite)).

use std::fmt;
use std::str::FromStr;

use crate::kind::Level;

/// A level for every target, the longest matching prefix winning.
///
/// The text form is a comma-separated list of `level` and `target=level`; levels are `off`, `error`, `warn`, `info`,
/// `debug`, `trace`. A prefix matches whole path segments: `db=off` concerns `db` and `db::pool`, not `dbx`.
///
/// ```
/// let filter: throughline_core::Filter = "info,my_crate::db=trace,hyper=off".parse()?;
/// # Ok::<(), throughline_core::FilterError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Sorted by falling length of the target, so that the first match is the most specific one.
    directives: Vec<Directive>,
    default: Option<Level>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Directive {
    target: String,
    level: Option<Level>,
}

impl Filter {
    /// Enables everything up to `level` for every target.
    pub const fn at(level: Level) -> Self {
        Self {
            directives: Vec::new(),
            default: Some(level),
        }
    }

    /// Enables nothing.
    pub const fn off() -> Self {
        Self {
            directives: Vec::new(),
            default: None,
        }
    }

    /// Sets the level of one target; `None` switches it off.
    #[must_use]
    pub fn with_target(mut self, target: impl Into<String>, level: Option<Level>) -> Self {
        let target = target.into();
        self.directives
            .retain(|directive| directive.target != target);
        let at = self
            .directives
            .partition_point(|directive| directive.target.len() >= target.len());
        self.directives.insert(at, Directive { target, level });
        self
    }

    /// The most verbose level that passes for any target.
    pub(crate) fn max_level(&self) -> Option<Level> {
        let levels = self.directives.iter().map(|directive| directive.level);
        levels.chain([self.default]).max().flatten()
    }

    pub(crate) fn enables(&self, target: &str, level: Level) -> bool {
        let directive = self
            .directives
            .iter()
            .find(|directive| is_prefix(&directive.target, target));
        directive
            .map_or(self.default, |directive| directive.level)
            .is_some_and(|most| level <= most)
    }
}

impl Default for Filter {
    /// Enables every callsite: annotations are on unless somebody turns them off.
    fn default() -> Self {
        Self::at(Level::Trace)
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        let mut filter = Self::off();
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            match part.split_once('=') {
                None => filter.default = parse_level(part)?,
                Some((target, level)) => {
                    filter = filter.with_target(target.trim(), parse_level(level.trim())?);
                }
            }
        }
        Ok(filter)
    }
}

/// A part of a filter text names no level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    part: String,
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "filter level {:?} is not one of off, error, warn, info, debug, trace",
            self.part
        )
    }
}

impl std::error::Error for FilterError {}

fn parse_level(text: &str) -> Result<Option<Level>, FilterError> {
    let known = [
        ("off", None),
        ("error", Some(Level::Error)),
        ("warn", Some(Level::Warn)),
        ("info", Some(Level::Info)),
        ("debug", Some(Level::Debug)),
        ("trace", Some(Level::Trace)),
    ];
    let found = known
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(text));
    found.map(|(_, level)| *level).ok_or_else(|| FilterError {
        part: text.to_owned(),
    })
}

fn is_prefix(prefix: &str, target: &str) -> bool {
    target
        .strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_of_whole_segments_wins() {
        let filter: Filter = "info, db = off,db::pool=debug".parse().expect("valid");
        assert!(filter.enables("app", Level::Info) && !filter.enables("app", Level::Debug));
        assert!(!filter.enables("db", Level::Error) && !filter.enables("db::query", Level::Error));
        assert!(filter.enables("db::pool", Level::Debug) && filter.enables("dbx", Level::Info));
    }

    #[test]
    fn a_bad_level_is_named() {
        let error = "info,db=loud".parse::<Filter>().expect_err("bad");
        assert_eq!(
            error.to_string(),
            "filter level \"loud\" is not one of off, error, warn, info, debug, trace"
        );
    }

    #[test]
    fn a_later_directive_replaces_an_earlier_one() {
        let filter: Filter = "db=trace,db=off".parse().expect("valid");
        assert_eq!(filter, Filter::off().with_target("db", None));
    }
}
