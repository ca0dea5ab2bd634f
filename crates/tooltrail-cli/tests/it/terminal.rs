//! What people see on a terminal if a trail contains hostile text.

use std::fs::File;
use std::io::{Read as _, Write as _};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::support::{TestHome, line, lines, minutes_ago, now};

/// Text that controls a terminal, hides text or reverses it.
const HOSTILE: &str =
    "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{8}\u{202e}evil\u{2066}\u{200f}\u{feff}\u{e0041}\u{7f}\u{85}";

/// Columns of a terminal whose width is unknown.
const WIDTH: usize = 100;

/// Runs the binary with a terminal for its three streams. Returns the exit code and the output.
fn on_terminal(place: &TestHome, args: &[&str]) -> (Option<i32>, String) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
    let master = openpt(flags).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let slave = File::from(rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap());
    let mut child = {
        let mut command = place.command(args);
        command.env("TERM", "xterm-256color").stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap());
        // Dropping the command closes our copies of the terminal; otherwise reading from it would never end.
        command.stderr(slave).spawn().unwrap()
    };
    let (mut master, mut seen, mut buffer) = (File::from(master), Vec::new(), [0; 4_096]);
    while let Ok(read @ 1..) = master.read(&mut buffer) {
        seen.extend_from_slice(&buffer[..read]);
    }
    (child.wait().unwrap().code(), String::from_utf8(seen).unwrap())
}

/// Returns the text without colours, and fails if it contains any other control character.
fn plain(seen: &str) -> String {
    let mut plain = String::new();
    let mut rest = seen;
    while let Some(at) = rest.find("\u{1b}[") {
        plain.push_str(&rest[..at]);
        let sequence = &rest[at + 2..];
        let end = sequence.find(|c: char| !c.is_ascii_digit() && c != ';').unwrap();
        assert!(sequence[end..].starts_with('m'), "no colour: {:?}", &rest[at..]);
        rest = &sequence[end + 1..];
    }
    plain.push_str(rest);
    let plain = plain.replace("\r\n", "\n");
    let hostile = |c: char| c != '\n' && (c.is_control() || HOSTILE.chars().any(|h| h == c && !h.is_ascii_graphic()));
    assert!(!plain.contains(hostile), "{plain:?}");
    plain
}

/// Returns a home with two hostile entries: one written by tooltrail, one by another writer that escapes nothing.
fn hostile_home() -> TestHome {
    let place = TestHome::new();
    let call = serde_json::json!({"tool": HOSTILE, "user": HOSTILE, "args": {HOSTILE: HOSTILE}, "status": "ok", "result": HOSTILE});
    assert_eq!(place.run_with(&["import", "-"], call.to_string().as_bytes()).code, Some(0));
    let raw = HOSTILE.chars().filter(|c| *c >= ' ').collect::<String>();
    let ts = now();
    let foreign = format!(
        "{{\"ts\":\"{ts}\",\"user\":\"mallory\",\"tool\":\"{raw}\",\"args\":{{\"{raw}\":1}},\"status\":\"ok\",\"result_chars\":1,\"result_snippet\":\"{raw}\"}}\n"
    );
    std::fs::create_dir_all(place.home().join("mallory/tool_audit")).unwrap();
    std::fs::write(place.day_file("mallory", ts), foreign).unwrap();
    place
}

