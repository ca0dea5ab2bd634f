//! Tests of complete lines.

mod vectors;
