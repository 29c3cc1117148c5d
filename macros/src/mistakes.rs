//! Mistakes in an annotation, gathered so that one compilation names them all.
//!
//! Owns the way from a list of errors to `compile_error!` tokens. Knows nothing of what is annotated.

use proc_macro2::{Span, TokenStream};
use syn::parse::ParseStream;
use syn::{Error, Result, Token};

/// The errors found so far.
#[derive(Default)]
pub(crate) struct Mistakes(Option<Error>);

impl Mistakes {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn add(&mut self, error: Error) {
        match &mut self.0 {
            Some(first) => first.combine(error),
            none => *none = Some(error),
        }
    }

    /// Adds everything that another list gathered.
    pub(crate) fn join(&mut self, other: Self) {
        if let Some(error) = other.0 {
            self.add(error);
        }
    }

    pub(crate) fn at(&mut self, span: Span, message: impl std::fmt::Display) {
        self.add(Error::new(span, message));
    }

    /// Keeps the value of a success, gathers the error of a failure.
    pub(crate) fn check<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.add(error)).ok()
    }

    /// One `compile_error!` per mistake; they stand wherever an item may stand.
    pub(crate) fn into_compile_errors(self) -> TokenStream {
        self.0
            .map(|error| error.to_compile_error())
            .unwrap_or_default()
    }

    /// Reads comma-separated entries to the end. An entry that fails is passed over up to its comma, so that the
    /// mistakes of the others are found too.
    pub(crate) fn each_entry(
        &mut self,
        input: ParseStream<'_>,
        mut entry: impl FnMut(ParseStream<'_>) -> Result<()>,
    ) {
        while !input.is_empty() {
            let read = entry(input).and_then(|()| {
                if input.is_empty() || input.peek(Token![,]) {
                    Ok(())
                } else {
                    Err(input.error("expected `,`"))
                }
            });
            if let Err(error) = read {
                self.add(error);
                while !input.is_empty() && !input.peek(Token![,]) {
                    skip_token(input);
                }
            }
            if input.peek(Token![,]) {
                skip_token(input);
            }
        }
    }
}

/// Passes over one token tree; at the end of the input it does nothing.
fn skip_token(input: ParseStream<'_>) {
    // The result says whether there was a token, which the callers looked at before.
    let _ = input.parse::<proc_macro2::TokenTree>();
}
