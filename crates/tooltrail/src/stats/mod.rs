//! Counts and quantiles of many entries.

mod aggregate;
mod answer;
mod calls;
mod keep;
mod series;
mod sessions;

pub use answer::{Stats, ToolStats};
pub use calls::Sources;
pub use keep::RollupKeeper;
pub use series::{BucketSize, GroupBy, Series, SeriesBucket, SeriesCounts};
pub use sessions::{SessionSummary, Sessions};
