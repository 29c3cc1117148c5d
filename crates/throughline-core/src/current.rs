//! The handle of whatever span is current, for code that was not given one.

use std::error::Error;
use std::marker::PhantomData;

use throughline_wire::AsKey;

use crate::context::Context;
use crate::fields::EventFields;
use crate::kind::{SpanKind, Status};
use crate::live::LiveSpan;
use crate::local::{self, Editable, Token};
use crate::span::{Span, editing};
use crate::span_context::SpanContext;
use crate::switch;
use crate::value::AttributeValue;

/// The span that is current on this thread; every method does nothing where there is none, where it is not sampled,
/// and where it runs in another thread or process.
///
/// ```
/// throughline_core::current().set_attribute("order.id", 42);
/// ```
pub const fn current() -> CurrentSpan {
    CurrentSpan {
        not_send: PhantomData,
    }
}

/// What [`current`] returns.
#[derive(Clone, Copy, Debug)]
pub struct CurrentSpan {
    not_send: PhantomData<*const ()>,
}

impl CurrentSpan {
    editing!(&Self);

    /// The context of the span.
    pub fn context(&self) -> Context {
        Context::current()
    }

    /// Edits the span, if it is recording here.
    ///
    /// What `edit` itself records on the current span, by formatting a value that logs for instance, is left out.
    pub fn edit<R>(&self, edit: impl FnOnce(&mut LiveSpan) -> R) -> Option<R> {
        if let Some(inner) = switch::inner() {
            return inner.span?.edit(edit);
        }
        edit_taken(local::with(local::Local::take_current).flatten()?, edit)
    }
}

/// Edits what was taken of a span, and gives it back.
pub(crate) fn edit_taken<R>(
    taken: (Token, Editable),
    edit: impl FnOnce(&mut LiveSpan) -> R,
) -> Option<R> {
    match taken {
        (token, Editable::Span(live)) => {
            let mut taken = Taken {
                token,
                live: Some(live),
            };
            taken
                .live
                .as_deref_mut()
                .filter(|live| live.is_recording())
                .map(edit)
        }
        (_, Editable::Shared(span)) => span.edit(edit),
    }
}

/// Gives the span back to its frame, also when the edit unwinds.
struct Taken {
    token: Token,
    live: Option<Box<LiveSpan>>,
}

impl Drop for Taken {
    fn drop(&mut self) {
        let token = self.token;
        local::with(|local| {
            if let Some(live) = self.live.take() {
                self.live = local.give_back(token, live);
            }
        });
        // The edit itself left the span: it ends here, since nobody else holds it.
        if let Some(live) = self.live.take() {
            Span::from_live(live).end();
        }
    }
}
