//! The expression that starts a span: the static callsite, the parent, the attributes and links.
//!
//! Shared by `#[traced]` and `span!`.

use proc_macro2::{Literal, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Expr, Ident, Path};

use crate::attributes::Attribute;
use crate::options::Handler;
use crate::tokens::{
    contains_ident, first_span, generated, generated_at, leaves_its_function, local, placed,
};
use crate::vocabulary::{Format, Word};

/// What is known about a span at its start.
pub(crate) struct Start<'a> {
    pub(crate) private: &'a TokenStream,
    /// A constant expression of type `&str`.
    pub(crate) name: TokenStream,
    /// The function, qualified by its type; unknown for blocks.
    pub(crate) function: Option<&'a str>,
    /// The line of the function, where the line of the expansion is another one: an attribute stands above, maybe on
    /// a whole block.
    pub(crate) line: Option<usize>,
    pub(crate) kind: Option<Word>,
    pub(crate) level: Option<Word>,
    pub(crate) target: Option<&'a Expr>,
    pub(crate) parent: Option<&'a Expr>,
    pub(crate) links: Option<&'a Expr>,
    pub(crate) attrs: &'a [Attribute],
    pub(crate) handler: Option<&'a Handler>,
}

impl Start<'_> {
    /// An expression of type `Span`.
    pub(crate) fn expression(&self) -> TokenStream {
        let callsite = self.callsite();
        if !self.operates() {
            return self.start_at(&callsite);
        }
        let (private, made) = (self.private, local("__callsite"));
        let start = self.start_at(&made.to_token_stream());
        quote_spanned! {generated()=>
            {
                let #made = #callsite;
                #private::operation(#start, #made)
            }
        }
    }

    /// The same at a callsite, which is named once.
    fn start_at(&self, callsite: &TokenStream) -> TokenStream {
        let private = self.private;
        let parent = self.parent();
        let at = generated();
        if self.joins() {
            let live = local("__live");
            let fill = self.fill(&live);
            if fill.is_empty() {
                return quote_spanned!(at=> #private::start_constant_handler(#callsite));
            }
            return quote_spanned!(at=> #private::start_handler(#callsite, |#live| { #fill }));
        }
        if self.is_constant() {
            return match parent {
                None => quote_spanned!(at=> #private::Span::start(#callsite)),
                Some(parent) => {
                    quote_spanned!(at=> #private::Span::start_with(#callsite, #parent))
                }
            };
        }
        let live = local("__live");
        let fill = self.fill(&live);
        if !self.must_stay() {
            return match parent {
                None => quote_spanned!(at=> #private::start(#callsite, |#live| { #fill })),
                Some(parent) => {
                    quote_spanned!(at=> #private::start_with(#callsite, #parent, |#live| { #fill }))
                }
            };
        }
        // The block ends the borrow of the local variable, so an async function does not keep it across its await.
        let span = local("__span");
        let start = match parent {
            None => quote_spanned!(at=> #private::Span::start(#callsite)),
            Some(parent) => quote_spanned!(at=> #private::Span::start_with(#callsite, #parent)),
        };
        quote_spanned! {at=>
            {
                let mut #span = #start;
                if let #private::Option::Some(#live) = #private::Span::recording(&mut #span) {
                    #fill
                }
                #span
            }
        }
    }

    /// An expression of type `SpanGuard`.
    pub(crate) fn entered(&self) -> TokenStream {
        let private = self.private;
        let at = generated();
        if self.joins() || self.operates() || self.must_stay() {
            let span = self.expression();
            return quote_spanned!(at=> #private::Span::enter(#span));
        }
        let callsite = self.callsite();
        let live = local("__live");
        let fill = self.fill(&live);
        let fill = if fill.is_empty() {
            quote_spanned!(at=> |_| ())
        } else {
            quote_spanned!(at=> |#live| { #fill })
        };
        match self.parent() {
            None => quote_spanned!(at=> #private::enter(#callsite, #fill)),
            Some(parent) => quote_spanned!(at=> #private::enter_with(#callsite, #parent, #fill)),
        }
    }

    /// Whether there is nothing to record that the callsite does not know.
    fn is_constant(&self) -> bool {
        self.links.is_none()
            && self.attrs.iter().all(|attr| attr.constant().is_some())
            && self.handler.is_none_or(|handler| handler.subject.is_none())
    }

    /// The callsite of the spans of messages that the function receives, and the closure that fills such a span: it is
    /// given the type of the message.
    pub(crate) fn of_messages(&self) -> (TokenStream, TokenStream) {
        let at = generated();
        let [live, message] = [local("__live"), local(MESSAGE_TYPE)];
        let fill = self.fill(&live);
        let message = if contains_ident(fill.clone(), MESSAGE_TYPE) {
            message.to_token_stream()
        } else {
            quote_spanned!(at=> _)
        };
        (
            self.callsite(),
            quote_spanned!(at=> |#live, #message| { #fill }),
        )
    }

    fn parent(&self) -> Option<TokenStream> {
        self.parent.map(|parent| {
            let place = first_span(parent);
            let at = generated_at(place);
            let private = placed(self.private, place);
            quote_spanned!(at=> #private::Parent::from(#parent))
        })
    }

    /// Whether the span of a layer further out may serve for this one.
    fn joins(&self) -> bool {
        self.parent.is_none() && self.handler.is_some_and(|handler| handler.joins)
    }

    /// Whether it is the span of an operation on messages, which is measured.
    fn operates(&self) -> bool {
        self.handler.is_some_and(|handler| !handler.joins)
    }

    /// Whether attributes and links have to be evaluated in the function itself, not in a closure.
    fn must_stay(&self) -> bool {
        self.attrs.iter().any(Attribute::must_stay)
            || self
                .links
                .is_some_and(|links| leaves_its_function(quote!(#links)))
    }

    /// The statements that record attributes and links on `live`.
    fn fill(&self, live: &Ident) -> TokenStream {
        let private = self.private;
        let attrs = self.attrs.iter().filter(|attr| attr.constant().is_none());
        let attrs = attrs.map(|attr| attr.record(private, live, self.joins()));
        let links = self.links.map(|links| {
            let place = first_span(links);
            let at = generated_at(place);
            let private = placed(private, place);
            quote_spanned!(at=> #private::add_links(#live, #links);)
        });
        let subject = self.handler.and_then(|handler| handler.subject.as_ref());
        let subject = subject.map(|(format, subject)| {
            let place = first_span(subject);
            let at = generated_at(place);
            let (private, name) = (placed(private, place), &self.name);
            let name_after = match format {
                None | Some(Format::Display) => quote_spanned!(at=> name_after),
                Some(Format::Debug) => quote_spanned!(at=> name_after_debug),
            };
            quote_spanned!(at=> #private::#name_after(#live, #name, &#subject);)
        });
        quote_spanned!(generated()=> #subject #(#attrs)* #links)
    }

    /// The static lives in a block of its own: it can neither meet nor shadow an item of the user's.
    fn callsite(&self) -> TokenStream {
        let Self {
            private,
            name,
            function,
            ..
        } = self;
        let at = generated();
        let kind = Ident::new(self.kind.unwrap_or("Internal"), at);
        let level = Ident::new(self.level.unwrap_or("Info"), at);
        let target = match self.target {
            Some(target) => quote_spanned!(at=> #target),
            None => quote_spanned!(at=> #private::module_path!()),
        };
        let function = function.map(|function| quote_spanned!(at=> function: #function,));
        let line = self.line.map(|line| {
            let line = Literal::usize_unsuffixed(line);
            quote_spanned!(at=> line: #line,)
        });
        let mut constants = self.attrs.iter().filter_map(Attribute::constant).peekable();
        let attributes = constants
            .peek()
            .is_some()
            .then(|| quote_spanned!(at=> , attributes: { #(#constants)* }));
        quote_spanned! {at=>
            {
                static __CALLSITE: #private::Callsite = #private::callsite! {
                    name: #name, #function #line kind: #kind, level: #level, target: #target #attributes
                };
                &__CALLSITE
            }
        }
    }
}

/// The variable that has the type of a message that is received.
pub(crate) const MESSAGE_TYPE: &str = "__message_type";

/// The way to everything that expansions use.
pub(crate) fn private(krate: Option<&Path>) -> TokenStream {
    let at = generated();
    match krate {
        Some(krate) => quote_spanned!(at=> #krate::__private),
        None => quote_spanned!(at=> ::throughline::__private),
    }
}
