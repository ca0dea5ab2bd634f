//! `agent doctor`.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tooltrail::{Query, Question};

use crate::agents::{Diagnosis, Doctor, Installer, Seen};
use crate::commands::agent::service::HookService;
use crate::commands::agent::{installer, parse_client, state};
use crate::failure::{Exit, Failure};
use crate::hook::{Client, LossFile, PauseFile};
use crate::mcp::trail::{Loss, StatusFolder};
use crate::output::{self, Data};
use crate::question::DAYS_MAX;
use crate::settings::Settings;
use crate::settings::folders::resolved;

/// The last calls of an agent that the doctor looks at.
const CALLS_LOOKED_AT: usize = 20;

#[derive(Debug, clap::Args)]
pub(super) struct DoctorArgs {
    /// The agents [default: all that have been used here, or have our hooks]
    #[arg(value_name = "AGENT", value_parser = parse_client)]
    clients: Vec<Client>,

    /// Install the hooks once more where that mends something: a program that was moved, hooks that are missing
    #[arg(long)]
    fix: bool,
}

/// Examines the agents and prints what was found.
pub(super) fn doctor(args: &DoctorArgs, settings: &Settings) -> Result<ExitCode, Failure> {
    let state = state()?;
    let installer = installer(settings, None, None, false, HookService::stored(&state))?;
    let examine = |installer: &Installer| {
        let doctor = Doctor { installer, project: std::env::current_dir().unwrap_or_default() };
        let all = Client::ALL.into_iter().filter(|client| args.clients.is_empty() || args.clients.contains(client));
        let all = all.map(|client| doctor.examine(client, seen(client, settings)));
        let named = !args.clients.is_empty();
        all.filter(|found| named || found.is_found || found.is_installed).collect::<Vec<_>>()
    };
    let mut found = examine(&installer);
    if args.fix {
        let mendable = |diagnosis: &&Diagnosis| diagnosis.wrong.iter().any(|wrong| wrong.is_mended_by_install);
        let plans = found.iter().filter(mendable).map(|found| installer.mend(found.client, found.is_installed));
        let plans = plans.collect::<Vec<_>>();
        for outcome in installer.apply(&plans) {
            match outcome.failed {
                None => output::talk(&format!("mended {}", installer.places.shown(&outcome.path))),
                Some(why) => {
                    output::talk_error(&format!("{} is unchanged: {why}", installer.places.shown(&outcome.path)))
                }
            }
        }
        found = examine(&installer);
    }
    let general = general(settings, &state);
    if PauseFile::new(&state).is_off() {
        for diagnosis in found.iter_mut().filter(|diagnosis| diagnosis.is_installed) {
            diagnosis.next = "tooltrail agent on".to_owned();
        }
    }
    let is_wrong = !general.is_empty() || found.iter().any(|diagnosis| !diagnosis.wrong.is_empty());
    let mut data = Data::exact();
    if settings.flags.json {
        data.line(&doctor_answer(&found, &general).to_string())?;
    } else {
        print_doctor(&found, &general, &mut data)?;
    }
    data.finish()?;
    Ok(if is_wrong { Exit::No.into() } else { Exit::Yes.into() })
}

/// Returns what the trail has of an agent's hooks.
fn seen(client: Client, settings: &Settings) -> Seen {
    let mut question = Question::new();
    let query = Query::parse(&format!("via=hook client={}*", client.name()));
    // A configuration that is not understood is told for itself.
    let without_file = settings.without_file();
    let settings = if settings.file().is_ok() { settings } else { &without_file };
    let (Ok(query), Ok(trail)) = (query, settings.trail()) else { return Seen::default() };
    (question.query, question.days, question.limit) = (query, DAYS_MAX, CALLS_LOOKED_AT);
    let Ok(page) = trail.recent(&question) else { return Seen::default() };
    let entries = page.lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok()).collect::<Vec<_>>();
    Seen {
        last: entries.first().and_then(|entry| entry["ts"].as_str().map(str::to_owned)),
        calls: entries.len() as u64,
        interrupted: entries.iter().filter(|entry| entry["reason"] == "interrupted").count() as u64,
    }
}

