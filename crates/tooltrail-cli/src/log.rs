//! The service's own log on stderr: what it does, and never what was asked, sent or answered.

use clap::ValueEnum;
use serde::Deserialize;

use crate::output::stderr_is_terminal;

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
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).log_internal_errors(false);
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
