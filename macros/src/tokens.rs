//! Small operations on tokens: spans for generated code, and looking for a word without parsing.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;

/// The span of generated code: its local variables cannot meet the user's, and lints know that nobody wrote it.
pub(crate) fn generated() -> Span {
    Span::mixed_site()
}

/// Like [`generated`], but shown at `place` in messages.
pub(crate) fn generated_at(place: Span) -> Span {
    generated().located_at(place)
}

/// The line that something stands on; unknown outside of a compiler, in a unit test.
pub(crate) fn line_of(place: Span) -> Option<usize> {
    proc_macro::is_available().then(|| place.unwrap().line())
}

/// A local variable of generated code.
pub(crate) fn local(name: &str) -> Ident {
    Ident::new(name, generated())
}

/// The same tokens, shown at `place` in messages. A message about a path covers the whole annotation unless all its
/// tokens lie in one place.
pub(crate) fn placed(tokens: &TokenStream, place: Span) -> TokenStream {
    let move_there = |mut token: TokenTree| {
        token.set_span(token.span().located_at(place));
        token
    };
    tokens.clone().into_iter().map(move_there).collect()
}

/// Where something begins.
pub(crate) fn first_span(tokens: impl ToTokens) -> Span {
    tokens
        .into_token_stream()
        .into_iter()
        .next()
        .map_or_else(Span::call_site, |token| token.span())
}

/// Whether a word occurs as an identifier, at any depth.
pub(crate) fn contains_ident(tokens: TokenStream, word: &str) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == word,
        TokenTree::Group(group) => contains_ident(group.stream(), word),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

/// Whether an expression may suspend its function or return from it. To say so without need costs the function some
/// code and nothing else.
pub(crate) fn leaves_its_function(tokens: TokenStream) -> bool {
    const WORDS: [&str; 5] = ["await", "return", "break", "continue", "yield"];
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => WORDS.iter().any(|word| ident == word),
        TokenTree::Group(group) => leaves_its_function(group.stream()),
        TokenTree::Punct(punct) => punct.as_char() == '?',
        TokenTree::Literal(_) => false,
    })
}

/// Whether a variable may be used: as an identifier, or in a format string such as `"{id:?}"`.
pub(crate) fn may_use(tokens: TokenStream, variable: &str) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == variable,
        TokenTree::Group(group) => may_use(group.stream(), variable),
        TokenTree::Literal(literal) => {
            let text = literal.to_string();
            text.match_indices('{')
                .any(|(at, _)| text[at + 1..].starts_with(variable))
        }
        TokenTree::Punct(_) => false,
    })
}

/// The same group with other tokens in it.
pub(crate) fn with_stream(group: &Group, stream: TokenStream) -> Group {
    let mut new = Group::new(group.delimiter(), stream);
    new.set_span(group.span());
    new
}
