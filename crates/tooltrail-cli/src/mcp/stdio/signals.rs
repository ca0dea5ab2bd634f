//! Passes signals on to the server.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::origin::WithOrigin;
use signal_hook::low_level::siginfo::{Cause, Sent};

use crate::mcp::stdio::event::Event;
use crate::mcp::stdio::server::Running;
use crate::mcp::stdio::shared::Shared;

/// The signals that would end us before the server.
const SIGNALS: [i32; 6] = [SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2];

/// The signals that are waited for. Begun before the server is started, so that none is missed.
#[derive(Debug)]
pub(super) struct Signals(SignalsInfo<WithOrigin>);

impl Signals {
    /// Begins to wait for signals.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(super) fn begin() -> std::io::Result<Self> {
        // A file that may not grow is a failed write, as a full disk is. The server gets the usual effect of the signal.
        signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))?;
        SignalsInfo::new(SIGNALS).map(Self)
    }

    /// Passes signals on to the server for ever. A signal of the terminal reaches the server without us, because it is
    /// in the same process group; only SIGTERM is passed on whoever sent it.
    pub(super) fn pass_on(mut self, server: &Running, shared: &Shared) {
        for origin in &mut self.0 {
            let is_for_us = matches!(origin.cause, Cause::Sent(Sent::User | Sent::TKill | Sent::Queue));
            if origin.signal == SIGTERM || is_for_us {
                server.signal(origin.signal);
            }
            if origin.signal == SIGTERM {
                shared.tell(Event::Terminated);
            }
        }
    }
}
