//! The disk fails for a while when a torn tail is repaired. Whatever failed, the next start completes the repair: every
//! line is an entry or blank, the bytes are kept in a fragment, and an incident tells it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tooltrail::disk::Disk;
use tooltrail::{Call, Home, Options, Steps};

use crate::dice::Dice;
use crate::histories::{TestClock, TestRandom};
use crate::sim_disk::{Fails, Kill, Machine};

const TORN: &[u8] = b"{\"ts\":\"2026-";

struct World {
    machine: Arc<Machine>,
    clock: Arc<TestClock>,
    path: String,
}

impl World {
    /// Returns a home whose process was killed, with unflushed lines and a torn tail.
    fn new() -> Self {
        let mut world = Self { machine: Machine::new(1), clock: Arc::default(), path: String::new() };
        let mut steps = world.open();
        let ack = steps.recorder().record_durable(vec![Call::new("bob", "t", "{}").ok("x")]).unwrap();
        steps.step();
        ack.wait_for(Duration::ZERO).unwrap();
        world.path = world.machine.day_files().into_iter().find(|(path, _)| path.starts_with("bob")).unwrap().0;
        let path = world.path.split('/').collect::<Vec<_>>();
        world.machine.process().append(&path).unwrap().append(TORN).unwrap();
        world.machine.kill_after(1, Kill::Process);
        steps.step();
        drop(steps);
        world.machine.calm();
        world
    }

    fn open(&self) -> Steps {
        let mut options = Options::new("home");
        options.clock = self.clock.clone();
        options.random = Arc::new(TestRandom(Mutex::new(Dice(1 ^ self.machine.operations()))));
        Steps::open(Home::on(self.machine.process()).unwrap(), options).unwrap()
    }

    /// Records a call, if it can, and closes the home.
    fn work(&self) {
        let mut steps = self.open();
        steps.recorder().record(&Call::new("bob", "t", "{}").ok("y"));
        steps.step();
        steps.idle();
        drop(steps.close());
    }

    fn check(&self, what: &str) {
        let files = self.machine.day_files();
        let (_, bytes) = files.iter().find(|(path, _)| *path == self.path).unwrap();
        for line in String::from_utf8_lossy(bytes).lines() {
            let is_sound = line.trim().is_empty() || serde_json::from_str::<serde_json::Value>(line).is_ok();
            assert!(is_sound, "{what}: the line {line:?} stays");
        }
        // A failed write of our own leaves fragments too.
        let fragments = self.machine.names_in(".tooltrail/fragments/");
        assert!(fragments.iter().any(|name| name.ends_with(".bob")), "{what}: {fragments:?}");
        let told = files.iter().filter(|(path, _)| path.starts_with("_system"));
        let told = told.map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned()).collect::<String>();
        for fragment in fragments {
            assert!(told.contains(&fragment), "{what}: no incident tells {fragment}");
        }
    }
}

#[test]
fn the_next_start_completes_a_repair_that_a_failing_disk_interrupted() {
    let whole = World::new();
    let before = whole.machine.operations();
    whole.work();
    whole.check("undisturbed");
    for after in 1..=whole.machine.operations() - before {
        for count in [2, 5, 1_000] {
            for fails in [Fails::Device, Fails::Space] {
                let world = World::new();
                world.machine.fail_after(after, count, fails);
                world.work();
                world.machine.calm();
                world.work();
                world.check(&format!("{count} operations fail from {after} on: {fails:?}"));
            }
        }
    }
}
