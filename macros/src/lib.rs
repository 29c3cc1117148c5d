//! The attribute macros of Throughline.
#![forbid(unsafe_code)]

mod attributes;
mod entry;
mod function;
mod helper;
mod item;
mod mistakes;
mod options;
mod shape;
mod span;
mod start;
mod tokens;
mod traced;
mod vocabulary;

use proc_macro::TokenStream;

/// Traced.
#[proc_macro_attribute]
pub fn traced(args: TokenStream, item: TokenStream) -> TokenStream {
    traced::expand(args.into(), item.into()).into()
}

/// Skip.
#[proc_macro_attribute]
pub fn skip(_args: TokenStream, item: TokenStream) -> TokenStream {
    traced::misplaced_skip(item.into()).into()
}

/// Main.
#[proc_macro_attribute]
pub fn main(args: TokenStream, item: TokenStream) -> TokenStream {
    entry::main(args.into(), item.into()).into()
}

/// Test.
#[proc_macro_attribute]
pub fn test(args: TokenStream, item: TokenStream) -> TokenStream {
    entry::test(args.into(), item.into()).into()
}

/// Span.
#[proc_macro]
pub fn span(input: TokenStream) -> TokenStream {
    span::expand(input.into()).into()
}
