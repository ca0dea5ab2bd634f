//! The three durability modes: when the caller gets the answer, and how a closed recorder, a broken disk and a kill
//! affect it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tooltrail::Recorder;
use tooltrail_toolbox::{CallError, Durability, DurabilityPolicy, Tool, ToolError, Toolbox};

use crate::support::{TestToolbox, alice, entries_in, tools};

/// Returns a policy in which the prefix of a tool's name selects its durability; all other tools are grouped.
fn by_name() -> DurabilityPolicy {
    let mut policy = DurabilityPolicy::default();
    for durability in [Durability::Buffered, Durability::Strict] {
        policy.tools.push((format!("{durability}.*"), durability));
    }
    policy
}

/// Calls a tool once with an open recorder and once with a closed one.
async fn check(durability: Durability, answers_unrecorded: bool) {
    let fixture = TestToolbox::new();
    let builder = Toolbox::builder(fixture.recorder.clone()).durability(durability);
    let toolbox = tools(builder).build().unwrap();
    let args = r#"{"text":"hello"}"#;

    assert_eq!(toolbox.call(&alice(), "echo", args).await.unwrap().to_text(), "hello", "{durability:?}");
    let entries = fixture.entries();
    assert_eq!(entries.len(), 1, "{durability:?}");
    assert_eq!(entries[0]["status"], "ok");

    fixture.recorder.close().unwrap();
    for (tool, args) in [("echo", args), ("fail", "{}"), ("no.such", "{}")] {
        let answer = toolbox.call(&alice(), tool, args).await;
        let withheld = matches!(answer, Err(CallError::Unrecorded { .. }));
        assert_eq!(withheld, !answers_unrecorded, "{durability:?} {tool}: {answer:?}");
    }
}

#[tokio::test]
async fn only_strict_withholds_an_answer() {
    check(Durability::Buffered, true).await;
    check(Durability::Grouped, true).await;
    check(Durability::Strict, false).await;
}

