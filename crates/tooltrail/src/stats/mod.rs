//! Counts and quantiles of many entries.

mod aggregate;
mod answer;
mod calls;
mod numbers;
mod series;
mod sessions;
mod sightings;
mod sketch;

pub use answer::{Stats, ToolStats};
pub use numbers::Quantiles;
pub use series::{BucketSize, GroupBy, Series, SeriesBucket, SeriesCounts};
pub use sessions::{SessionSummary, Sessions};
pub use sightings::is_random_call_id;
