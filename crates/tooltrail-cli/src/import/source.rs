//! The input of an import: a file, plain or compressed, or stdin. It is read once completely, then by offset.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use tooltrail::disk::Disk;

use crate::import::grown::{Earlier, Hashed};
use crate::import::scratch::Scratch;

/// Longest line that is accepted, in bytes. A longer line is rejected without holding it in memory. The largest known
/// tool results are about a megabyte, and only their first 300 characters are stored.
pub(crate) const LINE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Bytes of one read.
const READ_BYTES: usize = 256 * 1024;

/// The first bytes of a zstd frame (RFC 8878, section 3.1.1).
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

/// The first bytes of a gzip member (RFC 1952, section 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1F, 0x8B];

/// The byte order mark that some editors put before UTF-8 text.
const BOM: &[u8] = b"\xEF\xBB\xBF";

/// The file name that means stdin.
pub(crate) const STDIN: &str = "-";

/// Reads the lines of the input in the first pass.
pub(crate) struct Source {
    reader: BufReader<Box<dyn Read>>,
    hashed: Hashed,
    offset: u64,
    number: u64,
    kept: RereadFrom,
}

/// What the second pass reads: the file itself, or a copy if the input is compressed or not a regular file.
enum RereadFrom {
    File(File),
    Spool(Scratch),
}

/// The position of one line in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SourceLine {
    /// The line number, from 1.
    pub(crate) number: u64,
    /// Offset of its first byte in the uncompressed content.
    pub(crate) offset: u64,
    /// Length in bytes without the newline; 0 if the line was too long.
    pub(crate) len: u32,
    /// Whether it was longer than [`LINE_BYTES_MAX`].
    pub(crate) too_long: bool,
}

/// Returns a reader of the uncompressed content, whether the input is plain, gzip or zstd.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn decompressed(input: Box<dyn Read>) -> io::Result<Box<dyn Read>> {
    decompress(input).map(|(reader, _)| reader)
}

/// Returns a reader of the uncompressed content, and whether the input is compressed.
fn decompress(mut input: Box<dyn Read>) -> io::Result<(Box<dyn Read>, bool)> {
    let mut first = Vec::with_capacity(ZSTD_MAGIC.len());
    input.by_ref().take(ZSTD_MAGIC.len() as u64).read_to_end(&mut first)?;
    let (is_zstd, is_gzip) = (first == ZSTD_MAGIC, first.starts_with(&GZIP_MAGIC));
    let whole: Box<dyn Read> = Box::new(io::Cursor::new(first).chain(input));
    let reader: Box<dyn Read> = if is_zstd {
        Box::new(zstd::stream::read::Decoder::new(whole)?)
    } else if is_gzip {
        // A gzip file has several members if something was appended to it.
        Box::new(MultiGzDecoder::new(whole))
    } else {
        whole
    };
    Ok((reader, is_zstd || is_gzip))
}

impl Source {
    /// Opens a file or stdin. `watch` gets the length of the input, if known, and wraps the raw input to show progress.
    pub(crate) fn open(
        path: &Path,
        disk: &dyn Disk,
        watch: impl FnOnce(Option<u64>, Box<dyn Read>) -> Box<dyn Read>,
    ) -> io::Result<Self> {
        let (input, file): (Box<dyn Read>, _) = if path.as_os_str() == STDIN {
            (Box::new(io::stdin()), None)
        } else {
            let file = File::open(path)?;
            let kind = file.metadata()?.file_type();
            if kind.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            (Box::new(file.try_clone()?), kind.is_file().then_some(file))
        };
        let len = file.as_ref().map(|file| file.metadata().map(|meta| meta.len())).transpose()?;
        let (reader, is_compressed) = decompress(watch(len, input))?;
        let kept = match file {
            Some(file) if !is_compressed => RereadFrom::File(file),
            _ => RereadFrom::Spool(Scratch::new(disk)?),
        };
        let reader = BufReader::with_capacity(READ_BYTES, reader);
        Ok(Self { reader, hashed: Hashed::default(), offset: 0, number: 0, kept })
    }

    /// Sets the contents that were imported before, so that a file that has grown is recognised.
    pub(crate) fn set_earlier(&mut self, earlier: Vec<Earlier>) {
        self.hashed.set_earlier(earlier);
    }

    /// Returns the length of the longest prefix read so far that was completely imported before.
    pub(crate) fn known(&self) -> u64 {
        self.hashed.known()
    }

    /// Returns length and hash of the longest prefix read so far whose import was cut short.
    pub(crate) fn cut(&self) -> Option<(u64, [u8; 32])> {
        self.hashed.cut()
    }

