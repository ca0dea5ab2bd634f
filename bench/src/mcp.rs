//! An MCP server that answers at once, and a client that measures it, whatever stands between them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Answer;

/// The calls that are made before the measurement, so that the home is open and the programs are in memory.
const WARM_UP: usize = 200;

/// Answers each request with the text that it sends, until stdin ends.
pub(crate) fn echo() -> Answer {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let request = serde_json::from_str::<Value>(&line?)?;
        let Some(id) = request.get("id") else { continue };
        let result = match request["method"].as_str() {
            Some("initialize") => json!({
                "protocolVersion": "2025-11-25", "capabilities": { "tools": {} },
                "serverInfo": { "name": "echo", "version": "1" },
            }),
            Some("tools/list") => json!({ "tools": [{ "name": "echo", "inputSchema": { "type": "object" } }] }),
            _ => match request["params"]["arguments"]["bytes"].as_u64() {
                Some(bytes) => text(&"x".repeat(usize::try_from(bytes)?)),
                None => text(request["params"]["arguments"]["message"].as_str().unwrap_or_default()),
            },
        };
        writeln!(out, "{}", json!({ "jsonrpc": "2.0", "id": id, "result": result }))?;
        out.flush()?;
    }
    std::process::exit(0);
}

fn text(text: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": text }] })
}

/// A client and the command that it started.
struct Client {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    line: String,
}

impl Client {
    fn start(command: &[&str]) -> Result<Self, Box<dyn std::error::Error>> {
        let (program, args) = command.split_first().ok_or("no command")?;
        let mut child = Command::new(program).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (input, output) = (child.stdin.take().ok_or("no stdin")?, child.stdout.take().ok_or("no stdout")?);
        let mut client = Self { child, input, output: BufReader::new(output), line: String::new() };
        client.send(r#"{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#)?;
        client.answer()?;
        client.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)?;
        Ok(client)
    }

    fn send(&mut self, line: &str) -> std::io::Result<()> {
        self.input.write_all(format!("{line}\n").as_bytes())
    }

    fn call(&mut self, id: usize) -> std::io::Result<()> {
        let message = "a message of some length, as tools get it ".repeat(4);
        let call = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": { "name": "echo", "arguments": { "message": message, "n": id } } });
        self.send(&call.to_string())
    }

    fn answer(&mut self) -> std::io::Result<()> {
        self.line.clear();
        if self.output.read_line(&mut self.line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    fn end(mut self) -> std::io::Result<()> {
        drop(self.input);
        self.child.wait().map(drop)
    }
}

/// Measures a command: the time of one call after another in microseconds, and the calls per second with `in_flight`
/// calls under way.
pub(crate) fn measure(calls: usize, in_flight: usize, command: &[&str]) -> Answer {
    let mut client = Client::start(command)?;
    for id in 0..WARM_UP {
        client.call(id)?;
        client.answer()?;
    }
    let mut times = Vec::with_capacity(calls);
    for id in 0..calls {
        let began = Instant::now();
        client.call(id)?;
        client.answer()?;
        times.push(began.elapsed());
    }
    let began = Instant::now();
    let mut sent = 0;
    for answered in 0..calls {
        while sent < calls && sent - answered < in_flight {
            client.call(sent)?;
            sent += 1;
        }
        client.answer()?;
    }
    let rate = calls as f64 / began.elapsed().as_secs_f64();
    client.end()?;
    times.sort();
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    Ok(json!({ "p50_us": micros(times[calls / 2]), "p99_us": micros(times[calls * 99 / 100]), "calls_s": rate }))
}

/// Measures the milliseconds until the first answer of a command that is started.
pub(crate) fn first(command: &[&str]) -> Answer {
    let began = Instant::now();
    let client = Client::start(command)?;
    let first = began.elapsed();
    client.end()?;
    Ok(json!({ "first_ms": first.as_secs_f64() * 1e3 }))
}

/// Measures the memory of the started process in KiB: after a few calls, and the most while a large answer passed.
pub(crate) fn memory(bytes: usize, command: &[&str]) -> Answer {
    let mut client = Client::start(command)?;
    for id in 0..WARM_UP {
        client.call(id)?;
        client.answer()?;
    }
    let pid = client.child.id();
    std::thread::sleep(Duration::from_secs(5));
    let idle = status(pid, "VmRSS:")?;
    let shared = status(pid, "RssFile:")?;
    let large = json!({ "jsonrpc": "2.0", "id": "l", "method": "tools/call",
        "params": { "name": "echo", "arguments": { "bytes": bytes } } });
    client.send(&large.to_string())?;
    client.answer()?;
    let peak = status(pid, "VmHWM:")?;
    client.end()?;
    Ok(json!({ "idle_kib": idle, "of_files_kib": shared, "peak_kib": peak }))
}

fn status(pid: u32, name: &str) -> Result<u64, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such line")?;
    Ok(line.split_whitespace().next().ok_or("no number")?.parse()?)
}
