//! Signed notes and their keys, as in <https://c2sp.org/signed-note>, and cosignatures of witnesses, as in
//! <https://c2sp.org/tlog-cosignature>.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

/// The most bytes of a note: 16 signatures of 5 kB, as for ML-DSA, with some room.
pub const NOTE_BYTES_MAX: usize = 128 * 1024;

/// The most signature lines of a note.
const SIGNATURES_MAX: usize = 64;

/// The begin of a signature line.
const DASH: &str = "\u{2014} ";

/// What a key signs, and its number in the key's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum KeyKind {
    /// The text of notes: Ed25519, `0x01`.
    Log,
    /// Checkpoints that a witness has seen, with a time: Ed25519, `0x04`.
    Witness,
}

impl KeyKind {
    const fn number(self) -> u8 {
        match self {
            Self::Log => 1,
            Self::Witness => 4,
        }
    }
}

/// A public key with its name. Its text form is `NAME+ID+KEY`, called a verifier key.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    kind: KeyKind,
    key: VerifyingKey,
}

impl VerifierKey {
    /// Reads a verifier key from its text form.
    ///
    /// ```
    /// let key = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    /// assert_eq!(tooltrail::seal::VerifierKey::parse(key).unwrap().name(), "example.com/foo");
    /// ```
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '+');
        let (name, id, key) = (parts.next()?, parts.next()?, parts.next()?);
        let key = STANDARD.decode(key).ok()?;
        let kind = match key.first()? {
            1 => KeyKind::Log,
            4 => KeyKind::Witness,
            _ => return None,
        };
        let key = VerifyingKey::from_bytes(key[1..].try_into().ok()?).ok()?;
        let key = Self { name: name.to_owned(), kind, key };
        (is_key_name(name) && id == format!("{:08x}", key.id())).then_some(key)
    }

    /// Returns the key's name. For a log it is the origin of its checkpoints.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns what the key signs.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Returns the same key under another name.
    #[cfg(test)]
    pub(crate) fn renamed(&self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self.clone() }
    }

    fn id(&self) -> u32 {
        key_id(&self.name, self.kind, self.key.as_bytes())
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[self.kind.number()], &self.key.as_bytes()[..]].concat();
        write!(f, "{}+{:08x}+{}", self.name, self.id(), STANDARD.encode(key))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({self})")
    }
}

/// A private key with its name. It is wiped from memory when it is dropped, and has no `Debug`.
#[expect(missing_debug_implementations, reason = "a secret is never printed")]
pub struct SignerKey {
    name: String,
    kind: KeyKind,
    key: SigningKey,
}

impl SignerKey {
    /// Returns the key of this seed.
    #[must_use]
    pub fn new(name: &str, kind: KeyKind, seed: &[u8; 32]) -> Self {
        Self { name: name.to_owned(), kind, key: SigningKey::from_bytes(seed) }
    }

    /// Returns the public key.
    #[must_use]
    pub fn verifier(&self) -> VerifierKey {
        VerifierKey { name: self.name.clone(), kind: self.kind, key: self.key.verifying_key() }
    }

    /// Returns the signature line for a note's text. A witness's signature includes `time_s`, in seconds since 1970.
    #[must_use]
    pub fn line(&self, text: &str, time_s: u64) -> String {
        let id = key_id(&self.name, self.kind, self.key.verifying_key().as_bytes()).to_be_bytes();
        let signature = self.key.sign(message(self.kind, text, time_s).as_bytes()).to_bytes();
        let bytes = match self.kind {
            KeyKind::Log => [&id[..], &signature[..]].concat(),
            KeyKind::Witness => [&id[..], &time_s.to_be_bytes()[..], &signature[..]].concat(),
        };
        format!("{DASH}{} {}\n", self.name, STANDARD.encode(bytes))
    }
}

/// A note that was taken apart. Its signatures are not checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct NoteSignature {
    name: String,
    id: u32,
    signature: Vec<u8>,
}

/// Whether a key has signed a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signed {
    /// It has; for a witness with the time, in seconds since 1970.
    Yes(u64),
    /// The note has no signature of this key.
    No,
    /// The note claims a signature of this key, which does not verify.
    Wrong,
}

impl Note {
    /// Takes a note apart: its text, which ends with a newline, an empty line and at least one signature line. Returns
    /// `None` if it has another form, more than 64 signatures or more than 128 KiB.
    #[must_use]
    pub fn parse(note: &str) -> Option<Self> {
        let is_control = |byte: u8| byte < 0x20 && byte != b'\n';
        if note.len() > NOTE_BYTES_MAX || note.bytes().any(is_control) {
            return None;
        }
        let end = note.rfind("\n\n")? + 1;
        let (text, signatures) = (&note[..end], note[end + 1..].strip_suffix('\n')?);
        let signatures = signatures.split('\n').map(NoteSignature::parse).collect::<Option<Vec<_>>>()?;
        (signatures.len() <= SIGNATURES_MAX).then(|| Self { text: text.to_owned(), signatures })
    }

