//! The log of the service on stderr. It says what the service does, and never contains queries, entries or answers.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use clap::ValueEnum;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Deserialize;

use crate::output::stderr_is_terminal;

/// How long a log line waits until stderr can take it. Zero, because a pipe already buffers some hundred lines.
const ROOM_WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// Which messages are logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// Errors that need action
    Error,
    /// Problems to look at too
    Warn,
    /// Each request too, by its route
    #[default]
    Info,
    /// Each connection that ended early too
    Debug,
}

/// The format of the messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// One text line per message, for people
    #[default]
    Text,
    /// One JSON object per line, for programs
    Json,
}

/// Starts the log. If the process already started one, that one stays.
///
/// For a panic, only its source location is logged, because its message may quote private text.
pub(crate) fn start(level: Level, format: Format) {
    let level = match level {
        Level::Error => tracing::Level::ERROR,
        Level::Warn => tracing::Level::WARN,
        Level::Info => tracing::Level::INFO,
        Level::Debug => tracing::Level::DEBUG,
    };
    // A write error of the log (a full disk, a closed pipe) must not end the request that is logged. The error is not
    // reported either, because reporting it on stderr would panic.
    let is_json = matches!(format, Format::Json);
    let log = tracing_subscriber::fmt().with_writer(move || Lines { is_json }).log_internal_errors(false);
    let log = log.with_target(false).with_max_level(level);
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "a thread panicked");
    }));
    let _ = match format {
        Format::Text => log.with_ansi(stderr_is_terminal()).try_init(),
        Format::Json => log.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init(),
    };
}

/// Number of log lines that were dropped since the last written one.
static LEFT_OUT: AtomicU64 = AtomicU64::new(0);

/// A writer to stderr that drops lines instead of blocking, so that a stuck reader of the log cannot delay requests.
struct Lines {
    is_json: bool,
}

impl Write for Lines {
    /// Writes one whole log line, or drops it if stderr would block.
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

/// Whether stderr can take a line now. A pipe that is ready has room for 4 KiB, which is more than one log line.
fn has_room() -> bool {
    let stderr = io::stderr();
    let mut waits = [PollFd::new(&stderr, PollFlags::OUT)];
    // If `poll` fails, try to write.
    poll(&mut waits, Some(&ROOM_WAIT)).map_or(true, |ready| ready > 0)
}
