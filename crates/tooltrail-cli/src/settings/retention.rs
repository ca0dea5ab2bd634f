//! Retention limits from the flags and the configuration file, and the JSON for these limits and for a prune.

use serde_json::{Value, json};
use tooltrail::{PrunedDay, Retention};

use crate::failure::Failure;
use crate::settings::file;
use crate::settings::size;

/// The flags with the retention limits.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct RetentionFlags {
    /// Keep at most this many days, including today
    #[arg(long, value_name = "DAYS")]
    max_age_days: Option<u32>,

    /// Keep at most this many entries of all users together
    #[arg(long, value_name = "COUNT")]
    max_entries: Option<u64>,

    /// Keep at most this many bytes of all users together, like 10GiB
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    max_bytes: Option<u64>,

    /// Always keep this many days, whatever the limits say [default: 1, today]
    #[arg(long, value_name = "DAYS")]
    keep_days: Option<u32>,
}

impl RetentionFlags {
    /// Returns the retention limits. Each flag takes precedence over the file.
    pub(crate) fn retention(&self, file: &file::RetentionFile) -> Result<Retention, Failure> {
        let retention = Retention {
            max_age_days: self.max_age_days.or(file.max_age_days),
            max_entries: self.max_entries.or(file.max_entries),
            max_bytes: self.max_bytes.or(file.max_bytes),
            keep_days: self.keep_days.or(file.keep_days).unwrap_or(Retention::default().keep_days),
        };
        retention.check()?;
        Ok(retention)
    }
}

/// Returns the retention limits as a JSON object.
pub(crate) fn object(retention: &Retention) -> Value {
    json!({
        "max_age_days": retention.max_age_days,
        "max_entries": retention.max_entries,
        "max_bytes": retention.max_bytes,
        "keep_days": retention.keep_days,
    })
}

/// Returns what a prune removed, or would remove (`dry_run`), as a JSON object.
pub(crate) fn pruned_json(days: &[PrunedDay], dry_run: bool) -> Value {
    let each = days.iter().map(|day| {
        json!({
            "day": day.day.to_string(), "limit": day.limit.as_str(),
            "files": day.files, "entries": day.entries, "bytes": day.bytes, "left": day.left,
        })
    });
    let sum = |of: fn(&PrunedDay) -> u64| days.iter().map(of).sum::<u64>();
    json!({
        "dry_run": dry_run,
        "days": each.collect::<Vec<_>>(),
        "files": sum(|day| day.files), "entries": sum(|day| day.entries), "bytes": sum(|day| day.bytes),
    })
}
