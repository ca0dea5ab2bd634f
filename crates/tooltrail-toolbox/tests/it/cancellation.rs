//! Calls that are cancelled at random moments have exactly one entry.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::task::{Context as Waking, Poll, Waker};

use serde_json::{Value, json};
use tooltrail_toolbox::{Context, Tool, Toolbox};

use crate::dice::Dice;
use crate::support::TestToolbox;

/// Returns `Pending` `count` times before it completes.
async fn steps(count: u64) {
    for _ in 0..count {
        let mut first = true;
        std::future::poll_fn(|_| if std::mem::take(&mut first) { Poll::Pending } else { Poll::Ready(()) }).await;
    }
}

#[tokio::test]
async fn a_dropped_future_is_cancelled() {
    const CALLS: u64 = 500;
    let fixture = TestToolbox::new();
    let tool = Tool::new("steps", "Takes its time", json!(true), |_, args: Value| async move {
        steps(args["steps"].as_u64().unwrap_or_default()).await;
        Ok("done")
    });
    let toolbox = Toolbox::builder(fixture.recorder.clone()).tool(tool).build().unwrap();

    let mut random = Dice(42);
    let mut wants = HashMap::new();
    for n in 0..CALLS {
        // A call with s steps ends at poll s + 1. Without any poll it still counts as a call.
        let (count, polls) = (random.below(6), random.below(8));
        let mut ctx = Context::new("alice");
        ctx.session = Some(n.to_string());
        let args = json!({"steps": count}).to_string();
        let mut call = pin!(toolbox.call(&ctx, "steps", &args));
        let mut ended = false;
        for _ in 0..polls {
            ended = ended || call.as_mut().poll(&mut Waking::from_waker(Waker::noop())).is_ready();
        }
        assert_eq!(ended, polls > count, "{count} steps, {polls} polls");
        wants.insert(n.to_string(), if ended { ("ok", Value::Null) } else { ("error", json!("cancelled")) });
    }

    let entries = fixture.entries();
    assert_eq!(entries.len() as u64, CALLS);
    for entry in entries {
        let (status, reason) = wants.remove(entry["session"].as_str().unwrap()).expect("each call has one entry");
        assert_eq!((&entry["status"], &entry["reason"]), (&json!(status), &reason), "{entry}");
        assert!(entry["duration_ms"].is_number(), "{entry}");
    }
}

#[tokio::test]
async fn an_aborted_task_is_cancelled() {
    let fixture = TestToolbox::new();
    let endless = Tool::new("endless", "Never ends", json!(true), |_, _| async {
        std::future::pending::<()>().await;
        Ok("")
    });
    let toolbox = Toolbox::builder(fixture.recorder.clone()).tool(endless).build().unwrap();
    let task = tokio::spawn(async move { toolbox.call(&Context::new("alice"), "endless", "{}").await });
    tokio::task::yield_now().await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());

    let entries = fixture.entries();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0]["reason"], "cancelled");
}
