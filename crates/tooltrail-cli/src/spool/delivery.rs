//! How a sender delivers: at once if that is fast, otherwise in a process of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::client::Client;
use crate::spool::deliver::{Deliverer, Outcome};
use crate::spool::folder::Spool;

/// How long a hook may wait for the service. An agent waits for the hook, and most answers come within two milliseconds.
const AT_ONCE: Duration = Duration::from_millis(5);

/// The most bytes that a hook sends itself.
const AT_ONCE_BYTES_MAX: u64 = 256 << 10;

/// What became of what waited.
enum AtOnce {
    /// It is sent.
    Done,
    /// Another process sends it.
    OtherWorks,
}

/// Where a sender delivers to.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) spool: Spool,
    /// The address of the service.
    pub(crate) to: String,
    pub(crate) token_file: PathBuf,
    /// The folder for state in which the spool is.
    pub(crate) state: PathBuf,
}

impl Delivery {
    /// Sends what waits, if the service answers within some milliseconds. Otherwise a process of its own does it later.
    /// Does nothing if such a process is at work.
    pub(crate) fn deliver_soon(&self) {
        match self.deliver_at_once() {
            Some(AtOnce::OtherWorks) => return,
            // Whoever has recorded meanwhile has seen the lock, and relies on this process.
            Some(AtOnce::Done) if !self.spool.has_work() => return,
            Some(AtOnce::Done) | None => {}
        }
        // A failure is no loss: the next call tries again.
        let _ = self.start_deliverer();
    }

    /// Starts a process that delivers, unless there is one or nothing waits.
    pub(crate) fn start_deliverer_if_none(&self) {
        let is_free = || self.spool.try_lock().is_ok_and(|lock| lock.is_some());
        if self.spool.has_work() && is_free() {
            let _ = self.start_deliverer();
        }
    }

    /// Returns the client with which is delivered.
    ///
    /// # Errors
    /// Why there is none, as a message.
    pub(crate) fn client(&self, time: Duration) -> Result<Client, String> {
        let token = Client::token_in(&self.token_file).map_err(|failure| failure.to_string())?;
        Ok(Client::new(self.to.parse()?, token, Some(time)))
    }

    /// Sends what waits, if that is little; `None` if it is not done.
    fn deliver_at_once(&self) -> Option<AtOnce> {
        let waiting = self.spool.waiting_bytes();
        if waiting == 0 {
            return Some(AtOnce::Done);
        }
        // Whoever has the lock looks once more after it.
        let Some(_lock) = self.spool.try_lock().ok()? else { return Some(AtOnce::OtherWorks) };
        if waiting > AT_ONCE_BYTES_MAX {
            return None;
        }
        let client = self.client(AT_ONCE).ok()?;
        let delivered = Deliverer { spool: &self.spool, client: &client }.deliver(Some(AT_ONCE)).ok()?;
        matches!(delivered, Outcome::Done(_)).then_some(AtOnce::Done)
    }

    /// Starts a process that delivers, and does not wait for it.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    fn start_deliverer(&self) -> std::io::Result<()> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["deliver", "--background", "--to", &self.to]);
        // It runs in another folder.
        command.arg("--token-file").arg(std::path::absolute(&self.token_file)?);
        command.arg("--state").arg(std::path::absolute(&self.state)?);
        // It must not keep the folder of a project in use, nor the pipes of the agent.
        command.current_dir(Path::new("/")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().map(drop)
    }
}
