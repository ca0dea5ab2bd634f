//! Files that the service has no permission to read, and commands of another user than the owner of the home. Needs
//! root.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Stdio;

use serde_json::json;

use crate::service::Service;
use crate::support::{Ran, TestHome};

/// User ids that belong to no account.
const OWNER: u32 = 65_531;
const STRANGER: u32 = 65_532;

/// Returns a place whose home belongs to [`OWNER`], or `None` if the test does not run as root.
fn place_of_another() -> Option<TestHome> {
    let place = TestHome::new();
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        eprintln!("skipped: another user (needs root)");
        return None;
    }
    std::fs::create_dir(place.home()).unwrap();
    for folder in [place.path("."), place.home()] {
        chown(&folder, Some(OWNER), Some(OWNER)).unwrap();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    Some(place)
}

fn run_as(place: &TestHome, user: u32, args: &[&str]) -> Ran {
    let mut command = place.command(args);
    Ran::of(command.uid(user).gid(user).stdin(Stdio::null()).output().unwrap())
}

/// Adds the owners of all files and folders below a folder to `found`.
fn owners(folder: &Path, found: &mut Vec<u32>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let metadata = entry.metadata().unwrap();
        found.push(metadata.uid());
        if metadata.is_dir() {
            owners(&entry.path(), found);
        }
    }
}

#[test]
fn root_gives_what_it_makes_to_the_owner_and_others_are_refused_before_they_write() {
    let Some(place) = place_of_another() else { return };
    let line = place.file("lines", "{\"tool\":\"t\",\"user\":\"alice\",\"status\":\"ok\"}\n");
    let refused = run_as(&place, STRANGER, &["import", &line]);
    assert_eq!(refused.code, Some(2), "{}", refused.err);
    assert!(refused.err.contains(&format!("belongs to the user of id {OWNER}")), "{}", refused.err);
    assert!(refused.err.contains("sudo -u OWNER"), "the way out: {}", refused.err);
    assert_eq!(std::fs::read_dir(place.home()).unwrap().count(), 0, "nothing was written");

    assert_eq!(place.run(&["import", &line]).code, Some(0), "as root");
    let mut found = Vec::new();
    owners(&place.home(), &mut found);
    assert!(found.len() > 5 && found.iter().all(|owner| *owner == OWNER), "{found:?}");
    // The same for the keys, which are outside the home.
    found.clear();
    owners(&place.path(".local"), &mut found);
    assert!(found.len() > 2 && found.iter().all(|owner| *owner == OWNER), "{found:?}");
    let own = run_as(&place, OWNER, &["import", "--again", &line]);
    assert_eq!(own.code, Some(0), "{}", own.err);
    // Reading needs only the permission to read.
    assert!(place.run(&["recent"]).out.contains("alice"));
}

