//! Hundreds of random histories: two writers on a disk with kills, power cuts, torn writes, full space and lost syncs.
//!
//! Every acknowledged entry must be in the trail exactly once and in the order of its caller, no entry may be there
//! twice, every line must be valid, and the trail must continue to work. `TOOLTRAIL_HISTORIES` sets the number of
//! histories, `TOOLTRAIL_SEED` selects a single one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tooltrail::{Ack, Call, Clock, Home, Options, Random, Steps, Timestamp};

use crate::dice::Dice;
use crate::sealed_world::{Checkpoints, Folder, verify};
use crate::sim_disk::{Fails, Kill, Machine};

/// The number of histories in the test suite, and the number of histories with other processes at the home's files.
const HISTORIES: u64 = 300;
const CROWDED: u64 = 150;

/// A sealed history takes so many times longer, because the home is verified after each round.
const SEALED_COSTS: u64 = 5;

/// An instant that is far from midnight.
pub(crate) const START_MS: i64 = 1_764_000_000_000;

#[derive(Debug, Default)]
pub(crate) struct TestClock(pub(crate) AtomicU64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(START_MS + i64::try_from(self.0.load(Ordering::Relaxed)).unwrap())
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

#[derive(Debug)]
pub(crate) struct TestRandom(pub(crate) Mutex<Dice>);

impl Random for TestRandom {
    fn fill(&self, buffer: &mut [u8]) {
        let mut dice = self.0.lock().unwrap();
        buffer.iter_mut().for_each(|byte| *byte = dice.next().to_le_bytes()[0]);
    }
}

/// What the test knows about the recorded entries.
#[derive(Debug, Default)]
struct Recorded {
    next: u64,
    acknowledged: BTreeSet<u64>,
    /// Calls whose start was acknowledged: each must have one entry, with its outcome or as interrupted.
    begun: BTreeSet<u64>,
}

struct World {
    machine: Arc<Machine>,
    clock: Arc<TestClock>,
    random: Arc<TestRandom>,
    dice: Dice,
    known: Recorded,
    /// A log of what happened, which is printed with a failure.
    log: Vec<String>,
    /// Whether the disk failed.
    failed: bool,
    /// Whether the power was cut.
    power_cut: bool,
    /// Whether other processes used the home's files.
    crowded: bool,
    /// The checkpoints that were seen, if the home is sealed.
    sealed: Option<Checkpoints>,
}

impl World {
    fn new(seed: u64) -> Self {
        let random = TestRandom(Mutex::new(Dice(seed ^ 0xABCD)));
        Self {
            machine: Machine::new(seed),
            clock: Arc::default(),
            random: Arc::new(random),
            dice: Dice(seed.wrapping_mul(31)),
            known: Recorded::default(),
            log: Vec::new(),
            failed: false,
            power_cut: false,
            crowded: false,
            sealed: None,
        }
    }

    fn options(&self) -> Options {
        let mut options = Options::new("home");
        (options.clock, options.random) = (self.clock.clone(), self.random.clone());
        options
    }

    fn open(&mut self) -> Option<Steps> {
        let disk = self.machine.process();
        let keys = Arc::new(Folder(disk.clone()));
        let opened = Home::on(disk).and_then(|home| match self.sealed {
            None => Steps::open(home, self.options()),
            Some(_) => Steps::open_sealed(home, self.options(), keys),
        });
        let marks = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            let numbers = text.split("\"n\":").skip(1).filter_map(|rest| rest.split(',').next());
            format!("{}{}", numbers.collect::<Vec<_>>().join(" "), if bytes.contains(&0) { " NUL" } else { "" })
        };
        let files = self
            .machine
            .day_files()
            .into_iter()
            .map(|(path, bytes)| format!("{}: {}", path.split('/').next().unwrap_or(""), marks(&bytes)));
        let files = files.collect::<Vec<_>>().join("; ");
        self.log.push(format!("open: {:?}; then {files}", opened.as_ref().err()));
        opened.ok()
    }

    fn call(&mut self, writer: usize) -> (u64, Call) {
        self.known.next += 1;
        let (id, user) = (self.known.next, self.dice.below(3));
        let pad = "x".repeat(usize::try_from(self.dice.below(700)).unwrap());
        let args = format!(r#"{{"n":{id},"pad":"{pad}","by":"{writer}"}}"#);
        (id, Call::new(format!("user{user}"), "t", args))
    }

    /// Lets a writer do something, and remembers what it acknowledges.
    fn act(&mut self, writer: usize, steps: &mut Steps) {
        let mut waiting: Vec<(Vec<u64>, Ack)> = Vec::new();
        let mut sure = Vec::new();
        for _ in 0..1 + self.dice.below(3) {
            match self.dice.below(8) {
                0..3 => {
                    let calls = (0..1 + self.dice.below(4)).map(|_| self.call(writer)).collect::<Vec<_>>();
                    let ids = calls.iter().map(|(id, _)| *id).collect();
                    let calls = calls.into_iter().map(|(_, call)| call.ok("x")).collect();
                    waiting.push((ids, steps.recorder().record_durable(calls).unwrap()));
                }
                3 | 4 => {
                    let (id, call) = self.call(writer);
                    steps.recorder().record(&call.ok("x"));
                    sure.push(id);
                }
                5 | 6 => {
                    let (id, call) = self.call(writer);
                    self.begun(writer, steps, id, call);
                }
                _ => {
                    self.clock.0.fetch_add(self.dice.below(1_500), Ordering::Relaxed);
                }
            }
        }
        match self.dice.below(6) {
            0 => {
                let flushed = steps.flush().wait_for(Duration::ZERO);
                self.log.push(format!("{writer} flush {flushed:?}"));
                if flushed.is_ok() {
                    self.known.acknowledged.extend(sure);
                }
            }
            1 => {
                steps.step();
                steps.idle();
            }
            _ => steps.step(),
        }
        for (ids, ack) in waiting {
            let kept = ack.wait_for(Duration::ZERO);
            self.log.push(format!("{writer} {ids:?} {kept:?}"));
            if kept.is_ok() {
                self.known.acknowledged.extend(ids);
            }
        }
    }

    /// Begins a call; it ends, stays open, or is killed while it is open.
    fn begun(&mut self, writer: usize, steps: &mut Steps, id: u64, call: Call) {
        let how = self.dice.below(4);
        let Ok((open, ack)) = steps.recorder().begin_durable(call) else { return };
        if how == 0 {
            // The call ends immediately, in the same batch.
            open.finish_buffered(tooltrail::Outcome::ok("x"));
            return;
        }
        // The guard borrows the recorder, which must be used below, so it is forgotten and never dropped.
        std::mem::forget(open);
        steps.step();
        let noted = ack.wait_for(Duration::ZERO);
        self.log.push(format!("{writer} begins {id} {noted:?}"));
        if noted.is_ok() {
            self.known.begun.insert(id);
        }
    }

    /// Lets other processes use the home's files until `calm`: a foreign writer writes, a folder may not be read, or a
    /// stopped process holds a lock.
    fn crowd(&mut self, dice: &mut Dice) {
        let files = self.machine.day_files().into_iter().map(|(path, _)| path).collect::<Vec<_>>();
        if let Some(path) = files.get(usize::try_from(dice.below(files.len().max(1) as u64 * 2)).unwrap()) {
            let lines = 1 + dice.below(4);
            self.machine.write_in_pieces(dice.next(), path, lines);
            self.log.push(format!("a foreign writer appends {lines} lines to {path} in pieces"));
        }
        if dice.below(4) == 0 {
            let denied = ["user1/", "user2/tool_audit/"][usize::try_from(dice.below(2)).unwrap()];
            self.machine.deny(denied);
            self.log.push(format!("{denied} may not be read"));
        }
        if dice.below(4) == 0 {
            let held = self.machine.hold(".tooltrail/append.lock");
            self.log.push(format!("somebody stands still with the append lock: {held}"));
        }
        // An older version locked a slot while it looked at the slot. A process that recovers in the meantime believes
        // that the slot's owner is alive.
        if dice.below(4) == 0 {
            let slot = format!("{:02}.lock", dice.below(4));
            let held = self.machine.hold(&format!(".tooltrail/journal/{slot}"));
            self.log.push(format!("somebody looks at a slot and holds {slot}: {held}"));
        }
        if dice.below(4) == 0 {
            let before = self.machine.files();
            let opened = Home::on(self.machine.stranger()).and_then(|home| Steps::open(home, self.options()));
            assert!(opened.is_err(), "another uid opened the home\n{}", self.log.join("\n"));
            assert!(self.machine.files() == before, "another uid changed something\n{}", self.log.join("\n"));
        }
    }

    /// Checks that no two checkpoints contradict, and with `all` that the home verifies.
    fn check_seal(&mut self, seed: u64, all: bool) {
        let Some(checkpoints) = &mut self.sealed else { return };
        let mut wrong = checkpoints.look(&self.machine).err();
        if all && wrong.is_none() {
            wrong = match verify(&self.machine, &*self.clock) {
                Err(error) if error.contains("has no log") => None,
                Err(error) => Some(error),
                Ok(report) if report.verdict.is_good() => None,
                Ok(report) => Some(format!("{report:#?}")),
            };
        }
        if let Some(wrong) = wrong {
            panic!("seed {seed}: {wrong}\n{}", self.log.join("\n"));
        }
    }

    fn check(&mut self, seed: u64) {
        self.check_seal(seed, true);
        let mut found = BTreeMap::<u64, u32>::new();
        let mut told = BTreeSet::new();
        for (path, mut bytes) in self.machine.day_files() {
            // Bytes after the last newline are not an entry; the next append to the file replaces them with spaces.
            bytes.truncate(bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1));
            let text = String::from_utf8(bytes).unwrap_or_else(|_| panic!("seed {seed}: {path} is not UTF-8"));
            let mut last = BTreeMap::<String, u64>::new();
            // A writer without a journal, because its disk failed, cannot note which files it changes.
            let lines = text.lines().filter(|line| !(self.failed && line.contains('\0')));
            for line in lines.filter(|line| !line.trim_matches(' ').is_empty()) {
                let entry = serde_json::from_str::<serde_json::Value>(line);
                // If one of our lines was written into the middle of a foreign line, the foreign line is not valid, and
                // neither is the rest of it.
                if self.crowded && entry.is_err() {
                    continue;
                }
                let entry = entry
                    .unwrap_or_else(|error| panic!("seed {seed}: {path}: {error}: {line:?}\n{}", self.log.join("\n")));
                if let Some(fragment) = entry["args"]["fragment"].as_str().filter(|_| entry["via"] == "tooltrail") {
                    told.insert(fragment.to_owned());
                }
                // A part of our line and a part of a foreign line can together be valid JSON. Only foreign lines
                // contain such marks, and our line was appended again.
                if self.crowded && line.contains('<') {
                    continue;
                }
                let Some(id) = entry["args"]["n"].as_u64() else { continue };
                // A failed write to the journal may leave the start of a call in the journal, and it cannot be removed.
                if self.failed && entry["reason"] == "interrupted" && !self.known.begun.contains(&id) {
                    continue;
                }
                *found.entry(id).or_default() += 1;
                // Checks the order of the entries. Interrupted calls are excluded, because they are recorded after
                // their process has ended. A failed disk is excluded, because it delays entries until the next
                // recovery, and a power cut, because it can remove lines from the middle of a file.
                if entry["reason"] != "interrupted"
                    && !(self.failed || self.power_cut || self.crowded)
                    && self.known.acknowledged.contains(&id)
                {
                    let by = entry["args"]["by"].as_str().unwrap().to_owned();
                    let before = last.insert(by.clone(), id).unwrap_or(0);
                    assert!(before < id, "seed {seed}: {path}: {id} of {by} after {before}\n{}", self.log.join("\n"));
                }
            }
        }
        for name in self.machine.names_in(".tooltrail/fragments/") {
            let told = told.contains(&name);
            assert!(told, "seed {seed}: {name} is kept and nothing tells of it\n{}", self.log.join("\n"));
        }
        for (id, count) in &found {
            assert!(*count == 1, "seed {seed}: {id} is there {count} times\n{}", self.log.join("\n"));
        }
        for id in self.known.acknowledged.iter().chain(&self.known.begun) {
            assert!(found.contains_key(id), "seed {seed}: {id} was acknowledged and is gone\n{}", self.log.join("\n"));
        }
    }
}

