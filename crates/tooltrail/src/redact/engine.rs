//! The engine: built once, shared; it finds secrets in texts and trees and puts marks in their place.

use std::borrow::Cow;
use std::sync::OnceLock;

use aho_corasick::AhoCorasick;
use regex::Regex;

use super::benign::is_benign;
use super::marks::marks;
use super::names::{self, Name};
use super::shapes::{PREFIXED, Shape, VENDORS};
use super::tag::{self, RedactionKey};
use super::{Seen, Tree};

/// Passes after which a text counts as settled: marks only shorten what a further pass could find.
const PASSES_MAX: usize = 4;

/// Where a secret stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) rule: &'static str,
    pub(super) tagged: bool,
}

/// Why a place in a text is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) enum Trigger {
    Shape(usize),
    Vendor,
    Name,
    Text(&'static str),
}

/// Finds secrets and puts marks in their place.
#[derive(Debug)]
pub struct Redactor {
    key: Option<RedactionKey>,
    pub(super) finder: Option<AhoCorasick>,
    pub(super) triggers: Vec<Trigger>,
    forms: Vec<OnceLock<Option<Regex>>>,
}

impl Redactor {
    /// Builds an engine; with a key, marks of random tokens carry a tag by which equal ones can be told.
    #[must_use]
    pub fn new(key: Option<RedactionKey>) -> Self {
        let (mut words, mut triggers) = (Vec::new(), Vec::new());
        let mut add = |word: String, trigger| {
            words.push(word);
            triggers.push(trigger);
        };
        for (index, shape) in PREFIXED.iter().enumerate() {
            shape.triggers().into_iter().for_each(|word| add(word, Trigger::Shape(index)));
        }
        let mut vendors: Vec<&str> = VENDORS.iter().flat_map(|shape| shape.words).copied().collect();
        vendors.sort_unstable();
        vendors.dedup();
        vendors.iter().for_each(|word| add((*word).to_owned(), Trigger::Vendor));
        names::TRIGGERS.iter().for_each(|word| add((*word).to_owned(), Trigger::Name));
        super::text::TRIGGERS.iter().for_each(|word| add((*word).to_owned(), Trigger::Text(word)));
        let finder = AhoCorasick::builder().ascii_case_insensitive(true).build(&words).ok();
        let forms = PREFIXED.iter().chain(VENDORS).map(|_| OnceLock::new()).collect();
        Self { key, finder, triggers, forms }
    }

