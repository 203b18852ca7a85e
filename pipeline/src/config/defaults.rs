//! Every default of `pipelines.toml`, in one place, with its unit and its reason.

use std::time::Duration;

use super::spec::{
    Compression, Deliver, Isolation, KafkaStart, KafkaStop, Late, Maintain, Order, Restart,
    Tombstones, WhenQuiet,
};

/// `[riskstream] name`: what status and table metadata call this program.
pub const NAME: &str = "riskstream";
/// `[riskstream] data`: the data folder, relative to the working directory.
pub const DATA: &str = "data";
/// `[riskstream] registry`: the folder of trained models, relative to the working directory.
pub const REGISTRY: &str = "registry";
/// `epoch.min`: an epoch stays open at least this long, so that a trickle of rows doesn't pay one
/// disk sync per row.
pub const EPOCH_MIN: Duration = Duration::from_millis(10);
/// `epoch.max`: an epoch with any row in it is closed after this long at the latest.
pub const EPOCH_MAX: Duration = Duration::from_secs(1);
/// `epoch.rows`: rows of a pipeline's source that close an epoch; it bounds what a crash repeats
/// and what is held in memory.
pub const EPOCH_ROWS: u64 = 262_144;
/// `epoch.bytes`: Arrow bytes of decoded rows that close an epoch.
pub const EPOCH_BYTES: u64 = 64 * 1024 * 1024;
/// `in_flight_epochs`: epochs that are closed and not committed yet. Two overlap reading with
/// committing; more only add memory and latency.
pub const IN_FLIGHT_EPOCHS: usize = 2;
/// `snapshot_every`: epochs between snapshots of all state, at least; a snapshot also waits until
/// these epochs hold enough bytes.
pub const SNAPSHOT_EVERY: u64 = 16;
/// `history_memory`: bytes of window history that each worker keeps in memory before segments go to
/// disk.
pub const HISTORY_MEMORY: u64 = 16 * 1024 * 1024;
/// `rows_memory`: bytes of a step's rows by key that each worker keeps in memory; the others are in
/// sorted files.
pub const ROWS_MEMORY: u64 = 128 * 1024 * 1024;
/// `staged_bytes_max`: bytes of staged files that may wait for destinations that are away or slow;
/// a day of a few rows per millisecond.
pub const STAGED_BYTES_MAX: u64 = 8 * 1024 * 1024 * 1024;
/// `hold_memory`: bytes of rows that wait for the watermark, per pipeline. At this limit, only the
/// partitions that hold the watermark back are read, so that a partition without rows does not fill
/// memory with the rows of all others.
pub const HOLD_MEMORY: u64 = 128 * 1024 * 1024;
/// `dead_rows_max`: the share of an epoch's rows that may be dead letters before the run stops.
pub const DEAD_ROWS_MAX: f64 = 0.5;
/// `dead_rows_min`: dead rows in an epoch below which the share isn't looked at (one bad row in a
/// batch of one is no trend).
pub const DEAD_ROWS_MIN: u64 = 1_000;
/// `[maintain]`: in the background, since a table that lands once a second has 86,400 files a day,
/// and whoever asks it opens them all. Rarely enough, and of files so many, that the stream and
/// readers of older versions do not notice: a round of nothing reads each table's log once.
pub const MAINTAIN: Maintain = Maintain {
    background: true,
    every: Duration::from_secs(300),
    target_file: 128 * 1024 * 1024,
    small_files: 32,
    retention: Duration::from_secs(7 * 86_400),
    threads: 1,
    memory: 256 * 1024 * 1024,
};
/// Name of the Delta table that dead-letter rows go to; pipelines may not use it.
pub const DEAD_LETTER_TABLE: &str = "dead_letters";

/// `event_time.as`: the name of an event time that is made of several columns.
pub const MADE_EVENT_TIME: &str = "event_time";
/// `event_time.out_of_orderness`: how far the watermark trails the newest event time of a
/// partition.
pub const OUT_OF_ORDERNESS: Duration = Duration::from_secs(5);
/// `event_time.idle_after`: a partition without rows for this long stops holding the watermark
/// back.
pub const IDLE_AFTER: Duration = Duration::from_secs(30);
/// `event_time.skew_max`: how far a partition is read ahead of the slowest, in event time: what is
/// between them waits in memory.
pub const SKEW_MAX: Duration = Duration::from_secs(3600);
/// `event_time.when_quiet`: event time waits, since the clock says nothing about a topic that is
/// read again from its beginning, or about a file of last year.
pub const WHEN_QUIET: WhenQuiet = WhenQuiet::Wait;
/// `event_time.future_skew_max`: a row whose event time is further ahead of the clock than this is
/// a dead letter, since it would drag the watermark along and make every honest row late.
pub const FUTURE_SKEW_MAX: Duration = Duration::from_secs(3600);

/// `csv.delimiter`; a tab in files whose name ends in `.tsv`.
pub const CSV_DELIMITER: u8 = b',';
/// `csv.quote`.
pub const CSV_QUOTE: u8 = b'"';
/// `csv.header`: whether the first line names the columns.
pub const CSV_HEADER: bool = true;

