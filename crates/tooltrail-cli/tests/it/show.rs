//! `show` prints one complete entry, and `redact` shows what would be hidden in a text.

use crate::support::TestHome;

#[test]
fn one_entry_is_shown_whole() {
    let place = TestHome::new();
    let line =
        r#"{"user":"alice","tool":"fs.read","args":{"path":"a/b.txt","n":[1,2]},"status":"ok","result":"one\ntwo"}"#;
    assert_eq!(place.run_with(&["import", "-"], format!("{line}\n").as_bytes()).code, Some(0));
    let stored = place.run(&["recent", "--json", "tool=fs.*"]).out;
    let id = serde_json::from_str::<serde_json::Value>(&stored).unwrap()["id"].as_str().unwrap().to_owned();
    let shown = place.run(&["show", &id]);
    assert_eq!(shown.code, Some(0), "{}", shown.err);
    assert!(shown.out.contains("a/b.txt") && shown.out.contains("alice"), "{}", shown.out);
    assert!(shown.err.is_empty(), "{}", shown.err);
    assert_eq!(place.run(&["show", "--json", &id]).out, stored);
    let end = place.run(&["show", &id[28..]]);
    assert_eq!((end.code, end.out), (Some(0), shown.out), "{}", end.err);
    let unknown = place.run(&["show", "019ac3f2-7c1e-7b52-9d0e-3f5a1c2b4d6e"]);
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.err.contains("no entry has the id"), "{}", unknown.err);
    let wrong = place.run(&["show", "latest"]);
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.err.contains("no id of an entry"), "{}", wrong.err);
}

#[test]
fn what_would_be_hidden_is_shown_with_its_rule() {
    let place = TestHome::new();
    let text = "first\npassword: hunter29x\n";
    let ran = place.run_with(&["redact", "--explain"], text.as_bytes());
    assert_eq!((ran.code, &*ran.out), (Some(0), "first\npassword: [redacted:password]\n"));
    assert_eq!(ran.err, "line 2, character 11: password\n");
    let file = place.file("text", text);
    let json = place.run(&["redact", "--json", &file]);
    let json = serde_json::from_str::<serde_json::Value>(&json.out).unwrap();
    assert_eq!(json["marks"][0]["rule"], "password");
    assert_eq!(place.run_with(&["redact"], b"nothing here").out, "nothing here");
    let broken = place.run_with(&["redact"], b"\xff");
    assert_eq!(broken.code, Some(2));
    assert!(broken.err.contains("not UTF-8 at byte 0"), "{}", broken.err);
    assert!(!place.home().exists(), "nothing is recorded");
}
