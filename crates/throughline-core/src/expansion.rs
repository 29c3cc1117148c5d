//! What the expansions of the attribute macros call. Not public API: it changes with the macros.

use std::fmt;
use std::future::Future;

use crate::callsite::Callsite;
use crate::context::{Context, Parent};
use crate::current::current;
use crate::future::{FutureExt, InSpan, Inspect, NoInspection, WithContext};
use crate::kind::Status;
use crate::live::LiveSpan;
use crate::span::{Span, SpanGuard};
use crate::span_context::SpanContext;
use crate::{thread, turns, unwound, value};

pub use crate::handler::{failed as handler_failed, operation_failed};
pub use crate::received::{
    Arrived, ArrivedFromNobody, ArrivedFromSender, Carries, Each, Looking, Message, MessageInOne,
    MessageInTwo, MessageItself, Received, each, looking,
};
pub use crate::turns::{InTurns, Turn};

/// A static callsite with the location of its expansion, everything encoded at compile time.
///
/// Without `function:`, as for a block, there is no `code.function.name`: a macro cannot see what it stands in.
/// `attributes:` are those whose values are written out, in the form of `static_fields!`.
#[doc(hidden)]
#[macro_export]
macro_rules! __callsite {
    (name: $name:expr, $(function: $function:literal,)? kind: $($rest:tt)*) => {
        $crate::__callsite!(name: $name, $(function: $function,)? line: (::core::line!()), kind: $($rest)*)
    };
    (
        name: $name:expr,
        $(function: $function:literal,)?
        line: $line:tt,
        kind: $kind:ident,
        level: $level:ident,
        target: $target:expr
        $(, attributes: { $($attributes:tt)* })? $(,)?
    ) => {
        $crate::Callsite::new($crate::CallsiteSpec {
            name: $name,
            kind: $crate::SpanKind::$kind,
            level: $crate::Level::$level,
            target: $target,
            scope_name: ::core::env!("CARGO_PKG_NAME"),
            scope_version: ::core::env!("CARGO_PKG_VERSION"),
            static_fields: $crate::__wire::static_fields![
                $("code.function.name" = (::core::concat!(::core::module_path!(), "::", $function)),)?
                "code.file.path" = (::core::file!()),
                "code.line.number" = int ($line as i64),
                $($($attributes)*)?
            ],
        })
    };
}

/// Starts a span and lets `fill` record what it starts with, if it is recording.
///
/// What runs in an enabled callsite only is a function of its own, so that a disabled one is a load and a branch in the
/// function that has it.
#[inline(always)]
pub fn start(callsite: &'static Callsite, fill: impl FnOnce(&mut LiveSpan)) -> Span {
    if callsite.is_enabled() {
        start_enabled(callsite, fill)
    } else {
        Span::disabled()
    }
}

/// Like [`start`], where there is nothing to record.
#[inline(always)]
pub fn start_constant(callsite: &'static Callsite) -> Span {
    Span::start(callsite)
}

/// Like [`start`], under the given parent.
#[inline(always)]
pub fn start_with(
    callsite: &'static Callsite,
    parent: Parent,
    fill: impl FnOnce(&mut LiveSpan),
) -> Span {
    if callsite.is_enabled() {
        start_enabled_with(callsite, parent, fill)
    } else {
        Span::disabled()
    }
}

/// Starts a span, lets `fill` record what it starts with, and enters it: `start(…).enter()`, at less cost where the
/// trace is not sampled.
#[inline(always)]
pub fn enter(callsite: &'static Callsite, fill: impl FnOnce(&mut LiveSpan)) -> SpanGuard {
    if callsite.is_enabled() {
        enter_enabled(callsite, fill)
    } else {
        SpanGuard::disabled()
    }
}

/// Like [`enter`], under the given parent.
#[inline(always)]
pub fn enter_with(
    callsite: &'static Callsite,
    parent: Parent,
    fill: impl FnOnce(&mut LiveSpan),
) -> SpanGuard {
    if callsite.is_enabled() {
        enter_enabled_with(callsite, parent, fill)
    } else {
        SpanGuard::disabled()
    }
}

#[inline(never)]
fn start_enabled(callsite: &'static Callsite, fill: impl FnOnce(&mut LiveSpan)) -> Span {
    let mut span = Span::start(callsite);
    span.edit(fill);
    span
}

