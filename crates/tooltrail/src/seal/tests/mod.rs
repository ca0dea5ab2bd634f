//! Comparisons with other implementations.

mod peers;
