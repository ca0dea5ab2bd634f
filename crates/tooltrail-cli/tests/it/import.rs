//! What import accepts, in which forms, and what it refuses.

use serde_json::{Value, json};
use tooltrail::Timestamp;

use crate::support::{TestHome, line, lines, minutes_ago, now};

#[test]
fn what_cannot_be_read_is_said() {
    let place = TestHome::new();
    std::fs::create_dir(place.path("folder")).unwrap();
    let folder = place.path("folder").to_str().unwrap().to_owned();
    let torn = place.file("torn.zst", &zstd::encode_all(&b"{\"tool\":\"t\"}\n"[..], 1).unwrap()[..12]);
    let check = |args: &[&str], expected: &str| {
        let ran = place.run(args);
        assert_eq!(ran.code, Some(2), "{args:?}: {}", ran.err);
        assert!(ran.err.contains(expected), "{args:?}: {}", ran.err);
        assert!(ran.out.is_empty(), "{args:?}: {}", ran.out);
    };
    check(&["import"], "FILE");
    let keys = place.home().join("keys").to_str().unwrap().to_owned();
    let good = place.file("good.jsonl", "{\"tool\":\"t\"}\n");
    check(&["import", &good, "--keys", &keys], "below the home");
    check(&["import", &folder], "is a folder without session files");
    check(&["import", "no-such-file"], "hint: check the name");
    check(&["import", &torn], "torn.zst");
    assert!(place.stored().is_empty());
}

/// How the lines reach the binary.
#[derive(Clone, Copy, Debug)]
enum Way {
    Plain,
    Zstd,
    Stdin,
    StdinZstd,
}

/// Imports lines into a new home in one way, and returns what is stored.
fn import(way: Way, args: &[&str], text: &str) -> Vec<Value> {
    let place = TestHome::new();
    let packed = zstd::encode_all(text.as_bytes(), 1).unwrap();
    let plain = place.file("lines.jsonl", text);
    let zstd = place.file("lines.jsonl.zst", &packed);
    let with = |file: &str| [&["import", file], args].concat().iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>();
    let run = |file: &str, stdin: &[u8]| {
        let args = with(file);
        place.run_with(&args.iter().map(String::as_str).collect::<Vec<_>>(), stdin)
    };
    let ran = match way {
        Way::Plain => run(&plain, b""),
        Way::Zstd => run(&zstd, b""),
        Way::Stdin => run("-", text.as_bytes()),
        Way::StdinZstd => run("-", &packed),
    };
    assert_eq!(ran.code, Some(0), "{way:?}: {}", ran.err);
    let left = std::fs::read_dir(place.home().join(".tooltrail/imports")).unwrap();
    let left = left.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>();
    assert!(left.iter().all(|name| !name.starts_with("scratch")), "{left:?}");
    place.stored()
}

/// Imports one line in each way, and checks what is stored.
fn check(args: &[&str], text: &str, expected: &[(&str, Value)]) {
    for way in [Way::Plain, Way::Zstd, Way::Stdin, Way::StdinZstd] {
        let stored = import(way, args, text);
        assert_eq!(stored.len(), 1, "{way:?}: {stored:?}");
        for (pointer, value) in expected {
            assert_eq!(stored[0].pointer(pointer).unwrap_or(&Value::Null), value, "{way:?} {pointer}: {text}");
        }
        assert_eq!(stored[0]["via"], "import");
    }
}

