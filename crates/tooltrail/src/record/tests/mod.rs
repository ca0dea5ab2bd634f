//! Tests of the recorder that use several of its modules.

mod schedules;
