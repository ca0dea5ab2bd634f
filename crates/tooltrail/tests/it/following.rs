//! A follower runs beside writers and returns every entry once and complete, whatever happens to the files.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use tooltrail::{Call, Clock, Follow, Followed, GapWhy, Home, Options, Question, Recorder, Timestamp, Trail, Zone};

use crate::dice::Dice;

/// A clock whose time is set by the test.
#[derive(Debug)]
struct Hand {
    now: AtomicI64,
    began: Instant,
}

impl Hand {
    fn at(ms: i64) -> Arc<Self> {
        Arc::new(Self { now: AtomicI64::new(ms), began: Instant::now() })
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        self.began.elapsed()
    }
}

const NOON: i64 = 1_795_435_200_000; // 2026-11-23T12:00:00Z
const DAY: &str = "2026-11-23";

fn trail(home: &Path, clock: &Arc<Hand>) -> Trail {
    Trail::new(Home::open(home).unwrap(), Arc::clone(clock) as Arc<dyn Clock>, Zone::UTC)
}

fn recorder(home: &Path, clock: &Arc<Hand>) -> Recorder {
    let mut options = Options::new(home);
    options.clock = Arc::clone(clock) as Arc<dyn Clock>;
    options.open().unwrap()
}

fn file(home: &Path, folder: &str, day: &str) -> PathBuf {
    home.join(folder).join("tool_audit").join(format!("{day}.jsonl"))
}

fn append(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = File::options().append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn line(mark: usize) -> String {
    let ts = Timestamp::from_millis(NOON + mark as i64);
    format!(
        r#"{{"ts":"{ts}","user":"a","tool":"t{}","args":{{"n":{mark}}},"status":"ok","result_chars":0,"result_snippet":""}}"#,
        mark % 3
    )
}

fn lines(marks: std::ops::Range<usize>) -> String {
    marks.map(|mark| line(mark) + "\n").collect()
}

/// Collects everything that a follower returns: lines by file, and gaps.
#[derive(Default)]
struct Heard {
    lines: BTreeMap<(String, String), Vec<String>>,
    gaps: Vec<GapWhy>,
}

impl Heard {
    fn listen(&mut self, follow: &mut Follow) {
        loop {
            for followed in follow.next_batch().unwrap() {
                match followed {
                    Followed::Entry(entry) => {
                        let key = (entry.folder, entry.day.to_string());
                        self.lines.entry(key).or_default().push(entry.line);
                    }
                    Followed::Gap { why, .. } => self.gaps.push(why),
                    other => panic!("{other:?}"),
                }
            }
            if follow.caught_up() {
                return;
            }
        }
    }
}

/// Checks what one poll of the follower returns.
fn check(follow: &mut Follow, expected: &str, gaps: &[GapWhy]) {
    let mut heard = Heard::default();
    heard.listen(follow);
    let text: String = heard.lines.into_values().flatten().map(|line| line + "\n").collect();
    assert_eq!(text, expected);
    assert_eq!(heard.gaps, gaps);
}

/// Returns the lines of all day files, by file.
fn stored(home: &Path) -> BTreeMap<(String, String), Vec<String>> {
    let mut stored = BTreeMap::new();
    for user in fs::read_dir(home).unwrap().flatten() {
        for day in fs::read_dir(user.path().join("tool_audit")).into_iter().flatten().flatten() {
            let name = day.file_name().into_string().unwrap();
            let key = (user.file_name().into_string().unwrap(), name.replace(".jsonl", ""));
            let text = fs::read_to_string(day.path()).unwrap();
            let lines = text.lines().filter(|line| !line.trim_matches(' ').is_empty());
            stored.insert(key, lines.map(str::to_owned).collect());
        }
    }
    stored
}

#[test]
fn every_entry_of_a_busy_home_arrives_once_and_in_its_files_order() {
    let home = tempfile::tempdir().unwrap();
    let clock = Hand::at(NOON);
    let recorder = recorder(home.path(), &clock);
    recorder.record(&Call::new("u0", "before", "{}").ok(""));
    recorder.flush().unwrap();
    let before = stored(home.path());
    let mut follow = trail(home.path(), &clock).follow(&Question::new()).unwrap();
    let finished = AtomicBool::new(false);
    let mut heard = Heard::default();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut dice = Dice(7);
            let mut written = 0;
            while written < 8_000 {
                let many = 1 + dice.below(300);
                let calls = (0..many).map(|n| {
                    // New users appear all the time, some lines are late, and the date changes once.
                    let user = format!("u{}", dice.below(1 + written / 400));
                    let late = dice.below(40) == 0;
                    let mut call = Call::new(user, "t", format!("{{\"n\":{}}}", written + n)).ok("r");
                    call.ts = late.then(|| Timestamp::from_millis(NOON - 3 * 86_400_000));
                    call
                });
                recorder.record_durable(calls.collect()).unwrap().wait().unwrap();
                written += many;
                clock.now.fetch_add(many as i64 * 6_000, Ordering::SeqCst);
                std::thread::sleep(Duration::from_micros(dice.below(3_000)));
            }
            recorder.close().unwrap();
            finished.store(true, Ordering::SeqCst);
        });
        while !finished.load(Ordering::SeqCst) {
            heard.listen(&mut follow);
        }
        // One poll for the last lines, and one more for day files that were found late in the first.
        heard.listen(&mut follow);
        heard.listen(&mut follow);
    });
    let mut expected = stored(home.path());
    for (key, lines) in before {
        expected.get_mut(&key).unwrap().drain(..lines.len());
    }
    expected.retain(|_, lines| !lines.is_empty());
    assert!(expected.keys().any(|(_, day)| day == "2026-11-24"), "no midnight");
    assert!(expected.values().map(Vec::len).sum::<usize>() >= 8_000);
    assert!(heard.gaps.is_empty());
    assert!(heard.lines == expected, "{} and {} files", heard.lines.len(), expected.len());
}