#[inline(never)]
fn start_enabled_with(
    callsite: &'static Callsite,
    parent: Parent,
    fill: impl FnOnce(&mut LiveSpan),
) -> Span {
    let mut span = Span::start_with(callsite, parent);
    span.edit(fill);
    span
}

#[inline(never)]
fn enter_enabled(callsite: &'static Callsite, fill: impl FnOnce(&mut LiveSpan)) -> SpanGuard {
    SpanGuard::start(callsite, fill)
}

#[inline(never)]
fn enter_enabled_with(
    callsite: &'static Callsite,
    parent: Parent,
    fill: impl FnOnce(&mut LiveSpan),
) -> SpanGuard {
    SpanGuard::start_with(callsite, &parent, fill)
}

/// Runs a future in a span that was started for it just now.
#[inline]
pub fn in_span<F: Future>(span: Span, future: F) -> InSpan<F> {
    InSpan::fresh(span, future, NoInspection)
}

/// Like [`in_span`], with a look at the output.
#[inline]
pub fn in_span_inspect<F, I>(span: Span, future: F, inspect: I) -> InSpan<F, I>
where
    F: Future,
    I: FnMut(&F::Output, &mut Span) + Inspect<F::Output>,
{
    InSpan::fresh(span, future, inspect)
}

/// Runs a future in a span that was started before, at the call that returned the future.
#[inline]
pub fn in_earlier_span<F: Future>(span: Span, future: F) -> InSpan<F> {
    InSpan::new(span, future, NoInspection)
}

/// Like [`in_earlier_span`], with a look at the output.
#[inline]
pub fn in_earlier_span_inspect<F, I>(span: Span, future: F, inspect: I) -> InSpan<F, I>
where
    F: Future,
    I: FnMut(&F::Output, &mut Span) + Inspect<F::Output>,
{
    InSpan::new(span, future, inspect)
}

/// Runs a function that handles each message it receives in a turn; `tell` looks at what it returns, if it returns from
/// within one.
#[inline]
pub fn in_turns<F: Future, T: Fn(&F::Output)>(future: F, tell: T) -> InTurns<F, T> {
    turns::in_turns(future, tell)
}

/// Like [`in_turns`], for a function that is not async: it blocks its thread until a message comes.
#[inline]
pub fn call_in_turns<R>(body: impl FnOnce() -> R, tell: impl FnOnce(&R)) -> R {
    turns::call_in_turns(body, tell)
}

/// Begins to handle a message that was received: until the turn is dropped. If none was received, nothing begins.
pub fn turn(arrived: Arrived, fill: impl FnOnce(&mut LiveSpan, &'static str)) -> Turn {
    if !arrived.is_message() {
        return no_turn();
    }
    turn_in(arrived.into_span(fill))
}

/// A turn of nothing, where no message was received.
pub fn no_turn() -> Turn {
    turns::no_turn()
}

/// Begins a turn in a span that was started just now.
pub fn turn_in(span: Span) -> Turn {
    turns::turn(span)
}

/// The outermost of the spans that the last panic on this thread came out of, since this was asked last.
pub fn take_unwound() -> Option<Context> {
    unwound::take()
}

/// A loop has ended, and its function goes on.
pub fn turns_are_over() {
    turns::turns_are_over();
}

/// Runs a closure; it lets expansions catch the `return`s and `?`s of a body without a lint about a called closure.
#[inline]
pub fn call<R>(body: impl FnOnce() -> R) -> R {
    body()
}

/// A future that is spawned in a traced body: the span is current wherever it is polled.
///
/// Without a bound, so that the function that spawns is the one that says what it wants.
pub fn carry<F>(future: F) -> WithContext<F> {
    future.in_current_context()
}

/// Like [`carry`], for a closure that is run elsewhere.
pub fn carry_call<R>(work: impl FnOnce() -> R) -> impl FnOnce() -> R {
    thread::in_current_context(work)
}

/// `links`: links every context of the expression.
pub fn add_links<C: Into<SpanContext>>(span: &mut LiveSpan, links: impl IntoIterator<Item = C>) {
    links
        .into_iter()
        .for_each(|link| span.add_link(link.into()));
}

/// `err`: records an error by its `Display` form.
pub fn inspect_err_display<T, E: fmt::Display>(result: &Result<T, E>, span: &mut Span) {
    if let Err(error) = result {
        inspect_err(std::any::type_name::<E>(), format_args!("{error}"), span);
    }
}

/// Records an `Err` by its `Display` form, and says of what type it is.
#[derive(Clone, Copy, Debug)]
pub struct ErrorInspection;

impl<T, E: fmt::Display> Inspect<Result<T, E>> for ErrorInspection {
    fn inspect(&mut self, result: &Result<T, E>, span: &mut Span) {
        inspect_err_display(result, span);
    }

    fn error_type(&self, result: &Result<T, E>) -> Option<&'static str> {
        result.is_err().then(std::any::type_name::<E>)
    }
}

