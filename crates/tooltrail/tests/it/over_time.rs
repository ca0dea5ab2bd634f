//! Series and sessions are compared with what a simple program counts in the same files.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::Value;
use tooltrail::{BucketSize, Clock, GroupBy, Home, Query, Question, Timestamp, Trail, Zone};

use crate::dice::Dice;
use crate::histories::{START_MS, TestClock};

const MINUTE: i64 = 60_000;

struct World {
    folder: tempfile::TempDir,
    trail: Trail,
    entries: Vec<Value>,
    now: Timestamp,
}

impl World {
    /// Returns a home of three users over four days, with calls that two captures saw.
    fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(TestClock::default());
        let now = clock.now();
        let mut dice = Dice(seed);
        let (mut files, mut entries) = (BTreeMap::<String, Vec<(i64, String)>>::new(), Vec::new());
        for n in 0..600_u32 {
            let ago = dice.below(4 * 24 * 60) as i64 * MINUTE + dice.below(60_000) as i64;
            let ts = Timestamp::from_millis(now.as_millis() - ago);
            let user = ["alice", "bob", "größe"][dice.below(3) as usize];
            let (tool, status) = (format!("t{}", dice.below(30)), ["ok", "error", "denied"][dice.below(3) as usize]);
            let session = (dice.below(3) > 0).then(|| format!("s-{}", dice.below(9)));
            let took = (dice.below(4) > 0).then(|| dice.below(100_000) as f64 / 8.0);
            let mut line = format!(
                r#"{{"ts":"{ts}","user":"{user}","tool":"{tool}","args":{{}},"status":"{status}","result_chars":0,"result_snippet":"""#
            );
            took.iter().for_each(|took| write!(line, r#","duration_ms":{took}"#).unwrap());
            session.iter().for_each(|session| write!(line, r#","session":"{session}""#).unwrap());
            write!(line, r#","call_id":"toolu_{:024x}{n:04x}"}}"#, u128::from(n) * 0x9E37_79B9_7F4A_7C15_F39C).unwrap();
            let sightings = if dice.below(4) == 0 { &["hook", "proxy"][..] } else { &["http"] };
            let mut lines =
                sightings.iter().map(|via| line.trim_end_matches('}').to_owned() + &format!(r#","via":"{via}"}}"#));
            let folder = format!("{}/tool_audit/{}.jsonl", tooltrail::folder_of(user), ts.date());
            let lines = lines.by_ref().collect::<Vec<_>>();
            files.entry(folder).or_default().extend(lines.iter().map(|line| (ts.as_millis(), line.clone())));
            entries.push(serde_json::from_str(&lines[0]).unwrap());
        }
        for (path, mut lines) in files {
            lines.sort_by_key(|(ts, _)| *ts);
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let text = lines.into_iter().map(|(_, line)| line + "\n").collect::<String>();
            std::fs::write(path, text).unwrap();
        }
        let trail = Trail::new(Home::open(folder.path()).unwrap(), clock, Zone::UTC);
        Self { folder, trail, entries, now }
    }

    fn question(query: &str) -> Question {
        let mut question = Question::new();
        question.query = Query::parse(query).unwrap();
        question
    }

    fn millis(entry: &Value) -> i64 {
        Timestamp::parse(entry["ts"].as_str().unwrap(), &Zone::UTC).unwrap().as_millis()
    }

    /// Checks a series against the entries that `is_asked` chooses.
    fn check(&self, query: &str, bucket: BucketSize, by: GroupBy, is_asked: impl Fn(&Value) -> bool) {
        let series = self.trail.series(&Self::question(query), bucket, by).unwrap();
        assert!(series.complete && series.skipped.invalid_json == 0, "{query}");
        let (size, mut calls) = (bucket.millis(), 0);
        for found in &series.buckets {
            let begin = found.start.as_millis();
            let inside = |entry: &&Value| (begin..begin + size).contains(&Self::millis(entry)) && is_asked(entry);
            let entries = self.entries.iter().filter(inside).collect::<Vec<_>>();
            let what = format!("{query} {bucket:?} {by:?} {}", found.start);
            check_counts(&entries, &found.all, &what);
            calls += found.all.calls;
            for (name, counts) in &found.groups {
                let is_in = |entry: &&&Value| match by {
                    GroupBy::Status => entry["status"] == **name,
                    GroupBy::User => entry["user"] == **name,
                    GroupBy::Tool if name == "other" => {
                        !series.groups.contains(&entry["tool"].as_str().unwrap().to_owned())
                    }
                    GroupBy::Tool => entry["tool"] == **name,
                    GroupBy::None => unreachable!(),
                };
                let group = entries.iter().filter(is_in).copied().collect::<Vec<_>>();
                check_counts(&group, counts, &format!("{what} {name}"));
            }
            let in_groups = found.groups.values().map(|counts| counts.calls).sum::<u64>();
            assert_eq!(in_groups, if by == GroupBy::None { 0 } else { found.all.calls }, "{what}");
        }
        let is_now = |entry: &&Value| Self::millis(entry) >= series.from.as_millis() && is_asked(entry);
        assert_eq!(calls as usize, self.entries.iter().filter(is_now).count(), "{query}");
        assert!(series.to > self.now || query.contains("until"), "{query}");
    }
}

fn check_counts(entries: &[&Value], found: &tooltrail::SeriesCounts, what: &str) {
    let of = |status: &str| entries.iter().filter(|entry| entry["status"] == status).count() as u64;
    assert_eq!((found.calls, found.errors, found.denied), (entries.len() as u64, of("error"), of("denied")), "{what}");
    let mut took = entries.iter().filter_map(|entry| entry["duration_ms"].as_f64()).collect::<Vec<_>>();
    took.sort_by(f64::total_cmp);
    for (quantile, percent) in [(found.p50_ms, 50), (found.p95_ms, 95)] {
        let exact = (took.len() * percent).div_ceil(100).checked_sub(1).map(|at| took[at]);
        assert_eq!(quantile.is_some(), exact.is_some(), "{what}");
        let (quantile, exact) = (quantile.unwrap_or(0.0), exact.unwrap_or(0.0));
        assert!((quantile - exact).abs() <= exact * 0.01 + 0.001, "{what}: {percent} % are {quantile}, not {exact}");
    }
}

#[test]
fn a_series_is_what_the_files_hold() {
    let world = World::new(5);
    let after = |ago: i64| move |entry: &Value| World::millis(entry) >= START_MS - ago * MINUTE;
    world.check("", BucketSize::Hour, GroupBy::Status, |_| true);
    world.check("", BucketSize::Day, GroupBy::Tool, |_| true);
    world.check("", BucketSize::Day, GroupBy::None, |_| true);
    world.check("last=3h", BucketSize::Minute, GroupBy::User, after(180));
    world.check("status=error OR tool=t3,t4", BucketSize::Hour, GroupBy::Tool, |entry| {
        entry["status"] == "error" || entry["tool"] == "t3" || entry["tool"] == "t4"
    });
    world.check("user=bob NOT status=ok", BucketSize::Day, GroupBy::Status, |entry| {
        entry["user"] == "bob" && entry["status"] != "ok"
    });
    let too_many = world.trail.series(&World::question(""), BucketSize::Minute, GroupBy::None).unwrap_err();
    assert!(too_many.to_string().contains("use at most 1500"), "{too_many}");
    drop(world.folder);
}

#[test]
fn sessions_are_what_the_files_hold() {
    let world = World::new(6);
    let mut question = World::question("tool!=t1");
    question.limit = 5;
    let found = world.trail.sessions(&question).unwrap();
    let mut expected = BTreeMap::<(String, String), Vec<&Value>>::new();
    for entry in world.entries.iter().filter(|entry| entry["tool"] != "t1" && entry["session"].is_string()) {
        let text = |name: &str| entry[name].as_str().unwrap().to_owned();
        expected.entry((text("user"), text("session"))).or_default().push(entry);
    }
    assert_eq!((found.total as usize, found.sessions.len(), found.complete), (expected.len(), 5, true));
    let mut ends = expected.values().map(|entries| entries.iter().map(|entry| World::millis(entry)).max().unwrap());
    let ends = ends.by_ref().collect::<BTreeSet<_>>();
    for (session, end) in found.sessions.iter().zip(ends.iter().rev()) {
        let entries = &expected[&(session.user.clone(), session.session.clone())];
        let of = |status: &str| entries.iter().filter(|entry| entry["status"] == status).count() as u64;
        assert_eq!((session.calls, session.errors), (entries.len() as u64, of("error")), "{session:?}");
        assert_eq!((session.denied, session.end.as_millis()), (of("denied"), *end), "{session:?}");
    }
}
