//! The trail of a service, read with a token, for users who cannot read the files of its home.

mod answers;
mod question;
mod service;
mod stream;

pub(crate) use answers::{series, sessions, stats};
pub(crate) use question::Params;
pub(crate) use service::{Remote, ServiceArgs};
pub(crate) use stream::Told;
