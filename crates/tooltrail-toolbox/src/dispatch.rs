//! Dispatches one call: from the caller's request to the answer, with exactly one entry.

use std::any::Any;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;
use std::time::Duration;

use serde_json::Value;
use tooltrail::{Ack, Call, ClippedResult, DURABLE_WAIT, Durability, Open, Outcome, Reason, Status};

use crate::context::Context;
use crate::tool::{Kind, Output, Run, ToolError};
use crate::toolbox::{Registered, Toolbox};
use tooltrail::Effect;

/// The text for every refused caller. It is the same for unknown, hidden and forbidden tools, so that a caller cannot
/// tell them apart.
pub const REFUSAL: &str = "this tool is not available";

/// The reason why a call has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallError {
    /// The call was refused; the reason is stored only in the trail.
    Denied,
    /// The tool ran and refused to do what these arguments ask for.
    Refused {
        /// The tool's text.
        message: String,
    },
    /// The arguments are not JSON or do not match the schema; the tool did not run.
    Invalid {
        /// What does not match, and at which path.
        message: String,
    },
    /// The tool returned an error.
    Failed {
        /// The tool's text.
        message: String,
    },
    /// The tool did not answer before its timeout.
    TimedOut {
        /// The timeout.
        limit: Duration,
    },
    /// The tool panicked; the text of the panic is stored only in the trail.
    Panicked,
    /// With [`Durability::Strict`], either the start of the call could not be noted, so the tool did not run; or the
    /// entry could not be made durable in time, so the answer is withheld.
    Unrecorded {
        /// The reason.
        why: String,
    },
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied => f.write_str(REFUSAL),
            Self::Invalid { message } => write!(f, "invalid arguments: {message}"),
            Self::Failed { message } | Self::Refused { message } => f.write_str(message),
            Self::TimedOut { limit } => write!(f, "the tool did not answer within {limit:?}"),
            Self::Panicked => f.write_str("the tool broke down"),
            Self::Unrecorded { why } => write!(f, "the answer is withheld, for its entry could not be written: {why}"),
        }
    }
}

impl std::error::Error for CallError {}

impl Toolbox {
    /// Calls a tool and records the call exactly once, regardless of how it ends.
    ///
    /// `args` is the JSON text as the model sent it. The trail stores this text, and the handler gets it parsed; if two
    /// members have the same name, the last one counts. An empty text means `{}`. The call starts with this function
    /// and not with the first poll: a future that is dropped before its end, or never polled, is recorded as
    /// `cancelled`.
    ///
    /// Unless the durability is [`Durability::Strict`], recording neither waits nor makes the call fail.
    ///
    /// # Errors
    /// [`CallError`] says why the call has no result.
    ///
    /// # Panics
    /// If the future is polled outside a Tokio runtime with time enabled. A panic of the tool is caught if panics
    /// unwind.
    pub fn call<'a>(
        &'a self,
        ctx: &'a Context,
        name: &str,
        args: &'a str,
    ) -> impl Future<Output = Result<Output, CallError>> + Send + use<'a> {
        let (decision, rule) = self.decide(ctx, name);
        let durability = self.durability.of(name);
        let begun = self.begin(ctx.call(name, args, rule), durability, decision.is_ok());
        async move {
            let (open, noted) = begun.map_err(unrecorded)?;
            if let Some(Err(error)) = within_patience(noted).await {
                // The tool does not run. The entry is written when the queue has room for it.
                open.finish_buffered(Outcome::denied(Reason::Policy));
                return Err(error);
            }
            let ending = match decision {
                Ok(registered) => self.run(registered, ctx, args).await,
                Err(reason) => Ending { outcome: Outcome::denied(reason), answer: Err(CallError::Denied) },
            };
            finish_call(open, durability, ending).await
        }
    }

    /// Notes the start of a call if its tool will run. If the start must be durable before the tool runs, also returns
    /// the acknowledgement to await.
    fn begin(
        &self,
        call: Call,
        durability: Durability,
        runs: bool,
    ) -> Result<(Open<'_>, Option<Ack>), tooltrail::Error> {
        match durability {
            Durability::Strict if runs => self.recorder.begin_durable(call).map(|(open, noted)| (open, Some(noted))),
            Durability::Grouped if runs => Ok((self.recorder.begin(call), None)),
            // A call whose tool does not run ends immediately.
            _ => Ok((self.recorder.begin_buffered(call), None)),
        }
    }

    /// Returns the tool or the reason for refusing it, and the name of the rule that decided.
    fn decide(&self, ctx: &Context, name: &str) -> (Result<&Registered, Reason>, Option<&str>) {
        let Some(registered) = self.find(ctx, name) else {
            return (Err(Reason::UnknownTool), None);
        };
        let verdict = self.gate.decide(ctx.asks(name));
        match verdict.effect {
            Effect::Allow => (Ok(registered), verdict.rule),
            Effect::Deny | Effect::Hide => (Err(Reason::Policy), verdict.rule),
        }
    }

    /// Checks the arguments and runs the tool with its timeout.
    async fn run(&self, registered: &Registered, ctx: &Context, args: &str) -> Ending {
        let args = match parse(args).and_then(|args| registered.schema.check(&args).map(|()| args)) {
            Ok(args) => args,
            Err(message) => {
                return Ending::failed(Reason::InvalidArgs, &message.clone(), CallError::Invalid { message });
            }
        };
        let limit = registered.tool.limit().unwrap_or(self.timeout);
        let mut run = None;
        let ended = tokio::time::timeout(limit, caught(|| registered.tool.run(ctx.clone(), args), &mut run)).await;
        // The handler's future may panic while it is dropped; the panic is caught, so that the entry and the answer are
        // not lost.
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(run)));
        match (ended, dropped) {
            (Ok(Ok(Ok(output))), Ok(())) => Ending::ok(output),
            (Ok(Ok(Err(error))), Ok(())) => Ending::of(error),
            (Err(_elapsed), _) => {
                let error = CallError::TimedOut { limit };
                Ending::failed(Reason::Timeout, &error.to_string(), error)
            }
            (Ok(Err(panic)), _) | (Ok(Ok(_)), Err(panic)) => {
                Ending::failed(Reason::Panicked, panic_message(panic.as_ref()), CallError::Panicked)
            }
        }
    }
}