#[test]
fn three_forms_by_four_ways() {
    check(
        &[],
        r#"{"ts":"2026-11-20T10:00:00+01:00","user":"bob","session":"s","tool":"t","args":{"a":1.50},"status":"error","result":"é!","duration_ms":3.250}"#,
        &[
            ("/ts", json!("2026-11-20T09:00:00.000Z")),
            ("/user", json!("bob")),
            ("/identity", json!("claimed")),
            ("/session", json!("s")),
            ("/status", json!("error")),
            ("/result_chars", json!(2)),
            ("/result_snippet", json!("é!")),
        ],
    );
    // Null means absent. A call without a status is stored as interrupted.
    check(
        &["--user", "carol"],
        r#"{"ts":null,"user":null,"session":null,"tool":"t","args":null,"status":null,"result":null,"duration_ms":null}"#,
        &[
            ("/user", json!("carol")),
            ("/identity", Value::Null),
            ("/session", Value::Null),
            ("/args", json!({})),
            ("/status", json!("error")),
            ("/reason", json!("interrupted")),
            ("/result_chars", json!(0)),
            ("/duration_ms", Value::Null),
        ],
    );
    check(&[], r#"{"tool":"t"}"#, &[("/user", json!("imported"))]);
    // An entry of tooltrail keeps its id and the values of its result. Its `via` and `identity` are only claimed now.
    check(
        &[],
        r#"{"ts":"2026-11-20T09:00:00.250Z","user":"bob","tool":"t","args":{"a":"b"},"status":"ok","result_chars":9000,"result_snippet":"begin","id":"01a1f82f-1f7a-7abc-8def-0123456789ab","duration_ms":7.5,"via":"toolbox","identity":"verified","salt":"AAAAAAAAAAAAAAAAAAAAAA","new_field":[1]}"#,
        &[
            ("/ts", json!("2026-11-20T09:00:00.250Z")),
            ("/id", json!("01a1f82f-1f7a-7abc-8def-0123456789ab")),
            ("/result_chars", json!(9000)),
            ("/result_snippet", json!("begin")),
            ("/duration_ms", json!(7.5)),
            ("/identity", json!("claimed")),
            ("/extra/via", json!("toolbox")),
            ("/extra/identity", json!("verified")),
            ("/extra/salt", json!("AAAAAAAAAAAAAAAAAAAAAA")),
            ("/extra/new_field", json!([1])),
        ],
    );
}

#[test]
fn naive_times_are_the_zones() {
    // Lines as a seed writes them; winter and summer time differ if the zone has both.
    for (zone, ts, expected) in [
        ("Europe/Berlin", "2026-11-20T00:30:00", "2026-11-19T23:30:00.000Z"),
        ("Europe/Berlin", "2026-07-20T00:30:00", "2026-07-19T22:30:00.000Z"),
        ("Asia/Kolkata", "2026-11-20T00:30:00", "2026-11-19T19:00:00.000Z"),
        ("UTC", "2026-11-20T00:30:00", "2026-11-20T00:30:00.000Z"),
    ] {
        let seed = format!(
            r#"{{"ts": "{ts}", "user": "bob", "tool": "t", "args": {{"k": "\u00e9"}}, "status": "denied", "result_chars": 4, "result_snippet": "caf\u00e9"}}"#
        );
        let expected = [
            ("/ts", json!(expected)),
            ("/args/k", json!("é")),
            ("/status", json!("denied")),
            ("/result_chars", json!(4)),
            ("/result_snippet", json!("café")),
            ("/extra", Value::Null),
        ];
        check(&["--zone", zone], &seed, &expected);
    }
}

#[test]
fn what_one_home_prints_another_takes_in() {
    let (first, second) = (TestHome::new(), TestHome::new());
    let file = first.file("lines", lines(0..50, "alice", minutes_ago(5)));
    assert_eq!(first.run(&["import", &file]).code, Some(0));
    let printed = first.run(&["recent", "--json"]).out;
    assert_eq!(second.run_with(&["import", "-"], printed.as_bytes()).code, Some(0));
    let known = |place: &TestHome| {
        let known = ["ts", "user", "tool", "args", "status", "result_chars", "result_snippet", "id", "duration_ms"];
        let mut entries = place.stored();
        entries.iter_mut().for_each(|entry| entry.as_object_mut().unwrap().retain(|key, _| known.contains(&&**key)));
        entries.sort_by_key(|entry| entry["id"].to_string());
        entries
    };
    assert_eq!(known(&first), known(&second));
}

#[test]
fn a_bad_line_is_named_and_all_others_are_taken() {
    let bad: &[&[u8]] = &[
        b"no json",
        b"[]",
        br#"{"user":"a"}"#,
        br#"{"tool":"t","status":"fine"}"#,
        br#"{"tool":7}"#,
        br#"{"tool":"t","tool":"t"}"#,
        br#"{"tool":"t","ts":"yesterday"}"#,
        br#"{"tool":"t","ts":-1}"#,
        br#"{"tool":"t","ts":"2999-01-01T00:00:00Z"}"#,
        br#"{"tool":"t"}{"tool":"t"}"#,
        br#"{"tool":"t","duration_ms":"3"}"#,
        b"{\"tool\":\"t\xff\"}",
        br#"{"tool":"t"#,
    ];
    let mut text = Vec::new();
    let mut expected = Vec::new();
    for (number, bad) in (0..).zip(bad) {
        // A valid line, a blank line, which is ignored, and a bad line.
        text.extend_from_slice(line(number, "alice", None).as_bytes());
        text.extend_from_slice(b"\r\n  \n");
        text.extend_from_slice(bad);
        text.push(b'\n');
        expected.push(number * 3 + 3);
    }
    let place = TestHome::new();
    let file = place.file("lines", &text);
    let ran = place.run(&["import", "--json", &file]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    let answer = serde_json::from_str::<Value>(&ran.out).unwrap();
    assert_eq!(answer["accepted"], bad.len());
    let rejected = answer["rejected"].as_array().unwrap();
    assert_eq!(rejected.iter().map(|one| one["line"].as_u64().unwrap()).collect::<Vec<_>>(), expected);
    assert!(rejected.iter().all(|one| one["file"] == *file && !one["error"].as_str().unwrap().is_empty()));
    assert_eq!(place.numbers(), (0..bad.len() as u64).collect::<Vec<_>>());
    let told = TestHome::new().run_with(&["import", "-"], &text);
    assert_eq!(told.code, Some(1));
    assert!(told.out.is_empty() && told.err.contains("stdin line 3: not a JSON object"), "{}", told.err);
    assert!(told.err.contains("13 lines rejected") && told.err.contains("13 entries stored"), "{}", told.err);
    // If no line is a call, nothing is stored.
    let none = TestHome::new().run_with(&["import", "-"], b"no json\n");
    assert_eq!(none.code, Some(1), "{}", none.err);
}

#[test]
fn lines_are_stored_by_time() {
    let place = TestHome::new();
    let base = minutes_ago(60 * 24 * 3).as_millis();
    let mut dice = crate::dice::Dice(7);
    // Each number and each minute occurs once, because 7,919 and 3,000 have no common divisor.
    let text = (0..3_000_u64)
        .map(|number| {
            let ts = Timestamp::from_millis(base + (number * 7_919 % 3_000) as i64 * 60_000);
            line(number, ["alice", "bob"][dice.below(2) as usize], Some(ts)) + "\n"
        })
        .collect::<String>();
    let file = place.file("lines", text);
    assert_eq!(place.run(&["import", &file]).code, Some(0));
    let mut days = 0;
    for file in place.day_files() {
        let text = std::fs::read_to_string(&file).unwrap();
        let times = text.lines().map(|line| line[7..31].to_owned()).collect::<Vec<_>>();
        assert!(times.is_sorted(), "{}", file.display());
        let day = file.file_stem().unwrap().to_str().unwrap();
        assert!(times.iter().all(|ts| ts.starts_with(day)), "{}", file.display());
        days += 1;
    }
    assert!(days >= 6, "two users, at least three days each: {days}");
    assert_eq!(place.numbers(), (0..3_000).collect::<Vec<_>>());
}

#[test]
fn lines_without_a_time_share_that_of_the_import() {
    let place = TestHome::new();
    let before = now().to_string();
    let text = (0..10).map(|number| line(number, "alice", None) + "\n").collect::<String>();
    assert_eq!(place.run_with(&["import", "-"], text.as_bytes()).code, Some(0));
    let times = place.stored().iter().map(|entry| entry["ts"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert!(times.iter().all(|ts| *ts == times[0] && *ts >= before), "{before} {times:?}");
    // Equal lines are different calls.
    let same = format!("{}\n", line(1, "alice", None)).repeat(5);
    assert_eq!(place.run_with(&["import", "-"], same.as_bytes()).code, Some(0));
    let stored = place.stored();
    let ids = stored.iter().map(|entry| entry["id"].as_str().unwrap()).collect::<std::collections::BTreeSet<_>>();
    assert_eq!((stored.len(), ids.len()), (15, 15));
}

#[test]
fn the_same_content_is_taken_once_or_again_where_asked() {
    let place = TestHome::new();
    let text = lines(0..20, "alice", minutes_ago(1));
    let file = place.file("lines", &text);
    let copy = place.file("copy.zst", zstd::encode_all(text.as_bytes(), 3).unwrap());
    let check = |args: &[&str], code: i32, entries: usize, in_stderr: &str| {
        let ran = place.run(args);
        assert_eq!(ran.code, Some(code), "{args:?}: {}", ran.err);
        assert!(ran.err.contains(in_stderr), "{args:?}: {}", ran.err);
        assert_eq!(place.stored().len(), entries, "{args:?}");
    };
    check(&["import", &file], 0, 20, "20 entries stored");
    check(&["import", &file], 1, 20, "hint: give --again");
    check(&["import", &copy], 1, 20, "imported already");
    check(&["import", &copy, "--again"], 0, 40, "20 entries stored");
    check(&["import", &file, "--again"], 0, 60, "20 entries stored");
    check(&["import", &file], 1, 60, "imported already");
    let stored = place.stored();
    let ids = stored.iter().map(|entry| entry["id"].as_str().unwrap()).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(ids.len(), 60, "each time they are other calls");
    // Each of several files has its own answer.
    let other = place.file("other", lines(100..103, "bob", minutes_ago(1)));
    let ran = place.run(&["import", "--json", &file, &other, &other]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    let answer = serde_json::from_str::<Value>(&ran.out).unwrap();
    let files = answer["files"].as_array().unwrap();
    let refused = files.iter().map(|file| file["refused"].as_bool().unwrap()).collect::<Vec<_>>();
    assert_eq!((answer["accepted"].as_u64(), refused), (Some(3), vec![true, false, true]));
    assert_eq!(place.stored().len(), 63);
}

#[test]
fn nothing_leaves_the_home_whatever_a_line_says() {
    let place = TestHome::new();
    let users =
        ["../../escape", "/etc", "..", ".", ".tooltrail", "a/b", "A", "a\\u0000b", "é", "con ", "%41", "_system"];
    let text = users.map(|user| line(1, user, None)).join("\n");
    let ran = place.run_with(&["import", "-"], text.as_bytes());
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let mut beside =
        std::fs::read_dir(place.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    beside.sort();
    assert_eq!(beside, [".local", "home"], "the keys' folder and the home");
    assert_eq!(place.stored().len(), users.len());
    assert_eq!(place.day_files().len(), users.len(), "no two share a folder");
}

#[test]
fn files_and_folders_have_their_modes_whatever_the_umask() {
    use std::os::unix::fs::PermissionsExt as _;
    for (group, expected) in [(None, [0o600, 0o700]), (Some("--group"), [0o640, 0o750])] {
        for umask in ["0077", "0000"] {
            let place = TestHome::new();
            let file = place.file("calls", lines(0..3, "alice", now()).as_bytes());
            let home = place.home().join("deep/home");
            let mut shell = std::process::Command::new("sh");
            shell.args(["-c", "umask $0 && exec \"$@\"", umask, env!("CARGO_BIN_EXE_tooltrail"), "import", &file]);
            shell.arg("--home").arg(&home).arg("--keys").arg(place.path("keys")).args(group);
            assert!(shell.output().unwrap().status.success());
            let mut left = vec![home];
            while let Some(path) = left.pop() {
                let found = std::fs::metadata(&path).unwrap();
                let mode = found.permissions().mode() & 0o7777;
                assert_eq!(mode, expected[usize::from(found.is_dir())], "{} under {umask}", path.display());
                if found.is_dir() {
                    left.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
                }
            }
        }
    }
}

#[test]
fn a_file_that_has_grown_is_continued() {
    let all: Vec<String> = (0..6).map(|n| line(n, "alice", Some(minutes_ago(3))) + "\n").collect();
    for (first, compressed) in [(1, false), (3, false), (6, false), (3, true)] {
        let place = TestHome::new();
        let write = |count: usize| {
            let text = all[..count].concat();
            let bytes = if compressed { zstd::encode_all(text.as_bytes(), 1).unwrap() } else { text.into_bytes() };
            place.file("log", bytes)
        };
        assert_eq!(place.run(&["import", &write(first)]).code, Some(0));
        let grown = place.run(&["import", &write(6)]);
        if first == 6 {
            assert_eq!(grown.code, Some(1), "{}", grown.err);
        } else {
            let told = format!("its first {first} line");
            assert!(grown.code == Some(0) && grown.err.contains(&told), "{}", grown.err);
        }
        assert_eq!(place.numbers(), (0..6).collect::<Vec<_>>(), "{first} {compressed}");
        assert_eq!(place.run(&["import", &write(6)]).code, Some(1), "the whole of it was imported");
        // The same content is refused for another default user too. A file whose beginning was changed is a different
        // file.
        assert_eq!(place.run(&["import", "--user", "bob", &write(6)]).code, Some(1));
        let changed = place.file("log", all[1..].concat());
        assert_eq!(place.run(&["import", &changed]).code, Some(0));
        assert_eq!(place.numbers().len(), 11);
    }
}

#[test]
fn a_line_that_had_only_begun_is_taken_when_it_is_whole() {
    let place = TestHome::new();
    let all: Vec<String> = (0..3).map(|n| line(n, "alice", Some(minutes_ago(3))) + "\n").collect();
    let torn = place.file("log", all[0].clone() + &all[1][..20]);
    assert_eq!(place.run(&["import", &torn]).code, Some(1), "the torn line is rejected");
    let grown = place.run(&["import", &place.file("log", all.concat())]);
    assert_eq!(grown.code, Some(0), "{}", grown.err);
    assert_eq!(place.numbers(), [0, 1, 2]);
}

#[test]
fn what_is_no_object_a_line_is_named_with_the_way_out() {
    let place = TestHome::new();
    for (text, hint) in [
        ("{\n \"tool\": \"a\",\n \"status\": \"ok\"\n}\n", "its objects go over several lines: `jq -c . "),
        ("[{\"tool\":\"a\"},\n{\"tool\":\"b\"}]\n", "it is a list, not an object a line: `jq -c '.[]' "),
    ] {
        let ran = place.run(&["import", &place.file("calls.json", text)]);
        assert!(ran.code == Some(1) && ran.err.contains(hint), "{}", ran.err);
    }
    let gzip = place.run(&["import", &place.file("calls.gz", b"\x1F\x8B\x08\x00")]);
    assert!(gzip.code == Some(2) && gzip.err.contains("it is cut short: get the whole of it"), "{}", gzip.err);
}

#[test]
fn a_misspelt_key_is_told() {
    let place = TestHome::new();
    let text = "{\"tool\":\"a\",\"status\":\"ok\"}\n{\"tool\":\"a\",\"stat\":\"ok\",\"turn\":3}\n";
    let ran = place.run(&["import", &place.file("calls", text)]);
    assert!(ran.code == Some(0) && ran.err.contains("line 2: unknown key \"stat\""), "{}", ran.err);
    assert!(!ran.err.contains("turn"), "{}", ran.err);
    let json = place.run_with(&["import", "--json", "--again", "-"], text.as_bytes());
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["files"][0]["warnings"][0]["line"], 2);
}
