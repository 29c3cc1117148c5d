//! The arguments of `#[traced(…)]`.
//!
//! Owns their syntax, the messages about it, and how arguments of an outer annotation reach the functions inside. Does
//! not know what they turn into.

use proc_macro2::{Ident, Span, TokenStream};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Error, Expr, Lit, LitStr, Path, Result, Token, parenthesized, token};

use crate::attributes::{self, Attribute};
use crate::mistakes::Mistakes;
use crate::tokens::contains_ident;
use crate::vocabulary::{self, Format, Word};

/// What `#[traced(…)]` says.
#[derive(Clone, Default)]
pub(crate) struct Options {
    pub(crate) name: Option<Expr>,
    pub(crate) kind: Option<Word>,
    pub(crate) level: Option<Word>,
    pub(crate) target: Option<Expr>,
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) err: Option<Inspect>,
    pub(crate) ret: Option<Inspect>,
    pub(crate) parent: Option<Expr>,
    pub(crate) links: Option<Expr>,
    /// Whether spawn calls in the body carry the context, which they do unless told otherwise.
    pub(crate) spawns: Option<bool>,
    pub(crate) krate: Option<Path>,
    /// Whether the function handles messages, and how.
    pub(crate) handler: Option<Handler>,
}

/// What the span of a handler has that others do not.
#[derive(Clone)]
pub(crate) struct Handler {
    /// Whether the span of a layer further out that observes the same message serves for this one. If not, it is no
    /// handler's, but an operation's, such as sending a message.
    pub(crate) joins: bool,
    /// What follows the name of the span, where it is known at run time only.
    pub(crate) subject: Option<(Option<Format>, Expr)>,
    /// Whether the function receives the messages by itself, in a loop.
    pub(crate) receives: bool,
}

/// Arguments that an annotation has beside those of `#[traced]`, or instead of them.
pub(crate) trait OwnArguments {
    /// Their names, for messages.
    fn list(&self) -> &'static str;

    /// Reads the value of one of them; `None` if there is none of that name.
    fn entry(&mut self, key: &Ident, input: ParseStream<'_>) -> Option<Result<()>>;
}

/// `#[traced]` itself has no others.
struct NoOwnArguments;

impl OwnArguments for NoOwnArguments {
    fn list(&self) -> &'static str {
        ""
    }

    fn entry(&mut self, _: &Ident, _: ParseStream<'_>) -> Option<Result<()>> {
        None
    }
}

/// `err` or `ret`: where it stands and how the value is formatted.
#[derive(Clone, Copy)]
pub(crate) struct Inspect {
    pub(crate) span: Span,
    pub(crate) format: Format,
}

impl Options {
    /// Reads the arguments; whatever is wrong is added to `mistakes` and left out.
    pub(crate) fn parse(args: TokenStream, mistakes: &mut Mistakes) -> Self {
        Self::parse_with(args, &mut NoOwnArguments, mistakes)
    }

    /// Like [`parse`](Self::parse) for an annotation with arguments of its own.
    pub(crate) fn parse_with(
        args: TokenStream,
        own: &mut dyn OwnArguments,
        mistakes: &mut Mistakes,
    ) -> Self {
        let mut options = Self::default();
        let mut reader = Reader {
            options: &mut options,
            own,
            seen: Vec::new(),
        };
        let parser = |input: ParseStream<'_>| {
            // The attribute list gathers mistakes of its own, so they are joined afterwards.
            let mut inner = Mistakes::default();
            mistakes.each_entry(input, |input| reader.entry(input, &mut inner));
            Ok(inner)
        };
        match parser.parse2(args) {
            Ok(inner) => mistakes.join(inner),
            Err(error) => mistakes.add(error),
        }
        options
    }

    /// The options of something inside an annotated container: its own, and the container's where it says nothing.
    /// A name is not passed on, since it names one span.
    pub(crate) fn within(mut self, outer: &Self) -> Self {
        let own = std::mem::take(&mut self.attrs);
        self.attrs = outer
            .attrs
            .iter()
            .filter(|of_outer| own.iter().all(|of_own| of_own.key != of_outer.key))
            .cloned()
            .collect();
        self.attrs.extend(own);
        self.kind = self.kind.or(outer.kind);
        self.level = self.level.or(outer.level);
        self.target = self.target.or_else(|| outer.target.clone());
        self.err = self.err.or(outer.err);
        self.ret = self.ret.or(outer.ret);
        self.parent = self.parent.or_else(|| outer.parent.clone());
        self.links = self.links.or_else(|| outer.links.clone());
        self.spawns = self.spawns.or(outer.spawns);
        self.krate = self.krate.or_else(|| outer.krate.clone());
        self.handler = self.handler.or_else(|| outer.handler.clone());
        self
    }
}

/// A local mistake list exists per annotation; this one reads its entries.
struct Reader<'a> {
    options: &'a mut Options,
    own: &'a mut dyn OwnArguments,
    seen: Vec<String>,
}

