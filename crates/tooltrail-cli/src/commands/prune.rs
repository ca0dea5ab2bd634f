//! `tooltrail prune`: removes the oldest days.

use std::process::ExitCode;

use tooltrail::{PrunedDay, would_prune};

use crate::failure::{Exit, Failure};
use crate::output::{Cell, Column, Data, Table, print_json, talk};
use crate::settings::Settings;
use crate::settings::retention::{RetentionFlags, pruned_json};
use crate::settings::size;

/// Remove the oldest days, of all users, beyond what is to be kept
///
/// Whole days go, the oldest first, and each is recorded before the first of its files does. What is kept is what the
/// flags say, else `[retention]` in the configuration file. A running service prunes by itself, once a day, what the
/// file says.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tooltrail prune --max-age-days 365 --dry-run      what would go of what is older than a year
  tooltrail prune --max-bytes 50GiB --keep-days 185 keep 50 GiB, but half a year in any case
  tooltrail recent tool=tooltrail.prune --days 365  what went, and when")]
pub(crate) struct Args {
    #[command(flatten)]
    kept: RetentionFlags,

    /// Say what would go, and remove nothing
    #[arg(long)]
    dry_run: bool,
}

/// Removes the days and prints them.
pub(crate) fn run(args: Args, settings: &Settings) -> Result<ExitCode, Failure> {
    let retention = args.kept.retention(&settings.file()?.retention)?;
    if !retention.is_limited() {
        return Err(Failure::could_not(
            "nothing says what is to go",
            "give --max-age-days, --max-entries or --max-bytes, or a [retention] in the configuration file",
        ));
    }
    let home = settings.open_home()?;
    let days = if args.dry_run {
        would_prune(&home, &retention, &*crate::clock::clock())?
    } else {
        let recorder = settings.recorder(&home)?;
        let days = recorder.prune(&retention, "prune")?;
        recorder.close()?;
        days
    };
    if settings.flags.json {
        print_json(&pruned_json(&days, args.dry_run))?;
    } else {
        let mut data = Data::styled();
        data.bytes(report(&days, args.dry_run).as_bytes())?;
        data.finish()?;
    }
    let left = days.iter().map(|day| day.left).sum::<u64>();
    if left > 0 {
        talk(&format!("{left} files are still being written and stay until the next prune"));
    }
    Ok(Exit::Yes.into())
}

/// Returns the removed days as text for people.
fn report(days: &[PrunedDay], dry_run: bool) -> String {
    let mut table = Table::new(&[
        Column::fixed("day"),
        Column::fixed("over"),
        Column::number("files"),
        Column::number("entries"),
        Column::number("bytes"),
    ]);
    for day in days {
        let numbers = [day.files, day.entries, day.bytes].map(|number| number.to_string());
        let mut row = vec![Cell::new(&day.day.to_string()), Cell::new(day.limit.as_str())];
        row.extend(numbers.iter().map(|number| Cell::new(number)));
        table.row(row);
    }
    let bytes = size::words(days.iter().map(|day| day.bytes).sum());
    let days_word = if days.len() == 1 { "day" } else { "days" };
    let verb = if dry_run { "would go" } else { "removed" };
    match days {
        [] => "nothing is over its limit\n".to_owned(),
        _ => format!("{}\n{} {days_word} {verb}, {bytes}\n", table.render(), days.len()),
    }
}
