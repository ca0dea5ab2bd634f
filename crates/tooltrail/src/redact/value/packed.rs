//! A call packed into a text buffer that many calls share. The caller copies each string once and allocates nothing per
//! call.

mod unpack;

use crate::call::{Call, DurationMs, Payload, Reason, Status};
use crate::clock::Timestamp;
use crate::home::UNKNOWN_USER;
use crate::limits::{CALL_BYTES_MAX, FIELD_CHARS_MAX, SNIPPET_CHARS_MAX, WINDOW_BEYOND};
use crate::redact::value::chars::{count_chars, end_of_chars};
use crate::redact::value::window::{hex_id, outside_via};

/// Maximum bytes of a packed field. A field of this size fits its window, whatever characters it has.
const FIELD_BYTES_MAX: usize = FIELD_CHARS_MAX + WINDOW_BEYOND;

/// Characters of a result in its window.
const RESULT_CHARS_MAX: usize = SNIPPET_CHARS_MAX + WINDOW_BEYOND;

/// Maximum bytes of a JSON result that is copied unread. A larger one is not packed: the caller's thread reads it and
/// copies only its window.
const JSON_BYTES_MAX: usize = 64 * 1024;

/// Number of the first strings: user, tool, args, result and error. Most calls have most of them.
const FIRST: usize = 5;

/// Number of the other strings, which few calls have.
const OTHERS: usize = 12;

/// Bits above those of the strings: the result was cut; the error text was cut; the call has an id; the result is JSON.
const RESULT_CUT: u32 = 1 << 28;
const ERROR_CUT: u32 = 1 << 29;
const HAS_ID: u32 = 1 << 30;
const IS_JSON: u32 = 1 << 31;

/// Maximum number of words that one call adds to the list of words.
pub(crate) const PACKED_WORDS_MAX: usize = HEAD_WORDS + OTHERS + 8;

/// Everything that packing a call needs, computed before a lock is taken.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    call: &'a Call,
    first: [Option<&'a str>; FIRST],
    /// The total characters of the result and of the error text, if they are cut.
    chars: [Option<u64>; 2],
    json: bool,
    bytes: usize,
    /// The number of other strings that the call has.
    others: usize,
}

/// A packed call: the offset of its words in a list of words. Its strings are in a text buffer.
///
/// It is small enough to be passed in a register. The words are written once and read once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packed(u32);

/// The words at the head of a packed call.
#[repr(usize)]
#[derive(Clone, Copy)]
enum Head {
    /// The offset of the strings in the text.
    At,
    /// One bit for each string and number that is present, in their order.
    Present,
    /// Status, via, reason and identity, one byte each: the index among all values, plus one if the value may be
    /// absent.
    Codes,
    TsHigh,
    TsLow,
    /// The lengths of the first strings; 0 for an absent string.
    Lens,
}

const HEAD_WORDS: usize = Head::Lens as usize + FIRST;

impl<'a> Plan<'a> {
    /// Returns the plan for a call, or `None` if the call cannot be packed because it has something that few calls
    /// have: a long field, cut arguments, other received members, a malformed trace id or a large JSON result.
    #[inline]
    pub(crate) fn of(call: &'a Call) -> Option<Self> {
        let outcome = call.outcome.as_ref();
        let (payload, error) = outcome.map_or((None, None), |o| (o.result.as_ref(), o.error.as_deref()));
        let (text, json) = match payload {
            None => (None, false),
            Some(Payload::Text(text)) => (Some(text.as_str()), false),
            Some(Payload::Json(text)) => (Some(text.as_str()), true),
        };
        let user = if call.user.is_empty() { UNKNOWN_USER } else { &call.user };
        let (mut count, mut bytes, mut fit) = (0, 0, true);
        for text in others(call).into_iter().flatten() {
            count += 1;
            bytes += text.len();
            fit &= text.len() <= FIELD_BYTES_MAX;
        }
        let fits = fit
            && user.len() <= FIELD_BYTES_MAX
            && call.tool.len() <= FIELD_BYTES_MAX
            && call.args.len() <= CALL_BYTES_MAX
            && call.args_chars.is_none()
            && !(json && text.is_some_and(|text| text.len() > JSON_BYTES_MAX))
            && call.extra.is_empty()
            && outcome.is_none_or(|outcome| outcome.kept.is_none())
            && (count == 0 || hex_id(&call.trace_id, 32).1.is_none() && hex_id(&call.span_id, 16).1.is_none());
        if !fits {
            return None;
        }
        let (result, result_chars) = if json { (text, None) } else { window(text) };
        let (error, error_chars) = window(error);
        bytes += user.len() + call.tool.len() + call.args.len();
        bytes += result.map_or(0, str::len) + error.map_or(0, str::len);
        let first = [Some(user), Some(&*call.tool), Some(&*call.args), result, error];
        Some(Self { call, first, chars: [result_chars, error_chars], json, bytes, others: count })
    }

