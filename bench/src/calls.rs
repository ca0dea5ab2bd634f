//! The calls that all contestants record: from a generator with a fixed seed, or real traces repeated.

use std::error::Error;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use serde_json::Value;
use tooltrail::entry::receive;
use tooltrail::{Call, Recorder, Zone};

use crate::Answer;

/// The seed; the same seed gives the same calls on every machine.
const SEED: u64 = 0x7001_7a11;

/// The number of users that make the calls.
const USERS: usize = 1_000;

/// The number of calls between two flushes; the queue holds many more.
const FLUSHED_CALLS: usize = 8_000;

/// Writes calls in the common form, one per line, with a user and without a time.
pub(crate) fn write(file: &Path, count: usize, traces: Option<&Path>) -> Answer {
    let mut out = BufWriter::new(File::create(file)?);
    let mut random = Random(SEED);
    let users = Zipf::new(USERS, 1.1);
    let real = traces.map(real_calls).transpose()?;
    let mut generator = Generator::new();
    let mut bytes = 0;
    for _ in 0..count {
        let made = match &real {
            Some(real) => real[random.below(real.len())].clone(),
            None => generator.call(),
        };
        let user = format!("user{:04}", users.draw(&mut random));
        let line = format!("{{\"ts\":null,\"user\":\"{user}\",\"session\":null,{made},\"duration_ms\":null}}\n");
        bytes += line.len();
        out.write_all(line.as_bytes())?;
    }
    out.flush()?;
    Ok(serde_json::json!({ "calls": count, "bytes": bytes, "distinct": real.map_or(count, |real| real.len()) }))
}

/// Reads `count` calls, with the library's own function for received lines.
pub(crate) fn load(file: &Path, count: usize) -> Result<Vec<Call>, Box<dyn Error>> {
    let mut calls = Vec::with_capacity(count);
    for line in BufReader::new(File::open(file)?).lines().take(count) {
        calls.push(receive(&line?, &Zone::UTC)?);
    }
    if calls.is_empty() {
        return Err(format!("{}: no calls", file.display()).into());
    }
    Ok(calls)
}

/// Returns the finished line of each call as the recorder writes it, without its newline; the lines are grouped by
/// user.
pub(crate) fn finished_lines(calls: &[Call], home: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let recorder = Recorder::open(home)?;
    for part in calls.chunks(FLUSHED_CALLS) {
        part.iter().for_each(|call| recorder.record(call));
        recorder.flush()?;
    }
    recorder.close()?;
    let mut lines = Vec::with_capacity(calls.len());
    for folder in std::fs::read_dir(home)? {
        let trail = folder?.path().join("tool_audit");
        if !trail.is_dir() {
            continue;
        }
        for day in std::fs::read_dir(trail)? {
            lines.extend(std::fs::read_to_string(day?.path())?.lines().map(str::to_owned));
        }
    }
    if lines.len() == calls.len() {
        Ok(lines)
    } else {
        Err(format!("{} lines of {} calls", lines.len(), calls.len()).into())
    }
}

/// Returns the parts of each real call that are measured: tool, args, status and result.
fn real_calls(file: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut calls = Vec::new();
    for line in BufReader::new(File::open(file)?).lines() {
        let line = serde_json::from_str::<Value>(&line?)?;
        let field = |name: &str, absent: &str| match &line[name] {
            Value::Null => absent.to_owned(),
            value => value.to_string(),
        };
        calls.push(format!(
            "\"tool\":{},\"args\":{},\"status\":{},\"result\":{}",
            field("tool", "\"unknown\""),
            field("args", "{}"),
            field("status", "\"error\""),
            field("result", "\"\"")
        ));
    }
    if calls.is_empty() { Err(format!("{}: no calls", file.display()).into()) } else { Ok(calls) }
}

/// The kind of value of an argument.
#[derive(Clone, Copy)]
enum Arg {
    Path,
    Url,
    Words(f64),
    Count,
    Flag,
    List,
    Nested,
}

