//! Checks the day files of a home against the log, and finds the heads without a file: steps 5 to 7 of section 6 of
//! `docs/proof.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use crate::changes::Day;
use crate::clock::Clock;
use crate::disk::{Disk, DiskFile, Stat, is_trouble};
use crate::error::Error;
use crate::home::{Home, TRAIL_FOLDER, day_name, day_of, user_folders};
use crate::seal::note::VerifierKey;
use crate::seal::record::Head;
use crate::seal::tree::Hash;
use crate::seal::verify::Verify;
use crate::seal::verify::file::{Checked, NOT_ERASED};
use crate::seal::verify::label::Labels;
use crate::seal::verify::regular::name_key;
use crate::seal::verify::run::{OneFile, Run};
use crate::seal::verify::verdict::{Finding, Verdict};
use crate::seal::verify::view::{FileHeads, Files, View};

/// How often a finding is looked at again, and the pause before each time: writers, erasures and prunes may be at work.
const LOOKS_MAX: u32 = 6;
const LOOK_PAUSE: Duration = Duration::from_millis(500);

/// The day files of a home, by keyed name, with those of folders that have no name key.
#[derive(Debug, Default)]
struct Present {
    named: BTreeMap<Hash, Day>,
    unnamed: Vec<Day>,
}

impl Verify {
    /// Checks all files, the heads without a file, and the tails.
    pub(super) fn check_files(
        &self,
        home: &Home,
        (view, beside): (&View, Option<&str>),
        clock: &dyn Clock,
        run: &mut Run,
        progress: &dyn Fn(u64),
    ) -> Result<(), Error> {
        let disk = &**home.disk();
        let failed = |error| Error::io("verify", home.root())(error);
        for names in view.passes() {
            let mut files = view.files(disk, &names).map_err(failed)?;
            let present = self.present(disk, &names).map_err(failed)?;
            let unnamed = present.unnamed.iter().filter(|_| *names.start() == 0).map(|day| (None, day));
            let mut bad = Vec::new();
            for (name, day) in present.named.iter().map(|(name, day)| (Some(*name), day)).chain(unnamed) {
                let heads = name.and_then(|name| files.remove(&name)).unwrap_or_default();
                let one = self.check_day(disk, day, name, &heads, view, clock).map_err(failed)?;
                progress(one.counts.bytes);
                if one.is_bad() { bad.push((name, day.clone(), one)) } else { run.add(one) }
            }
            self.look_again(disk, bad, (&view.key, beside), clock, run).map_err(failed)?;
            self.check_gone(disk, &files, &present, (view, beside), run).map_err(failed)?;
        }
        Ok(())
    }

    /// Looks once more at files that were found bad, with the newest log, because writers, erasures and prunes may be at
    /// work. An erasure that is recorded and not done yet is waited for.
    fn look_again(
        &self,
        disk: &dyn Disk,
        mut bad: Vec<(Option<Hash>, Day, OneFile)>,
        (key, beside): (&VerifierKey, Option<&str>),
        clock: &dyn Clock,
        run: &mut Run,
    ) -> io::Result<()> {
        for look in 0..LOOKS_MAX {
            if bad.is_empty() {
                break;
            }
            let Ok(newer) = View::read(disk, key, beside, &[])? else { break };
            let names = bad.iter().filter_map(|(name, ..)| *name).collect::<BTreeSet<_>>();
            let files = newer.files_of(disk, |name| names.contains(name))?;
            let mut still = Vec::new();
            for (name, day, _) in bad {
                let heads = name.and_then(|name| files.get(&name).cloned()).unwrap_or_default();
                let one = self.check_day(disk, &day, name, &heads, &newer, clock)?;
                if one.is_bad() && (one.is_unfinished || look == 0) {
                    still.push((name, day, one));
                } else {
                    run.add(one);
                }
            }
            bad = still;
            if bad.iter().all(|(.., one)| !one.is_unfinished) {
                break;
            }
            disk.pause(LOOK_PAUSE);
        }
        bad.into_iter().for_each(|(.., one)| run.add(one));
        Ok(())
    }

