//! Fragments whose incidents are on their way into the trail: their notes go when the incidents are durable.

/// The names of fragments, by how far their incidents have come.
#[derive(Debug, Default)]
pub(crate) struct UnreportedFragments {
    /// To be taken into a batch.
    waiting: Vec<String>,
    /// In a batch that is not stored.
    taken: Vec<String>,
    /// In their day file; durable with the flush of this number.
    stored: Vec<(u64, String)>,
}

impl UnreportedFragments {
    /// Whether it is on its way.
    pub(crate) fn holds(&self, name: &str) -> bool {
        let mut known = self.waiting.iter().chain(&self.taken).chain(self.stored.iter().map(|(_, name)| name));
        known.any(|known| known == name)
    }

    /// Adds one.
    pub(crate) fn add(&mut self, name: &str) {
        self.waiting.push(name.to_owned());
    }

    /// The incidents of all that wait are taken into a batch.
    pub(crate) fn take(&mut self) {
        self.taken.append(&mut self.waiting);
    }

    /// The batch was stored, and is durable with this flush; or not, and whoever looks at the notes tells it again.
    pub(crate) fn stored(&mut self, flush: Option<u64>) {
        let taken = self.taken.drain(..);
        if let Some(flush) = flush {
            self.stored.extend(taken.map(|name| (flush, name)));
        }
    }

    /// Returns those whose incidents a flush has made durable.
    pub(crate) fn flushed(&mut self, flush: u64) -> Vec<String> {
        let (told, rest) = std::mem::take(&mut self.stored).into_iter().partition(|(stored, _)| *stored <= flush);
        self.stored = rest;
        let told: Vec<(u64, String)> = told;
        told.into_iter().map(|(_, name)| name).collect()
    }
}
