//! Says whether the hooks of an agent work, and what to do if not.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::agents::change::read;
use crate::agents::hooks_file::{Installed, installed};
use crate::agents::install::{Installer, has_line};
use crate::agents::json::read_object;
use crate::agents::servers::wrapped;
use crate::hook::Client;
use crate::spool::Spool;

/// The fewest calls after which it is told that none of them has an outcome.
const CALLS_MIN: u64 = 3;

/// Examines the settings of agents.
#[derive(Debug)]
pub(crate) struct Doctor<'a> {
    pub(crate) installer: &'a Installer,
    /// The folder in which the user works.
    pub(crate) project: PathBuf,
}

/// What the trail has of an agent's hooks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// When the last call ended.
    pub(crate) last: Option<String>,
    /// The last calls that were looked at, and how many of them have no outcome.
    pub(crate) calls: u64,
    pub(crate) interrupted: u64,
}

/// What is known about one agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Diagnosis {
    pub(crate) client: Client,
    /// Whether the agent has been used on this machine.
    pub(crate) is_found: bool,
    pub(crate) is_installed: bool,
    pub(crate) seen: Seen,
    /// What is wrong.
    pub(crate) wrong: Vec<Finding>,
    /// What should be known, although it is no fault.
    pub(crate) notes: Vec<String>,
    /// What to do next.
    pub(crate) next: String,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) what: String,
    /// Whether installing the hooks once more mends it.
    pub(crate) is_mended_by_install: bool,
}

