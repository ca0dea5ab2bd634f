//! Compares the published OpenAPI document with the real service: each answer is as described.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};

use boon::{Compiler, Schemas};
use serde_json::Value;

use crate::service::{Answer, Service};

/// The address under which the validator knows the document; nothing is fetched from it.
const PLACE: &str = "file:///openapi.json";

/// The path of the stream, whose answer has no end.
const STREAM: &str = "/api/audit/stream";

/// Paths for which the document has one description with a name in braces.
const WITH_NAMES: [(&str, &str); 2] = [("/api/audit/entries/", "{id}"), ("/log/tile/", "{path}")];

/// Returns a path as the document has it.
fn described(path: &str) -> String {
    let with_name = WITH_NAMES.iter().find(|(begin, _)| path.starts_with(begin));
    with_name.map_or_else(|| path.to_owned(), |(begin, name)| format!("{begin}{name}"))
}

/// The document, and the answers that were checked against it.
struct Document {
    document: Value,
    /// Path, method and status of each checked answer.
    seen: BTreeSet<(String, String, String)>,
}

impl Document {
    /// Checks an answer against the description for its path, method and status.
    fn check(&mut self, method: &str, target: &str, answer: &Answer) {
        let path = described(target.split('?').next().unwrap());
        let status = answer.status.to_string();
        let operation = &self.document["paths"][&path][method.to_lowercase()];
        assert!(operation.is_object(), "{method} {path} is not described");
        let response = self.resolved(&operation["responses"][&status]);
        assert!(response.is_object(), "{method} {target}: {status} is not described: {}", answer.body);
        for (name, header) in response["headers"].as_object().into_iter().flatten() {
            assert!(header["required"] != true || answer.header(name).is_some(), "{method} {target}: no {name}");
        }
        let kind = answer.header("content-type").unwrap();
        assert!(response["content"][kind].is_object(), "{method} {target}: {status} as {kind} is not described");
        let pointer = match response.pointer(&format!("/content/{}/schema/$ref", kind.replace('/', "~1"))) {
            Some(name) => name.as_str().unwrap().to_owned(),
            None => format!(
                "#/paths/{}/{}/responses/{status}/content/{}/schema",
                path.replace('/', "~1"),
                method.to_lowercase(),
                kind.replace('/', "~1").replace(' ', "%20")
            ),
        };
        let value = if kind.ends_with("json") && !kind.ends_with("ndjson") {
            answer.json()
        } else {
            Value::from(answer.body.as_str())
        };
        self.validate(&pointer, &value, &format!("{method} {target}"));
        self.seen.insert((path.to_owned(), method.to_lowercase(), status));
    }

    /// Checks the beginning of the stream, whose answer has no end.
    fn stream(&mut self, service: &Service, token: &str) {
        let mut stream = service.connect();
        let head = format!("GET {STREAM} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut line = String::new();
        let mut lines = BufReader::new(stream);
        while !line.starts_with("content-type: ") {
            line.clear();
            assert!(lines.read_line(&mut line).unwrap() > 2, "no type");
        }
        let kind = line["content-type: ".len()..].trim();
        let described = &self.document["paths"][STREAM]["get"]["responses"]["200"]["content"];
        assert!(described[kind].is_object(), "{kind} is not described");
        self.seen.insert((STREAM.to_owned(), "get".to_owned(), "200".to_owned()));
    }

    fn validate(&self, pointer: &str, value: &Value, what: &str) {
        let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
        compiler.add_resource(PLACE, self.document.clone()).unwrap();
        let schema = compiler.compile(&format!("{PLACE}{pointer}"), &mut schemas).unwrap();
        if let Err(error) = schemas.validate(value, schema) {
            panic!("{what}: {error:#}\n{value:#}");
        }
    }

    /// Returns the value that a `$ref` refers to, or the value itself.
    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => self.document.pointer(reference.strip_prefix('#').unwrap()).unwrap(),
            None => value,
        }
    }
}

