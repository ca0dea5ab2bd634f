//! What has just arrived in the home, for those who watch: one follower, a ring, any number of subscribers.

mod hub;
mod mask;
mod ring;

pub(crate) use hub::{Hub, LIVE_DAYS, Subscriber};
pub(crate) use mask::Mask;
pub(crate) use ring::{EventId, Since, StreamEvent};
