//! Several sorted runs of lines are written into one day file; reading returns them in the order of their times.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tooltrail::{Call, Question, Recorder, Timestamp, Zone};

use crate::dice::Dice;
use crate::reading::{NOON, all, trail};

/// Records one run of calls, each with its own number, and returns the times and numbers.
fn run(recorder: &Recorder, user: &str, times: &[i64], mark: &mut usize) -> Vec<(i64, usize)> {
    let call = |ms: i64, mark: usize| {
        let mut call = Call::new(user, "t", format!(r#"{{"n":{mark}}}"#)).ok("");
        call.ts = Some(Timestamp::from_millis(ms));
        call
    };
    let written: Vec<_> = times.iter().map(|ms| (*ms, std::mem::replace(mark, *mark + 1))).collect();
    for part in written.chunks(97) {
        let calls = part.iter().map(|(ms, mark)| call(*ms, *mark)).collect();
        recorder.record_durable(calls).unwrap().wait().unwrap();
    }
    written
}

/// Checks that pages of each size return every entry once, newest first. Of entries with equal times, the later line
/// comes first.
#[track_caller]
fn check(home: &Path, mut written: Vec<(i64, usize)>, limits: &[usize]) {
    written.sort_by_key(|(ms, mark)| std::cmp::Reverse((*ms, *mark)));
    for limit in limits {
        let mut question = Question::new();
        (question.limit, question.days) = (*limit, 30);
        let found: Vec<_> = all(&trail(home, Zone::UTC), question).0.iter().map(|line| read(line)).collect();
        assert!(found == written, "limit {limit}: {} of {}", found.len(), written.len());
    }
}

fn read(line: &str) -> (i64, usize) {
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    let ts = Timestamp::parse(line["ts"].as_str().unwrap(), &Zone::UTC).unwrap();
    (ts.as_millis(), line["args"]["n"].as_u64().unwrap() as usize)
}

fn notes(home: &Path) -> String {
    std::fs::read_to_string(home.join(".tooltrail/late/2026-11-23")).unwrap_or_default()
}

fn every(from: i64, step: i64, count: i64) -> Vec<i64> {
    (0..count).map(|n| from + n * step).collect()
}

#[test]
fn older_runs_into_one_file_keep_the_order() {
    let home = tempfile::tempdir().unwrap();
    let mut mark = 0;
    let recorder = Recorder::open(home.path()).unwrap();
    let mut written = run(&recorder, "a", &every(NOON - 3_600_000, 1_000, 2_000), &mut mark);
    assert_eq!(notes(home.path()), "", "nothing came late");
    written.extend(run(&recorder, "a", &every(NOON - 20_000_000, 7_000, 500), &mut mark));
    let noted = notes(home.path());
    assert!(noted.starts_with("a ") && noted.lines().count() == 1, "{noted}");
    recorder.close().unwrap();
    // A new process knows only the end of the file.
    let recorder = Recorder::open(home.path()).unwrap();
    written.extend(run(&recorder, "a", &every(NOON - 10_000_000, 333, 1_500), &mut mark));
    recorder.close().unwrap();
    check(home.path(), written, &[30, 200, 1_000]);
}

#[test]
fn what_is_late_within_one_batch_is_noted_before_it_is_there() {
    let home = tempfile::tempdir().unwrap();
    let (mut mark, mut times) = (0, every(NOON, 500, 60));
    times.extend(every(NOON - 7_200_000, 500, 30));
    let recorder = Recorder::open(home.path()).unwrap();
    let written = run(&recorder, "a", &times, &mut mark);
    recorder.close().unwrap();
    assert_eq!(notes(home.path()), "a 7680000\n", "two hours and half a minute, as a minute doubled");
    check(home.path(), written, &[1, 7, 200]);
}

#[test]
fn two_recorders_side_by_side_are_not_late() {
    let home = tempfile::tempdir().unwrap();
    let recorders = [Recorder::open(home.path()).unwrap(), Recorder::open(home.path()).unwrap()];
    let (mut mark, mut written) = (0, Vec::new());
    for round in 0..200 {
        let from = NOON + round * 900 - (round % 2) * 600;
        written.extend(run(&recorders[(round % 2) as usize], "a", &every(from, 3, 40), &mut mark));
    }
    drop(recorders);
    assert_eq!(notes(home.path()), "");
    check(home.path(), written, &[200]);
}

#[test]
fn random_runs_keep_the_order() {
    for seed in 1..=4_u64 {
        let home = tempfile::tempdir().unwrap();
        let (mut dice, mut mark, mut written) = (Dice(seed), 0, Vec::new());
        for _ in 0..6 {
            // Each run may be a different process, and lies anywhere within two days.
            let recorder = Recorder::open(home.path()).unwrap();
            let mut at = NOON - 100_000_000 + dice.below(100_000_000) as i64;
            let mut times = Vec::new();
            for _ in 0..dice.below(400) {
                at += [0, 1, 700, 30_000][dice.below(4) as usize];
                times.push(at - if dice.below(5) == 0 { dice.below(90_000) as i64 } else { 0 });
            }
            written.extend(run(&recorder, "a", &times, &mut mark));
            recorder.close().unwrap();
        }
        check(home.path(), written, if seed == 1 { &[5, 23] } else { &[13, 200] });
    }
}

#[test]
fn pages_asked_while_late_lines_come_lose_and_double_nothing() {
    let home = tempfile::tempdir().unwrap();
    let done = Mutex::new((Vec::new(), false));
    let asked = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let recorder = Recorder::open(home.path()).unwrap();
            let (mut dice, mut mark) = (Dice(3), 0);
            // Records many calls at once, then one per question. A reader reads all new lines each time, so calls that
            // arrive faster than it asks would only slow it down.
            for n in 0..100 {
                let before = asked.load(Ordering::Relaxed);
                let begun = Instant::now();
                while n >= 90 && asked.load(Ordering::Relaxed) == before && begun.elapsed() < Duration::from_secs(20) {
                    std::thread::sleep(Duration::from_millis(1));
                }
                if n >= 90 && before > 3 {
                    break;
                }
                std::thread::sleep(Duration::from_millis(5));
                let user = ["a", "b", "c", "d"][dice.below(4) as usize];
                let from = NOON - dice.below(40_000_000) as i64;
                let written = run(&recorder, user, &every(from, 1_000, 60), &mut mark);
                done.lock().unwrap().0.extend(written);
            }
            done.lock().unwrap().1 = true;
        });
        let (mut rounds, mut dice) = (0, Dice(9));
        loop {
            let (before, last) = done.lock().unwrap().clone();
            let mut question = Question::new();
            (question.limit, question.days) = (20 + dice.below(500) as usize, 30);
            let mut found: Vec<_> =
                all(&trail(home.path(), Zone::UTC), question).0.iter().map(|line| read(line)).collect();
            found.sort_unstable();
            assert!(found.windows(2).all(|two| two[0] != two[1]), "doubled in round {rounds}");
            let lost = before.iter().filter(|entry| found.binary_search(entry).is_err()).count();
            assert_eq!(lost, 0, "round {rounds}: {} before, {} found", before.len(), found.len());
            rounds += usize::from(!before.is_empty());
            asked.store(rounds, Ordering::Relaxed);
            if last {
                break;
            }
        }
        assert!(rounds > 3, "{rounds} rounds");
    });
}
