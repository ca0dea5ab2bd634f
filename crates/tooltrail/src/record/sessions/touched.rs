//! Notes which day files short-lived processes have appended to since the system was started, so that the damage of a
//! power cut is found.
//!
//! A recorder with a journal notes this there. A short-lived process has no journal. The first one that appends to a day
//! file after a start of the system therefore creates a small file with the length that is durable then. After the next
//! start, lines behind this length that a power cut damaged are replaced with spaces.

use std::io;

use crate::clock::{Date, Zone};
use crate::day::{Damage, LatenessNotes, Wanted, reconcile};
use crate::disk::Disk;
use crate::home::{Home, OWN_FOLDER, TRAIL_FOLDER, day_name};
use crate::record::sessions::note::{LOCK_WAIT, short_hash};

/// The folder of these files below `.tooltrail/`, with one folder for each start of the system.
const TOUCHED_FOLDER: &str = "touched";

/// The most bytes of such a file: the name of a folder, a date and a number.
const TOUCHED_BYTES_MAX: usize = 512;

/// Notes that a day file is about to be appended to. Does nothing if this is noted already, or if it is not known when
/// the system was started.
pub(super) fn touch(disk: &dyn Disk, (folder, day): (&str, Date)) -> io::Result<()> {
    let Some(boot) = disk.boot() else { return Ok(()) };
    let (boot, name) = (short_hash("boot", &boot), short_hash("file", &format!("{folder} {day}")));
    let path = [OWN_FOLDER, TOUCHED_FOLDER, &*boot, &*name];
    if disk.stat(&path)?.is_some() {
        return Ok(());
    }
    let day_file = [folder, TRAIL_FOLDER, &day_name(day)];
    let len = match disk.open(&day_file)? {
        None => 0,
        // What others have appended is durable only after a sync of the file.
        Some(file) => {
            let len = file.stat()?.len;
            disk.append(&day_file)?.sync()?;
            len
        }
    };
    disk.create(&path, format!("{folder} {day} {len}\n").as_bytes(), true).map(|_| ())
}

/// Replaces with spaces what a power cut damaged in the day files that were noted before the last start of the system.
pub(super) fn mend(home: &Home) -> io::Result<()> {
    let disk = &**home.disk();
    let boots = disk.list(&[OWN_FOLDER, TOUCHED_FOLDER])?;
    let Some(boot) = disk.boot().filter(|_| !boots.is_empty()).map(|boot| short_hash("boot", &boot)) else {
        return Ok(());
    };
    for earlier in boots.iter().filter(|earlier| earlier.folder && earlier.name != boot) {
        for listed in disk.list(&[OWN_FOLDER, TOUCHED_FOLDER, &earlier.name])? {
            let path = [OWN_FOLDER, TOUCHED_FOLDER, &*earlier.name, &*listed.name];
            if let Some((folder, day, len)) = read(disk, &path)? {
                mend_day(home, (&folder, day), len)?;
            }
            disk.remove(&path)?;
        }
        disk.remove_folder(&[OWN_FOLDER, TOUCHED_FOLDER, &earlier.name])?;
    }
    Ok(())
}

fn mend_day(home: &Home, (folder, day): (&str, Date), durable_len: u64) -> io::Result<()> {
    let disk = &**home.disk();
    let damage = Damage::find(disk, folder, day, Some(durable_len))?;
    if damage.is_none() {
        return Ok(());
    }
    let want = Wanted { folder, day, from: durable_len, durable_len, again: u64::MAX, lines: &[] };
    let lock = home.lock_appends(LOCK_WAIT)?;
    let mended = reconcile(disk, &mut LatenessNotes::new(Zone::system), &want, damage)?;
    drop(lock);
    mended.file.sync()
}

fn read(disk: &dyn Disk, path: &[&str]) -> io::Result<Option<(String, Date, u64)>> {
    let Some(file) = disk.open(path)? else { return Ok(None) };
    let mut bytes = vec![0; TOUCHED_BYTES_MAX];
    let read = file.read_at(&mut bytes, 0)?;
    let fields = || {
        let mut fields = std::str::from_utf8(&bytes[..read]).ok()?.strip_suffix('\n')?.split(' ');
        Some((fields.next()?.to_owned(), Date::parse(fields.next()?)?, fields.next()?.parse().ok()?))
    };
    Ok(fields())
}
