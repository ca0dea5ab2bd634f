//! Entries that hooks record under one user and a service of another one stores: each once, whatever is killed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tooltrail::{Call, Options, Via};

use crate::mcp::support::{Client, proxy};
use crate::service::{PATIENCE, Service};
use crate::support::{Ran, TestHome, crowd};

/// The user id of the agent in the tests with two users.
const AGENT: u32 = 54_321;

/// Where the service of a place listens.
fn socket(place: &TestHome) -> String {
    format!("unix:{}", place.path("run/socket").display())
}

/// Returns the files of the token that hooks have, made before the service starts.
fn place_with_token() -> TestHome {
    let place = TestHome::new();
    let made = place.run(&["token", "add", "agent", "--role", "ingest", "--kind", "spool", "--user", "alice"]);
    assert_eq!(made.code, Some(0), "{}", made.err);
    place.file("token", &made.out);
    std::fs::create_dir(place.path("run")).unwrap();
    place
}

fn start(place: TestHome) -> Service {
    let socket = socket(&place);
    let service = Service::start_as(place, &["--listen", &socket]);
    service.wait_ready();
    service
}

fn event(name: &str, id: u64) -> Value {
    json!({
        "hook_event_name": name, "session_id": "s", "cwd": "/w", "tool_name": "Bash", "tool_use_id": format!("toolu_{id}"),
        "tool_input": { "n": id }, "tool_response": { "stdout": "a.txt", "stderr": "" },
    })
}

/// Returns the command of a hook that delivers.
fn hook(place: &TestHome) -> Command {
    let path = |name: &str| place.path(name).to_str().unwrap().to_owned();
    let (socket, state) = (socket(place), path("state"));
    let args = ["hook", "claude-code", "--to", &socket, "--token-file", "token", "--state", &state, "--user", "alice"];
    let mut command = place.command(&args);
    // The deliverer that it starts runs in another folder.
    command.current_dir(place.path("."));
    command
}

fn run_hook(place: &TestHome, event: &Value) {
    let mut child = hook(place).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(event.to_string().as_bytes()).unwrap();
    let ran = Ran::of(child.wait_with_output().unwrap());
    assert_eq!((ran.code, &*ran.out, &*ran.err), (Some(0), "", ""), "{event}");
}

/// Makes a call of an agent: two hooks.
fn call(place: &TestHome, id: u64) {
    run_hook(place, &event("PreToolUse", id));
    run_hook(place, &event("PostToolUse", id));
}

/// Returns the home of the only spool.
fn spool(place: &TestHome) -> PathBuf {
    let mut spools = std::fs::read_dir(place.path("state/spool")).unwrap();
    spools.next().unwrap().unwrap().path()
}

/// Makes a spool with these many calls, as a proxy would have left them.
fn fill_spool(place: &TestHome, calls: u64) {
    // The first hook names the folder.
    call(place, 0);
    let mut options = Options::new(spool(place).join("home"));
    options.seals_when_idle = false;
    let recorder = options.open().unwrap();
    for n in 1..calls {
        let mut call = Call::new("alice", "t", json!({ "n": n }).to_string()).ok("x".repeat(100));
        call.via = Via::Proxy;
        recorder.record(&call);
        if n % 5_000 == 0 {
            recorder.flush().unwrap();
        }
    }
    recorder.close().unwrap();
}

fn deliver(place: &TestHome) -> Ran {
    let (socket, token, state) = (socket(place), place.path("token"), place.path("state"));
    place.run(&[
        "deliver",
        "--to",
        &socket,
        "--token-file",
        token.to_str().unwrap(),
        "--state",
        state.to_str().unwrap(),
    ])
}

/// Waits until the trail has the numbers from 0, each once.
fn until_all(place: &TestHome, calls: u64) {
    let begun = Instant::now();
    let expected = (0..calls).collect::<Vec<_>>();
    while place.numbers() != expected {
        let found = place.numbers();
        assert!(found.len() <= expected.len(), "{} entries of {calls} calls", found.len());
        assert!(begun.elapsed() < PATIENCE, "{} of {calls} arrived", found.len());
        std::thread::sleep(Duration::from_millis(30));
    }
    let ids = place.stored().iter().map(|entry| entry["id"].to_string()).collect::<BTreeSet<_>>();
    assert_eq!(ids.len(), place.stored().len(), "an id stands twice");
}

