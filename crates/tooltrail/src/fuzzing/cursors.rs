//! Fuzzing of cursors: only cursors that we wrote are accepted, and reading one gives the values that were written.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::draw::Draw;
use crate::clock::{Date, Timestamp};
use crate::query::{Cursor, EntryPosition, ScanMark};

/// Maximum bytes of a generated folder name: the limit of file systems.
const FOLDER_BYTES_MAX: usize = 255;

/// Maximum bytes of a cursor. Servers accept a URL of about twice this length.
const CURSOR_BYTES_MAX: usize = 4_096;

/// Tests any bytes as a cursor, as the plain text inside a cursor, and as the values of a cursor.
pub(super) fn cursor(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for text in [&*text, &URL_SAFE_NO_PAD.encode(data)] {
        if let Ok(cursor) = Cursor::parse(text) {
            assert_eq!(cursor.to_string(), *text, "a cursor of another spelling");
        }
    }
    is_read_back(&mut Draw::new(data));
}

fn is_read_back(draw: &mut Draw<'_>) {
    let ts = Timestamp::from_millis(draw.number(8).cast_signed());
    let position = EntryPosition { ts, folder: name(draw), day: day(draw), offset: draw.number(8) };
    let mut marks = Vec::new();
    while !draw.is_empty() {
        let (folder, day) = (name(draw), day(draw));
        let (end, lowest, inode) = (draw.number(8), draw.number(8).cast_signed(), draw.number(8));
        marks.push(ScanMark { folder, day, end, lowest, inode });
    }
    let cursor = Cursor::new(position.clone(), marks.iter().cloned());
    let text = cursor.to_string();
    assert!(text.len() <= CURSOR_BYTES_MAX, "{} bytes", text.len());
    let read = Cursor::parse(&text).unwrap();
    assert_eq!(read, cursor);
    assert_eq!(read.position, position);
    assert!(marks.starts_with(&read.marks));
    assert!(!read.marks.is_empty() || marks.is_empty(), "there is room for one mark at least");
}

/// Returns a folder name without NUL, which no folder name contains.
fn name(draw: &mut Draw<'_>) -> String {
    let name = draw.text(FOLDER_BYTES_MAX).replace('\0', "");
    name[..name.floor_char_boundary(FOLDER_BYTES_MAX)].to_owned()
}

fn day(draw: &mut Draw<'_>) -> Date {
    Timestamp::from_millis(0).date().plus_days(draw.number(3).cast_signed())
}