    /// Reads the next line into `line`, without its newline. Returns `None` at the end of the input.
    pub(crate) fn next(&mut self, line: &mut Vec<u8>) -> io::Result<Option<SourceLine>> {
        line.clear();
        let offset = self.offset;
        let mut too_long = false;
        let mut ended = false;
        while !ended {
            let chunk = match self.reader.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            if chunk.is_empty() {
                break;
            }
            let newline = chunk.iter().position(|byte| *byte == b'\n');
            let taken = newline.map_or(chunk.len(), |at| at + 1);
            let text = &chunk[..newline.unwrap_or(taken)];
            if too_long || line.len() + text.len() > LINE_BYTES_MAX {
                too_long = true;
                *line = Vec::new();
            } else {
                line.extend_from_slice(text);
            }
            self.hashed.update(&chunk[..taken]);
            if let RereadFrom::Spool(scratch) = &mut self.kept {
                scratch.push(&chunk[..taken])?;
            }
            self.reader.consume(taken);
            self.offset += taken as u64;
            ended = newline.is_some();
        }
        if self.offset == offset {
            return Ok(None);
        }
        self.number += 1;
        let mut offset = offset;
        if offset == 0 && line.starts_with(BOM) {
            line.drain(..BOM.len());
            offset += BOM.len() as u64;
        }
        let len = u32::try_from(line.len()).expect("a line is at most 32 MiB");
        Ok(Some(SourceLine { number: self.number, offset, len, too_long }))
    }

    /// Ends the first pass. Returns the SHA-256 of the content, its length in bytes, and the input of the second pass.
    pub(crate) fn finish(self) -> io::Result<([u8; 32], u64, Again)> {
        let mut kept = self.kept;
        if let RereadFrom::Spool(scratch) = &mut kept {
            scratch.write_out()?;
        }
        let (hash, bytes) = self.hashed.finish();
        Ok((hash, bytes, Again(kept)))
    }
}

/// Reads lines by offset, in the second pass.
pub(crate) struct Again(RereadFrom);

impl Again {
    /// Reads the line that has this offset and this length in bytes.
    pub(crate) fn read(&self, offset: u64, len: u32) -> io::Result<Vec<u8>> {
        let mut line = vec![0; len as usize];
        let read = match &self.0 {
            RereadFrom::File(file) => file.read_exact_at(&mut line, offset).map(|()| line.len()),
            RereadFrom::Spool(scratch) => scratch.read_at(&mut line, offset),
        }?;
        if read < line.len() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(line) }
    }
}

#[cfg(test)]
mod tests {
    use super::{LINE_BYTES_MAX, Source};
    use flate2::Compression;
    use flate2::bufread::GzEncoder;
    use sha2::Digest as _;
    use std::io::Read as _;
    use tooltrail::Home;

    #[test]
    fn lines_come_with_their_places_and_can_be_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::create(folder.path().join("home"), false).unwrap();
        let check = |content: &[u8], expected: &[&[u8]]| {
            // The gzip file has two members, as if one was appended to the other.
            let (head, tail) = content.split_at(content.len() / 2);
            let mut gzip = Vec::new();
            for part in [head, tail] {
                GzEncoder::new(part, Compression::fast()).read_to_end(&mut gzip).unwrap();
            }
            for bytes in [content.to_vec(), zstd::encode_all(content, 1).unwrap(), gzip] {
                let path = folder.path().join("lines");
                std::fs::write(&path, bytes).unwrap();
                let mut source = Source::open(&path, home.disk().as_ref(), |_, input| input).unwrap();
                let (mut line, mut places) = (Vec::new(), Vec::new());
                while let Some(source_line) = source.next(&mut line).unwrap() {
                    places.push(source_line);
                }
                let (hash, _, again) = source.finish().unwrap();
                assert_eq!(hash, <[u8; 32]>::from(sha2::Sha256::digest(content)));
                let lines = places.iter().map(|source_line| again.read(source_line.offset, source_line.len).unwrap());
                assert_eq!(lines.collect::<Vec<_>>(), expected);
                assert!(places.iter().zip(1..).all(|(source_line, number)| source_line.number == number));
            }
        };
        check(b"", &[]);
        check(b"one", &[b"one"]);
        check(b"one\n", &[b"one"]);
        check(b"\xEF\xBB\xBFone\n\xEF\xBB\xBFtwo\n", &[b"one", b"\xEF\xBB\xBFtwo"]);
        check(b"one\n\nthree\r\nfour", &[b"one", b"", b"three\r", b"four"]);
    }

    #[test]
    fn a_huge_line_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::create(folder.path().join("home"), false).unwrap();
        let path = folder.path().join("lines");
        let mut content = vec![b'x'; LINE_BYTES_MAX + 1];
        content.extend_from_slice(b"\nsmall\n");
        std::fs::write(&path, content).unwrap();
        let mut source = Source::open(&path, home.disk().as_ref(), |_, input| input).unwrap();
        let mut line = Vec::new();
        let first = source.next(&mut line).unwrap().unwrap();
        assert!(first.too_long && line.capacity() == 0);
        assert!(!source.next(&mut line).unwrap().unwrap().too_long);
        assert_eq!(line, b"small");
    }
}