    /// Returns how many bytes of text the packed call takes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns whose call it is.
    pub(crate) fn user(&self) -> &str {
        self.first[0].unwrap_or_default()
    }

    /// Appends the strings to `text` and everything else to `words`.
    #[inline]
    pub(crate) fn pack(&self, now: Timestamp, text: &mut String, words: &mut Vec<u32>) -> Packed {
        let (at, packed, call) = (text.len() as u32, Packed(words.len() as u32), self.call);
        words.resize(words.len() + HEAD_WORDS, 0);
        let Some(head) = words.last_chunk_mut::<HEAD_WORDS>() else { return packed };
        let mut present = 0;
        for (n, part) in self.first.iter().enumerate() {
            if let Some(part) = part {
                text.push_str(part);
                head[Head::Lens as usize + n] = part.len() as u32;
                present |= 1 << n;
            }
        }
        let outcome = call.outcome.as_ref();
        let status = outcome.map_or_else(Status::default, |outcome| outcome.status);
        let reason = outcome.map_or(Some(Reason::Interrupted), |outcome| outcome.reason);
        let reason = reason.map_or(0, |reason| reason as u32 + 1);
        let identity = call.identity.map_or(0, |identity| identity as u32 + 1);
        head[Head::Codes as usize] =
            status as u32 | (outside_via(call.via) as u32) << 8 | reason << 16 | identity << 24;
        let ts = halves(call.ts.unwrap_or(now).as_millis().cast_unsigned());
        (head[Head::TsHigh as usize], head[Head::TsLow as usize]) = (ts[0], ts[1]);
        head[Head::At as usize] = at;
        present |= if self.json { IS_JSON } else { 0 };
        head[Head::Present as usize] = present;
        if self.others > 0 || self.chars != [None, None] || call.id.is_some() {
            self.pack_rest(text, words, packed.0 as usize + Head::Present as usize);
        }
        packed
    }

    /// Packs the strings and numbers that few calls have.
    fn pack_rest(&self, text: &mut String, words: &mut Vec<u32>, present_at: usize) {
        let mut present = 0;
        for (n, part) in others(self.call).into_iter().enumerate() {
            if let Some(part) = part {
                text.push_str(part);
                words.push(part.len() as u32);
                present |= 1 << (FIRST + n);
            }
        }
        for (bit, chars) in [(RESULT_CUT, self.chars[0]), (ERROR_CUT, self.chars[1])] {
            if let Some(chars) = chars {
                words.extend(halves(chars));
                present |= bit;
            }
        }
        if let Some(id) = self.call.id {
            let bits = id.to_bits();
            words.extend(halves((bits >> 64) as u64).into_iter().chain(halves(bits as u64)));
            present |= HAS_ID;
        }
        words[present_at] |= present;
    }
}

impl Packed {
    /// Returns whose call it is.
    pub(crate) fn user<'a>(&self, text: &'a str, words: &[u32]) -> &'a str {
        let head = |word: usize| words[self.0 as usize + word] as usize;
        // The user is the first string and always present.
        let start = head(Head::At as usize);
        &text[start..start + head(Head::Lens as usize)]
    }
}

/// Returns the upper and the lower half of a number.
fn halves(number: u64) -> [u32; 2] {
    [(number >> 32) as u32, number as u32]
}

/// Returns the strings that few calls have.
fn others(call: &Call) -> [Option<&str>; OTHERS] {
    [
        call.session.as_deref(),
        call.call_id.as_deref(),
        call.parent.as_deref(),
        call.agent.as_deref(),
        call.model.as_deref(),
        call.client.as_deref(),
        call.server.as_deref(),
        call.claimed_user.as_deref(),
        call.rule.as_deref(),
        call.trace_id.as_deref(),
        call.span_id.as_deref(),
        call.duration_ms.as_ref().map(DurationMs::as_str),
    ]
}

