//! The words with which a verification ends.

use std::collections::BTreeMap;

use crate::clock::Date;

/// What was found, from the worst to the best. `docs/proof.md` defines the words and their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// The log is not what the key signed.
    BadSignature,
    /// There are two histories.
    Forked,
    /// The home is older than what somebody remembers.
    RolledBack,
    /// A file, lines in a file, or the log is gone.
    Missing,
    /// The end of a file is gone.
    Truncated,
    /// There are lines in between that were not there.
    Inserted,
    /// The lines are the same in another order.
    Reordered,
    /// Lines are different.
    Modified,
    /// Lines that should have been sealed are not.
    Unsealed,
    /// A line of spaces stands where damage was found before it was sealed.
    Incident,
    /// Lines or files were erased, and the log says so.
    Erased,
    /// Files were removed by the retention, and the log says so.
    Pruned,
    /// All is well; the last lines are not sealed yet.
    OkUnsealedTail,
    /// All is well.
    Ok,
}

impl Verdict {
    /// Returns the word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadSignature => "bad-signature",
            Self::Forked => "forked",
            Self::RolledBack => "rolled-back",
            Self::Missing => "missing",
            Self::Truncated => "truncated",
            Self::Inserted => "inserted",
            Self::Reordered => "reordered",
            Self::Modified => "modified",
            Self::Unsealed => "unsealed",
            Self::Incident => "incident",
            Self::Erased => "erased",
            Self::Pruned => "pruned",
            Self::OkUnsealedTail => "ok-unsealed-tail",
            Self::Ok => "ok",
        }
    }

    /// Whether nothing speaks against the trail.
    #[must_use]
    pub fn is_good(self) -> bool {
        self >= Self::Incident
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What was found.
    pub verdict: Verdict,
    /// The day file, as folder and date; `None` if it concerns the log, or a file whose name cannot be found.
    pub file: Option<String>,
    /// The begin of the keyed name of a file whose name cannot be found, in hex.
    pub keyed_name: Option<String>,
    /// The first and last line, from 1, if they are known.
    pub lines: Option<(u64, u64)>,
    /// What it means, in one sentence.
    pub text: String,
}

impl Finding {
    pub(super) fn of_log(verdict: Verdict, text: impl Into<String>) -> Self {
        Self { verdict, file: None, keyed_name: None, lines: None, text: text.into() }
    }

    pub(super) fn of_file(
        verdict: Verdict,
        (folder, date): (&str, Date),
        lines: Option<(u64, u64)>,
        text: impl Into<String>,
    ) -> Self {
        Self { verdict, file: Some(format!("{folder}/{date}")), keyed_name: None, lines, text: text.into() }
    }

    /// Whether it concerns the log itself.
    pub(super) fn is_of_log(&self) -> bool {
        self.file.is_none() && self.keyed_name.is_none()
    }
}

/// The result of a verification.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The worst finding.
    pub verdict: Verdict,
    /// All findings but those about tails that are just not sealed yet.
    pub findings: Vec<Finding>,
    /// Who vouches for the log: `self`, `remembered`, `beside the key`, `given`, `witness NAME`.
    pub vouched_by: Vec<String>,
    /// The number of entries of the log that each of them has seen. Nobody but `self` vouches for what came later.
    pub vouched_upto: Vec<u64>,
    /// The origin, size and root (in base64) of the checkpoint that was verified.
    pub checkpoint: Option<(String, u64, String)>,
    /// What was read.
    pub counts: Counts,
    /// The states of the files that were found good, for [`Memories::keep_files`](super::Memories::keep_files).
    pub(super) good_files: BTreeMap<String, String>,
    /// The checkpoint and key to remember, if the verdict allows it.
    pub(super) remember: Option<(String, String)>,
}

/// What a verification has read and found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// The day files.
    pub files: u64,
    /// Their lines.
    pub lines: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The heads that were checked.
    pub heads: u64,
    /// The lines that are not sealed yet.
    pub tail_lines: u64,
    /// The files whose first lines are older than their seal.
    pub adopted: u64,
    /// The erasures and prunes that the log has recorded since the remembered checkpoint (all, if none is remembered).
    pub erased: u64,
    /// As `erased`, of prunes.
    pub pruned: u64,
    /// The files that were not read, because they have not changed since the last verification.
    pub skipped: u64,
}
