//! A client of `tooltrail mcp`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::TestHome;

/// The longest wait for something that takes milliseconds on an idle machine.
pub(crate) const WAIT: Duration = Duration::from_secs(20);

/// Returns the path of the server of the tests.
pub(crate) fn server() -> String {
    format!("{}/tests/fixtures/mcp_server.py", env!("CARGO_MANIFEST_DIR"))
}

/// Returns the command of a proxy with these flags in front of the server of the tests, which answers calls.
pub(crate) fn proxy(place: &TestHome, flags: &[&str]) -> Command {
    let server = server();
    let mut args = vec!["mcp"];
    args.extend_from_slice(flags);
    args.extend(["--", "python3", &server, "tools"]);
    let mut command = place.command(&args);
    // The command's environment is empty, and `python3` must be found.
    command.env("PATH", std::env::var_os("PATH").unwrap());
    command
}

/// A client and the proxy that it started.
pub(crate) struct Client {
    pub(crate) child: Child,
    pub(crate) input: Option<ChildStdin>,
    pub(crate) output: BufReader<ChildStdout>,
    next_id: u64,
}

impl Client {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output, next_id: 1 }
    }

    pub(crate) fn send(&mut self, line: &str) {
        self.input.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line
    }

    /// Begins a call and returns its id.
    pub(crate) fn begin(&mut self, tool: &str, arguments: &Value) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let call = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": { "name": tool, "arguments": arguments } });
        self.send(&call.to_string());
        id
    }

    /// Makes a call and returns the answer.
    pub(crate) fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        let id = self.begin(tool, arguments);
        let answer = serde_json::from_str::<Value>(&self.line()).unwrap();
        assert_eq!(answer["id"], json!(id), "{answer}");
        answer
    }

    /// Ends the input and waits for the end. Returns the exit code (`None` for a signal), the rest of stdout, and stderr.
    pub(crate) fn end(mut self) -> (Option<i32>, String, String) {
        drop(self.input.take());
        let (mut rest, mut stderr) = (String::new(), String::new());
        self.output.read_to_string(&mut rest).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        (self.child.wait().unwrap().code(), rest, stderr)
    }
}

/// Returns the entries of a home, without tooltrail's own events, in the order of their files.
pub(crate) fn entries(place: &TestHome) -> Vec<Value> {
    lines(place).into_iter().filter(|entry| !entry["tool"].as_str().unwrap().starts_with("tooltrail.")).collect()
}

/// Returns tooltrail's own events of one kind.
pub(crate) fn own_events(place: &TestHome, tool: &str) -> Vec<Value> {
    lines(place).into_iter().filter(|entry| entry["tool"] == tool).collect()
}

fn lines(place: &TestHome) -> Vec<Value> {
    let mut days = Vec::new();
    for user in std::fs::read_dir(place.home()).into_iter().flatten().flatten() {
        let folder = std::fs::read_dir(user.path().join("tool_audit")).into_iter().flatten().flatten();
        days.extend(folder.map(|day| day.path()));
    }
    days.sort();
    // Somebody may be writing the last line just now.
    let whole = |text: String| text.rfind('\n').map_or(String::new(), |end| text[..=end].to_owned());
    let text = days.iter().map(|day| whole(std::fs::read_to_string(day).unwrap())).collect::<String>();
    let lines = text.lines().filter(|line| !line.trim_matches(' ').is_empty());
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// Returns entries as `tool status reason`, sorted.
pub(crate) fn outcomes(entries: &[Value]) -> Vec<String> {
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or("-").to_owned();
    let all = entries
        .iter()
        .map(|entry| format!("{} {} {}", text(entry, "tool"), text(entry, "status"), text(entry, "reason")));
    let mut all = all.collect::<Vec<_>>();
    all.sort();
    all
}

/// Returns the status files of proxies.
pub(crate) fn status(place: &TestHome) -> Vec<Value> {
    let folder = place.path(".local/state/tooltrail/mcp");
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.map(|file| serde_json::from_slice(&std::fs::read(file.path()).unwrap()).unwrap()).collect()
}

/// Waits until a condition holds.
pub(crate) fn until(what: &str, holds: impl FnMut() -> bool) {
    within(WAIT, what, holds);
}

/// Waits until a condition holds, at most for some time.
pub(crate) fn within(longest: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < longest, "{what}: not within {longest:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Returns a number of `/proc/PID/status`.
pub(crate) fn status_of(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.trim_start_matches(':').split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Returns the process number of the server that a proxy started.
pub(crate) fn child_of(pid: u32) -> Option<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
    let children = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    children.flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).next()?.parse().ok()
}

/// Sends a signal.
pub(crate) fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// Writes a configuration file and returns its path.
pub(crate) fn config(place: &TestHome, text: &str) -> PathBuf {
    Path::new(&place.file("tooltrail.toml", text)).to_owned()
}
