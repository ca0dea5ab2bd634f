//! The service's own log on stderr: what it does, and never what was asked, sent or answered.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use clap::ValueEnum;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Deserialize;

use crate::output::stderr_is_terminal;

/// How long a line waits for room where it is written to. Not at all: a pipe holds some hundred lines already.
const ROOM_WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// What is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// What needs somebody
    Error,
    /// What somebody should look at
    Warn,
    /// Each request too, by its route
    #[default]
    Info,
    /// Each connection that ended early too
    Debug,
}

/// How it is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// A line for people
    #[default]
    Text,
    /// A JSON object a line, for programs
    Json,
}

/// Starts the log; a second start in one process keeps the first one.
///
/// A panic is told by its place alone: its message may quote the text at which it happened.
pub(crate) fn start(level: Level, format: Format) {
    let level = match level {
        Level::Error => tracing::Level::ERROR,
        Level::Warn => tracing::Level::WARN,
        Level::Info => tracing::Level::INFO,
        Level::Debug => tracing::Level::DEBUG,
    };
    // A log that cannot be written (a full disk, a reader that went) must not end the request that it speaks of, and
    // telling stderr about stderr would panic.
    let is_json = matches!(format, Format::Json);
    let log = tracing_subscriber::fmt().with_writer(move || Lines { is_json }).log_internal_errors(false);
    let log = log.with_target(false).with_max_level(level);
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "a thread panicked");
    }));
    let _kept = match format {
        Format::Text => log.with_ansi(stderr_is_terminal()).try_init(),
        Format::Json => log.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init(),
    };
}

/// Lines that were left out since the last one that was written.
static LEFT_OUT: AtomicU64 = AtomicU64::new(0);

/// Stderr, but for lines that would have to wait for it: a reader that stands still must not hold up requests.
struct Lines {
    is_json: bool,
}

impl Write for Lines {
    /// Writes a whole line, as the log gives it, or leaves it out.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if !has_room() {
            LEFT_OUT.fetch_add(1, Ordering::Relaxed);
            return Ok(line.len());
        }
        let mut stderr = io::stderr().lock();
        match LEFT_OUT.swap(0, Ordering::Relaxed) {
            0 => {}
            lines if self.is_json => {
                writeln!(stderr, r#"{{"level":"WARN","message":"log lines left out","lines":{lines}}}"#)?
            }
            lines => writeln!(stderr, "WARN {lines} lines of this log were left out: nobody took them in time")?,
        }
        stderr.write_all(line)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether stderr takes a line now. A pipe that is ready has room for 4 KiB, more than a line of this log has.
fn has_room() -> bool {
    let stderr = io::stderr();
    let mut waits = [PollFd::new(&stderr, PollFlags::OUT)];
    // Where nobody knows, writing shows it.
    poll(&mut waits, Some(&ROOM_WAIT)).map_or(true, |ready| ready > 0)
}
