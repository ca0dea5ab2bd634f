//! The configuration file. Unknown keys are errors.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, de::Error as _};
use tooltrail::{DurabilityPolicy, Effect, Gate, Rule, Zone, glob_matches};

use crate::failure::Failure;
use crate::listen_address::{self, ListenAddress};
use crate::log::{Format, Level};
use crate::settings::durability;
use crate::settings::folders::user_folder;
use crate::settings::redaction::Redact;
use crate::settings::size;
use crate::settings::witness::WitnessFile;

/// Longest configuration file. Real files are shorter, and a wrong path must not fill the memory.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// Smallest similarity of an unknown key to a known one at which the known one is suggested; 1 means equal.
const ALIKE_MIN: f64 = 0.8;

/// The contents of `tooltrail.toml`; missing keys have their defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfigFile {
    /// The time zone for times that do not name one.
    #[serde(default, deserialize_with = "zone")]
    pub(crate) zone: Option<String>,
    /// Whether the group may read new files and folders.
    pub(crate) group: Option<bool>,
    /// Whether a home on a network file system may be written.
    pub(crate) force_network_home: Option<bool>,
    /// The addresses on which the service listens.
    #[serde(default, deserialize_with = "listen_address::read")]
    pub(crate) listen: Option<Vec<ListenAddress>>,
    /// The host names under which a proxy serves it.
    pub(crate) hosts: Option<Vec<String>>,
    /// The log of the service.
    #[serde(default)]
    pub(crate) log: LogFile,
    /// The retention limits.
    #[serde(default)]
    pub(crate) retention: RetentionFile,
    /// How durable an entry must be before it is acknowledged, by tool.
    #[serde(default, deserialize_with = "durability::read")]
    pub(crate) durability: Option<DurabilityPolicy>,
    /// Secrets to redact in addition to the built-in rules.
    #[serde(default)]
    pub(crate) redact: Redact,
    /// The rules that allow or deny a call before it runs.
    #[serde(default, deserialize_with = "gate")]
    pub(crate) gate: Option<Gate>,
    /// What applies to one MCP server behind `tooltrail mcp --server NAME`, by its name.
    #[serde(default)]
    pub(crate) mcp: BTreeMap<String, McpFile>,
    /// What applies to the hooks of coding agents.
    #[serde(default)]
    pub(crate) agents: AgentsFile,
    /// The witnesses that cosign the log.
    #[serde(default)]
    pub(crate) witness: WitnessFile,
}

/// What the file says about the hooks of coding agents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentsFile {
    /// Patterns for the folders of projects that are left out. `~` at the beginning is the user's home folder.
    #[serde(default)]
    pub(crate) exclude: Vec<String>,
}

impl AgentsFile {
    /// Whether the calls of an agent that works in this folder are left out.
    pub(crate) fn excludes(&self, folder: &str) -> bool {
        if self.exclude.is_empty() {
            return false;
        }
        let folder = folder.trim_end_matches('/');
        let home = std::env::var("HOME").unwrap_or_default();
        self.exclude.iter().any(|pattern| {
            let pattern = match pattern.strip_prefix('~') {
                Some(rest) if rest.is_empty() || rest.starts_with('/') => {
                    format!("{}{rest}", home.trim_end_matches('/'))
                }
                _ => pattern.clone(),
            };
            // A pattern for what is below a folder is meant for the folder too.
            let above = pattern.trim_end_matches('*').trim_end_matches('/');
            let is_below = pattern.ends_with("/**") || pattern.ends_with("/*");
            glob_matches(&pattern, folder) || is_below && glob_matches(above, folder)
        })
    }
}

/// What the file says about one MCP server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct McpFile {
    /// The effect when no rule matches, instead of the gate's.
    #[serde(default, deserialize_with = "effect")]
    pub(crate) default: Option<Effect>,
    /// The rules for this server, in addition to the gate's.
    #[serde(default, deserialize_with = "rules")]
    pub(crate) rules: Vec<Rule>,
    /// How durable an entry must be, instead of the file's `durability`.
    #[serde(default, deserialize_with = "durability::read")]
    pub(crate) durability: Option<DurabilityPolicy>,
    /// Whether only tools whose definitions are approved may be listed and called.
    #[serde(default)]
    pub(crate) pin: bool,
}

