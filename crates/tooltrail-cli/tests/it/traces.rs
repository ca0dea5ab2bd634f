//! Imports complete recorded traces of real agents, and compares the answers with counts made without our code.
//!
//! `TOOLTRAIL_TRACES` names a folder of `*.jsonl.zst` files in the common form (a file of secrets is left out). Without
//! it the suite prints that it was skipped, because the traces are other people's data and not part of this repository.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::service::Service;
use crate::support::TestHome;

const COUNTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/counts.py");

fn traces() -> Option<Vec<PathBuf>> {
    let Some(folder) = std::env::var_os("TOOLTRAIL_TRACES") else {
        eprintln!("skipped: traces (TOOLTRAIL_TRACES is not set)");
        return None;
    };
    let entries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    let mut files = entries
        .filter(|path| name(path).ends_with(".jsonl.zst") && !name(path).starts_with("secrets"))
        .collect::<Vec<_>>();
    files.sort();
    assert!(!files.is_empty(), "no traces in {}", folder.display());
    Some(files)
}

fn counts(files: &[PathBuf]) -> Value {
    let output = Command::new("python3").arg(COUNTS).args(files).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Returns every stored line that matches a query, page by page, and checks that every page except the last is full.
fn all(place: &TestHome, query: &[&str]) -> Vec<Value> {
    let (mut lines, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let mut args = vec!["recent", "--json", "--days", "3650", "--limit", "777"];
        args.extend(query);
        if let Some(cursor) = &cursor {
            args.extend(["--cursor", cursor]);
        }
        let ran = place.run(&args);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        lines.extend(ran.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
        let next = ran.err.lines().find_map(|line| line.split("--cursor ").nth(1));
        match next {
            Some(next) => cursor = Some(next.split_whitespace().next().unwrap().trim_matches('\'').to_owned()),
            None => return lines,
        }
    }
}

#[test]
fn answers_agree_with_counts_taken_from_the_input() {
    let Some(files) = traces() else { return };
    let truth = counts(&files);
    let place = TestHome::new();
    for file in &files {
        let ran = place.run(&["import", "--json", file.to_str().unwrap()]);
        assert_eq!(ran.code, Some(0), "{}: {}", file.display(), ran.err);
        let answer: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(answer["accepted"], counts(std::slice::from_ref(file))["total"], "{}", file.display());
    }

    let ran = place.run(&["stats", "--json", "--days", "3650"]);
    let stats: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(stats["total"], truth["total"]);
    for status in ["ok", "error", "denied"] {
        let expected = truth["by_status"].get(status).cloned().unwrap_or(0.into());
        assert_eq!(stats["by_status"][status], expected, "{status}");
    }
    for (name, map) in [("by_tool", "calls"), ("by_user", "")] {
        for (key, count) in truth[name].as_object().unwrap() {
            let found = if map.is_empty() { &stats[name][key] } else { &stats[name][key][map] };
            assert_eq!(found, count, "{name} {key}");
        }
        assert_eq!(stats[name].as_object().unwrap().len(), truth[name].as_object().unwrap().len(), "{name}");
    }

    let lines = all(&place, &[]);
    assert_eq!(lines.len() as u64, truth["total"].as_u64().unwrap());
    let ids = lines.iter().map(|line| line["id"].as_str().unwrap()).collect::<std::collections::HashSet<_>>();
    assert_eq!(ids.len(), lines.len(), "ids are unique");
    let chars = lines.iter().map(|line| line["result_chars"].as_u64().unwrap()).sum::<u64>();
    assert_eq!(chars, truth["chars"].as_u64().unwrap());
    let durations = lines.iter().filter(|line| !line["duration_ms"].is_null()).count();
    assert_eq!(durations as u64, truth["durations"].as_u64().unwrap());
    let times = lines.iter().map(|line| line["ts"].as_str().unwrap()).collect::<Vec<_>>();
    assert!(times.is_sorted_by(|newer, older| newer >= older), "newest first");

    for (tool, count) in truth["by_tool"].as_object().unwrap().iter().take(25) {
        let found = all(&place, &[&format!("tool=\"{tool}\"")]);
        assert_eq!(found.len() as u64, count.as_u64().unwrap(), "{tool}");
    }
    for (user, count) in truth["by_user"].as_object().unwrap().iter().take(10) {
        assert_eq!(all(&place, &["--user", user]).len() as u64, count.as_u64().unwrap(), "{user}");
    }
    let denied = truth["by_status"].get("denied").and_then(Value::as_u64).unwrap_or(0);
    assert_eq!(all(&place, &["status=denied"]).len() as u64, denied);

    check_filters(&place, &lines);

    // The service gives the same answers, line by line.
    let service = Service::start_in(place);
    service.wait_ready();
    let token = service.token(&["reader", "--role", "admin"]);
    let mut over_http = service.get(&token, "/api/audit/stats?days=3650").json();
    let mut cli = stats;
    for answer in [&mut over_http, &mut cli] {
        answer.as_object_mut().unwrap().remove("scanned");
    }
    assert_eq!(over_http, cli);
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page =
            service.get(&token, &format!("/api/audit/recent?days=3650&limit=1000&q=via%3Dimport{cursor}")).json();
        paged.extend(page["entries"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert!(paged == lines, "recent over HTTP differs from the command line's");
    let users = service.get(&token, "/api/audit/users").json();
    for user in users["users"].as_array().unwrap() {
        let name = user["user"].as_str().unwrap();
        if name != "_system" {
            assert_eq!(user["entries"], truth["by_user"][name], "{name}");
        }
    }
}

/// Compares the prefilter, which works on bytes, with a filter that parses each line, for queries made from the data.
fn check_filters(place: &TestHome, lines: &[Value]) {
    let mut queries = vec!["status=error", "status!=ok", "via=import", "duration>5ms", "tool=*_*", "\"the\""]
        .into_iter()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    for entry in lines.iter().step_by(lines.len() / 40 + 1) {
        let snippet = entry["result_snippet"].as_str().unwrap();
        let word = snippet.split_whitespace().rfind(|word| word.chars().count() > 3).unwrap_or("none");
        queries.push(Value::from(word).to_string());
        queries.push(format!("tool={} user={}", entry["tool"], entry["user"]));
        queries.push(format!("session={} chars>=10", entry["session"]));
    }
    let queries = queries.iter().filter_map(|query| tooltrail::Query::parse(query).ok()).collect::<Vec<_>>();
    assert!(queries.len() > 60, "only {} questions could be drawn", queries.len());
    let (mut denied, mut found) = (0_u64, 0_u64);
    for user in std::fs::read_dir(place.home()).unwrap().flatten() {
        for day in std::fs::read_dir(user.path().join("tool_audit")).into_iter().flatten().flatten() {
            let text = std::fs::read_to_string(day.path()).unwrap();
            for (line, query) in text.lines().flat_map(|line| queries.iter().map(move |query| (line, query))) {
                let (bytes, parsed) = tooltrail::check_filter(line, query);
                assert!(bytes || !parsed, "bytes deny what parsing finds: {query} in {line}");
                denied += u64::from(!bytes);
                found += u64::from(parsed);
            }
        }
    }
    assert!(denied > 0 && found > 0, "neither half may be idle: {denied} denied by bytes, {found} found");
}
