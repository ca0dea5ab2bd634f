//! Finds passwords in the arguments and the standard input of known commands.

use crate::redact::scan::boundaries::{floor, right};
use crate::redact::scan::hit::Hit;

/// Bytes of a command that are searched.
const COMMAND_MAX: usize = 2_048;
/// Bytes before the name of a command that its folder may take.
const FOLDER_MAX: usize = 64;
/// Arguments of a command that are searched.
const ARGUMENTS_MAX: usize = 128;
/// Line ends after which a command is taken to have ended. A long `curl` is often written on several lines.
const LINES_MAX: usize = 6;

/// Which part of an argument is secret.
#[derive(Clone, Copy, Debug)]
enum Part {
    Whole,
    /// The part after the first occurrence of this sign.
    After(char),
}

/// A command, the flags whose argument is secret, and whether the argument may follow after a space or directly.
#[derive(Debug)]
pub(in crate::redact) struct Command {
    pub(in crate::redact) word: &'static str,
    flags: &'static [&'static str],
    part: Part,
    spaced: bool,
    joined: bool,
}

const fn command(
    word: &'static str,
    flags: &'static [&'static str],
    part: Part,
    spaced: bool,
    joined: bool,
) -> Command {
    Command { word, flags, part, spaced, joined }
}

/// The known commands. The prefilter searches for `word`.
pub(in crate::redact) const COMMANDS: &[Command] = &[
    command("curl", &["-u", "--user", "--proxy-user", "-U", "--oauth2-bearer"], Part::After(':'), true, true),
    command("curl", &["-b", "--cookie"], Part::After('='), true, true),
    command("mysql", &["-p"], Part::Whole, false, true),
    command("mariadb", &["-p"], Part::Whole, false, true),
    command("sshpass", &["-p"], Part::Whole, true, true),
    command("redis-cli", &["-a", "--pass"], Part::Whole, true, false),
    command("mongo", &["-p"], Part::Whole, true, false),
    command("cqlsh", &["-p"], Part::Whole, true, false),
    command(" login", &["-p"], Part::Whole, true, false),
    command("twine", &["-p"], Part::Whole, true, false),
    command("rdesktop", &["-p"], Part::Whole, true, false),
    command("evil-winrm", &["-p"], Part::Whole, true, false),
    command("useradd", &["-p"], Part::Whole, true, false),
    command("usermod", &["-p"], Part::Whole, true, false),
    command("ldap", &["-w"], Part::Whole, true, false),
    command("sqlcmd", &["-P"], Part::Whole, true, true),
    command("ipmitool", &["-P"], Part::Whole, true, false),
    command("mosquitto_", &["-P"], Part::Whole, true, false),
    command("zip", &["-P"], Part::Whole, true, false),
    command("7z", &["-p"], Part::Whole, false, true),
    command("smbclient", &["-U"], Part::After('%'), true, true),
    command("rpcclient", &["-U"], Part::After('%'), true, true),
    command("lftp", &["-u"], Part::After(','), true, true),
    command("http -a", &["-a"], Part::After(':'), true, false),
    command("snmp", &["-A", "-X"], Part::Whole, true, false),
    command("ssh-keygen", &["-N", "-P"], Part::Whole, true, false),
    command("openssl ", &["-k", "-K"], Part::Whole, true, false),
    command("openssl ", &["-passin", "-passout", "-pass"], Part::After(':'), true, false),
    command("put-parameter", &["--value"], Part::Whole, true, true),
    command("secrets set", &[""], Part::After('='), false, true),
    command("vault kv put", &[""], Part::After('='), false, true),
    command("freerdp", &["/p:"], Part::Whole, false, true),
    command("gh secret set", &["-b", "--body"], Part::Whole, true, true),
    command("glab variable set", &["-v", "--value"], Part::Whole, true, true),
    command("glab auth login", &["-t"], Part::Whole, true, true),
    command("kubectl create secret", &["--from-literal"], Part::After('='), true, true),
    command("add-generic-password", &["-w"], Part::Whole, true, false),
    command("az login", &["-p"], Part::Whole, true, false),
    command("az keyvault secret set", &["--value"], Part::Whole, true, true),
    command("hf auth login", &["--token"], Part::Whole, true, true),
    command("llm keys set", &["--value"], Part::Whole, true, true),
    command("eas secret:create", &["--value"], Part::Whole, true, true),
    command("poetry publish", &["-p"], Part::Whole, true, false),
    command("nuget push", &["-k", "-ApiKey", "-apikey"], Part::Whole, true, true),
    command("keytool", &["-storepass", "-keypass"], Part::Whole, true, false),
];

