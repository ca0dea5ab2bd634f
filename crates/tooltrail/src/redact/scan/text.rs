//! Scans free text: evaluates each candidate once, together with the text around it.

use crate::redact::marks::marks;
use crate::redact::rules::benign::is_random;
use crate::redact::rules::shapes::{PREFIXED, VENDORS};
use crate::redact::scan::assign;
use crate::redact::scan::boundaries::{VENDOR_NAME_MAX, floor, is_name, right};
use crate::redact::scan::cards;
use crate::redact::scan::codes;
use crate::redact::scan::commands;
use crate::redact::scan::encoded;
use crate::redact::scan::forms;
use crate::redact::scan::hit::{Hit, Lead, Trigger};
use crate::redact::scan::links;
use crate::redact::scan::matcher::Matcher;
use crate::redact::scan::prefilter::{Candidate, May};
use crate::redact::scan::typed;
use crate::redact::scan::world;

/// Bytes of a text in which a token form is matched.
const NEAR_MAX: usize = 8_192;

/// How far each kind of search has read, so that no part of a text is searched twice.
struct Reach {
    covered: Vec<usize>,
    named: usize,
    key: usize,
    key_unclosed: bool,
    key_end: bool,
    command: usize,
    manifest: usize,
    path: usize,
    wallet: bool,
}

/// Collects all possible secrets in a text, in no order. Returns what else the text may contain.
pub(in crate::redact) fn scan(
    matcher: &Matcher,
    text: &str,
    cut: bool,
    candidates: &mut Vec<Candidate>,
    hits: &mut Vec<Hit>,
) -> May {
    let may = matcher.prefilter.candidates(text, cut, candidates);
    if may.numbers {
        cards::cards(text, hits);
    }
    found(matcher, text, cut, candidates, hits);
    may
}

/// Evaluates each candidate.
fn found(matcher: &Matcher, text: &str, cut: bool, candidates: &[Candidate], hits: &mut Vec<Hit>) {
    if codes::may_be_seed(text) {
        codes::seeds(text, hits);
    }
    if candidates.is_empty() {
        return;
    }
    // Marks are searched only if a candidate says that one may begin.
    let marked = candidates.iter().any(|candidate| matches!(matcher.prefilter.open(*candidate).2, Trigger::Mark));
    let mut marks = marked.then(|| marks(text)).into_iter().flatten().peekable();
    let mut reach = Reach {
        covered: Vec::new(),
        named: 0,
        key: 0,
        key_unclosed: false,
        key_end: false,
        command: 0,
        manifest: 0,
        path: 0,
        wallet: false,
    };
    for candidate in candidates {
        let (start, end, trigger) = matcher.prefilter.open(*candidate);
        while marks.next_if(|mark| mark.1 <= start).is_some() {}
        // Words inside a mark are ignored.
        if marks.peek().is_some_and(|mark| mark.0 <= start && end <= mark.1) {
            continue;
        }
        match trigger {
            Trigger::Shape(index) => {
                if reach.covered.is_empty() {
                    reach.covered = vec![0; PREFIXED.len()];
                }
                if start >= reach.covered[index]
                    && let Some(hit) = token(matcher, text, index, start, cut)
                {
                    reach.covered[index] = hit.end;
                    hits.push(hit);
                }
            }
            Trigger::Vendor => hits.extend(vendor(matcher, text, start, end)),
            Trigger::Name if end > reach.named => {
                reach.named = right(text, end, is_name);
                hits.extend(typed::after(text, start, reach.named));
                hits.extend(commands::fed_by_name(text, start));
                if let Some(end) = assign::name(text, start, reach.named, cut, hits) {
                    reach.named = reach.named.max(end);
                }
            }
            Trigger::World => hits.extend(world::named(text, end)),
            Trigger::Name | Trigger::Mark => {}
            Trigger::Lead(lead) => follow(text, start, end, lead, &mut reach, hits),
        }
    }
}

