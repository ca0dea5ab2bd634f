//! The whole run of a hook. Whatever happens, it ends with 0 and says nothing but a denial, because clients take anything
//! else for a reason to stop the agent.

use std::cell::Cell;
use std::io::{Read, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tooltrail::{Clock, LossReason, SessionRecorder};

use crate::account::account;
use crate::hook::args::HookArgs;
use crate::hook::client::Client;
use crate::hook::clients::{denial, read, sender};
use crate::hook::event::Event;
use crate::hook::gate::{Refusal, refusal};
use crate::hook::losses::{LossFile, Lost};
use crate::hook::paused::PauseFile;
use crate::hook::record::Records;
use crate::hook::told::{Step, Told};
use crate::hook::transcript;
use crate::settings::Settings;
use crate::settings::durability::DurabilityArgs;
use crate::settings::file::{ConfigFile, may_name_secrets};
use crate::settings::flags::GlobalFlags;
use crate::settings::folders::user_folder;
use crate::spool::{Delivery, Spool};

/// The file with our hooks in the folder of Copilot CLI.
pub(crate) const COPILOT_HOOKS: &str = "hooks/tooltrail.json";

/// The longest event that is read, in bytes. A larger one is read to its end, as the client expects, and counted as lost.
const EVENT_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Runs the hook of these arguments: reads one event from standard input and records it.
pub(crate) fn run(args: HookArgs) {
    // A panic must not write to standard error, which some clients show to the model.
    std::panic::set_hook(Box::new(|_| {}));
    // The agent runs hooks in a project's folder, so a relative path would be a file of the project.
    let state = args.state.clone().or_else(state_folder).filter(|state| state.is_absolute());
    let clock = crate::clock::clock();
    let result = catch_unwind(AssertUnwindSafe(|| hook(&args, state.as_deref(), &clock)));
    let failed = match result {
        Ok(Ok(())) => return,
        Ok(Err(why)) => why,
        Err(_) => "it panicked".to_owned(),
    };
    let Some(state) = state else { return };
    LossFile::new(&state).add(Lost {
        at: clock.now().to_string(),
        home: spool_home(&args, &state).or_else(|| home(&args)).unwrap_or_default(),
        client: args.client.map_or("unknown", Client::name).to_owned(),
        why: failed,
    });
}

/// Returns the default folder for state.
pub(crate) fn state_folder() -> Option<PathBuf> {
    user_folder("XDG_STATE_HOME", ".local/state", "--state").ok().map(|folder| folder.join("tooltrail"))
}

/// Records the event on standard input.
///
/// # Errors
/// Why it is lost.
fn hook(args: &HookArgs, state: Option<&Path>, clock: &Arc<dyn Clock>) -> Result<(), String> {
    // The event is read to its end in any case, because a client may wait until all of it is taken.
    let event = read_event();
    if state.is_some_and(|state| PauseFile::new(state).is_off()) {
        return Ok(());
    }
    let text = event?;
    let event = Event::parse(text.trim_start_matches('\u{feff}')).ok_or("the event is no JSON object")?;
    let installed_for = args.client.ok_or("the client of the hook is unknown")?;
    let client = sender(installed_for, &event);
    let mut told = read(client, args.event.as_deref(), &event);
    if told.steps.is_empty() || client == Client::Copilot && installed_for == Client::ClaudeCode && has_own_hooks() {
        return Ok(());
    }
    let delivery = args.to.as_deref().map(|to| delivery(args, to, state)).transpose()?;
    let settings = settings(args, delivery.as_ref());
    // A configuration that cannot be read refuses no call here. `tooltrail agent doctor` says so.
    let config = settings.file();
    let no_config = ConfigFile::default();
    let file = config.as_ref().map_or(&no_config, |file| file);
    let user = args.user.clone().unwrap_or_else(account);
    let refused = refuse(client, file, &user, &mut told);
    // What is left out of the trail is still held to the rules.
    if event.text("cwd").is_some_and(|cwd| file.agents.excludes(&cwd)) {
        return Ok(());
    }
    let durability = DurabilityArgs::default().over(file.durability.as_ref());
    let spool = delivery.as_ref().map(|delivery| &delivery.spool);
    let home = spool.map(Spool::home).or_else(|| home(args)).ok_or("no folder for the home is known")?;
    let recorder = recorder(&settings, &config.map_err(|failure| failure.to_string()), clock, spool.is_some())?;
    let records = Records {
        client,
        recorder: &recorder,
        durability: &durability,
        clock: &**clock,
        user: &user,
        client_name: &client_name(client, &event),
        has_room: spool.is_none_or(|spool| !spool.is_full()),
        lost: Cell::new(0),
    };
    let done = match &refused {
        Some(refusal) => records.denied(&told, refusal.rule.clone()),
        None => records.told(&told),
    };
    // What earlier hooks left is settled last, and is no reason to count this event as lost.
    let _ = recorder.settle();
    if let Some(state) = state {
        LossFile::new(state).take(&home, |lost| recorder.record_lost(LossReason::Unopened, lost).is_ok());
    }
    if let Some(delivery) = &delivery {
        delivery.spool.add_lost(records.lost.get());
        if records.has_room {
            delivery.spool.take_lost(|lost| recorder.record_lost(LossReason::SpoolFull, lost).is_ok());
        }
        delivery.deliver_soon();
    }
    // At the end of a turn or session nothing may come for a long time, so that everything is sealed then.
    let ends = told.steps.iter().any(|step| matches!(step, Step::Interrupt(_)));
    recorder.seal(ends);
    // The process ends now, so nobody needs the memory of the redaction's tables.
    std::mem::forget(recorder);
    done.map_err(|error| error.message())
}

/// Refuses the call that is about to be made if a rule says so. The client is told at once.
fn refuse(client: Client, file: &ConfigFile, user: &str, told: &mut Told) -> Option<Refusal> {
    let refused = told.steps.iter_mut().find_map(|step| match step {
        Step::Begin(_, call) => {
            user.clone_into(&mut call.user);
            refusal(client, file, call)
        }
        _ => None,
    })?;
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(denial(client, &refused.text).as_bytes()).and_then(|()| stdout.flush());
    Some(refused)
}

fn read_event() -> Result<String, String> {
    let mut stdin = std::io::stdin().lock();
    let mut bytes = Vec::new();
    let read = stdin.by_ref().take(EVENT_BYTES_MAX + 1).read_to_end(&mut bytes);
    if bytes.len() as u64 > EVENT_BYTES_MAX {
        let _ = std::io::copy(&mut stdin, &mut std::io::sink());
        return Err(format!("the event has more than {} MiB", EVENT_BYTES_MAX >> 20));
    }
    read.map_err(|error| format!("could not read the event: {error}"))?;
    Ok(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

/// Returns where the entries go that are not recorded in the home.
fn delivery(args: &HookArgs, to: &str, state: Option<&Path>) -> Result<Delivery, String> {
    Ok(Delivery {
        spool: Spool::new(state.ok_or("no folder for state is known")?, to),
        to: to.to_owned(),
        token_file: args.token_file.clone().ok_or("--to needs --token-file")?,
        state: state.map(Path::to_owned).unwrap_or_default(),
    })
}

fn settings(args: &HookArgs, delivery: Option<&Delivery>) -> Settings {
    let flags = GlobalFlags {
        home: delivery.map(|delivery| delivery.spool.home()).or_else(|| args.home.clone()),
        keys: args.keys.clone(),
        config: args.config.clone().filter(|path| path.is_file()),
        ..GlobalFlags::default()
    };
    // Without a file of the hook's own, it has the user's; a file that was named and removed since counts as empty.
    if args.config.is_some() && flags.config.is_none() {
        return Settings::new(flags).without_file();
    }
    Settings::new(flags)
}

/// Returns the home of the spool of a hook that delivers.
fn spool_home(args: &HookArgs, state: &Path) -> Option<PathBuf> {
    args.to.as_deref().map(|to| Spool::new(state, to).home())
}

fn home(args: &HookArgs) -> Option<PathBuf> {
    let default = || user_folder("XDG_DATA_HOME", ".local/share", "--home").ok().map(|folder| folder.join("tooltrail"));
    args.home.clone().or_else(default)
}

fn recorder(
    settings: &Settings,
    config: &Result<&ConfigFile, String>,
    clock: &Arc<dyn Clock>,
    is_spool: bool,
) -> Result<SessionRecorder, String> {
    let without_file;
    let settings = match config {
        // Without its rules for secrets, nothing is recorded.
        Err(why) if may_name_secrets(settings.config_path().as_deref()) => return Err(why.clone()),
        Err(_) => {
            without_file = settings.without_file();
            &without_file
        }
        Ok(_) => settings,
    };
    let options = settings.create_home().and_then(|home| match is_spool {
        true => settings.spool_options(&home),
        false => settings.options(&home),
    });
    let mut options = options.map_err(|failure| failure.to_string())?;
    options.clock = Arc::clone(clock);
    options.open_sessions().map_err(|error| error.message())
}

/// Whether Copilot has hooks of ours beside those of Claude Code that a repository brings. It runs both.
fn has_own_hooks() -> bool {
    let folder = std::env::var_os("COPILOT_HOME").map(PathBuf::from);
    let folder = folder.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".copilot")));
    folder.is_some_and(|folder| folder.join(COPILOT_HOOKS).exists())
}

/// Returns the client with its version, as far as that is known.
fn client_name(client: Client, event: &Event<'_>) -> String {
    let told = event.first_text(&["cursor_version", "client_version", "version"]);
    let version = told.or_else(|| match client {
        Client::Copilot => std::env::var("COPILOT_CLI_BINARY_VERSION").ok().filter(|version| !version.is_empty()),
        Client::ClaudeCode | Client::Codex => transcript::version(client, Path::new(&event.text("transcript_path")?)),
        Client::Gemini | Client::Cursor => None,
    });
    version.map_or_else(|| client.name().to_owned(), |version| format!("{}/{version}", client.name()))
}
