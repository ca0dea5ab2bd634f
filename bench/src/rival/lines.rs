//! Rivals that get a finished line of ours, built before the timing starts.

use std::error::Error;
use std::fmt::Display;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use log::LevelFilter;
use spdlog::formatter::{Formatter, FormatterContext};
use spdlog::sink::{AsyncPoolSink, FileSink, Sink};
use tooltrail::Call;

use super::{BUFFER_BYTES, Counting, QUEUE_LINES, Rival, wait_for_bytes, wait_for_lines};

type Started<T> = Result<T, Box<dyn Error>>;

/// `spdlog-rs`, which writes into a buffer on the caller's thread or on its own thread.
pub(super) struct Spdlog {
    logger: Arc<spdlog::Logger>,
    file: Arc<FileSink>,
    path: PathBuf,
}

impl Spdlog {
    pub(super) fn start(path: &Path, by_thread: bool) -> Started<Self> {
        let file = FileSink::builder().path(path).truncate(true).capacity(BUFFER_BYTES).formatter(Bare).build_arc()?;
        let sink: Arc<dyn Sink> = if by_thread {
            let pool = spdlog::ThreadPool::builder().capacity(QUEUE_LINES.try_into()?).build_arc()?;
            let sink = AsyncPoolSink::builder().sink(Arc::clone(&file) as _).thread_pool(pool);
            sink.overflow_policy(spdlog::sink::OverflowPolicy::Block).build_arc()?
        } else {
            Arc::clone(&file) as _
        };
        let logger = spdlog::Logger::builder().sink(sink).build_arc()?;
        Ok(Self { logger, file, path: path.to_owned() })
    }
}

impl Rival for Spdlog {
    fn log(&self, _call: &Call, line: &str) {
        spdlog::info!(logger: self.logger, "{}", line);
    }

    fn wait(&self, _lines: u64, bytes: u64) {
        // Flushes again and again, because a flush may overtake lines in the queue, which would then stay in the
        // buffer.
        while std::fs::metadata(&self.path).is_ok_and(|found| found.len() < bytes) {
            self.logger.flush();
            self.file.flush().expect("the rival's file can be written");
            std::thread::sleep(std::time::Duration::from_micros(200));
        }
    }
}

/// Formats the unchanged line with a newline.
#[derive(Clone)]
struct Bare;

impl Formatter for Bare {
    fn format(
        &self,
        record: &spdlog::Record<'_>,
        out: &mut spdlog::StringBuf,
        _context: &mut FormatterContext<'_>,
    ) -> spdlog::Result<()> {
        out.push_str(record.payload());
        out.push('\n');
        Ok(())
    }
}

/// `ftlog`, which writes on its own thread.
pub(super) struct Ftlog {
    written: Arc<AtomicU64>,
    _guard: ftlog::LoggerGuard,
}

impl Ftlog {
    pub(super) fn start(path: &Path) -> Started<Self> {
        let written = Arc::new(AtomicU64::new(0));
        let out = BufWriter::with_capacity(BUFFER_BYTES, File::create(path)?);
        let out = Counting { out, written: Arc::clone(&written) };
        let logger = ftlog::builder().max_log_level(LevelFilter::Info).format(Owned).bounded(QUEUE_LINES, true);
        Ok(Self { written, _guard: logger.root(out).try_init()? })
    }
}

impl Rival for Ftlog {
    fn log(&self, _call: &Call, line: &str) {
        log::info!("{}", line);
    }

    fn wait(&self, lines: u64, _bytes: u64) {
        log::logger().flush();
        // It adds the time and more before each line, so the number of bytes is not known; this counts lines instead.
        wait_for_lines(&self.written, lines);
    }
}

/// Formats a line as a boxed value, as `ftlog` requires.
struct Owned;

impl ftlog::FtLogFormat for Owned {
    fn msg(&self, record: &log::Record<'_>) -> Box<dyn Send + Sync + Display> {
        Box::new(record.args().to_string())
    }
}

/// `fast_log`, which writes on its own thread.
pub(super) struct FastLog {
    path: PathBuf,
}

impl FastLog {
    pub(super) fn start(path: &Path) -> Started<Self> {
        let name = path.to_str().ok_or("a path of the bench is UTF-8")?;
        let config = fast_log::Config::new().format(Taken).file(name).chan_len(Some(QUEUE_LINES));
        fast_log::init(config.level(LevelFilter::Info))?;
        Ok(Self { path: path.to_owned() })
    }
}

impl Rival for FastLog {
    fn log(&self, _call: &Call, line: &str) {
        log::info!("{}", line);
    }

    fn wait(&self, _lines: u64, bytes: u64) {
        log::logger().flush();
        wait_for_bytes(&self.path, bytes);
    }
}

/// Formats the unchanged line with a newline.
struct Taken;

impl fast_log::appender::RecordFormat for Taken {
    fn do_format(&self, record: &mut fast_log::appender::FastLogRecord) {
        record.formated = std::mem::take(&mut record.args);
        record.formated.push('\n');
    }
}
