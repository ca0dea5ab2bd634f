//! A few threads that run many callers as tasks: each awaits an acknowledgement, then makes its next call.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tooltrail::Ack;

/// One caller.
pub(crate) trait Task: Send {
    /// Why it could not go on.
    type Error: Send;

    /// Goes on once what was awaited is there.
    fn step(&mut self) -> Result<Step, Self::Error>;
}

/// What a caller did.
pub(crate) struct Step {
    /// How long the call took that is done now.
    pub(crate) done: Option<Duration>,
    /// What is awaited next; without it the caller has ended.
    pub(crate) ack: Option<Ack>,
}

/// Runs so many callers on so many threads until all have ended; returns how long their calls took.
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

/// Runs callers on this thread.
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

/// Callers that can go on.
#[derive(Default)]
struct Ready {
    numbers: Mutex<VecDeque<usize>>,
    some: Condvar,
}

impl Ready {
    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<usize>> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for some and takes them.
    fn take(&self) -> VecDeque<usize> {
        let waited = self.some.wait_while(self.lock(), |numbers| numbers.is_empty());
        std::mem::take(&mut *waited.unwrap_or_else(PoisonError::into_inner))
    }
}

/// Wakes one caller.
struct Woken {
    n: usize,
    ready: Arc<Ready>,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        let mut numbers = self.ready.lock();
        numbers.push_back(self.n);
        // Only the first has anybody to wake.
        if numbers.len() == 1 {
            self.ready.some.notify_one();
        }
    }
}
