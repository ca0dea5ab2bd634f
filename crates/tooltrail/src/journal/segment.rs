//! One segment of the journal: a header, followed by frames, in a file that is allocated in advance.

use std::io;

use crate::disk::{Disk, DiskFile, Lock};
use crate::home::OWN_FOLDER;
use crate::journal::frame::{Body, Kind, Record, SALT_BYTES, decode, may_begin};

/// Whether a write to the journal is synced before it returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SyncMode {
    /// The bytes are durable when the write returns.
    Now,
    /// A later sync makes them durable.
    Later,
}

/// The bytes of a full segment: about 40,000 entries, which are read back within a second.
pub(crate) const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;

/// The bytes of a new segment. The size is doubled each time it is full, so that a home with many small writers, such as
/// a proxy for each of an agent's tool servers, stays small.
pub(crate) const SEGMENT_BYTES_FIRST: u64 = 64 * 1024;

/// The bytes of frames after which a restart of the segment is worth a sync.
const RESTART_BYTES: u64 = 512 * 1024;

/// The bytes of zeros in one write.
const ZEROS: usize = 256 * 1024;

/// The bytes before the first frame: one sector, which a disk writes completely or not at all.
pub(crate) const HEADER_BYTES: u64 = 512;

/// The first bytes of a segment; the digit is the version of the format.
const MAGIC: &[u8; 8] = b"ttjrnl1\n";

/// The offsets of the fields in a header; each follows the field before it.
const OWNER_AT: usize = MAGIC.len();
const NUMBER_AT: usize = OWNER_AT + size_of::<u128>();
const SALT_AT: usize = NUMBER_AT + size_of::<u64>();
const HOME_AT: usize = SALT_AT + SALT_BYTES;

/// The bytes of the checksum at the end of the header.
const CHECK_BYTES: usize = size_of::<u32>();

/// The most bytes of a home id or boot id in the header.
const NAME_BYTES_MAX: usize = 64;

/// The bytes after a damaged frame in which the next frame is searched: slightly more than the longest frame.
const DAMAGE_BYTES_MAX: usize = 160 * 1024;

/// The most damaged frames in a row after which the next valid frame is still found: more than a 4 KiB page contains.
/// The search tries each of these sequence numbers for every possible frame, also for old bytes after the end.
const DAMAGED_FRAMES_MAX: u64 = 128;

/// The header of a segment: to whom its frames belong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The home's id.
    pub(crate) home: String,
    /// The boot id of the operating system; empty if it has none.
    pub(crate) boot: String,
    /// The id of the writer; 0 in a segment without frames.
    pub(crate) owner: u128,
    /// The number of the segment; each writer counts its own segments.
    pub(crate) number: u64,
    /// The salt of the checksums of the frames.
    pub(crate) salt: [u8; SALT_BYTES],
}

impl Header {
    fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&self.owner.to_le_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.salt);
        for text in [&self.home, &self.boot] {
            let text = &text.as_bytes()[..text.len().min(NAME_BYTES_MAX)];
            out.push(u8::try_from(text.len()).unwrap_or(0));
            out.extend_from_slice(text);
        }
        out.resize(HEADER_BYTES as usize - CHECK_BYTES, 0);
        let check = crc32c::crc32c(&out);
        out.extend_from_slice(&check.to_le_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (content, check) = bytes.get(..HEADER_BYTES as usize)?.split_last_chunk::<CHECK_BYTES>()?;
        if crc32c::crc32c(content) != u32::from_le_bytes(*check) || !content.starts_with(MAGIC) {
            return None;
        }
        let text = |at: usize| {
            let length = usize::from(*content.get(at)?);
            Some((String::from_utf8(content.get(at + 1..at + 1 + length)?.to_vec()).ok()?, at + 1 + length))
        };
        let (home, next) = text(HOME_AT)?;
        let (boot, _) = text(next)?;
        Some(Self {
            owner: u128::from_le_bytes(content[OWNER_AT..NUMBER_AT].try_into().ok()?),
            number: u64::from_le_bytes(content[NUMBER_AT..SALT_AT].try_into().ok()?),
            salt: content[SALT_AT..HOME_AT].try_into().ok()?,
            home,
            boot,
        })
    }
}

