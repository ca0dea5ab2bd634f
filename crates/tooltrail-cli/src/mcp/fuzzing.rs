//! Properties of reading and pairing that must hold for any bytes of a client and a server. The crate in `fuzz/` runs
//! them for minutes, a test for a moment.

use std::collections::BTreeSet;
use std::time::Duration;

use tooltrail::Timestamp;

use crate::mcp::calls::{About, Calls, Change, Moment, ServerEnd};
use crate::mcp::read::{LineEnd, Message, Scanner};

/// One direction of a connection.
struct Direction {
    scanner: Scanner,
    bytes: Vec<u8>,
    messages: usize,
    lines: Vec<LineEnd>,
}

impl Direction {
    fn new() -> Self {
        Self { scanner: Scanner::new(), bytes: Vec::new(), messages: 0, lines: Vec::new() }
    }

    fn feed(&mut self, mut bytes: &[u8]) -> Vec<Message> {
        self.bytes.extend_from_slice(bytes);
        let mut messages = Vec::new();
        while !bytes.is_empty() {
            let (taken, end) = self.scanner.feed(bytes, &mut messages);
            assert!(taken > 0 && taken <= bytes.len(), "reading goes on");
            bytes = &bytes[taken..];
            self.lines.extend(end);
        }
        self.messages += messages.len();
        messages
    }

    /// Reads all bytes again in one piece: the messages and lines must be the same.
    fn check(&self) {
        let mut whole = Self::new();
        whole.feed(&self.bytes);
        assert_eq!((whole.messages, &whole.lines), (self.messages, &self.lines), "pieces change nothing");
        let newlines = self.bytes.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(self.lines.len(), newlines, "a newline ends a line");
    }
}

/// Reads bytes as pieces of a conversation: a byte whose lowest bit is the direction, a byte that is the length of the
/// piece, the piece. Each call must be recorded exactly once, or be the repetition of one.
pub(crate) fn conversation(data: &[u8]) {
    let (mut client, mut server) = (Direction::new(), Direction::new());
    let mut calls = Calls::new(About { user: "u".to_owned(), session_default: "s".to_owned(), ..About::default() });
    let (mut asked, mut repeats, mut changes) = (0, 0, Vec::new());
    let mut rest = data;
    let mut milliseconds = 0;
    while let [kind, length, tail @ ..] = rest {
        let (piece, later) = tail.split_at(tail.len().min(usize::from(*length)));
        rest = later;
        milliseconds += i64::from(*kind >> 4) * 100;
        let now = moment(milliseconds);
        calls.tick(now, &mut changes);
        if kind & 1 == 0 {
            for message in client.feed(piece) {
                let is_call = message.method.as_deref() == Some("tools/call");
                asked += usize::from(is_call);
                let may_repeat = message.params.request_state.is_some() || message.params.has_input;
                repeats += usize::from(is_call && may_repeat);
                calls.client(message, now, &mut changes);
            }
        } else {
            for message in server.feed(piece) {
                calls.server(&message, now, &mut changes);
            }
        }
    }
    calls.end_all(ServerEnd::Code(0), moment(milliseconds), &mut changes);
    client.check();
    server.check();

    let (mut open, mut recorded) = (BTreeSet::new(), 0);
    for change in &changes {
        match change {
            Change::Begin { key, .. } => assert!(open.insert(*key), "a key is given once"),
            Change::End { key, .. } => {
                assert!(open.remove(key), "a call ends once, after it began");
                recorded += 1;
            }
            Change::Whole(_) => recorded += 1,
        }
    }
    assert!(open.is_empty(), "every call ends");
    assert!(
        recorded <= asked && asked <= recorded + repeats,
        "{asked} calls, {repeats} may repeat, {recorded} recorded"
    );
}

fn moment(milliseconds: i64) -> Moment {
    Moment { ts: Timestamp::from_millis(milliseconds), monotonic: Duration::from_millis(milliseconds.unsigned_abs()) }
}

/// Returns first inputs for a fuzzer.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let conversations: [&[(u8, &str)]; 5] = [
        &[
            (0, r#"{"id":0,"method":"initialize","params":{"clientInfo":{"name":"c","version":"1"}}}"#),
            (1, r#"{"result":{"serverInfo":{"name":"s"}},"id":0}"#),
            (0, r#"{"method":"tools/call","params":{"name":"echo","arguments":{"a":[1,"\u00e4"]}},"id":1}"#),
            (1, r#"{"result":{"content":[{"type":"text","text":"hi"}],"isError":false},"id":1}"#),
        ],
        &[
            (0, r#"[{"id":"1","method":"tools/call","params":{"name":"a"}},{"method":"x"}]"#),
            (0x20, r#"{"method":"notifications/cancelled","params":{"requestId":"1","reason":"r"}}"#),
            (0xF1, r#"{"id":"1","error":{"code":-32602,"message":"Unknown tool"}}"#),
        ],
        &[
            (0, r#"{"id":1,"method":"tools/call","params":{"name":"a"}}"#),
            (1, r#"{"id":1,"result":{"resultType":"input_required","requestState":"x"}}"#),
            (0, r#"{"id":2,"method":"tools/call","params":{"name":"a","requestState":"x","inputResponses":{}}}"#),
            (1, r#"{"id":2,"result":{"structuredContent":{"a": 1}}}"#),
        ],
        &[
            (0, r#"{"id":1,"method":"tools/call","params":{"name":"a"}}"#),
            (1, r#"{"id":1,"result":{"resultType":"task","taskId":"t","status":"working"}}"#),
            (0, r#"{"id":2,"method":"tasks/get","params":{"taskId":"t"}}"#),
            (1, r#"{"id":2,"result":{"taskId":"t","status":"completed"}}"#),
        ],
        &[
            (1, r#"{"id":1,"result":{"content":[{"type":"image","data":"AAAA","mimeType":"image/png"}]}}"#),
            (0, r#"{"id":1,"method":"tools/call","params":{"name":"a"}}"#),
        ],
    ];
    let piece = |(kind, line): &(u8, &str)| {
        let line = format!("{line}\n");
        [&[*kind, u8::try_from(line.len()).unwrap_or(u8::MAX)], line.as_bytes()].concat()
    };
    conversations.iter().map(|pieces| pieces.iter().flat_map(piece).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_inputs_hold() {
        seeds().iter().for_each(|seed| conversation(seed));
    }

    proptest! {
        #[test]
        fn mixed_inputs_hold(
            picks in prop::collection::vec((0_usize..5, 0_usize..120, 0_usize..120, any::<u8>()), 1..8),
        ) {
            let seeds = seeds();
            let mut data = Vec::new();
            for (seed, from, length, odd) in picks {
                let seed = &seeds[seed];
                let from = from.min(seed.len());
                data.extend_from_slice(&seed[from..(from + length).min(seed.len())]);
                data.push(odd);
            }
            conversation(&data);
            // Whole conversations, one within the other.
            conversation(&[&seeds[0][..], &seeds[1], &data, &seeds[2]].concat());
        }
    }
}
