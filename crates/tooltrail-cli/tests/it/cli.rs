//! Exit codes, streams, configuration and help.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use crate::support::TestHome;

#[test]
fn exit_codes_and_hints() {
    let place = TestHome::new();
    let bad = place.file("bad.toml", "gates = true\n");
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
    check(&["recent", "--config", &bad], 2, "bad.toml, line 1: unknown field `gates`");
    check(&["recent", "--config", &bad], 2, "hint: did you mean `gate`?");
    check(&["recent", "--config", &zone], 2, "Mars/Base");
    check(&["recent", "--config", &good, "--zone", "Venus/Base"], 2, "Venus/Base");
    check(&["recent", "--config", &good], 2, "no home");
    check(&["completions", "fish"], 0, "");
    check(&["completions", "no-such-shell"], 2, "bash");
    assert!(!place.home().exists(), "a reader makes no home");
}

#[test]
fn a_question_that_cannot_be_answered_is_refused_with_a_hint() {
    let place = TestHome::new();
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
    let place = TestHome::new();
    let file = place.file("tooltrail.toml", "zone = \"Europe/Berlin\"\ngroup = true\nlisten = \"127.0.0.1:1\"\ndurability = \"strict\"\n[log]\nlevel = \"error\"\nformat = \"json\"\n");
    // For each key, the flag, the variable and the file have different values; they are removed one after another.
    for (key, flag, variable, values) in [
        (
            "zone",
            "--zone=Asia/Tokyo",
            ("TOOLTRAIL_ZONE", "Africa/Cairo"),
            ["Asia/Tokyo", "Africa/Cairo", "Europe/Berlin", "the system's"],
        ),
        ("group", "--group=false", ("TOOLTRAIL_GROUP", "no"), ["false", "false", "true", "false"]),
        (
            "listen",
            "--listen=127.0.0.1:3",
            ("TOOLTRAIL_LISTEN", "127.0.0.1:2"),
            ["127.0.0.1:3", "127.0.0.1:2", "127.0.0.1:1", "127.0.0.1:7420"],
        ),
        ("log.level", "--log-level=debug", ("TOOLTRAIL_LOG_LEVEL", "warn"), ["debug", "warn", "error", "info"]),
        (
            "durability",
            "--durability=grouped",
            ("TOOLTRAIL_DURABILITY", "buffered"),
            ["grouped", "buffered", "strict", "grouped"],
        ),
        ("log.format", "--log-format=text", ("TOOLTRAIL_LOG_FORMAT", "text"), ["text", "text", "json", "text"]),
    ] {
        let name = flag.split('=').next().unwrap();
        for (missing, from) in [name, variable.0, &file, "default"].into_iter().enumerate() {
            let mut command = place.command(&["config", "check", "--json"]);
            command.args((missing < 1).then_some(flag)).envs((missing < 2).then_some(variable));
            command.args(if missing < 3 { vec!["--config", &file] } else { vec![] });
            let output = command.output().unwrap();
            let value = serde_json::from_slice::<serde_json::Value>(&output.stdout)
                .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
            let said = value[key]["value"].as_str().map_or_else(|| value[key]["value"].to_string(), str::to_owned);
            assert_eq!((said.as_str(), value[key]["from"].as_str()), (values[missing], Some(from)), "{key}: {value}");
        }
    }
}