    /// The text with marks in place of secrets; borrowed where there are none.
    #[must_use]
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.settle(text, false)
    }

    /// Redacts a window in place; a secret still open at its cut end is redacted to the end.
    pub(crate) fn seen(&self, seen: &mut Seen) {
        if let Cow::Owned(text) = self.settle(&seen.text, seen.cut) {
            seen.text = text;
        }
    }

    /// Redacts every string and key of a value, and all within a member whose name is secret.
    pub(crate) fn tree(&self, tree: &mut Tree) {
        match tree {
            Tree::String(seen) | Tree::Deep(seen) => self.seen(seen),
            Tree::Array(elements) => elements.iter_mut().for_each(|element| self.tree(element)),
            Tree::Object(members) => self.members(members),
            Tree::Null | Tree::Bool(_) | Tree::Number(_) => {}
        }
    }

    /// Sixteen hexadecimal digits that stand for an id whose text is secret.
    pub(crate) fn keyed_hash(&self, id: &str) -> String {
        tag::digest(self.key.as_ref(), id)
    }

    fn members(&self, members: &mut [(Seen, Tree)]) {
        // `{"name": "Authorization", "value": "…"}`: the name stands beside the value.
        let beside = members.iter().find_map(|(key, value)| match value {
            Tree::String(name) if matches!(key.text.as_str(), "name" | "key" | "header" | "field") => {
                names::judge(&name.text)
            }
            _ => None,
        });
        for (key, value) in members {
            let own = names::judge(&key.text);
            let named = own.or(beside.filter(|_| matches!(key.text.as_str(), "value" | "val" | "content")));
            match named {
                Some(name) => self.under(&key.text, name, value),
                None => self.tree_beside(&key.text, value),
            }
            self.seen(key);
        }
    }

    /// A value under a name that is not secret in itself but may hold a vendor's word.
    fn tree_beside(&self, name: &str, value: &mut Tree) {
        match value {
            Tree::String(seen) => match self.vendor_of(name, &seen.text) {
                Some(rule) => seen.text = tag::mark(self.key.as_ref(), rule, false, &seen.text),
                None => self.seen(seen),
            },
            _ => self.tree(value),
        }
    }

    fn vendor_of(&self, name: &str, value: &str) -> Option<&'static str> {
        let name = name.to_ascii_lowercase();
        VENDORS.iter().enumerate().find_map(|(index, shape)| {
            let near = shape.words.iter().any(|word| name.contains(word));
            (near && self.matches(PREFIXED.len() + index, shape, value)? == value.len()).then_some(shape.rule)
        })
    }

    fn under(&self, key: &str, name: Name, value: &mut Tree) {
        match (value, name) {
            (Tree::Array(elements), Name::Strong(_)) => elements.iter_mut().for_each(|e| self.under(key, name, e)),
            (Tree::Object(members), Name::Strong(_)) => members.iter_mut().for_each(|(inner, e)| {
                self.seen(inner);
                self.under(key, name, e);
            }),
            (value @ Tree::Number(_), Name::Strong(rule)) => {
                let text = tag::mark(self.key.as_ref(), rule, false, "");
                *value = Tree::String(Seen { chars: text.len() as u64, text, cut: false });
            }
            (Tree::String(seen) | Tree::Deep(seen), _) => {
                let line = format!("{key}: \"{}\"", seen.text);
                let before = line.len() - seen.text.len() - 1;
                let found = super::text::value(&seen.text, name);
                self.seen(seen);
                if let (Some(hit), true) = (found, line.is_char_boundary(before)) {
                    // The token's own rule says more than the name, if it covers the whole value.
                    let whole = marks(&seen.text).next() == Some((0, seen.text.len()));
                    if !whole {
                        let original = &line[before..line.len() - 1];
                        let mark = tag::mark(self.key.as_ref(), hit.rule, false, "");
                        seen.text = format!("{}{mark}{}", &original[..hit.start], &original[hit.end..]);
                    }
                }
            }
            (value, _) => self.tree(value),
        }
    }

    /// Repeats until a pass changes nothing, so that redacting again changes nothing.
    fn settle<'a>(&self, text: &'a str, cut: bool) -> Cow<'a, str> {
        let mut settled = Cow::Borrowed(text);
        for _ in 0..PASSES_MAX {
            match self.pass(&settled, cut) {
                Some(next) => settled = Cow::Owned(next),
                None => break,
            }
        }
        settled
    }

    fn pass(&self, text: &str, cut: bool) -> Option<String> {
        let mut hits = super::text::scan(self, text, cut);
        hits.retain(|hit| hit.start < hit.end && !is_benign(&text[hit.start..hit.end]));
        if hits.is_empty() {
            return None;
        }
        // Of hits that begin together the tagged and longer one says most.
        hits.sort_by_key(|hit| (hit.start, !hit.tagged, std::cmp::Reverse(hit.end)));
        let marks = marks(text).collect::<Vec<_>>();
        let (mut out, mut at, mut changed) = (String::with_capacity(text.len()), 0, false);
        let mut mark = 0;
        for hit in hits {
            let mut start = hit.start.max(at);
            while start < hit.end {
                while marks.get(mark).is_some_and(|m| m.1 <= start) {
                    mark += 1;
                }
                let next = marks.get(mark).copied().unwrap_or((text.len(), text.len()));
                if next.0 <= start && next.1 > start {
                    start = next.1;
                    continue;
                }
                let end = hit.end.min(next.0);
                out.push_str(&text[at..start]);
                out.push_str(&tag::mark(self.key.as_ref(), hit.rule, hit.tagged, &text[start..end]));
                (at, start, changed) = (end, end, true);
            }
        }
        out.push_str(&text[at..]);
        changed.then_some(out)
    }

    /// Where a form that begins with the text ends, if its token is random enough.
    pub(super) fn matches(&self, form: usize, shape: &Shape, text: &str) -> Option<usize> {
        let form = self.forms.get(form)?.get_or_init(|| Regex::new(&shape.pattern()).ok()).as_ref()?;
        let end = form.find(text)?.end();
        (super::benign::entropy(&text[..end]) > shape.entropy).then_some(end)
    }
}
