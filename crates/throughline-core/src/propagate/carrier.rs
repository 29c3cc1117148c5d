//! Carriers: where headers are read from and written to.
//!
//! Owns the two traits and their implementations for what the standard library has. Names of headers are compared
//! without regard to case, as HTTP does; values are bytes until a format has read them.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash};
use std::ops::ControlFlow;

use super::text::trim;

/// What headers can be read from.
///
/// Implemented for maps and slices of pairs with text or bytes in them, and for closures that return the value of a
/// name. For a carrier of your own, hand out **all** values of a name: two `traceparent` headers are none.
///
/// ```
/// use throughline_core::propagate;
///
/// let headers = [("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")];
/// let context = propagate::extract(&headers[..]);
/// assert!(context.span_context().is_remote());
/// ```
pub trait Extract {
    /// Hands every value of the header to `visit`, in order, until that breaks. `name` is in lower case; the carrier's
    /// own names may be in any.
    fn get_all(&self, name: &str, visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>);

    /// Hands every name of a header to `visit`, until that breaks. Only formats that put data into names need it
    /// (Jaeger's baggage); a carrier that cannot tell its names does nothing.
    fn names(&self, visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) {
        let _ = visit;
    }
}

/// What headers can be written to.
///
/// Implemented for maps and vectors of pairs with text or bytes in them, and for closures that take name and value.
///
/// ```
/// use std::collections::HashMap;
/// use throughline_core::{Context, propagate};
///
/// let mut headers = HashMap::<String, String>::new();
/// propagate::inject(&Context::current(), &mut headers);
/// assert!(headers.is_empty(), "nothing is current here");
/// ```
pub trait Inject {
    /// Sets the header, replacing all values it has. `name` is in lower case, `value` is printable ASCII.
    fn set(&mut self, name: &str, value: &str);

    /// Removes the header, so that one that was copied from another request does not go along with the wrong span. A
    /// carrier that can only add does nothing.
    fn remove(&mut self, name: &str) {
        let _ = name;
    }
}

/// What a carrier has of a header that must not occur twice.
pub(super) enum Found<R> {
    /// The header is not there.
    Nothing,
    /// It is there more than once, or cannot be read.
    Wrong,
    Value(R),
}

impl<R> Found<R> {
    pub(super) fn value(self) -> Option<R> {
        match self {
            Self::Value(value) => Some(value),
            Self::Nothing | Self::Wrong => None,
        }
    }
}

/// Reads the only value of a header, without the white space around it.
pub(super) fn only<R>(
    carrier: &dyn Extract,
    name: &str,
    read: impl Fn(&[u8]) -> Option<R>,
) -> Found<R> {
    let mut found = Found::Nothing;
    carrier.get_all(name, &mut |value| {
        let first = matches!(found, Found::Nothing);
        found = match read(trim(value)) {
            Some(value) if first => Found::Value(value),
            _ => Found::Wrong,
        };
        match found {
            Found::Wrong => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    });
    found
}

/// A carrier behind a pointer, so that the formats are compiled once and not for each type of carrier.
pub(super) struct Reading<'a, C: ?Sized>(pub(super) &'a C);

impl<C: Extract + ?Sized> Extract for Reading<'_, C> {
    fn get_all(&self, name: &str, visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) {
        self.0.get_all(name, visit);
    }

    fn names(&self, visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) {
        self.0.names(visit);
    }
}

/// As [`Reading`], to write.
pub(super) struct Writing<'a, C: ?Sized>(pub(super) &'a mut C);

impl<C: Inject + ?Sized> Inject for Writing<'_, C> {
    fn set(&mut self, name: &str, value: &str) {
        self.0.set(name, value);
    }

    fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }
}

fn get_all_of<K: AsRef<[u8]>, V: AsRef<[u8]>>(
    pairs: impl IntoIterator<Item = (K, V)>,
    name: &str,
    visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
) {
    for (key, value) in pairs {
        if key.as_ref().eq_ignore_ascii_case(name.as_bytes()) && visit(value.as_ref()).is_break() {
            return;
        }
    }
}

