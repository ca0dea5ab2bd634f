//! A witness is interrupted by a kill or a power cut at every operation on its disk. It never cosigns two histories of
//! one log, and it never forgets what it has answered.

use std::path::Path;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use tlog_tiles::tlog;
use tooltrail::seal::{KeyKind, SignerKey, Witness, WitnessAnswer};

use crate::dice::Dice;
use crate::histories::TestRandom;
use crate::sealed_world::Folder;
use crate::sim_disk::{Kill, Machine};

const ORIGIN: &str = "example.com/log";

/// The number of entries that both histories of the log share.
const SHARED: u64 = 5;

/// The hashes of a history as `tlog_tiles` stores them.
struct History(Vec<tlog::Hash>);

impl tlog::HashReader for History {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog::Hash>, tlog::Error> {
        Ok(indexes.iter().map(|index| self.0[usize::try_from(*index).unwrap()]).collect())
    }
}

impl History {
    fn new(name: &str) -> Self {
        let mut history = Self(Vec::new());
        for n in 0..20 {
            let entry = if n < SHARED { n.to_string() } else { format!("{name} {n}") };
            let new = tlog::stored_hashes(n, entry.as_bytes(), &history).unwrap();
            history.0.extend(new);
        }
        history
    }

    /// Returns a request to cosign the first `size` entries after the first `old`.
    fn body(&self, old: u64, size: u64, log: &SignerKey) -> String {
        let encode = |hash: &tlog::Hash| base64::engine::general_purpose::STANDARD.encode(hash.0);
        let proof = match old {
            0 => Vec::new(),
            _ if old == size => Vec::new(),
            _ => tlog::prove_tree(size, old, self).unwrap(),
        };
        let proof = proof.iter().map(|hash| encode(hash) + "\n").collect::<String>();
        let text = format!("{ORIGIN}\n{size}\n{}\n", encode(&tlog::tree_hash(size, self).unwrap()));
        format!("old {old}\n{proof}\n{text}\n{}", log.line(&text, 0))
    }
}

struct World {
    machine: Arc<Machine>,
    log: SignerKey,
    histories: [History; 2],
}

impl World {
    fn new(seed: u64) -> Self {
        let log = SignerKey::new(ORIGIN, KeyKind::Log, &[1; 32]);
        Self { machine: Machine::new(seed), log, histories: [History::new("one"), History::new("other")] }
    }

    /// Starts the witness. `None` if it was ended meanwhile.
    fn open(&self) -> Option<Witness> {
        let disk = Box::new(Folder(self.machine.process()));
        let random = TestRandom(Mutex::new(Dice(self.machine.operations())));
        Witness::on(disk, Path::new("witness"), "w.example/1", vec![self.log.verifier()], &random).ok()
    }

    /// Asks for the sizes of one history, each from the one before. Returns the largest size that was cosigned.
    fn ask(&self, witness: &Witness, history: usize, sizes: &[u64]) -> u64 {
        let mut cosigned = 0;
        for pair in sizes.windows(2) {
            let body = self.histories[history].body(pair[0], pair[1], &self.log);
            if let Ok(WitnessAnswer::Cosigned(_)) = witness.add_checkpoint(body.as_bytes(), 1_764_000_000) {
                cosigned = pair[1];
            }
        }
        cosigned
    }

    /// Returns the size that a witness has cosigned: it names it when it is asked from another one.
    fn size(&self, witness: &Witness) -> u64 {
        match witness.add_checkpoint(self.histories[0].body(19, 20, &self.log).as_bytes(), 1).unwrap() {
            WitnessAnswer::Conflict(size) => size,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_witness_that_was_ended_at_any_step_never_cosigns_two_histories() {
    let sizes = [0, SHARED, 9, 14];
    let undisturbed = World::new(3);
    let witness = undisturbed.open().unwrap();
    assert_eq!(undisturbed.ask(&witness, 0, &sizes), 14);
    let operations = undisturbed.machine.operations();
    let mut ended = 0;
    for after in 1..=operations {
        for kill in [Kill::Process, Kill::Power] {
            let what = format!("{kill:?} at {after}");
            let world = World::new(after);
            world.machine.kill_after(after, kill);
            let before = world.open();
            let key = before.as_ref().map(Witness::key);
            let answered = before.map_or(0, |witness| world.ask(&witness, 0, &sizes));
            ended += u32::from(world.machine.calm() == Some(kill));
            let witness = world.open().unwrap();
            // A key that has signed nothing may be another one.
            assert!(answered == 0 || key.is_some_and(|key| key == witness.key()), "{what}: another key");
            let stored = world.size(&witness);
            assert!(stored >= answered, "{what}: it answered for {answered}, and knows {stored}");
            // The other history can follow only what both share.
            let next = sizes.iter().copied().find(|size| *size > stored).unwrap_or(20);
            let other = world.ask(&witness, 1, &[stored, next]);
            assert!(stored <= SHARED || other == 0, "{what}: cosigned {next} of the other history after {stored}");
            let one = world.ask(&witness, 0, &[stored.max(other), 20]);
            assert!(other <= SHARED || one == 0, "{what}: cosigned both histories");
            // What it has answered now holds after a power cut, too.
            world.machine.cut_power();
            let last = world.size(&world.open().unwrap());
            assert!(last >= one.max(other).max(stored), "{what}: forgot {one} or {other}, and knows {last}");
        }
    }
    assert_eq!(u64::from(ended), 2 * operations);
}
