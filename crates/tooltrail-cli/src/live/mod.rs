//! What has just arrived in the home, for those who watch: one follower, a ring, any number of subscribers.

mod hub;
mod ring;

#[expect(unused_imports, reason = "the service's stream is their only user")]
pub(crate) use hub::{Hub, Subscriber};
#[expect(unused_imports, reason = "the service's stream is their only user")]
pub(crate) use ring::{Event, EventId, Since};
