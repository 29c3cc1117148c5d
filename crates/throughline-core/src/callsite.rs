//! Callsites: one static per annotation, holding what never changes, already encoded.
//!
//! Rules of concurrency:
//! 1. A callsite's `state` is written under the registry's lock only, and read relaxed by everybody: a stale value
//!    means that one span more or less is recorded after a change of the filter, nothing else.
//! 2. A callsite's `number` is written once, under the lock, before the state leaves [`UNREGISTERED`].
//! 3. `adopted` is one word, read and written relaxed: what it remembers can be computed again at any time.

use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

use crate::filter::Filter;
use crate::kind::{Level, SpanKind};
use crate::statics::{self, Kept, Summary};

/// The constant parts of a [`Callsite`].
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "it is written as a literal by macro expansions and integrations"
)]
pub struct CallsiteSpec {
    /// The span's name, unless it is renamed later.
    pub name: &'static str,
    /// The span's kind, unless it is changed later.
    pub kind: SpanKind,
    /// What the filter compares.
    pub level: Level,
    /// What the filter's directives name: the module path, as a rule.
    pub target: &'static str,
    /// The instrumentation scope: the crate that holds the annotation.
    pub scope_name: &'static str,
    /// The version of that crate; empty if unknown.
    pub scope_version: &'static str,
    /// `Span.attributes` fields that every span of the callsite has, encoded (`throughline_wire::static_fields!`).
    pub static_fields: &'static [u8],
}

/// The [`Callsite`] of an integration, of level info: its spans belong to the crate that this stands in, and the filter
/// knows them by the crate's name.
///
/// ```
/// use throughline_core::{Callsite, Span, callsite};
///
/// static PROCESS: Callsite = callsite!("process", Consumer);
///
/// let mut span = Span::start(&PROCESS);
/// span.update_name("process orders");
/// ```
#[macro_export]
macro_rules! callsite {
    ($name:expr, $kind:ident) => {
        $crate::Callsite::new($crate::CallsiteSpec {
            name: $name,
            kind: $crate::SpanKind::$kind,
            level: $crate::Level::Info,
            target: ::core::env!("CARGO_CRATE_NAME"),
            scope_name: ::core::env!("CARGO_PKG_NAME"),
            scope_version: ::core::env!("CARGO_PKG_VERSION"),
            static_fields: &[],
        })
    };
}

/// One place in a program that makes spans.
///
/// It must be a `static` (or leaked), since spans and records refer to it for as long as the process runs.
pub struct Callsite {
    spec: CallsiteSpec,
    summary: Summary,
    state: AtomicU8,
    number: AtomicU32,
    /// What this callsite last adopted a span from: see [`statics::Kept`].
    adopted: AtomicU64,
}

impl Callsite {
    /// A callsite of these parts, not yet registered: the first span does that.
    pub const fn new(spec: CallsiteSpec) -> Self {
        Self {
            summary: Summary::of(spec.static_fields),
            spec,
            state: AtomicU8::new(UNREGISTERED),
            number: AtomicU32::new(0),
            adopted: AtomicU64::new(0),
        }
    }

    /// Whether spans are made here: a recorder runs and the filter lets the level and target pass.
    ///
    /// One relaxed load once the callsite is registered.
    #[inline]
    pub fn is_enabled(&'static self) -> bool {
        if cfg!(throughline_off) {
            return false;
        }
        // Relaxed: see rule 1 of the module.
        match self.state.load(Ordering::Relaxed) {
            ENABLED => true,
            DISABLED => false,
            _ => self.register(),
        }
    }

