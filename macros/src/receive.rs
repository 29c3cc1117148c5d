//! The receive loops of a function: `while let Some(message) = ….recv().await { … }`, and those where the receive is a
//! statement or an arm of `select!`, or what a `for` goes through.
//!
//! Owns finding them and marking, in each, what is received and how far its handling goes. The loop stays where it is and
//! what it is; its condition is parsed, its body is not. How a message's span is started is `start`'s.

mod condition;
mod select;
mod sources;
mod statement;

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{ParseStream, Parser};
use syn::{Expr, Pat, Result, Signature, Token};

use self::select::Select;
use self::sources::Sources;
pub(crate) use self::sources::is_source;
use self::statement::{Found, begins_after};
use crate::item::{braced_like, nested};
use crate::tokens::{contains_ident, generated, local, with_stream};

/// What is written into each loop.
pub(crate) struct Marks<'a> {
    pub(crate) private: &'a TokenStream,
    /// An expression of type `&'static Callsite`.
    pub(crate) callsite: TokenStream,
    /// The closure that fills the span of a message.
    pub(crate) fill: TokenStream,
}

impl Marks<'_> {
    /// An expression that looks at what was received, which is what `received` refers to.
    fn look(&self, received: &TokenStream) -> TokenStream {
        let Self {
            private, callsite, ..
        } = self;
        quote_spanned! {generated()=>
            {
                use #private::{
                    ArrivedFromNobody as _, ArrivedFromSender as _, MessageInOne as _, MessageInTwo as _,
                    MessageItself as _,
                };
                (&&(&&&#private::Received(#received)).message()).arrived(#callsite)
            }
        }
    }

    /// An expression of what is received and the look at it, in place of the former. The turn before is over when it is
    /// waited for.
    fn looked_at(&self, expr: &Expr) -> TokenStream {
        let private = self.private;
        let [received, arrived] = [local("__received"), local("__arrived")];
        let look = self.look(&quote_spanned!(generated()=> &#received));
        quote_spanned! {generated()=>
            match (#private::turns_are_over(), #expr) {
                ((), #received) => {
                    let #arrived = #look;
                    (#received, #arrived)
                }
            }
        }
    }

    /// The statement that begins the turn of a message.
    fn turn(&self) -> TokenStream {
        let Self { private, fill, .. } = self;
        let [arrived, turn] = [local("__arrived"), local("__turn")];
        quote_spanned!(generated()=> let #turn = #private::turn(#arrived, #fill);)
    }

    /// A handler, be it a block or an expression, in the turn of its message.
    fn handled(&self, handler: TokenStream) -> Group {
        let turn = self.turn();
        match syn::parse2::<Group>(handler.clone()) {
            Ok(block) if block.delimiter() == Delimiter::Brace => {
                let inside = nested(&block);
                braced_like(&block, quote_spanned!(generated()=> #turn #inside))
            }
            _ => Group::new(
                Delimiter::Brace,
                quote_spanned!(generated()=> #turn #handler),
            ),
        }
    }
}

/// Whether a function receives messages by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Receives {
    /// In a loop of its own.
    InLoop,
    /// In a loop of an `async` block or a closure, which runs where the function does not see it.
    Elsewhere,
    Nothing,
}

/// Looks for receive loops.
pub(crate) fn find(sig: &Signature, body: &Group) -> Receives {
    find_in(&Sources::of(sig), body.stream())
}

fn find_in(sources: &Sources<'_>, body: TokenStream) -> Receives {
    // Most functions have no loop, and the search for a word is cheap.
    let words = ["while", "loop", "for"];
    if !words.iter().any(|word| contains_ident(body.clone(), word)) {
        return Receives::Nothing;
    }
    let mut search = Search {
        marks: None,
        sources,
        found: false,
        elsewhere: false,
    };
    search.stream(body);
    match search {
        Search { found: true, .. } => Receives::InLoop,
        Search {
            elsewhere: true, ..
        } => Receives::Elsewhere,
        _ => Receives::Nothing,
    }
}

/// The body with its receive loops marked.
pub(crate) fn mark(sig: &Signature, body: &Group, marks: &Marks<'_>) -> Group {
    let mut search = Search {
        marks: Some(marks),
        sources: &Sources::of(sig),
        found: false,
        elsewhere: false,
    };
    with_stream(body, search.stream(body.stream()))
}

/// A walk through the tokens of a body, which changes them if there is something to write.
struct Search<'a> {
    marks: Option<&'a Marks<'a>>,
    sources: &'a Sources<'a>,
    found: bool,
    elsewhere: bool,
}

impl Search<'_> {
    fn stream(&mut self, tokens: TokenStream) -> TokenStream {
        let mut before: Vec<TokenTree> = Vec::new();
        let mut rest = tokens.into_iter();
        while let Some(token) = rest.next() {
            match token {
                TokenTree::Ident(word) if follows_arguments(&before) && begins_loop(&word) => {
                    // The body of a closure, which goes as far as it can.
                    let body = TokenStream::from_iter([word.into()].into_iter().chain(rest));
                    self.elsewhere |= find_in(self.sources, body.clone()) != Receives::Nothing;
                    before.extend(body);
                    break;
                }
                TokenTree::Ident(word) if word == "while" || word == "for" => {
                    let Some(found) = Loop::parse(word.clone(), rest.clone().collect()) else {
                        before.push(word.into());
                        continue;
                    };
                    if found.head.receives(self.sources) {
                        self.found = true;
                        let label = take_label(&mut before);
                        before.extend(self.marked(label, &found));
                    } else {
                        before.push(word.into());
                        before.extend(found.head.tokens());
                        let stream = self.loop_body(found.body.stream());
                        before.push(with_stream(&found.body, stream).into());
                    }
                    rest = found.after.into_iter();
                }
                TokenTree::Group(group) if is_loop(&before, &group) => {
                    let stream = self.loop_body(group.stream());
                    before.push(with_stream(&group, stream).into());
                }
                TokenTree::Group(group) => {
                    let group = self.group(&before, group);
                    before.push(group.into());
                }
                other => before.push(other),
            }
        }
        before.into_iter().collect()
    }

    /// The body of a loop whose head receives nothing: a statement in it may.
    fn loop_body(&mut self, tokens: TokenStream) -> TokenStream {
        let mut before: Vec<TokenTree> = Vec::new();
        let mut rest = tokens.into_iter();
        while let Some(token) = rest.next() {
            if let TokenTree::Ident(word) = &token
                && begins_after(&before)
                && let Some(found) = Found::parse(word, rest.clone().collect())
            {
                self.found = true;
                let before = self.stream(before.into_iter().collect());
                let Some(marks) = self.marks else {
                    return before;
                };
                let (statement, after) = (found.marked(marks), found.after);
                if found.goes_on || after.is_empty() {
                    return quote!(#before #statement #after);
                }
                // What follows is about no message, or about the next.
                let private = marks.private;
                let after = self.loop_body(after);
                return quote_spanned! {generated()=>
                    #before #statement #private::turns_are_over(); #after
                };
            }
            before.push(token);
        }
        self.stream(before.into_iter().collect())
    }

    fn group(&mut self, before: &[TokenTree], group: Group) -> Group {
        if Select::follows(before)
            && let Some(select) = Select::parse(group.stream())
        {
            self.found = true;
            return match self.marks {
                None => group,
                Some(marks) => with_stream(&group, select.marked(marks)),
            };
        }
        match Inside::of(before, &group) {
            Inside::TheFunction => {
                let stream = self.stream(group.stream());
                with_stream(&group, stream)
            }
            Inside::AnotherFuture => {
                self.elsewhere |= find_in(self.sources, group.stream()) != Receives::Nothing;
                group
            }
            Inside::SomethingElse => group,
        }
    }

    fn marked(&self, label: Vec<TokenTree>, found: &Loop) -> TokenStream {
        let label: TokenStream = label.into_iter().collect();
        let Loop {
            keyword,
            head,
            body,
            ..
        } = found;
        let Some(marks) = self.marks else {
            return TokenStream::new();
        };
        let private = marks.private;
        let head = head.marked(marks);
        let body = marks.handled(body.to_token_stream());
        // What the function returns after the loop is not about the message that was the last.
        quote_spanned! {generated()=>
            {
                #label #keyword #head #body
                #private::turns_are_over();
            }
        }
    }
}

/// `while condition { … }` or `for pattern in iterable { … }`.
struct Loop {
    keyword: Ident,
    head: Head,
    body: Group,
    after: TokenStream,
}

/// What a loop goes on with.
enum Head {
    While(Expr),
    For(Pat, Token![in], Expr),
}

impl Loop {
    /// Reads what follows `while` or `for`; none if this is no loop.
    fn parse(keyword: Ident, rest: TokenStream) -> Option<Self> {
        let parse = |input: ParseStream<'_>| -> Result<Self> {
            let head = if keyword == "while" {
                Head::While(input.call(Expr::parse_without_eager_brace)?)
            } else {
                Head::For(
                    input.call(Pat::parse_multi_with_leading_vert)?,
                    input.parse()?,
                    input.call(Expr::parse_without_eager_brace)?,
                )
            };
            Ok(Self {
                keyword: keyword.clone(),
                head,
                body: input.call(block)?,
                after: input.parse()?,
            })
        };
        parse.parse2(rest).ok()
    }
}

impl Head {
    fn receives(&self, sources: &Sources<'_>) -> bool {
        match self {
            Self::While(condition) => condition::receives(condition),
            Self::For(_, _, iterable) => sources.yields(iterable),
        }
    }

    fn tokens(&self) -> TokenStream {
        match self {
            Self::While(condition) => condition.to_token_stream(),
            Self::For(pattern, word, iterable) => quote!(#pattern #word #iterable),
        }
    }

    fn marked(&self, marks: &Marks<'_>) -> TokenStream {
        match self {
            Self::While(condition) => condition::marked(condition, marks),
            Self::For(pattern, word, iterable) => {
                let private = marks.private;
                let [received, arrived] = [local("__received"), local("__arrived")];
                let look = marks.look(&received.to_token_stream());
                quote_spanned! {generated()=>
                    (#pattern, #arrived) #word #private::each(#iterable, |#received| #look)
                }
            }
        }
    }
}

/// `{ … }`
fn block(input: ParseStream<'_>) -> Result<Group> {
    match input.parse()? {
        TokenTree::Group(block) if block.delimiter() == Delimiter::Brace => Ok(block),
        _ => Err(input.error("expected a block")),
    }
}

fn begins_loop(word: &Ident) -> bool {
    word == "while" || word == "for" || word == "loop"
}

/// Whether the tokens end in the arguments of a closure.
fn follows_arguments(before: &[TokenTree]) -> bool {
    matches!(before.last(), Some(TokenTree::Punct(punct)) if punct.as_char() == '|')
}

/// Whether the group is the body of a `loop`.
fn is_loop(before: &[TokenTree], group: &Group) -> bool {
    group.delimiter() == Delimiter::Brace
        && matches!(before.last(), Some(TokenTree::Ident(word)) if word == "loop")
}

/// Where the code of a group runs.
enum Inside {
    TheFunction,
    AnotherFuture,
    SomethingElse,
}

impl Inside {
    fn of(before: &[TokenTree], group: &Group) -> Self {
        let word = |at: usize| match before.len().checked_sub(at).and_then(|at| before.get(at)) {
            Some(TokenTree::Ident(word)) => word.to_string(),
            Some(TokenTree::Punct(punct)) => punct.as_char().to_string(),
            _ => String::new(),
        };
        if group.delimiter() != Delimiter::Brace {
            // The arguments of a macro may be anything but code; those of `tokio::spawn` are code.
            return if word(1) == "!" {
                Self::SomethingElse
            } else {
                Self::TheFunction
            };
        }
        match (word(2).as_str(), word(1).as_str()) {
            (_, "async") | ("async", "move") | (_, "|") => Self::AnotherFuture,
            (_, "!") => Self::SomethingElse,
            _ if follows_signature(before) => Self::SomethingElse,
            _ => Self::TheFunction,
        }
    }
}

/// Whether the tokens end in the signature of a function.
fn follows_signature(before: &[TokenTree]) -> bool {
    for token in before.iter().rev() {
        match token {
            TokenTree::Ident(word) if word == "fn" => return true,
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => return false,
            TokenTree::Punct(punct) if punct.as_char() == ';' => return false,
            _ => {}
        }
    }
    false
}

/// Takes `'label:` off the end.
fn take_label(before: &mut Vec<TokenTree>) -> Vec<TokenTree> {
    match before.as_slice() {
        [
            ..,
            TokenTree::Punct(quote),
            TokenTree::Ident(_),
            TokenTree::Punct(colon),
        ] if quote.as_char() == '\'' && colon.as_char() == ':' => {
            before.split_off(before.len() - 3)
        }
        _ => Vec::new(),
    }
}
