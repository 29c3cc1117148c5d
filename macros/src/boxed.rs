//! Bodies that end in `Box::pin(future)` or `async { … }.boxed()`.
//!
//! Works on tokens: parsing the body would cost more than everything else, and nothing of it is needed but its end.

use proc_macro2::{Delimiter, Group, Spacing, TokenStream, TokenTree};
use quote::{ToTokens, quote};

/// The end of a body that boxes a future: `before Box::pin(future)` or `before future.boxed()`.
pub(crate) struct BoxedTail {
    /// The statements before, and whatever precedes the future.
    before: Vec<TokenTree>,
    /// `Box::pin`'s argument list; absent when the future is a receiver.
    argument: Option<Group>,
    future: TokenStream,
    after: Vec<TokenTree>,
}

impl BoxedTail {
    /// Looks at the last expression. What goes into `Box::pin` must be an `async` block, unless the return type says that
    /// it is a future.
    pub(crate) fn find(body: TokenStream, known_to_be_boxed: bool) -> Option<Self> {
        let tokens: Vec<TokenTree> = body.into_iter().collect();
        Self::find_box_pin(&tokens, known_to_be_boxed).or_else(|| Self::find_boxed_method(&tokens))
    }

    /// The body with another future in the place of this one.
    pub(crate) fn with_future(
        &self,
        wrap: impl FnOnce(&TokenStream) -> TokenStream,
    ) -> TokenStream {
        let Self {
            before,
            argument,
            future,
            after,
        } = self;
        let wrapped = wrap(future);
        let wrapped = match argument {
            Some(old) => {
                let mut group = Group::new(Delimiter::Parenthesis, wrapped);
                group.set_span(old.span());
                group.into_token_stream()
            }
            None => wrapped,
        };
        quote!(#(#before)* #wrapped #(#after)*)
    }

    fn find_box_pin(tokens: &[TokenTree], known_to_be_boxed: bool) -> Option<Self> {
        let (TokenTree::Group(argument), before) = tokens.split_last()? else {
            return None;
        };
        if argument.delimiter() != Delimiter::Parenthesis
            || !is_expression_start(before, path_start(before, ["Box", "pin"])?)
        {
            return None;
        }
        let future = argument.stream();
        let is_async = matches!(future.clone().into_iter().next(), Some(TokenTree::Ident(word)) if word == "async");
        (is_async || known_to_be_boxed).then(|| Self {
            before: before.to_vec(),
            argument: Some(argument.clone()),
            future,
            after: Vec::new(),
        })
    }

    fn find_boxed_method(tokens: &[TokenTree]) -> Option<Self> {
        // async [move] { … } . boxed ()
        let [
            before @ ..,
            TokenTree::Group(block),
            TokenTree::Punct(dot),
            TokenTree::Ident(method),
            TokenTree::Group(arguments),
        ] = tokens
        else {
            return None;
        };
        let is_call = dot.as_char() == '.'
            && (method == "boxed" || method == "boxed_local")
            && arguments.delimiter() == Delimiter::Parenthesis
            && arguments.stream().is_empty();
        if !is_call || block.delimiter() != Delimiter::Brace {
            return None;
        }
        let start = match before {
            [.., TokenTree::Ident(first), TokenTree::Ident(second)]
                if first == "async" && second == "move" =>
            {
                before.len() - 2
            }
            [.., TokenTree::Ident(only)] if only == "async" => before.len() - 1,
            _ => return None,
        };
        if !is_expression_start(before, start) {
            return None;
        }
        let future = tokens[start..=before.len()].iter().cloned().collect();
        Some(Self {
            before: before[..start].to_vec(),
            argument: None,
            future,
            after: tokens[before.len() + 1..].to_vec(),
        })
    }
}

/// Where a path that ends in these two words starts, when it ends the tokens.
fn path_start(tokens: &[TokenTree], [first, second]: [&str; 2]) -> Option<usize> {
    let [
        rest @ ..,
        TokenTree::Ident(a),
        TokenTree::Punct(colon),
        TokenTree::Punct(_),
        TokenTree::Ident(b),
    ] = tokens
    else {
        return None;
    };
    if a != first || b != second || colon.as_char() != ':' || colon.spacing() != Spacing::Joint {
        return None;
    }
    // `::std::boxed::` may stand before.
    let mut start = rest.len();
    while start >= 2 && is_colon(&tokens[start - 1]) && is_colon(&tokens[start - 2]) {
        start -= 2;
        if start >= 1 && matches!(&tokens[start - 1], TokenTree::Ident(word) if word != "return") {
            start -= 1;
        }
    }
    Some(start)
}

fn is_colon(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == ':')
}

/// Whether a statement or the final expression starts at `start`: at the front, after a `;`, or after a block.
fn is_expression_start(tokens: &[TokenTree], start: usize) -> bool {
    match start.checked_sub(1).map(|at| &tokens[at]) {
        None => true,
        Some(TokenTree::Punct(punct)) => punct.as_char() == ';',
        Some(TokenTree::Group(group)) => group.delimiter() == Delimiter::Brace,
        Some(TokenTree::Ident(word)) => word == "return",
        Some(TokenTree::Literal(_)) => false,
    }
}
