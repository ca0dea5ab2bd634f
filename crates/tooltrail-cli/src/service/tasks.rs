//! Background tasks of the service: open the home, prune daily, reload the tokens, and close the recorder.

use std::sync::Arc;
use std::time::Duration;

use tooltrail::{Bounds, Event, Home, Retention, Trail};

use crate::failure::{Exit, Failure};
use crate::service::live::Hub;
use crate::service::{Opened, PAGE_BYTES_MAX, Service};
use crate::settings::Settings;
use crate::tokens::TokenStore;

/// Pause between two reads of the token file. A new or revoked token takes effect within a second.
const TOKENS_PAUSE: Duration = Duration::from_millis(400);

/// Pause between two attempts to open the home.
const OPEN_PAUSE: Duration = Duration::from_secs(1);

/// Pause between two prunes if a retention limit is set: in this time, one more day has ended.
const PRUNE_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

/// Pause after a failed prune. It is shorter, because the disk may become full within a day.
const PRUNE_RETRY: Duration = Duration::from_secs(60 * 60);

/// Opens first the recorder and then the readers, on a separate thread, because recovery may take long. Retries after
/// a failure.
///
/// The recorder is opened first and on its own, so that a problem with reading the home cannot prevent recording.
pub(crate) fn open_behind(service: Arc<Service>, settings: Settings, home: Home) {
    std::thread::spawn(move || {
        let bounds = Bounds { page_lines_bytes_max: PAGE_BYTES_MAX, ..Bounds::default() };
        let recorder = again_and_again("the home could not be opened", || settings.recorder(&home));
        // The trail learns from the recorder's value of the home which files have grown.
        let home = recorder.home().clone();
        let trail = Trail::new(home, crate::clock::clock(), service.zone().clone()).bounded(bounds);
        recorder.event(Event::Start { version: env!("CARGO_PKG_VERSION").to_owned() });
        let trail = Arc::new(trail);
        service.open(Opened { recorder: Arc::new(recorder), trail: Arc::clone(&trail) });
        tracing::info!("ready");
        service.follow(again_and_again("the home could not be followed", || Hub::start(&trail)));
    });
}

/// Repeats an attempt until it succeeds. Logs each failure and pauses after it.
fn again_and_again<T>(what: &str, mut attempt: impl FnMut() -> Result<T, Failure>) -> T {
    loop {
        match attempt() {
            Ok(done) => return done,
            Err(error) => {
                tracing::error!(%error, "{what}; trying again");
                std::thread::sleep(OPEN_PAUSE);
            }
        }
    }
}

/// Prunes as soon as the home is open, and then daily, with the limits of the configuration file.
pub(crate) async fn prune_daily(service: Arc<Service>, kept: Retention) {
    if !kept.is_limited() {
        return;
    }
    loop {
        let Ok(opened) = service.opened() else {
            tokio::time::sleep(OPEN_PAUSE).await;
            continue;
        };
        let recorder = Arc::clone(&opened.recorder);
        let pruned = tokio::task::spawn_blocking(move || recorder.prune(&kept, "serve")).await;
        let failed = match pruned {
            Ok(Ok(days)) => {
                if let (Some(first), Some(last)) = (days.first(), days.last()) {
                    tracing::info!(from = %first.day, to = %last.day, days = days.len(), "pruned");
                }
                None
            }
            Ok(Err(error)) => Some(error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(error) = &failed {
            service.meters().prune_failed();
            tracing::error!(error, "could not prune; trying again in an hour");
        }
        tokio::time::sleep(if failed.is_some() { PRUNE_RETRY } else { PRUNE_PAUSE }).await;
    }
}

/// Reloads the token file repeatedly. While it cannot be read, no token is accepted, and clients are told to retry.
pub(crate) async fn renew(service: Arc<Service>, store: TokenStore) {
    loop {
        tokio::time::sleep(TOKENS_PAUSE).await;
        let store = store.clone();
        let tokens = match tokio::task::spawn_blocking(move || store.load()).await {
            Ok(Ok(tokens)) => Some(tokens),
            Ok(Err(error)) => {
                tracing::error!(%error, "the tokens could not be read");
                None
            }
            Err(_) => return,
        };
        if service.renew_tokens(tokens) {
            tracing::info!("the tokens changed");
        }
    }
}

/// Closes the recorder, which writes all accepted entries, and waits at most `wait` for it. Does nothing if the
/// recorder was never opened.
pub(crate) async fn close(service: &Service, wait: Duration) -> Result<Exit, Failure> {
    let Ok(opened) = service.opened() else { return Ok(Exit::Yes) };
    let recorder = Arc::clone(&opened.recorder);
    // After a timeout, this thread still holds the recorder, so that dropping it elsewhere does not block.
    let closed = tokio::task::spawn_blocking(move || {
        recorder.event(Event::Stop);
        recorder.close()
    });
    match tokio::time::timeout(wait, closed).await {
        Ok(Ok(closed)) => closed.map(|()| Exit::Yes).map_err(Failure::from),
        Ok(Err(error)) => Err(Failure::could_not(error.to_string(), "look at the last entries")),
        Err(_) => {
            let counters = opened.recorder.counters();
            tracing::error!(
                queued_entries = counters.queued_entries,
                writing_entries = counters.writing_entries,
                "the disk did not answer in time: entries that are not durable yet may be lost"
            );
            Ok(Exit::CouldNot)
        }
    }
}
