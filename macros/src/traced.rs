//! `#[traced]` and `#[skip]`: from an annotated item to the functions inside.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::spanned::Spanned;

use crate::function::Traced;
use crate::helper::Helpers;
use crate::item::{Container, Function, Item, place_of};
use crate::mistakes::Mistakes;
use crate::options::Options;
use crate::shape;

/// `#[traced(args)] item`. On any mistake the item comes out as it went in, with the messages beside it.
pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut mistakes = Mistakes::default();
    let options = Options::parse(args, &mut mistakes);
    let Some(mut parsed) = mistakes.check(Item::parse(item.clone())) else {
        let errors = mistakes.into_compile_errors();
        return quote!(#item #errors);
    };
    let helpers = Helpers::take(parsed.attrs_mut(), options.krate.as_ref(), &mut mistakes);
    if let Some(skip) = &helpers.skip {
        mistakes.at(
            skip.path().span(),
            "`#[skip]` and `#[traced]` contradict each other: remove one",
        );
    } else if let Some(second) = &helpers.traced {
        mistakes.at(
            second.path().span(),
            "the item is annotated with `#[traced]` twice: join the arguments in one",
        );
    }
    let expanded = Walk {
        mistakes: &mut mistakes,
    }
    .item(&mut parsed, &options, None, true);
    if mistakes.is_empty() {
        return expanded;
    }
    let errors = mistakes.into_compile_errors();
    quote!(#parsed #errors)
}

/// `#[skip] item`, where no annotation around took it.
pub(crate) fn misplaced_skip(item: TokenStream) -> TokenStream {
    let mut mistakes = Mistakes::default();
    mistakes.at(
        proc_macro2::Span::call_site(),
        "`#[skip]` is for members of an impl block, trait or module that is annotated with `#[traced]`",
    );
    let errors = mistakes.into_compile_errors();
    quote!(#item #errors)
}

struct Walk<'a> {
    mistakes: &'a mut Mistakes,
}

impl Walk<'_> {
    fn item(
        &mut self,
        item: &mut Item,
        options: &Options,
        qualifier: Option<&str>,
        direct: bool,
    ) -> TokenStream {
        if let (Item::Other(other), true) = (&*item, direct) {
            let message = format!(
                "`#[traced]` is for functions, methods, impl blocks, traits and inline modules; this is {}",
                other.noun
            );
            self.mistakes.at(place_of(item), message);
        }
        match item {
            Item::Function(function) => Traced {
                function,
                options,
                qualifier,
                direct,
            }
            .expand(self.mistakes),
            Item::Container(container) => self.container(container, options),
            Item::Other(other) => other.to_token_stream(),
        }
    }

    fn container(&mut self, container: &mut Container, options: &Options) -> TokenStream {
        if let Some(name) = &options.name {
            self.mistakes.at(
                name.span(),
                "`name` names one span: write it on a function, as `#[traced(name = …)]`",
            );
        }
        let qualifier = container.qualifier.clone();
        let mut members = TokenStream::new();
        for member in &mut container.members {
            members.extend(self.member(member, options, qualifier.as_deref()));
        }
        container.with_members(members)
    }

    fn member(
        &mut self,
        member: &mut Item,
        outer: &Options,
        qualifier: Option<&str>,
    ) -> TokenStream {
        let helpers = Helpers::take(member.attrs_mut(), outer.krate.as_ref(), self.mistakes);
        if let Some(skip) = &helpers.skip {
            if let Item::Other(other) = &*member {
                self.mistakes.at(
                    skip.path().span(),
                    format!("there is nothing to skip: this is {}", other.noun),
                );
            }
            return member.to_token_stream();
        }
        let own = helpers
            .arguments()
            .map(|arguments| Options::parse(arguments, self.mistakes));
        let direct = own.is_some();
        let own = own.unwrap_or_default();
        let options = match &*member {
            Item::Function(function) => own.within(&applicable(outer, function)),
            Item::Container(_) | Item::Other(_) => own.within(outer),
        };
        self.item(member, &options, qualifier, direct)
    }
}

/// Those of a container's options that make sense for one function inside. What is written on the function itself is
/// taken at its word instead.
fn applicable(outer: &Options, function: &Function) -> Options {
    let output = shape::output(&function.sig);
    let mut options = outer.clone();
    if !output.is_result() {
        options.err = None;
    }
    if output.is_nothing() {
        options.ret = None;
    }
    if function.sig.receiver().is_none() {
        options.attrs.retain(|attr| !attr.mentions_self());
    }
    options
}