/// A segment that this process writes. If it is dropped without being emptied, recovery can take it.
#[derive(Debug)]
pub(crate) struct Segment {
    file: Box<dyn DiskFile>,
    _lock: Box<dyn Lock>,
    header: Header,
    /// The offset of the next frame.
    at: u64,
    /// The sequence of the next frame.
    sequence: u64,
    /// The length of the file in bytes.
    allocated: u64,
    /// The most bytes that the file may have.
    bytes_max: u64,
    /// Whether a write or a sync failed. Then nothing more may be written, because the content of the file is unknown.
    pub(crate) broken: bool,
}

impl Segment {
    /// Starts a segment in a slot that holds no frames. The caller has taken the lock of the slot.
    ///
    /// # Errors
    /// Any I/O error of the operating system; then the slot still holds no frames.
    pub(crate) fn begin(
        disk: &dyn Disk,
        name: &str,
        lock: Box<dyn Lock>,
        header: Header,
        bytes_max: u64,
    ) -> io::Result<Self> {
        let file = disk.write(&[OWN_FOLDER, "journal", name])?;
        let allocated = file.stat()?.len;
        let (at, sequence, broken) = (HEADER_BYTES, 0, false);
        let mut segment = Self { file, _lock: lock, header, at, sequence, allocated, bytes_max, broken };
        segment.allocate(SEGMENT_BYTES_FIRST)?;
        let header = segment.header.encode();
        write_all(&*segment.file, &header, 0)?;
        Ok(segment)
    }

    /// Whether `bytes` more bytes fit, with `slack` bytes beyond the limit.
    pub(crate) fn fits(&self, bytes: u64, slack: u64) -> bool {
        !self.broken && self.at + bytes <= self.bytes_max + slack
    }

    /// Returns its number among the writer's segments.
    pub(crate) fn number(&self) -> u64 {
        self.header.number
    }

    /// Returns the sequence of the next frame.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Writes frames together and, with [`SyncMode::Now`], makes them durable. If it marks the segment as broken, nothing more may
    /// be written to it.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn write(&mut self, bodies: &[Body<'_>], sync: SyncMode) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(bodies.iter().map(Body::frame_bytes).sum());
        for (sequence, body) in (self.sequence..).zip(bodies) {
            body.encode(&mut bytes, &self.header.salt, sequence);
        }
        let end = self.at + bytes.len() as u64;
        if end > self.allocated {
            // A full disk is noticed here, before a frame is written, so the segment is not broken by it.
            self.allocate((self.allocated * 2).max(end).min(self.bytes_max.max(end)))?;
        }
        let written = write_all(&*self.file, &bytes, self.at)
            .and_then(|()| if sync == SyncMode::Now { self.file.sync() } else { Ok(()) });
        self.broken = written.is_err();
        written?;
        self.at = end;
        self.sequence += bodies.len() as u64;
        Ok(())
    }

    /// Reads the content of the segment.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn scan(&self) -> io::Result<Scan> {
        Scan::of(&*self.file)
    }

    /// Empties the segment and syncs it; dropping it afterwards releases its slot.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn free(&self, salt: [u8; SALT_BYTES]) -> io::Result<()> {
        empty(&*self.file, &self.header, salt)
    }

    /// Like [`Segment::free`], and overwrites all frames with zeros, so that nothing of their lines is left.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn free_with_zeros(&self, salt: [u8; SALT_BYTES]) -> io::Result<()> {
        self.free(salt)?;
        zero_frames(&*self.file)
    }

    /// Whether enough of the segment is used to make a restart worth a sync.
    pub(crate) fn is_worth_a_restart(&self) -> bool {
        self.at > RESTART_BYTES
    }

    /// Restarts the segment with a new number and syncs it; all its frames become invalid.
    ///
    /// # Errors
    /// Any I/O error of the operating system; then it is broken.
    pub(crate) fn restart(&mut self, number: u64, salt: [u8; SALT_BYTES]) -> io::Result<()> {
        (self.header.number, self.header.salt) = (number, salt);
        let written = write_all(&*self.file, &self.header.encode(), 0).and_then(|()| self.file.sync());
        (self.at, self.sequence, self.broken) = (HEADER_BYTES, 0, written.is_err());
        written
    }

    /// Extends the file with zeros up to a length.
    fn allocate(&mut self, length: u64) -> io::Result<()> {
        let zeros = vec![0; ZEROS];
        let mut at = self.allocated;
        while at < length {
            let part = usize::try_from(length - at).unwrap_or(ZEROS).min(ZEROS);
            if let Err(error) = write_all(&*self.file, &zeros[..part], at) {
                // Return the space, because the day files need it more.
                self.file.cut(self.allocated)?;
                return Err(error);
            }
            at += part as u64;
        }
        self.allocated = self.allocated.max(length);
        Ok(())
    }
}