    /// Checks one day file that is present or was when the folder was listed.
    fn check_day(
        &self,
        disk: &dyn Disk,
        day: &Day,
        name: Option<Hash>,
        heads: &FileHeads,
        view: &View,
        clock: &dyn Clock,
    ) -> io::Result<OneFile> {
        let (folder, date) = (&*day.0, day.1);
        let mut one = OneFile::default();
        let opened = match disk.open(&[folder, TRAIL_FOLDER, &day_name(date)]) {
            // Something that is no regular file has taken its name.
            Err(error) if !is_trouble(&error) => None,
            opened => opened?,
        };
        let stat = opened.as_deref().map(DiskFile::stat).transpose()?;
        let len = stat.map_or(0, |stat| stat.len);
        if let (Some(stat), Some((index, _))) = (stat, heads.heads.last()) {
            let Stat { device, inode, len, changed_ns, .. } = stat;
            let state = format!("{device} {inode} {len} {changed_ns} {index}");
            let file = format!("{folder}/{date}");
            let is_known = self.quick.as_ref().is_some_and(|known| known.get(&file) == Some(&state));
            one.state = Some((file, state));
            if is_known {
                (one.counts.files, one.counts.skipped) = (1, 1);
                return Ok(one);
            }
        }
        let file = opened.as_deref();
        let checked = |heads| Checked {
            disk,
            folder,
            date,
            name: name.unwrap_or_default(),
            file,
            len,
            heads,
            erased: &view.erased,
        };
        let mut sealed = heads.heads.last().map_or(0, |(_, head)| head.bytes);
        one.counts.files = u64::from(file.is_some());
        one.counts.bytes = len;
        one.counts.adopted = u64::from(heads.heads.iter().any(|(_, head)| head.is_adopted));
        let newest_is_well;
        (one.findings, newest_is_well) = checked(&heads.heads).check(&mut one.counts)?;
        one.is_unfinished = one.findings.iter().any(|finding| finding.text == NOT_ERASED);
        if let (true, Some(removed)) = (heads.heads.is_empty(), &heads.removed) {
            let holds = file.is_some() && checked(&removed.heads).holds()?;
            match (holds, removed.is_erased, file.is_some()) {
                (_, is_erased, false) => one.findings.push(gone(day, is_erased)),
                (true, false, true) => sealed = removed.heads.last().map_or(0, |(_, head)| head.bytes),
                (true, true, true) => {
                    let text = "the log says that this file was erased, but it is there";
                    one.findings.push(Finding::of_file(Verdict::Modified, (folder, date), None, text));
                    one.is_unfinished = true;
                    return Ok(one);
                }
                (false, _, true) => {}
            }
        }
        if let Some(stat) = stat.filter(|stat| stat.len > sealed && newest_is_well) {
            let age_ns = i128::from(clock.now().as_millis()) * 1_000_000 - stat.modified_ns;
            if age_ns.unsigned_abs() <= self.max_tail.as_nanos() {
                one.has_tail = true;
            } else {
                let text = "lines were not sealed, and not because they are new";
                one.findings.push(Finding::of_file(Verdict::Unsealed, (folder, date), None, text));
            }
        }
        Ok(one)
    }

    /// Step 6: heads whose files are not there.
    fn check_gone(
        &self,
        disk: &dyn Disk,
        files: &Files,
        present: &Present,
        (view, beside): (&View, Option<&str>),
        run: &mut Run,
    ) -> io::Result<()> {
        let gone = files.iter().filter(|(name, _)| !present.named.contains_key(*name)).collect::<Vec<_>>();
        if gone.is_empty() {
            return Ok(());
        }
        let labels = Labels::find(disk, gone.iter().map(|(name, file)| (**name, newest_at(file))))?;
        // Files may have been removed since the log was read.
        let has_missing = gone.iter().any(|(_, file)| !file.heads.is_empty());
        let newer = if has_missing { View::read(disk, &view.key, beside, &[])?.ok() } else { None };
        let newer = newer.map(|newer| newer.files_of(disk, |name| files.contains_key(name))).transpose()?;
        for (name, file) in gone {
            let day = labels.get(name);
            if day.is_none_or(|day| !self.wants(day)) && (self.folders.is_some() || self.days != (None, None)) {
                continue;
            }
            let file = newer.as_ref().and_then(|newer| newer.get(name)).unwrap_or(file);
            run.counts.heads += file.heads.len() as u64;
            let removed = file.removed.as_ref().map(|removed| removed_words(removed.is_erased));
            let missing = (!file.heads.is_empty()).then_some((Verdict::Missing, "the file is gone"));
            for (verdict, text) in removed.into_iter().chain(missing) {
                let label = day.map(|(folder, date)| format!("{folder}/{date}"));
                let keyed_name = day.is_none().then(|| crate::hex::hex(&name[..8]));
                run.findings.push(Finding { verdict, file: label, keyed_name, lines: None, text: text.to_owned() });
            }
        }
        Ok(())
    }

    /// Lists the day files whose keyed names begin with one of these bytes, and those without a keyed name.
    fn present(&self, disk: &dyn Disk, names: &std::ops::RangeInclusive<u8>) -> io::Result<Present> {
        let mut present = Present::default();
        for folder in user_folders(disk)? {
            let files = match disk.list(&[&folder, TRAIL_FOLDER]) {
                Err(error) if !is_trouble(&error) => continue,
                files => files?,
            };
            let key = name_key(disk, &folder)?;
            for date in files.iter().filter_map(|file| day_of(&file.name)) {
                let day = (folder.clone(), date);
                if !self.wants(&day) {
                    continue;
                }
                match key.map(|key| key.of_file(&folder, date)) {
                    Some(name) if names.contains(&name[0]) => drop(present.named.insert(name, day)),
                    Some(_) => {}
                    None => present.unnamed.push(day),
                }
            }
        }
        Ok(present)
    }

    fn wants(&self, (folder, date): &Day) -> bool {
        let (from, to) = self.days;
        self.folders.as_ref().is_none_or(|folders| folders.contains(folder))
            && from.is_none_or(|from| *date >= from)
            && to.is_none_or(|to| *date <= to)
    }
}

fn gone((folder, date): &Day, is_erased: bool) -> Finding {
    let (verdict, text) = removed_words(is_erased);
    Finding::of_file(verdict, (folder, *date), None, text)
}

fn removed_words(is_erased: bool) -> (Verdict, &'static str) {
    if is_erased {
        (Verdict::Erased, "the file was erased, and the log says so")
    } else {
        (Verdict::Pruned, "the retention removed the file, and the log says so")
    }
}

fn newest_at(file: &FileHeads) -> u64 {
    let of = |heads: &[(u64, Head)]| heads.last().map_or(0, |(_, head)| head.at);
    of(&file.heads).max(file.removed.as_ref().map_or(0, |removed| of(&removed.heads)))
}