/// Commands whose password is a positional argument, and its index among the arguments that are not flags.
const PLACED: &[(&str, usize)] = &[
    ("htpasswd", 2),
    ("net user", 1),
    ("rabbitmqctl add_user", 1),
    ("rabbitmqctl change_password", 1),
    ("cargo login", 0),
    ("cargo_login", 0),
    ("vault login", 0),
    ("vault operator unseal", 0),
    ("ngrok config add-authtoken", 0),
    ("ngrok authtoken", 0),
    ("wandb login", 0),
    ("snyk auth", 0),
    ("glab variable set", 1),
    ("poetry config pypi-token.pypi", 0),
    ("caddy hash-password", 0),
];

/// The entry by which a positional argument is evaluated.
const PLACE: Command = command("", &[], Part::Whole, true, true);

/// Commands and flags that read a password from standard input; each of these words is a lead.
pub(in crate::redact) const FED: &[&str] = &["--password-stdin", "sudo ", "chpasswd"];
/// More such commands and flags. They are no leads, because they contain the name of a secret, which is a trigger.
const FED_BY_NAME: &[&str] = &[
    "--with-token",
    "gh secret set",
    "wrangler secret put",
    "--passwd-on-stdin",
    "--stdin-password",
    "--passphrase-fd 0",
    "passwd ",
];

/// Returns whether a command reads a password from standard input.
pub(in crate::redact) fn is_fed(command: &str) -> bool {
    let lower = command[..floor(command, COMMAND_MAX)].to_ascii_lowercase();
    asks_sudo(command) || FED.iter().chain(FED_BY_NAME).any(|word| *word != "sudo " && lower.contains(word))
}

/// Returns whether `sudo` reads the password from standard input: `-S` or `--stdin`, alone or among other flags, before
/// the command that it runs.
fn asks_sudo(command: &str) -> bool {
    let rest = command.split("sudo ").nth(1).unwrap_or("");
    let mut words = rest.split_ascii_whitespace();
    while let Some(word) = words.next() {
        match word {
            "--stdin" => return true,
            "-u" | "-g" | "-p" | "-h" => drop(words.next()),
            _ if word.starts_with('-') && !word.starts_with("--") && word.contains('S') => return true,
            _ if word.starts_with('-') => {}
            _ => return false,
        }
    }
    false
}

/// Returns every word by which a command is found.
pub(in crate::redact) fn words() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().map(|command| command.word).chain(PLACED.iter().map(|placed| placed.0))
}

/// Pushes the passwords in the arguments of the command `word`. Returns the offset up to which the text was searched.
pub(in crate::redact) fn arguments(text: &str, start: usize, end: usize, word: &str, hits: &mut Vec<Hit>) -> usize {
    let from = if word == "http -a" { start + 5 } else { end };
    let (mut tokens, stop) = tokens(text, right(text, from, |b| b.is_ascii_alphanumeric() || b == b'_'));
    if PLACED.iter().any(|placed| placed.0 == word) {
        // The next line is another command, or the output of this one, unless a backslash ends the line.
        let line =
            text[from..stop].match_indices('\n').map(|(at, _)| from + at).find(|at| !text[..*at].ends_with('\\'));
        tokens.retain(|token| line.is_none_or(|line| token.0 < line));
    }
    let texts: Vec<&str> = tokens.iter().map(|(from, until)| &text[*from..*until]).collect();
    for (index, from, until) in secrets(word, &texts) {
        hits.push(Hit::new(tokens[index].0 + from, tokens[index].0 + until, "flag"));
    }
    stop
}

