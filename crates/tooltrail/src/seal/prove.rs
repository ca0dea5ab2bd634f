//! The proof of one entry: section 8 of `docs/proof.md`. It can be checked without the home.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::call::EntryId;
use crate::clock::{Date, Zone};
use crate::day::last_line;
use crate::disk::{Disk, DiskFile};
use crate::entry::StoredEntry;
use crate::error::Error;
use crate::home::{Home, OWN_FOLDER, TRAIL_FOLDER, day_name, user_folders};
use crate::json::{Json, push_string};
use crate::seal::checkpoint::{SignedCheckpoint, parse_hash, parse_number};
use crate::seal::growth::{erased_lines, first_head};
use crate::seal::heads::Heads;
use crate::seal::keys::read_text;
use crate::seal::leaves::{LeafCache, each_line};
use crate::seal::log::{HashFiles, LOG_FOLDER, each_entry};
use crate::seal::name::{NameKey, file_name};
use crate::seal::note::{NOTE_BYTES_MAX, VerifierKey};
use crate::seal::record::{Head, Members, Record};
use crate::seal::signing::PUBLISHED;
use crate::seal::tree::{Hash, PATH_HASHES_MAX, inclusion, leaf_hash, proves_inclusion, root};
use crate::seal::verify::{Verdict, WITNESSED_FOLDER};

/// The first line of a proof.
const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

/// The bytes of a day file that are searched at once for an id.
const BLOCK_BYTES: usize = 1024 * 1024;

/// The most bytes of a line that is looked at: lines of ours have at most 64 KiB.
const LINE_BYTES_MAX: u64 = 1024 * 1024;

/// The proof that an entry is in the trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    line: String,
    head: Vec<u8>,
    leaf: u64,
    path: Vec<Hash>,
    folder: String,
    date: String,
    day_key: Hash,
    index: u64,
    log_path: Vec<Hash>,
    checkpoint: SignedCheckpoint,
}

/// The result of checking a proof.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checked {
    /// `ok`, `bad-signature` or `modified`.
    pub verdict: Verdict,
    /// What it means, in one sentence.
    pub text: String,
}

/// What the log knows of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sealed {
    /// The entry is sealed; here is its proof.
    Yes(Box<Proof>),
    /// The entry is not sealed yet, or its file does not match its seal.
    No(String),
}

impl Proof {
    /// Reads a proof; `None` if it has another form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text.strip_prefix(FIRST_LINE)?.strip_prefix("\nextra ")?;
        let extra;
        (extra, rest) = rest.split_once('\n')?;
        let index;
        (index, rest) = rest.strip_prefix("index ")?.split_once('\n')?;
        let mut log_path = Vec::new();
        let checkpoint = loop {
            let (line, after) = rest.split_once('\n')?;
            rest = after;
            if line.is_empty() {
                break SignedCheckpoint::parse(rest)?;
            }
            log_path.push(parse_hash(line)?);
            if log_path.len() > PATH_HASHES_MAX {
                return None;
            }
        };
        let extra = String::from_utf8(STANDARD.decode(extra).ok()?).ok()?;
        let Ok(Json::Object(members)) = Json::read(&extra, 3) else { return None };
        let members = Members(&members);
        let text = |name| members.text(name).map(str::to_owned);
        let Some(Json::Array(path)) = members.get("path") else { return None };
        let path = path.iter().map(|hash| match hash {
            Json::String(hash) => parse_hash(hash),
            _ => None,
        });
        Some(Self {
            line: text("line")?,
            head: STANDARD.decode(members.text("head")?).ok()?,
            leaf: members.number("leaf")?,
            path: path.collect::<Option<_>>()?,
            folder: text("folder")?,
            date: text("date")?,
            day_key: parse_hash(members.text("day_key")?)?,
            index: parse_number(index)?,
            log_path,
            checkpoint,
        })
    }

    /// Returns the proof as text, for a file whose name ends in `.tlog-proof`.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut extra = "{\"line\":".to_owned();
        push_string(&mut extra, &self.line);
        let path = self.path.iter().map(|hash| format!("\"{}\"", STANDARD.encode(hash))).collect::<Vec<_>>();
        let head = STANDARD.encode(&self.head);
        extra.push_str(&format!(
            ",\"head\":\"{head}\",\"leaf\":{},\"path\":[{}],\"folder\":",
            self.leaf,
            path.join(",")
        ));
        push_string(&mut extra, &self.folder);
        let day_key = STANDARD.encode(self.day_key);
        extra.push_str(&format!(",\"date\":\"{}\",\"day_key\":\"{day_key}\"}}", self.date));
        let log_path = self.log_path.iter().map(|hash| STANDARD.encode(hash) + "\n").collect::<String>();
        let extra = STANDARD.encode(extra);
        format!("{FIRST_LINE}\nextra {extra}\nindex {}\n{log_path}\n{}", self.index, self.checkpoint.whole)
    }

    /// Returns the entry: the line without its newline.
    #[must_use]
    pub fn line(&self) -> &str {
        &self.line
    }

    /// Returns when the line was sealed, in milliseconds since 1970, and the size of the log at the checkpoint.
    #[must_use]
    pub fn sealed_at(&self) -> Option<(u64, u64)> {
        let head = self.decoded_head()?;
        Some((head.at, self.checkpoint.checkpoint.size))
    }

    /// Checks the proof with the key of the log.
    #[must_use]
    pub fn check(&self, key: &VerifierKey) -> Checked {
        let checked = |verdict, text: &str| Checked { verdict, text: text.to_owned() };
        let checkpoint = &self.checkpoint.checkpoint;
        if checkpoint.origin != key.name() || !self.checkpoint.is_signed_by(key) {
            return checked(Verdict::BadSignature, "the checkpoint of the proof is not signed by this key");
        }
        let in_log = (self.index, leaf_hash(&self.head));
        if !proves_inclusion(&self.log_path, in_log, (checkpoint.size, checkpoint.root)) {
            return checked(Verdict::Modified, "the head is not in the log that was signed");
        }
        let Some(head) = self.decoded_head() else {
            return checked(Verdict::Modified, "the entry of the log is not a head");
        };
        if head.name != file_name(&self.day_key, &self.folder, &self.date) {
            return checked(Verdict::Modified, "the head is of another file");
        }
        let line = (self.leaf, leaf_hash(self.line.as_bytes()));
        if !proves_inclusion(&self.path, line, (head.entries, head.root)) {
            return checked(Verdict::Modified, "the line is not the one that was sealed");
        }
        checked(Verdict::Ok, "the entry is in the file that was sealed")
    }

    fn decoded_head(&self) -> Option<Head> {
        match Record::decode(&self.head) {
            Some(Record::Head(head)) => Some(head),
            _ => None,
        }
    }

    /// Returns the names of the keys that have signed the checkpoint, as it claims.
    #[must_use]
    pub fn signers(&self) -> Vec<String> {
        self.checkpoint.note.names().map(str::to_owned).collect()
    }
}

