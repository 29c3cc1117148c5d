//! The headers of impl blocks, traits and modules: everything before the body, and what the functions inside are
//! qualified by.
//!
//! Each function reads a header and returns it as the tokens it was.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::parse::ParseStream;
use syn::punctuated::Punctuated;
use syn::{
    Generics, Ident, Lifetime, Result, Token, Type, TypeParamBound, Visibility, WhereClause, token,
};

pub(crate) fn impl_block(input: ParseStream<'_>) -> Result<(TokenStream, Option<String>)> {
    let default: Option<Token![default]> = input.parse()?;
    let unsafety: Option<Token![unsafe]> = input.parse()?;
    let keyword: Token![impl] = input.parse()?;
    // `impl <T as Trait>::Type {}` is possible, so a `<` alone does not say that generics follow.
    let has_generics = input.peek(Token![<])
        && (input.peek2(Token![>])
            || input.peek2(Token![#])
            || input.peek2(Token![const])
            || (input.peek2(Lifetime) || input.peek2(Ident))
                && (input.peek3(Token![:]) && !input.peek3(Token![::])
                    || input.peek3(Token![,])
                    || input.peek3(Token![>])
                    || input.peek3(Token![=])));
    let generics = if has_generics {
        input.parse::<Generics>()?
    } else {
        Generics::default()
    };
    let polarity: Option<Token![!]> = input.parse()?;
    let first: Type = input.parse()?;
    let target: Option<(Token![for], Type)> = match input.parse::<Option<Token![for]>>()? {
        Some(keyword) => Some((keyword, input.parse()?)),
        None => None,
    };
    let bounds: Option<WhereClause> = input.parse()?;
    let qualifier = type_name(target.as_ref().map_or(&first, |(_, ty)| ty));
    let target = target.map(|(keyword, ty)| quote!(#keyword #ty));
    Ok((
        quote!(#default #unsafety #keyword #generics #polarity #first #target #bounds),
        Some(qualifier),
    ))
}

pub(crate) fn trait_definition(input: ParseStream<'_>) -> Result<(TokenStream, Option<String>)> {
    let vis: Visibility = input.parse()?;
    let unsafety: Option<Token![unsafe]> = input.parse()?;
    let keyword: Token![trait] = input.parse()?;
    let ident: Ident = input.parse()?;
    let generics: Generics = input.parse()?;
    let colon: Option<Token![:]> = input.parse()?;
    let mut supertraits = Punctuated::<TypeParamBound, Token![+]>::new();
    if colon.is_some() {
        while !input.peek(token::Brace) && !input.peek(Token![where]) {
            supertraits.push_value(input.parse()?);
            if !input.peek(Token![+]) {
                break;
            }
            supertraits.push_punct(input.parse()?);
        }
    }
    let bounds: Option<WhereClause> = input.parse()?;
    let qualifier = plain_name(&ident);
    Ok((
        quote!(#vis #unsafety #keyword #ident #generics #colon #supertraits #bounds),
        Some(qualifier),
    ))
}

pub(crate) fn module(input: ParseStream<'_>) -> Result<(TokenStream, Option<String>)> {
    let vis: Visibility = input.parse()?;
    let unsafety: Option<Token![unsafe]> = input.parse()?;
    let keyword: Token![mod] = input.parse()?;
    let ident: Ident = input.parse()?;
    Ok((quote!(#vis #unsafety #keyword #ident), None))
}

/// Trait aliases have no body.
pub(crate) fn is_trait_definition(input: ParseStream<'_>) -> Result<bool> {
    let ahead = input.fork();
    ahead.parse::<Token![trait]>()?;
    ahead.parse::<Ident>()?;
    let _: Generics = ahead.parse()?;
    Ok(!ahead.peek(Token![=]))
}

/// What a type is called in `Type::method`: its last name, or its tokens where it has none.
fn type_name(ty: &Type) -> String {
    match ty {
        Type::Path(path) => path
            .path
            .segments
            .last()
            .map(|segment| plain_name(&segment.ident))
            .unwrap_or_default(),
        Type::Reference(reference) => type_name(&reference.elem),
        Type::Paren(paren) => type_name(&paren.elem),
        Type::Group(group) => type_name(&group.elem),
        Type::Ptr(pointer) => type_name(&pointer.elem),
        Type::TraitObject(object) => object
            .bounds
            .iter()
            .find_map(|bound| match bound {
                TypeParamBound::Trait(bound) => bound
                    .path
                    .segments
                    .last()
                    .map(|segment| plain_name(&segment.ident)),
                _ => None,
            })
            .unwrap_or_default(),
        other => other.to_token_stream().to_string().replace(' ', ""),
    }
}

/// An identifier without `r#`.
pub(crate) fn plain_name(ident: &Ident) -> String {
    syn::ext::IdentExt::unraw(ident).to_string()
}
