//! Joins calls with their results by the id that the model gave the call.

use std::collections::{HashMap, VecDeque};
use std::io::Read as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use tooltrail::{Call, DurationMs, EntryId, Outcome, Reason, Timestamp, Via, is_random_call_id};

use crate::mcp::gate::hook_name_parts;
use crate::regular_file::open;
use crate::transcripts::formats::{Answered, Asked, Format, Said, Session};

/// The file of Gemini CLI that holds the folder of a project, and the longest path that is read from it.
const PROJECT_ROOT: &str = ".project_root";
const PATH_BYTES_MAX: u64 = 16 * 1024;

/// The characters below which a call id says nothing outside of its session: `call_0`.
const SHORT_CHARS: usize = 16;

/// The most bytes of arguments of calls without a result that are kept whole; of further ones only the beginning is kept.
const OPEN_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The characters of that beginning: as many as the recorder needs to find secrets in what it stores.
const BEGINNING_CHARS: usize = 8 * 1024;

/// A call that has ended, or of which nothing more is known.
#[derive(Clone, Debug)]
pub(super) struct FoundCall {
    pub(super) call: Call,
    /// What the call's id is made from, if that alone tells it from all other calls, in whatever file it stands.
    pub(super) unique: Option<[u8; 10]>,
}

/// Joins the calls and results of one session file.
#[derive(Debug)]
pub(super) struct Pairs {
    pub(super) format: Format,
    user: String,
    pub(super) session: Session,
    /// The calls without a result by their ids, with the number of calls before them. Two calls of one message may have
    /// the same id.
    open: HashMap<String, VecDeque<(u64, Asked)>>,
    open_bytes: usize,
    asked: u64,
}

impl Pairs {
    pub(super) fn new(format: Format, user: &str) -> Self {
        let (session, open) = (Session::default(), HashMap::new());
        Self { format, user: user.to_owned(), session, open, open_bytes: 0, asked: 0 }
    }

    /// Returns those of a file. The files of Gemini CLI do not say in which folder it ran; a file beside them does.
    pub(super) fn of_file(format: Format, path: &Path, user: &str) -> Self {
        let mut pairs = Self::new(format, user);
        if format == Format::Gemini {
            let beside = path.parent().and_then(Path::parent).map(|folder| folder.join(PROJECT_ROOT));
            let mut text = String::new();
            let read =
                beside.and_then(|beside| open(&beside).ok()?.take(PATH_BYTES_MAX).read_to_string(&mut text).ok());
            pairs.session.cwd = read.map(|_| text.trim().to_owned()).filter(|cwd| !cwd.is_empty());
        }
        pairs
    }

    /// Takes what a line says. Returns the call that has ended, if one has.
    ///
    /// # Errors
    /// What is missing, so that the call cannot be stored.
    pub(super) fn take(&mut self, said: Said) -> Result<Option<FoundCall>, &'static str> {
        match said {
            Said::Malformed(why) => Err(why),
            Said::Call(asked) => {
                self.begin(asked);
                Ok(None)
            }
            Said::Result(answered) => {
                let Some((asked, is_last)) = self.open.get_mut(&answered.call_id).and_then(|calls| {
                    let (_, asked) = calls.pop_front()?;
                    Some((asked, calls.is_empty()))
                }) else {
                    // The result of a call that has ended already comes again.
                    return Ok(None);
                };
                if is_last {
                    self.open.remove(&answered.call_id);
                }
                self.open_bytes -= asked.args.len();
                self.ended(asked, Some(answered)).map(Some)
            }
        }
    }

    /// Returns the calls that have no result, in their order.
    pub(super) fn unanswered(&mut self) -> Vec<Result<FoundCall, &'static str>> {
        let mut open = std::mem::take(&mut self.open).into_values().flatten().collect::<Vec<_>>();
        self.open_bytes = 0;
        open.sort_by_key(|(before, _)| *before);
        open.into_iter().map(|(_, asked)| self.ended(asked, None)).collect()
    }

    fn begin(&mut self, mut asked: Asked) {
        let calls = self.open.entry(asked.call_id.clone()).or_default();
        if self.open_bytes + asked.args.len() > OPEN_BYTES_MAX {
            asked.args_chars = Some(asked.args.chars().count() as u64);
            let end = asked.args.char_indices().nth(BEGINNING_CHARS).map_or(asked.args.len(), |(at, _)| at);
            asked.args.truncate(end);
            asked.args.shrink_to_fit();
        }
        // A message that was appended again says the same once more.
        let is_same = |(_, other): &(u64, Asked)| other.tool == asked.tool && other.args == asked.args;
        if !calls.iter().any(is_same) {
            self.open_bytes += asked.args.len();
            calls.push_back((self.asked, asked));
            self.asked += 1;
        }
    }

    fn ended(&self, asked: Asked, answered: Option<Answered>) -> Result<FoundCall, &'static str> {
        // A line without a readable time was written after the lines before it.
        let ts = answered.as_ref().and_then(|answered| answered.ts).or(asked.ts).or(self.session.last_ts);
        let ts = ts.ok_or("a call without a time, and no line before has one")?;
        let is_random = is_random_call_id(&asked.call_id);
        let bits = self.bits(&asked, is_random);
        let mut call = Call::new(&*self.user, &*asked.tool, asked.args);
        call.args_chars = asked.args_chars;
        call.ts = Some(ts);
        call.id = Some(EntryId::new(ts, bits));
        call.via = Via::Import;
        call.session.clone_from(&self.session.id);
        call.model = asked.model.or_else(|| self.session.model.clone());
        call.agent = asked.agent.or_else(|| self.session.agent.clone());
        call.server = asked.server.or_else(|| hook_name_parts(&asked.tool).map(|(server, _)| server.to_owned()));
        let client = self.format.client();
        call.client =
            Some(self.session.version.as_ref().map_or_else(|| client.to_owned(), |v| format!("{client}/{v}")));
        if let Some(cwd) = &self.session.cwd {
            call.add_extra("cwd", serde_json::Value::from(cwd.as_str()).to_string());
        }
        call.call_id = Some(asked.call_id);
        call.duration_ms = asked.ts.filter(|_| answered.is_some()).and_then(|began| took(began, ts));
        Ok(FoundCall { call: call.ended(outcome(answered)), unique: is_random.then_some(bits) })
    }

    /// Returns the bits for the id of a call's entry: equal for every file that holds the call. A call id that is not
    /// random, such as `call_0`, comes again in other sessions and even in one message.
    fn bits(&self, asked: &Asked, is_random: bool) -> [u8; 10] {
        let mut parts = vec![self.format.client(), &asked.call_id];
        if !is_random {
            parts.extend([&*asked.tool, &asked.args]);
        }
        if asked.call_id.chars().count() < SHORT_CHARS {
            parts.push(self.session.id.as_deref().unwrap_or_default());
        }
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let mut bits = [0; 10];
        bits.copy_from_slice(&hash.finalize()[..10]);
        bits
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

/// Whether nobody knows how a call ended.
pub(super) fn is_interrupted(call: &Call) -> bool {
    call.outcome.as_ref().is_some_and(|outcome| outcome.reason == Some(Reason::Interrupted))
}

fn took(began: Timestamp, ended: Timestamp) -> Option<DurationMs> {
    let millis = u64::try_from(ended.as_millis() - began.as_millis()).ok()?;
    Some(DurationMs::measured(std::time::Duration::from_millis(millis)))
}