/// Returns the window of a result, and the characters of the whole result if the window is shorter.
fn window(text: Option<&str>) -> (Option<&str>, Option<u64>) {
    let Some(text) = text else { return (None, None) };
    // A text with no more bytes than the window has no more characters either. The writer thread counts them.
    if text.len() <= RESULT_CHARS_MAX {
        return (Some(text), None);
    }
    let end = end_of_chars(text, RESULT_CHARS_MAX);
    if end == text.len() {
        return (Some(text), None);
    }
    let chars = RESULT_CHARS_MAX + count_chars(&text[end..]);
    (Some(&text[..end]), Some(chars as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{ClippedResult, EntryId, Identity, Outcome, Via};
    use crate::redact::{BoundedCall, Redactor};

    /// Packs a call after other data and compares the unpacked call with [`BoundedCall::outside`].
    fn check(call: &Call, packs: bool) {
        let now = Timestamp::from_millis(7);
        let mut text = "é of others".to_owned();
        let Some(plan) = Plan::of(call) else {
            assert!(!packs, "{call:?}");
            return;
        };
        assert!(packs, "{call:?}");
        let (before, bytes) = (text.len(), plan.bytes());
        let mut words = vec![7, 7];
        let packed = plan.pack(now, &mut text, &mut words);
        assert!(words.len() <= 2 + PACKED_WORDS_MAX);
        words.push(7);
        assert_eq!(text.len(), before + bytes);
        text.push_str("more of others");
        let expected = BoundedCall::outside(call, now, &Redactor::new(None));
        assert_eq!(packed.windowed(&text, &words), expected);
    }

    fn call() -> Call {
        Call::new("alice", "fs.read", r#"{"path":"é"}"#)
    }

    #[test]
    fn what_is_packed_is_seen_as_without() {
        check(&call(), true);
        check(&Call::new("", "", ""), true);
        check(&Call::default(), true);
        check(&call().ok("日本"), true);
        check(&call().ok(""), true);
        check(&call().error("no"), true);
        for reason in Reason::ALL {
            check(&call().ended(Outcome::failed(*reason, "because")), true);
            check(&call().denied(*reason), true);
        }
        for json in ["null", " null ", "[1, 2]", "{\"a\":1,\"a\":2}", "{", "\"x\""] {
            check(&call().ended(Outcome::ok_json(json)), true);
        }
        for via in Via::ALL {
            let mut call = call().ok("x");
            call.via = *via;
            check(&call, true);
        }
        let both =
            Outcome { result: Some(Payload::Text("r".repeat(9_000))), error: Some("e".to_owned()), ..Outcome::ok("") };
        check(&call().ended(both.clone()), true);
        check(&call().ended(Outcome { error: Some(String::new()), ..both.clone() }), true);
        check(&call().ended(Outcome { error: Some("é".repeat(5_000)), ..both }), true);
    }

    #[test]
    fn windows_end_at_the_same_character() {
        for piece in ["a", "é", "日", "😀"] {
            for chars in [1_000, 2_198, RESULT_CHARS_MAX - 1, RESULT_CHARS_MAX, RESULT_CHARS_MAX + 1, 20_000] {
                check(&call().ok(piece.repeat(chars)), true);
                check(&call().error(format!("x{}", piece.repeat(chars))), true);
            }
        }
    }

    #[test]
    fn every_field_finds_its_place() {
        let mut whole = call().ok("result");
        whole.ts = Some(Timestamp::from_millis(99));
        whole.id = Some(EntryId::new(Timestamp::from_millis(99), [9; 10]));
        whole.identity = Some(Identity::Claimed);
        whole.duration_ms = DurationMs::received("1.50");
        whole.trace_id = Some("0123456789abcdef0123456789abcdef".to_owned());
        whole.span_id = Some("0123456789abcdef".to_owned());
        let places: [fn(&mut Call) -> &mut Option<String>; 9] = [
            |call| &mut call.session,
            |call| &mut call.call_id,
            |call| &mut call.parent,
            |call| &mut call.agent,
            |call| &mut call.model,
            |call| &mut call.client,
            |call| &mut call.server,
            |call| &mut call.claimed_user,
            |call| &mut call.rule,
        ];
        for (n, position) in places.into_iter().enumerate() {
            *position(&mut whole) = Some(format!("field {n}"));
            check(&whole, true);
            let mut long = whole.clone();
            *position(&mut long) = Some("x".repeat(FIELD_BYTES_MAX + 1));
            check(&long, false);
        }
    }

    #[test]
    fn what_few_calls_have_is_not_packed() {
        let mut extra = call().ok("x");
        extra.extra.push(("k".to_owned(), "1".to_owned()));
        check(&extra, false);
        let mut stray = call().ok("x");
        stray.trace_id = Some("xyz".to_owned());
        check(&stray, false);
        check(&call().ended(Outcome { kept: Some(ClippedResult::default()), ..Outcome::default() }), false);
        check(&call().ended(Outcome::ok_json("1".repeat(JSON_BYTES_MAX + 1))), false);
        check(&Call::new("u".repeat(FIELD_BYTES_MAX + 1), "t", "{}"), false);
        check(&Call::new("u", "t".repeat(FIELD_BYTES_MAX + 1), "{}"), false);
        check(&Call::new("u", "t", "1".repeat(CALL_BYTES_MAX + 1)), false);
    }
}
