//! The log as a verifier reads it: its entries checked against the signed root, and sorted by file.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::disk::{Disk, is_trouble};
use crate::home::OWN_FOLDER;
use crate::seal::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::seal::growth::ErasedLines;
use crate::seal::log::{LOG_FOLDER, each_entry, entry};
use crate::seal::note::{NOTE_BYTES_MAX, VerifierKey};
use crate::seal::record::{Head, LogEvent, Record, Tree, What};
use crate::seal::signing::{PUBLISHED, ROTATIONS_FOLDER};
use crate::seal::tree::{Frontier, Hash, leaf_hash};
use crate::seal::verify::regular::home_text;
use crate::seal::verify::verdict::{Finding, Verdict};

/// The most heads that are kept in memory at once: some 200 MB. A larger log is read several times, each time for some of
/// the files.
const HEADS_MAX: u64 = 2_000_000;

/// What is said of a home without a log.
const NO_LOG: &str = "the home has no log, but somebody knows one";

/// The log at its newest checkpoint.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) checkpoint: SignedCheckpoint,
    /// The key that has signed it.
    pub(crate) key: VerifierKey,
    /// All keys that were accepted on the way to it.
    pub(crate) accepted: Vec<VerifierKey>,
    /// The roots at the sizes that were asked for.
    pub(crate) roots: BTreeMap<u64, Hash>,
    /// The number of heads, by the first byte of the keyed name.
    heads: [u64; 256],
    pub(crate) erased: ErasedLines,
    /// The events that erase or prune: their index, and whether they erase.
    pub(crate) removals: Vec<(u64, bool)>,
}

/// Some files of the log, by keyed name.
pub(crate) type Files = HashMap<Hash, FileHeads>;

/// All heads of one file.
#[derive(Clone, Debug, Default)]
pub(crate) struct FileHeads {
    /// The heads that count, with their indexes, in the order of the log.
    pub(crate) heads: Vec<(u64, Head)>,
    /// What became of the file if there are no heads that count: an event after them names it.
    pub(crate) removed: Option<Removed>,
}

/// The heads of a file before an event that names it.
#[derive(Clone, Debug)]
pub(crate) struct Removed {
    /// Whether it was erased, otherwise it was pruned.
    pub(crate) is_erased: bool,
    pub(crate) heads: Vec<(u64, Head)>,
}

impl View {
    /// Reads the log and checks it: steps 2 and 3 of `docs/proof.md`, section 6. `beside` is the checkpoint beside the
    /// key, if it is known, and `sizes` are the sizes at which a root is wanted.
    ///
    /// # Errors
    /// Any I/O error of the operating system. The inner result is the finding that ends the verification.
    pub(crate) fn read(
        disk: &dyn Disk,
        first_key: &VerifierKey,
        beside: Option<&str>,
        sizes: &[u64],
    ) -> io::Result<Result<Self, Finding>> {
        let note = home_text(disk, &PUBLISHED, NOTE_BYTES_MAX)?;
        let published = note.as_deref().and_then(SignedCheckpoint::parse);
        let size = published.as_ref().map(|published| published.checkpoint.size);
        // A process may have been killed before it could publish what it had stored.
        if let Some(newer) = beside.and_then(SignedCheckpoint::parse)
            && (published.is_some() && Some(newer.checkpoint.size) > size
                || note.is_none() && newer.checkpoint.size == 0)
            && let Ok(view) = Self::read_at(disk, first_key, newer, sizes)?
        {
            return Ok(Ok(view));
        }
        match (note, published) {
            (None, _) => Ok(Err(Finding::of_log(Verdict::Missing, NO_LOG))),
            (Some(_), None) => Ok(Err(Finding::of_log(Verdict::BadSignature, "log/checkpoint is not a checkpoint"))),
            (Some(_), Some(published)) => Self::read_at(disk, first_key, published, sizes),
        }
    }

