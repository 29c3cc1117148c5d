//! A mistake leaves the item as it is, without the marks that only `#[traced]` knows.

use insta::assert_snapshot;
use proc_macro2::TokenStream;
use quote::quote;

use super::{messages, traced};

#[test]
fn function_stays_as_it_is() {
    assert_snapshot!(traced(
        quote!(fields(a), level = "debug", level = info),
        quote! {
            /// Documentation.
            #[traced]
            pub async fn work(&self) -> u8 {
                #![allow(unused)]
                1
            }
        }
    ));
}

#[test]
fn block_stays_as_it_is() {
    assert_snapshot!(traced(
        quote!(name = "many"),
        quote! {
            impl Type {
                #![allow(unused)]

                #[skip]
                fn one(&self) {}

                #[traced(err)]
                #[inline]
                const fn two(&self) {}
            }
        }
    ));
}

#[test]
fn what_is_no_item_stays_too() {
    let item = quote!(let x = 1;);
    let expansion = crate::traced::expand(quote!(), item.clone());
    assert!(expansion.to_string().starts_with(&item.to_string()));
    assert!(!messages(expansion).is_empty());
}

#[test]
fn every_mistake_is_named_once() {
    let found = |args: TokenStream| {
        messages(crate::traced::expand(
            args,
            quote!(
                fn f() {}
            ),
        ))
    };
    assert_eq!(found(quote!()), "");
    assert_snapshot!(
        found(quote!(name, , kind = 7, level = , attrs(a, b = 1, b = 2), unknown(x = 1, y), err, ret)),
        @r#"
    `name` takes a value: `name = "…"`
    expected one of `name`, `kind`, `level`, `target`, `attrs(…)`, `err`, `ret`, `parent`, `links`, `crate`
    expected one of `internal`, `server`, `client`, `producer`, `consumer`
    expected one of `trace`, `debug`, `info`, `warn`, `error`
    unknown argument `unknown`; the valid arguments are `name`, `kind`, `level`, `target`, `attrs(…)`, `err`, `ret`, `parent`, `links`, `crate`
    an attribute has a value: `a = a`, `a = %a` or `a = ?a`
    duplicate attribute `b`
    `err` records the error of a `Result`, but this function returns nothing
    `ret` records the returned value, but this function returns nothing
    "#
    );
}

#[test]
fn span_stays_an_expression_of_its_type() {
    let expansion = crate::span::expand(quote!("name", colour: red));
    assert!(
        expansion
            .to_string()
            .ends_with(":: throughline :: __private :: Span :: disabled () }")
    );
    assert_eq!(
        messages(expansion),
        "an attribute is written with `=`: `colour = …`"
    );
}

#[test]
fn unsuitable_skip() {
    assert_snapshot!(
        messages(crate::traced::misplaced_skip(quote!(fn f() {}))),
        @"`#[skip]` is for members of an impl block, trait or module that is annotated with `#[traced]`"
    );
}
