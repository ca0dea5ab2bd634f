//! New entries of the home as a live stream: one follower, one ring buffer, any number of subscribers.

mod hub;
mod mask;
mod ring;

pub(crate) use hub::{Hub, LIVE_DAYS, Subscriber};
pub(crate) use mask::Mask;
pub(crate) use ring::{EventId, Since, StreamEvent};
