//! Which messages are traced, by what they are: types, actors, destinations, projections and modules.
//!
//! Owns the patterns, the process-wide selection, and what was decided already. Rules of concurrency:
//!
//! 1. As long as nobody selects, a message costs one relaxed load.
//! 2. Decisions are kept in a table of a fixed size, a word each, which is read and written relaxed: a word is whole, and
//!    one that is overwritten is decided again.
//! 3. The lock is taken where a selection is installed and where something is decided for the first time.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ptr;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use glob::{MatchOptions, Pattern};
use throughline_core::{Callsite, Level, diagnostics};

use crate::policy::Policy;

/// Which messages, records and events are traced: those that may continue a trace, and among them those that may start one.
///
/// A pattern is a path whose segments are divided by `::`; `*` stands for anything within one and `**` for any number of
/// them. It is matched with each name that a message is known by, or with one of them if a word says which:
///
/// | pattern | matches |
/// |---|---|
/// | `message:shop::cart::**` | the type of the message, with its path, or of the event |
/// | `actor:shop::cart::Cart` | the type of the actor, with its path, where an integration knows it |
/// | `destination:orders-*` | the channel, topic or queue |
/// | `projection:goal_*` | the name of the projection |
/// | `module:shop::**` | where the handler's callsite is: its target and its name, such as `shop::cart::Cart Add` |
/// | `shop::**` | any of these |
///
/// Of a type, what is in angle brackets does not count. The default is two wildcards over everything, `trace=**;start=**`: all
/// is traced, and all may start a trace that a receiver's [`Policy`] lets start one.
///
/// A message that is left out has no span, and its handler runs in the context that the message was sent under: what it does
/// is part of the sender's trace. One that may continue a trace and not start one has a span where its sender had one.
///
/// The text form is that of the [environment](Self::install_from_env): `trace=` and `start=` with patterns, separated by
/// commas, where `!` leaves out.
///
/// ```
/// use throughline_messaging::Selection;
///
/// let selection = Selection::new()
///     .trace_except(["message:shop::Heartbeat", "destination:metrics-*"])?
///     .start(["destination:orders", "shop::checkout::**"])?;
/// assert_eq!(
///     selection,
///     "trace=!message:shop::Heartbeat,!destination:metrics-*;start=destination:orders,shop::checkout::**".parse()?,
/// );
/// selection.install();
/// # Selection::new().install();
/// # Ok::<(), throughline_messaging::SelectionError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    trace: Rules,
    start: Rules,
}

impl Selection {
    /// Everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing is traced but what matches one of these, or of those that were given before.
    ///
    /// # Errors
    ///
    /// A pattern cannot be used; the message says why.
    pub fn trace<P: AsRef<str>>(
        mut self,
        patterns: impl IntoIterator<Item = P>,
    ) -> Result<Self, SelectionError> {
        add(&mut self.trace.only, patterns)?;
        Ok(self)
    }

    /// What matches one of these is not traced.
    ///
    /// # Errors
    ///
    /// A pattern cannot be used; the message says why.
    pub fn trace_except<P: AsRef<str>>(
        mut self,
        patterns: impl IntoIterator<Item = P>,
    ) -> Result<Self, SelectionError> {
        add(&mut self.trace.except, patterns)?;
        Ok(self)
    }

    /// Nothing may start a trace but what matches one of these, or of those that were given before.
    ///
    /// # Errors
    ///
    /// A pattern cannot be used; the message says why.
    pub fn start<P: AsRef<str>>(
        mut self,
        patterns: impl IntoIterator<Item = P>,
    ) -> Result<Self, SelectionError> {
        add(&mut self.start.only, patterns)?;
        Ok(self)
    }

    /// What matches one of these may not start a trace.
    ///
    /// # Errors
    ///
    /// A pattern cannot be used; the message says why.
    pub fn start_except<P: AsRef<str>>(
        mut self,
        patterns: impl IntoIterator<Item = P>,
    ) -> Result<Self, SelectionError> {
        add(&mut self.start.except, patterns)?;
        Ok(self)
    }

    /// Makes this the selection of the process, in place of the one before.
    pub fn install(self) {
        let mut installed = INSTALLED.write().unwrap_or_else(PoisonError::into_inner);
        *installed = Some(self);
        // Relaxed: what is decided meanwhile is decided by the old selection or the new one.
        GENERATION.fetch_add(1, Ordering::Relaxed);
    }

