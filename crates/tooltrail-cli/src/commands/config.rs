//! `tooltrail config`: prints the effective configuration, and where each value comes from.

use std::process::ExitCode;

use clap::ArgMatches;
use clap::parser::ValueSource;
use serde_json::{Map, Value, json};
use tooltrail::{DurabilityPolicy, Home};
use tooltrail::{Effect, Gate};

use crate::commands::{Cli, serve};
use crate::failure::{Exit, Failure};
use crate::listen_address::ListenAddress;
use crate::output::{self, Cell, Column, Data, Table, print_json};
use crate::settings::Settings;
use crate::settings::file::McpFile;
use crate::settings::redaction::{self, Redact};
use crate::settings::retention;
use crate::settings::witness::WitnessFile;

/// Look at the configuration
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

/// The subcommands.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print every value that holds and where it comes from, and run the tests of redaction rules
    ///
    /// Exit 1 if a rule's `hides` or `keeps` does not hold, 2 if the file is wrong.
    /// A flag wins over its variable, that over the file, and that over the default. The flags are those of `serve`,
    /// which reads the file when it starts: restart it after a change.
    Check(serve::Args),
}

/// Runs the command.
pub(crate) fn run(args: Args, settings: &Settings) -> Result<ExitCode, Failure> {
    let Command::Check(flags) = args.command;
    let rows = rows(&flags, settings)?;
    let broken = settings.file()?.redact.broken_tests().map_err(|failure| settings.in_config(failure))?;
    if settings.flags.json {
        let object = rows.into_iter().map(|row| (row.name.to_owned(), json!({ "value": row.value, "from": row.from })));
        print_json(&Value::Object(object.collect::<Map<_, _>>()))?;
        return verdict(&broken);
    }
    let path = settings.config_path();
    let mut table = Table::new(&[Column::fixed("key"), Column::fixed("from"), Column::fixed("value")]);
    for row in rows {
        for (name, value) in lines(row.name, &row.value) {
            // The path of the file has a row of its own; repeated here it would push the values off the terminal.
            let from = if Some(&row.from) == path.as_ref() { "the file" } else { &row.from };
            table.row(vec![Cell::new(&name), Cell::dim(from), Cell::new(&value)]);
        }
    }
    let mut data = Data::styled();
    for line in table.render().lines() {
        data.line(line)?;
    }
    data.finish()?;
    if output::stdout_is_terminal() {
        output::talk("a running service keeps the configuration of its start: restart it after a change");
    }
    verdict(&broken)
}

/// Prints which tests of redaction rules failed, and returns the exit code.
fn verdict(broken: &[String]) -> Result<ExitCode, Failure> {
    broken.iter().for_each(|sentence| output::talk(sentence));
    match broken.len() {
        0 => Ok(Exit::Yes.into()),
        count => Err(Failure::no(
            format!("{count} test{} of redaction rules failed", if count == 1 { "" } else { "s" }),
            "mend the pattern or the text; `tooltrail redact --explain` shows what a text becomes",
        )),
    }
}

/// Where the gate has an effect.
const GATE_HOLDS: &str = "behind `tooltrail mcp`, in the hooks of coding agents, and in programs that use the toolbox";

/// One effective value.
struct Row {
    name: &'static str,
    value: Value,
    from: String,
}

/// Returns all effective values.
fn rows(flags: &serve::Args, settings: &Settings) -> Result<Vec<Row>, Failure> {
    let file = settings.file()?;
    let path = settings.config_path();
    let matches = Cli::matches().ok();
    let matches = matches.as_ref().and_then(|cli| cli.subcommand_matches("config")?.subcommand_matches("check"));
    let source =
        |id: &str, in_file: bool| source(matches, id).or_else(|| in_file.then(|| path.clone().unwrap_or_default()));
    let row = |name: &'static str, id: &str, in_file: bool, value: Value| {
        let from = source(id, in_file).unwrap_or_else(|| "default".to_owned());
        Row { name, value, from }
    };
    let serve::ServeOptions { listen, hosts, durability, log_level, log_format } = flags.resolve(file);
    let zone = settings.flags.zone.clone().filter(|zone| !zone.is_empty()).or_else(|| file.zone.clone());
    // Fails for an unknown zone, because the service would use this zone.
    settings.zone()?;
    let kept = settings.retention()?;
    let mut rows = vec![
        row("config", "config", false, path.clone().map_or(Value::Null, Value::from)),
        row("home", "home", false, json!(settings.home_path()?)),
        row("keys", "keys", false, keys(settings)?),
        row("zone", "zone", file.zone.is_some(), zone.map_or_else(|| json!("the system's"), Value::from)),
        row("group", "group", file.group.is_some(), json!(settings.group()?)),
        row(
            "force_network_home",
            "force_network_home",
            file.force_network_home.is_some(),
            json!(settings.force_network_home()?),
        ),
        row("listen", "listen", file.listen.is_some(), one_or_all(&listen)),
        row("hosts", "host", file.hosts.is_some(), json!(hosts)),
        row("log.level", "log_level", file.log.level.is_some(), json!(crate::output::word(log_level))),
        row("log.format", "log_format", file.log.format.is_some(), json!(crate::output::word(log_format))),
        row("log.origin", "", file.log.origin.is_some(), json!(file.log.origin)),
        row("log.public", "", file.log.public.is_some(), json!(file.log.public.unwrap_or_default())),
        row("log.copy_to", "", file.log.copy_to.is_some(), json!(file.log.copy_to)),
        row("log.syslog", "", file.log.syslog.is_some(), json!(file.log.syslog.unwrap_or_default())),
        row("witness", "", file.witness != Default::default(), witnesses(&file.witness)),
        row("retention", "", file.retention != Default::default(), retention::object(&kept)),
        row("durability", "durability", file.durability.is_some(), json!(durability.default.as_str())),
        row("durability.tools", "durability", file.durability.is_some(), tools(&durability)),
        row("redact.env", "", !file.redact.env.is_empty(), values(&file.redact)),
        row("redact.rules", "", !file.redact.rules.is_empty(), redact_rules(&file.redact)),
        row("gate", "", file.gate.is_some(), gate(&file.gate.clone().unwrap_or_default())),
    ];
    for (name, server) in &file.mcp {
        rows.push(row("mcp", "", true, json!({ name: mcp(server) })));
    }
    rows.push(row("agents.exclude", "", !file.agents.exclude.is_empty(), json!(file.agents.exclude)));
    if file.gate.is_some() {
        rows.push(row("gate.holds", "", true, json!(GATE_HOLDS)));
    }
    Ok(rows)
}