impl Doctor<'_> {
    /// Examines one agent. `seen` is what the trail has of it.
    pub(crate) fn examine(&self, client: Client, seen: Seen) -> Diagnosis {
        let places = &self.installer.places;
        let is_found = places.is_found(client);
        let mut diagnosis = Diagnosis {
            client,
            is_found,
            is_installed: false,
            seen,
            wrong: Vec::new(),
            notes: Vec::new(),
            next: String::new(),
        };
        let path = places.hooks(client, self.installer.project.as_deref());
        let text = path.as_ref().map(|path| read(path));
        let hooks = match (&path, text) {
            (Some(path), Some(Ok(Some(text)))) => installed(&text, client).unwrap_or_else(|why| {
                diagnosis.wrong(format!("{} is not understood: {why}", places.shown(path)));
                Vec::new()
            }),
            (Some(path), Some(Err(error))) => {
                diagnosis.wrong(format!("{} cannot be read: {error}", places.shown(path)));
                Vec::new()
            }
            _ => Vec::new(),
        };
        diagnosis.is_installed = !hooks.is_empty();
        if diagnosis.is_installed {
            self.examine_hooks(&mut diagnosis, &hooks);
            self.examine_switches(&mut diagnosis);
            if let (Client::Codex, Some(path)) = (client, &path) {
                self.examine_trust(&mut diagnosis, &hooks, path);
            }
            diagnosis.examine_calls();
        }
        self.examine_servers(&mut diagnosis);
        diagnosis.notes.push(cannot_tell(client).to_owned());
        diagnosis.next = diagnosis.what_next();
        diagnosis
    }

    fn examine_hooks(&self, diagnosis: &mut Diagnosis, hooks: &[Installed]) {
        let wanted = self.installer.hooks(diagnosis.client);
        let lacks = |event: &&str| !hooks.iter().any(|hook| hook.event == **event);
        let missing = wanted.iter().map(|hook| hook.event).filter(lacks).collect::<Vec<_>>();
        if !missing.is_empty() {
            diagnosis.mendable(format!("no hook for {}", missing.join(", ")));
        }
        let limited = hooks.iter().filter(|hook| hook.is_limited).map(|hook| &*hook.event).collect::<Vec<_>>();
        if !limited.is_empty() {
            diagnosis.mendable(format!("the hook for {} does not run for every tool", limited.join(", ")));
        }
        let ours = self.installer.args.home.as_deref();
        let other = hooks
            .iter()
            .filter_map(|hook| hook.args.home.as_deref())
            .find(|home| ours.is_some_and(|ours| *home != ours));
        if let (Some(other), Some(ours)) = (other, ours) {
            diagnosis.notes.push(format!(
                "the hooks record into {}, and this looks at {}",
                other.display(),
                ours.display()
            ));
        }
        Self::examine_deliveries(diagnosis, hooks);
        let mut programs = hooks.iter().map(|hook| &hook.program).collect::<Vec<_>>();
        programs.sort();
        programs.dedup();
        for program in programs {
            if !is_program(Path::new(program)) {
                diagnosis.mendable(format!("the hooks run {program}, which is no program: it was moved or removed"));
            } else if !is_same(Path::new(program), &self.installer.program) {
                diagnosis
                    .notes
                    .push(format!("the hooks run {program}, and this is {}", self.installer.program.display()));
            }
        }
    }

    /// What waits for a service although a process has tried to deliver it.
    fn examine_deliveries(diagnosis: &mut Diagnosis, hooks: &[Installed]) {
        let deliveries = hooks.iter().filter_map(|hook| Some((hook.args.to.as_ref()?, hook.args.state.as_ref()?)));
        for (to, state) in deliveries.collect::<BTreeSet<_>>() {
            let spool = Spool::new(state, to);
            diagnosis.notes.push(format!("the hooks deliver to {to}, and this looks at what waits here"));
            if let Some(why) = spool.failure() {
                diagnosis.wrong(format!("{} bytes of entries wait for {to}: {why}", spool.waiting_bytes()));
            }
        }
    }

    /// A server whose wrapper is gone does not start.
    fn examine_servers(&self, diagnosis: &mut Diagnosis) {
        let places = &self.installer.places;
        for path in places.servers(diagnosis.client, self.installer.project.as_deref()) {
            // What is not understood is told where the hooks are examined, or by the agent itself.
            let Ok(Some(text)) = read(&path) else { continue };
            for (name, program) in wrapped(&text, &path).unwrap_or_default() {
                if !is_program(Path::new(&program)) {
                    diagnosis.mendable(format!(
                        "the MCP server {name} is started by {program}, which is no program: it was moved or removed"
                    ));
                }
            }
        }
    }

    fn examine_switches(&self, diagnosis: &mut Diagnosis) {
        let (client, places) = (diagnosis.client, &self.installer.places);
        if let Some(managed) = self.installer.managed_only(client) {
            diagnosis.wrong(format!("{} allows only hooks of the administrator", places.shown(&managed)));
        }
        let settings = places.switches(client, &self.project).into_iter().chain(places.managed(client));
        for path in settings {
            let Ok(Some(text)) = read(&path) else { continue };
            let shown = places.shown(&path);
            if path.extension().is_some_and(|end| end == "toml") {
                let file = text.parse::<toml_edit::DocumentMut>().unwrap_or_default();
                let feature = |name: &str| file.get("features")?.get(name)?.as_bool();
                if let Some(name) = ["hooks", "codex_hooks"].into_iter().find(|name| feature(name) == Some(false)) {
                    diagnosis.wrong(format!("{shown} turns hooks off: features.{name}"));
                }
                continue;
            }
            match read_object(&text) {
                Err(why) => {
                    diagnosis.wrong(format!("{shown} is not understood, and {} may ignore it: {why}", client.title()))
                }
                Ok(settings) => {
                    if settings["disableAllHooks"] == Value::Bool(true) {
                        diagnosis.wrong(format!("{shown} turns hooks off: disableAllHooks"));
                    }
                    if settings["hooksConfig"]["enabled"] == Value::Bool(false) {
                        diagnosis.wrong(format!("{shown} turns hooks off: hooksConfig.enabled"));
                    }
                    let disabled = settings["hooksConfig"]["disabled"].as_array().into_iter().flatten();
                    if disabled.filter_map(Value::as_str).any(|name| crate::agents::hooks::ours(name).is_some()) {
                        diagnosis.wrong(format!("{shown} turns our hooks off: hooksConfig.disabled"));
                    }
                }
            }
        }
    }

    /// Codex skips hooks that its user has not trusted, and says so only in its own window.
    fn examine_trust(&self, diagnosis: &mut Diagnosis, hooks: &[Installed], path: &Path) {
        let config = self.installer.places.servers(Client::Codex, None).pop();
        let text = config.and_then(|config| read(&config).ok()?).unwrap_or_default();
        let Ok(config) = text.parse::<toml_edit::DocumentMut>() else {
            return diagnosis.wrong("the config.toml of Codex is no TOML".to_owned());
        };
        let state = config.get("hooks").and_then(|hooks| hooks.get("state"));
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let is_trusted = |hook: &&Installed| {
            let event = snake(&hook.event);
            let (group, place) = hook.place;
            [path, &*real].iter().any(|path| {
                let key = format!("{}:{event}:{group}:{place}", path.display());
                let state = state.and_then(|state| state.get(&key));
                let is_off =
                    |state: &toml_edit::Item| state.get("enabled").and_then(toml_edit::Item::as_bool) == Some(false);
                state.is_some_and(|state| state.get("trusted_hash").is_some() && !is_off(state))
            })
        };
        let untrusted = hooks.iter().filter(|hook| !is_trusted(hook)).count();
        let bypasses = has_line(&text, "bypass_hook_trust");
        if untrusted > 0 && !bypasses {
            diagnosis.wrong(format!(
                "Codex ignores {untrusted} of {} hooks without a message, because you have not trusted them, or turned them off: open Codex, type /hooks and trust them",
                hooks.len()
            ));
        }
    }
}

