//! The engine: built once, shared; it finds secrets in texts and puts marks in their place.

use std::borrow::Cow;

use crate::redact::WindowedText;
use crate::redact::marks::{mark_across, marks};
use crate::redact::rules::benign::is_benign;
use crate::redact::rules::own::{Own, RedactionRules};
use crate::redact::scan::commands;
use crate::redact::scan::encoded;
use crate::redact::scan::escapes::{self, LEVELS_MAX, Plain};
use crate::redact::scan::hit::Hit;
use crate::redact::scan::matcher::Matcher;
use crate::redact::scan::prefilter::{Candidate, May};
use crate::redact::scan::text;
use crate::redact::tag::{self, RedactionKey};
use crate::redact::value::clean_cache::CleanCache;
use crate::redact::value::found::FoundSecrets;

/// Passes after which a text counts as settled: marks only shorten what a further pass could find.
const PASSES_MAX: usize = 4;

/// Layers of base64 that are undone: a manifest's secret may hold credentials that are encoded once more.
const ENCODINGS_MAX: usize = 2;

/// Bytes of what was sent that are searched for what a message about it may quote: a message quotes its beginning.
const SENT_MAX: usize = 64 * 1024;

/// Finds secrets and puts marks in their place.
#[derive(Debug)]
pub struct Redactor {
    key: Option<RedactionKey>,
    pub(in crate::redact) matcher: Matcher,
    off: bool,
    own: Own,
    plain_keys: CleanCache,
    clean_names: CleanCache,
}

impl Redactor {
    /// Builds an engine; with a key, marks of random tokens carry a tag by which equal ones can be told.
    #[must_use]
    pub fn new(key: Option<RedactionKey>) -> Self {
        Self {
            key,
            matcher: Matcher::new(),
            off: false,
            own: Own::default(),
            plain_keys: CleanCache::default(),
            clean_names: CleanCache::default(),
        }
    }

    /// As [`Redactor::new`], with rules of one's own beside those that always hold.
    #[must_use]
    pub fn with(key: Option<RedactionKey>, rules: &RedactionRules) -> Self {
        Self { own: Own::new(rules), ..Self::new(key) }
    }

    /// An engine that finds nothing: what redaction costs is what a run without it saves. For the bench alone.
    #[doc(hidden)]
    #[must_use]
    pub fn off() -> Self {
        Self { off: true, ..Self::new(None) }
    }

    /// Whether nothing is looked for.
    pub(in crate::redact) fn is_off(&self) -> bool {
        self.off
    }

    /// An engine that looks at every byte, to hold the short way against it.
    #[cfg(test)]
    pub(crate) fn thorough(key: Option<RedactionKey>) -> Self {
        let mut redactor = Self::new(key);
        redactor.matcher.prefilter.look_everywhere();
        redactor
    }

