//! Changes files of a sealed home in random ways. Each change of what was sealed must be found, whatever it is, and a
//! home that nobody has changed must verify.
//!
//! `TOOLTRAIL_MUTATIONS` sets the number of mutations, `TOOLTRAIL_SEED` selects a single one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tooltrail::seal::{EraseWhat, LogOwner, Remembered, Report, Verdict, Verify};
use tooltrail::{Call, Clock as _, Home, Options, Recorder, SystemClock};

use crate::dice::Dice;
use crate::histories::TestClock;

/// The number of mutations in the test suite.
const MUTATIONS: u64 = 1_000;

/// All files of a home and of its keys, by their paths.
type Files = BTreeMap<PathBuf, Vec<u8>>;

pub(crate) struct World {
    folder: tempfile::TempDir,
    clock: Arc<TestClock>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), clock: Arc::default() }
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    pub(crate) fn options(&self) -> Options {
        let mut options = Options::new(self.home());
        options.keys = Some(self.folder.path().join("keys"));
        options.clock = self.clock.clone();
        options
    }

    pub(crate) fn record(&self, recorder: &Recorder, user: &str, lines: u64) {
        for n in 0..lines {
            self.clock.0.fetch_add(17, Ordering::Relaxed);
            recorder.record(&Call::new(user, "fs.read", format!(r#"{{"path":"{user}-{n}.txt"}}"#)).ok("hello"));
        }
    }

    /// Makes a home with two users, several days and several heads.
    fn fill(&self) {
        for round in 0..6_u64 {
            let recorder = self.options().open().unwrap();
            for user in ["alice", "bob"] {
                self.record(&recorder, user, 3 + round);
            }
            recorder.close().unwrap();
            // Half a day.
            self.clock.0.fetch_add(43_200_000, Ordering::Relaxed);
        }
    }

    pub(crate) fn verify(&self) -> Result<Report, String> {
        self.verify_with(|_| {})
    }

    fn verify_with(&self, set: impl FnOnce(&mut Verify)) -> Result<Report, String> {
        let home = Home::open(self.home()).map_err(|error| error.message())?;
        let mut verify = Verify::default();
        verify.keys = Some(self.folder.path().join("keys"));
        // The files are of another time than the clock of this test.
        verify.max_tail = Duration::from_secs(u64::MAX / 4);
        set(&mut verify);
        verify.run(&home, &SystemClock::default(), &|_| {}).map_err(|error| error.message())
    }

    fn files(&self) -> Files {
        let mut files = Files::new();
        read(self.folder.path(), self.folder.path(), &mut files);
        files
    }

    /// Makes the folder hold exactly these files.
    fn restore(&self, files: &Files) {
        for entry in fs::read_dir(self.folder.path()).unwrap() {
            fs::remove_dir_all(entry.unwrap().path()).unwrap();
        }
        for (path, bytes) in files {
            let path = self.folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
}

fn read(root: &Path, folder: &Path, files: &mut Files) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(root, &path, files);
        } else {
            files.insert(path.strip_prefix(root).unwrap().to_owned(), fs::read(&path).unwrap());
        }
    }
}

/// Whether a file can be lost without loss: what is computed from other files, or is not about what was sealed.
fn is_cache(path: &str) -> bool {
    let own = path.strip_prefix("home/.tooltrail/");
    let is_log_cache = |own: &str| own.starts_with("log/hashes-") || own == "log/bundles";
    let is_other = |own: &str| {
        ["seal/", "journal/", "late/", "changed/", "touched/", "erased.applied", "probe", "format"]
            .iter()
            .any(|begin| own.starts_with(begin))
            || own.ends_with(".lock")
    };
    own.is_some_and(|own| is_log_cache(own) || is_other(own))
        || path.starts_with("keys/redact")
        || path == "keys/log.lock"
}

/// Changes one file in a random way. Returns what was done, `None` if nothing is different.
fn mutate(files: &mut Files, dice: &mut Dice) -> Option<(String, String)> {
    let at = |dice: &mut Dice, len: usize| usize::try_from(dice.below(len as u64)).unwrap();
    // With another format, nothing reads the home at all.
    let names = files.keys().filter(|path| !path.ends_with(".tooltrail/format")).cloned().collect::<Vec<_>>();
    let path = names[at(dice, names.len())].clone();
    let before = files.clone();
    let bytes = files.get_mut(&path).unwrap();
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>();
    let what = match dice.below(11) {
        0 => {
            files.remove(&path);
            "removed"
        }
        1 => {
            let other = names[at(dice, names.len())].clone();
            let moved = files.remove(&path).unwrap();
            let swapped = files.insert(other, moved);
            files.extend(swapped.map(|bytes| (path.clone(), bytes)));
            "swapped"
        }
        2 if !bytes.is_empty() => {
            let at = at(dice, bytes.len());
            bytes.truncate(at);
            "cut"
        }
        3 | 4 if !bytes.is_empty() => {
            let at = at(dice, bytes.len());
            bytes[at] ^= 1 << dice.below(8);
            "one bit"
        }
        5 if !lines.is_empty() => {
            let at = at(dice, lines.len());
            lines.remove(at);
            *bytes = lines.concat();
            "a line less"
        }
        6 if !lines.is_empty() => {
            let (from, to) = (at(dice, lines.len()), at(dice, lines.len()));
            let line = lines[from].clone();
            lines.insert(to, line);
            *bytes = lines.concat();
            "a line twice"
        }
        7 if lines.len() > 1 => {
            let (a, b) = (at(dice, lines.len()), at(dice, lines.len()));
            lines.swap(a, b);
            *bytes = lines.concat();
            "lines swapped"
        }
        8 => {
            let at = at(dice, bytes.len() + 1);
            bytes.splice(at..at, b"{\"x\":1}\n".to_vec());
            "bytes inserted"
        }
        9 => {
            let folder = path.components().next().unwrap().as_os_str().to_owned();
            files.retain(|path, _| !path.starts_with(&folder) || path.components().count() < 3);
            "folders removed"
        }
        _ => {
            bytes.extend(b"appended\n");
            "appended"
        }
    };
    (before != *files).then(|| (path.to_string_lossy().into_owned(), what.to_owned()))
}

#[test]
fn each_mutation_of_what_was_sealed_is_found() {
    let world = World::new();
    world.fill();
    let files = world.files();
    assert_eq!(world.verify().unwrap().verdict, Verdict::Ok);
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("TOOLTRAIL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("TOOLTRAIL_MUTATIONS").unwrap_or(MUTATIONS),
    };
    let (mut found, mut harmless) = (0, 0);
    for seed in seeds {
        let mut changed = files.clone();
        let Some((path, what)) = mutate(&mut changed, &mut Dice(seed)) else { continue };
        world.restore(&changed);
        let report = world.verify();
        let verdict = report.as_ref().map_or("could not", |report| report.verdict.as_str());
        let is_good = report.as_ref().is_ok_and(|report| report.verdict.is_good());
        // What differs from before, without the files that do not matter.
        let matters = |files: &Files| {
            let kept = files.iter().filter(|(path, _)| !is_cache(&path.to_string_lossy()));
            // White space around the home's id is no part of it.
            let bytes = |path: &Path, bytes: &Vec<u8>| {
                if path.ends_with(".tooltrail/id") { bytes.trim_ascii().to_vec() } else { bytes.clone() }
            };
            kept.map(|(path, content)| (path.clone(), bytes(path, content))).collect::<Files>()
        };
        let (before, after) = (matters(&files), matters(&changed));
        // A longer day file is a tail, and what follows the signed entries is not part of the log.
        let only_grew = before.keys().eq(after.keys())
            && before
                .iter()
                .all(|(path, bytes)| after[path].starts_with(bytes) && (after[path] == *bytes || is_growing(path)));
        let is_harmless = before == after || only_grew || is_unsealed_change(&before, &after);
        if is_harmless {
            harmless += 1;
            assert!(is_good, "TOOLTRAIL_SEED={seed}: {path} {what}: {verdict}: {report:#?}");
        } else {
            found += 1;
            assert!(!is_good, "TOOLTRAIL_SEED={seed}: {path} {what}: {verdict}");
        }
    }
    eprintln!("{found} mutations found, {harmless} of what does not matter");
}

/// Whether bytes after what was sealed are no change of it.
fn is_growing(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "jsonl") || path.ends_with("log/entries")
}