#[test]
fn every_answer_is_as_described() {
    let service = Service::start();
    let admin = service.token(&["root", "--role", "admin"]);
    let ingest = service.token(&["agent", "--role", "ingest"]);
    let alice = service.token(&["alice", "--role", "user", "--user", "alice"]);
    let document = service.send("GET", "/openapi.json", &[], "");
    let mut document = Document { document: document.json(), seen: BTreeSet::new() };
    assert_eq!(document.document["openapi"], "3.1.0");
    let line = r#"{"user":"alice","session":"s-1","tool":"fs.read","args":{"path":"a"},"status":"ok","result":"x","duration_ms":3}"#;
    document.validate("#/components/schemas/Sent", &serde_json::from_str(line).unwrap(), "a line that is sent");
    let long = format!("/api/audit/entries?{}", "x".repeat(9_000));
    let huge = format!("{{\"tool\":\"{}\"}}", "x".repeat(17 << 20));
    for (token, target, body) in [
        (&*ingest, "/api/audit/entries", line),
        (&ingest, "/api/audit/entries", &format!("{line}\n{{}}")),
        (&ingest, "/api/audit/entries", "{}"),
        (&ingest, "/api/audit/entries", ""),
        (&ingest, "/api/audit/entries?x=1", line),
        (&ingest, "/api/audit/entries", &huge),
        (&ingest, &long, line),
        (&alice, "/api/audit/entries", line),
        ("none", "/api/audit/entries", line),
    ] {
        let answer = service.send("POST", target, &[("Authorization", &format!("Bearer {token}"))], body);
        document.check("POST", target, &answer);
    }
    for token in ["none", &ingest] {
        document.check("GET", STREAM, &service.get(token, STREAM));
    }
    document.stream(&service, &admin);
    for path in READS {
        document.check("GET", path, &service.send("GET", path, &[], ""));
        for token in [&admin, &alice, &ingest] {
            document.check("GET", path, &service.get(token, path));
        }
    }
    for query in ["user=alice&days=30&limit=1&q=tool%3Dfs.*", "user=bob", "limit=0", "q=%22", "cursor=x"] {
        let target = format!("/api/audit/recent?{query}");
        document.check("GET", &target, &service.get(&alice, &target));
    }
    let page = service.get(&admin, "/api/audit/recent?limit=1").json();
    let target = format!("/api/audit/recent?limit=1&cursor={}", page["next"].as_str().unwrap());
    document.check("GET", &target, &service.get(&admin, &target));
    for target in [
        "/api/audit/stats?user=alice&days=30&q=status%3Dok",
        "/api/audit/stats?limit=1",
        "/api/audit/stats?q=tool%3Dtooltrail.*",
        "/api/audit/series?bucket=minute&by=tool&q=last%3D1h",
        "/api/audit/series?bucket=day&by=none&from=2026-11-01&to=2026-11-30",
        "/api/audit/series?bucket=minute",
        "/api/audit/series?bucket=week",
        "/api/audit/sessions?limit=1&user=alice",
        "/api/audit/export?format=csv&order=oldest",
        "/api/audit/export?format=ocsf&cursors=true",
        "/api/audit/export?format=csv&cursors=true",
        "/api/audit/export?format=xml",
    ] {
        document.check("GET", target, &service.get(&admin, target));
    }
    let sealed = sealed(&mut document, &service, [&admin, &alice, &ingest]);
    mcp(&mut document, &service, &alice);
    tools(&mut document, &service);
    let paths = document.document["paths"].as_object().unwrap().clone();
    for (path, method) in paths.iter().flat_map(|(path, methods)| {
        methods.as_object().unwrap().keys().map(move |method| (path, method.to_uppercase()))
    }) {
        for (target, host) in [
            (path.clone(), "evil.example"),
            (format!("{path}?{}", "x".repeat(9_000)), "localhost"),
            (format!("{path}?x=1"), "localhost"),
            (path.clone(), "localhost"),
        ] {
            if target == STREAM && host == "localhost" {
                // `stream` checks this answer, which has no end.
                continue;
            }
            let answer = service.send(
                &method,
                &target,
                &[("Host", host), ("Authorization", &format!("Bearer {admin}"))],
                line_for(&method, line),
            );
            document.check(&method, &target, &answer);
        }
        // Each described path exists, with the described methods only.
        let other = service.send("PATCH", path, &[], "");
        let allowed = other.header("allow").unwrap().split(',').filter(|method| *method != "HEAD").collect::<Vec<_>>();
        assert_eq!((other.status, allowed), (405, vec![method.as_str()]), "{path}");
        document.validate("#/components/schemas/Problem", &other.json(), path);
    }
    // After many requests without a valid token, an address gets 429 for every request.
    service.until("sends strangers away", || service.send("GET", "/api/audit/users", &[], "").status == 429);
    for path in READS.into_iter().chain(sealed.iter().map(String::as_str)) {
        document.check("GET", path, &service.send("GET", path, &[], ""));
    }
    document.check("POST", "/api/audit/entries", &service.send("POST", "/api/audit/entries", &[], line));
    document.check("POST", "/mcp", &service.send("POST", "/mcp", &[], line));
    document.check("POST", TOOLS, &service.send("POST", TOOLS, &[], line));
    starting(&mut document, &sealed);
    unseen(&document);
}

/// Checks the answers about what is sealed, and returns their paths.
fn sealed(document: &mut Document, service: &Service, tokens: [&str; 3]) -> [String; 4] {
    let page = service.get(tokens[0], "/api/audit/recent?user=alice&limit=1").json();
    let id = page["entries"][0]["id"].as_str().unwrap_or_else(|| panic!("{page}")).to_owned();
    let entry = format!("/api/audit/entries/{id}");
    service.until("it is sealed", || service.get(tokens[0], &entry).json()["proof"].is_object());
    let paths =
        [entry, "/api/audit/checkpoint".to_owned(), "/log/checkpoint".to_owned(), "/log/tile/0/000.p/1".to_owned()];
    for path in &paths {
        document.check("GET", path, &service.send("GET", path, &[], ""));
        for token in tokens {
            document.check("GET", path, &service.get(token, path));
        }
    }
    let nobody = "/api/audit/entries/01a00000-0000-7000-8000-000000000000";
    document.check("GET", nobody, &service.get(tokens[0], nobody));
    let (file, aside) = (service.place.home().join(".tooltrail/log/checkpoint"), service.place.home().join("aside"));
    std::fs::rename(&file, &aside).unwrap();
    for path in &paths[1..3] {
        document.check("GET", path, &service.get(tokens[0], path));
    }
    std::fs::rename(&aside, &file).unwrap();
    paths
}

