//! One call from the caller's word to its answer, with exactly one entry.

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

/// What every refused caller reads: it does not tell an unknown tool from a hidden or a forbidden one.
pub const REFUSAL: &str = "this tool is not available";

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallError {
    /// It was refused; the reason stands in the trail alone.
    Denied,
    /// The tool ran and refused what these arguments ask for.
    Refused {
        /// The tool's text.
        message: String,
    },
    /// The arguments are no JSON or do not fit the schema; the tool did not run.
    Invalid {
        /// What does not fit, and where.
        message: String,
    },
    /// The tool returned an error.
    Failed {
        /// The tool's text.
        message: String,
    },
    /// The tool took longer than it may.
    TimedOut {
        /// Its limit.
        limit: Duration,
    },
    /// The tool panicked; the text stands in the trail alone.
    Panicked,
    /// The call could not be noted, and then its tool did not run, or its entry could not be made durable in time:
    /// [`Durability::Strict`] withholds the answer.
    Unrecorded {
        /// Why.
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
    /// Calls a tool and records the call exactly once, however it ends.
    ///
    /// `args` is the JSON text as the model sent it: the trail keeps it, the handler gets it parsed (of two members
    /// with one name the last). Empty text is `{}`. The call counts from here on, not from the first poll: a future
    /// that is dropped before its end, or never polled, is recorded as `cancelled`.
    ///
    /// Outside [`Durability::Strict`] recording neither waits nor fails the call.
    ///
    /// # Errors
    /// [`CallError`] says how the call ended without a result.
    ///
    /// # Panics
    /// When polled outside a Tokio runtime with time enabled. A tool's panic is caught, where panics unwind.
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
                // Refused before it ran; the entry follows when there is room for it.
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

    /// Notes that a call begins whose tool will run; where a trace of it must be durable first, returns what to await.
    fn begin(
        &self,
        call: Call,
        durability: Durability,
        runs: bool,
    ) -> Result<(Open<'_>, Option<Ack>), tooltrail::Error> {
        match durability {
            Durability::Strict if runs => self.recorder.begin_durable(call).map(|(open, noted)| (open, Some(noted))),
            Durability::Grouped if runs => Ok((self.recorder.begin(call), None)),
            // What does not run ends at once.
            _ => Ok((self.recorder.begin_buffered(call), None)),
        }
    }

    /// Returns the tool, or why the caller may not have it, and the rule that decided.
    fn decide(&self, ctx: &Context, name: &str) -> (Result<&Registered, Reason>, Option<&str>) {
        let Some(registered) = self.find(ctx, name) else {
            return (Err(Reason::UnknownTool), None);
        };
        let verdict = self.gate.decide(ctx.asks(name));
        match verdict.effect {
            Effect::Allow => (Ok(registered), verdict.rule),
            Effect::Deny => (Err(Reason::Policy), verdict.rule),
        }
    }

    /// Checks the arguments and runs the tool within its limit of time.
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
        // What a handler holds may panic when dropped; that is no reason to lose the entry or the answer.
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

/// Hands the outcome to the recorder and, once its durability allows, the answer to the caller.
async fn finish_call(open: Open<'_>, durability: Durability, ending: Ending) -> Result<Output, CallError> {
    match durability {
        Durability::Buffered => open.finish_buffered(ending.outcome),
        // What the recorder could not take it has counted as lost; the call is not to suffer for it.
        Durability::Grouped => drop(open.finish(ending.outcome)),
        Durability::Strict => {
            let ack = open.finish(ending.outcome).map_err(unrecorded)?;
            within_patience(Some(ack)).await.transpose()?;
        }
    }
    ending.answer
}

/// How a call ended: for the trail, and for the caller.
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

    /// Returns the ending of a tool that returned an error.
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

/// Returns the outcome of a text that is counted and not kept.
fn unquoted(text: &str) -> Outcome {
    let mut outcome = Outcome::default();
    outcome.status = Status::Ok;
    outcome.kept = Some(ClippedResult { result_chars: text.chars().count() as u64, result_snippet: String::new() });
    outcome
}

/// Reads arguments; the message quotes nothing of them.
fn parse(args: &str) -> Result<Value, String> {
    if args.trim().is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    serde_json::from_str(args).map_err(|error| format!("at '': not JSON: {error}"))
}

/// Starts and polls a run in `slot`, which keeps it; a panic of either ends in `Err`.
async fn caught(
    start: impl FnOnce() -> Run,
    slot: &mut Option<Run>,
) -> Result<Result<Output, ToolError>, Box<dyn Any + Send>> {
    let run = slot.insert(catch_unwind(AssertUnwindSafe(start))?);
    // Nobody polls or looks into a run that panicked, so that it may be left half-way.
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

/// Returns the text of a panic, where it has one.
fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default()
}

/// Waits for an acknowledgement, where there is one, as long as a caller can be kept waiting.
async fn within_patience(ack: Option<Ack>) -> Option<Result<(), CallError>> {
    let waited = tokio::time::timeout(DURABLE_WAIT, ack?).await;
    Some(waited.map_err(|_elapsed| unrecorded("it took too long")).and_then(|kept| kept.map_err(unrecorded)))
}

fn unrecorded(why: impl fmt::Display) -> CallError {
    CallError::Unrecorded { why: why.to_string() }
}
