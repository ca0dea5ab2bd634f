//! Runs the queue and its acknowledgements under a schedule explorer. In every explored thread schedule no entry is
//! lost and no caller waits for ever.
//!
//! Waits never time out here. A lost wake-up is therefore a deadlock, which the explorer reports with its schedule.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, MaxSteps, Runner, future, thread};

use crate::call::Call;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::record::loss::LossReason;
use crate::record::open_call_id::OpenCallId;
use crate::record::queue::Queue;
use crate::record::queue::item::{Item, Source};
use crate::record::queue::promise::{Ack, Promise, promise};

/// The number of schedules that each scheduler explores for each scene. The environment variable `SCHEDULES` overrides
/// it.
const SCHEDULES: usize = 1_000;

/// The number of priority changes in a schedule (the depth of the PCT scheduler). Most faults need two or three.
const DEPTH: usize = 3;

/// The number of steps after which a schedule counts as an endless loop.
const STEPS_MAX: usize = 20_000;

/// An upper bound for the bytes of one entry in the queue.
const ENTRY_BYTES_MAX: usize = 1_024;

/// The distance between the first entry numbers of two callers.
const CALLER: u64 = 1_000;

/// One step of a caller.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Offers an entry and does not wait.
    Offer,
    /// Offers this many entries and blocks until they are durable.
    Durable(usize),
    /// Like `Durable`, but awaits the acknowledgement as a future.
    Await(usize),
    /// Offers this many entries and drops the acknowledgement.
    Unheard(usize),
    /// Begins a call, waits until this is durable, and ends the call with an entry.
    Call,
    /// Waits until all entries before are durable.
    Flush,
    Close,
}

/// What the writer thread does with a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Kept,
    Failed,
    Dropped,
}

/// The observations of a run. Its lock is a lock of the standard library, so it must not be held at a point where the
/// explorer can switch threads.
#[derive(Debug, Default)]
struct Observed {
    /// The entries in the order in which the writer thread took them.
    taken: Vec<u64>,
    /// The calls that began, and those that ended.
    begun: Vec<u64>,
    ended: Vec<u64>,
    /// The entries that the queue accepted, according to the answers to the callers.
    accepted: Vec<u64>,
    /// The entries offered with the method that sheds entries when the queue is full.
    offered: Vec<u64>,
    shed: BTreeMap<LossReason, u64>,
    /// Whether the writer thread took the last batch.
    closed: bool,
}

#[derive(Debug, Default)]
struct World {
    queue: Queue,
    seen: std::sync::Mutex<Observed>,
}

impl World {
    fn seen(&self) -> std::sync::MutexGuard<'_, Observed> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns an entry that has this number as its time.
fn entry(number: u64) -> Call {
    let mut call = Call::new("alice", "t", "{}");
    call.ts = Some(Timestamp::from_millis(number.cast_signed()));
    call
}

fn number(entry: &Source) -> u64 {
    match entry {
        Source::Moved(call) => call.ts.unwrap().as_millis().cast_unsigned(),
        other => panic!("not given away: {other:?}"),
    }
}

/// Returns the fate of an entry. It depends only on the number, so that the caller and the writer thread agree.
fn fate(number: u64) -> Fate {
    match number % 7 {
        3 => Fate::Failed,
        5 => Fate::Dropped,
        _ => Fate::Kept,
    }
}

fn meet(fate: Fate, promise: Promise) {
    match fate {
        Fate::Kept => promise.keep(),
        Fate::Failed => promise.fail(1, "a disk"),
        Fate::Dropped => drop(promise),
    }
}

/// Takes batches until the queue is closed, as the real writer thread does.
fn write(world: &World, patience: Option<Duration>) {
    loop {
        let batch = world.queue.take(patience);
        if batch.items.is_empty() {
            // Stands for other work of the writer thread; lets other threads run.
            thread::yield_now();
        }
        let (items, bytes, _) = world.queue.counts();
        assert!(bytes <= items * ENTRY_BYTES_MAX, "{items} things of {bytes} bytes wait");
        let mut flushes = Vec::new();
        let mut waiting = Vec::new();
        let mut done = 0_u64;
        let mut seen = world.seen();
        seen.closed |= batch.closed;
        for (why, count) in batch.shed {
            *seen.shed.entry(why).or_default() += count;
        }
        for (item, weight) in batch.items {
            done = done.wrapping_add(weight);
            match item {
                Item::Entry(entry, promise, ends) => {
                    seen.taken.push(number(&entry));
                    seen.ended.extend(ends.map(OpenCallId::get));
                    waiting.extend(promise.map(|promise| (number(&entry), promise)));
                }
                Item::Begin(id, entry, promise) => {
                    seen.begun.push(id.get());
                    waiting.extend(promise.map(|promise| (number(&entry), promise)));
                }
                Item::Ended(id) => seen.ended.extend(id.map(OpenCallId::get)),
                Item::Flush(promise, _) | Item::Seen(promise) => flushes.push(promise),
            }
        }
        drop(seen);
        world.queue.done(done);
        for (number, promise) in waiting {
            meet(fate(number), promise);
        }
        flushes.into_iter().for_each(Promise::keep);
        if batch.closed {
            return;
        }
    }
}

/// One caller. The numbers of its entries are in a range of their own.
struct Caller {
    world: Arc<World>,
    next: u64,
}

impl Caller {
    fn numbers(&mut self, count: usize) -> Vec<u64> {
        let first = self.next;
        self.next += count as u64;
        (first..self.next).collect()
    }