/// Looks for the secret that a lead announces.
fn follow(text: &str, start: usize, end: usize, lead: Lead, reach: &mut Reach, hits: &mut Vec<Hit>) {
    match lead {
        Lead::Userinfo => hits.extend(links::userinfo(text, end)),
        Lead::Oracle => hits.extend(links::oracle(text, end)),
        Lead::PrivateKey => private_key(text, start, reach, hits),
        Lead::KeyEnd if !reach.key_end => {
            reach.key_end = true;
            hits.extend(encoded::key_end(text, start));
        }
        Lead::Scheme => {
            let until = right(text, end, |b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b));
            let value = &text[end..until];
            hits.extend(
                Hit::new(end, until, "authorization")
                    .when(value.len() >= 8 && (is_random(value) || value.ends_with('='))),
            );
        }
        Lead::Path if start >= reach.path => reach.path = links::path(text, end, hits),
        Lead::Parameter => hits.extend(links::parameter(text, end)),
        Lead::Code => match codes::code(text, start, end) {
            Some(hit) => hits.push(hit),
            None => {
                let _ = assign::name(text, start, right(text, end, is_name), false, hits);
            }
        },
        Lead::Purpose => hits.extend(codes::purpose(text, start)),
        Lead::Manifest if start >= reach.manifest => {
            reach.manifest = end + 256;
            forms::manifest(text, end, hits);
        }
        Lead::Assigned => hits.extend(forms::assigned(text, start, end)),
        Lead::Command(word) if start >= reach.command => {
            reach.command =
                commands::list(text, start, hits).unwrap_or_else(|| commands::arguments(text, start, end, word, hits))
        }
        Lead::Fed => hits.extend(commands::fed(text, start)),
        Lead::Pgpass => hits.extend(forms::pgpass(text, end)),
        Lead::Wifi => hits.extend(forms::wifi(text, end)),
        Lead::Identified => hits.extend(forms::identified(text, end)),
        Lead::Call => hits.extend(forms::call(text, end)),
        Lead::Hook if start >= reach.path => reach.path = links::hook(text, start, end, hits),
        Lead::Wallet if !reach.wallet => {
            reach.wallet = true;
            codes::seeds(text, hits);
        }
        Lead::Path | Lead::Hook | Lead::Manifest | Lead::Command(_) | Lead::KeyEnd | Lead::Wallet => {}
    }
}

fn private_key(text: &str, start: usize, reach: &mut Reach, hits: &mut Vec<Hit>) {
    if reach.key_unclosed || start < reach.key || !text[start..floor(text, start + 100)].contains("PRIVATE KEY") {
        return;
    }
    let close = text[start + 10..].find("-----END").map(|at| start + 10 + at + 8);
    let close = close.and_then(|at| {
        let key = text[at..].find("KEY")?;
        Some(right(text, at + key + 3, |b| b == b'-' || b.is_ascii_uppercase() || b == b' '))
    });
    reach.key_unclosed = close.is_none();
    reach.key = close.unwrap_or(text.len());
    hits.push(Hit::new(start, reach.key, "private-key"));
}

fn token(matcher: &Matcher, text: &str, index: usize, at: usize, cut: bool) -> Option<Hit> {
    let shape = &PREFIXED[index];
    let start = at.checked_sub(shape.inner.map_or(0, |(_, before)| before))?;
    if !text.is_char_boundary(start) || is_glued(&text.as_bytes()[..start]) {
        return None;
    }
    let near = &text[start..floor(text, start + NEAR_MAX)];
    let end = match matcher.matches(index, shape, near) {
        Some(length) => right(text, start + length, |b| b.is_ascii_alphanumeric() || b == b'_'),
        // A token that was cut at the end of the text. Its literal must have at least four bytes and the same case.
        None if cut
            && shape.triggers().iter().any(|word| word.len() >= 4 && near.starts_with(word.as_str()))
            && right(text, start, |b| b.is_ascii_graphic() && !b"\"'`<>".contains(&b)) == text.len() =>
        {
            text.len()
        }
        None => return None,
    };
    Some(Hit { start, end, rule: shape.rule, tagged: shape.tagged })
}

/// Returns whether the letter or digit before a token makes it the rest of a longer word. The end of an escape does
/// not: `\n`, `%22`.
fn is_glued(before: &[u8]) -> bool {
    let escaped =
        before.len() > 1 && before[before.len() - 2] == b'\\' || before.len() > 2 && before[before.len() - 3] == b'%';
    before.last().is_some_and(u8::is_ascii_alphanumeric) && !escaped
}

fn vendor(matcher: &Matcher, text: &str, from: usize, at: usize) -> Option<Hit> {
    let word = text[from..at].to_ascii_lowercase();
    let bytes = text.as_bytes();
    let name_end = right(text, at, |b| is_name(b) || matches!(b, b' ' | b'\t' | b'.'));
    if name_end - at > VENDOR_NAME_MAX {
        return None;
    }
    let quoted = right(text, name_end, |b| b"'\"`\\ ".contains(&b));
    let separated = right(text, quoted, |b| b"=>:|?,".contains(&b));
    if separated == quoted || separated - quoted > 5 || quoted - name_end > 6 {
        return None;
    }
    let start = right(text, separated, |b| b"'\"`\\ =\t".contains(&b));
    let near = &text[start..floor(text, start + 512)];
    VENDORS.iter().enumerate().filter(|(_, shape)| shape.words.contains(&word.as_str())).find_map(|(index, shape)| {
        let end = start + matcher.matches(PREFIXED.len() + index, shape, near)?;
        let ends = bytes.get(end).is_none_or(|b| !b.is_ascii_alphanumeric() && *b != b'-' && *b != b'_');
        ends.then_some(Hit { start, end, rule: shape.rule, tagged: false })
    })
}
