//! Conversations between a client and a server, and what is recorded of them.

use std::collections::BTreeMap;
use std::time::Duration;

use tooltrail::{Call, Timestamp};

use super::{About, Calls, Change, Moment, ServerEnd};
use crate::mcp::read::{Message, Scanner};

/// A connection in which each step takes a second.
struct Connection {
    calls: Calls,
    seconds: u64,
    begun: BTreeMap<u64, Call>,
    recorded: Vec<String>,
}

impl Connection {
    fn new(server: Option<&str>) -> Self {
        let about = About {
            user: "alice".to_owned(),
            server: server.map(str::to_owned),
            session: None,
            session_default: "s".to_owned(),
        };
        Self { calls: Calls::new(about), seconds: 0, begun: BTreeMap::new(), recorded: Vec::new() }
    }

    fn now(&self) -> Moment {
        let ts = Timestamp::from_millis(1_000 * self.seconds as i64);
        Moment { ts, monotonic: Duration::from_secs(self.seconds) }
    }

    /// Takes a step: `> MESSAGE` from the client, `< MESSAGE` from the server, `tick`, `end`, or the server's exit code.
    fn step(&mut self, step: &str) {
        self.seconds += 1;
        let (now, mut changes) = (self.now(), Vec::new());
        match step.split_at_checked(2).unwrap_or((step, "")) {
            ("> ", text) => self.calls.client(message(text), now, &mut changes),
            ("< ", text) => {
                self.calls.server(&message(text), now, &mut changes);
            }
            _ => match step {
                "tick" => self.calls.tick(now, &mut changes),
                "end" => self.calls.end_all(ServerEnd::Unknown, now, &mut changes),
                // The request of the last call that began did not go on to the server.
                "withdraw" => {
                    let (key, _) = self.begun.pop_last().expect("a call has begun");
                    self.calls.withdraw(key);
                }
                code => self.calls.end_all(ServerEnd::Code(code.parse().unwrap()), now, &mut changes),
            },
        }
        for change in changes {
            self.record(change);
        }
    }

    fn record(&mut self, change: Change) {
        match change {
            Change::Begin { key, call } => assert!(self.begun.insert(key, *call).is_none(), "a key is new"),
            Change::Whole(call) => {
                self.recorded.push(format!("{} whole {:?}", call.tool, call.outcome.unwrap().reason))
            }
            Change::End { key, ended } => {
                let call = self.begun.remove(&key).expect("a call ends once, after it began");
                assert_eq!(call.tool, ended.tool);
                let reason = ended.outcome.reason.map_or("ok", |reason| reason.as_str());
                let extra = ended.extra.iter().map(|(name, value)| format!(" {name}={value}")).collect::<String>();
                let took = ended.duration.as_str();
                self.recorded.push(format!("{} {reason} {took}{extra}", call.tool));
            }
        }
    }
}

fn message(text: &str) -> Message {
    let mut messages = Vec::new();
    let (_, end) = Scanner::new().feed(format!("{text}\n").as_bytes(), &mut messages);
    assert!(end.is_some_and(|end| end.is_valid), "{text}");
    messages.remove(0)
}

