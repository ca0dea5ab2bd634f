//! The rival in Rust: `tracing` events as JSON through `tracing-appender`'s non-blocking writer, in one file.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tooltrail::{Call, Payload, Status};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};

/// Characters of a result that stand in our line; the rival's gets as many.
const SNIPPET_CHARS: usize = 300;

/// The running rival.
pub(crate) struct Rival {
    written: Arc<AtomicU64>,
    /// Dropped, it writes what is left.
    _guard: WorkerGuard,
}

impl Rival {
    /// Starts it for the whole process; a full queue makes its callers wait, so that no line is missing.
    pub(crate) fn start(dir: &Path) -> io::Result<Self> {
        let written = Arc::new(AtomicU64::new(0));
        let file = Counting { file: File::create(dir.join("calls.jsonl"))?, written: Arc::clone(&written) };
        let (writer, guard) = NonBlockingBuilder::default().lossy(false).finish(file);
        // As lean as it can be made: no target, no spans.
        let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_target(false);
        let subscriber = subscriber.with_current_span(false).with_span_list(false).with_writer(writer);
        subscriber.try_init().map_err(io::Error::other)?;
        Ok(Self { written, _guard: guard })
    }

    /// Logs the fields of a call, the result cut as our line has it.
    pub(crate) fn log(&self, call: &Call) {
        let (status, result) = call.outcome.as_ref().map_or((Status::Error, ""), |outcome| {
            let text = match (&outcome.result, &outcome.error) {
                (Some(Payload::Text(text) | Payload::Json(text)), _) | (None, Some(text)) => text,
                (None, None) => "",
            };
            (outcome.status, text)
        });
        let cut = result.char_indices().nth(SNIPPET_CHARS).map_or(result.len(), |(at, _)| at);
        tracing::info!(
            user = call.user.as_str(),
            tool = call.tool.as_str(),
            args = call.args.as_str(),
            status = status.as_str(),
            result_chars = result.chars().count(),
            result_snippet = &result[..cut],
        );
    }

    /// Waits until so many lines were handed to the system.
    pub(crate) fn wait(&self, lines: u64) {
        while self.written.load(Ordering::Acquire) < lines {
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

/// A file that counts the lines written to it; each `write_all` of the rival is one.
struct Counting {
    file: File,
    written: Arc<AtomicU64>,
}

impl Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.file.write(bytes)?;
        if bytes[..taken].ends_with(b"\n") {
            self.written.fetch_add(1, Ordering::Release);
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
