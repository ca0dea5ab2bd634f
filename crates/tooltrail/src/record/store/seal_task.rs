//! Runs the sealing beside the writer thread, one round at a time.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::record::event::Event;
use crate::record::sealing::{SealRound, SealWhen, Sealing};

/// The shortest time between two rounds.
const ROUND_EVERY: Duration = Duration::from_secs(1);

/// How often an idle process looks whether there is something to seal: lines may wait as long as this.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The rounds of sealing of one process.
#[derive(Debug)]
pub(crate) struct SealTask {
    sealing: Option<Arc<dyn Sealing>>,
    /// Whether a round runs in a thread of its own.
    background: bool,
    /// Whether it looks for lines of other programs while this process records nothing.
    looks_when_idle: bool,
    running: Option<JoinHandle<SealRound>>,
    begun_at: Option<Duration>,
    /// When the next round is due; `None` if this process has recorded nothing since the last one.
    due_at: Option<Duration>,
}

impl SealTask {
    pub(crate) fn new(
        sealing: Option<Arc<dyn Sealing>>,
        background: bool,
        looks_when_idle: bool,
        now: Duration,
    ) -> Self {
        Self { sealing, background, looks_when_idle, running: None, begun_at: None, due_at: Some(now) }
    }

    /// Returns who seals; `None` if nobody does.
    pub(crate) fn sealing(&self) -> Option<&Arc<dyn Sealing>> {
        self.sealing.as_ref()
    }

    /// Makes a round due, because files were flushed.
    pub(crate) fn is_due(&mut self, now: Duration) {
        self.due_by(self.begun_at.map_or(now, |begun| now.max(begun + ROUND_EVERY)));
    }

    /// Takes the result of a round that has ended, and begins one that is due. Returns what is to be recorded.
    pub(crate) fn run(&mut self, now: Duration) -> Vec<Event> {
        let mut events = Vec::new();
        let Some(sealing) = self.sealing.clone() else { return events };
        if self.running.as_ref().is_some_and(JoinHandle::is_finished) {
            events = self.ended(now);
        }
        if self.running.is_some() || self.due_at.is_none_or(|due_at| now < due_at) {
            return events;
        }
        self.begun_at = Some(now);
        self.due_at = self.looks_when_idle.then_some(now + LOOK_EVERY);
        let thread = self.background.then(|| {
            let sealing = Arc::clone(&sealing);
            Builder::new().name("tooltrail-seal".to_owned()).spawn(move || sealing.seal(SealWhen::Due)).ok()
        });
        match thread.flatten() {
            Some(thread) => self.running = Some(thread),
            None => events.extend(self.took(sealing.seal(SealWhen::Due), now)),
        }
        events
    }

    /// Waits for the running round and seals the rest, because the recorder closes. Returns what is to be recorded.
    pub(crate) fn close(&mut self, now: Duration) -> Vec<Event> {
        let mut events = self.ended(now);
        if let Some(sealing) = &self.sealing {
            events.extend(sealing.seal(SealWhen::Closing).events);
        }
        events
    }

    /// Returns how long the task needs no attention; `None` means without a limit.
    pub(crate) fn patience(&self, now: Duration) -> Option<Duration> {
        self.sealing.as_ref()?;
        match self.running {
            Some(_) => Some(ROUND_EVERY),
            None => Some(self.due_at?.saturating_sub(now)),
        }
    }

    fn ended(&mut self, now: Duration) -> Vec<Event> {
        match self.running.take().map(JoinHandle::join) {
            Some(Ok(round)) => self.took(round, now),
            // A panic in sealing must not stop recording. The next round begins from what is on disk.
            Some(Err(_)) | None => Vec::new(),
        }
    }

    fn took(&mut self, round: SealRound, now: Duration) -> Vec<Event> {
        if let Some(again) = round.again {
            self.due_by(now + again);
        }
        round.events
    }

    fn due_by(&mut self, at: Duration) {
        self.due_at = Some(self.due_at.map_or(at, |due_at| due_at.min(at)));
    }
}
