//! What `recent` prints: stored lines in order, page by page, and its messages on stderr.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;

use tooltrail::Timestamp;

use crate::dice::Dice;
use crate::support::{Ran, TestHome, line, minutes_ago, now};

/// Returns a home with entries of three users over four days, many of them with the same time.
fn generated(entries: u64) -> TestHome {
    let place = TestHome::new();
    let (mut dice, base) = (Dice(5), minutes_ago(3 * 24 * 60).as_millis());
    let text = (0..entries)
        .map(|number| {
            let ts = Timestamp::from_millis(base + dice.below(entries / 3) as i64 * (3 * 86_400_000 / entries as i64));
            line(number, ["alice", "albert", "bob"][dice.below(3) as usize], Some(ts)) + "\n"
        })
        .collect::<String>();
    assert_eq!(place.run_with(&["import", "-"], text.as_bytes()).code, Some(0));
    place
}

/// Returns the lines of the day files, newest first, in an order that the test computes itself.
fn newest_first(place: &TestHome) -> Vec<String> {
    let mut found = Vec::new();
    for file in place.day_files() {
        let folder = file.ancestors().nth(2).unwrap().file_name().unwrap().to_str().unwrap().to_owned();
        let mut offset = 0;
        for line in std::fs::read_to_string(&file).unwrap().lines() {
            found.push((line[7..31].to_owned(), folder.clone(), offset, line.to_owned()));
            offset += line.len() + 1;
        }
    }
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(.., line)| line).collect()
}

/// Returns the cursor of the next page, which is printed on stderr.
fn next(ran: &Ran) -> Option<&str> {
    ran.err.lines().find_map(|line| line.strip_prefix("next: --cursor "))
}

