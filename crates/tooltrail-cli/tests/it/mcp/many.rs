//! Many proxies over one home.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::support::{Client, entries, own_events, proxy, status, status_of, within};
use crate::support::TestHome;

/// Five clients with ten servers each, and room to spare.
const PROXIES: usize = 128;

/// The calls of each proxy.
const CALLS: usize = 50;

/// What an idle proxy may use, in KiB.
const IDLE_KIB_MAX: u64 = 8 * 1024;

/// The longest wait until all sleep. Proxies that start while another one recovers the home look again after ten seconds.
const QUIET_WAIT: Duration = Duration::from_secs(90);

/// Returns how often the threads of a process have gone to sleep: each wake-up adds one.
fn sleeps(pid: u32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let counts = tasks.map(|task| {
        let status = std::fs::read_to_string(task.path().join("status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.and_then(|count| count.trim().parse::<u64>().ok()).unwrap_or(0)
    });
    counts.sum()
}

#[test]
fn every_call_of_many_proxies_is_recorded_once_and_idle_ones_sleep() {
    let _alone = crate::support::crowd();
    let place = TestHome::new();
    let mut clients = (0..PROXIES)
        .map(|n| Client::start(proxy(&place, &["--server", &format!("s{n}"), "--durability", "grouped"])))
        .collect::<Vec<_>>();
    std::thread::scope(|scope| {
        for (n, client) in clients.iter_mut().enumerate() {
            scope
                .spawn(move || (0..CALLS).for_each(|call| drop(client.call("echo", &json!({ "n": n, "call": call })))));
        }
    });
    // First the last lines are flushed and the journal slots are given back; then nothing happens any more.
    let all = || clients.iter().map(|client| sleeps(client.child.id())).collect::<Vec<_>>();
    within(QUIET_WAIT, "all proxies sleep", || {
        let before = all();
        std::thread::sleep(Duration::from_secs(3));
        all() == before
    });
    for client in &clients {
        let pid = client.child.id();
        let kib = status_of(pid, "VmRSS");
        // A debug build maps more of itself.
        let kib_max = if cfg!(debug_assertions) { 5 * IDLE_KIB_MAX } else { IDLE_KIB_MAX };
        assert!(kib <= kib_max, "{kib} KiB");
    }
    for client in clients {
        let (code, rest, stderr) = client.end();
        assert_eq!((code, rest.as_str(), stderr.as_str()), (Some(0), "", ""));
    }

    let mut counts = BTreeMap::<(u64, u64), u32>::new();
    for entry in entries(&place) {
        assert_eq!(entry["status"], "ok");
        *counts.entry((entry["args"]["n"].as_u64().unwrap(), entry["args"]["call"].as_u64().unwrap())).or_default() +=
            1;
    }
    let missing = (0..PROXIES as u64).filter(|n| !counts.keys().any(|(found, _)| found == n)).collect::<Vec<_>>();
    let gaps = own_events(&place, "tooltrail.gap");
    assert_eq!(counts.len(), PROXIES * CALLS, "nothing of {missing:?}; {gaps:?}; {:?}", status(&place));
    assert!(counts.values().all(|count| *count == 1));
    assert!(own_events(&place, "tooltrail.gap").is_empty() && own_events(&place, "tooltrail.incident").is_empty());
}
