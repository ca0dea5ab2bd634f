//! Tests of redaction that need generated secrets or more than one module.

mod generators;
mod prefilter_equivalence;
mod recall;
mod time_and_idempotence;
