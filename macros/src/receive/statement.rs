//! A receive that is a statement of a loop: `let … else`, `let message = ….recv().await?`, `match` and `if let`.
//!
//! Owns reading and marking them. After a `let`, the rest of the loop's body handles the message; of a `match`, an arm does
//! whose pattern can hold one, and of an `if`, its block.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Expr, Pat, Result, Token, Type, token};

use super::condition::{self, is_receive, receives};
use super::{Marks, block};
use crate::tokens::{generated, local};

/// Such a statement, and what follows it.
pub(super) struct Found {
    statement: Statement,
    /// What ends a `match` or an `if` that is of another type than `()`.
    end: Option<Token![;]>,
    /// Whether what follows handles the message.
    pub(super) goes_on: bool,
    pub(super) after: TokenStream,
}

enum Statement {
    /// `let pattern = ….recv().await?;`, or without `?` and with `else { … }`.
    Let {
        binding: Binding,
        expr: Expr,
        otherwise: Option<TokenStream>,
    },
    /// `let pattern = match ….recv().await { … };`
    LetMatch {
        binding: Binding,
        keyword: Token![match],
        expr: Expr,
        arms: Group,
    },
    /// `match ….recv().await { … }`
    Match {
        keyword: Ident,
        expr: Expr,
        arms: Vec<Arm>,
    },
    /// `if let Some(message) = ….recv().await { … } else { … }`
    If {
        keyword: Ident,
        condition: Expr,
        body: Group,
        otherwise: TokenStream,
    },
}

/// `let pattern: Type =`
struct Binding {
    keyword: Ident,
    pattern: Pat,
    ty: Option<Type>,
    eq: Token![=],
}

/// `pattern if guard => body`
struct Arm {
    attrs: Vec<Attribute>,
    pattern: Pat,
    guard: Option<(Token![if], Expr)>,
    arrow: Token![=>],
    body: TokenStream,
}

impl Found {
    /// Reads what follows a word at the beginning of a statement; none if this is another one.
    pub(super) fn parse(keyword: &Ident, rest: TokenStream) -> Option<Self> {
        let parse = |input: ParseStream<'_>| -> Result<Option<Self>> {
            let (statement, goes_on) = match keyword.to_string().as_str() {
                "let" => (parse_let(keyword, input)?, true),
                "match" => (parse_match(keyword, input)?, false),
                "if" => (parse_if(keyword, input)?, false),
                _ => return Ok(None),
            };
            // The rest of an expression that begins with this.
            if input.peek(Token![.]) || input.peek(Token![?]) {
                return Ok(None);
            }
            let end = input.parse()?;
            let after = input.parse()?;
            Ok(statement.map(|statement| Self {
                statement,
                end,
                goes_on,
                after,
            }))
        };
        parse.parse2(rest).ok().flatten()
    }

    pub(super) fn marked(&self, marks: &Marks<'_>) -> TokenStream {
        let (statement, end) = (self.statement.marked(marks), &self.end);
        quote!(#statement #end)
    }
}

