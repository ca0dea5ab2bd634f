//! What an operator of the service meets: unusual disks, keys that others could read, and the log.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::service::Service;
use crate::support::TestHome;

/// Returns whether a command is installed; if not, prints that the test is skipped.
fn has(command: &str) -> bool {
    let there = Command::new(command).arg("--version").output().is_ok_and(|output| output.status.success());
    if !there {
        eprintln!("skipped: {command} is not installed");
    }
    there
}

#[test]
fn a_home_on_a_network_is_refused_unless_forced() {
    if !has("strace") {
        return;
    }
    let place = TestHome::new();
    // Replaces the first word in the result of `statfs`, which is the type of the file system.
    let run = |magic: u32, args: &[&str]| {
        let word = magic.to_le_bytes().map(|byte| format!("{byte:02x}")).concat();
        let command = place.command(args);
        let output = Command::new("strace")
            .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=statfs", "-e"])
            .arg(format!("inject=statfs:poke_exit=@arg2={word}00000000"))
            .arg(command.get_program())
            .args(command.get_args())
            .env_clear()
            .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let line = place.file("calls.jsonl", "{\"user\":\"alice\",\"tool\":\"t\",\"status\":\"ok\"}\n");
    let writers: [&[&str]; 3] =
        [&["import", &line], &["token", "add", "root", "--role", "admin"], &["serve", "--listen", "127.0.0.1:0"]];
    for (magic, name) in [(0x6969, "nfs"), (0xFF53_4D42, "cifs"), (0xFE53_4D42, "smb2"), (0x0102_1997, "9p")] {
        for args in writers {
            let (code, error) = run(magic, args);
            assert_eq!(code, Some(2), "{name} {args:?}: {error}");
            assert!(error.contains(&format!("network file system ({name})")), "{args:?}: {error}");
            assert!(error.contains("--force-network-home"), "{args:?}: {error}");
        }
    }
    assert!(!place.home().exists());
    assert_eq!(run(0xEF53, &["import", &line]).0, Some(0), "a local disk");
    assert_eq!(run(0x6969, &["import", "--again", &line, "--force-network-home"]).0, Some(0));
    assert_eq!(place.stored().iter().filter(|entry| entry["tool"] == "t").count(), 2);
    // Reading works, because it needs no lock.
    assert_eq!(run(0x6969, &["recent"]).0, Some(0));
}

#[test]
fn the_end_is_bounded_whatever_the_disk_does() {
    let mut service = Service::start();
    // The test holds the append lock, so every batch waits for it until its timeout, the last ones too.
    let path = service.place.home().join(".tooltrail/append.lock");
    service.until("writing", || path.exists());
    let lock = std::fs::File::open(path).unwrap();
    lock.lock().unwrap();
    let begun = Instant::now();
    service.terminate();
    assert_eq!(service.wait(), Some(2), "{}", service.log());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let log = service.log();
    assert!(log.contains("lock the appends of"), "{log}");
    // The entries that could not be appended are in the journal, which the next start replays.
    lock.unlock().unwrap();
    assert_eq!(service.place.run_with(&["import", "-"], b"{\"tool\":\"t\"}\n").code, Some(0));
    let told = service.place.run(&["recent", "--user", "_system"]).out;
    assert!(told.contains("tooltrail.stop"), "{told}");
}

/// A text that must not occur in the log.
const CANARY: &str = "quicksilver";

#[test]
fn the_log_tells_what_is_done_and_never_what_was_said() {
    for format in ["json", "text"] {
        let service = Service::start_as(TestHome::new(), &["--log-format", format, "--log-level", "debug"]);
        service.wait_ready();
        let admin = service.token(&["root", "--role", "admin"]);
        let alice = service.token(&["alice", "--role", "user", "--user", "alice"]);
        let good = format!(
            r#"{{"user":"alice","tool":"{CANARY}","args":{{"{CANARY}":"{CANARY}"}},"status":"ok","result":"{CANARY}"}}"#
        );
        assert_eq!(service.post(&admin, &good).status, 200);
        for body in [
            format!(r#"{{"tool":"t","status":"{CANARY}"}}"#),
            format!(r#"{{"tool":"t","args":{{"{CANARY}"#),
            format!(r#"{{"tool":"t","args":"\\ud800{CANARY}","ts":"{CANARY}"}}"#),
            format!(r#"[{{"tool":3,"args":"{CANARY}"}},{CANARY}]"#),
            CANARY.to_owned(),
        ] {
            service.post(&admin, &body);
        }
        for target in ["recent", "stats", "users", "entries", CANARY] {
            for token in [&*admin, &alice, CANARY] {
                for query in ["", "?user=", "?q=", "?q=args%3D", "?cursor=", "?days=", "?", "/", "%00", "%", "?q=%22"] {
                    service.get(token, &format!("/api/audit/{target}{query}{CANARY}"));
                    service.send(
                        "POST",
                        &format!("/api/audit/{target}{query}{CANARY}"),
                        &[("Authorization", CANARY)],
                        CANARY,
                    );
                }
            }
        }
        for path in ["/healthz", "/readyz", "/metrics", "/openapi.json", "/"] {
            service.send(
                "GET",
                &format!("{path}?{CANARY}={CANARY}"),
                &[("X-Canary", CANARY), ("Cookie", CANARY)],
                CANARY,
            );
        }
        service.send(&CANARY.to_uppercase(), "/healthz", &[], "");
        service.send("GET", "/healthz", &[("Host", &format!("{CANARY}.example"))], "");
        {
            use std::io::{Read as _, Write as _};
            let mut stream = service.connect();
            let head = format!(
                "GET /api/audit/stream?q={CANARY} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {admin}\r\n"
            );
            write!(stream, "{head}Last-Event-ID: {CANARY}\r\n\r\n").unwrap();
            assert!(stream.read(&mut [0; 1_024]).unwrap() > 0);
        }
        // Bytes that are not HTTP, then an entry whose day file cannot be written.
        for noise in [format!("{CANARY}\r\n\r\n"), format!("GET /{CANARY} HTTP/1.1\r\n{CANARY}\r\n\r\n")] {
            use std::io::{Read as _, Write as _};
            let mut stream = service.connect();
            stream.write_all(noise.as_bytes()).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        }
        let folder = service.place.home().join("blocked");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("tool_audit"), "").unwrap();
        assert_eq!(service.post(&admin, &good.replace("alice", "blocked")).status, 503);
        let log = service.log();
        let (lines, lower) = (log.lines().count(), log.to_lowercase());
        assert!(lines > 100 && log.contains("entries could not be written"), "{log}");
        let leaks =
            lower.lines().filter(|line| line.contains(CANARY) || line.contains(&admin[..30])).collect::<Vec<_>>();
        assert!(leaks.is_empty(), "{leaks:#?}");
        if format == "json" {
            for line in log.lines() {
                let line =
                    serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
                assert!(
                    line["timestamp"].is_string() && line["level"].is_string() && line["message"].is_string(),
                    "{line}"
                );
            }
            let request = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
            let mut posts = request.filter(|line| line["route"] == "/api/audit/entries" && line["method"] == "POST");
            assert!(posts.any(|line| line["status"] == 200 && line["took_ms"].is_number()), "{log}");
        }
    }
}

#[test]
fn the_level_bounds_what_is_told() {
    let service = Service::start_as(TestHome::new(), &["--log-level", "error"]);
    service.wait_ready();
    assert_eq!(service.send("GET", "/nowhere", &[], "").status, 404);
    assert!(!service.log().contains("INFO") && !service.log().contains("WARN"), "{}", service.log());
}

#[test]
fn keys_that_tools_of_the_same_user_can_read_are_warned_of() {
    let service = Service::start();
    // The test itself runs as the same user.
    let log = service.log();
    assert!(log.contains("other processes run as the service's user") && log.contains("a user of its own"), "{log}");
}
