//! Runs many callers as tasks on a few threads: each awaits an acknowledgement, then makes its next call.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tooltrail::Ack;

/// A caller.
pub(crate) trait Task: Send {
    /// The reason why the caller could not continue.
    type Error: Send;

    /// Continues after the awaited acknowledgement is ready.
    fn step(&mut self) -> Result<Step, Self::Error>;
}

/// The result of one step of a caller.
pub(crate) struct Step {
    /// The time of the call that ended with this step, if any.
    pub(crate) done: Option<Duration>,
    /// The acknowledgement to await next; `None` if the caller has ended.
    pub(crate) ack: Option<Ack>,
}

/// Runs `tasks` callers on `threads` threads until all have ended; returns the times of their calls.
pub(crate) fn run<T: Task>(
    tasks: usize,
    threads: usize,
    make: impl Fn(usize) -> T + Sync,
) -> Result<Vec<Duration>, Box<dyn std::error::Error>>
where
    T::Error: Into<Box<dyn std::error::Error>> + From<tooltrail::Error>,
{
    let make = &make;
    let parts = std::thread::scope(|scope| {
        let threads = (0..threads).map(|thread| {
            let numbers = (thread..tasks).step_by(threads);
            scope.spawn(move || run_part(numbers.map(make).collect()))
        });
        let threads = threads.collect::<Vec<_>>();
        threads.into_iter().map(|thread| thread.join().expect("no caller panics")).collect::<Vec<_>>()
    });
    let mut took = Vec::new();
    for part in parts {
        took.extend(part.map_err(Into::into)?);
    }
    Ok(took)
}

/// Runs some of the callers on the current thread.
fn run_part<T: Task>(mut tasks: Vec<T>) -> Result<Vec<Duration>, T::Error>
where
    T::Error: From<tooltrail::Error>,
{
    let ready = Arc::new(Ready::default());
    let wakers = (0..tasks.len()).map(|n| Waker::from(Arc::new(Woken { n, ready: Arc::clone(&ready) })));
    let wakers = wakers.collect::<Vec<_>>();
    let mut acks = tasks.iter().map(|_| None::<Ack>).collect::<Vec<_>>();
    let mut took = Vec::new();
    let mut living = tasks.len();
    ready.lock().extend(0..tasks.len());
    while living > 0 {
        for n in ready.take() {
            let mut context = Context::from_waker(&wakers[n]);
            loop {
                if let Some(ack) = &mut acks[n] {
                    match Pin::new(ack).poll(&mut context) {
                        Poll::Pending => break,
                        Poll::Ready(answer) => answer?,
                    }
                }
                let step = tasks[n].step()?;
                took.extend(step.done);
                acks[n] = step.ack;
                if acks[n].is_none() {
                    living -= 1;
                    break;
                }
            }
        }
    }
    Ok(took)
}

/// The callers that can continue.
#[derive(Default)]
struct Ready {
    numbers: Mutex<VecDeque<usize>>,
    some: Condvar,
}

impl Ready {
    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<usize>> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until at least one caller can continue, and takes all of them.
    fn take(&self) -> VecDeque<usize> {
        let waited = self.some.wait_while(self.lock(), |numbers| numbers.is_empty());
        std::mem::take(&mut *waited.unwrap_or_else(PoisonError::into_inner))
    }
}

/// The waker of one caller.
struct Woken {
    n: usize,
    ready: Arc<Ready>,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        let mut numbers = self.ready.lock();
        numbers.push_back(self.n);
        // Only the first number can find the thread waiting.
        if numbers.len() == 1 {
            self.ready.some.notify_one();
        }
    }
}
