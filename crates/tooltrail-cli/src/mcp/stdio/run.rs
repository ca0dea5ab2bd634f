//! Starts the server and the threads, and waits for the ends of the streams and of the server.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGKILL, SIGTERM};
use tooltrail::{Clock, DurabilityPolicy, Recorder};

use crate::mcp::calls::{About, Calls, ServerEnd};
use crate::mcp::gate::Rules;
use crate::mcp::stdio::event::Event;
use crate::mcp::stdio::output::wait_until_unread;
use crate::mcp::stdio::server::{Running, end_of, exit_as, is_below, replace_by, start};
use crate::mcp::stdio::shared::{Place, Shared};
use crate::mcp::stdio::signals::Signals;
use crate::mcp::stdio::{answers, requests};
use crate::mcp::trail::{Outlet, StatusFolder, Trail};

/// How long a server that nobody talks to any more may take after SIGTERM.
const KILL_AFTER: Duration = Duration::from_secs(5);

/// How long to wait for the exit code of a server that has closed its stdout.
const EXIT_WAIT: Duration = Duration::from_secs(1);

/// How long the last bytes of a server that has ended are waited for, if a process that it left holds its stdout and the
/// client sends nothing more.
const DRAIN_WAIT: Duration = Duration::from_millis(500);

/// The bytes of a thread's stack. Definitions of tools are read, 128 levels deep at most, in some hundred KiB. Memory that is
/// not used costs nothing.
const STACK_BYTES: usize = 2 * 1024 * 1024;

/// Finds a folder, which may take a moment; `None` if it is not known.
pub(crate) type ToolFolder = Box<dyn Fn() -> Option<PathBuf> + Send + Sync>;

/// What a proxy is started with, once its server runs.
pub(crate) struct Start {
    pub(crate) about: About,
    pub(crate) policy: DurabilityPolicy,
    pub(crate) rules: Rules,
    pub(crate) clock: Arc<dyn Clock>,
    /// Opens the recorder, or says why it cannot.
    pub(crate) open: Box<dyn Fn() -> Result<Recorder, String> + Send + Sync>,
    pub(crate) status: StatusFolder,
    /// Where the entries are delivered to, if they do not stay in the home.
    pub(crate) outlet: Option<Box<dyn Outlet>>,
    /// Finds the folder with what was seen of servers' tools.
    pub(crate) tools: ToolFolder,
}

/// Runs a server and stands between it and its client until both have ended. `settings` is asked once the server runs.
///
/// # Errors
/// Any I/O error of the operating system while the server is started.
pub(crate) fn run(command: &[OsString], home: PathBuf, settings: impl FnOnce() -> Start) -> io::Result<ExitCode> {
    if is_below(&home) {
        return Err(replace_by(command));
    }
    let signals = Signals::begin()?;
    let (child, stdin, stdout) = start(command, &home)?;
    let server = Arc::new(Running::new(&child));
    let (events, happened) = channel();
    let Start { about, policy, rules, clock, open, status, outlet, tools } = settings();
    let trail = Trail::new(policy, outlet);
    let place = Place { home, status, tools };
    let shared = Arc::new(Shared::new(Calls::new(about), trail, rules, clock, events, open, place));

    let (of_requests, of_answers, of_wait) = (Arc::clone(&shared), Arc::clone(&shared), Arc::clone(&shared));
    let (signalled, waited) = (Arc::clone(&server), Arc::clone(&server));
    spawn("tooltrail-requests", move || requests::pass(&of_requests, stdin))?;
    spawn("tooltrail-answers", move || answers::pass(&of_answers, stdout))?;
    let of_signals = Arc::clone(&shared);
    spawn("tooltrail-signals", move || signals.pass_on(&signalled, &of_signals))?;
    spawn("tooltrail-wait", move || of_wait.tell(Event::Exited(end_of(waited.wait(child)))))?;

    let end = until_ended(&shared, &server, &happened);
    shared.end_all(end);
    shared.close();
    Ok(exit_as(end))
}

/// Waits until the server has ended and its last bytes are passed on. Returns how it ended.
fn until_ended(shared: &Arc<Shared>, server: &Running, happened: &Receiver<Event>) -> ServerEnd {
    let (mut input_ended, mut output_ended, mut output_gone) = (false, false, false);
    let mut exited = None;
    let mut next_tick = None::<Instant>;
    let mut kill_at = None::<Instant>;
    let mut interrupt_at = None::<Instant>;
    let (mut terminated, mut drained_at, mut steps) = (false, None::<Instant>, 0);
    loop {
        match until(happened, [next_tick, kill_at, interrupt_at, drained_at].into_iter().flatten().min()) {
            Some(Event::InputEnded) => {
                input_ended = true;
                let watched = Arc::clone(shared);
                // Without this thread, a server whose client is gone ends when it next writes.
                let _ = spawn("tooltrail-client", move || {
                    if wait_until_unread().is_ok() {
                        watched.tell(Event::OutputGone);
                    }
                });
            }
            Some(Event::OutputEnded) => {
                output_ended = true;
                interrupt_at = Some(Instant::now() + EXIT_WAIT);
            }
            Some(Event::OutputGone) => output_gone = true,
            Some(Event::Exited(end)) => exited = Some(end),
            Some(Event::Terminated) => terminated = true,
            Some(Event::Tick) | None => {}
        }
        let now = Instant::now();
        if let Some(end) = exited.filter(|_| output_ended || output_gone) {
            return end;
        }
        if exited.is_some() && (input_ended || terminated) && drained_at.is_none() {
            drained_at = Some(now + DRAIN_WAIT);
        }
        if let Some(end) = exited.filter(|_| drained_at.is_some_and(|at| at <= now)) {
            let is_same = steps == shared.output.steps();
            steps = shared.output.steps();
            if is_same && steps % 2 == 0 {
                return end;
            }
            drained_at = Some(now + DRAIN_WAIT);
        }
        if input_ended && output_gone && kill_at.is_none() && exited.is_none() {
            server.signal(SIGTERM);
            kill_at = Some(now + KILL_AFTER);
        }
        if kill_at.is_some_and(|at| at <= now) {
            server.signal(SIGKILL);
            kill_at = Some(now + KILL_AFTER);
        }
        if interrupt_at.is_some_and(|at| at <= now) {
            // The server lives, but its stdout is closed: no answer comes any more.
            interrupt_at = None;
            shared.end_all(ServerEnd::Unknown);
        }
        next_tick = shared.tick().map(|next| now + next);
    }
}

/// Waits for an event, at most until an instant.
fn until(happened: &Receiver<Event>, at: Option<Instant>) -> Option<Event> {
    let Some(at) = at else { return happened.recv().ok() };
    happened.recv_timeout(at.saturating_duration_since(Instant::now())).ok()
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES).spawn(work).map(drop)
}
