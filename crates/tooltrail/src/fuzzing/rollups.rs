//! Fuzzing of rollups: any bytes are read as one, and day files are counted at once and in steps.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::draw::Draw;
use super::memory::{INODE, Memory};
use crate::clock::{Date, Zone};
use crate::disk::DiskFile;
use crate::rollup::{DayRollups, FileRollup, NewRollup, Part, extend, is_current, is_unchanged};

/// Tests the bytes as a file of rollups, and a day file that is made from them.
pub(super) fn rollup(data: &[u8]) {
    let day = Date::parse("2026-11-23").unwrap_or_else(|| unreachable!());
    // Bytes that are no rollups are as if there were none, also with a right begin.
    for bytes in [data.to_vec(), [b"ttroll 1", data].concat()] {
        let rollups = DayRollups::open(&Memory::new(bytes), day).unwrap();
        for entry in rollups.entries.values() {
            rollups.read(entry, &Part::ALL).unwrap();
        }
    }
    let (text, steps) = day_file(data);
    let whole = counted(&text, &[text.len()], day);
    let in_steps = counted(&text, &steps, day);
    assert_eq!(shown(&in_steps), shown(&whole), "in steps {steps:?}: {text}");
    // What is written is read again.
    let disk = Memory::new(text.clone().into_bytes());
    let stat = DiskFile::stat(&disk).unwrap();
    assert_eq!(stat.inode, INODE);
    assert!(is_current(&whole.covered, &disk, &stat).unwrap() && is_unchanged(&whole.covered, &disk).unwrap());
    let store = Memory::default();
    let new = BTreeMap::from([("alice".to_owned(), NewRollup::Rollup(Box::new(whole.clone())))]);
    DayRollups::open(&store, day).unwrap().write(&store, day, &new, &BTreeSet::new()).unwrap();
    let stored = DayRollups::open(&store, day).unwrap();
    let (read, _) = stored.read(&stored.entries["alice"], &Part::ALL).unwrap().unwrap();
    assert_eq!(shown(&read), shown(&whole));
    assert_eq!(read.firsts, whole.firsts);
}

/// Returns the rollup of a text that grows in these steps.
fn counted(text: &str, steps: &[usize], day: Date) -> FileRollup {
    let mut rollup = FileRollup::default();
    for end in steps {
        let file = Memory::new(text.as_bytes()[..*end].to_vec());
        let stat = DiskFile::stat(&file).unwrap();
        extend(&mut rollup, (&file, &stat), (day, &Zone::UTC), |_| true).unwrap().unwrap();
    }
    rollup
}

/// Returns everything that an answer can depend on. The order in which names and numbers were met does not count.
fn shown(rollup: &FileRollup) -> String {
    let mut text = String::new();
    let name = |number| rollup.cells.names.name(number).to_owned();
    let mut cells = BTreeMap::new();
    for (key, cell) in &rollup.cells.cells {
        let numbers = [&cell.duration_ms, &cell.result_chars].map(|numbers| numbers.clone().quantiles());
        cells.insert((key.time, name(key.user), name(key.tool), key.status), (cell.calls, format!("{numbers:?}")));
    }
    let edges = rollup.edges.iter().map(|seen| (seen.offset, &seen.sighting.tool, seen.sighting.status));
    let edges = edges.collect::<Vec<_>>();
    write!(
        text,
        "{cells:?} {edges:?} {:?} {:?} {:?} {:?}",
        rollup.absorbed, rollup.hours, rollup.broken, rollup.sessions
    )
    .unwrap();
    text
}

/// Returns the text of a day file with few different names, ids and times, and lengths at which it is counted.
fn day_file(data: &[u8]) -> (String, Vec<usize>) {
    let (mut draw, mut text, mut steps) = (Draw::new(data), String::new(), Vec::new());
    while !draw.is_empty() && text.len() < 16 * 1024 {
        let (via, call, took) = (draw.below(4), draw.below(6), draw.below(300));
        let via = ["hook", "proxy", "http", "import"][via];
        let (status, reason) = [("ok", ""), ("error", ""), ("denied", ""), ("error", "interrupted")][draw.below(4)];
        let hour = [0, 9, 9, 23][draw.below(4)];
        let (minute, second) =
            if hour == 9 { (draw.below(20), draw.below(60)) } else { ((hour / 23) * 59, draw.below(60)) };
        let tool = ["t", "mcp__x__t", "u"][draw.below(3)];
        let id = ["toolu_01A09q90qw90lq917835lq9", "call_0", "call_1", ""][call.min(3)];
        let entry = draw.below(20);
        let line = format!(
            r#"{{"ts":"2026-11-23T{hour:02}:{minute:02}:{second:02}.000Z","user":"u","tool":"{tool}","status":"{status}","id":"019ab0a0-0000-7000-8000-{entry:012x}","duration_ms":{},"reason":"{reason}","session":"s-{}","client":"{}","call_id":"{id}","via":"{via}"}}"#,
            took * 5_000,
            took % 3,
            ["", "a", "a/1", "b"][took % 4],
        );
        match draw.below(12) {
            0 => text.push_str("no entry"),
            1 => text.push_str(&String::from_utf8_lossy(draw.bytes(20)).replace('\n', " ")),
            2 => text.push_str(&line.replace("019ab0a0", "x")),
            _ => text.push_str(&line),
        }
        text.push('\n');
        if draw.below(3) == 0 {
            steps.push(text.len());
        }
    }
    steps.push(text.len());
    (text, steps)
}
