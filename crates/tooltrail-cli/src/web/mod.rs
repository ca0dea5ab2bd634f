//! The HTML page, built from the same types as the answers of the API. This module does not use HTTP statuses, cookies
//! or requests.

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
