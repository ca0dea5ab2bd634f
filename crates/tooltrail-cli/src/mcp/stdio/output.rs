//! Our stdout: bytes of the server, and between its lines the answers that tooltrail gives itself.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::BorrowedFd;

/// The bytes that are read at once: what a pipe holds on Linux.
pub(super) const READ_BYTES: usize = 64 * 1024;

/// Our stdout, which two threads write to.
#[derive(Debug, Default)]
pub(super) struct Output {
    state: Mutex<State>,
    /// How often bytes of the server began and ended to be written.
    steps: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    /// Whether the last byte of the server did not end a line.
    is_within_line: bool,
    /// Our answers that wait for the end of the server's line.
    waiting: Vec<u8>,
}

impl Output {
    /// Writes bytes of the server.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(super) fn pass(&self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.steps.fetch_add(1, Ordering::SeqCst);
        let written = write_all(rustix::stdio::stdout(), bytes);
        self.steps.fetch_add(1, Ordering::SeqCst);
        written?;
        if let Some(last) = bytes.last() {
            state.is_within_line = *last != b'\n';
        }
        state.write_waiting()
    }

    /// Returns a number that changes with all bytes of the server that are written, and is odd while some are.
    pub(super) fn steps(&self) -> u64 {
        self.steps.load(Ordering::SeqCst)
    }

    /// Writes a line of our own, at the next end of a line.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(super) fn answer(&self, line: &[u8]) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting.extend_from_slice(line);
        state.write_waiting()
    }

    /// Writes what waits, because the server writes nothing any more.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(super) fn end(&self) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_within_line && !state.waiting.is_empty() {
            write_all(rustix::stdio::stdout(), b"\n")?;
        }
        state.is_within_line = false;
        state.write_waiting()
    }
}

impl State {
    fn write_waiting(&mut self) -> io::Result<()> {
        if self.is_within_line || self.waiting.is_empty() {
            return Ok(());
        }
        write_all(rustix::stdio::stdout(), &std::mem::take(&mut self.waiting))
    }
}

/// Writes all bytes, also to a pipe that another process made non-blocking.
pub(super) fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(to, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(taken) => bytes = &bytes[taken..],
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => wait_for(to, PollFlags::OUT)?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Reads what is there, at least one byte; 0 at the end. Works also for a pipe that another process made non-blocking.
pub(super) fn read(from: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match rustix::io::read(from, &mut *buffer) {
            Ok(read) => return Ok(read),
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => wait_for(from, PollFlags::IN)?,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits until nobody reads from our stdout any more.
pub(super) fn wait_until_unread() -> io::Result<()> {
    wait_for(rustix::stdio::stdout(), PollFlags::empty())
}

/// Waits until one of these events, an error or the end of the other side comes.
fn wait_for(fd: BorrowedFd<'_>, events: PollFlags) -> io::Result<()> {
    loop {
        match poll(&mut [PollFd::from_borrowed_fd(fd, events)], None) {
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
