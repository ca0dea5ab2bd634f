//! Rivals that get a call's fields and build the line themselves, on their own thread or on the caller's thread.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use slog::Drain;
use tooltrail::{Call, Payload, Status};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};

use super::{BUFFER_BYTES, Counting, QUEUE_LINES, Rival, wait_for_lines};

/// Maximum characters of a result in our line; the rivals get the same number.
const SNIPPET_CHARS: usize = 300;

/// `tracing` events as JSON through `tracing-appender`'s non-blocking writer.
pub(super) struct Tracing {
    written: Arc<AtomicU64>,
    /// Writes the remaining lines when it is dropped.
    _guard: WorkerGuard,
}

impl Tracing {
    pub(super) fn start(path: &Path) -> io::Result<Self> {
        let written = Arc::new(AtomicU64::new(0));
        let file = Counting { out: File::create(path)?, written: Arc::clone(&written) };
        let (writer, guard) = NonBlockingBuilder::default().lossy(false).finish(file);
        // The smallest configuration: no target and no spans.
        let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_target(false);
        let subscriber = subscriber.with_current_span(false).with_span_list(false).with_writer(writer);
        subscriber.try_init().map_err(io::Error::other)?;
        Ok(Self { written, _guard: guard })
    }
}

impl Rival for Tracing {
    fn log(&self, call: &Call, _line: &str) {
        let (status, result, snippet) = outcome(call);
        tracing::info!(
            user = call.user.as_str(),
            tool = call.tool.as_str(),
            args = call.args.as_str(),
            status = status.as_str(),
            result_chars = result.chars().count(),
            result_snippet = snippet,
        );
    }

    fn wait(&self, lines: u64, _bytes: u64) {
        wait_for_lines(&self.written, lines);
    }
}

/// `slog` records as JSON through `slog-async`.
pub(super) struct Slog {
    logger: slog::Logger,
    written: Arc<AtomicU64>,
    _guard: slog_async::AsyncGuard,
}

impl Slog {
    pub(super) fn start(path: &Path) -> io::Result<Self> {
        let written = Arc::new(AtomicU64::new(0));
        let out = BufWriter::with_capacity(BUFFER_BYTES, File::create(path)?);
        let out = Counting { out, written: Arc::clone(&written) };
        let drain = slog_json::Json::default(out).fuse();
        let queue = slog_async::Async::new(drain).chan_size(QUEUE_LINES);
        let queue = queue.overflow_strategy(slog_async::OverflowStrategy::Block);
        let (drain, guard) = queue.build_with_guard();
        Ok(Self { logger: slog::Logger::root(drain.fuse(), slog::o!()), written, _guard: guard })
    }
}

impl Rival for Slog {
    fn log(&self, call: &Call, _line: &str) {
        let (status, result, snippet) = outcome(call);
        // The values must be owned, because another thread builds the line.
        slog::info!(self.logger, "call";
            "user" => call.user.clone(),
            "tool" => call.tool.clone(),
            "args" => call.args.clone(),
            "status" => status.as_str(),
            "result_chars" => result.chars().count(),
            "result_snippet" => snippet.to_owned());
    }

    fn wait(&self, lines: u64, _bytes: u64) {
        wait_for_lines(&self.written, lines);
    }
}

/// Returns the status, the result or error text, and the part of this text that a line contains.
fn outcome(call: &Call) -> (Status, &str, &str) {
    let (status, result) = call.outcome.as_ref().map_or((Status::Error, ""), |outcome| {
        let text = match (&outcome.result, &outcome.error) {
            (Some(Payload::Text(text) | Payload::Json(text)), _) | (None, Some(text)) => text,
            (None, None) => "",
        };
        (outcome.status, text)
    });
    let cut = result.char_indices().nth(SNIPPET_CHARS).map_or(result.len(), |(at, _)| at);
    (status, result, &result[..cut])
}
