//! Long answers on a terminal: through a pager, as `git log` does.

use std::io::Write as _;
use std::process::{Command, Stdio};

use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};

use super::stream::{Data, stdin_is_terminal, stdout_is_terminal};
use crate::failure::Failure;

/// The pager where no variable names one.
const PAGER: &str = "less";

/// Options of `less` where `LESS` is not set: end at once if all fits, keep colours, and leave the text on the screen.
const LESS: &str = "FRX";

/// Prints text for people; on a terminal too small for it through `$PAGER`. An empty one, or `cat`, is none.
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

/// Whether a pager showed it.
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
        // Whoever leaves the pager has read enough.
        let _left = stdin.write_all(text.as_bytes());
    }
    // A shell says so when there is no such command.
    child.wait().is_ok_and(|status| status.code() != Some(127))
}

/// The lines of the terminal, where it tells.
fn height() -> Option<usize> {
    terminal_size::terminal_size().map(|(_, height)| usize::from(height.0)).filter(|lines| *lines > 0)
}
