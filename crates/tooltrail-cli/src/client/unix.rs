//! HTTP over a Unix socket.
//!
//! Whoever can replace the file of a socket could pose as the service and get tokens and entries. So the process behind
//! the socket must be of the user who owns the file, and the folder must be one in which only this user or root makes
//! files.

use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::Error;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport};

/// Connects to a socket, whatever the address of the request is.
#[derive(Debug)]
pub(super) struct UnixConnector(pub(super) PathBuf);

/// A connection.
#[derive(Debug)]
pub(super) struct UnixTransport {
    stream: UnixStream,
    buffers: LazyBuffers,
}

impl Connector for UnixConnector {
    type Out = UnixTransport;

    fn connect(&self, details: &ConnectionDetails<'_>, _chained: Option<()>) -> Result<Option<UnixTransport>, Error> {
        let owner = owner_of(&self.0)?;
        let stream = connect(&self.0)?;
        check_service(&stream, owner)?;
        let config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Some(UnixTransport { stream, buffers }))
    }
}

impl Transport for UnixTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.set_write_timeout(time_of(timeout))?;
        let sent = self.stream.write_all(&self.buffers.output()[..amount]);
        sent.map_err(|error| timed(error, timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.set_read_timeout(time_of(timeout))?;
        let read = self.stream.read(self.buffers.input_append_buf()).map_err(|error| timed(error, timeout))?;
        self.buffers.input_appended(read);
        Ok(read > 0)
    }

    fn is_open(&mut self) -> bool {
        // Each client sends few requests, one after the other.
        false
    }
}

/// Returns the time for a system call; `None` waits for ever.
fn time_of(timeout: NextTimeout) -> Option<Duration> {
    timeout.not_zero().map(|time| *time)
}

fn timed(error: io::Error, timeout: NextTimeout) -> Error {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Error::Timeout(timeout.reason),
        _ => error.into(),
    }
}

/// Connects without waiting. The queue of a service that accepts no connections is full at some time, and then the kernel
/// would make us wait without a bound.
fn connect(path: &Path) -> io::Result<UnixStream> {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, connect, socket};
    let socket = socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(true)?;
    connect(&stream, &SocketAddrUnix::new(path)?)?;
    stream.set_nonblocking(false)?;
    Ok(stream)
}

fn refused<T>(what: String) -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::PermissionDenied, what))
}

/// Returns the user id of the owner of a socket's file. Refuses one that others may replace.
fn owner_of(path: &Path) -> io::Result<u32> {
    let owner = std::fs::symlink_metadata(path)?.uid();
    let folder = path.parent().unwrap_or(Path::new("/"));
    let above = std::fs::metadata(folder)?;
    // In a folder with the sticky bit, only the owner of a file can replace it.
    let is_shared = above.mode() & 0o022 != 0 && above.mode() & 0o1000 == 0;
    if (above.uid() != 0 && above.uid() != owner) || is_shared {
        return refused(format!("others may replace the socket: {} is not its owner's folder", folder.display()));
    }
    Ok(owner)
}

/// Refuses a connection to a process of another user than this one.
fn check_service(stream: &UnixStream, owner: u32) -> io::Result<()> {
    match peer_uid(stream)? {
        Some(NOBODY) => refused("the user of the service cannot be seen from this user namespace".to_owned()),
        Some(uid) if uid != owner => {
            refused(format!("the socket belongs to the user of id {owner}, and the service runs as {uid}"))
        }
        _ => Ok(()),
    }
}

/// The user id that a user namespace shows for every id from outside.
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux has user namespaces"))]
const NOBODY: u32 = 65_534;

/// Returns the user id of the process at the other end.
#[cfg(target_os = "linux")]
fn peer_uid(stream: &UnixStream) -> io::Result<Option<u32>> {
    Ok(Some(rustix::net::sockopt::socket_peercred(stream)?.uid.as_raw()))
}

/// On other systems, the owner of the socket's file and of its folder must be enough.
#[cfg(not(target_os = "linux"))]
fn peer_uid(_stream: &UnixStream) -> io::Result<Option<u32>> {
    Ok(None)
}
