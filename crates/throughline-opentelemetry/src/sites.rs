//! The callsites of spans whose scope is known at run time only.
//!
//! One callsite per scope and kind is made and leaked, up to a bound; the names of the spans stand in the records.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use throughline_core::{Callsite, CallsiteSpec, Level, SpanKind};

/// The callsite of a scope and a kind. Past [`MOST_SITES`] of them, what is new is recorded under the scope
/// `opentelemetry`.
pub(crate) fn site(name: &str, version: &str, kind: SpanKind) -> &'static Callsite {
    let mut sites = SITES.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (name.to_owned(), version.to_owned(), kind.to_otlp());
    if let Some(site) = sites.get(&key) {
        return site;
    }
    if sites.len() >= MOST_SITES {
        return &OVERFLOW;
    }
    let scope_name: &'static str = name.to_owned().leak();
    let site: &'static Callsite = Box::leak(Box::new(Callsite::new(CallsiteSpec {
        name: "span",
        kind,
        level: Level::Info,
        target: scope_name,
        scope_name,
        scope_version: version.to_owned().leak(),
        static_fields: &[],
    })));
    sites.insert(key, site);
    site
}

/// Most scopes times kinds that a process is expected to have.
const MOST_SITES: usize = 1024;

type Key = (String, String, u8);

static SITES: Mutex<BTreeMap<Key, &'static Callsite>> = Mutex::new(BTreeMap::new());

static OVERFLOW: Callsite = Callsite::new(CallsiteSpec {
    name: "span",
    kind: SpanKind::Internal,
    level: Level::Info,
    target: "opentelemetry",
    scope_name: "opentelemetry",
    scope_version: "",
    static_fields: &[],
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_kept_apart_and_made_once() {
        let one = site("one", "1.0", SpanKind::Client);
        assert_eq!(one.scope(), ("one", "1.0"));
        assert_eq!(one.kind(), SpanKind::Client);
        assert!(std::ptr::eq(one, site("one", "1.0", SpanKind::Client)));
        for other in [
            site("one", "1.0", SpanKind::Server),
            site("one", "1.1", SpanKind::Client),
            site("two", "1.0", SpanKind::Client),
        ] {
            assert!(!std::ptr::eq(one, other));
        }
    }
}
