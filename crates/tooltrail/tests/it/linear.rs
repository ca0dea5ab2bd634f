//! Checks that twice the input takes at most about twice the time, for any content in any field.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tooltrail::entry::{receive, steps::Taken};
use tooltrail::{Redactor, Zone};

/// The number of measurements per size; only the fastest counts, so that other programs do not influence the result.
const TRIES: usize = 5;

/// The maximum factor of time for twice the input. Quadratic work takes four times as long.
const GROWTH_MAX: f64 = 3.4;

/// The shortest time that is measured; shorter times depend more on the machine than on the work.
const SHORTEST: Duration = Duration::from_millis(1);

/// Returns the processor time of this thread: other threads and programs do not count.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

fn time(line: &str, redactor: &Redactor) -> Duration {
    let once = || {
        let begun = processor_time();
        if let Ok(call) = receive(line, &Zone::UTC) {
            std::hint::black_box(Taken::of(&call, redactor).write(redactor));
        }
        processor_time().saturating_sub(begun)
    };
    (0..TRIES).map(|_| once()).min().unwrap()
}

/// Checks that the time grows linearly for lines that `line` makes of a growing size, starting with `from`.
fn check(what: &str, from: usize, line: impl Fn(usize) -> String) {
    let redactor = Redactor::new(None);
    // Finds a size that takes long enough to be measured, but is not larger than a request can be.
    let mut size = from;
    while size < 400_000 && time(&line(size), &redactor) < SHORTEST {
        size *= 2;
    }
    let grows = || {
        let (one, two) = (time(&line(size), &redactor), time(&line(size * 2), &redactor));
        two.as_secs_f64() / one.max(SHORTEST).as_secs_f64()
    };
    // A busy machine may disturb one measurement; quadratic work is slow in all of them.
    let growth = (0..3).map(|_| grows()).fold(f64::MAX, f64::min);
    assert!(growth <= GROWTH_MAX, "{what}: twice {size} takes {growth:.1} times as long");
}

#[test]
fn members_of_every_kind_cost_their_size() {
    let many = |n: usize, member: &dyn Fn(usize) -> String| (0..n).map(member).collect::<Vec<_>>().join(",");
    let args = |text: String| format!(r#"{{"tool":"t","status":"ok","args":{text}}}"#);
    check("equal names in extra", 500, |n| {
        format!(r#"{{"tool":"t","status":"ok","extra":{{{}}}}}"#, many(n.min(9_000), &|_| r#""k":1"#.to_owned()))
    });
    check("numbered names in extra", 500, |n| {
        let member = |n: usize| format!(r#""k#{}":1,"k":1"#, n + 2);
        format!(r#"{{"tool":"t","status":"ok","extra":{{{}}}}}"#, many(n.min(4_500), &member))
    });
    check("unknown keys", 500, |n| {
        format!(r#"{{"tool":"t","status":"ok",{}}}"#, many(n.min(9_000), &|n| format!(r#""k{n}":1"#)))
    });
    check("a list", 500, |n| args(format!("[{}]", many(n, &|_| "1".to_owned()))));
    check("keys of args", 500, |n| args(format!("{{{}}}", many(n, &|n| format!(r#""k{n}":1"#)))));
    check("keys that redaction makes equal", 500, |n| {
        let key = |n: usize| format!(r#""token=Zx8{n:09}Qk":1"#);
        let object = |m: usize| format!("{{{}}}", many(500, &|n| key(m * 500 + n)));
        args(format!("[{}]", many(n.div_ceil(500), &object)))
    });
    check("equal keys of args", 500, |n| args(format!("{{{}}}", many(n, &|_| r#""k":1"#.to_owned()))));
    check("objects", 500, |n| args(format!("[{}]", many(n, &|n| format!(r#"{{"a":{n}}}"#)))));
    check("secrets", 500, |n| args(format!("[{}]", many(n, &|n| format!(r#""password=Zx8{n:09}Qk""#)))));
    check("secrets made of secrets beside another", 160, |n| {
        args(format!(r#"{{"p":"password=hunter{n}abc","q":"{}"}}"#, "token=".repeat(n.min(330))))
    });
    check("depth", 500, |n| args(format!("{}{}", "[".repeat(n), "]".repeat(n))));
    check("deep objects", 500, |n| args(format!("{}1{}", r#"{"a":"#.repeat(n), "}".repeat(n))));
    check("open brackets", 500, |n| args("[".repeat(n)));
    check("digits", 500, |n| args("1".repeat(n)));
}

#[test]
fn texts_of_every_field_cost_their_size() {
    let fields = [
        "user", "tool", "args", "result", "error", "session", "call_id", "parent", "agent", "model", "client",
        "server", "trace_id", "span_id", "reason", "via", "other",
    ];
    let texts: [(&str, &str); 9] = [
        ("letters", "x"),
        ("words", "the quick brown fox "),
        ("secrets", "password=Zx81234567Qk "),
        ("quotes", r#"\""#),
        ("wide letters", "日本"),
        ("escapes", r"\u001b[31m"),
        ("base64", "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo"),
        ("keys", "-----BEGIN RSA PRIVATE KEY----- "),
        ("colons", "a:b@c/"),
    ];
    for field in fields {
        for (what, text) in texts {
            // The size is larger than the window of any field.
            check(&format!("{what} in {field}"), 8_000, |n| {
                let named = if field == "tool" { String::new() } else { r#""tool":"t","#.to_owned() };
                format!(r#"{{{named}"status":"ok","{field}":"{}"}}"#, text.repeat(n.div_ceil(text.len())))
            });
        }
    }
}