/// The tools from the most common to the rarest, with their arguments.
const TOOLS: &[(&str, &[(&str, Arg)])] = &[
    ("fs.read", &[("path", Arg::Path), ("offset", Arg::Count), ("limit", Arg::Count)]),
    ("shell.run", &[("command", Arg::Words(90.0)), ("timeout_ms", Arg::Count), ("cwd", Arg::Path)]),
    ("fs.edit", &[("path", Arg::Path), ("old", Arg::Words(220.0)), ("new", Arg::Words(260.0))]),
    ("code.search", &[("pattern", Arg::Words(18.0)), ("path", Arg::Path), ("whole_word", Arg::Flag)]),
    ("web.fetch", &[("url", Arg::Url), ("max_chars", Arg::Count), ("headers", Arg::Nested)]),
    ("fs.list", &[("path", Arg::Path), ("recursive", Arg::Flag)]),
    ("fs.write", &[("path", Arg::Path), ("content", Arg::Words(900.0))]),
    ("web.search", &[("query", Arg::Words(50.0)), ("count", Arg::Count), ("sites", Arg::List)]),
    ("git.diff", &[("paths", Arg::List), ("staged", Arg::Flag)]),
    ("memory.find", &[("query", Arg::Words(60.0)), ("filter", Arg::Nested)]),
    ("tests.run", &[("names", Arg::List), ("release", Arg::Flag)]),
    ("mail.send", &[("to", Arg::List), ("subject", Arg::Words(40.0)), ("body", Arg::Words(600.0))]),
    ("calendar.list", &[("from", Arg::Words(10.0)), ("days", Arg::Count)]),
    ("sql.query", &[("statement", Arg::Words(140.0)), ("parameters", Arg::List)]),
    ("tickets.update", &[("id", Arg::Count), ("fields", Arg::Nested)]),
    ("browser.click", &[("selector", Arg::Words(30.0)), ("page", Arg::Url)]),
    ("git.commit", &[("message", Arg::Words(80.0)), ("paths", Arg::List)]),
    ("notes.append", &[("note", Arg::Words(300.0)), ("tags", Arg::List)]),
    ("chart.draw", &[("title", Arg::Words(30.0)), ("series", Arg::Nested)]),
    ("translate", &[("text", Arg::Words(400.0)), ("to", Arg::Words(2.0))]),
    ("map.route", &[("from", Arg::Words(20.0)), ("to", Arg::Words(20.0)), ("avoid", Arg::List)]),
    ("weather.at", &[("place", Arg::Words(12.0)), ("days", Arg::Count)]),
    ("image.describe", &[("url", Arg::Url), ("detail", Arg::Flag)]),
    ("agent.spawn", &[("task", Arg::Words(700.0)), ("tools", Arg::List)]),
];

const WORDS: &[&str] = &[
    "the",
    "agent",
    "reads",
    "a",
    "file",
    "of",
    "settings",
    "and",
    "then",
    "returns",
    "its",
    "lines",
    "error",
    "value",
    "let",
    "fn",
    "return",
    "if",
    "else",
    "match",
    "index",
    "server",
    "request",
    "page",
    "update",
    "note",
    "for",
    "in",
    "https://example.org/a/b?c=d&e=f",
    "src/main.rs",
    "0x7fff",
    "42",
    "3.14159",
    "true",
    "SELECT id FROM t WHERE n>1",
    "--verbose",
    "[warn]",
    "2026-03-01T12:00:00Z",
    "x += 1;",
    "}",
    "{",
    "//",
];
const ESCAPED: &[&str] =
    &["\n", "\n    ", "\t", "\"quoted\"", "C:\\Users\\x", "\r\n", "\u{1b}[31mred\u{1b}[0m", "\\n", "\u{0}"];
const WIDE: &[&str] =
    &["naïve", "日本語の文", "😀", "Привет", "مرحبا", "—", "…", "“quoted”", "中文", "한국어", "\u{2028}"];

