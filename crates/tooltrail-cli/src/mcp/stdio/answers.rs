//! Passes the server's bytes on to the client.

use std::io;
use std::os::fd::AsFd as _;
use std::process::ChildStdout;
use std::sync::Arc;

use crate::mcp::gate::{error_line, without_hidden};
use crate::mcp::read::{LineEnd, Message, Scanner};
use crate::mcp::stdio::event::Event;
use crate::mcp::stdio::held::{CUT_SHORT, HeldLine};
use crate::mcp::stdio::order::Side;
use crate::mcp::stdio::output::{READ_BYTES, read};
use crate::mcp::stdio::shared::{Shared, Waited, ids, wait};
use crate::mcp::tools::{LIST_BYTES_MAX, ListLines, may_list};

/// The longest answer that is held whole. A longer one is passed on but for its last bytes.
const HELD_BYTES_MAX: usize = 1024 * 1024;

/// Passes bytes on until the server sends no more, or the client reads no more.
pub(super) fn pass(shared: &Arc<Shared>, server: ChildStdout) {
    let ended = if shared.holds_answers { Holding::new(shared, &server).run() } else { pass_first(shared, &server) };
    let ended = ended.and_then(|()| shared.output.end());
    // If the client reads no more, the server's next write fails, as it would without us.
    drop(server);
    if ended.is_err() {
        shared.tell(Event::OutputGone);
    }
    if let Ok(null) = std::fs::OpenOptions::new().write(true).open("/dev/null") {
        // The client sees the end of the stream now, as it would without us.
        let _ = rustix::stdio::dup2_stdout(null);
    }
    shared.tell(Event::OutputEnded);
}

/// Passes bytes on before they are looked at.
fn pass_first(shared: &Arc<Shared>, server: &ChildStdout) -> io::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    let mut scanner = Scanner::new();
    let (mut messages, mut lists) = (Vec::new(), ListLines::default());
    loop {
        let length = read(server.as_fd(), &mut buffer).unwrap_or(0);
        let ticket = shared.passing_on(Side::Server);
        let written = shared.output.pass(&buffer[..length]);
        scanner.feed_all(&buffer[..length], &mut messages);
        if length == 0 {
            scanner.finish(&mut messages);
        }
        shared.looked_at(Side::Server, ticket, std::mem::take(&mut messages));
        lists.feed(&buffer[..length], || shared.is_list_asked(), |line| shared.may_be_list(line));
        written?;
        if length == 0 {
            return Ok(());
        }
    }
}

/// Holds each line until what it ends is recorded, and takes hidden tools out of lists.
struct Holding<'a> {
    shared: &'a Arc<Shared>,
    server: &'a ChildStdout,
    scanner: Scanner,
    messages: Vec<Message>,
    line: HeldLine,
    bytes_max: usize,
}

impl<'a> Holding<'a> {
    fn new(shared: &'a Arc<Shared>, server: &'a ChildStdout) -> Self {
        let (scanner, line) = (Scanner::new(), HeldLine::default());
        // A list that is longer is refused as one that cannot be read.
        let bytes_max = if shared.rules.can_hide() { LIST_BYTES_MAX } else { HELD_BYTES_MAX };
        Self { shared, server, scanner, messages: Vec::new(), line, bytes_max }
    }

    fn run(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let length = read(self.server.as_fd(), &mut buffer).unwrap_or(0);
            if length == 0 {
                let end = self.scanner.finish(&mut self.messages);
                return self.end_line(end);
            }
            let mut bytes = &buffer[..length];
            while !bytes.is_empty() {
                let (taken, end) = self.scanner.feed(bytes, &mut self.messages);
                self.line.push(&bytes[..taken]);
                bytes = &bytes[taken..];
                if let Some(end) = end {
                    self.end_line(end)?;
                } else if self.line.is_long() || self.line.bytes().len() > self.bytes_max {
                    self.shared.output.pass(&self.line.take_sendable())?;
                }
            }
        }
    }

    fn end_line(&mut self, end: LineEnd) -> io::Result<()> {
        let was_sent = self.line.is_long();
        let line = self.line.take();
        let messages = std::mem::take(&mut self.messages);
        let answers = ids(&messages, false);
        let (mut awaited, mut has_list) = (Vec::new(), false);
        for message in messages {
            let (is_list, waits) = self.shared.server(&message);
            has_list |= is_list;
            awaited.extend(waits);
        }
        let Waited { failed, unwritten, .. } = wait(awaited);
        if let Some(why) = failed {
            self.shared.not_stored(unwritten);
            if was_sent {
                self.shared.output.pass(CUT_SHORT)?;
            }
            let text =
                format!("The tool ran, but tooltrail withholds its result, because it could not record it: {why}");
            let error = error_line(&answers, end.is_batch, &text);
            return error.map_or(Ok(()), |error| self.shared.output.pass(&error));
        }
        if !was_sent {
            self.shared.may_be_list(&line);
        }
        if !self.shared.rules.can_hide() || !(has_list || may_list(&line)) {
            return self.shared.output.pass(&line);
        }
        let rules = &self.shared.rules;
        let listed = if was_sent { None } else { self.shared.with_calls(|calls| without_hidden(&line, rules, calls)) };
        match listed {
            Some(listed) => self.shared.output.pass(&listed),
            // Nobody has asked for a list with its id, or it has no object and so no list.
            None if !has_list && (was_sent || memchr::memchr(b'{', &line).is_none()) => self.shared.output.pass(&line),
            None => {
                if was_sent {
                    self.shared.output.pass(CUT_SHORT)?;
                }
                let text = "tooltrail cannot read this list of tools, from which its rules hide some.";
                let error = error_line(&answers, end.is_batch, text);
                error.map_or(Ok(()), |error| self.shared.output.pass(&error))
            }
        }
    }
}
