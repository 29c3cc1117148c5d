//! The switch for another API's notion of what is current, which is kept in step with ours once it is installed.
//!
//! Owns the slot for one [`Bridge`] per process. It must not know which API that is.
//!
//! Rules:
//! 1. Nothing is paid where no bridge is installed but one relaxed load at each entry, exit and start.
//! 2. A bridge runs outside of the thread's state, which it may use.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::context::{Context, Parent};
use crate::id::SpanId;
use crate::live::LiveSpan;
use crate::local::{self, Token};
use crate::recorder;
use crate::shared::SharedSpan;

/// Another API with a current context of its own, as `throughline-opentelemetry` is for OpenTelemetry's.
pub trait Bridge: Send + Sync {
    /// The context became current on this thread. `frame` names the entry until [`exited`](Self::exited).
    fn entered(&self, frame: u64, context: &Context);

    /// What the frame made current was left, in whatever order.
    fn exited(&self, frame: u64);

    /// What the other API made current inside of what was entered last; `None` where that is still current.
    fn inner(&self) -> Option<Inner>;

    /// Whether the other API wants nothing recorded on this thread for now.
    fn is_suppressed(&self) -> bool;
}

/// A context that another API made current.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "bridges make it")]
pub struct Inner {
    /// What children inherit.
    pub context: Context,
    /// The span, if it records here.
    pub span: Option<SharedSpan>,
}

/// Installs the bridge of the process, for as long as it runs.
///
/// # Errors
///
/// There is one already, which stays.
pub fn install(bridge: &'static dyn Bridge) -> Result<(), AlreadyInstalled> {
    BRIDGE.set(bridge).map_err(|_| AlreadyInstalled(()))?;
    // Relaxed: a thread that sees it late is in step from its next entry on; the lock publishes the bridge.
    INSTALLED.store(true, Ordering::Relaxed);
    Ok(())
}

/// A process has one bridge at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlreadyInstalled(());

impl fmt::Display for AlreadyInstalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("another context bridge is installed already")
    }
}

impl std::error::Error for AlreadyInstalled {}

/// The number of the recorder that a context names; zero for whichever is process-wide.
pub fn recorder_of(context: &Context) -> u32 {
    match context.recorder() {
        number if number == recorder::global_number() => 0,
        number => number,
    }
}

/// Edits the span with that id, if it is entered on this thread and recording.
pub fn edit_entered<R>(span: SpanId, edit: impl FnOnce(&mut LiveSpan) -> R) -> Option<R> {
    let taken = local::with(|local| local.take(span)).flatten()?;
    crate::current::edit_taken(taken, edit)
}

#[inline(always)]
pub(crate) fn is_installed() -> bool {
    // Relaxed: see `install`.
    INSTALLED.load(Ordering::Relaxed)
}

/// The parent that another API made current, if the current one is asked for.
#[inline(always)]
pub(crate) fn inner_parent(parent: &Parent) -> Option<Parent> {
    match parent {
        Parent::Current => inner().map(|inner| Parent::Context(inner.context)),
        _ => None,
    }
}

/// Whether the other API wants nothing recorded on this thread for now.
#[inline(always)]
pub(crate) fn is_suppressed() -> bool {
    is_installed() && ask_suppressed()
}

/// Tells the bridge what has just become current.
#[inline(always)]
pub(crate) fn entered(token: Option<Token>) -> Option<Token> {
    if is_installed() {
        return tell_entered(token);
    }
    token
}

/// Tells the bridge what was left, or is about to be.
#[inline(always)]
pub(crate) fn exited(token: Token) {
    if is_installed() {
        tell_exited(token);
    }
}

/// What the other API made current inside of our own context.
#[inline(always)]
pub(crate) fn inner() -> Option<Inner> {
    if is_installed() { ask_inner() } else { None }
}

#[cold]
#[inline(never)]
fn tell_entered(token: Option<Token>) -> Option<Token> {
    if let (Some(bridge), Some(token)) = (BRIDGE.get(), token)
        && let Some(context) = local::with(|local| local.current())
    {
        bridge.entered(token.number(), &context);
    }
    token
}

#[cold]
#[inline(never)]
fn tell_exited(token: Token) {
    if let Some(bridge) = BRIDGE.get() {
        bridge.exited(token.number());
    }
}

#[cold]
#[inline(never)]
fn ask_suppressed() -> bool {
    BRIDGE.get().is_some_and(|bridge| bridge.is_suppressed())
}

#[cold]
#[inline(never)]
fn ask_inner() -> Option<Inner> {
    let mut inner = BRIDGE.get()?.inner()?;
    if inner.context.recorder() == 0 {
        // A context from elsewhere goes on in the recorder it arrives in.
        let here = local::with(|local| local.current()).unwrap_or_default();
        inner.context = here.with_span(inner.context.span_context());
    }
    Some(inner)
}

static INSTALLED: AtomicBool = AtomicBool::new(false);
static BRIDGE: OnceLock<&'static dyn Bridge> = OnceLock::new();
