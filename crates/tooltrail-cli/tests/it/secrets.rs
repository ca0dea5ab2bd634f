//! Secrets: none is stored or shown, from any field of any capture. Also tests own rules, and finding a secret again.

use std::path::Path;

use crate::dice::Dice;
use crate::service::Service;
use crate::stream::Stream;
use crate::support::TestHome;
use crate::web::Browser;

/// Fields of an entry that a sender may fill with text.
const FIELDS: &[&str] = &[
    "ts",
    "user",
    "session",
    "tool",
    "args",
    "status",
    "result",
    "error",
    "reason",
    "duration_ms",
    "call_id",
    "parent",
    "agent",
    "model",
    "client",
    "server",
    "trace_id",
    "span_id",
    "via",
    "identity",
    "rule",
    "claimed_user",
    "redacted",
    "salt",
    "id",
    "extra",
    "result_chars",
    "result_snippet",
    "unknown_field",
];

/// Returns a random token in the form of GitHub's tokens.
fn canary(dice: &mut Dice) -> String {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let drawn = (0..36).map(|_| char::from(letters[dice.below(letters.len() as u64) as usize]));
    format!("ghp_{}", drawn.collect::<String>())
}

/// Returns bodies with a canary in a field: as its value, inside a text, in a list, in an object, as a key, and in a
/// body that is cut off.
fn bodies(field: &str, canary: &str) -> Vec<String> {
    let entry = |value: &str| {
        let mut members = vec![
            ("tool", "\"fs.read\"".to_owned()),
            ("status", "\"ok\"".to_owned()),
            ("args", "{\"n\":1}".to_owned()),
            ("result", "\"done\"".to_owned()),
        ];
        members.retain(|(name, _)| *name != field);
        members.push((field, value.to_owned()));
        let members = members.iter().map(|(name, value)| format!("\"{name}\":{value}"));
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    };
    let whole = entry(&format!("\"{canary}\""));
    vec![
        entry(&format!("\"see {canary} there\"")),
        entry(&format!("[\"a\",\"{canary}\"]")),
        entry(&format!("{{\"deep\":{{\"{canary}\":[\"{canary}\"]}}}}")),
        entry(&format!("\"\\u001b[31m{canary}\\u001b[0m\"")),
        entry(&format!("\"{{\\\\u0022token\\\\u0022:\\\\u0022{canary}\\\\u0022}}\"")),
        format!("{{\"{canary}\":1,{}", &entry("\"x\"")[1..]),
        // These two are not valid JSON.
        whole[..whole.len() - 2].to_owned(),
        format!("{whole} {canary}"),
        whole,
    ]
}

/// Returns all files below a folder that contain a text.
fn holding(folder: &Path, text: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if name.contains(text) {
            found.push(path.clone());
        }
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => found.extend(holding(&path, text)),
            kind if kind.is_file() => {
                let bytes = std::fs::read(&path).unwrap_or_default();
                found.extend(bytes.windows(text.len()).any(|part| part == text.as_bytes()).then_some(path));
            }
            _ => {}
        }
    }
    found
}

