//! `tooltrail tail`: prints the newest entries in the order of time, and with `-f` those that arrive.

use std::collections::{HashMap, HashSet};
use std::os::fd::AsFd as _;
use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::unix::pipe::Sender;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tooltrail::{Follow, Followed, Zone};

use crate::failure::{Exit, Failure};
use crate::output::{self, Columns, Data, Shown};
use crate::question::QuestionArgs;
use crate::remote::{Params, Remote, ServiceArgs, Told};
use crate::settings::Settings;

/// Pause between two reads of the home: short enough to feel immediate.
const PAUSE: Duration = Duration::from_millis(200);

/// Longest time to print the current batch after a signal to end.
const GRACE: Duration = Duration::from_secs(2);

/// Widths of the columns, if the terminal is wide enough: time, tool, arguments, status, user, end of the id, duration
/// and result.
const WIDTHS: [usize; 8] = [8, 32, 64, 6, 12, 8, 7, 24];

/// Show the newest entries, the newest last, and with -f those that arrive
///
/// One line per entry: in columns on a terminal, with times in the zone of --zone; with tabs between time in UTC, user,
/// tool, status, milliseconds, result and arguments in a pipe; with --json the stored lines unchanged. With -f it goes
/// on until it is interrupted; entries are shown in order of arrival, from all writers. If a day file was cut, replaced
/// or removed, a message on stderr says so.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tooltrail tail -f                              everything, as it happens
  tooltrail tail -f --user alice status=error    what fails for alice
  tooltrail tail -f -n 0 --json | jq .tool       only what is new, for a program")]
pub(crate) struct Args {
    #[command(flatten)]
    asked: QuestionArgs,

    #[command(flatten)]
    service: ServiceArgs,

    /// Go on with entries as they arrive
    #[arg(long, short)]
    follow: bool,

    /// Show tooltrail's own notes of who read the trail, too
    #[arg(long)]
    own: bool,

    /// Number of entries to begin with, 0 to 1000
    #[arg(long = "lines", short = 'n', value_name = "N", default_value_t = 10)]
    lines: usize,
}

/// Prints the newest entries, then follows if asked to.
pub(crate) fn run(args: Args, settings: &Settings) -> Result<ExitCode, Failure> {
    let zone = settings.zone()?;
    let mut question = args.asked.question(&zone, args.own)?;
    question.limit = args.lines.max(1);
    question.check()?;
    if let Some(remote) = args.service.remote(args.asked.service())? {
        let params = args.asked.params(&zone, args.own)?;
        return run_remote(&args, remote, params, Printer::new(settings.flags.json, zone));
    }
    let trail = settings.trail()?;
    // Following begins before the question runs, so that no entry is missed between the two.
    let follow = if args.follow { Some(trail.follow(&question)?) } else { None };
    let mut printer = Printer::new(settings.flags.json, zone);
    let mut printed = HashMap::<String, usize>::new();
    if args.lines > 0 {
        let page = trail.recent(&question)?;
        if !page.complete {
            output::talk("the beginning is partial: it reached its bound of bytes or time");
        }
        printer.print(page.lines.iter().rev().map(String::as_str))?;
        for line in page.lines {
            *printed.entry(line).or_default() += 1;
        }
    }
    match follow {
        None => Ok(Exit::Yes.into()),
        Some(follow) => {
            let following = Following { follow, printer, printed, older_told: 0 };
            until_told(move |stopped| following.run(stopped))
        }
    }
}

/// Prints the newest entries of a service, then follows it if asked to.
fn run_remote(args: &Args, remote: Remote, params: Params, mut printer: Printer) -> Result<ExitCode, Failure> {
    let newest = {
        let (remote, lines) = (remote.clone(), args.lines);
        let params = params.clone().with("limit", &lines.to_string());
        move |printer: &mut Printer| -> Result<HashSet<String>, Failure> {
            let lines = if lines == 0 { Vec::new() } else { remote.recent(&params)?.lines };
            printer.print(lines.iter().rev().map(String::as_str))?;
            Ok(lines.into_iter().collect())
        }
    };
    if !args.follow {
        newest(&mut printer)?;
        return Ok(Exit::Yes.into());
    }
    until_told(move |stopped| {
        let (mut failed, mut newest, mut printed) = (Ok(()), Some(newest), HashSet::new());
        remote.follow(&params, |told| {
            let told = match told {
                // Only now, so that no entry is missed between the newest ones and the stream.
                Told::Opened => newest.take().map_or(Ok(()), |newest| {
                    printed = newest(&mut printer)?;
                    Ok(())
                }),
                Told::Entry(line) if printed.remove(&line) => Ok(()),
                Told::Entry(line) => printer.print(std::iter::once(&*line)),
                Told::Gap(why) | Told::Broken(why) => {
                    output::talk(&why);
                    Ok(())
                }
            };
            failed = told;
            failed.is_ok() && stopped.try_recv() != Err(TryRecvError::Disconnected)
        })?;
        failed
    })
}