    /// Reads the log at one checkpoint.
    fn read_at(
        disk: &dyn Disk,
        first_key: &VerifierKey,
        checkpoint: SignedCheckpoint,
        sizes: &[u64],
    ) -> io::Result<Result<Self, Finding>> {
        let bad = |text: &str| Ok(Err(Finding::of_log(Verdict::BadSignature, text)));
        let Some((accepted, rotations)) = accepted_keys(disk, first_key, &checkpoint)? else {
            return bad("the checkpoint is not signed by the key");
        };
        let key = accepted.last().unwrap_or(first_key).clone();
        let (size, origin) = (checkpoint.checkpoint.size, &checkpoint.checkpoint.origin);
        if origin != key.name() {
            let text = format!("the checkpoint is of the log {origin}, and the key is of {}", key.name());
            return Ok(Err(Finding::of_log(Verdict::Forked, text)));
        }
        let sizes = sizes.iter().copied().chain(rotations.iter().map(|at| at.size));
        let wanted = sizes.filter(|wanted| *wanted <= size);
        let wanted = wanted.collect::<BTreeSet<_>>();
        let mut view = Self {
            checkpoint,
            key,
            accepted,
            roots: BTreeMap::new(),
            heads: [0; 256],
            erased: ErasedLines::default(),
            removals: Vec::new(),
        };
        if let Err(finding) = view.check_entries(disk, size, &wanted)? {
            return Ok(Err(finding));
        }
        if rotations.iter().any(|at| view.roots.get(&at.size) != Some(&at.root)) {
            return bad("a note in log/keys is not of this log");
        }
        Ok(Ok(view))
    }

    pub(crate) fn size(&self) -> u64 {
        self.checkpoint.checkpoint.size
    }

    /// Returns how often the log must be read so that its heads fit into memory: the last first byte of names of each
    /// pass.
    pub(crate) fn passes(&self) -> Vec<std::ops::RangeInclusive<u8>> {
        let (mut passes, mut from, mut sum) = (Vec::new(), 0, 0);
        for byte in 0..=u8::MAX {
            let heads = self.heads[usize::from(byte)];
            if sum + heads > HEADS_MAX && sum > 0 {
                passes.push(from..=byte - 1);
                (from, sum) = (byte, 0);
            }
            sum += heads;
        }
        passes.push(from..=u8::MAX);
        passes
    }

