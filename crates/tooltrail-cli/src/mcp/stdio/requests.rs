//! Passes the client's bytes on to the server.

use std::io;
use std::os::fd::AsFd as _;
use std::process::ChildStdin;
use std::sync::Arc;

use crate::mcp::gate::{Refusal, Verdict, error_line, refusal, unreadable};
use crate::mcp::read::{LineEnd, Message, Scanner};
use crate::mcp::stdio::event::Event;
use crate::mcp::stdio::held::{CUT_SHORT, HeldLine};
use crate::mcp::stdio::order::Side;
use crate::mcp::stdio::output::{READ_BYTES, read, write_all};
use crate::mcp::stdio::shared::{Shared, Waited, ids, wait};

/// The longest line that is held whole. Of a longer one, the tool's name must have come by then.
const HELD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The most messages of a line that is held. Clients that send batches send a few.
const BATCH_MAX: usize = 10_000;

/// Passes bytes on until the client sends no more, or the server reads no more.
pub(super) fn pass(shared: &Arc<Shared>, server: ChildStdin) {
    let ended = if shared.holds_requests { Holding::new(shared, &server).run() } else { pass_first(shared, &server) };
    drop(server);
    if ended.is_err() {
        // The server reads no more. The client's next write fails, as it would without us.
        if let Ok(null) = std::fs::File::open("/dev/null") {
            let _ = rustix::stdio::dup2_stdin(null);
        }
    }
    shared.tell(Event::InputEnded);
}

/// Passes bytes on before they are looked at.
fn pass_first(shared: &Arc<Shared>, server: &ChildStdin) -> io::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    let mut scanner = Scanner::new();
    let mut messages = Vec::new();
    loop {
        let length = read(rustix::stdio::stdin(), &mut buffer).unwrap_or(0);
        if length == 0 {
            scanner.finish(&mut messages);
            shared.client(messages);
            return Ok(());
        }
        let ticket = shared.passing_on(Side::Client);
        let written = write_all(server.as_fd(), &buffer[..length]);
        scanner.feed_all(&buffer[..length], &mut messages);
        shared.looked_at(Side::Client, ticket, std::mem::take(&mut messages));
        written?;
    }
}

/// Holds each line until it is known whether it may go on.
struct Holding<'a> {
    shared: &'a Arc<Shared>,
    server: &'a ChildStdin,
    scanner: Scanner,
    messages: Vec<Message>,
    line: HeldLine,
    /// Why the rest of the line is left out.
    refused: Option<Refusal>,
}

impl<'a> Holding<'a> {
    fn new(shared: &'a Arc<Shared>, server: &'a ChildStdin) -> Self {
        let (scanner, line) = (Scanner::new(), HeldLine::default());
        Self { shared, server, scanner, messages: Vec::new(), line, refused: None }
    }

    fn run(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let length = read(rustix::stdio::stdin(), &mut buffer).unwrap_or(0);
            if length == 0 {
                let end = self.scanner.finish(&mut self.messages);
                return self.end_line(end);
            }
            let mut bytes = &buffer[..length];
            while !bytes.is_empty() {
                let (taken, end) = self.scanner.feed(bytes, &mut self.messages);
                if self.refused.is_none() {
                    self.line.push(&bytes[..taken]);
                }
                bytes = &bytes[taken..];
                match end {
                    Some(end) => self.end_line(end)?,
                    None => self.go_on()?,
                }
            }
        }
    }

    /// Decides about a line that has not ended yet, if it is too long to be held.
    fn go_on(&mut self) -> io::Result<()> {
        if let Some(refused) = self.refused.clone() {
            return self.answer(false, &refused);
        }
        let is_too_long = self.line.is_long() || self.line.bytes().len() > HELD_BYTES_MAX;
        if self.messages.len() <= BATCH_MAX && !is_too_long {
            return Ok(());
        }
        match self.why_refused() {
            None => {
                let sendable = self.line.take_sendable();
                write_all(self.server.as_fd(), &sendable)
            }
            Some(refused) => {
                let was_sent = self.line.is_long();
                self.line.take();
                if was_sent {
                    write_all(self.server.as_fd(), CUT_SHORT)?;
                }
                self.answer(false, &refused)?;
                self.refused = Some(refused);
                Ok(())
            }
        }
    }

    /// Returns why a line that is too long to be held is refused.
    fn why_refused(&self) -> Option<Refusal> {
        let seen = self.scanner.seen();
        let refused = |text: &str| Some(Refusal::new(text));
        if !self.shared.rules.can_refuse() {
            let is_large = self.messages.len() > BATCH_MAX;
            return if is_large { refused("Denied: the batch has too many messages.") } else { None };
        }
        if !self.messages.is_empty() {
            return refused("Denied: the batch is too large to be checked against tooltrail's gate.");
        }
        if memchr::memchr(b'\r', self.line.bytes()).is_some() {
            return refused("Denied: the line is long and has a carriage return inside.");
        }
        match seen.method.as_deref() {
            // An answer of the client is no call. If it turns out to be one too, it is cut short.
            None if seen.outcome.is_some() => None,
            None => refused("Denied: the message has more than 16 MiB and has not named its method by then."),
            Some("tools/call") if seen.params.name.is_none() => {
                refused("Denied: the call has more than 16 MiB and has not named its tool by then.")
            }
            Some(_) => self.shared.with_calls(|calls| self.shared.rules.message(seen, calls)),
        }
    }

    fn end_line(&mut self, end: LineEnd) -> io::Result<()> {
        if let Some(refused) = self.refused.take() {
            return self.answer(end.is_batch, &refused);
        }
        let line = self.line.bytes();
        let verdict = if self.shared.rules.can_refuse() {
            self.shared.with_calls(|calls| self.shared.rules.line(line, end, &self.messages, calls))
        } else {
            Verdict::Pass
        };
        let was_sent = self.line.is_long();
        let line = self.line.take();
        match verdict {
            Verdict::Pass => {
                let requests = ids(&self.messages, true);
                let waited = wait(self.shared.client(std::mem::take(&mut self.messages)));
                let Waited { begun, failed, unwritten } = waited;
                let Some(why) = failed else { return write_all(self.server.as_fd(), &line) };
                self.cut_short(was_sent)?;
                self.shared.not_made(&begun, &why);
                self.shared.not_stored(unwritten);
                let text = format!("The call was not made, because tooltrail could not record that it begins: {why}");
                self.send(error_line(&requests, end.is_batch, &text));
                Ok(())
            }
            Verdict::Refuse(refused) => {
                self.cut_short(was_sent)?;
                self.answer(end.is_batch, &refused)
            }
            Verdict::Unreadable(why) => {
                self.messages.clear();
                self.cut_short(was_sent)?;
                self.send(Some(unreadable(why)));
                Ok(())
            }
        }
    }

    /// Makes a line invalid whose beginning was already sent.
    fn cut_short(&self, was_sent: bool) -> io::Result<()> {
        if was_sent { write_all(self.server.as_fd(), CUT_SHORT) } else { Ok(()) }
    }

    /// Records and answers the messages of a refused line that were read.
    fn answer(&mut self, is_batch: bool, refused: &Refusal) -> io::Result<()> {
        let messages = std::mem::take(&mut self.messages);
        self.shared.refused(&messages, refused);
        self.send(refusal(&messages, is_batch, refused));
        Ok(())
    }

    /// Sends an answer to the client. If nobody reads it, the other direction notices.
    fn send(&self, line: Option<Vec<u8>>) {
        if let Some(line) = line {
            let _ = self.shared.output.answer(&line);
        }
    }
}
