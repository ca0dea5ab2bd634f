//! Erasing, pruning and changing the key, ended by a kill or a power cut at every operation of the disk. After each, the
//! home must verify, nothing that was erased may come back, and no two checkpoints may contradict.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tooltrail::seal::{EraseWhat, LogOwner, Verdict};
use tooltrail::{Call, EntryId, Home, Options, Retention, RollupKeeper, Steps};

use crate::dice::Dice;
use crate::histories::{TestClock, TestRandom};
use crate::sealed_world::{Checkpoints, Folder, verify};
use crate::sim_disk::{Kill, Machine};

struct World {
    machine: Arc<Machine>,
    clock: Arc<TestClock>,
    random: Arc<TestRandom>,
    checkpoints: Checkpoints,
}

/// What is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    EraseEntry,
    EraseUser,
    Prune,
    RotateKey,
}

impl World {
    /// A home with three days of two users.
    fn new() -> Self {
        let world = Self {
            machine: Machine::new(7),
            clock: Arc::default(),
            random: Arc::new(TestRandom(std::sync::Mutex::new(Dice(99)))),
            checkpoints: Checkpoints::default(),
        };
        for _ in 0..3 {
            let mut steps = world.open().unwrap();
            for n in 0..4 {
                for user in ["alice", "bob"] {
                    let args = format!(r#"{{"canary":"{user}-canary-{n}"}}"#);
                    // The names of tools are in the rollups too.
                    steps.recorder().record(&Call::new(user, format!("{user}-canary-{n}"), args).ok("x"));
                }
            }
            drop(steps.close());
            world.clock.0.fetch_add(86_400_000, Ordering::Relaxed);
        }
        let home = Home::on(world.machine.process()).unwrap();
        assert!(RollupKeeper::new(home, world.clock.clone()).finish(Duration::from_secs(600)).unwrap());
        assert_eq!(world.machine.names_in(".tooltrail/rollup").iter().filter(|name| name.ends_with(".1")).count(), 3);
        world
    }

    fn options(&self) -> Options {
        let mut options = Options::new("home");
        (options.clock, options.random) = (self.clock.clone(), self.random.clone());
        options
    }

    fn open(&self) -> Option<Steps> {
        let disk = self.machine.process();
        let keys = Arc::new(Folder(disk.clone()));
        Home::on(disk).and_then(|home| Steps::open_sealed(home, self.options(), keys)).ok()
    }

    fn holds(&self, canary: &str) -> Vec<String> {
        let holds = |bytes: &[u8]| bytes.windows(canary.len()).any(|part| part == canary.as_bytes());
        self.machine.files().into_iter().filter(|(_, bytes)| holds(bytes)).map(|(path, _)| path).collect()
    }

    /// Returns the first id in a day file of a user.
    fn id(&self, user: &str) -> EntryId {
        let (_, bytes) = self.machine.day_files().into_iter().find(|(path, _)| path.starts_with(user)).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        EntryId::parse(&text.split("\"id\":\"").nth(1).unwrap()[..36]).unwrap()
    }

    /// Does the work in a process of its own, which may be ended in the middle. Returns whether it was done.
    fn run(&self, work: Work) -> bool {
        let Some(mut steps) = self.open() else { return false };
        // The recorder and the owner of the log are one process here: both end together.
        let disk = self.machine.process();
        let (home, keys) = (Home::on(disk.clone()), Arc::new(Folder(disk)));
        let Ok(owner) = home.and_then(|home| LogOwner::on(&home, &self.options(), keys)) else { return false };
        let id = self.id("alice");
        let erase = |what: EraseWhat, steps: &mut Steps| {
            steps.meanwhile(|recorder| owner.erase(recorder, &what, "me", "asked", false)).is_ok()
        };
        match work {
            Work::EraseEntry => erase(EraseWhat::Entry(id), &mut steps),
            Work::EraseUser => erase(EraseWhat::User { user: "bob".to_owned(), day: None }, &mut steps),
            Work::Prune => {
                let retention = Retention { max_age_days: Some(2), ..Retention::default() };
                steps.prune(&retention, "test").is_ok()
            }
            Work::RotateKey => owner.rotate_key("me", "").is_ok(),
        }
    }

    /// Opens the home again as the next process does, and checks it.
    fn check(&mut self, work: Work, was_done: bool, what: &str) {
        let mut steps = self.open().unwrap_or_else(|| panic!("{what}: does not open"));
        steps.recorder().record(&Call::new("alice", "t", "{}").ok("later"));
        drop(steps.close());
        assert_eq!(steps.recorder().seal_status().trouble, None, "{what}");
        drop(steps);
        self.checkpoints.look(&self.machine).unwrap_or_else(|wrong| panic!("{what}: {wrong}"));
        let report = verify(&self.machine, &*self.clock).unwrap_or_else(|wrong| panic!("{what}: {wrong}"));
        assert!(report.verdict.is_good(), "{what}: {report:#?}");
        let (canary, is_erasure) = match work {
            Work::EraseEntry => ("alice-canary-0", true),
            Work::EraseUser => ("bob-canary", true),
            Work::Prune | Work::RotateKey => ("", false),
        };
        if is_erasure {
            // Either the log says it and nothing is left, or the log does not say it.
            let is_recorded = report.counts.erased > 0;
            assert!(is_recorded || !was_done, "{what}: done and not recorded");
            let left = self.holds(canary);
            let left = left.iter().filter(|path| !path.starts_with(".tooltrail/journal/"));
            // The same text stands in the entries of other days.
            let days = left.filter(|path| work == Work::EraseUser || path.contains("alice")).count();
            let most = if work == Work::EraseUser { 0 } else { 2 };
            assert!(!is_recorded || days <= most, "{what}: {:?}", self.holds(canary));
        }
        if was_done {
            // Of the days that were erased from or removed, no rollup is left.
            let left = match work {
                Work::EraseEntry => 2,
                Work::EraseUser => 0,
                Work::Prune => 1,
                Work::RotateKey => 3,
            };
            let rollups = self.machine.names_in(".tooltrail/rollup");
            assert_eq!(rollups.iter().filter(|name| name.ends_with(".1")).count(), left, "{what}: {rollups:?}");
        }
        if work == Work::Prune && was_done {
            // A power cut may also have torn the last line of our own events, and that verdict then comes first.
            let is_pruned = report.findings.iter().any(|finding| finding.verdict == Verdict::Pruned);
            assert!(is_pruned, "{what}: {report:#?}");
        }
    }
}

/// Ends the work at each operation, until it is done without being ended.
fn end_everywhere(work: Work) {
    for kill in [Kill::Process, Kill::Power] {
        let mut step = 1;
        loop {
            let mut world = World::new();
            world.checkpoints.look(&world.machine).unwrap();
            world.machine.kill_after(step, kill);
            let was_done = world.run(work);
            let was_ended = world.machine.calm().is_some();
            if kill == Kill::Power {
                world.machine.cut_power();
            }
            world.check(work, was_done && !was_ended, &format!("{work:?}, {kill:?} at {step}"));
            if !was_ended {
                break;
            }
            // All steps near the begin, where the records are made, and then every third.
            step += if step < 60 { 1 } else { 3 };
        }
        assert!(step > 8, "{work:?} takes more steps than {step}");
    }
}

#[test]
fn an_entry_is_erased_or_not_at_each_end() {
    end_everywhere(Work::EraseEntry);
}

#[test]
fn a_user_is_erased_or_not_at_each_end() {
    end_everywhere(Work::EraseUser);
}

#[test]
fn days_are_pruned_or_not_at_each_end() {
    end_everywhere(Work::Prune);
}

#[test]
fn the_key_is_changed_or_not_at_each_end() {
    end_everywhere(Work::RotateKey);
}