/// Returns the lost calls that gaps tell.
fn lost(place: &TestHome) -> u64 {
    let gaps = place.stored().into_iter().filter(|entry| entry["tool"] == "tooltrail.gap");
    gaps.map(|gap| gap["args"]["lost"].as_u64().unwrap()).sum()
}

#[test]
fn entries_arrive_as_they_were_recorded() {
    let service = start(place_with_token());
    (0..3).for_each(|id| call(&service.place, id));
    until_all(&service.place, 3);
    let lines = |home: PathBuf| {
        let files = std::fs::read_dir(home.join("alice/tool_audit")).unwrap();
        let text = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect::<String>();
        text.replace(r#","identity":"verified""#, "")
    };
    assert_eq!(lines(service.place.home()), lines(spool(&service.place).join("home")));
    // Nothing is left to be sent, and no process stays.
    let ran = deliver(&service.place);
    assert!(ran.code == Some(0) && ran.err.contains("delivered"), "{}", ran.err);
}

#[test]
fn what_a_service_misses_comes_when_it_is_back_and_once_whatever_is_killed() {
    let _crowd = crowd();
    const CALLS: u64 = 20_000;
    let mut place = place_with_token();
    fill_spool(&place, CALLS);
    assert_eq!(place.stored().len(), 0);
    for wait_ms in [30, 80] {
        let mut service = start(place);
        let mut deliverer = {
            let (socket, path) = (socket(&service.place), |name: &str| service.place.path(name).display().to_string());
            let args = ["deliver", "--to", &socket, "--token-file", &path("token"), "--state", &path("state")];
            let mut command = service.place.command(&args);
            command.stderr(Stdio::null()).spawn().unwrap()
        };
        std::thread::sleep(Duration::from_millis(wait_ms));
        service.kill();
        deliverer.wait().unwrap();
        place = std::mem::replace(&mut service.place, TestHome::new());
    }
    // A deliverer that was killed between sending and noting sends again.
    let service = start(place);
    for wait_ms in [20, 60] {
        let (socket, path) = (socket(&service.place), |name: &str| service.place.path(name).display().to_string());
        let args = ["deliver", "--to", &socket, "--token-file", &path("token"), "--state", &path("state")];
        let mut deliverer = service.place.command(&args).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(wait_ms));
        deliverer.kill().unwrap();
        deliverer.wait().unwrap();
    }
    service.until("delivered", || deliver(&service.place).code == Some(0));
    until_all(&service.place, CALLS);
    std::fs::remove_file(spool(&service.place).join("delivered.json")).unwrap();
    service.until("delivered", || deliver(&service.place).code == Some(0));
    until_all(&service.place, CALLS);
    assert_eq!(lost(&service.place), 0);
}

#[test]
fn a_hook_that_finds_no_service_leaves_a_deliverer() {
    let place = place_with_token();
    (0..3).for_each(|id| call(&place, id));
    let service = start(place);
    until_all(&service.place, 3);
    // The token was revoked: entries wait.
    assert_eq!(service.place.run(&["token", "revoke", "agent"]).code, Some(0));
    let mut id = 100;
    let begun = Instant::now();
    loop {
        call(&service.place, id);
        let ran = deliver(&service.place);
        if ran.code == Some(2) {
            assert!(ran.err.contains("401"), "{}", ran.err);
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "the token is known still");
        id += 1;
    }
}

#[test]
fn a_repeat_that_overtakes_its_first_attempt_is_stored_once() {
    let place = place_with_token();
    fill_spool(&place, 300);
    let service = start(place);
    let token = std::fs::read_to_string(service.place.path("token")).unwrap();
    let home = spool(&service.place).join("home/alice/tool_audit");
    let lines = std::fs::read_dir(home).unwrap().map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    let body = lines.collect::<String>();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let (service, body, token) = (&service, &body, token.trim());
            scope.spawn(move || {
                if n % 2 == 0 {
                    return assert_eq!(service.post(token, body).status, 200);
                }
                // Sends everything and goes away before the answer.
                let mut stream = UnixStream::connect(service.place.path("run/socket")).unwrap();
                let head = format!(
                    "POST /api/audit/entries HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                stream.write_all(head.as_bytes()).unwrap();
                let _ = stream.write_all(body.as_bytes());
                std::thread::sleep(Duration::from_millis(n));
            });
        }
    });
    until_all(&service.place, 300);
}

