//! The library from outside, over a real disk.
