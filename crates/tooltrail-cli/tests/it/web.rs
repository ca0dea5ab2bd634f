//! The page over real sockets: who can sign in, which headers a browser gets, and that content of the trail stays text.

use crate::service::{Answer, Service};

const FORM_TYPE: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// The part of a browser that the tests need: its cookies.
pub(crate) struct Browser<'a> {
    service: &'a Service,
    cookies: Vec<(String, String)>,
}

impl<'a> Browser<'a> {
    const fn new(service: &'a Service) -> Self {
        Self { service, cookies: Vec::new() }
    }

    fn send(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let cookies = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
        let mut all = headers.to_vec();
        if !cookies.is_empty() {
            all.push(("Cookie", &cookies));
        }
        let answer = self.service.send(method, target, &all, body);
        for (_, cookie) in answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")) {
            for rule in ["Path=/", "HttpOnly", "SameSite=Strict"] {
                assert!(cookie.contains(rule), "{cookie}");
            }
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            if !value.is_empty() {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        answer
    }

    pub(crate) fn get(&mut self, target: &str) -> Answer {
        self.send("GET", target, &[], "")
    }

    fn sign_in(&mut self, token: &str) -> Answer {
        let form = hidden(&self.get("/"), "form");
        self.send("POST", "/session", &[FORM_TYPE], &format!("form={form}&token=+{token}%0A&next=%2Fstats"))
    }

    pub(crate) fn signed_in(service: &'a Service, token: &str) -> Self {
        let mut browser = Self::new(service);
        assert_eq!(browser.sign_in(token).status, 303);
        browser
    }
}

/// Returns the value of a hidden field.
fn hidden(page: &Answer, name: &str) -> String {
    let field = format!("name=\"{name}\" value=\"");
    page.body.split(&field).nth(1).unwrap_or_else(|| panic!("{page:?}")).split('"').next().unwrap().to_owned()
}

#[test]
fn signing_in_and_out() {
    let service = Service::start();
    let admin = service.token(&["root", "--role", "admin"]);
    let agent = service.token(&["agent", "--role", "ingest"]);
    let mut browser = Browser::new(&service);
    for target in ["/", "/stats?days=30", "/?q=%22"] {
        let page = browser.get(target);
        assert_eq!(page.status, 200, "{target}");
        assert!(page.body.contains("name=\"token\""), "{page:?}");
        assert_eq!(hidden(&page, "next"), target);
    }
    let wrong = browser.sign_in("tooltrail_nonsense");
    assert_eq!((wrong.status, wrong.header("content-type")), (401, Some("text/html; charset=utf-8")));
    assert!(wrong.body.contains("This token is not valid") && !wrong.body.contains("nonsense"), "{wrong:?}");
    let refused = browser.sign_in(&agent);
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains("This token may only send entries"), "{refused:?}");
    assert!(browser.get("/").body.contains("name=\"token\""));

    let answer = browser.sign_in(&admin);
    assert_eq!((answer.status, answer.header("location")), (303, Some("/stats")));
    let session = browser.cookies.iter().find(|(name, _)| name == "tooltrail_session").unwrap().1.clone();
    assert_eq!(session.len(), 64);
    assert!(!answer.body.contains(&admin));
    let page = browser.get("/");
    assert!(page.status == 200 && page.body.contains("Newest calls") && page.body.contains("root"), "{page:?}");

    let form = hidden(&page, "form");
    assert_eq!(browser.send("POST", "/session/end", &[FORM_TYPE], "form=0").status, 403);
    assert!(browser.get("/").body.contains("Newest calls"));
    let answer = browser.send("POST", "/session/end", &[FORM_TYPE], &format!("form={form}"));
    assert_eq!((answer.status, answer.header("location")), (303, Some("/")));
    let cookie = format!("tooltrail_session={session}");
    let page = service.send("GET", "/", &[("Cookie", &cookie)], "");
    assert!(page.body.contains("name=\"token\""), "a session that ended does not come back: {page:?}");
}

