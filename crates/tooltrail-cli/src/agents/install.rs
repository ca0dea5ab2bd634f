//! Plans and makes the changes of an agent's settings.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::agents::change::{Change, read};
use crate::agents::hooks::{Hook, Shape};
use crate::agents::hooks_file;
use crate::agents::json::read_object;
use crate::agents::places::Places;
use crate::agents::plugins::plugin_servers;
use crate::agents::running::is_running;
use crate::agents::servers::{Kind, Server, Which, Wrapper, unwrap, wrap};
use crate::agents::undo::Undo;
use crate::hook::{Client, HookArgs};

/// How long after a change a file is looked at once more. A program that keeps its settings in memory may write its own
/// over ours.
const SETTLE: Duration = Duration::from_secs(2);

/// Changes the settings of agents.
#[derive(Clone, Debug)]
pub(crate) struct Installer {
    pub(crate) places: Places,
    /// This program, by a path that stays.
    pub(crate) program: PathBuf,
    pub(crate) args: HookArgs,
    /// The folder of the project, if only its hooks are meant.
    pub(crate) project: Option<PathBuf>,
    /// Whether MCP servers are put on the trail too.
    pub(crate) with_servers: bool,
    pub(crate) undo: Undo,
}

/// What is to be changed for one agent.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) client: Client,
    pub(crate) changes: Vec<Change>,
    pub(crate) servers: Vec<Server>,
    /// The files that are left alone, and why.
    pub(crate) refused: Vec<(PathBuf, String)>,
}

/// What became of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) path: PathBuf,
    /// Why it was not changed.
    pub(crate) failed: Option<String>,
}

impl Installer {
    /// Returns the changes that put an agent on the trail.
    pub(crate) fn install(&self, client: Client) -> Plan {
        let mut plan = Plan::new(client);
        match self.places.hooks(client, self.project.as_deref()) {
            None => plan.refused.push((
                self.project.clone().unwrap_or_default(),
                format!("{} has no settings of one person for one project", client.title()),
            )),
            Some(path) => match self.managed_only(client) {
                Some(managed) => plan.refused.push((
                    path,
                    format!("an administrator allows only hooks of their own: {}", self.places.shown(&managed)),
                )),
                None => plan.edit(&path, |text| hooks_file::install(text, client, &self.hooks(client)).map(Some)),
            },
        }
        if self.with_servers {
            for path in self.places.servers(client, self.project.as_deref()) {
                self.wrap(&mut plan, &path, Which::All);
            }
            if self.project.is_none() {
                plan.servers.extend(plugin_servers(&self.places, client));
            }
        }
        plan
    }

    /// Returns the changes that mend the hooks, if there are some, and the servers that are behind `tooltrail mcp` already.
    pub(crate) fn mend(&self, client: Client, has_hooks: bool) -> Plan {
        let mut plan = if has_hooks { self.install(client) } else { Plan::new(client) };
        for path in self.places.servers(client, self.project.as_deref()) {
            self.wrap(&mut plan, &path, Which::Wrapped);
        }
        plan
    }

    /// Returns the changes that take an agent off the trail. A file that nobody else has changed becomes what it was;
    /// of any other file only what is ours is taken out.
    pub(crate) fn uninstall(&self, client: Client) -> Plan {
        let mut plan = Plan::new(client);
        if let Some(path) = self.places.hooks(client, self.project.as_deref()) {
            let before = Change::of(&path).ok().and_then(|change| self.undo.before(&change.path));
            self.give_back(&mut plan, &path, |text| hooks_file::uninstall(text, client, before.as_deref()));
        }
        for path in self.places.servers(client, self.project.as_deref()) {
            if plan.changes.iter().any(|change| change.path == path && change.before != change.after) {
                // The same file was given back as a whole.
                plan.edit(&path, |text| unwrap(text, &path).map(Some));
            } else {
                self.give_back(&mut plan, &path, |text| unwrap(text, &path).map(Some));
            }
            self.refuse_while_running(&mut plan, &path);
        }
        plan
    }

    /// Makes the changes of these plans, and looks at the files once more after a moment.
    pub(crate) fn apply(&self, plans: &[Plan]) -> Vec<Outcome> {
        let changes = plans.iter().flat_map(|plan| &plan.changes).filter(|change| !change.is_none());
        let mut outcomes = Vec::new();
        let mut written = Vec::new();
        for change in changes {
            let gives_back = self
                .undo
                .original(&change.path, change.before.as_deref())
                .is_some_and(|original| original == change.after);
            let done = if gives_back { Ok(()) } else { self.undo.remember(change) }.and_then(|()| change.write());
            if done.is_ok() {
                written.push((change, gives_back));
            }
            outcomes.push(Outcome { path: change.path.clone(), failed: done.err() });
        }
        if !written.is_empty() {
            std::thread::sleep(SETTLE);
        }
        for (change, gives_back) in written {
            if !change.stands() {
                let failed = "another program wrote over the change: end it, and run the same command again";
                let outcome = outcomes.iter_mut().find(|outcome| outcome.path == change.path);
                outcome.into_iter().for_each(|outcome| outcome.failed = Some(failed.to_owned()));
            } else if gives_back {
                // The file is as it was; a copy that stays is only one file too many.
                let _ = self.undo.forget(&change.path);
            }
        }
        outcomes
    }

