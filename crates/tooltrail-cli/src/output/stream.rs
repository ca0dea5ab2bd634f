//! The two streams: stdout is data, stderr is talk.

use std::io::{self, BufWriter, IsTerminal as _, Write};

use anstream::{AutoStream, ColorChoice};

use crate::failure::Failure;
use crate::output::colour::Colour;
use crate::output::escape::escaped;

/// Bytes gathered before one write to stdout: a page of lines is a few system calls, not thousands.
const BUFFER_BYTES: usize = 64 * 1024;

/// Data on its way to stdout; dropped unfinished, the rest is lost, so that a closed pipe is noticed.
#[must_use]
pub(crate) struct Data {
    out: BufWriter<Box<dyn Write>>,
}

impl Data {
    /// Bytes as they are.
    pub(crate) fn exact() -> Self {
        Self { out: BufWriter::with_capacity(BUFFER_BYTES, Box::new(io::stdout().lock())) }
    }

    /// Text for people, coloured only where that is wanted.
    pub(crate) fn styled() -> Self {
        Self { out: BufWriter::with_capacity(BUFFER_BYTES, Box::new(AutoStream::auto(io::stdout()).lock())) }
    }

    /// Writes text and a newline.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.out.write_all(text.as_bytes())?;
        Ok(self.out.write_all(b"\n")?)
    }

    /// Writes bytes.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        Ok(self.out.write_all(bytes)?)
    }

    /// Sends the rest on its way.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        Ok(self.out.flush()?)
    }
}

/// Prints one JSON object and a newline.
pub(crate) fn print_json(value: &serde_json::Value) -> Result<(), Failure> {
    let mut data = Data::exact();
    let text = value.to_string();
    // Names and messages come from outside, and a pipe may end at a terminal; a program reads the same either way.
    data.line(&super::escaped_json(&text))?;
    data.finish()
}

/// Keeps a terminal from showing what is typed, until it is dropped.
#[derive(Debug)]
pub(crate) struct EchoOff(Option<rustix::termios::Termios>);

impl EchoOff {
    /// Stops the echo of stdin; where that cannot be done, what is typed shows.
    pub(crate) fn new() -> Self {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let stdin = io::stdin();
        let before = tcgetattr(&stdin).ok();
        if let Some(mut quiet) = before.clone() {
            quiet.local_modes.remove(LocalModes::ECHO);
            let _shows = tcsetattr(&stdin, OptionalActions::Flush, &quiet);
        }
        Self(before)
    }
}

impl Drop for EchoOff {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _gone = rustix::termios::tcsetattr(io::stdin(), rustix::termios::OptionalActions::Now, before);
        }
    }
}

/// Whether stdin is a terminal.
pub(crate) fn stdin_is_terminal() -> bool {
    io::stdin().is_terminal()
}

/// Returns a count with its unit, of which there may be one.
pub(crate) fn unit(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Sets when to colour, for both streams.
pub(crate) fn choose_colour(colour: Colour) {
    match colour {
        // NO_COLOR, CLICOLOR and the terminal decide.
        Colour::Auto => ColorChoice::Auto,
        Colour::Always => ColorChoice::Always,
        Colour::Never => ColorChoice::Never,
    }
    .write_global();
}

/// Whether a person reads stdout.
pub(crate) fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether a person reads stderr.
pub(crate) fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Tells a person something.
pub(crate) fn talk(text: &str) {
    say("", text);
}

/// Tells a person what went wrong.
pub(crate) fn talk_error(text: &str) {
    say("\x1b[1;31merror:\x1b[0m ", text);
}

/// Tells a person what to do next.
pub(crate) fn talk_hint(text: &str) {
    say("\x1b[1;36mhint:\x1b[0m ", text);
}

/// Writes to stderr; text from outside is made harmless, and a closed stderr is nobody's failure.
fn say(label: &str, text: &str) {
    let lines = text.split('\n').map(escaped).collect::<Vec<_>>().join("\n");
    let _ = writeln!(AutoStream::auto(io::stderr()).lock(), "{label}{lines}");
}
