//! Checkpoints, as in <https://c2sp.org/tlog-checkpoint>: the origin, the size and the root of a log as a signed note.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::seal::note::{Note, Signed, SignerKey, VerifierKey};
use crate::seal::tree::{Hash, empty_root};

/// The size and root of a log at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub(crate) origin: String,
    pub(crate) size: u64,
    pub(crate) root: Hash,
}

/// A checkpoint with the note that it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignedCheckpoint {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) note: Note,
    /// The whole note as it was read.
    pub(crate) whole: String,
}

impl Checkpoint {
    /// Whether this is a smaller size of a log with the same origin.
    pub(crate) fn is_before(&self, other: &Self) -> bool {
        self.origin == other.origin && self.size < other.size
    }

    /// Returns the text of the note.
    pub(crate) fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    /// Returns the signed note.
    pub(crate) fn sign(&self, keys: &[&SignerKey]) -> String {
        let text = self.text();
        let lines = keys.iter().map(|key| key.line(&text, 0)).collect::<String>();
        format!("{text}\n{lines}")
    }

    /// Reads the text of a note: an origin, a size and a root, each on its line. With `extended`, more lines may follow.
    fn parse(text: &str, extended: bool, any_root: bool) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let is_plain =
            lines.next().is_none() || (extended && text.split('\n').rev().skip(1).all(|line| !line.is_empty()));
        let size = parse_number(size)?;
        let root = parse_hash(root)?;
        let is_sound = is_plain && !origin.is_empty() && (any_root || size > 0 || root == empty_root());
        is_sound.then(|| Self { origin: origin.to_owned(), size, root })
    }
}

impl SignedCheckpoint {
    /// Reads a checkpoint without extension lines. Its signatures are not checked yet.
    pub(crate) fn parse(whole: &str) -> Option<Self> {
        Self::parse_as(whole, false, false)
    }

    /// Reads a checkpoint of any log, which may have extension lines.
    pub(crate) fn parse_extended(whole: &str) -> Option<Self> {
        Self::parse_as(whole, true, false)
    }

    /// Like [`SignedCheckpoint::parse_extended`], also with a wrong root of an empty log, which a witness must tell from
    /// another form.
    pub(crate) fn parse_any_root(whole: &str) -> Option<Self> {
        Self::parse_as(whole, true, true)
    }

    fn parse_as(whole: &str, extended: bool, any_root: bool) -> Option<Self> {
        let note = Note::parse(whole)?;
        let checkpoint = Checkpoint::parse(note.text(), extended, any_root)?;
        Some(Self { checkpoint, note, whole: whole.to_owned() })
    }

    /// Whether this key has signed it.
    pub(crate) fn is_signed_by(&self, key: &VerifierKey) -> bool {
        matches!(self.note.signed_by(key), Signed::Yes(_))
    }
}

/// Reads a decimal number without leading zeroes.
pub(crate) fn parse_number(text: &str) -> Option<u64> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_plain = is_plain && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain)
}

/// Reads a hash in base64.
pub(crate) fn parse_hash(text: &str) -> Option<Hash> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::note::KeyKind;

    #[test]
    fn only_sound_checkpoints_are_read() {
        let key = SignerKey::new("tooltrail/x", KeyKind::Log, &[1; 32]);
        let checkpoint = Checkpoint { origin: "tooltrail/x".to_owned(), size: 12, root: [3; 32] };
        let note = checkpoint.sign(&[&key]);
        let read = SignedCheckpoint::parse(&note).unwrap();
        assert_eq!(read.checkpoint, checkpoint);
        assert!(read.is_signed_by(&key.verifier()));
        for (from, to) in [
            ("\n12\n", "\n012\n"),
            ("\n12\n", "\n+12\n"),
            ("\n12\n", "\n\n12\n"),
            ("\n12\n", "\n0\n"),
            ("\n12\n", "\n18446744073709551616\n"),
            ("tooltrail/x\n12", "\n12"),
            ("AwM=\n", "AwM\n"),
            ("AwM=\n", "AwM=\nmore\n"),
        ] {
            assert!(SignedCheckpoint::parse(&note.replacen(from, to, 1)).is_none(), "{from:?} {to:?}");
        }
        assert!(SignedCheckpoint::parse_extended(&note.replacen("AwM=\n", "AwM=\nmore\n", 1)).is_some());
        let empty = Checkpoint { size: 0, root: empty_root(), ..checkpoint };
        assert_eq!(SignedCheckpoint::parse(&empty.sign(&[&key])).unwrap().checkpoint, empty);
    }
}
