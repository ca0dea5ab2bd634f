//! Tests that write day files directly and read them with questions.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tooltrail::{Clock, Cursor, Home, Page, Question, Timestamp, Trail, Zone};

use crate::dice::Dice;

/// A clock whose time does not change.
#[derive(Debug)]
struct Still(Timestamp);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        self.0
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

pub(crate) const NOON: i64 = 1_795_435_200_000; // 2026-11-23T12:00:00Z

pub(crate) fn trail(home: &Path, zone: Zone) -> Trail {
    Trail::new(Home::open(home).unwrap(), Arc::new(Still(Timestamp::from_millis(NOON))), zone)
}

pub(crate) fn line(ms: i64, user: &str, mark: usize) -> String {
    let ts = Timestamp::from_millis(ms);
    format!(
        r#"{{"ts":"{ts}","user":"{user}","tool":"t{}","args":{{"n":{mark}}},"status":"ok","result_chars":{mark},"result_snippet":"mark-{mark}-"}}"#,
        mark % 7
    )
}

pub(crate) fn put(home: &Path, folder: &str, day: &str, text: &str) {
    let folder = home.join(folder).join("tool_audit");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{day}.jsonl")), text).unwrap();
}

pub(crate) fn all(trail: &Trail, mut question: Question) -> (Vec<String>, usize) {
    let (mut lines, mut pages) = (Vec::new(), 0);
    loop {
        let page: Page = trail.recent(&question).unwrap();
        assert!(page.lines.len() <= question.limit);
        lines.extend(page.lines);
        pages += 1;
        let Some(next) = page.next else { return (lines, pages) };
        question.cursor = Some(Cursor::parse(&next).unwrap());
    }
}

