//! The real service on a free port, and a client that sends exactly the given bytes.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::support::TestHome;

/// Longest wait in these tests. A wrong answer fails sooner.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running service.
pub(crate) struct Service {
    child: Child,
    pub(crate) place: TestHome,
    pub(crate) address: String,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Service {
    /// Starts a service in a new place and waits until it is ready.
    pub(crate) fn start() -> Self {
        let service = Self::start_in(TestHome::new());
        service.wait_ready();
        service
    }

    /// Starts a service and returns once its port is open.
    pub(crate) fn start_in(place: TestHome) -> Self {
        Self::start_as(place, &[])
    }

    /// Starts a service with more flags and returns once its port is open.
    pub(crate) fn start_as(place: TestHome, flags: &[&str]) -> Self {
        let log = std::fs::File::create(place.path("log")).unwrap();
        Self::start_with(place, flags, log)
    }

    /// Starts a service that writes its log to a file, and returns once its port is open.
    pub(crate) fn start_with(place: TestHome, flags: &[&str], log: std::fs::File) -> Self {
        Self::start_command(place, flags, log, |_| {})
    }

    /// Starts a service with a command that `change` modifies, and returns once its port is open.
    pub(crate) fn start_by(place: TestHome, change: impl FnOnce(&mut std::process::Command)) -> Self {
        let log = std::fs::File::create(place.path("log")).unwrap();
        Self::start_command(place, &[], log, change)
    }

    fn start_command(
        place: TestHome,
        flags: &[&str],
        log: std::fs::File,
        change: impl FnOnce(&mut std::process::Command),
    ) -> Self {
        let mut command = place.command(&[&["serve", "--listen", "127.0.0.1:0"], flags].concat());
        change(&mut command);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").expect("the address on stdout").to_owned();
        Self { child, place, address }
    }

    pub(crate) fn wait_ready(&self) {
        self.until("ready", || self.send("GET", "/readyz", &[], "").status == 200);
    }

    /// Waits until a condition holds.
    pub(crate) fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let begun = Instant::now();
        while !holds() {
            assert!(begun.elapsed() < PATIENCE, "never {what}; the log: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Makes a token and waits until the service knows it.
    pub(crate) fn token(&self, args: &[&str]) -> String {
        let ran = self.place.run(&[&["token", "add"], args].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        let token = ran.out.trim().to_owned();
        // Each attempt with an unknown token counts as a failure of this address, so the test makes few attempts.
        self.until("knows a new token", || {
            let known = !matches!(self.get(&token, "/api/audit/users?x=1").status, 401 | 429);
            std::thread::sleep(Duration::from_millis(if known { 0 } else { 150 }));
            known
        });
        token
    }

    pub(crate) fn get(&self, token: &str, target: &str) -> Answer {
        self.send("GET", target, &[("Authorization", &format!("Bearer {token}"))], "")
    }

    pub(crate) fn post(&self, token: &str, body: &str) -> Answer {
        self.send("POST", "/api/audit/entries", &[("Authorization", &format!("Bearer {token}"))], body)
    }

    /// Sends a request with these headers, and adds Host and Content-Length.
    pub(crate) fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut head = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head += &format!("Host: {}\r\n", self.address);
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        self.raw(format!("{head}\r\n{body}").as_bytes())
    }

    /// Sends these bytes and reads the answer to the end of the connection.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect();
        // If the service refuses the body, the write may fail; the answer says why.
        let _ = stream.write_all(bytes);
        answer(&mut stream)
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.place.path("log")).unwrap()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn terminate(&self) {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    }

    /// Kills the service with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until the service ends, and returns its exit code.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(begun.elapsed() < PATIENCE, "never ended; the log: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Returns the entries of a page.
    pub(crate) fn entries(&self) -> Vec<serde_json::Value> {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()["entries"].as_array().unwrap().clone()
    }
}

/// Reads an answer to the end of the connection.
pub(crate) fn answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let mut piece = [0; 64 * 1024];
    // A connection reset after the answer also ends the reading.
    let end = loop {
        match stream.read(&mut piece) {
            Ok(read @ 1..) => bytes.extend_from_slice(&piece[..read]),
            // So ends the reading of a socket with a limit of time if the whole process is stopped and goes on.
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            end => break end,
        }
    };
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no whole head: {text:?}, {end:?}"));
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers =
        lines.map(|line| line.split_once(": ").unwrap()).map(|(name, value)| (name.to_owned(), value.to_owned()));
    Answer { status, headers: headers.collect(), body: body.to_owned() }
}