    /// Returns the heads of the files whose keyed names begin with one of these bytes.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn files(&self, disk: &dyn Disk, names: &std::ops::RangeInclusive<u8>) -> io::Result<Files> {
        self.files_of(disk, |name| names.contains(&name[0]))
    }

    /// Returns the heads of the files that `is_wanted` chooses by their keyed names.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn files_of(&self, disk: &dyn Disk, is_wanted: impl Fn(&Hash) -> bool) -> io::Result<Files> {
        let mut files = Files::new();
        each_entry(disk, self.size(), |index, entry| {
            match Record::decode(entry) {
                Some(Record::Head(head)) if is_wanted(&head.name) => {
                    files.entry(head.name).or_default().heads.push((index, head));
                }
                Some(Record::Event(event)) => {
                    let is_erased = matches!(event.what, What::ErasedFiles(_));
                    if let What::ErasedFiles(removed) | What::Pruned(removed) = event.what {
                        for name in removed.iter().filter(|name| is_wanted(name)) {
                            if let Some(file) = files.get_mut(name).filter(|file| !file.heads.is_empty()) {
                                let heads = std::mem::take(&mut file.heads);
                                file.removed = Some(Removed { is_erased, heads });
                            }
                        }
                    }
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(files)
    }

    /// Reads all entries, checks their form and their root, and that the last announced key is the one that signs.
    fn check_entries(&mut self, disk: &dyn Disk, size: u64, wanted: &BTreeSet<u64>) -> io::Result<Result<(), Finding>> {
        let (mut frontier, mut announced) = (Frontier::default(), None);
        let mut newest = HashMap::<Hash, (u64, Tree, u64, u64)>::new();
        let mut wrong = None;
        if wanted.contains(&0) {
            self.roots.insert(0, frontier.root());
        }
        let read = each_entry(disk, size, |index, entry| {
            frontier.push(leaf_hash(entry));
            if wanted.contains(&(index + 1)) {
                self.roots.insert(index + 1, frontier.root());
            }
            match Record::decode(entry) {
                None => {
                    wrong.get_or_insert_with(|| format!("entry {index} of the log is malformed"));
                }
                Some(Record::Head(head)) => {
                    let before = newest.insert(head.name, (index, head.tree, head.entries, head.bytes));
                    let shrinks = before.is_some_and(|(_, tree, entries, bytes)| {
                        tree == head.tree && (entries > head.entries || bytes > head.bytes)
                    });
                    if head.prev != before.map(|(index, ..)| index) || shrinks {
                        wrong.get_or_insert_with(|| format!("head {index} does not follow the head before"));
                    }
                    self.heads[usize::from(head.name[0])] += 1;
                }
                Some(Record::Event(event)) => match event.what {
                    What::ErasedLines(lines) => {
                        self.removals.push((index, true));
                        lines.into_iter().for_each(|line| self.erased.add(index, line));
                    }
                    What::ErasedFiles(names) | What::Pruned(names) => {
                        self.removals.push((index, entry.starts_with(b"{\"type\":\"erase\"")));
                        for name in &names {
                            newest.remove(name);
                        }
                    }
                    What::Key { key, .. } => announced = Some(key),
                    What::Restored(_) => {}
                },
            }
            Ok(())
        });
        match read {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof || !is_trouble(&error) => {
                let text = format!("log/entries has fewer than the {size} entries of the checkpoint");
                return Ok(Err(Finding::of_log(Verdict::Missing, text)));
            }
            Err(error) => return Err(error),
        }
        if frontier.root() != self.checkpoint.checkpoint.root {
            let text = "the entries of the log do not have the root that was signed";
            return Ok(Err(Finding::of_log(Verdict::BadSignature, text)));
        }
        if announced.is_some_and(|announced| !self.checkpoint.is_signed_by(&announced)) {
            wrong.get_or_insert_with(|| "the log announces another key than the one that signs".to_owned());
        }
        Ok(wrong.map_or(Ok(()), |text| Err(Finding::of_log(Verdict::BadSignature, text))))
    }

    /// Returns the root in base64, for people.
    pub(crate) fn root_text(&self) -> String {
        STANDARD.encode(self.checkpoint.checkpoint.root)
    }
}

/// Reads the checkpoints that announce keys, by their sizes. What is no checkpoint is left out.
fn rotations(disk: &dyn Disk) -> io::Result<Vec<(u64, SignedCheckpoint)>> {
    let mut found = BTreeMap::new();
    for listed in disk.list(&[OWN_FOLDER, LOG_FOLDER, ROTATIONS_FOLDER])? {
        let path = [OWN_FOLDER, LOG_FOLDER, ROTATIONS_FOLDER, &*listed.name];
        let note = home_text(disk, &path, NOTE_BYTES_MAX)?.and_then(|note| SignedCheckpoint::parse(&note));
        if let (Ok(size), Some(note)) = (listed.name.parse::<u64>(), note)
            && note.checkpoint.size == size
        {
            found.insert(size, note);
        }
    }
    Ok(found.into_iter().collect())
}

/// Follows the announced keys from the first one to the one that has signed the checkpoint. Returns them all and the
/// checkpoints that announced them; `None` if they do not lead there.
///
/// Whether the announcing checkpoints are of this log is checked after the entries were read.
fn accepted_keys(
    disk: &dyn Disk,
    first: &VerifierKey,
    newest: &SignedCheckpoint,
) -> io::Result<Option<(Vec<VerifierKey>, Vec<Checkpoint>)>> {
    let (mut accepted, mut followed) = (vec![first.clone()], Vec::new());
    let mut trusted = first.clone();
    for (size, note) in rotations(disk)? {
        if size == 0 || size > newest.checkpoint.size || !note.is_signed_by(&trusted) {
            continue;
        }
        let Ok(last) = entry(disk, size - 1) else { continue };
        if let Some(Record::Event(LogEvent { what: What::Key { key, lost: false }, .. })) = Record::decode(&last)
            && *key != trusted
            && note.is_signed_by(&key)
        {
            trusted = *key;
            accepted.push(trusted.clone());
            followed.push(note.checkpoint);
        }
    }
    Ok(newest.is_signed_by(&trusted).then_some((accepted, followed)))
}
