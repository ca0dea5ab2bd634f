//! The loggers that are measured beside tooltrail; each writes one file of JSON lines, redacts and syncs nothing.

mod fields;
mod lines;

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tooltrail::Call;

/// Loggers that are handed a line which we have finished for them, outside what is timed.
pub(crate) const LINE_LOGGERS: &[&str] = &["spdlog", "spdlog-async", "ftlog", "fast_log"];

/// Entries for which a rival's queue has room; a full one makes its callers wait, so that no line is missing.
pub(crate) const QUEUE_LINES: usize = 131_072;

/// Bytes that a rival's file gathers before it writes, where it can be told.
pub(crate) const BUFFER_BYTES: usize = 256 * 1024;

/// A running logger.
pub(crate) trait Rival: Send + Sync {
    /// Logs a call, of which `line` is the finished line.
    fn log(&self, call: &Call, line: &str);

    /// Waits until the system has so many lines, or so many bytes of finished lines.
    fn wait(&self, lines: u64, bytes: u64);
}

/// Starts a logger for the whole process.
pub(crate) fn start(who: &str, dir: &Path) -> Result<Box<dyn Rival>, Box<dyn std::error::Error>> {
    let path = dir.join("calls.jsonl");
    Ok(match who {
        "tracing-appender" => Box::new(fields::Tracing::start(&path)?),
        "slog-async" => Box::new(fields::Slog::start(&path)?),
        "spdlog" => Box::new(lines::Spdlog::start(&path, false)?),
        "spdlog-async" => Box::new(lines::Spdlog::start(&path, true)?),
        "ftlog" => Box::new(lines::Ftlog::start(&path)?),
        "fast_log" => Box::new(lines::FastLog::start(&path)?),
        other => return Err(format!("{other}: no such contestant").into()),
    })
}

/// Waits until a file has so many bytes.
fn wait_for_bytes(path: &Path, bytes: u64) {
    let length = || -> io::Result<u64> { Ok(std::fs::metadata(path)?.len()) };
    while length().is_ok_and(|length| length < bytes) {
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Waits until so many lines were written.
fn wait_for_lines(written: &AtomicU64, lines: u64) {
    while written.load(Ordering::Acquire) < lines {
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// A writer that counts lines as they pass; the last part of each ends with its newline.
struct Counting<W> {
    out: W,
    written: Arc<AtomicU64>,
}

impl<W: Write> Write for Counting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.out.write(bytes)?;
        if bytes[..taken].ends_with(b"\n") {
            self.written.fetch_add(1, Ordering::Release);
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
