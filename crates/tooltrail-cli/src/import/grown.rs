//! A file that was imported before and has grown: its content begins with one that is remembered.

use sha2::{Digest as _, Sha256};

use tooltrail::hex;

/// A content that was imported before.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Earlier {
    /// How long it was.
    pub(crate) bytes: u64,
    /// Its SHA-256 in hex.
    pub(crate) content: String,
    /// Whether all of it was stored, or the import was cut short.
    pub(crate) finished: bool,
}

/// The hash of a content that is read, and how much of it was imported before as the whole of another content.
#[derive(Debug, Default)]
pub(crate) struct Hashed {
    hash: Sha256,
    bytes: u64,
    /// Contents that were imported before, the shortest last.
    earlier: Vec<Earlier>,
    known: u64,
    cut: Option<(u64, [u8; 32])>,
}

impl Hashed {
    /// Says which contents were imported before.
    pub(crate) fn set_earlier(&mut self, mut earlier: Vec<Earlier>) {
        earlier.sort_by(|a, b| b.cmp(a));
        self.earlier = earlier;
    }

    /// Takes the next bytes, and looks whether an earlier content ends among them.
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
            // Several may have one length.
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

    /// Returns how many of the bytes so far were imported before.
    pub(crate) fn known(&self) -> u64 {
        self.known
    }

    /// Returns how many of the bytes so far are a content whose import was cut short, and its hash: the longest of them.
    pub(crate) fn cut(&self) -> Option<(u64, [u8; 32])> {
        self.cut
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
