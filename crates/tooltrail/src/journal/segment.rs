//! One segment: a header, then frames one after another in a file that has its bytes before they are needed.

use std::io;

use crate::disk::{Disk, DiskFile, Lock};
use crate::home::OWN_FOLDER;
use crate::journal::frame::{Body, Kind, Record, SALT_BYTES, decode, may_begin};

/// Bytes of a full segment: some 40,000 entries, read again within a second.
pub(crate) const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;

/// Bytes of a new segment; doubled when they are used up, so that a small home stays small.
pub(crate) const SEGMENT_BYTES_FIRST: u64 = 1024 * 1024;

/// Bytes of zeros written at once.
const ZEROS: usize = 256 * 1024;

/// Bytes before the first frame: one sector, which a disk writes whole or not at all.
pub(crate) const HEADER_BYTES: u64 = 512;

/// How a segment begins; the digit is the version of its layout.
const MAGIC: &[u8; 8] = b"ttjrnl1\n";

/// Where the parts of a header begin, each after the part before it.
const OWNER_AT: usize = MAGIC.len();
const NUMBER_AT: usize = OWNER_AT + size_of::<u128>();
const SALT_AT: usize = NUMBER_AT + size_of::<u64>();
const HOME_AT: usize = SALT_AT + SALT_BYTES;

/// Bytes of the checksum at the header's end.
const CHECK_BYTES: usize = size_of::<u32>();

/// Longest home id and boot id that the header takes.
const NAME_BYTES_MAX: usize = 64;

/// Bytes after a damaged frame in which the next one is looked for: the longest frame and a little.
const DAMAGE_BYTES_MAX: usize = 160 * 1024;

/// Damaged frames one after another behind which the next is still found: more than a page of 4 KiB holds. What an
/// earlier use left behind the end is tried as each of them.
const DAMAGED_FRAMES_MAX: u64 = 128;

/// Whose frames stand in a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The home's id.
    pub(crate) home: String,
    /// The run of the operating system; empty where it has no name.
    pub(crate) boot: String,
    /// The writer; 0 in a segment without frames.
    pub(crate) owner: u128,
    /// Counts the segments of a writer.
    pub(crate) number: u64,
    /// Seeds the checks of the frames.
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

/// A segment that this process writes; dropping it leaves it to whoever recovers.
#[derive(Debug)]
pub(crate) struct Segment {
    file: Box<dyn DiskFile>,
    _lock: Box<dyn Lock>,
    header: Header,
    /// Where the next frame goes.
    at: u64,
    /// Its number.
    sequence: u64,
    /// Bytes that the file has.
    allocated: u64,
    /// Bytes that it may have.
    bytes_max: u64,
    /// Nothing more may be written to it: a write or a sync failed, and nobody knows what it holds.
    pub(crate) broken: bool,
}

impl Segment {
    /// Begins a segment in a slot whose lock is held and which holds no frames.
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

    /// Whether so many bytes more fit, or nearly.
    pub(crate) fn fits(&self, bytes: u64, slack: u64) -> bool {
        !self.broken && self.at + bytes <= self.bytes_max + slack
    }

    /// Returns which of its writer's segments it is.
    pub(crate) fn number(&self) -> u64 {
        self.header.number
    }

