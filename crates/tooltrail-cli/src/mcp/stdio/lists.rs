//! Compares lists of tools beside the passing of bytes.

use std::io;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::mcp::tools::{ListedTools, Listing, ToolChanges, ToolStore};

/// The lists of one connection.
#[derive(Debug, Default)]
pub(super) struct Lists {
    listing: Mutex<Listing>,
    worker: Mutex<Option<Worker>>,
}

#[derive(Debug)]
struct Worker {
    pages: Sender<ListedTools>,
    thread: JoinHandle<()>,
}

impl Lists {
    /// Compares pages in a thread of its own, in the order in which they come. The thread goes on with the first `compare`.
    pub(super) fn pass(&self, page: ListedTools, compare: impl Fn(ListedTools) + Send + 'static) {
        let mut worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        if worker.is_none() {
            let (sender, received) = channel::<ListedTools>();
            let thread = std::thread::Builder::new().name("tooltrail-lists".to_owned());
            let thread = thread.spawn(move || received.iter().for_each(compare));
            *worker = thread.ok().map(|thread| Worker { pages: sender, thread });
        }
        if let Some(worker) = &*worker {
            let _ = worker.pages.send(page);
        }
    }

    /// Compares a page with what was seen.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(super) fn take_in(&self, store: &ToolStore, page: ListedTools) -> io::Result<ToolChanges> {
        let mut listing = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
        store.take_in(&mut listing, page)
    }

    /// Waits until everything is compared.
    pub(super) fn end(&self) {
        let worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Worker { pages, thread }) = worker {
            drop(pages);
            let _ = thread.join();
        }
    }
}