/// Returns the name of the flag or variable that set a value, if one did.
fn source(matches: Option<&ArgMatches>, id: &str) -> Option<String> {
    let matches = matches.filter(|matches| matches.try_contains_id(id).unwrap_or(false))?;
    // An empty flag counts as unset, like an empty variable.
    let empty = matches.get_raw(id).into_iter().flatten().any(|value| value.is_empty());
    match matches.value_source(id).filter(|_| !empty)? {
        ValueSource::CommandLine => Some(format!("--{}", id.replace('_', "-"))),
        ValueSource::EnvVariable => Some(format!("TOOLTRAIL_{}", id.to_uppercase())),
        _ => None,
    }
}

/// Returns the folder of the keys. Without a home that has an id, it is known only if a flag or a variable names it.
fn keys(settings: &Settings) -> Result<Value, Failure> {
    let known = |home: &Home| home.root().join(".tooltrail/id").is_file();
    match settings.open_home() {
        Ok(home) if known(&home) => Ok(json!(settings.keys_path(&home)?)),
        _ => Ok(settings.flags.keys.as_ref().map_or(Value::Null, |keys| json!(keys))),
    }
}

/// Returns the witnesses that the service asks.
fn witnesses(file: &WitnessFile) -> Value {
    let settings = file.settings();
    let at = settings.at.iter().map(|witness| json!({ "url": witness.url, "key": witness.key.to_string() }));
    json!({ "interval_s": settings.interval.as_secs(), "at": at.collect::<Vec<_>>() })
}

fn tools(durability: &DurabilityPolicy) -> Value {
    let row = |(tool, durability): &(String, _)| json!({ "tool": tool, "durability": format!("{durability}") });
    durability.tools.iter().map(row).collect()
}

/// Returns what redaction does with the values of the named variables; the values themselves are not shown.
fn values(redact: &Redact) -> Value {
    let row = |(name, value): (&str, redaction::Value)| json!({ "name": name, "value": value.to_string() });
    redact.values().into_iter().map(row).collect()
}

fn redact_rules(redact: &Redact) -> Value {
    let row = |rule: &redaction::Rule| {
        let tests = format!("{} hides, {} keeps", rule.hides.len(), rule.keeps.len());
        match (&rule.key, &rule.pattern) {
            (Some(key), _) => json!({ "name": rule.name, "key": key, "tests": tests }),
            (_, pattern) => json!({ "name": rule.name, "pattern": pattern, "tests": tests }),
        }
    };
    redact.rules.iter().map(row).collect()
}

fn gate(gate: &Gate) -> Value {
    let word = |effect| match effect {
        Effect::Allow => "allow",
        Effect::Deny => "deny",
        Effect::Hide => "hide",
    };
    let rules = gate.rules.iter().map(|rule| {
        json!({
            "name": rule.name, "effect": word(rule.effect),
            "users": rule.users, "roles": rule.roles, "tools": rule.tools,
        })
    });
    json!({ "default": word(gate.default), "rules": rules.collect::<Vec<_>>() })
}

/// Returns what holds for one MCP server beside the gate.
/// Returns one address as a text, several as a list.
fn one_or_all(listen: &[ListenAddress]) -> Value {
    match listen {
        [one] => json!(one),
        all => json!(all),
    }
}

fn mcp(server: &McpFile) -> Value {
    let mut object = gate(&Gate { rules: server.rules.clone(), default: server.default.unwrap_or_default() });
    if server.default.is_none() {
        object["default"] = json!("the gate's");
    }
    if let Some(durability) = &server.durability {
        object["durability"] = json!({ "default": durability.default.as_str(), "tools": tools(durability) });
    }
    if server.pin {
        object["pin"] = true.into();
    }
    object
}

/// Returns a value as lines for people. The gate, for example, becomes a line for its default and one for each rule.
fn lines(name: &str, value: &Value) -> Vec<(String, String)> {
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match value {
        Value::Null => vec![(name.to_owned(), "none".to_owned())],
        Value::Object(members) => {
            members.iter().flat_map(|(key, value)| lines(&format!("{name}.{key}"), value)).collect()
        }
        Value::Array(none) if none.is_empty() => vec![(name.to_owned(), "none".to_owned())],
        Value::Array(rules) => rules.iter().map(|rule| (name.to_owned(), plain(rule))).collect(),
        value => vec![(name.to_owned(), plain(value))],
    }
}