/// The log settings in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogFile {
    /// Which messages are logged.
    pub(crate) level: Option<Level>,
    /// The format of the messages.
    pub(crate) format: Option<Format>,
    /// The origin of the signed log, if the home has none yet.
    #[serde(default, deserialize_with = "origin")]
    pub(crate) origin: Option<String>,
    /// Whether monitors may read the signed log without a token.
    pub(crate) public: Option<bool>,
    /// A file that always holds the newest checkpoint.
    pub(crate) copy_to: Option<PathBuf>,
    /// Whether checkpoints go to syslog.
    pub(crate) syslog: Option<bool>,
}

/// The retention settings in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetentionFile {
    /// Most days to keep, including today.
    pub(crate) max_age_days: Option<u32>,
    /// Most entries to keep, of all users together.
    pub(crate) max_entries: Option<u64>,
    /// Most bytes to keep, of all users together.
    #[serde(default, deserialize_with = "bytes")]
    pub(crate) max_bytes: Option<u64>,
    /// Days to keep in any case, even if another limit is exceeded.
    pub(crate) keep_days: Option<u32>,
}

impl ConfigFile {
    /// Reads the named file, which must exist, or the user's default file, which may be missing.
    pub(crate) fn load(path: Option<&Path>) -> Result<Self, Failure> {
        match path {
            Some(path) => {
                let text = read(path).map_err(|error| Failure::io("read", path.display(), &error))?;
                Self::parse(&text, path)
            }
            None => {
                let Some(path) = default_path() else { return Ok(Self::default()) };
                match read(&path) {
                    Ok(text) => Self::parse(&text, &path),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
                    Err(error) => Err(Failure::io("read", path.display(), &error)),
                }
            }
        }
    }

    /// Returns the rules for the tools of an MCP server: the server's own, and the gate's. Without a server, the gate's.
    pub(crate) fn gate_of(&self, server: Option<&str>) -> Gate {
        let shared = self.gate.clone().unwrap_or_default();
        let Some(own) = server.and_then(|server| self.mcp.get(server)) else { return shared };
        let rules = own.rules.iter().chain(&shared.rules).cloned().collect();
        Gate { rules, default: own.default.unwrap_or(shared.default) }
    }

    /// Parses the text of a file.
    fn parse(text: &str, path: &Path) -> Result<Self, Failure> {
        toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
            let what = format!("{}, line {line}: {}", path.display(), error.message().trim_end());
            let hint = match nearest(error.message()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None if error.message().contains("expected a sequence") => "write a list, as in [\"x\"]".to_owned(),
                None if error.message().contains("socket address") => "write it as \"127.0.0.1:7420\"".to_owned(),
                None => "docs/operate.md has every key, with an example of its value".to_owned(),
            };
            Failure::could_not(what, hint)
        })
    }
}

/// Whether a file that is no valid configuration could name secrets to redact: it has the word, or cannot be read.
pub(crate) fn may_name_secrets(path: Option<&str>) -> bool {
    path.is_none_or(|path| read(Path::new(path)).map_or(true, |text| text.contains("redact")))
}

/// Returns the path of the user's default file; `None` if no home folder is known.
pub(crate) fn default_path() -> Option<PathBuf> {
    Some(user_folder("XDG_CONFIG_HOME", ".config", "--config").ok()?.join("tooltrail").join("tooltrail.toml"))
}

/// Returns the known name that is most similar to the unknown one in an error message, if it is similar enough. In the
/// message, the first word in backticks is the unknown name, and the others are the known names.
fn nearest(message: &str) -> Option<&str> {
    if !message.starts_with("unknown ") {
        return None;
    }
    let mut words = message.split('`').skip(1).step_by(2);
    let unknown = words.next()?;
    let alike = words.map(|known| (strsim::jaro_winkler(unknown, known), known));
    let (most, known) = alike.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (most >= ALIKE_MIN).then_some(known)
}

/// Reads a text file of at most [`CONFIG_BYTES_MAX`] bytes.
fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let read = std::fs::File::open(path)?.take(CONFIG_BYTES_MAX + 1).read_to_string(&mut text)?;
    if read as u64 > CONFIG_BYTES_MAX {
        return Err(std::io::Error::other("longer than 1 MiB"));
    }
    Ok(text)
}

/// Deserializes the name of a time zone and checks that it exists.
fn zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let name = String::deserialize(deserializer)?;
    Zone::named(&name).map_err(|error| D::Error::custom(error.message()))?;
    Ok(Some(name))
}

/// Deserializes the origin of the log and checks that a key may have this name.
fn origin<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let origin = String::deserialize(deserializer)?;
    if tooltrail::seal::is_key_name(&origin) {
        return Ok(Some(origin));
    }
    Err(D::Error::custom("an origin is a name without spaces and without +, such as example.com/log"))
}

