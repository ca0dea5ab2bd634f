//! `tooltrail agent`: the settings of agents before, with and after our hooks.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::support::TestHome;

/// Settings as people have them: other keys, other hooks, other ways to write. With the names of the files in the home
/// folder.
const SETTINGS: [(&str, &str); 8] = [
    (
        ".claude/settings.json",
        "{\n  \"permissions\": {\"allow\": [\"Bash(git *)\"], \"deny\": []},\n  \"hooks\": {\n    \"PreToolUse\": [\n      {\"matcher\": \"Bash\", \"hooks\": [{\"type\": \"command\", \"command\": \"~/check.sh\"}]}\n    ],\n    \"Notification\": []\n  },\n  \"later\": {\"x\": 1.50}\n}",
    ),
    (
        ".claude.json",
        "{\"numStartups\":7,\"mcpServers\":{\"files\":{\"command\":\"npx\",\"args\":[\"-y\",\"files\"]},\"far\":{\"type\":\"http\",\"url\":\"https://example.org\"}},\"projects\":{\"/w\":{\"mcpServers\":{\"own\":{\"command\":\"own\",\"env\":{\"DB_PASSWORD\":\"hunter29x\"}}}}}}",
    ),
    (
        ".codex/hooks.json",
        "{\"description\":\"mine\",\"hooks\":{\"Stop\":[{\"hooks\":[{\"type\":\"command\",\"command\":\"say done\",\"timeout\":9}]}]}}\n",
    ),
    (
        ".codex/config.toml",
        "# mine\nmodel = \"x\"   # the best\n\n[mcp_servers.files]\ncommand = \"npx\"\nargs = [\n  \"-y\",   # yes\n  \"files\",\n]\n",
    ),
    (
        ".gemini/settings.json",
        "{\r\n\t// comments are allowed\r\n\t\"ui\": { \"theme\": \"x\" },\r\n\t\"mcpServers\": { \"files\": { \"command\": \"npx\", \"args\": [\"files\"] } },\r\n}\r\n",
    ),
    (
        ".copilot/mcp-config.json",
        "{\"mcpServers\":{\"files\":{\"type\":\"local\",\"command\":\"npx\",\"args\":[],\"tools\":[\"*\"]}}}",
    ),
    (".cursor/hooks.json", "\u{feff}{\"version\": 1, \"hooks\": {\"stop\": [{\"command\": \"./x.sh\"}]}}\n"),
    (
        ".cursor/mcp.json",
        "{\n    \"mcpServers\": {\n        \"files\": {\"command\": \"npx\", \"args\": [\"files\"], \"env\": {\"A\": \"${env:A}\"}}\n    }\n}\n",
    ),
];

fn with_settings() -> TestHome {
    let home = TestHome::new();
    for (name, text) in SETTINGS {
        std::fs::create_dir_all(home.path(name).parent().unwrap()).unwrap();
        std::fs::write(home.path(name), text).unwrap();
        std::fs::set_permissions(home.path(name), std::fs::Permissions::from_mode(0o640)).unwrap();
    }
    home
}

/// Returns the settings of all agents, by name.
fn settings(home: &TestHome) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![home.path("")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().flatten() {
            let path = entry.path();
            // Our own files are in the home and in the folder for state.
            if [home.home(), home.path(".local"), home.path("bin")].contains(&path) {
                continue;
            }
            match path.is_dir() {
                true => folders.push(path),
                false => found.push((path.clone(), std::fs::read(&path).unwrap())),
            }
        }
    }
    found.sort();
    found
}

fn install(home: &TestHome, args: &[&str]) -> crate::support::Ran {
    home.run(&[&["agent", "install", "--all", "--mcp"], args].concat())
}

