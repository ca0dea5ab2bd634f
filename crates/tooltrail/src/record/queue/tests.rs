//! Tests of what the queue guarantees to callers and to the writer thread.

use std::sync::LazyLock;
use std::time::Duration;

use super::taking::{AWAITED_ENTRIES_MAX, BATCH_BYTES_MAX};
use super::*;
use crate::call::Call;
use crate::clock::Timestamp;
use crate::record::loss::LossReason;
use crate::record::queue::offer::Lent;
use crate::redact::Redactor;

/// Built once, because building it takes longer than all tests here.
static REDACTOR: LazyLock<Redactor> = LazyLock::new(|| Redactor::new(None));

fn call(user: &str, args: String) -> Call {
    Call::new(user, "t", args)
}

fn offer(queue: &Queue, call: &Call, moved: bool) {
    let now = Timestamp::from_millis(0);
    if moved { queue.offer(call.clone(), None) } else { queue.offer(Lent::new(call, now, &REDACTOR), None) }
}

fn user(item: Item) -> String {
    match item {
        Item::Entry(source, ..) => source.windowed(&REDACTOR).user.seen.text,
        other => panic!("no entry: {other:?}"),
    }
}

/// Fills a queue with entries, some of them awaited, and checks the size of each batch.
fn check(buffered: usize, awaited: usize, batches: &[usize]) {
    let queue = Queue::default();
    let call = call("alice", "{}".to_owned());
    (0..buffered).for_each(|n| offer(&queue, &call, n % 3 == 0));
    let (_ack, promises) = promise(awaited);
    let promises = promises.into_iter().map(Some).collect();
    let offers = (0..awaited).map(|_| call.clone()).collect();
    queue.offer_all(offers, promises, None).unwrap();
    for expected in batches {
        let batch = queue.take(Some(Duration::ZERO));
        assert_eq!(batch.items.len(), *expected);
        batch.items.into_iter().for_each(|(_, weight)| queue.done(weight));
    }
    assert_eq!(queue.waiting(), (0, 0), "{buffered} {awaited}");
    assert_eq!(queue.accepted.0.load(Ordering::SeqCst), queue.done.0.load(Ordering::SeqCst));
}

#[test]
fn a_batch_is_bounded_where_somebody_waits() {
    check(0, 0, &[0]);
    check(10, 0, &[10]);
    check(10_000, 0, &[10_000]);
    check(0, 3_000, &[AWAITED_ENTRIES_MAX, 3_000 - AWAITED_ENTRIES_MAX]);
    check(3_000, 10, &[AWAITED_ENTRIES_MAX, 3_010 - AWAITED_ENTRIES_MAX]);
}

#[test]
fn a_batch_is_bounded_in_bytes() {
    let queue = Queue::default();
    let call = call("alice", format!("[{}]", "1".repeat(1_000_000)));
    (0..20).for_each(|n| offer(&queue, &call, n % 2 == 0));
    assert_eq!(queue.take(None).items.len(), BATCH_BYTES_MAX.div_ceil(1_001_000));
    queue.take(None);
    assert_eq!(queue.waiting(), (0, 0));
}

#[test]
fn what_is_in_work_counts_until_it_is_done() {
    let queue = Queue::default();
    let calls = ["alice", "bob"].map(|user| call(user, "{}".to_owned()));
    let shed = |queue: &Queue| queue.counts().2.get(&LossReason::QueueFull).copied().unwrap_or(0);
    (0..QUEUE_ENTRIES_MAX + 7).for_each(|n| offer(&queue, &calls[n % 2], false));
    assert_eq!(shed(&queue), 7);
    let batch = queue.take(None);
    assert_eq!(batch.shed, BTreeMap::from([(LossReason::QueueFull, 7)]));
    offer(&queue, &calls[0], true);
    assert_eq!(shed(&queue), 8);
    let first = batch.items.iter().map(|(_, weight)| weight).take(5);
    first.for_each(|weight| queue.done(*weight));
    (0..6).for_each(|_| offer(&queue, &calls[1], false));
    assert_eq!(shed(&queue), 9);
}

#[test]
fn bytes_are_bounded_exactly() {
    let queue = Queue::default();
    let large = call("a", "1".repeat(1_000_000));
    let each = Lent::new(&large, Timestamp::from_millis(0), &REDACTOR).bytes() + size_of::<QueuedItem>();
    (0..100).for_each(|_| offer(&queue, &large, false));
    assert_eq!(queue.waiting(), (QUEUE_BYTES_MAX / each, QUEUE_BYTES_MAX / each * each));
    let left = QUEUE_BYTES_MAX % each - size_of::<QueuedItem>() - "at".len();
    offer(&queue, &call("a", "1".repeat(left + 1)), false);
    assert_eq!(queue.waiting().0, QUEUE_BYTES_MAX / each);
    offer(&queue, &call("a", "1".repeat(left)), false);
    assert_eq!(queue.waiting(), (QUEUE_BYTES_MAX / each + 1, QUEUE_BYTES_MAX));
}

#[test]
fn sums_of_weights_may_pass_the_end_of_the_number() {
    let queue = Queue::default();
    let start = u64::MAX - weight(3, 1_000);
    for counter in [&queue.accepted.0, &queue.done.0, &queue.taken] {
        counter.store(start, Ordering::SeqCst);
    }
    for n in 0..50 {
        offer(&queue, &call(&format!("u{n}"), "{}".to_owned()), n % 2 == 0);
    }
    let users = queue.take(None).items.into_iter().map(|(item, _)| user(item)).collect::<Vec<_>>();
    assert_eq!(users, (0..50).map(|n| format!("u{n}")).collect::<Vec<_>>());
}

/// Runs more callers than there are shards, each with its own numbers, while batches are taken. The entries of each
/// caller stay in order, none is lost, and all entries before a flush are taken before it.
#[test]
fn every_callers_order_stays() {
    const CALLERS: usize = 11;
    const EACH: usize = 3_000;
    let queue = Queue::default();
    let mut next = [0; CALLERS];
    let mut flushes = 0;
    let mut see = |batch: Batch| {
        for (item, weight) in batch.items {
            queue.done(weight);
            if let Item::Flush(promise, close) = item {
                // Each caller flushes after a hundred entries; `next` below checks that these came before.
                flushes += usize::from(!close);
                promise.keep();
                continue;
            }
            let user = user(item);
            let (caller, number) = user.split_once('-').unwrap();
            let caller = caller.parse::<usize>().unwrap();
            assert_eq!(number, next[caller].to_string());
            next[caller] += 1;
        }
        batch.closed
    };
    std::thread::scope(|scope| {
        let callers = (0..CALLERS).map(|caller| {
            let queue = &queue;
            scope.spawn(move || {
                for n in 0..EACH {
                    offer(queue, &call(&format!("{caller}-{n}"), "{}".to_owned()), n % 5 == 0);
                    if n % 100 == 99 {
                        queue.flush().wait().unwrap();
                    }
                }
            })
        });
        let callers = callers.collect::<Vec<_>>();
        while !callers.iter().all(|caller| caller.is_finished()) {
            see(queue.take(Some(Duration::ZERO)));
        }
    });
    let _ack = queue.close();
    offer(&queue, &call("late", "{}".to_owned()), false);
    while !see(queue.take(Some(Duration::ZERO))) {}
    assert_eq!((next, flushes), ([EACH; CALLERS], CALLERS * EACH / 100));
    assert_eq!(queue.counts().2, BTreeMap::from([(LossReason::Closed, 1)]));
}
