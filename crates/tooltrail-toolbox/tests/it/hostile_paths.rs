//! Paths that try to escape from `file_read`: each is refused with the same text, reveals nothing and is recorded in
//! the trail.

use serde_json::json;
use tooltrail_toolbox::{CallError, PATH_REFUSAL};

use crate::file_read::{CANARY, Yard, caller, first_day};

/// Paths that are refused to every caller. `{base}`, `{id}` and `{day}` stand for the folder around the home, the
/// home's id and the name of a day file of `bob`.
const PATHS: &[&str] = &[
    // Leaving the root with `..`.
    "..",
    "../",
    "../../../../../../etc/passwd",
    "../../bob/tool_audit/{day}",
    "./../../bob/tool_audit/{day}",
    "x/../../../bob/tool_audit/{day}",
    "{base}/docs/../outside/secret.txt",
    "{base}/docs/sub/../../outside/secret.txt",
    "{base}/docs/./../outside/secret.txt",
    "{base}/home/alice/../bob/tool_audit/{day}",
    "{base}/home/alice/tool_audit/../../bob/tool_audit/{day}",
    "{base}/docs/..",
    // Empty names.
    "",
    "/",
    "//",
    "//etc/passwd",
    "{base}//docs/readme.txt",
    "{base}/docs//readme.txt",
    "{base}/docs/readme.txt/",
    "/{base}/docs/readme.txt",
    "{base}/docs/",
    "{base}/docs",
    ".",
    "./",
    "{base}/docs/.",
    "{base}/./docs/readme.txt",
    // URL escapes, single and double, and other encodings of the same characters.
    "%2e%2e/%2e%2e/bob/tool_audit/{day}",
    "..%2f..%2fbob%2ftool_audit%2f{day}",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "%252e%252e/secret.txt",
    "{base}/docs/%2e%2e/outside/secret.txt",
    "{base}/docs/..%5coutside/secret.txt",
    "{base}/docs%2freadme.txt",
    "{base}/docs/secret%00.txt",
    "..%c0%af..%c0%afetc/passwd",
    "..\\..\\bob\\tool_audit\\{day}",
    "{base}\\docs\\readme.txt",
    "{base}/docs/..\\outside\\secret.txt",
    "file:///etc/passwd",
    "file://{base}/outside/secret.txt",
    // Bytes that end or split a path in other programs.
    "{day}\0",
    "{base}/docs/readme.txt\0.png",
    "{base}/outside/secret.txt\0",
    "\0/etc/passwd",
    "{base}/docs/readme.txt\n",
    "{base}/docs/readme.txt\n{base}/outside/secret.txt",
    "\r\n/etc/passwd",
    "{base}/docs/\u{7f}\u{85}",
    "\u{1b}]0;x\u{7}",
    // Files of the machine.
    "/etc/passwd",
    "/etc/shadow",
    "/proc/self/environ",
    "/proc/self/fd/0",
    "/proc/self/fd/3",
    "/proc/self/cwd/Cargo.toml",
    "/proc/self/root/etc/passwd",
    "/proc/self/maps",
    "/proc/1/cmdline",
    "/proc/thread-self/environ",
    "/dev/stdin",
    "/dev/fd/0",
    "/dev/zero",
    "/dev/mem",
    "/sys/kernel/notes",
    // Neighbours whose names start like an allowed folder.
    "{base}/docs-of-others/a.txt",
    "{base}/docs.txt",
    "{base}/home2/alice/tool_audit/{day}",
    // Existing and missing files outside the roots.
    "{base}/outside/secret.txt",
    "{base}/outside/absent.txt",
    "{base}/outside",
    "{base}",
    "{base}/absent/deep/file",
    // Keys, in the configured folder and in the default folder.
    "{base}/keys/redact-1.key",
    "{base}/keys/redact-2.key",
    "{base}/keys/absent.key",
    "{base}/state/tooltrail/{id}/redact-1.key",
    "{base}/state/tooltrail/{id}",
    "../../../keys/redact-1.key",
    // Our own folder, in upper and lower case.
    "{base}/home/.tooltrail/journal/0",
    "{base}/home/.tooltrail/format",
    "{base}/home/.tooltrail",
    "{base}/home/.ToolTrail/journal/0",
    "{base}/home/alice/.tooltrail/x",
    "{base}/docs/.tooltrail/x",
    "../../.tooltrail/journal/0",
    // Links, hard links and special files.
    "{base}/docs/link.txt",
    "{base}/docs/linked/secret.txt",
    "{base}/docs/linked/absent.txt",
    "{base}/docs/linked",
    "{base}/docs/environ",
    "{base}/docs/zero",
    "{base}/docs/loop",
    "{base}/docs/dangling",
    "{base}/docs/hard.txt",
    "{base}/docs/fifo",
    "{base}/docs/socket",
    "{base}/docs/sub",
    "{base}/docs/readme.txt/x",
    "link.jsonl",
    "bob/tool_audit/{day}",
    "hard.jsonl",
    "fifo.jsonl",
    "{base}/home/alice/tool_audit/link.jsonl",
    "{base}/home/alice/tool_audit/bob/tool_audit/{day}",
    "{base}/home/alice/tool_audit",
    "{base}/home/alice",
    "{base}/home",
];