impl Statement {
    fn marked(&self, marks: &Marks<'_>) -> TokenStream {
        let private = marks.private;
        let [received, arrived] = [local("__received"), local("__arrived")];
        let at = generated();
        match self {
            Self::Let {
                binding,
                expr,
                otherwise,
            } => {
                let (mut looked_at, turn) = (marks.looked_at(expr), marks.turn());
                if otherwise.is_some() {
                    // No brace may stand before `else`.
                    looked_at = quote_spanned!(at=> (#looked_at));
                }
                let Binding {
                    keyword,
                    pattern,
                    ty,
                    eq,
                } = binding;
                let ty = ty.as_ref().map(|ty| quote_spanned!(at=> : (#ty, _)));
                quote_spanned!(at=> #keyword (#pattern, #arrived) #ty #eq #looked_at #otherwise; #turn)
            }
            Self::LetMatch {
                binding,
                keyword,
                expr,
                arms,
            } => {
                let look = marks.look(&quote_spanned!(at=> &#received));
                let turn = marks.turn();
                quote_spanned! {at=>
                    let #arrived;
                    #binding #keyword match (#private::turns_are_over(), #expr) {
                        ((), #received) => {
                            #arrived = #look;
                            #received
                        }
                    } #arms;
                    #turn
                }
            }
            Self::Match {
                keyword,
                expr,
                arms,
            } => {
                let looked_at = marks.looked_at(expr);
                let arms = arms.iter().map(|arm| arm.marked(marks));
                quote_spanned!(at=> #keyword #looked_at { #(#arms)* })
            }
            Self::If {
                keyword,
                condition,
                body,
                otherwise,
            } => {
                let condition = condition::marked(condition, marks);
                let body = marks.handled(body.to_token_stream());
                quote_spanned!(at=> #keyword #condition #body #otherwise)
            }
        }
    }
}

fn parse_let(keyword: &Ident, input: ParseStream<'_>) -> Result<Option<Statement>> {
    let pattern = input.call(Pat::parse_multi_with_leading_vert)?;
    let ty = if input.parse::<Option<Token![:]>>()?.is_some() {
        Some(input.parse()?)
    } else {
        None
    };
    let binding = Binding {
        keyword: keyword.clone(),
        pattern,
        ty,
        eq: input.parse()?,
    };
    if input.peek(Token![match]) {
        let keyword = input.parse()?;
        let expr = input.call(Expr::parse_without_eager_brace)?;
        let arms = input.call(block)?;
        input.parse::<Token![;]>()?;
        return Ok(is_receive(&expr).then_some(Statement::LetMatch {
            binding,
            keyword,
            expr,
            arms,
        }));
    }
    let expr: Expr = input.parse()?;
    let otherwise = if input.peek(Token![else]) {
        let word: Token![else] = input.parse()?;
        let block = input.call(block)?;
        Some(quote!(#word #block))
    } else {
        None
    };
    input.parse::<Token![;]>()?;
    // Without `else`, and without `?`, this may be the future of a receive as well.
    let known = otherwise.is_some() || matches!(expr, Expr::Try(_));
    Ok((known && is_receive(&expr)).then_some(Statement::Let {
        binding,
        expr,
        otherwise,
    }))
}

fn parse_match(keyword: &Ident, input: ParseStream<'_>) -> Result<Option<Statement>> {
    let expr = input.call(Expr::parse_without_eager_brace)?;
    let arms = input.call(block)?;
    if !is_receive(&expr) {
        return Ok(None);
    }
    let arms = parse_arms.parse2(arms.stream())?;
    let handles = arms.iter().any(|arm| can_hold_a_message(&arm.pattern));
    Ok(handles.then(|| Statement::Match {
        keyword: keyword.clone(),
        expr,
        arms,
    }))
}

fn parse_arms(input: ParseStream<'_>) -> Result<Vec<Arm>> {
    let mut arms = Vec::new();
    while !input.is_empty() {
        let attrs = input.call(Attribute::parse_outer)?;
        let pattern = input.call(Pat::parse_multi_with_leading_vert)?;
        let guard = if input.peek(Token![if]) {
            Some((input.parse()?, input.parse()?))
        } else {
            None
        };
        let arrow = input.parse()?;
        let body = if input.peek(token::Brace) {
            input.parse::<TokenTree>()?.into_token_stream()
        } else {
            input.parse::<Expr>()?.into_token_stream()
        };
        input.parse::<Option<Token![,]>>()?;
        arms.push(Arm {
            attrs,
            pattern,
            guard,
            arrow,
            body,
        });
    }
    Ok(arms)
}

fn parse_if(keyword: &Ident, input: ParseStream<'_>) -> Result<Option<Statement>> {
    let condition = input.call(Expr::parse_without_eager_brace)?;
    let body = input.call(block)?;
    let mut otherwise = TokenStream::new();
    while input.peek(Token![else]) {
        let word: Token![else] = input.parse()?;
        let condition = if input.peek(Token![if]) {
            let word: Token![if] = input.parse()?;
            let condition = input.call(Expr::parse_without_eager_brace)?;
            quote!(#word #condition)
        } else {
            TokenStream::new()
        };
        let body = input.call(block)?;
        otherwise.extend(quote!(#word #condition #body));
    }
    Ok(receives(&condition).then(|| Statement::If {
        keyword: keyword.clone(),
        condition,
        body,
        otherwise,
    }))
}

impl Arm {
    fn marked(&self, marks: &Marks<'_>) -> TokenStream {
        let Self {
            attrs,
            pattern,
            guard,
            arrow,
            body,
        } = self;
        let at = generated();
        let guard = guard.as_ref().map(|(word, guard)| quote!(#word #guard));
        if can_hold_a_message(pattern) {
            let arrived = local("__arrived");
            let body = marks.handled(body.clone());
            quote_spanned!(at=> #(#attrs)* (#pattern, #arrived) #guard #arrow #body)
        } else {
            quote_spanned!(at=> #(#attrs)* (#pattern, _) #guard #arrow #body,)
        }
    }
}

/// Whether the arm of a pattern handles messages: `None`, `Err(…)` and what is left over for `_` do not.
fn can_hold_a_message(pattern: &Pat) -> bool {
    !matches!(pattern, Pat::Wild(_)) && !is_nothing(pattern)
}

/// `None`, `Err(…)`, or one of them within `Some(…)` or `Ok(…)`.
fn is_nothing(pattern: &Pat) -> bool {
    match pattern {
        Pat::Ident(name) => match &name.subpat {
            Some((_, pattern)) => is_nothing(pattern),
            None => name.ident == "None",
        },
        Pat::Path(path) => is_called(&path.path, "None"),
        Pat::TupleStruct(inside) if is_called(&inside.path, "Err") => true,
        Pat::TupleStruct(inside) => {
            (is_called(&inside.path, "Some") || is_called(&inside.path, "Ok"))
                && inside.elems.len() == 1
                && inside.elems.iter().all(is_nothing)
        }
        Pat::Or(either) => either.cases.iter().all(is_nothing),
        Pat::Paren(pattern) => is_nothing(&pattern.pat),
        _ => false,
    }
}

fn is_called(path: &syn::Path, name: &str) -> bool {
    path.segments
        .last()
        .is_some_and(|segment| segment.ident == name)
}

impl ToTokens for Binding {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self {
            keyword,
            pattern,
            ty,
            eq,
        } = self;
        let ty = ty.as_ref().map(|ty| quote!(: #ty));
        tokens.extend(quote!(#keyword #pattern #ty #eq));
    }
}

/// Whether a statement begins after these tokens, which may be its attribute.
pub(super) fn begins_after(before: &[TokenTree]) -> bool {
    match before {
        [] => true,
        [.., TokenTree::Punct(punct)] => punct.as_char() == ';',
        [.., TokenTree::Punct(punct), TokenTree::Group(attribute)]
            if punct.as_char() == '#' && attribute.delimiter() == Delimiter::Bracket =>
        {
            true
        }
        [.., TokenTree::Group(group)] => group.delimiter() == Delimiter::Brace,
        _ => false,
    }
}
