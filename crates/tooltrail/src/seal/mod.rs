//! The proof: each line of each day file is under a head, and all heads are in one signed log.
//!
//! `docs/proof.md` specifies the bytes. From the bottom up: `tree` hashes, `note` and `checkpoint` sign, `record` encodes
//! the log's entries, `log` stores them, `leaves` and `growth` extend the tree of a day file, `signing` makes sure that a
//! home never signs two histories, and `sealer` runs all of it once a second.

mod bundle;
mod checkpoint;
mod erase;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzed;
mod growth;
mod heads;
mod keys;
mod leaves;
mod lines;
mod log;
mod name;
mod note;
mod opening;
mod owner;
mod prove;
mod public;
mod record;
mod scan;
mod sealer;
mod signing;
mod tree;
mod verify;
mod witness;

pub use bundle::{BUNDLE_LINE_BYTES_MAX, Bundle, BundleCounts, CheckBundle};
pub use erase::{EraseWhat, Erased, count_erasures};
pub use note::{KeyKind, NOTE_BYTES_MAX, Note, SignerKey, VerifierKey, is_key_name};
pub(crate) use opening::sealing;
pub use owner::LogOwner;
pub use prove::{Checked, Proof, Sealed, prove};
pub use public::{CosignRequest, PublicLog};
pub use verify::{Counts, Finding, KnownFiles, MAX_TAIL, Memories, Remembered, Report, Verdict, Verify, bytes_of};
pub use witness::{WITNESS_REQUEST_BYTES_MAX, Witness, WitnessAnswer};

#[cfg(test)]
mod tests;
