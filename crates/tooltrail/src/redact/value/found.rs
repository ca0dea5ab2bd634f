//! The secrets found in one call, so that each of them is hidden everywhere in that call.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use crate::redact::marks::marks;
use crate::redact::rules::benign::{is_benign, is_place};
use crate::redact::{Tree, WindowedText};

/// Maximum secrets of one call that are remembered. A call rarely contains more than a few.
const SECRETS_MAX: usize = 32;
/// Minimum and maximum bytes of a secret that is remembered. A shorter one may occur elsewhere by chance.
const BYTES: (usize, usize) = (8, 4_096);
/// Minimum bytes of a remembered secret that consists of letters only. A shorter one may be an ordinary word.
const LETTERS_MIN: usize = 16;

/// The secrets found so far, each with its mark.
#[derive(Debug, Default)]
pub(in crate::redact) struct FoundSecrets {
    secrets: Vec<(String, String)>,
}

impl FoundSecrets {
    /// Remembers a secret, unless it could be an ordinary word, a path or a harmless value.
    pub(in crate::redact) fn add(&mut self, secret: &str, mark: &str) {
        let letters = secret.bytes().all(|b| b.is_ascii_alphabetic() || b == b' ');
        let fits = (BYTES.0..=BYTES.1).contains(&secret.len()) && (!letters || secret.len() >= LETTERS_MIN);
        if fits && self.secrets.len() < SECRETS_MAX && !is_place(secret) && !is_benign(secret) {
            self.secrets.push((secret.to_owned(), mark.to_owned()));
        }
    }

    /// Returns the sweeper that hides these secrets in other texts, or `None` if there are none.
    pub(in crate::redact) fn sweeper(self) -> Option<Sweeper> {
        if self.secrets.is_empty() {
            return None;
        }
        let texts = self.secrets.iter().map(|(secret, _)| secret);
        // This kind is built in linear time with little memory. It is used for one call only.
        let kind = Some(AhoCorasickKind::ContiguousNFA);
        let word_index = AhoCorasick::builder().kind(kind).match_kind(MatchKind::LeftmostLongest).build(texts).ok()?;
        Some(Sweeper { word_index, marks: self.secrets.into_iter().map(|(_, mark)| mark).collect() })
    }
}

/// Hides known secrets where they occur byte for byte.
#[derive(Debug)]
pub(in crate::redact) struct Sweeper {
    word_index: AhoCorasick,
    marks: Vec<String>,
}

impl Sweeper {
    /// Hides the secrets in every string and key of a value.
    pub(in crate::redact) fn tree(&self, tree: &mut Tree) {
        match tree {
            Tree::String(seen) | Tree::Deep(seen) => self.seen(seen),
            Tree::Array(elements) => elements.iter_mut().for_each(|element| self.tree(element)),
            Tree::Object(members) => members.iter_mut().for_each(|(key, value)| {
                self.seen(key);
                self.tree(value);
            }),
            Tree::Null | Tree::Bool(_) | Tree::Number(_) => {}
        }
    }

    /// Hides the secrets in a text, but never inside a mark.
    pub(in crate::redact) fn seen(&self, seen: &mut WindowedText) {
        if !self.word_index.is_match(seen.text.as_str()) {
            return;
        }
        let text = std::mem::take(&mut seen.text);
        let mut marks = marks(&text).peekable();
        let (mut out, mut at) = (String::with_capacity(text.len()), 0);
        for found in self.word_index.find_iter(text.as_str()) {
            while marks.next_if(|mark| mark.1 <= found.start()).is_some() {}
            if marks.peek().is_some_and(|mark| mark.0 < found.end()) {
                continue;
            }
            out.push_str(&text[at..found.start()]);
            out.push_str(&self.marks[found.pattern().as_usize()]);
            at = found.end();
        }
        out.push_str(&text[at..]);
        seen.text = out;
    }
}
