//! The two output streams: stdout gets data, stderr gets messages for people.

use std::io::{self, BufWriter, IsTerminal as _, Write};

use anstream::{AutoStream, ColorChoice};

use crate::failure::Failure;
use crate::output::colour::Colour;
use crate::output::escape::escaped;

/// Bytes buffered before one write to stdout, so that a page of lines needs a few system calls and not thousands.
const BUFFER_BYTES: usize = 64 * 1024;

/// Buffered output to stdout. Call [`Data::finish`] at the end, because dropping it ignores errors such as a closed
/// pipe.
#[must_use]
pub(crate) struct Data {
    out: BufWriter<Box<dyn Write>>,
}

impl Data {
    /// Returns an output that writes bytes unchanged.
    pub(crate) fn exact() -> Self {
        Self { out: BufWriter::with_capacity(BUFFER_BYTES, Box::new(io::stdout().lock())) }
    }

    /// Returns an output of text for people, which removes colours if they are not wanted.
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

    /// Writes what is in the buffer.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.out.flush()?)
    }

    /// Flushes the buffer.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        Ok(self.out.flush()?)
    }
}

/// Prints one JSON object and a newline.
pub(crate) fn print_json(value: &serde_json::Value) -> Result<(), Failure> {
    let mut data = Data::exact();
    let text = value.to_string();
    // Names and messages come from outside, and a pipe may lead to a terminal, so characters are escaped. For a program
    // the JSON means the same.
    data.line(&super::escaped_json(&text))?;
    data.finish()
}

/// Keeps the terminal from showing what is typed, until this value is dropped.
#[derive(Debug)]
pub(crate) struct EchoOff(Option<rustix::termios::Termios>);

impl EchoOff {
    /// Turns off the echo of stdin. If that fails, the terminal shows what is typed.
    pub(crate) fn new() -> Self {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let stdin = io::stdin();
        let before = tcgetattr(&stdin).ok();
        if let Some(mut quiet) = before.clone() {
            quiet.local_modes.remove(LocalModes::ECHO);
            let _ = tcsetattr(&stdin, OptionalActions::Flush, &quiet);
        }
        Self(before)
    }
}

impl Drop for EchoOff {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = rustix::termios::tcsetattr(io::stdin(), rustix::termios::OptionalActions::Now, before);
        }
    }
}

/// Returns whether stdin is a terminal.
pub(crate) fn stdin_is_terminal() -> bool {
    io::stdin().is_terminal()
}

/// Returns a count with its unit, in the singular or the plural.
pub(crate) fn unit(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Sets when both streams are coloured.
pub(crate) fn choose_colour(colour: Colour) {
    match colour {
        // NO_COLOR, CLICOLOR and the terminal decide.
        Colour::Auto => ColorChoice::Auto,
        Colour::Always => ColorChoice::Always,
        Colour::Never => ColorChoice::Never,
    }
    .write_global();
}

/// Returns whether stdout is a terminal.
pub(crate) fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Returns whether stderr is a terminal.
pub(crate) fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Prints a message on stderr.
pub(crate) fn talk(text: &str) {
    say("", text);
}

/// Prints on stderr what went wrong.
pub(crate) fn talk_error(text: &str) {
    say("\x1b[1;31merror:\x1b[0m ", text);
}

/// Prints on stderr what to do next.
pub(crate) fn talk_hint(text: &str) {
    say("\x1b[1;36mhint:\x1b[0m ", text);
}

/// Writes to stderr. The text is escaped, because parts of it come from outside. Write errors are ignored.
fn say(label: &str, text: &str) {
    let lines = text.split('\n').map(escaped).collect::<Vec<_>>().join("\n");
    let _ = writeln!(AutoStream::auto(io::stderr()).lock(), "{label}{lines}");
}
