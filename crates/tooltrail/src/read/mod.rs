//! Entries on their way back: where they lie, in what order, a page at a time.

mod locate;
mod merge;
mod page;
mod scan;
mod trail;
mod users;

pub(crate) use locate::{DayFile, Folder};
pub use page::{Page, Scanned, Skipped};
pub(crate) use scan::{Bound, Outlook, Scan};
pub use trail::Trail;
pub use users::{UserSummary, UsersPage};
