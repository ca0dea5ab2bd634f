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
        let ignored = ignored();
        if !ignored.contains(&SIGXFSZ) {
            signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))?;
        }
        SignalsInfo::new(SIGNALS.iter().filter(|signal| !ignored.contains(signal))).map(Self)
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

/// Returns the signals that this process ignores because whoever started it does. The server must find them ignored too,
/// which it would not if we handled them. Other systems than Linux do not tell; there none counts as ignored.
fn ignored() -> Vec<i32> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    SIGNALS.into_iter().chain([SIGXFSZ]).filter(|signal| mask & 1 << (signal - 1) != 0).collect()
}
