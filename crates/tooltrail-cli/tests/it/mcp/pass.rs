//! What passes, passes byte for byte.

use std::io::{Read as _, Write as _};
use std::process::Stdio;

use proptest::prelude::*;
use serde_json::json;

use super::support::{Client, entries, proxy, server, status_of};
use crate::support::TestHome;

/// The flags of the three ways in which bytes pass: first and looked at later, held for rules, held until recorded.
const WAYS: [&[&str]; 3] = [&[], &["--config"], &["--durability", "strict"]];

/// A rule that holds every line and refuses nothing that the tests send.
const RULES: &str = "[[gate.rules]]\nname = \"none\"\neffect = \"hide\"\ntools = [\"no such tool\"]\n";

/// Sends bytes in pieces through a proxy to a server that sends other bytes, and returns what arrived on both sides, the
/// exit code and stderr.
fn exchange(place: &TestHome, flags: &[&str], sent: &[u8], answered: &[u8]) -> (Vec<u8>, Vec<u8>, Option<i32>, String) {
    let received = place.path("received");
    let answers = place.file("answers", answered);
    let rules = place.file("tooltrail.toml", RULES);
    let server = server();
    let mut args = vec!["mcp"];
    args.extend_from_slice(flags);
    if flags.contains(&"--config") {
        args.push(&rules);
    }
    args.extend(["--", "python3", &server, "bytes", received.to_str().unwrap(), &answers]);
    let mut command = place.command(&args);
    command.env("PATH", std::env::var_os("PATH").unwrap());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let sent = sent.to_vec();
    let sender = std::thread::spawn(move || {
        let lengths = [1, 2_000, 7, 70_000, 3];
        let mut rest = &sent[..];
        for length in lengths.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, later) = rest.split_at((*length).min(rest.len()));
            input.write_all(piece).unwrap();
            rest = later;
        }
    });
    let (mut out, mut err) = (Vec::new(), String::new());
    child.stdout.take().unwrap().read_to_end(&mut out).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    sender.join().unwrap();
    let code = child.wait().unwrap().code();
    (std::fs::read(received).unwrap(), out, code, err)
}

fn check(flags: &[&str], sent: &[u8], answered: &[u8]) {
    let place = TestHome::new();
    let (received, out, code, err) = exchange(&place, flags, sent, answered);
    let show = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(400)]).into_owned();
    assert!(received == sent, "{flags:?} client to server: {} instead of {}", show(&received), show(sent));
    assert!(out == answered, "{flags:?} server to client: {} instead of {}", show(&out), show(answered));
    assert_eq!((code, err.as_str()), (Some(5), "stderr is ours\n"), "{flags:?}");
}

#[test]
fn odd_bytes_pass_untouched() {
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{}}}"#;
    let answer = r#"{"result":{"content":[{"type":"text","text":"x"}]},"id":1,"jsonrpc":"2.0"}"#;
    let batch = format!("[{call},{call}]\n[]\n");
    for way in WAYS {
        check(way, b"", b"");
        check(way, format!("{call}\r\n\r\n\n  \n{call}").as_bytes(), format!("{answer}\r\n\n{answer}").as_bytes());
        check(way, batch.as_bytes(), format!("[{answer}]\n").as_bytes());
        check(way, b"not json\n\xff\xfe\n{\"id\":\"\xc3\x28\"}\n\0\n{", b"\x80\n{\"id\":\n[\n\"\n");
        check(way, format!("{{\"pad\":\"{}\"}}\n", "y".repeat(300_000)).as_bytes(), answer.as_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn mixed_lines_pass_untouched(
        way in 0_usize..3,
        sent in lines(true),
        answered in lines(false),
    ) {
        check(WAYS[way], &sent, &answered);
    }
}

/// Lines as clients (`requests`) or servers send them, and damaged ones.
fn lines(requests: bool) -> impl Strategy<Value = Vec<u8>> {
    let message = (0_u32..4, "[a-z]{1,5}", ".{0,30}").prop_map(move |(id, tool, text)| {
        let message = if requests {
            json!({ "id": id, "method": "tools/call", "params": { "name": tool, "arguments": { "text": text } } })
        } else {
            json!({ "id": id, "result": { "content": [{ "type": "text", "text": text }] } })
        };
        message.to_string().into_bytes()
    });
    let odd = prop::collection::vec(any::<u8>().prop_filter("held for rules", |byte| *byte != b'\r'), 0..20);
    let line = prop_oneof![4 => message, 1 => odd, 1 => Just(Vec::new())];
    let end = prop_oneof![3 => Just(&b"\n"[..]), 1 => Just(&b"\r\n"[..])];
    prop::collection::vec((line, end), 0..12)
        .prop_map(|lines| lines.into_iter().flat_map(|(line, end)| [&line, end].concat()).collect())
}

#[test]
fn large_messages_pass_in_little_memory() {
    const BYTES: usize = 40 * 1024 * 1024;
    for (flags, megabytes_max) in [(&[][..], 40), (&["--durability", "strict"][..], 60)] {
        let place = TestHome::new();
        let mut client = Client::start(proxy(&place, flags));
        let answer = client.call("large", &json!({ "bytes": BYTES, "pad": "y".repeat(4 * 1024 * 1024) }));
        assert_eq!(answer["result"]["content"][0]["text"].as_str().unwrap().len(), BYTES);
        let peak = status_of(client.child.id(), "VmHWM") / 1024;
        assert!(peak <= megabytes_max, "{flags:?}: {peak} MiB");
        assert_eq!(client.end().0, Some(0));
        let entries = entries(&place);
        assert_eq!((entries.len(), &entries[0]["result_chars"]), (1, &json!(BYTES)), "{flags:?}");
    }
}