#[test]
fn small_pages_give_every_entry_once_and_in_order() {
    for seed in 1..=3_u64 {
        let home = tempfile::tempdir().unwrap();
        let mut dice = Dice(seed);
        let mut expected = Vec::new();
        let mut mark = 0;
        for (user, day) in (0..8).flat_map(|user| (20..25).map(move |day| (user, day))) {
            let name = format!("u{user}");
            let start = Timestamp::parse(&format!("2026-11-{day}T00:00:00Z"), &Zone::UTC).unwrap().as_millis();
            let (mut at, mut text) = (start + 60_000, String::new());
            for _ in 0..dice.below(120) {
                at += [0, 0, 900, 40_000, 200_000][dice.below(5) as usize];
                let ts = at - if dice.below(4) == 0 { dice.below(60_000) as i64 } else { 0 };
                expected.push((ts, name.clone(), text.len(), line(ts, &name, mark)));
                text.push_str(&expected.last().unwrap().3);
                text.push('\n');
                mark += 1;
            }
            put(home.path(), &name, &format!("2026-11-{day}"), &text);
        }
        expected.sort_by(|a, b| b.cmp(a));
        let expected: Vec<_> = expected.into_iter().map(|(.., line)| line).collect();
        for limit in [if seed == 1 { 1 } else { 3 }, 7, 50] {
            let mut question = Question::new();
            (question.limit, question.days) = (limit, 30);
            assert!(all(&trail(home.path(), Zone::UTC), question).0 == expected, "seed {seed}, limit {limit}");
        }
        let mut question = Question::parse("tool=t3 mark-").unwrap();
        question.limit = 5;
        let filtered: Vec<_> = expected.iter().filter(|line| line.contains(r#""tool":"t3""#)).cloned().collect();
        assert!(all(&trail(home.path(), Zone::UTC), question).0 == filtered, "seed {seed}");
    }
}

#[test]
fn ten_thousand_equal_instants_are_paged_whole() {
    let home = tempfile::tempdir().unwrap();
    let lines: Vec<_> = (0..10_000).map(|n| line(NOON, "a", n)).collect();
    put(home.path(), "a", "2026-11-23", &(lines.join("\n") + "\n"));
    let mut question = Question::new();
    question.limit = 1_000;
    let found = all(&trail(home.path(), Zone::UTC), question).0;
    assert!(found.iter().rev().eq(&lines));
}

#[test]
fn wrong_places_lose_nothing() {
    let home = tempfile::tempdir().unwrap();
    // The last line is of another year, the clock was set back by an hour, and one line is of tomorrow.
    let hour = 3_600_000;
    let times = [NOON, NOON + 1, NOON - hour, NOON - hour + 1, NOON + 30 * hour, NOON + 2, NOON - 9_000 * hour];
    let lines: Vec<_> = times.iter().enumerate().map(|(n, ms)| line(*ms, "a", n)).collect();
    put(home.path(), "a", "2026-11-23", &(lines.join("\n") + "\n"));
    for limit in 1..8 {
        let mut question = Question::new();
        (question.limit, question.days) = (limit, 3_650);
        let mut found = all(&trail(home.path(), Zone::UTC), question).0;
        found.sort();
        let mut expected = lines.clone();
        expected.sort();
        assert_eq!(found, expected);
    }
}

#[test]
fn what_is_no_entry_is_counted_and_hides_nothing() {
    let home = tempfile::tempdir().unwrap();
    let (a, b) = (line(NOON, "a", 1), line(NOON + 1, "a", 2));
    let text = format!("\u{feff}{a}\r\n\n\n\0\0\0\n{{}}\nnot json\n{a}{b}\n{b}\n{{\"ts\":\"2026");
    put(home.path(), "a", "2026-11-23", &text);
    let page = trail(home.path(), Zone::UTC).recent(&Question::new()).unwrap();
    assert_eq!(page.lines, [b, a]);
    assert_eq!((page.skipped.torn, page.skipped.nul, page.skipped.invalid_json, page.skipped.too_long), (1, 1, 3, 0));
    assert!(page.complete && page.next.is_none());
}

#[test]
fn the_newest_page_costs_the_page() {
    let home = tempfile::tempdir().unwrap();
    let text: String = (0..200_000).map(|n| line(NOON - 40_000_000 + n * 200, "a", n as usize) + "\n").collect();
    put(home.path(), "a", "2026-11-23", &text);
    let page = trail(home.path(), Zone::UTC).recent(&Question::new()).unwrap();
    assert_eq!(page.lines.len(), 200);
    assert!(page.scanned.bytes <= 3 * 128 * 1024, "{:?}", page.scanned);
}

#[test]
fn the_fiftieth_page_costs_the_page() {
    let home = tempfile::tempdir().unwrap();
    let lines: Vec<_> = (0..200_000).map(|n| line(NOON - 40_000_000 + n * 200, "a", n as usize)).collect();
    put(home.path(), "a", "2026-11-23", &(lines.join("\n") + "\n"));
    let trail = trail(home.path(), Zone::UTC);
    let mut question = Question::new();
    for n in 0..50 {
        let page = trail.recent(&question).unwrap();
        assert!(page.lines.iter().eq(lines.iter().rev().skip(n * 200).take(200)), "page {n}");
        assert!(page.scanned.bytes <= 4 * 128 * 1024, "page {n}: {:?}", page.scanned);
        question.cursor = Some(Cursor::parse(&page.next.unwrap()).unwrap());
    }
    // If the file is no longer the same, only the position counts.
    put(home.path(), "b", "2026-11-23", &(lines[..150_000].join("\n") + "\n"));
    let file = |user: &str| home.path().join(user).join("tool_audit/2026-11-23.jsonl");
    std::fs::rename(file("b"), file("a")).unwrap();
    assert!(trail.recent(&question).unwrap().lines.iter().eq(lines[..150_000].iter().rev().take(200)));
}

#[test]
fn wrong_places_in_a_large_file_lose_nothing() {
    let home = tempfile::tempdir().unwrap();
    let (mut dice, mut lines) = (Dice(5), Vec::new());
    for n in 0..6_000 {
        // Some lines are late without a note in the file: by minutes, by hours, or from another day.
        let back = [0, 0, 0, 0, 0, 0, 0, 200_000, 9_000_000, 200_000_000][dice.below(10) as usize];
        let back = if n % 1_500 < 1_300 { 0 } else { back };
        lines.push(line(NOON - 6_000_000 + n as i64 * 1_000 - back, "a", n));
    }
    put(home.path(), "a", "2026-11-23", &(lines.join("\n") + "\n"));
    let mut question = Question::new();
    (question.limit, question.days) = (40, 3_650);
    let mut found = all(&trail(home.path(), Zone::UTC), question).0;
    found.sort();
    lines.sort();
    assert!(found == lines);
}

#[test]
fn naive_times_are_read_in_the_zone_and_links_never() {
    let home = tempfile::tempdir().unwrap();
    let seed = |ts: &str| {
        format!(
            r#"{{"ts": "{ts}", "user": "Alice", "tool": "t", "args": {{}}, "status": "ok", "result_chars": 0, "result_snippet": ""}}"#
        )
    };
    let (late, early) = (seed("2026-11-23T00:30:00"), seed("2026-11-22T23:30:00"));
    put(home.path(), "Alice", "2026-11-23", &format!("{late}\n"));
    put(home.path(), "Alice", "2026-11-22", &format!("{early}\n"));
    let ours = line(NOON - 12 * 3_600_000 - 3_600_000, "Alice", 1); // 2026-11-22T23:00Z, between the two in Berlin
    put(home.path(), "%41lice", "2026-11-22", &format!("{ours}\n"));
    std::os::unix::fs::symlink(home.path().join("Alice"), home.path().join("mallory")).unwrap();
    std::fs::create_dir_all(home.path().join("eve/tool_audit")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", home.path().join("eve/tool_audit/2026-11-23.jsonl")).unwrap();
    let trail = trail(home.path(), Zone::named("Europe/Berlin").unwrap());
    let expected = [late, ours, early];
    assert_eq!(trail.recent(&Question::new()).unwrap().lines, expected);
    let mut question = Question::new();
    question.user = Some("Alice".to_owned());
    assert_eq!(trail.recent(&question).unwrap().lines, expected);
    let users = trail.users(None).unwrap();
    assert_eq!(users.iter().map(|user| (&*user.user, user.entries)).collect::<Vec<_>>(), [("Alice", 3), ("eve", 0)]);
    for hostile in ["../x", "", ".", "a/b", "\0", ".tooltrail"] {
        question.user = Some(hostile.to_owned());
        assert!(trail.recent(&question).unwrap().lines.is_empty());
    }
}

#[test]
fn stats_count_each_call_once() {
    let home = tempfile::tempdir().unwrap();
    let entry = |n: i64, tool: &str, status: &str, more: &str| {
        let ts = Timestamp::from_millis(NOON + n);
        format!(
            "{{\"ts\":\"{ts}\",\"user\":\"a\",\"tool\":\"{tool}\",\"args\":{{}},\"status\":\"{status}\",\"result_chars\":{n},\"result_snippet\":\"\"{more}}}\n"
        )
    };
    let text = [
        entry(1, "x", "error", r#","call_id":"c","via":"hook","duration_ms":7"#),
        entry(2, "x", "ok", r#","call_id":"c","via":"proxy""#),
        entry(3, "y", "denied", ""),
        entry(4, "tooltrail.start", "ok", r#","via":"tooltrail""#),
    ];
    put(home.path(), "a", "2026-11-23", &text.concat());
    let trail = trail(home.path(), Zone::UTC);
    let stats = trail.stats(&Question::new()).unwrap();
    assert_eq!(stats.total, 2);
    assert_eq!(stats.by_status.into_iter().collect::<Vec<_>>(), [("denied", 1), ("error", 0), ("ok", 1)]);
    assert!(stats.by_tool["x"].duration_ms.is_none());
    assert_eq!(stats.by_tool["y"].result_chars.unwrap().p50, 3.0);
    assert_eq!((&*stats.from, &*stats.to), ("2026-11-17", "2026-11-23"));
    for query in ["tool=tooltrail.*", "tool=tooltrail.start", "via=tooltrail"] {
        assert_eq!(trail.stats(&Question::parse(query).unwrap()).unwrap().total, 1, "{query}");
    }
    assert_eq!(trail.stats(&Question::parse("via!=tooltrail").unwrap()).unwrap().total, 2);
    // An empty call id does not identify a call, so these entries are counted separately.
    let nameless = [4, 5].map(|n| entry(n, "z", "ok", r#","call_id":"""#));
    put(home.path(), "b", "2026-11-23", &nameless.concat());
    assert_eq!(trail.stats(&Question::parse("tool=z").unwrap()).unwrap().total, 2);
}
