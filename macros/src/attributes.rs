//! Span attributes as they are written: `order.id = %id, retries = n, "http.request.header.x-id" = ?header`.
//!
//! Shared by `attrs(…)` and `span!`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote_spanned;
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Error, Expr, ExprLit, ExprReference, ExprUnary, Lit, LitStr, Result, Token, UnOp};

use crate::mistakes::Mistakes;
use crate::vocabulary::Format;

/// One attribute.
#[derive(Clone)]
pub(crate) struct Attribute {
    pub(crate) key: String,
    span: Span,
    /// `None` for a value that is recorded as what it is.
    format: Option<Format>,
    value: Expr,
    /// Whether the annotation has it by itself, so that another layer may have recorded it already.
    is_roles: bool,
}

impl Attribute {
    /// An attribute that an annotation has by itself.
    pub(crate) fn new(key: &str, format: Option<Format>, value: Expr) -> Self {
        Self {
            key: key.to_owned(),
            span: crate::tokens::first_span(&value),
            format,
            value,
            is_roles: true,
        }
    }

    /// Reads one entry and adds it, unless its key is there already.
    pub(crate) fn parse_into(input: ParseStream<'_>, list: &mut Vec<Self>) -> Result<()> {
        let (key, span) = parse_key(input)?;
        let duplicate = list.iter().any(|other| other.key == key);
        parse_equals(input, &key, span)?;
        let format = Format::parse_sign(input)?;
        let value = input.parse::<Expr>()?;
        if duplicate {
            return Err(Error::new(span, format!("duplicate attribute `{key}`")));
        }
        list.push(Self {
            key,
            span,
            format,
            value,
            is_roles: false,
        });
        Ok(())
    }

    /// Whether the value needs a receiver.
    pub(crate) fn mentions_self(&self) -> bool {
        let value = &self.value;
        crate::tokens::contains_ident(quote::quote!(#value), "self")
    }

    /// Whether the value has to be evaluated in the function that it stands in, not in a closure.
    pub(crate) fn must_stay(&self) -> bool {
        let value = &self.value;
        crate::tokens::leaves_its_function(quote::quote!(#value))
    }

    /// The attribute as the callsite has it, if its value is written out: `"key" = ("value")`.
    pub(crate) fn constant(&self) -> Option<TokenStream> {
        let (minus, lit) = literal(&self.value)?;
        let key = LitStr::new(&self.key, crate::tokens::generated_at(self.span));
        let at = crate::tokens::generated_at(lit.span());
        match (lit, self.format) {
            (Lit::Str(text), None | Some(Format::Display)) if minus.is_none() => {
                Some(quote_spanned!(at=> #key = (#text),))
            }
            (Lit::Int(number), None) => {
                let number = number.base10_parse::<i64>().ok()?;
                Some(quote_spanned!(at=> #key = int (#minus #number),))
            }
            (Lit::Bool(truth), None) if minus.is_none() => {
                Some(quote_spanned!(at=> #key = bool (#truth),))
            }
            _ => None,
        }
    }

    /// The statement that records it on `live`, a local variable of type `&mut LiveSpan`.
    ///
    /// `is_shared`: the span may be another layer's.
    pub(crate) fn record(
        &self,
        private: &TokenStream,
        live: &Ident,
        is_shared: bool,
    ) -> TokenStream {
        let key = LitStr::new(&self.key, crate::tokens::generated_at(self.span));
        let place = crate::tokens::first_span(&self.value);
        let at = crate::tokens::generated_at(place);
        let private = crate::tokens::placed(private, place);
        // Borrowed, since the body still wants the value; the printer adds parentheses where precedence asks for them.
        let value = ExprReference {
            attrs: Vec::new(),
            and_token: Token![&](at),
            mutability: None,
            expr: Box::new(self.value.clone()),
        };
        let value = match self.format {
            None => quote_spanned!(at=> #value),
            Some(Format::Display) => quote_spanned!(at=> #private::display(#value)),
            Some(Format::Debug) => quote_spanned!(at=> #private::debug(#value)),
        };
        let attribute = Ident::new(
            if is_shared && self.is_roles {
                "set_attribute"
            } else {
                "attribute"
            },
            at,
        );
        // A path, since a trait of the user's may have a method of that name.
        quote_spanned!(at=> #private::LiveSpan::#attribute(#live, const { &#private::wire::key!(#key) }, #value);)
    }
}

/// A value that is written out, and its sign: also where it came through a macro of the user's, which wraps it.
fn literal(value: &Expr) -> Option<(Option<Token![-]>, &Lit)> {
    match value {
        Expr::Lit(ExprLit { lit, .. }) => Some((None, lit)),
        Expr::Group(group) => literal(&group.expr),
        Expr::Unary(ExprUnary {
            op: UnOp::Neg(minus),
            expr,
            ..
        }) => match literal(expr)? {
            (None, lit) => Some((Some(*minus), lit)),
            _ => None,
        },
        _ => None,
    }
}

/// Reads the inside of `attrs(…)`.
pub(crate) fn parse_list(input: ParseStream<'_>, mistakes: &mut Mistakes) -> Vec<Attribute> {
    let mut list = Vec::new();
    mistakes.each_entry(input, |input| Attribute::parse_into(input, &mut list));
    list
}

fn parse_key(input: ParseStream<'_>) -> Result<(String, Span)> {
    if let Some(text) = input.parse::<Option<LitStr>>()? {
        if text.value().is_empty() {
            return Err(Error::new(
                text.span(),
                "an attribute key must not be empty",
            ));
        }
        return Ok((text.value(), text.span()));
    }
    if input.peek(Token![%]) || input.peek(Token![?]) {
        return Err(input.error("an attribute has a key: `key = %value`"));
    }
    if !input.peek(Ident::peek_any) {
        return Err(
            input.error("expected an attribute, as in `order.id = %id` or `\"order.id\" = %id`")
        );
    }
    let first = input.call(Ident::parse_any)?;
    let span = first.span();
    let mut key = first.unraw().to_string();
    while input.peek(Token![.]) {
        input.parse::<Token![.]>()?;
        if !input.peek(Ident::peek_any) {
            return Err(input.error(
                "a key of other characters is written as a string: `\"order.1st-id\" = …`",
            ));
        }
        key.push('.');
        key.push_str(&input.call(Ident::parse_any)?.unraw().to_string());
    }
    Ok((key, span))
}

fn parse_equals(input: ParseStream<'_>, key: &str, span: Span) -> Result<()> {
    if input.parse::<Option<Token![=]>>()?.is_some() {
        return Ok(());
    }
    Err(if input.is_empty() || input.peek(Token![,]) {
        let name = key.rsplit('.').next().unwrap_or(key);
        Error::new(
            span,
            format!(
                "an attribute has a value: `{key} = {name}`, `{key} = %{name}` or `{key} = ?{name}`"
            ),
        )
    } else if input.peek(Token![:]) {
        input.error(format!("an attribute is written with `=`: `{key} = …`"))
    } else if input.peek(Token![-]) {
        input.error("a key of other characters is written as a string: `\"order-id\" = …`")
    } else {
        input.error("expected `=`")
    })
}
