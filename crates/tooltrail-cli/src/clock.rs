//! The clock of the process: the system clock, or, in a build with debug assertions, a clock that a test sets.

use std::sync::Arc;

use tooltrail::{Clock, SystemClock, Timestamp};

/// Returns the clock of this process.
pub(crate) fn clock() -> Arc<dyn Clock> {
    #[cfg(debug_assertions)]
    if let Some(path) = std::env::var_os("TOOLTRAIL_TEST_CLOCK") {
        return Arc::new(shifted::Shifted::new(path.into()));
    }
    Arc::new(SystemClock::default())
}

/// Returns the current time.
pub(crate) fn now() -> Timestamp {
    clock().now()
}

/// A clock that a test sets; it is not in release builds.
#[cfg(debug_assertions)]
mod shifted {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::{Clock, SystemClock, Timestamp};

    /// The system clock, shifted by the number of milliseconds in a file. A test can change the file while the process
    /// runs.
    #[derive(Debug)]
    pub(super) struct Shifted {
        system: SystemClock,
        path: PathBuf,
    }

    impl Shifted {
        pub(super) fn new(path: PathBuf) -> Self {
            Self { system: SystemClock::default(), path }
        }
    }

    impl Clock for Shifted {
        fn now(&self) -> Timestamp {
            let shift = std::fs::read_to_string(&self.path).ok().and_then(|text| text.trim().parse::<i64>().ok());
            Timestamp::from_millis(self.system.now().as_millis() + shift.unwrap_or(0))
        }

        fn monotonic(&self) -> Duration {
            self.system.monotonic()
        }
    }
}
