//! A witness: it cosigns checkpoints of logs that it knows, and never two histories of one log. The protocol is
//! <https://c2sp.org/tlog-witness>.

use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::disk::{Disk, Lock, RealDisk};
use crate::error::Error;
use crate::hex::hex;
use crate::random::Random;
use crate::seal::checkpoint::{SignedCheckpoint, parse_hash, parse_number};
use crate::seal::keys::{new_seed, read_seed, read_text};
use crate::seal::note::{KeyKind, NOTE_BYTES_MAX, Signed, SignerKey, VerifierKey};
use crate::seal::tree::{Hash, PATH_HASHES_MAX, empty_root, proves_consistency};

/// The most bytes of a request: a proof and a note.
pub const WITNESS_REQUEST_BYTES_MAX: usize = NOTE_BYTES_MAX + 64 * 64;

/// The signing key of the witness in its folder.
const KEY: &str = "witness.key";

/// How long to wait for another process that uses the same folder.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// The answer of a witness.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WitnessAnswer {
    /// 200: the signature lines.
    Cosigned(String),
    /// 400: the request has another form, or its old size is larger than its size.
    Malformed,
    /// 403: no signature of a key that is known for this log, or a wrong one.
    Unsigned,
    /// 404: the log is not known.
    UnknownLog,
    /// 409: the witness has cosigned another size, or this size with another root. The size that it has cosigned.
    Conflict(u64),
    /// 422: the proof does not hold.
    Unproved,
}

/// A witness with its folder: its key, and for each log the newest note that it has cosigned.
pub struct Witness {
    disk: Box<dyn Disk>,
    signer: SignerKey,
    logs: Vec<VerifierKey>,
    /// Held from the comparison to the answer, so that two requests cannot both extend the same checkpoint.
    busy: Mutex<()>,
}

impl std::fmt::Debug for Witness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Witness")
            .field("key", &self.signer.verifier())
            .field("logs", &self.logs)
            .finish_non_exhaustive()
    }
}

impl Witness {
    /// Opens the folder of a witness. Makes the folder and the key at first use.
    ///
    /// # Errors
    /// [`Error::Input`] for a name that a key may not have; any I/O error of the operating system.
    pub fn open(folder: &Path, name: &str, logs: Vec<VerifierKey>, random: &dyn Random) -> Result<Self, Error> {
        crate::home::make_root(folder, false).map_err(Error::io("create", folder))?;
        let disk = RealDisk::open(folder, false).map_err(Error::io("open", folder))?;
        Self::on(Box::new(disk), folder, name, logs, random)
    }

    /// Opens a witness whose folder is the root of a disk. Messages name it `folder`.
    ///
    /// # Errors
    /// As [`Witness::open`].
    pub fn on(
        disk: Box<dyn Disk>,
        folder: &Path,
        name: &str,
        logs: Vec<VerifierKey>,
        random: &dyn Random,
    ) -> Result<Self, Error> {
        if !crate::seal::note::is_key_name(name) {
            let hint = "give it a name without spaces and without +, such as witness.example/w1";
            return Err(Error::input(format!("{name:?} is no name of a witness"), hint));
        }
        let failed = |error| Error::io("read the key of the witness in", folder)(error);
        if disk.stat(&[KEY]).map_err(failed)?.is_none() {
            // If another process makes it at the same moment, its key is read.
            disk.create(&[KEY], new_seed(random).as_bytes(), true).map_err(Error::io("write the key in", folder))?;
        }
        let file = disk.open(&[KEY]).and_then(|file| file.ok_or_else(|| io::ErrorKind::NotFound.into()));
        let seed: Zeroizing<[u8; 32]> = read_seed(&*file.map_err(failed)?).map_err(failed)?;
        let signer = SignerKey::new(name, KeyKind::Witness, &seed);
        Ok(Self { disk, signer, logs, busy: Mutex::new(()) })
    }

    /// Returns the key with which cosignatures are checked.
    #[must_use]
    pub fn key(&self) -> VerifierKey {
        self.signer.verifier()
    }