    /// Installs the selection of the environment variable `THROUGHLINE_SELECTION`, if it is set; `throughline::init` does it.
    ///
    /// One that cannot be used is told of on standard error, and nothing is left out.
    pub fn install_from_env() {
        let Ok(text) = std::env::var("THROUGHLINE_SELECTION") else {
            return;
        };
        match text.parse::<Self>() {
            Ok(selection) => selection.install(),
            Err(error) => diagnostics::say(
                Level::Warn,
                format_args!("THROUGHLINE_SELECTION {text:?} is not used: {error}"),
            ),
        }
    }

    /// Keeps the selection for the life of the process, for a [policy](Policy::select).
    ///
    /// ```
    /// use throughline_messaging::{Policy, Selection};
    ///
    /// let selection = Selection::new().trace_except(["message:shop::Heartbeat"])?.leak();
    /// let policy = Policy::new().select(selection);
    /// # Ok::<(), throughline_messaging::SelectionError>(())
    /// ```
    #[must_use]
    pub fn leak(self) -> &'static Self {
        Box::leak(Box::new(self))
    }

    fn decide(&self, names: &Names<'_>) -> Selected {
        let trace = self.trace.admit(names);
        Selected {
            trace,
            start: trace && self.start.admit(names),
        }
    }
}

impl FromStr for Selection {
    type Err = SelectionError;

    fn from_str(text: &str) -> Result<Self, SelectionError> {
        let mut selection = Self::new();
        for part in text.split(';').map(str::trim) {
            if part.is_empty() {
                continue;
            }
            let (rules, patterns) = match part.split_once('=') {
                Some(("trace", patterns)) => (&mut selection.trace, patterns),
                Some(("start", patterns)) => (&mut selection.start, patterns),
                _ => {
                    return Err(SelectionError(format!(
                        "{part:?} is neither `trace=…` nor `start=…`"
                    )));
                }
            };
            for pattern in patterns.split(',').map(str::trim) {
                match pattern.strip_prefix('!') {
                    Some(pattern) => add(&mut rules.except, [pattern])?,
                    None => add(&mut rules.only, [pattern])?,
                }
            }
        }
        Ok(selection)
    }
}

/// A pattern of a [`Selection`] cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectionError(String);

impl fmt::Display for SelectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for SelectionError {}

/// What a message is known by, beside the callsite of its handler.
///
/// ```
/// use throughline_messaging::Subject;
///
/// let subject = Subject::new().actor("shop::cart::Cart").message("shop::cart::Add");
/// ```
#[derive(Clone, Copy, Debug, Default, Hash)]
pub struct Subject<'a> {
    actor: Option<&'a str>,
    message: Option<&'a str>,
    destination: Option<&'a str>,
    projection: Option<&'a str>,
}

impl<'a> Subject<'a> {
    /// Nothing is known.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            actor: None,
            message: None,
            destination: None,
            projection: None,
        }
    }

    /// The type of the actor, as [`type_name`](std::any::type_name) gives it.
    #[must_use]
    pub const fn actor(mut self, actor_type: &'a str) -> Self {
        self.actor = Some(actor_type);
        self
    }

    /// The type of the message, as [`type_name`](std::any::type_name) gives it, or of the event, as its store knows it.
    #[must_use]
    pub const fn message(mut self, message_type: &'a str) -> Self {
        self.message = Some(message_type);
        self
    }

    /// The channel, topic or queue.
    #[must_use]
    pub const fn destination(mut self, name: Option<&'a str>) -> Self {
        self.destination = name;
        self
    }

    /// The projection.
    #[must_use]
    pub const fn projection(mut self, name: &'a str) -> Self {
        self.projection = Some(name);
        self
    }

    /// A number for all of this, the callsite, and who decides.
    fn number(&self, callsite: &'static Callsite, by: u64) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        ptr::from_ref(callsite).hash(&mut hasher);
        by.hash(&mut hasher);
        hasher.finish()
    }
}

/// What was decided of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Selected {
    /// Whether it may be part of a trace.
    pub(crate) trace: bool,
    /// Whether it may be the first of one.
    pub(crate) start: bool,
}

impl Selected {
    pub(crate) const ALL: Self = Self {
        trace: true,
        start: true,
    };

    const fn and(self, other: Self) -> Self {
        Self {
            trace: self.trace && other.trace,
            start: self.start && other.start,
        }
    }
}

