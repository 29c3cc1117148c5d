//! Annotated items: headers are parsed, bodies stay the tokens they are.
//!
//! Owns reading an item and writing it back unchanged. Does not know what an annotation does.

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, TokenStreamExt, quote};
use syn::parse::{ParseStream, Parser};
use syn::spanned::Spanned;
use syn::{AttrStyle, Attribute, LitStr, Result, Signature, Token, Visibility, token};

use crate::header;
use crate::tokens::generated_at;

/// An item, or a member of one.
pub(crate) enum Item {
    Function(Box<Function>),
    Container(Container),
    Other(Other),
}

/// A function or method, with or without a body.
pub(crate) struct Function {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) default: Option<Token![default]>,
    pub(crate) sig: Signature,
    /// The attributes that stand inside the body and belong to the function.
    pub(crate) inner_attrs: Vec<Attribute>,
    pub(crate) body: Option<Group>,
}

/// An impl block, a trait definition or an inline module.
pub(crate) struct Container {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) header: TokenStream,
    /// What qualifies the functions inside: the name of the type or trait.
    pub(crate) qualifier: Option<String>,
    pub(crate) body: Group,
    pub(crate) inner_attrs: Vec<Attribute>,
    pub(crate) members: Vec<Item>,
}

/// What is never traced: constants, types, imports, macros.
pub(crate) struct Other {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) tokens: TokenStream,
    /// What it is, for messages.
    pub(crate) noun: &'static str,
}

/// Where an item stands, which decides what may stand there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Module,
    Impl,
    Trait,
}

impl Item {
    /// Reads whatever an attribute can stand on. Methods outside of their impl block look like functions.
    pub(crate) fn parse(item: TokenStream) -> Result<Self> {
        (|input: ParseStream<'_>| Self::parse_in(input, Place::Module)).parse2(item)
    }

    pub(crate) fn attrs_mut(&mut self) -> &mut Vec<Attribute> {
        match self {
            Self::Function(function) => &mut function.attrs,
            Self::Container(container) => &mut container.attrs,
            Self::Other(other) => &mut other.attrs,
        }
    }

    fn parse_in(input: ParseStream<'_>, place: Place) -> Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let ahead = input.fork();
        let _: Visibility = ahead.parse()?;
        if peek_function(&ahead)? {
            return Function::parse(attrs, input)
                .map(|function| Self::Function(Box::new(function)));
        }
        if place == Place::Module
            && let Some(container) = Container::parse(&attrs, input)?
        {
            return Ok(Self::Container(container));
        }
        Other::parse(attrs, input, place).map(Self::Other)
    }
}

impl ToTokens for Item {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Function(function) => function.to_tokens(tokens),
            Self::Container(container) => container.to_tokens(tokens),
            Self::Other(other) => other.to_tokens(tokens),
        }
    }
}

impl Function {
    fn parse(attrs: Vec<Attribute>, input: ParseStream<'_>) -> Result<Self> {
        let vis = input.parse()?;
        let default = input.parse()?;
        let sig = input.parse()?;
        if input.peek(Token![;]) {
            input.parse::<Token![;]>()?;
            return Ok(Self {
                attrs,
                vis,
                default,
                sig,
                inner_attrs: Vec::new(),
                body: None,
            });
        }
        let (inner_attrs, body) = parse_body(input)?;
        Ok(Self {
            attrs,
            vis,
            default,
            sig,
            inner_attrs,
            body: Some(body),
        })
    }

