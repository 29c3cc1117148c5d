//! Reads environment variables by the rules of the OpenTelemetry specification.
//!
//! Owns the rules per kind of value (empty means unset, what a boolean is, what
//! happens to a bad number) and the warnings about bad values. It must not know
//! which variables exist: that is the table in [`crate::settings`]. The
//! environment itself is an injected function, so tests need no process state
//! and can run in parallel.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Looks one variable up; `None` when it is not set.
pub(crate) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The longest duration that a variable may give, in milliseconds (49 days).
const MAX_MILLIS: u64 = u32::MAX as u64;

/// How much of a bad value a warning repeats, in characters.
const SHOWN_CHARS: usize = 64;

/// Looks a variable up in the environment of this process.
///
/// Bytes that are not UTF-8 become U+FFFD, so that the value is reported as bad
/// instead of being taken for unset.
pub(crate) fn process_variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// One reading of the environment: typed look-ups plus the warnings they caused.
pub(crate) struct Env<'a> {
    lookup: Lookup<'a>,
    warnings: Vec<String>,
}

impl<'a> Env<'a> {
    pub(crate) fn new(lookup: Lookup<'a>) -> Self {
        Self {
            lookup,
            warnings: Vec::new(),
        }
    }

    /// The warnings so far, one per bad value, in the order of the look-ups.
    pub(crate) fn into_warnings(self) -> Vec<String> {
        self.warnings
    }

    /// The value without surrounding white space; an empty value is an unset one.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let value = (self.lookup)(name)?;
        let trimmed = value.trim();
        (!trimmed.is_empty()).then(|| trimmed.to_owned())
    }

    /// Only `true` in any case is true. Anything else is false, and worth a
    /// warning unless it says so.
    pub(crate) fn boolean(&mut self, name: &str) -> Option<bool> {
        let value = self.text(name)?;
        if value.eq_ignore_ascii_case("true") {
            return Some(true);
        }
        if !value.eq_ignore_ascii_case("false") {
            self.bad(name, &value, "neither true nor false", "false");
        }
        Some(false)
    }

    /// A whole number inside `range`; otherwise a warning, and as if unset.
    pub(crate) fn number(
        &mut self,
        name: &str,
        range: RangeInclusive<u64>,
        default: impl Display,
    ) -> Option<u64> {
        let value = self.text(name)?;
        match value.parse::<u64>() {
            Ok(number) if range.contains(&number) => Some(number),
            _ => {
                let what = format!(
                    "not a whole number from {} to {}",
                    range.start(),
                    range.end()
                );
                self.bad(name, &value, &what, default);
                None
            }
        }
    }

    /// A number of milliseconds that is not negative.
    pub(crate) fn millis(&mut self, name: &str, default: Duration) -> Option<Duration> {
        self.number(name, 0..=MAX_MILLIS, default.as_millis())
            .map(Duration::from_millis)
    }

    /// A probability from 0 to 1; otherwise a warning, and as if unset.
    pub(crate) fn ratio(&mut self, name: &str, default: f64) -> Option<f64> {
        let value = self.text(name)?;
        match value.parse::<f64>() {
            Ok(ratio) if (0.0..=1.0).contains(&ratio) => Some(ratio),
            _ => {
                self.bad(
                    name,
                    &value,
                    "not a ratio from 0 to 1",
                    format_args!("{default:.1}"),
                );
                None
            }
        }
    }

    /// One of a set of names, in any case; an unknown one is warned about and
    /// ignored.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        name: &str,
        choices: &[(&str, T)],
        default: &str,
    ) -> Option<T> {
        let value = self.text(name)?;
        let found = choices
            .iter()
            .find(|(choice, _)| choice.eq_ignore_ascii_case(&value));
        if found.is_none() {
            let names: Vec<&str> = choices.iter().map(|(choice, _)| *choice).collect();
            let what = format!("not one of {}", names.join(", "));
            self.bad(name, &value, &what, default);
        }
        found.map(|&(_, choice)| choice)
    }

    /// A list of names out of a set, in any case, each of which counts once; an unknown
    /// one is warned about and ignored. None if no name is known.
    pub(crate) fn choices<T: Copy + PartialEq>(
        &mut self,
        name: &str,
        choices: &[(&str, T)],
        default: &str,
    ) -> Option<Vec<T>> {
        let value = self.text(name)?;
        let mut chosen = Vec::new();
        for word in value
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
        {
            let found = choices
                .iter()
                .find(|(choice, _)| choice.eq_ignore_ascii_case(word));
            match found {
                Some((_, choice)) if chosen.contains(choice) => {}
                Some((_, choice)) => chosen.push(*choice),
                None => {
                    let names: Vec<&str> = choices.iter().map(|(choice, _)| *choice).collect();
                    let what = format!("not one of {}", names.join(", "));
                    self.bad(name, word, &what, default);
                }
            }
        }
        (!chosen.is_empty()).then_some(chosen)
    }

    /// Adds the warning about a bad value: the variable, the value, what is wrong
    /// with it and what is used instead.
    pub(crate) fn bad(&mut self, name: &str, value: &str, what: &str, default: impl Display) {
        let shown: String = value.chars().take(SHOWN_CHARS).collect();
        let cut = if shown.len() < value.len() { "…" } else { "" };
        self.warn(format!(
            "{name}={shown:?}{cut} is {what}; using the default {default}"
        ));
    }

    /// Adds the warning about a value that may be secret, so is not repeated.
    pub(crate) fn bad_secret(&mut self, name: &str, what: &str, remedy: &str) {
        self.warn(format!("{name}: {what}; {remedy}"));
    }

    /// Notes a warning. Some variables are read for several signals, but what is
    /// wrong with them is said once.
    pub(crate) fn warn(&mut self, warning: String) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }
}

