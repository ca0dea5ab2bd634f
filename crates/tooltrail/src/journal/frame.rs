//! Encodes and decodes one frame of a journal.
//!
//! ```text
//! length of the body (u32 LE) | CRC-32C (u32 LE) of salt, sequence (u64 LE) and body | body
//! body: kind (u8) | id (u64 LE) | durable_len (u64 LE) | day (YYYY-MM-DD) | length of folder (u16 LE) | folder | line
//! ```
//!
//! The salt belongs to the segment and is new each time the segment is used again. The sequence counts the frames of
//! the segment. Both are part of the checksum, so that the check fails for frames of an earlier use, and for frames
//! that were written twice or at another position.

use crate::clock::Date;

/// The bytes of a segment's salt.
pub(crate) const SALT_BYTES: usize = 16;

/// The bytes before the body: its length and its checksum.
const HEAD_BYTES: usize = LENGTH_BYTES + size_of::<u32>();

/// The offsets of the fields in a body; each follows the field before it.
const KIND_AT: usize = 0;
const ID_AT: usize = KIND_AT + size_of::<u8>();
const DURABLE_LEN_AT: usize = ID_AT + size_of::<u64>();
const DAY_AT: usize = DURABLE_LEN_AT + size_of::<u64>();
const FOLDER_LEN_AT: usize = DAY_AT + DAY_BYTES;

/// The bytes of a body before the folder name.
const FIXED_BYTES: usize = FOLDER_LEN_AT + size_of::<u16>();

/// The bytes of a date, YYYY-MM-DD, and the offsets of its hyphens.
const DAY_BYTES: usize = 10;
const HYPHENS_AT: [usize; 2] = [4, 7];

/// The bytes of the length at the start of a frame; the checksum follows.
const LENGTH_BYTES: usize = size_of::<u32>();

/// The most bytes of a body: twice the longest line (64 KiB), and a file name. A larger length means damage.
const BODY_BYTES_MAX: usize = 128 * 1024 + 512;

/// The kind of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A finished line for a day file. If `id` is not 0, the line also ends the open call with that id.
    Line = 1,
    /// Lines for which no caller waits are about to be appended to a day file; they are not in the journal.
    Touch = 2,
    /// A call has started. The line is the entry to record if no outcome follows.
    Intent = 3,
    /// The open call with this id has ended; its line is stored elsewhere.
    Ended = 4,
    /// The lines of all frames of this segment below sequence `id` are durable in the day files.
    Flushed = 5,
    /// The open calls of earlier segments, `id` of them, were copied before this frame; the copies in those segments
    /// are no longer valid.
    Begun = 6,
}

/// A decoded frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) kind: Kind,
    pub(crate) id: u64,
    /// The durable length of the day file that the writer knew when it wrote this frame.
    pub(crate) durable_len: u64,
    /// The user's folder.
    pub(crate) folder: String,
    pub(crate) day: Date,
    /// The finished line with its newline.
    pub(crate) line: Vec<u8>,
}

/// The content of a frame, without its position in a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body<'a> {
    pub(crate) kind: Kind,
    pub(crate) id: u64,
    pub(crate) durable_len: u64,
    pub(crate) folder: &'a str,
    pub(crate) day: Date,
    pub(crate) line: &'a [u8],
}

impl Body<'_> {
    /// Returns the length of its frame in bytes.
    pub(crate) fn frame_bytes(&self) -> usize {
        HEAD_BYTES + FIXED_BYTES + self.folder.len() + self.line.len()
    }

    /// Appends its frame to `out`.
    pub(crate) fn encode(&self, out: &mut Vec<u8>, salt: &[u8; SALT_BYTES], sequence: u64) {
        let start = out.len();
        out.extend_from_slice(&[0; HEAD_BYTES]);
        out.push(self.kind as u8);
        out.extend_from_slice(&self.id.to_le_bytes());
        out.extend_from_slice(&self.durable_len.to_le_bytes());
        out.extend_from_slice(self.day.to_string().as_bytes());
        // A file name has at most 255 bytes.
        out.extend_from_slice(&u16::try_from(self.folder.len()).unwrap_or(u16::MAX).to_le_bytes());
        out.extend_from_slice(self.folder.as_bytes());
        out.extend_from_slice(self.line);
        let body = &out[start + HEAD_BYTES..];
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        let check = checksum(salt, sequence, body);
        out[start..start + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
        out[start + LENGTH_BYTES..start + HEAD_BYTES].copy_from_slice(&check.to_le_bytes());
    }
}

