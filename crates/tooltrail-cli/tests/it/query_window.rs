//! Which days a question covers, and what the answer says if it finds nothing.

use serde_json::{Value, json};

use crate::service::Service;
use crate::support::{TestHome, minutes_ago};

const DAY: i64 = 24 * 60;

/// Returns a place with one entry for each of these ages in days.
fn aged(days: &[i64]) -> TestHome {
    let place = TestHome::new();
    let lines = days.iter().map(|ago| {
        json!({ "ts": minutes_ago(ago * DAY).to_string(), "user": "alice", "tool": format!("t{ago}"), "status": "ok" })
    });
    let text = lines.map(|line| line.to_string() + "\n").collect::<String>();
    assert_eq!(place.run_with(&["import", "-"], text.as_bytes()).code, Some(0));
    place
}

fn tools(place: &TestHome, query: &[&str]) -> Vec<String> {
    let ran = place.run(&[&["recent", "--json"], query].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let tool = |line: &str| serde_json::from_str::<Value>(line).unwrap()["tool"].as_str().unwrap().to_owned();
    ran.out.lines().map(tool).collect()
}

#[test]
fn a_time_or_an_id_in_a_query_sets_the_window() {
    let place = aged(&[1, 30, 150, 400]);
    let date = |ago: i64| minutes_ago(ago * DAY).date().to_string();
    assert_eq!(tools(&place, &[]), ["t1"]);
    assert_eq!(tools(&place, &["last=200d"]), ["t1", "t30", "t150"]);
    assert_eq!(tools(&place, &["last=200d", "--days", "3"]), ["t1", "t30", "t150"]);
    assert_eq!(tools(&place, &[&format!("since={}", date(160))]), ["t1", "t30", "t150"]);
    assert_eq!(tools(&place, &[&format!("until={}", date(100))]), ["t150", "t400"]);
    assert_eq!(tools(&place, &[&format!("since={}", date(160)), &format!("until={}", date(100))]), ["t150"]);
    let id = place.stored().iter().find(|entry| entry["tool"] == "t400").unwrap()["id"].as_str().unwrap().to_owned();
    assert_eq!(tools(&place, &[&format!("id={id}")]), ["t400"]);
    let stats = place.run(&["stats", "--json", "last=200d"]).out;
    let stats = serde_json::from_str::<Value>(&stats).unwrap();
    assert_eq!((&stats["total"], &stats["from"]), (&json!(3), &json!(date(200))));

    let service = Service::start_in(place);
    service.wait_ready();
    let admin = service.token(&["root", "--role", "admin"]);
    let found = service.get(&admin, "/api/audit/recent?user=alice&q=last%3D200d").entries();
    assert_eq!(found.len(), 3);
    assert_eq!(service.get(&admin, &format!("/api/audit/recent?q=id%3D{id}")).entries().len(), 1);
}

#[test]
fn an_answer_without_entries_says_where_it_looked() {
    let place = aged(&[150]);
    let date = |ago: i64| minutes_ago(ago * DAY).date().to_string();
    let ran = place.run(&["recent", "tool=t*"]);
    let expected = format!(
        "no entries from {} to {}; the newest are of {}: ask with since={}\n",
        date(6),
        date(0),
        date(150),
        date(150)
    );
    assert_eq!((ran.code, &*ran.out, ran.err), (Some(0), "", expected));
    assert!(place.run(&["recent", "tool=x", "last=200d"]).err.ends_with("answer this\n"));
    let one_day = format!("since={} until={}", date(9), date(9));
    let told = place.run(&["recent", &one_day]).err;
    assert!(told.starts_with(&format!("no entries of {};", date(9))), "{told}");
    assert!(place.run(&["stats", "tool=t*"]).err.contains(&format!("the newest entries are of {}", date(150))));
    let service = Service::start_in(place);
    service.wait_ready();
    let admin = service.token(&["root", "--role", "admin"]);
    let answer = service.get(&admin, "/api/audit/recent?user=alice").json();
    assert_eq!(answer["nothing"], json!({ "from": date(6), "to": date(0), "newest": date(150) }));
    assert!(service.get(&admin, "/api/audit/recent?user=alice&q=last%3D200d").json().get("nothing").is_none());
    assert_eq!(service.get(&admin, "/api/audit/stats?user=alice").json()["newest"], date(150));
}

#[test]
fn times_that_name_no_zone_are_in_the_one_that_was_asked_for() {
    let place = TestHome::new();
    let day = minutes_ago(3 * DAY).date().to_string();
    let line = format!("{{\"ts\":\"{day}T23:30:00Z\",\"tool\":\"evening\",\"status\":\"ok\"}}\n");
    assert_eq!(place.run_with(&["import", "-"], line.as_bytes()).code, Some(0));
    let window = [&*format!("since={day}T15:00:00"), &format!("until={day}T16:00:00")];
    let there = [&window[..], &["--zone", "Etc/GMT+8"]].concat();
    assert_eq!(tools(&place, &there), ["evening"], "half past three, eight hours behind");
    assert_eq!(tools(&place, &window), Vec::<String>::new());
    let by_day = |args: &[&str]| {
        let out = place.run(&[&["stats", "--json"], args].concat()).out;
        serde_json::from_str::<Value>(&out).unwrap()["by_day"].clone()
    };
    let next = minutes_ago(2 * DAY).date().to_string();
    assert_eq!(by_day(&[]), json!({ &*day: 1 }));
    assert_eq!(by_day(&["--zone", "Etc/GMT-8", "--local-days"]), json!({ &*next: 1 }));
}

#[test]
fn other_tools_operators_are_refused_everywhere() {
    let service = Service::start();
    let admin = service.token(&["root", "--role", "admin"]);
    for query in ["not status=ok", "status=ok or tool=b", "tool:fs.*", "tool~=fs", "args.path:x", "duration > 500ms"] {
        let ran = service.place.run(&["recent", query]);
        assert_eq!(ran.code, Some(2), "{query}: {}", ran.err);
        assert!(ran.err.contains("query, character") && ran.err.contains("^\nhint: "), "{query}: {}", ran.err);
        let encoded = query.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
        for path in ["recent", "stats"] {
            let answer = service.get(&admin, &format!("/api/audit/{path}?q={encoded}"));
            assert_eq!(answer.status, 400, "{query}: {}", answer.body);
            assert!(answer.json()["detail"].as_str().unwrap().contains("character"), "{query}");
        }
    }
}

#[test]
fn the_configuration_says_where_the_gate_holds() {
    let place = TestHome::new();
    let file = place.file("tooltrail.toml", "[gate]\ndefault = \"deny\"\n");
    let ran = place.run(&["config", "check", "--config", &file]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.contains("behind `tooltrail mcp`, in the hooks of coding agents, and in programs"), "{}", ran.out);
}
