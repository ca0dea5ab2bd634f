//! Records in the trail who read it.

use tooltrail::Event;

use crate::http::api::params::Params;
use crate::http::auth::Caller;
use crate::http::status::Problem;
use crate::service::Service;

/// Records who sent which query, without the answer. Never waits; if this event is lost, the read is answered anyway.
pub(crate) fn note(service: &Service, caller: &Caller, what: &str, params: &Params) -> Result<(), Problem> {
    service.opened()?.recorder.event(Event::Read {
        user: caller.0.user.clone(),
        token: caller.0.name.clone(),
        what: what.to_owned(),
        query: params.asked(),
    });
    Ok(())
}