#[test]
fn a_tail_completed_later_arrives_once_and_whole() {
    let home = tempfile::tempdir().unwrap();
    let clock = Hand::at(NOON);
    let path = file(home.path(), "a", DAY);
    append(&path, &lines(0..3));
    append(&path, &line(3)[..50]);
    let mut follow = trail(home.path(), &clock).follow(&Question::new()).unwrap();
    check(&mut follow, "", &[]);
    append(&path, &line(3)[50..90]);
    check(&mut follow, "", &[]);
    append(&path, &format!("{}\n{}", &line(3)[90..], &line(4)[..10]));
    check(&mut follow, &lines(3..4), &[]);
    append(&path, &format!("{}\n", &line(4)[10..]));
    check(&mut follow, &lines(4..5), &[]);
    check(&mut follow, "", &[]);
}

#[test]
fn a_torn_tail_that_the_recorder_replaces_is_no_gap() {
    let home = tempfile::tempdir().unwrap();
    let clock = Hand::at(NOON);
    let path = file(home.path(), "a", DAY);
    append(&path, &lines(0..3));
    let mut follow = trail(home.path(), &clock).follow(&Question::new()).unwrap();
    append(&path, &line(3)[..70]);
    check(&mut follow, "", &[]);
    let recorder = recorder(home.path(), &clock);
    recorder.record(&Call::new("a", "t", "{}").ok("x"));
    recorder.close().unwrap();
    let mut heard = Heard::default();
    heard.listen(&mut follow);
    let key = ("a".to_owned(), DAY.to_owned());
    assert_eq!(heard.lines[&key], stored(home.path())[&key][3..]);
    assert!(heard.gaps.is_empty());
}

#[test]
fn cut_and_replaced_files_are_gaps_and_nothing_comes_twice() {
    let home = tempfile::tempdir().unwrap();
    let clock = Hand::at(NOON);
    let path = file(home.path(), "a", DAY);
    append(&path, &lines(0..100));
    let mut follow = trail(home.path(), &clock).follow(&Question::new()).unwrap();
    append(&path, &lines(100..200));
    check(&mut follow, &lines(100..200), &[]);
    let cut = |bytes: u64| {
        let file = File::options().write(true).open(&path).unwrap();
        file.set_len(file.metadata().unwrap().len().saturating_sub(bytes)).unwrap();
    };

    cut(u64::MAX);
    check(&mut follow, "", &[GapWhy::Cut]);
    append(&path, &lines(200..300));
    check(&mut follow, &lines(200..300), &[]);

    // The incomplete line is not returned until it gets a newline; the complete lines before it were already returned.
    cut(100);
    check(&mut follow, "", &[GapWhy::Cut]);
    append(&path, &format!("\n{}", lines(300..310)));
    check(&mut follow, &lines(300..310), &[]);

    // The file is cut and grows again between two polls.
    cut(100);
    append(&path, &format!("\n{}", lines(310..400)));
    check(&mut follow, &lines(310..400), &[GapWhy::Replaced]);

    let aside = home.path().join("aside");
    fs::write(&aside, lines(400..450)).unwrap();
    fs::rename(&aside, &path).unwrap();
    check(&mut follow, &lines(400..450), &[GapWhy::Replaced]);
    fs::write(&aside, lines(400..460)).unwrap();
    fs::rename(&aside, &path).unwrap();
    check(&mut follow, &lines(450..460), &[GapWhy::Replaced]);

    fs::remove_file(&path).unwrap();
    append(&path, &lines(460..465));
    // The new file may have the inode of the old one; then it looks like a cut.
    let mut heard = Heard::default();
    heard.listen(&mut follow);
    assert_eq!(heard.lines.into_values().flatten().count(), 5);
    assert!(matches!(*heard.gaps, [GapWhy::Replaced | GapWhy::Cut]), "{:?}", heard.gaps);
    fs::remove_file(&path).unwrap();
    check(&mut follow, "", &[GapWhy::Removed]);
    check(&mut follow, "", &[]);
    append(&path, &lines(465..470));
    check(&mut follow, &lines(465..470), &[]);

    fs::rename(&path, &aside).unwrap();
    check(&mut follow, "", &[GapWhy::Removed]);
    fs::rename(&aside, &path).unwrap();
    check(&mut follow, "", &[]);
    append(&path, &lines(470..471));
    check(&mut follow, &lines(470..471), &[]);
}

