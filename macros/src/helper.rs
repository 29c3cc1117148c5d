//! The inert helper attributes inside an annotated item: `#[skip]` and an inner `#[traced(…)]`.
//!
//! Each is taken off exactly once, so the compiler never sees it.

use proc_macro2::TokenStream;
use quote::ToTokens;
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
    /// Takes the helpers off a member. `krate` is the path that `crate = …` gave.
    pub(crate) fn take(
        attrs: &mut Vec<Attribute>,
        krate: Option<&Path>,
        mistakes: &mut Mistakes,
    ) -> Self {
        let is = |attr: &Attribute, word| names(attr.path(), word, krate);
        let mut helpers = Self::default();
        for attr in attrs.extract_if(.., |attr| is(attr, "skip") || is(attr, "traced")) {
            let (slot, name) = if is(&attr, "skip") {
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
        if let Self {
            skip: Some(skip),
            traced: Some(_),
        } = &helpers
        {
            mistakes.at(
                skip.path().span(),
                "`#[skip]` and `#[traced]` contradict each other: remove one",
            );
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

/// `skip`, `throughline::skip`, or `skip` in the crate that `crate = …` names. Others have attributes of that name too:
/// `rustfmt::skip`.
fn names(path: &Path, word: &str, krate: Option<&Path>) -> bool {
    let Some(last) = path
        .segments
        .last()
        .filter(|last| last.ident == word && last.arguments.is_none())
    else {
        return false;
    };
    let qualifier: Vec<String> = path
        .segments
        .iter()
        .map(|segment| segment.ident.to_string())
        .collect();
    match qualifier.len() {
        1 => true,
        2 if qualifier[0] == "throughline" => true,
        _ => krate.is_some_and(|krate| {
            let whole = |path: &Path| path.to_token_stream().to_string();
            whole(path) == format!("{} :: {}", whole(krate), last.ident)
        }),
    }
}
