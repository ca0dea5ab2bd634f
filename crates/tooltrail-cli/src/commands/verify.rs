//! `tooltrail verify`: checks that the trail is what was sealed.

use std::fs::File;
use std::io::{BufRead as _, BufReader, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tooltrail::seal::{
    BUNDLE_LINE_BYTES_MAX, CheckBundle, Finding, MAX_TAIL, Memories, Report, Verdict, VerifierKey, Verify,
};
use tooltrail::{Date, Home, outside_folder};

use crate::failure::{Exit, Failure};
use crate::output::{Data, print_json, talk, talk_hint};
use crate::settings::Settings;
use crate::settings::folders::{resolved, user_folder};

/// The most bytes of a file with a key, a checkpoint or a proof.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The most findings that are printed as text. All are in the JSON.
const FINDINGS_SHOWN: usize = 1_000;

/// Check that nobody has changed, removed, cut or added lines since they were sealed
///
/// Reads every day file and compares it with the signed log. Each finding is a line on stderr, and then stdout has one
/// word, the worst of them (docs/proof.md explains each). Exit 0: ok, ok-unsealed-tail, erased, pruned, incident. Exit 1:
/// unsealed, modified, reordered, inserted, truncated, missing, rolled-back, forked, bad-signature. Exit 2: could not.
///
/// The newest good checkpoint of each home is remembered, so that a home which is set back to an older copy is found the
/// next time.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tooltrail verify                                     the whole home
  tooltrail verify --user alice --from 2026-11-01      one user's files since then
  tooltrail verify --key log.key --checkpoint kept.txt with what somebody else has kept
  tooltrail verify --proof entry.tlog-proof --key log.key
                                                       one entry, without the home")]
pub(crate) struct Args {
    /// Only the files of this user; can be repeated
    #[arg(long, value_name = "USER")]
    user: Vec<String>,

    /// Only the files of this day and later
    #[arg(long, value_name = "DATE", value_parser = date)]
    from: Option<Date>,

    /// Only the files of this day and earlier
    #[arg(long, value_name = "DATE", value_parser = date)]
    to: Option<Date>,

    /// A checkpoint that was kept: the log must continue it
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,

    /// The verifier key of the log, or a file with it [default: the remembered one, or the one of the home]
    #[arg(long, value_name = "VKEY|FILE")]
    key: Option<String>,

    /// The verifier key of a witness, or a file with it: its note must be there; can be repeated
    #[arg(long, value_name = "VKEY|FILE")]
    witness: Vec<String>,

    /// Skip files that have not changed since this verifier found them good
    #[arg(long)]
    quick: bool,

    /// How long new lines may wait to be sealed, as 60s or 5m
    #[arg(long, value_name = "TIME", value_parser = time)]
    max_tail: Option<Duration>,

    /// Accept the key and the history of this home from now on, after another one was remembered
    #[arg(long)]
    accept: bool,

    /// Check one entry by its proof, or a bundle of `tooltrail export`, without a home
    #[arg(long, value_name = "FILE", conflicts_with_all = ["user", "from", "to", "checkpoint", "witness", "quick", "accept"])]
    proof: Option<PathBuf>,
}

/// Verifies and prints the verdict.
pub(crate) fn run(args: &Args, settings: &Settings) -> Result<ExitCode, Failure> {
    let key = args.key.as_deref().map(verifier_key).transpose()?;
    if let Some(proof) = &args.proof {
        return proved(proof, key, settings);
    }
    let home = settings.open_home()?;
    let memories = memories(&home)?;
    if let Some(memories) = memories.as_ref().filter(|_| args.accept) {
        memories.forget().map_err(|error| Failure::io("change", "what is remembered of the home", &error))?;
    }
    let remembered = memories.as_ref().map(Memories::read).transpose().map_err(|error| {
        let what = format!("what is remembered of {} could not be read: {error}", home.root().display());
        Failure::could_not(what, "find out why; --accept forgets it")
    })?;
    let mut verify = Verify::default();
    verify.key = key;
    verify.keys = settings.keys_path(&home).ok();
    verify.log_key = settings.log_key();
    verify.checkpoint = args.checkpoint.as_deref().map(read).transpose()?;
    verify.remembered = remembered.flatten();
    verify.witnesses = args.witness.iter().map(|key| verifier_key(key)).collect::<Result<_, _>>()?;
    verify.folders = (!args.user.is_empty()).then(|| args.user.iter().map(|user| folder(&home, user)).collect());
    verify.days = (args.from, args.to);
    verify.max_tail = args.max_tail.unwrap_or(MAX_TAIL);
    verify.quick = memories.as_ref().filter(|_| args.quick).map(Memories::known_files);
    let progress = progress_bar(&home);
    let report = verify.run(&home, &*crate::clock::clock(), &|bytes| progress.inc(bytes))?;
    progress.finish_and_clear();
    if let Some((remember, memories)) = report.to_remember().zip(memories) {
        match memories.write(&remember) {
            Ok(()) => memories.keep_files(&report),
            Err(error) => talk(&format!("the checkpoint could not be remembered: {error}")),
        }
    }
    print(&report, settings)
}

/// Opens what is remembered of the home; `None` if there is no folder for it and none can be made.
fn memories(home: &Home) -> Result<Option<Memories>, Failure> {
    let folder = memory_folder()?;
    match Memories::open(&folder, &resolved(home.root())) {
        Err(error) if !folder.exists() => {
            talk(&format!("nothing is remembered: {}", error.message()));
            Ok(None)
        }
        memories => Ok(Some(memories?)),
    }
}

/// Returns the lines of a file that is a bundle; `None` for any other file.
fn bundle(path: &Path) -> Result<Option<BufReader<File>>, Failure> {
    let failed = |error| Failure::io("read", path.display(), &error);
    let mut reader = BufReader::new(File::open(path).map_err(failed)?);
    Ok(CheckBundle::is_bundle(reader.fill_buf().map_err(failed)?).then_some(reader))
}

/// Checks a bundle line by line, and prints the verdict. If it is good, each entry of the bundle is proved.
fn check_bundle(mut lines: BufReader<File>, key: VerifierKey, settings: &Settings) -> Result<ExitCode, Failure> {
    let (mut check, mut line) = (CheckBundle::new(key), String::new());
    loop {
        line.clear();
        let read = lines.by_ref().take(BUNDLE_LINE_BYTES_MAX as u64).read_line(&mut line);
        if read.map_err(|error| Failure::io("read", "the bundle", &error))? == 0 {
            break;
        }
        check.line(line.trim_end_matches('\n'));
    }
    let (checked, entries) = check.end();
    if settings.flags.json {
        print_json(&json!({ "verdict": checked.verdict.as_str(), "text": checked.text, "entries": entries }))?;
    } else {
        talk(&checked.text);
        let mut data = Data::exact();
        data.line(checked.verdict.as_str())?;
        data.finish()?;
    }
    Ok(exit(checked.verdict))
}

/// Checks one entry by its proof.
fn proved(path: &Path, key: Option<VerifierKey>, settings: &Settings) -> Result<ExitCode, Failure> {
    let key = key.ok_or_else(|| {
        Failure::could_not(
            "a proof is checked with the key of the log",
            "give it with --key; tooltrail key show prints it",
        )
    })?;
    if let Some(bundle) = bundle(path)? {
        return check_bundle(bundle, key, settings);
    }
    let proof = tooltrail::seal::Proof::parse(&read(path)?).ok_or_else(|| {
        Failure::could_not(format!("{} is not the proof of an entry", path.display()), "tooltrail prove ID makes one")
    })?;
    let checked = proof.check(&key);
    if settings.flags.json {
        let entry = serde_json::from_str::<Value>(proof.line()).unwrap_or_default();
        print_json(&json!({ "verdict": checked.verdict.as_str(), "text": checked.text, "entry": entry }))?;
    } else {
        if !checked.verdict.is_good() {
            talk(&checked.text);
        }
        let mut data = Data::exact();
        data.line(checked.verdict.as_str())?;
        if checked.verdict.is_good() {
            data.line(&crate::output::stored(proof.line(), crate::output::stdout_is_terminal()))?;
        }
        data.finish()?;
    }
    Ok(exit(checked.verdict))
}

fn print(report: &Report, settings: &Settings) -> Result<ExitCode, Failure> {
    if settings.flags.json {
        print_json(&report_json(report))?;
        return Ok(exit(report.verdict));
    }
    for finding in report.findings.iter().take(FINDINGS_SHOWN) {
        talk(&finding_words(finding));
    }
    if report.findings.len() > FINDINGS_SHOWN {
        talk(&format!("and {} more findings: --json has all", report.findings.len() - FINDINGS_SHOWN));
    }
    let counts = &report.counts;
    let skipped =
        if counts.skipped > 0 { format!(", {} of them unchanged and not read", counts.skipped) } else { String::new() };
    talk(&format!("{} files{skipped}, {} lines, {} heads", counts.files, counts.lines, counts.heads));
    if counts.tail_lines > 0 {
        talk(&format!("{} of these lines are newer than the newest seal of their file", counts.tail_lines));
    }
    if counts.files == 0 {
        talk("no day file was read: is the name of the user, the day and the home right?");
    }
    if let Some((origin, size, _)) = &report.checkpoint {
        let upto = report.vouched_by.iter().zip(&report.vouched_upto);
        let who = upto.map(|(who, seen)| if seen == size { who.clone() } else { format!("{who} (the first {seen})") });
        talk(&format!("log {origin}, {size} entries; vouched by: {}", who.collect::<Vec<_>>().join(", ")));
    }
    for (count, what) in [
        (counts.adopted, "files had lines before tooltrail sealed them: nothing is known of the time before"),
        (counts.erased, "erasures are in the log since the checkpoint that this verifier remembers"),
        (counts.pruned, "prunes are in the log since the checkpoint that this verifier remembers"),
    ] {
        if count > 0 {
            talk(&format!("{count} {what}"));
        }
    }
    match report.verdict {
        Verdict::Forked => {
            talk_hint("if the log was begun anew or its key was lost on purpose, --accept takes the new one")
        }
        Verdict::RolledBack => talk_hint(
            "the home is an older copy: find out who set it back; after a restore, tooltrail log restart begins a new log",
        ),
        _ => {}
    }
    let mut data = Data::exact();
    data.line(report.verdict.as_str())?;
    data.finish()?;
    Ok(exit(report.verdict))
}

/// Returns the report as JSON.
pub(crate) fn report_json(report: &Report) -> Value {
    let counts = &report.counts;
    let findings = report.findings.iter().map(|finding| {
        json!({
            "verdict": finding.verdict.as_str(),
            "file": finding.file,
            "keyed_name": finding.keyed_name,
            "line": finding.lines.map(|(from, _)| from),
            "to_line": finding.lines.map(|(_, to)| to),
            "text": finding.text,
        })
    });
    let checkpoint = report.checkpoint.as_ref();
    json!({
        "verdict": report.verdict.as_str(),
        "findings": findings.collect::<Vec<_>>(),
        "vouched_by": report.vouched_by,
        "vouched_upto": report.vouched_upto,
        "checkpoint": checkpoint.map(|(origin, size, root)| json!({ "origin": origin, "size": size, "root": root })),
        "counts": {
            "files": counts.files, "lines": counts.lines, "bytes": counts.bytes, "heads": counts.heads,
            "adopted": counts.adopted, "skipped": counts.skipped, "tail_lines": counts.tail_lines,
        },
        "erasures": counts.erased,
        "prunes": counts.pruned,
    })
}

fn finding_words(finding: &Finding) -> String {
    let place = match (&finding.file, finding.lines) {
        (None, _) => finding.keyed_name.as_ref().map(|name| format!("file of keyed name {name}: ")).unwrap_or_default(),
        (Some(file), None) => format!("{file}: "),
        (Some(file), Some((from, to))) if from == to => format!("{file}, line {from}: "),
        (Some(file), Some((from, to))) => format!("{file}, lines {from} to {to}: "),
    };
    format!("{}: {place}{}", finding.verdict.as_str(), finding.text)
}

fn exit(verdict: Verdict) -> ExitCode {
    if verdict.is_good() { Exit::Yes.into() } else { Exit::No.into() }
}

fn progress_bar(home: &Home) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(tooltrail::seal::bytes_of(home));
    let style = ProgressStyle::with_template("{bar:30} {bytes} of {total_bytes}, {eta} left");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

/// Returns the folder in which this user's verifier remembers checkpoints.
pub(crate) fn memory_folder() -> Result<PathBuf, Failure> {
    Ok(user_folder("XDG_STATE_HOME", ".local/state", "--home")?.join("tooltrail").join("remembered"))
}

/// Reads a verifier key from the command line: the key itself, or a file with it.
pub(crate) fn verifier_key(text: &str) -> Result<VerifierKey, Failure> {
    if let Some(key) = VerifierKey::parse(text.trim()) {
        return Ok(key);
    }
    if text.contains('+') && !Path::new(text).exists() {
        return Err(Failure::could_not(
            format!("{text} is no valid verifier key"),
            "copy the whole key: NAME+HASH+BASE64, of which the hash must fit the rest",
        ));
    }
    let read = read(Path::new(text))?;
    VerifierKey::parse(read.trim()).ok_or_else(|| {
        Failure::could_not(
            format!("{text} is no verifier key"),
            "a key looks like NAME+1a2b3c4d+BASE64: tooltrail key show prints it",
        )
    })
}

fn read(path: &Path) -> Result<String, Failure> {
    let failed = |error: std::io::Error| Failure::io("read", path.display(), &error);
    let file = crate::regular_file::open(path).map_err(failed)?;
    let mut text = String::new();
    std::io::Read::read_to_string(&mut std::io::Read::take(file, FILE_BYTES_MAX), &mut text).map_err(failed)?;
    Ok(text)
}

/// Returns the folder of a user: the one that is there, or the one that the user would have.
fn folder(home: &Home, user: &str) -> String {
    let is_there = |folder: &str| home.root().join(folder).join("tool_audit").is_dir();
    let own = tooltrail::folder_of(user);
    if is_there(&own) || !is_there(user) {
        if user == tooltrail::SYSTEM_USER { own } else { outside_folder(user) }
    } else {
        user.to_owned()
    }
}

fn date(text: &str) -> Result<Date, String> {
    Date::parse(text).ok_or_else(|| "a day is written 2026-11-23".to_owned())
}

fn time(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let seconds = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => 0,
    };
    let number = number.parse::<u64>().ok().and_then(|number| number.checked_mul(seconds)).filter(|_| seconds > 0);
    number.map(Duration::from_secs).ok_or_else(|| "a time is written 60s, 5m or 1h".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_days_are_read() {
        assert_eq!(time("60s"), Ok(Duration::from_secs(60)));
        assert_eq!((time("5m"), time("2")), (Ok(Duration::from_secs(300)), Ok(Duration::from_secs(2))));
        assert!(time("5 m").is_err() && time("").is_err() && time("99999999999999999999h").is_err());
        assert!(date("2026-11-31").is_err() && date("2026-11-30").is_ok());
    }
}
