//! Answers are the same with rollups and without, whatever happens to the files and to the rollups.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use tooltrail::{
    BucketSize, Call, Clock, Date, GroupBy, Home, Options, Quantiles, Query, Question, RollupKeeper, SeriesCounts,
    Stats, Steps, Timestamp, Trail, Zone,
};

use crate::dice::Dice;
use crate::histories::TestClock;
use crate::sim_disk::{Kill, Machine};

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// The questions that are compared.
const QUERIES: [&str; 19] = [
    "",
    "tool=t1*",
    "status=error OR tool=t3,t4",
    "user=bob NOT status=ok",
    "user!=alice",
    "last=3h",
    "last=25h tool=t2",
    "since=2025-11-23",
    "since=2025-11-22T10:20:00Z until=2025-11-23T17:45:00Z",
    "until=2025-11-23",
    "session=s-1",
    "duration>5s",
    "\"needle\"",
    "tool=tooltrail.*",
    "first=tool",
    "first=tool status=error last=1d",
    "first=server",
    "first=client",
    "first=client OR first=server last=2d",
];

struct World {
    folder: tempfile::TempDir,
    clock: Arc<TestClock>,
    dice: Dice,
    /// Numbers the calls.
    calls: u64,
    /// Entries that are still to be sent again.
    lines: Vec<(PathBuf, String)>,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            clock: Arc::default(),
            dice: Dice(seed),
            calls: 0,
            lines: Vec::new(),
        }
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// Appends the lines of some calls: late and early ones, repeated ones, with several sightings, and what is no entry.
    fn append(&mut self, count: u64) {
        let now = self.clock.now().as_millis();
        for _ in 0..count {
            self.calls += 1;
            let day = now / DAY * DAY - self.dice.below(3) as i64 * DAY;
            let near_midnight = self.dice.below(4) == 0;
            let ts = if near_midnight {
                day - 40_000 + self.dice.below(80_000) as i64
            } else {
                day + self.dice.below(DAY as u64) as i64
            };
            let ts = ts.min(now);
            let user = ["alice", "bob", "größe"][self.dice.below(3) as usize];
            let took = [0, 1, 12_345, 700_000, DAY][self.dice.below(5) as usize] + self.dice.below(1_000) as i64;
            let took = if self.dice.below(50) == 0 { "1e300".to_owned() } else { format!("{took}.5") };
            let call = if self.dice.below(3) == 0 { self.dice.below(self.calls) } else { self.calls };
            let call_id = match self.dice.below(3) {
                0 => String::new(),
                1 => format!(r#","call_id":"call_{}""#, self.dice.below(4)),
                _ => format!(r#","call_id":"toolu_01{:020x}Qx9z""#, u128::from(call) * 0x9E37_79B9_7F4A_7C15_F39C),
            };
            for n in 0..1 + self.dice.below(2) {
                let via = ["hook", "proxy", "http", "import"][self.dice.below(4) as usize];
                let (status, reason) =
                    [("ok", ""), ("error", ""), ("denied", ""), ("error", r#","reason":"interrupted""#)]
                        [self.dice.below(4) as usize];
                let tool = if n == 0 { self.dice.below(30) } else { 1 };
                let at = Timestamp::from_millis(ts + self.dice.below(50) as i64);
                let id = match self.dice.below(4) {
                    0 => String::new(),
                    _ => format!(r#","id":"019ab0a0-0000-7000-8001-{:06x}{n:06x}""#, self.calls),
                };
                let text = if self.dice.below(5) == 0 { "a needle" } else { "" };
                let line = format!(
                    r#"{{"ts":"{at}","user":"{user}","tool":"t{tool}","args":{{}},"status":"{status}","result_chars":{},"result_snippet":"{text}"{id},"duration_ms":{took}{reason},"session":"s-{}","client":"{}","server":"{}"{call_id},"via":"{via}"}}"#,
                    self.dice.below(5_000),
                    self.dice.below(3),
                    ["", "a", "a/1", "b"][self.dice.below(4) as usize],
                    ["", "hub", "h/1", "h/2"][self.dice.below(4) as usize],
                );
                // An entry that was sent twice.
                if let Some((path, line)) = self.lines.pop().filter(|_| id.is_empty()) {
                    append(&path, &line);
                }
                let line = match self.dice.below(20) {
                    0 => "{\"torn".to_owned(),
                    1 => "    ".to_owned(),
                    2 => line.replace("\"via\":\"", "\"via\":\"tooltrail\",\"was\":\""),
                    _ => line,
                };
                let path = self.home().join(format!("{}/tool_audit/{}.jsonl", tooltrail::folder_of(user), at.date()));
                append(&path, &line);
                if line.contains("\"id\"") && self.dice.below(3) == 0 {
                    self.lines.push((path, line));
                }
            }
        }
    }

    fn keep(&self) {
        let keeper = RollupKeeper::new(Home::create(self.home(), false).unwrap(), self.clock.clone());
        assert!(keeper.finish(Duration::from_secs(600)).unwrap());
    }

    fn rollups(&self) -> Vec<PathBuf> {
        let found = fs::read_dir(self.home().join(".tooltrail/rollup"));
        let mut found = found.into_iter().flatten().map(|file| file.unwrap().path()).collect::<Vec<_>>();
        found.retain(|path| path.extension().is_some_and(|extension| extension == "1"));
        found.sort();
        found
    }

    /// Compares the answers with those of a copy of the home that has no rollups. Returns how many files were answered
    /// from rollups.
    fn check(&self, what: &str) -> u64 {
        let plain = self.folder.path().join("plain");
        let _ = fs::remove_dir_all(&plain);
        copy(&self.home(), &plain, &|path| !path.ends_with("rollup"));
        let trail = |path: &Path| Trail::new(Home::open(path).unwrap(), self.clock.clone(), Zone::UTC);
        let (with, without) = (trail(&self.home()), trail(&plain));
        let mut used = 0;
        adds_up(&with, &format!("{what}, with rollups"));
        adds_up(&without, &format!("{what}, without rollups"));
        for query in QUERIES {
            let mut question = Question::new();
            question.query = Query::parse(query).unwrap();
            let what = format!("{what}: {query:?}");
            let (found, expected) = (with.stats(&question).unwrap(), without.stats(&question).unwrap());
            same(&found, &expected, &what);
            used += found.sources.rollups;
            for (size, by) in [(BucketSize::Hour, GroupBy::Status), (BucketSize::Day, GroupBy::Tool)] {
                let found = with.series(&question, size, by).unwrap();
                let expected = without.series(&question, size, by).unwrap();
                assert_eq!(found.groups, expected.groups, "{what}");
                for (found, expected) in found.buckets.iter().zip(&expected.buckets) {
                    same_counts(&found.all, &expected.all, &what);
                    assert!(found.groups.keys().eq(expected.groups.keys()), "{what}");
                    found.groups.iter().for_each(|(name, counts)| same_counts(counts, &expected.groups[name], &what));
                }
            }
            let (found, expected) = (with.sessions(&question).unwrap(), without.sessions(&question).unwrap());
            assert_eq!((found.total, &found.sessions), (expected.total, &expected.sessions), "{what}");
            used += found.sources.rollups;
            question.limit = 1_000;
            let (found, expected) = (with.recent(&question).unwrap(), without.recent(&question).unwrap());
            assert_eq!((&found.lines, found.complete), (&expected.lines, expected.complete), "{what}");
            if let Some(kind) = query.strip_prefix("first=").filter(|kind| !kind.contains(' ')) {
                self.check_firsts(&found.lines, kind);
            }
        }
        used
    }
}

impl World {
    /// Checks that these lines are the first of each user and tool, server or client in all files.
    fn check_firsts(&self, lines: &[String], kind: &str) {
        let text = |entry: &Value, name: &str| {
            let text = entry[name].as_str().unwrap_or_default().to_owned();
            if name == "client" { text.split('/').next().unwrap().to_owned() } else { text }
        };
        let mut firsts = BTreeMap::<(String, String), String>::new();
        for user in ["alice", "bob", "größe"] {
            let folder = self.home().join(tooltrail::folder_of(user)).join("tool_audit");
            for file in fs::read_dir(folder).unwrap().map(|file| fs::read_to_string(file.unwrap().path()).unwrap()) {
                let entries = file.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
                let is_call = |entry: &Value| entry["via"] != "tooltrail" && entry["status"] != "OK";
                for entry in entries.filter(is_call).filter(|entry| kind == "tool" || !text(entry, kind).is_empty()) {
                    let first = firsts.entry((text(&entry, "user"), text(&entry, kind)));
                    let ts = text(&entry, "ts");
                    first.and_modify(|first| *first = first.clone().min(ts.clone())).or_insert(ts);
                }
            }
        }
        let found = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>();
        let found = found.iter().map(|entry| ((text(entry, "user"), text(entry, kind)), text(entry, "ts")));
        assert_eq!(found.collect::<BTreeMap<_, _>>(), firsts);
    }
}

/// Checks that the numbers of several questions add up to those of one that asks for all of it.
fn adds_up(trail: &Trail, what: &str) {
    let ask = |query: &str| {
        let mut question = Question::new();
        question.query = Query::parse(query).unwrap();
        trail.stats(&question).unwrap()
    };
    let all = ask("");
    for (day, calls) in &all.by_day {
        assert_eq!(ask(&format!("since={day} until={day}")).total, *calls, "{what}, {day} alone");
    }
    let parts: [&[&str]; 5] = [
        &["status=ok", "status=error", "status=denied"],
        &["user=alice", "user=bob", "user=größe"],
        &["via=hook", "via=proxy", "via=http", "via=import"],
        &["session=s-0", "session=s-1", "session=s-2"],
        &["tool=t1*", "tool!=t1*"],
    ];
    for parts in parts {
        let calls = parts.iter().map(|part| ask(part).total).collect::<Vec<_>>();
        assert_eq!(calls.iter().sum::<u64>(), all.total, "{what}, {parts:?}: {calls:?}");
        for (day, count) in &all.by_day {
            let of_day = |part: &&str| ask(&format!("{part} since={day} until={day}")).total;
            assert_eq!(parts.iter().map(of_day).sum::<u64>(), *count, "{what}, {day}, {parts:?}");
        }
    }
}

fn same(found: &Stats, expected: &Stats, what: &str) {
    let counts = |stats: &Stats| {
        let tools = stats.by_tool.iter();
        let tools = tools.map(|(name, tool)| (name.clone(), [tool.calls, tool.ok, tool.error, tool.denied]));
        (
            stats.total,
            stats.by_status.clone(),
            tools.collect::<BTreeMap<_, _>>(),
            stats.by_user.clone(),
            stats.by_day.clone(),
        )
    };
    assert_eq!(counts(found), counts(expected), "{what}");
    assert_eq!((found.skipped, found.complete), (expected.skipped, expected.complete), "{what}");
    for (name, tool) in &found.by_tool {
        let expected = &expected.by_tool[name];
        near(tool.duration_ms.as_ref(), expected.duration_ms.as_ref(), &format!("{what} {name}"));
        near(tool.result_chars.as_ref(), expected.result_chars.as_ref(), &format!("{what} {name}"));
    }
}

fn near(found: Option<&Quantiles>, expected: Option<&Quantiles>, what: &str) {
    assert_eq!(found.is_some(), expected.is_some(), "{what}");
    let (Some(found), Some(expected)) = (found, expected) else { return };
    let all = |quantiles: &Quantiles| [quantiles.p50, quantiles.p90, quantiles.p95, quantiles.p99, quantiles.max];
    for (found, expected) in all(found).into_iter().zip(all(expected)) {
        assert!((found - expected).abs() <= expected * 0.01, "{what}: {found}, not {expected}");
    }
}

fn same_counts(found: &SeriesCounts, expected: &SeriesCounts, what: &str) {
    let counts = |counts: &SeriesCounts| (counts.calls, counts.errors, counts.denied, counts.p50_ms, counts.p95_ms);
    assert_eq!(counts(found), counts(expected), "{what}");
}

fn append(path: &Path, line: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(format!("{line}\n").as_bytes()).unwrap();
}

fn copy(from: &Path, to: &Path, wanted: &dyn Fn(&Path) -> bool) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap).filter(|entry| wanted(&entry.path())) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target, wanted)
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn answers_are_the_same_while_files_grow() {
    for seed in 0..3 {
        let mut world = World::new(seed);
        world.append(150);
        world.keep();
        assert!(world.check(&format!("seed {seed}, all counted")) > 0);
        for round in 0..4 {
            let count = world.dice.below(60);
            world.append(count);
            world.check(&format!("seed {seed}, grown {round}"));
            if world.dice.below(2) == 0 {
                world.keep();
                world.check(&format!("seed {seed}, counted {round}"));
            }
        }
    }
}

#[test]
fn damaged_rollups_change_no_answer() {
    let mut world = World::new(77);
    world.append(200);
    world.keep();
    world.append(20);
    for round in 0..24 {
        let rollups = world.rollups();
        let path = &rollups[world.dice.below(rollups.len() as u64) as usize];
        let mut bytes = fs::read(path).unwrap();
        let at = world.dice.below(bytes.len() as u64) as usize;
        match world.dice.below(4) {
            0 => bytes.truncate(at),
            1 => bytes[at] ^= 1 << world.dice.below(8),
            2 => bytes = fs::read(&rollups[0]).unwrap(),
            _ => bytes[..8].copy_from_slice(b"ttroll 0"),
        }
        let before = fs::read(path).unwrap();
        fs::write(path, bytes).unwrap();
        world.check(&format!("damage {round}"));
        if round % 8 == 0 {
            world.keep();
            assert!(world.check(&format!("repaired {round}")) > 0);
        } else {
            fs::write(path, before).unwrap();
        }
    }
}

#[test]
fn other_files_under_the_same_names_are_read() {
    let mut world = World::new(5);
    world.append(200);
    world.keep();
    let day = Date::parse("2025-11-23").unwrap();
    let path = |user: &str| world.home().join(format!("{user}/tool_audit/{day}.jsonl"));
    for user in ["alice", "bob"] {
        let text = fs::read_to_string(path(user)).unwrap();
        let half = text[..text.len() / 2].rfind('\n').unwrap() + 1;
        // It shrinks, it is another file of the same length, it ends with other bytes, it is gone.
        fs::write(path(user), &text[..half]).unwrap();
        world.check(&format!("{user} shrank"));
        fs::write(path(user), &text).unwrap();
        world.check(&format!("{user} is back"));
        // The inode may be the same again, so the end must differ.
        let last = text.rfind("result_snippet").unwrap();
        let changed = text[..last].to_owned() + "result_snippeT" + &text[last + 14..];
        fs::remove_file(path(user)).unwrap();
        fs::write(path(user), changed.replace("\"ok\"", "\"OK\"")).unwrap();
        world.check(&format!("{user} is another file"));
        fs::remove_file(path(user)).unwrap();
        world.check(&format!("{user} is gone"));
        world.keep();
        world.check(&format!("{user} is gone and counted"));
    }
}

/// Returns the answer of a home on a simulated disk.
fn answer(machine: &Arc<Machine>, clock: &Arc<TestClock>) -> Stats {
    Trail::new(Home::on(machine.process()).unwrap(), clock.clone(), Zone::UTC).stats(&Question::new()).unwrap()
}

#[test]
fn whatever_ends_the_keeper_the_answers_are_the_same() {
    for kill in [Kill::Process, Kill::Power] {
        let mut step = 1;
        loop {
            let (machine, clock) = (Machine::new(11), Arc::<TestClock>::default());
            let keep = || {
                let home = Home::on(machine.process());
                home.is_ok_and(|home| {
                    RollupKeeper::new(home, clock.clone()).finish(Duration::from_secs(600)).unwrap_or(false)
                })
            };
            let record = |calls: u64| {
                let mut options = Options::new("home");
                options.clock = clock.clone();
                let mut steps = Steps::open(Home::on(machine.process()).unwrap(), options).unwrap();
                for n in 0..calls {
                    let tool = format!("t{}", n % 5);
                    steps.recorder().record(&Call::new(["alice", "bob"][n as usize % 2], tool, "{}").ok("result"));
                }
                drop(steps.close());
            };
            for day in 0..3 {
                record(30);
                assert!(day > 0 || keep());
                clock.0.fetch_add(86_400_000, Ordering::Relaxed);
            }
            let expected = answer(&machine, &clock);
            machine.kill_after(step, kill);
            let done = keep();
            let was_ended = machine.calm().is_some();
            if kill == Kill::Power {
                machine.cut_power();
            }
            let what = format!("{kill:?} at {step}");
            same(&answer(&machine, &clock), &expected, &what);
            record(7);
            let expected = answer(&machine, &clock);
            assert!(keep(), "{what}");
            let found = answer(&machine, &clock);
            same(&found, &expected, &what);
            assert_eq!(found.sources.as_str(), "rollup", "{what}");
            if !was_ended {
                assert!(done && step > 4, "{what}");
                break;
            }
            step += 1;
        }
    }
}

#[test]
fn two_keepers_and_a_writer_disturb_nobody() {
    let mut world = World::new(9);
    world.append(300);
    let (home, clock) = (world.home(), world.clock.clone());
    // A process that was killed while it wrote.
    let unfinished = home.join(".tooltrail/rollup/.2025-11-24.1.99.0.new");
    fs::create_dir_all(unfinished.parent().unwrap()).unwrap();
    fs::write(&unfinished, "alice").unwrap();
    std::thread::scope(|scope| {
        let keepers = [(); 2].map(|()| {
            let (home, clock) = (home.clone(), clock.clone());
            scope.spawn(move || {
                for _ in 0..10 {
                    let keeper = RollupKeeper::new(Home::create(&home, false).unwrap(), clock.clone());
                    // Whoever finds the other one at work does nothing.
                    keeper.finish(Duration::from_secs(600)).unwrap();
                }
            })
        });
        for _ in 0..40 {
            world.append(5);
        }
        keepers.into_iter().for_each(|keeper| keeper.join().unwrap());
    });
    assert!(world.check("after two keepers") > 0);
    assert!(!unfinished.exists());
}