/// Returns the passwords in a list of arguments that begins with a command: index of the argument, start and end in it.
pub(in crate::redact) fn listed(arguments: &[&str]) -> Vec<(usize, usize, usize)> {
    let mut found = Vec::new();
    for command in words() {
        if found.is_empty() && is_named(command, arguments) {
            found = secrets(command, arguments);
        }
    }
    found
}

/// Pushes the passwords in a list of quoted arguments in a text: `["mysql", "-u", "root", "-p…"]`. The word of the
/// command begins at `at`. Returns where the list ends, or `None` if this is not a list.
pub(in crate::redact) fn list(text: &str, at: usize, hits: &mut Vec<Hit>) -> Option<usize> {
    let near = &text[..floor(text, at + COMMAND_MAX)];
    let from = floor(near, at.saturating_sub(FOLDER_MAX));
    let mut open = from + near[from..at].rfind(['"', '\'', ' ', '\n', ','])?;
    let quote = near.as_bytes().get(open).copied().filter(|byte| matches!(byte, b'"' | b'\''))?;
    let mut places = Vec::new();
    let end = loop {
        let close = right(near, open + 1, |b| b != quote && b != b'\n');
        if near.as_bytes().get(close) != Some(&quote) || places.len() == ARGUMENTS_MAX {
            break open;
        }
        places.push((open + 1, close));
        let next = right(near, close + 1, |b| b.is_ascii_whitespace() || b == b',');
        if near.as_bytes().get(next) != Some(&quote) || !near[close + 1..next].contains(',') {
            break next;
        }
        open = next;
    };
    let arguments = places.iter().map(|(from, until)| &near[*from..*until]).collect::<Vec<_>>();
    if arguments.len() < 2 || arguments.first().is_some_and(|first| first.contains(' ')) {
        return None;
    }
    hits.extend(listed(&arguments).into_iter().map(|(n, from, until)| {
        let start = places.get(n).map_or(0, |position| position.0);
        Hit::new(start + from, start + until, "flag")
    }));
    Some(end)
}

/// Returns whether a list that begins with these two elements may be a known command with its arguments.
pub(in crate::redact) fn begins(first: &str, second: &str) -> bool {
    let initial = base(first).bytes().next();
    let may = |command: &str| command.bytes().next() == initial || command.starts_with(' ') || command == "zip";
    words().any(|command| may(command) && is_named(command, &[first, second]))
}

/// Returns whether a list of arguments belongs to a command. If the command has several words, the list need not
/// contain more than the first two of them.
fn is_named(command: &str, arguments: &[&str]) -> bool {
    let first = arguments.first().map_or("", |first| base(first));
    let second = arguments.get(1).copied().unwrap_or("");
    let mut words = command.split(' ').filter(|word| !word.is_empty());
    if command.trim().contains(' ') {
        return words.next() == Some(first) && words.zip(&arguments[1..]).all(|(word, argument)| word == *argument);
    }
    first.starts_with(command) || first.ends_with(command) && command == "zip" || command.trim() == second
}

/// Returns a command without its folder.
fn base(command: &str) -> &str {
    command.rsplit('/').next().unwrap_or("")
}

