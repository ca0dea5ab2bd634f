//! `tooltrail reconcile`: compares the session files of agents with the trail.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};
use tooltrail::{Query, Question, Status, Timestamp, Via, is_random_call_id};

use crate::commands::pages::each_entry;
use crate::failure::{Exit, Failure};
use crate::output::{self, Data};
use crate::question::days;
use crate::settings::Settings;
use crate::transcripts::{APART_MAX_MS, Format, calls_of, find};

/// The most calls of each list that are named; all are counted.
const NAMED_MAX: usize = 20;

/// Tell which calls only the session files of agents have, or only the trail
///
/// A session file is what an agent writes about itself, and the trail is what was seen of it. Calls are compared by their
/// ids; where an agent's hooks do not tell ids, by session and tool, in order of time. Calls with a different status are
/// told too. Exit 1 if something differs or a file cannot be read.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tooltrail reconcile                    all agents, the last week
  tooltrail reconcile codex --days 30    one agent, a month
  tooltrail import --agents              take in what only the session files have")]
pub(crate) struct Args {
    /// The agents: claude-code, codex, gemini, copilot, pi [default: all that have session files here]
    #[arg(value_name = "AGENT", value_parser = parse_format)]
    agents: Vec<Format>,

    /// How many days back from today (UTC), 1 to 3650
    #[arg(long, short, value_name = "N", default_value_t = 7, value_parser = days)]
    days: u32,
}

fn parse_format(name: &str) -> Result<Format, String> {
    Format::ALL
        .into_iter()
        .find(|format| format.client() == name)
        .ok_or_else(|| format!("no agent with session files; known are {}", Format::ALL.map(Format::client).join(", ")))
}

/// A call of a session file or of the trail.
#[derive(Clone, Debug)]
struct Seen {
    call_id: Option<String>,
    session: String,
    tool: String,
    ts: Timestamp,
    status: Status,
    /// Whether a sub-agent made the call and its session is not that of the main agent.
    has_own_session: bool,
}

/// What differs for one agent.
#[derive(Debug, Default)]
struct Difference {
    /// The calls that both have.
    both: u64,
    only_in_files: Vec<Seen>,
    only_in_trail: Vec<Seen>,
    /// The calls of which both tell another status: that of the file, and that of the trail.
    status: Vec<(Seen, Status)>,
    unread: Vec<(PathBuf, String)>,
}

pub(crate) fn run(args: &Args, settings: &Settings) -> Result<ExitCode, Failure> {
    let mut question = Question::new();
    question.days = args.days;
    question.check()?;
    let today = crate::clock::now().date();
    let first = Timestamp::from_millis(today.start().as_millis() - i64::from(args.days - 1) * DAY_MS);
    let mut found = BTreeMap::<Format, Difference>::new();
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let mut files = BTreeMap::<Format, Vec<Seen>>::new();
    let agents = &settings.file()?.agents;
    for place in find(variable) {
        if !args.agents.is_empty() && !args.agents.contains(&place.format) {
            continue;
        }
        let difference = found.entry(place.format).or_default();
        difference.unread.extend(place.below.unreadable);
        let seen = files.entry(place.format).or_default();
        for path in place.below.files {
            match calls_of(&path, place.format, agents) {
                Ok(calls) => seen.extend(calls.into_iter().filter(|call| call.ts >= Some(first)).filter_map(|call| {
                    Some(Seen {
                        call_id: call.call_id,
                        session: call.session.unwrap_or_default(),
                        tool: call.tool,
                        ts: call.ts?,
                        status: call.outcome?.status,
                        has_own_session: place.format == Format::Gemini && call.agent.is_some(),
                    })
                })),
                Err(error) => difference.unread.push((path, error.to_string())),
            }
        }
    }
    if found.is_empty() {
        return Err(Failure::could_not(
            "no session files were found",
            "`tooltrail import --help` says where they are looked for",
        ));
    }
    for (format, difference) in &mut found {
        let trail = of_trail(*format, &question, settings)?;
        difference.compare(files.remove(format).unwrap_or_default(), trail);
    }
    let differs = found.values().any(Difference::is_some);
    if settings.flags.json {
        let agents = found.iter().map(|(format, difference)| difference.json(*format));
        output::print_json(&json!({ "agents": agents.collect::<Vec<_>>() }))?;
    } else {
        let mut data = Data::exact();
        for (format, difference) in &found {
            difference.print(*format, &mut data)?;
        }
        data.finish()?;
    }
    Ok(if differs { Exit::No.into() } else { Exit::Yes.into() })
}

