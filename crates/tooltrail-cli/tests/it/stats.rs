//! Compares what `stats` counts with counts that the test makes itself.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tooltrail::Timestamp;

use crate::dice::Dice;
use crate::support::{TestHome, minutes_ago};

/// A call that the test has made.
struct ExpectedCounts {
    ts: Timestamp,
    user: &'static str,
    tool: &'static str,
    status: &'static str,
    duration_ms: Option<f64>,
    chars: usize,
}

/// Makes calls, imports them, and returns the place and the calls.
fn made(calls: u64) -> (TestHome, Vec<ExpectedCounts>) {
    let mut dice = Dice(11);
    let mut made = Vec::new();
    for _ in 0..calls {
        let mut pick = |of: &[&'static str]| of[dice.below(of.len() as u64) as usize];
        let (user, tool) = (pick(&["alice", "bob", "bob"]), pick(&["fs.read", "fs.write", "shell", "http.get"]));
        let status = pick(&["ok", "ok", "ok", "error", "denied"]);
        let ts = minutes_ago(dice.below(5 * 24 * 60) as i64);
        // Durations with a long tail, as real tools have, and none for some calls.
        let duration_ms = (tool != "shell").then(|| 1.5_f64.powi(dice.below(25) as i32) + dice.below(100) as f64 / 8.0);
        made.push(ExpectedCounts { ts, user, tool, status, duration_ms, chars: dice.below(2_000) as usize });
    }
    let text = made.iter().map(|made| {
        let call = json!({
            "ts": made.ts.to_string(), "user": made.user, "tool": made.tool, "args": {}, "status": made.status,
            "result": "é".repeat(made.chars), "duration_ms": made.duration_ms,
        });
        format!("{call}\n")
    });
    let place = TestHome::new();
    let ran = place.run_with(&["import", "-"], text.collect::<String>().as_bytes());
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    (place, made)
}

/// Checks that each quantile is right, with a tolerance of two ranks and one per cent.
fn check_quantiles(answer: &Value, mut values: Vec<f64>) {
    values.sort_by(f64::total_cmp);
    for (name, share) in [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99)] {
        let rank = (share * (values.len() - 1) as f64) as usize;
        let (low, high) = (values[rank.saturating_sub(2)] * 0.99, values[(rank + 2).min(values.len() - 1)] * 1.01);
        let found = answer[name].as_f64().unwrap();
        assert!((low..=high).contains(&found), "{name} of {}: {found} is not in {low}..{high}", values.len());
    }
}

fn counts<'a>(names: impl Iterator<Item = &'a str>) -> Value {
    let mut counts = BTreeMap::<&str, u64>::new();
    names.for_each(|name| *counts.entry(name).or_default() += 1);
    json!(counts)
}

#[test]
fn stats_agree_with_what_was_made() {
    let (place, made) = made(3_000);
    let check = |args: &[&str], keep: &dyn Fn(&ExpectedCounts) -> bool| {
        let ran = place.run(&[&["stats", "--json"], args].concat());
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{args:?}");
        assert_eq!(ran.out.lines().count(), 1, "one object");
        let answer = serde_json::from_str::<Value>(&ran.out).unwrap();
        // The range depends on the clock, so the test takes its first day from the answer.
        let from = answer["from"].as_str().unwrap();
        let kept = made.iter().filter(|made| keep(made) && *made.ts.date().to_string() >= *from).collect::<Vec<_>>();
        assert_eq!(answer["total"], kept.len(), "{args:?}");
        assert_eq!(answer["by_user"], counts(kept.iter().map(|made| made.user)));
        let days = kept.iter().map(|made| made.ts.date().to_string()).collect::<Vec<_>>();
        assert_eq!(answer["by_day"], counts(days.iter().map(String::as_str)));
        let status = |status| kept.iter().filter(|made| made.status == status).count();
        let by_status = json!({"ok": status("ok"), "error": status("error"), "denied": status("denied")});
        assert_eq!(answer["by_status"], by_status);
        let mut tools = kept.iter().map(|made| made.tool).collect::<Vec<_>>();
        tools.sort_unstable();
        tools.dedup();
        assert_eq!(answer["by_tool"].as_object().unwrap().len(), tools.len());
        for tool in tools {
            let of = kept.iter().filter(|made| made.tool == tool).collect::<Vec<_>>();
            let found = &answer["by_tool"][tool];
            let status = |status| of.iter().filter(|made| made.status == status).count();
            let expected = json!([of.len(), status("ok"), status("error"), status("denied")]);
            assert_eq!(json!([found["calls"], found["ok"], found["error"], found["denied"]]), expected, "{tool}");
            check_quantiles(&found["result_chars"], of.iter().map(|made| made.chars as f64).collect());
            match tool {
                "shell" => assert!(found.get("duration_ms").is_none(), "nothing was measured"),
                _ => check_quantiles(&found["duration_ms"], of.iter().filter_map(|made| made.duration_ms).collect()),
            }
        }
    };
    check(&[], &|_| true);
    check(&["--days", "2"], &|_| true);
    check(&["--user", "bob"], &|made| made.user == "bob");
    check(&["user=alice"], &|made| made.user == "alice");
    check(&["tool=fs.*", "status=error"], &|made| made.tool.starts_with("fs.") && made.status == "error");
    check(&["tool!=shell status!=ok"], &|made| made.tool != "shell" && made.status != "ok");
    check(&["tool=nobody"], &|_| false);
    let people = place.run(&["stats"]);
    assert!(people.out.starts_with("3000 calls, ") && people.err.is_empty(), "{} {}", people.out, people.err);
    assert!(!people.out.contains('\x1b'), "no colour in a pipe");
}

