//! Shows long answers on a terminal through a pager, like `git log`.

use std::io::Write as _;
use std::process::{Command, Stdio};

use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};

use super::stream::{Data, stdin_is_terminal, stdout_is_terminal};
use crate::failure::Failure;

/// The pager if no variable names one.
const PAGER: &str = "less";

/// Options of `less` if `LESS` is not set: end at once if the text fits, keep colours, and leave the text on the
/// screen.
const LESS: &str = "FRX";

/// Prints text for people. If it is too long for the terminal, shows it through `$TOOLTRAIL_PAGER` or `$PAGER`; an
/// empty value or `cat` means no pager.
pub(crate) fn print_paged(text: &str) -> Result<(), Failure> {
    let long = text.lines().count() >= height().unwrap_or(usize::MAX);
    let pager = std::env::var("TOOLTRAIL_PAGER").or_else(|_| std::env::var("PAGER"));
    let pager = pager.unwrap_or_else(|_| PAGER.to_owned());
    let wanted = long && stdout_is_terminal() && stdin_is_terminal() && !matches!(pager.trim(), "" | "cat");
    if wanted && through(&pager, text) {
        return Ok(());
    }
    let mut data = Data::styled();
    data.bytes(text.as_bytes())?;
    data.finish()
}

/// Shows the text through a pager. Returns false if the pager could not be started.
fn through(pager: &str, text: &str) -> bool {
    let mut command = Command::new("sh");
    command.args(["-c", pager]).stdin(Stdio::piped());
    if std::env::var_os("LESS").is_none() {
        command.env("LESS", LESS);
    }
    let Ok(mut child) = command.spawn() else { return false };
    if let Some(mut stdin) = child.stdin.take() {
        let coloured = AutoStream::choice(&std::io::stdout()) != ColorChoice::Never;
        let text = if coloured { text.to_owned() } else { strip_str(text).to_string() };
        // A write error means that the person has left the pager, which is not a failure.
        let _ = stdin.write_all(text.as_bytes());
    }
    // The shell exits with 127 if there is no such command.
    child.wait().is_ok_and(|status| status.code() != Some(127))
}

/// Returns the number of lines of the terminal, if it is known.
fn height() -> Option<usize> {
    terminal_size::terminal_size().map(|(_, height)| usize::from(height.0)).filter(|lines| *lines > 0)
}
