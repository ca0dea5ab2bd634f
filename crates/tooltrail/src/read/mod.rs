//! Reading entries: which files hold them, in what order they come, one page at a time, and live as they arrive.

mod bounds;
mod cancel;
mod export;
mod first_uses;
mod follow;
mod locate;
mod merge;
mod page;
mod poll_schedule;
mod scan;
mod trail;
mod users;

pub use bounds::{Bound, Bounds};
pub use cancel::Cancel;
pub use export::{Export, ExportOrder, ExportPage, Exported};
pub use follow::{Arrived, Follow, Followed, GapWhy};
pub(crate) use locate::{DayFile, Folder};
pub use page::{Nothing, Page, Scanned, Skipped};
pub(crate) use scan::ScanContext;
pub use trail::Trail;
pub use users::{UserSummary, UsersPage};
