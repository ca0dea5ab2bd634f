//! What a recorder does beside the recording, in small steps: it keeps up what makes answers fast. The recorder does not
//! know what that is.

use std::fmt;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::record::store::group::Day;

/// Work beside the recording.
pub(crate) trait Upkeep: Send + Sync + fmt::Debug {
    /// Notes which files were flushed, and up to which length. Must not wait.
    fn flushed(&self, files: &[(Day, u64)]);

    /// Does a part of the work. It runs on a thread of its own, and takes some tens of milliseconds.
    fn step(&self) -> UpkeepStep;
}

/// The result of one step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UpkeepStep {
    /// When the next step is useful.
    pub(crate) again: Duration,
}

/// The steps of one process.
#[derive(Debug)]
pub(crate) struct UpkeepTask {
    upkeep: Option<Arc<dyn Upkeep>>,
    running: Option<JoinHandle<UpkeepStep>>,
    due_at: Duration,
}

/// How long after its start a process begins, so that short commands do not.
const FIRST: Duration = Duration::from_secs(2);

/// The pause after a flush before the next step, if it would be later otherwise.
const AFTER_FLUSH: Duration = Duration::from_secs(1);

impl UpkeepTask {
    pub(crate) fn new(upkeep: Option<Arc<dyn Upkeep>>, now: Duration) -> Self {
        Self { upkeep, running: None, due_at: now + FIRST }
    }

    /// Notes which files were flushed.
    pub(crate) fn flushed(&mut self, files: &[(Day, u64)], now: Duration) {
        if let Some(upkeep) = &self.upkeep {
            upkeep.flushed(files);
            self.due_at = self.due_at.min(now + AFTER_FLUSH);
        }
    }

    /// Begins a step that is due.
    pub(crate) fn run(&mut self, now: Duration) {
        let Some(upkeep) = &self.upkeep else { return };
        if let Some(running) = self.running.take_if(|running| running.is_finished()) {
            // A panic must not stop recording.
            self.due_at = now + running.join().map_or(Duration::from_secs(60), |step| step.again);
        }
        if self.running.is_none() && now >= self.due_at {
            let upkeep = Arc::clone(upkeep);
            self.running = Builder::new().name("tooltrail-rollup".to_owned()).spawn(move || upkeep.step()).ok();
            self.due_at = now + Duration::from_secs(60);
        }
    }

    /// Returns how long the task needs no attention; `None` means without a limit.
    pub(crate) fn patience(&self, now: Duration) -> Option<Duration> {
        self.upkeep.as_ref()?;
        match self.running {
            Some(_) => Some(AFTER_FLUSH),
            None => Some(self.due_at.saturating_sub(now)),
        }
    }

    /// Waits for the running step, because the recorder closes.
    pub(crate) fn close(&mut self) {
        if let Some(running) = self.running.take() {
            let _ = running.join();
        }
    }
}