#[test]
fn json_is_the_stored_lines_and_nothing_else() {
    let place = generated(300);
    let expected = newest_first(&place);
    let ran = place.run(&["recent", "--json", "--limit", "1000"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(ran.out.lines().collect::<Vec<_>>(), expected);
    assert!(ran.out.ends_with('\n') && next(&ran).is_none(), "{}", ran.err);
    assert_eq!(ran.err, "", "nothing was skipped");
    // In a pipe the text form also has one line for each entry, and nothing is cut.
    let tabs = place.run(&["recent", "--limit", "1000"]);
    let rows = tabs.out.lines().map(|row| row.split('\t').collect::<Vec<_>>()).collect::<Vec<_>>();
    assert!(tabs.err.is_empty(), "{}", tabs.err);
    assert!(rows.iter().all(|row| row.len() == 7), "{}", tabs.out);
    for (row, line) in rows.iter().zip(&expected) {
        let entry = serde_json::from_str::<serde_json::Value>(line).unwrap();
        let fields = ["ts", "user", "tool", "status"].map(|field| entry[field].as_str().unwrap());
        assert_eq!(row[..4], fields);
        assert_eq!((row[4], row[5]), (&*entry["duration_ms"].to_string(), entry["result_snippet"].as_str().unwrap()));
    }
    // An empty answer is a success and prints nothing.
    let none = place.run(&["recent", "--json", "tool=nobody"]);
    assert_eq!((none.code, none.out.as_str()), (Some(0), ""));
}

#[test]
fn pages_give_everything_once() {
    let place = generated(120);
    let expected = newest_first(&place);
    for (limit, json) in [("7", true), ("50", true), ("120", true), ("7", false)] {
        let (mut found, mut pages, mut cursor) = (Vec::new(), 0, None::<String>);
        loop {
            let mut args = vec!["recent", "--limit", limit];
            args.extend(json.then_some("--json"));
            args.extend(cursor.iter().flat_map(|cursor| ["--cursor", cursor.as_str()]));
            let ran = place.run(&args);
            assert_eq!(ran.code, Some(0), "{}", ran.err);
            found.extend(ran.out.lines().map(str::to_owned));
            pages += 1;
            cursor = next(&ran).map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(pages, 120_usize.div_ceil(limit.parse().unwrap()), "limit {limit}");
        let brief = |line: &String| serde_json::from_str::<serde_json::Value>(line).unwrap()["args"]["n"].to_string();
        if json {
            assert_eq!(found, expected, "limit {limit}")
        } else {
            assert!(found.iter().zip(&expected).all(|(row, line)| row.contains(&format!("note {}", brief(line)))))
        }
        assert_eq!(found.len(), 120);
    }
}

#[test]
fn questions_choose() {
    let place = generated(200);
    let all = newest_first(&place);
    let check = |args: &[&str], keep: &dyn Fn(&serde_json::Value) -> bool| {
        let ran = place.run(&[&["recent", "--json", "--limit", "1000"], args].concat());
        assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.err);
        let expected = all.iter().filter(|line| keep(&serde_json::from_str(line).unwrap())).collect::<Vec<_>>();
        assert_eq!(ran.out.lines().collect::<Vec<_>>(), expected, "{args:?}");
    };
    let user = |name: &'static str| move |entry: &serde_json::Value| entry["user"] == name;
    check(&["--user", "alice"], &user("alice"));
    check(&["-u", "nobody"], &|_| false);
    check(&["user=alice"], &user("alice"));
    check(&["user=al*"], &|entry| entry["user"] != "bob");
    check(&["user!=alice"], &|entry| entry["user"] != "alice");
    check(&["user=al*", "user!=alice"], &user("albert"));
    check(&["user=alice", "user=bob"], &|_| false);
    check(&["--user", "alice", "user=bob"], &|_| false);
    check(&["tool=fs.*", "status=ok"], &|_| true);
    check(&["tool=shell"], &|_| false);
    check(&["\"note 17\""], &|entry| entry["result_snippet"].as_str().unwrap().contains("note 17"));
    check(&["duration>=150ms"], &|entry| entry["duration_ms"].as_f64().unwrap() >= 150.0);
    check(&["session=s-1 user=bob"], &user("bob"));
}

#[test]
fn what_is_no_entry_is_counted_and_hides_nothing() {
    let place = generated(30);
    let expected = newest_first(&place);
    let ts = now();
    let newest = place.day_files().into_iter().rfind(|file| file.starts_with(place.home().join("alice"))).unwrap();
    let mut file = std::fs::OpenOptions::new().append(true).open(newest).unwrap();
    let whole = &expected[0];
    file.write_all(format!("no json\n{whole}{whole}\n\0\0\0\0\n\n{{\"ts\":\"{ts}\"}}\n{}", &whole[..100]).as_bytes())
        .unwrap();
    let ran = place.run(&["recent", "--json"]);
    assert_eq!(ran.out.lines().collect::<Vec<_>>(), expected);
    assert!(ran.err.starts_with("skipped: 1 torn, 1 with NUL, 3 not JSON, 0 too long\n"), "{}", ran.err);
    // The text form also reports skipped lines.
    assert!(place.run(&["recent"]).err.contains("1 torn"));
    let stats = place.run(&["stats", "--json"]);
    let answer = serde_json::from_str::<serde_json::Value>(&stats.out).unwrap();
    let skipped = serde_json::json!({"torn":1,"nul":1,"invalid_json":3,"too_long":0,"unreadable":0});
    assert_eq!((&answer["skipped"], &answer["total"]), (&skipped, &serde_json::json!(30)));
    assert!(place.run(&["stats"]).err.contains("1 torn"));
}

#[test]
fn whoever_reads_one_line_and_stops_is_no_failure() {
    let place = generated(900);
    for args in [&["recent", "--limit", "900"][..], &["recent", "--json", "--limit", "900"]] {
        let mut command = place.command(args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        BufReader::with_capacity(64, child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        assert!(first.contains("fs.read"), "{first}");
        let ran = Ran::of(child.wait_with_output().unwrap());
        assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.err);
        assert!(!ran.err.contains("error"), "{}", ran.err);
    }
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    for args in [&["recent"][..], &["recent", "--json"], &["stats"], &["stats", "--json"]] {
        let output = place.command(args).stdout(writer.try_clone().unwrap()).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_home_that_nobody_adopted_is_read_as_it_is() {
    let place = TestHome::new();
    let ts = now();
    let naive = &ts.to_string()[..19];
    let line = format!(
        r#"{{"ts": "{naive}", "user": "Alice", "tool": "t", "args": {{}}, "status": "ok", "result_chars": 0, "result_snippet": ""}}"#
    );
    std::fs::create_dir_all(place.home().join("Alice/tool_audit")).unwrap();
    std::fs::write(place.day_file("Alice", ts), line.clone() + "\n").unwrap();
    let ran = place.run(&["recent", "--json", "--user", "Alice"]);
    assert_eq!((ran.code, ran.out), (Some(0), line + "\n"));
    assert_eq!(std::fs::read_dir(place.home()).unwrap().count(), 1, "reading leaves nothing behind");
}
