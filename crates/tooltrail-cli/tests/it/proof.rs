//! The proof through the program: what is sealed verifies, whoever ends whatever process.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tooltrail::Home;
use tooltrail::seal::{PublicLog, VerifierKey};

use crate::mcp::support::{Client, proxy, signal, within};
use crate::service::Service;
use crate::support::{Ran, TestHome, line, lines, minutes_ago};

/// The kills of a witness in the test suite. `TOOLTRAIL_KILLS` sets another number.
const KILLS: usize = 25;

/// Runs `verify --json` with what this place remembers.
fn verify(place: &TestHome, more: &[&str]) -> (Option<i32>, Value) {
    let ran = place.run(&[&["verify", "--json"], more].concat());
    let answer = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{}{}", ran.out, ran.err));
    (ran.code, answer)
}

fn filled() -> TestHome {
    let place = TestHome::new();
    let file = place.file("calls.jsonl", lines(0..40, "alice", minutes_ago(5)) + &lines(40..60, "bob", minutes_ago(5)));
    let ran = place.run(&["import", &file]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    place
}

fn one_file(place: &TestHome, user: &str) -> PathBuf {
    place.day_files().into_iter().find(|path| path.to_string_lossy().contains(&format!("/{user}/"))).unwrap()
}

#[test]
fn verify_names_the_file_and_the_line() {
    let place = filled();
    let (code, answer) = verify(&place, &[]);
    assert_eq!((code, &answer["verdict"]), (Some(0), &"ok".into()), "{answer:#}");
    assert!(answer["counts"]["lines"].as_u64().unwrap() >= 60, "{answer:#}");
    let counts = |answer: &Value| (answer["counts"]["adopted"].clone(), answer["counts"]["tail_lines"].clone());
    assert_eq!(counts(&answer), (0.into(), 0.into()), "no other program has written here: {answer:#}");
    let file = one_file(&place, "alice");
    let before = fs::read_to_string(&file).unwrap();
    fs::write(&file, before.replacen("note 7\"", "note 8\"", 1)).unwrap();
    let ran = place.run(&["verify"]);
    assert_eq!((ran.code, &*ran.out), (Some(1), "modified\n"), "{}", ran.err);
    assert!(ran.err.contains("modified: alice/") && ran.err.contains("line 8: "), "{}", ran.err);
    let (code, _) = verify(&place, &["--user", "bob"]);
    assert_eq!(code, Some(0), "another user's files are in order");
    let (code, answer) = verify(&place, &["--quick"]);
    assert_eq!((code, &answer["verdict"]), (Some(1), &"modified".into()), "a changed file is read again");
    fs::write(&file, &before).unwrap();
    let (code, answer) = verify(&place, &["--quick"]);
    assert_eq!((code, answer["counts"]["skipped"].as_u64() > Some(0)), (Some(0), true), "{answer:#}");
    // Lines that are not sealed yet are counted, in a new file too.
    fs::OpenOptions::new().append(true).open(&file).unwrap().write_all(b"{\"tool\":\"late\"}\n").unwrap();
    fs::write(file.with_file_name("2026-01-01.jsonl"), "{\"tool\":\"late\"}\n{\"tool\":\"late\"}\n").unwrap();
    let (code, answer) = verify(&place, &[]);
    assert_eq!((code, &answer["verdict"]), (Some(0), &"ok-unsealed-tail".into()), "{answer:#}");
    assert_eq!(counts(&answer), (0.into(), 3.into()), "{answer:#}");
    // What cannot be verified is no verdict.
    assert_eq!(place.run(&["verify", "--home", "/nowhere"]).code, Some(2));
    let seed = TestHome::new();
    fs::create_dir_all(seed.home().join("alice/tool_audit")).unwrap();
    fs::write(seed.home().join("alice/tool_audit/2026-11-23.jsonl"), "{}\n").unwrap();
    let ran = seed.run(&["verify"]);
    assert_eq!((ran.code, ran.out.is_empty()), (Some(2), true), "{}", ran.err);
    assert_eq!(verify(&place, &["--checkpoint", &place.file("empty", "")]).1["verdict"], "bad-signature");
}

#[test]
fn what_is_no_regular_file_is_missing_and_not_an_error() {
    let place = filled();
    assert_eq!(verify(&place, &[]).0, Some(0));
    for (file, expected) in [
        (".tooltrail/names/alice", "missing"),
        (".tooltrail/log/checkpoint", "missing"),
        (".tooltrail/log/entries", "missing"),
        (".tooltrail/log/key", "forked"),
        (".tooltrail/id", "forked"),
    ] {
        let (path, aside) = (place.home().join(file), place.path("aside"));
        fs::rename(&path, &aside).unwrap();
        for kind in ["FIFO", "folder", "link"] {
            match kind {
                "FIFO" => assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success()),
                "folder" => fs::create_dir(&path).unwrap(),
                _ => std::os::unix::fs::symlink("/dev/zero", &path).unwrap(),
            }
            let (code, answer) = verify(&place, &[]);
            assert_eq!((code, &answer["verdict"]), (Some(1), &expected.into()), "{file} is a {kind}: {answer:#}");
            if kind == "folder" { fs::remove_dir(&path).unwrap() } else { fs::remove_file(&path).unwrap() }
        }
        fs::rename(&aside, &path).unwrap();
    }
    // Where nothing can be remembered, there still is a verdict.
    let mut command = place.command(&["verify", "--json"]);
    let out = command.env("XDG_STATE_HOME", "/proc/nothing").output().unwrap();
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(String::from_utf8_lossy(&out.stderr).contains("nothing is remembered"));
}

