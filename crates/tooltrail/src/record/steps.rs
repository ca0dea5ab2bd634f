//! A recorder whose writer goes step by step, for tests of what a disk may do: no thread, no clock but the test's.

use std::time::Duration;

use crate::error::Error;
use crate::home::Home;
use crate::record::options::Options;
use crate::record::prune::prunable::PrunedDay;
use crate::record::queue::Batch;
use crate::record::queue::promise::Ack;
use crate::record::recorder::Recorder;
use crate::record::writer::Writer;
use crate::retention::Retention;

/// A recorder and its writer. Dropping it without a closing [`Steps::flush`] is what a kill leaves.
#[derive(Debug)]
pub struct Steps {
    recorder: Recorder,
    writer: Writer,
}

impl Steps {
    /// Recovers a home on any disk and opens it; the options' own home is not looked at.
    ///
    /// # Errors
    /// As [`Options::open`].
    pub fn open(home: Home, options: Options) -> Result<Self, Error> {
        let (recorder, writer) = options.open_on(home, false)?;
        Ok(Self { recorder, writer })
    }

    /// Returns the recorder; its `flush` and `close` would wait for ever.
    #[must_use]
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Writes one batch of what was recorded.
    pub fn step(&mut self) {
        let batch = self.recorder.state().queue.take(Some(Duration::ZERO));
        self.writer.step(batch);
    }

    /// Does what an idle writer does after a while.
    pub fn idle(&mut self) {
        self.writer.step(Batch::default());
    }

    /// Flushes all that was recorded, or with `close` ends; returns what a caller hears.
    pub fn flush(&mut self, close: bool) -> Ack {
        let ack = self.recorder.state().queue.flush(close);
        self.step();
        ack
    }

    /// Prunes as [`Recorder::prune`] does, with batches written as it needs them.
    ///
    /// # Errors
    /// As [`Recorder::prune`].
    pub fn prune(&mut self, retention: &Retention, by: &str) -> Result<Vec<PrunedDay>, Error> {
        let (recorder, writer) = (&self.recorder, &mut self.writer);
        std::thread::scope(|scope| {
            let pruning = scope.spawn(|| recorder.prune(retention, by));
            while !pruning.is_finished() {
                let batch = recorder.state().queue.take(Some(Duration::ZERO));
                // An idle step would come by chance: only what the prune waits for is written.
                if batch.items.is_empty() && batch.shed.is_empty() {
                    std::thread::yield_now()
                } else {
                    writer.step(batch);
                }
            }
            pruning.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Says whether all is well, as [`Recorder::health`] does.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.recorder.state().trouble.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}