    fn run(mut self, steps: &[Step]) {
        for step in steps {
            match *step {
                Step::Offer => {
                    let number = self.numbers(1)[0];
                    self.world.seen().offered.push(number);
                    self.world.queue.offer(entry(number), None);
                }
                Step::Durable(count) => self.durable(count, Ack::wait),
                Step::Await(count) => self.durable(count, future::block_on),
                Step::Unheard(count) => {
                    let numbers = self.numbers(count);
                    drop(self.offer_all(&numbers, 0));
                }
                Step::Call => self.call(),
                Step::Flush => self.flush(false),
                Step::Close => self.flush(true),
            }
        }
    }

    fn offer_all(&self, numbers: &[u64], ends: u64) -> Result<Ack, Error> {
        let (ack, promises) = promise(numbers.len());
        let entries = numbers.iter().copied().map(entry).collect();
        let taken =
            self.world.queue.offer_all(entries, promises.into_iter().map(Some).collect(), OpenCallId::new(ends));
        taken?;
        self.world.seen().accepted.extend(numbers);
        Ok(ack)
    }

    fn durable(&mut self, count: usize, wait: impl FnOnce(Ack) -> Result<(), Error>) {
        let numbers = self.numbers(count);
        let Ok(ack) = self.offer_all(&numbers, 0) else { return };
        is_answer(wait(ack), &numbers);
        let seen = self.world.seen();
        assert!(numbers.iter().all(|number| seen.taken.contains(number)), "acknowledged before it was taken");
    }

    fn call(&mut self) {
        let numbers = self.numbers(2);
        let id = numbers[0];
        let (ack, mut promises) = promise(1);
        if self.world.queue.begin(OpenCallId::after(id - 1), entry(id), promises.pop()).is_err() {
            return;
        }
        is_answer(ack.wait(), &numbers[..1]);
        assert!(self.world.seen().begun.contains(&id));
        if let Ok(ack) = self.offer_all(&numbers[1..], id) {
            is_answer(ack.wait(), &numbers[1..]);
            assert!(self.world.seen().ended.contains(&id));
        }
    }