#[test]
fn another_sites_page_gets_nowhere() {
    let service = Service::start();
    let admin = service.token(&["root", "--role", "admin"]);
    let mut browser = Browser::new(&service);
    let form = hidden(&browser.get("/"), "form");
    let body = format!("form={form}&token={admin}");
    let own = format!("http://{}", service.address);
    for (headers, expected) in [
        (vec![("Origin", "http://evil.example")], 403),
        (vec![("Origin", "null")], 403),
        (vec![("Sec-Fetch-Site", "cross-site")], 403),
        (vec![("Sec-Fetch-Site", "same-site"), ("Origin", &own)], 403),
        (vec![("Host", "evil.example")], 421),
        (vec![("Origin", &own), ("Sec-Fetch-Site", "same-origin")], 303),
    ] {
        let mut all = headers.clone();
        all.push(FORM_TYPE);
        assert_eq!(browser.send("POST", "/session", &all, &body).status, expected, "{headers:?}");
    }
    let strange = Browser::new(&service).send("POST", "/session", &[FORM_TYPE], &body);
    assert_eq!(strange.status, 403, "a form that this browser never asked for");
    for next in ["https://evil.example/", "//evil.example", "/\\evil.example", "/session"] {
        let body = format!("{body}&next={}", next.replace('/', "%2F").replace('\\', "%5C"));
        let answer = browser.send("POST", "/session", &[FORM_TYPE], &body);
        assert_eq!((answer.status, answer.header("location")), (303, Some("/")), "{next}");
    }
    let large = format!("{body}&next={}", "x".repeat(20_000));
    assert_eq!(browser.send("POST", "/session", &[FORM_TYPE], &large).status, 413);

    // A browser sends no strict cookie after a link from another site, so the form loads its address again from our
    // page.
    let linked = service.send("GET", "/?q=x", &[("Sec-Fetch-Site", "cross-site")], "");
    assert!(linked.body.contains("content=\"0; url=/?q=x\""), "{linked:?}");
    assert!(!service.send("GET", "/?q=x", &[("Sec-Fetch-Site", "same-origin")], "").body.contains("refresh"));
}

#[test]
fn a_cookie_reads_the_api_and_never_writes() {
    let service = Service::start();
    let admin = service.token(&["root", "--role", "admin"]);
    let alice = service.token(&["alice", "--role", "user", "--user", "alice"]);
    service.post(&admin, "{\"user\":\"alice\",\"tool\":\"hers\"}\n{\"user\":\"bob\",\"tool\":\"his\"}");
    let mut browser = Browser::signed_in(&service, &admin);
    assert_eq!(browser.get("/api/audit/recent?q=tool%3Dhis").entries().len(), 1);
    for site in ["cross-site", "same-site"] {
        assert_eq!(browser.send("GET", "/api/audit/recent", &[("Sec-Fetch-Site", site)], "").status, 401, "{site}");
    }
    assert_eq!(browser.send("POST", "/api/audit/entries", &[], "{\"tool\":\"t\"}").status, 401);
    assert_eq!(browser.send("GET", "/api/audit/recent", &[("Authorization", "Bearer x")], "").status, 401);

    let mut hers = Browser::signed_in(&service, &alice);
    let page = hers.get("/");
    assert!(page.body.contains(">hers<") && !page.body.contains(">his<"), "{page:?}");
    assert!(!page.body.contains("name=\"user\""));
    for target in ["/?user=bob", "/?q=user%3Dbob", "/rows?user=bob", "/stats?user=bob", "/api/audit/recent?user=bob"] {
        assert_eq!(hers.get(target).status, 403, "{target}");
    }
    let id = browser.get("/api/audit/recent?q=tool%3Dhis").entries()[0]["id"].as_str().unwrap().to_owned();
    let opened = |browser: &mut Browser<'_>| browser.get(&format!("/?open={id}&q=tool%3Dnone")).body;
    assert!(opened(&mut browser).contains("id=\"call-title\">his<"));
    assert!(opened(&mut hers).contains("No such call"));
}

#[test]
fn a_revoked_token_ends_its_sessions() {
    let service = Service::start();
    let admin = service.token(&["root", "--role", "admin"]);
    let mut browser = Browser::signed_in(&service, &admin);
    assert_eq!(browser.get("/rows").status, 200);
    assert_eq!(service.place.run(&["token", "revoke", "root"]).code, Some(0));
    let revoked = std::time::Instant::now();
    let cookies = browser.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
    service.until("ends", || service.send("GET", "/rows", &[("Cookie", &cookies)], "").status == 401);
    assert!(revoked.elapsed().as_millis() < 1_500, "{:?}", revoked.elapsed());
    assert!(browser.get("/").body.contains("name=\"token\""));
}

