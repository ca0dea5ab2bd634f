//! Tests of redaction that need generated secrets or several modules.

mod generators;
mod prefilter_equivalence;
mod recall;
mod time_and_idempotence;
