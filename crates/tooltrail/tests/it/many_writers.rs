//! Many recorders that share one home, as the proxies of an agent's tool servers do.

use std::path::Path;
use std::time::{Duration, Instant};

use tooltrail::{Call, Outcome, Recorder};

/// The number of recorders: five clients with ten servers each, and room to spare.
const WRITERS: usize = 128;

/// The longest wait until idle writers have given their slots back. They do it about three seconds after the last line.
const REST_WAIT: Duration = Duration::from_secs(20);

/// Returns how many segments have an owner: 16 bytes after the magic number of eight bytes, and zeros if nobody owns it.
fn owned_segments(home: &Path) -> usize {
    let files = std::fs::read_dir(home.join(".tooltrail/journal")).unwrap().flatten();
    let segments = files.filter(|file| file.path().extension().is_some_and(|extension| extension == "segment"));
    let is_owned = |bytes: Vec<u8>| bytes.len() >= 24 && bytes[8..24].iter().any(|byte| *byte != 0);
    segments.filter(|file| is_owned(std::fs::read(file.path()).unwrap())).count()
}

#[test]
fn each_writer_notes_its_calls_durably_and_an_idle_one_gives_its_slot_back() {
    let home = tempfile::tempdir().unwrap();
    let recorders = (0..WRITERS).map(|_| Recorder::open(home.path()).unwrap()).collect::<Vec<_>>();
    let begun = recorders.iter().enumerate().map(|(n, recorder)| {
        let call = Call::new("alice", format!("tool{n}"), "{}");
        recorder.begin_durable(call).unwrap()
    });
    let begun = begun.collect::<Vec<_>>();
    let mut open = Vec::new();
    for (call, ack) in begun {
        ack.wait().unwrap();
        open.push(call);
    }
    assert_eq!(owned_segments(home.path()), WRITERS, "each writer holds a slot while its call is open");
    for call in open {
        call.finish(Outcome::ok("done")).unwrap().wait().unwrap();
    }

    let since = Instant::now();
    while owned_segments(home.path()) > 0 {
        assert!(since.elapsed() < REST_WAIT, "{} slots are still held", owned_segments(home.path()));
        std::thread::sleep(Duration::from_millis(100));
    }
    // The writers take a slot again when they need one.
    let ack = recorders[0].record_durable(vec![Call::new("alice", "again", "{}").ok("")]).unwrap();
    ack.wait().unwrap();
    assert_eq!(owned_segments(home.path()), 1);
    recorders.iter().for_each(|recorder| recorder.close().unwrap());
    let day = std::fs::read_dir(home.path().join("alice/tool_audit")).unwrap().flatten().next().unwrap();
    assert_eq!(std::fs::read_to_string(day.path()).unwrap().lines().count(), WRITERS + 1);
}
