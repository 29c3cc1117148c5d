//! Expansions as they come out, one picture per feature, and the messages of mistakes.
//!
//! Spans are not seen here; the UI tests look at those.

mod containers;
mod entries;
mod functions;
mod loops;
mod mistakes;
mod roles;
mod spans;

use proc_macro2::TokenStream;

/// The expansion of `#[traced(args)] item`, formatted, with the path into the facade shortened to `P`.
fn traced(args: TokenStream, item: TokenStream) -> String {
    pretty(crate::traced::expand(args, item))
}

fn pretty(items: TokenStream) -> String {
    let text = match syn::parse2(items.clone()) {
        Ok(file) => prettyplease::unparse(&file),
        Err(error) => panic!("not a list of items: {error}\n{items}"),
    };
    text.replace("::throughline::__private", "P")
}

/// The messages in an expansion, one a line; empty if there are none.
fn messages(expansion: TokenStream) -> String {
    let mut messages = Vec::new();
    collect_messages(expansion, &mut messages);
    messages.join("\n")
}

fn collect_messages(tokens: TokenStream, messages: &mut Vec<String>) {
    let mut after_compile_error = false;
    for token in tokens {
        match token {
            proc_macro2::TokenTree::Group(group) if after_compile_error => {
                let text: syn::LitStr =
                    syn::parse2(group.stream()).expect("compile_error! has a string");
                messages.push(text.value());
                after_compile_error = false;
            }
            proc_macro2::TokenTree::Group(group) => collect_messages(group.stream(), messages),
            proc_macro2::TokenTree::Ident(ident) if ident == "compile_error" => {
                after_compile_error = true;
            }
            _ => {}
        }
    }
}