/// What the selections of the process and of the policy say.
#[inline(always)]
pub(crate) fn selected(
    subject: &Subject<'_>,
    callsite: &'static Callsite,
    policy: &Policy,
) -> Selected {
    let generation = GENERATION.load(Ordering::Relaxed);
    let own = policy.selection();
    if generation == 0 && own.is_none() {
        return Selected::ALL;
    }
    // A copy, so that the subject is in memory only if somebody selects.
    let subject = *subject;
    selected_by(&subject, callsite, generation, own)
}

#[inline(never)]
fn selected_by(
    subject: &Subject<'_>,
    callsite: &'static Callsite,
    generation: u64,
    own: Option<&'static Selection>,
) -> Selected {
    let mut selected = Selected::ALL;
    if generation > 0 {
        selected = selected.and(known_or(subject, callsite, generation, |names| {
            let installed = INSTALLED.read().unwrap_or_else(PoisonError::into_inner);
            installed
                .as_ref()
                .map_or(Selected::ALL, |selection| selection.decide(names))
        }));
    }
    if let Some(own) = own {
        // A place in memory is no small number.
        let by = ptr::from_ref(own).addr() as u64;
        selected = selected.and(known_or(subject, callsite, by, |names| own.decide(names)));
    }
    selected
}

/// What is known of this subject by that selection, else what `decide` says.
fn known_or(
    subject: &Subject<'_>,
    callsite: &'static Callsite,
    by: u64,
    decide: impl FnOnce(&Names<'_>) -> Selected,
) -> Selected {
    let hash = subject.number(callsite, by);
    let row = usize::try_from(hash % DECISIONS as u64).unwrap_or_default();
    // Two bits say what was decided, and one that something was.
    let tag = hash & !7;
    let known = DECIDED[row].load(Ordering::Relaxed);
    if known & !7 == tag && known & 4 != 0 {
        return Selected {
            trace: known & 1 != 0,
            start: known & 2 != 0,
        };
    }
    let selected = decide(&Names::of(subject, callsite));
    let bits = 4 | u64::from(selected.trace) | u64::from(selected.start) << 1;
    DECIDED[row].store(tag | bits, Ordering::Relaxed);
    selected
}

static INSTALLED: RwLock<Option<Selection>> = RwLock::new(None);
/// How many selections were installed.
static GENERATION: AtomicU64 = AtomicU64::new(0);
/// Decisions that are kept; 8 KiB.
const DECISIONS: usize = 1024;
static DECIDED: [AtomicU64; DECISIONS] = [const { AtomicU64::new(0) }; DECISIONS];

/// What a level of a selection admits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rules {
    /// Everything, if there is none.
    only: Vec<Rule>,
    except: Vec<Rule>,
}

impl Rules {
    fn admit(&self, names: &Names<'_>) -> bool {
        let any = |rules: &[Rule]| rules.iter().any(|rule| rule.matches(names));
        (self.only.is_empty() || any(&self.only)) && !any(&self.except)
    }
}

/// One pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    /// Of which names; any, if none is said.
    of: Option<Word>,
    pattern: Pattern,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Actor,
    Message,
    Destination,
    Projection,
    Module,
}

const WORDS: [(&str, Word); 5] = [
    ("actor", Word::Actor),
    ("message", Word::Message),
    ("destination", Word::Destination),
    ("projection", Word::Projection),
    ("module", Word::Module),
];

fn add<P: AsRef<str>>(
    rules: &mut Vec<Rule>,
    patterns: impl IntoIterator<Item = P>,
) -> Result<(), SelectionError> {
    for pattern in patterns {
        rules.push(pattern.as_ref().parse()?);
    }
    Ok(())
}

impl FromStr for Rule {
    type Err = SelectionError;

    fn from_str(text: &str) -> Result<Self, SelectionError> {
        let (of, pattern) = match text.split_once(':') {
            Some((word, rest)) if !rest.starts_with(':') => {
                let known = WORDS.iter().find(|(known, _)| *known == word);
                let (_, word) = known.ok_or_else(|| {
                    SelectionError(format!(
                        "{text:?} starts with {word:?}, which is none of `actor:`, `message:`, `destination:`, \
                         `projection:` and `module:`"
                    ))
                })?;
                (Some(*word), rest)
            }
            _ => (None, text),
        };
        if pattern.is_empty() {
            return Err(SelectionError(format!("{text:?} has no pattern")));
        }
        let pattern = Pattern::new(&as_path(pattern))
            .map_err(|error| SelectionError(format!("{text:?} is no pattern: {}", error.msg)))?;
        Ok(Self { of, pattern })
    }
}

