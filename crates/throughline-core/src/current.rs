//! The handle of whatever span is current, for code that was not given one.

use std::error::Error;

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
    CurrentSpan(())
}

/// What [`current`] returns.
///
/// It holds no span: each method asks anew which one is current where it is called. In a future that runs in a span it
/// may therefore be kept across an `.await`, whatever thread polls the future next, and it means that span again. Given to
/// other code it means the span that is current there; to take a span along, take its
/// [context](CurrentSpan::context).
#[derive(Clone, Copy, Debug)]
pub struct CurrentSpan(());

impl CurrentSpan {
    editing!(&Self);

    /// The context of the span.
    pub fn context(&self) -> Context {
        Context::current()
    }

    /// Whether what is recorded on the span goes anywhere. Expensive values need not be computed otherwise.
    ///
    /// ```
    /// assert!(!throughline_core::current().is_recording());
    /// ```
    pub fn is_recording(&self) -> bool {
        if let Some(inner) = switch::inner() {
            return inner.span.is_some_and(|span| span.is_recording());
        }
        local::with(local::Local::is_current_recording).unwrap_or(false)
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

#[cfg(test)]
mod tests {
    use crate::callsite::Callsite;
    use crate::recorder::{Recorder, RecorderConfig};
    use crate::sampler::Sampler;

    use super::*;

    static WORK: Callsite = crate::callsite!("work", Internal);

    /// It answers as an edit does, wherever the span is.
    #[test]
    fn it_is_recording_where_an_edit_is_made() {
        let recorder = Recorder::start(RecorderConfig::default());
        let _here = recorder.context().attach();
        let asked = |expected: bool| {
            assert_eq!(current().is_recording(), expected);
            assert_eq!(current().edit(|_| ()).is_some(), expected);
        };
        asked(false);
        let entered = Span::start(&WORK).enter();
        asked(true);
        current().edit(|_| asked(false));
        {
            let _again = Context::current().attach();
            asked(true);
        }
        let shared = Span::start(&WORK).share();
        shared.enter();
        asked(true);
        shared.edit(|_| asked(false));
        shared.end();
        asked(false);
        shared.exit();
        asked(true);
        drop(entered);
        asked(false);
    }

    #[test]
    fn a_span_that_is_not_sampled_is_not_recording() {
        let recorder = Recorder::start(RecorderConfig {
            sampler: Sampler::always_off(),
            ..RecorderConfig::default()
        });
        let _here = recorder.context().attach();
        let _entered = Span::start(&WORK).enter();
        assert!(!current().is_recording());
        let shared = Span::start(&WORK).share();
        shared.enter();
        assert!(!current().is_recording());
        shared.exit();
    }
}