    /// Flushes, and checks that all entries that this caller knows to be in the queue, of any caller, were taken
    /// before.
    fn flush(&self, close: bool) {
        let (accepted, offered) = {
            let seen = self.world.seen();
            let own = |number: &u64| number / CALLER == self.next / CALLER;
            (seen.accepted.clone(), seen.offered.iter().copied().filter(own).collect::<Vec<_>>())
        };
        let queue = &self.world.queue;
        let ack = if close { queue.close() } else { queue.flush() };
        ack.wait().unwrap();
        let counted = queue.counts().2.values().sum::<u64>();
        let seen = self.world.seen();
        // The writer answers a flush with the number of entries that it knows to be lost. When the queue is closed, an
        // entry that is recorded at the same moment may be counted after the last batch.
        let shed = if seen.closed { counted } else { seen.shed.values().sum::<u64>() };
        let untaken = offered.iter().filter(|number| !seen.taken.contains(number)).count();
        assert!(untaken as u64 <= shed, "flushed, and {untaken} are neither taken nor reported to the writer");
        let missing = accepted.iter().filter(|number| !seen.taken.contains(number)).collect::<Vec<_>>();
        assert!(missing.is_empty(), "flushed, and {missing:?} are not taken");
    }
}

/// Checks that the answer of an acknowledgement matches the fates of its entries.
fn is_answer(answer: Result<(), Error>, numbers: &[u64]) {
    let lost = numbers.iter().filter(|number| fate(**number) != Fate::Kept).count();
    match answer {
        Ok(()) => assert_eq!(lost, 0, "acknowledged, and lost"),
        Err(Error::Unwritten { entries, which, .. }) => {
            assert_eq!((entries, which.len()), (lost as u64, lost), "{numbers:?}: {which:?}");
            let named = |index: &usize| fate(numbers[*index]) != Fate::Kept;
            assert!(which.iter().all(named), "{numbers:?}: {which:?}");
        }
        Err(other) => panic!("{other:?}"),
    }
}

/// Runs the callers and a writer thread, closes the queue and checks the result.
fn scene(callers: &[&'static [Step]], patience: Option<Duration>) {
    let world = Arc::new(World::default());
    let writer = Arc::clone(&world);
    let writer = thread::spawn(move || write(&writer, patience));
    let run = |(n, steps): (u64, &&'static [Step])| {
        let (world, steps) = (Arc::clone(&world), *steps);
        thread::spawn(move || Caller { world, next: CALLER * n }.run(steps))
    };
    let threads = (1..).zip(callers).map(run).collect::<Vec<_>>();
    for thread in threads {
        thread.join().unwrap();
    }
    Caller { world: Arc::clone(&world), next: 0 }.flush(true);
    writer.join().unwrap();
    adds_up(&world);
    // A closed queue accepts nothing.
    let (_ack, promises) = promise(1);
    assert!(matches!(
        world.queue.offer_all(vec![entry(1)], promises.into_iter().map(Some).collect(), None),
        Err(Error::Closed)
    ));
    assert!(matches!(world.queue.begin(OpenCallId::after(0), entry(1), None), Err(Error::Closed)));
}

/// Checks that no entry is lost, none was taken twice, and the entries of each caller are in order.
fn adds_up(world: &World) {
    let (waiting, bytes, shed_total) = world.queue.counts();
    assert_eq!((waiting, bytes), (0, 0), "something waits in a closed queue");
    let seen = world.seen();
    let mut taken = seen.taken.clone();
    taken.sort_unstable();
    assert!(taken.is_sorted_by(|one, next| one < next), "taken twice: {:?}", seen.taken);
    assert!(seen.accepted.iter().all(|number| taken.contains(number)), "accepted, and never taken");
    let offered = seen.offered.iter().filter(|number| taken.contains(number)).count();
    assert_eq!(taken.len(), seen.accepted.len() + offered, "taken, and never offered");
    let shed = shed_total.values().sum::<u64>();
    assert_eq!(seen.offered.len() as u64, offered as u64 + shed, "offered, and neither taken nor counted");
    // The writer thread never gets more than the total. Entries shed after its last batch are only in the total.
    for (why, count) in &seen.shed {
        assert!(count <= &shed_total[why], "{why:?}");
    }
    for caller in taken.chunk_by(|one, next| one / CALLER == next / CALLER) {
        let order = seen.taken.iter().filter(|number| *number / CALLER == caller[0] / CALLER);
        assert!(order.is_sorted(), "{:?}", seen.taken);
    }
    for ended in &seen.ended {
        assert!(seen.begun.contains(ended), "an end without a beginning");
    }
}

fn explore(callers: &'static [&'static [Step]], patience: Option<Duration>) {
    let schedules = std::env::var("SCHEDULES").ok().and_then(|count| count.parse().ok()).unwrap_or(SCHEDULES);
    explore_with(RandomScheduler::new_from_seed(11, schedules), callers, patience);
    explore_with(PctScheduler::new_from_seed(11, DEPTH, schedules), callers, patience);
}

fn explore_with(scheduler: impl Scheduler + 'static, callers: &'static [&'static [Step]], patience: Option<Duration>) {
    let mut config = Config::default();
    config.max_steps = MaxSteps::FailAfter(STEPS_MAX);
    Runner::new(scheduler, config).run(move || scene(callers, patience));
}

#[test]
fn acknowledgements_resolve() {
    explore(&[&[Step::Durable(1), Step::Await(2)], &[Step::Await(1), Step::Durable(3)], &[Step::Unheard(2)]], None);
}

#[test]
fn a_sleeping_writer_is_woken() {
    explore(&[&[Step::Durable(1), Step::Durable(1), Step::Durable(1)], &[Step::Offer, Step::Flush]], None);
}

#[test]
fn a_full_queue_sheds_and_counts() {
    const BUSY: &[Step] = &[Step::Offer; 5];
    explore(&[BUSY, BUSY, &[Step::Durable(4), Step::Durable(7)]], None);
}

#[test]
fn calls_begin_before_they_end() {
    explore(&[&[Step::Call, Step::Call], &[Step::Call, Step::Offer, Step::Offer], &[Step::Durable(5)]], None);
}

#[test]
fn a_flush_waits_for_all_before_it() {
    explore(&[&[Step::Unheard(3), Step::Flush], &[Step::Unheard(2), Step::Flush, Step::Flush]], None);
}

#[test]
fn a_flush_tells_what_its_caller_lost_before_it() {
    const BUSY: &[Step] = &[Step::Offer, Step::Offer, Step::Offer, Step::Flush];
    explore(&[BUSY, BUSY, BUSY], None);
}

#[test]
fn closing_is_a_flush_for_everybody() {
    explore(&[&[Step::Unheard(2), Step::Close], &[Step::Unheard(3), Step::Flush], &[Step::Offer, Step::Close]], None);
}

#[test]
fn a_writer_with_other_work_looks_again_by_itself() {
    explore(&[&[Step::Durable(2), Step::Offer], &[Step::Offer, Step::Call]], Some(Duration::ZERO));
}
