//! Maps a function over many items on several threads where that is faster, and returns the results in order.

use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, scope};

/// Runs `work` on each item and returns the results in the order of the items.
///
/// One thread works for every `share` items, at most `threads_max` in total, including this one. With few items, or if
/// no thread can be started, all work runs on this thread. Each thread takes the next item when it is done with one.
pub(crate) fn parallel_map<T: Send, A: Send>(
    items: Vec<T>,
    threads_max: usize,
    share: usize,
    work: impl Fn(T) -> A + Sync,
) -> Vec<A> {
    parallel_map_beside(items, threads_max, share, work, || {})
}

/// Like [`parallel_map`], but this thread runs `beside` first, while the other threads already work.
pub(crate) fn parallel_map_beside<T: Send, A: Send>(
    items: Vec<T>,
    threads_max: usize,
    share: usize,
    work: impl Fn(T) -> A + Sync,
    beside: impl FnOnce(),
) -> Vec<A> {
    let threads = (items.len() / share.max(1)).min(threads_max);
    if threads <= 1 {
        beside();
        return items.into_iter().map(work).collect();
    }
    let items = Mutex::new(items.into_iter().enumerate());
    // Taking an item cannot panic, so the iterator is valid even if `work` has panicked.
    let next = || items.lock().unwrap_or_else(PoisonError::into_inner).next();
    let take_part = || {
        let mut answers = Vec::new();
        while let Some((n, item)) = next() {
            answers.push((n, work(item)));
        }
        answers
    };
    let mut answers = scope(|scope| {
        let start = |_| Builder::new().name("tooltrail-parallel_map".to_owned()).spawn_scoped(scope, take_part).ok();
        let others = (1..threads).map_while(start).collect::<Vec<_>>();
        beside();
        let mut answers = take_part();
        for other in others {
            match other.join() {
                Ok(part) => answers.extend(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        answers
    });
    answers.sort_unstable_by_key(|(n, _)| *n);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(items: usize, threads_max: usize, share: usize) {
        let answers = parallel_map((0..items).collect(), threads_max, share, |n| n * 2);
        assert_eq!(answers, (0..items).map(|n| n * 2).collect::<Vec<_>>(), "{items} {threads_max} {share}");
    }

    #[test]
    fn answers_keep_the_order_of_the_items() {
        check(0, 4, 1);
        check(1, 4, 1);
        check(3, 4, 1);
        check(100, 4, 7);
        check(101, 16, 1);
        check(5, 0, 0);
    }
}
