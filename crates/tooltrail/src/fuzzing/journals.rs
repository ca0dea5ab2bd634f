//! Fuzzing of journals: from any segment, only frames of ours are read, each at the offset where it was written.

use std::ops::Range;
use std::sync::LazyLock;

use super::draw::Draw;
use super::memory::Memory;
use crate::clock::Timestamp;
use crate::journal::frame::{Body, Kind, Record, SALT_BYTES, decode};
use crate::journal::segment::{HEADER_BYTES, Header, SEGMENT_BYTES, Scan, Segment};

/// Maximum frames of a generated segment.
const FRAMES_MAX: usize = 24;

/// Maximum bytes of a generated line, so that some frames fit in one disk block and others do not.
const LINE_BYTES_MAX: usize = 6 * 1024;

const KINDS: [Kind; 6] = [Kind::Line, Kind::Touch, Kind::Intent, Kind::Ended, Kind::Flushed, Kind::Begun];

const SALT: [u8; SALT_BYTES] = [0x5A; SALT_BYTES];

/// The salt of an earlier use of the same segment.
const OLD_SALT: [u8; SALT_BYTES] = [0x5B; SALT_BYTES];

/// The header of all test segments, as the writer writes it.
static HEADER: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let memory = Memory::default();
    let header = Header { home: "a1".repeat(16), boot: "b-2".to_owned(), owner: 7, number: 3, salt: SALT };
    drop(Segment::begin(&memory, "0", Box::new(memory.clone()), header, SEGMENT_BYTES).unwrap());
    memory.bytes()[..HEADER_BYTES as usize].to_vec()
});

/// Tests any bytes as a segment, as the content after a valid header, and as frames that are then damaged.
pub(super) fn journal(data: &[u8]) {
    let mut draw = Draw::new(data);
    match draw.number(1) % 3 {
        0 => drop(read(draw.rest().to_vec())),
        1 => drop(read([&**HEADER, draw.rest()].concat())),
        _ => are_found_around_damage(&mut draw),
    }
}

/// Reads a segment, checks that every frame found is in the bytes, and returns the scan.
fn read(bytes: Vec<u8>) -> Scan {
    let file = Memory::new(bytes);
    let scan = Scan::of(&file).unwrap();
    let bytes = file.bytes();
    assert_eq!(scan.records.len(), scan.sequences.len());
    assert!(scan.sequences.is_sorted_by(|one, next| one < next), "{:?}", scan.sequences);
    let Some(header) = &scan.header else {
        assert!(scan.records.is_empty());
        return scan;
    };
    let mut damage = scan.damage.iter().peekable();
    let mut at = HEADER_BYTES as usize;
    for (record, sequence) in scan.records.iter().zip(&scan.sequences) {
        if let Some((_, lost)) = damage.next_if(|(from, _)| *from == at as u64) {
            assert!(!lost.is_empty() && bytes[at..].starts_with(lost), "damage is told as it stands");
            at += lost.len();
        }
        let frame = encoded(record, &header.salt, *sequence);
        assert!(bytes[at..].starts_with(&frame), "a frame that does not stand there: {record:?}");
        at += frame.len();
    }
    assert_eq!(damage.next(), None, "damage that lies between no frames");
    if header.owner > 0 {
        let next = scan.sequences.last().map_or(0, |last| last + 1);
        assert_eq!(decode(&bytes[at..], &header.salt, next), None, "reading ends before a whole frame");
    }
    drop(bytes);
    scan
}

fn encoded(record: &Record, salt: &[u8; SALT_BYTES], sequence: u64) -> Vec<u8> {
    let Record { kind, id, durable_len, folder, day, line } = record;
    let body = Body { kind: *kind, id: *id, durable_len: *durable_len, folder, day: *day, line };
    let mut out = Vec::new();
    body.encode(&mut out, salt, sequence);
    assert_eq!(out.len(), body.frame_bytes());
    out
}

/// Writes frames, damages some bytes, and checks that all undamaged frames are found.
fn are_found_around_damage(draw: &mut Draw<'_>) {
    let records = (0..draw.below(FRAMES_MAX + 1)).map(|_| record(draw)).collect::<Vec<_>>();
    let mut bytes = HEADER.clone();
    let mut places = Vec::new();
    for (sequence, record) in (0..).zip(&records) {
        let start = bytes.len();
        bytes.extend(encoded(record, &SALT, sequence));
        places.push(start..bytes.len());
    }
    // After the last frame come frames with the salt of an earlier use of the segment.
    for (sequence, record) in (records.len() as u64..).zip(&records).take(draw.below(3)) {
        bytes.extend(encoded(record, &OLD_SALT, sequence));
    }
    let damaged = damage(&mut bytes, &places, draw);
    let hit = |position: &Range<usize>| position.start < damaged.end && damaged.start < position.end;
    let expected = (0_u64..).zip(&records).zip(&places).filter(|(_, position)| !hit(position));
    let scan = read(bytes);
    let found = || scan.sequences.iter().copied().zip(&scan.records);
    for ((sequence, record), _) in expected {
        assert!(found().any(|found| found == (sequence, record)), "frame {sequence} of {} is missing", records.len());
    }
    // A damaged frame is never accepted as another frame.
    for (sequence, record) in found() {
        let written = usize::try_from(sequence).ok().and_then(|sequence| records.get(sequence));
        assert_eq!(Some(record), written, "frame {sequence}");
    }
}

fn record(draw: &mut Draw<'_>) -> Record {
    let kind = KINDS[draw.below(KINDS.len())];
    let day = Timestamp::from_millis(0).date().plus_days(draw.number(2).cast_signed());
    let (id, durable_len, folder) = (draw.number(3), draw.number(3), draw.text(40));
    // A long line repeats a short text, so that an input has room for many lines.
    let mut line = draw.text(200).into_bytes();
    if draw.below(8) == 0 && !line.is_empty() {
        line = line.repeat(40);
        line.truncate(LINE_BYTES_MAX);
    }
    Record { kind, id, durable_len, folder, day, line }
}

/// Damages some bytes after the header and returns their range.
fn damage(bytes: &mut Vec<u8>, places: &[Range<usize>], draw: &mut Draw<'_>) -> Range<usize> {
    let header = HEADER_BYTES as usize;
    let room = bytes.len() - header;
    let start = header + draw.below(room.max(1));
    match draw.below(6) {
        0 => 0..0,
        1 if room > 0 => {
            bytes[start] ^= 1 << draw.below(8);
            start..start + 1
        }
        2 => {
            bytes.truncate(start);
            start..usize::MAX
        }
        3 => {
            let end = bytes.len().min(start + draw.below(4_096));
            bytes[start..end].fill(0);
            start..end
        }
        4 if !places.is_empty() => {
            let position = places[draw.below(places.len())].clone();
            bytes[position.clone()].fill(0);
            position
        }
        _ => {
            let end = bytes.len().min(start + draw.below(600));
            for byte in &mut bytes[start..end] {
                *byte = draw.number(1).to_le_bytes()[0];
            }
            start..end
        }
    }
}
