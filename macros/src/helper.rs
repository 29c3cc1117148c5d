//! The inert helper attributes inside an annotated item: `#[skip]` and an inner `#[traced(…)]`.
//!
//! Each is taken off exactly once, so the compiler never sees it.

use proc_macro2::TokenStream;
use syn::spanned::Spanned;
use syn::{Attribute, Meta, Path};

use crate::mistakes::Mistakes;

/// What the helpers of one member say.
#[derive(Default)]
pub(crate) struct Helpers {
    pub(crate) skip: Option<Attribute>,
    pub(crate) traced: Option<Attribute>,
}

impl Helpers {
    /// Takes the helpers off a member.
    pub(crate) fn take(attrs: &mut Vec<Attribute>, mistakes: &mut Mistakes) -> Self {
        let mut helpers = Self::default();
        for attr in attrs.extract_if(.., |attr| is_helper(attr)) {
            let (slot, name) = if names(attr.path(), "skip") {
                if !matches!(attr.meta, Meta::Path(_)) {
                    mistakes.at(attr.meta.span(), "`#[skip]` takes no arguments");
                }
                (&mut helpers.skip, "skip")
            } else {
                (&mut helpers.traced, "traced")
            };
            if slot.is_some() {
                mistakes.at(attr.path().span(), format!("duplicate `#[{name}]`"));
            }
            *slot = Some(attr);
        }
        if let Helpers { skip: Some(skip), traced: Some(_) } = &helpers {
            mistakes.at(skip.path().span(), "`#[skip]` and `#[traced]` contradict each other: remove one");
        }
        helpers
    }

    /// The arguments of the inner `#[traced(…)]`.
    pub(crate) fn arguments(&self) -> Option<TokenStream> {
        self.traced.as_ref().map(|attr| match &attr.meta {
            Meta::List(list) => list.tokens.clone(),
            _ => TokenStream::new(),
        })
    }
}

fn is_helper(attr: &Attribute) -> bool {
    names(attr.path(), "skip") || names(attr.path(), "traced")
}

/// `skip`, or `skip` in some crate: `throughline::skip`, `::throughline::skip`, `crate::skip`. Nobody else's attribute
/// can be meant, since a tool's or another macro's has another name.
fn names(path: &Path, word: &str) -> bool {
    path.segments.len() <= 2 && path.segments.last().is_some_and(|last| last.ident == word && last.arguments.is_none())
}