/// Whether nothing that a verifier needs was changed: the home's format and id are read by those who write.
fn is_unsealed_change(before: &Files, after: &Files) -> bool {
    let differs = before.keys().chain(after.keys()).filter(|path| before.get(*path) != after.get(*path));
    // Keys that are not there are not needed: the verifier key is in the home too.
    let mut differs = differs.peekable();
    differs.peek().is_some()
        && differs.all(|path| {
            let is_gone = !after.contains_key(path);
            let name = path.to_string_lossy();
            is_gone && (name == "keys/checkpoint" || name.starts_with("keys/log-")) || is_extra(&name, before, after)
        })
}

/// Whether a new file stands where nobody looks.
fn is_extra(path: &str, before: &Files, _after: &Files) -> bool {
    !before.contains_key(Path::new(path)) && !path.ends_with(".jsonl") && !path.starts_with("keys/log-")
}

#[test]
fn a_home_that_was_set_back_is_found_by_each_memory_alone() {
    let world = World::new();
    world.fill();
    let old = world.files();
    let recorder = world.options().open().unwrap();
    world.record(&recorder, "alice", 20);
    recorder.close().unwrap();
    let now = world.verify().unwrap();
    let remembered = now.to_remember().unwrap();
    let beside = fs::read_to_string(world.folder.path().join("keys/checkpoint")).unwrap();
    world.restore(&old);
    // The old copy alone is in order; nobody can tell without a memory.
    assert_eq!(world.verify().unwrap().verdict, Verdict::Ok);
    let by = |set: &dyn Fn(&mut Verify)| world.verify_with(|verify| set(verify)).unwrap().verdict;
    assert_eq!(by(&|verify| verify.remembered = Some(remembered.clone())), Verdict::RolledBack);
    assert_eq!(by(&|verify| verify.checkpoint = Some(remembered.checkpoint.clone())), Verdict::RolledBack);
    // The home alone was set back, without the keys.
    fs::write(world.folder.path().join("keys/checkpoint"), &beside).unwrap();
    assert_eq!(by(&|_| {}), Verdict::RolledBack);
    // It goes on recording, and signs nothing.
    let recorder = world.options().open().unwrap();
    world.record(&recorder, "alice", 5);
    recorder.close().unwrap();
    assert!(recorder.seal_status().trouble.is_some_and(|why| why.contains("log restart")));
    assert_eq!(fs::read_to_string(world.folder.path().join("keys/checkpoint")).unwrap(), beside);
    assert_eq!(by(&|_| {}), Verdict::RolledBack);
    // Its owner begins a new log, and whoever remembers the old one is told.
    let home = Home::open(world.home()).unwrap();
    LogOwner::open(&world.options(), &home).unwrap().restart("me", "restored").unwrap();
    let recorder = world.options().open().unwrap();
    world.record(&recorder, "alice", 1);
    recorder.close().unwrap();
    assert_eq!(by(&|_| {}), Verdict::Ok);
    assert_eq!(by(&|verify| verify.remembered = Some(remembered.clone())), Verdict::Forked);
}