/// `err(Debug)`: records an error by its `Debug` form.
pub fn inspect_err_debug<T, E: fmt::Debug>(result: &Result<T, E>, span: &mut Span) {
    if let Err(error) = result {
        inspect_err(std::any::type_name::<E>(), format_args!("{error:?}"), span);
    }
}

/// Calls the span `{name} {subject}`.
pub fn name_after(span: &mut LiveSpan, name: &str, subject: impl fmt::Display) {
    span.update_name(&format!("{name} {subject}"));
}

/// Calls the span `{name} {subject:?}`.
pub fn name_after_debug(span: &mut LiveSpan, name: &str, subject: impl fmt::Debug) {
    span.update_name(&format!("{name} {subject:?}"));
}

/// Looks at what a future yields before it does.
pub async fn told<F: Future>(future: F, tell: impl FnOnce(&F::Output)) -> F::Output {
    let output = future.await;
    tell(&output);
    output
}

/// The span of an operation on messages that is no handler's, such as sending one: its end is measured. `callsite` is where
/// it was made.
pub fn operation(mut span: Span, callsite: &'static Callsite) -> Span {
    span.operates(callsite);
    span
}

/// What a handler or an operation returned, whatever it is, and what an error is told to whose trace is not sampled: in
/// `(&&&&Told(output, handler_failed)).tell()` the compiler finds the first of the traits below that the output fits.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a, T>(pub &'a T, pub fn(&'static str));

/// Records an error by its `Display` form on the span that is current.
pub trait ToldDisplay {
    /// Records it, if there is one.
    fn tell(&self);
}

/// Records an error by its `Debug` form on the span that is current.
pub trait ToldDebug {
    /// Records it, if there is one.
    fn tell(&self);
}

/// Records that there was an error on the span that is current.
pub trait ToldFailure {
    /// Records it, if there was one.
    fn tell(&self);
}

/// Records nothing of what can be no error.
pub trait ToldNothing {
    /// Does nothing.
    fn tell(&self);
}

impl<R, E: fmt::Display> ToldDisplay for &&&Told<'_, Result<R, E>> {
    fn tell(&self) {
        if let Err(error) = self.0 {
            let kind = std::any::type_name::<E>();
            (self.1)(kind);
            current().edit(|span| record_err(kind, &error.to_string(), span));
        }
    }
}

impl<R, E: fmt::Debug> ToldDebug for &&Told<'_, Result<R, E>> {
    fn tell(&self) {
        if let Err(error) = self.0 {
            let kind = std::any::type_name::<E>();
            (self.1)(kind);
            current().edit(|span| record_err(kind, &format!("{error:?}"), span));
        }
    }
}

impl<R, E> ToldFailure for &Told<'_, Result<R, E>> {
    fn tell(&self) {
        if self.0.is_err() {
            let kind = std::any::type_name::<E>();
            (self.1)(kind);
            current().edit(|span| record_err(kind, "", span));
        }
    }
}

impl<T> ToldNothing for Told<'_, T> {
    fn tell(&self) {}
}

/// `ret`: records the returned value by its `Debug` form.
pub fn inspect_ret_debug<T: fmt::Debug>(output: &T, span: &mut Span) {
    span.set_attribute(
        const { crate::__wire::key!("return") },
        value::debug(output),
    );
}

/// `ret(Display)`: records the returned value by its `Display` form.
pub fn inspect_ret_display<T: fmt::Display>(output: &T, span: &mut Span) {
    span.set_attribute(
        const { crate::__wire::key!("return") },
        value::display(output),
    );
}

#[cold]
fn inspect_err(kind: &str, message: fmt::Arguments<'_>, span: &mut Span) {
    span.edit(|span| record_err(kind, &message.to_string(), span));
}

fn record_err(kind: &str, message: &str, span: &mut LiveSpan) {
    span.set_attribute(const { crate::__wire::key!("error.type") }, kind);
    span.add_exception(kind, message);
    span.set_status(Status::Error, message);
}
