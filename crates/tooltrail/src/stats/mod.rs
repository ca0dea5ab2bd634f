//! Counts and quantiles of many entries.

mod aggregate;
mod answer;
mod numbers;
mod sightings;

pub use answer::{Stats, ToolStats};
pub use numbers::Quantiles;
pub use sightings::is_random_call_id;
