//! Asks witnesses to cosign the newest checkpoint.

use std::time::Duration;

use tooltrail::Home;
use tooltrail::seal::PublicLog;

use crate::settings::witness::{WitnessAt, WitnessSettings};

/// How long a witness may take.
const WAIT: Duration = Duration::from_secs(10);

/// The most bytes of an answer: some signature lines.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// The most requests for one checkpoint: a second one, if the witness knows another size than we thought.
const TRIES: usize = 2;

/// Asks the witnesses of a home again and again, as long as the process lives. Does nothing without a witness, so that an
/// idle process sleeps.
pub(crate) fn ask_in_background(home: &Home, witnesses: WitnessSettings) {
    if witnesses.at.is_empty() {
        return;
    }
    let log = PublicLog::new(home);
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(witnesses.interval);
            for witness in &witnesses.at {
                // Nobody reads the log of a proxy. `tooltrail verify` says how much a witness has seen.
                let _ = ask(&log, witness);
            }
        }
    });
}

/// Asks a witness, and stores its cosignature in the home.
///
/// # Errors
/// Why it did not cosign, as a message.
pub(crate) fn ask(log: &PublicLog, witness: &WitnessAt) -> Result<(), String> {
    let mut known = None;
    for _ in 0..TRIES {
        let request = log.cosign_request(&witness.key, known).map_err(|error| error.message())?;
        let Some(request) = request else { return Ok(()) };
        let (status, body) = post(&format!("{}/add-checkpoint", witness.url.trim_end_matches('/')), &request.body)?;
        match status {
            200 => {
                let stored = log.store_cosigned(&witness.key, &request, &body).map_err(|error| error.message())?;
                return if stored { Ok(()) } else { Err("its answer has no right signature of its key".to_owned()) };
            }
            409 => {
                let size = body.trim_end().parse::<u64>().map_err(|_| "it answered 409 without a size".to_owned())?;
                if size > request.size {
                    return Err(format!(
                        "it has cosigned {size} entries, and the log has {}: the home was set back",
                        request.size
                    ));
                }
                if known == Some(size) || size == request.size {
                    return Err(format!("it has cosigned {size} entries with another root: there are two histories"));
                }
                known = Some(size);
            }
            422 => return Err("the log does not continue what it has cosigned: there are two histories".to_owned()),
            403 => return Err("it does not know the key of the log".to_owned()),
            404 => return Err("it does not know the log".to_owned()),
            status => return Err(format!("it answered {status}")),
        }
    }
    Err("it does not stay at one size: it has other logs of this name".to_owned())
}

fn post(url: &str, body: &str) -> Result<(u16, String), String> {
    let agent = ureq::Agent::config_builder()
        .timeout_global(Some(WAIT))
        .http_status_as_error(false)
        .max_redirects(0)
        .build()
        .new_agent();
    let mut answer = agent.post(url).send(body).map_err(|error| error.to_string())?;
    let text = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string();
    Ok((answer.status().as_u16(), text.map_err(|error| error.to_string())?))
}