/// The milliseconds of a day.
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// Returns the calls of an agent that the trail has, each once.
fn of_trail(format: Format, question: &Question, settings: &Settings) -> Result<Vec<Seen>, Failure> {
    let mut question = question.clone();
    question.query = Query::parse(&format!("client={}*", format.client()))?;
    let (mut calls, mut places) = (Vec::<Seen>::new(), HashMap::new());
    each_entry(&settings.trail()?, question, |entry, _| {
        // What a proxy saw has another id of the call, or none.
        if !matches!(entry.via, Some(Via::Hook | Via::Import | Via::Otlp | Via::Http)) {
            return ControlFlow::Continue(());
        }
        let seen = Seen {
            call_id: entry.call_id.clone(),
            session: entry.session.clone().unwrap_or_default(),
            tool: entry.tool.clone(),
            ts: entry.ts,
            status: entry.status,
            has_own_session: false,
        };
        let is_import = entry.via == Some(Via::Import);
        match entry.call_id.as_ref().map(|id| (id.clone(), scope(&seen))) {
            None => calls.push(seen),
            Some(key) => match places.get(&key) {
                None => {
                    places.insert(key, calls.len());
                    calls.push(seen);
                }
                // What was seen counts more than what was imported later.
                Some(place) if !is_import => calls[*place] = seen,
                Some(_) => {}
            },
        }
        ControlFlow::Continue(())
    })?;
    Ok(calls)
}

/// Returns the session in which an id of a call is unique: none for a random id, which is unique everywhere.
fn scope(seen: &Seen) -> Option<String> {
    let is_random = seen.call_id.as_deref().is_some_and(is_random_call_id);
    (!is_random).then(|| seen.session.clone())
}

impl Difference {
    fn compare(&mut self, files: Vec<Seen>, trail: Vec<Seen>) {
        let (with_id, without) = trail.into_iter().partition::<Vec<_>, _>(|seen| seen.call_id.is_some());
        let mut by_id =
            with_id.into_iter().map(|seen| ((seen.call_id.clone(), scope(&seen)), seen)).collect::<HashMap<_, _>>();
        let mut by_tool = HashMap::<(String, String), Vec<Seen>>::new();
        for seen in without {
            by_tool.entry((seen.session.clone(), seen.tool.clone())).or_default().push(seen);
        }
        by_tool.values_mut().for_each(|calls| calls.sort_by_key(|seen| std::cmp::Reverse(seen.ts)));
        let mut known = HashMap::new();
        let mut files = files;
        files.sort_by_key(|seen| seen.ts);
        for file in files {
            // A fork of a session holds the same calls once more.
            if file.call_id.is_some() && known.insert((file.call_id.clone(), scope(&file)), ()).is_some() {
                continue;
            }
            let same = by_id.remove(&(file.call_id.clone(), scope(&file)));
            let same = same.or_else(|| by_tool.get_mut(&(file.session.clone(), file.tool.clone()))?.pop());
            let same = same.or_else(|| if file.has_own_session { take_nearest(&mut by_tool, &file) } else { None });
            match same {
                None => self.only_in_files.push(file),
                Some(seen) => {
                    self.both += 1;
                    if seen.status != file.status {
                        self.status.push((file, seen.status));
                    }
                }
            }
        }
        self.only_in_trail = by_id.into_values().chain(by_tool.into_values().flatten()).collect();
        for list in [&mut self.only_in_files, &mut self.only_in_trail] {
            list.sort_by_key(|seen| std::cmp::Reverse(seen.ts));
        }
        self.status.sort_by_key(|(seen, _)| std::cmp::Reverse(seen.ts));
    }