#[tokio::test]
async fn strict_answers_when_the_entry_is_there() {
    let fixture = TestToolbox::new();
    let toolbox = tools(Toolbox::builder(fixture.recorder.clone()).durability(Durability::Strict)).build().unwrap();
    toolbox.call(&alice(), "echo", r#"{"text":"hello"}"#).await.unwrap();
    // Reads without a flush.
    assert_eq!(entries_in(&fixture.folder.path().join("home")).len(), 1);
}

/// Returns a toolbox whose tools count their runs and break something while they run.
fn breaking(recorder: &Arc<Recorder>, runs: &Arc<AtomicUsize>, breaks: fn(&Path)) -> Toolbox {
    let names = ["buffered.t", "grouped.t", "strict.t"];
    let builder =
        names.into_iter().fold(Toolbox::builder(Arc::clone(recorder)).durability(by_name()), |builder, name| {
            let (runs, home) = (Arc::clone(runs), recorder.home().root().to_owned());
            builder.tool(Tool::new(name, "Is counted", json!(true), move |_, _| {
                runs.fetch_add(1, Ordering::Relaxed);
                breaks(&home);
                async { Ok("done") }
            }))
        });
    builder.build().unwrap()
}

/// Puts a file in the place of a folder.
fn block(folder: &Path) {
    let _was_none = std::fs::remove_dir_all(folder);
    std::fs::create_dir_all(folder.parent().unwrap()).unwrap();
    std::fs::write(folder, "").unwrap();
}

#[tokio::test]
async fn a_strict_tool_does_not_run_when_nothing_can_note_that_it_begins() {
    let fixture = TestToolbox::new();
    block(&fixture.folder.path().join("home/.tooltrail/journal"));
    let runs = Arc::new(AtomicUsize::new(0));
    let toolbox = breaking(&fixture.recorder, &runs, |_| {});
    for (tool, runs_now) in [("strict.t", 0), ("grouped.t", 1), ("strict.t", 1), ("buffered.t", 2)] {
        let answer = toolbox.call(&alice(), tool, "{}").await;
        assert_eq!(matches!(answer, Err(CallError::Unrecorded { .. })), tool == "strict.t", "{tool}: {answer:?}");
        assert_eq!(runs.load(Ordering::Relaxed), runs_now, "{tool}");
    }
    // The day files still work: each call is in the trail, and the calls that did not run are recorded as denied.
    let mut entries = fixture.entries().into_iter().filter(|entry| entry["via"] == "toolbox").collect::<Vec<_>>();
    entries.sort_by_key(|entry| entry["tool"].to_string());
    let ended = entries.iter().map(|entry| (entry["tool"].as_str().unwrap(), entry["status"].as_str().unwrap()));
    let expected = [("buffered.t", "ok"), ("grouped.t", "ok"), ("strict.t", "denied"), ("strict.t", "denied")];
    assert_eq!(ended.collect::<Vec<_>>(), expected);
    // The recorder recovers without help.
    std::fs::remove_file(fixture.folder.path().join("home/.tooltrail/journal")).unwrap();
    let begun = Instant::now();
    while let Err(error) = toolbox.call(&alice(), "strict.t", "{}").await {
        assert!(begun.elapsed() < Duration::from_secs(30), "never healed: {error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_strict_answer_is_withheld_when_its_outcome_cannot_be_written() {
    let fixture = TestToolbox::new();
    let runs = Arc::new(AtomicUsize::new(0));
    // The call is noted; then its trail is removed, and nothing can be written there.
    let toolbox = breaking(&fixture.recorder, &runs, |home| block(&home.join("alice/tool_audit")));
    for (tool, withheld) in [("strict.t", true), ("grouped.t", false), ("buffered.t", false)] {
        let answer = toolbox.call(&alice(), tool, "{}").await;
        assert_eq!(matches!(answer, Err(CallError::Unrecorded { .. })), withheld, "{tool}: {answer:?}");
    }
    assert_eq!(runs.load(Ordering::Relaxed), 3, "all of them ran");
}

/// A small file system, if this user may mount one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(folder.path()).output();
        mounted.is_ok_and(|mount| mount.status.success()).then_some(Self(folder))
    }

    fn fill(path: &Path) {
        let mut piece = 1 << 16;
        while piece > 0 {
            let mut full = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
            while std::io::Write::write_all(&mut full, &vec![0; piece]).is_ok() {}
            piece /= 16;
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _best_effort = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_keeps_strict_tools_from_running_until_there_is_room() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("skipped: full disk (mounting a small file system needs root)");
        return;
    };
    let home = disk.0.path().join("home");
    let recorder = Arc::new(Recorder::open(&home).unwrap());
    let runs = Arc::new(AtomicUsize::new(0));
    let toolbox = breaking(&recorder, &runs, |_| {});
    let full = disk.0.path().join("full");
    // Fills the disk before the first journal is created, so that there is no space for it.
    SmallDisk::fill(&full);
    for _ in 0..3 {
        let answer = toolbox.call(&alice(), "strict.t", "{}").await;
        let Err(CallError::Unrecorded { why }) = answer else { panic!("{answer:?}") };
        assert!(why.contains("No space left"), "{why}");
    }
    assert_eq!(runs.load(Ordering::Relaxed), 0);
    assert!(toolbox.call(&alice(), "grouped.t", "{}").await.is_ok(), "others do not suffer for it");
    std::fs::remove_file(&full).unwrap();
    let begun = Instant::now();
    while let Err(error) = toolbox.call(&alice(), "strict.t", "{}").await {
        assert!(begun.elapsed() < Duration::from_secs(30), "never healed: {error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(runs.load(Ordering::Relaxed), 2);
    // Entries without space on the disk are counted, and closing returns them as an error.
    assert!(matches!(recorder.close(), Err(tooltrail::Error::Unwritten { .. })));
    let ran = entries_in(&home).iter().filter(|entry| entry["tool"] == "strict.t" && entry["status"] == "ok").count();
    assert_eq!(ran, 1);
}

/// The environment variables for the child process of [`calls_open_at_a_kill_are_interrupted`]: its home, and how long
/// its calls stay open.
const HOME: &str = "TOOLTRAIL_TEST_HOME";
const OPEN_MS: &str = "TOOLTRAIL_TEST_OPEN_MS";

/// Kills a process after its calls have been open for this time; returns the tools whose calls are then recorded as
/// interrupted.
fn interrupted(home: PathBuf, open_ms: &str) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "durability::tools_that_never_end"])
        .envs([(HOME, home.as_os_str()), (OPEN_MS, open_ms.as_ref())])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(said.any(|line| line == "open"), "the child began its calls");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(entries_in(&home).is_empty(), "nobody has recovered yet");
    Recorder::open(&home).unwrap().close().unwrap();
    let mut found = entries_in(&home);
    found.retain(|entry| entry["via"] == "toolbox");
    let is_interrupted = |entry: &Value| entry["status"] == "error" && entry["reason"] == "interrupted";
    assert!(found.iter().all(is_interrupted), "{found:?}");
    let mut tools = found.iter().map(|entry| entry["tool"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    tools.sort();
    tools
}

#[test]
fn calls_open_at_a_kill_are_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..5 {
        let home = |name: &str| folder.path().join(format!("{name}{round}"));
        assert_eq!(interrupted(home("long"), "100"), ["grouped.t", "strict.t"], "{round}");
        // Before that time, a grouped call may or may not be noted; a strict call always is.
        let at_once = interrupted(home("at-once"), "0");
        assert!(at_once.contains(&"strict.t".to_owned()), "{round}: {at_once:?}");
        assert!(!at_once.contains(&"buffered.t".to_owned()), "{round}: {at_once:?}");
    }
}

#[tokio::test]
#[ignore = "runs in a process of its own, which is killed"]
async fn tools_that_never_end() {
    let recorder = Arc::new(Recorder::open(std::env::var_os(HOME).unwrap()).unwrap());
    let open = Duration::from_millis(std::env::var(OPEN_MS).unwrap().parse().unwrap());
    let running = Arc::new(AtomicUsize::new(0));
    let names = ["strict.t", "buffered.t", "grouped.t"];
    let builder = Toolbox::builder(recorder).durability(by_name());
    let builder = names.into_iter().fold(builder, |builder, name| {
        let running = Arc::clone(&running);
        builder.tool(Tool::new(name, "Never ends", json!(true), move |_, _| {
            running.fetch_add(1, Ordering::Relaxed);
            std::future::pending::<Result<String, ToolError>>()
        }))
    });
    let toolbox = Arc::new(builder.build().unwrap());
    for (n, name) in names.into_iter().enumerate() {
        let toolbox = Arc::clone(&toolbox);
        tokio::spawn(async move { toolbox.call(&alice(), name, "{}").await });
        while running.load(Ordering::Relaxed) <= n {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    // From now on the grouped call, which is the last one, is open for this time; nothing else happens meanwhile.
    std::thread::sleep(open);
    eprintln!("open");
    std::thread::sleep(Duration::from_secs(60));
}
