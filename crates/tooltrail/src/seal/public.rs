//! The log as monitors and witnesses see it: its checkpoint, its tiles (<https://c2sp.org/tlog-tiles>), and requests for
//! cosignatures.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::disk::Disk;
use crate::error::Error;
use crate::home::{Home, OWN_FOLDER};
use crate::seal::checkpoint::{SignedCheckpoint, parse_number};
use crate::seal::keys::read_text;
use crate::seal::log::{HashFiles, LOG_FOLDER, TILE_HASHES, bundle};
use crate::seal::note::{NOTE_BYTES_MAX, Signed, VerifierKey};
use crate::seal::signing::PUBLISHED;
use crate::seal::tree::{consistency, root};
use crate::seal::verify::{WITNESSED_FOLDER, witnessed_name};

/// The log of a home, for reading.
#[derive(Clone, Debug)]
pub struct PublicLog {
    home: Home,
}

/// A request to a witness.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CosignRequest {
    /// The body of `add-checkpoint`.
    pub body: String,
    /// The size of the checkpoint.
    pub size: u64,
    note: SignedCheckpoint,
}

/// Which part of the log a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tile {
    Hashes { level: u32, index: u64, width: u64 },
    Entries { index: u64, width: u64 },
}

impl PublicLog {
    /// Returns the log of a home.
    #[must_use]
    pub fn new(home: &Home) -> Self {
        Self { home: home.clone() }
    }

    /// Returns the newest checkpoint, a signed note; `None` if nothing is sealed yet.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub fn checkpoint(&self) -> Result<Option<String>, Error> {
        read_text(self.disk(), &PUBLISHED, NOTE_BYTES_MAX).map_err(|error| self.failed(error))
    }

    /// Returns a tile or a bundle of entries by its path after `tile/`, such as `0/x001/234` or `entries/000.p/12`; `None`
    /// if the path is none of the specification, or names what the log does not have yet.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub fn tile(&self, path: &str) -> Result<Option<Vec<u8>>, Error> {
        let Some(tile) = Tile::parse(path) else { return Ok(None) };
        let note = self.checkpoint()?.unwrap_or_default();
        let Some(note) = SignedCheckpoint::parse(&note) else { return Ok(None) };
        self.read(tile, note.checkpoint.size).map_err(|error| self.failed(error))
    }

    fn read(&self, tile: Tile, size: u64) -> io::Result<Option<Vec<u8>>> {
        let (level, index, width) = match tile {
            Tile::Hashes { level, index, width } => (level, index, width),
            Tile::Entries { index, width } => (0, index, width),
        };
        let hashes = TILE_HASHES.checked_pow(level).map_or(0, |span| size / span);
        let Some(from) = index.checked_mul(TILE_HASHES).filter(|from| from.saturating_add(width) <= hashes) else {
            return Ok(None);
        };
        match tile {
            Tile::Hashes { .. } => HashFiles { disk: self.disk() }.read(level, from, width).map(Some),
            Tile::Entries { .. } => bundle(self.disk(), index, width).map(Some),
        }
    }

    /// Returns the request for a cosignature of the newest checkpoint. `known` is the size that the witness has cosigned,
    /// if it has told that; otherwise it is the size of its newest note in the home. Returns `None` if there is nothing
    /// new to cosign.
    ///
    /// # Errors
    /// Any I/O error of the operating system; also if the cached hashes do not fit the checkpoint, which the sealer mends.
    pub fn cosign_request(&self, witness: &VerifierKey, known: Option<u64>) -> Result<Option<CosignRequest>, Error> {
        let Some(note) = self.checkpoint()?.and_then(|note| SignedCheckpoint::parse(&note)) else { return Ok(None) };
        let size = note.checkpoint.size;
        let before = self.witnessed(witness)?;
        if known.is_none() && before.as_ref().is_some_and(|before| before.checkpoint == note.checkpoint) {
            return Ok(None);
        }
        let old = known.or(before.map(|before| before.checkpoint.size)).unwrap_or(0);
        if old > size {
            return Ok(None);
        }
        let proof = || {
            let hashes = HashFiles { disk: self.disk() };
            if root(&hashes, size)? != note.checkpoint.root {
                return Err(io::Error::other("the cached hashes of the log are not those that were signed"));
            }
            consistency(&hashes, old, size)
        };
        let proof = proof().map_err(|error| self.failed(error))?;
        let proof = proof.iter().map(|hash| STANDARD.encode(hash) + "\n").collect::<String>();
        Ok(Some(CosignRequest { body: format!("old {old}\n{proof}\n{}", note.whole), size, note }))
    }

    /// Stores the answer of a witness: the signature lines for the request's checkpoint. Returns false if none of them is
    /// a right signature of this witness; then nothing is stored.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub fn store_cosigned(&self, witness: &VerifierKey, request: &CosignRequest, lines: &str) -> Result<bool, Error> {
        let note = format!("{}{lines}", request.note.whole);
        let is_right = SignedCheckpoint::parse(&note)
            .is_some_and(|note| matches!(note.note.signed_by(witness), Signed::Yes(time_s) if time_s > 0));
        if !is_right {
            return Ok(false);
        }
        let path = [OWN_FOLDER, LOG_FOLDER, WITNESSED_FOLDER, &witnessed_name(witness.name())];
        self.disk().replace(&path, note.as_bytes()).map_err(|error| self.failed(error))?;
        Ok(true)
    }

    /// Returns the size of the newest checkpoint that this witness has cosigned.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub fn witnessed_size(&self, witness: &VerifierKey) -> Result<Option<u64>, Error> {
        Ok(self.witnessed(witness)?.map(|note| note.checkpoint.size))
    }

    fn witnessed(&self, witness: &VerifierKey) -> Result<Option<SignedCheckpoint>, Error> {
        let path = [OWN_FOLDER, LOG_FOLDER, WITNESSED_FOLDER, &witnessed_name(witness.name())];
        let note = read_text(self.disk(), &path, NOTE_BYTES_MAX).map_err(|error| self.failed(error))?;
        let note = note.and_then(|note| SignedCheckpoint::parse(&note));
        Ok(note.filter(|note| matches!(note.note.signed_by(witness), Signed::Yes(_))))
    }

    fn disk(&self) -> &dyn Disk {
        &**self.home.disk()
    }

    fn failed(&self, error: io::Error) -> Error {
        Error::io("read the log of", self.home.root())(error)
    }
}

