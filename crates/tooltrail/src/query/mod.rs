//! Questions, the grammar of queries, and the test whether a line matches a query.

mod check;
mod cursor;
mod first_uses;
mod foreign;
mod grammar;
mod line;
mod matches;
mod needle;
mod question;
mod reader;
mod spelling;
mod terms;
mod values;
mod write;

pub use check::check_filter;
pub use cursor::Cursor;
pub(crate) use cursor::{EntryPosition, ScanMark};
pub use first_uses::FirstKind;
pub(crate) use first_uses::FirstUses;
pub(crate) use line::{Line, instant};
pub(crate) use matches::Filter;
pub use question::Question;
pub(crate) use spelling::spellings;
pub use terms::Query;
