//! The metrics of the service and their text for `/metrics`.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, text::encode};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::time::{Duration, Instant};
use tooltrail::{Counters, SealStatus, Skipped};

/// Bucket bounds of the request duration in seconds: from an answer out of memory to the slowest allowed body.
const REQUEST_S: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 10.0, 60.0];

/// A label: its name and its value. The value is one of a few fixed words, so that clients cannot create new series.
type Label = (&'static str, String);

/// Counters and gauges of the HTTP service.
#[derive(Debug)]
pub(crate) struct Meters {
    began: Instant,
    requests: Family<[Label; 3], Counter>,
    durations: Family<[Label; 2], Histogram>,
    failures: Counter,
    rejected: Counter,
    lost_by_senders: Counter,
    skipped: Family<[Label; 1], Counter>,
    connections: Gauge,
    accepted: Counter,
    cleared: Counter,
    late: Counter,
    failed_prunes: Counter,
    witness_failures: Family<[Label; 1], Counter>,
    witnessed: Family<[Label; 1], Gauge>,
}

impl Default for Meters {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(REQUEST_S)),
            failures: Counter::default(),
            rejected: Counter::default(),
            lost_by_senders: Counter::default(),
            skipped: Family::default(),
            connections: Gauge::default(),
            accepted: Counter::default(),
            cleared: Counter::default(),
            late: Counter::default(),
            failed_prunes: Counter::default(),
            witness_failures: Family::default(),
            witnessed: Family::default(),
        }
    }
}

impl Meters {
    /// Counts an answered request. `route` is a route of this service or `-`; `method` is a known one or `other`.
    pub(crate) fn request(&self, route: &str, method: &str, status: u16, took: Duration) {
        let (route, method) = (("route", route.to_owned()), ("method", method.to_owned()));
        self.durations.get_or_create(&[route.clone(), method.clone()]).observe(took.as_secs_f64());
        self.requests.get_or_create(&[route, method, ("status", status.to_string())]).inc();
    }

    /// Counts a request that was refused because its address sent too many requests without a valid token.
    pub(crate) fn sent_away(&self) {
        self.failures.inc();
    }

    /// Counts rejected lines, and calls that the sender reported as lost.
    pub(crate) fn sent(&self, rejected: usize, lost: u64) {
        self.rejected.inc_by(rejected as u64);
        self.lost_by_senders.inc_by(lost);
    }

    /// Counts stored lines that an answer left out because they are not valid entries. Each answer that reads such a
    /// line counts it again.
    pub(crate) fn skipped(&self, skipped: &Skipped) {
        let kinds = crate::output::skipped_json(skipped);
        for (kind, count) in kinds.as_object().into_iter().flatten() {
            self.skipped.get_or_create(&[("kind", kind.clone())]).inc_by(count.as_u64().unwrap_or_default());
        }
    }

    /// Counts an accepted connection.
    pub(crate) fn connected(&self) {
        self.accepted.inc();
        self.connections.inc();
    }

    /// Counts the end of a connection.
    pub(crate) fn disconnected(&self) {
        self.connections.dec();
    }

    /// Counts an idle connection that was closed to make room for a new one.
    pub(crate) fn cleared(&self) {
        self.cleared.inc();
    }

    /// Counts rejected lines whose day is too old to be kept; they are also counted by [`Self::sent`].
    pub(crate) fn late(&self, lines: usize) {
        self.late.inc_by(lines as u64);
    }

    /// Counts a failed prune.
    pub(crate) fn prune_failed(&self) {
        self.failed_prunes.inc();
    }

    /// Notes whether a witness has answered, and the size of the log that it has cosigned last.
    pub(crate) fn witnessed(&self, witness: &str, answered: bool, size: u64) {
        let label = [("witness", witness.to_owned())];
        if !answered {
            self.witness_failures.get_or_create(&label).inc();
        }
        self.witnessed.get_or_create(&label).set(i64::try_from(size).unwrap_or(i64::MAX));
    }

