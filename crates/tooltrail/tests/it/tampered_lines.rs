//! Changes the lines of one sealed day file in every way of a kind: each line, each place, each pair and each length.
//! Each change is found under its name and at its line.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tooltrail::Home;
use tooltrail::seal::{Verdict, Verify};

use crate::tampering::World;

/// The lines of the file, in four heads.
const LINES: u64 = 20;

struct File {
    world: World,
    path: PathBuf,
    lines: Vec<Vec<u8>>,
}

impl File {
    fn new() -> Self {
        let world = World::new();
        for _ in 0..4 {
            let recorder = world.options().open().unwrap();
            world.record(&recorder, "alice", LINES / 4);
            recorder.close().unwrap();
        }
        let mut days = fs::read_dir(world.home().join("alice/tool_audit")).unwrap();
        let path = days.next().unwrap().unwrap().path();
        let lines = fs::read(&path).unwrap().split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        Self { world, path, lines }
    }

    /// Verifies these bytes in place of the file. The finding at a line, counted from 1, or none.
    fn check(&self, what: &str, bytes: &[u8], expected: Option<(Verdict, u64)>) {
        fs::write(&self.path, bytes).unwrap();
        let report = self.world.verify().unwrap();
        let found = report.findings.iter().map(|finding| (finding.verdict, finding.lines.unwrap_or_default().0));
        assert_eq!(found.collect::<Vec<_>>(), expected.into_iter().collect::<Vec<_>>(), "{what}: {report:#?}");
        assert_eq!(report.verdict, expected.map_or(Verdict::Ok, |expected| expected.0), "{what}");
    }

    fn with(&self, change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Vec<u8> {
        let mut lines = self.lines.clone();
        change(&mut lines);
        lines.concat()
    }
}

#[test]
fn each_edited_deleted_inserted_or_repeated_line_is_found() {
    let file = File::new();
    assert_eq!(file.lines.len() as u64, LINES);
    file.check("untouched", &file.with(|_| {}), None);
    for n in 0..file.lines.len() {
        let line = n as u64 + 1;
        for at in [0, file.lines[n].len() / 2, file.lines[n].len() - 2] {
            let edited = file.with(|lines| lines[n][at] ^= 1);
            file.check(&format!("byte {at} of line {line}"), &edited, Some((Verdict::Modified, line)));
        }
        let is_last = n + 1 == file.lines.len();
        let gone = if is_last { Verdict::Truncated } else { Verdict::Missing };
        file.check(&format!("no line {line}"), &file.with(|lines| drop(lines.remove(n))), Some((gone, line)));
        let inserted = file.with(|lines| lines.insert(n, b"{\"new\":1}\n".to_vec()));
        file.check(&format!("before line {line}"), &inserted, Some((Verdict::Inserted, line)));
        // An old line once more, at another place. The last line before its end would be another order.
        let old = file.lines[(n + 7) % (file.lines.len() - 1)].clone();
        file.check(
            &format!("old line at {line}"),
            &file.with(|lines| lines.insert(n, old)),
            Some((Verdict::Inserted, line)),
        );
    }
    file.check("untouched again", &file.with(|_| {}), None);
}

#[test]
fn each_swapped_pair_and_each_other_order_is_found() {
    let file = File::new();
    for a in 0..file.lines.len() {
        for b in a + 1..file.lines.len() {
            let swapped = file.with(|lines| lines.swap(a, b));
            file.check(&format!("lines {a} and {b}"), &swapped, Some((Verdict::Reordered, a as u64 + 1)));
        }
    }
    file.check("backwards", &file.with(|lines| lines.reverse()), Some((Verdict::Reordered, 1)));
    let mut sorted = file.lines.clone();
    sorted.sort_by_key(|line| std::cmp::Reverse(line[line.len() - 10]));
    let first = sorted.iter().zip(&file.lines).position(|(now, before)| now != before).unwrap() as u64 + 1;
    file.check("sorted by a byte", &sorted.concat(), Some((Verdict::Reordered, first)));
}

#[test]
fn each_shorter_length_is_found() {
    let file = File::new();
    let whole = file.with(|_| {});
    // Each length of the last line, and the end of each line before.
    let ends = file.lines.iter().scan(0, |end, line| {
        *end += line.len();
        Some(*end)
    });
    let last = whole.len() - file.lines.iter().rev().take(1).map(Vec::len).sum::<usize>();
    for len in ends.chain(last..whole.len()).chain([0]).filter(|len| *len < whole.len()) {
        let left = whole[..len].iter().filter(|byte| **byte == b'\n').count() as u64;
        file.check(&format!("{len} bytes"), &whole[..len], Some((Verdict::Truncated, left + 1)));
    }
}

#[test]
fn an_unsealed_tail_is_told_as_such_and_never_as_sealed() {
    let file = File::new();
    let grown = [file.with(|_| {}), b"{\"late\":1}\n{\"half".to_vec()].concat();
    fs::write(&file.path, grown).unwrap();
    let report = |max_tail: Duration| {
        let mut verify = Verify::default();
        verify.keys = Some(file.world.home().with_file_name("keys"));
        verify.max_tail = max_tail;
        verify.run(&Home::open(file.world.home()).unwrap(), &tooltrail::SystemClock::default(), &|_| {}).unwrap()
    };
    assert_eq!(report(Duration::from_secs(600)).verdict, Verdict::OkUnsealedTail);
    assert_eq!(report(Duration::ZERO).verdict, Verdict::Unsealed);
}