/// Plays one history: writers start, act and end; then checks that everything they acknowledged is there.
fn play(seed: u64, (crowded, sealed): (bool, bool)) -> (u64, usize) {
    let mut world = World::new(seed);
    world.crowded = crowded;
    world.sealed = sealed.then(Checkpoints::default);
    let mut others = Dice(seed ^ 0x0C0F_FEE0);
    let mut writers: [Option<Steps>; 2] = [None, None];
    let rounds = 2 + world.dice.below(5);
    for _ in 0..rounds {
        let kill = if world.dice.below(5) < 2 { Kill::Power } else { Kill::Process };
        if world.dice.below(5) > 0 {
            let after = 1 + world.dice.below(60);
            world.machine.kill_after(after, kill);
        }
        if world.dice.below(3) == 0 {
            let fails = [Fails::Space, Fails::Device, Fails::Sync][usize::try_from(world.dice.below(3)).unwrap()];
            let (from, count) = (world.dice.below(40), 1 + world.dice.below(6));
            world.machine.fail_after(from, count, fails);
            world.failed = true;
            world.log.push(format!("{fails:?} from {from} for {count}"));
        }
        if crowded {
            world.crowd(&mut others);
        }
        for _ in 0..1 + world.dice.below(8) {
            let n = usize::try_from(world.dice.below(2)).unwrap();
            if writers[n].is_none() {
                writers[n] = world.open();
            }
            if let Some(mut steps) = writers[n].take() {
                world.act(n, &mut steps);
                if world.dice.below(12) == 0 {
                    let closed = steps.close().wait_for(Duration::ZERO);
                    world.log.push(format!("{n} close {closed:?}"));
                } else {
                    writers[n] = Some(steps);
                }
            }
        }
        let calm = world.machine.calm();
        world.check_seal(seed, !(crowded || world.failed));
        match calm {
            Some(Kill::Power) => {
                world.power_cut = true;
                world.log.push("power cut".to_owned());
                writers = [None, None];
            }
            // It is not known here which process was killed, so the other one is killed too, between two batches.
            Some(Kill::Process) => {
                world.log.push("killed".to_owned());
                writers = [None, None];
            }
            None if world.dice.below(4) == 0 => {
                world.log.push("power cut between batches".to_owned());
                world.power_cut = true;
                world.machine.cut_power();
                writers = [None, None];
            }
            None => {}
        }
        // The recovery itself is killed, several times.
        for _ in 0..world.dice.below(3) {
            if writers.iter().all(Option::is_none) {
                let kill = if world.dice.below(2) == 0 { Kill::Power } else { Kill::Process };
                let after = 1 + world.dice.below(25);
                world.machine.kill_after(after, kill);
                drop(world.open());
                let ended = world.machine.calm();
                world.power_cut |= ended == Some(Kill::Power);
                world.log.push(format!("recovery {ended:?}"));
            }
        }
    }
    drop(writers);
    // At the end nothing fails: the trail opens, records and closes.
    let mut last = world.open().unwrap_or_else(|| panic!("seed {seed}: does not open\n{}", world.log.join("\n")));
    let (id, call) = world.call(9);
    let ack = last.recorder().record_durable(vec![call.ok("x")]).unwrap();
    last.step();
    ack.wait_for(Duration::ZERO).unwrap_or_else(|error| panic!("seed {seed}: {error}\n{}", world.log.join("\n")));
    world.known.acknowledged.insert(id);
    let closed = last.close().wait_for(Duration::ZERO);
    closed.unwrap_or_else(|error| panic!("seed {seed}: {error}\n{}", world.log.join("\n")));
    drop(last);
    // A power cut may remove data that was not synced, so foreign lines are checked only without one.
    if !(world.failed || world.power_cut) {
        let lost = world.machine.lost_marks();
        assert!(lost.is_empty(), "seed {seed}: a foreign writer's {lost:?} are gone\n{}", world.log.join("\n"));
    }
    world.check(seed);
    // Nothing is left to recover, even if the power is cut now.
    world.machine.cut_power();
    world.log.push("closed, and then a power cut".to_owned());
    let mut after = world.open().unwrap();
    if crowded {
        // A foreign writer does not sync, so the power cut can damage its lines; the next batch reports this damage.
        after.step();
        let told = after.close().wait_for(Duration::ZERO);
        told.unwrap_or_else(|error| panic!("seed {seed}: {error}\n{}", world.log.join("\n")));
    }
    drop(after);
    world.check(seed);
    (world.machine.operations(), world.known.acknowledged.len())
}

