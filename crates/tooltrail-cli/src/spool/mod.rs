//! What hooks and proxies have recorded and a service has not got yet.
//!
//! A sender records into a home of its own, in the folder for state of its user. So every promise of recording holds
//! before anything is sent: each call once, whatever is killed. A deliverer then sends the lines of the day files in
//! order, and notes how far it came. The service looks for the id of each line, so a line may be sent twice and is
//! stored once.

mod day_file;
mod deliver;
mod delivery;
mod folder;
mod position;
mod watch;

pub(crate) use deliver::{Deliverer, Outcome};
pub(crate) use delivery::Delivery;
pub(crate) use folder::Spool;
pub(crate) use watch::SpoolWatch;