    /// The text with marks in place of secrets; borrowed where there are none.
    #[must_use]
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.redact_until_stable(text, false, &mut FoundSecrets::default())
    }

    /// The first so many characters of a text without its secrets, for a message that quotes what was sent: a secret
    /// that is one only where it was sent, such as a password under its name, is hidden in the message, too.
    #[must_use]
    pub fn excerpt(&self, text: &str, sent: &[u8], chars_max: usize) -> String {
        let mut seen = WindowedText::copy(text, chars_max);
        let longer = seen.cut || seen.chars > chars_max as u64;
        let mut found = FoundSecrets::default();
        let _hidden =
            self.redact_until_stable(&String::from_utf8_lossy(&sent[..sent.len().min(SENT_MAX)]), false, &mut found);
        self.seen(&mut seen, &mut found);
        if let Some(sweeper) = found.sweeper() {
            sweeper.seen(&mut seen);
        }
        match seen.text.char_indices().nth(chars_max) {
            Some((at, _)) => format!("{}…", &seen.text[..mark_across(&seen.text, at).unwrap_or(at)]),
            None if longer => seen.text + "…",
            None => seen.text,
        }
    }

    /// Redacts a window in place; a secret still open at its cut end is redacted to the end.
    pub(in crate::redact) fn seen(&self, seen: &mut WindowedText, found: &mut FoundSecrets) {
        if let Cow::Owned(text) = self.redact_until_stable(&seen.text, seen.cut, found) {
            seen.text = text;
        }
    }

    /// Sixteen hexadecimal digits that stand for an id whose text is secret.
    pub(crate) fn keyed_hash(&self, id: &str) -> String {
        tag::digest(self.key.as_ref(), id)
    }

    /// The mark for a secret, which is remembered.
    pub(in crate::redact) fn mark(
        &self,
        rule: &'static str,
        tagged: bool,
        secret: &str,
        found: &mut FoundSecrets,
    ) -> String {
        let mark = tag::mark(self.key.as_ref(), rule, tagged, secret);
        found.add(secret, &mark);
        mark
    }

    /// The mark for a secret as it stands in a text. Its tag is that of the secret itself, without colours and escapes.
    fn mark_of(&self, hit: Hit, written: &str, found: &mut FoundSecrets) -> String {
        let plain = if hit.tagged { escapes::undone(written) } else { Cow::Borrowed(written) };
        let mark = self.mark(hit.rule, hit.tagged, &plain, found);
        if let Cow::Owned(_) = plain {
            found.add(written, &mark);
        }
        mark
    }

    /// Puts marks in place of passwords in a list of arguments.
    pub(in crate::redact) fn arguments(&self, arguments: &mut [&mut WindowedText], found: &mut FoundSecrets) {
        let texts: Vec<&str> = arguments.iter().map(|seen| seen.text.as_str()).collect();
        let hits = commands::listed(&texts);
        for (index, from, until) in hits {
            let text = &arguments[index].text;
            if let (Some(secret), false) = (text.get(from..until), is_benign(text.get(from..until).unwrap_or(""))) {
                let mark = self.mark("flag", false, secret, found);
                arguments[index].text = format!("{}{mark}{}", &text[..from], &text[until..]);
            }
        }
    }

    /// Repeats until a pass changes nothing, so that redacting again changes nothing.
    fn redact_until_stable<'a>(&self, text: &'a str, cut: bool, found: &mut FoundSecrets) -> Cow<'a, str> {
        let mut settled = Cow::Borrowed(text);
        if self.off {
            return settled;
        }
        for _ in 0..PASSES_MAX {
            match self.pass(&settled, cut, found) {
                Some(next) => settled = Cow::Owned(next),
                None => break,
            }
        }
        settled
    }

    /// Whether redaction leaves a text as it is.
    pub(in crate::redact) fn is_clean(&self, text: &str, cut: bool, candidates: &mut Vec<Candidate>) -> bool {
        self.off
            || self.hits(text, cut, candidates).is_empty()
            || self.pass(text, cut, &mut FoundSecrets::default()).is_none()
    }

    /// Whether redaction leaves a name as it is that stands in many calls, such as a tool's.
    pub(in crate::redact) fn is_clean_name(&self, seen: &WindowedText, candidates: &mut Vec<Candidate>) -> bool {
        let mut is_clean = || self.is_clean(&seen.text, seen.cut, candidates);
        if seen.cut { is_clean() } else { self.clean_names.holds_or(&seen.text, is_clean) }
    }

    /// Whether a key says nothing of its value, and redaction leaves it as it is.
    pub(in crate::redact) fn is_plain_key(&self, key: &str, candidates: &mut Vec<Candidate>) -> bool {
        self.off
            || self.plain_keys.holds_or(key, || {
                let (named, vendors) = self.key(key);
                named.is_none() && vendors.is_empty() && self.is_clean(key, false, candidates)
            })
    }

    /// All that is secret in a text as it came, and in what is left when its escapes are undone.
    fn hits(&self, text: &str, cut: bool, candidates: &mut Vec<Candidate>) -> Vec<Hit> {
        let mut hits = Vec::new();
        let mut plain = if escapes::has_colours(text) { Plain::of(text) } else { None };
        // A text without its colours says all that it says with them.
        if plain.as_ref().is_none_or(|plain| !plain.colours_alone) {
            let may;
            (hits, may) = self.level(text, cut, ENCODINGS_MAX, candidates);
            if may.escapes && plain.is_none() {
                plain = Plain::of(text);
            }
        }
        if plain.as_ref().is_some_and(|plain| plain.glues) {
            let parted = Plain::parted(text);
            let within = self.level(&parted.text, cut, ENCODINGS_MAX, candidates).0;
            hits.extend(within.into_iter().filter_map(|hit| placed(hit, &[&parted], text.len(), cut)));
        }
        let mut levels = Vec::new();
        while let Some(level) = plain.take().filter(|_| levels.len() < LEVELS_MAX) {
            levels.push(level);
            let Some(last) = levels.last() else { break };
            let within = self.level(&last.text, cut, ENCODINGS_MAX, candidates).0;
            plain = Plain::of(&last.text);
            let levels: Vec<&Plain> = levels.iter().collect();
            hits.extend(within.into_iter().filter_map(|hit| placed(hit, &levels, text.len(), cut)));
        }
        hits
    }

    /// What is secret in a text whose escapes stay; of base64 so many layers are undone.
    fn level(&self, text: &str, cut: bool, encodings: usize, candidates: &mut Vec<Candidate>) -> (Vec<Hit>, May) {
        let mut hits = Vec::new();
        let may = text::scan(&self.matcher, text, cut, candidates, &mut hits);
        hits.retain(|hit| hit.start < hit.end && !is_benign(&text[hit.start..hit.end]));
        self.own.hits(text, cut, &mut hits);
        if may.encoded && encodings > 0 {
            let mut rule =
                |inner: &str| self.level(inner, cut, encodings - 1, candidates).0.first().map(|hit| hit.rule);
            encoded::hidden(text, &mut rule, &mut hits);
        }
        (hits, may)
    }

    /// The rule of a member's key among those of whoever runs the recorder.
    pub(in crate::redact) fn own_key(&self, key: &str) -> Option<&'static str> {
        self.own.key(key)
    }

    /// Whether a rule is one of theirs.
    pub(in crate::redact) fn own_rule(&self, rule: &str) -> bool {
        self.own.names(rule)
    }

    fn pass(&self, text: &str, cut: bool, found: &mut FoundSecrets) -> Option<String> {
        let mut hits = self.hits(text, cut, &mut Vec::new());
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
                out.push_str(&self.mark_of(hit, &text[start..end], found));
                (at, start, changed) = (end, end, true);
            }
        }
        out.push_str(&text[at..]);
        changed.then_some(out)
    }
}

/// A hit in a text whose escapes were undone, where it stands in the first text, which has so many bytes.
fn placed(hit: Hit, levels: &[&Plain], bytes: usize, cut: bool) -> Option<Hit> {
    let open = cut && levels.last().is_some_and(|last| hit.end == last.text.len());
    let place = levels.iter().rev().try_fold(hit.start..hit.end, |part, level| level.place(part))?;
    Some(Hit { start: place.start, end: if open { bytes } else { place.end }, ..hit })
}
