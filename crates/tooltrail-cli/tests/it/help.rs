//! Every example in the help works as printed.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use crate::support::{Ran, TestHome, line, lines, minutes_ago};

/// The commands whose examples end by themselves and need only a home.
const COMMANDS: [&str; 4] = ["recent", "stats", "import", "completions"];

/// Returns the examples of a help text, without their explanations.
fn examples(help: &str) -> Vec<String> {
    let part = help.split_once("Examples:\n").map_or("", |(_, rest)| rest.split("\n\n").next().unwrap());
    let example = |line: &str| line.trim_start().split("  ").next().unwrap().to_owned();
    part.lines().filter(|line| line.starts_with("  ")).map(example).collect()
}

/// Returns a place with the files of the examples, and a replacement for `jq`.
fn prepared() -> TestHome {
    let place = TestHome::new();
    let bin = place.path("bin");
    std::fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(Path::new(env!("CARGO_BIN_EXE_tooltrail")), bin.join("tooltrail")).unwrap();
    // The test does not check the arguments and the input of `jq`, but uses the calls that it prints.
    let jq = format!("#!/bin/sh\nif [ \"$1\" = -c ]; then echo '{}'; else cat > /dev/null; fi\n", line(7, "bob", None));
    std::fs::write(bin.join("jq"), jq).unwrap();
    std::fs::set_permissions(bin.join("jq"), std::fs::Permissions::from_mode(0o700)).unwrap();
    let calls = lines(0..10, "alice", minutes_ago(5));
    place.file("calls.jsonl", &calls);
    place.file("calls.jsonl.zst", zstd::encode_all(lines(10..20, "alice", minutes_ago(5)).as_bytes(), 1).unwrap());
    assert_eq!(place.run_with(&["import", "-"], calls.as_bytes()).code, Some(0));
    place
}

#[test]
fn every_example_works_as_printed() {
    let mut tried = 0;
    let helps = std::iter::once(vec!["--help"]).chain(COMMANDS.map(|command| vec![command, "--help"]));
    for help in helps.map(|args| TestHome::new().run(&args).out) {
        for example in examples(&help) {
            let ours = COMMANDS.iter().any(|command| example.contains(&format!("tooltrail {command}")));
            if !ours || example.contains("completions zsh") || example.contains("completions fish") {
                continue;
            }
            let place = prepared();
            let mut command = place.command(&[]);
            let environment = command.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
            let environment = environment.collect::<Vec<_>>();
            command = std::process::Command::new("bash");
            command.args(["-o", "pipefail", "-c", &example]).current_dir(place.path("")).env_clear().envs(environment);
            command.env("PATH", format!("{}:/usr/bin:/bin", place.path("bin").display())).stdin(Stdio::null());
            let ran = Ran::of(command.output().unwrap());
            assert_eq!(ran.code, Some(0), "{example}: {}", ran.err);
            assert!(!ran.err.contains("error"), "{example}: {}", ran.err);
            tried += 1;
        }
    }
    assert!(tried >= 12, "{tried} examples were found");
}

#[test]
fn help_fits_a_terminal_and_names_every_field_of_a_query() {
    for command in COMMANDS.into_iter().chain(["tail"]) {
        let help = TestHome::new().run(&[command, "--help"]).out;
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
        assert!(help.contains("Examples:"), "{command}");
    }
    // The library lists all fields in its error for an unknown field.
    let refusal = TestHome::new().run(&["recent", "no_such_field=1"]).err;
    let known = refusal.split_once("known are ").unwrap().1.split(';').next().unwrap();
    let help = TestHome::new().run(&["help", "query"]).out;
    assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
    for field in known.split(',').map(str::trim) {
        let name = field.trim_end_matches("NAME");
        assert!(help.contains(name), "{field} is not in the help");
    }
}
