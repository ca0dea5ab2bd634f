//! Delivers a spool to its service.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::client::Client;
use crate::regular_file;
use crate::spool::day_file::DayFile;
use crate::spool::folder::Spool;
use crate::spool::position::Position;

/// The most bytes and lines of one request. The service takes 16 MiB and 10,000 lines; smaller requests let other senders
/// come between.
const REQUEST_BYTES_MAX: usize = 1 << 20;
const REQUEST_LINES_MAX: usize = 1_000;

/// The longest line that is sent: that of a recorder, and what redaction may add to it.
const LINE_BYTES_MAX: usize = 256 << 10;

/// How long a day file that is delivered stays after its day: writers of the day may still be at work.
const KEPT_DAYS: usize = 2;

/// Delivers a spool.
#[derive(Debug)]
pub(crate) struct Deliverer<'a> {
    pub(crate) spool: &'a Spool,
    pub(crate) client: &'a Client,
}

/// What became of what waited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The service has all of it. The number says how many entries were sent.
    Done(u64),
    /// The service cannot take it now. The text says why.
    Later(String),
    /// The service takes nothing from this sender. The text says why.
    Refused(String),
}

/// The answer of the service.
#[derive(Debug, Deserialize)]
struct Taken {
    rejected: Vec<Rejected>,
}

#[derive(Debug, Deserialize)]
struct Rejected {
    #[serde(default)]
    erased: bool,
}

/// Lines of a day file.
struct Lines {
    bytes: Vec<u8>,
    count: u64,
    /// How many are too long to be sent.
    too_long: u64,
    /// Where they end in the file.
    end: u64,
}

impl Deliverer<'_> {
    /// Sends what waits, until nothing is left or `time` is over. The caller holds the lock of the spool.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn deliver(&self, time: Option<Duration>) -> io::Result<Outcome> {
        let outcome = self.deliver_files(time)?;
        self.spool.note_failure(match &outcome {
            Outcome::Done(_) => None,
            Outcome::Later(why) | Outcome::Refused(why) => Some(why),
        });
        Ok(outcome)
    }

    fn deliver_files(&self, time: Option<Duration>) -> io::Result<Outcome> {
        let (begun, mut sent) = (Instant::now(), 0);
        let mut position = Position::read(self.spool.folder());
        let (files, mut unreadable) = (self.spool.day_files(), None);
        for file in &files {
            let mut opened = None;
            loop {
                let from = position.sent(file);
                if from >= file.len {
                    break;
                }
                if time.is_some_and(|time| begun.elapsed() >= time) {
                    return Ok(Outcome::Later("there was not enough time".to_owned()));
                }
                let open = match opened.take().map_or_else(|| self.open(file), Ok) {
                    Ok(open) => opened.insert(open),
                    // It holds up no other file.
                    Err(error) => {
                        unreadable = Some(error);
                        break;
                    }
                };
                let Some(lines) = lines_of(open, from)? else { break };
                match self.send(&lines)? {
                    Outcome::Done(count) => sent += count,
                    other => return Ok(other),
                }
                position.set(file, lines.end);
                position.write(self.spool.folder())?;
                self.spool.add_lost(lines.too_long);
            }
        }
        self.remove_old(&files, &mut position)?;
        unreadable.map_or(Ok(Outcome::Done(sent)), Err)
    }

    /// Opens a day file, whose lines are made durable before they are sent: what the service has must never be unknown
    /// here.
    fn open(&self, file: &DayFile) -> io::Result<File> {
        let opened = regular_file::open(&self.spool.path(file))?;
        opened.sync_data()?;
        Ok(opened)
    }

    fn send(&self, lines: &Lines) -> io::Result<Outcome> {
        if lines.count == 0 {
            return Ok(Outcome::Done(0));
        }
        let answer = match self.client.send(&lines.bytes) {
            Ok(answer) => answer,
            Err(error) => return Ok(Outcome::Later(error.0)),
        };
        let taken = serde_json::from_str::<Taken>(&answer.body);
        Ok(match (answer.status, taken) {
            (200 | 207 | 400, Ok(taken)) => {
                let lost = taken.rejected.iter().filter(|rejected| !rejected.erased).count();
                self.spool.add_lost((lost as u64).min(lines.count));
                Outcome::Done(lines.count)
            }
            (400 | 413, Err(_)) if lines.count > 1 => return self.send_each(lines),
            // Nobody can take this line, so it must not stop those behind it.
            (400 | 413, Err(_)) => {
                self.spool.add_lost(1);
                Outcome::Done(1)
            }
            (401 | 403 | 404 | 421, _) => Outcome::Refused(told(answer.status, &answer.body)),
            (status, _) => Outcome::Later(told(status, &answer.body)),
        })
    }

    /// Sends the lines one by one, because the service does not take all of them together.
    fn send_each(&self, lines: &Lines) -> io::Result<Outcome> {
        for line in lines.bytes.split_inclusive(|byte| *byte == b'\n') {
            let one = Lines { bytes: line.to_vec(), count: 1, too_long: 0, end: lines.end };
            match self.send(&one)? {
                Outcome::Done(_) => {}
                other => return Ok(other),
            }
        }
        Ok(Outcome::Done(lines.count))
    }

    /// Removes day files that are delivered and so old that nobody writes into them.
    fn remove_old(&self, files: &[DayFile], position: &mut Position) -> io::Result<()> {
        let mut kept = crate::clock::now().date();
        (0..KEPT_DAYS).for_each(|_| kept = kept.plus_days(-1));
        let kept = kept.to_string();
        let mut left = Vec::new();
        for file in files {
            if file.date < kept
                && position.sent(file) == file.len
                && std::fs::remove_file(self.spool.path(file)).is_ok()
            {
                continue;
            }
            left.push(file.clone());
        }
        if left.len() < files.len() {
            position.keep_only(&left);
            position.write(self.spool.folder())?;
        }
        Ok(())
    }
}

