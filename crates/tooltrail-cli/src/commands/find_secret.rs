//! `tooltrail find-secret`: lists the entries that held a secret, found by the tag of the secret.

use std::collections::HashSet;
use std::io::{BufRead as _, Read as _};
use std::process::ExitCode;

use serde_json::{Value, json};
use tooltrail::{Query, Question, Redactor, Trail, redaction_keys};

use crate::failure::{Exit, Failure};
use crate::output::{self, Data, Shown, Table};
use crate::question::{self, DAYS_MAX};
use crate::settings::Settings;

/// Maximum bytes of a secret. The longest keys of today's standards have some thousand bytes.
const SECRET_BYTES_MAX: u64 = 64 * 1024;
/// Entries of a page: the maximum that a question allows.
const PAGE: usize = 1_000;

/// Says which kinds of secrets have no tag, and why.
const UNTAGGED: &str = "only tokens of a known form with at least 64 random bits carry a tag; passwords, values found by \
                        their name, codes, card numbers, seed phrases, links, private keys and what own rules hide carry \
                        none, as they could be guessed from it: an entry in which such a secret was hidden cannot be found";

/// List the entries that held a secret, by its tag
///
/// The secret is read from stdin, never from an argument, where other processes would see it; it is stored nowhere. Its
/// tag is computed with the home's keys and compared with the tags of the marks. Entries in which the secret stands
/// unhidden are listed, too, as other writers may have left it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tooltrail find-secret < leaked-token.txt
  gh auth token | tooltrail find-secret --user alice
  tooltrail find-secret --json < token.txt | jq -r '.entries[].id'")]
pub(crate) struct Args {
    /// Only this user's entries [default: everybody's]
    #[arg(long, short, value_name = "USER")]
    user: Option<String>,

    /// How many days back from today (UTC), 1 to 3650
    #[arg(long, short, value_name = "N", default_value_t = DAYS_MAX, value_parser = question::days)]
    days: u32,

    /// Maximum number of entries
    #[arg(long, short = 'n', value_name = "N", default_value_t = 10_000)]
    limit: usize,
}

/// Reads the secret, searches and prints.
pub(crate) fn run(args: &Args, settings: &Settings) -> Result<ExitCode, Failure> {
    let trail = settings.trail()?;
    let home = settings.open_home()?;
    let keys = redaction_keys(&settings.keys_path(&home)?)?;
    let secret = secret()?;
    let mut tags = Vec::new();
    let mut rule = None;
    for key in &keys {
        // In a line such as `TOKEN=…` the secret is the part that redaction would hide.
        let marked = Redactor::new(Some(key.clone())).text(&secret).into_owned();
        for (name, tag) in tags_of(&marked) {
            rule.get_or_insert_with(|| name.to_owned());
            tags.push(tag.to_owned());
        }
        tags.push(key.tag(&secret));
    }
    tags.dedup();
    let mut found =
        FoundEntries { lines: Vec::new(), seen: HashSet::new(), complete: true, limit: args.limit, unhidden: 0 };
    for tag in &tags {
        found.search(&trail, args, Query::text(&format!("{tag}]")))?;
    }
    let by_tag = found.lines.len();
    found.search(&trail, args, Query::text(&secret))?;
    found.unhidden = found.lines.len() - by_tag;
    if settings.flags.json {
        print_object(&found, rule.as_deref(), &tags)?
    } else {
        print_table(&found, rule.as_deref(), keys.is_empty())?
    }
    Ok(Exit::Yes.into())
}

/// The entries found so far.
struct FoundEntries {
    lines: Vec<String>,
    /// The same lines, so that an entry is listed once if it has several tags of the secret, or also the secret
    /// unhidden.
    seen: HashSet<String>,
    complete: bool,
    limit: usize,
    /// How many of `lines`, at the end, contain the secret unhidden.
    unhidden: usize,
}

impl FoundEntries {
    /// Adds the entries that match a query, page by page.
    fn search(&mut self, trail: &Trail, args: &Args, query: Query) -> Result<(), Failure> {
        let mut question = Question::new();
        (question.query, question.user, question.days) = (query, args.user.clone(), args.days);
        loop {
            question.limit = PAGE.min((self.limit + 1).saturating_sub(self.lines.len())).max(1);
            question.check()?;
            let page = trail.recent(&question)?;
            output::tell_skipped(&page.skipped, &page.unreadable_names);
            self.complete &= page.skipped.unreadable == 0;
            for line in page.lines {
                if self.lines.len() == self.limit {
                    self.complete = false;
                    return Ok(());
                }
                if self.seen.insert(line.clone()) {
                    self.lines.push(line);
                }
            }
            let Some(next) = page.next else { return Ok(()) };
            question.cursor = Some(tooltrail::Cursor::parse(&next)?);
        }
    }
}

