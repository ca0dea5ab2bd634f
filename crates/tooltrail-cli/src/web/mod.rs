//! The page: HTML from the same types as the API's answers. It knows no status, no cookie and no request.

mod assets;
mod call;
mod calls;
mod entry;
mod layout;
mod sign_in;
mod stats;
mod text;
mod tree;
mod view;

pub(crate) use assets::asset;
pub(crate) use calls::{CallsPage, Opened, calls, rows_alone};
pub(crate) use entry::{Key, key_of};
pub(crate) use layout::{Trouble, Viewer, trouble};
pub(crate) use sign_in::{SignIn, sign_in};
pub(crate) use stats::stats;
pub(crate) use view::View;