/// Whether these bytes may start with a frame of any sequence. It is a cheap test for the search for the next frame.
pub(crate) fn may_begin(bytes: &[u8]) -> bool {
    let Some(head) = bytes.get(..HEAD_BYTES + FIXED_BYTES) else { return false };
    let Some(length) = length_of(head) else { return false };
    let body = &head[HEAD_BYTES..];
    let folder = folder_len(body);
    (FIXED_BYTES + folder..=BODY_BYTES_MAX).contains(&length)
        && kind(body[KIND_AT]).is_some()
        && HYPHENS_AT.iter().all(|at| body[DAY_AT + at] == b'-')
}

/// Reads the frame at the start of these bytes; returns it and its length, or `None` if there is no valid frame.
pub(crate) fn decode(bytes: &[u8], salt: &[u8; SALT_BYTES], sequence: u64) -> Option<(Record, usize)> {
    let length = length_of(bytes)?;
    let check = u32::from_le_bytes(bytes.get(LENGTH_BYTES..HEAD_BYTES)?.try_into().ok()?);
    if !(FIXED_BYTES..=BODY_BYTES_MAX).contains(&length) {
        return None;
    }
    let body = bytes.get(HEAD_BYTES..HEAD_BYTES + length)?;
    if checksum(salt, sequence, body) != check {
        return None;
    }
    let number = |at: usize| Some(u64::from_le_bytes(body.get(at..at + size_of::<u64>())?.try_into().ok()?));
    let folder = folder_len(body);
    let record = Record {
        kind: kind(body[KIND_AT])?,
        id: number(ID_AT)?,
        durable_len: number(DURABLE_LEN_AT)?,
        day: Date::parse(std::str::from_utf8(&body[DAY_AT..FOLDER_LEN_AT]).ok()?)?,
        folder: std::str::from_utf8(body.get(FIXED_BYTES..FIXED_BYTES + folder)?).ok()?.to_owned(),
        line: body[FIXED_BYTES + folder..].to_vec(),
    };
    Some((record, HEAD_BYTES + length))
}

/// Returns the length of the body that a frame's head states.
fn length_of(head: &[u8]) -> Option<usize> {
    let length = u32::from_le_bytes(head.get(..LENGTH_BYTES)?.try_into().ok()?);
    usize::try_from(length).ok()
}

/// Returns the length of the folder name; the body must have at least [`FIXED_BYTES`].
fn folder_len(body: &[u8]) -> usize {
    usize::from(u16::from_le_bytes([body[FOLDER_LEN_AT], body[FOLDER_LEN_AT + 1]]))
}

fn kind(byte: u8) -> Option<Kind> {
    [Kind::Line, Kind::Touch, Kind::Intent, Kind::Ended, Kind::Flushed, Kind::Begun]
        .into_iter()
        .find(|kind| *kind as u8 == byte)
}

fn checksum(salt: &[u8; SALT_BYTES], sequence: u64, body: &[u8]) -> u32 {
    let seed = crc32c::crc32c_append(crc32c::crc32c(salt), &sequence.to_le_bytes());
    crc32c::crc32c_append(seed, body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn frame(line: &[u8], salt: &[u8; SALT_BYTES], sequence: u64) -> Vec<u8> {
        let day = Timestamp::from_millis(1_764_000_000_000).date();
        let body = Body { kind: Kind::Line, id: 7, durable_len: 1 << 40, folder: "alice", day, line };
        let mut out = Vec::new();
        body.encode(&mut out, salt, sequence);
        assert_eq!(out.len(), body.frame_bytes());
        out
    }

    #[test]
    fn a_frame_is_read_as_it_was_written_and_only_in_its_place() {
        let bytes = frame(b"{}\n", &[1; SALT_BYTES], 3);
        let (record, length) = decode(&[&*bytes, b"more"].concat(), &[1; SALT_BYTES], 3).unwrap();
        assert_eq!(length, bytes.len());
        assert_eq!(
            (record.id, record.durable_len, &*record.folder, &*record.line),
            (7, 1 << 40, "alice", &b"{}\n"[..])
        );
        assert_eq!(decode(&bytes, &[2; SALT_BYTES], 3), None);
        assert_eq!(decode(&bytes, &[1; SALT_BYTES], 4), None);
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_noticed() {
        let salt = [9; SALT_BYTES];
        let whole = frame(b"{\"ts\":\"2026\"}\n", &salt, 0);
        for end in 0..whole.len() {
            assert_eq!(decode(&whole[..end], &salt, 0), None, "cut to {end}");
        }
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&flipped, &salt, 0), None, "bit {bit}");
        }
    }
}
