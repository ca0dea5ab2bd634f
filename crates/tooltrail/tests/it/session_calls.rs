//! Calls of sessions, which begin in one process and end in another: each is recorded once, whatever is killed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tooltrail::{
    Call, CallKey, Durability, Ended, Home, OpenCalls, Options, Outcome, Reason, SessionCall, SessionRecorder,
};

use crate::dice::Dice;
use crate::histories::{TestClock, TestRandom};
use crate::sim_disk::{Kill, Machine};

const MINUTE_MS: u64 = 60 * 1_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;

/// A machine on which one process after another runs.
struct World {
    machine: Arc<Machine>,
    clock: Arc<TestClock>,
    random: Arc<TestRandom>,
}

impl World {
    fn new(seed: u64) -> Self {
        let random = Arc::new(TestRandom(Mutex::new(Dice(seed))));
        Self { machine: Machine::new(seed), clock: Arc::default(), random }
    }

    /// Runs a process.
    fn run<T>(&self, run: impl FnOnce(&SessionRecorder) -> Result<T, tooltrail::Error>) -> Option<T> {
        let mut options = Options::new("home");
        (options.clock, options.random) = (self.clock.clone(), self.random.clone());
        let home = Home::on(self.machine.process()).ok()?;
        run(&options.sessions_on(home).ok()?).ok()
    }

    fn wait(&self, ms: u64) {
        self.clock.0.fetch_add(ms, Ordering::Relaxed);
    }

    /// Returns the reasons and statuses of each call's entries, by the id of the call.
    fn entries(&self) -> BTreeMap<String, Vec<String>> {
        let mut found = BTreeMap::<String, Vec<String>>::new();
        for (_, bytes) in self.machine.day_files() {
            for line in String::from_utf8(bytes).unwrap().lines().filter(|line| !line.trim().is_empty()) {
                let entry: Value = serde_json::from_str(line).unwrap();
                let why = entry["reason"].as_str().or(entry["status"].as_str()).unwrap().to_owned();
                found.entry(entry["call_id"].as_str().unwrap_or_default().to_owned()).or_default().push(why);
            }
        }
        found
    }
}

fn of(id: &str) -> SessionCall<'_> {
    SessionCall { session: "s", key: CallKey::Id(id), agent: None }
}

fn call(id: &str) -> Call {
    let mut call = Call::new("alice", "Bash", r#"{"command":"ls"}"#);
    call.call_id = Some(id.to_owned());
    call
}

/// One history: a call that ends twice, one that is never ended, and one whose end is told without its begin.
/// Returns whose ends were acknowledged.
fn history(world: &World) -> [bool; 3] {
    let run = |id: &'static str| {
        let ended = world.run(|recorder| recorder.end(of(id), call(id).ok("a.txt"), Durability::Grouped));
        matches!(ended, Some(Ended::Recorded | Ended::Waits))
    };
    world.run(|recorder| recorder.begin(of("a"), call("a"), Durability::Strict));
    world.run(|recorder| recorder.begin(of("b"), call("b"), Durability::Grouped));
    world.wait(40);
    let ended = run("a");
    let again = run("a");
    let alone = run("c");
    let interrupted = world.run(|recorder| recorder.interrupt("s", OpenCalls::All, Durability::Grouped));
    [ended || again, interrupted.is_some(), alone]
}

/// How long a machine is not used before the next process runs: a moment and then days, or days at once.
const SOON: [u64; 3] = [2 * MINUTE_MS, DAY_MS, DAY_MS];
const AFTER_DAYS: [u64; 3] = [5 * DAY_MS; 3];

/// Lets later processes complete what earlier ones have left.
fn complete(world: &World, waits: [u64; 3]) {
    for wait in waits {
        world.wait(wait);
        world.run(SessionRecorder::settle);
    }
}

#[test]
fn each_call_is_recorded_once_whatever_is_killed() {
    let calm = World::new(1);
    assert_eq!(history(&calm), [true; 3]);
    let operations = calm.machine.operations();
    let as_expected = |id: &str, why: &str| (id.to_owned(), vec![why.to_owned()]);
    let expected = BTreeMap::from([as_expected("a", "ok"), as_expected("b", "interrupted"), as_expected("c", "ok")]);
    assert_eq!(calm.entries(), expected);
    complete(&calm, SOON);
    assert_eq!(calm.entries(), expected);
    let left = calm.machine.files().into_iter().map(|(name, _)| name).filter(|name| name.contains(".tooltrail/"));
    let left = left.filter(|name| ["open/", "claims/", "ended/"].iter().any(|folder| name.contains(folder)));
    assert_eq!(left.collect::<Vec<_>>(), Vec::<String>::new());
    for kill_at in 0..operations {
        for (kill, waits) in [(Kill::Process, SOON), (Kill::Process, AFTER_DAYS), (Kill::Power, SOON)] {
            let world = World::new(kill_at);
            world.machine.kill_after(kill_at, kill);
            let [a, _, c] = history(&world);
            world.machine.calm();
            complete(&world, waits);
            let found = world.entries();
            let context = format!("{kill:?} at operation {kill_at}: {found:?}");
            for (id, is_acknowledged) in [("a", a), ("c", c)] {
                let times = found.get(id).map_or(0, |found| found.iter().filter(|why| *why == "ok").count());
                assert!(times <= 1 && (times == 1 || !is_acknowledged), "{id}, {context}");
            }
            assert!(found.contains_key("a") || kill_at < 3, "the call was noted durably, {context}");
            if kill == Kill::Process {
                assert!(found.values().all(|found| found.len() == 1), "{context}");
            }
        }
    }
}