/// Returns the proof of the entry with this id, if it is sealed; `None` if there is no such entry.
///
/// The proof is of the newest head of the entry's file. A checkpoint that a witness has cosigned is preferred.
///
/// # Errors
/// [`Error::Io`] if a file cannot be read.
pub fn prove(home: &Home, id: EntryId) -> Result<Option<Sealed>, Error> {
    let failed = |error| Error::io("prove an entry of", home.root())(error);
    let disk = &**home.disk();
    let date = id.time().date();
    for folder in user_folders(disk).map_err(failed)? {
        let path = [&*folder, TRAIL_FOLDER, &day_name(date)];
        let Ok(Some(file)) = disk.open(&path) else { continue };
        if let Some(place) = find(&*file, id).map_err(failed)? {
            return proof_of(disk, (&folder, date), &*file, place).map_err(failed).map(Some);
        }
    }
    Ok(None)
}

/// A line and where it stands in its file.
struct Place {
    line: String,
    number: u64,
}

fn proof_of(
    disk: &dyn Disk,
    (folder, date): (&str, Date),
    file: &dyn DiskFile,
    place: Place,
) -> std::io::Result<Sealed> {
    let no = |text: &str| Ok(Sealed::No(text.to_owned()));
    let (Some(checkpoint), Some(key)) = (newest_note(disk)?, NameKey::read(disk, folder)?) else {
        return no("nothing of this file is sealed yet");
    };
    let hashes = HashFiles { disk };
    let heads = Heads::read(disk, checkpoint.checkpoint.size, |size| root(&hashes, size))?;
    let name = key.of_file(folder, date);
    let Some((index, head)) = heads.newest(&name) else { return no("nothing of this file is sealed yet") };
    let sealed = head.tree.first_line..head.tree.first_line + head.entries;
    if !sealed.contains(&place.number) {
        return no("the entry is not sealed yet");
    }
    let leaf = place.number - head.tree.first_line;
    let Some(leaves) = leaves(disk, (folder, date), file, (*index, head), checkpoint.checkpoint.size)? else {
        return no("the file does not match its seal: tooltrail verify tells more");
    };
    let log_path = log_path(disk, *index, &checkpoint)?;
    let proof = Proof {
        line: place.line,
        head: Record::Head(head.clone()).encode(),
        leaf,
        path: inclusion(&leaves, leaf, head.entries)?,
        folder: folder.to_owned(),
        date: date.to_string(),
        day_key: key.of_day(date),
        index: *index,
        log_path,
        checkpoint,
    };
    let own = read_text(disk, &crate::seal::signing::PUBLIC_KEY, NOTE_BYTES_MAX)?.unwrap_or_default();
    match VerifierKey::parse(own.trim_end()) {
        Some(key) if proof.check(&key).verdict.is_good() => Ok(Sealed::Yes(Box::new(proof))),
        Some(key) => Ok(Sealed::No(proof.check(&key).text)),
        None => no("the home has no verifier key"),
    }
}

