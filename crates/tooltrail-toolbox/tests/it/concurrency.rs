//! Ten thousand concurrent calls on one runtime: each has one entry, and memory grows only by what the trail stores,
//! not by the results.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Barrier;
use tooltrail_toolbox::{Context, Tool, Toolbox};

use crate::support::TestToolbox;

const CALLS: usize = 10_000;

/// The characters of one result; all results together would be a gigabyte.
const RESULT_CHARS: usize = 100_000;

/// The memory in KiB that all calls together may add to the process: a fraction of their results.
const GROWTH_KIB_MAX: u64 = 400 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_at_once() {
    let fixture = TestToolbox::new();
    let all = Arc::new(Barrier::new(CALLS));
    let tool = Tool::new("big", "Waits for all others, then answers", json!(true), move |_, _: Value| {
        let all = Arc::clone(&all);
        async move {
            all.wait().await;
            Ok("x".repeat(RESULT_CHARS))
        }
    });
    let toolbox = Arc::new(Toolbox::builder(fixture.recorder.clone()).tool(tool).build().unwrap());
    let before = memory_peak_kib();

    let calls: Vec<_> = (0..CALLS)
        .map(|n| {
            let toolbox = Arc::clone(&toolbox);
            tokio::spawn(async move {
                let mut ctx = Context::new(format!("user-{}", n % 8));
                ctx.session = Some(n.to_string());
                toolbox.call(&ctx, "big", &json!({ "n": n }).to_string()).await.map(|output| output.to_text().len())
            })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), Ok(RESULT_CHARS));
    }

    let entries = fixture.entries();
    if let (Some(before), Some(after)) = (before, memory_peak_kib()) {
        assert!(after - before < GROWTH_KIB_MAX, "memory grew by {} KiB", after - before);
    }
    let own: Vec<_> = entries.iter().filter(|entry| entry["via"] != "toolbox").collect();
    assert!(own.is_empty(), "{own:?}");
    assert_eq!(entries.len(), CALLS);
    let sessions: HashSet<_> = entries.iter().map(|entry| entry["session"].as_str().unwrap()).collect();
    assert_eq!(sessions.len(), CALLS);
    assert!(entries.iter().all(|entry| entry["status"] == "ok" && entry["result_chars"] == RESULT_CHARS));
}

/// Returns the most memory that this process ever used, if the system reports it.
fn memory_peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}