#[test]
fn a_canary_in_any_field_of_any_capture_is_seen_nowhere() {
    let mut dice = Dice(11);
    let service = Service::start();
    let admin = service.token(&["root", "--role", "admin"]);
    let sender = service.token(&["relay", "--role", "ingest"]);
    let mut canaries = Vec::new();
    let mut answers = Vec::new();
    let mut imported = String::new();
    let mut stream = Stream::open(&service, &admin, "/api/audit/stream", None);
    let mut accepted = 0;
    for field in FIELDS {
        let canary = canary(&mut dice);
        for body in bodies(field, &canary) {
            let answer = service.post(&sender, &body);
            accepted += answer.json()["accepted"].as_u64().unwrap();
            answers.push((format!("POST {body}"), format!("{answer:?}")));
            imported.push_str(&body);
            imported.push('\n');
        }
        canaries.push(canary);
    }
    for _ in 0..accepted {
        let event = stream.next().unwrap();
        answers.push(("the stream".to_owned(), event.id + &event.data));
    }
    let import = service.place.run_with(&["import", "-"], imported.as_bytes());
    answers.push(("import".to_owned(), import.out + &import.err));
    let import = service.place.run_with(&["import", "--json", "-"], imported.as_bytes());
    answers.push(("import --json".to_owned(), import.out + &import.err));
    let stored = service.get(&admin, "/api/audit/recent?limit=500&days=3650");
    assert!(stored.entries().len() > FIELDS.len() * 4, "{}", stored.entries().len());
    answers.push(("recent".to_owned(), stored.body));
    for target in ["/api/audit/stats?days=3650", "/api/audit/users", "/metrics", "/readyz", "/healthz"] {
        answers.push((target.to_owned(), format!("{:?}", service.get(&admin, target))));
    }
    let mut browser = Browser::signed_in(&service, &admin);
    for page in ["/?days=3650", "/stats?days=3650"] {
        answers.push((page.to_owned(), browser.get(page).body));
    }
    for args in [&["recent", "--days", "3650"][..], &["tail", "--days", "3650"], &["stats", "--days", "3650"]] {
        let ran = service.place.run(args);
        answers.push((args.join(" "), ran.out + &ran.err));
    }
    for canary in canaries {
        for (what, answer) in &answers {
            assert!(!answer.contains(&canary), "{canary} in the answer to {what}: {answer}");
        }
        let files = holding(&service.place.path(""), &canary);
        assert!(files.is_empty(), "{canary} in {files:?}");
    }
}

const RULES: &str = r#"
[redact]
env = ["DEPLOY_PHRASE", "SHORT"]
[[redact.rules]]
name = "badge"
pattern = 'BADGE-(\d{6})'
hides = ["BADGE-123456"]
keeps = ["BADGE-12"]
[[redact.rules]]
name = "ticket"
key = "x-acme-*"
"#;

#[test]
fn rules_of_ones_own_hold_wherever_something_is_recorded() {
    let place = TestHome::new();
    let config = place.file("own.toml", RULES);
    let run = |args: &[&str], stdin: &str| {
        std::fs::write(place.path("in"), stdin).unwrap();
        let mut command = place.command(&[&["--config", &config], args].concat());
        command.env("DEPLOY_PHRASE", "open \"sesame\" now").env("SHORT", "abc");
        crate::support::Ran::of(command.stdin(std::fs::File::open(place.path("in")).unwrap()).output().unwrap())
    };
    let shown = run(&["redact", "--explain"], "BADGE-123456 x-acme-id=q7 say open \\u0022sesame\\u0022 now");
    assert_eq!(shown.out, "BADGE-[redacted:badge] x-acme-id=[redacted:ticket] say [redacted:env-deploy-phrase]");
    assert!(shown.err.contains("line 1, character 7: badge"), "{}", shown.err);
    let line =
        r#"{"tool":"t","status":"ok","args":{"X-Acme-Pass":77,"say":"open \"sesame\" now"},"result":"BADGE-123456"}"#;
    assert_eq!(run(&["import", "-"], line).code, Some(0));
    let stored = place.stored_lines().join("\n");
    for mark in ["[redacted:ticket]", "[redacted:env-deploy-phrase]", "BADGE-[redacted:badge]"] {
        assert!(stored.contains(mark), "{mark}: {stored}");
    }
    let check = run(&["config", "check"], "");
    assert_eq!(check.code, Some(0), "{}", check.err);
    assert!(check.out.contains("hidden wherever it appears") && check.out.contains("shorter than 8"), "{}", check.out);
    assert!(!check.out.contains("sesame"), "{}", check.out);
}

