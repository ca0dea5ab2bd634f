//! Tests of the line as a whole.

mod vectors;