/// Returns what is wrong for all agents.
fn general(settings: &Settings, state: &Path) -> Vec<String> {
    let mut wrong = Vec::new();
    if PauseFile::new(state).is_off() {
        wrong.push("the hooks are off: `tooltrail agent on` turns them on".to_owned());
    }
    if let Err(failure) = settings.file() {
        wrong.push(format!(
            "hooks run without the rules of the configuration file (and if it has the word redact, they record nothing), because it has an error: {failure}"
        ));
    }
    let home = settings.home_path().map(|home| resolved(&home)).unwrap_or_default();
    let waiting = waiting_calls(&home);
    if waiting > 0 {
        wrong.push(format!(
            "{} of hooks could not be appended to the trail for minutes; they wait in {}",
            output::unit(waiting, "call", "calls"),
            home.join(".tooltrail/claims").display()
        ));
    }
    let lost = LossFile::new(state).read();
    if let Some(last) = lost.last() {
        let count = output::unit(lost.len() as u64, "event", "events");
        wrong.push(format!("{count} of hooks could not be recorded; the last at {}: {}", last.at, last.why));
    }
    for loss in StatusFolder::new(Some(state.join("mcp"))).losses(&home) {
        let server = loss.server.map(|server| format!(" {server}")).unwrap_or_default();
        let calls = output::unit(loss.lost, "call", "calls");
        let Loss { at, pid, why, .. } = loss;
        wrong.push(format!("{calls} of the MCP server{server} could not be recorded (process {pid}, {at}): {why}"));
    }
    wrong
}

/// The age at which a call that is being recorded is waiting for something.
const WAITING_AGE: Duration = Duration::from_secs(5 * 60);

/// Returns the number of calls that hooks could not append to the trail.
fn waiting_calls(home: &Path) -> u64 {
    let claims = std::fs::read_dir(home.join(".tooltrail/claims")).into_iter().flatten().flatten();
    let modified = claims.filter_map(|claim| claim.metadata().ok()).filter(|claim| claim.is_file());
    let is_old = |modified: SystemTime| SystemTime::now().duration_since(modified).is_ok_and(|age| age >= WAITING_AGE);
    modified.filter_map(|claim| claim.modified().ok()).filter(|modified| is_old(*modified)).count() as u64
}

fn doctor_answer(found: &[Diagnosis], general: &[String]) -> Value {
    let agents = found.iter().map(|diagnosis| {
        json!({
            "agent": diagnosis.client.name(),
            "found": diagnosis.is_found,
            "installed": diagnosis.is_installed,
            "last_call": diagnosis.seen.last,
            "calls": diagnosis.seen.calls,
            "interrupted": diagnosis.seen.interrupted,
            "wrong": diagnosis.wrong.iter().map(|wrong| &wrong.what).collect::<Vec<_>>(),
            "notes": diagnosis.notes,
            "next": diagnosis.next,
        })
    });
    json!({ "agents": agents.collect::<Vec<_>>(), "wrong": general })
}

fn print_doctor(found: &[Diagnosis], general: &[String], data: &mut Data) -> Result<(), Failure> {
    for wrong in general {
        data.line(&format!("wrong  {}", output::escaped(wrong)))?;
    }
    if found.is_empty() {
        data.line("no coding agent was used on this machine")?;
    }
    for diagnosis in found {
        let state = match (diagnosis.is_installed, diagnosis.is_found) {
            (true, _) => "installed",
            (false, true) => "not installed",
            (false, false) => "not used here",
        };
        data.line(&format!("{}: {state}", diagnosis.client.title()))?;
        for wrong in &diagnosis.wrong {
            data.line(&format!("  wrong  {}", output::escaped(&wrong.what)))?;
        }
        if diagnosis.is_installed {
            let last = diagnosis.seen.last.as_deref().unwrap_or("none yet");
            data.line(&format!("  last call  {last}"))?;
            if diagnosis.seen.calls > 0 {
                let Seen { calls, interrupted, .. } = diagnosis.seen;
                data.line(&format!("  without an outcome  {interrupted} of the last {calls} calls"))?;
            }
            for note in &diagnosis.notes {
                data.line(&format!("  {}", output::escaped(note)))?;
            }
        }
        data.line(&format!("  next  {}", output::escaped(&diagnosis.next)))?;
    }
    Ok(())
}
