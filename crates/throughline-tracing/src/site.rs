//! What is known about a `tracing` callsite before anything happens there, worked out once.
//!
//! Owns the leaked [`Callsite`] of each span and event callsite and the meaning of its fields. It must not know values
//! or spans. There are as many sites as the program has span and event macros that were reached; nothing of a run's
//! data makes one.
//!
//! Rules of concurrency:
//! 1. [`SITES`] is locked when a thread meets a callsite for the first time, or again after its slot in that thread's
//!    cache went to another one. No code of the user runs under that lock.
//! 2. A site never changes and is never freed.

use std::cell::Cell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::ptr;
use std::sync::{PoisonError, RwLock};

use throughline_core::{Callsite, CallsiteSpec, Key, Level, SpanKind};
use throughline_wire::{AttributeField, Buffer, Limits, put_attribute};
use tracing::Metadata;
use tracing::field::Field;

use crate::keys;

/// One callsite of `tracing`.
#[derive(Debug)]
pub(crate) struct Site {
    /// Answers whether the filter lets the callsite pass; for a span, what the span is made of.
    pub(crate) callsite: Callsite,
    /// Whether this is one of the callsites that `log` records come through.
    pub(crate) is_log: bool,
    /// Whether the event was given a name by its author, rather than one made of its place in the source.
    pub(crate) is_named: bool,
    /// By the index of the field.
    roles: Box<[Role]>,
}

/// What the value of a field becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// An attribute with this key.
    Attribute(&'static Key),
    /// The name of the span (`otel.name`).
    Name,
    /// The kind of the span (`otel.kind`).
    Kind,
    /// The status of the span (`otel.status_code`).
    StatusCode,
    /// The description of the status (`otel.status_message`, `otel.status_description`).
    StatusMessage,
    /// What an event says.
    Message,
    /// What an event reports that has nothing else to say (`error`).
    Error,
    /// Nothing: it is part of a `log` record's metadata.
    Ignored,
}

impl Site {
    /// The site of these metadata. A few nanoseconds, unless the thread has not met it lately.
    #[inline]
    pub(crate) fn of(metadata: &'static Metadata<'static>) -> &'static Self {
        Self::known(metadata).unwrap_or_else(|| Self::make(metadata))
    }

    /// The site of metadata that may be static, if it was met before.
    #[inline]
    pub(crate) fn known(metadata: &Metadata<'_>) -> Option<&'static Self> {
        let address = ptr::from_ref(metadata).addr();
        // The cache has no destructor, so it is there for as long as the thread is.
        RECENT.with(|recent| match recent[slot_of(address)].get() {
            (known, site @ Some(_)) if known == address => site,
            _ => Self::find(address),
        })
    }

    /// What the value of `field` becomes.
    #[inline]
    pub(crate) fn role(&self, field: &Field) -> Role {
        match self.roles.get(field.index()) {
            Some(role) => *role,
            // A field of another callsite, which `tracing` itself would not let through.
            None => Role::Ignored,
        }
    }

    #[cold]
    fn find(address: usize) -> Option<&'static Self> {
        let site = SITES
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&address)
            .copied();
        if site.is_some() {
            RECENT.with(|recent| recent[slot_of(address)].set((address, site)));
        }
        site
    }

    #[cold]
    fn make(metadata: &'static Metadata<'static>) -> &'static Self {
        let address = ptr::from_ref(metadata).addr();
        let mut sites = SITES.write().unwrap_or_else(PoisonError::into_inner);
        sites
            .entry(address)
            .or_insert_with(|| Box::leak(Box::new(Self::new(metadata))))
    }

    fn new(metadata: &'static Metadata<'static>) -> Self {
        let fields = metadata.fields();
        let is_log = metadata.is_event() && fields.field("log.target").is_some();
        let role = if metadata.is_span() {
            span_role
        } else {
            event_role
        };
        let roles = fields.iter().map(|field| match plain_name(field.name()) {
            name if is_log && name.starts_with("log.") => Role::Ignored,
            name => role(name),
        });
        let target = metadata.target();
        Self {
            callsite: Callsite::new(CallsiteSpec {
                name: metadata.name(),
                kind: SpanKind::Internal,
                level: level(*metadata.level()),
                target,
                scope_name: target.split_once("::").map_or(target, |(name, _)| name),
                scope_version: "",
                static_fields: if metadata.is_span() {
                    location(metadata)
                } else {
                    &[]
                },
            }),
            is_log,
            is_named: metadata.is_event() && !is_log && !metadata.name().starts_with(UNNAMED_EVENT),
            roles: roles.collect(),
        }
    }
}

/// The same level in the vocabulary of the core.
pub(crate) fn level(level: tracing::Level) -> Level {
    match level {
        tracing::Level::ERROR => Level::Error,
        tracing::Level::WARN => Level::Warn,
        tracing::Level::INFO => Level::Info,
        tracing::Level::DEBUG => Level::Debug,
        tracing::Level::TRACE => Level::Trace,
    }
}

fn span_role(name: &'static str) -> Role {
    match name {
        "otel.name" => Role::Name,
        "otel.kind" => Role::Kind,
        "otel.status_code" => Role::StatusCode,
        "otel.status_message" | "otel.status_description" => Role::StatusMessage,
        _ => attribute_role(name),
    }
}

fn event_role(name: &'static str) -> Role {
    match name {
        "message" => Role::Message,
        "error" => Role::Error,
        _ => attribute_role(name),
    }
}

fn attribute_role(name: &'static str) -> Role {
    Role::Attribute(Key::leak(name))
}

/// The name without the mark of a raw identifier: the field `r#type` is called `type`.
fn plain_name(name: &'static str) -> &'static str {
    name.strip_prefix("r#").unwrap_or(name)
}

/// The attributes that say where a span is written, encoded. There is none for the function: a span's name is any
/// text, and its module is not one.
fn location(metadata: &'static Metadata<'static>) -> &'static [u8] {
    let mut fields = Buffer::new();
    let (field, limits) = (AttributeField::Span, Limits::default());
    if let Some(file) = metadata.file() {
        put_attribute(&mut fields, field, &keys::FILE, limits, |value| {
            value.str(file);
        });
    }
    if let Some(line) = metadata.line() {
        put_attribute(&mut fields, field, &keys::LINE, limits, |value| {
            value.i64(line.into());
        });
    }
    fields.into_vec().leak()
}

/// Spreads addresses over the slots: Fibonacci hashing.
#[inline]
const fn slot_of(address: usize) -> usize {
    ((address as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - SLOTS.ilog2())) as usize
}

/// How the macros of `tracing` begin the name of an event that was given none.
const UNNAMED_EVENT: &str = "event ";

/// Callsites that a thread finds without a lock; a power of two.
const SLOTS: usize = 64;

/// The address of metadata and their site. No other metadata can have that address: they are static.
type Slot = Cell<(usize, Option<&'static Site>)>;

thread_local! {
    static RECENT: [Slot; SLOTS] = const { [const { Cell::new((0, None)) }; SLOTS] };
}

/// All sites, by the addresses of their metadata, which are static.
static SITES: RwLock<Sites> = RwLock::new(HashMap::with_hasher(BuildHasherDefault::new()));

type Sites = HashMap<usize, &'static Site, BuildHasherDefault<DefaultHasher>>;
