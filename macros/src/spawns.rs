//! The spawn calls in a traced body: what they spawn gets the context that is current at the call.
//!
//! The call stays the user's own, with the user's path: only its argument is wrapped, so types, lints and messages are
//! about what the user wrote, and the facade needs no runtime. Works on tokens, as nothing else of the body is needed.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::quote_spanned;

use crate::tokens::{contains_ident, with_stream};

/// The body with its spawn calls carrying the context, if it has any.
pub(crate) fn carry(body: &Group, private: &TokenStream) -> Option<Group> {
    // Most bodies spawn nothing, and the search for a word is cheap.
    let may_spawn = ["spawn", "spawn_blocking", "spawn_local"]
        .iter()
        .any(|word| contains_ident(body.stream(), word));
    may_spawn.then(|| with_stream(body, carry_in(body.stream(), private)))
}

fn carry_in(tokens: TokenStream, private: &TokenStream) -> TokenStream {
    let mut before: Vec<TokenTree> = Vec::new();
    for token in tokens {
        let token = match token {
            TokenTree::Group(group) => TokenTree::Group(carry_in_group(&before, group, private)),
            other => other,
        };
        before.push(token);
    }
    before.into_iter().collect()
}

fn carry_in_group(before: &[TokenTree], group: Group, private: &TokenStream) -> Group {
    if is_closed_macro(before) {
        return group;
    }
    let inside = carry_in(group.stream(), private);
    let wrapper = match group.delimiter() {
        Delimiter::Parenthesis if !inside.is_empty() => wrapper_of(before),
        _ => None,
    };
    let Some(wrapper) = wrapper else {
        return with_stream(&group, inside);
    };
    // As if the user had written it: tokens from here and from the user in one expression would make messages about it
    // point at the annotation. The paths are absolute, so they cannot meet the user's names.
    let at = group.span();
    let private: TokenStream = respanned(private, at);
    let wrapper = Ident::new(wrapper, at);
    with_stream(&group, quote_spanned!(at=> #private::#wrapper(#inside)))
}

/// What goes around the argument of the function whose path stands before.
fn wrapper_of(before: &[TokenTree]) -> Option<&'static str> {
    let path = path_at_the_end(before)?;
    let path: Vec<String> = path.iter().map(ToString::to_string).collect();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match path.as_slice() {
        ["tokio", "spawn"] | ["tokio", "task", "spawn" | "spawn_local"] => Some("carry"),
        ["tokio", "task", "spawn_blocking"] | ["std", "thread", "spawn"] => Some("carry_call"),
        _ => None,
    }
}

/// The words of the path that ends the tokens, if it is a whole one.
fn path_at_the_end(tokens: &[TokenTree]) -> Option<Vec<&Ident>> {
    let mut rest = tokens;
    let mut words = Vec::new();
    loop {
        let (TokenTree::Ident(word), before) = rest.split_last()? else {
            return None;
        };
        words.push(word);
        rest = before;
        match rest {
            [
                before @ ..,
                TokenTree::Punct(first),
                TokenTree::Punct(second),
            ] if first.as_char() == ':' && second.as_char() == ':' => {
                rest = before;
                // `::tokio::spawn` is as good; `<T>::spawn` and `$crate::spawn` are something else.
                match rest.last() {
                    Some(TokenTree::Ident(word)) if !is_keyword(word) => {}
                    Some(TokenTree::Punct(punct)) if matches!(punct.as_char(), '>' | '$') => {
                        return None;
                    }
                    _ => break,
                }
            }
            _ => break,
        }
    }
    // `fn spawn(…)` declares, `.spawn(…)` is a method.
    match rest.last() {
        Some(TokenTree::Ident(word)) if word == "fn" => return None,
        Some(TokenTree::Punct(punct)) if punct.as_char() == '.' => {
            let range = rest.len().checked_sub(2).and_then(|at| rest.get(at));
            if !matches!(range, Some(TokenTree::Punct(punct)) if punct.as_char() == '.') {
                return None;
            }
        }
        _ => {}
    }
    words.reverse();
    Some(words)
}

/// Words that may stand before a path that starts with `::`.
fn is_keyword(word: &Ident) -> bool {
    [
        "return", "break", "in", "match", "if", "while", "else", "move", "yield",
    ]
    .iter()
    .any(|keyword| word == keyword)
}

/// Whether the group that follows is the argument of a macro whose arguments may be anything but code.
fn is_closed_macro(before: &[TokenTree]) -> bool {
    let [before @ .., TokenTree::Punct(bang)] = before else {
        // `macro_rules! name { … }`
        return matches!(
            before,
            [.., TokenTree::Ident(word), TokenTree::Punct(_), TokenTree::Ident(_)] if word == "macro_rules"
        );
    };
    let Some(TokenTree::Ident(name)) = before.last() else {
        return false;
    };
    bang.as_char() == '!' && !OPEN_MACROS.iter().any(|open| name == open) && !is_keyword(name)
}

/// Macros whose arguments are expressions and blocks of the function.
const OPEN_MACROS: [&str; 6] = ["join", "pin", "select", "select_biased", "try_join", "vec"];

/// The same path at another place.
fn respanned(path: &TokenStream, at: Span) -> TokenStream {
    let move_there = |mut token: TokenTree| {
        // `$crate` means the crate that it was written in.
        let is_crate = matches!(&token, TokenTree::Ident(word) if word == "$crate");
        token.set_span(if is_crate {
            token.span().located_at(at)
        } else {
            at
        });
        token
    };
    path.clone().into_iter().map(move_there).collect()
}