/// Returns the next whole lines of a file; `None` if there are none yet.
fn lines_of(file: &File, from: u64) -> io::Result<Option<Lines>> {
    let mut bytes = vec![0; REQUEST_BYTES_MAX];
    let mut read = 0;
    while read < bytes.len() {
        match file.read_at(&mut bytes[read..], from + read as u64)? {
            0 => break,
            more => read += more,
        }
    }
    let mut lines = Lines { bytes: Vec::new(), count: 0, too_long: 0, end: from };
    for line in bytes[..read].split_inclusive(|byte| *byte == b'\n') {
        if line.last() != Some(&b'\n') {
            break;
        }
        lines.end += line.len() as u64;
        if line.len() > LINE_BYTES_MAX {
            lines.too_long += 1;
        } else if !line.iter().all(u8::is_ascii_whitespace) {
            // Spaces stand where a line was damaged.
            lines.bytes.extend_from_slice(line);
            lines.count += 1;
        }
        if lines.count as usize >= REQUEST_LINES_MAX {
            break;
        }
    }
    // No recorder writes such a long line. The end of it will be refused or too long, and counted.
    if lines.end == from && read == REQUEST_BYTES_MAX {
        lines.end += read as u64;
    }
    Ok((lines.end > from).then_some(lines))
}

/// Returns what the service says of a request that it did not take.
fn told(status: u16, body: &str) -> String {
    let problem = serde_json::from_str::<serde_json::Value>(body).unwrap_or_default();
    let detail = ["detail", "title"].iter().find_map(|name| problem[*name].as_str()).unwrap_or_default();
    format!("the service answered {status}: {detail}").trim_end_matches([':', ' ']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_too_long_are_counted_and_hold_nothing_up() {
        let long = |bytes: usize| "x".repeat(bytes) + "\n";
        let text = ["{}\n", &long(300 << 10), "  \n", "{}\n", &long(1_700 << 10), "{}\n", "torn"].concat();
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        let (mut from, mut sent, mut too_long) = (0, 0, 0);
        while let Some(lines) = lines_of(&file, from).unwrap() {
            assert!(lines.end > from);
            (from, sent, too_long) = (lines.end, sent + lines.count, too_long + lines.too_long);
        }
        assert_eq!((sent, too_long, from), (3, 2, (text.len() - "torn".len()) as u64));
    }
}
