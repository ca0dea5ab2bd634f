//! One follower of the whole home and its subscribers, which wait for new events.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;
use tooltrail::seal::count_erasures;
use tooltrail::{Follow, Home, Question, Trail};

use super::mask::Mask;
use super::ring::{EventId, Ring, RingPosition, Since, StreamEvent};
use crate::failure::Failure;

/// Pause between two reads of the home: short enough that people see new entries as immediate.
const PAUSE: Duration = Duration::from_millis(200);

/// Days that are followed. Lines of older dates come from an import and are not news, and each followed day file costs
/// a check in every round.
pub(crate) const LIVE_DAYS: u32 = 31;

/// Most events handed out at once. They are copied under the ring's lock, which takes some microseconds.
const HANDED_MAX: usize = 256;

/// Follows the home in a separate thread and keeps the newest events for any number of subscribers.
///
/// The hub never waits for a subscriber. If one is so slow that its events were already removed from the ring, it gets
/// [`StreamEvent::Lost`] with their number.
#[derive(Debug)]
pub(crate) struct Hub {
    shared: Arc<Shared>,
    /// The secret with which event ids are masked.
    secret: [u8; 32],
    /// Dropping this sender ends the thread.
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    ring: Mutex<Ring>,
    /// The number of the newest event; `None` once no more events will come.
    newest: watch::Sender<Option<u64>>,
}

impl Hub {
    /// Starts to follow a home from now on. Blocks while it checks every day file of the last [`LIVE_DAYS`] days once.
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
            let (shared, home) = (Arc::clone(&shared), trail.home().clone());
            move || shared.run(&home, follow, &stopped)
        });
        let thread = thread.map_err(|error| Failure::io("start", "a thread that follows the home", &error))?;
        Ok(Self { shared, secret, stop: Some(stop), thread: Some(thread) })
    }

    /// Returns a new subscriber.
    pub(crate) fn subscribe(&self, since: &Since) -> Subscriber {
        let news = self.shared.newest.subscribe();
        let position = self.shared.ring().position(since);
        Subscriber { shared: Arc::clone(&self.shared), news, position }
    }

    /// Returns the mask of the event ids that one token sees.
    pub(crate) fn mask(&self, token: &str) -> Mask {
        Mask::new(&self.secret, token)
    }

    /// Ends every subscription: each subscriber still gets the events that are in the ring, and then the end.
    pub(crate) fn stop(&self) {
        self.shared.newest.send_replace(None);
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.stop();
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // If the thread panicked, there is nothing more to do.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows the home until the hub is dropped.
    fn run(&self, home: &Home, mut follow: Follow, stopped: &mpsc::Receiver<()>) {
        let mut trouble = None;
        let mut erasures = count_erasures(home);
        loop {
            let now = count_erasures(home);
            if std::mem::replace(&mut erasures, now) != now {
                self.ring().drop_all();
            }
            let batch = follow.next_batch();
            // Logs a failure only once until a read succeeds again. A later read returns the entries missed by this
            // one.
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
                // `None` (no more events) is final, so it is never replaced.
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

/// The receiver of one live stream.
#[derive(Debug)]
pub(crate) struct Subscriber {
    shared: Arc<Shared>,
    news: watch::Receiver<Option<u64>>,
    position: RingPosition,
}

impl Subscriber {
    /// Waits for the next events, at most [`HANDED_MAX`]; returns `None` once no more will come.
    ///
    /// Cancel-safe: if the future is dropped before it completes, no event is lost, and the next call returns it.
    pub(crate) async fn next(&mut self) -> Option<Vec<(EventId, StreamEvent)>> {
        loop {
            let ended = self.news.borrow_and_update().is_none();
            let events = self.shared.ring().after(&mut self.position, HANDED_MAX);
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

    /// Longest wait for an expected event.
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
        // In turns, so that other load on the machine affects both.
        for turn in 0..12 {
            for (recorder, spent) in [&calm, &busy].into_iter().zip(&mut spent) {
                let calls = (0..1_000).map(|n| call(turn * 1_000 + n)).collect();
                let began = Instant::now();
                recorder.record_durable(calls).unwrap().wait().unwrap();
                *spent += began.elapsed();
            }
        }
        // The follower itself uses a part of the two cores, so the factor is generous.
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
