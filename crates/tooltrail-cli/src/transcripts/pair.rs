//! Joins calls with their results by the id that the model gave the call.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};
use tooltrail::{Call, DurationMs, EntryId, Outcome, Reason, Timestamp, Via};

use crate::mcp::gate::hook_name_parts;
use crate::transcripts::formats::{Answered, Asked, Format, Said, Session};

/// The shortest call id that is unique by itself, in characters. Shorter ones, such as `call_0`, come again in other
/// sessions.
const UNIQUE_CHARS_MIN: usize = 16;

/// Joins the calls and results of one session file.
#[derive(Debug)]
pub(super) struct Pairs {
    format: Format,
    user: String,
    pub(super) session: Session,
    /// The calls without a result by their ids, with the number of calls before them.
    open: HashMap<String, (u64, Asked)>,
    asked: u64,
}

impl Pairs {
    pub(super) fn new(format: Format, user: &str) -> Self {
        Self { format, user: user.to_owned(), session: Session::default(), open: HashMap::new(), asked: 0 }
    }

    /// Takes what a line says. Returns the call that has ended, if one has.
    pub(super) fn take(&mut self, said: Said) -> Option<Call> {
        match said {
            Said::Call(asked) => {
                // A message that was appended again says the same once more.
                self.open.entry(asked.call_id.clone()).or_insert((self.asked, asked));
                self.asked += 1;
                None
            }
            Said::Result(answered) => {
                let (_, asked) = self.open.remove(&answered.call_id)?;
                self.ended(asked, Some(answered))
            }
        }
    }

    /// Returns the calls that have no result, in their order.
    pub(super) fn unanswered(&mut self) -> Vec<Call> {
        let mut open = std::mem::take(&mut self.open).into_values().collect::<Vec<_>>();
        open.sort_by_key(|(before, _)| *before);
        open.into_iter().filter_map(|(_, asked)| self.ended(asked, None)).collect()
    }

    fn ended(&self, asked: Asked, answered: Option<Answered>) -> Option<Call> {
        let ts = answered.as_ref().and_then(|answered| answered.ts).or(asked.ts)?;
        let mut call = Call::new(&*self.user, &*asked.tool, asked.args);
        call.ts = Some(ts);
        call.id = Some(self.id(&asked.call_id, ts));
        call.via = Via::Import;
        call.session.clone_from(&self.session.id);
        call.model = asked.model.or_else(|| self.session.model.clone());
        call.agent = asked.agent;
        call.server = hook_name_parts(&asked.tool).map(|(server, _)| server.to_owned());
        let client = self.format.client();
        call.client =
            Some(self.session.version.as_ref().map_or_else(|| client.to_owned(), |v| format!("{client}/{v}")));
        if let Some(cwd) = &self.session.cwd {
            call.add_extra("cwd", serde_json::Value::from(cwd.as_str()).to_string());
        }
        call.call_id = Some(asked.call_id);
        call.duration_ms = asked.ts.filter(|_| answered.is_some()).and_then(|began| took(began, ts));
        Some(call.ended(outcome(answered)))
    }

    /// Returns the id of a call's entry: equal for every file that holds the call.
    fn id(&self, call_id: &str, ts: Timestamp) -> EntryId {
        let mut hash = Sha256::new();
        hash.update(self.format.client());
        hash.update([0]);
        hash.update(call_id);
        if call_id.chars().count() < UNIQUE_CHARS_MIN {
            hash.update([0]);
            hash.update(self.session.id.as_deref().unwrap_or_default());
        }
        let hash = hash.finalize();
        let mut bits = [0; 10];
        bits.copy_from_slice(&hash[..10]);
        EntryId::new(ts, bits)
    }
}

fn outcome(answered: Option<Answered>) -> Outcome {
    let Some(Answered { text, reason, denied, .. }) = answered else {
        return Outcome::failed(Reason::Interrupted, "");
    };
    match reason {
        None => Outcome::ok(text),
        Some(reason) if denied => {
            let mut outcome = Outcome::denied(reason);
            outcome.error = Some(text);
            outcome
        }
        Some(reason) => Outcome::failed(reason, text),
    }
}

fn took(began: Timestamp, ended: Timestamp) -> Option<DurationMs> {
    let millis = u64::try_from(ended.as_millis() - began.as_millis()).ok()?;
    Some(DurationMs::measured(std::time::Duration::from_millis(millis)))
}
