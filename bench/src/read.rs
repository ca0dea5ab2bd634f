//! Measures how long a question takes, from opening the home to the finished page.

use std::path::Path;
use std::time::Instant;

use serde_json::json;
use tooltrail::{Page, Question, Trail};

use crate::Answer;

/// Asks the question `times` times and returns the median time.
pub(crate) fn measure(dir: &Path, user: &str, limit: usize, query: &str, times: usize) -> Answer {
    let mut question = Question::parse(query)?;
    question.user = (user != "*").then(|| user.to_owned());
    question.limit = limit;
    let mut took = Vec::new();
    let mut page = Page::default();
    for _ in 0..times.max(1) {
        let start = Instant::now();
        page = Trail::open(dir)?.recent(&question)?;
        took.push(start.elapsed().as_secs_f64() * 1e3);
    }
    took.sort_by(f64::total_cmp);
    Ok(json!({
        "ms": took[took.len() / 2],
        "entries": page.lines.len(),
        "complete": page.complete && page.next.is_none(),
        "scanned_bytes": page.scanned.bytes,
        "scanned_files": page.scanned.files,
        "peak_mib": peak_mib(),
    }))
}

/// Returns the most memory that this process ever used.
pub(crate) fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1_024)
}