impl Diagnosis {
    fn wrong(&mut self, what: String) {
        self.wrong.push(Finding { what, is_mended_by_install: false });
    }

    fn mendable(&mut self, what: String) {
        self.wrong.push(Finding { what, is_mended_by_install: true });
    }

    fn examine_calls(&mut self) {
        let Seen { calls, interrupted, .. } = self.seen;
        if calls >= CALLS_MIN && interrupted == calls {
            self.wrong(format!("of the last {calls} calls it was told that they began, and of none how it ended"));
        }
    }

    fn what_next(&self) -> String {
        let name = self.client.name();
        if !self.is_found && !self.is_installed {
            return format!("nothing: {} is not used here", self.client.title());
        }
        if !self.is_installed && self.wrong.is_empty() {
            return format!("tooltrail agent install {name}");
        }
        if self.wrong.iter().any(|finding| finding.is_mended_by_install) {
            return format!("tooltrail agent doctor {name} --fix");
        }
        if !self.wrong.is_empty() {
            return format!("mend what is wrong, then: tooltrail agent doctor {name}");
        }
        match &self.seen.last {
            None => format!("let {} call a tool; then: tooltrail recent 'client={name}*'", self.client.title()),
            Some(_) => "nothing: it works".to_owned(),
        }
    }
}

/// Returns what an agent does not tell its hooks.
const fn cannot_tell(client: Client) -> &'static str {
    match client {
        Client::ClaudeCode => "not told to hooks: files taken in with @, and who allowed a call",
        Client::Codex => "not told to hooks: web searches; the output of a command that continues in the background",
        Client::Gemini => {
            "not told to hooks: calls that fail before they begin, but for unknown tools and wrong arguments"
        }
        Client::Copilot => "not told to hooks: an id of the call; the session files have it",
        Client::Cursor => "not tried with the real program; `stop` may be missing without a window",
    }
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

fn is_same(one: &Path, other: &Path) -> bool {
    one == other || one.canonicalize().ok().zip(other.canonicalize().ok()).is_some_and(|(one, other)| one == other)
}

/// Returns a name such as `PreToolUse` as `pre_tool_use`.
fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}
