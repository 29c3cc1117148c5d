//! `span!`.

use insta::assert_snapshot;
use proc_macro2::{Delimiter, Group, TokenStream};
use quote::quote;

fn span(input: TokenStream) -> String {
    let expression = crate::span::expand(input, crate::span::Form::Span);
    super::pretty(quote!(const SPAN: Span = #expression;))
}

#[test]
fn name_alone() {
    assert_snapshot!(span(quote!("charge")));
}

#[test]
fn attributes() {
    assert_snapshot!(span(
        quote!(NAME, order.id = id, card = %card.brand(), items = ?items, "a key" = 1)
    ));
}

#[test]
fn what_is_written_out_is_encoded_with_the_callsite() {
    // What `$value:literal` or `$value:expr` of the user's macro makes of a literal.
    let wrapped = Group::new(Delimiter::None, quote!("storefront"));
    assert_snapshot!(span(
        quote!("charge", channel = "web", shop = %#wrapped, zone = -1, last = i64::MIN, paid = true, debug = ?"web")
    ));
}

#[test]
fn options() {
    assert_snapshot!(span(
        quote!(kind: client, level: debug, target: "shop", parent: context, links: links, crate: crate::renamed, "charge", id = id)
    ));
}

#[test]
fn values_that_leave_the_function_are_in_no_closure() {
    assert_snapshot!(span(quote!("charge", id = id, balance = balance().await?)));
}