#[test]
fn a_proof_is_checked_without_the_home() {
    let place = filled();
    let stored = fs::read_to_string(one_file(&place, "alice")).unwrap();
    let id = stored.lines().nth(3).unwrap().split("\"id\":\"").nth(1).unwrap()[..36].to_owned();
    let proof = place.run(&["prove", &id]);
    assert_eq!(proof.code, Some(0), "{}", proof.err);
    let file = place.file("entry.tlog-proof", &proof.out);
    let key = place.run(&["key", "show"]).out;
    let elsewhere = TestHome::new();
    let check = |file: &str, key: &str| elsewhere.run(&["verify", "--proof", file, "--key", key.trim()]);
    let ran = check(&file, &key);
    assert_eq!((ran.code, ran.out.lines().next()), (Some(0), Some("ok")), "{}", ran.err);
    assert!(ran.out.contains(&id), "the entry is shown: {}", ran.out);
    let other = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    assert_eq!(check(&file, other).out, "bad-signature\n");
    assert_eq!(check(&place.file("no-proof", "x"), &key).code, Some(2));
    assert_eq!(place.run(&["prove", "019ac3f2-7c1e-7b52-9d0e-3f5a1c2b4d6e"]).code, Some(1));
    let shown = place.run(&["show", &id]);
    assert!(shown.out.contains("sealed ") && shown.out.contains("vouched by self"), "{}", shown.out);
}

