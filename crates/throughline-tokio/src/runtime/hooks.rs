//! Tokio's task hooks, ours around the user's.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use throughline_core::schedule;
use tokio::runtime::TaskMeta;

use super::exclusions::Exclusions;
use super::tasks::Tasks;

/// A hook of the user's.
type Hook = Arc<dyn Fn(&TaskMeta<'_>) + Send + Sync>;

/// The hooks of the user's that ours are put around.
#[derive(Clone, Default)]
pub(crate) struct Hooks {
    pub(crate) spawn: Option<Hook>,
    pub(crate) before_poll: Option<Hook>,
    pub(crate) after_poll: Option<Hook>,
    pub(crate) terminate: Option<Hook>,
}

impl Hooks {
    /// Installs both. The user's run in the task's context.
    pub(crate) fn install(
        self,
        builder: &mut tokio::runtime::Builder,
        exclusions: Exclusions,
        max_age: Option<Duration>,
        schedule_latency: bool,
    ) {
        if schedule_latency {
            track_schedule_latency(builder);
        }
        let spawning = Arc::new(Tasks::new(exclusions, max_age));
        let terminating = Arc::clone(&spawning);
        let Self {
            spawn,
            before_poll,
            after_poll,
            terminate,
        } = self;
        let before = BeforePoll {
            tasks: Arc::clone(&spawning),
            schedule_latency,
            users: before_poll,
        };
        let after = AfterPoll {
            schedule_latency,
            users: after_poll,
        };
        builder.on_task_spawn(move |task| {
            spawning.spawned(task.id(), task.spawned_at());
            call(&spawn, task);
        });
        builder.on_before_task_poll(move |task| before.call(task));
        builder.on_after_task_poll(move |task| after.call(task));
        builder.on_task_terminate(move |task| {
            terminating.terminated(task.id());
            call(&terminate, task);
        });
    }
}

/// What is read before each poll. It has lines of the cache for itself: beside it on the heap lies Tokio's own state, and
/// what one worker writes there would cost the other a miss at each poll.
#[repr(align(128))]
struct BeforePoll {
    tasks: Arc<Tasks>,
    schedule_latency: bool,
    users: Option<Hook>,
}

impl BeforePoll {
    #[inline]
    fn call(&self, task: &TaskMeta<'_>) {
        self.tasks.poll_begins(task.id());
        if self.schedule_latency
            && let Some(latency) = schedule_latency_of(task)
        {
            schedule::poll_begins(latency);
        }
        call(&self.users, task);
    }
}

/// What is read after each poll; alone like [`BeforePoll`].
#[repr(align(128))]
struct AfterPoll {
    schedule_latency: bool,
    users: Option<Hook>,
}

impl AfterPoll {
    #[inline]
    fn call(&self, task: &TaskMeta<'_>) {
        let _ends = PollEnds {
            scheduled: self.schedule_latency,
        };
        call(&self.users, task);
    }
}

/// Ends the poll also when the user's hook unwinds.
struct PollEnds {
    /// Whether it was told how long the task had waited.
    scheduled: bool,
}

impl Drop for PollEnds {
    #[inline]
    fn drop(&mut self) {
        if self.scheduled {
            schedule::poll_ends();
        }
        Tasks::poll_ends();
    }
}

#[cfg(target_pointer_width = "64")]
fn track_schedule_latency(builder: &mut tokio::runtime::Builder) {
    schedule::track();
    builder.track_task_schedule_latency();
}

/// Tokio does not measure it here.
#[cfg(not(target_pointer_width = "64"))]
fn track_schedule_latency(_: &mut tokio::runtime::Builder) {}

/// How long the task had waited for this poll, if that is measured.
#[cfg(target_pointer_width = "64")]
#[inline]
fn schedule_latency_of(task: &TaskMeta<'_>) -> Option<Duration> {
    task.schedule_latency()
}

#[cfg(not(target_pointer_width = "64"))]
fn schedule_latency_of(_: &TaskMeta<'_>) -> Option<Duration> {
    None
}

#[inline]
fn call(hook: &Option<Hook>, task: &TaskMeta<'_>) {
    if let Some(hook) = hook {
        hook(task);
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = |hook: &Option<Hook>| hook.is_some();
        f.debug_struct("Hooks")
            .field("spawn", &set(&self.spawn))
            .field("before_poll", &set(&self.before_poll))
            .field("after_poll", &set(&self.after_poll))
            .field("terminate", &set(&self.terminate))
            .finish()
    }
}