    /// Returns what somebody can paste into the settings of an agent.
    pub(crate) fn snippet(&self, client: Client) -> Value {
        let mut events = serde_json::Map::new();
        for Hook { event, command, time_out } in self.hooks(client) {
            let handler = match client.shape() {
                Shape::Grouped => {
                    json!([{ "hooks": [{ "type": "command", "command": command, "timeout": time_out }] }])
                }
                Shape::Flat { command: name, time_out: limit } => {
                    json!([{ "type": "command", name: command, limit: time_out }])
                }
            };
            events.insert(event.to_owned(), handler);
        }
        json!({ "hooks": events })
    }

    pub(crate) fn hooks(&self, client: Client) -> Vec<Hook> {
        client.hooks(&self.program, &self.args)
    }

    /// Returns the settings of an administrator that allow no other hooks.
    pub(crate) fn managed_only(&self, client: Client) -> Option<PathBuf> {
        let forbids = |path: &PathBuf| {
            let text = read(path).ok().flatten().unwrap_or_default();
            read_object(&text).is_ok_and(|object| object["allowManagedHooksOnly"] == Value::Bool(true))
                || path.extension().is_some_and(|end| end == "toml") && has_line(&text, "allow_managed_hooks_only")
        };
        self.places.managed(client).into_iter().find(forbids)
    }

    fn wrap(&self, plan: &mut Plan, path: &Path, which: Which) {
        let mut args = Vec::new();
        let HookArgs { user, home, keys, config, state, to, token_file, .. } = &self.args;
        let state = state.as_ref().filter(|_| to.is_some());
        let config = config.as_ref().filter(|config| config.exists());
        for (name, value) in [("--home", home.as_ref()), ("--keys", keys.as_ref()), ("--config", config)] {
            args.extend(value.iter().flat_map(|path| [name.to_owned(), path.to_string_lossy().into_owned()]));
        }
        for (name, value) in [("--user", user), ("--to", to)] {
            args.extend(value.iter().flat_map(|text| [name.to_owned(), text.clone()]));
        }
        for (name, value) in [("--token-file", token_file.as_ref()), ("--state", state)] {
            args.extend(value.iter().flat_map(|path| [name.to_owned(), path.to_string_lossy().into_owned()]));
        }
        let wrapper = Wrapper { program: self.program.to_string_lossy().into_owned(), args };
        let mut servers = Vec::new();
        plan.edit_existing(path, |text| {
            let (text, found) = wrap(text, path, &wrapper, which)?;
            servers = found;
            Ok(Some(text))
        });
        let commands = servers.iter().any(|server| server.kind == Kind::Command);
        plan.servers.append(&mut servers);
        if commands {
            self.refuse_while_running(plan, path);
        }
    }

    /// Leaves the state of Claude Code alone while it runs, because it keeps it in memory and writes over any change.
    fn refuse_while_running(&self, plan: &mut Plan, path: &Path) {
        let is_state = plan.client == Client::ClaudeCode && path == self.places.claude_state();
        let changed = plan.changes.iter().position(|change| change.path == *path && !change.is_none());
        if let Some(changed) = changed.filter(|_| is_state && is_running(Client::ClaudeCode)) {
            plan.changes.remove(changed);
            let why = "Claude Code is running, and would write over the change: end it, and run the same command again";
            plan.refused.push((path.to_owned(), why.to_owned()));
        }
    }

    /// Gives a file back as it was, or takes out what is ours.
    fn give_back(&self, plan: &mut Plan, path: &Path, take_out: impl FnOnce(&str) -> Result<Option<String>, String>) {
        let known = Change::of(path).ok();
        let original = known.and_then(|change| self.undo.original(&change.path, change.before.as_deref()));
        match original {
            Some(original) => plan.edit(path, |_| Ok(original)),
            None => plan.edit_existing(path, take_out),
        }
    }
}

impl Plan {
    fn new(client: Client) -> Self {
        Self { client, changes: Vec::new(), servers: Vec::new(), refused: Vec::new() }
    }

    /// Adds a change of a file, or changes its planned text once more.
    fn edit(&mut self, path: &Path, edit: impl FnOnce(&str) -> Result<Option<String>, String>) {
        let change = match Change::of(path) {
            Ok(change) => change,
            Err(why) => return self.refused.push((path.to_owned(), why)),
        };
        let known = self.changes.iter().position(|known| known.path == change.path);
        let mut change = known.map_or(change, |known| self.changes.remove(known));
        match edit(change.after.as_deref().unwrap_or("")) {
            Ok(after) => {
                // A file that is not there need not be created for an empty text.
                change.after = after.filter(|after| change.after.is_some() || !after.is_empty());
                self.changes.push(change);
            }
            Err(why) => {
                self.changes.push(change);
                self.refused.push((path.to_owned(), why));
            }
        }
    }

    /// Like [`Plan::edit`], for a file that must not be created.
    fn edit_existing(&mut self, path: &Path, edit: impl FnOnce(&str) -> Result<Option<String>, String>) {
        if path.exists() {
            self.edit(path, edit);
        }
    }
}

/// Whether a TOML text sets this name to true. Only whole lines count, which is how these files are written.
pub(crate) fn has_line(text: &str, name: &str) -> bool {
    text.lines().any(|line| {
        let line = line.split('#').next().unwrap_or("");
        line.split_once('=').is_some_and(|(key, value)| key.trim() == name && value.trim() == "true")
    })
}
