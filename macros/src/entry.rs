//! `#[throughline::main]` and `#[throughline::test]`: functions that run in a runtime of their own, with a pipeline.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Error, FnArg, LitInt, LitStr, Path, Result, ReturnType, Signature};

use crate::function::return_hint;
use crate::item::{Function, Item, braced_like, nested};
use crate::mistakes::Mistakes;
use crate::options::{crate_path, equals};
use crate::shape;
use crate::start::private;
use crate::tokens::{generated, generated_at};

/// `#[throughline::main(args)] fn main`.
pub(crate) fn main(args: TokenStream, item: TokenStream) -> TokenStream {
    expand(Role::Main, args, item)
}

/// `#[throughline::test(args)] fn test`.
pub(crate) fn test(args: TokenStream, item: TokenStream) -> TokenStream {
    expand(Role::Test, args, item)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Main,
    Test,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Test => "test",
        }
    }
}

fn expand(role: Role, args: TokenStream, item: TokenStream) -> TokenStream {
    let mut mistakes = Mistakes::default();
    let runtime = Runtime::parse(role, args, &mut mistakes);
    let function = match mistakes.check(Item::parse(item.clone())) {
        Some(Item::Function(function)) => Some(function),
        Some(_) => {
            let message = format!("`#[throughline::{}]` goes on a function", role.name());
            mistakes.at(crate::tokens::first_span(&item), message);
            None
        }
        None => None,
    };
    let mut expanded = None;
    if let Some(mut function) = function {
        check(role, &mut function, &mut mistakes);
        expanded = body(role, &runtime, &function);
    }
    // Expanded all the same, since an `async fn main` as it stands is one more mistake in the eyes of the compiler.
    let item = expanded.unwrap_or(item);
    let errors = mistakes.into_compile_errors();
    quote!(#item #errors)
}

fn body(role: Role, runtime: &Runtime, function: &Function) -> Option<TokenStream> {
    let outside = function.body.as_ref()?;
    let old = &nested(outside);
    if role == Role::Main && !function.sig.inputs.is_empty() || function.sig.inputs.len() > 1 {
        return None;
    }
    let private = private(runtime.krate.as_ref());
    let at = generated();
    let Signature {
        asyncness,
        inputs,
        output,
        ..
    } = &function.sig;
    let capture = inputs.iter().map(|input| quote!(#input));
    let with = if inputs.is_empty() { "" } else { "_with" };
    let call = match asyncness {
        Some(keyword) => {
            let name = Ident::new(&format!("block_on_{}{with}", role.name()), at);
            let values = runtime.literal(&private);
            let hint = return_hint(&private, output);
            let block = if hint.is_empty() {
                old.clone()
            } else {
                braced_like(old, quote!(#hint #old))
            };
            let future = quote_spanned!(generated_at(keyword.span)=> async move #block);
            let closure = (!inputs.is_empty()).then(|| quote_spanned!(at=> |#(#capture)*|));
            quote_spanned!(at=> #private::#name(#values, #closure #future))
        }
        None => {
            let name = Ident::new(&format!("run_{}{with}", role.name()), at);
            let ty = match output {
                ReturnType::Default => quote_spanned!(at=> -> ()),
                ReturnType::Type(_, ty) => {
                    let ty = shape::erase_impl_trait(ty)
                        .map_or_else(|| quote_spanned!(at=> _), |ty| quote!(#ty));
                    quote_spanned!(at=> -> #ty)
                }
            };
            quote_spanned!(at=> #private::#name(|#(#capture)*| #ty #old))
        }
    };
    let mut attrs = function.attrs.clone();
    if role == Role::Test {
        attrs.push(test_attribute());
    }
    let function = Function {
        attrs,
        vis: function.vis.clone(),
        default: None,
        sig: Signature {
            asyncness: None,
            inputs: Punctuated::new(),
            ..function.sig.clone()
        },
        inner_attrs: function.inner_attrs.clone(),
        body: None,
    };
    Some(function.with_body(outside, call))
}

/// The absolute path of the built-in attribute, since an import of our own `test` hides the plain one.
fn test_attribute() -> Attribute {
    syn::parse_quote!(#[::core::prelude::v1::test])
}

/// Finds what speaks against the attribute, and takes off what would be a second mistake.
fn check(role: Role, function: &mut Function, mistakes: &mut Mistakes) {
    let Signature {
        inputs,
        constness,
        ident,
        ..
    } = &function.sig;
    if function.body.is_none() {
        mistakes.at(
            ident.span(),
            format!(
                "`#[throughline::{}]` needs a function with a body",
                role.name()
            ),
        );
    }
    if let Some(keyword) = constness {
        mistakes.at(
            keyword.span,
            format!("`#[throughline::{}]` cannot run a `const fn`", role.name()),
        );
    }
    match role {
        Role::Main => {
            if let Some(first) = inputs.first() {
                mistakes.at(first.span(), "the main function takes no arguments");
            }
        }
        Role::Test => {
            if let Some(second) = inputs.iter().nth(1) {
                mistakes.at(
                    second.span(),
                    "a test takes one argument at most: the capture",
                );
            }
            if let Some(FnArg::Receiver(receiver)) = inputs.first() {
                mistakes.at(
                    receiver.self_token.span,
                    "a test is a function, not a method",
                );
            }
        }
    }
    for attr in function
        .attrs
        .extract_if(.., |attr| advice(role, attr).is_some())
    {
        mistakes.at(attr.path().span(), advice(role, &attr).unwrap_or_default());
    }
}

/// What to say about an attribute that does the same.
fn advice(role: Role, attr: &Attribute) -> Option<&'static str> {
    let path: Vec<String> = attr
        .path()
        .segments
        .iter()
        .map(|segment| segment.ident.to_string())
        .collect();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    Some(match (role, path.as_slice()) {
        (Role::Test, ["test"] | ["core" | "std", "prelude", _, "test"]) => {
            "remove it: `#[throughline::test]` adds it"
        }
        (Role::Test, ["tokio" | "async_std" | "smol_potat" | "actix_rt", "test"]) => {
            "remove it: `#[throughline::test]` starts the runtime"
        }
        (
            Role::Main,
            [
                "tokio" | "async_std" | "smol_potat" | "actix_web" | "actix_rt",
                "main",
            ],
        ) => "remove it: `#[throughline::main]` starts the runtime",
        _ => return None,
    })
}

/// The arguments of both attributes.
struct Runtime {
    multi_thread: Option<bool>,
    worker_threads: Option<LitInt>,
    krate: Option<Path>,
    default: bool,
}

impl Runtime {
    fn parse(role: Role, args: TokenStream, mistakes: &mut Mistakes) -> Self {
        // As tokio's attributes have it: an application uses the machine, a test does not.
        let mut runtime = Self {
            multi_thread: None,
            worker_threads: None,
            krate: None,
            default: role == Role::Main,
        };
        let parser = |input: ParseStream<'_>| {
            mistakes.each_entry(input, |input| runtime.entry(input));
            Ok(())
        };
        if let Err(error) = parser.parse2(args) {
            mistakes.add(error);
        }
        if let (Some(threads), false) = (&runtime.worker_threads, runtime.is_multi_thread()) {
            mistakes.at(
                threads.span(),
                "`worker_threads` needs `flavor = \"multi_thread\"`",
            );
        }
        runtime
    }

    fn is_multi_thread(&self) -> bool {
        self.multi_thread.unwrap_or(self.default)
    }

    fn literal(&self, private: &TokenStream) -> TokenStream {
        let multi_thread = self.is_multi_thread();
        let at = generated();
        let threads = match &self.worker_threads {
            Some(threads) => quote_spanned!(at=> #private::Option::Some(#threads)),
            None => quote_spanned!(at=> #private::Option::None),
        };
        quote_spanned!(at=> #private::Runtime { multi_thread: #multi_thread, worker_threads: #threads })
    }

    fn entry(&mut self, input: ParseStream<'_>) -> Result<()> {
        let key = if input.peek(Ident::peek_any) {
            input.call(Ident::parse_any)?
        } else {
            return Err(input.error(format!("expected one of {KEY_LIST}")));
        };
        let duplicate = || Error::new(key.span(), format!("duplicate argument `{key}`"));
        match key.to_string().as_str() {
            "flavor" => {
                equals(input, &key, "flavor = \"current_thread\"")?;
                let flavor = flavor(input)?;
                if self.multi_thread.replace(flavor).is_some() {
                    return Err(duplicate());
                }
            }
            "worker_threads" => {
                equals(input, &key, "worker_threads = 4")?;
                let threads = input.parse::<LitInt>()?;
                if threads.base10_parse::<usize>()? == 0 {
                    return Err(Error::new(threads.span(), "`worker_threads` must not be 0"));
                }
                if self.worker_threads.replace(threads).is_some() {
                    return Err(duplicate());
                }
            }
            "crate" => {
                let path = crate_path(input, &key)?;
                if self.krate.replace(path).is_some() {
                    return Err(duplicate());
                }
            }
            other => {
                let message = match other {
                    "multi_thread" | "current_thread" => {
                        format!("the flavor is written `flavor = \"{other}\"`")
                    }
                    "core_threads" => format!(
                        "it is called `worker_threads` here; the valid arguments are {KEY_LIST}"
                    ),
                    _ => format!("unknown argument `{other}`; the valid arguments are {KEY_LIST}"),
                };
                return Err(Error::new(key.span(), message));
            }
        }
        Ok(())
    }
}

const KEY_LIST: &str = "`flavor`, `worker_threads`, `crate`";

/// Whether the flavor is the one of several threads.
fn flavor(input: ParseStream<'_>) -> Result<bool> {
    let list = "`\"multi_thread\"` and `\"current_thread\"`";
    if !input.peek(LitStr) {
        return Err(input.error(format!("the flavor is a string; the valid ones are {list}")));
    }
    let text = input.parse::<LitStr>()?;
    match text.value().as_str() {
        "multi_thread" => Ok(true),
        "current_thread" => Ok(false),
        other => Err(Error::new(
            text.span(),
            format!("unknown flavor `{other}`; the valid ones are {list}"),
        )),
    }
}
