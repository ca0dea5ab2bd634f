//! The test vectors of the proof, which a script of another implementation made from the specification.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tooltrail::seal::{Finding, Proof, Remembered, VerifierKey, Verify};
use tooltrail::{Clock, Date, Error, Home, Timestamp, folder_of};

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/proof/v1");

#[derive(Debug)]
struct At(i64);

impl Clock for At {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0)
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

/// What a case gives: the verdict (`None` if it could not be verified) and the findings as file and line.
type Given = (Option<&'static str>, BTreeSet<(String, String, u64)>);

/// Copies a case, because its files get the times that the case names.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.as_ref().unwrap().file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).unwrap();
        }
    }
}

fn set_times(home: &Path, case: &Value) {
    let now = case["args"]["now"].as_i64().unwrap();
    let usual = SystemTime::UNIX_EPOCH + Duration::from_millis((now - 3_600_000).unsigned_abs());
    let mut folders = vec![home.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                File::options().append(true).open(path).unwrap().set_modified(usual).unwrap();
            }
        }
    }
    for (path, ms) in case["mtimes"].as_object().unwrap() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(ms.as_u64().unwrap());
        File::options().append(true).open(home.join(path)).unwrap().set_modified(at).unwrap();
    }
}

/// Reads what an option names: the text itself, or that of a file of the case.
fn text_of(folder: &Path, value: &Value) -> Option<String> {
    let text = value.as_str()?;
    let file = folder.join(text);
    Some(if file.is_file() { fs::read_to_string(file).ok()? } else { text.to_owned() })
}

fn proved(folder: &Path, args: &Value) -> Option<Given> {
    let proof = Proof::parse(&fs::read_to_string(folder.join(args["proof"].as_str()?)).ok()?)?;
    let checked = proof.check(&VerifierKey::parse(text_of(folder, &args["key"])?.trim_end())?);
    Some((Some(checked.verdict.as_str()), BTreeSet::new()))
}

fn verified(folder: &Path, args: &Value) -> Result<Given, Error> {
    let home = Home::open(folder.join("home"))?;
    let mut verify = Verify::default();
    let key = |value: &Value| text_of(folder, value).map(|text| VerifierKey::parse(text.trim_end()));
    let bad = || Error::Busy;
    verify.key = key(&args["key"]).map(|key| key.ok_or_else(bad)).transpose()?;
    verify.keys = args["keys"].as_str().map(|keys| folder.join(keys));
    let read = |value: &Value| value.as_str().map(|file| fs::read(folder.join(file)).unwrap());
    verify.checkpoint = read(&args["checkpoint"]).map(|note| String::from_utf8_lossy(&note).into_owned());
    if let Some(text) = read(&args["remembered"]) {
        let text = String::from_utf8_lossy(&text).into_owned();
        match text.split_once('\n').and_then(|(first, note)| Some((VerifierKey::parse(first)?, note))) {
            Some((key, note)) => verify.remembered = Some(Remembered { key, checkpoint: note.to_owned() }),
            // Ours always remembers the key too.
            None => verify.checkpoint = Some(text),
        }
    }
    for witness in args["witness"].as_array().into_iter().flatten() {
        verify.witnesses.push(key(witness).flatten().ok_or_else(bad)?);
    }
    if let Some(users) = args["user"].as_array() {
        verify.folders = Some(users.iter().map(|user| folder_of(user.as_str().unwrap())).collect());
    }
    let date = |value: &Value| value.as_str().map(|date| Date::parse(date).unwrap());
    verify.days = (date(&args["from"]), date(&args["to"]));
    if let Some(seconds) = args["max_tail"].as_u64() {
        verify.max_tail = Duration::from_secs(seconds);
    }
    let report = verify.run(&home, &At(args["now"].as_i64().unwrap()), &|_| {})?;
    let findings = report.findings.iter().map(|Finding { verdict, file, lines, .. }| {
        let line = lines.map_or(0, |(from, _)| from);
        (verdict.as_str().to_owned(), file.clone().unwrap_or_default(), line)
    });
    Ok((Some(report.verdict.as_str()), findings.collect()))
}

#[test]
fn each_vector_has_its_verdict() {
    let mut names = fs::read_dir(VECTORS).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<PathBuf>>();
    names.sort();
    let mut wrong = Vec::new();
    for from in &names {
        let name = from.file_name().unwrap().to_string_lossy().into_owned();
        let case = serde_json::from_slice::<Value>(&fs::read(from.join("case.json")).unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        copy(from, folder.path());
        let args = &case["args"];
        if args["proof"].is_null() {
            set_times(&folder.path().join("home"), &case);
        }
        let given = match args["proof"].as_str() {
            Some(_) => proved(folder.path(), args).unwrap_or_default(),
            None => verified(folder.path(), args).unwrap_or_default(),
        };
        let want = case["verdict"].as_str().filter(|_| case["exit"] != 2);
        if given.0 != want {
            wrong.push(format!("{name}: {:?}, not {want:?}: {} {:?}", given.0, case["why"], given.1));
            continue;
        }
        // Tails are no findings of ours, and a log without a file has no name there.
        let findings = case["findings"].as_array().into_iter().flatten().map(|finding| {
            let text = |at: usize| finding[at].as_str().unwrap_or_default().to_owned();
            (text(0), text(1).trim_end_matches(".jsonl").replace("/tool_audit", ""), finding[2].as_u64().unwrap_or(0))
        });
        let want = findings.filter(|(word, ..)| word != "ok-unsealed-tail").collect::<BTreeSet<_>>();
        let without_lines = |found: &BTreeSet<(String, String, u64)>| {
            found.iter().map(|(word, file, _)| (word.clone(), file.clone())).collect::<BTreeSet<_>>()
        };
        if given.0.is_some() && args["proof"].is_null() && without_lines(&want) != without_lines(&given.1) {
            wrong.push(format!("{name}: {:?}, not {want:?}", given.1));
        }
    }
    eprintln!("{} vectors", names.len());
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), names.len(), wrong.join("\n"));
    assert!(names.len() > 100);
}
