//! Measures how fast rollups are made, and how long questions about numbers take.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tooltrail::{BucketSize, GroupBy, Home, Question, RollupKeeper, SystemClock, Trail};

use crate::Answer;
use crate::read::peak_mib;

/// The longest time that is waited for the rollups.
const WAIT: Duration = Duration::from_secs(3_600);

/// Makes the rollups of a home that has none.
pub(crate) fn make(dir: &Path) -> Answer {
    let home = Home::create(dir, false)?;
    let keeper = RollupKeeper::new(home, Arc::new(SystemClock::default()));
    let start = Instant::now();
    let complete = keeper.finish(WAIT)?;
    let took = start.elapsed().as_secs_f64();
    Ok(json!({ "seconds": took, "complete": complete, "peak_mib": peak_mib() }))
}

/// Asks for statistics, a series or sessions `times` times and returns the median time.
pub(crate) fn ask(what: &str, dir: &Path, query: &str, days: u32, times: usize) -> Answer {
    let mut question = Question::parse(query)?;
    question.days = days;
    let (mut took, mut answer) = (Vec::new(), json!({}));
    for _ in 0..times.max(1) {
        let start = Instant::now();
        let trail = Trail::open(dir)?;
        answer = match what {
            "stats" => {
                let stats = trail.stats(&question)?;
                json!({ "calls": stats.total, "complete": stats.complete, "source": stats.sources.as_str() })
            }
            "hours" => {
                let series = trail.series(&question, BucketSize::Hour, GroupBy::Status)?;
                let calls = series.buckets.iter().map(|bucket| bucket.all.calls).sum::<u64>();
                json!({ "calls": calls, "complete": series.complete, "source": series.sources.as_str() })
            }
            _ => return Err("stats or hours".into()),
        };
        took.push(start.elapsed().as_secs_f64() * 1e3);
    }
    took.sort_by(f64::total_cmp);
    answer["ms"] = took[took.len() / 2].into();
    answer["peak_mib"] = json!(peak_mib());
    Ok(answer)
}
