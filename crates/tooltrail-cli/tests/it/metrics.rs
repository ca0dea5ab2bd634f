//! The metrics: they have the OpenMetrics format, they change with the work, and they contain no names.

use std::collections::BTreeMap;

use crate::service::Service;

const LINE: &str = r#"{"user":"alice","tool":"fs.read","status":"ok"}"#;

/// Returns each sample of the metrics page, by its name and labels as they are written.
fn samples(service: &Service) -> BTreeMap<String, f64> {
    let answer = service.send("GET", "/metrics", &[], "");
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").unwrap().starts_with("application/openmetrics-text; version=1.0.0"));
    parse(&answer.body)
}

/// Parses a metrics page strictly: the type before the samples of a family, the suffixes of the type, and the end mark.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let mut families = BTreeMap::new();
    let mut family = ("", "");
    let body = text.strip_suffix("# EOF\n").expect("the end is marked");
    for line in body.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let (word, rest) = comment.split_once(' ').unwrap();
            let (name, said) = rest.split_once(' ').unwrap();
            assert!(["HELP", "TYPE", "UNIT"].contains(&word) && !said.is_empty(), "{line}");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{line}");
            if word == "TYPE" {
                family = (name, said);
                assert!(families.insert(name, said).is_none(), "twice: {line}");
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let suffix = name.strip_prefix(family.0).unwrap_or_else(|| panic!("{line} stands in {family:?}"));
        let allowed: &[&str] = match family.1 {
            "counter" => &["_total"],
            "gauge" => &[""],
            "info" => &["_info"],
            "histogram" => &["_bucket", "_sum", "_count"],
            other => panic!("unknown type {other}"),
        };
        assert!(allowed.contains(&suffix), "{line} of a {}", family.1);
        let labels = labels.strip_suffix('}').unwrap();
        for label in labels.split("\",").filter(|label| !label.is_empty()) {
            let (name, quoted) = label.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase()) && !quoted.contains('\\'), "{line}");
        }
        assert!(samples.insert(series.to_owned(), value.parse().unwrap()).is_none(), "twice: {line}");
    }
    whole_histograms(&samples, &families);
    samples
}

/// Checks that the buckets of a histogram never decrease, and that the last one counts every value.
fn whole_histograms(samples: &BTreeMap<String, f64>, families: &BTreeMap<&str, &str>) {
    for name in families.iter().filter(|(_, kind)| **kind == "histogram").map(|(name, _)| name) {
        let prefix = format!("{name}_bucket{{");
        let mut last = BTreeMap::<String, Vec<(f64, f64)>>::new();
        for (series, value) in samples.iter().filter(|(series, _)| series.starts_with(&prefix)) {
            let labels = series.strip_prefix(&prefix).unwrap().trim_end_matches('}');
            let (mut rest, mut bound) = (Vec::new(), f64::NAN);
            for label in labels.split(',') {
                match label.strip_prefix("le=\"") {
                    Some(le) => bound = le.trim_end_matches('"').replace("+Inf", "inf").parse().unwrap(),
                    None => rest.push(label),
                }
            }
            last.entry(rest.join(",")).or_default().push((bound, *value));
        }
        for (labels, mut buckets) in last {
            buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
            assert!(buckets.is_sorted_by(|a, b| a.1 <= b.1), "{name} {labels}: {buckets:?}");
            let count = if labels.is_empty() { format!("{name}_count") } else { format!("{name}_count{{{labels}}}") };
            assert_eq!(buckets.last().unwrap(), &(f64::INFINITY, samples[&count]), "{name} {labels}");
        }
    }
}

