//! Counts and quantiles of many entries.

mod across_midnight;
mod aggregate;
mod answer;
mod calls;
mod counting;
mod from_lines;
mod from_rollups;
mod keep;
mod midnights;
mod reading;
mod series;
mod sessions;

pub use answer::{Stats, ToolStats};
pub use counting::Sources;
pub use keep::RollupKeeper;
pub use series::{BucketSize, GroupBy, Series, SeriesBucket, SeriesCounts};
pub use sessions::{SessionSummary, Sessions};
