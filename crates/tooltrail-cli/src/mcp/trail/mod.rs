//! Records the calls of a proxy. The home is opened in a thread of its own when the first call comes, so that neither a
//! slow nor a broken home is ever in the way of a message.

mod outlet;
mod recording;
mod status;

pub(crate) use outlet::Outlet;
pub(crate) use recording::{NotRecorded, Opened, Trail};
pub(crate) use status::{Loss, StatusFolder};