#[test]
fn the_numbers_move_as_they_should() {
    let service = Service::start();
    let admin = service.token(&["root", "--role", "admin"]);
    let before = samples(&service);
    assert_eq!(service.post(&admin, &format!("{LINE}\n{LINE}\nnonsense\n")).status, 207);
    let header = [("Authorization", &*format!("Bearer {admin}")), ("Tooltrail-Lost", "41")];
    assert_eq!(service.send("POST", "/api/audit/entries", &header, LINE).status, 200);
    let day = std::fs::read_dir(service.place.home().join("alice/tool_audit")).unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read_to_string(&day).unwrap();
    std::fs::write(&day, format!("{text}no line of ours\n")).unwrap();
    assert_eq!(service.get(&admin, "/api/audit/recent?user=alice").status, 200);
    assert_eq!(service.get(&admin, "/api/audit/stats?user=alice").status, 200);
    assert_eq!(service.get(&admin, "/nowhere/alice").status, 404);
    assert_eq!(service.send("BREW", "/healthz", &[], "").status, 405);
    service.until("counted", || {
        let now = samples(&service);
        now["tooltrail_written_bytes_total"] > before["tooltrail_written_bytes_total"]
            && now["tooltrail_queue_entries"] + now["tooltrail_writing_entries"] == 0.0
    });
    let after = samples(&service);
    let moved = |series: &str| after.get(series).copied().unwrap_or(0.0) - before.get(series).copied().unwrap_or(0.0);
    let requests = |route: &str, method: &str, status: u16| {
        moved(&format!(r#"tooltrail_requests_total{{route="{route}",method="{method}",status="{status}"}}"#))
    };
    assert_eq!(requests("/api/audit/entries", "POST", 207), 1.0);
    assert_eq!(requests("/api/audit/entries", "POST", 200), 1.0);
    assert_eq!(requests("/api/audit/recent", "GET", 200), 1.0);
    assert_eq!(requests("-", "GET", 404), 1.0);
    assert_eq!(requests("/healthz", "other", 405), 1.0);
    assert_eq!(moved(r#"tooltrail_request_duration_seconds_count{route="/api/audit/entries",method="POST"}"#), 2.0);
    assert_eq!(moved("tooltrail_rejected_lines_total"), 1.0);
    assert_eq!(moved("tooltrail_sender_lost_entries_total"), 41.0);
    assert_eq!(moved(r#"tooltrail_skipped_lines_total{kind="invalid_json"}"#), 2.0);
    assert_eq!(moved("tooltrail_batch_entries_count"), moved("tooltrail_batch_duration_seconds_count"));
    assert!(moved("tooltrail_batch_entries_sum") >= 3.0 && moved("tooltrail_written_entries_total") >= 3.0);
    assert!(moved("tooltrail_sync_duration_seconds_count") >= 2.0);
    assert!(moved("tooltrail_accepted_connections_total") >= 6.0);
    assert_eq!(after["tooltrail_open"], 1.0);
    assert_eq!(after[&format!(r#"tooltrail_build_info{{version="{}"}}"#, env!("CARGO_PKG_VERSION"))], 1.0);
    assert!(after["tooltrail_connections"] >= 1.0 && moved("tooltrail_uptime_seconds") > 0.0);
    for quiet in ["tooltrail_queue_entries", "tooltrail_queue_bytes", "tooltrail_writer_in_trouble"] {
        assert_eq!(after[quiet], 0.0, "{quiet}");
    }
    assert!(after.iter().filter(|(series, _)| series.starts_with("tooltrail_lost")).all(|(_, lost)| *lost == 0.0));
    // The metrics contain only numbers: no user, no tool, no token.
    let names = after.keys().map(String::as_str).collect::<String>();
    for name in ["alice", "fs.read", "root", "nowhere", "BREW", &admin[..16]] {
        assert!(!names.contains(name), "{name}");
    }
}

#[test]
fn nobody_can_make_more_labels() {
    let service = Service::start();
    let first = samples(&service).len();
    for n in 0..50 {
        service.send(&format!("M{n}"), &format!("/p{n}"), &[], "");
        service.send("GET", &format!("/healthz?x={n}"), &[], "");
    }
    assert!(samples(&service).len() < first + 60);
}
