//! `tooltrail export`: writes all entries that match, in a format of other programs.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use tooltrail::{Cursor, ExportOrder};

use crate::export::{Format, Output};
use crate::failure::{Exit, Failure};
use crate::output::{Data, talk, tell_skipped, unit};
use crate::question::QuestionArgs;
use crate::settings::Settings;

/// Write all entries that match, for other programs
///
/// The newest first, or with --oldest-first the reverse. Memory does not grow with the answer. If it is interrupted, the
/// cursor with which it goes on is on stderr.
///
/// In csv, a cell that a spreadsheet would take for a formula begins with an apostrophe.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tooltrail export --days 365 | zstd > year.jsonl.zst    everything, as it is stored
  tooltrail export 'status!=ok' --format csv > bad.csv   for a spreadsheet
  tooltrail export --last 1d --format ocsf               for a SIEM
  tooltrail export user=alice --days 3650 --format bundle > alice.bundle
  tooltrail key show > log.key                           the key that checks it
  tooltrail verify --proof alice.bundle --key log.key    without the home

A bundle proves each entry in it. It does not prove that no other entries match. Exit 1 means that some entries that match
could not be proved and are not in it.")]
pub(crate) struct Args {
    #[command(flatten)]
    asked: QuestionArgs,

    /// The format
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,

    /// The oldest entry first
    #[arg(long)]
    oldest_first: bool,

    /// Write tooltrail's own notes of who read the trail, too
    #[arg(long)]
    own: bool,

    /// Go on where an export of the same question and order ended
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
}

/// Runs the export.
pub(crate) fn run(args: Args, settings: &Settings) -> Result<ExitCode, Failure> {
    let zone = settings.zone()?;
    args.asked.check_no_service()?;
    let mut question = args.asked.question(&zone, args.own)?;
    question.cursor = args.cursor.as_deref().map(Cursor::parse).transpose()?;
    question.check()?;
    if args.format == Format::Bundle && (args.cursor.is_some() || args.oldest_first) {
        return Err(Failure::could_not("a bundle has no order and no cursor", "leave out --cursor and --oldest-first"));
    }
    let trail = settings.trail()?;
    let order = if args.oldest_first { ExportOrder::Oldest } else { ExportOrder::Newest };
    let mut output = Output::new(question, order, args.format, zone);
    let mut data = Data::exact();
    let mut next = args.cursor;
    let is_interrupted = Arc::new(AtomicBool::new(false));
    // Without the handler, an interruption ends the program at once, and the cursor is not told.
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        let _ = signal_hook::flag::register(signal, Arc::clone(&is_interrupted));
    }
    let result = loop {
        if is_interrupted.load(Ordering::Relaxed) {
            break Err(Failure::could_not("interrupted", "go on with the cursor above, if there is one"));
        }
        match output.step(&trail) {
            Ok(Some(part)) => {
                // What is written is not taken back, so the cursor is told only for whole parts.
                if let Err(failure) = data.bytes(&part.bytes).and_then(|()| data.flush()) {
                    break Err(failure);
                }
                next = part.next.or(next);
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error.into()),
        }
    };
    if let (Err(_), Some(next)) = (&result, &next) {
        talk(&format!("next: --cursor {next}"));
    }
    result?;
    data.finish()?;
    let (done, [unsealed, changed]) = output.done();
    tell_skipped(&done.skipped, &done.unreadable_names);
    if changed > 0 {
        let entries = unit(changed, "entry is", "entries are");
        let hint = "tooltrail verify says what was changed, or erased";
        return Err(Failure::no(format!("{entries} not in the bundle: not what was sealed"), hint));
    }
    if unsealed > 0 {
        let entries = unit(unsealed, "entry is", "entries are");
        let hint = "entries are sealed some seconds after they were recorded: make the bundle again";
        return Err(Failure::no(format!("{entries} not in the bundle: not sealed yet"), hint));
    }
    if output.is_empty() {
        talk("no entries match in these days");
    }
    if !done.complete && done.skipped.unreadable == 0 {
        talk("this answer is partial: some accepted entries are not in their files yet");
    }
    Ok(Exit::Yes.into())
}