/// Kafka `start`: nothing that the topic holds is left out.
pub const KAFKA_START: KafkaStart = KafkaStart::Earliest;
/// Kafka `stop`: a topic has no end.
pub const KAFKA_STOP: KafkaStop = KafkaStop::Never;
/// Kafka `isolation`: what a transaction took back never happened.
pub const KAFKA_ISOLATION: Isolation = Isolation::ReadCommitted;
/// Kafka `tombstones`: where no format gives it a meaning, a message without a value is a fault
/// that someone should see.
pub const KAFKA_TOMBSTONES: Tombstones = Tombstones::DeadLetter;
/// Kafka `group`: before the source's name.
pub const KAFKA_GROUP_PREFIX: &str = "riskstream-";

/// Generator: the seed; the same seed gives the same rows on every machine.
pub const GENERATOR_SEED: u64 = 42;
/// Generator: customers. With terminals, radius and days as here about 1.75 million payments (the
/// Handbook's data set).
pub const GENERATOR_CUSTOMERS: u64 = 5_000;
/// Generator: terminals.
pub const GENERATOR_TERMINALS: u64 = 10_000;
/// Generator: the distance within which a customer uses terminals, on a square of 100 by 100.
pub const GENERATOR_RADIUS: f64 = 5.0;
/// Generator: simulated days.
pub const GENERATOR_DAYS: u32 = 183;
/// Generator: the first simulated day, as year, month, day.
pub const GENERATOR_START: (i32, u32, u32) = (2018, 4, 1);
/// Generator: share of rows made undecodable on purpose.
pub const GENERATOR_BROKEN_SHARE: f64 = 0.0;
/// Generator: the event-time column of payments, used when the source has no `event_time`.
pub const GENERATOR_EVENT_TIME: &str = "tx_datetime";
/// Generator: the column that orders payments of one instant, used when the source has no
/// `event_time`.
pub const GENERATOR_TIES_BY: &str = "transaction_id";
/// Generator: loans. With the months as here about 350,000 changes.
pub const GENERATOR_LOANS: u64 = 20_000;
/// Generator: lenders.
pub const GENERATOR_LENDERS: u32 = 8;
/// Generator: simulated months of a loan book.
pub const GENERATOR_MONTHS: u32 = 24;
/// Generator: the first simulated day of a loan book, the first of a month.
pub const GENERATOR_LOANS_START: (i32, u32, u32) = (2023, 1, 1);

/// PostgreSQL: how often a slot without changes moves on; a tenth of the time after which the
/// server would think its reader gone.
pub const POSTGRES_HEARTBEAT: Duration = Duration::from_secs(10);
/// PostgreSQL: how far the watermark trails when the source has no `event_time`. Transactions come
/// in the order of their commits, whose times are taken a moment before.
pub const POSTGRES_OUT_OF_ORDERNESS: Duration = Duration::from_secs(1);

/// `decide.reasons`: how many features are named as reasons.
pub const REASONS: usize = 3;
/// `to.table` of a destination of kind `alerts`.
pub const ALERTS_TABLE: &str = "alerts";
/// `to.when` of a destination of kind `alerts`.
pub const ALERTS_WHEN: &str = "decision <> 'approve'";
/// `to.rows` of a destination of kind `console`: rows printed per run, so that a backfill doesn't
/// flood the terminal.
pub const CONSOLE_ROWS: u64 = 20;

/// The column that a Delta table is partitioned by unless `partition_by` says otherwise: the date
/// of the event time, UTC.
pub const EVENT_DATE_COLUMN: &str = "event_date";
/// The column that a `decide` step adds: `approve`, `review` or `decline`.
pub const DECISION_COLUMN: &str = "decision";
/// The column that a `decide` step adds: the features that pushed the score, with their values.
pub const REASONS_COLUMN: &str = "reasons";
/// The column that flags a late row when the pipeline says `late = "apply"`.
pub const LATE_COLUMN: &str = "_late";

/// `keep` of an `aggregate` or `features` step is as long as its longest windows (and `delay`), and
/// at least this; `keep` of a `changelog` or `previous` step is this.
pub const KEEP_MIN: Duration = Duration::from_secs(24 * 3600);

/// `[pipelines.NAME] order`: event time gives the same rows whatever batches, workers and epochs
/// were.
pub const ORDER: Order = Order::EventTime;
/// `[pipelines.NAME] late`: a late row is processed and flagged, since a payment is worth scoring
/// even late.
pub const LATE: Late = Late::Apply;
/// `[pipelines.NAME] restart`: a network fault of less than a second costs about a second, and a
/// lasting fault is tried again once a minute.
pub const RESTART: Restart = Restart {
    min: Duration::from_secs(1),
    max: Duration::from_secs(60),
    healthy_after: Duration::from_secs(600),
};
/// `[pipelines.NAME] deliver` and `to.deliver`.
pub const DELIVER: Deliver = Deliver::Committed;
/// `[sources.NAME] compression`.
pub const COMPRESSION: Compression = Compression::Auto;
/// `[sources.NAME] follow`.
pub const FOLLOW: bool = false;
/// `include_current` of a `features` step: a payment counts in its own windows, as in the Fraud
/// Detection Handbook.
pub const INCLUDE_CURRENT: bool = true;
