//! The redaction engine: built once and shared. It finds secrets in texts and replaces them with marks.

use std::borrow::Cow;
use std::sync::LazyLock;

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

/// Maximum number of passes over a text. Each pass leaves less for the next one to find, because marks are never
/// searched.
const PASSES_MAX: usize = 4;

/// Layers of base64 that are decoded. A secret in a manifest may contain credentials that are encoded once more.
const ENCODINGS_MAX: usize = 2;

/// Bytes of a sent text that are searched for secrets that a message about it may quote. Messages quote its beginning.
const SENT_MAX: usize = 64 * 1024;

/// Finds secrets and replaces them with marks.
#[derive(Debug)]
pub struct Redactor {
    key: Option<RedactionKey>,
    /// Its tables take a millisecond to build, so they are built when the first text is looked at.
    pub(in crate::redact) matcher: LazyLock<Matcher>,
    off: bool,
    own: Own,
    plain_keys: CleanCache,
    clean_names: CleanCache,
}

impl Redactor {
    /// Builds an engine. With a key, the mark of a random token carries a tag, so that equal tokens can be recognised.
    #[must_use]
    pub fn new(key: Option<RedactionKey>) -> Self {
        Self {
            key,
            matcher: LazyLock::new(Matcher::new),
            off: false,
            own: Own::default(),
            plain_keys: CleanCache::default(),
            clean_names: CleanCache::default(),
        }
    }

    /// Builds an engine like [`Redactor::new`], with additional rules.
    #[must_use]
    pub fn with(key: Option<RedactionKey>, rules: &RedactionRules) -> Self {
        Self { own: Own::new(rules), ..Self::new(key) }
    }

    /// Builds an engine that finds nothing. Only for the benchmark, which measures the cost of redaction by comparison.
    #[doc(hidden)]
    #[must_use]
    pub fn off() -> Self {
        Self { off: true, ..Self::new(None) }
    }

    /// Returns whether redaction is off.
    pub(in crate::redact) fn is_off(&self) -> bool {
        self.off
    }

    /// Builds an engine that looks at every byte. Tests compare the fast prefilter with it.
    #[cfg(test)]
    pub(crate) fn thorough(key: Option<RedactionKey>) -> Self {
        let thorough = || {
            let mut matcher = Matcher::new();
            matcher.prefilter.look_everywhere();
            matcher
        };
        Self { matcher: LazyLock::new(thorough), ..Self::new(key) }
    }

    /// Returns the text with marks instead of secrets; borrowed if there are none.
    #[must_use]
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.redact_until_stable(text, false, &mut FoundSecrets::default())
    }

    /// Returns the first `chars_max` characters of a text without secrets, for a message that quotes what was sent.
    /// Secrets that only `sent` makes recognisable, such as a password after its name, are hidden in the message too.
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

    /// Redacts a window in place. A secret that the end of the window cuts is hidden up to the end.
    pub(in crate::redact) fn seen(&self, seen: &mut WindowedText, found: &mut FoundSecrets) {
        if let Cow::Owned(text) = self.redact_until_stable(&seen.text, seen.cut, found) {
            seen.text = text;
        }
    }

    /// Returns sixteen hexadecimal digits that replace an id whose text is secret.
    pub(crate) fn keyed_hash(&self, id: &str) -> String {
        tag::digest(self.key.as_ref(), id)
    }

    /// Returns the mark for a secret, and adds the secret to `found`.
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

    /// Returns the mark for a secret as it is written in a text. The tag is computed from the secret without terminal
    /// colours and escapes.
    fn mark_of(&self, hit: Hit, written: &str, found: &mut FoundSecrets) -> String {
        let plain = if hit.tagged { escapes::undone(written) } else { Cow::Borrowed(written) };
        let mark = self.mark(hit.rule, hit.tagged, &plain, found);
        if let Cow::Owned(_) = plain {
            found.add(written, &mark);
        }
        mark
    }

    /// Replaces passwords in a list of arguments with marks.
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

    /// Repeats passes until one changes nothing, so that redacting again changes nothing. At most `PASSES_MAX` passes.
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

    /// Returns whether redaction leaves a text unchanged.
    pub(in crate::redact) fn is_clean(&self, text: &str, cut: bool, candidates: &mut Vec<Candidate>) -> bool {
        self.off
            || self.hits(text, cut, candidates).is_empty()
            || self.pass(text, cut, &mut FoundSecrets::default()).is_none()
    }

    /// Returns whether redaction leaves a name unchanged. The result is cached, because the same names, such as those
    /// of tools, occur in many calls.
    pub(in crate::redact) fn is_clean_name(&self, seen: &WindowedText, candidates: &mut Vec<Candidate>) -> bool {
        let mut is_clean = || self.is_clean(&seen.text, seen.cut, candidates);
        if seen.cut { is_clean() } else { self.clean_names.holds_or(&seen.text, is_clean) }
    }

    /// Returns whether a key does not suggest that its value is secret, and redaction leaves the key unchanged.
    pub(in crate::redact) fn is_plain_key(&self, key: &str, candidates: &mut Vec<Candidate>) -> bool {
        self.off
            || self.plain_keys.holds_or(key, || {
                let (named, vendors) = self.key(key);
                named.is_none() && vendors.is_empty() && self.is_clean(key, false, candidates)
            })
    }

    /// Returns all secrets in a text as received and after each level of escapes is decoded.
    fn hits(&self, text: &str, cut: bool, candidates: &mut Vec<Candidate>) -> Vec<Hit> {
        let mut hits = Vec::new();
        let mut plain = if escapes::has_colours(text) { Plain::of(text) } else { None };
        // If the text has no escapes but colours, the scan of the text without colours is enough.
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

    /// Returns the secrets in a text without decoding escapes. At most `encodings` layers of base64 are decoded.
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

    /// Returns the additional rule that matches the key of a member.
    pub(in crate::redact) fn own_key(&self, key: &str) -> Option<&'static str> {
        self.own.key(key)
    }

    /// Returns whether a rule is one of the additional rules.
    pub(in crate::redact) fn own_rule(&self, rule: &str) -> bool {
        self.own.names(rule)
    }

    fn pass(&self, text: &str, cut: bool, found: &mut FoundSecrets) -> Option<String> {
        let mut hits = self.hits(text, cut, &mut Vec::new());
        if hits.is_empty() {
            return None;
        }
        // Among hits with the same start, a tagged hit comes first, then the longer one.
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

/// Maps a hit in a decoded text back to the original text, whose length is `bytes`. A hit that ends at the cut end of
/// the decoded text extends to the end of the original.
fn placed(hit: Hit, levels: &[&Plain], bytes: usize, cut: bool) -> Option<Hit> {
    let open = cut && levels.last().is_some_and(|last| hit.end == last.text.len());
    let span = levels.iter().rev().try_fold(hit.start..hit.end, |part, level| level.span(part))?;
    Some(Hit { start: span.start, end: if open { bytes } else { span.end }, ..hit })
}
