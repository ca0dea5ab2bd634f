//! `tooltrail redact`: shows what redaction would hide in a text.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::output::{self, Data};
use crate::settings::Settings;

/// Maximum bytes of a text. The complete text is held in memory, because a key may span many lines.
const TEXT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The first bytes of compressed files.
const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The beginning of every mark.
const OPENING: &str = "[redacted:";

/// Show what would be hidden in a text, and by which rule
///
/// Prints the text as an entry would hold it, but not clipped. The rules of the configuration file hold, too. Nothing
/// is recorded, no home is needed, and the marks carry no tags, which take the home's key.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  echo 'password: hunter29x' | tooltrail redact    password: [redacted:password]
  tooltrail redact --explain notes.txt             which rule hid what, on stderr
  tooltrail redact --json -                        both, for programs")]
pub(crate) struct Args {
    /// A file of text; stdin where none is named, or -
    #[arg(default_value = "-")]
    file: PathBuf,

    /// Say on stderr where marks stand in the output, and which rule made each
    #[arg(long)]
    explain: bool,
}

/// Reads the text, redacts it and prints it.
pub(crate) fn run(args: &Args, settings: &Settings) -> Result<ExitCode, Failure> {
    let text = read(args)?;
    let hidden = settings.redactor()?.text(&text).into_owned();
    let marks = marks(&hidden);
    if settings.flags.json {
        let marks = marks.iter().map(|mark| json!({ "line": mark.line, "column": mark.column, "rule": mark.rule }));
        output::print_json(&json!({ "text": hidden, "marks": marks.collect::<Vec<_>>() }))?;
        return Ok(Exit::Yes.into());
    }
    let mut data = Data::exact();
    data.bytes(hidden.as_bytes())?;
    data.finish()?;
    if args.explain {
        for MarkInText { line, column, rule } in &marks {
            output::talk(&format!("line {line}, character {column}: {rule}"));
        }
        if marks.is_empty() {
            output::talk("nothing would be hidden");
        }
    }
    Ok(Exit::Yes.into())
}

fn read(args: &Args) -> Result<String, Failure> {
    let name = args.file.display();
    let failed = |error: std::io::Error| Failure::io("read", name.to_string(), &error);
    let mut bytes = Vec::new();
    let limit = TEXT_BYTES_MAX + 1;
    if args.file.as_os_str() == "-" && output::stdin_is_terminal() {
        output::talk("type or paste the text, then press Ctrl-D on a line of its own");
    }
    let read = if args.file.as_os_str() == "-" {
        std::io::stdin().take(limit).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(&args.file).map_err(failed)?.take(limit).read_to_end(&mut bytes)
    };
    if read.map_err(failed)? as u64 == limit {
        return Err(Failure::could_not(format!("{name} is over {} MiB", TEXT_BYTES_MAX >> 20), "give it in parts"));
    }
    if bytes.starts_with(&GZIP) || bytes.starts_with(&ZSTD) {
        let hint = "give it plain, as in `zcat FILE | tooltrail redact` or `zstdcat FILE | tooltrail redact`";
        return Err(Failure::could_not(format!("{name} is compressed"), hint));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::could_not(format!("{name} is not UTF-8 at byte {at}"), "convert it first, as with `iconv`")
    })
}

/// The position of a mark in the output, and the rule that it names.
#[derive(Debug, PartialEq, Eq)]
struct MarkInText<'a> {
    /// The line number, from 1.
    line: usize,
    /// The column in characters, from 1.
    column: usize,
    rule: &'a str,
}

fn marks(text: &str) -> Vec<MarkInText<'_>> {
    let mut found = Vec::new();
    for (line, text) in text.split('\n').enumerate() {
        let (mut from, mut column) = (0, 1);
        while let Some(at) = text[from..].find(OPENING).map(|at| from + at) {
            column += text[from..at].chars().count();
            let rest = &text[at + OPENING.len()..];
            let end = rest.find([']', ':', '[']).unwrap_or(rest.len());
            if rest[end..].starts_with([']', ':']) {
                found.push(MarkInText { line: line + 1, column, rule: &rest[..end] });
            }
            (from, column) = (at + OPENING.len(), column + OPENING.len());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_told_with_their_places() {
        let mark = |line, column, rule| MarkInText { line, column, rule };
        assert_eq!(marks("none [redacted:"), []);
        let found = marks("é [redacted:password] [redacted:jwt:1.0123456789abcdef]\n\n[redacted:url-password]");
        assert_eq!(found, [mark(1, 3, "password"), mark(1, 23, "jwt"), mark(3, 1, "url-password")]);
    }
}