    /// Returns the text, with its last newline.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the signature lines of these keys, for a note with fewer signatures.
    pub(crate) fn lines_of(&self, keys: &[&VerifierKey]) -> String {
        let is_of = |line: &&NoteSignature| keys.iter().any(|key| key.name == line.name && key.id() == line.id);
        let line = |line: &NoteSignature| {
            let bytes = [&line.id.to_be_bytes()[..], &line.signature].concat();
            format!("{DASH}{} {}\n", line.name, STANDARD.encode(bytes))
        };
        self.signatures.iter().filter(is_of).map(line).collect()
    }

    /// Returns the names of the keys of its signature lines, which may be wrong.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.signatures.iter().map(|line| &*line.name)
    }

    /// Whether this key has signed the note. If several lines are of this key, all must verify.
    pub(crate) fn signed_by(&self, key: &VerifierKey) -> Signed {
        let id = key.id();
        let mut signed = Signed::No;
        for line in self.signatures.iter().filter(|line| line.id == id && line.name == key.name) {
            match line.verify(&self.text, key) {
                Some(time_s) => signed = Signed::Yes(time_s),
                None => return Signed::Wrong,
            }
        }
        signed
    }
}

impl NoteSignature {
    fn parse(line: &str) -> Option<Self> {
        let (name, signature) = line.strip_prefix(DASH)?.split_once(' ')?;
        let bytes = STANDARD.decode(signature).ok()?;
        let (id, signature) = bytes.split_first_chunk::<4>().filter(|(_, signature)| !signature.is_empty())?;
        is_key_name(name).then(|| Self {
            name: name.to_owned(),
            id: u32::from_be_bytes(*id),
            signature: signature.to_vec(),
        })
    }

    /// Returns the time of a witness's signature, or 0, if the signature is right.
    fn verify(&self, text: &str, key: &VerifierKey) -> Option<u64> {
        let (time_s, signature) = match key.kind {
            KeyKind::Log => (0, &self.signature[..]),
            KeyKind::Witness => {
                let (time_s, signature) = self.signature.split_first_chunk::<8>()?;
                (u64::from_be_bytes(*time_s), signature)
            }
        };
        let signature = Signature::from_bytes(signature.try_into().ok()?);
        key.key.verify_strict(message(key.kind, text, time_s).as_bytes(), &signature).ok()?;
        (time_s <= i64::MAX.unsigned_abs()).then_some(time_s)
    }
}

/// What is signed.
fn message(kind: KeyKind, text: &str, time_s: u64) -> String {
    match kind {
        KeyKind::Log => text.to_owned(),
        KeyKind::Witness => format!("cosignature/v1\ntime {time_s}\n{text}"),
    }
}

fn key_id(name: &str, kind: KeyKind, key: &[u8; 32]) -> u32 {
    let hash: [u8; 32] =
        Sha256::new().chain_update(name).chain_update([b'\n', kind.number()]).chain_update(key).finalize().into();
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
}

/// Whether a key may have this name: not empty, without spaces and without a plus.
#[must_use]
pub fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c == '+' || c.is_whitespace() || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    const NOTE: &str = "This is an example message.\n\n\u{2014} example.com/foo \
        Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

    #[test]
    fn the_example_of_the_specification_verifies() {
        let key = VerifierKey::parse(KEY).unwrap();
        assert_eq!(key.to_string(), KEY);
        let note = Note::parse(NOTE).unwrap();
        assert_eq!(note.signed_by(&key), Signed::Yes(0));
        let changed = Note::parse(&NOTE.replace("example message", "exempla message")).unwrap();
        assert_eq!(changed.signed_by(&key), Signed::Wrong);
        assert_eq!(note.signed_by(&key.renamed("example.com/bar")), Signed::No);
        assert!(VerifierKey::parse(&KEY.replace("530d903a", "530d903b")).is_none());
        assert!(VerifierKey::parse(&KEY.replace("example.com/foo", "example.com/fop")).is_none());
    }

    #[test]
    fn what_signs_is_what_verifies() {
        for kind in [KeyKind::Log, KeyKind::Witness] {
            let (signer, other) = (SignerKey::new("a/b", kind, &[7; 32]), SignerKey::new("a/b", kind, &[8; 32]));
            let text = "origin\n12\nroot\n";
            let note = format!("{text}\n{}{}", other.line(text, 1), signer.line(text, 1_764_000_000));
            let note = Note::parse(&note).unwrap();
            let time_s = if kind == KeyKind::Log { 0 } else { 1_764_000_000 };
            assert_eq!(note.signed_by(&signer.verifier()), Signed::Yes(time_s));
            assert_eq!(VerifierKey::parse(&signer.verifier().to_string()), Some(signer.verifier()));
        }
    }

    #[test]
    fn other_forms_are_no_notes() {
        for (from, to) in [
            ("message.\n\n", "message.\n"),
            ("\u{2014}", "-"),
            ("aQM=\n", "aQM="),
            ("aQM=", "aQN="),
            ("message", "mess\u{7}age"),
            ("foo Uw2", "foo  Uw2"),
            (" Uw2QOkn8srV1", " Uw2QOkn8srV1\u{2003}"),
        ] {
            assert!(Note::parse(&NOTE.replace(from, to)).is_none(), "{from:?}");
        }
        assert!(Note::parse("").is_none() && Note::parse("\n\n").is_none());
        let many = NOTE.to_owned() + &NOTE[NOTE.find(DASH).unwrap()..].repeat(64);
        assert!(Note::parse(&many).is_none());
    }
}