    fn is_some(&self) -> bool {
        !(self.only_in_files.is_empty()
            && self.only_in_trail.is_empty()
            && self.status.is_empty()
            && self.unread.is_empty())
    }

    fn json(&self, format: Format) -> Value {
        let seen = |seen: &Seen| json!({ "ts": seen.ts.to_string(), "session": seen.session, "tool": seen.tool, "call_id": seen.call_id, "status": seen.status.as_str() });
        let status = self.status.iter().map(|(file, trail)| {
            let mut found = seen(file);
            found["status_in_trail"] = json!(trail.as_str());
            found
        });
        json!({
            "agent": format.client(),
            "both": self.both,
            "only_in_files": self.only_in_files.iter().map(seen).collect::<Vec<_>>(),
            "only_in_trail": self.only_in_trail.iter().map(seen).collect::<Vec<_>>(),
            "other_status": status.collect::<Vec<_>>(),
            "unread": self.unread.iter().map(|(path, why)| json!({ "file": path, "why": why })).collect::<Vec<_>>(),
        })
    }

    fn print(&self, format: Format, data: &mut Data) -> Result<(), Failure> {
        data.line(&format!("{}: {} in both", format.client(), output::unit(self.both, "call", "calls")))?;
        let lists = [("only in session files", &self.only_in_files), ("only in the trail", &self.only_in_trail)];
        for (title, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            data.line(&format!("  {title}: {}", list.len()))?;
            for seen in list.iter().take(NAMED_MAX) {
                data.line(&format!("    {}", seen.text()))?;
            }
            print_rest(list.len(), data)?;
        }
        if !self.status.is_empty() {
            data.line(&format!("  with another status in the trail: {}", self.status.len()))?;
            for (seen, status) in self.status.iter().take(NAMED_MAX) {
                data.line(&format!("    {}, in the trail {}", seen.text(), status.as_str()))?;
            }
            print_rest(self.status.len(), data)?;
        }
        for (path, why) in &self.unread {
            output::talk_error(&format!("could not read {}: {why}", output::escaped(&path.to_string_lossy())));
        }
        Ok(())
    }
}

/// Takes the call of this tool that is nearest in time, whatever its session: hooks tell the session of the main agent.
fn take_nearest(by_tool: &mut HashMap<(String, String), Vec<Seen>>, file: &Seen) -> Option<Seen> {
    let apart = |seen: &Seen| (seen.ts.as_millis() - file.ts.as_millis()).abs();
    let same = by_tool.iter().filter(|((_, tool), _)| *tool == file.tool);
    let calls = same.flat_map(|(key, calls)| calls.iter().enumerate().map(move |(place, seen)| (key, place, seen)));
    let (key, place, nearest) = calls.min_by_key(|(_, _, seen)| apart(seen))?;
    if apart(nearest) > APART_MAX_MS {
        return None;
    }
    let (key, place) = (key.clone(), place);
    Some(by_tool.get_mut(&key)?.remove(place))
}

fn print_rest(count: usize, data: &mut Data) -> Result<(), Failure> {
    match count.saturating_sub(NAMED_MAX) {
        0 => Ok(()),
        rest => data.line(&format!("    and {rest} more; --json has all")),
    }
}

impl Seen {
    fn text(&self) -> String {
        let id = self.call_id.as_deref().unwrap_or("no id");
        let text = format!("{}  {}  {}  {id}  session {}", self.ts, self.tool, self.status.as_str(), self.session);
        output::escaped(&text).into_owned()
    }
}
