//! What macro expansions name. Not public API: it changes with the macros.

pub use core::module_path;
pub use core::option::Option;
pub use core::result::Result;

pub use throughline_core::__callsite as callsite;
pub use throughline_core::__wire as wire;
pub use throughline_core::expansion::{
    ArrivedFromNobody, ArrivedFromSender, MessageInOne, MessageInTwo, MessageItself, Received,
    Told, ToldDebug, ToldDisplay, ToldFailure, ToldNothing, add_links, call, call_in_turns, carry,
    carry_call, each, enter, enter_with, handler_failed, in_earlier_span, in_earlier_span_inspect,
    in_span, in_span_inspect, in_turns, inspect_err_debug, inspect_err_display, inspect_ret_debug,
    inspect_ret_display, looking, name_after, name_after_debug, operation, operation_failed, start,
    start_with, told, turns_are_over,
};
pub use throughline_core::{
    Callsite, Context, Level, LiveSpan, Parent, Span, SpanContext, SpanGuard, SpanKind, debug,
    display,
};

// Without channels and integrations there is no layer further out.
#[cfg(not(feature = "messaging"))]
pub use throughline_core::expansion::{
    start as start_handler, start_constant as start_constant_handler, turn,
};
#[cfg(feature = "messaging")]
pub use throughline_messaging::expansion::{start_constant_handler, start_handler, turn};

#[cfg(feature = "tokio")]
pub use crate::entry::*;
#[cfg(feature = "tokio")]
pub use throughline_tokio::Runtime;
