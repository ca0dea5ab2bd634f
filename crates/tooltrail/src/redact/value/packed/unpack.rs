//! Unpacks calls. This is the part of the writer thread.

use crate::call::{DurationMs, EntryId, Identity, Reason, Status, Via};
use crate::clock::Timestamp;
use crate::redact::value::packed::{ERROR_CUT, FIRST, HAS_ID, HEAD_WORDS, Head, IS_JSON, OTHERS, Packed, RESULT_CUT};
use crate::redact::value::tree::WindowedText;
use crate::redact::value::window::{BoundedCall, json_result, result_and_error};

impl Packed {
    /// Returns the call, unpacked from the text and words that it was packed into.
    pub(crate) fn windowed(&self, text: &str, words: &[u32]) -> BoundedCall {
        let mut call = BoundedCall::empty();
        self.unpack(text, words, &mut call);
        call
    }

    /// Unpacks the call into an existing call, and reuses its memory.
    pub(crate) fn unpack(&self, text: &str, words: &[u32], into: &mut BoundedCall) {
        let (head, rest) = words[self.0 as usize..].split_at(HEAD_WORDS);
        let head = |word: Head| head[word as usize];
        let mut rest = rest.iter().copied();
        let mut at = head(Head::At) as usize;
        let is = |bit: u32| head(Head::Present) & bit > 0;
        let mut next = |n: usize, len: &mut dyn FnMut() -> u32| {
            is(1 << n).then(|| {
                let start = at;
                at += len() as usize;
                &text[start..at]
            })
        };
        let lens = self.0 as usize + Head::Lens as usize;
        let [user, tool, args, result, error] = std::array::from_fn(|n| next(n, &mut || words[lens + n]));
        let others = std::array::from_fn(|n| next(FIRST + n, &mut || rest.next().unwrap_or_default()));
        let mut whole =
            || u64::from(rest.next().unwrap_or_default()) << 32 | u64::from(rest.next().unwrap_or_default());
        let result_chars = is(RESULT_CUT).then(&mut whole);
        let error_chars = is(ERROR_CUT).then(&mut whole);
        into.id = is(HAS_ID).then(|| EntryId::from_bits(u128::from(whole()) << 64 | u128::from(whole())));
        let ts = u64::from(head(Head::TsHigh)) << 32 | u64::from(head(Head::TsLow));
        into.ts = Timestamp::from_millis(ts.cast_signed());
        let [status, via, reason, identity] = head(Head::Codes).to_le_bytes().map(usize::from);
        let optional = |code: usize| code.checked_sub(1);
        into.status = Status::ALL.get(status).copied().unwrap_or_default();
        into.via = Via::ALL.get(via).copied().unwrap_or_default();
        into.reason = optional(reason).and_then(|code| Reason::ALL.get(code).copied());
        into.identity = optional(identity).and_then(|code| Identity::ALL.get(code).copied());

        into.user.seen.refill(user.unwrap_or_default(), None);
        into.user.long = None;
        into.tool.refill(tool.unwrap_or_default(), None);
        into.args.refill(args.unwrap_or_default());
        into.extra = None;
        into.salt = None;
        match (result, error) {
            (Some(text), None) if !is(IS_JSON) => {
                into.result.refill(text, result_chars);
                into.result_chars = into.result.chars;
            }
            (result, error) => {
                let part = |text: &str, chars| {
                    let mut part = WindowedText::default();
                    part.refill(text, chars);
                    part
                };
                let result = result.map(|text| if is(IS_JSON) { json_result(text) } else { part(text, result_chars) });
                let error = error.map(|text| part(text, error_chars));
                (into.result_chars, into.result) = result_and_error(result, error);
            }
        }
        unpack_others(others, into);
    }
}

/// Unpacks the strings that few calls have into an existing call.
fn unpack_others(others: [Option<&str>; OTHERS], into: &mut BoundedCall) {
    let [session, call_id, parent, agent, model, client, server, claimed_user, rule, trace_id, span_id, duration_ms] =
        others;
    let fields = [
        (session, &mut into.session),
        (call_id, &mut into.call_id),
        (parent, &mut into.parent),
        (agent, &mut into.agent),
        (model, &mut into.model),
        (client, &mut into.client),
        (server, &mut into.server),
        (claimed_user, &mut into.claimed_user),
        (rule, &mut into.rule),
    ];
    for (text, field) in fields {
        match text {
            Some(text) => field.get_or_insert_default().refill(text, None),
            None => *field = None,
        }
    }
    into.trace_id = trace_id.map(str::to_owned);
    into.span_id = span_id.map(str::to_owned);
    into.duration_ms = duration_ms.and_then(DurationMs::received);
}