    /// Returns all metrics as text, including those of the recorder if it is open.
    pub(crate) fn text(&self, counters: Option<Counters>, sealing: Option<SealStatus>) -> Result<String, fmt::Error> {
        let mut registry = Registry::with_prefix("tooltrail");
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "Which tooltrail this is", version);
        let uptime = ConstGauge::new(self.began.elapsed().as_secs_f64());
        registry.register_with_unit("uptime", "Time since the service began", Unit::Seconds, uptime);
        let open = ConstGauge::new(i64::from(counters.is_some()));
        registry.register("open", "Whether recovery is done and the home is open", open);
        registry.register("requests", "Requests answered", self.requests.clone());
        let (name, help) = ("request_duration", "Time from a request's head to its answer's");
        registry.register_with_unit(name, help, Unit::Seconds, self.durations.clone());
        let help = "Requests sent away because their address came too often without a valid token";
        registry.register("requests_sent_away", help, self.failures.clone());
        registry.register("rejected_lines", "Lines sent that are no entries", self.rejected.clone());
        let help = "Calls that senders said they had to drop";
        registry.register("sender_lost_entries", help, self.lost_by_senders.clone());
        let help = "Stored lines that answers left out, by kind; each answer that meets one counts it";
        registry.register("skipped_lines", help, self.skipped.clone());
        registry.register("connections", "Connections now", self.connections.clone());
        registry.register("accepted_connections", "Connections taken in", self.accepted.clone());
        let help = "Idle connections that had to make room for others";
        registry.register("cleared_connections", help, self.cleared.clone());
        let help = "Of the rejected lines, those of days that are too old to be kept";
        registry.register("late_lines", help, self.late.clone());
        registry.register("failed_prunes", "Daily prunes that could not be done", self.failed_prunes.clone());
        let help = "Requests to witnesses that brought no cosignature";
        registry.register("witness_failures", help, self.witness_failures.clone());
        registry.register("witnessed_size", "Entries of the log that a witness has cosigned", self.witnessed.clone());
        if let Some(sealing) = sealing {
            let size = ConstGauge::new(i64::try_from(sealing.size).unwrap_or(i64::MAX));
            registry.register("log_size", "Entries of the signed log", size);
            let now = crate::clock::clock().now().as_millis();
            let waits = sealing.waiting_since.map_or(0, |since| (now - since.as_millis()).max(0));
            let waits = ConstGauge::new(waits as f64 / 1_000.0);
            registry.register_with_unit(
                "sealing_wait",
                "Age of the oldest line that is not sealed",
                Unit::Seconds,
                waits,
            );
            let trouble = ConstGauge::new(i64::from(sealing.trouble.is_some()));
            registry.register("sealing_in_trouble", "Whether nothing can be sealed at the moment", trouble);
        }
        registry.register_collector(Box::new(Recorded(counters)));
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(text)
    }
}

/// The metrics of the recorder; `None` until it is open.
#[derive(Debug)]
struct Recorded(Option<Counters>);

impl Collector for Recorded {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(counters) = &self.0 else { return Ok(()) };
        let mut number = |name, help, kind, value: u64| {
            let mut metric = encoder.encode_descriptor(name, help, None, kind)?;
            match kind {
                MetricType::Counter => metric.encode_counter::<NoLabelSet, u64, f64>(&value, None),
                _ => metric.encode_gauge(&i64::try_from(value).unwrap_or(i64::MAX)),
            }
        };
        let (gauge, counter) = (MetricType::Gauge, MetricType::Counter);
        number("queue_entries", "Entries that wait for the writer", gauge, counters.queued_entries)?;
        number("queue_bytes", "Bytes that wait for the writer", gauge, counters.queued_bytes)?;
        number("writing_entries", "Entries that the writer has in hand", gauge, counters.writing_entries)?;
        let (name, help) = ("writer_in_trouble", "Whether the last batch could not be written");
        number(name, help, gauge, counters.in_trouble.into())?;
        number("written_entries", "Lines appended to day files", counter, counters.written_entries)?;
        number("written_bytes", "Bytes appended to day files", counter, counters.written_bytes)?;
        let (name, help) = ("refused_entries", "Entries whose sender was told that they are not durable");
        number(name, help, counter, counters.refused_entries)?;
        number("failed_syncs", "Syncs that failed", counter, counters.failed_syncs)?;
        number("pruned_files", "Day files removed, as they were over a limit", counter, counters.pruned_files)?;
        number("pruned_entries", "Entries of removed day files", counter, counters.pruned_entries)?;
        number("pruned_bytes", "Bytes of removed day files", counter, counters.pruned_bytes)?;
        let help = "Entries that are not in the trail, by why; gaps in the trail tell of the same ones";
        let mut lost = encoder.encode_descriptor("lost_entries", help, None, counter)?;
        for (why, entries) in &counters.lost_entries {
            lost.encode_family(&[("reason", why.as_str())])?.encode_counter::<NoLabelSet, u64, f64>(entries, None)?;
        }
        let mut histogram = |name, help, unit: Option<&Unit>, divisor: f64, histogram: &tooltrail::Histogram| {
            let mut metric = encoder.encode_descriptor(name, help, unit, MetricType::Histogram)?;
            let bounds = histogram.buckets.iter().map(|(bound, count)| (*bound as f64 / divisor, *count));
            let buckets = bounds.chain([(f64::INFINITY, histogram.above)]).collect::<Vec<_>>();
            metric.encode_histogram::<NoLabelSet>(histogram.sum as f64 / divisor, histogram.count(), &buckets, None)
        };
        let micros = 1e6;
        let (name, help) = ("batch_entries", "Entries of each batch");
        histogram(name, help, None, 1.0, &counters.batch_entries)?;
        let (name, help) = ("batch_duration", "Time to write a batch");
        histogram(name, help, Some(&Unit::Seconds), micros, &counters.batch_micros)?;
        let (name, help) = ("sync_duration", "Time of a sync");
        histogram(name, help, Some(&Unit::Seconds), micros, &counters.sync_micros)
    }
}
