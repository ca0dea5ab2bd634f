//! Removing old days: by the command, by the service once a day, and the refusal of lines of removed days.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::service::Service;
use crate::support::{TestHome, line, minutes_ago};

/// Returns a line whose time is `ago` days ago.
fn of(number: u64, ago: u64) -> String {
    let minutes = i64::try_from(ago * 24 * 60).unwrap();
    format!("{}\n", line(number, "alice", Some(minutes_ago(minutes))).trim_end())
}

/// Returns a place with one entry for each of the last `days` days.
fn filled(days: u64) -> TestHome {
    let place = TestHome::new();
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
    for counted in [
        "tooltrail_pruned_files_total 2",
        "tooltrail_pruned_entries_total 2",
        "tooltrail_rejected_lines_total 2",
        "tooltrail_late_lines_total 2",
        "tooltrail_failed_prunes_total 0",
    ] {
        assert!(metrics.contains(counted), "{counted}: {metrics}");
    }
    let late = service.place.file("late.jsonl", of(200, 9));
    let refused = service.place.run(&["import", "--config", &config, &late]);
    assert_eq!(refused.code, Some(1), "{} {}", refused.out, refused.err);
    assert!(refused.err.contains("older than the retention"), "{}", refused.err);
}

#[test]
fn another_process_prunes_beside_a_running_service() {
    let service = Service::start();
    let token = service.token(&["sender", "--role", "ingest"]);
    let day = service.place.day_file("alice", minutes_ago(5 * 24 * 60));
    let send = |number: u64| assert_eq!(service.post(&token, &of(number, 5)).status, 200);
    (0..3).for_each(send);
    // The last line may still wait for a flush. Prune waits for the flush, so the file is not created again.
    let ran = service.place.run(&["prune", "--max-age-days", "2", "--json"]);
    let told = serde_json::from_str::<Value>(&ran.out).unwrap_or_else(|error| panic!("{error}: {}", ran.err));
    assert_eq!((&told["files"], &told["days"][0]["left"]), (&1.into(), &0.into()), "{told}");
    assert!(!day.exists());
    send(7);
    service.until("closed what was removed", || {
        send(8);
        let open = std::fs::read_dir(format!("/proc/{}/fd", service.id())).unwrap();
        let open = open.filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok());
        let mut names = open.map(|path| path.to_string_lossy().into_owned()).filter(|path| path.contains("tool_audit"));
        names.all(|name| !name.ends_with("(deleted)"))
    });
    assert!(day.exists(), "it is written anew");
    let stored = service.place.stored();
    let incidents = stored.iter().filter(|entry| entry["tool"] == "tooltrail.incident").collect::<Vec<_>>();
    assert!(incidents.is_empty(), "{incidents:?}");
    assert_eq!(service.place.numbers().into_iter().filter(|number| *number < 7).count(), 0);
}

#[test]
fn a_killed_prune_is_completed_by_the_next() {
    const USERS: u64 = 400;
    let place = TestHome::new();
    let text = (0..USERS)
        .flat_map(|user| [0, 3].map(|ago| line(user, &format!("u{user}"), Some(minutes_ago(ago * 24 * 60))) + "\n"));
    let file = place.file("calls.jsonl", text.collect::<String>());
    assert_eq!(place.run(&["import", &file]).code, Some(0));
    let name = format!("{}.jsonl", minutes_ago(3 * 24 * 60).date());
    let old = || place.day_files().into_iter().filter(|path| path.ends_with(&name)).collect::<Vec<PathBuf>>();
    let before = old().len();
    assert_eq!(before as u64, USERS);
    // The limit is met as soon as two files are removed.
    let cap = (2 * USERS - 1).to_string();
    let prune = ["prune", "--max-entries", &cap];
    let mut child = place.command(&prune).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while old().len() == before && begun.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_micros(200));
    }
    child.kill().unwrap();
    let ended = child.wait().unwrap();
    let left = old().len();
    eprintln!("killed ({ended}) with {left} of {before} files left");
    let ran = place.run(&[&prune[..], &["--json"]].concat());
    assert_eq!((ran.code, old().len()), (Some(0), 0), "{}", ran.err);
    let prunes = place.stored().into_iter().filter(|entry| entry["tool"] == "tooltrail.prune").collect::<Vec<_>>();
    assert_eq!(prunes[0]["args"]["files"], USERS);
    if left > 0 {
        assert_eq!((prunes.len(), &prunes[1]["args"]["files"]), (2, &left.into()));
    }
    assert_eq!(place.numbers().len() as u64, USERS, "today stays");
}

#[test]
fn an_import_that_was_cut_short_goes_on_when_some_of_its_days_are_too_old_by_then() {
    const LINES: u64 = 6_000;
    let text = (0..LINES).map(|number| of(number, number % 6)).collect::<String>();
    let kept = "[retention]\nmax_age_days = 3\n";
    // Kills the import in the middle. If the import was too fast, tries again.
    for _ in 0..20 {
        let place = TestHome::new();
        let (file, config) = (place.file("calls.jsonl", &text), place.file("tooltrail.toml", kept));
        let mut child = place.command(&["import", &file]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while place.day_files().is_empty() {
            std::thread::sleep(Duration::from_micros(200));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let ran = place.run(&["import", "--config", &config, &file]);
        if ran.err.contains("imported already") {
            continue;
        }
        assert_eq!(ran.code, Some(1), "{}", ran.err);
        assert!(ran.err.contains("older than the retention"), "{}", ran.err);
        let numbers = place.numbers();
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "nothing is there twice");
        let young = (0..LINES).filter(|number| number % 6 < 3).collect::<Vec<_>>();
        assert!(young.iter().all(|number| numbers.binary_search(number).is_ok()));
        return;
    }
    panic!("never killed in the middle");
}
