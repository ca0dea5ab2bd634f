//! The loggers that are compared with tooltrail. Each writes one file of JSON lines, without redaction and without
//! sync.

mod fields;
mod lines;

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tooltrail::Call;

/// Loggers that get a line that we have built for them, outside the measured time.
pub(crate) const LINE_LOGGERS: &[&str] = &["spdlog", "spdlog-async", "ftlog", "fast_log"];

/// The queue length of each rival. A full queue blocks its callers, so that no line is lost.
pub(crate) const QUEUE_LINES: usize = 131_072;

/// The bytes that a rival's file buffers before a write, if this can be configured.
pub(crate) const BUFFER_BYTES: usize = 256 * 1024;

/// A running logger.
pub(crate) trait Rival: Send + Sync {
    /// Logs a call; `line` is its finished line.
    fn log(&self, call: &Call, line: &str);

    /// Waits until `lines` lines, or `bytes` bytes of finished lines, have been passed to the system.
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

/// Waits until a file has at least `bytes` bytes.
fn wait_for_bytes(path: &Path, bytes: u64) {
    let length = || -> io::Result<u64> { Ok(std::fs::metadata(path)?.len()) };
    while length().is_ok_and(|length| length < bytes) {
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Waits until at least `lines` lines were written.
fn wait_for_lines(written: &AtomicU64, lines: u64) {
    while written.load(Ordering::Acquire) < lines {
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// A writer that counts the lines written through it; the last write of each line ends with its newline.
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