/// Reads the secret from stdin, without its newline. A terminal does not show what is typed.
fn secret() -> Result<String, Failure> {
    let failed = |error: std::io::Error| Failure::io("read", "the secret from stdin", &error);
    let mut bytes = Vec::new();
    if output::stdin_is_terminal() {
        output::talk("type or paste the secret, which is not shown, and press Enter");
        let _echo_off = output::EchoOff::new();
        std::io::stdin().lock().take(SECRET_BYTES_MAX + 1).read_until(b'\n', &mut bytes).map_err(failed)?;
    } else {
        std::io::stdin().lock().take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    }
    if bytes.len() as u64 > SECRET_BYTES_MAX {
        return Err(Failure::could_not("the secret is over 64 KiB", "give one secret at a time"));
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::could_not("the secret is not UTF-8", "give it as it stood in the call"))?;
    let secret = text.trim_end_matches(['\n', '\r']).to_owned();
    if secret.trim().is_empty() {
        return Err(Failure::could_not(
            "no secret came on stdin",
            "pipe it in, as in `tooltrail find-secret < token.txt`; an argument would be seen by other processes",
        ));
    }
    Ok(secret)
}

/// Returns the rule and the tag of each mark in a text that has a tag.
fn tags_of(marked: &str) -> impl Iterator<Item = (&str, &str)> {
    marked.split("[redacted:").skip(1).filter_map(|rest| {
        let (rule, tag) = rest.split_once(']')?.0.split_once(':')?;
        Some((rule, tag))
    })
}

fn print_object(found: &FoundEntries, rule: Option<&str>, tags: &[String]) -> Result<(), Failure> {
    let parsed =
        |lines: &[String]| -> Vec<Value> { lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect() };
    let (by_tag, unhidden) = found.lines.split_at(found.lines.len() - found.unhidden);
    output::print_json(&json!({
        "rule": rule,
        "tags": tags,
        "entries": parsed(by_tag),
        "unhidden": parsed(unhidden),
        "complete": found.complete,
        "untagged": UNTAGGED,
    }))
}

fn print_table(found: &FoundEntries, rule: Option<&str>, keyless: bool) -> Result<(), Failure> {
    if !found.lines.is_empty() {
        let mut data = Data::styled();
        let shown = found.lines.iter().map(|line| Shown::read(line));
        let mut table = Table::new(&Shown::WITH_ID);
        shown.for_each(|shown| table.row(shown.cells_with_id()));
        data.bytes(table.render().as_bytes())?;
        data.finish()?;
    }
    let by_tag = found.lines.len() - found.unhidden;
    match (rule, keyless) {
        (_, true) => {
            output::talk("the keys of this home are not here, so no mark carries a tag that could be compared")
        }
        (Some(rule), _) => output::talk(&format!("{by_tag} found by the tag of {rule}")),
        (None, _) if by_tag > 0 => output::talk(&format!("{by_tag} found by its tag")),
        (None, _) => output::talk("this secret is of no kind that carries a tag"),
    }
    if found.unhidden > 0 {
        let (count, which) = (found.unhidden, if by_tag > 0 { "the last rows above" } else { "the rows above" });
        output::talk(&format!(
            "{count} unhidden, {which}: the secret itself stands in them; replace it where it is used"
        ));
    }
    if !found.complete {
        output::talk("there may be more: a bound was reached, or something could not be read");
    }
    if rule.is_none() && by_tag == 0 {
        output::talk(UNTAGGED);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::tags_of;

    #[test]
    fn tags_are_read_from_marks() {
        let tags = |text: &str| tags_of(text).map(|(rule, tag)| format!("{rule} {tag}")).collect::<Vec<_>>();
        assert_eq!(tags("a [redacted:password] b"), Vec::<String>::new());
        assert_eq!(tags("[redacted:jwt:1.00][redacted:x:2.ff]"), ["jwt 1.00", "x 2.ff"]);
    }
}