#[test]
fn sightings_of_one_call_count_once() {
    let place = TestHome::new();
    let line = |call_id: &str, user: &str| {
        format!("{{\"tool\":\"t\",\"user\":\"{user}\",\"status\":\"ok\",\"call_id\":\"{call_id}\"}}\n")
    };
    // Two lines of one user with the same long call id are one call, because such an id is unique. Short ids repeat in
    // every turn, so each line is a call.
    let (one, two) = ("toolu_01A09q90qw90lq917835lq9", "toolu_01B09q90qw90lq917835lq9");
    let short = [line("call_0", "c"), line("call_0", "c")].concat();
    let text = [line(one, "a"), line(one, "a"), line(one, "b"), line(two, "a"), short].concat();
    assert_eq!(place.run_with(&["import", "-"], text.as_bytes()).code, Some(0));
    let answer = serde_json::from_str::<Value>(&place.run(&["stats", "--json"]).out).unwrap();
    assert_eq!((&answer["total"], &answer["by_user"]), (&json!(5), &json!({"a": 2, "b": 1, "c": 2})));
    assert_eq!(place.run(&["recent", "--json"]).out.lines().count(), 6, "each sighting is shown");
}

#[test]
fn what_was_used_for_the_first_time_is_listed_and_shown() {
    let place = TestHome::new();
    let line = |minutes: i64, tool: &str, server: &str, client: &str| {
        let ts = minutes_ago(minutes);
        format!(
            "{{\"ts\":\"{ts}\",\"tool\":\"{tool}\",\"user\":\"alice\",\"status\":\"ok\",\"server\":\"{server}\",\"client\":\"{client}\"}}\n"
        )
    };
    let old =
        [line(3 * 24 * 60, "read", "files", "codex/1"), line(3 * 24 * 60 - 1, "read", "files", "codex/2")].concat();
    let new =
        [line(3, "write", "files", "codex/3"), line(2, "read", "hub", "gemini/1"), line(1, "write", "hub", "codex/3")];
    assert_eq!(place.run_with(&["import", "-"], (old + &new.concat()).as_bytes()).code, Some(0));
    let ask = |args: &[&str]| {
        let answer =
            serde_json::from_str::<Value>(&place.run(&[&["stats", "--new", "--json"], args].concat()).out).unwrap();
        assert_eq!(answer["complete"], true);
        let new = answer["new"].as_array().unwrap().iter().map(|new| format!("{} {}", new["what"], new["name"]));
        new.collect::<Vec<_>>().join(", ").replace('"', "")
    };
    assert_eq!(ask(&["--last", "1d"]), "server hub, client gemini/1, tool write");
    assert_eq!(ask(&[]), "server hub, client gemini/1, tool write, tool read, server files, client codex/1");
    assert_eq!(ask(&["tool=write"]), "tool write");
    assert_eq!(ask(&["--user", "bob"]), "");
    let table = place.run(&["stats", "--new", "--last", "1d"]);
    assert!(table.out.contains("gemini/1") && table.out.lines().count() == 4, "{}", table.out);
    let id = |query: &str| {
        let found = place.run(&["recent", "--json", query]).out;
        serde_json::from_str::<Value>(found.lines().next().unwrap()).unwrap()["id"].as_str().unwrap().to_owned()
    };
    let shown = |query: &str| place.run(&["show", &id(query)]).out;
    assert!(shown("client=gemini*").contains("the first use of this server, this client by this user's agents"));
    assert!(!shown("tool=write server=hub").contains("first use"));
}