#[test]
fn a_copy_that_goes_on_signs_no_second_history() {
    let (world, copy) = (World::new(), World::new());
    world.fill();
    let home = world.files().into_iter().filter(|(path, _)| path.starts_with("home")).collect::<Files>();
    copy.restore(&home);
    let copied = || {
        let mut options = copy.options();
        options.keys = Some(world.folder.path().join("keys"));
        options.clock = world.clock.clone();
        options.open().unwrap()
    };
    // The copy is the first that goes on; then the original must not.
    let recorder = copied();
    world.record(&recorder, "alice", 9);
    recorder.close().unwrap();
    assert_eq!(recorder.seal_status().trouble, None);
    let recorder = world.options().open().unwrap();
    world.record(&recorder, "alice", 9);
    recorder.close().unwrap();
    assert!(recorder.seal_status().trouble.is_some());
    assert_eq!(world.verify().unwrap().verdict, Verdict::RolledBack);
}

#[test]
fn keys_change_and_verifiers_follow() {
    let world = World::new();
    world.fill();
    let first = world.verify().unwrap().to_remember().unwrap();
    let home = Home::open(world.home()).unwrap();
    let owner = LogOwner::open(&world.options(), &home).unwrap();
    let mut remembered = first.clone();
    for _ in 0..3 {
        let key = owner.rotate_key("me", "").unwrap();
        let recorder = world.options().open().unwrap();
        world.record(&recorder, "bob", 9);
        recorder.close().unwrap();
        for known in [&first, &remembered] {
            let report = world.verify_with(|verify| verify.remembered = Some(known.clone())).unwrap();
            assert_eq!((report.verdict, report.to_remember().unwrap().key), (Verdict::Ok, key.clone()), "{report:#?}");
        }
        remembered =
            world.verify_with(|verify| verify.remembered = Some(remembered.clone())).unwrap().to_remember().unwrap();
    }
    // Whoever has stolen the first key cannot sign what comes after it.
    fs::rename(world.home().join(".tooltrail/log/keys"), world.folder.path().join("keys-away")).unwrap();
    let by_first = world.verify_with(|verify| verify.key = Some(first.key.clone())).unwrap();
    assert_eq!(by_first.verdict, Verdict::BadSignature);
    fs::rename(world.folder.path().join("keys-away"), world.home().join(".tooltrail/log/keys")).unwrap();
    for number in 1..=4 {
        fs::remove_file(world.folder.path().join(format!("keys/log-{number}.key"))).unwrap();
    }
    let key = owner.replace_lost_key("me", "lost").unwrap();
    let known = |key: Option<_>| {
        world.verify_with(|verify| {
            verify.key = key;
            verify.remembered =
                Some(Remembered { key: remembered.key.clone(), checkpoint: remembered.checkpoint.clone() });
        })
    };
    assert_eq!(known(Some(key)).unwrap().verdict, Verdict::Ok);
    assert_eq!(known(None).unwrap().verdict, Verdict::Forked);
}