/// Returns the leaves of a head: those of the cache, or those of the file.
pub(super) fn leaves(
    disk: &dyn Disk,
    (folder, date): (&str, Date),
    file: &dyn DiskFile,
    (index, head): (u64, &Head),
    log_size: u64,
) -> std::io::Result<Option<Vec<Hash>>> {
    let is_right = |leaves: &Vec<Hash>| Ok::<_, std::io::Error>(root(leaves, head.entries)? == head.root);
    let mut cached = Vec::new();
    let cache = LeafCache::new(disk, folder, date, head.tree);
    let read = cache.each(head.entries, |leaf| {
        cached.push(leaf);
        Ok(())
    })?;
    if read.is_some() && is_right(&cached)? {
        return Ok(Some(cached));
    }
    let erased = erased_lines(disk, log_size, |name| *name == head.name)?;
    let erased = erased.of_tree(&head.name, first_head(disk, index, head)?);
    let (mut found, mut line) = (Vec::new(), head.tree.first_line);
    each_line(file, head.tree.first_byte, head.bytes, |leaf| {
        found.push(erased.get(&line).filter(|erased| erased.new == leaf.hash).map_or(leaf.hash, |erased| erased.old));
        line += 1;
        Ok(())
    })?;
    Ok((found.len() as u64 == head.entries && is_right(&found)?).then_some(found))
}

/// Returns the inclusion proof of an entry of the log, from the cached hashes or else from the entries.
pub(super) fn log_path(disk: &dyn Disk, index: u64, checkpoint: &SignedCheckpoint) -> std::io::Result<Vec<Hash>> {
    let (size, hashes) = (checkpoint.checkpoint.size, HashFiles { disk });
    if root(&hashes, size).is_ok_and(|root| root == checkpoint.checkpoint.root) {
        return inclusion(&hashes, index, size);
    }
    let mut leaves = Vec::new();
    each_entry(disk, size, |_, entry| {
        leaves.push(leaf_hash(entry));
        Ok(())
    })?;
    inclusion(&leaves, index, size)
}

/// Returns the newest checkpoint, with the signatures of a witness if one has cosigned this size.
pub(super) fn newest_note(disk: &dyn Disk) -> std::io::Result<Option<SignedCheckpoint>> {
    let published = read_text(disk, &PUBLISHED, NOTE_BYTES_MAX)?.and_then(|note| SignedCheckpoint::parse(&note));
    let Some(mut newest) = published else { return Ok(None) };
    for listed in disk.list(&[OWN_FOLDER, LOG_FOLDER, WITNESSED_FOLDER])? {
        let path = [OWN_FOLDER, LOG_FOLDER, WITNESSED_FOLDER, &*listed.name];
        let note = read_text(disk, &path, NOTE_BYTES_MAX)?.and_then(|note| SignedCheckpoint::parse(&note));
        if let Some(note) = note.filter(|note| note.checkpoint == newest.checkpoint) {
            newest = note;
        }
    }
    Ok(Some(newest))
}

/// Finds the line of the entry with this id.
fn find(file: &dyn DiskFile, id: EntryId) -> std::io::Result<Option<Place>> {
    let needle = format!("\"id\":\"{}\"", id.encode(&mut [0; 36]));
    let len = file.stat()?.len;
    let mut block = vec![0; BLOCK_BYTES + needle.len()];
    let (mut offset, mut newlines) = (0, 0);
    while offset < len {
        let read = file.read_at(&mut block, offset)?;
        for at in memchr::memmem::find_iter(&block[..read], needle.as_bytes()) {
            let begin = last_line(file, offset + at as u64)?;
            let before = usize::try_from(begin.saturating_sub(offset)).unwrap_or(0);
            let Some(line) = whole_line(file, begin, len)? else { continue };
            if StoredEntry::parse(&line, &Zone::UTC).is_ok_and(|entry| entry.id == Some(id)) {
                let above = memchr::memchr_iter(b'\n', &block[..before.min(read)]).count() as u64;
                return Ok(Some(Place { line, number: newlines + above }));
            }
        }
        let step = read.min(BLOCK_BYTES);
        newlines += memchr::memchr_iter(b'\n', &block[..step]).count() as u64;
        offset += step as u64;
        if step == 0 {
            break;
        }
    }
    Ok(None)
}

/// Reads the line that begins at an offset, if it is whole.
fn whole_line(file: &dyn DiskFile, begin: u64, len: u64) -> std::io::Result<Option<String>> {
    let mut bytes = vec![0; usize::try_from((len - begin).min(LINE_BYTES_MAX)).unwrap_or(0)];
    let read = file.read_at(&mut bytes, begin)?;
    let Some(end) = memchr::memchr(b'\n', &bytes[..read]) else { return Ok(None) };
    bytes.truncate(end);
    Ok(String::from_utf8(bytes).ok())
}
