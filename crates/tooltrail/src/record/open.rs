//! A call under way: recorded when it ends, however it ends.

use std::time::Duration;

use crate::call::{Call, DurationMs, Outcome, Reason};
use crate::error::Error;
use crate::record::open_call_id::OpenCallId;
use crate::record::queue::promise::Ack;
use crate::record::recorder::Recorder;

/// A call that has begun. Dropped unfinished, it is recorded as `error`, `cancelled`.
#[must_use = "a call that is not finished is recorded as cancelled"]
#[derive(Debug)]
pub struct Open<'a> {
    recorder: &'a Recorder,
    call: Option<Call>,
    began: Duration,
    /// Under which id the writer knows that it began; 0 if it does not.
    id: Option<OpenCallId>,
}

impl<'a> Open<'a> {
    pub(crate) fn new(recorder: &'a Recorder, call: Call, id: Option<OpenCallId>) -> Self {
        Self { recorder, call: Some(call), began: recorder.clock().monotonic(), id }
    }

    /// Records the outcome durably. Drop the acknowledgement to not wait for it.
    ///
    /// # Errors
    /// [`Error::Busy`] if the queue is full, [`Error::Input`] if the call's day is too old to be kept, and then the call is
    /// counted in the next gap; [`Error::Closed`].
    pub fn finish(mut self, outcome: Outcome) -> Result<Ack, Error> {
        let call = self.end(outcome);
        let taken = self.recorder.take_durable(call.into_iter().collect(), self.id);
        taken.inspect_err(|why| self.recorder.count_refused(why))
    }

    /// Records the outcome like [`Recorder::record`]: without waiting and without an acknowledgement.
    pub fn finish_buffered(mut self, outcome: Outcome) {
        if let Some(call) = self.end(outcome) {
            self.recorder.take(&call, self.id);
        }
    }

    /// Takes the call with its outcome and the time it took, unless the caller knew better.
    fn end(&mut self, outcome: Outcome) -> Option<Call> {
        let mut call = self.call.take()?;
        let took = self.recorder.clock().monotonic().saturating_sub(self.began);
        call.duration_ms.get_or_insert_with(|| DurationMs::measured(took));
        Some(call.ended(outcome))
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let cancelled = Outcome::failed(Reason::Cancelled, "");
        if let Some(call) = self.end(cancelled) {
            self.recorder.take(&call, self.id);
        }
    }
}
