//! What is sealed: the checkpoint, one entry with its proof, and the log for monitors.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::Response;
use serde_json::{Value, json};
use tooltrail::seal::{PublicLog, Sealed, prove};
use tooltrail::{EntryId, Error, Query, Question};

use crate::http::api::params::Params;
use crate::http::api::read_log;
use crate::http::auth::Caller;
use crate::http::status::{Problem, answer, note, tile};
use crate::service::Service;

/// `GET /api/audit/checkpoint`: the newest signed checkpoint. It names nobody, so that every token may read it.
pub(crate) async fn checkpoint(State(service): State<Arc<Service>>, _: Caller, uri: Uri) -> Result<Response, Problem> {
    Params::of(&uri, &[])?;
    newest(&service).await
}

/// `GET /log/checkpoint`: the same for monitors.
pub(crate) async fn public_checkpoint(
    State(service): State<Arc<Service>>,
    caller: Result<Caller, Problem>,
    uri: Uri,
) -> Result<Response, Problem> {
    Params::of(&uri, &[])?;
    may_monitor(&service, caller)?;
    newest(&service).await
}

/// `GET /log/tile/…`: a tile of the log, or a bundle of its entries.
pub(crate) async fn public_tile(
    State(service): State<Arc<Service>>,
    caller: Result<Caller, Problem>,
    Path(path): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    Params::of(&uri, &[])?;
    may_monitor(&service, caller)?;
    match of_log(&service, move |log| log.tile(&path)).await? {
        Some(bytes) => Ok(tile(bytes)),
        None => Err(Problem::NoSuchPath),
    }
}

/// `GET /api/audit/entries/{id}`: an entry, and its proof if it is sealed.
pub(crate) async fn entry(
    State(service): State<Arc<Service>>,
    caller: Caller,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    caller.may_read()?;
    let params = Params::of(&uri, &[])?;
    let id = EntryId::parse(&id).ok_or_else(|| {
        Problem::unclear(
            format!("{id:?} is no id of an entry"),
            "an id has 36 characters: GET /api/audit/recent gives them",
        )
    })?;
    let mut question = Question::new();
    question.query = Query::parse(&format!("id={id}")).map_err(|error| Problem::reading(&error))?;
    question.limit = 1;
    caller.narrow(&mut question)?;
    read_log::note(&service, &caller, "entry", &params)?;
    let home = service.opened()?.recorder.home().clone();
    let found = service
        .read(&caller.0, move |trail| {
            let Some(line) = trail.recent(&question)?.lines.into_iter().next() else { return Ok(None) };
            let firsts = trail.firsts_of(&line)?;
            Ok(Some((line, firsts, prove(&home, id)?)))
        })
        .await?;
    let Some((line, firsts, sealed)) = found else { return Err(Problem::NoSuchPath) };
    let (proof, why) = match sealed {
        Some(Sealed::Yes(proof)) => (
            json!({
                "text": proof.encode(),
                "sealed_at": proof.sealed_at().map(|(at, _)| at),
                "checkpoint_size": proof.sealed_at().map(|(_, size)| size),
                "signers": proof.signers(),
            }),
            Value::Null,
        ),
        Some(Sealed::No(why)) => (Value::Null, why.into()),
        Some(_) | None => (Value::Null, "nothing of this file is sealed yet".into()),
    };
    // The line is copied as it stands.
    let firsts = json!(firsts.iter().map(|kind| kind.as_str()).collect::<Vec<_>>());
    Ok(answer(format!(r#"{{"entry":{line},"first":{firsts},"proof":{proof},"not_sealed":{why}}}"#)))
}

async fn newest(service: &Arc<Service>) -> Result<Response, Problem> {
    match of_log(service, PublicLog::checkpoint).await? {
        Some(text) => Ok(note(text)),
        None => Err(Problem::NoSuchPath),
    }
}

/// Reads the log on a thread that may block.
async fn of_log<T: Send + 'static>(
    service: &Arc<Service>,
    read: impl FnOnce(&PublicLog) -> Result<T, Error> + Send + 'static,
) -> Result<T, Problem> {
    let log = PublicLog::new(service.opened()?.recorder.home());
    let permit = service.log_permit().await?;
    let read = tokio::task::spawn_blocking(move || {
        let read = read(&log);
        drop(permit);
        read
    });
    read.await.map_err(|_| Problem::Broken)?.map_err(|error| Problem::reading(&error))
}

/// Refuses a monitor without a token that may read everything, unless the log is public.
fn may_monitor(service: &Service, caller: Result<Caller, Problem>) -> Result<(), Problem> {
    if service.has_public_log() {
        return Ok(());
    }
    match caller?.may_read()? {
        None => Ok(()),
        Some(_) => Err(Problem::Forbidden {
            detail: "this token may not read the log of all users",
            hint: "read it with a token of role admin",
        }),
    }
}
