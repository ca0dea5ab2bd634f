//! One frame of a journal, encoded and decoded side by side.
//!
//! ```text
//! length of the body (u32 LE) | CRC-32C (u32 LE) of salt, sequence (u64 LE) and body | body
//! body: kind (u8) | id (u64 LE) | durable_len (u64 LE) | day (YYYY-MM-DD) | length of folder (u16 LE) | folder | line
//! ```
//!
//! The salt is the segment's and new at each use of it, the sequence counts its frames: what an earlier use left, and
//! what was written twice or elsewhere, never passes for a frame of this one.

use crate::clock::Date;

/// Bytes of a segment's salt.
pub(crate) const SALT_BYTES: usize = 16;

/// Bytes before the body.
const HEAD_BYTES: usize = LENGTH_BYTES + size_of::<u32>();

/// Where the parts of a body begin, each after the part before it.
const KIND_AT: usize = 0;
const ID_AT: usize = KIND_AT + size_of::<u8>();
const DURABLE_LEN_AT: usize = ID_AT + size_of::<u64>();
const DAY_AT: usize = DURABLE_LEN_AT + size_of::<u64>();
const FOLDER_LEN_AT: usize = DAY_AT + DAY_BYTES;

/// Bytes of a body before the folder.
const FIXED_BYTES: usize = FOLDER_LEN_AT + size_of::<u16>();

/// Bytes of a date, YYYY-MM-DD, and where its hyphens are.
const DAY_BYTES: usize = 10;
const HYPHENS_AT: [usize; 2] = [4, 7];

/// Bytes of the length with which a frame begins; the checksum follows.
const LENGTH_BYTES: usize = size_of::<u32>();

/// Longest body: the longest line (64 KiB), twice over, and a file name; more is no length but damage.
const BODY_BYTES_MAX: usize = 128 * 1024 + 512;

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A finished line belongs into a day file; where `id` is not 0 it ends the open call of that id.
    Line = 1,
    /// Lines that nobody waits for are about to be appended to a day file.
    Touch = 2,
    /// A call is under way; the line is what is to be recorded if no outcome follows.
    Intent = 3,
    /// The open call of this id has an end that stands elsewhere.
    Ended = 4,
    /// The day files hold, durably, all lines of the frames of this segment below sequence `id`.
    Flushed = 5,
    /// The open calls of earlier segments, `id` of them, stand before this frame: theirs no longer count.
    Begun = 6,
}

/// A decoded frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) kind: Kind,
    pub(crate) id: u64,
    /// The day file's length at the last flush that the writer knew of.
    pub(crate) durable_len: u64,
    /// The user's folder.
    pub(crate) folder: String,
    pub(crate) day: Date,
    /// The finished line with its newline.
    pub(crate) line: Vec<u8>,
}

/// What of a frame is not its place in a segment.
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
    /// Returns the bytes of its frame.
    pub(crate) fn frame_bytes(&self) -> usize {
        HEAD_BYTES + FIXED_BYTES + self.folder.len() + self.line.len()
    }

    /// Appends its frame.
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

/// Whether these bytes may begin with a frame, whatever its place: for whoever looks for one.
pub(crate) fn may_begin(bytes: &[u8]) -> bool {
    let Some(head) = bytes.get(..HEAD_BYTES + FIXED_BYTES) else { return false };
    let Some(length) = length_of(head) else { return false };
    let body = &head[HEAD_BYTES..];
    let folder = folder_len(body);
    (FIXED_BYTES + folder..=BODY_BYTES_MAX).contains(&length)
        && kind(body[KIND_AT]).is_some()
        && HYPHENS_AT.iter().all(|at| body[DAY_AT + at] == b'-')
}

/// Reads the frame at the beginning of these bytes; returns it and its length, `None` if there is none.
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

/// Returns the length of the body that a frame's head tells.
fn length_of(head: &[u8]) -> Option<usize> {
    let length = u32::from_le_bytes(head.get(..LENGTH_BYTES)?.try_into().ok()?);
    usize::try_from(length).ok()
}

/// Returns the length of the folder's name; the body has at least [`FIXED_BYTES`].
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