    /// Returns the number of the next frame.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Writes frames with one call and, with `sync`, makes them durable. After an error nothing more may be written.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn write(&mut self, bodies: &[Body<'_>], sync: bool) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(bodies.iter().map(Body::frame_bytes).sum());
        for (sequence, body) in (self.sequence..).zip(bodies) {
            body.encode(&mut bytes, &self.header.salt, sequence);
        }
        let end = self.at + bytes.len() as u64;
        if end > self.allocated {
            // A full disk is found here, before a frame is written, and does not break the segment.
            self.allocate((self.allocated * 2).max(end).min(self.bytes_max.max(end)))?;
        }
        let written =
            write_all(&*self.file, &bytes, self.at).and_then(|()| if sync { self.file.sync() } else { Ok(()) });
        self.broken = written.is_err();
        written?;
        self.at = end;
        self.sequence += bodies.len() as u64;
        Ok(())
    }

    /// Returns what stands in it.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn scan(&self) -> io::Result<Scan> {
        Scan::of(&*self.file)
    }

    /// Empties it, durably; dropping it then gives its slot back.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn free(&self, salt: [u8; SALT_BYTES]) -> io::Result<()> {
        empty(&*self.file, &self.header, salt)
    }

    /// Whether so much of it is used that beginning it anew is worth a sync.
    pub(crate) fn is_half_full(&self) -> bool {
        self.at > SEGMENT_BYTES_FIRST / 2
    }

    /// Begins it anew, durably, as the segment of this number: none of its frames counts any more.
    ///
    /// # Errors
    /// Any I/O error of the operating system; then it is broken.
    pub(crate) fn restart(&mut self, number: u64, salt: [u8; SALT_BYTES]) -> io::Result<()> {
        (self.header.number, self.header.salt) = (number, salt);
        let written = write_all(&*self.file, &self.header.encode(), 0).and_then(|()| self.file.sync());
        (self.at, self.sequence, self.broken) = (HEADER_BYTES, 0, written.is_err());
        written
    }

    /// Gives the file zeros up to a length.
    fn allocate(&mut self, length: u64) -> io::Result<()> {
        let zeros = vec![0; ZEROS];
        let mut at = self.allocated;
        while at < length {
            let part = usize::try_from(length - at).unwrap_or(ZEROS).min(ZEROS);
            if let Err(error) = write_all(&*self.file, &zeros[..part], at) {
                // What little room there is belongs to the day files.
                self.file.cut(self.allocated)?;
                return Err(error);
            }
            at += part as u64;
        }
        self.allocated = self.allocated.max(length);
        Ok(())
    }
}

/// Writes a header without a writer, durably: no frame that stands there counts any more.
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

/// What stands in a segment.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// `None` where there is none, or a damaged one.
    pub(crate) header: Option<Header>,
    pub(crate) records: Vec<Record>,
    /// Each record's sequence.
    pub(crate) sequences: Vec<u64>,
    /// Bytes that are no frame and stand between frames, or are a damaged header, by where they begin.
    pub(crate) damage: Vec<(u64, Vec<u8>)>,
}

impl Scan {
    /// Returns the records below a sequence that are not known to be flushed.
    pub(crate) fn unflushed(&self, end: u64) -> impl Iterator<Item = &Record> {
        let flushed = self.records.iter().filter(|record| record.kind == Kind::Flushed).map(|record| record.id).max();
        let all = self.records.iter().zip(&self.sequences);
        all.filter(move |(_, sequence)| (flushed.unwrap_or(0)..end).contains(*sequence)).map(|(record, _)| record)
    }

    /// Reads a segment. A damaged frame hides no other: reading goes on at the next whole one.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn of(file: &dyn DiskFile) -> io::Result<Self> {
        let length = file.stat()?.len.min(2 * SEGMENT_BYTES);
        let mut header = vec![0; HEADER_BYTES as usize];
        let read = file.read_at(&mut header, 0)?;
        let header = Header::decode(&header[..read]);
        if header.as_ref().is_some_and(|header| header.owner == 0) {
            return Ok(Self { header, ..Self::default() });
        }
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
        loop {
            let next = match decode(&bytes[at..], &header.salt, sequence) {
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

/// Looks for the frame that follows damaged ones from this sequence on; returns where it is and its sequence.
fn after_damage(
    bytes: &[u8],
    at: usize,
    salt: &[u8; SALT_BYTES],
    sequence: u64,
) -> Option<(usize, u64, (Record, usize))> {
    let end = bytes.len().min(at + DAMAGE_BYTES_MAX);
    // The common end of a segment: nothing was written there yet.
    let from = at + bytes[at..end].iter().position(|byte| *byte != 0)?;
    let from = from.saturating_sub(4).max(at) + 1;
    (from..end).filter(|place| may_begin(&bytes[*place..])).find_map(|place| {
        let sequences = sequence + 1..=sequence + DAMAGED_FRAMES_MAX;
        sequences.into_iter().find_map(|sequence| Some((place, sequence, decode(&bytes[place..], salt, sequence)?)))
    })
}
