//! A file that was imported before and has grown: its content begins with one that is remembered.

use sha2::{Digest as _, Sha256};

use crate::import::run::hex;

/// The hash of a content that is read, and how much of it was imported before as the whole of another content.
#[derive(Debug, Default)]
pub(crate) struct Hashed {
    hash: Sha256,
    bytes: u64,
    /// Contents that were imported before, by their bytes and hashes in hex, the shortest last.
    earlier: Vec<(u64, String)>,
    known: u64,
}

impl Hashed {
    /// Says which contents were imported before, by their bytes and hashes.
    pub(crate) fn set_earlier(&mut self, mut earlier: Vec<(u64, String)>) {
        earlier.sort_by(|a, b| b.cmp(a));
        self.earlier = earlier;
    }

    /// Takes the next bytes, and looks whether an earlier content ends among them.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((length, _)) = self.earlier.last() {
            let Some(until) = length.checked_sub(self.bytes).filter(|until| *until <= rest.len() as u64) else { break };
            let (head, tail) = rest.split_at(usize::try_from(until).unwrap_or(rest.len()));
            self.hash.update(head);
            (rest, self.bytes) = (tail, self.bytes + until);
            let so_far = hex(&self.hash.clone().finalize());
            // Several may have one length.
            while let Some((length, content)) = self.earlier.pop_if(|(length, _)| *length == self.bytes) {
                if content == so_far {
                    self.known = length;
                }
            }
        }
        self.hash.update(rest);
        self.bytes += rest.len() as u64;
    }

    /// Returns how many of the bytes so far were imported before.
    pub(crate) fn known(&self) -> u64 {
        self.known
    }

    /// Returns the hash of the whole, and its bytes.
    pub(crate) fn finish(self) -> ([u8; 32], u64) {
        (self.hash.finalize().into(), self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_known_beginning_is_found_however_the_bytes_come() {
        let content = b"one\ntwo\nthree\n";
        let earlier = |text: &[u8]| (text.len() as u64, hex(&Sha256::digest(text)));
        for (known, expected) in [
            (vec![], 0),
            (vec![earlier(b"one\n")], 4),
            (vec![earlier(b"one")], 3),
            (vec![earlier(b"one\ntwo\n"), earlier(b"one\n"), earlier(b"two\n"), earlier(b"xne\n")], 8),
            (vec![earlier(b"one\ntwo\nthree\nfour\n"), earlier(b"ONE\n")], 0),
            (vec![earlier(content)], 14),
        ] {
            for step in 1..=content.len() {
                let mut hashed = Hashed::default();
                hashed.set_earlier(known.clone());
                content.chunks(step).for_each(|bytes| hashed.update(bytes));
                assert_eq!(hashed.known(), expected, "{step}");
                assert_eq!(hashed.finish(), (Sha256::digest(content).into(), 14));
            }
        }
    }
}
