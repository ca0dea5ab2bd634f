//! The HTTP service of a witness: `POST /add-checkpoint` and `GET /HASH/checkpoint`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use tokio::signal::unix::{SignalKind, signal};
use tooltrail::seal::{WITNESS_REQUEST_BYTES_MAX, Witness};

use crate::failure::{Exit, Failure};
use crate::http::server::listen::Listener;
use crate::http::status::{self, Problem, witness_answer};
use crate::listen_address::ListenAddress;
use crate::service::meters::Meters;

/// How long the body of a request may take.
const BODY_WAIT: Duration = Duration::from_secs(10);

/// Serves until a signal ends it. Calls `opened` with the address.
pub(crate) fn serve(
    witness: Witness,
    listen: SocketAddr,
    opened: impl FnOnce(&str) -> Result<(), Failure>,
) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::io("start", "the witness", &error))?;
    runtime.block_on(async {
        let failed = |error: std::io::Error| Failure::io("wait for", "signals", &error);
        let (mut term, mut interrupt) =
            (signal(SignalKind::terminate()).map_err(failed)?, signal(SignalKind::interrupt()).map_err(failed)?);
        let address = ListenAddress::Tcp(listen);
        let (listener, stop) = Listener::bind(&[address]).await.map_err(|(_, error)| {
            Failure::could_not(
                format!("could not listen on {listen}: {error}"),
                "choose another with --listen ADDR:PORT",
            )
        })?;
        let url = listener.urls().concat();
        let answering = tokio::spawn(listener.run(router(witness), Arc::new(Meters::default())));
        opened(&url)?;
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.now();
        let _ = answering.await;
        Ok(Exit::Yes)
    })
}

fn router(witness: Witness) -> Router {
    Router::new()
        .route("/add-checkpoint", post(add_checkpoint))
        .route("/{origin}/checkpoint", get(checkpoint))
        .method_not_allowed_fallback(async || Problem::NoSuchMethod)
        .fallback(async || Problem::NoSuchPath)
        .with_state(Arc::new(witness))
}

async fn add_checkpoint(State(witness): State<Arc<Witness>>, request: Request) -> Result<Response, Problem> {
    let body = tokio::time::timeout(BODY_WAIT, to_bytes(request.into_body(), WITNESS_REQUEST_BYTES_MAX)).await;
    let body: Bytes = body.map_err(|_| Problem::TooSlow)?.map_err(|_| Problem::TooLarge {
        detail: format!("the request has more than {WITNESS_REQUEST_BYTES_MAX} bytes"),
    })?;
    let now_s = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let answer = tokio::task::spawn_blocking(move || witness.add_checkpoint(&body, now_s)).await;
    match answer {
        Ok(Ok(answer)) => {
            tracing::info!(?answer, "add-checkpoint");
            Ok(witness_answer(answer))
        }
        Ok(Err(error)) => {
            tracing::error!(%error, "nothing was cosigned");
            Err(Problem::Broken)
        }
        Err(_) => Err(Problem::Broken),
    }
}

async fn checkpoint(State(witness): State<Arc<Witness>>, Path(origin): Path<String>) -> Result<Response, Problem> {
    match tokio::task::spawn_blocking(move || witness.newest(&origin)).await {
        Ok(Ok(Some(note))) => Ok(status::note(note)),
        Ok(Ok(None)) => Err(Problem::NoSuchPath),
        _ => Err(Problem::Broken),
    }
}