/// Returns each password as the index of its argument and the start and end in that argument.
fn secrets(word: &str, tokens: &[&str]) -> Vec<(usize, usize, usize)> {
    let mut found = Vec::new();
    for command in COMMANDS.iter().filter(|command| command.word == word) {
        for (index, token) in tokens.iter().enumerate() {
            let bare = token.trim_start_matches(['"', '\'']);
            let cluster = word == "curl"
                && command.flags.contains(&"-u")
                && bare.len() > 2
                && bare.starts_with('-')
                && bare.ends_with('u')
                && bare[1..].bytes().all(|b| b.is_ascii_alphabetic());
            let flag = command.flags.iter().filter(|flag| bare.starts_with(**flag)).max_by_key(|flag| flag.len());
            let Some(length) = flag.map(|flag| flag.len()).or(cluster.then_some(bare.len())) else { continue };
            let rest = token.len() - bare.len() + length;
            let value = if rest == token.len() && command.spaced {
                tokens.get(index + 1).map(|next| (index + 1, 0, next.len()))
            } else {
                let equals = token[rest..].starts_with('=') || token[rest..].starts_with(['"', '\'']);
                (rest < token.len() && (command.joined || equals)).then_some((index, rest, token.len()))
            };
            found.extend(value.and_then(|(index, from, until)| part(tokens[index], index, from, until, command)));
        }
    }
    for (_, position) in PLACED.iter().filter(|placed| placed.0 == word) {
        let words = tokens.iter().enumerate().filter(|(_, token)| !token.starts_with(['-', '/']));
        let batch = word != "htpasswd" || tokens.iter().any(|token| token.starts_with('-') && token.contains('b'));
        if let Some((index, token)) = words.clone().nth(*position).filter(|_| batch) {
            found.extend(part(token, index, 0, token.len(), &PLACE));
        }
    }
    found
}

fn part(token: &str, index: usize, from: usize, until: usize, command: &Command) -> Option<(usize, usize, usize)> {
    let value = &token[from..until];
    let from = from + value.len() - value.trim_start_matches(['=', '"', '\'', '\\']).len();
    let until = from + token[from..until].trim_end_matches(['"', '\'', '\\']).len();
    let value = &token[from..until];
    let skip = match command.part {
        Part::Whole => 0,
        Part::After(sign) => value.find(sign)? + 1,
    };
    let secret = &value[skip..];
    // A port number or another flag is no password.
    let port = !command.joined && secret.bytes().all(|b| b.is_ascii_digit() || b == b':') && secret.len() < 6;
    let flag = skip == 0 && secret.starts_with('-');
    (!port && !flag && secret.len() >= 2 || matches!(command.part, Part::After(_)) && secret.len() >= 2).then_some((
        index,
        from + skip,
        until,
    ))
}

/// Returns the start and end of each argument of a command, and where the command ends.
fn tokens(text: &str, from: usize) -> (Vec<(usize, usize)>, usize) {
    let bytes = &text.as_bytes()[..floor(text, from + COMMAND_MAX)];
    let (mut tokens, mut at, mut lines) = (Vec::new(), from, 0);
    while at < bytes.len() && tokens.len() < ARGUMENTS_MAX {
        match bytes[at] {
            b'\n' => {
                lines += 1;
                if lines >= LINES_MAX {
                    break;
                }
                at += 1;
            }
            byte if byte.is_ascii_whitespace() => at += 1,
            b'|' | b';' => break,
            b'&' if bytes.get(at + 1) == Some(&b'&') => break,
            _ => {
                let (start, mut quote) = (at, None);
                while let Some(&byte) = bytes.get(at) {
                    match (byte, quote) {
                        (b'"' | b'\'', None) => quote = Some(byte),
                        (byte, Some(open)) if byte == open => quote = None,
                        (b'\n', Some(_)) => break,
                        (byte, None) if byte.is_ascii_whitespace() || byte == b';' || byte == b'|' => break,
                        _ => {}
                    }
                    at += 1;
                }
                tokens.push((start, at));
            }
        }
    }
    (tokens, at)
}