#[test]
fn the_service_seals_proves_and_erases() {
    let place = TestHome::new();
    let config = place.file("tooltrail.toml", "[log]\norigin = \"example.org/audit\"\n");
    let service = Service::start_as(place, &["--config", &config]);
    service.wait_ready();
    let token = service.token(&["a", "--role", "admin"]);
    let body = (0..30).map(|n| line(n, "alice", None) + "\n").collect::<String>();
    let answer = service.post(&token, &body);
    assert!(answer.body.contains("\"accepted\":30"), "{}", answer.body);
    let until = |what: &str, check: &dyn Fn() -> bool| service.until(what, check);
    let checkpoint = || service.get(&token, "/api/audit/checkpoint").body;
    until("sealed", &|| checkpoint().starts_with("example.org/audit\n"));
    until("verified", &|| verify(&service.place, &[]).1["verdict"] == "ok");
    let stored = fs::read_to_string(one_file(&service.place, "alice")).unwrap();
    let entry = stored.lines().nth(4).unwrap();
    let (id, salt) = (
        entry.split("\"id\":\"").nth(1).unwrap()[..36].to_owned(),
        entry.split("\"salt\":\"").nth(1).unwrap()[..22].to_owned(),
    );
    let proved = serde_json::from_str::<Value>(&service.get(&token, &format!("/api/audit/entries/{id}")).body).unwrap();
    assert_eq!(proved["entry"]["id"], id.as_str(), "{proved:#}");
    let file = service.place.file("e.tlog-proof", proved["proof"]["text"].as_str().unwrap());
    let key = service.place.run(&["key", "show"]).out;
    assert!(key.starts_with("example.org/audit+"), "{key}");
    let ran = service.place.run(&["verify", "--proof", &file, "--key", key.trim()]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    // The service is at work while the entry is erased, and its journal must lose its copy.
    let ran = service.place.run(&["erase", "--id", &id, "--why", "test"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let holds = files(&service.place.home())
        .into_iter()
        .filter(|file| fs::read(file).is_ok_and(|bytes| bytes.windows(salt.len()).any(|part| part == salt.as_bytes())));
    assert_eq!(holds.collect::<Vec<_>>(), Vec::<PathBuf>::new());
    let answer = service.post(&token, &line(99, "alice", None));
    assert!(answer.body.contains("\"accepted\":1"), "{}", answer.body);
    until("verified again", &|| verify(&service.place, &[]).1["verdict"] == "erased");
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// A running witness.
struct Witness {
    child: Child,
    address: String,
    key: String,
}

impl Witness {
    fn start(place: &TestHome, log_key: &str) -> Self {
        let state = place.path("witness");
        let args = [
            "witness",
            "--name",
            "w.example/1",
            "--log-key",
            log_key,
            "--listen",
            "127.0.0.1:0",
            "--json",
            "--state",
            state.to_str().unwrap(),
        ];
        let mut child = place.command(&args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
        let said = serde_json::from_str::<Value>(&said).unwrap();
        let address = said["address"].as_str().unwrap().trim_start_matches("http://").to_owned();
        Self { child, address, key: said["key"].as_str().unwrap().to_owned() }
    }

    /// Sends a request; `None` if the witness was killed meanwhile.
    fn ask(&self, body: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
        let head = format!(
            "POST /add-checkpoint HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all((head + body).as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_witness_that_is_killed_again_and_again_never_cosigns_two_histories() {
    let place = filled();
    let key = place.run(&["key", "show"]).out.trim().to_owned();
    // A thief has the home and its keys, and goes on for himself.
    let thief = TestHome::new();
    for name in ["home", ".local"] {
        let (from, to) = (place.path(name), thief.path(name));
        assert!(std::process::Command::new("cp").arg("-a").arg(&from).arg(&to).status().unwrap().success());
    }
    let kills = std::env::var("TOOLTRAIL_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let mut cosigned = std::collections::BTreeMap::<u64, String>::new();
    let (mut answers, mut refusals) = (0, 0);
    for round in 0..kills {
        let witness = Witness::start(&place, &key);
        let verifier = VerifierKey::parse(&witness.key).unwrap();
        let mut killers = Vec::new();
        for (home, number) in [(&place, 1_000 + round), (&thief, 5_000 + round)] {
            let number = u64::try_from(number).unwrap();
            let file = home.file("more.jsonl", lines(number..number + 1, "alice", minutes_ago(1)));
            assert_eq!(home.run(&["import", &file, "--again"]).code, Some(0));
            let log = PublicLog::new(&Home::open(home.home()).unwrap());
            let mut known = None;
            for _ in 0..3 {
                let Some(request) = log.cosign_request(&verifier, known).unwrap() else { break };
                let root = request.body.lines().rev().nth(2).unwrap().to_owned();
                if round % 2 == 1 {
                    // In the middle of the request, at a moment that differs from round to round.
                    let pid = witness.child.id();
                    killers.push(std::thread::spawn(move || {
                        std::thread::sleep(Duration::from_micros(u64::try_from(round % 50).unwrap() * 40));
                        signal(pid, rustix::process::Signal::KILL);
                    }));
                }
                match witness.ask(&request.body) {
                    Some((200, lines)) => {
                        answers += 1;
                        assert!(log.store_cosigned(&verifier, &request, &lines).unwrap());
                        let before = cosigned.insert(request.size, root.clone());
                        assert!(before.is_none_or(|before| before == root), "two histories of size {}", request.size);
                        break;
                    }
                    // The same size with another root, or more than this history has.
                    Some((409, size)) if size.trim().parse::<u64>().unwrap() >= request.size => {
                        refusals += 1;
                        break;
                    }
                    Some((409, size)) => known = size.trim().parse().ok(),
                    Some((422, _)) => {
                        refusals += 1;
                        break;
                    }
                    Some((status, body)) => panic!("{status}: {body}"),
                    None => break,
                }
            }
        }
        killers.into_iter().for_each(|killer| killer.join().unwrap());
        // The witness is killed here, if it was not before.
    }
    assert!(answers >= kills / 3, "{answers} of {kills}");
    assert!(refusals > 0, "the thief's history was refused");
    // A proxy asks the witness too. Whoever of the two homes came first, the witness vouches for one only.
    let witness = Witness::start(&place, &key);
    let verdict =
        |place: &TestHome| verify(place, &["--witness", &witness.key]).1["verdict"].as_str().unwrap().to_owned();
    assert_eq!(verdict(&place), "ok");
    let config = place.file(
        "tooltrail.toml",
        format!(
            "[witness]\ninterval_s = 1\nat = [{{ url = \"http://{}\", key = \"{}\" }}]\n",
            witness.address, witness.key
        ),
    );
    let mut client = Client::start(proxy(&place, &["--config", &config]));
    client.call("echo", &serde_json::json!({ "n": 1 }));
    let seen = || verify(&place, &["--witness", &witness.key]).1;
    within(Duration::from_secs(60), "the witness has seen all", || {
        let answer = seen();
        let upto = answer["vouched_upto"].as_array().unwrap();
        upto.len() > 1 && upto.iter().all(|upto| *upto == answer["checkpoint"]["size"])
    });
    client.end();
    assert_ne!(verdict(&thief), "ok");
}

#[test]
fn the_service_says_in_its_log_that_a_restored_home_is_not_sealed() {
    let place = filled();
    let copy = place.path("copy");
    assert!(std::process::Command::new("cp").arg("-a").arg(place.home()).arg(&copy).status().unwrap().success());
    let file = place.file("more.jsonl", lines(70..80, "alice", minutes_ago(1)));
    assert_eq!(place.run(&["import", &file]).code, Some(0));
    fs::remove_dir_all(place.home()).unwrap();
    fs::rename(&copy, place.home()).unwrap();
    let service = Service::start_in(place);
    service.until("it says so", || service.log().contains("nothing is sealed"));
    assert!(service.log().contains("tooltrail log restart"), "{}", service.log());
    assert_eq!(service.place.run(&["log", "restart", "--why", "restored"]).code, Some(0));
    service.until("it goes on", || service.log().contains("sealing goes on"));
    let again = service.place.run(&["log", "restart", "--why", "by mistake"]);
    assert!(again.code != Some(0) && again.err.contains("is in order"), "{}", again.err);
    service.until("it verifies", || verify(&service.place, &["--accept"]).1["verdict"] == "ok");
}

#[test]
fn a_day_is_only_for_a_user() {
    let place = filled();
    for what in [["--query", "user=alice"], ["--id", "019ac3f2-7c1e-7b52-9d0e-3f5a1c2b4d6e"]] {
        let ran = place.run(&[&["erase", "--day", "2020-01-01", "--why", "x"], &what[..]].concat());
        assert_eq!(ran.code, Some(2), "{}{}", ran.out, ran.err);
    }
    assert_eq!(verify(&place, &[]).1["verdict"], "ok");
}

#[test]
fn hooks_alone_seal_what_they_record() {
    let place = TestHome::new();
    let event = |name: &str, id: &str| {
        format!(
            r#"{{"session_id":"s-1","hook_event_name":"{name}","tool_name":"Bash","tool_use_id":"toolu_{id}","tool_input":{{"command":"ls"}},"tool_response":{{"stdout":"a","stderr":""}},"cwd":"/tmp"}}"#
        )
    };
    let hook = |event: &str| {
        let home = place.home();
        let ran = place.run_with(&["hook", "claude-code", "--home", home.to_str().unwrap()], event.as_bytes());
        assert_eq!(ran.code, Some(0), "{}", ran.err);
    };
    for n in 0..3 {
        hook(&event("PreToolUse", &format!("0123456789abcdef{n}")));
        hook(&event("PostToolUse", &format!("0123456789abcdef{n}")));
    }
    hook(r#"{"session_id":"s-1","hook_event_name":"SessionEnd","reason":"exit","cwd":"/tmp"}"#);
    let (code, answer) = verify(&place, &[]);
    assert_eq!((code, &answer["verdict"]), (Some(0), &"ok".into()), "{answer:#}");
    assert!(answer["counts"]["lines"].as_u64() >= Some(3), "{answer:#}");
}

#[test]
fn what_is_noted_of_erased_calls_of_hooks_is_gone() {
    for by_id in [false, true] {
        let place = TestHome::new();
        let canary = "canary-of-hooks";
        let event = |name: &str, n: u32| {
            format!(
                r#"{{"session_id":"s","hook_event_name":"{name}","tool_name":"Bash","tool_use_id":"toolu_0123456789abcdef{n}","tool_input":{{"command":"echo {canary}"}},"tool_response":{{"stdout":"{canary}","stderr":""}},"cwd":"/tmp"}}"#
            )
        };
        let home = place.home();
        // One call has ended; another one, when everything is erased, has only begun.
        let calls = if by_id { 1 } else { 2 };
        for n in 0..calls {
            for name in if n == 0 { &["PreToolUse", "PostToolUse"][..] } else { &["PreToolUse"] } {
                let flags = ["hook", "claude-code", "--home", home.to_str().unwrap()];
                assert_eq!(place.run_with(&flags, event(name, n).as_bytes()).code, Some(0));
            }
        }
        let holds = || {
            let has = |bytes: &[u8]| bytes.windows(canary.len()).any(|part| part == canary.as_bytes());
            files(&home).into_iter().filter(|file| fs::read(file).is_ok_and(|bytes| has(&bytes))).collect::<Vec<_>>()
        };
        assert!(holds().len() > 1, "{:?}", holds());
        let stored = fs::read_to_string(&place.day_files()[0]).unwrap();
        let id = stored.split("\"id\":\"").nth(1).unwrap()[..36].to_owned();
        let what = if by_id { ["--id", &id] } else { ["--query", canary] };
        let ran = place.run(&[&["erase", "--why", "test"], &what[..]].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        assert_eq!(holds(), Vec::<PathBuf>::new());
        // The call stays known as recorded.
        let flags = ["hook", "claude-code", "--home", home.to_str().unwrap()];
        assert_eq!(place.run_with(&flags, event("PostToolUse", 0).as_bytes()).code, Some(0));
        assert_eq!(holds(), Vec::<PathBuf>::new());
    }
}

#[test]
fn a_home_verifies_while_processes_write_and_are_killed() {
    let place = filled();
    let began = Instant::now();
    let mut round = 0;
    while began.elapsed() < Duration::from_secs(8) {
        round += 1;
        let file =
            place.file(&format!("r{round}.jsonl"), lines(round * 100..round * 100 + 50, "carol", minutes_ago(2)));
        let spawn = |args: &[&str]| place.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut import = spawn(&["import", &file]);
        let mut foreign = fs::OpenOptions::new().append(true).open(one_file(&place, "bob")).unwrap();
        foreign.write_all(format!("{{\"foreign\":{round}}}\n").as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(round * 37 % 200));
        let ran: Ran = place.run(&["verify", "--json"]);
        assert_eq!(ran.code, Some(0), "round {round}: {}{}", ran.out, ran.err);
        import.kill().unwrap();
        import.wait().unwrap();
    }
    assert_eq!(place.run(&["import", &place.file("last.jsonl", lines(1..2, "dora", minutes_ago(1)))]).code, Some(0));
    let (code, answer) = verify(&place, &[]);
    assert_eq!((code, &answer["verdict"]), (Some(0), &"ok".into()), "{answer:#}");
}