#[test]
fn a_browser_is_told_what_a_page_may_do() {
    let service = Service::start();
    let admin = service.token(&["root", "--role", "admin"]);
    let mut browser = Browser::signed_in(&service, &admin);
    for target in ["/", "/stats", "/rows", "/?days=0", "/?q=%22", "/?x=1", "/static/page.css", "/static/live.js"] {
        let answer = browser.get(target);
        let policy = answer.header("content-security-policy").unwrap_or_default();
        // If a question is refused, the answer may be a problem document instead of a page, but it has the same
        // headers.
        for part in ["default-src 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"] {
            assert!(policy.contains(part) && !policy.contains("unsafe"), "{target}: {policy}");
        }
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{target}");
        assert_eq!(answer.header("referrer-policy"), Some("same-origin"), "{target}");
        assert!(!answer.body.contains("style=\"") && !answer.body.contains("<script>"), "{target}");
    }
    assert_eq!(browser.get("/").header("cache-control"), Some("no-store"));

    let file = service.send("GET", "/static/live.js", &[], "");
    assert_eq!((file.status, file.header("cache-control")), (200, Some("no-cache")));
    let tag = file.header("etag").unwrap();
    for known in [tag, &format!("\"x\", W/{tag}")] {
        let again = service.send("GET", "/static/live.js", &[("If-None-Match", known)], "");
        assert_eq!((again.status, again.body.as_str(), again.header("etag")), (304, "", Some(tag)));
    }
    assert_eq!(service.send("GET", "/static/live.js", &[("If-None-Match", "\"x\"")], "").status, 200);
    for target in ["/static/none", "/static/..%2Fpage.css", "/static/", "/static/live.js?x=1"] {
        assert!(matches!(service.send("GET", target, &[], "").status, 400 | 404), "{target}");
    }
}

#[test]
fn what_the_trail_holds_stays_text() {
    let service = Service::start();
    let admin = service.token(&["root", "--role", "admin"]);
    let hostile = r#"<img src=x onerror=\"alert(1)\">\u202e\u0007'"#;
    let line = format!(
        r#"{{"user":"{hostile}","tool":"{hostile}","session":"{hostile}","args":{{"{hostile}":"{hostile}"}},"status":"error","error":"{hostile}","odd":"{hostile}"}}"#
    );
    assert_eq!(service.post(&admin, &line).status, 200);
    let mut browser = Browser::signed_in(&service, &admin);
    let id = browser.get("/api/audit/recent?q=status%3Derror").entries()[0]["id"].as_str().unwrap().to_owned();
    for target in ["/", &format!("/?open={id}"), "/stats", "/rows", "/?q=%22%3Cimg%20src%3Dx%22&tool=%22%3E%3Cimg%20x"]
    {
        let page = browser.get(target);
        assert_eq!(page.status, 200, "{target}: {page:?}");
        assert!(!page.body.contains("<img src=x") && !page.body.contains("<img x"), "{target}: {page:?}");
        assert!(!page.body.contains('\u{202e}') && !page.body.contains('\u{7}'), "{target}: {page:?}");
    }
    let opened = browser.get(&format!("/?open={id}")).body;
    assert!(opened.contains("\\u202e\\u0007") && opened.contains("<h3>Extra</h3>"), "{opened}");
}

