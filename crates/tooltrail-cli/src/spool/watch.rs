//! Sees to it that what a proxy records is delivered, and knows whether there is room for more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use crate::spool::delivery::Delivery;

/// After a call was recorded, its line is in the spool within this time, usually.
const LOOK_AFTER: Duration = Duration::from_millis(20);

/// How often to look whether a deliverer is at work while something waits.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The bytes of the thread's stack: it calls nothing deep.
const STACK_BYTES: usize = 256 * 1024;

/// Watches the spool of a proxy.
#[derive(Debug)]
pub(crate) struct SpoolWatch {
    recorded: SyncSender<()>,
    is_full: Arc<AtomicBool>,
}

impl SpoolWatch {
    /// Starts to watch. The thread sleeps while nothing is recorded and nothing waits.
    pub(crate) fn start(delivery: Delivery) -> Self {
        let (recorded, heard) = sync_channel(1);
        let is_full = Arc::new(AtomicBool::new(false));
        let full = Arc::clone(&is_full);
        let thread = std::thread::Builder::new().name("tooltrail-spool".to_owned()).stack_size(STACK_BYTES);
        // Without the thread, the last look at the end of the proxy delivers everything.
        let _ = thread.spawn(move || watch(&delivery, &heard, &full));
        Self { recorded, is_full }
    }

    /// Takes note that a call was recorded.
    pub(crate) fn recorded(&self) {
        // If the thread has not looked since the last one, it will see this one too.
        let _ = self.recorded.try_send(());
    }

    /// Whether there is no room for further calls.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }
}

fn watch(delivery: &Delivery, heard: &Receiver<()>, full: &AtomicBool) {
    // An earlier proxy may have left something.
    loop {
        std::thread::sleep(LOOK_AFTER);
        full.store(delivery.spool.is_full(), Ordering::Relaxed);
        let heard = if delivery.spool.has_work() {
            delivery.start_deliverer_if_none();
            heard.recv_timeout(LOOK_EVERY).map_err(|error| error == std::sync::mpsc::RecvTimeoutError::Disconnected)
        } else {
            heard.recv().map_err(|_| true)
        };
        if heard == Err(true) {
            return;
        }
    }
}
