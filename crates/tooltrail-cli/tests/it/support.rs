//! A place to run the binary in, with its own home, keys and environment.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tooltrail::{Clock as _, SystemClock, Timestamp};

/// Held by tests that start many processes: two of them at once would wait for each other's disk and processors, and
/// some look at how long that takes.
static CROWD: Mutex<()> = Mutex::new(());

/// Waits until no other test has many processes.
pub(crate) fn crowd() -> MutexGuard<'static, ()> {
    CROWD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Copies a program that will be run. Another process does it: a child that another test starts at this moment would keep a
/// file open that this one writes, and Linux runs no program that is open for writing.
pub(crate) fn copy_program(from: &str, to: &std::path::Path) {
    assert!(Command::new("cp").arg(from).arg(to).status().unwrap().success());
}

/// A temporary folder with a home.
pub(crate) struct TestHome {
    folder: tempfile::TempDir,
}

/// The result of a run.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl TestHome {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.path("home")
    }

    /// Writes a file and returns its path as an argument.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), content).unwrap();
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Returns a command of the binary with a clean environment.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tooltrail"));
        command
            .args(args)
            .env_clear()
            .env("HOME", self.folder.path())
            .env("TOOLTRAIL_HOME", self.home())
            .env("TZ", "UTC");
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).stdin(Stdio::null()).output().unwrap())
    }

    pub(crate) fn run_with(&self, args: &[&str], stdin: &[u8]) -> Ran {
        let mut command = self.command(args);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        child.stdin.take().unwrap().write_all(stdin).unwrap();
        Ran::of(child.wait_with_output().unwrap())
    }

    /// Returns the path of a user's day file.
    pub(crate) fn day_file(&self, folder: &str, ts: Timestamp) -> PathBuf {
        self.home().join(folder).join("tool_audit").join(format!("{}.jsonl", ts.date()))
    }

    /// Returns all day files, by folder and date.
    pub(crate) fn day_files(&self) -> Vec<PathBuf> {
        let folders = std::fs::read_dir(self.home()).into_iter().flatten().flatten();
        let days = folders.flat_map(|folder| std::fs::read_dir(folder.path().join("tool_audit")).into_iter().flatten());
        let mut files = days.map(|day| day.unwrap().path()).collect::<Vec<_>>();
        files.sort();
        files
    }

    /// Returns all stored lines of all users and days unchanged. Each file must end with a newline.
    pub(crate) fn stored_lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for file in self.day_files() {
            let text = match std::fs::read_to_string(&file) {
                // A process may prune it between the listing and this.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                text => text.unwrap(),
            };
            assert!(text.is_empty() || text.ends_with('\n'), "{} is torn", file.display());
            // A line of spaces replaces a part of a batch that a full disk cut off, or a damaged part.
            lines.extend(text.lines().filter(|line| !line.trim_matches(' ').is_empty()).map(str::to_owned));
        }
        lines
    }

    /// Returns all stored lines of all users and days, parsed.
    pub(crate) fn stored(&self) -> Vec<serde_json::Value> {
        self.stored_lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Returns the numbers that [`line`] put into the args of stored entries, sorted.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        let mut numbers = self.stored().iter().filter_map(|entry| entry["args"]["n"].as_u64()).collect::<Vec<_>>();
        numbers.sort_unstable();
        numbers
    }
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// Returns the current time.
pub(crate) fn now() -> Timestamp {
    SystemClock::default().now()
}

/// Returns the time this number of minutes ago.
pub(crate) fn minutes_ago(minutes: i64) -> Timestamp {
    Timestamp::from_millis(now().as_millis() - minutes * 60_000)
}

/// Returns a line of the common form, with its number in the args.
pub(crate) fn line(number: u64, user: &str, ts: Option<Timestamp>) -> String {
    let ts = ts.map_or("null".to_owned(), |ts| format!("\"{ts}\""));
    format!(
        r#"{{"ts":{ts},"user":"{user}","session":"s-1","tool":"fs.read","args":{{"n":{number},"path":"notes/{number}.txt"}},"status":"ok","result":"the text of note {number}","duration_ms":{number}.5}}"#
    )
}

/// Returns the text of lines with these numbers.
pub(crate) fn lines(numbers: impl IntoIterator<Item = u64>, user: &str, ts: Timestamp) -> String {
    numbers.into_iter().map(|number| line(number, user, Some(ts)) + "\n").collect()
}