fn names_of<K: AsRef<[u8]>>(
    keys: impl IntoIterator<Item = K>,
    visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
) {
    for key in keys {
        if visit(key.as_ref()).is_break() {
            return;
        }
    }
}

impl<K: AsRef<[u8]>, V: AsRef<[u8]>, S> Extract for HashMap<K, V, S> {
    fn get_all(&self, name: &str, visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) {
        get_all_of(self, name, visit);
    }

    fn names(&self, visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) {
        names_of(self.keys(), visit);
    }
}

impl<K: AsRef<[u8]>, V: AsRef<[u8]>> Extract for BTreeMap<K, V> {
    fn get_all(&self, name: &str, visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) {
        get_all_of(self, name, visit);
    }

    fn names(&self, visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) {
        names_of(self.keys(), visit);
    }
}

impl<K: AsRef<[u8]>, V: AsRef<[u8]>> Extract for [(K, V)] {
    fn get_all(&self, name: &str, visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) {
        get_all_of(self.iter().map(|(key, value)| (key, value)), name, visit);
    }

    fn names(&self, visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) {
        names_of(self.iter().map(|(key, _)| key), visit);
    }
}

impl<K: AsRef<[u8]>, V: AsRef<[u8]>> Extract for Vec<(K, V)> {
    fn get_all(&self, name: &str, visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) {
        self.as_slice().get_all(name, visit);
    }

    fn names(&self, visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) {
        self.as_slice().names(visit);
    }
}

impl<F: Fn(&str) -> Option<V>, V: AsRef<[u8]>> Extract for F {
    fn get_all(&self, name: &str, visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) {
        if let Some(value) = self(name) {
            let _ = visit(value.as_ref());
        }
    }
}

/// Keeps one place for the header, if it has one, and says so.
fn keep_one<K: AsRef<[u8]>, V>(
    name: &str,
    value: &mut Option<V>,
) -> impl FnMut(&K, &mut V) -> bool {
    move |key, place| {
        if !key.as_ref().eq_ignore_ascii_case(name.as_bytes()) {
            return true;
        }
        match value.take() {
            Some(value) => {
                *place = value;
                true
            }
            None => false,
        }
    }
}

impl<K, V, S> Inject for HashMap<K, V, S>
where
    K: AsRef<[u8]> + for<'a> From<&'a str> + Eq + Hash,
    V: for<'a> From<&'a str>,
    S: BuildHasher,
{
    fn set(&mut self, name: &str, value: &str) {
        let mut value = Some(V::from(value));
        self.retain(keep_one(name, &mut value));
        if let Some(value) = value {
            self.insert(K::from(name), value);
        }
    }

    fn remove(&mut self, name: &str) {
        self.retain(keep_one(name, &mut None));
    }
}

impl<K, V> Inject for BTreeMap<K, V>
where
    K: AsRef<[u8]> + for<'a> From<&'a str> + Ord,
    V: for<'a> From<&'a str>,
{
    fn set(&mut self, name: &str, value: &str) {
        let mut value = Some(V::from(value));
        self.retain(keep_one(name, &mut value));
        if let Some(value) = value {
            self.insert(K::from(name), value);
        }
    }

    fn remove(&mut self, name: &str) {
        self.retain(keep_one(name, &mut None));
    }
}

impl<K, V> Inject for Vec<(K, V)>
where
    K: AsRef<[u8]> + for<'a> From<&'a str>,
    V: for<'a> From<&'a str>,
{
    fn set(&mut self, name: &str, value: &str) {
        Inject::remove(self, name);
        self.push((K::from(name), V::from(value)));
    }

    fn remove(&mut self, name: &str) {
        self.retain(|(key, _)| !key.as_ref().eq_ignore_ascii_case(name.as_bytes()));
    }
}

impl<F: FnMut(&str, &str)> Inject for F {
    fn set(&mut self, name: &str, value: &str) {
        self(name, value);
    }
}
