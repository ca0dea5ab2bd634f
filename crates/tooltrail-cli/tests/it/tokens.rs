//! Tokens that are made on the command line, and how soon a running service accepts or refuses them.

use std::time::{Duration, Instant};

use crate::service::Service;
use crate::support::TestHome;

#[test]
fn a_token_is_printed_alone_and_once() {
    let place = TestHome::new();
    let ran = place.run(&["token", "add", "root", "--role", "admin"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let token = ran.out.strip_suffix('\n').unwrap();
    assert!(token.starts_with("tooltrail_") && token.len() == 82 && !token.contains('\n'), "{token}");
    assert!(!ran.err.contains(token));

    let list = place.run(&["token", "list", "--json"]);
    let listed = serde_json::from_str::<serde_json::Value>(&list.out).unwrap();
    assert_eq!(listed["tokens"][0]["name"], "root");
    assert_eq!(listed["tokens"][0]["role"], "admin");
    let table = place.run(&["token", "list"]);
    assert!(table.out.contains("root"), "{}", table.out);
    for out in [list.out, table.out] {
        assert!(!out.contains(&token[10..]), "{out}");
    }
}

#[test]
fn refusals_have_an_exit_code_and_a_hint() {
    let place = TestHome::new();
    assert_eq!(place.run(&["token", "add", "root", "--role", "admin"]).code, Some(0));
    let below = place.home().join("keys");
    let below = below.to_str().unwrap();
    let check = |args: &[&str], code: i32| {
        let ran = place.run(args);
        assert_eq!(ran.code, Some(code), "{args:?}: {}", ran.err);
        assert!(ran.out.is_empty(), "{args:?}: {}", ran.out);
        assert!(ran.err.contains("hint:") || ran.err.contains("--help"), "{args:?}: {}", ran.err);
    };
    check(&["token", "add", "root", "--role", "ingest"], 1);
    check(&["token", "add", "own", "--role", "user", "--user", "_system"], 2);
    check(&["token", "revoke", "nobody"], 1);
    check(&["token", "add", "u", "--role", "user"], 2);
    check(&["token", "add", "u", "--role", "owner"], 2);
    check(&["token", "add", "u v", "--role", "admin"], 2);
    check(&["token", "add", "u", "--role", "admin", "--keys", below], 2);
    check(&["serve", "--keys", below, "--listen", "127.0.0.1:0"], 2);
    let other = TestHome::new();
    let ran = other.run(&["serve", "--listen", "0.0.0.0:0"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("token add"), "{}", ran.err);
}

#[test]
fn a_running_service_knows_new_and_revoked_tokens_within_a_second() {
    let service = Service::start();
    assert!(service.log().contains("token add"), "{}", service.log());
    let ran = service.place.run(&["token", "add", "root", "--role", "admin"]);
    let (token, added) = (ran.out.trim(), Instant::now());
    service.until("knows the token", || service.get(token, "/api/audit/users").status == 200);
    assert!(added.elapsed() < Duration::from_secs(1), "{:?}", added.elapsed());
    assert_eq!(service.place.run(&["token", "revoke", "root"]).code, Some(0));
    let revoked = Instant::now();
    service.until("refuses the token", || service.get(token, "/api/audit/users").status == 401);
    assert!(revoked.elapsed() < Duration::from_secs(1), "{:?}", revoked.elapsed());
}