/// Why a `key=value,key=value` list cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListError {
    NoEquals,
    EmptyKey,
    BadPercent,
    NotUtf8,
}

impl ListError {
    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::NoEquals => "has a member without '='",
            Self::EmptyKey => "has a member with an empty key",
            Self::BadPercent => "has a '%' that is not followed by two hexadecimal digits",
            Self::NotUtf8 => "has a member that does not decode to utf-8",
        }
    }
}

/// Splits a `key=value,key=value` list and decodes its percent-encoding.
///
/// White space around keys and values is dropped, empty members are passed over
/// (a trailing comma is common), and order and duplicates are kept.
pub(crate) fn key_value_list(
    list: &str,
) -> impl Iterator<Item = Result<(String, String), ListError>> {
    list.split(',')
        .map(str::trim)
        .filter(|member| !member.is_empty())
        .map(|member| {
            let (key, value) = member.split_once('=').ok_or(ListError::NoEquals)?;
            let key = percent_decode(key.trim())?;
            if key.is_empty() {
                return Err(ListError::EmptyKey);
            }
            Ok((key, percent_decode(value.trim())?))
        })
}

/// Decodes `%41`-style escapes. The library decoder passes bad escapes through,
/// but the specification calls them errors, so they are looked for first.
fn percent_decode(text: &str) -> Result<String, ListError> {
    let bytes = text.as_bytes();
    let bad_escape = bytes.iter().enumerate().any(|(at, &byte)| {
        byte == b'%'
            && !bytes
                .get(at + 1..at + 3)
                .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    if bad_escape {
        return Err(ListError::BadPercent);
    }
    percent_encoding::percent_decode_str(text)
        .decode_utf8()
        .map(|decoded| decoded.into_owned())
        .map_err(|_| ListError::NotUtf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<T>(value: Option<&str>, read: impl FnOnce(&mut Env<'_>) -> T) -> (T, Vec<String>) {
        let lookup = |name: &str| (name == "X").then(|| value.map(str::to_owned)).flatten();
        let mut env = Env::new(&lookup);
        let result = read(&mut env);
        (result, env.into_warnings())
    }

    #[test]
    fn an_empty_value_is_an_unset_one() {
        for value in [None, Some(""), Some("  ")] {
            assert_eq!(with(value, |env| env.text("X")), (None, vec![]));
            assert_eq!(with(value, |env| env.boolean("X")), (None, vec![]));
            assert_eq!(with(value, |env| env.number("X", 1..=9, 5)), (None, vec![]));
            assert_eq!(with(value, |env| env.ratio("X", 1.0)), (None, vec![]));
            assert_eq!(
                with(value, |env| env.choice("X", &[("a", 1)], "a")),
                (None, vec![])
            );
        }
    }

    #[test]
    fn booleans() {
        for (value, expected, warnings) in [
            ("true", true, 0),
            ("TRUE", true, 0),
            ("False", false, 0),
            ("1", false, 1),
            ("yes", false, 1),
        ] {
            let (got, warned) = with(Some(value), |env| env.boolean("X"));
            assert_eq!((got, warned.len()), (Some(expected), warnings), "{value}");
        }
    }

    #[test]
    fn numbers() {
        for (value, expected) in [
            ("1", Some(1)),
            (" 9 ", Some(9)),
            ("0", None),
            ("10", None),
            ("-1", None),
            ("1.5", None),
            ("5s", None),
            ("99999999999999999999999", None),
        ] {
            let (got, warned) = with(Some(value), |env| env.number("X", 1..=9, 5));
            assert_eq!(got, expected, "{value}");
            assert_eq!(warned.is_empty(), expected.is_some(), "{value}");
        }
        let (_, warned) = with(Some("x\n"), |env| env.number("X", 1..=9, 5));
        assert_eq!(
            warned,
            ["X=\"x\" is not a whole number from 1 to 9; using the default 5"]
        );
    }

    #[test]
    fn ratios() {
        for (value, expected) in [
            ("0", Some(0.0)),
            ("0.25", Some(0.25)),
            ("1", Some(1.0)),
            ("1.1", None),
            ("-0.1", None),
            ("NaN", None),
            ("a", None),
        ] {
            assert_eq!(with(Some(value), |env| env.ratio("X", 1.0)).0, expected);
        }
    }

    #[test]
    fn a_shown_value_is_escaped_and_short() {
        let long = format!("\u{1b}[31m{}", "é".repeat(1000));
        let (_, warned) = with(Some(&long), |env| env.choice("X", &[("a", 1)], "a"));
        assert!(!warned[0].contains('\u{1b}'));
        assert!(warned[0].chars().count() < 150, "{}", warned[0]);
        assert!(warned[0].contains("\"… is not one of a; using the default a"));
    }

    #[test]
    fn lists() {
        let read = |list| key_value_list(list).collect::<Result<Vec<_>, _>>();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            read("a=b, c = d%20e ,,f=g=h,i="),
            Ok(vec![
                pair("a", "b"),
                pair("c", "d e"),
                pair("f", "g=h"),
                pair("i", "")
            ])
        );
        assert_eq!(read("k%2Cey=v%3D"), Ok(vec![pair("k,ey", "v=")]));
        assert_eq!(read("a"), Err(ListError::NoEquals));
        assert_eq!(read("=b"), Err(ListError::EmptyKey));
        assert_eq!(read("a=%"), Err(ListError::BadPercent));
        assert_eq!(read("a=%4"), Err(ListError::BadPercent));
        assert_eq!(read("a=%zz"), Err(ListError::BadPercent));
        assert_eq!(read("a=%é"), Err(ListError::BadPercent));
        assert_eq!(read("a=%ff"), Err(ListError::NotUtf8));
    }
}
