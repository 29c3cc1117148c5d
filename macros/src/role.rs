//! `#[actor]`, `#[consumer]`, `#[producer]` and `#[projection]`: what they say is put into the words of `#[traced]`.
//!
//! Owns their arguments, the names and attributes of their spans, and which functions are handlers and which receive
//! messages in a loop of their own. How a function runs in a span is `function`'s, what a receive loop is `receive`'s.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::parse::ParseStream;
use syn::{Error, Expr, FnArg, LitStr, Pat, PathArguments, Result, Signature, Type};

use crate::attributes::Attribute;
use crate::function::Traced;
use crate::item::{Container, Function, Item, place_of};
use crate::mistakes::Mistakes;
use crate::options::{Handler, Options, OwnArguments, equals};
use crate::receive::{self, Receives};
use crate::start::MESSAGE_TYPE;
use crate::tokens::{first_span, local};
use crate::vocabulary::Format;

/// What a function does with messages.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Actor,
    Consumer,
    Producer,
    Projection,
}

impl Role {
    const fn word(self) -> &'static str {
        match self {
            Self::Actor => "actor",
            Self::Consumer => "consumer",
            Self::Producer => "producer",
            Self::Projection => "projection",
        }
    }
}

/// `#[role(args)] item`. On any mistake the item comes out as it went in, with the messages beside it.
pub(crate) fn expand(role: Role, args: TokenStream, item: TokenStream) -> TokenStream {
    let mut mistakes = Mistakes::default();
    let mut own = Arguments::new(role);
    let mut options = Options::parse_with(args, &mut own, &mut mistakes);
    check(&own, &mut options, &mut mistakes);
    options.kind = options.kind.or(match role {
        Role::Actor | Role::Projection => None,
        Role::Consumer => Some("Consumer"),
        Role::Producer => Some("Producer"),
    });
    let Some(parsed) = mistakes.check(Item::parse(item.clone())) else {
        let errors = mistakes.into_compile_errors();
        return quote!(#item #errors);
    };
    let expanded = match &parsed {
        Item::Function(function) => own.single(function, &options, &mut mistakes),
        Item::Container(container) => own.container(container, &options, &mut mistakes),
        Item::Other(other) => {
            let message = format!(
                "`#[{}]` is for functions, methods and impl blocks; this is {}",
                role.word(),
                other.noun
            );
            mistakes.at(place_of(&parsed), message);
            TokenStream::new()
        }
    };
    if mistakes.is_empty() {
        return expanded;
    }
    let errors = mistakes.into_compile_errors();
    quote!(#parsed #errors)
}

fn check(own: &Arguments, options: &mut Options, mistakes: &mut Mistakes) {
    for (inspect, advice) in [
        (
            options.err.take(),
            "an error that is returned here is recorded without `err`",
        ),
        (
            options.ret.take(),
            "`ret` is for `#[traced]`: write it on a function inside",
        ),
    ] {
        if let Some(inspect) = inspect {
            mistakes.at(inspect.span, advice);
        }
    }
    for argument in own.missing() {
        let message = format!("`#[{}]` needs `{argument}`", own.role.word());
        mistakes.at(Span::call_site(), message);
    }
}

/// What a role has to say that `#[traced]` has no word for.
#[derive(Clone)]
struct Arguments {
    role: Role,
    /// `message` of an actor, `event` of a projection: what the span is named after, if not a type.
    subject: Option<Value>,
    system: Option<Value>,
    destination: Option<Value>,
    batch: Option<Span>,
    /// The word `loop`.
    receives: Option<Span>,
    projection: Option<LitStr>,
    stream: Option<Value>,
    sequence: Option<Value>,
}

/// A value as an attribute has it.
#[derive(Clone)]
struct Value {
    format: Option<Format>,
    expr: Expr,
}

impl Value {
    fn parse(input: ParseStream<'_>, key: &Ident, example: &str) -> Result<Self> {
        equals(input, key, example)?;
        let format = Format::parse_sign(input)?;
        let expr = input.parse()?;
        Ok(Self { format, expr })
    }

    fn text(text: &str) -> Self {
        let expr = syn::parse_quote!(#text);
        Self { format: None, expr }
    }

    /// The text, if it is written out.
    fn constant(&self) -> Option<String> {
        match &self.expr {
            Expr::Lit(syn::ExprLit {
                lit: syn::Lit::Str(text),
                ..
            }) => Some(text.value()),
            _ => None,
        }
    }
}

impl OwnArguments for Arguments {
    fn list(&self) -> &'static str {
        match self.role {
            Role::Actor => "`message`, `loop`",
            Role::Consumer => "`system`, `destination`, `batch`, `loop`",
            Role::Producer => "`system`, `destination`",
            Role::Projection => "`event`, `stream`, `sequence`, `loop`",
        }
    }

    fn entry(&mut self, key: &Ident, input: ParseStream<'_>) -> Option<Result<()>> {
        let word = key.to_string();
        let (place, example) = match (self.role, word.as_str()) {
            (Role::Actor, "message") => (&mut self.subject, "message = %message.kind()"),
            (Role::Projection, "event") => (&mut self.subject, "event = %event.kind()"),
            (Role::Projection, "stream") => (&mut self.stream, "stream = %event.stream_id"),
            (Role::Projection, "sequence") => (&mut self.sequence, "sequence = event.sequence"),
            (Role::Consumer | Role::Producer, "system") => (&mut self.system, "system = \"kafka\""),
            (Role::Consumer | Role::Producer, "destination") => {
                (&mut self.destination, "destination = %topic")
            }
            (Role::Consumer, "batch") => {
                let again = self.batch.replace(key.span()).is_some();
                return Some(unless_again(again, key));
            }
            (Role::Actor | Role::Consumer | Role::Projection, "loop") => {
                let again = self.receives.replace(key.span()).is_some();
                return Some(unless_again(again, key));
            }
            (Role::Projection, "name") => {
                let read = equals(input, key, "name = \"goal_summary\"");
                let name = read.and_then(|()| input.parse::<LitStr>());
                return Some(
                    name.and_then(|name| {
                        unless_again(self.projection.replace(name).is_some(), key)
                    }),
                );
            }
            _ => return None,
        };
        let value = Value::parse(input, key, example);
        Some(value.and_then(|value| unless_again(place.replace(value).is_some(), key)))
    }
}

fn unless_again(again: bool, key: &Ident) -> Result<()> {
    if again {
        let message = format!("duplicate argument `{key}`");
        return Err(Error::new(key.span(), message));
    }
    Ok(())
}

impl Arguments {
    const fn new(role: Role) -> Self {
        Self {
            role,
            subject: None,
            system: None,
            destination: None,
            batch: None,
            receives: None,
            projection: None,
            stream: None,
            sequence: None,
        }
    }

    fn missing(&self) -> Vec<&'static str> {
        let mut missing = Vec::new();
        match self.role {
            Role::Actor => (),
            Role::Consumer | Role::Producer => {
                if self.system.is_none() {
                    missing.push("system = \"…\"");
                }
                if self.destination.is_none() {
                    missing.push("destination = \"…\"");
                }
            }
            Role::Projection => {
                if self.projection.is_none() {
                    missing.push("name = \"…\"");
                }
            }
        }
        missing
    }

    /// Every handler of a block; the other members stay what they are.
    fn container(
        &self,
        container: &Container,
        options: &Options,
        mistakes: &mut Mistakes,
    ) -> TokenStream {
        let qualifier = container.qualifier.as_deref();
        let is_handler =
            |member: &Item| matches!(member, Item::Function(member) if is_handler(member));
        let handlers = container.members.iter().any(is_handler);
        let loops = self.of_loops(options, handlers);
        let mut members = TokenStream::new();
        let mut found = handlers;
        for member in &container.members {
            match member {
                Item::Function(function) if is_handler(member) => {
                    members.extend(self.function(function, options, qualifier, false, mistakes));
                }
                Item::Function(function) if is_loop(function) => {
                    found = true;
                    let (own, options) = &loops;
                    members.extend(own.function(function, options, qualifier, true, mistakes));
                }
                other => other.to_tokens(&mut members),
            }
        }
        if !found {
            let message = format!(
                "there is no handler in this block: `#[{}]` is for methods that are called `handle` or `handle_…`, \
                 take `self` and a message, and have a body, and for those that are called `run` or `run_…` and \
                 receive messages in a loop: `while let Some(message) = ….recv().await {{ … }}`",
                self.role.word()
            );
            mistakes.at(Span::call_site(), message);
        }
        container.with_members(members)
    }

    /// What an annotation on a block says of the loops in it. What it says of a message it says of the handlers, where
    /// there are some: a loop hands the message to one of them, and its span is the handler's.
    fn of_loops(&self, options: &Options, handlers: bool) -> (Self, Options) {
        let (mut own, mut options) = (self.clone(), options.clone());
        if handlers {
            own.subject = None;
            own.stream = None;
            own.sequence = None;
            own.batch = None;
            options.attrs = Vec::new();
        }
        (own, options)
    }

    /// What the annotation on a function says about the function: whether it receives messages.
    fn single(
        &self,
        function: &Function,
        options: &Options,
        mistakes: &mut Mistakes,
    ) -> TokenStream {
        let receives = match self.receives(function) {
            Ok(receives) => receives,
            Err(error) => {
                mistakes.add(error);
                return function.to_token_stream();
            }
        };
        self.function(function, options, None, receives, mistakes)
    }

    /// A function that is given no message receives it; `loop` says that it does so whatever it is given.
    fn receives(&self, function: &Function) -> Result<bool> {
        let Some(body) = &function.body else {
            return Ok(false);
        };
        if self.role == Role::Producer || self.receives.is_none() && gets_message(&function.sig) {
            return Ok(false);
        }
        let place = self.receives.unwrap_or_else(|| function.sig.ident.span());
        let advice = match receive::find(&function.sig, body) {
            Receives::InLoop => return Ok(true),
            Receives::Elsewhere => {
                "the loop that receives messages is in a block or closure that runs elsewhere: move the loop into a \
                 function of its own, and annotate that"
            }
            Receives::Nothing if self.receives.is_some() => {
                "there is no loop here that receives messages: `while let Some(message) = ….recv().await { … }`, or the \
                 same with `recv_async`, `next` or `try_next`, or with one that blocks, `while let Ok(message) = \
                 ….recv() { … }`; a `for` is one if it goes through an argument whose type is called `…Receiver`"
            }
            Receives::Nothing => return Ok(false),
        };
        Err(Error::new(place, advice))
    }

    fn function(
        &self,
        function: &Function,
        options: &Options,
        qualifier: Option<&str>,
        receives: bool,
        mistakes: &mut Mistakes,
    ) -> TokenStream {
        let described = self.describe(&function.sig, options, qualifier, receives);
        let Some(options) = mistakes.check(described) else {
            return function.to_token_stream();
        };
        Traced {
            function,
            options: &options,
            qualifier,
            direct: true,
        }
        .expand(mistakes)
    }

    /// The options of one function: its name, the attributes of the role, and those that the user gave.
    fn describe(
        &self,
        sig: &Signature,
        options: &Options,
        qualifier: Option<&str>,
        receives: bool,
    ) -> Result<Options> {
        let mut options = options.clone();
        if receives {
            self.check_loop(&options)?;
        }
        let mut attrs = Vec::new();
        let mut put = |key: &str, value: Value| {
            attrs.push(Attribute::new(key, value.format, value.expr));
        };
        let (name, subject) = match self.role {
            Role::Actor => {
                let function = sig.ident.to_string();
                if let Some(qualifier) = qualifier {
                    put("actor.type", Value::text(qualifier));
                }
                let message = self.subject(sig, receives)?;
                put("actor.message.type", message.clone());
                (qualifier.unwrap_or(&function).to_owned(), message)
            }
            Role::Consumer | Role::Producer => {
                let operation = if self.role == Role::Consumer {
                    "process"
                } else {
                    "send"
                };
                put("messaging.operation.name", Value::text(operation));
                put("messaging.operation.type", Value::text(operation));
                let destination = self.destination.clone().unwrap_or_else(|| Value::text(""));
                if let Some(system) = self.system.clone() {
                    put("messaging.system", system);
                }
                put("messaging.destination.name", destination.clone());
                if let Some(batch) = self.batch {
                    put("messaging.batch.message_count", count_of(sig, batch)?);
                }
                (operation.to_owned(), destination)
            }
            Role::Projection => {
                let name = self.projection.as_ref().map(LitStr::value);
                let name = name.unwrap_or_default();
                put("projection.name", Value::text(&name));
                let event = self.subject(sig, receives)?;
                put("projection.event.type", event.clone());
                if let Some(stream) = self.stream.clone() {
                    put("projection.stream.id", stream);
                }
                if let Some(sequence) = self.sequence.clone() {
                    put("projection.sequence", sequence);
                }
                (format!("project {name}"), event)
            }
        };
        let mut handler = Handler {
            joins: self.role != Role::Producer,
            subject: None,
            receives,
        };
        if options.name.is_none() {
            let name = match subject.constant() {
                Some(subject) => format!("{name} {subject}"),
                None => {
                    handler.subject = Some((subject.format, subject.expr));
                    name
                }
            };
            options.name = Some(syn::parse_quote!(#name));
        }
        options.handler = Some(handler);
        attrs.retain(|of_role: &Attribute| options.attrs.iter().all(|own| own.key != of_role.key));
        attrs.append(&mut options.attrs);
        options.attrs = attrs;
        Ok(options)
    }

    /// What can be said of a function, and not of each message that it receives.
    fn check_loop(&self, options: &Options) -> Result<()> {
        if let Some(batch) = self.batch {
            let message = "`batch` is for a function that is given several records; a loop receives one at a time";
            return Err(Error::new(batch, message));
        }
        if let Some(parent) = &options.parent {
            let message = "the span of a message that is received relates to its sender's, as the receiver's policy says: \
                           remove `parent`";
            return Err(Error::new(first_span(parent), message));
        }
        Ok(())
    }

    /// What is handled: what the annotation says, else the type of what is received or of the first argument.
    fn subject(&self, sig: &Signature, receives: bool) -> Result<Value> {
        if let Some(subject) = self.subject.clone() {
            return Ok(subject);
        }
        if receives {
            let message_type = local(MESSAGE_TYPE);
            let expr = syn::parse_quote!(#message_type);
            return Ok(Value { format: None, expr });
        }
        let name = first_argument(sig).and_then(|(_, ty)| type_name(ty));
        name.map(|name| Value::text(&name)).ok_or_else(|| {
            let word = if self.role == Role::Projection {
                "event"
            } else {
                "message"
            };
            let message = format!(
                "no argument of a named type is there to be handled: say what it is with `{word} = \"…\"`, or receive it \
                 here, in a loop: `while let Some({word}) = ….recv().await {{ … }}`"
            );
            Error::new(sig.ident.span(), message)
        })
    }
}

/// Whether a method of a block handles messages, as far as its name and arguments tell.
fn is_handler(function: &Function) -> bool {
    let name = function.sig.ident.to_string();
    (name == "handle" || name.starts_with("handle_"))
        && function.body.is_some()
        && function.sig.receiver().is_some()
        && first_argument(&function.sig).is_some()
}

/// Whether a method of a block receives messages by itself, as far as its name and its body tell.
fn is_loop(function: &Function) -> bool {
    let name = function.sig.ident.to_string();
    (name == "run" || name.starts_with("run_"))
        && function
            .body
            .as_ref()
            .is_some_and(|body| receive::find(&function.sig, body) == Receives::InLoop)
}

/// Whether a function is given what it handles. What messages come from is none.
fn gets_message(sig: &Signature) -> bool {
    let name = first_argument(sig).and_then(|(_, ty)| type_name(ty));
    name.is_some_and(|name| !receive::is_source(&name))
}

/// The first argument after `self`.
fn first_argument(sig: &Signature) -> Option<(&Pat, &Type)> {
    sig.inputs.iter().find_map(|input| match input {
        FnArg::Typed(typed) => Some((&*typed.pat, &*typed.ty)),
        FnArg::Receiver(_) => None,
    })
}

/// How many messages the first argument is.
fn count_of(sig: &Signature, batch: Span) -> Result<Value> {
    let name = match first_argument(sig) {
        Some((Pat::Ident(name), _)) => &name.ident,
        _ => {
            return Err(Error::new(
                batch,
                "`batch` counts the first argument by its `len()`: give it a name",
            ));
        }
    };
    let expr = syn::parse_quote!(#name.len());
    Ok(Value { format: None, expr })
}

/// The name of the type, without references and without what only wraps a message on its way.
pub(crate) fn type_name(ty: &Type) -> Option<String> {
    match ty {
        Type::Reference(reference) => type_name(&reference.elem),
        Type::Paren(paren) => type_name(&paren.elem),
        Type::Group(group) => type_name(&group.elem),
        Type::Slice(slice) => type_name(&slice.elem),
        Type::Array(array) => type_name(&array.elem),
        Type::Path(path) => {
            let last = path.path.segments.last()?;
            let name = last.ident.to_string();
            if WRAPPERS.contains(&name.as_str())
                && let PathArguments::AngleBracketed(arguments) = &last.arguments
            {
                return arguments.args.iter().find_map(|argument| match argument {
                    syn::GenericArgument::Type(ty) => type_name(ty),
                    _ => None,
                });
            }
            Some(name)
        }
        _ => None,
    }
}

/// Types that say nothing of what is in them.
const WRAPPERS: [&str; 6] = ["Delivery", "Envelope", "Vec", "Box", "Arc", "Option"];
