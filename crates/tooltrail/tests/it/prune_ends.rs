//! A prune is interrupted by a kill, a power cut or a disk failure at every operation. Each removed file must have been
//! recorded, and the next prune must reach the same state as a prune that was not interrupted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tooltrail::{Call, Date, Home, Options, Retention, Steps, Timestamp};

use crate::dice::Dice;
use crate::histories::{START_MS, TestClock, TestRandom};
use crate::sim_disk::{Fails, Kill, Machine};

const USERS: u64 = 3;
const DAYS: i64 = 5;

/// The number of entries per user and day.
const ENTRIES: usize = 4;

/// A limit for which two days must be removed. The entries that the prunes record themselves fit below it, and it would
/// also be met after half of the second day.
const RETENTION: Retention = Retention { max_age_days: None, max_entries: Some(42), max_bytes: None, keep_days: 1 };

fn today() -> Date {
    Timestamp::from_millis(START_MS).date()
}

struct World {
    machine: Arc<Machine>,
    clock: Arc<TestClock>,
    seed: u64,
}

impl World {
    /// Returns a home with entries on each day, closed and durable.
    fn new(seed: u64) -> Self {
        let world = Self { machine: Machine::new(seed), clock: Arc::default(), seed };
        let mut steps = world.open();
        let call = |user: u64, ago: i64| {
            let mut call = Call::new(format!("user{user}"), "t", "{}").ok("x");
            call.ts = Some(today().plus_days(-ago).start());
            call
        };
        let of = |user| (0..DAYS).flat_map(move |ago| (0..ENTRIES).map(move |_| call(user, ago)));
        let ack = steps.recorder().record_durable((0..USERS).flat_map(of).collect()).unwrap();
        steps.step();
        ack.wait_for(Duration::ZERO).unwrap();
        steps.close().wait_for(Duration::ZERO).unwrap();
        world
    }

    fn open(&self) -> Steps {
        let mut options = Options::new("home");
        options.clock = self.clock.clone();
        options.random = Arc::new(TestRandom(Mutex::new(Dice(self.seed ^ 0xABCD ^ self.machine.operations()))));
        Steps::open(Home::on(self.machine.process()).unwrap(), options).unwrap()
    }

    /// Returns the users' day files with the number of their entries.
    fn files(&self) -> BTreeMap<String, usize> {
        let files = self.machine.day_files().into_iter().filter(|(path, _)| path.starts_with("user"));
        files.map(|(path, bytes)| (path, bytes.iter().filter(|byte| **byte == b'\n').count())).collect()
    }

    /// Returns how often each day was recorded as removed.
    fn told(&self) -> BTreeMap<String, u64> {
        let mut told = BTreeMap::new();
        for (_, bytes) in self.machine.day_files().iter().filter(|(path, _)| path.starts_with("_system")) {
            for line in String::from_utf8_lossy(bytes).lines() {
                let Ok(entry) = serde_json::from_str::<serde_json::Value>(line) else { continue };
                if entry["tool"] == "tooltrail.prune" {
                    *told.entry(entry["args"]["day"].as_str().unwrap().to_owned()).or_default() += 1;
                }
            }
        }
        told
    }

    /// Checks that the removal of every missing file was recorded.
    fn check_told(&self, all: &BTreeMap<String, usize>, what: &str) {
        let (there, told) = (self.files(), self.told());
        for path in all.keys().filter(|path| !there.contains_key(*path)) {
            let day = path.rsplit('/').next().unwrap().trim_end_matches(".jsonl");
            assert!(told.contains_key(day), "{what}: {path} is gone, and told is {told:?}");
        }
    }
}

/// Returns the files after a prune without interruption, the files before it, and the number of its operations.
fn undisturbed(seed: u64) -> (BTreeMap<String, usize>, BTreeMap<String, usize>, u64) {
    let world = World::new(seed);
    let (all, mut steps) = (world.files(), world.open());
    let before = world.machine.operations();
    let gone = steps.prune(&RETENTION, "test").unwrap();
    let operations = world.machine.operations() - before;
    let files = gone.iter().map(|day| (day.files, day.entries, day.left)).collect::<Vec<_>>();
    assert_eq!(files, [(USERS, USERS * ENTRIES as u64, 0); 2]);
    let days = gone.iter().map(|day| day.day.to_string()).collect::<BTreeSet<_>>();
    assert_eq!(world.told().into_keys().collect::<BTreeSet<_>>(), days);
    steps.close().wait_for(Duration::ZERO).unwrap();
    // The result is also durable.
    world.machine.cut_power();
    drop(world.open());
    assert_eq!(world.files().len(), all.len() - 2 * USERS as usize);
    (world.files(), all, operations)
}