#[test]
fn every_view_is_an_address() {
    let service = Service::start();
    let admin = service.token(&["root", "--role", "admin"]);
    let lines = (0..250).map(|n| {
        format!(
            r#"{{"user":"u{}","tool":"t.{}","status":"{}","args":{{"n":{n}}}}}"#,
            n % 2,
            n % 3,
            ["ok", "error"][n % 2]
        )
    });
    assert_eq!(service.post(&admin, &lines.collect::<Vec<_>>().join("\n")).status, 200);
    let mut browser = Browser::signed_in(&service, &admin);
    let rows = |page: &Answer| page.body.matches("data-key=").count();
    let mut check = |target: &str, expected: usize| {
        let page = browser.get(target);
        assert_eq!((page.status, rows(&page)), (200, expected), "{target}");
    };
    check("/?q=via%3Dhttp", 100);
    check("/?tool=t.0", 84);
    check("/?tool=t.2&q=status%3Dok", 42);
    check("/?status=denied", 0);
    check("/?status=error&user=u0", 0);
    check("/rows?user=u1&status=error&tool=t.1", 42);
    check("/?user=&tool=&q=&status=&days=7", 100);

    let (mut target, mut seen) = ("/?tool=t.*".to_owned(), 0);
    loop {
        let page = browser.get(&target);
        seen += rows(&page);
        let Some(next) = page.body.split("rel=\"next\" href=\"").nth(1) else { break };
        target = next.split('"').next().unwrap().replace("&amp;", "&");
    }
    assert_eq!(seen, 250);

    let wrong = browser.get("/?q=nonsense%3D1&status=ok");
    assert_eq!(wrong.status, 400);
    assert!(wrong.body.contains("unknown field") && wrong.body.contains("quote plain text"), "{wrong:?}");
    assert!(wrong.body.contains("value=\"nonsense=1\""), "what was typed stays: {wrong:?}");
    for target in ["/?days=0", "/?status=fine", "/?x=1", "/?q=a&q=b", "/stats?q=%22", "/?cursor=x", "/rows?q=%22"] {
        assert_eq!(browser.get(target).status, 400, "{target}");
    }
    assert!(browser.get("/?open=nonsense").body.contains("No such call"));
    let stats = browser.get("/stats?tool=t.0").body;
    assert!(stats.contains("<b>84</b> calls") && stats.contains("t.0") && !stats.contains("t.1"), "{stats}");
    let reads = browser.get("/?reads=1&user=_system").body;
    assert!(reads.contains(">tooltrail.read<"), "{reads}");
    assert!(!browser.get("/?user=_system").body.contains(">tooltrail.read<"));
}

#[test]
fn a_seeds_line_opens_without_an_id() {
    let service = Service::start();
    let admin = service.token(&["root", "--role", "admin"]);
    let folder = service.place.home().join("carol/tool_audit");
    std::fs::create_dir_all(&folder).unwrap();
    let date = service.get(&admin, "/api/audit/stats?days=1").json()["to"].as_str().unwrap().to_owned();
    let line = |n: u32| {
        format!(
            "{{\"ts\": \"{date}T00:00:01\", \"user\": \"carol\", \"tool\": \"seed.{n}\", \"args\": {{}}, \"status\": \"ok\", \"result_chars\": 2, \"result_snippet\": \"\\u00e9!\"}}\n"
        )
    };
    std::fs::write(folder.join(format!("{date}.jsonl")), line(1) + &line(2)).unwrap();
    let mut browser = Browser::signed_in(&service, &admin);
    let rows = browser.get("/rows?tool=seed.1").body;
    let key = rows.split("data-key=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let page = browser.get(&format!("/?tool=none&open={key}")).body;
    assert!(page.contains("id=\"call-title\">seed.1<") && page.contains("é!"), "{page}");
}

#[test]
fn an_address_that_leads_nowhere_is_a_page_for_a_browser() {
    let service = Service::start();
    let page = service.send("GET", "/nope", &[("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")], "");
    assert!(page.status == 404 && page.body.contains("leads nowhere"), "{page:?}");
    assert!(page.header("content-type").unwrap().starts_with("text/html"), "{page:?}");
    for (target, accept) in [("/nope", "*/*"), ("/api/nope", "text/html")] {
        let problem = service.send("GET", target, &[("Accept", accept)], "");
        assert_eq!(
            (problem.status, problem.header("content-type")),
            (404, Some("application/problem+json")),
            "{target}"
        );
    }
}

#[test]
fn an_empty_trail_shows_how_a_first_call_comes() {
    let service = Service::start();
    let admin = service.token(&["root", "--role", "admin"]);
    let page = Browser::signed_in(&service, &admin).get("/");
    assert!(page.body.contains(&format!("http://{}/api/audit/entries", service.address)), "{page:?}");
    assert!(page.body.contains("tooltrail token add"), "{page:?}");
}

#[test]
fn a_misspelt_key_is_told_to_its_sender() {
    let service = Service::start();
    let ingest = service.token(&["agent", "--role", "ingest"]);
    let answer = service.post(&ingest, "{\"tool\":\"a\",\"stat\":\"ok\"}").json();
    assert_eq!(answer["warnings"][0]["line"], 1, "{answer}");
    assert!(answer["warnings"][0]["warning"].as_str().unwrap().contains("did you mean \"status\""), "{answer}");
    assert!(service.post(&ingest, "{\"tool\":\"a\",\"status\":\"ok\"}").json().get("warnings").is_none());
}
