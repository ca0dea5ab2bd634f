//! Encodes entries into finished lines, with several threads if there are many entries.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::available_parallelism;

use crate::call::Call;
use crate::clock::Timestamp;
use crate::entry::write;
use crate::random::Random;
use crate::record::parallel_map::parallel_map_beside;
use crate::record::queue::item::{Line, Source, user_of};
use crate::record::store::group::Day;
use crate::redact::{BoundedCall, Redactor};

/// The most threads that redact and encode at once. The other processors are left to the callers.
const ENCODE_THREADS_MAX: usize = 4;

/// The most entries that are encoded into one text buffer: enough to be worth a buffer, and few enough that all threads
/// finish at about the same time.
const ENTRIES_AT_ONCE: usize = 32;

/// The number of text buffers for which one more thread is started: some milliseconds of work.
const TEXTS_PER_THREAD: usize = 8;

/// The size of a usual line. A text buffer is allocated with this much room per line, so that it seldom has to grow.
const LINE_BYTES_USUAL: usize = 1_024;

/// The random bytes of one line, for its id and its salt.
const RANDOM_BYTES: usize = 26;

/// The finished lines of some entries.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    text: String,
    /// For each line: its day file, its end in the text, and the value that was given with its entry.
    rows: Vec<(Option<Day>, usize, R)>,
}

/// Encodes entries into lines.
#[derive(Clone, Debug)]
pub(crate) struct Encoder {
    redactor: Arc<Redactor>,
    random: Arc<dyn Random>,
    threads: usize,
}

impl Encoder {
    pub(crate) fn new(redactor: Arc<Redactor>, random: Arc<dyn Random>) -> Self {
        // Read only once, because this system call is slow.
        let threads = available_parallelism().map_or(1, usize::from).min(ENCODE_THREADS_MAX);
        Self { redactor, random, threads }
    }

    /// Returns the parts of a call that can reach its line. They are kept while the call is open.
    pub(crate) fn hold(&self, call: Source) -> Box<BoundedCall> {
        call.windowed(&self.redactor)
    }

    /// Returns one of our own events as an entry.
    pub(crate) fn own(&self, call: &Call, now: Timestamp) -> Source {
        Source::BoundedCall(Box::new(BoundedCall::own(call, now, &self.redactor)))
    }

    /// Redacts, clips and encodes entries. The value given with each entry is returned with its line.
    pub(crate) fn encode<R: Send>(&self, entries: Vec<(Source, R)>) -> Vec<Lines<R>> {
        self.encode_beside(entries, || {})
    }

    /// Like [`Encoder::encode`], but this thread runs `beside` first, while other threads already encode.
    pub(crate) fn encode_beside<R: Send>(&self, entries: Vec<(Source, R)>, beside: impl FnOnce()) -> Vec<Lines<R>> {
        if entries.is_empty() {
            beside();
            return Vec::new();
        }
        let mut random = vec![0; entries.len() * RANDOM_BYTES];
        self.random.fill(&mut random);
        let (mut entries, mut parts) = (entries.into_iter(), Vec::new());
        for random in random.chunks(RANDOM_BYTES * ENTRIES_AT_ONCE) {
            let part = entries.by_ref().take(ENTRIES_AT_ONCE).collect::<Vec<_>>();
            parts.push((part, random));
        }
        parallel_map_beside(parts, self.threads, TEXTS_PER_THREAD, |(part, random)| self.lines(part, random), beside)
    }

    fn lines<R>(&self, entries: Vec<(Source, R)>, random: &[u8]) -> Lines<R> {
        let text = String::with_capacity(entries.len() * LINE_BYTES_USUAL);
        let mut lines = Lines { text, rows: Vec::with_capacity(entries.len()) };
        let mut call = BoundedCall::empty();
        for ((entry, role), random) in entries.into_iter().zip(random.chunks_exact(RANDOM_BYTES)) {
            if let Source::Line(line) = entry {
                lines.text.push_str(&line.text);
                lines.rows.push((line.day, lines.text.len(), role));
                continue;
            }
            let start = lines.text.len();
            let write = AssertUnwindSafe(|| {
                entry.unpack(&self.redactor, &mut call);
                self.line(&call, random, &mut lines.text)
            });
            // A panic in one call must not end the recording of all other calls.
            let day = catch_unwind(write).ok();
            if day.is_none() {
                lines.text.truncate(start);
                call = BoundedCall::empty();
            }
            lines.rows.push((day, lines.text.len(), role));
        }
        lines
    }

    /// Encodes a call into a finished line, on the caller's thread.
    pub(crate) fn finished(&self, call: Call) -> Line {
        let user = user_of(&call).to_owned();
        self.finished_source(Source::Moved(Box::new(call)), user)
    }

    /// Encodes one of our own events into a finished line, on the caller's thread.
    pub(crate) fn finished_own(&self, call: &Call, now: Timestamp) -> Line {
        let source = self.own(call, now);
        self.finished_source(source, user_of(call).to_owned())
    }

    fn finished_source(&self, source: Source, user: String) -> Line {
        let mut random = [0; RANDOM_BYTES];
        self.random.fill(&mut random);
        let Lines { text, mut rows } = self.lines(vec![(source, ())], &random);
        Line { day: rows.pop().and_then(|(day, ..)| day), text, user }
    }

    /// Redacts, clips and encodes an entry with its random bytes. Returns its day file.
    fn line(&self, entry: &BoundedCall, random: &[u8], out: &mut String) -> Day {
        let (mut bits, mut salt) = ([0; 10], [0; 16]);
        bits.copy_from_slice(&random[..10]);
        salt.copy_from_slice(&random[10..RANDOM_BYTES]);
        write(out, &self.redactor, entry, bits, entry.salt.unwrap_or(salt))
    }
}

impl<R> Lines<R> {
    /// Calls `take` for each line, with its day file and the value of its entry. The line is `None` if the entry could
    /// not be encoded.
    pub(crate) fn each(self, mut take: impl FnMut(Option<(Day, &[u8])>, R)) {
        let mut start = 0;
        for (day, end, role) in self.rows {
            take(day.map(|day| (day, &self.text.as_bytes()[start..end])), role);
            start = end;
        }
    }
}