#[test]
fn the_same_id_with_other_bytes_gets_another_one_and_an_erased_one_is_refused() {
    let service = start(place_with_token());
    let token = std::fs::read_to_string(service.place.path("token")).unwrap();
    call(&service.place, 0);
    until_all(&service.place, 1);
    let line = std::fs::read_to_string(service.place.day_file("alice", crate::support::now())).unwrap();
    let entry = serde_json::from_str::<Value>(&line).unwrap();
    let other = line.replace("a.txt", "b.txt");
    for _ in 0..2 {
        assert_eq!(service.post(token.trim(), &other).status, 200);
        assert_eq!(service.post(token.trim(), &line).status, 200);
    }
    let calls = || service.place.stored().into_iter().filter(|entry| entry["via"] == "hook").collect::<Vec<_>>();
    let found = calls()
        .iter()
        .map(|call| (call["id"].to_string(), call["result_snippet"].to_string()))
        .collect::<BTreeMap<_, _>>();
    assert_eq!((calls().len(), found.len()), (2, 2), "{found:?}");
    assert!(found[&entry["id"].to_string()].contains("a.txt"));
    service.until("tells the incident", || {
        let incidents = service.place.stored().into_iter().filter(|entry| entry["tool"] == "tooltrail.incident");
        incidents
            .filter(|entry| entry["args"]["token"] == "agent" && entry["args"]["id"] == entry["args"]["id"])
            .count()
            > 0
    });
    let id = entry["id"].as_str().unwrap();
    let erased = service.place.run(&["erase", "--id", id, "--why", "test"]);
    assert_eq!(erased.code, Some(0), "{}", erased.err);
    let answer = service.post(token.trim(), &line);
    assert_eq!((answer.status, answer.json()["rejected"][0]["erased"].as_bool()), (400, Some(true)), "{}", answer.body);
    assert_eq!(calls().len(), 1);
}

#[test]
fn a_full_spool_loses_the_newest_calls_and_tells_how_many() {
    let place = place_with_token();
    call(&place, 0);
    // Another user of the same agent has filled it.
    let big = spool(&place).join("home/bob/tool_audit/2020-01-01.jsonl");
    std::fs::create_dir_all(big.parent().unwrap()).unwrap();
    run_hook(&place, &event("PreToolUse", 1));
    std::fs::File::create(&big).unwrap().set_len(129 << 20).unwrap();
    // A call that has begun still ends.
    run_hook(&place, &event("PostToolUse", 1));
    (100..107).for_each(|id| call(&place, id));
    std::fs::remove_file(&big).unwrap();
    let service = start(place);
    call(&service.place, 2);
    until_all(&service.place, 3);
    service.until("tells the loss", || lost(&service.place) == 7);
    let gap = service.place.stored().into_iter().find(|entry| entry["tool"] == "tooltrail.gap").unwrap();
    assert_eq!((&gap["args"]["token"], &gap["args"]["why"]), (&json!("agent"), &json!({ "spool_full": 7 })));
    call(&service.place, 3);
    until_all(&service.place, 4);
    assert_eq!(lost(&service.place), 7);
}

