//! `span!` and `enter!`: a span for a block.
//!
//! Options stand first and are written `key: value`, then comes the name, then the attributes as `key = value`.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Error, Expr, Path, Result, Token};

use crate::attributes::Attribute;
use crate::mistakes::Mistakes;
use crate::options::constant_value;
use crate::start::{Start, private};
use crate::vocabulary::{self, Word};

/// What the expression is.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    /// `span!(input)`: a `Span`.
    Span,
    /// `enter!(input)`: a `SpanGuard`.
    Guard,
}

/// The expression of that form.
pub(crate) fn expand(input: TokenStream, form: Form) -> TokenStream {
    let mut mistakes = Mistakes::default();
    let mut block = Block::default();
    let parser = |input: ParseStream<'_>| {
        mistakes.each_entry(input, |input| block.entry(input));
        Ok(())
    };
    if let Err(error) = parser.parse2(input) {
        mistakes.add(error);
    }
    if block.name.is_none() && mistakes.is_empty() {
        mistakes.at(
            proc_macro2::Span::call_site(),
            "a span has a name: `span!(\"charge card\")`",
        );
    }
    match block.name {
        Some(name) if mistakes.is_empty() => {
            let start = Start {
                line: None,
                private: &private(block.krate.as_ref()),
                name: name.to_token_stream(),
                function: None,
                kind: block.kind,
                level: block.level,
                target: block.target.as_ref(),
                parent: block.parent.as_ref(),
                links: block.links.as_ref(),
                attrs: &block.attrs,
                handler: None,
            };
            match form {
                Form::Span => start.expression(),
                Form::Guard => start.entered(),
            }
        }
        _ => {
            let errors = mistakes.into_compile_errors();
            // A value of the right type keeps the one mistake from becoming two.
            let private = private(block.krate.as_ref());
            match form {
                Form::Span => quote!({ #errors #private::Span::disabled() }),
                Form::Guard => {
                    quote!({ #errors #private::Span::enter(#private::Span::disabled()) })
                }
            }
        }
    }
}

#[derive(Default)]
struct Block {
    name: Option<Expr>,
    kind: Option<Word>,
    level: Option<Word>,
    target: Option<Expr>,
    parent: Option<Expr>,
    links: Option<Expr>,
    krate: Option<Path>,
    attrs: Vec<Attribute>,
    seen: Vec<String>,
}

impl Block {
    fn entry(&mut self, input: ParseStream<'_>) -> Result<()> {
        if input.peek(Ident::peek_any) && input.peek2(Token![:]) && !input.peek2(Token![::]) {
            return self.option(input);
        }
        if self.name.is_none() {
            let name = input.parse::<Expr>()?;
            let misplaced = input.peek(Token![=]) || matches!(name, Expr::Assign(_));
            let place = crate::tokens::first_span(&name);
            if misplaced || input.peek(Token![.]) {
                return Err(Error::new(
                    place,
                    "the name comes before the attributes: `span!(\"charge card\", key = value)`",
                ));
            }
            self.name = Some(constant_value(name, "the name", place)?);
            return Ok(());
        }
        Attribute::parse_into(input, &mut self.attrs)
    }

    fn option(&mut self, input: ParseStream<'_>) -> Result<()> {
        let key = input.call(Ident::parse_any)?;
        let word = key.to_string();
        input.parse::<Token![:]>()?;
        if !KEYS.contains(&word.as_str()) {
            return Err(match self.name {
                Some(_) => Error::new(
                    key.span(),
                    format!("an attribute is written with `=`: `{word} = …`"),
                ),
                None => unknown(&key),
            });
        }
        if self.name.is_some() {
            return Err(Error::new(
                key.span(),
                format!("options come before the name: `span!({word}: …, \"name\")`"),
            ));
        }
        if self.seen.contains(&word) {
            return Err(Error::new(key.span(), format!("duplicate option `{word}`")));
        }
        match word.as_str() {
            "kind" => self.kind = Some(vocabulary::kind(input)?),
            "level" => self.level = Some(vocabulary::level(input)?),
            "target" => self.target = Some(constant_value(input.parse()?, "target", key.span())?),
            "parent" => self.parent = Some(input.parse()?),
            "links" => self.links = Some(input.parse()?),
            _ => self.krate = Some(input.call(Path::parse_mod_style)?),
        }
        self.seen.push(word);
        Ok(())
    }
}

const KEYS: [&str; 6] = ["kind", "level", "target", "parent", "links", "crate"];
const KEY_LIST: &str = "`kind`, `level`, `target`, `parent`, `links`, `crate`";

fn unknown(key: &Ident) -> Error {
    Error::new(
        key.span(),
        format!("unknown option `{key}`; the valid options are {KEY_LIST}"),
    )
}
