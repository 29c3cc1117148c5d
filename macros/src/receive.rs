//! The receive loops of a function: `while let Some(message) = ….recv().await { … }`, and those where that is a `let … else`
//! or an arm of `select!`.
//!
//! Owns finding them and marking, in each, what is received and how far its handling goes. The loop stays where it is and
//! what it is; its condition is parsed, its body is not. How a message's span is started is `start`'s.

mod select;

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{ParseStream, Parser};
use syn::{BinOp, Expr, ExprLet, Pat, Result, Token};

use self::select::Select;
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
                #private::turns_are_over();
                (&&(&&&#private::Received(#received)).message()).arrived(#callsite)
            }
        }
    }

    /// An expression of what is received and the look at it, in place of the former.
    fn looked_at(&self, expr: &Expr) -> TokenStream {
        let [received, arrived] = [local("__received"), local("__arrived")];
        let look = self.look(&quote_spanned!(generated()=> &#received));
        quote_spanned! {generated()=>
            match #expr {
                #received => {
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
pub(crate) fn find(body: &Group) -> Receives {
    // Most functions have no loop, and the search for a word is cheap.
    let words = ["while", "loop"];
    if !words.iter().any(|word| contains_ident(body.stream(), word)) {
        return Receives::Nothing;
    }
    let mut search = Search {
        marks: None,
        found: false,
        elsewhere: false,
    };
    search.stream(body.stream());
    match search {
        Search { found: true, .. } => Receives::InLoop,
        Search {
            elsewhere: true, ..
        } => Receives::Elsewhere,
        _ => Receives::Nothing,
    }
}

/// The body with its receive loops marked.
pub(crate) fn mark(body: &Group, marks: &Marks<'_>) -> Group {
    let mut search = Search {
        marks: Some(marks),
        found: false,
        elsewhere: false,
    };
    with_stream(body, search.stream(body.stream()))
}

/// A walk through the tokens of a body, which changes them if there is something to write.
struct Search<'a> {
    marks: Option<&'a Marks<'a>>,
    found: bool,
    elsewhere: bool,
}

impl Search<'_> {
    fn stream(&mut self, tokens: TokenStream) -> TokenStream {
        let mut before: Vec<TokenTree> = Vec::new();
        let mut rest = tokens.into_iter();
        while let Some(token) = rest.next() {
            match token {
                TokenTree::Ident(word) if word == "while" => {
                    let Some(found) = Loop::parse(word.clone(), rest.clone().collect()) else {
                        before.push(word.into());
                        continue;
                    };
                    self.found = true;
                    let label = take_label(&mut before);
                    before.extend(self.marked(label, &found));
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

    /// The body of a `loop`: what follows a receive in it handles the message.
    fn loop_body(&mut self, tokens: TokenStream) -> TokenStream {
        let mut before = TokenStream::new();
        let mut rest = tokens.clone().into_iter();
        while let Some(token) = rest.next() {
            if matches!(&token, TokenTree::Ident(word) if word == "let")
                && let Some(found) = LetElse::parse(rest.clone().collect())
            {
                self.found = true;
                let before = self.stream(before);
                let LetElse {
                    pattern,
                    eq,
                    expr,
                    otherwise,
                    after,
                } = found;
                return match self.marks {
                    None => tokens,
                    Some(marks) => {
                        let (arrived, turn) = (local("__arrived"), marks.turn());
                        let looked_at = marks.looked_at(&expr);
                        quote_spanned! {generated()=>
                            #before #token (#pattern, #arrived) #eq (#looked_at) #otherwise #turn #after
                        }
                    }
                };
            }
            before.extend([token]);
        }
        self.stream(before)
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
                self.elsewhere |= find(&group) != Receives::Nothing;
                group
            }
            Inside::SomethingElse => group,
        }
    }

    fn marked(&self, label: Vec<TokenTree>, found: &Loop) -> TokenStream {
        let label: TokenStream = label.into_iter().collect();
        let Loop {
            keyword,
            condition,
            body,
            ..
        } = found;
        let Some(marks) = self.marks else {
            return quote!(#label #keyword #condition #body);
        };
        let private = marks.private;
        let (condition, _) = mark_condition(condition, marks);
        let (turn, inside) = (marks.turn(), nested(body));
        let body = braced_like(body, quote_spanned!(generated()=> #turn #inside));
        // What the function returns after the loop is not about the message that was the last.
        quote_spanned! {generated()=>
            {
                #label #keyword #condition #body
                #private::turns_are_over();
            }
        }
    }
}

/// `while condition { … }`, where the condition receives a message.
struct Loop {
    keyword: Ident,
    condition: Expr,
    body: Group,
    after: TokenStream,
}

impl Loop {
    /// Reads what follows `while`; none if this is a loop of another kind.
    fn parse(keyword: Ident, rest: TokenStream) -> Option<Self> {
        let parse = |input: ParseStream<'_>| -> Result<Option<Self>> {
            let condition = input.call(Expr::parse_without_eager_brace)?;
            let body = match input.parse()? {
                TokenTree::Group(body) if body.delimiter() == Delimiter::Brace => body,
                _ => return Ok(None),
            };
            let after = input.parse()?;
            Ok(receives(&condition).then(|| Self {
                keyword: keyword.clone(),
                condition,
                body,
                after,
            }))
        };
        parse.parse2(rest).ok().flatten()
    }
}

/// Whether one of the conditions is that a message comes.
fn receives(condition: &Expr) -> bool {
    match condition {
        Expr::Binary(binary) if matches!(binary.op, BinOp::And(_)) => {
            receives(&binary.left) || receives(&binary.right)
        }
        Expr::Let(condition) => is_receive(&condition.expr),
        _ => false,
    }
}

/// `….recv().await`, with a `?` behind or none.
fn is_receive(expr: &Expr) -> bool {
    match expr {
        Expr::Try(expr) => is_receive(&expr.expr),
        Expr::Paren(expr) => is_receive(&expr.expr),
        Expr::Group(expr) => is_receive(&expr.expr),
        Expr::Await(expr) => is_call(&expr.base),
        _ => false,
    }
}

/// `….recv()`
fn is_call(expr: &Expr) -> bool {
    matches!(expr, Expr::MethodCall(call) if METHODS.iter().any(|method| call.method == method))
}

/// How receivers and streams call it.
const METHODS: [&str; 4] = ["recv", "recv_async", "next", "try_next"];

/// The condition with a look at what is received first; and whether this is done.
fn mark_condition(condition: &Expr, marks: &Marks<'_>) -> (TokenStream, bool) {
    match condition {
        Expr::Binary(binary) if receives(condition) => {
            let (left, done) = mark_condition(&binary.left, marks);
            let (right, done) = if done {
                (binary.right.to_token_stream(), true)
            } else {
                mark_condition(&binary.right, marks)
            };
            let op = &binary.op;
            (quote!(#left #op #right), done)
        }
        Expr::Let(condition) if is_receive(&condition.expr) => (mark_let(condition, marks), true),
        other => (other.to_token_stream(), false),
    }
}

/// Two patterns in place of one: temporary values of the condition live as long as they did.
fn mark_let(condition: &ExprLet, marks: &Marks<'_>) -> TokenStream {
    let ExprLet {
        attrs,
        let_token,
        pat,
        eq_token,
        expr,
    } = condition;
    let arrived = local("__arrived");
    let looked_at = marks.looked_at(expr);
    quote_spanned!(generated()=> #(#attrs)* #let_token (#pat, #arrived) #eq_token #looked_at)
}

/// `let pattern = expr else { … };`, where the expression receives a message.
struct LetElse {
    pattern: Pat,
    eq: Token![=],
    expr: Expr,
    /// From `else` on.
    otherwise: TokenStream,
    after: TokenStream,
}

impl LetElse {
    /// Reads what follows `let`; none if this is another statement.
    fn parse(rest: TokenStream) -> Option<Self> {
        let parse = |input: ParseStream<'_>| -> Result<Option<Self>> {
            let pattern = input.call(Pat::parse_multi_with_leading_vert)?;
            let eq = input.parse()?;
            let expr: Expr = input.parse()?;
            let word: Token![else] = input.parse()?;
            let otherwise: TokenTree = input.parse()?;
            let end: Token![;] = input.parse()?;
            let after = input.parse()?;
            Ok(is_receive(&expr).then(|| Self {
                pattern,
                eq,
                expr,
                otherwise: quote!(#word #otherwise #end),
                after,
            }))
        };
        parse.parse2(rest).ok().flatten()
    }
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
