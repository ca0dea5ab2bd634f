//! A call that has begun. It is recorded when it ends, in whatever way it ends.

use std::time::Duration;

use crate::call::{Call, DurationMs, Outcome, Reason};
use crate::error::Error;
use crate::record::open_call_id::OpenCallId;
use crate::record::queue::promise::Ack;
use crate::record::recorder::Recorder;

/// A call that has begun. If it is dropped before it is finished, it is recorded as `error`, `cancelled`.
#[must_use = "a call that is not finished is recorded as cancelled"]
#[derive(Debug)]
pub struct Open<'a> {
    recorder: &'a Recorder,
    call: Option<Call>,
    began: Duration,
    /// The id of the call in the journal; `None` if its begin was not noted.
    id: Option<OpenCallId>,
}

impl<'a> Open<'a> {
    pub(crate) fn new(recorder: &'a Recorder, call: Call, id: Option<OpenCallId>) -> Self {
        Self { recorder, call: Some(call), began: recorder.clock().monotonic(), id }
    }

    /// Returns the call, so that what becomes known only at its end can be added before it is finished.
    pub fn call_mut(&mut self) -> Option<&mut Call> {
        self.call.as_mut()
    }

    /// Records the outcome durably. To not wait for it, drop the acknowledgement.
    ///
    /// # Errors
    /// [`Error::Busy`] if the queue is full, [`Error::Input`] if the day of the call is too old to be kept, and
    /// [`Error::Closed`]. In each case, the call is counted as lost.
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

    /// Takes the call and adds its outcome, and its duration unless the caller has set one.
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
