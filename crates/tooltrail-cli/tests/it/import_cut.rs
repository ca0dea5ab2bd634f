//! Imports that are cut short and run again.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::dice::Dice;
use crate::support::{Ran, TestHome, line, lines, minutes_ago};

/// Rounds, each with a new home. `TOOLTRAIL_KILL_ROUNDS` sets another number.
const ROUNDS: u64 = 20;

/// Kills in a round before an import runs to its end.
const KILLS: usize = 3;

/// Lines of the file: enough for several batches.
const LINES: u64 = 6_000;

/// Lines that are appended after each kill in rounds with a growing file.
const GROWS_BY: u64 = 50;

/// Returns lines of two users over two days in random order; every fifth has no time.
fn text(dice: &mut Dice) -> String {
    some_lines(dice, 0..LINES)
}

fn some_lines(dice: &mut Dice, numbers: std::ops::Range<u64>) -> String {
    let mut text = String::new();
    for number in numbers {
        let ts = minutes_ago(dice.below(2 * 24 * 60) as i64);
        let user = ["alice", "bob"][dice.below(2) as usize];
        text += &line(number, user, (number % 5 > 0).then_some(ts));
        text.push('\n');
    }
    text
}

/// Returns the number of complete lines in the day files.
fn whole_lines(place: &TestHome) -> u64 {
    let count = |file| std::fs::read(file).unwrap().iter().filter(|byte| **byte == b'\n').count() as u64;
    place.day_files().into_iter().map(count).sum()
}

/// Returns the size of all day files in bytes.
fn bytes(place: &TestHome) -> u64 {
    place.day_files().into_iter().map(|file| std::fs::metadata(file).unwrap().len()).sum()
}

#[test]
fn killed_at_any_moment_every_line_is_there_once() {
    let mut dice = Dice(20);
    let calm = TestHome::new();
    let file = calm.file("lines", text(&mut dice));
    let begun = Instant::now();
    assert_eq!(calm.run(&["import", &file]).code, Some(0));
    let whole_run = begun.elapsed();
    let rounds = std::env::var("TOOLTRAIL_KILL_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let (mut inside, mut kills) = (0, 0);
    for round in 0..rounds {
        let place = TestHome::new();
        let (mut text, mut count) = (text(&mut dice), LINES);
        let write = |text: &str| {
            // In every third round the last line has no newline yet.
            let text = if round % 3 == 0 { text.trim_end() } else { text };
            let bytes = match round % 2 {
                0 => text.as_bytes().to_vec(),
                _ => zstd::encode_all(text.as_bytes(), 1).unwrap(),
            };
            place.file(["lines", "lines.zst"][round as usize % 2], bytes)
        };
        let file = write(&text);
        let grows = round % 4 > 1;
        for kill in 0..KILLS {
            let mut command = place.command(&["import", &file]);
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            if kill > 0 {
                // A run spends most of its time reading, so these kills wait until lines are being stored.
                let before = bytes(&place);
                while bytes(&place) == before && child.try_wait().unwrap().is_none() {
                    std::thread::sleep(Duration::from_micros(200));
                }
            }
            let longest = if kill > 0 { whole_run / 4 } else { whole_run };
            std::thread::sleep(Duration::from_micros(dice.below(longest.as_micros() as u64)));
            child.kill().unwrap();
            if child.wait().unwrap().code().is_none() {
                kills += 1;
                inside += u64::from((1..LINES).contains(&whole_lines(&place)));
            }
            if grows {
                text += &some_lines(&mut dice, count..count + GROWS_BY);
                count += GROWS_BY;
                write(&text);
            }
        }
        let ran = place.run(&["import", &file]);
        // The import continues, or a run that was not killed in time has already stored everything.
        assert!(ran.code == Some(0) || ran.err.contains("imported already"), "round {round}: {}", ran.err);
        let stored = place.stored();
        let imported = stored.iter().filter(|entry| entry["via"] == "import").collect::<Vec<_>>();
        let mut numbers = imported.iter().map(|entry| entry["args"]["n"].as_u64().unwrap()).collect::<Vec<_>>();
        numbers.sort_unstable();
        assert!(numbers.iter().copied().eq(0..count), "round {round}: {} entries", numbers.len());
        let untimed = imported.iter().filter(|entry| entry["args"]["n"].as_u64().unwrap() % 5 == 0);
        let times = untimed.map(|entry| entry["ts"].as_str().unwrap()).collect::<BTreeSet<_>>();
        assert!(grows || times.len() == 1, "round {round}: the import's time is fixed when it begins");
    }
    println!("{kills} of {} runs were killed, {inside} of them with a part of the lines stored", rounds * KILLS as u64);
    assert!(inside > 0, "no kill fell inside an import");
}

#[test]
fn what_the_disk_does_not_take_is_no_success_and_comes_later() {
    let place = TestHome::new();
    let file = place.file("lines", lines(0..5_000, "alice", minutes_ago(1)));
    // A limit on the file size simulates a full disk: half of the lines fit.
    let mut command = Command::new("bash");
    let limited = command.args(["-c", "trap '' XFSZ; ulimit -f 1000; exec \"$0\" import \"$1\""]);
    let inside = place.command(&[]);
    limited.arg(inside.get_program()).arg(&file).stdin(Stdio::null()).env_clear();
    limited.envs(inside.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("PATH", "/usr/bin:/bin");
    let ran = Ran::of(limited.output().unwrap());
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("File too large") && ran.err.contains("hint: run the same command again"), "{}", ran.err);
    let part = place.stored().len();
    assert!((1..5_000).contains(&part), "{part} entries fit");
    let ran = place.run(&["import", &file]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(place.numbers(), (0..5_000).collect::<Vec<_>>());
}

#[test]
fn a_cut_import_goes_on_only_as_it_began() {
    let place = TestHome::new();
    let file = place.file("lines", text(&mut Dice(3)).replace("\"alice\"", "null"));
    let mut child = place.command(&["import", &file, "--user", "carol"]).stderr(Stdio::null()).spawn().unwrap();
    while whole_lines(&place) == 0 {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let other = place.run(&["import", &file, "--user", "dave"]);
    assert_eq!(other.code, Some(2), "{}", other.err);
    assert!(other.err.contains("another --user or another zone"), "{}", other.err);
    let same = place.run(&["import", &file, "--user", "carol"]);
    assert_eq!(same.code, Some(0), "{}", same.err);
    assert_eq!(place.numbers(), (0..LINES).collect::<Vec<_>>());
}