#[test]
fn settings_are_given_back_as_they_were() {
    let home = with_settings();
    let before = settings(&home);
    let dry = install(&home, &["--dry-run"]);
    assert!(dry.code == Some(0) && dry.out.contains("would change ~/.claude/settings.json"), "{}", dry.err);
    assert!(dry.out.contains("nothing is changed") && !dry.out.contains("hunter29x"), "{}", dry.out);
    assert!(dry.out.contains("[redacted:"), "the line of the secret is shown: {}", dry.out);
    assert_eq!(settings(&home), before);
    let installed = install(&home, &[]);
    assert_eq!(installed.code, Some(0), "{}", installed.err);
    assert!(installed.out.contains("far: left alone") && installed.out.contains("type /hooks"), "{}", installed.out);
    let first = settings(&home);
    assert_eq!(install(&home, &[]).code, Some(0));
    assert_eq!(settings(&home), first, "installing twice changes nothing");
    for (name, kept) in [
        (
            ".claude/settings.json",
            "{\"matcher\": \"Bash\", \"hooks\": [{\"type\": \"command\", \"command\": \"~/check.sh\"}]}",
        ),
        (".claude/settings.json", "\"later\": {\"x\": 1.50}"),
        (".codex/config.toml", "model = \"x\"   # the best"),
        (".gemini/settings.json", "\t// comments are allowed\r\n"),
        (".cursor/mcp.json", "\"env\": {\"A\": \"${env:A}\"}"),
    ] {
        let text = std::fs::read_to_string(home.path(name)).unwrap();
        assert!(text.contains(kept) && text.contains("tooltrail"), "{name}: {text}");
        assert_eq!(home.path(name).metadata().unwrap().permissions().mode() & 0o777, 0o640);
    }
    let uninstalled = home.run(&["agent", "uninstall", "--all"]);
    assert_eq!(uninstalled.code, Some(0), "{}", uninstalled.err);
    assert_eq!(settings(&home), before);
    // The copies were secret, and nothing lies beside the settings.
    let copies = std::fs::read_dir(home.path(".local/state/tooltrail/agents")).unwrap().flatten();
    copies.for_each(|copy| assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o600));
}

#[test]
fn of_settings_that_somebody_else_changed_only_ours_is_taken_out() {
    let home = with_settings();
    install(&home, &[]);
    for (name, from, to) in [
        (".claude/settings.json", "\"later\": {\"x\": 1.50}", "\"later\": {\"x\": 2}"),
        (".codex/config.toml", "# mine\n", "# mine and yours\n"),
        (".gemini/settings.json", "\"theme\": \"x\"", "\"theme\": \"y\""),
    ] {
        let text = std::fs::read_to_string(home.path(name)).unwrap();
        assert!(text.contains(from), "{name}: {text}");
        std::fs::write(home.path(name), text.replace(from, to)).unwrap();
    }
    assert_eq!(home.run(&["agent", "uninstall", "--all"]).code, Some(0));
    let text = |name: &str| std::fs::read_to_string(home.path(name)).unwrap();
    assert_eq!(text(".claude/settings.json"), SETTINGS[0].1.replace("1.50", "2"));
    assert!(text(".codex/config.toml").contains("# mine and yours\nmodel = \"x\"   # the best"));
    for (path, bytes) in settings(&home) {
        assert!(!String::from_utf8_lossy(&bytes).contains("tooltrail"), "{}", path.display());
    }
}

#[test]
fn settings_that_cannot_be_changed_are_left_alone() {
    let home = with_settings();
    std::fs::write(home.path(".gemini/settings.json"), "{ nonsense").unwrap();
    std::fs::set_permissions(home.path(".cursor/hooks.json"), std::fs::Permissions::from_mode(0o440)).unwrap();
    let before = settings(&home);
    let ran = home.run(&["agent", "install", "gemini", "cursor"]);
    assert_eq!((ran.code, settings(&home)), (Some(1), before), "{}", ran.out);
    for told in ["Gemini CLI: ~/.gemini/settings.json is left alone: it is no JSON", "paste this", "it is read-only"] {
        assert!(ran.err.contains(told), "{told}: {}", ran.err);
    }
    let none = home.run(&["agent", "install"]);
    assert!(none.code == Some(2) && none.err.contains("claude-code, codex"), "{}", none.err);
    let unknown = home.run(&["agent", "install", "vim"]);
    assert!(unknown.code == Some(2) && unknown.err.contains("known are claude-code"), "{}", unknown.err);
    let meant = home.run(&["agent", "install", "Claude"]);
    assert!(meant.code == Some(2) && meant.err.contains("did you mean claude-code"), "{}", meant.err);
    let project = home.run(&["agent", "install", "codex", "--project", home.path("").to_str().unwrap()]);
    assert!(project.code == Some(1) && project.err.contains("one project"), "{}", project.err);
    let missing = home.run(&["agent", "install", "claude-code", "--project", home.path("nope").to_str().unwrap()]);
    assert!(missing.code == Some(2) && missing.err.contains("is no folder"), "{}", missing.err);
    assert!(!home.path("nope").exists());
    let unused = TestHome::new();
    let ran = unused.run(&["agent", "install", "--all"]);
    assert!(ran.code == Some(2) && ran.err.contains("no coding agent was used"), "{}", ran.err);
    assert!(!unused.home().exists(), "nothing is made before it is known for whom");
}

