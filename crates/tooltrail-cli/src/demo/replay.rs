//! Replays recorded calls: for each recorded tool, a tool of the same name gives the recorded answers.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tooltrail::{DurabilityPolicy, Recorder, Status};
use tooltrail_toolbox::{Context, Gate, Rule, Tool, ToolError, Toolbox, ToolboxBuilder};

use crate::failure::Failure;

/// Calls that this project recorded from the MCP servers everything, filesystem, git, memory and time, in the common
/// form.
const CALLS: &str = include_str!("calls.jsonl");

/// A tool that is not registered, so that the trail shows a call with a made-up tool name.
const UNREGISTERED: &str = "everything.no_such_tool";

/// Longest duration of a replayed call, so that the demo starts soon.
const PAUSE_MAX: Duration = Duration::from_millis(400);

/// The numbers of replayed calls and of their users.
pub(crate) struct Counts {
    pub(crate) calls: usize,
    pub(crate) users: usize,
}

/// One recorded call.
#[derive(Deserialize)]
struct Recorded {
    user: String,
    session: String,
    tool: String,
    args: Box<RawValue>,
    status: String,
    result: Option<String>,
    duration_ms: Option<f64>,
}

/// What a tool answered, and how long it took.
struct Answer {
    failed: bool,
    text: String,
    took: Duration,
}

/// The answers of one tool, by the arguments of the call.
type Answers = HashMap<String, Answer>;

/// Dispatches every recorded call through a toolbox with a gate, then closes the recorder.
pub(crate) fn replay(recorder: Recorder, durability: DurabilityPolicy) -> Result<Counts, Failure> {
    let calls = CALLS.lines().map(serde_json::from_str::<Recorded>).collect::<Result<Vec<_>, _>>();
    let calls = calls.map_err(|error| Failure::could_not(format!("the demo's calls: {error}"), "report this"))?;
    let recorder = Arc::new(recorder);
    let toolbox = toolbox(&calls, Toolbox::builder(Arc::clone(&recorder)).durability(durability))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(|error| Failure::io("start", "the demo's calls", &error))?;
    runtime.block_on(async {
        for call in &calls {
            let mut ctx = Context::new(call.user.as_str());
            ctx.session = Some(call.session.clone());
            ctx.agent = Some("demo".to_owned());
            // The answer is not needed here, because the trail has it.
            let _ = toolbox.call(&ctx, &call.tool, call.args.get()).await;
        }
    });
    recorder.close()?;
    let users = calls.iter().map(|call| &call.user).collect::<HashSet<_>>().len();
    Ok(Counts { calls: calls.len(), users })
}

/// Returns a toolbox whose tools give the recorded answers, with a gate that denies file tools to the user mallory.
fn toolbox(calls: &[Recorded], builder: ToolboxBuilder) -> Result<Toolbox, Failure> {
    let mut answers = BTreeMap::<&str, Answers>::new();
    for call in calls.iter().filter(|call| call.tool != UNREGISTERED) {
        let answer = Answer {
            failed: Status::parse(&call.status) == Some(Status::Error),
            text: call.result.clone().unwrap_or_default(),
            took: Duration::from_secs_f64(call.duration_ms.unwrap_or(0.0).max(0.0) / 1_000.0).min(PAUSE_MAX),
        };
        answers.entry(&call.tool).or_default().insert(key(call.args.get()), answer);
    }
    let mut rule = Rule::deny("no files for mallory");
    rule.users = vec!["mallory".to_owned()];
    rule.tools = vec!["filesystem.*".to_owned()];
    let mut gate = Gate::default();
    gate.rules.push(rule);
    let builder = answers.into_iter().fold(builder.gate(gate), |builder, (name, answers)| {
        let answers = Arc::new(answers);
        let schema = serde_json::json!({ "type": "object" });
        builder.tool(Tool::new(name, "Answers as it was recorded", schema, move |_, args: Value| {
            let answers = Arc::clone(&answers);
            async move {
                let unknown = || ToolError::new("these arguments were not recorded");
                let answer = answers.get(&args.to_string()).ok_or_else(unknown)?;
                tokio::time::sleep(answer.took).await;
                if answer.failed { Err(ToolError::new(answer.text.as_str())) } else { Ok(answer.text.clone()) }
            }
        }))
    });
    builder.build().map_err(|error| Failure::could_not(error.to_string(), "report this"))
}

/// Returns arguments in the form in which a handler gets them, as the key of the recorded answer.
fn key(args: &str) -> String {
    serde_json::from_str::<Value>(args).unwrap_or_default().to_string()
}