const TOOLS: &str = "/api/audit/tools";

/// Checks the answers to a proxy that reports what a server's tools are.
fn tools(document: &mut Document, service: &Service) {
    let proxy = service.token(&["proxy", "--role", "ingest", "--kind", "spool", "--user", "alice"]);
    let large = " ".repeat(17 << 20);
    let page = r#"{"server":"hub","tools":{"a":{"sha256":"x","text":"{}"}},"listed":[],"has_more":false}"#;
    for body in [page, "{}", &large] {
        let answer = service.send("POST", TOOLS, &[("Authorization", &format!("Bearer {proxy}"))], body);
        document.check("POST", TOOLS, &answer);
    }
    document.check("POST", TOOLS, &service.send("POST", TOOLS, &[], page));
}

/// Checks the answers of the MCP server. Those of the protocol's library have no description of their bodies.
fn mcp(document: &mut Document, service: &Service, token: &str) {
    let token = format!("Bearer {token}");
    let post = |target: &str, accept: &str, body: &str| {
        let headers = [("Authorization", &*token), ("Content-Type", "application/json"), ("Accept", accept)];
        service.send("POST", target, &headers, body)
    };
    const BOTH: &str = "application/json, text/event-stream";
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    document.check("POST", "/mcp", &post("/mcp", BOTH, list));
    document.check("POST", "/mcp", &post("/mcp?x=1", BOTH, list));
    document.check("POST", "/mcp", &service.send("POST", "/mcp", &[], list));
    let large = " ".repeat(70_000);
    for (accept, body, status) in [
        (BOTH, r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, 202),
        ("text/html", list, 406),
        (BOTH, &large, 413),
        (BOTH, "nonsense", 415),
    ] {
        assert_eq!(post("/mcp", accept, body).status, status, "{accept}");
        document.seen.insert(("/mcp".to_owned(), "post".to_owned(), status.to_string()));
    }
}

/// Checks the answers of a service that cannot open its home.
fn starting(document: &mut Document, sealed: &[String]) {
    let place = crate::support::TestHome::new();
    let token = place.run(&["token", "add", "root", "--role", "admin"]).out.trim().to_owned();
    let proxy = ["token", "add", "proxy", "--role", "ingest", "--kind", "spool", "--user", "alice"];
    let proxy = place.run(&proxy).out.trim().to_owned();
    let alice = place.run(&["token", "add", "alice", "--role", "user", "--user", "alice"]).out.trim().to_owned();
    let keys = std::fs::read_dir(place.path(".local/state/tooltrail")).unwrap().next().unwrap().unwrap().path();
    std::fs::create_dir(keys.join("redact-1.key")).unwrap();
    let service = Service::start_in(place);
    for target in READS.into_iter().chain([STREAM, "/readyz", "/healthz"]).chain(sealed.iter().map(String::as_str)) {
        document.check("GET", target, &service.get(&token, target));
    }
    document.check("POST", "/api/audit/entries", &service.post(&token, r#"{"tool":"t"}"#));
    document.check("POST", TOOLS, &service.send("POST", TOOLS, &[("Authorization", &format!("Bearer {proxy}"))], "{}"));
    let alice = format!("Bearer {alice}");
    document.check("POST", "/mcp", &service.send("POST", "/mcp", &[("Authorization", &alice)], "{}"));
}

/// The paths that read the trail.
const READS: [&str; 6] = [
    "/api/audit/recent",
    "/api/audit/stats",
    "/api/audit/series",
    "/api/audit/sessions",
    "/api/audit/export",
    "/api/audit/users",
];

/// Checks that every described answer was seen, except those that need a fault of the machine or a long wait.
fn unseen(document: &Document) {
    let mut missing = BTreeMap::<String, Vec<String>>::new();
    for (path, methods) in document.document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            for status in operation["responses"].as_object().unwrap().keys() {
                if !document.seen.contains(&(path.clone(), method.clone(), status.clone())) {
                    missing.entry(status.clone()).or_default().push(format!("{method} {path}"));
                }
            }
        }
    }
    missing.retain(|status, _| status != "500" && status != "408");
    assert!(missing.is_empty(), "described and never seen: {missing:?}");
}

/// Returns the body of a request with this method.
fn line_for<'a>(method: &str, line: &'a str) -> &'a str {
    if method == "POST" { line } else { "" }
}