#[test]
fn a_file_that_another_process_has_just_made_is_left_to_it() {
    let world = World::new();
    world.fill();
    let file = world.home().join("carol/tool_audit/2026-01-01.jsonl");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    // The files of this world are not as old as its clock says, so some of them may have been taken for those of others.
    let before = world.verify().unwrap().counts.adopted;
    fs::write(&file, "{\"tool\":\"t\"}\n").unwrap();
    for (age_s, tail_lines, adopted) in [(0, 1, 0), (10, 0, 1)] {
        let now = Duration::from_millis(world.clock.now().as_millis().unsigned_abs());
        let modified = std::time::UNIX_EPOCH + now - Duration::from_secs(age_s);
        fs::File::options().write(true).open(&file).unwrap().set_modified(modified).unwrap();
        let recorder = world.options().open().unwrap();
        world.record(&recorder, "alice", 1);
        recorder.close().unwrap();
        let counts = world.verify().unwrap().counts;
        assert_eq!((counts.tail_lines, counts.adopted - before), (tail_lines, adopted), "{age_s} s");
    }
}

#[test]
fn a_checkpoint_from_before_a_new_key_holds_up_no_sealing() {
    let world = World::new();
    world.fill();
    let before = fs::read(world.home().join(".tooltrail/log/checkpoint")).unwrap();
    let home = Home::open(world.home()).unwrap();
    LogOwner::open(&world.options(), &home).unwrap().rotate_key("me", "").unwrap();
    fs::write(world.home().join(".tooltrail/log/checkpoint"), before).unwrap();
    let recorder = world.options().open().unwrap();
    world.record(&recorder, "bob", 9);
    recorder.close().unwrap();
    assert_eq!(recorder.seal_status().trouble, None);
    assert_eq!(world.verify().unwrap().verdict, Verdict::Ok);
}

#[test]
fn an_old_file_that_does_not_fit_into_a_round_is_sealed_wholly() {
    let world = World::new();
    world.fill();
    // It takes three rounds, because one reads at most 64 MiB of a file. No list names the file of another program.
    let folder = world.home().join("seed/tool_audit");
    fs::create_dir_all(&folder).unwrap();
    let day = world.clock.now().date().plus_days(-30);
    fs::write(folder.join(format!("{day}.jsonl")), [vec![b'x'; 60_000], b"\n".to_vec()].concat().repeat(2_400))
        .unwrap();
    let home = Home::open(world.home()).unwrap();
    let owner = LogOwner::open(&world.options(), &home).unwrap();
    let recorder = world.options().open().unwrap();
    // Before anything is erased, everything is sealed.
    let id = world.files().iter().find_map(|(path, bytes)| {
        let text = String::from_utf8_lossy(bytes);
        let id = text.split_once("\"id\":\"").filter(|_| path.starts_with("home/alice"))?.1;
        tooltrail::EntryId::parse(&id[..36])
    });
    owner.erase(&recorder, &EraseWhat::Entry(id.unwrap()), "me", "test", false).unwrap();
    let report = world.verify().unwrap();
    // The entry about the erasure itself is not sealed yet.
    assert!(report.verdict == Verdict::Erased && report.counts.tail_lines <= 1, "{:?}", report.counts);
    recorder.close().unwrap();
}