    /// Answers a request to cosign a checkpoint. The new checkpoint is durable before this returns its cosignature.
    ///
    /// # Errors
    /// Any I/O error of the operating system; then nothing was cosigned.
    pub fn add_checkpoint(&self, body: &[u8], now_s: u64) -> io::Result<WitnessAnswer> {
        let Some(request) = Request::parse(body) else { return Ok(WitnessAnswer::Malformed) };
        let checkpoint = &request.note.checkpoint;
        let keys = self.logs.iter().filter(|key| key.name() == checkpoint.origin).collect::<Vec<_>>();
        if keys.is_empty() {
            return Ok(WitnessAnswer::UnknownLog);
        }
        let signed = keys.iter().map(|key| request.note.note.signed_by(key)).collect::<Vec<_>>();
        let is_signed = signed.iter().any(|signed| matches!(signed, Signed::Yes(_)));
        if !is_signed || signed.contains(&Signed::Wrong) {
            return Ok(WitnessAnswer::Unsigned);
        }
        if request.old > checkpoint.size {
            return Ok(WitnessAnswer::Malformed);
        }
        let _one = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let name = origin_hash(&checkpoint.origin);
        let _lock: Box<dyn Lock> = self.disk.lock(&[&format!("{name}.lock")], LOCK_WAIT)?;
        let before = self.stored(&name)?;
        let (size, root) = before.as_ref().map_or((0, empty_root()), |before| (before.0, before.1));
        if request.old != size {
            return Ok(WitnessAnswer::Conflict(size));
        }
        if checkpoint.size == 0 && checkpoint.root != empty_root() {
            return Ok(WitnessAnswer::Unproved);
        }
        if checkpoint.size == size && before.is_some() && checkpoint.root != root {
            return Ok(WitnessAnswer::Conflict(size));
        }
        if !proves_consistency(&request.proof, (size, root), (checkpoint.size, checkpoint.root)) {
            return Ok(WitnessAnswer::Unproved);
        }
        let line = self.signer.line(request.note.note.text(), now_s);
        let lines = request.note.note.lines_of(&keys);
        self.disk.replace(&[&name], format!("{}\n{lines}{line}", request.note.note.text()).as_bytes())?;
        Ok(WitnessAnswer::Cosigned(line))
    }

    /// Returns the newest note that was cosigned of the log with this hash of its origin.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub fn newest(&self, origin_hash: &str) -> io::Result<Option<String>> {
        let is_hash = origin_hash.len() == 64 && origin_hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hash { read_text(&*self.disk, &[origin_hash], NOTE_BYTES_MAX) } else { Ok(None) }
    }

    /// Returns the size and root that were cosigned last. A file that cannot be read is an error: without it, the witness
    /// could cosign a second history.
    fn stored(&self, name: &str) -> io::Result<Option<(u64, Hash)>> {
        let Some(note) = read_text(&*self.disk, &[name], NOTE_BYTES_MAX)? else { return Ok(None) };
        let own = self.signer.verifier();
        let read = SignedCheckpoint::parse_extended(&note)
            .filter(|note| matches!(note.note.signed_by(&own), Signed::Yes(_)))
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("{name} is no note of this witness")))?;
        Ok(Some((read.checkpoint.size, read.checkpoint.root)))
    }
}

/// A request to cosign.
pub(crate) struct Request {
    old: u64,
    proof: Vec<Hash>,
    note: SignedCheckpoint,
}

impl Request {
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        if body.len() > WITNESS_REQUEST_BYTES_MAX {
            return None;
        }
        let (head, note) = std::str::from_utf8(body).ok()?.split_once("\n\n")?;
        let mut lines = head.split('\n');
        let old = parse_number(lines.next()?.strip_prefix("old ")?)?;
        let proof = lines.map(parse_hash).collect::<Option<Vec<_>>>()?;
        if proof.len() > PATH_HASHES_MAX {
            return None;
        }
        Some(Self { old, proof, note: SignedCheckpoint::parse_any_root(note)? })
    }
}