/// Follows until a signal comes, or until the reader of stdout is gone.
fn until_told(
    follow: impl FnOnce(&mpsc::Receiver<()>) -> Result<(), Failure> + Send + 'static,
) -> Result<ExitCode, Failure> {
    let failed = |error: std::io::Error| Failure::io("wait for", "signals", &error);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    // Printing may block on a slow reader, but a signal must not wait for it. So printing has its own thread, which
    // ends when the sender is dropped.
    let (stop, stopped) = mpsc::channel::<()>();
    let (ended, mut end) = oneshot::channel();
    let thread = std::thread::Builder::new().name("tooltrail-tail".to_owned());
    thread.spawn(move || ended.send(follow(&stopped))).map_err(failed)?;
    runtime.block_on(async {
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt()).map_err(failed)?, signal(SignalKind::terminate()).map_err(failed)?);
        let result = tokio::select! {
            _ = interrupt.recv() => None,
            _ = terminate.recv() => None,
            () = reader_is_gone() => None,
            result = &mut end => Some(result),
        };
        drop(stop);
        let result = match result {
            Some(result) => result,
            // A reader that does not read must not delay the end.
            None => tokio::time::timeout(GRACE, end).await.unwrap_or(Ok(Ok(()))),
        };
        match result {
            Ok(result) => result.map(|()| Exit::Yes.into()),
            Err(_) => Err(Failure::could_not("following ended by a defect", "run it again, and report it")),
        }
    })
}

/// Waits until the reader of stdout has closed it. Waits for ever if stdout cannot be watched.
async fn reader_is_gone() {
    // Watches a copy of the descriptor and never writes to it. This fails if stdout is neither a pipe nor a terminal.
    let copy = std::io::stdout().as_fd().try_clone_to_owned();
    match copy.and_then(Sender::from_owned_fd_unchecked) {
        Ok(pipe) => {
            let _ = pipe.ready(Interest::ERROR).await;
        }
        Err(_) => std::future::pending().await,
    }
}

/// The follower, and the lines that were printed before it began.
struct Following {
    follow: Follow,
    printer: Printer,
    /// The lines printed first, each with its count, so that those that the follower also returns are not printed
    /// twice.
    printed: HashMap<String, usize>,
    /// The number of left-out entries in the last message about them.
    older_told: u64,
}

impl Following {
    fn run(mut self, stopped: &mpsc::Receiver<()>) -> Result<(), Failure> {
        loop {
            let batch = self.follow.next_batch()?;
            let mut lines = Vec::new();
            for followed in batch {
                match followed {
                    Followed::Entry(entry) => match self.printed.get_mut(&entry.line) {
                        Some(times) if *times > 0 => *times -= 1,
                        _ => lines.push(entry.line),
                    },
                    Followed::Gap { folder, day, why } => {
                        self.printer.print(lines.iter().map(String::as_str))?;
                        lines.clear();
                        output::talk(&format!("{folder}, {day}: the file {why}; entries may be missing here"));
                    }
                    _ => {}
                }
            }
            self.printer.print(lines.iter().map(String::as_str))?;
            self.tell_older();
            let mut pause = Duration::ZERO;
            if self.follow.caught_up() {
                self.printed.clear();
                pause = PAUSE;
            }
            if stopped.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected) {
                return Ok(());
            }
        }
    }
}

impl Following {
    /// Prints how many entries were left out so far, because they are older than the days that were asked for.
    fn tell_older(&mut self) {
        let older = self.follow.older();
        if older > self.older_told {
            let entries = if older == 1 { "1 entry is".to_owned() } else { format!("{older} entries are") };
            output::talk(&format!(
                "{entries} left out that arrived and are older than this looks back; --days says how far"
            ));
            self.older_told = older;
        }
    }
}

/// How lines are printed.
#[derive(Debug)]
enum Printer {
    Stored {
        terminal: bool,
    },
    Columns {
        columns: Columns,
        zone: Zone,
        /// The date of the last row. If the date changes, it is printed before the next row.
        date: String,
    },
    Tabs,
}

impl Printer {
    fn new(json: bool, zone: Zone) -> Self {
        let terminal = output::stdout_is_terminal();
        if json {
            Self::Stored { terminal }
        } else if terminal {
            // Today's date is not printed, because people know it.
            let (date, _) = zone.wall_clock(crate::clock::now());
            Self::Columns { columns: Columns::new(&Shown::COLUMNS, &WIDTHS), zone, date }
        } else {
            Self::Tabs
        }
    }

    /// Prints lines and flushes stdout.
    fn print<'l>(&mut self, lines: impl Iterator<Item = &'l str>) -> Result<(), Failure> {
        let mut lines = lines.peekable();
        if lines.peek().is_none() {
            return Ok(());
        }
        let mut data = if matches!(self, Self::Columns { .. }) { Data::styled() } else { Data::exact() };
        for line in lines {
            match self {
                Self::Stored { terminal } => data.line(&output::stored(line, *terminal))?,
                Self::Columns { columns, zone, date } => {
                    let shown = Shown::read(line);
                    let (day, _) = shown.wall_clock(zone);
                    if day != *date {
                        data.line(&format!("\x1b[2m{day}\x1b[0m"))?;
                        *date = day;
                    }
                    data.bytes(columns.row(&shown.cells(zone, false)).as_bytes())?;
                }
                Self::Tabs => data.line(&Shown::read(line).tabs())?,
            }
        }
        data.finish()
    }
}
