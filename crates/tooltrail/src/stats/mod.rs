//! Counts and quantiles over many entries.

mod aggregate;
mod answer;
mod sketch;

pub use answer::{Stats, ToolStats};
pub use sketch::Quantiles;