impl Tile {
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let (level, rest) = path.split_once('/')?;
        let (index, width) = match rest.split_once(".p/") {
            Some((index, width)) => (index, parse_number(width).filter(|width| (1..TILE_HASHES).contains(width))?),
            None => (rest, TILE_HASHES),
        };
        let index = parse_index(index)?;
        if level == "entries" {
            return Some(Self::Entries { index, width });
        }
        let level = u32::try_from(parse_number(level)?).ok().filter(|level| *level < 64)?;
        Some(Self::Hashes { level, index, width })
    }
}

/// Reads an index such as `x001/x234/067`.
fn parse_index(path: &str) -> Option<u64> {
    let mut index = 0_u64;
    let mut parts = path.split('/').peekable();
    let is_short = |part: &str| part.len() == 3 && part.bytes().all(|byte| byte.is_ascii_digit());
    let has_several = path.contains('/');
    let mut is_first = true;
    while let Some(part) = parts.next() {
        let digits = if parts.peek().is_some() { part.strip_prefix('x')? } else { part };
        if !is_short(digits) || (is_first && has_several && digits == "000") {
            return None;
        }
        index = index.checked_mul(1_000)?.checked_add(digits.parse().ok()?)?;
        is_first = false;
    }
    Some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_tiles_are_those_of_the_specification() {
        let hashes = |level, index, width| Some(Tile::Hashes { level, index, width });
        assert_eq!(Tile::parse("0/000"), hashes(0, 0, 256));
        assert_eq!(Tile::parse("1/x001/x234/067"), hashes(1, 1_234_067, 256));
        assert_eq!(Tile::parse("0/x001/000.p/12"), hashes(0, 1_000, 12));
        assert_eq!(Tile::parse("entries/273.p/112"), Some(Tile::Entries { index: 273, width: 112 }));
        for path in [
            "",
            "0",
            "0/",
            "0/0",
            "0/0000",
            "64/000",
            "00/000",
            "0/x000/001",
            "0/001/002",
            "0/x001",
            "0/000.p/0",
            "0/000.p/256",
            "0/000.p/012",
            "0/000/",
            "entries",
            "-1/000",
            "0/x999/x999/x999/x999/x999/x999/x999/999",
        ] {
            assert_eq!(Tile::parse(path), None, "{path}");
        }
    }
}
