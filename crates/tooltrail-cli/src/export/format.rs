//! The choice of a format.

use tooltrail::Zone;

use super::{csv, ocsf};

/// The format of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// The stored lines, byte for byte
    Jsonl,
    /// A table with one column for each field, for spreadsheets
    Csv,
    /// OCSF 1.8.0 API Activity events (class 6003), one line each
    Ocsf,
    /// The entries with their proofs, which `tooltrail verify --proof FILE --key VKEY` checks without the home
    Bundle,
}

impl Format {
    /// All formats with their words.
    pub(crate) const ALL: [(Self, &'static str); 4] =
        [(Self::Jsonl, "jsonl"), (Self::Csv, "csv"), (Self::Ocsf, "ocsf"), (Self::Bundle, "bundle")];

    /// Returns the media type of the format.
    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::Jsonl | Self::Ocsf | Self::Bundle => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }

    /// Returns what stands before the first entry.
    pub(super) fn head(self) -> Vec<u8> {
        match self {
            Self::Csv => csv::head(),
            Self::Jsonl | Self::Ocsf | Self::Bundle => Vec::new(),
        }
    }

    /// Returns stored lines in this format. Times without a zone are in `zone`.
    pub(super) fn entries(self, lines: &[String], zone: &Zone) -> Vec<u8> {
        match self {
            // Its lines are made with the log.
            Self::Bundle => Vec::new(),
            Self::Jsonl => lines.iter().flat_map(|line| [line.as_bytes(), b"\n"]).collect::<Vec<_>>().concat(),
            Self::Csv => csv::rows(lines),
            Self::Ocsf => ocsf::events(lines, zone),
        }
    }
}
