//! Follows a service: its stream of server-sent events.

use std::io::{BufRead as _, BufReader, Read};
use std::time::Duration;

use serde_json::Value;

use crate::failure::Failure;
use crate::remote::question::Params;
use crate::remote::service::{Remote, away, refused};

/// The pause before a stream that broke is asked for again.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest line of a stream: the largest entry, and what is around it.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// What a stream tells.
#[derive(Debug)]
pub(crate) enum Told {
    /// The stream has begun: entries that arrive from now on are in it.
    Opened,
    /// A stored line.
    Entry(String),
    /// Entries may be missing here. The text says why.
    Gap(String),
    /// The stream broke, and is asked for again.
    Broken(String),
}

impl Remote {
    /// Follows the entries that a question asks for, and calls `take` with each, until it returns false. A stream that
    /// breaks is continued where it broke.
    ///
    /// # Errors
    /// The service does not answer at first, or refuses the question.
    pub(crate) fn follow(&self, params: &Params, mut take: impl FnMut(Told) -> bool) -> Result<(), Failure> {
        let mut last_id = None;
        let mut is_first = true;
        loop {
            let params = params.only(&["user", "q"]);
            let opened = self.streams().stream("/api/audit/stream", params.pairs(), last_id.as_deref());
            let why = match opened {
                Ok((200, _)) if !take(Told::Opened) => return Ok(()),
                Ok((200, body)) => match events(body, &mut last_id, &mut take) {
                    Some(why) => why,
                    None => return Ok(()),
                },
                Ok((status, mut body)) => {
                    let mut text = String::new();
                    let _ = body.by_ref().take(LINE_BYTES_MAX).read_to_string(&mut text);
                    if is_first || status == 401 || status == 403 {
                        return Err(refused(status, &text));
                    }
                    format!("the service answered {status}")
                }
                Err(error) if is_first => return Err(away(error.0)),
                Err(error) => error.0,
            };
            is_first = false;
            if !take(Told::Broken(why)) {
                return Ok(());
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// The longest data of an event, in bytes: an entry is shorter than a line may be.
const DATA_BYTES_MAX: usize = LINE_BYTES_MAX as usize;

/// Reads events until the stream ends. Returns why it ended; `None` if `take` wants no more.
fn events(body: impl Read, last_id: &mut Option<String>, take: &mut impl FnMut(Told) -> bool) -> Option<String> {
    let mut reader = BufReader::new(body);
    let (mut kind, mut data) = (String::new(), String::new());
    loop {
        let mut line = String::new();
        match (&mut reader).take(LINE_BYTES_MAX).read_line(&mut line) {
            Ok(0) => return Some("the service ended the stream".to_owned()),
            Ok(_) => {}
            Err(error) => return Some(error.to_string()),
        }
        let line = line.trim_end_matches(['\n', '\r']);
        if line.is_empty() {
            let told = match &*kind {
                "entry" => Some(Told::Entry(std::mem::take(&mut data))),
                "gap" => Some(Told::Gap(gap(&data))),
                _ => None,
            };
            (kind, data) = (String::new(), String::new());
            if told.is_some_and(|told| !take(told)) {
                return None;
            }
        } else if let Some(id) = line.strip_prefix("id: ") {
            *last_id = Some(id.to_owned());
        } else if let Some(name) = line.strip_prefix("event: ") {
            name.clone_into(&mut kind);
        } else if let Some(text) = line.strip_prefix("data: ") {
            if data.len() + text.len() > DATA_BYTES_MAX {
                return Some("the service sent an event that is too long".to_owned());
            }
            if !data.is_empty() {
                data.push('\r');
            }
            data.push_str(text);
        }
    }
}

fn gap(data: &str) -> String {
    let gap = serde_json::from_str::<Value>(data).unwrap_or_default();
    let why = gap["why"].as_str().unwrap_or("unknown");
    match gap["lost"].as_u64() {
        Some(lost) => format!("{lost} entries are missing here: {why}"),
        None => format!("entries may be missing here: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_and_a_break_is_told() {
        let text = ": hello\n\nid: a-1\nevent: entry\ndata: {\"a\":1}\n\nid: a-2\nevent: gap\ndata: {\"lost\":3,\"why\":\"slow\"}\n\nid: a-3\nevent: entry\ndata: {\"half";
        let (mut last, mut told) = (None, Vec::new());
        let why = events(text.as_bytes(), &mut last, &mut |event| {
            told.push(match event {
                Told::Entry(line) => line,
                Told::Gap(text) | Told::Broken(text) => text,
                Told::Opened => String::new(),
            });
            true
        });
        assert_eq!(told, ["{\"a\":1}", "3 entries are missing here: slow"]);
        assert!(why.is_some() && last.as_deref() == Some("a-3"));
        let endless = format!("event: entry\n{}", format!("data: {}\n", "x".repeat(60_000)).repeat(100));
        assert!(events(endless.as_bytes(), &mut last, &mut |_| true).is_some_and(|why| why.contains("too long")));
        assert!(events("event: entry\ndata: x\n\n".as_bytes(), &mut last, &mut |_| false).is_none());
    }
}