/// Deserializes a number of bytes, or a size with a unit such as `10 GiB`.
fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Bytes(u64),
        Words(String),
    }
    match Written::deserialize(deserializer)? {
        Written::Bytes(bytes) => Ok(Some(bytes)),
        Written::Words(words) => size::parse(&words).map(Some).map_err(D::Error::custom),
    }
}

/// The effect of a rule as it is written.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WrittenEffect {
    Allow,
    Deny,
    Hide,
}

impl From<WrittenEffect> for Effect {
    fn from(written: WrittenEffect) -> Self {
        match written {
            WrittenEffect::Allow => Self::Allow,
            WrittenEffect::Deny => Self::Deny,
            WrittenEffect::Hide => Self::Hide,
        }
    }
}

/// A rule as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRule {
    name: String,
    effect: WrittenEffect,
    #[serde(default)]
    users: Vec<String>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    tools: Vec<String>,
}

impl From<WrittenRule> for Rule {
    fn from(written: WrittenRule) -> Self {
        let WrittenRule { name, effect, users, roles, tools } = written;
        Self { name, effect: effect.into(), users, roles, tools }
    }
}

/// Deserializes the effect of a rule.
fn effect<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Effect>, D::Error> {
    WrittenEffect::deserialize(deserializer).map(|effect| Some(effect.into()))
}

/// Deserializes a list of rules.
fn rules<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Rule>, D::Error> {
    Ok(Vec::<WrittenRule>::deserialize(deserializer)?.into_iter().map(Rule::from).collect())
}

/// Deserializes a gate.
fn gate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Gate>, D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Written {
        default: Option<WrittenEffect>,
        #[serde(default, deserialize_with = "rules")]
        rules: Vec<Rule>,
    }
    let Written { default, rules } = Written::deserialize(deserializer)?;
    Ok(Some(Gate { rules, default: default.map_or_else(Effect::default, Effect::from) }))
}

#[cfg(test)]
mod tests {
    use super::{ConfigFile, nearest};
    use crate::listen_address::ListenAddress;
    use std::path::Path;
    use tooltrail::{Durability, DurabilityPolicy};
    use tooltrail::{Effect, GateRequest};

    fn parse(text: &str) -> Result<ConfigFile, String> {
        ConfigFile::parse(text, Path::new("t.toml")).map_err(|failure| failure.to_string())
    }

    #[test]
    fn patterns_name_the_folders_of_projects() {
        let agents = |pattern: &str| super::AgentsFile { exclude: vec![pattern.to_owned()] };
        let home = std::env::var("HOME").unwrap();
        for (pattern, folder, is_excluded) in [
            ("~/private/**", format!("{home}/private/a/b"), true),
            ("~/private/**", format!("{home}/private/"), true),
            ("~/private/**", format!("{home}/privateer"), false),
            ("/srv/*/secret", "/srv/a/secret".to_owned(), true),
            ("/srv/secret", "/srv/secret/a".to_owned(), false),
            ("*/vault/*", "/x/vault/y".to_owned(), true),
            ("~other/**", format!("{home}other/a"), false),
        ] {
            assert_eq!(agents(pattern).excludes(&folder), is_excluded, "{pattern} {folder}");
        }
    }

    #[test]
    fn every_key_is_read() {
        let config = parse(
            r#"
            zone = "Europe/Berlin"
            group = true
            force_network_home = true
            listen = "127.0.0.1:8080"
            hosts = ["audit.example.org"]
            durability = "strict"
            [log]
            level = "warn"
            format = "json"
            [redact]
            env = ["DEPLOY_PHRASE"]
            [[redact.rules]]
            name = "badge"
            pattern = 'BADGE-(\d{6})'
            hides = ["BADGE-123456"]
            keeps = ["BADGE-"]
            [gate]
            default = "deny"
            [[gate.rules]]
            name = "readers"
            effect = "allow"
            users = ["alice", "b*"]
            roles = ["reader"]
            tools = ["fs.read"]
            "#,
        )
        .unwrap();
        assert_eq!(config.zone.as_deref(), Some("Europe/Berlin"));
        assert_eq!(config.hosts.as_deref(), Some(&["audit.example.org".to_owned()][..]));
        assert_eq!(config.force_network_home, Some(true));
        assert_eq!((config.group, config.durability), (Some(true), Some(Durability::Strict.into())));
        assert_eq!(config.listen, Some(vec![ListenAddress::Tcp(([127, 0, 0, 1], 8080).into())]));
        assert_eq!((config.redact.env.len(), config.redact.rules[0].name.as_str()), (1, "badge"));
        let gate = config.gate.unwrap();
        let decide = |user, role, tool| gate.decide(GateRequest { user, role, tool, alias: None }).effect;
        assert_eq!(decide("bob", Some("reader"), "fs.read"), Effect::Allow);
        assert_eq!(decide("bob", Some("reader"), "fs.write"), Effect::Deny);
        assert_eq!(decide("bob", None, "fs.read"), Effect::Deny);
        assert_eq!(parse("").unwrap(), ConfigFile::default());
    }

