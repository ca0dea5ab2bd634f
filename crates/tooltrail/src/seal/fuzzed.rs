//! What must hold for any bytes that the readers of the proof get: nothing panics, and what was read is written again as
//! it stood.

use crate::seal::checkpoint::SignedCheckpoint;
use crate::seal::note::{KeyKind, Note, SignerKey};
use crate::seal::prove::Proof;
use crate::seal::public::Tile;
use crate::seal::record::Record;
use crate::seal::witness::Request;

/// A note: each of its signatures is right for at most the key that made it.
pub(crate) fn note(text: &str) {
    let signer = SignerKey::new("example.com/log", KeyKind::Log, &[1; 32]);
    if let Some(note) = Note::parse(text) {
        let _ = note.signed_by(&signer.verifier());
        let whole = format!("{}\n{}", note.text(), signer.line(note.text(), 0));
        assert!(Note::parse(&whole).is_some(), "a text that was signed once can be signed again");
    }
}

/// A checkpoint: its text is the only one with this content.
pub(crate) fn checkpoint(text: &str) {
    if let Some(read) = SignedCheckpoint::parse(text) {
        assert_eq!(read.checkpoint.text(), read.note.text());
    }
    let _ = SignedCheckpoint::parse_extended(text);
}

/// The path of a tile.
pub(crate) fn tile(path: &str) {
    let _ = Tile::parse(path);
}

/// A record of the log: what was read is written so that it is read as the same.
pub(crate) fn record(bytes: &[u8]) {
    if let Some(record) = Record::decode(bytes) {
        let again = record.encode();
        assert_eq!(Record::decode(&again).as_ref(), Some(&record));
        assert!(!matches!(record, Record::Head(_)) || again == bytes, "a head has one form");
    }
}

/// The proof of an entry.
pub(crate) fn proof(text: &str) {
    if let Some(proof) = Proof::parse(text) {
        assert_eq!(Proof::parse(&proof.encode()).as_ref(), Some(&proof));
        let key = SignerKey::new("example.com/log", KeyKind::Log, &[1; 32]).verifier();
        let _ = proof.check(&key);
    }
}

/// A request to a witness.
pub(crate) fn request(bytes: &[u8]) {
    let _ = Request::parse(bytes);
}