#[test]
fn whatever_ends_a_writer_what_it_acknowledged_is_there_once() {
    play_all((false, false));
}

#[test]
fn whatever_others_do_meanwhile_what_was_acknowledged_is_there_once() {
    play_all((true, false));
}

#[test]
fn whatever_ends_a_writer_the_home_verifies() {
    play_all((false, true));
}

#[test]
fn whatever_others_do_meanwhile_the_home_verifies() {
    play_all((true, true));
}

fn play_all(how: (bool, bool)) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("TOOLTRAIL_SEED") {
        play(seed, how);
        return;
    }
    let histories = number("TOOLTRAIL_HISTORIES").unwrap_or_else(|| {
        let all = if how.0 { CROWDED } else { HISTORIES };
        if how.1 { all / SEALED_COSTS } else { all }
    });
    let (mut operations, mut acknowledged) = (0, 0);
    for seed in 0..histories {
        let (more, kept) = std::panic::catch_unwind(|| play(seed, how)).unwrap_or_else(|panic| {
            eprintln!("TOOLTRAIL_SEED={seed} plays it again");
            std::panic::resume_unwind(panic)
        });
        operations += more;
        acknowledged += kept;
    }
    eprintln!("{histories} histories, {operations} operations, {acknowledged} entries acknowledged");
    assert!(acknowledged > 0 && operations > histories);
}