/// Generates calls: log-normal sizes, tools by Zipf's law, and some texts with escapes or characters beyond ASCII.
struct Generator {
    random: Random,
    tools: Zipf,
}

impl Generator {
    fn new() -> Self {
        Self { random: Random(SEED ^ 1), tools: Zipf::new(TOOLS.len(), 1.0) }
    }

    fn call(&mut self) -> String {
        let (tool, keys) = TOOLS[self.tools.draw(&mut self.random)];
        let mut args = String::from("{");
        for (n, (key, kind)) in keys.iter().enumerate() {
            let comma = if n > 0 { "," } else { "" };
            let value = self.value(*kind);
            // Writing to a string cannot fail.
            let _ = write!(args, "{comma}\"{key}\":{value}");
        }
        args.push('}');
        let (status, result) = match self.random.below(100) {
            0..90 => ("ok", self.text(500.0, 1.5, 100_000)),
            90..98 => ("error", self.text(120.0, 0.8, 4_000)),
            _ => ("denied", String::new()),
        };
        let result = if self.random.below(12) == 0 { String::new() } else { result };
        format!("\"tool\":\"{tool}\",\"args\":{args},\"status\":\"{status}\",\"result\":{}", quoted(&result))
    }

    fn value(&mut self, kind: Arg) -> String {
        match kind {
            Arg::Path => {
                let (folder, file) = (self.random.below(40), self.random.below(900));
                format!("\"/srv/project/module{folder}/part_{file}.rs\"")
            }
            Arg::Url => {
                format!("\"https://example.org/section/{}?page={}\"", self.random.below(90), self.random.below(9))
            }
            Arg::Words(median) => quoted(&self.text(median, 1.0, 60_000)),
            Arg::Count => self.random.below(5_000).to_string(),
            Arg::Flag => (self.random.below(2) == 0).to_string(),
            Arg::List => {
                let words = (0..self.random.below(5)).map(|_| quoted(self.word(WORDS))).collect::<Vec<_>>();
                format!("[{}]", words.join(","))
            }
            Arg::Nested => format!(
                "{{\"kind\":{},\"range\":{{\"from\":{},\"to\":null}},\"labels\":[{}]}}",
                quoted(self.word(WORDS)),
                self.random.below(1_000),
                quoted(self.word(WIDE))
            ),
        }
    }

    /// Returns a text with a median of `median` bytes: half of the texts are plain, a third have escapes, the rest
    /// other scripts.
    fn text(&mut self, median: f64, spread: f64, most: usize) -> String {
        let size = ((median.ln() + spread * self.random.normal()).exp() as usize).clamp(1, most);
        let style = self.random.below(6);
        let mut text = String::with_capacity(size + 32);
        while text.len() < size {
            let special = self.random.below(6) == 0;
            let word = match style {
                3 | 4 if special => self.word(ESCAPED),
                5 if special => self.word(WIDE),
                _ => self.word(WORDS),
            };
            text.push_str(word);
            text.push(' ');
        }
        text
    }

    fn word(&mut self, words: &[&'static str]) -> &'static str {
        words[self.random.below(words.len())]
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// A small random number generator (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Returns a number greater than 0 and at most 1.
    fn part(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.part().ln()).sqrt() * (std::f64::consts::TAU * self.part()).cos()
    }
}

/// Draws ranks, where rank `k` has a weight of `1/k^s`.
struct Zipf(Vec<f64>);

impl Zipf {
    fn new(ranks: usize, s: f64) -> Self {
        let mut sum = 0.0;
        Self(
            (1..=ranks)
                .map(|k| {
                    sum += (k as f64).powf(-s);
                    sum
                })
                .collect(),
        )
    }

    fn draw(&self, random: &mut Random) -> usize {
        let at = random.part() * self.0.last().copied().unwrap_or(1.0);
        self.0.partition_point(|sum| *sum < at).min(self.0.len() - 1)
    }
}
