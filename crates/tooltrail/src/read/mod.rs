//! Entries on their way back: where they lie, in what order, a page at a time.

mod bounds;
mod locate;
mod merge;
mod page;
mod scan;
mod trail;
mod users;

pub use bounds::{Bound, Bounds};
pub(crate) use locate::{DayFile, Folder};
pub use page::{Page, Scanned, Skipped};
pub(crate) use scan::{Looking, Outlook, Scan};
pub use trail::Trail;
pub use users::{UserSummary, UsersPage};
