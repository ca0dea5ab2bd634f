//! Cancels a question before its answer is complete.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag with which the caller says that it no longer waits for the answer.
///
/// All clones share one state.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Cancels the question.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the question was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
