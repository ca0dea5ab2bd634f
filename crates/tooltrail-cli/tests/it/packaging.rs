//! The files and examples for operators, checked by the tools that read them.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::service::{PATIENCE, Service, answer};
use crate::support::TestHome;

/// Maximum exposure that `systemd-analyze security` may report, in tenths: 10 is very safe, 100 means no protection.
const EXPOSURE_MAX: &str = "15";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Writes the unit file with the path of this build's binary instead of the installed one.
fn unit(folder: &Path) -> PathBuf {
    let text = std::fs::read_to_string(root().join("packaging/tooltrail.service")).unwrap();
    assert!(text.contains("/usr/local/bin/tooltrail serve"), "{text}");
    let file = folder.join("tooltrail.service");
    std::fs::write(&file, text.replace("/usr/local/bin/tooltrail", env!("CARGO_BIN_EXE_tooltrail"))).unwrap();
    file
}

fn analyze(args: &[&str], unit: &Path) -> Option<(bool, String)> {
    let output = match Command::new("systemd-analyze").args(args).arg(unit).output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("skipped: systemd-analyze: {error} (Debian's package systemd has it)");
            return None;
        }
    };
    let text = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
}

#[test]
fn the_unit_is_understood_and_shut_in() {
    let folder = tempfile::tempdir().unwrap();
    let unit = unit(folder.path());
    if let Some((ok, said)) = analyze(&["verify", "--man=no"], &unit) {
        let ours = said.lines().filter(|line| line.contains("tooltrail")).collect::<Vec<_>>();
        assert!(ok && ours.is_empty(), "{said}");
    }
    let threshold = format!("--threshold={EXPOSURE_MAX}");
    if let Some((ok, said)) = analyze(&["security", "--offline=yes", &threshold], &unit) {
        assert!(ok, "{said}");
    }
}

/// Returns the first code block of a language in `docs/operate.md`.
fn example(language: &str) -> String {
    let page = std::fs::read_to_string(root().join("docs/operate.md")).unwrap();
    let block = page.split(&format!("```{language}\n")).nth(1).unwrap_or_else(|| panic!("no {language}"));
    block.split("```").next().unwrap().to_owned()
}

#[test]
fn the_example_of_a_configuration_has_every_key() {
    let place = TestHome::new();
    let file = place.file("tooltrail.toml", example("toml"));
    let ran = place.run(&["config", "check", "--json", "--config", &file]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let said = serde_json::from_str::<serde_json::Value>(&ran.out).unwrap();
    for (key, value) in said.as_object().unwrap() {
        let elsewhere = ["config", "home", "keys"].contains(&key.as_str());
        assert!(elsewhere || value["from"] == file, "{key} is not in the example: {value}");
    }
}

/// A child process that is killed at the end of the test.
struct Proxy(Child);

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs nginx with the example of the page, without TLS, as a proxy in front of the service.
fn nginx(place: &TestHome, service: &str, port: u16) -> Option<Proxy> {
    let server = example("nginx")
        .replace("listen 443 ssl", &format!("listen 127.0.0.1:{port}"))
        .replace("127.0.0.1:7420", service)
        .lines()
        .filter(|line| !line.trim_start().starts_with("ssl_"))
        .collect::<Vec<_>>()
        .join("\n");
    let folder = place.path("nginx");
    std::fs::create_dir(&folder).unwrap();
    let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = kinds.map(|kind| format!("{kind}_temp_path {}/{kind};", folder.display())).join("\n");
    let text = format!(
        "daemon off;\nmaster_process off;\npid {0}/pid;\nerror_log {0}/error;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}\n{server}\n}}\n",
        folder.display()
    );
    let file = place.file("nginx.conf", text);
    let child = Command::new("nginx").args(["-c", &file]).stdin(Stdio::null()).stderr(Stdio::null()).spawn();
    match child {
        Ok(child) => Some(Proxy(child)),
        Err(error) => {
            eprintln!("skipped: nginx: {error} (Debian's package nginx-light has it)");
            None
        }
    }
}

#[test]
fn the_example_of_a_proxy_works() {
    let service = Service::start_as(TestHome::new(), &["--host", "audit.example.org"]);
    service.wait_ready();
    let admin = service.token(&["root", "--role", "admin"]);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let Some(_proxy) = nginx(&service.place, &service.address, port) else { return };
    service.until("behind nginx", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    let ask = |request: &str, body: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "{request} HTTP/1.1\r\nHost: audit.example.org\r\nConnection: close\r\nAuthorization: Bearer {admin}\r\nOrigin: https://audit.example.org\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        answer(&mut stream)
    };
    let line = r#"{"user":"alice","tool":"t","status":"ok"}"#;
    assert_eq!(ask("POST /api/audit/entries", line).status, 200);
    let many = format!(
        "{}\n",
        serde_json::json!({ "user": "alice", "tool": "t", "status": "ok", "args": "x".repeat(30_000) })
    )
    .repeat(300);
    assert_eq!(ask("POST /api/audit/entries", &many).status, 200, "a large body passes");
    assert_eq!(ask("GET /api/audit/recent?user=alice&limit=3", "").status, 200);
    assert_eq!(ask("GET /healthz", "").status, 200);
    assert_eq!(ask("GET /metrics", "").status, 403, "not for everybody");
    let mut raw = TcpStream::connect(("127.0.0.1", port)).unwrap();
    raw.write_all(b"GET /api/audit/recent HTTP/1.1\r\nHost: audit.example.org\r\nConnection: close\r\n\r\n").unwrap();
    let mut refused = String::new();
    raw.read_to_string(&mut refused).unwrap();
    assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
}

/// Runs the commands of the unit with the same words and variables.
#[test]
fn the_unit_s_commands_are_ours() {
    let text = std::fs::read_to_string(root().join("packaging/tooltrail.service")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let variables = text.lines().filter_map(|line| line.strip_prefix("Environment=")?.split_once('='));
    let variables = variables
        .map(|(name, value)| (name, value.replace("/var/lib/tooltrail", folder.path().to_str().unwrap())))
        .collect::<Vec<_>>();
    assert_eq!(variables.len(), 2, "home and keys");
    let command = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).unwrap().split(' ').skip(1);
    let check = Command::new(env!("CARGO_BIN_EXE_tooltrail"))
        .args(command("ExecStartPre="))
        .env_clear()
        .envs(variables.clone())
        .output()
        .unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    let said: serde_json::Value = serde_json::from_slice(&check.stdout).unwrap();
    assert_eq!(said["home"]["from"], "TOOLTRAIL_HOME");
    let help =
        Command::new(env!("CARGO_BIN_EXE_tooltrail")).args(command("ExecStart=")).arg("--help").output().unwrap();
    assert!(help.status.success(), "{}", String::from_utf8_lossy(&help.stderr));
}
