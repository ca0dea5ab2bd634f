//! Exit codes, streams, configuration and help.

use std::process::Stdio;

use crate::support::Place;

#[test]
fn exit_codes_and_hints() {
    let place = Place::new();
    let bad = place.file("bad.toml", "gate = true\n");
    let zone = place.file("zone.toml", "zone = \"Mars/Base\"\n");
    let good = place.file("good.toml", "zone = \"Europe/Berlin\"\n");
    let check = |args: &[&str], code: i32, in_stderr: &str| {
        let ran = place.run(args);
        assert_eq!(ran.code, Some(code), "{args:?}: {}", ran.err);
        assert!(ran.err.contains(in_stderr), "{args:?}: {}", ran.err);
        assert!(code == 0 || ran.out.is_empty(), "{args:?} printed data: {}", ran.out);
    };
    check(&["--version"], 0, "");
    check(&["--help"], 0, "");
    check(&["recent", "--help"], 0, "");
    check(&[], 2, "Usage");
    check(&["no-such-command"], 2, "--help");
    check(&["recent", "--days", "x"], 2, "--days");
    check(&["recent"], 2, "hint: name the home with --home");
    check(&["stats"], 2, "hint: name the home with --home");
    check(&["recent", "--config", "missing.toml"], 2, "hint: check the name");
    check(&["recent", "--config", &bad], 2, "unknown field `gate`");
    check(&["recent", "--config", &zone], 2, "Mars/Base");
    check(&["recent", "--config", &good, "--zone", "Venus/Base"], 2, "Venus/Base");
    check(&["recent", "--config", &good], 2, "no home");
    check(&["completions", "fish"], 0, "");
    check(&["completions", "no-such-shell"], 2, "bash");
    assert!(!place.home().exists(), "a reader makes no home");
}

#[test]
fn a_question_that_cannot_be_answered_is_refused_with_a_hint() {
    let place = Place::new();
    assert_eq!(place.run_with(&["import", "-"], br#"{"tool":"t","status":"ok"}"#).code, Some(0));
    let check = |args: &[&str], in_stderr: &str| {
        for command in [&["recent"][..], &["recent", "--json"], &["stats"], &["stats", "--json"]] {
            let pages = args[0].starts_with("--limit") || args[0] == "--cursor";
            if command[0] == "stats" && pages {
                continue;
            }
            let ran = place.run(&[command, args].concat());
            assert_eq!(ran.code, Some(2), "{command:?} {args:?}: {}", ran.err);
            assert!(ran.out.is_empty(), "{command:?} {args:?} printed data: {}", ran.out);
            assert!(ran.err.starts_with("error: ") && ran.err.contains(in_stderr), "{command:?} {args:?}: {}", ran.err);
            let help = ran.err.contains("hint: ") || ran.err.contains("--help");
            assert!(help, "{command:?} {args:?} leaves people alone: {}", ran.err);
        }
    };
    for days in ["0", "3651", "4294967296", "-1", "7.5", "x", ""] {
        check(&[&format!("--days={days}")], "days");
    }
    for limit in ["0", "1001", "99999999999999999999", "-1", "x", ""] {
        check(&[&format!("--limit={limit}")], "limit");
    }
    for cursor in ["x", "", "MSA", "../../etc/passwd", "\u{1b}[2J"] {
        check(&["--cursor", cursor], "cursor");
    }
    check(&["tol=fs.*"], "unknown field");
    check(&["status=fine"], "unknown status");
    check(&["duration>fast"], "no such unit of time");
    check(&["last=1y2"], "last");
    check(&["since=yesterday"], "query, character 7");
    check(&["\"open"], "quote");
    check(&[&"a ".repeat(100)], "too many terms");
    check(&[&"a".repeat(5_000)], "too long");
    check(&["--no-such-flag"], "--no-such-flag");
    for (days, limit) in [("1", "1"), ("3650", "1000")] {
        let ran = place.run(&["recent", "--days", days, "--limit", limit]);
        assert_eq!((ran.code, ran.out.lines().count()), (Some(0), 1), "{}", ran.err);
    }
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let place = Place::new();
    let file = place.file("tooltrail.toml", "zone = \"File/Zone\"\n");
    let check = |flag: Option<&str>, variable: Option<&str>, expected: &str| {
        let mut command = place.command(&["recent", "--config", &file]);
        command
            .args(flag.iter().flat_map(|zone| ["--zone", *zone]))
            .envs(variable.map(|zone| ("TOOLTRAIL_ZONE", zone)));
        let error = String::from_utf8(command.output().unwrap().stderr).unwrap();
        assert!(error.contains(expected), "{error}");
    };
    check(None, None, "File/Zone");
    check(None, Some("Variable/Zone"), "Variable/Zone");
    check(Some("Flag/Zone"), Some("Variable/Zone"), "Flag/Zone");
}

#[test]
fn a_closed_pipe_is_success() {
    let place = Place::new();
    for args in [&["completions", "zsh"][..], &["--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = place.command(args).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn nothing_is_coloured_in_a_pipe_unless_asked() {
    let place = Place::new();
    assert!(!place.run(&["recent"]).err.contains('\x1b'));
    assert!(place.run(&["recent", "--color", "always"]).err.contains("\x1b[1;31merror:"));
}