#[test]
fn tests_of_rules_are_run_by_config_check() {
    let place = TestHome::new();
    let check = |text: &str, code: i32, word: &str| {
        let config = place.file("own.toml", text);
        let ran = place.run(&["--config", &config, "config", "check"]);
        assert!(ran.code == Some(code) && ran.err.contains(word), "{text}: {:?} {}", ran.code, ran.err);
    };
    check(RULES, 0, "");
    check(&RULES.replace("\"BADGE-12\"", "\"BADGE-999999\""), 1, "does not keep \"BADGE-999999\"");
    check(&RULES.replace("hides = [\"BADGE-123456\"]", "hides = [\"none\"]"), 1, "does not hide anything in \"none\"");
    check(&RULES.replace("BADGE-(", "BADGE-(("), 2, "redact rule \"badge\": its pattern cannot be read");
    check(&RULES.replace("key = \"x-acme-*\"", ""), 2, "exactly one of key and pattern");
    check(&RULES.replace("name = \"ticket\"", "name = \"Ticket\""), 2, "a mark cannot hold this name");
}

#[test]
fn a_message_hides_what_is_secret_elsewhere_in_its_line() {
    let place = TestHome::new();
    for odd in [r#""status":"§""#, r#""ts":"§""#, r#""duration_ms":"§""#, r#""§":1,"§":2"#] {
        let line = format!(r#"{{"tool":"t",{odd},"args":{{"password":"§"}}}}"#).replace('§', "Zebra77qq");
        let ran = place.run_with(&["import", "-"], line.as_bytes());
        assert!(!ran.err.contains("Zebra77qq") && ran.err.contains("[redacted:password]"), "{}", ran.err);
    }
}

#[test]
fn a_secret_is_found_by_its_tag() {
    let place = TestHome::new();
    let token = canary(&mut Dice(5));
    let line = |n: u64, text: &str| format!("{{\"tool\":\"t{n}\",\"status\":\"ok\",\"args\":{{\"a\":\"{text}\"}}}}\n");
    let lines = line(1, &token)
        + &line(2, "nothing")
        + &line(3, &format!("see {token} there"))
        + &line(4, "password: hunter29x");
    assert_eq!(place.run_with(&["import", "-"], lines.as_bytes()).code, Some(0));
    let found = place.run_with(&["find-secret"], format!("{token}\n").as_bytes());
    assert_eq!(found.code, Some(0), "{}", found.err);
    let tools = |text: &str| ["t1", "t2", "t3", "t4"].map(|tool| text.contains(tool));
    assert_eq!(tools(&found.out), [true, false, true, false], "{}", found.out);
    assert!(found.err.contains("2 found by the tag of github-pat"), "{}", found.err);
    let json = place.run_with(&["find-secret", "--json"], token.as_bytes()).out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((json["rule"].as_str(), json["entries"].as_array().unwrap().len()), (Some("github-pat"), 2));
    assert_eq!(json["complete"], true);
    // A password has no tag, and a message says so.
    let none = place.run_with(&["find-secret"], b"hunter29x");
    assert_eq!((none.code, none.out.as_str()), (Some(0), ""), "{}", none.out);
    assert!(none.err.contains("no kind that carries a tag"), "{}", none.err);
    // An entry in which another writer left the secret unhidden is listed too.
    let today = place.day_files().remove(0);
    let raw = format!(
        "{{\"ts\":\"{}T00:00:00.000Z\",\"user\":\"u\",\"tool\":\"t9\",\"args\":{{}},\"status\":\"ok\",\"result_chars\":9,\"result_snippet\":\"{token}\"}}\n",
        crate::support::now().date()
    );
    let before = std::fs::read_to_string(&today).unwrap();
    std::fs::write(&today, before + &raw).unwrap();
    let found = place.run_with(&["find-secret"], token.as_bytes());
    assert!(found.out.contains("t9") && found.err.contains("1 unhidden"), "{} {}", found.out, found.err);
    // The search stores nothing, and a secret as an argument is refused.
    assert_eq!(holding(&place.home(), &token), [today]);
    assert_eq!(place.run(&["find-secret", "hunter29x"]).code, Some(2));
    assert_eq!(place.run_with(&["find-secret"], b"\n").code, Some(2));
}