#[test]
fn the_state_of_claude_code_is_left_alone_while_it_runs() {
    let home = with_settings();
    let before = std::fs::read(home.path(".claude.json")).unwrap();
    std::fs::create_dir(home.path("bin")).unwrap();
    crate::support::copy_program("/bin/sleep", &home.path("bin/claude"));
    let mut claude = Command::new(home.path("bin/claude")).arg("60").spawn().unwrap();
    let ran = home.run(&["agent", "install", "claude-code", "--mcp"]);
    claude.kill().unwrap();
    claude.wait().unwrap();
    assert!(ran.code == Some(1) && ran.err.contains("Claude Code is running"), "{}{}", ran.out, ran.err);
    assert_eq!(std::fs::read(home.path(".claude.json")).unwrap(), before);
    assert!(std::fs::read_to_string(home.path(".claude/settings.json")).unwrap().contains("tooltrail hook"));
}

#[test]
fn a_server_whose_wrapper_is_gone_is_told_and_mended() {
    let home = with_settings();
    let program = home.path("old/tooltrail");
    std::fs::create_dir(home.path("old")).unwrap();
    crate::support::copy_program(env!("CARGO_BIN_EXE_tooltrail"), &program);
    let mut old = Command::new(&program);
    old.args(["agent", "install", "claude-code", "codex", "--mcp"]).env_clear().env("HOME", home.path(""));
    assert!(old.env("TOOLTRAIL_HOME", home.home()).output().unwrap().status.success());
    std::fs::remove_file(&program).unwrap();
    for (client, file) in [("claude-code", ".claude.json"), ("codex", ".codex/config.toml")] {
        let (code, answer) = doctor(&home, client);
        let wrong = answer["agents"][0]["wrong"].to_string();
        assert!(code == Some(1) && wrong.contains("MCP server") && wrong.contains("no program"), "{answer}");
        home.run(&["agent", "doctor", client, "--fix"]);
        let text = std::fs::read_to_string(home.path(file)).unwrap();
        assert!(!text.contains("old/tooltrail") && text.contains("--server="), "{text}");
    }
    assert_eq!(doctor(&home, "claude-code").0, Some(0));
}

#[test]
fn a_project_gets_hooks_for_one_person() {
    let home = with_settings();
    let project = home.path("project");
    std::fs::create_dir(&project).unwrap();
    let args = ["agent", "install", "claude-code", "--project", project.to_str().unwrap()];
    assert_eq!(home.run(&args).code, Some(0));
    let text = std::fs::read_to_string(project.join(".claude/settings.local.json")).unwrap();
    assert!(text.contains("PostToolBatch") && !home.path("project/.claude/settings.json").exists());
    let args = ["agent", "uninstall", "claude-code", "--project", project.to_str().unwrap()];
    assert_eq!(home.run(&args).code, Some(0));
    assert!(!project.join(".claude/settings.local.json").exists());
    // The name of the agent after --project is no folder.
    let mut named = home.command(&["agent", "install", "--project", "claude-code"]);
    assert!(named.current_dir(&project).output().unwrap().status.success());
    assert!(project.join(".claude/settings.local.json").exists());
}

fn doctor(home: &TestHome, client: &str) -> (Option<i32>, Value) {
    let ran = home.run(&["agent", "doctor", client, "--json"]);
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    (ran.code, answer)
}

