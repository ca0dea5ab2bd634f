//! Entries into finished lines, on several threads where there are many.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::available_parallelism;

use crate::call::Call;
use crate::clock::Timestamp;
use crate::entry::{Line, write};
use crate::random::Random;
use crate::record::crew::spread;
use crate::record::item::Source;
use crate::redact::{Redactor, Windowed};

/// Threads that redact and encode at once; callers need the other processors.
const ENCODE_THREADS_MAX: usize = 4;

/// Entries worth a thread of their own: some milliseconds of work.
const ENTRIES_PER_THREAD: usize = 256;

/// Random bytes of one line: for its id and its salt.
const RANDOM_BYTES: usize = 26;

/// Makes lines.
#[derive(Debug)]
pub(crate) struct Encoder {
    redactor: Arc<Redactor>,
    random: Arc<dyn Random>,
}

impl Encoder {
    pub(crate) fn new(redactor: Arc<Redactor>, random: Arc<dyn Random>) -> Self {
        Self { redactor, random }
    }

    /// Returns of a call what can reach a line, held for as long as it is open.
    pub(crate) fn hold(&self, call: Source) -> Box<Windowed> {
        call.windowed(&self.redactor)
    }

    /// Returns what the trail says about itself as an entry.
    pub(crate) fn own(&self, call: &Call, now: Timestamp) -> Source {
        Source::Windowed(Box::new(Windowed::own(call, now, &self.redactor)))
    }

    /// Redacts, clips and encodes entries; one that cannot be is none.
    pub(crate) fn encode<R: Send>(&self, entries: Vec<(Source, R)>) -> Vec<(Option<Line>, R)> {
        let mut random = vec![0; entries.len() * RANDOM_BYTES];
        self.random.fill(&mut random);
        let entries = entries.into_iter().zip(random.chunks_exact(RANDOM_BYTES)).collect::<Vec<_>>();
        let threads = available_parallelism().map_or(1, usize::from).min(ENCODE_THREADS_MAX);
        let work = |((entry, role), random): ((Source, R), &[u8])| {
            // One call that we cannot handle must not end the recording of all others.
            (catch_unwind(AssertUnwindSafe(|| self.line(entry, random))).ok(), role)
        };
        spread(entries, threads, ENTRIES_PER_THREAD, work)
    }

    /// Redacts, clips and encodes an entry with its random bytes.
    fn line(&self, entry: Source, random: &[u8]) -> Line {
        let (mut bits, mut salt) = ([0; 10], [0; 16]);
        bits.copy_from_slice(&random[..10]);
        salt.copy_from_slice(&random[10..RANDOM_BYTES]);
        write(&self.redactor, entry.windowed(&self.redactor), bits, salt)
    }
}
