//! A receive among others: an arm `Some(message) = ….recv() => { … }` of `select!`.
//!
//! Owns reading the arms and marking those that receive. What the macro makes of them runs in the function, so that an arm
//! leaves the function, or the loop around, as the body of a loop does.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::discouraged::Speculative;
use syn::parse::{ParseStream, Parser};
use syn::{Expr, Pat, Result, Token, token};

use super::Marks;
use super::condition::is_future;
use crate::tokens::{generated, local};

/// The arguments of `select!`, some arms of which receive.
pub(super) struct Select {
    parts: Vec<Part>,
}

/// An arm that receives, or anything else.
enum Part {
    Arm(Box<Arm>),
    Other(TokenStream),
}

/// `pattern = future, if condition => handler`.
struct Arm {
    pattern: Pat,
    eq: Token![=],
    future: Expr,
    condition: TokenStream,
    arrow: Token![=>],
    handler: TokenStream,
}

impl Select {
    /// Whether these tokens end in the name of such a macro.
    pub(super) fn follows(before: &[TokenTree]) -> bool {
        matches!(
            before,
            [.., TokenTree::Ident(name), TokenTree::Punct(bang)]
                if bang.as_char() == '!' && (name == "select" || name == "select_biased")
        )
    }

    /// Reads the arms; none if no arm receives, or if these are no arms.
    pub(super) fn parse(arguments: TokenStream) -> Option<Self> {
        let parts = parts.parse2(arguments).ok()?;
        let receives = parts.iter().any(|part| matches!(part, Part::Arm(_)));
        receives.then_some(Self { parts })
    }

    pub(super) fn marked(&self, marks: &Marks<'_>) -> TokenStream {
        let parts = self.parts.iter().map(|part| match part {
            Part::Arm(arm) => arm.marked(marks),
            Part::Other(tokens) => tokens.clone(),
        });
        parts.collect()
    }
}

impl Arm {
    fn marked(&self, marks: &Marks<'_>) -> TokenStream {
        let Self {
            pattern,
            eq,
            future,
            condition,
            arrow,
            handler,
        } = self;
        let private = marks.private;
        let [received, arrived] = [local("__received"), local("__arrived")];
        let look = marks.look(&received.to_token_stream());
        let handler = marks.handled(handler.clone());
        quote_spanned! {generated()=>
            (#pattern, #arrived) #eq #private::looking(#future, |#received| #look) #condition #arrow #handler
        }
    }
}

fn parts(input: ParseStream<'_>) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    while !input.is_empty() {
        let ahead = input.fork();
        match arm(&ahead) {
            Ok(arm) if is_future(&arm.future) => {
                input.advance_to(&ahead);
                parts.push(Part::Arm(Box::new(arm)));
            }
            Ok(arm) => {
                input.advance_to(&ahead);
                parts.push(Part::Other(arm.into_token_stream()));
            }
            // `biased;`, `else => …`, a comma.
            Err(_) => parts.push(Part::Other(input.parse::<TokenTree>()?.into_token_stream())),
        }
    }
    Ok(parts)
}

fn arm(input: ParseStream<'_>) -> Result<Arm> {
    let pattern = input.call(Pat::parse_multi_with_leading_vert)?;
    let eq = input.parse()?;
    let future = input.parse()?;
    let condition = if input.peek(Token![,]) {
        let (comma, word): (Token![,], Token![if]) = (input.parse()?, input.parse()?);
        let condition: Expr = input.parse()?;
        quote!(#comma #word #condition)
    } else {
        TokenStream::new()
    };
    let arrow = input.parse()?;
    let handler = if input.peek(token::Brace) {
        input.parse::<TokenTree>()?.into_token_stream()
    } else {
        input.parse::<Expr>()?.into_token_stream()
    };
    Ok(Arm {
        pattern,
        eq,
        future,
        condition,
        arrow,
        handler,
    })
}

impl ToTokens for Arm {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self {
            pattern,
            eq,
            future,
            condition,
            arrow,
            handler,
        } = self;
        tokens.extend(quote!(#pattern #eq #future #condition #arrow #handler));
    }
}
