//! What happens to each new checkpoint: it goes into a header of all answers, to a file, to syslog, and to witnesses. The
//! log of the service is told if nothing can be sealed.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tooltrail::Home;
use tooltrail::seal::PublicLog;

use crate::service::Service;
use crate::service::ask_witness::ask;
use crate::settings::witness::WitnessSettings;

/// How often it is looked for a new checkpoint.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The shortest time between two checkpoints that go to the file and to syslog.
const COPY_EVERY: Duration = Duration::from_secs(60);

/// The sockets of syslog on Linux and macOS.
const SYSLOG: [&str; 2] = ["/dev/log", "/var/run/syslog"];

/// The priority of a message: facility `authpriv` (10), severity `notice` (5).
const PRIORITY: u8 = 10 * 8 + 5;

/// Where checkpoints go.
#[derive(Clone, Debug, Default)]
pub(crate) struct CheckpointCopies {
    /// A file that always holds the newest one.
    pub(crate) file: Option<PathBuf>,
    /// Whether they go to syslog.
    pub(crate) syslog: bool,
}

/// Looks for new checkpoints until the service ends.
pub(crate) fn watch(service: &Arc<Service>, home: Home, copies: CheckpointCopies, witnesses: WitnessSettings) {
    let service = Arc::clone(service);
    std::thread::spawn(move || {
        let log = PublicLog::new(&home);
        let (mut seen, mut copied, mut asked) = (None, None::<(Instant, String)>, None::<Instant>);
        let mut trouble = None;
        loop {
            std::thread::sleep(LOOK_EVERY);
            let found = service.opened().ok().and_then(|opened| opened.recorder.seal_status().trouble);
            if found != trouble {
                match &found {
                    Some(why) => tracing::warn!(why, "nothing is sealed"),
                    None => tracing::info!("sealing goes on"),
                }
                trouble = found;
            }
            let Ok(Some(note)) = log.checkpoint() else { continue };
            if seen.as_ref() != Some(&note) {
                service.set_checkpoint(&STANDARD.encode(&note));
                seen = Some(note.clone());
            }
            let is_new = copied.as_ref().is_none_or(|(at, before)| at.elapsed() >= COPY_EVERY && *before != note);
            if is_new {
                copy(&copies, &note);
                copied = Some((Instant::now(), note));
            }
            if !witnesses.at.is_empty() && asked.is_none_or(|at| at.elapsed() >= witnesses.interval) {
                asked = Some(Instant::now());
                for witness in &witnesses.at {
                    let answered = ask(&log, witness);
                    if let Err(why) = &answered {
                        tracing::warn!(witness = witness.key.name(), why, "a witness did not cosign");
                    }
                    let size = log.witnessed_size(&witness.key).ok().flatten().unwrap_or(0);
                    service.meters().witnessed(witness.key.name(), answered.is_ok(), size);
                }
            }
        }
    });
}

fn copy(copies: &CheckpointCopies, note: &str) {
    if let Some(file) = &copies.file
        && let Err(error) = write(file, note)
    {
        tracing::warn!(%error, "the checkpoint could not be written to the file");
    }
    if copies.syslog
        && let Err(error) = send(note)
    {
        tracing::warn!(%error, "the checkpoint could not be sent to syslog");
    }
}

/// Replaces the file, so that a reader finds a whole checkpoint.
fn write(file: &Path, note: &str) -> std::io::Result<()> {
    let new = file.with_extension("new");
    std::fs::write(&new, note)?;
    std::fs::rename(new, file)
}

fn send(note: &str) -> std::io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    let message = format!("<{PRIORITY}>tooltrail: checkpoint {}", STANDARD.encode(note));
    let mut sent = Err(std::io::ErrorKind::NotFound.into());
    for path in SYSLOG {
        sent = socket.send_to(message.as_bytes(), path);
        if sent.is_ok() {
            break;
        }
    }
    sent.map(|_| ())
}
