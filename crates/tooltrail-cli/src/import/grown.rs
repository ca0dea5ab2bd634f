//! Recognises a file that has grown since an earlier import: a prefix of it has the hash of the earlier content.

use sha2::{Digest as _, Sha256};

use tooltrail::hex;

/// The content of a file that was imported before.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Earlier {
    /// Its length in bytes.
    pub(crate) bytes: u64,
    /// Its SHA-256 in hex.
    pub(crate) content: String,
    /// True if all of it was stored, false if the import was cut short.
    pub(crate) finished: bool,
}

/// Hashes a content while it is read, and finds the prefixes of it that were imported before.
#[derive(Debug, Default)]
pub(crate) struct Hashed {
    hash: Sha256,
    bytes: u64,
    /// The earlier contents that may still be found as a prefix, the shortest last.
    earlier: Vec<Earlier>,
    known: u64,
    cut: Option<(u64, [u8; 32])>,
}

impl Hashed {
    /// Sets the contents that were imported before.
    pub(crate) fn set_earlier(&mut self, mut earlier: Vec<Earlier>) {
        earlier.sort_by(|a, b| b.cmp(a));
        self.earlier = earlier;
    }

    /// Hashes the next bytes, and checks whether an earlier content ends within them.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(next) = self.earlier.last() {
            let Some(until) = next.bytes.checked_sub(self.bytes).filter(|until| *until <= rest.len() as u64) else {
                break;
            };
            let (head, tail) = rest.split_at(usize::try_from(until).unwrap_or(rest.len()));
            self.hash.update(head);
            (rest, self.bytes) = (tail, self.bytes + until);
            let so_far = <[u8; 32]>::from(self.hash.clone().finalize());
            // Several earlier contents may have the same length.
            while let Some(earlier) = self.earlier.pop_if(|earlier| earlier.bytes == self.bytes) {
                if earlier.content != hex(&so_far) {
                    continue;
                }
                if earlier.finished { self.known = earlier.bytes } else { self.cut = Some((earlier.bytes, so_far)) }
            }
        }
        self.hash.update(rest);
        self.bytes += rest.len() as u64;
    }

    /// Returns the length in bytes of the longest prefix that was completely imported before, 0 if there is none.
    pub(crate) fn known(&self) -> u64 {
        self.known
    }

    /// Returns the length in bytes and the hash of the longest prefix whose import was cut short.
    pub(crate) fn cut(&self) -> Option<(u64, [u8; 32])> {
        self.cut
    }

    /// Returns the hash of the complete content, and its length in bytes.
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
        let earlier =
            |text: &[u8]| Earlier { bytes: text.len() as u64, content: hex(&Sha256::digest(text)), finished: true };
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
                assert_eq!((hashed.known(), hashed.cut()), (expected, None), "{step}");
                assert_eq!(hashed.finish(), (Sha256::digest(content).into(), 14));
            }
        }
        let cut = Earlier { finished: false, ..earlier(b"one\ntwo\n") };
        let mut hashed = Hashed::default();
        hashed.set_earlier(vec![cut, earlier(b"one\n")]);
        hashed.update(content);
        assert_eq!((hashed.known(), hashed.cut()), (4, Some((8, Sha256::digest(b"one\ntwo\n").into()))));
    }
}
