//! One follower of the whole home, and those who wait for what it meets.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;
use tooltrail::{Follow, Question, Trail};

use super::mask::Mask;
use super::ring::{EventId, Ring, RingPosition, Since, StreamEvent};
use crate::failure::Failure;

/// Pause between two looks at the home: what people still feel as at once.
const PAUSE: Duration = Duration::from_millis(200);

/// Days followed: lines of older dates are an import, not news, and each day file followed costs a look.
pub(crate) const LIVE_DAYS: u32 = 31;

/// Events handed out at once: the ring's lock is held for their copying, some microseconds.
const HANDED_MAX: usize = 256;

/// Follows the home in a thread of its own and keeps the newest events for any number of subscribers.
///
/// Nobody is waited for: a subscriber that falls out of the ring gets [`StreamEvent::Lost`] with the count.
#[derive(Debug)]
pub(crate) struct Hub {
    shared: Arc<Shared>,
    /// Under which ids are masked.
    secret: [u8; 32],
    /// Dropped to end the thread.
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    ring: Mutex<Ring>,
    /// The number of the newest event; `None` when no more will come.
    newest: watch::Sender<Option<u64>>,
}

impl Hub {
    /// Begins to follow a home from now on. It looks once at every day file of the month: call it where that may block.
    pub(crate) fn start(trail: &Trail) -> Result<Self, Failure> {
        let mut question = Question::new();
        question.days = LIVE_DAYS;
        let follow = trail.follow(&question)?;
        let (mut bits, mut secret) = ([0; 8], [0; 32]);
        getrandom::fill(&mut bits).and_then(|()| getrandom::fill(&mut secret)).map_err(|error| {
            Failure::could_not(format!("no random bits from the system: {error}"), "run it again in a moment")
        })?;
        let start = format!("{:016x}", u64::from_be_bytes(bits));
        let shared = Arc::new(Shared { ring: Mutex::new(Ring::new(&start)), newest: watch::Sender::new(Some(0)) });
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::Builder::new().name("tooltrail-live".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || shared.run(follow, &stopped)
        });
        let thread = thread.map_err(|error| Failure::io("start", "a thread that follows the home", &error))?;
        Ok(Self { shared, secret, stop: Some(stop), thread: Some(thread) })
    }

    /// Returns a subscriber.
    pub(crate) fn subscribe(&self, since: &Since) -> Subscriber {
        let news = self.shared.newest.subscribe();
        let place = self.shared.ring().place(since);
        Subscriber { shared: Arc::clone(&self.shared), news, place }
    }

    /// Returns the mask of the ids that one token sees.
    pub(crate) fn mask(&self, token: &str) -> Mask {
        Mask::new(&self.secret, token)
    }

    /// Ends every subscription: once what is in the ring was given, there is no more.
    pub(crate) fn stop(&self) {
        self.shared.newest.send_replace(None);
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.stop();
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing more to say.
            let _ended = thread.join();
        }
    }
}

impl Shared {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows until the hub is dropped.
    fn run(&self, mut follow: Follow, stopped: &mpsc::Receiver<()>) {
        let mut trouble = None;
        loop {
            let batch = follow.next_batch();
            // A failed look is told once, until one succeeds; what it did not give, a later one gives.
            let failed = batch.as_ref().err().map(ToString::to_string);
            if let Some(why) = failed.as_ref().filter(|_| trouble.is_none()) {
                tracing::warn!(why, "the home could not be followed; trying again");
            }
            trouble = failed;
            let batch = batch.unwrap_or_default();
            if !batch.is_empty() {
                let mut ring = self.ring();
                batch.into_iter().for_each(|followed| ring.push(followed));
                let newest = ring.newest();
                drop(ring);
                // Once it was said that no more comes, it stays said.
                self.newest.send_if_modified(|known| match known {
                    Some(known) => std::mem::replace(known, newest) != newest,
                    None => false,
                });
            }
            let pause = if follow.caught_up() { PAUSE } else { Duration::ZERO };
            if stopped.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected) {
                return;
            }
        }
    }
}

/// One who watches.
#[derive(Debug)]
pub(crate) struct Subscriber {
    shared: Arc<Shared>,
    news: watch::Receiver<Option<u64>>,
    place: RingPosition,
}