#[test]
fn hostile_text_reaches_no_terminal() {
    let place = hostile_home();
    let check = |args: &[&str], code: i32, expected: &[&str]| {
        let (found, seen) = on_terminal(&place, args);
        let text = plain(&seen);
        assert_eq!(found, Some(code), "{args:?}: {text}");
        for expected in expected {
            assert!(text.contains(expected), "{args:?}: {text}");
        }
    };
    check(&["tail"], 0, &["\\u001b[2J", "mallory"]);
    check(&["tail", "--json"], 0, &["\\u202eevil", "\"user\":\"mallory\""]);
    check(&["recent"], 0, &["\\u001b[2J", "mallory"]);
    check(&["recent", "--json"], 0, &["\\u001b]0;owned\\u0007\\u009b31m", "\\u202eevil", "\"user\":\"mallory\""]);
    check(&["stats"], 0, &["2 calls", "\\u001b[2J"]);
    check(&["stats", "--json"], 0, &["\"total\":2"]);
    let missing = format!("{HOSTILE}/no-such-file");
    check(&["import", &missing], 2, &["error: could not read \\u001b[2J"]);
    check(&["recent", "--home", &missing], 2, &["error: no home at \\u001b[2J"]);
    check(&["recent", "--config", &missing], 2, &["hint: check the name"]);
    check(&["recent", &format!("{HOSTILE}.1")], 0, &["no entries"]);
    check(&["recent", &format!("{HOSTILE}=1")], 2, &["error: query, character"]);
    let file = place.file("lines", format!("{{\"tool\":\"t\",\"status\":{}}}\n", serde_json::json!(HOSTILE)));
    let (code, seen) = on_terminal(&place, &["import", &file]);
    // The progress bar may move the cursor, but the text of the line may not.
    assert_eq!(code, Some(1), "{seen:?}");
    assert!(seen.contains("line 1: status") && !seen.contains(['\u{7}', '\u{9b}', '\u{202e}']), "{seen:?}");
    assert!(!seen.contains("\u{1b}]") && !seen.contains("\u{1b}[2J"), "{seen:?}");
}

#[test]
fn what_a_pipe_gets_is_whole_and_on_one_line() {
    let place = hostile_home();
    let tabs = place.run(&["recent"]);
    assert_eq!(tabs.out.lines().count(), 2);
    assert!(
        tabs.out
            .lines()
            .all(|row| row.split('\t').count() == 7 && !row.contains(|c: char| c.is_control() && c != '\t'))
    );
    // Programs get the stored bytes unchanged.
    let json = place.run(&["recent", "--json"]);
    let mut stored = place.stored_lines();
    stored.sort();
    let mut printed = json.out.split_terminator('\n').collect::<Vec<_>>();
    printed.sort_unstable();
    assert_eq!(printed, stored);
}

#[test]
fn a_table_fits_its_terminal_and_is_coloured_there() {
    let place = TestHome::new();
    let mut text = lines(0..50, "alice", minutes_ago(3));
    text += &line(50, &"long-user-name".repeat(10), None)
        .replace("the text", &"漢字 ".repeat(200))
        .replace("\"ok\"", "\"error\"");
    assert_eq!(place.run_with(&["import", "-"], text.as_bytes()).code, Some(0));
    for (args, rows) in [(&["recent"][..], 52), (&["stats"], 0)] {
        let (code, seen) = on_terminal(&place, args);
        let text = plain(&seen);
        assert_eq!(code, Some(0), "{text}");
        assert!(seen.contains("\u{1b}[32m") && seen.contains("\u{1b}[31m"), "{args:?}: {seen:?}");
        let wide = |line: &str| line.chars().map(|c| if c >= '\u{2e80}' { 2 } else { 1 }).sum::<usize>();
        assert!(text.lines().all(|line| wide(line) <= WIDTH), "{args:?}: {text}");
        assert!(rows == 0 || text.lines().count() == rows, "{args:?}: {text}");
    }
    let (_, uncoloured) = on_terminal(&place, &["recent", "--color", "never"]);
    assert!(!uncoloured.contains('\u{1b}'), "{uncoloured:?}");
}

#[test]
fn an_import_shows_its_progress_to_people_alone() {
    let place = TestHome::new();
    let file = place.file("lines", lines(0..2_000, "alice", minutes_ago(3)));
    let (code, seen) = on_terminal(&place, &["import", &file]);
    assert_eq!(code, Some(0), "{seen:?}");
    assert!(seen.contains("storing") && seen.contains("2000 entries stored"), "{seen:?}");
    let mut other = File::create(place.path("other")).unwrap();
    other.write_all(lines(5_000..7_000, "alice", minutes_ago(3)).as_bytes()).unwrap();
    let piped = place.run(&["import", place.path("other").to_str().unwrap()]);
    assert!(piped.out.is_empty() && piped.err.ends_with("other: 2000 entries stored\n"), "{}", piped.err);
    assert_eq!(piped.err.lines().count(), 1, "{}", piped.err);
}
