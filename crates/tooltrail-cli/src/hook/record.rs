//! Records what an event tells.

use std::cell::Cell;
use std::time::Duration;

use tooltrail::{
    Call, CallKey, CallState, Clock, DurabilityPolicy, Error, OpenCalls, Outcome, Payload, Reason, SessionCall,
    SessionRecorder,
};

use crate::hook::client::Client;
use crate::hook::clients::copilot_key;
use crate::hook::told::{Ends, Key, Step, Told, key};
use crate::hook::transcript;

/// How often, and after which pause, a session file is looked into again.
const LOOKS_MAX: usize = 15;
const LOOK_PAUSE: Duration = Duration::from_millis(20);

/// Records the events of one client.
pub(super) struct Records<'a> {
    pub(super) client: Client,
    pub(super) recorder: &'a SessionRecorder,
    pub(super) durability: &'a DurabilityPolicy,
    pub(super) clock: &'a dyn Clock,
    /// The user, and the client with its version, of every call.
    pub(super) user: &'a str,
    pub(super) client_name: &'a str,
    /// Whether there is room for further calls. Without it, only calls end that have begun.
    pub(super) has_room: bool,
    /// The calls that were not recorded for that reason.
    pub(super) lost: Cell<u64>,
}

impl Records<'_> {
    /// Records everything that an event tells. After a failure, it goes on with the rest.
    ///
    /// # Errors
    /// The first failure.
    pub(super) fn told(&self, told: &Told) -> Result<(), Error> {
        let session = self.session(told);
        let agent = told.agent.as_deref();
        let mut done = Ok(());
        for step in &told.steps {
            let step_done = match step {
                Step::Begin(key, call) => self.begin(of(&session, key, agent), call),
                Step::End(key, call) => self.end(of(&session, key, agent), (**call).clone()),
                Step::EndIfOpen(key, call) => {
                    let (of, durability) = (of(&session, key, agent), self.durability.of(&call.tool));
                    self.recorder.end_if_open(of, self.complete((**call).clone()), durability).map(|_| ())
                }
                Step::EndAsTold(Key::Id(id), call, Some(file)) => {
                    self.end_as_told(&session, (id, agent), call, || transcript::call(self.client, file, id))
                }
                Step::EndAsTold(key, call, _) => self.end(of(&session, key, agent), (**call).clone()),
                Step::Interrupt(ends) => {
                    let which = match (ends, agent) {
                        (Ends::Session, _) => OpenCalls::All,
                        (Ends::Turn, None) => OpenCalls::OfMainAgent,
                        (Ends::Turn, Some(agent)) => OpenCalls::OfAgent(agent),
                    };
                    self.recorder.interrupt(&session, which, self.durability.default).map(|_| ())
                }
                Step::LookInto(file) => self.look_until_it_is_there(&session, told, file),
            };
            done = done.and(step_done);
        }
        done
    }

    /// Records that a rule refused a call. The client tells of it once more, and that is not recorded again.
    ///
    /// # Errors
    /// Any error of the recorder.
    pub(super) fn denied(&self, told: &Told, rule: Option<String>) -> Result<(), Error> {
        let session = self.session(told);
        let begun = told.steps.iter().filter_map(|step| match step {
            Step::Begin(key, call) => Some((key, call)),
            _ => None,
        });
        begun.into_iter().try_for_each(|(key, call)| {
            let mut call = (**call).clone().denied(Reason::Policy);
            call.rule.clone_from(&rule);
            self.end(of(&session, key, told.agent.as_deref()), call)
        })
    }

    fn begin(&self, of: SessionCall<'_>, call: &Call) -> Result<(), Error> {
        if !self.has_room {
            return Ok(());
        }
        self.recorder.begin(of, self.complete(call.clone()), self.durability.of(&call.tool))
    }

    fn end(&self, of: SessionCall<'_>, call: Call) -> Result<(), Error> {
        let durability = self.durability.of(&call.tool);
        if self.has_room {
            return self.recorder.end(of, self.complete(call), durability).map(|_| ());
        }
        if !self.recorder.end_if_open(of, self.complete(call), durability)? {
            self.lost.set(self.lost.get() + 1);
        }
        Ok(())
    }

    /// Records a call whose event does not tell whether it failed. `file` asks the session file.
    fn end_as_told(
        &self,
        session: &str,
        (id, agent): (&str, Option<&str>),
        call: &Call,
        file: impl FnOnce() -> Option<Call>,
    ) -> Result<(), Error> {
        // Most calls were recorded by an event of their own.
        if self.recorder.state(session, id)? == CallState::Ended {
            return Ok(());
        }
        let mut call = call.clone();
        if let (Some(given), Some(told)) = (&call.outcome, file().and_then(|told| told.outcome)) {
            call.outcome = Some(with_text_of(told, given));
        }
        self.end(of(session, &Key::Id(id.to_owned()), agent), call)
    }

    /// Looks into the session file, and again while calls are open that it may still tell of. Copilot writes what has
    /// happened some 100 ms later.
    fn look_until_it_is_there(&self, session: &str, told: &Told, file: &std::path::Path) -> Result<(), Error> {
        let which = told.agent.as_deref().map_or(OpenCalls::OfMainAgent, OpenCalls::OfAgent);
        for _ in 0..LOOKS_MAX {
            self.look_into(session, told, file)?;
            if self.client != Client::Copilot || !self.recorder.has_open(session, which)? {
                break;
            }
            std::thread::sleep(LOOK_PAUSE);
        }
        Ok(())
    }

    /// Records the calls of a session file that no event has told of.
    fn look_into(&self, session: &str, told: &Told, file: &std::path::Path) -> Result<(), Error> {
        let agent = told.agent.as_deref();
        let mut done = Ok(());
        for mut call in transcript::calls(self.client, file, self.clock.now()) {
            let Some(id) = call.call_id.clone() else { continue };
            if let Some(cwd) = told.cwd.as_deref().filter(|_| !call.extra.iter().any(|(name, _)| name == "cwd")) {
                call.add_extra("cwd", serde_json::Value::from(cwd).to_string());
            }
            call.session = told.session.clone().or(call.session);
            let of_agent = std::mem::replace(&mut call.agent, told.label.clone());
            let ended = match self.client {
                // Their hooks do not know the ids of the session file, so only a call that began is looked for.
                Client::Gemini | Client::Copilot => self.end_alike(session, agent, of_agent.as_deref(), call),
                Client::ClaudeCode | Client::Codex | Client::Cursor => match self.recorder.state(session, &id) {
                    Ok(CallState::Ended) => Ok(()),
                    Ok(_) => self.end(of(session, &Key::Id(id), agent), call),
                    Err(error) => Err(error),
                },
            };
            done = done.and(ended);
        }
        done
    }

    fn end_alike(
        &self,
        session: &str,
        agent: Option<&str>,
        of_agent: Option<&str>,
        mut call: Call,
    ) -> Result<(), Error> {
        let reason = call.outcome.as_ref().and_then(|outcome| outcome.reason);
        // An event tells of each call that ended well.
        let Some(reason) = reason else { return Ok(()) };
        // In the hooks' entries no call of these clients has an id.
        let id = call.call_id.take().unwrap_or_default();
        if self.client == Client::Gemini && matches!(reason, Reason::UnknownTool | Reason::InvalidArgs) {
            // No event tells of a call that was never made.
            return self.end(of(session, &Key::Id(id), agent), call);
        }
        let key = match self.client {
            Client::Copilot => copilot_key(of_agent, &call.tool, &call.args),
            _ => key(None, &call.tool, &call.args),
        };
        // The events of its begin know more of its agent.
        call.agent = None;
        let durability = self.durability.of(&call.tool);
        self.recorder.end_if_open(of(session, &key, agent), self.complete(call), durability).map(|_| ())
    }

    /// Returns the session by a name that no other client's session has.
    fn session(&self, told: &Told) -> String {
        format!("{}/{}", self.client.name(), told.session.as_deref().unwrap_or_default())
    }

    fn complete(&self, mut call: Call) -> Call {
        self.user.clone_into(&mut call.user);
        call.client = Some(self.client_name.to_owned());
        call
    }
}

fn of<'a>(session: &'a str, key: &'a Key, agent: Option<&'a str>) -> SessionCall<'a> {
    let key = match key {
        Key::Id(id) => CallKey::Id(id),
        Key::Alike(text) => CallKey::Alike(text),
    };
    SessionCall { session, key, agent }
}

/// Returns the outcome that the session file tells, with the text of the event, which is what the tool said.
fn with_text_of(mut told: Outcome, given: &Outcome) -> Outcome {
    let text = given.result.as_ref().map(|result| match result {
        Payload::Text(text) | Payload::Json(text) => text.clone(),
    });
    match text.filter(|text| !text.is_empty()) {
        Some(text) if told.error.is_some() => told.error = Some(text),
        Some(_) => told.result.clone_from(&given.result),
        None => {}
    }
    told
}