impl Reader<'_> {
    fn entry(&mut self, input: ParseStream<'_>, mistakes: &mut Mistakes) -> Result<()> {
        let key = parse_key(input)?;
        let word = key.to_string();
        if let Some(read) = self.own.entry(&key, input) {
            return read;
        }
        if KEYS.contains(&word.as_str()) {
            if self.seen.contains(&word) {
                return Err(Error::new(
                    key.span(),
                    format!("duplicate argument `{word}`"),
                ));
            }
            self.seen.push(word.clone());
        }
        let options = &mut *self.options;
        match word.as_str() {
            "name" => options.name = Some(constant(input, &key)?),
            "target" => options.target = Some(constant(input, &key)?),
            "kind" => {
                options.kind = Some(
                    equals(input, &key, "kind = client").and_then(|()| vocabulary::kind(input))?,
                );
            }
            "level" => {
                options.level = Some(
                    equals(input, &key, "level = debug").and_then(|()| vocabulary::level(input))?,
                );
            }
            "attrs" => {
                if !input.peek(token::Paren) {
                    return Err(Error::new(
                        key.span(),
                        "`attrs` takes a list: `attrs(key = value)`",
                    ));
                }
                let list;
                parenthesized!(list in input);
                options.attrs = attributes::parse_list(&list, mistakes);
            }
            "err" => options.err = Some(inspect(input, &key, Format::Display)?),
            "ret" => options.ret = Some(inspect(input, &key, Format::Debug)?),
            "parent" => {
                options.parent =
                    Some(equals(input, &key, "parent = context").and_then(|()| input.parse())?);
            }
            "links" => {
                options.links =
                    Some(equals(input, &key, "links = [context]").and_then(|()| input.parse())?);
            }
            "spawns" => {
                options.spawns = Some(
                    equals(input, &key, "spawns = leave")
                        .and_then(|()| vocabulary::spawns(input))?,
                );
            }
            "crate" => options.krate = Some(crate_path(input, &key)?),
            _ if input.peek(Token![.]) => {
                return Err(Error::new(
                    key.span(),
                    format!("attributes go into `attrs(…)`: `attrs({word}.… = …)`"),
                ));
            }
            _ => return Err(unknown(&key, self.own.list())),
        }
        Ok(())
    }
}

/// The value of `crate`, shared with the other macros.
pub(crate) fn crate_path(input: ParseStream<'_>, key: &Ident) -> Result<Path> {
    equals(input, key, "crate = path::to::throughline")?;
    if input.peek(LitStr) {
        let text = input.parse::<LitStr>()?;
        return Err(Error::new(
            text.span(),
            format!(
                "a path is written without quotes: `crate = {}`",
                text.value()
            ),
        ));
    }
    input.call(Path::parse_mod_style)
}

/// The `=` after a key, shared with the other macros.
pub(crate) fn equals(input: ParseStream<'_>, key: &Ident, example: &str) -> Result<()> {
    match input.parse::<Option<Token![=]>>()? {
        Some(_) => Ok(()),
        None => Err(Error::new(
            key.span(),
            format!("`{key}` takes a value: `{example}`"),
        )),
    }
}

/// An expression that goes into a static.
pub(crate) fn constant_value(value: Expr, key: &str, span: Span) -> Result<Expr> {
    if contains_ident(quote::quote!(#value), "Self") {
        let message = format!(
            "`{key}` is one constant for all types that share the function, so it cannot use `Self`"
        );
        return Err(Error::new(span, message));
    }
    Ok(value)
}

const KEYS: [&str; 11] = [
    "name", "kind", "level", "target", "attrs", "err", "ret", "parent", "links", "spawns", "crate",
];
const KEY_LIST: &str = "`name`, `kind`, `level`, `target`, `attrs(…)`, `err`, `ret`, `parent`, `links`, `spawns`, `crate`";

/// Those that make sense for every annotation.
const SHARED_KEY_LIST: &str =
    "`name`, `kind`, `level`, `target`, `attrs(…)`, `parent`, `links`, `spawns`, `crate`";

fn parse_key(input: ParseStream<'_>) -> Result<Ident> {
    if input.peek(Ident::peek_any) {
        return input.call(Ident::parse_any);
    }
    if input.peek(LitStr) {
        let text = input.parse::<Lit>()?;
        return Err(Error::new(
            text.span(),
            "the name of the span is written `name = \"…\"`",
        ));
    }
    Err(input.error(format!("expected one of {KEY_LIST}")))
}

fn unknown(key: &Ident, own: &str) -> Error {
    let list = if own.is_empty() {
        KEY_LIST.to_owned()
    } else {
        format!("{own}, {SHARED_KEY_LIST}")
    };
    let message = match vocabulary::advice(&key.to_string()) {
        Some(advice) => {
            format!("unknown argument `{key}`: {advice}; the valid arguments are {list}")
        }
        None => format!("unknown argument `{key}`; the valid arguments are {list}"),
    };
    Error::new(key.span(), message)
}

fn constant(input: ParseStream<'_>, key: &Ident) -> Result<Expr> {
    let word = key.to_string();
    equals(input, key, &format!("{word} = \"…\""))?;
    constant_value(input.parse()?, &word, key.span())
}

fn inspect(input: ParseStream<'_>, key: &Ident, default: Format) -> Result<Inspect> {
    if input.peek(Token![=]) {
        return Err(Error::new(
            key.span(),
            format!("`{key}` is written `{key}`, `{key}(Debug)` or `{key}(Display)`"),
        ));
    }
    if !input.peek(token::Paren) {
        return Ok(Inspect {
            span: key.span(),
            format: default,
        });
    }
    let inside;
    parenthesized!(inside in input);
    let format = vocabulary::format(&inside).and_then(|format| match inside.is_empty() {
        true => Ok(format),
        false => Err(inside.error(format!(
            "`{key}` takes one format: `{key}(Debug)` or `{key}(Display)`"
        ))),
    });
    // What is left would be reported as a mistake of its own.
    inside.parse::<TokenStream>()?;
    Ok(Inspect {
        span: key.span(),
        format: format?,
    })
}
