//! Tokio's task hooks, ours around the user's.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

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
    ) {
        let spawning = Arc::new(Tasks::new(exclusions, max_age));
        let [polling, terminating] = [(); 2].map(|()| Arc::clone(&spawning));
        let Self {
            spawn,
            before_poll,
            after_poll,
            terminate,
        } = self;
        builder.on_task_spawn(move |task| {
            spawning.spawned(task.id(), task.spawned_at());
            call(&spawn, task);
        });
        builder.on_before_task_poll(move |task| {
            polling.poll_begins(task.id());
            call(&before_poll, task);
        });
        builder.on_after_task_poll(move |task| {
            let _ends = PollEnds;
            call(&after_poll, task);
        });
        builder.on_task_terminate(move |task| {
            terminating.terminated(task.id());
            call(&terminate, task);
        });
    }
}

/// Ends the poll also when the user's hook unwinds.
struct PollEnds;

impl Drop for PollEnds {
    fn drop(&mut self) {
        Tasks::poll_ends();
    }
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