#[test]
fn an_agent_of_another_user_can_add_and_nothing_else() {
    use std::os::unix::fs::MetadataExt as _;
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        return;
    }
    let place = place_with_token();
    let open =
        |name: &str, mode: u32| std::fs::set_permissions(place.path(name), PermissionsExt::from_mode(mode)).unwrap();
    open("", 0o711);
    open("run", 0o755);
    std::fs::create_dir(place.path("state")).unwrap();
    for name in ["state", "token"] {
        std::os::unix::fs::chown(place.path(name), Some(AGENT), Some(AGENT)).unwrap();
    }
    open("token", 0o600);
    let service = start(place);
    let as_agent = |command: &mut Command| {
        command.uid(AGENT).gid(AGENT);
    };
    for name in ["PreToolUse", "PostToolUse"] {
        let mut command = hook(&service.place);
        as_agent(&mut command);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(event(name, 0).to_string().as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }
    until_all(&service.place, 1);
    let file = service.place.day_files().remove(0);
    for (program, args) in [
        ("cat", vec![file.clone()]),
        ("rm", vec!["-f".into(), file.clone()]),
        ("sh", vec!["-c".into(), format!("echo x >> {}", file.display()).into()]),
        ("ls", vec![service.place.home()]),
    ] {
        let mut command = Command::new(program);
        as_agent(&mut command);
        assert!(
            !command.args(args).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success(),
            "{program}"
        );
    }
    until_all(&service.place, 1);
    // Its token reads nothing, and sends under its own name only.
    let token = std::fs::read_to_string(service.place.path("token")).unwrap();
    assert_eq!(service.get(token.trim(), "/api/audit/recent").status, 403);
    assert_eq!(service.post(token.trim(), r#"{"tool":"t","user":"root","status":"ok"}"#).status, 200);
    let last = service.place.stored().into_iter().find(|entry| entry["tool"] == "t").unwrap();
    assert_eq!((&last["user"], &last["claimed_user"]), (&json!("alice"), &json!("root")));
    // A socket that the agent has made is no service: the file's owner is not who listens, or others can replace it.
    let fake = service.place.path("fake");
    std::fs::create_dir(&fake).unwrap();
    std::fs::set_permissions(&fake, PermissionsExt::from_mode(0o777)).unwrap();
    let listener = std::os::unix::net::UnixListener::bind(fake.join("socket")).unwrap();
    std::thread::spawn(move || listener.incoming().for_each(|stream| drop(stream.unwrap().read(&mut [0; 100]))));
    let to = format!("unix:{}", fake.join("socket").display());
    let (token, state) = (service.place.path("token"), service.place.path("state"));
    let mut hook = service.place.command(&["hook", "claude-code", "--to", &to, "--user", "alice"]);
    hook.arg("--token-file").arg(&token).arg("--state").arg(&state);
    let mut child = hook.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(event("PostToolUse", 9).to_string().as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    let mut deliver = service.place.command(&["deliver", "--to", &to]);
    let ran = Ran::of(deliver.arg("--token-file").arg(&token).arg("--state").arg(&state).output().unwrap());
    assert!(ran.code == Some(2) && ran.err.contains("others may replace the socket"), "{}", ran.err);
}

#[test]
fn hooks_and_a_proxy_that_deliver_at_once_store_each_call_once() {
    let _crowd = crowd();
    let service = start(place_with_token());
    let path = |name: &str| service.place.path(name).display().to_string();
    let (socket, token, state) = (socket(&service.place), path("token"), path("state"));
    let flags = ["--to", &socket, "--token-file", &token, "--state", &state, "--user", "alice"];
    let mut talk = Client::start(proxy(&service.place, &flags));
    std::thread::scope(|scope| {
        for first in [0, 1] {
            let place = &service.place;
            scope.spawn(move || (0..15).for_each(|n| call(place, 2 * n + first)));
        }
        (30..60).for_each(|n| drop(talk.call("echo", &json!({ "n": n }))));
    });
    assert_eq!(talk.end().0, Some(0));
    until_all(&service.place, 60);
    let captures = service.place.stored().into_iter().map(|entry| entry["via"].to_string());
    let count = |via: &str| captures.clone().filter(|found| *found == format!("\"{via}\"")).count();
    assert_eq!((count("hook"), count("proxy"), lost(&service.place)), (30, 30, 0));
}

#[test]
fn a_token_reads_over_the_socket_what_its_user_has_and_nothing_else() {
    let service = start(place_with_token());
    (0..4).for_each(|id| call(&service.place, id));
    until_all(&service.place, 4);
    let other = service.token(&["other", "--role", "ingest", "--user", "bob"]);
    assert_eq!(service.post(&other, r#"{"tool":"secret","status":"ok","session":"b"}"#).status, 200);
    service.place.file("alice", service.token(&["al", "--role", "user", "--user", "alice"]));
    let file = service.place.path("alice").display().to_string();
    let address = socket(&service.place);
    let ask = |args: &[&str], there: bool| {
        let from = if there { vec!["--to", &address, "--token-file", &file] } else { vec!["--user", "alice"] };
        let ran = service.place.run(&[args, &from].concat());
        assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.err);
        assert!(!ran.out.contains("secret") && !ran.out.contains("bob"), "{}", ran.out);
        ran.out
    };
    for args in [
        &["recent"][..],
        &["recent", "--json", "-n", "2"],
        &["recent", "tool=Bash", "last=1h"],
        &["recent", "--from", "2020-01-01"],
        &["sessions"],
        &["stats"],
        &["stats", "--by", "hour"],
        &["stats", "--by", "session"],
        &["tail", "-n", "3"],
    ] {
        assert_eq!(ask(args, true), ask(args, false), "{args:?}");
    }
    let json = |there| {
        let mut stats = serde_json::from_str::<Value>(&ask(&["stats", "--json"], there)).unwrap();
        (stats["scanned"], stats["source"]) = (Value::Null, Value::Null);
        stats
    };
    assert_eq!(json(true), json(false));
    let id = service.place.stored().into_iter().find(|entry| entry["via"] == "hook").unwrap()["id"].to_string();
    let id = id.trim_matches('"');
    service.until("sealed", || service.place.run(&["show", id]).out.contains("checkpoint of size"));
    let shown = service.place.run(&["show", &id[28..], "--to", &address, "--token-file", &file]);
    assert!(shown.out.contains("before, in the same session") || shown.out.contains("after, in the same session"));
    assert!(shown.out.contains("vouched by self"), "{}{}", shown.out, shown.err);
    // Following begins with the newest and goes on.
    let mut tail = service.place.command(&["tail", "-f", "--json", "--to", &address, "--token-file", &file]);
    let mut tail = tail.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(tail.stdout.take().unwrap()));
    (0..4).for_each(|_| assert!(lines.next().unwrap().unwrap().contains("\"Bash\"")));
    call(&service.place, 4);
    assert!(lines.next().unwrap().unwrap().contains("{\"n\":4}"));
    tail.kill().unwrap();
    tail.wait().unwrap();
    let others = service.place.run(&["recent", "--user", "bob", "--to", &address, "--token-file", &file]);
    assert_eq!((others.code, others.err.contains("its own user only")), (Some(2), true), "{}", others.err);
    let none = service.place.run(&["recent", "--to", &address]);
    assert_eq!((none.code, none.err.contains("--token-file")), (Some(2), true), "{}", none.err);
}

#[test]
fn installed_hooks_and_servers_deliver_with_the_token_from_stdin() {
    let place = place_with_token();
    place.file(".claude.json", r#"{"mcpServers":{"files":{"command":"npx","args":["-y","x"]}}}"#);
    std::fs::create_dir_all(place.path(".claude")).unwrap();
    let service = start(place);
    let place = &service.place;
    let address = socket(place);
    let install = ["agent", "install", "claude-code", "--mcp", "--user", "alice", "--service", &address];
    let none = place.run(&install);
    assert_eq!((none.code, none.err.contains("there is no token in")), (Some(2), true), "{}", none.err);
    assert_eq!(place.run_with(&install, b"nonsense").code, Some(2));
    let token = std::fs::read(place.path("token")).unwrap();
    let installed = place.run_with(&install, &token);
    assert_eq!(installed.code, Some(0), "{}", installed.err);
    let file = place.path(".local/state/tooltrail/service.token");
    assert_eq!(std::fs::read(&file).unwrap(), token);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = |name: &str| std::fs::read_to_string(place.path(name)).unwrap();
    assert!(text(".claude.json").contains(&address) && !text(".claude.json").contains("tooltrail_"));
    let settings = serde_json::from_str::<Value>(&text(".claude/settings.json")).unwrap();
    for name in ["PreToolUse", "PostToolUse"] {
        let command = settings["hooks"][name][0]["hooks"][0]["command"].as_str().unwrap();
        assert!(!command.contains("--home") && !command.contains("--keys"), "{command}");
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).env_clear().env("HOME", place.path(""));
        let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(event(name, 0).to_string().as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }
    until_all(place, 1);
    let doctor = place.run(&["agent", "doctor", "claude-code"]);
    assert!(doctor.out.contains(&format!("deliver to {address}")), "{}{}", doctor.out, doctor.err);
    assert_eq!(place.run(&["agent", "uninstall", "claude-code"]).code, Some(0));
    assert!(!text(".claude.json").contains("tooltrail"));
}