/// Returns the name by which a log's note is stored and served.
pub(crate) fn origin_hash(origin: &str) -> String {
    hex(&Sha256::digest(origin))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SystemRandom;
    use crate::seal::checkpoint::Checkpoint;
    use crate::seal::tree::{consistency, leaf_hash, root};

    struct World {
        _folder: tempfile::TempDir,
        witness: Witness,
        log: SignerKey,
        leaves: Vec<Hash>,
    }

    impl World {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let log = SignerKey::new("example.com/log", KeyKind::Log, &[1; 32]);
            let witness = Witness::open(folder.path(), "w.example/1", vec![log.verifier()], &SystemRandom).unwrap();
            let leaves = (0..50_u64).map(|n| leaf_hash(&n.to_be_bytes())).collect();
            Self { _folder: folder, witness, log, leaves }
        }

        fn note(&self, size: u64) -> String {
            let root = root(&self.leaves, size).unwrap();
            Checkpoint { origin: "example.com/log".to_owned(), size, root }.sign(&[&self.log])
        }

        fn body(&self, old: u64, size: u64) -> String {
            use base64::Engine as _;
            let encode = |hash: Hash| base64::engine::general_purpose::STANDARD.encode(hash) + "\n";
            let proof = consistency(&self.leaves, old, size).unwrap().into_iter().map(encode).collect::<String>();
            format!("old {old}\n{proof}\n{}", self.note(size))
        }

        fn ask(&self, body: &str) -> WitnessAnswer {
            self.witness.add_checkpoint(body.as_bytes(), 1_764_000_000).unwrap()
        }
    }

    #[test]
    fn a_witness_answers_as_the_protocol_says() {
        let world = World::new();
        assert_eq!(world.ask("old 0\n"), WitnessAnswer::Malformed);
        assert_eq!(world.ask(&world.body(0, 5).replace("old 0", "old 00")), WitnessAnswer::Malformed);
        assert_eq!(world.ask(&world.body(0, 5).replace("old 0", "old 6")), WitnessAnswer::Malformed);
        assert_eq!(world.ask(&world.body(3, 5)), WitnessAnswer::Conflict(0));
        let WitnessAnswer::Cosigned(line) = world.ask(&world.body(0, 5)) else { panic!("not cosigned") };
        let note = SignedCheckpoint::parse(&(world.note(5) + &line)).unwrap();
        assert_eq!(note.note.signed_by(&world.witness.key()), Signed::Yes(1_764_000_000));
        let stored = world.witness.newest(&origin_hash("example.com/log")).unwrap().unwrap();
        assert!(SignedCheckpoint::parse(&stored).unwrap().is_signed_by(&world.log.verifier()));
        assert!(matches!(world.ask(&world.body(5, 5)), WitnessAnswer::Cosigned(_)), "the same once more");
        assert_eq!(world.ask(&world.body(0, 9)), WitnessAnswer::Conflict(5));
        assert_eq!(world.ask(&world.body(4, 9)), WitnessAnswer::Conflict(5));
        assert!(matches!(world.ask(&world.body(5, 9)), WitnessAnswer::Cosigned(_)));
        let mut shorter = world.body(9, 20);
        shorter.replace_range(6..51, "");
        assert_eq!(world.ask(&shorter), WitnessAnswer::Unproved);
        let other = World { leaves: (50..100_u64).map(|n| leaf_hash(&n.to_be_bytes())).collect(), ..World::new() };
        assert_eq!(world.ask(&other.body(9, 9)), WitnessAnswer::Conflict(9), "the same size with another root");
        assert_eq!(world.ask(&other.body(9, 20)), WitnessAnswer::Unproved, "another history");
        let unknown = world.body(9, 20).replace("example.com/log", "example.com/other");
        assert_eq!(world.ask(&unknown), WitnessAnswer::UnknownLog);
        let thief = World { log: SignerKey::new("example.com/log", KeyKind::Log, &[2; 32]), ..World::new() };
        assert_eq!(world.ask(&thief.body(9, 20)), WitnessAnswer::Unsigned);
        assert_eq!(world.ask(&world.body(9, 20).replace("\n20\n", "\n21\n")), WitnessAnswer::Unsigned);
        assert!(matches!(world.ask(&world.body(9, 50)), WitnessAnswer::Cosigned(_)));
    }

    #[test]
    fn a_witness_that_cannot_read_its_memory_cosigns_nothing() {
        let world = World::new();
        world.ask(&world.body(0, 5));
        world.witness.disk.replace(&[&origin_hash("example.com/log")], b"rubbish").unwrap();
        assert!(world.witness.add_checkpoint(world.body(5, 9).as_bytes(), 1).is_err());
        assert!(world.witness.add_checkpoint(world.body(0, 9).as_bytes(), 1).is_err());
    }
}