    #[test]
    fn a_durability_holds_for_all_tools_or_for_some() {
        use Durability::{Buffered, Grouped, Strict};
        let check = |text: &str, default: Durability, tools: &[(&str, Durability)]| {
            let mut durability = DurabilityPolicy::from(default);
            durability.tools.extend(tools.iter().map(|(tool, durability)| ((*tool).to_owned(), *durability)));
            assert_eq!(parse(text).unwrap().durability, Some(durability), "{text}");
        };
        check("durability = \"buffered\"", Buffered, &[]);
        check("[durability]", Grouped, &[]);
        check("[durability]\ndefault = \"strict\"", Strict, &[]);
        check("durability = { tools = [{ tool = \"fs.*\", durability = \"strict\" }] }", Grouped, &[("fs.*", Strict)]);
        let rows = "[[durability.tools]]\ntool = \"a\"\ndurability = \"strict\"\n[[durability.tools]]\ntool = \"*\"\ndurability = \"buffered\"";
        check(rows, Grouped, &[("a", Strict), ("*", Buffered)]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let check = |text: &str, in_message: &str| {
            let message = parse(text).unwrap_err();
            assert!(message.contains(in_message), "{text}: {message}");
        };
        check("zone = 3", "t.toml, line 1: invalid type");
        check("\n\nzone = \"Mars/Base\"", "line 3: zone \"Mars/Base\": unknown");
        check("zone = \"UTC\"\nzones = \"UTC\"", "line 2: unknown field `zones`");
        check("zone = \"UTC\"\nzone = \"UTC\"", "line 2: duplicate key");
        check("zone", "line 1");
        check("[log]\nlevel = \"loud\"", "line 2: unknown variant `loud`");
        check("[log]\nfrmat = \"json\"", "line 2: unknown field `frmat`");
        check("listen = \"localhost\"", "line 1: invalid socket address");
        check("durability = \"most\"", "line 1: unknown variant `most`");
        check("durability = 3", "line 1: invalid type");
        check("[durability]\ndefualt = \"strict\"", "unknown field `defualt`");
        check("[durability]\ndefault = \"most\"", "unknown variant `most`");
        check("[[durability.tools]]\ntool = \"a\"", "missing field `durability`");
        check("[[durability.tools]]\ntool = \"a\"\ndurability = \"strict\"\nuser = \"b\"", "unknown field `user`");
        check("[[redact.rules]]\nnam = \"a\"", "unknown field `nam`");
        check("[redact]\nenv = 3", "invalid type");
        check("gate = true", "line 1: invalid type");
        check(
            "[gate]\ndefault = \"allow\"\n[[gate.rules]]\nname = \"x\"\neffect = \"ask\"",
            "line 5: unknown variant `ask`",
        );
        check("[[gate.rules]]\neffect = \"deny\"", "missing field `name`");
        check("[[gate.rules]]\nname = \"x\"\neffect = \"deny\"\ntool = [\"a\"]", "line 4: unknown field `tool`");
        check("[mcp.fs]\ncommand = \"x\"", "line 2: unknown field `command`");
    }

    #[test]
    fn the_nearest_name_is_offered() {
        let check = |text: &str, expected: Option<&str>| {
            let error = toml::from_str::<ConfigFile>(text).unwrap_err();
            assert_eq!(nearest(error.message()), expected, "{text}");
        };
        check("zones = 1", Some("zone"));
        check("listn = 1", Some("listen"));
        check("durabilty = 1", Some("durability"));
        check("[log]\nlevle = 1", Some("level"));
        check("[log]\nlevel = \"warning\"", Some("warn"));
        check("[[gate.rules]]\ntool = []", Some("tools"));
        check("mcp = 1", None);
        check("zone = 1", None);
    }
}
