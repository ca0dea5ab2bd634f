//! The turns of senders that deliver what they have recorded.
//!
//! Such a sender repeats an entry if it did not see the answer, and the entry is looked for in its day file. So its
//! requests are handled one after the other, and each begins when all entries of the one before are in their files or
//! known to be refused.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tooltrail::Recorder;

use crate::service::refusal::Refusal;
use crate::tokens::Token;

/// Longest wait for the request before. It ends within the time in which entries become durable.
const WAIT: Duration = Duration::from_secs(10);

/// The turn of each user, or of each token that is for several. There are at most as many as tokens.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<String, Arc<AsyncMutex<State>>>>);

/// Whether entries of the last request may be on their way still, because nobody knows how it ended.
#[derive(Debug, Default)]
struct State {
    is_uncertain: bool,
}

/// The turn of one request.
#[derive(Debug)]
pub(crate) struct Turn(OwnedMutexGuard<State>);

impl Turns {
    /// Waits for the turn of a request with this token.
    ///
    /// # Errors
    /// [`Refusal::Busy`] if the request before takes too long, or if its entries cannot be written at the moment.
    pub(crate) async fn take(&self, token: &Token, recorder: &Arc<Recorder>) -> Result<Turn, Refusal> {
        let busy = Refusal::Busy("entries of this sender are still being written");
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(sender_of(token)).or_default())
        };
        let Ok(mut state) = tokio::time::timeout(WAIT, turn.lock_owned()).await else { return Err(busy) };
        let (recorder, is_uncertain) = (Arc::clone(recorder), state.is_uncertain);
        let settled = tokio::task::spawn_blocking(move || {
            let settled = if is_uncertain { recorder.flush().is_ok() } else { recorder.wait_for_buffered() };
            settled && recorder.waiting_folders().is_empty()
        });
        if !settled.await.unwrap_or(false) {
            return Err(busy);
        }
        // If this request is dropped, the next one has to wait until everything is written.
        state.is_uncertain = true;
        Ok(Turn(state))
    }
}

/// Returns whose entries come with a token: those of one user may come with several, after one was replaced.
fn sender_of(token: &Token) -> String {
    token.user.as_ref().map_or_else(|| format!("token {}", token.name), |user| format!("user {user}"))
}

impl Turn {
    /// Ends the turn: it is known what became of each entry.
    pub(crate) fn end(mut self) {
        self.0.is_uncertain = false;
    }
}
