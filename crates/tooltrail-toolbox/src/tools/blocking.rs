//! Runs blocking reads on Tokio's blocking threads, with a limit on how many run at the same time.

use std::fmt;
use std::panic::resume_unwind;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::tool::ToolError;

/// A limit on concurrent reads. Further reads wait for a free place, at most until the timeout of their tool.
pub(super) struct Places(Arc<Semaphore>);

impl Places {
    /// Returns a limit of `reads_max` concurrent reads.
    pub(super) fn new(reads_max: usize) -> Self {
        Self(Arc::new(Semaphore::new(reads_max)))
    }

    /// Runs a read as soon as a place is free.
    ///
    /// If the caller gives up, a read that has started still runs to its end and keeps its place until then, so that
    /// the limit holds.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ToolError> {
        let location = Arc::clone(&self.0).acquire_owned().await?;
        let done = tokio::task::spawn_blocking(move || {
            let _place = location;
            read()
        });
        match done.await.map_err(tokio::task::JoinError::try_into_panic) {
            Ok(answer) => Ok(answer),
            Err(Ok(panic)) => resume_unwind(panic),
            Err(Err(stopped)) => Err(stopped.into()),
        }
    }
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} free places", self.0.available_permits())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::Places;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_more_run_than_there_are_places() {
        let (places, running, most) = (Arc::new(Places::new(2)), Arc::default(), Arc::default());
        let reads: Vec<_> = (0..20)
            .map(|n: usize| {
                let places = Arc::clone(&places);
                let (running, most) = (Arc::<AtomicUsize>::clone(&running), Arc::<AtomicUsize>::clone(&most));
                let read = move || {
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(5));
                    running.fetch_sub(1, Ordering::SeqCst);
                };
                tokio::spawn(async move {
                    let run = places.run(read);
                    // Some callers give up long before their read ends; this must not free a place for another read.
                    if n.is_multiple_of(3) {
                        tokio::time::timeout(Duration::from_millis(1), run).await.is_ok()
                    } else {
                        run.await.is_ok()
                    }
                })
            })
            .collect();
        for read in reads {
            read.await.unwrap();
        }
        assert_eq!(most.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_panic_goes_on_to_the_caller() {
        let task = tokio::spawn(async { Places::new(1).run(|| panic!("broken")).await });
        assert!(task.await.unwrap_err().is_panic());
    }
}