/// Overwrites everything after the header of a segment with zeros, durably. The segment must hold no frames.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn zero_frames(file: &dyn DiskFile) -> io::Result<()> {
    let (zeros, len) = (vec![0; ZEROS], file.stat()?.len);
    let mut at = HEADER_BYTES;
    while at < len {
        let part = usize::try_from(len - at).unwrap_or(ZEROS).min(ZEROS);
        write_all(file, &zeros[..part], at)?;
        at += part as u64;
    }
    file.sync()
}

/// Writes a header without a writer and syncs it; all frames in the segment become invalid.
pub(crate) fn empty(file: &dyn DiskFile, header: &Header, salt: [u8; SALT_BYTES]) -> io::Result<()> {
    let header = Header { owner: 0, number: 0, salt, ..header.clone() };
    write_all(file, &header.encode(), 0)?;
    file.sync()
}

fn write_all(file: &dyn DiskFile, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let taken = file.write_at(bytes, offset)?;
        if taken == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[taken..];
        offset += taken as u64;
    }
    Ok(())
}

/// Whether a segment has no owner, so that it holds no frames. Reads only its header, unless the header is unreadable.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn is_unowned(file: &dyn DiskFile) -> io::Result<bool> {
    let mut header = vec![0; HEADER_BYTES as usize];
    let read = file.read_at(&mut header, 0)?;
    match Header::decode(&header[..read]) {
        Some(header) => Ok(header.owner == 0),
        None => Scan::of(file).map(|scan| scan.damage.is_empty()),
    }
}

/// The content of a segment.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// The header; `None` if it is missing or damaged.
    pub(crate) header: Option<Header>,
    pub(crate) records: Vec<Record>,
    /// The sequence of each record.
    pub(crate) sequences: Vec<u64>,
    /// Bytes between frames that are not a valid frame, or a damaged header, each with its offset.
    pub(crate) damage: Vec<(u64, Vec<u8>)>,
}

impl Scan {
    /// Returns the records below a sequence that are not known to be durable in the day files.
    pub(crate) fn unflushed(&self, end: u64) -> impl Iterator<Item = &Record> {
        let flushed = self.records.iter().filter(|record| record.kind == Kind::Flushed).map(|record| record.id).max();
        let all = self.records.iter().zip(&self.sequences);
        all.filter(move |(_, sequence)| (flushed.unwrap_or(0)..end).contains(*sequence)).map(|(record, _)| record)
    }

