//! A mistake leaves the item as it is, without the marks that only `#[traced]` knows.

use insta::assert_snapshot;
use proc_macro2::{Group, TokenStream, TokenTree};
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
    expected one of `name`, `kind`, `level`, `target`, `attrs(…)`, `err`, `ret`, `parent`, `links`, `spawns`, `crate`
    expected one of `internal`, `server`, `client`, `producer`, `consumer`
    expected one of `trace`, `debug`, `info`, `warn`, `error`
    unknown argument `unknown`; the valid arguments are `name`, `kind`, `level`, `target`, `attrs(…)`, `err`, `ret`, `parent`, `links`, `spawns`, `crate`
    an attribute has a value: `a = a`, `a = %a` or `a = ?a`
    duplicate attribute `b`
    `err` records the error of a `Result`, but this function returns nothing
    `ret` records the returned value, but this function returns nothing
    "#
    );
}

#[test]
fn span_stays_an_expression_of_its_type() {
    let expansion = crate::span::expand(quote!("name", colour: red), crate::span::Form::Span);
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

/// What an editor hands over while somebody is typing: no token may be missed so badly that the macro panics, or that
/// the item is gone.
#[test]
fn missing_tokens_are_survived() {
    let args = quote!(name = "n", attrs(a.b = %x, "c" = y), err(Debug), parent = p, level = info);
    let items = [
        quote!(
            #[inline]
            pub async fn f<T: Copy>(&self, (a, b): (T, u8)) -> Result<T, E>
            where
                T: Send,
            {
                a.b()?;
                Ok(a)
            }
        ),
        quote!(
            fn f(self: Box<Self>) -> Pin<Box<dyn Future<Output = u8>>> {
                let x = 1;
                Box::pin(async move { x })
            }
        ),
        quote!(
            impl<T> Trait for Type<T> {
                #[skip]
                fn a() {}
                #[traced(ret)]
                const fn b();
                const C: u8 = 1;
                type D = u8;
            }
        ),
        quote!(
            pub trait Trait: Send {
                fn a(&self) -> impl Future {
                    async {}
                }
            }
        ),
        quote!(
            mod m {
                use x::y;
                impl Z {
                    fn a() {}
                }
                fn b() {}
            }
        ),
    ];
    for item in items {
        for broken in without_each_token(&item) {
            let _ = crate::traced::expand(args.clone(), broken.clone());
            let _ = crate::entry::main(quote!(flavor = "multi_thread"), broken.clone());
            let _ = crate::entry::test(quote!(), broken);
        }
        for broken in without_each_token(&args) {
            let expansion = crate::traced::expand(broken.clone(), item.clone());
            assert!(
                expansion.to_string().contains(" { "),
                "{broken} leaves nothing of the item"
            );
        }
    }
    for broken in without_each_token(&quote!(kind: client, parent: p, "name", a.b = %x, "c" = ?y)) {
        let _ = crate::span::expand(broken, crate::span::Form::Span);
    }
}

/// All that remains when one token is taken away, at any depth.
fn without_each_token(tokens: &TokenStream) -> Vec<TokenStream> {
    let trees: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let mut all = Vec::new();
    for (at, tree) in trees.iter().enumerate() {
        let with = |replacement: Option<TokenTree>| {
            trees[..at]
                .iter()
                .cloned()
                .chain(replacement)
                .chain(trees[at + 1..].iter().cloned())
                .collect()
        };
        all.push(with(None));
        if let TokenTree::Group(group) = tree {
            let inner = without_each_token(&group.stream());
            all.extend(
                inner
                    .into_iter()
                    .map(|inner| with(Some(Group::new(group.delimiter(), inner).into()))),
            );
        }
    }
    all
}
