//! Makes calls through a toolbox in one durability mode without end, and reports each step on stdout. The fault tests
//! kill this program.
//!
//! `endless_calls HOME buffered|grouped|strict CALLERS NAME` prints a line for each step of a call: `ran ID` inside the
//! tool, before anything of its outcome is known, then `answered ID` or `withheld ID`. Every fifth call is slow.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tooltrail::Recorder;
use tooltrail_toolbox::{CallError, Context, Durability, Tool, ToolError, Toolbox};

/// The duration of a slow call: long enough that every mode that notes calls notes it as open.
const SLOW: Duration = Duration::from_millis(400);

/// One of this number of calls is slow.
const SLOW_EVERY: u64 = 5;

/// The pause of a caller after its answer was withheld, because the disk has a problem.
const PAUSE: Duration = Duration::from_millis(20);

/// Prints a step with a single write, so that a kill cannot cut the line.
fn say(step: &str, id: &str) {
    let line = format!("{step} {id}\n");
    // Ignores the error, because the reading process may have ended already.
    let _nobody_listens = std::io::stdout().lock().write_all(line.as_bytes());
}

fn tool() -> Tool {
    let schema = json!({"type": "object", "properties": {"id": {"type": "string"}, "slow": {"type": "boolean"}}});
    Tool::new("step", "Says that it runs", schema, |_, args: Value| async move {
        let id = args["id"].as_str().ok_or_else(|| ToolError::new("no id"))?;
        say("ran", id);
        if args["slow"] == true {
            tokio::time::sleep(SLOW).await;
        }
        Ok(id.to_owned())
    })
}

async fn calls(toolbox: Arc<Toolbox>, name: String, caller: u64) {
    for number in 1.. {
        let id = format!("{name}{caller}.{number}");
        let mut ctx = Context::new(format!("user{}", caller % 3));
        ctx.call_id = Some(id.clone());
        let args = json!({"id": id, "slow": number % SLOW_EVERY == 0}).to_string();
        match toolbox.call(&ctx, "step", &args).await {
            Err(CallError::Unrecorded { .. }) => {
                say("withheld", &id);
                tokio::time::sleep(PAUSE).await;
            }
            _ => say("answered", &id),
        }
        // The modes other than strict do not wait for the disk, so without this pause they would fill the queue.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words = std::env::args().skip(1).collect::<Vec<_>>();
    let [home, mode, callers, name] = &*words else {
        return Err("usage: endless_calls HOME buffered|grouped|strict CALLERS NAME".into());
    };
    let durability = match &**mode {
        "buffered" => Durability::Buffered,
        "grouped" => Durability::Grouped,
        "strict" => Durability::Strict,
        _ => return Err("no such mode".into()),
    };
    let callers = callers.parse::<u64>()?;
    let recorder = Arc::new(Recorder::open(home)?);
    let toolbox = Arc::new(Toolbox::builder(recorder).tool(tool()).durability(durability).build()?);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    say("open", "home");
    runtime.block_on(async {
        let callers = (0..callers).map(|caller| tokio::spawn(calls(Arc::clone(&toolbox), name.clone(), caller)));
        for caller in callers.collect::<Vec<_>>() {
            caller.await?;
        }
        Ok(())
    })
}
