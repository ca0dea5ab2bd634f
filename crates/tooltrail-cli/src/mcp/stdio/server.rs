//! The server's process: how it is started, signalled and waited for.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Pid, Signal, kill_process};

use crate::mcp::calls::ServerEnd;

/// The exit code of a command that could not be started, as shells give it.
pub(crate) const NOT_STARTED: u8 = 127;

/// The environment variable by which a server knows the proxy that started it: its process number, a colon, its home. A
/// proxy that is started by a proxy of the same home only passes bytes, so that a call is not recorded twice.
const ABOVE: &str = "TOOLTRAIL_MCP_PROXY";

/// A server that was started.
#[derive(Debug)]
pub(super) struct Running {
    pid: Option<Pid>,
    /// Whether it was waited for, so that its process number may belong to somebody else.
    has_ended: AtomicBool,
}

/// Replaces this process by the command. Returns only if that failed.
pub(crate) fn replace_by(command: &[OsString]) -> io::Error {
    let Some((program, args)) = command.split_first() else { return io::ErrorKind::InvalidInput.into() };
    Command::new(program).args(args).exec()
}

/// Starts the server. Its stderr is ours.
///
/// # Errors
/// Any I/O error of the operating system.
pub(super) fn start(command: &[OsString], home: &Path) -> io::Result<(Child, ChildStdin, ChildStdout)> {
    let Some((program, args)) = command.split_first() else { return Err(io::ErrorKind::InvalidInput.into()) };
    let mut server = Command::new(program);
    server.args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
    server.env(ABOVE, above(std::process::id(), home));
    let mut child = server.spawn()?;
    match (child.stdin.take(), child.stdout.take()) {
        (Some(stdin), Some(stdout)) => Ok((child, stdin, stdout)),
        _ => Err(io::ErrorKind::BrokenPipe.into()),
    }
}

/// Whether our parent is a proxy that records into this home. A proxy further above has other calls: those of an agent
/// that is itself a server.
pub(super) fn is_below(home: &Path) -> bool {
    let parent = std::os::unix::process::parent_id();
    std::env::var_os(ABOVE).is_some_and(|told| told == above(parent, home))
}

fn above(pid: u32, home: &Path) -> OsString {
    let mut text = OsString::from(format!("{pid}:"));
    text.push(home);
    text
}

impl Running {
    pub(super) fn new(child: &Child) -> Self {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        Self { pid, has_ended: AtomicBool::new(false) }
    }

    /// Sends a signal to the server, if it lives.
    pub(super) fn signal(&self, signal: i32) {
        let signal = Signal::from_named_raw(signal);
        if let (Some(pid), Some(signal), false) = (self.pid, signal, self.has_ended.load(Ordering::SeqCst)) {
            let _ = kill_process(pid, signal);
        }
    }

    /// Waits until the server has ended.
    pub(super) fn wait(&self, mut child: Child) -> Option<ExitStatus> {
        let status = child.wait().ok();
        self.has_ended.store(true, Ordering::SeqCst);
        status
    }
}

/// Returns how the server ended.
pub(super) fn end_of(status: Option<ExitStatus>) -> ServerEnd {
    match status.map(|status| (status.code(), status.signal())) {
        Some((Some(code), _)) => ServerEnd::Code(code),
        Some((None, Some(signal))) => ServerEnd::Signal(signal),
        _ => ServerEnd::Unknown,
    }
}

/// Ends this process as the server ended: with its exit code, or by its signal.
pub(super) fn exit_as(end: ServerEnd) -> ExitCode {
    match end {
        ServerEnd::Code(code) => ExitCode::from(u8::try_from(code & 0xFF).unwrap_or(1)),
        ServerEnd::Signal(signal) => {
            // Does not return for a signal that ends a process.
            let _ = signal_hook::low_level::emulate_default_handler(signal);
            ExitCode::from(u8::try_from((128 + signal) & 0xFF).unwrap_or(1))
        }
        ServerEnd::Unknown => ExitCode::FAILURE,
    }
}
