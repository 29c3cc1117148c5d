//! What the picture of a trace shows and what it leaves out.
//!
//! Owns the choice of what is volatile. It must not know the notation: `tree` does.

/// What the picture of a trace shows.
///
/// A line reads `name [kind] {key=value, …} status`: internal spans have no kind, spans with an unset status no
/// status. Below it stand the events (`•`), the links (`→`) and then the children, earliest first. Whatever differs
/// between two runs of the same program is left out: ids, times, threads, source positions, poll statistics.
///
/// Attributes are chosen by rules of which the last one that matches wins. A rule names a key, or all keys with a
/// prefix (`"thread.*"`), or all (`"*"`):
///
/// ```
/// use throughline_testing::TreeOptions;
///
/// let names_only = TreeOptions::new().hide("*");
/// let one_attribute = TreeOptions::new().hide("*").show("order.id");
/// let everything = TreeOptions::new().show("*").ids().durations();
/// let random_value = TreeOptions::new().redact("session.id");
/// # let _ = (names_only, one_attribute, everything, random_value);
/// ```
#[derive(Clone, Debug)]
#[must_use = "options do nothing until they are given to `Trace::tree_with`"]
pub struct TreeOptions {
    rules: Vec<(String, Rule)>,
    pub(crate) ids: bool,
    pub(crate) durations: bool,
    pub(crate) sorted_by_name: bool,
}

impl TreeOptions {
    /// Everything but what is volatile.
    pub fn new() -> Self {
        let rules = VOLATILE.iter().map(|key| ((*key).to_owned(), Rule::Hide));
        Self {
            rules: rules.collect(),
            ids: false,
            durations: false,
            sorted_by_name: false,
        }
    }

    /// Shows attributes, of spans, events and links alike.
    pub fn show(self, keys: &str) -> Self {
        self.rule(keys, Rule::Show)
    }

    /// Leaves attributes out.
    pub fn hide(self, keys: &str) -> Self {
        self.rule(keys, Rule::Hide)
    }

    /// Shows that attributes are there, but not their values.
    pub fn redact(self, keys: &str) -> Self {
        self.rule(keys, Rule::Redact)
    }

    /// Shows span ids, as `#00f067aa0ba902b7`.
    pub fn ids(mut self) -> Self {
        self.ids = true;
        self
    }

    /// Shows how long each span took.
    pub fn durations(mut self) -> Self {
        self.durations = true;
        self
    }

    /// Orders siblings by name instead of start: for work that runs concurrently, where the start is chance.
    pub fn sorted_by_name(mut self) -> Self {
        self.sorted_by_name = true;
        self
    }

    fn rule(mut self, keys: &str, rule: Rule) -> Self {
        self.rules.push((keys.to_owned(), rule));
        self
    }

    /// What becomes of attributes with this key.
    pub(crate) fn rule_of(&self, key: &str) -> Rule {
        let matching = self
            .rules
            .iter()
            .rev()
            .find(|(keys, _)| match keys.strip_suffix('*') {
                Some(prefix) => key.starts_with(prefix),
                None => keys == key,
            });
        matching.map_or(Rule::Show, |(_, rule)| *rule)
    }
}

impl Default for TreeOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// What becomes of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    Show,
    Hide,
    Redact,
}

/// Attributes that say where and how fast something ran, not what it did.
const VOLATILE: &[&str] = &[
    "busy_ns",
    "code.column.number",
    "code.file.path",
    "code.function.name",
    "code.line.number",
    "exception.stacktrace",
    "idle_ns",
    "longest_poll_ns",
    "poll_count",
    "schedule_latency_ns",
    "thread.*",
];
