//! A recorder whose writer runs step by step, for tests with a simulated disk. There is no thread, and the test
//! controls the clock.

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

/// A recorder and its writer. If it is dropped without a [`Steps::flush`] that closes it, the disk is as after a kill.
#[derive(Debug)]
pub struct Steps {
    recorder: Recorder,
    writer: Writer,
}

impl Steps {
    /// Recovers and opens a home on any disk. The home in the options is ignored.
    ///
    /// # Errors
    /// As [`Options::open`].
    pub fn open(home: Home, options: Options) -> Result<Self, Error> {
        let (recorder, writer) = options.open_on(home, false)?;
        Ok(Self { recorder, writer })
    }

    /// Returns the recorder. Do not call its `flush` or `close`: no writer thread runs that would answer them.
    #[must_use]
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Writes one batch of the recorded entries.
    pub fn step(&mut self) {
        let batch = self.recorder.state().queue.take(Some(Duration::ZERO));
        self.writer.step(batch);
    }

    /// Does the work that an idle writer thread does after a while.
    pub fn idle(&mut self) {
        self.writer.step(Batch::default());
    }

    /// Closes the recorder and flushes all recorded entries. Returns the acknowledgement of the caller.
    pub fn close(&mut self) -> Ack {
        let ack = self.recorder.state().queue.close();
        self.step();
        ack
    }

    /// Flushes all recorded entries. Returns the acknowledgement of the caller.
    pub fn flush(&mut self) -> Ack {
        let ack = self.recorder.state().queue.flush();
        self.step();
        ack
    }

    /// Prunes like [`Recorder::prune`], and writes the batches that the prune waits for.
    ///
    /// # Errors
    /// As [`Recorder::prune`].
    pub fn prune(&mut self, retention: &Retention, by: &str) -> Result<Vec<PrunedDay>, Error> {
        self.meanwhile(|recorder| recorder.prune(retention, by))
    }

    /// Runs something that waits for the recorder, and writes the batches that it waits for.
    pub fn meanwhile<T: Send>(&mut self, work: impl FnOnce(&Recorder) -> T + Send) -> T {
        let (recorder, writer) = (&self.recorder, &mut self.writer);
        std::thread::scope(|scope| {
            let working = scope.spawn(|| work(recorder));
            while !working.is_finished() {
                let batch = recorder.state().queue.take(Some(Duration::ZERO));
                // Without this check, idle steps would run at random moments.
                if batch.items.is_empty() && batch.shed.is_empty() {
                    std::thread::yield_now()
                } else {
                    writer.step(batch);
                }
            }
            working.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Returns the current problem of the writer, as [`Recorder::health`] reports it; `None` if there is none.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.recorder.state().trouble.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}
