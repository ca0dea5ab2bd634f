//! One user with very many calls among users with few: the other users do not wait for its calls and still find room in
//! the queue.

use std::time::Duration;

use tooltrail::{Call, Home, LossReason, Options, Recorder, Steps};

fn call(user: &str) -> Call {
    Call::new(user, "t", "{}").ok("x")
}

fn durable(recorder: &Recorder, user: &str) -> tooltrail::Ack {
    recorder.record_durable(vec![call(user)]).unwrap()
}

#[test]
fn a_quiet_user_neither_waits_nor_finds_the_queue_full() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::create(folder.path(), false).unwrap();
    let mut steps = Steps::open(home, Options::new(folder.path())).unwrap();
    let lost =
        |steps: &Steps| steps.recorder().counters().lost_entries.get(&LossReason::QueueFull).copied().unwrap_or(0);
    for _ in 0..60_000 {
        steps.recorder().record(&call("noisy"));
    }
    let quiet = durable(steps.recorder(), "quiet");
    let noisy = durable(steps.recorder(), "noisy");
    steps.step();
    quiet.wait_for(Duration::ZERO).unwrap();
    assert!(noisy.wait_for(Duration::ZERO).is_err(), "sixty thousand stand before it");
    // All waiting calls belong to `noisy`: its next calls are refused, calls of other users are not.
    assert_eq!(lost(&steps), 0);
    steps.recorder().record(&call("noisy"));
    assert_eq!(lost(&steps), 1);
    assert!(steps.recorder().record_durable(vec![call("noisy")]).is_err());
    for _ in 0..1_000 {
        steps.recorder().record(&call("quiet"));
    }
    let other = durable(steps.recorder(), "other");
    assert_eq!(lost(&steps), 1);
    steps.step();
    other.wait_for(Duration::ZERO).unwrap();
    // At the end all accepted calls are stored, and a gap entry reports the call that was refused.
    let flushed = steps.close();
    for _ in 0..100 {
        steps.step();
    }
    let told = flushed.wait_for(Duration::ZERO);
    assert!(matches!(told, Err(tooltrail::Error::Unwritten { entries: 1, .. })), "{told:?}");
    assert_eq!(steps.recorder().counters().written_entries, 60_000 + 1_000 + 3 + 1);
}
