//! Tests of the recorder that need more than one module of it.

mod schedules;