/// Paths that are refused to `alice` but allowed for an admin, if they exist.
const OTHERS: &[&str] = &[
    "{base}/home/bob/tool_audit/{day}",
    "{base}/home/bob/tool_audit/absent.jsonl",
    "{base}/home/%43arol/tool_audit/{day}",
    "{base}/home/nobody/tool_audit/{day}",
    "{base}/home/_system/tool_audit/{day}",
    "{base}/home/unknown/tool_audit/{day}",
    "{base}/home/alice/notes.txt",
    "{base}/home/ALICE/tool_audit/{day}",
    "{base}/home/alice /tool_audit/{day}",
    "{base}/home/alice/tool_audit2/{day}",
    "{base}/home/%61lice/tool_audit/{day}",
];

#[tokio::test]
async fn a_hostile_path_is_refused_and_recorded() {
    let yard = Yard::new();
    let id = yard.fixture.recorder.home().id().unwrap();
    let day = first_day(&yard.base.join("home"), "bob");
    let day = day.file_name().unwrap().to_str().unwrap();
    let spell = |path: &str| {
        let base = yard.base.to_str().unwrap();
        path.replace("{base}", base).replace("{id}", &id).replace("{day}", day)
    };
    let long = "x/".repeat(5_000) + "x";
    let mut calls = 0;
    for (user, role, others) in
        [("alice", "", true), ("alice", "member", true), ("", "", true), ("alice", "admin", false)]
    {
        let ctx = caller(user, role);
        let more = if others { OTHERS } else { &[] };
        for path in PATHS.iter().chain(more).map(|path| spell(path)).chain([long.clone()]) {
            // For a caller without a trail, a relative path belongs to the folder that all callers may read, where
            // these files do not exist.
            if user.is_empty() && !path.contains('/') && path.ends_with(".jsonl") {
                continue;
            }
            calls += 1;
            match yard.read(&ctx, &json!({ "path": path })).await {
                Err(CallError::Refused { message }) => assert_eq!(message, PATH_REFUSAL, "{path:?}"),
                Err(CallError::Failed { message }) if user.is_empty() && path.starts_with("bob") => {
                    assert_eq!(message, "no such file", "{path:?}");
                    calls -= 1;
                }
                other => panic!("{path:?} by {ctx:?}: {other:?}"),
            }
        }
    }

    let entries = yard.fixture.entries();
    let denied: Vec<_> =
        entries.iter().filter(|entry| entry["tool"] == "file_read" && entry["status"] == "denied").collect();
    assert_eq!(denied.len(), calls);
    for entry in &denied {
        let told = (&entry["reason"], &entry["result_chars"], &entry["result_snippet"]);
        assert_eq!(told, (&json!("policy"), &json!(0), &json!("")), "{entry}");
        assert!(!entry.to_string().contains(CANARY), "{entry}");
    }
    assert!(PATHS.len() + OTHERS.len() >= 50);
}
