//! The fragments whose incidents are not durable in the trail yet. The note of a fragment is removed when its incident
//! is durable.

/// The names of the fragments, by the state of their incidents.
#[derive(Debug, Default)]
pub(crate) struct UnreportedFragments {
    /// The incident waits for a batch.
    waiting: Vec<String>,
    /// The incident is in a batch that is not stored yet.
    taken: Vec<String>,
    /// The incident is in its day file, and durable after the flush of this number.
    stored: Vec<(u64, String)>,
}

impl UnreportedFragments {
    /// Whether the incident of this fragment is known here.
    pub(crate) fn holds(&self, name: &str) -> bool {
        let mut known = self.waiting.iter().chain(&self.taken).chain(self.stored.iter().map(|(_, name)| name));
        known.any(|known| known == name)
    }

    /// Adds a fragment whose incident waits for a batch.
    pub(crate) fn add(&mut self, name: &str) {
        self.waiting.push(name.to_owned());
    }

    /// Notes that the waiting incidents were taken into a batch.
    pub(crate) fn take(&mut self) {
        self.taken.append(&mut self.waiting);
    }

    /// Notes that the batch was stored and will be durable after this flush. `None` means that it was not stored; the
    /// next recovery reports these fragments again.
    pub(crate) fn stored(&mut self, flush: Option<u64>) {
        let taken = self.taken.drain(..);
        if let Some(flush) = flush {
            self.stored.extend(taken.map(|name| (flush, name)));
        }
    }

    /// Removes and returns the fragments whose incidents are durable after this flush.
    pub(crate) fn flushed(&mut self, flush: u64) -> Vec<String> {
        let (told, rest) = std::mem::take(&mut self.stored).into_iter().partition(|(stored, _)| *stored <= flush);
        self.stored = rest;
        let told: Vec<(u64, String)> = told;
        told.into_iter().map(|(_, name)| name).collect()
    }
}