/// Like [`fed`], for the commands in `FED_BY_NAME`: `at` is the name of a secret that the command contains.
pub(in crate::redact) fn fed_by_name(text: &str, at: usize) -> Option<Hit> {
    let near = &text[floor(text, at.saturating_sub(16))..floor(text, at + 16)];
    // Fast exit, because most names are not part of such a command.
    (near.contains("-") || near.contains("gh ") || near.contains("passwd ")).then_some(())?;
    FED_BY_NAME.iter().any(|word| near.contains(word)).then(|| fed(text, at)).flatten()
}

/// Returns the password that a shell passes to the standard input of a command: `echo secret | sudo -S …`,
/// `sudo -S … <<< secret`.
pub(in crate::redact) fn fed(text: &str, at: usize) -> Option<Hit> {
    let near = floor(text, at.saturating_sub(COMMAND_MAX));
    let line = text[near..at].rfind('\n').map_or(near, |found| near + found + 1);
    let end = right(&text[..floor(text, at + COMMAND_MAX)], at, |b| b != b'\n');
    if text[at..end].starts_with("sudo ") && !asks_sudo(&text[at..end]) {
        return None;
    }
    if let Some(here) = text[at..end].find("<<<").map(|found| at + found + 3) {
        return fed_token(text, here, end, at);
    }
    if let Some(here) = text[at..end].find("<<").map(|found| at + found + 2) {
        return here_document(text, here, end, at);
    }
    let bar = text[line..at].rfind('|').map(|bar| line + bar)?;
    let echo =
        ["echo ", "printf "].iter().find_map(|word| text[line..bar].rfind(word).map(|at| line + at + word.len()))?;
    fed_token(text, echo, bar, at)
}

/// Returns the password in a here-document: `<<EOF`, the password on the first line, `EOF`.
fn here_document(text: &str, here: usize, line_end: usize, at: usize) -> Option<Hit> {
    let mark = text[here..line_end].trim_start_matches(['-', ' ']).trim_start_matches(['"', '\'', '\\']);
    let mark = &mark[..right(mark, 0, |b| b.is_ascii_alphanumeric() || b == b'_')];
    if mark.is_empty() || text.as_bytes().get(line_end) != Some(&b'\n') {
        return None;
    }
    let from = right(text, line_end + 1, |b| b == b' ' || b == b'\t');
    let near = &text[..floor(text, from + COMMAND_MAX)];
    let line = right(near, from, |b| b != b'\n' && b != b'\r');
    // `passwd` asks for the password twice, so all lines up to the end mark are hidden.
    let twice = text[floor(text, at.saturating_sub(16))..line_end]
        .contains("passwd")
        .then(|| near[from..].find(&format!("\n{mark}")))
        .flatten();
    let until = twice.map_or(line, |length| from + length);
    let inner = &text[from..until];
    let skip = inner.find(':').filter(|_| text[at..].starts_with("chpasswd")).map_or(0, |colon| colon + 1);
    (inner != mark && inner.len() > skip && !inner.contains(' ')).then_some(Hit::new(from + skip, until, "flag"))
}

/// Returns the text that `echo` or `printf` writes, or that follows `<<<`. Options and format strings are skipped.
fn fed_token(text: &str, from: usize, until: usize, at: usize) -> Option<Hit> {
    let (tokens, _) = tokens(&text[..until], from);
    let plain = |token: &&(usize, usize)| {
        let word = text[token.0..token.1].trim_matches(['"', '\'']);
        !matches!(word, "-n" | "-e" | "-ne" | "-en") && !word.starts_with('%')
    };
    let (from, until) = *tokens.iter().find(plain)?;
    let inner = text[from..until].trim_matches(['"', '\'']);
    let from = from + text[from..until].find(inner)?;
    let skip = inner.find(':').filter(|_| text[at..].starts_with("chpasswd")).map_or(0, |colon| colon + 1);
    (inner.len() > skip).then_some(Hit::new(from + skip, from + inner.len(), "flag"))
}