/// Passes the outcome to the recorder and returns the answer to the caller as soon as the durability allows.
async fn finish_call(open: Open<'_>, durability: Durability, ending: Ending) -> Result<Output, CallError> {
    match durability {
        Durability::Buffered => open.finish_buffered(ending.outcome),
        // If the recorder could not take the entry, it has counted it as lost; the call still succeeds.
        Durability::Grouped => drop(open.finish(ending.outcome)),
        Durability::Strict => {
            let ack = open.finish(ending.outcome).map_err(unrecorded)?;
            within_patience(Some(ack)).await.transpose()?;
        }
    }
    ending.answer
}

/// The end of a call: the outcome for the trail and the answer for the caller.
struct Ending {
    outcome: Outcome,
    answer: Result<Output, CallError>,
}

impl Ending {
    fn ok(output: Output) -> Self {
        let outcome = match &output {
            Output::Text(text) | Output::Json(Value::String(text)) => Outcome::ok(text.as_str()),
            Output::Json(value) => Outcome::ok_json(value.to_string()),
            Output::Unquoted(text) => unquoted(text),
        };
        Self { outcome, answer: Ok(output) }
    }

    /// Returns the ending for a tool that returned an error.
    fn of(error: ToolError) -> Self {
        let (kind, message) = (error.kind(), error.into_message());
        match kind {
            Kind::Denied => {
                Self { outcome: Outcome::denied(Reason::Policy), answer: Err(CallError::Refused { message }) }
            }
            Kind::InvalidArgs => Self::failed(Reason::InvalidArgs, &message.clone(), CallError::Invalid { message }),
            Kind::Failed => Self::failed(Reason::ToolError, &message.clone(), CallError::Failed { message }),
        }
    }

    fn failed(reason: Reason, text: &str, error: CallError) -> Self {
        Self { outcome: Outcome::failed(reason, text), answer: Err(error) }
    }
}

/// Returns the outcome of a text of which only the length is stored.
fn unquoted(text: &str) -> Outcome {
    let mut outcome = Outcome::default();
    outcome.status = Status::Ok;
    outcome.kept = Some(ClippedResult { result_chars: text.chars().count() as u64, result_snippet: String::new() });
    outcome
}

/// Parses arguments; the error message does not quote them.
fn parse(args: &str) -> Result<Value, String> {
    if args.trim().is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    serde_json::from_str(args).map_err(|error| format!("at '': not JSON: {error}"))
}

/// Starts a run, stores it in `slot` and polls it there; a panic while starting or polling is returned as `Err`.
async fn caught(
    start: impl FnOnce() -> Run,
    slot: &mut Option<Run>,
) -> Result<Result<Output, ToolError>, Box<dyn Any + Send>> {
    let run = slot.insert(catch_unwind(AssertUnwindSafe(start))?);
    // Unwind safe, because a run that panicked is only dropped and never polled or read again.
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

/// Returns the text of a panic, or an empty text if it has none.
fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default()
}

/// Waits for an acknowledgement, if there is one, for at most [`DURABLE_WAIT`].
async fn within_patience(ack: Option<Ack>) -> Option<Result<(), CallError>> {
    let waited = tokio::time::timeout(DURABLE_WAIT, ack?).await;
    Some(waited.map_err(|_elapsed| unrecorded("it took too long")).and_then(|kept| kept.map_err(unrecorded)))
}

fn unrecorded(why: impl fmt::Display) -> CallError {
    CallError::Unrecorded { why: why.to_string() }
}
