//! One traced function: the same signature, and a body that runs in a span.

use proc_macro2::{Group, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{FnArg, Ident, Pat, ReceiverKind, ReturnType, Signature, Type};

use crate::header::plain_name;
use crate::item::{Function, braced_like, nested};
use crate::mistakes::Mistakes;
use crate::options::{Inspect, Options};
use crate::receive::{self, Marks};
use crate::shape::{self, Shape};
use crate::spawns;
use crate::start::{Start, private};
use crate::tokens::{contains_ident, generated, generated_at, line_of, local, may_use, placed};
use crate::vocabulary::Format;

/// A function to be traced, and where the wish comes from.
pub(crate) struct Traced<'a> {
    pub(crate) function: &'a Function,
    pub(crate) options: &'a Options,
    /// The type or trait, when the annotation stands on its block.
    pub(crate) qualifier: Option<&'a str>,
    /// Whether the annotation stands on the function itself: then it must be possible.
    pub(crate) direct: bool,
}

impl Traced<'_> {
    pub(crate) fn expand(&self, mistakes: &mut Mistakes) -> TokenStream {
        let Self {
            function, direct, ..
        } = self;
        let sig = &function.sig;
        let Some(body) = &function.body else {
            if *direct {
                mistakes.at(
                    sig.ident.span(),
                    "`#[traced]` needs a body: annotate the method in the impl blocks, or give this one a default body",
                );
            }
            return function.to_token_stream();
        };
        if let Some(keyword) = &sig.constness {
            if *direct {
                mistakes.at(
                    keyword.span,
                    "a `const fn` cannot be traced, since it may run at compile time: remove `const` or `#[traced]`",
                );
            }
            return function.to_token_stream();
        }
        self.check_inspection(mistakes);
        self.check_handler(mistakes);
        let carried = match self.options.spawns {
            None | Some(true) => spawns::carry(body, &self.private()),
            Some(false) => None,
        };
        let body = carried.as_ref().unwrap_or(body);
        if self
            .options
            .handler
            .as_ref()
            .is_some_and(|handler| handler.receives)
        {
            return function.with_body(body, self.loop_body(body));
        }
        let inside = &nested(body);
        match Shape::of(sig, body) {
            Shape::Sync => function.with_body(body, self.sync_body(inside)),
            Shape::Async => function.with_body(body, self.async_body(inside)),
            Shape::ImplFuture => function.with_body(body, self.future_body(inside)),
            Shape::Boxed(tail) => {
                let span = local("__span");
                let start = self.start(|start| start.expression());
                let wrapped = tail.with_future(|future| {
                    self.in_span(Begun::AtTheCall, &span.to_token_stream(), future)
                });
                let rest = braced_like(inside, wrapped);
                function.with_body(
                    body,
                    quote_spanned!(generated()=> let #span = #start; #rest),
                )
            }
            Shape::UnknownBox => {
                mistakes.at(
                    match &sig.output {
                        ReturnType::Type(_, ty) => ty.span(),
                        ReturnType::Default => sig.ident.span(),
                    },
                    "`#[traced]` cannot see the future in this box: end the body with `Box::pin(…)`, make it an \
                     `async fn`, return `impl Future`, or leave it out with `#[skip]`",
                );
                function.to_token_stream()
            }
        }
    }

    fn private(&self) -> TokenStream {
        private(self.options.krate.as_ref())
    }

    /// What `expression` makes of what is known at the start of a span.
    fn start<R>(&self, expression: impl FnOnce(&Start<'_>) -> R) -> R {
        let Self {
            options, qualifier, ..
        } = self;
        let ident = plain_name(&self.function.sig.ident);
        let function = match qualifier {
            Some(qualifier) => format!("{qualifier}::{ident}"),
            None => ident,
        };
        let name = match &options.name {
            Some(name) => name.to_token_stream(),
            None => quote_spanned!(generated()=> #function),
        };
        expression(&Start {
            line: line_of(self.function.sig.ident.span()),
            private: &self.private(),
            name,
            function: Some(&function),
            kind: options.kind,
            level: options.level,
            target: options.target.as_ref(),
            parent: options.parent.as_ref(),
            links: options.links.as_ref(),
            attrs: &options.attrs,
            handler: options.handler.as_ref(),
        })
    }

    fn check_inspection(&self, mistakes: &mut Mistakes) {
        let output = shape::output(&self.function.sig);
        if let (Some(err), Some(what)) = (self.options.err, output.is_no_result()) {
            mistakes.at(
                err.span,
                format!("`err` records the error of a `Result`, but this function returns {what}"),
            );
        }
        if let (Some(ret), true) = (self.options.ret, output.is_nothing()) {
            mistakes.at(
                ret.span,
                "`ret` records the returned value, but this function returns nothing",
            );
        }
    }

    /// A span that may be another layer's is told its attributes in a closure.
    fn check_handler(&self, mistakes: &mut Mistakes) {
        if self.options.handler.is_none() {
            return;
        }
        for attr in self.options.attrs.iter().filter(|attr| attr.must_stay()) {
            let message = format!(
                "`{}` may neither wait nor return here: bind its value in the body and record it on `current()`",
                attr.key
            );
            mistakes.at(self.function.sig.ident.span(), message);
        }
    }

    /// A guard on the stack, and a closure only where the outcome is looked at: `return` and `?` must not pass by.
    fn sync_body(&self, body: &Group) -> TokenStream {
        let private = self.private();
        let entered = self.start(|start| start.entered());
        let guard = local("__guard");
        let enter = quote_spanned!(generated()=> let #guard = #entered;);
        if self.options.err.is_none()
            && self.options.ret.is_none()
            && self.options.handler.is_none()
        {
            return quote!(#enter #body);
        }
        let [result, span] = [local("__result"), local("__span")];
        let ty = self.output();
        if self.options.handler.is_some() {
            let tell = self.tell(&quote_spanned!(generated()=> &#result));
            return quote_spanned! {generated()=>
                #enter
                let #result = #private::call(|| #ty #body);
                #tell
                #private::Span::end(#private::SpanGuard::exit(#guard));
                #result
            };
        }
        let inspect = self.inspect_calls(
            &quote_spanned!(generated()=> &#result),
            &quote_spanned!(generated()=> &mut #span),
        );
        // No `move`: arguments that the body does not consume stay where they are, and are dropped in their order.
        quote_spanned! {generated()=>
            #enter
            let #result = #private::call(|| #ty #body);
            let mut #span = #private::SpanGuard::exit(#guard);
            #inspect
            #private::Span::end(#span);
            #result
        }
    }

    /// `-> Type`, as the closure of a sync function has it.
    fn output(&self) -> TokenStream {
        match &self.function.sig.output {
            ReturnType::Default => quote_spanned!(generated()=> -> ()),
            ReturnType::Type(_, ty) => {
                let at = generated_at(ty.span());
                let ty = shape::erase_impl_trait(ty)
                    .map(|ty| quote!(#ty))
                    .unwrap_or_else(|| quote_spanned!(at=> _));
                quote_spanned!(at=> -> #ty)
            }
        }
    }

    fn async_body(&self, body: &Group) -> TokenStream {
        let start = self.start(|start| start.expression());
        let future = self.async_block(body);
        let wrapped = self.in_span(Begun::InThisPoll, &start, &future);
        quote_spanned!(generated()=> #wrapped.await)
    }

    /// The function has no span, and each message that it receives in a loop has one.
    fn loop_body(&self, body: &Group) -> TokenStream {
        let private = self.private();
        let (callsite, fill) = self.start(|start| start.of_messages());
        let marks = Marks {
            private: &private,
            callsite,
            fill,
        };
        let sig = &self.function.sig;
        let marked = nested(&receive::mark(sig, body, &marks));
        let out = local("__out");
        let tell = self.tell(&out.to_token_stream());
        if sig.asyncness.is_none() {
            let ty = self.output();
            return quote_spanned! {generated()=>
                #private::call_in_turns(|| #ty #marked, |#out| { #tell })
            };
        }
        let future = self.async_block(&marked);
        quote_spanned!(generated()=> #private::in_turns(#future, |#out| { #tell }).await)
    }

    /// The body of an async function, as a future.
    fn async_block(&self, body: &Group) -> TokenStream {
        let sig = &self.function.sig;
        let place = sig
            .asyncness
            .map_or_else(Span::call_site, |keyword| keyword.span);
        let hint = return_hint(&self.private(), &sig.output);
        let order = keep_drop_order(sig, body);
        let block = if hint.is_empty() && order.is_empty() {
            body.to_token_stream()
        } else {
            braced_like(body, quote!(#hint #order #body)).to_token_stream()
        };
        // Shown at the user's `async`, so that "future is not `Send`" points there.
        quote_spanned!(generated_at(place)=> async move #block)
    }

    fn future_body(&self, body: &Group) -> TokenStream {
        let start = self.start(|start| start.expression());
        let span = local("__span");
        // A `return` of this function would go past the wrapper. One inside of an async block would not, but telling them
        // apart needs a parser, and the closure costs nothing.
        let future = if contains_ident(body.stream(), "return") {
            let private = self.private();
            quote_spanned!(generated()=> #private::call(|| #body))
        } else {
            body.to_token_stream()
        };
        let wrapped = self.in_span(Begun::AtTheCall, &span.to_token_stream(), &future);
        quote_spanned!(generated()=> let #span = #start; #wrapped)
    }

    /// The future `future` in the span `span`, and looked at when it is ready.
    fn in_span(&self, begun: Begun, span: &TokenStream, future: &TokenStream) -> TokenStream {
        let private = self.private();
        let at = generated();
        let [out, of] = [local("__out"), local("__of")];
        if self.options.handler.is_some() {
            let in_span = Ident::new(begun.wrapper(), at);
            let tell = self.tell(&out.to_token_stream());
            return quote_spanned! {at=>
                #private::#in_span(#span, #private::told(#future, |#out| { #tell }))
            };
        }
        if self.options.err.is_none() && self.options.ret.is_none() {
            let in_span = Ident::new(begun.wrapper(), at);
            return quote_spanned!(at=> #private::#in_span(#span, #future));
        }
        // A closure even around one call: a type that does not fit is then one mistake at the word `err`, while a path
        // would fail the bounds of the call and those of the await.
        let calls = self.inspect_calls(&out.to_token_stream(), &of.to_token_stream());
        let in_span = Ident::new(&format!("{}_inspect", begun.wrapper()), at);
        quote_spanned!(at=> #private::#in_span(#span, #future, |#out, #of| { #calls }))
    }

    /// Statements that record the error in `out` (a reference), if it can be one, on the span that is current.
    fn tell(&self, out: &TokenStream) -> TokenStream {
        if shape::output(&self.function.sig).is_never() {
            return quote_spanned!(generated()=> let _ = #out;);
        }
        let private = self.private();
        let handler = self.options.handler.as_ref();
        let failed = match handler.is_some_and(|handler| handler.joins) {
            true => quote_spanned!(generated()=> handler_failed),
            false => quote_spanned!(generated()=> operation_failed),
        };
        quote_spanned! {generated()=>
            {
                use #private::{ToldDebug as _, ToldDisplay as _, ToldFailure as _, ToldNothing as _};
                (&&&&#private::Told(#out, #private::#failed)).tell();
            }
        }
    }

    /// Statements that record the outcome `out` (a reference) in `span`. With `err`, `ret` means the value of `Ok`.
    fn inspect_calls(&self, out: &TokenStream, span: &TokenStream) -> TokenStream {
        let private = self.private();
        let err = self.options.err.map(|err| {
            let function = inspect_function(&private, "err", err);
            let out = placed(out, err.span);
            quote_spanned!(generated_at(err.span)=> #function(#out, #span);)
        });
        let ret = self.options.ret.map(|ret| {
            let function = inspect_function(&private, "ret", ret);
            let at = generated_at(ret.span);
            let private = placed(&private, ret.span);
            let out = placed(out, ret.span);
            if err.is_none() {
                return quote_spanned!(at=> #function(#out, #span););
            }
            let ok = Ident::new("__ok", at);
            quote_spanned! {at=>
                if let #private::Option::Some(#ok) = #private::Result::ok(#private::Result::as_ref(#out)) {
                    #function(#ok, #span);
                }
            }
        });
        quote!(#ret #err)
    }
}

fn inspect_function(private: &TokenStream, what: &str, inspect: Inspect) -> TokenStream {
    let format = match inspect.format {
        Format::Debug => "debug",
        Format::Display => "display",
    };
    let at = generated_at(inspect.span);
    let private = placed(private, inspect.span);
    let name = Ident::new(&format!("inspect_{what}_{format}"), at);
    quote_spanned!(at=> #private::#name)
}

/// When the span of a future starts: the time until its first poll is idle time, if there is any.
#[derive(Clone, Copy)]
enum Begun {
    /// In the first poll, as the body of an async function does.
    InThisPoll,
    /// When the function is called, which returns the future.
    AtTheCall,
}

impl Begun {
    const fn wrapper(self) -> &'static str {
        match self {
            Self::InThisPoll => "in_span",
            Self::AtTheCall => "in_earlier_span",
        }
    }
}

/// A way out of the async block that is never taken and says what the block yields: without it, the types of `?`, of
/// coercions and of `return` would have to be found from the inside alone.
pub(crate) fn return_hint(private: &TokenStream, output: &ReturnType) -> TokenStream {
    let at = match output {
        ReturnType::Default => generated(),
        ReturnType::Type(_, ty) => generated_at(ty.span()),
    };
    let ty = match output {
        ReturnType::Default => quote_spanned!(at=> ()),
        ReturnType::Type(_, ty) => match shape::erase_impl_trait(ty) {
            Some(ty) => ty.into_token_stream(),
            None => return TokenStream::new(),
        },
    };
    let private = placed(private, at);
    let ret = Ident::new("__ret", at);
    quote_spanned! {at=>
        if let #private::Option::Some(#ret) = #private::Option::None::<#ty> {
            return #ret;
        }
    }
}

/// A statement that makes the async block take over the arguments in the order in which the function would drop them:
/// a block drops what it captured in the order in which it first names it.
///
/// Only arguments that the body names, or that want no use: the others keep their "unused variable", and are dropped by
/// the function itself.
fn keep_drop_order(sig: &Signature, body: &Group) -> TokenStream {
    let mut names = Vec::new();
    for input in &sig.inputs {
        match input {
            // With attributes, the argument may not be there in the end.
            FnArg::Typed(typed)
                if typed.attrs.is_empty() && !matches!(*typed.ty, Type::Reference(_)) =>
            {
                collect_names(&typed.pat, &mut names);
            }
            // `self` comes first and is dropped last, as the block does by itself if it is named last.
            FnArg::Typed(_) | FnArg::Receiver(_) => {}
        }
    }
    names.retain(|name| {
        let name = name.to_string();
        name.starts_with('_') || may_use(body.stream(), &name)
    });
    let owned_self = sig
        .receiver()
        .is_some_and(|receiver| !matches!(receiver.kind, ReceiverKind::Reference(..)));
    if names.len() + usize::from(owned_self) < 2 || names.is_empty() {
        return TokenStream::new();
    }
    // Clippy would take this for a use of what its name calls unused.
    let underscore = names.iter().any(|name| name.to_string().starts_with('_'));
    let quiet =
        underscore.then(|| quote_spanned!(generated()=> #[allow(clippy::used_underscore_binding)]));
    let names = names.iter().rev();
    quote_spanned!(generated()=> #quiet let _ = (#(&#names,)*);)
}

fn collect_names<'a>(pat: &'a Pat, names: &mut Vec<&'a Ident>) {
    match pat {
        Pat::Ident(pat) => {
            names.push(&pat.ident);
            if let Some((_, pat)) = &pat.subpat {
                collect_names(pat, names);
            }
        }
        Pat::Paren(pat) => collect_names(&pat.pat, names),
        Pat::Reference(pat) => collect_names(&pat.pat, names),
        Pat::Slice(pat) => pat.elems.iter().for_each(|pat| collect_names(pat, names)),
        Pat::Struct(pat) => pat
            .fields
            .iter()
            .for_each(|field| collect_names(&field.pat, names)),
        Pat::Tuple(pat) => pat.elems.iter().for_each(|pat| collect_names(pat, names)),
        Pat::TupleStruct(pat) => pat.elems.iter().for_each(|pat| collect_names(pat, names)),
        Pat::Type(pat) => collect_names(&pat.pat, names),
        _ => {}
    }
}