    /// Reads a segment. If a frame is damaged, reading continues at the next valid frame.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn of(file: &dyn DiskFile) -> io::Result<Self> {
        let mut header = vec![0; HEADER_BYTES as usize];
        let read = file.read_at(&mut header, 0)?;
        let header = Header::decode(&header[..read]);
        if header.as_ref().is_some_and(|header| header.owner == 0) {
            return Ok(Self { header, ..Self::default() });
        }
        let length = file.stat()?.len.min(2 * SEGMENT_BYTES);
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        let read = file.read_at(&mut bytes, 0)?;
        bytes.truncate(read);
        let mut scan = Self { header, ..Self::default() };
        let Some(header) = &scan.header else {
            let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
            if end > 0 {
                bytes.truncate(end);
                scan.damage.push((0, bytes));
            }
            return Ok(scan);
        };
        let (mut at, mut sequence) = (HEADER_BYTES as usize, 0);
        // Another process may be writing the segment, so its length may not fit to its header.
        while let Some(rest) = bytes.get(at..) {
            let next = match decode(rest, &header.salt, sequence) {
                Some(frame) => Some((at, sequence, frame)),
                None => after_damage(&bytes, at, &header.salt, sequence),
            };
            let Some((found_at, found_sequence, (record, length))) = next else { break };
            if found_at > at {
                scan.damage.push((at as u64, bytes[at..found_at].to_vec()));
            }
            scan.records.push(record);
            scan.sequences.push(found_sequence);
            (at, sequence) = (found_at + length, found_sequence + 1);
        }
        Ok(scan)
    }
}

/// Searches for the valid frame after damaged ones, which start at this sequence; returns its offset, its sequence and
/// the frame.
fn after_damage(
    bytes: &[u8],
    at: usize,
    salt: &[u8; SALT_BYTES],
    sequence: u64,
) -> Option<(usize, u64, (Record, usize))> {
    let end = bytes.len().min(at + DAMAGE_BYTES_MAX);
    // Only zeros follow: the usual end of a segment, where nothing was written yet.
    let from = at + bytes[at..end].iter().position(|byte| *byte != 0)?;
    let from = from.saturating_sub(4).max(at) + 1;
    (from..end).filter(|position| may_begin(&bytes[*position..])).find_map(|position| {
        let sequences = sequence + 1..=sequence + DAMAGED_FRAMES_MAX;
        sequences
            .into_iter()
            .find_map(|sequence| Some((position, sequence, decode(&bytes[position..], salt, sequence)?)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Landed, Stat};

    /// A segment that another process is creating: what was read of it before does not fit to its length now.
    #[derive(Debug)]
    struct Growing {
        header: Vec<u8>,
        len: u64,
    }

    impl DiskFile for Growing {
        fn stat(&self) -> io::Result<Stat> {
            Ok(Stat { len: self.len, device: 0, inode: 0, links: 1, modified_s: 0, modified_ns: 0, changed_ns: 0 })
        }
        fn read_at(&self, buffer: &mut [u8], _offset: u64) -> io::Result<usize> {
            let read = buffer.len().min(self.header.len());
            buffer[..read].copy_from_slice(&self.header[..read]);
            Ok(read)
        }
        fn append(&self, _bytes: &[u8]) -> io::Result<Landed> {
            Err(io::ErrorKind::Unsupported.into())
        }
        fn write_at(&self, _bytes: &[u8], _offset: u64) -> io::Result<usize> {
            Err(io::ErrorKind::Unsupported.into())
        }
        fn cut(&self, _len: u64) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }
        fn sync(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_segment_that_another_process_creates_has_no_frames_yet() {
        let header = Header { home: "h".to_owned(), boot: String::new(), owner: 7, number: 1, salt: [1; SALT_BYTES] };
        for len in [0, 1, HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + 1] {
            for read in [0, 1, HEADER_BYTES as usize] {
                let file = Growing { header: header.encode()[..read].to_vec(), len };
                assert!(Scan::of(&file).unwrap().records.is_empty(), "{len} {read}");
                is_unowned(&file).unwrap();
            }
        }
    }
}