impl Subscriber {
    /// Waits for the next events, a few hundred at most; `None` when no more will come.
    ///
    /// A call that is not awaited to its end takes nothing: the next one gives the same.
    pub(crate) async fn next(&mut self) -> Option<Vec<(EventId, StreamEvent)>> {
        loop {
            let ended = self.news.borrow_and_update().is_none();
            let events = self.shared.ring().after(&mut self.place, HANDED_MAX);
            if !events.is_empty() {
                return Some(events);
            }
            if ended {
                return None;
            }
            self.news.changed().await.ok()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;
    use tooltrail::{Call, Recorder};

    /// Longest wait for what must come.
    const PATIENCE: Duration = Duration::from_secs(60);

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async { tokio::time::timeout(PATIENCE, future).await.expect("it comes in time") })
    }

    fn call(n: usize) -> Call {
        Call::new(format!("u{}", n % 3), "t", format!("{{\"n\":{n}}}")).ok("r")
    }

    async fn lines(subscriber: &mut Subscriber, many: usize) -> Vec<String> {
        let mut lines = Vec::new();
        while lines.len() < many {
            for (_, event) in subscriber.next().await.unwrap() {
                let StreamEvent::Entry(entry) = event else { panic!("{event:?}") };
                lines.push(entry.line.clone());
            }
        }
        lines
    }

    #[test]
    fn every_subscriber_gets_every_entry_and_can_come_back() {
        let home = tempfile::tempdir().unwrap();
        let recorder = Recorder::open(home.path()).unwrap();
        recorder.record(&call(0));
        recorder.flush().unwrap();
        let hub = Hub::start(&Trail::open(home.path()).unwrap()).unwrap();
        let (mut one, mut two) = (hub.subscribe(&Since::Now), hub.subscribe(&Since::Now));
        for n in 1..=500 {
            recorder.record(&call(n));
        }
        recorder.flush().unwrap();
        block_on(async {
            let all = lines(&mut one, 500).await;
            let unknown = hub.subscribe(&Since::Unknown).next().await.unwrap();
            assert_eq!(unknown[0].1, StreamEvent::Lost(None));
            let first = &unknown[1].0;
            assert_eq!(lines(&mut two, 500).await, all);
            let mut numbers = all.iter().map(|line| line.split("\"n\":").nth(1).unwrap().split('}').next().unwrap());
            let mut seen = numbers.by_ref().map(|n| n.parse::<usize>().unwrap()).collect::<Vec<_>>();
            seen.sort_unstable();
            assert!(seen.into_iter().eq(1..=500));
            let id = EventId::parse(&first.to_string().replace("-1", "-400")).unwrap();
            let mut back = hub.subscribe(&Since::After(id));
            assert_eq!(lines(&mut back, 100).await, all[400..]);
            hub.stop();
            recorder.record(&call(501));
            recorder.flush().unwrap();
            while one.next().await.is_some() {}
            assert_eq!(one.next().await, None);
        });
    }

    #[test]
    fn whoever_reads_nothing_holds_nobody_up_and_is_told_what_it_lost() {
        let (calm, watched) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (calm, busy) = (Recorder::open(calm.path()).unwrap(), Recorder::open(watched.path()).unwrap());
        let hub = Hub::start(&Trail::open(watched.path()).unwrap()).unwrap();
        let mut idle = hub.subscribe(&Since::Now);
        let mut spent = [Duration::ZERO; 2];
        // In turns, so that whatever else the machine does falls on both.
        for turn in 0..12 {
            for (recorder, spent) in [&calm, &busy].into_iter().zip(&mut spent) {
                let calls = (0..1_000).map(|n| call(turn * 1_000 + n)).collect();
                let began = Instant::now();
                recorder.record_durable(calls).unwrap().wait().unwrap();
                *spent += began.elapsed();
            }
        }
        // The follower itself takes its share of two cores, so the factor is generous.
        assert!(spent[1] < spent[0] * 4, "{spent:?}");
        let began = Instant::now();
        while hub.shared.ring().newest() < 12_000 {
            assert!(began.elapsed() < PATIENCE, "the hub was held up");
            std::thread::sleep(Duration::from_millis(10));
        }
        let first = block_on(idle.next()).unwrap();
        assert_eq!(first[0].1, StreamEvent::Lost(Some(2_000)));
        assert_eq!(first.len(), HANDED_MAX);
    }
}