#[test]
fn the_configuration_is_printed_whole_or_refused() {
    let place = TestHome::new();
    let rules = "[[durability.tools]]\ntool = \"pay.*\"\ndurability = \"strict\"\n[gate]\ndefault = \"deny\"\n[[gate.rules]]\nname = \"readers\"\neffect = \"allow\"\ntools = [\"fs.*\"]\n";
    let file = place.file("tooltrail.toml", rules);
    let ran = place.run(&["config", "check", "--config", &file]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    assert!(!ran.out.contains('\u{1b}'), "coloured where nobody looks: {}", ran.out);
    let keys = ["config", "home", "keys", "zone", "group", "listen", "log.level", "log.format", "gate.default"];
    for key in keys.into_iter().chain(["durability", "durability.tools"]) {
        assert!(ran.out.lines().any(|line| line.starts_with(&format!("{key} "))), "{key}: {}", ran.out);
    }
    assert!(ran.out.contains("readers") && ran.out.contains("fs.*") && !place.home().exists(), "{}", ran.out);
    assert!(ran.out.contains(r#"{"tool":"pay.*","durability":"strict"}"#), "{}", ran.out);
    // The flag applies to every tool, so the patterns of the file have no effect.
    let flagged = place.run(&["config", "check", "--config", &file, "--durability", "buffered"]).out;
    assert!(flagged.contains("--durability") && !flagged.contains("pay.*"), "{flagged}");
    let bad = place.file("bad.toml", "[log]\nlevle = \"warn\"\n");
    let ran = place.run(&["config", "check", "--config", &bad]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""));
    assert!(
        ran.err.contains("line 2: unknown field `levle`") && ran.err.contains("did you mean `level`?"),
        "{}",
        ran.err
    );
    for args in [["--zone", "Mars/Base"], ["--listen", "nowhere"], ["--log-level", "loud"]] {
        assert_eq!(place.run(&[&["config", "check"][..], &args].concat()).code, Some(2), "{args:?}");
    }
    // If the home exists, the folder of its keys is known.
    place.run(&["token", "add", "root", "--role", "admin"]);
    let value = serde_json::from_str::<serde_json::Value>(&place.run(&["config", "check", "--json"]).out).unwrap();
    assert!(value["keys"]["value"].as_str().unwrap().contains("/.local/state/tooltrail/"), "{value}");
    assert_eq!(value["home"]["from"], "TOOLTRAIL_HOME");
}

#[test]
fn a_closed_pipe_is_success() {
    let place = TestHome::new();
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
    let place = TestHome::new();
    assert!(!place.run(&["recent"]).err.contains('\x1b'));
    assert!(place.run(&["recent", "--color", "always"]).err.contains("\x1b[1;31merror:"));
}

#[test]
fn serve_says_its_address_to_programs_too() {
    let place = TestHome::new();
    let mut command = place.command(&["serve", "--listen", "127.0.0.1:0", "--json"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let said: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert!(said["address"].as_str().unwrap().starts_with("http://127.0.0.1:"), "{line}");
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let place = TestHome::new();
    assert_eq!(place.run(&["token", "add", "a", "--role", "admin"]).code, Some(0));
    for variable in ["TOOLTRAIL_KEYS", "TOOLTRAIL_CONFIG", "TOOLTRAIL_ZONE"] {
        let ran = place.command(&["recent"]).env(variable, "").output().unwrap();
        assert_eq!(ran.status.code(), Some(0), "{variable}: {}", String::from_utf8_lossy(&ran.stderr));
    }
    for variable in [
        "TOOLTRAIL_LISTEN",
        "TOOLTRAIL_GROUP",
        "TOOLTRAIL_FORCE_NETWORK_HOME",
        "TOOLTRAIL_LOG_LEVEL",
        "TOOLTRAIL_LOG_FORMAT",
        "TOOLTRAIL_DURABILITY",
    ] {
        let plain = place.run(&["config", "check"]);
        let ran = place.command(&["config", "check"]).env(variable, "").output().unwrap();
        assert_eq!(
            String::from_utf8_lossy(&ran.stdout),
            plain.out,
            "{variable}: {}",
            String::from_utf8_lossy(&ran.stderr)
        );
    }
    // An empty variable means the default home, which does not exist in a new user's folder.
    let ran = place.command(&["recent"]).env("TOOLTRAIL_HOME", "").output().unwrap();
    assert!(String::from_utf8_lossy(&ran.stderr).contains(".local/share/tooltrail"));
}