#[test]
fn what_cannot_be_read_stops_neither_recording_nor_other_answers() {
    let Some(place) = place_of_another() else { return };
    for user in ["alice", "bob", "carol"] {
        let lines = place.file("lines", format!("{{\"tool\":\"t\",\"user\":\"{user}\",\"status\":\"ok\"}}\n"));
        assert_eq!(run_as(&place, OWNER, &["import", &lines]).code, Some(0));
    }
    let token = |args: &[&str]| run_as(&place, OWNER, &[&["token", "add"], args].concat()).out.trim().to_owned();
    let admin = token(&["root", "--role", "admin"]);
    let (alice, bob) =
        (token(&["a", "--role", "user", "--user", "alice"]), token(&["b", "--role", "user", "--user", "bob"]));
    // A day file and a folder without any permission, and lock files of root, as an earlier run by root leaves them.
    let closed = |path: &Path| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o000)).unwrap();
    let day = std::fs::read_dir(place.home().join("alice/tool_audit")).unwrap().next().unwrap().unwrap().path();
    closed(&day);
    closed(&place.home().join("bob"));
    for lock in ["append.lock", "recover.lock", "journal/00.lock"] {
        let lock = place.home().join(".tooltrail").join(lock);
        std::fs::write(&lock, "").unwrap();
        chown(&lock, Some(0), Some(0)).unwrap();
        std::fs::set_permissions(&lock, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let service = Service::start_by(place, |command| {
        command.uid(OWNER).gid(OWNER);
    });
    service.wait_ready();
    let line = json!({ "tool": "t", "user": "carol", "status": "ok" }).to_string();
    assert_eq!(service.post(&admin, &line).status, 200);

    let named = [format!("alice/tool_audit/{}", day.file_name().unwrap().to_str().unwrap()), "bob".to_owned()];
    let check = |token: &str, target: &str, names: &[String]| {
        let answer = service.get(token, target);
        assert_eq!(answer.status, 200, "{target}: {}", answer.body);
        let answer = answer.json();
        if names.is_empty() {
            assert!(answer.get("unreadable_names").is_none(), "{answer}");
            return;
        }
        assert_eq!(answer["unreadable_names"], json!(names), "{target}");
        assert_eq!(answer["skipped"]["unreadable"], names.len(), "{target}");
        assert_eq!(answer["complete"], false, "{target}");
        assert!(answer["next"].is_null(), "{target}");
    };
    check(&admin, "/api/audit/recent", &named);
    check(&admin, "/api/audit/stats", &named);
    check(&admin, "/api/audit/users", &named);
    // A token of role user learns only about the files of its own user.
    check(&alice, "/api/audit/recent", &named[..1]);
    check(&bob, "/api/audit/stats", &named[1..]);
    check(&admin, "/api/audit/recent?user=carol", &[]);
    assert_eq!(service.get(&admin, "/api/audit/recent?user=carol").entries().len(), 2);
    let told = run_as(&service.place, OWNER, &["recent"]);
    assert_eq!(told.code, Some(0), "{}", told.err);
    assert!(told.err.contains(&format!("could not be read: {}, {}", named[0], named[1])), "{}", told.err);
    // Entries of a user whose file cannot be written are refused, and all others are stored.
    let both = [line.clone(), json!({ "tool": "t", "user": "alice", "status": "ok" }).to_string()].join("\n");
    let answer = service.post(&admin, &both);
    assert!(matches!(answer.status, 200 | 207), "{}", answer.body);
    assert_eq!(service.get(&admin, "/api/audit/recent?user=carol").entries().len(), 3);
}

#[test]
fn serve_refuses_what_others_own_or_may_write_to() {
    let Some(place) = place_of_another() else { return };
    assert_eq!(run_as(&place, OWNER, &["token", "add", "root", "--role", "admin"]).code, Some(0));
    let keys = std::fs::read_dir(place.path(".local/state/tooltrail")).unwrap().next().unwrap().unwrap().path();
    let check = |path: &Path, mode: u32, what: &str| {
        let before = std::fs::metadata(path).unwrap().permissions();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        let ran = run_as(&place, OWNER, &["serve", "--listen", "127.0.0.1:0"]);
        assert_eq!(ran.code, Some(2), "{what}: {}", ran.err);
        assert!(ran.err.contains("others may write") && ran.err.contains(what), "{what}: {}", ran.err);
        std::fs::set_permissions(path, before).unwrap();
        chown(path, Some(STRANGER), None).unwrap();
        let ran = run_as(&place, OWNER, &["serve", "--listen", "127.0.0.1:0"]);
        assert_eq!(ran.code, Some(2), "{what}: {}", ran.err);
        chown(path, Some(OWNER), None).unwrap();
    };
    check(&place.home(), 0o777, "the home");
    check(&keys, 0o770, "the folder of keys");
    check(&keys.join("tokens.json"), 0o666, "the file of tokens");
}

#[test]
fn another_users_process_cannot_replay_a_sessions_cookie() {
    let Some(place) = place_of_another() else { return };
    let service = Service::start_by(place, |command| {
        command.uid(OWNER).gid(OWNER);
    });
    service.wait_ready();
    let admin = run_as(&service.place, OWNER, &["token", "add", "root", "--role", "admin"]).out.trim().to_owned();
    let form = service.send("GET", "/", &[], "");
    let cookie = form.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let secret = cookie.split_once('=').unwrap().1;
    let body = format!("form={secret}&token={admin}&next=%2F");
    let headers = [("Cookie", &*cookie), ("Content-Type", "application/x-www-form-urlencoded")];
    let signed_in = service.send("POST", "/session", &headers, &body);
    assert_eq!(signed_in.status, 303, "{}", signed_in.body);
    let session = signed_in.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    // A page on another port of this machine can set a cookie of the same name.
    let both = format!("tooltrail_session=junk; {session}");
    let own = service.send("GET", "/api/audit/recent", &[("Cookie", &both)], "");
    assert_eq!(own.status, 200, "{}", own.body);
    let replay = |user: u32| {
        let url = format!("http://{}/api/audit/recent", service.address);
        let mut curl = std::process::Command::new("curl");
        curl.args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "-b", &session, &url]).uid(user).gid(user);
        String::from_utf8(curl.output().unwrap().stdout).unwrap()
    };
    assert_eq!(replay(STRANGER), "401", "a stolen cookie");
    assert_eq!(replay(0), "200", "the user who signed in");
}

#[test]
fn an_answer_that_lacks_accepted_entries_says_so() {
    let service = Service::start();
    let admin = service.place.run(&["token", "add", "root", "--role", "admin"]).out.trim().to_owned();
    let line = |user: &str| json!({ "tool": "t", "user": user, "status": "ok" }).to_string();
    assert_eq!(service.post(&admin, &line("bob")).status, 200);
    let lock = std::fs::File::open(service.place.home().join(".tooltrail/append.lock")).unwrap();
    lock.lock().unwrap();
    assert_eq!(service.post(&admin, &line("alice")).status, 200);
    let check = |target: &str, complete: bool| {
        let answer = service.get(&admin, target);
        assert_eq!(answer.json()["complete"], complete, "{target}: {}", answer.body);
    };
    check("/api/audit/recent", false);
    check("/api/audit/recent?user=alice", false);
    check("/api/audit/stats?user=alice", false);
    check("/api/audit/recent?user=bob", true);
    lock.unlock().unwrap();
    for _ in 0..100 {
        if service.get(&admin, "/api/audit/recent?user=alice").entries().len() == 1 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    check("/api/audit/recent?user=alice", true);
    check("/api/audit/stats", true);
}

#[test]
fn a_stopped_recovery_of_another_process_keeps_nobody_out() {
    let place = TestHome::new();
    let lines = place.file("lines", "{\"tool\":\"t\",\"user\":\"alice\",\"status\":\"ok\"}\n");
    assert_eq!(place.run(&["import", &lines]).code, Some(0));
    let lock = std::fs::File::create(place.home().join(".tooltrail/recover.lock")).unwrap();
    lock.lock().unwrap();
    let begun = std::time::Instant::now();
    let ran = place.run(&["import", "--again", &lines]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(begun.elapsed().as_secs() < 30);
    assert_eq!(place.stored_lines().iter().filter(|line| line.contains("alice")).count(), 2);
}
