//! The calls that hooks recorded without an id: those of agents that tell their hooks none, although their session files
//! have one. Such a call is recognised by its session, its tool, its arguments and its time.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::{Value, json};
use tooltrail::{Call, EntryId, Timestamp};

use crate::import::Stored;
use crate::transcripts::formats::Format;
use crate::transcripts::pair::is_interrupted;

/// The longest time between the end of a call as a hook saw it and as the session file tells it, in milliseconds. Agents
/// wait for their hooks, and a hook may wait 2 s.
pub(crate) const APART_MAX_MS: i64 = 3_000;

/// The most calls that are kept: about 200 MB. Of more, some may be stored a second time; a busy agent makes a tenth of
/// that in a year.
const CALLS_MAX: usize = 1_000_000;

/// The calls of hooks. An entry stands for one call of the session files.
#[derive(Debug, Default)]
pub(super) struct HookedCalls {
    /// The sessions and fingerprints of the arguments of the calls with an outcome, by tool, time and a number that tells
    /// equal ones apart. Without a fingerprint, the arguments may be any.
    ended: BTreeMap<(String, Timestamp, u64), (String, Option<u64>)>,
    /// How many calls of a session and a tool are interrupted. Their times say when that was noticed.
    interrupted: HashMap<(String, String), u64>,
    known: HashSet<EntryId>,
}

impl HookedCalls {
    /// Adds an entry that a hook recorded, unless it has the id of a call or is known already.
    pub(super) fn add(&mut self, stored: &Stored<'_>) {
        let (Some(id), Some(ts), None) = (stored.entry_id(), stored.time(), &stored.call_id) else { return };
        if self.known.len() >= CALLS_MAX || !self.known.insert(id) {
            return;
        }
        let [session, tool] =
            [&stored.session, &stored.tool].map(|text| text.as_deref().unwrap_or_default().to_owned());
        if stored.is_interrupted() {
            *self.interrupted.entry((session, tool)).or_default() += 1;
        } else {
            let args = stored.args.map_or("{}", |args| args.get());
            self.ended.insert((tool, ts, self.known.len() as u64), (session, fingerprint_of_stored(args)));
        }
    }

    /// Returns whether a hook recorded this call of a session file. The entry stands for no other call then.
    pub(super) fn take(&mut self, call: &Call) -> bool {
        let Some(ts) = call.ts.filter(|_| !self.known.is_empty()) else { return false };
        let session = call.session.as_deref().unwrap_or_default();
        let [first, last] = [-APART_MAX_MS, APART_MAX_MS].map(|apart| Timestamp::from_millis(ts.as_millis() + apart));
        let range = (call.tool.clone(), first, 0)..=(call.tool.clone(), last, u64::MAX);
        // A sub-agent of Gemini CLI has a session of its own in the files, and that of the main agent in the hooks.
        let is_gemini = call.client.as_deref().is_some_and(|client| client.starts_with(Format::Gemini.client()));
        let is_sub_agent = is_gemini && call.agent.is_some();
        let ended = self.ended.range(range).filter(|(_, (of, _))| is_sub_agent || *of == session);
        let told = fingerprint_of_told(&call.args);
        let same = ended.filter(|(_, (_, args))| args.is_none_or(|args| args == told));
        let nearest = same.min_by_key(|((_, at, _), _)| (at.as_millis() - ts.as_millis()).abs());
        if let Some(key) = nearest.map(|(key, _)| key.clone()) {
            self.ended.remove(&key);
            return true;
        }
        let key = (session.to_owned(), call.tool.clone());
        match self.interrupted.get_mut(&key).filter(|left| is_interrupted(call) && **left > 0) {
            Some(left) => *left -= 1,
            None => return false,
        }
        true
    }
}

/// Returns the fingerprint of stored arguments; `None` if something is hidden or cut out of them.
fn fingerprint_of_stored(args: &str) -> Option<u64> {
    let signs = ["[redacted:", " chars total]", "{\"raw\":", "{\"clipped\":"];
    if signs.iter().any(|sign| args.contains(sign)) {
        return None;
    }
    serde_json::from_str(args).ok().map(fingerprint)
}

/// Returns the fingerprint of arguments as the session file tells them, and as they are stored then.
fn fingerprint_of_told(args: &str) -> u64 {
    let args = if args.is_empty() { "{}" } else { args };
    match serde_json::from_str::<Value>(args) {
        Ok(args @ Value::Object(_)) => fingerprint(args),
        Ok(Value::Null) => fingerprint(json!({})),
        Ok(args) => fingerprint(json!({ "value": args })),
        Err(_) => 0,
    }
}

/// Returns a hash that does not depend on the order of members.
fn fingerprint(mut value: Value) -> u64 {
    value.sort_all_objects();
    let mut hasher = DefaultHasher::new();
    value.to_string().hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tooltrail::{Outcome, Reason};

    /// The stored line of a hook.
    fn line(n: u32, ms: u32, session: &str, args: &str, reason: &str) -> String {
        format!(
            r#"{{"ts":"2026-11-23T08:00:00.{ms:03}Z","tool":"bash","args":{args},"id":"019ab000-0000-7000-8000-{n:012}","reason":{reason},"session":"{session}"}}"#
        )
    }

    fn call(ms: i64, args: &str) -> Call {
        let mut call = Call::new("a", "bash", args);
        call.ts = Some(Timestamp::from_millis(1_795_420_800_000 + ms));
        call.session = Some("s".to_owned());
        call.client = Some("copilot/1".to_owned());
        call
    }

    #[test]
    fn an_entry_stands_for_one_call() {
        let mut hooked = HookedCalls::default();
        let same = r#"{"a":1,"b":2}"#;
        let lines = [
            line(1, 100, "s", same, "null"),
            line(2, 200, "s", r#"{"key":"[redacted:aws]"}"#, "null"),
            line(3, 300, "other", same, "null"),
            line(4, 900, "s", "{}", "\"interrupted\""),
        ];
        // The same day is read for each batch of calls.
        for line in lines.iter().chain(&lines) {
            hooked.add(&serde_json::from_str(line).unwrap());
        }
        assert!(!hooked.take(&call(5_000, same)), "too late");
        assert!(hooked.take(&call(90, r#"{"key":"AKIA"}"#).ok("")), "what is hidden may be the same");
        assert!(!hooked.take(&call(90, r#"{"key":"AKIA"}"#).ok("")));
        assert!(hooked.take(&call(120, r#"{"b":2,"a":1}"#).ok("")));
        assert!(!hooked.take(&call(120, same).ok("")), "it stands for another call already");
        let cut = call(0, "{}").ended(Outcome::failed(Reason::Interrupted, ""));
        assert!(hooked.take(&cut) && !hooked.take(&cut));
        // A sub-agent of Gemini has the session of the main agent in hooks.
        let mut of_sub_agent = call(310, same).ok("");
        of_sub_agent.client = Some("gemini".to_owned());
        assert!(!hooked.take(&of_sub_agent));
        of_sub_agent.agent = Some("x".to_owned());
        assert!(hooked.take(&of_sub_agent));
    }
}