#[test]
fn the_doctor_says_what_is_wrong_and_what_to_do() {
    let home = with_settings();
    let (code, answer) = doctor(&home, "claude-code");
    assert_eq!((code, &answer["agents"][0]["next"]), (Some(0), &"tooltrail agent install claude-code".into()));
    install(&home, &[]);
    let (code, answer) = doctor(&home, "claude-code");
    assert_eq!((code, &answer["agents"][0]["installed"]), (Some(0), &true.into()), "{answer}");
    assert!(!answer["agents"][0]["notes"].to_string().contains("record into"), "{answer}");
    let elsewhere = home.run(&["agent", "doctor", "claude-code", "--home", home.path("other").to_str().unwrap()]);
    assert!(elsewhere.out.contains("the hooks record into"), "{}", elsewhere.out);
    let wrong = |client: &str| {
        let (code, answer) = doctor(&home, client);
        assert_eq!(code, Some(1), "{answer}");
        answer["agents"][0]["wrong"].to_string() + &answer["wrong"].to_string()
    };
    assert!(wrong("codex").contains("have not trusted them"));
    let hooks = home.path(".codex/hooks.json").canonicalize().unwrap();
    let mut config = std::fs::read_to_string(home.path(".codex/config.toml")).unwrap();
    for event in ["pre_tool_use", "post_tool_use", "subagent_stop", "interrupt", "session_start", "session_end"] {
        config += &format!("\n[hooks.state.\"{}:{event}:0:0\"]\ntrusted_hash = \"sha256:x\"\n", hooks.display());
    }
    std::fs::write(home.path(".codex/config.toml"), &config).unwrap();
    assert!(wrong("codex").contains("ignores 1 of 7"), "a foreign hook of Stop comes first");
    config += &format!("\n[hooks.state.\"{}:stop:1:0\"]\ntrusted_hash = \"sha256:x\"\n", hooks.display());
    std::fs::write(home.path(".codex/config.toml"), &config).unwrap();
    assert_eq!(doctor(&home, "codex").0, Some(0));
    std::fs::write(home.path(".codex/config.toml"), config + "\n[features]\nhooks = false\n").unwrap();
    assert!(wrong("codex").contains("turns hooks off"));
    let settings = std::fs::read_to_string(home.path(".claude/settings.json")).unwrap();
    let off = settings.replacen('{', "{\"disableAllHooks\": true,", 1);
    std::fs::write(home.path(".claude/settings.json"), off).unwrap();
    assert!(wrong("claude-code").contains("disableAllHooks"));
    std::fs::write(home.path(".claude/settings.json"), settings.replace("\"PostToolUse\"", "\"Other\"")).unwrap();
    assert!(wrong("claude-code").contains("no hook for PostToolUse"));
    assert_eq!(home.run(&["agent", "doctor", "claude-code", "--fix"]).code, Some(0));
    // What a proxy of this home could not record, it left in a file for state.
    let status = home.path(".local/state/tooltrail/mcp");
    std::fs::create_dir_all(&status).unwrap();
    let real = home.home().canonicalize().unwrap();
    let loss = serde_json::json!({ "at": "t", "pid": 4_194_304, "home": real, "user": "u", "server": "files", "why": "full", "lost": 3 });
    std::fs::write(status.join("4194304.json"), loss.to_string()).unwrap();
    assert!(wrong("claude-code").contains("3 calls of the MCP server files could not be recorded"));
    std::fs::remove_dir_all(status).unwrap();
    // A call that waits to be appended for minutes.
    let claims = home.home().join(".tooltrail/claims");
    std::fs::create_dir_all(&claims).unwrap();
    let claim = std::fs::File::create(claims.join("1.2")).unwrap();
    claim.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(600)).unwrap();
    assert!(wrong("claude-code").contains("1 call of hooks could not be appended"));
    std::fs::remove_dir_all(claims).unwrap();
    assert_eq!(home.run(&["agent", "off"]).code, Some(0));
    assert!(wrong("claude-code").contains("the hooks are off"));
    let call = br#"{"hook_event_name":"PostToolUse","session_id":"s","tool_name":"x","tool_use_id":"1"}"#;
    home.run_with(&["hook", "claude-code", "--home", home.home().to_str().unwrap()], call);
    assert_eq!(home.stored().len(), 0);
    assert_eq!(home.run(&["agent", "on"]).code, Some(0));
    home.run_with(&["hook", "claude-code", "--home", home.home().to_str().unwrap()], call);
    let (code, answer) = doctor(&home, "claude-code");
    assert_eq!((code, &answer["agents"][0]["calls"]), (Some(0), &1.into()), "{answer}");
}
