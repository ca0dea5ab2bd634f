//! Counts and quantiles of many entries.

mod aggregate;
mod answer;
mod calls;
mod file_lines;
mod numbers;
mod rollup;
mod series;
mod sessions;
mod sightings;
mod sketch;

pub use answer::{Stats, ToolStats};
pub use calls::Sources;
pub use numbers::Quantiles;
pub use rollup::RollupKeeper;
pub use series::{BucketSize, GroupBy, Series, SeriesBucket, SeriesCounts};
pub use sessions::{SessionSummary, Sessions};
pub use sightings::is_random_call_id;