fn call(id: &str, tool: &str) -> String {
    format!(r#"> {{"id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{{}}}}}}"#)
}

fn ok(id: &str) -> String {
    format!(r#"< {{"id":{id},"result":{{"content":[{{"type":"text","text":"done"}}]}}}}"#)
}

/// Takes the steps and compares what is recorded: tool, `ok` or the reason, the milliseconds that the call took, and
/// other facts.
fn check(steps: &[&str], expected: &[&str]) {
    let mut connection = Connection::new(None);
    steps.iter().for_each(|step| connection.step(step));
    assert_eq!(connection.recorded, expected, "{steps:#?}");
}

#[test]
fn an_answer_ends_the_call_of_its_id() {
    check(&[&call("1", "a"), &ok("1")], &["a ok 1000"]);
    check(&[&call("1", "a"), &call("\"1\"", "b"), &ok("\"1\""), &ok("1")], &["b ok 1000", "a ok 3000"]);
    // Some servers answer with the number as a text, and some clients take that.
    check(&[&call("1", "a"), &ok("\"1\"")], &["a ok 1000"]);
    check(&[&call("\"1\"", "a"), &ok("1"), "end"], &["a interrupted 2000"]);
    let (big, bigger) = ("9007199254740992", "9007199254740993");
    check(&[&call(big, "a"), &call(bigger, "b"), &ok(bigger), &ok(big)], &["b ok 1000", "a ok 3000"]);
    // An id that comes again while its call is open: answers come in the order of the calls.
    check(&[&call("1", "a"), &call("1", "b"), &ok("1"), &ok("1"), &ok("1")], &["a ok 2000", "b ok 2000"]);
    check(&[&ok("1"), &call("1", "a"), "end"], &["a interrupted 1000"]);
    check(&[&call("1", "a"), r#"< {"id":1,"method":"sampling/createMessage"}"#, &ok("1")], &["a ok 2000"]);
    check(&[&call("1", "a"), r#"> {"id":1,"result":{"content":[]}}"#, &ok("1")], &["a ok 2000"]);
    check(&[r#"> {"method":"tools/call","params":{"name":"n"}}"#], &["n whole Some(Interrupted)"]);
}

#[test]
fn a_call_that_did_not_go_on_to_the_server_is_not_open() {
    // What the server answers to its id later belongs to another call, or to none.
    check(&[&call("1", "a"), "withdraw", &ok("1"), "end"], &[]);
    check(&[&call("1", "a"), "withdraw", &call("1", "b"), &ok("1")], &["b ok 1000"]);
    check(&[&call("1", "a"), &call("1", "b"), "withdraw", &ok("1"), "7"], &["a ok 3000"]);
}

#[test]
fn failures_have_their_reasons() {
    let failed = r#"< {"id":1,"result":{"isError":true,"content":[]}}"#;
    check(&[&call("1", "a"), failed], &["a tool_error 1000"]);
    check(&[&call("1", "a"), r#"< {"id":1,"result":null}"#], &["a ok 1000"]);
    check(&[&call("1", "a"), r#"< {"id":1,"result":[5]}"#], &["a ok 1000"]);
    check(&[&call("1", "a"), r#"< {"id":1,"error":"no"}"#], &["a protocol_error 1000"]);
    let error = |code: i64, message: &str| format!(r#"< {{"id":1,"error":{{"code":{code},"message":"{message}"}}}}"#);
    check(&[&call("1", "a"), &error(-32602, "Unknown tool: a")], &["a unknown_tool 1000"]);
    check(&[&call("1", "a"), &error(-32602, "Invalid params")], &["a invalid_args 1000"]);
    check(&[&call("1", "a"), &error(-32603, "oops")], &["a protocol_error 1000"]);
    check(&[&call("1", "a"), &call("2", "b"), &ok("2"), "7"], &["b ok 1000", "a interrupted 3000 exit_code=7"]);
}

#[test]
fn a_cancelled_call_waits_for_a_late_answer() {
    let cancel = r#"> {"method":"notifications/cancelled","params":{"requestId":1}}"#;
    check(&[&call("1", "a"), cancel, "tick"], &[]);
    check(&[&call("1", "a"), cancel, "tick", "tick"], &["a cancelled 1000"]);
    check(&[&call("1", "a"), cancel, &ok("1")], &["a cancelled 1000 answered=true"]);
    check(&[&call("1", "a"), cancel, "3"], &["a cancelled 1000"]);
    check(&[&call("1", "a"), &ok("1"), cancel, "tick", "tick"], &["a ok 1000"]);
    check(&[cancel, &call("1", "a"), &ok("1")], &["a ok 1000"]);
    // The id is used again before the time is over.
    check(&[&call("1", "a"), cancel, &call("1", "b"), &ok("1")], &["a cancelled 1000", "b ok 1000"]);
}

#[test]
fn a_call_that_is_asked_for_input_is_one_call() {
    let asks = |id: &str, state: &str| {
        format!(r#"< {{"id":{id},"result":{{"resultType":"input_required","inputRequests":{{}}{state}}}}}"#)
    };
    let repeat = |id: &str, tool: &str, more: &str| {
        format!(r#"> {{"id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{{}}{more}}}}}"#)
    };
    let state = r#","requestState":"abc""#;
    check(&[&call("1", "a"), &asks("1", state), &repeat("2", "a", state), &ok("2")], &["a ok 3000"]);
    // The state may be spelled differently.
    let spelled = r#","requestState":"\u0061bc""#;
    check(&[&call("1", "a"), &asks("1", state), &repeat("2", "a", spelled), &ok("2")], &["a ok 3000"]);
    let input = r#","inputResponses":{"x":{}}"#;
    check(&[&call("1", "a"), &asks("1", ""), &repeat("2", "a", input), &ok("2")], &["a ok 3000"]);
    // Without state and input, or with another tool, it is another call.
    check(
        &[&call("1", "a"), &asks("1", ""), &repeat("2", "a", ""), &ok("2"), "0"],
        &["a ok 1000", "a interrupted 4000 exit_code=0"],
    );
    check(
        &[&call("1", "a"), &asks("1", ""), &repeat("2", "b", input), &ok("2"), "end"],
        &["b ok 1000", "a interrupted 4000"],
    );
    // The state of one call does not hide another call.
    let other = [&call("1", "a"), &asks("1", state), &repeat("2", "b", state), &ok("2")];
    check(&[&other.map(String::as_str)[..], &["end"]].concat(), &["b ok 1000", "a interrupted 4000"]);
    // A server that gives every call the same state.
    let both = [&call("1", "a"), &call("2", "b"), &asks("1", state), &asks("2", state)];
    let repeats = [&repeat("3", "b", state), &repeat("4", "a", state), &ok("3"), &ok("4")];
    check(&[both.map(String::as_str), repeats.map(String::as_str)].concat(), &["b ok 5000", "a ok 7000"]);
    let twice = [
        &call("1", "a"),
        &asks("1", state),
        &repeat("2", "a", state),
        &asks("2", state),
        &repeat("3", "a", state),
        &ok("3"),
    ];
    check(&twice.map(String::as_str), &["a ok 5000"]);
}

#[test]
fn a_task_ends_when_its_status_says_so() {
    let task = r#"< {"id":1,"result":{"resultType":"task","taskId":"t","status":"working"}}"#;
    let old = r#"< {"id":1,"result":{"task":{"taskId":"t","status":"working"}}}"#;
    let get =
        |id: &str, method: &str| format!(r#"> {{"id":{id},"method":"tasks/{method}","params":{{"taskId":"t"}}}}"#);
    let status = |id: &str, status: &str| {
        format!(r#"< {{"id":{id},"result":{{"resultType":"complete","taskId":"t","status":"{status}"}}}}"#)
    };
    for begins in [task, old] {
        let working = [&call("1", "a"), begins, &get("2", "get"), &status("2", "working")];
        check(&[&working[..], &["end"]].concat(), &["a interrupted 4000"]);
        for (word, expected) in [("failed", "a tool_error 5000"), ("cancelled", "a cancelled 5000")] {
            check(&[&working[..], &[&get("3", "get"), &status("3", word)]].concat(), &[expected]);
        }
        check(&[&working[..], &[&get("3", "result"), &ok("3")]].concat(), &["a ok 5000"]);
        let failed = ok("3").replace("result\":{", "result\":{\"isError\":true,");
        check(&[&working[..], &[&get("3", "result"), &failed]].concat(), &["a tool_error 5000"]);
        // The result of a completed task is usually fetched after its status.
        let (ask, told, fetch) = (get("3", "get"), status("3", "completed"), get("3", "result"));
        let completed = [&working[..], &[&ask, &told]].concat();
        check(&[&completed[..], &[&fetch, &failed]].concat(), &["a tool_error 7000"]);
        check(&[&completed[..], &["tick"]].concat(), &[]);
        check(&[&completed[..], &["tick", "tick"]].concat(), &["a ok 5000"]);
        check(&[&completed[..], &["end"]].concat(), &["a ok 5000"]);
    }
    let told = r#"< {"method":"notifications/tasks/status","params":{"taskId":"t","status":"failed"}}"#;
    check(&[&call("1", "a"), task, told], &["a tool_error 2000"]);
    let told = told.replace("tasks/status", "tasks");
    check(&[&call("1", "a"), task, &told], &["a tool_error 2000"]);
    let why = r#"< {"id":2,"result":{"taskId":"t","status":"failed","error":{"code":1,"message":"no"}}}"#;
    check(&[&call("1", "a"), task, &get("2", "get"), why], &["a tool_error 3000"]);
}

#[test]
fn the_client_the_server_and_the_session_are_told() {
    let begun = |steps: &[&str], server: Option<&str>| {
        let mut connection = Connection::new(server);
        steps.iter().for_each(|step| connection.step(step));
        let call = connection.begun.into_values().next().unwrap();
        (call.client, call.server, call.session)
    };
    let text = |text: &str| Some(text.to_owned());
    let client = r#"> {"id":0,"method":"initialize","params":{"clientInfo":{"name":"c","version":"1"}}}"#;
    let server = r#"< {"id":0,"result":{"serverInfo":{"name":"own","version":"2"}}}"#;
    assert_eq!(begun(&[client, server, &call("1", "a")], None), (text("c/1"), text("own"), text("s")));
    assert_eq!(begun(&[client, server, &call("1", "a")], Some("mine")), (text("c/1"), text("mine"), text("s")));
    assert_eq!(begun(&[&call("1", "a")], None), (None, None, text("s")));
    let told = r#"> {"id":1,"method":"tools/call","params":{"name":"a","_meta":{"threadId":"t",
        "io.modelcontextprotocol/clientInfo":{"name":"d"}}}}"#;
    assert_eq!(begun(&[client, &told.replace('\n', "")], None), (text("d"), None, text("t")));

    // In 2026-07-28 only the answer tells the server's name.
    let mut connection = Connection::new(None);
    connection.step(&call("1", "a"));
    let (now, mut changes) = (connection.now(), Vec::new());
    let answer = r#"{"id":1,"result":{"content":[],"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"late"}}}}"#;
    connection.calls.server(&message(answer), now, &mut changes);
    assert!(matches!(&changes[..], [Change::End { ended, .. }] if ended.server == text("late")));
}

#[test]
fn calls_without_end_are_bounded() {
    let mut connection = Connection::new(None);
    for n in 0..10_050 {
        connection.step(&call(&n.to_string(), "a"));
    }
    assert_eq!((connection.begun.len(), connection.recorded.len()), (10_000, 50));
    assert!(connection.recorded.iter().all(|entry| entry.starts_with("a interrupted")));
    connection.step("end");
    assert_eq!((connection.begun.len(), connection.recorded.len()), (0, 10_050));
}
