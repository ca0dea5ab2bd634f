//! Reading the trail is in the trail.

use tooltrail::Event;

use crate::http::api::params::Params;
use crate::http::auth::Caller;
use crate::http::status::Problem;
use crate::service::Service;

/// Records who asked what, without the answer. It never waits, and a read is answered even if it is lost.
pub(crate) fn note(service: &Service, caller: &Caller, what: &str, params: &Params) -> Result<(), Problem> {
    service.opened()?.recorder.event(Event::Read {
        user: caller.0.user.clone(),
        token: caller.0.name.clone(),
        what: what.to_owned(),
        query: params.asked(),
    });
    Ok(())
}