#[test]
fn a_process_that_is_stopped_while_it_appends_does_not_hold_up_the_others() {
    let world = World::new(7);
    assert!(world.machine.hold(".tooltrail/append.lock"));
    let ended = world.run(|recorder| recorder.end(of("a"), call("a").ok(""), Durability::Grouped));
    assert_eq!(ended, Some(Ended::Waits));
    assert_eq!(world.run(|recorder| recorder.end(of("a"), call("a").ok(""), Durability::Grouped)), Some(Ended::Before));
    // What was interrupted meanwhile gets its outcome too.
    world.run(|recorder| recorder.begin(of("b"), call("b"), Durability::Grouped));
    world.run(|recorder| recorder.interrupt("s", OpenCalls::All, Durability::Grouped));
    let ended = world.run(|recorder| recorder.end(of("b"), call("b").ok(""), Durability::Grouped));
    assert_eq!(ended, Some(Ended::Waits));
    world.machine.calm();
    complete(&world, SOON);
    assert_eq!(
        (&*world.entries()["a"], &*world.entries()["b"]),
        (&["ok".to_owned()][..], &["interrupted".to_owned(), "ok".to_owned()][..])
    );
}

#[test]
fn claims_that_can_never_be_recorded_keep_no_other_waiting() {
    let world = World::new(8);
    assert!(world.machine.hold(".tooltrail/append.lock"));
    let end = |user: &str, id: &str| {
        let mut call = call(id);
        user.clone_into(&mut call.user);
        world.run(|recorder| recorder.end(of(id), call.ok(""), Durability::Grouped))
    };
    for number in 0..150 {
        assert_eq!(end("blocked", &format!("b{number}")), Some(Ended::Waits));
    }
    let good = (0..20).map(|number| format!("a{number:02}")).collect::<Vec<_>>();
    good.iter().for_each(|id| assert_eq!(end("alice", id), Some(Ended::Waits)));
    world.machine.calm();
    // The days of one user cannot be written.
    world.machine.deny("blocked/tool_audit");
    for _ in 0..40 {
        world.wait(2 * MINUTE_MS + 7);
        world.run(SessionRecorder::settle);
    }
    assert_eq!(world.entries().into_keys().collect::<Vec<_>>(), good);
}

#[test]
fn where_to_look_for_the_line_of_an_open_call_is_known_when_it_begins() {
    let home = tempfile::tempdir().unwrap();
    let recorder = Options::new(home.path()).open_sessions().unwrap();
    recorder.end(of("a"), call("a").ok(""), Durability::Grouped).unwrap();
    recorder.begin(of("b"), call("b"), Durability::Grouped).unwrap();
    let days = std::fs::read_dir(home.path().join("alice/tool_audit")).unwrap();
    let len = days.map(|day| day.unwrap()).find(|day| day.file_name().to_str().unwrap().ends_with(".jsonl"));
    let len = len.unwrap().metadata().unwrap().len();
    let open = std::fs::read_dir(home.path().join(".tooltrail/open")).unwrap().next().unwrap().unwrap();
    let facts = std::fs::read_to_string(open.path()).unwrap();
    // After a day, when the call is interrupted, only what was added since is read.
    assert!(facts.lines().next().unwrap().ends_with(&format!(" {len}")), "{facts}");
}

#[test]
fn what_is_no_file_of_ours_is_in_no_way() {
    let home = tempfile::tempdir().unwrap();
    let open = || Options::new(home.path()).open_sessions().unwrap();
    open().begin(of("a"), call("a"), Durability::Grouped).unwrap();
    let open_call = std::fs::read_dir(home.path().join(".tooltrail/open")).unwrap().next().unwrap().unwrap();
    let session = open_call.file_name().into_string().unwrap().split('.').next().unwrap().to_owned();
    for folder in ["open", "claims", "ended", "touched"] {
        let folder = home.path().join(".tooltrail").join(folder);
        std::fs::create_dir_all(folder.join("0dir")).unwrap();
        std::fs::create_dir_all(folder.join(format!("{session}.0"))).unwrap();
        std::fs::write(folder.join("nonsense"), "x").unwrap();
        std::os::unix::fs::symlink("/dev/zero", folder.join(format!("{session}.1"))).unwrap();
    }
    assert_eq!(open().end(of("b"), call("b").ok(""), Durability::Grouped).unwrap(), Ended::Recorded);
    // The link is told, and the open call is interrupted all the same.
    assert!(open().interrupt("s", OpenCalls::All, Durability::Grouped).is_err());
    let _ = open().settle();
    let reasons = entries(home.path()).iter().map(|entry| entry["reason"].to_string()).collect::<Vec<_>>();
    assert_eq!(reasons, ["null", "\"interrupted\""]);
}