#[test]
fn midnight_users_and_late_lines() {
    let home = tempfile::tempdir().unwrap();
    let clock = Hand::at(NOON);
    fs::create_dir(home.path().join("a")).unwrap();
    let mut follow = trail(home.path(), &clock).follow(&Question::new()).unwrap();
    check(&mut follow, "", &[]);
    append(&file(home.path(), "a", DAY), &lines(0..1));
    check(&mut follow, &lines(0..1), &[]);
    append(&file(home.path(), "b", DAY), &lines(1..2));
    check(&mut follow, &lines(1..2), &[]);
    append(&file(home.path(), "b", "2026-11-20"), &lines(2..3));
    check(&mut follow, &lines(2..3), &[]);
    append(&file(home.path(), "c", "2026-11-24"), &lines(3..4));
    check(&mut follow, &lines(3..4), &[]);
    clock.now.fetch_add(12 * 3_600_000, Ordering::SeqCst);
    append(&file(home.path(), "b", "2026-11-24"), &lines(4..5));
    append(&file(home.path(), "b", DAY), &lines(5..6));
    check(&mut follow, &lines(4..6).lines().rev().map(|line| format!("{line}\n")).collect::<String>(), &[]);
    // The line is older than the range of the question, so it is not returned.
    append(&file(home.path(), "b", "2026-11-01"), &lines(6..7));
    check(&mut follow, "", &[]);
}

#[test]
fn only_what_answers_arrives_and_answers_agrees() {
    let home = tempfile::tempdir().unwrap();
    let clock = Hand::at(NOON);
    let trail = trail(home.path(), &clock);
    let mut all = trail.follow(&Question::new()).unwrap();
    let path = file(home.path(), "a", DAY);
    let other = file(home.path(), "b", DAY);
    let mut expected = HashMap::new();
    let questions = ["tool=t1", "user=b", "since=2026-11-24", "last=1h tool!=t0"].map(|query| {
        let mut question = Question::parse(query).unwrap();
        question.user = query.starts_with("tool").then(|| "a".to_owned());
        (query, question.clone(), trail.follow(&question).unwrap())
    });
    append(&path, &format!("not json\n{{}}\n\n{}", lines(0..9)));
    append(&other, &lines(0..9).replace("\"user\":\"a\"", "\"user\":\"b\""));
    let mut entries = Vec::new();
    while {
        entries.extend(all.next_batch().unwrap().into_iter().filter_map(|followed| match followed {
            Followed::Entry(entry) => Some(entry),
            _ => None,
        }));
        !all.caught_up()
    } {}
    assert_eq!((entries.len(), all.skipped().invalid_json), (18, 2));
    for (query, question, mut follow) in questions {
        let answers = trail.answers(&question, &entries).unwrap();
        let mut heard = Heard::default();
        heard.listen(&mut follow);
        let heard = heard.lines.into_values().flatten().collect::<Vec<_>>();
        let agreed = entries.iter().zip(&answers).filter(|(_, yes)| **yes).map(|(entry, _)| entry.line.clone());
        assert_eq!(heard, agreed.collect::<Vec<_>>(), "{query}");
        expected.insert(query, heard.len());
    }
    let counts = [("tool=t1", 3), ("user=b", 9), ("since=2026-11-24", 0), ("last=1h tool!=t0", 12)];
    assert_eq!(expected, HashMap::from(counts));
}

#[test]
fn a_batch_is_bounded_and_the_next_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let clock = Hand::at(NOON);
    let mut follow = trail(home.path(), &clock).follow(&Question::new()).unwrap();
    append(&file(home.path(), "a", DAY), &lines(0..50_000));
    let (mut got, mut batches) = (Vec::new(), 0);
    loop {
        let batch = follow.next_batch().unwrap();
        assert!(batch.len() < 2_500, "{}", batch.len());
        batches += 1;
        got.extend(batch.into_iter().filter_map(|followed| match followed {
            Followed::Entry(entry) => Some(entry.line),
            _ => None,
        }));
        if follow.caught_up() {
            break;
        }
    }
    assert!(got.iter().map(|line| line.clone() + "\n").eq((0..50_000).map(|n| line(n) + "\n")));
    assert!(batches >= 25, "{batches}");
}