#[test]
fn a_prune_that_was_ended_has_told_what_went_and_the_next_completes_it() {
    let (expected, all, operations) = undisturbed(7);
    let (mut ended, mut halves) = (0, 0);
    for after in 1..=operations {
        for kill in [Kill::Process, Kill::Power] {
            let what = format!("{kill:?} at {after}");
            let world = World::new(7);
            let mut steps = world.open();
            world.machine.kill_after(after, kill);
            let first = steps.prune(&RETENTION, "test");
            ended += u32::from(world.machine.calm() == Some(kill));
            drop(steps);
            let mut steps = world.open();
            world.check_told(&all, &what);
            halves += u32::from(!(all.len() - world.files().len()).is_multiple_of(USERS as usize));
            steps.prune(&RETENTION, "test").unwrap_or_else(|error| panic!("{what}: {first:?}, then {error}"));
            steps.close().wait_for(Duration::ZERO).unwrap();
            drop(steps);
            world.machine.cut_power();
            drop(world.open());
            assert_eq!(world.files(), expected, "{what}: {first:?}");
            let told = world.told();
            assert!(told.len() == 2 && told.values().all(|times| *times <= 2), "{what}: {told:?}");
        }
    }
    // Checks that the loop really interrupted prunes. Threads may run in different orders, so that a run may have a few
    // operations less.
    assert!(operations > 10 && u64::from(ended) > operations && halves > 4, "{operations} {ended} {halves}");
}

#[test]
fn a_prune_on_a_disk_that_fails_is_completed_when_it_works_again() {
    let (expected, all, operations) = undisturbed(7);
    let mut failed = 0;
    for after in 0..operations {
        for (fails, count) in [Fails::Space, Fails::Device, Fails::Sync].map(|fails| (fails, 1 + after % 3)) {
            let what = format!("{fails:?} at {after} for {count}");
            let world = World::new(7);
            let mut steps = world.open();
            world.machine.fail_after(after, count, fails);
            failed += u32::from(steps.prune(&RETENTION, "test").is_err());
            world.machine.calm();
            world.clock.0.fetch_add(60_000, Ordering::Relaxed);
            steps.idle();
            let second = steps.prune(&RETENTION, "test");
            world.check_told(&all, &what);
            assert!(second.is_ok(), "{what}: {second:?}");
            assert_eq!(world.files(), expected, "{what}");
        }
    }
    assert!(failed > 10, "{failed}");
}

#[test]
fn a_full_disk_can_be_pruned() {
    let (expected, all, _) = undisturbed(7);
    let world = World::new(7);
    let mut steps = world.open();
    world.machine.fail_after(0, u64::MAX / 2, Fails::Space);
    let gone = steps.prune(&RETENTION, "test").unwrap();
    assert_eq!((gone.len(), world.files()), (2, expected));
    // The record of the prune stays in the journal until there is space for its day file.
    world.machine.calm();
    world.machine.cut_power();
    drop(steps);
    drop(world.open());
    world.check_told(&all, "after a power cut");
}

#[test]
fn what_waits_in_the_journal_of_another_stays_and_goes_once_it_is_flushed() {
    let world = World::new(7);
    let (mut writer, mut pruner) = (world.open(), world.open());
    let mut late = Call::new("user1", "t", r#"{"late":true}"#).ok("x");
    late.ts = Some(today().plus_days(1 - DAYS).start());
    let ack = writer.recorder().record_durable(vec![late]).unwrap();
    writer.step();
    ack.wait_for(Duration::ZERO).unwrap();
    let retention = Retention { max_age_days: Some(1), ..Retention::default() };
    let gone = pruner.prune(&retention, "test").unwrap();
    assert_eq!(gone.iter().map(|day| day.left).collect::<Vec<_>>(), [1, 0, 0, 0]);
    assert_eq!(world.files().len(), USERS as usize + 1);
    writer.close().wait_for(Duration::ZERO).unwrap();
    let gone = pruner.prune(&retention, "test").unwrap();
    assert_eq!(gone.iter().map(|day| (day.files, day.entries, day.left)).collect::<Vec<_>>(), [(1, 5, 0)]);
    assert_eq!(world.files().len(), USERS as usize);
    let system = world.machine.day_files().into_iter().filter(|(path, _)| path.starts_with("_system"));
    assert!(system.map(|(_, bytes)| String::from_utf8(bytes).unwrap()).all(|text| !text.contains("incident")));
}