    /// The span's name.
    pub const fn name(&self) -> &'static str {
        self.spec.name
    }

    /// The span's kind.
    pub const fn kind(&self) -> SpanKind {
        self.spec.kind
    }

    /// What the filter compares.
    pub const fn level(&self) -> Level {
        self.spec.level
    }

    /// What the filter's directives name.
    pub const fn target(&self) -> &'static str {
        self.spec.target
    }

    /// The name and version of the instrumentation scope.
    pub const fn scope(&self) -> (&'static str, &'static str) {
        (self.spec.scope_name, self.spec.scope_version)
    }

    /// The encoded attributes that every span of the callsite has.
    pub const fn static_fields(&self) -> &'static [u8] {
        self.spec.static_fields
    }

    /// Whether every span of the callsite has an attribute of that key.
    pub fn has_attribute(&self, key: &str) -> bool {
        statics::has_key(self.spec.static_fields, &self.summary, key.as_bytes())
    }

    /// What [`static_fields`](Self::static_fields) hold, as far as open spans have to know.
    #[inline(always)]
    pub(crate) const fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Which attributes a span of that callsite keeps when it becomes one of this.
    #[inline]
    pub(crate) fn keeps_of(&self, before: &Self) -> Kept {
        // Relaxed: see rule 3 of the module.
        let remembered = Kept::from_word(self.adopted.load(Ordering::Relaxed));
        if remembered.is_of(before.number()) {
            return remembered;
        }
        let kept = Kept::compute(before, self);
        self.adopted.store(kept.to_word(), Ordering::Relaxed);
        kept
    }

    /// The place in the registry; only callsites that made a span have one.
    #[inline]
    pub(crate) fn number(&self) -> u32 {
        // Relaxed: the state was seen to be registered on this thread, or the number came with a record.
        self.number.load(Ordering::Relaxed)
    }

    #[cold]
    fn register(&'static self) -> bool {
        let mut registry = registry();
        if self.state.load(Ordering::Relaxed) == UNREGISTERED {
            self.number.store(
                u32::try_from(registry.callsites.len()).unwrap_or(u32::MAX),
                Ordering::Relaxed,
            );
            registry.callsites.push(self);
            registry.apply(self);
        }
        self.state.load(Ordering::Relaxed) == ENABLED
    }
}

impl fmt::Debug for Callsite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callsite")
            .field("name", &self.spec.name)
            .field("target", &self.spec.target)
            .finish_non_exhaustive()
    }
}

/// Replaces the process-wide filter. Takes effect at once for every callsite; spans that are open stay open.
pub fn set_filter(filter: Filter) {
    let mut registry = registry();
    registry.filter = filter;
    registry.apply_all();
    let observers = registry.observers.clone();
    drop(registry);
    observers.iter().for_each(|observer| observer());
}

/// Whether the process-wide filter lets a target and a level pass, recorder or not.
///
/// For what has no [`Callsite`]: it takes a lock, where a callsite remembers the answer.
pub fn filter_enables(target: &str, level: Level) -> bool {
    let registry = REGISTRY.read().unwrap_or_else(PoisonError::into_inner);
    registry.filter.enables(target, level)
}

/// The most verbose level that the process-wide filter lets pass for any target.
pub fn filter_max_level() -> Option<Level> {
    let registry = REGISTRY.read().unwrap_or_else(PoisonError::into_inner);
    registry.filter.max_level()
}

/// Calls `observer` after each later [`set_filter`]: for those who remember what the filter answered.
pub fn on_filter_change(observer: fn()) {
    registry().observers.push(observer);
}

/// Turns all callsites on (in as far as the filter lets them) with the first running recorder and off with the last.
pub(crate) fn recorder_started() {
    let mut registry = registry();
    registry.recorders += 1;
    if registry.recorders == 1 {
        registry.apply_all();
    }
}

/// The counterpart of [`recorder_started`].
pub(crate) fn recorder_stopped() {
    let mut registry = registry();
    registry.recorders = registry.recorders.saturating_sub(1);
    if registry.recorders == 0 {
        registry.apply_all();
    }
}

/// Appends the callsites that `known` lacks, so that a record's number can be looked up without a lock.
pub(crate) fn refresh(known: &mut Vec<&'static Callsite>) {
    let registry = REGISTRY.read().unwrap_or_else(PoisonError::into_inner);
    known.extend_from_slice(&registry.callsites[known.len().min(registry.callsites.len())..]);
}

struct Registry {
    callsites: Vec<&'static Callsite>,
    filter: Filter,
    recorders: usize,
    observers: Vec<fn()>,
}

impl Registry {
    fn apply(&self, callsite: &Callsite) {
        let enabled = self.recorders > 0
            && self
                .filter
                .enables(callsite.spec.target, callsite.spec.level);
        callsite
            .state
            .store(if enabled { ENABLED } else { DISABLED }, Ordering::Relaxed);
    }

    fn apply_all(&self) {
        self.callsites
            .iter()
            .for_each(|callsite| self.apply(callsite));
    }
}

static REGISTRY: RwLock<Registry> = RwLock::new(Registry {
    callsites: Vec::new(),
    filter: Filter::at(Level::Trace),
    recorders: 0,
    observers: Vec::new(),
});

fn registry() -> RwLockWriteGuard<'static, Registry> {
    REGISTRY.write().unwrap_or_else(PoisonError::into_inner)
}

const UNREGISTERED: u8 = 0;
const DISABLED: u8 = 1;
const ENABLED: u8 = 2;
