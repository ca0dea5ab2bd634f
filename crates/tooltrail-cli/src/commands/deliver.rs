//! `deliver`: sends to a service what hooks and proxies have recorded for it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::hook::state_folder;
use crate::output::{print_json, talk};
use crate::settings::Settings;
use crate::spool::{Deliverer, Delivery, Outcome, Spool};

/// The longest time of one request.
const REQUEST: Duration = Duration::from_secs(15);

/// How often a deliverer in the background looks for new entries, and after how long without any it ends.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const IDLE_MAX: Duration = Duration::from_secs(10);

/// How long to wait for another process that delivers.
const OTHER_WAIT: Duration = Duration::from_secs(3);

/// The pauses while the service does not take anything: the first, and the longest.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// After this time without success it ends; the next call starts another one.
const TRIES_FOR: Duration = Duration::from_secs(15 * 60);

/// Send to a service what hooks and proxies have recorded for it
///
/// `tooltrail hook --to` and `tooltrail mcp --to` do this by themselves. Run it by hand to see why entries do not arrive.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The service: unix:PATH or http://127.0.0.1:PORT
    #[arg(long, value_name = "ADDRESS")]
    to: String,

    /// The file with a token for it, of role ingest and kind spool
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,

    /// The folder for state [default: $XDG_STATE_HOME/tooltrail or ~/.local/state/tooltrail]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,

    /// Run in the background, wait for further entries for some seconds, and try again while the service is away
    #[arg(long)]
    background: bool,
}

/// Runs the command.
pub(crate) fn run(args: Args, settings: &Settings) -> Result<ExitCode, Failure> {
    let Args { to, token_file, state, background } = args;
    let state = state.or_else(state_folder);
    let state = state.ok_or_else(|| Failure::could_not("no folder for state is known", "name it with --state"))?;
    let delivery = Delivery { spool: Spool::new(&state, &to), to, token_file, state };
    if background {
        // A terminal that is closed does not end it.
        let _ = rustix::process::setsid();
        in_background(&delivery);
        return Ok(Exit::Yes.into());
    }
    let could_not = |what: String| Failure::could_not(what, "run the same command once more when that is mended");
    let client = delivery.client(REQUEST).map_err(could_not)?;
    let locked = delivery.spool.try_lock().map_err(|error| could_not(format!("the spool: {error}")))?;
    let Some(_lock) = locked else { return wait_for_other(&delivery, settings.flags.json) };
    let deliverer = Deliverer { spool: &delivery.spool, client: &client };
    match deliverer.deliver(None).map_err(|error| could_not(format!("the spool: {error}")))? {
        Outcome::Done(count) if settings.flags.json => print_json(&json!({ "delivered": count, "waiting_bytes": 0 }))?,
        Outcome::Done(count) => talk(&format!("{count} entries delivered to {}", client.address())),
        Outcome::Later(why) | Outcome::Refused(why) => return Err(could_not(why)),
    }
    Ok(Exit::Yes.into())
}

/// Waits until the process that delivers at this moment has sent everything.
fn wait_for_other(delivery: &Delivery, json: bool) -> Result<ExitCode, Failure> {
    let begun = Instant::now();
    while delivery.spool.has_work() {
        if begun.elapsed() >= OTHER_WAIT {
            let why = delivery.spool.failure().unwrap_or_else(|| "the service is slow".to_owned());
            let waiting = delivery.spool.waiting_bytes();
            return Err(Failure::could_not(
                format!("another process delivers, and {waiting} bytes still wait: {why}"),
                "mend what is named here; the other process tries again by itself, and ends after 15 minutes",
            ));
        }
        std::thread::sleep(LOOK_EVERY);
    }
    if json {
        print_json(&json!({ "delivered": 0, "waiting_bytes": 0 }))?;
    } else {
        talk("everything is delivered, by another process");
    }
    Ok(Exit::Yes.into())
}

/// Delivers until nothing has come for some seconds.
fn in_background(delivery: &Delivery) {
    let begun = Instant::now();
    let mut worked_at = begun;
    while worked_at.elapsed() < TRIES_FOR {
        // Another process delivers. It looks once more after it has given the lock back.
        let Ok(Some(lock)) = delivery.spool.try_lock() else { return };
        let left = deliver_until_idle(delivery, &mut worked_at);
        drop(lock);
        // Whoever has recorded meanwhile has seen the lock, and relies on this process.
        if delivery.spool.waiting_bytes() == left {
            return;
        }
    }
}

/// Returns how many bytes are left that cannot be sent: those of lines that are not whole.
fn deliver_until_idle(delivery: &Delivery, worked_at: &mut Instant) -> u64 {
    let mut pause = PAUSE_MIN;
    let mut idle_since = Instant::now();
    while worked_at.elapsed() < TRIES_FOR {
        if !delivery.spool.has_work() {
            if idle_since.elapsed() >= IDLE_MAX {
                return 0;
            }
            *worked_at = Instant::now();
            std::thread::sleep(LOOK_EVERY);
            continue;
        }
        // The file of the token may be mended meanwhile.
        let client = delivery.client(REQUEST);
        // The deliverer notes its own failures.
        let _ = client.as_ref().map_err(|why| delivery.spool.note_failure(Some(why)));
        let delivered = client.and_then(|client| {
            let deliverer = Deliverer { spool: &delivery.spool, client: &client };
            deliverer.deliver(None).map_err(|error| error.to_string())
        });
        match delivered {
            // What is left is a line that is not whole yet.
            Ok(Outcome::Done(0)) if idle_since.elapsed() >= IDLE_MAX => return delivery.spool.waiting_bytes(),
            Ok(Outcome::Done(0)) => std::thread::sleep(LOOK_EVERY),
            Ok(Outcome::Done(_)) => {
                (*worked_at, idle_since, pause) = (Instant::now(), Instant::now(), PAUSE_MIN);
                std::thread::sleep(LOOK_EVERY);
            }
            Ok(Outcome::Later(_) | Outcome::Refused(_)) | Err(_) => {
                std::thread::sleep(pause);
                pause = (2 * pause).min(PAUSE_MAX);
            }
        }
    }
    delivery.spool.waiting_bytes()
}