    /// The same function with another body, which takes the place of `old`.
    pub(crate) fn with_body(&self, old: &Group, body: TokenStream) -> TokenStream {
        let Self {
            attrs,
            vis,
            default,
            sig,
            inner_attrs,
            ..
        } = self;
        let body = braced_like(old, quote!(#(#inner_attrs)* #body));
        quote!(#(#attrs)* #vis #default #sig #body)
    }
}

impl ToTokens for Function {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match &self.body {
            Some(body) => tokens.extend(self.with_body(body, body.stream())),
            None => {
                let Self {
                    attrs,
                    vis,
                    default,
                    sig,
                    ..
                } = self;
                tokens.extend(quote!(#(#attrs)* #vis #default #sig;));
            }
        }
    }
}

impl Container {
    /// Reads an impl block, trait or inline module; anything else is left in the input.
    fn parse(attrs: &[Attribute], input: ParseStream<'_>) -> Result<Option<Self>> {
        let ahead = input.fork();
        let _: Visibility = ahead.parse()?;
        let _: Option<Token![default]> = ahead.parse()?;
        let _: Option<Token![unsafe]> = ahead.parse()?;
        let (place, (header, qualifier)) = if ahead.peek(Token![impl]) {
            (Place::Impl, header::impl_block(input)?)
        } else if ahead.peek(Token![trait]) && header::is_trait_definition(&ahead)? {
            (Place::Trait, header::trait_definition(input)?)
        } else if ahead.peek(Token![mod]) && ahead.peek3(token::Brace) {
            (Place::Module, header::module(input)?)
        } else {
            return Ok(None);
        };
        let (inner_attrs, body) = parse_body(input)?;
        let members = (|input: ParseStream<'_>| {
            let mut members = Vec::new();
            while !input.is_empty() {
                members.push(Item::parse_in(input, place)?);
            }
            Ok(members)
        })
        .parse2(body.stream())?;
        Ok(Some(Self {
            attrs: attrs.to_vec(),
            header,
            qualifier,
            body,
            inner_attrs,
            members,
        }))
    }

    /// The same container with other members.
    pub(crate) fn with_members(&self, members: TokenStream) -> TokenStream {
        let Self {
            attrs,
            header,
            inner_attrs,
            ..
        } = self;
        let body = braced_like(&self.body, quote!(#(#inner_attrs)* #members));
        quote!(#(#attrs)* #header #body)
    }
}

impl ToTokens for Container {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let members = &self.members;
        tokens.extend(self.with_members(quote!(#(#members)*)));
    }
}

impl Other {
    fn parse(attrs: Vec<Attribute>, input: ParseStream<'_>, place: Place) -> Result<Self> {
        let (tokens, noun) = match place {
            Place::Module => {
                let item = input.parse::<syn::Item>()?;
                (item.to_token_stream(), noun_of(&item))
            }
            Place::Impl => (
                input.parse::<syn::ImplItem>()?.to_token_stream(),
                "an associated item that is no function",
            ),
            Place::Trait => (
                input.parse::<syn::TraitItem>()?.to_token_stream(),
                "an associated item that is no function",
            ),
        };
        Ok(Self {
            attrs,
            tokens,
            noun,
        })
    }
}

impl ToTokens for Other {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.append_all(&self.attrs);
        self.tokens.to_tokens(tokens);
    }
}

/// A block in the place of another.
pub(crate) fn braced_like(old: &Group, content: TokenStream) -> Group {
    let mut group = Group::new(Delimiter::Brace, content);
    group.set_span(old.span());
    group
}

/// A body as a block inside of another: nobody wrote these braces, so no lint may call them superfluous.
pub(crate) fn nested(body: &Group) -> Group {
    let mut group = Group::new(Delimiter::Brace, body.stream());
    group.set_span(generated_at(body.span()));
    group
}

/// Reads a braced body and takes the inner attributes off its front.
fn parse_body(input: ParseStream<'_>) -> Result<(Vec<Attribute>, Group)> {
    if !input.peek(token::Brace) {
        return Err(input.error("expected `{`"));
    }
    let group = input.step(|cursor| {
        // A body that comes out of a `macro_rules!` fragment is wrapped in an invisible group.
        let mut at = *cursor;
        let mut rest = None;
        while let Some((inside, _, after)) = at.group(Delimiter::None) {
            at = inside;
            rest.get_or_insert(after);
        }
        match at.token_tree() {
            Some((TokenTree::Group(group), after)) => Ok((group, rest.unwrap_or(after))),
            _ => Err(cursor.error("expected `{`")),
        }
    })?;
    let split = |input: ParseStream<'_>| {
        let attrs = input.call(Attribute::parse_inner)?;
        Ok((attrs, input.parse::<TokenStream>()?))
    };
    let (attrs, rest) = split.parse2(group.stream())?;
    debug_assert!(
        attrs
            .iter()
            .all(|attr| matches!(attr.style, AttrStyle::Inner(_)))
    );
    if attrs.is_empty() {
        return Ok((attrs, group));
    }
    let body = braced_like(&group, rest);
    Ok((attrs, body))
}

/// Whether a function follows, after its attributes and visibility.
fn peek_function(input: ParseStream<'_>) -> Result<bool> {
    let ahead = input.fork();
    let _: Option<Token![default]> = ahead.parse()?;
    let _: Option<Token![const]> = ahead.parse()?;
    let _: Option<Token![async]> = ahead.parse()?;
    let _: Option<Token![safe]> = if ahead.peek2(Token![fn]) {
        ahead.parse()?
    } else {
        None
    };
    let _: Option<Token![unsafe]> = ahead.parse()?;
    if ahead.parse::<Option<Token![extern]>>()?.is_some() {
        let _: Option<LitStr> = ahead.parse()?;
    }
    Ok(ahead.peek(Token![fn]))
}

fn noun_of(item: &syn::Item) -> &'static str {
    match item {
        syn::Item::Const(_) => "a constant",
        syn::Item::Enum(_) => "an enum",
        syn::Item::ExternCrate(_) => "an `extern crate`",
        syn::Item::ForeignMod(_) => "a block of foreign functions",
        syn::Item::Macro(_) => "a macro",
        syn::Item::Mod(_) => "a module in a file of its own",
        syn::Item::Static(_) => "a static",
        syn::Item::Struct(_) => "a struct",
        syn::Item::TraitAlias(_) => "a trait alias",
        syn::Item::Type(_) => "a type alias",
        syn::Item::Union(_) => "a union",
        syn::Item::Use(_) => "an import",
        _ => "something else",
    }
}

/// Where to show a mistake about an item as a whole.
pub(crate) fn place_of(item: &Item) -> Span {
    match item {
        Item::Function(function) => function.sig.ident.span(),
        Item::Container(container) => container.header.span(),
        Item::Other(other) => other.tokens.span(),
    }
}