impl Rule {
    fn matches(&self, names: &Names<'_>) -> bool {
        let options = MatchOptions {
            require_literal_separator: true,
            ..MatchOptions::new()
        };
        names.0.iter().any(|(word, name)| {
            self.of.is_none_or(|of| of == *word) && self.pattern.matches_with(name, options)
        })
    }
}

/// The names of a message, as patterns see them.
struct Names<'a>(Vec<(Word, Cow<'a, str>)>);

impl<'a> Names<'a> {
    fn of(subject: &Subject<'a>, callsite: &'static Callsite) -> Self {
        let module = format!("{}::{}", callsite.target(), callsite.name());
        let types = [
            (Word::Actor, subject.actor),
            (Word::Message, subject.message),
        ];
        let types = types.into_iter().filter_map(|(word, name)| {
            let name = name?;
            // What a type is of may be a path, too.
            let end = name.find('<').unwrap_or(name.len());
            Some((word, as_path(&name[..end]).into()))
        });
        let chosen = [
            (Word::Destination, subject.destination),
            (Word::Projection, subject.projection),
        ];
        let chosen = chosen
            .into_iter()
            .filter_map(|(word, name)| Some((word, name?.into())));
        let module = [(Word::Module, as_path(&module).into())];
        Self(types.chain(chosen).chain(module).collect())
    }
}

/// The crate of patterns knows paths of files.
fn as_path(path: &str) -> String {
    path.replace("::", "/")
}

#[cfg(test)]
mod tests {
    use throughline_core::callsite;

    use super::*;

    static CALLSITE: Callsite = callsite!("Cart Add", Internal);

    fn told(selection: &str, subject: &Subject<'_>) -> &'static str {
        let selection: Selection = selection.parse().expect("it can be used");
        match selection.decide(&Names::of(subject, &CALLSITE)) {
            Selected { start: true, .. } => "starts",
            Selected { trace: true, .. } => "continues",
            _ => "nothing",
        }
    }

    #[test]
    fn patterns_match_each_name() {
        let add = Subject::new()
            .actor("shop::cart::Cart<alloc::string::String>")
            .message("shop::cart::Add")
            .destination(Some("orders-eu"))
            .projection("goal_summary");
        let rows = [
            ("", "starts"),
            ("trace=**;start=**", "starts"),
            ("trace=shop::**", "starts"),
            ("trace=shop::*", "nothing"),
            ("trace=shop::*::Add", "starts"),
            ("trace=actor:shop::cart::Cart", "starts"),
            ("trace=actor:shop::cart::Add", "nothing"),
            ("trace=message:shop::cart::*", "starts"),
            ("trace=destination:orders-*", "starts"),
            ("trace=destination:orders", "nothing"),
            ("trace=!orders-*", "nothing"),
            ("start=projection:other", "continues"),
            ("start=projection:goal_*", "starts"),
            ("start=!goal_summary", "continues"),
            ("trace=shop::**,!message:**::Add", "nothing"),
            ("trace=module:throughline_messaging::**", "starts"),
            ("trace=module:throughline_*::Cart*", "starts"),
            ("trace=module:*", "nothing"),
            (
                "trace=other , destination:orders-eu ; start=other",
                "continues",
            ),
            ("trace=other;start=**", "nothing"),
        ];
        for (selection, expected) in rows {
            assert_eq!(told(selection, &add), expected, "{selection}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_told() {
        let rows = [
            (
                "tracer=**",
                "\"tracer=**\" is neither `trace=…` nor `start=…`",
            ),
            ("trace=", "\"\" has no pattern"),
            ("trace=actor:", "\"actor:\" has no pattern"),
            (
                "trace=queue:orders",
                "\"queue:orders\" starts with \"queue\", which is none of `actor:`, `message:`, `destination:`, \
                 `projection:` and `module:`",
            ),
            (
                "trace=shop**",
                "\"shop**\" is no pattern: recursive wildcards must form a single path component",
            ),
        ];
        for (text, expected) in rows {
            let error = text.parse::<Selection>().expect_err("it cannot be used");
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn what_is_decided_is_kept_for_the_selection_that_decided_it() {
        let [none, all] = ["trace=other", "trace=**"].map(|text| {
            let selection: Selection = text.parse().expect("it can be used");
            Policy::new().select(selection.leak())
        });
        let subject = Subject::new().message("shop::cart::Add");
        for _ in 0..3 {
            assert!(!selected(&subject, &CALLSITE, &none).trace);
            assert!(selected(&subject, &CALLSITE, &all).trace);
            assert_eq!(selected(&subject, &CALLSITE, &Policy::new()), Selected::ALL);
        }
    }
}
