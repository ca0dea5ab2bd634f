//! A question that is given up before its answer is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Tells those who work for a question that nobody waits for the answer any more.
///
/// Clones share one state.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Gives the question up.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was given up.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
