//! Days that go: by command, by the service each day, and late lines that are refused.

use serde_json::Value;

use crate::service::Service;
use crate::support::{Place, line, minutes_ago};

/// A line of so many days ago.
fn of(number: u64, ago: u64) -> String {
    let minutes = i64::try_from(ago * 24 * 60).unwrap();
    format!("{}\n", line(number, "alice", Some(minutes_ago(minutes))).trim_end())
}

/// A place with one entry of each of the last so many days.
fn filled(days: u64) -> Place {
    let place = Place::new();
    let text = (0..days).map(|ago| of(ago, ago)).collect::<String>();
    let file = place.file("calls.jsonl", text);
    assert_eq!(place.run(&["import", &file]).code, Some(0));
    place
}

#[test]
fn a_prune_says_what_goes_and_does_it() {
    let place = filled(5);
    let nothing = place.run(&["prune"]);
    assert_eq!(nothing.code, Some(2));
    assert!(nothing.err.contains("--max-age-days"), "{}", nothing.err);
    for bad in [&["--max-age-days", "0"][..], &["--max-bytes", "1GB"], &["--keep-days", "0", "--max-entries", "1"]] {
        assert_eq!(place.run(&[&["prune"], bad].concat()).code, Some(2), "{bad:?}");
    }
    let plan = place.run(&["prune", "--max-age-days", "3", "--dry-run", "--json"]);
    let plan = serde_json::from_str::<Value>(&plan.out).unwrap();
    assert_eq!((&plan["dry_run"], &plan["files"], &plan["entries"]), (&true.into(), &2.into(), &2.into()));
    assert_eq!(place.numbers().len(), 5);
    let done = place.run(&["prune", "--max-age-days", "3"]);
    assert_eq!(done.code, Some(0), "{}", done.err);
    assert!(done.out.contains("2 days removed"), "{}", done.out);
    assert_eq!(place.numbers().len(), 3);
    let again = place.run(&["prune", "--max-age-days", "3"]);
    assert_eq!((again.code, &*again.out), (Some(0), "nothing is over its limit\n"));
    let told = place.stored().into_iter().filter(|entry| entry["tool"] == "tooltrail.prune").collect::<Vec<_>>();
    assert_eq!((told.len(), &told[0]["args"]["by"], &told[0]["args"]["limit"]), (2, &"prune".into(), &"age".into()));
}

#[test]
fn the_service_prunes_what_the_file_says_and_refuses_what_comes_late() {
    let place = filled(6);
    let config = place.file("tooltrail.toml", "[retention]\nmax_age_days = 2\nkeep_days = 4\nmax_bytes = \"1 GiB\"\n");
    let check = place.run(&["config", "check", "--config", &config, "--json"]);
    assert!(check.out.contains("\"keep_days\":4") && check.out.contains("1073741824"), "{} {}", check.out, check.err);
    let service = Service::start_as(place, &["--config", &config]);
    service.wait_ready();
    service.until("pruned", || service.place.numbers().len() == 4);
    let token = service.token(&["sender", "--role", "ingest"]);
    let body = [0, 3, 4, 9].map(|ago| of(100 + ago, ago)).concat();
    let answer = service.post(&token, &body);
    assert_eq!(answer.status, 207, "{}", answer.body);
    let answer = serde_json::from_str::<Value>(&answer.body).unwrap();
    assert_eq!((&answer["accepted"], answer["rejected"].as_array().unwrap().len()), (&2.into(), 2));
    assert!(answer["rejected"][0]["error"].as_str().unwrap().contains("older than the retention"), "{answer}");
    let metrics = service.send("GET", "/metrics", &[], "").body;
    for counted in
        ["tooltrail_pruned_files_total 2", "tooltrail_rejected_lines_total 2", "tooltrail_failed_prunes_total 0"]
    {
        assert!(metrics.contains(counted), "{counted}: {metrics}");
    }
    let late = service.place.file("late.jsonl", of(200, 9));
    let refused = service.place.run(&["import", "--config", &config, &late]);
    assert_eq!(refused.code, Some(1), "{} {}", refused.out, refused.err);
    assert!(refused.err.contains("older than the retention"), "{}", refused.err);
}