#[test]
fn an_outcome_that_comes_after_the_session_has_ended_is_recorded() {
    let world = World::new(3);
    world.run(|recorder| recorder.begin(of("a"), call("a"), Durability::Grouped));
    let interrupt = |which| world.run(|recorder| recorder.interrupt("s", which, Durability::Grouped));
    assert_eq!(interrupt(OpenCalls::OfAgent("x")), Some(0));
    assert_eq!(interrupt(OpenCalls::OfMainAgent), Some(1));
    let end = |outcome: Outcome| {
        world.run(|recorder| recorder.end(of("a"), call("a").ended(outcome.clone()), Durability::Grouped)).unwrap()
    };
    assert_eq!(end(Outcome::failed(Reason::Interrupted, "")), Ended::Before);
    assert_eq!(end(Outcome::ok("late")), Ended::Recorded);
    assert_eq!(end(Outcome::ok("later")), Ended::Before);
    assert_eq!(world.entries()["a"], ["interrupted", "ok"]);
}

fn entries(home: &Path) -> Vec<Value> {
    let days = std::fs::read_dir(home.join("alice/tool_audit")).into_iter().flatten().flatten();
    let text = days.map(|day| std::fs::read_to_string(day.path()).unwrap()).collect::<String>();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn calls_without_ids_end_in_the_order_in_which_they_began() {
    let home = tempfile::tempdir().unwrap();
    let alike = SessionCall { session: "s", key: CallKey::Alike("Bash {}"), agent: Some("sub") };
    let open = || Options::new(home.path()).open_sessions().unwrap();
    let call = |n: u32| Call::new("alice", "Bash", format!(r#"{{"n":{n}}}"#));
    for n in 0..3 {
        open().begin(alike, call(n), Durability::Grouped).unwrap();
    }
    std::thread::scope(|scope| {
        for n in 0..2 {
            scope.spawn(move || open().end(alike, call(n).ok(""), Durability::Grouped).unwrap());
        }
    });
    assert_eq!(open().interrupt("s", OpenCalls::OfMainAgent, Durability::Grouped).unwrap(), 0);
    assert_eq!(open().interrupt("s", OpenCalls::OfAgent("sub"), Durability::Grouped).unwrap(), 1);
    // No begin of it was told.
    open().end(alike, call(9).ok(""), Durability::Grouped).unwrap();
    let found = entries(home.path());
    let reasons = found.iter().map(|entry| entry["reason"].as_str().unwrap_or("ok")).collect::<Vec<_>>();
    assert_eq!(reasons, ["ok", "ok", "interrupted", "ok"]);
    assert_eq!(found[2]["args"]["n"], 2);
}

#[test]
fn arguments_that_were_changed_in_between_are_kept_beside() {
    let home = tempfile::tempdir().unwrap();
    let recorder = Options::new(home.path()).open_sessions().unwrap();
    let call = |command: &str| Call::new("alice", "Bash", format!(r#"{{"command":"{command}"}}"#));
    for (id, asked, made) in [("1", "rm -r x", "ls"), ("2", "ls", "ls")] {
        recorder.begin(of(id), call(asked), Durability::Grouped).unwrap();
        recorder.end(of(id), call(made).ok(""), Durability::Grouped).unwrap();
    }
    let found = entries(home.path());
    assert_eq!(found[0]["extra"]["requested"]["command"], "rm -r x");
    assert_eq!((&found[0]["args"]["command"], &found[1]["extra"]), (&"ls".into(), &Value::Null));
    assert!(found[0]["duration_ms"].is_number());
}

#[test]
fn of_two_threads_that_end_a_call_one_records_it() {
    let home = tempfile::tempdir().unwrap();
    Options::new(home.path()).open_sessions().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let home = home.path();
            scope.spawn(move || {
                let recorder = Options::new(home).open_sessions().unwrap();
                for n in 0..50 {
                    // Every call is ended by two threads.
                    let id = format!("{}-{n}", thread / 2);
                    recorder.begin(of(&id), call(&id), Durability::Buffered).unwrap();
                    recorder.end(of(&id), call(&id).ok(""), Durability::Buffered).unwrap();
                }
            });
        }
    });
    let mut ids = entries(home.path()).iter().map(|entry| entry["call_id"].to_string()).collect::<Vec<_>>();
    ids.sort();
    let all = ids.len();
    ids.dedup();
    assert_eq!((all, ids.len()), (200, 200));
}