#[test]
fn what_is_recorded_after_an_erasure_is_not_erased_again() {
    let world = World::new();
    world.fill();
    let erase = |user: &str| {
        let recorder = world.options().open().unwrap();
        let owner = LogOwner::open(&world.options(), &Home::open(world.home()).unwrap()).unwrap();
        let dates = fs::read_dir(world.home().join(user).join("tool_audit")).unwrap();
        for date in dates.flatten().map(|file| file.file_name().to_string_lossy()[..10].to_owned()).collect::<Vec<_>>()
        {
            let what = EraseWhat::User { user: user.to_owned(), day: tooltrail::Date::parse(&date) };
            assert_eq!(owner.erase(&recorder, &what, "me", "asked", false).unwrap().files, 1);
        }
        recorder.close().unwrap();
    };
    erase("alice");
    let record = || {
        let recorder = world.options().open().unwrap();
        world.record(&recorder, "alice", 9);
        recorder.close().unwrap();
    };
    record();
    let days = |files: &Files| {
        let alice = files.iter().filter(|(path, _)| path.starts_with("home/alice"));
        alice.map(|(path, bytes)| (path.clone(), bytes.clone())).collect::<Files>()
    };
    let after = world.files();
    assert!(!days(&after).is_empty());
    // Whatever a killed process leaves: the erasures are looked at again.
    let aside = world.home().join(".tooltrail/erased.applied");
    for note in ["", "file 2026-01-01 alice\nfolder alice\n"] {
        fs::remove_file(&aside).unwrap();
        if !note.is_empty() {
            fs::write(world.home().join(".tooltrail/erasing"), note).unwrap();
        }
        world.options().open().unwrap().close().unwrap();
        assert_eq!(days(&world.files()), days(&after));
        assert_eq!(world.verify().unwrap().verdict, Verdict::Erased);
    }
    erase("bob");
    assert_eq!(days(&world.files()), days(&after));
}

#[test]
fn what_is_erased_is_gone_and_all_else_verifies() {
    let world = World::new();
    world.fill();
    let line = |path: &str| fs::read_to_string(world.home().join(path)).unwrap().lines().nth(2).unwrap().to_owned();
    let day = world.files().keys().find(|path| path.starts_with("home/alice")).unwrap().clone();
    let day = day.strip_prefix("home").unwrap().to_string_lossy().into_owned();
    let entry = line(&day);
    let id = entry.split("\"id\":\"").nth(1).unwrap()[..36].to_owned();
    let before = world.files();
    let erase = |what: &EraseWhat| {
        let recorder = world.options().open().unwrap();
        let home = Home::open(world.home()).unwrap();
        let owner = LogOwner::open(&world.options(), &home).unwrap();
        let erased = owner.erase(&recorder, what, "me", "asked", false).unwrap();
        recorder.close().unwrap();
        erased
    };
    let one = erase(&EraseWhat::Entry(tooltrail::EntryId::parse(&id).unwrap()));
    assert_eq!((one.entries, one.files, one.without_salt, one.left_in.len()), (1, 0, 0, 0));
    let canaries = |files: &Files, needle: &str| {
        let holds = |bytes: &[u8]| bytes.windows(needle.len()).any(|part| part == needle.as_bytes());
        files.iter().filter(|(_, bytes)| holds(bytes)).map(|(path, _)| path.clone()).collect::<Vec<_>>()
    };
    let salt = entry.split("\"salt\":\"").nth(1).unwrap()[..22].to_owned();
    assert!(canaries(&world.files(), &salt).is_empty(), "{:?}", canaries(&world.files(), &salt));
    let report = world.verify().unwrap();
    assert_eq!(report.verdict, Verdict::Erased, "{report:#?}");
    assert_eq!(report.findings.len(), 1);
    // The original bytes, and a forged erasure beside the real one, are findings.
    let after = world.files();
    let mut put_back = after.clone();
    put_back.insert(PathBuf::from("home").join(&day), before[&PathBuf::from("home").join(&day)].clone());
    world.restore(&put_back);
    assert_eq!(world.verify().unwrap().verdict, Verdict::Modified);
    // A backup from before the erasure is cleaned when it is opened for writing.
    world.restore(&before);
    let erased = after.get(Path::new("keys/erased.jsonl")).unwrap();
    fs::write(world.folder.path().join("keys/erased.jsonl"), erased).unwrap();
    world.options().open().unwrap().close().unwrap();
    assert!(canaries(&world.files(), &salt).iter().all(|path| path.to_string_lossy().contains("journal")));
    world.restore(&after);
    // All of a user.
    let all = erase(&EraseWhat::User { user: "bob".to_owned(), day: None });
    assert!(all.files >= 2 && all.left_in.is_empty(), "{all:?}");
    assert!(!world.home().join("bob").exists() && !world.home().join(".tooltrail/names/bob").exists());
    let report = world.verify().unwrap();
    assert_eq!(report.verdict, Verdict::Erased, "{report:#?}");
    // The same without a record is found.
    world.restore(&after);
    fs::remove_dir_all(world.home().join("bob")).unwrap();
    fs::remove_file(world.home().join(".tooltrail/names/bob")).unwrap();
    assert_eq!(world.verify().unwrap().verdict, Verdict::Missing);
}
