//! Every metric of `/metrics`: its name, its kind, its labels, and what it says. docs/metrics.md is
//! compared with this list by a test.

/// What a metric is to Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, but for a new start of the program.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Durations, counted by length.
    Histogram,
}

impl Kind {
    /// As Prometheus calls it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name; the unit is in it.
    pub name: &'static str,
    /// What it is to Prometheus.
    pub kind: Kind,
    /// What it counts or measures.
    pub unit: &'static str,
    /// Its labels, in order.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

macro_rules! metrics {
    (
        $($id:ident $kind:ident $name:literal $unit:literal [$($label:literal),*] $help:literal;)+
    ) => {
        $(pub(super) const $id: Metric = Metric {
            name: $name,
            kind: Kind::$kind,
            unit: $unit,
            labels: &[$($label),*],
            help: $help,
        };)+

        /// All of them, in the order in which `/metrics` shows them.
        pub const ALL: &[Metric] = &[$($id),+];
    };
}

metrics! {
    BUILD_INFO Gauge "riskstream_build_info" "1" ["version"]
        "The program's version, as a label; always 1.";
    PROCESS_START Gauge "process_start_time_seconds" "seconds since 1970" []
        "When the program started, in seconds since 1970.";
    PROCESS_MEMORY Gauge "process_resident_memory_bytes" "bytes" []
        "Memory of the program that is in use, files that are mapped included.";
    PROCESS_CPU Counter "process_cpu_seconds_total" "seconds" []
        "Processor time of the program, of all threads.";

    UP Gauge "riskstream_pipeline_up" "0 or 1" ["pipeline"]
        "1 while the pipeline runs, 0 once it fails, waits to start again, or has ended.";
    READY Gauge "riskstream_pipeline_ready" "0 or 1" ["pipeline"]
        "1 once the pipeline has restored its state and reads, or has come to its end.";
    DEGRADED Gauge "riskstream_pipeline_degraded" "0 or 1" ["pipeline"]
        "1 while the pipeline waits for a source or a destination that is away; the log says \
         which.";
    FAILURES Counter "riskstream_pipeline_failures_total" "failures" ["pipeline"]
        "Failures of the pipeline.";
    RESTARTS Counter "riskstream_pipeline_restarts_total" "starts" ["pipeline"]
        "Starts of the pipeline after a failure.";
    RECOVERY Gauge "riskstream_recovery_seconds" "seconds" ["pipeline"]
        "Seconds from the start of the program to when the pipeline's state was restored.";

    ROWS_READ Counter "riskstream_rows_read_total" "rows" ["pipeline"]
        "Rows decoded; those that a failure takes back are read and counted again.";
    BYTES_READ Counter "riskstream_read_bytes_total" "bytes" ["pipeline"]
        "Bytes of the records that were decoded.";
    ROWS_COMMITTED Counter "riskstream_rows_committed_total" "rows" ["pipeline"]
        "Rows of committed epochs, each counted once.";
    ROWS_LATE Counter "riskstream_rows_late_total" "rows" ["pipeline"]
        "Rows of committed epochs that came behind the watermark.";
    DEAD Counter "riskstream_dead_letters_total" "letters" ["pipeline", "reason"]
        "Dead letters of committed epochs, by the reason that the table dead_letters gives.";
    PROGRESS Gauge "riskstream_source_read_ratio" "0 to 1" ["pipeline"]
        "How much of the source's input was read, from 0 to 1; absent where it has no end.";

    EPOCH_OPEN Gauge "riskstream_epoch_open" "number of an epoch" ["pipeline"]
        "Number of the epoch that rows are read into.";
    EPOCH_COMMITTED Gauge "riskstream_epoch_committed" "number of an epoch" ["pipeline"]
        "Number of the last committed epoch.";
    EPOCH_DELIVERED Gauge "riskstream_epoch_delivered" "number of an epoch" ["pipeline"]
        "Number of the last epoch that every destination has.";
    EPOCH_SECONDS Histogram "riskstream_epoch_duration_seconds" "seconds" ["pipeline"]
        "Seconds from an epoch's first row to its commit.";
    COMMIT_SECONDS Histogram "riskstream_commit_duration_seconds" "seconds" ["pipeline"]
        "Seconds that an epoch's commit took, from when all workers had closed it.";
    SNAPSHOT_SECONDS Counter "riskstream_snapshot_seconds_total" "seconds" ["pipeline"]
        "Seconds that writing snapshots took, beside the commits.";

    EVENT_TIME Gauge "riskstream_event_time_timestamp_seconds" "seconds since 1970" ["pipeline"]
        "Newest event time that was read, in seconds since 1970.";
    WATERMARK Gauge "riskstream_watermark_timestamp_seconds" "seconds since 1970" ["pipeline"]
        "The pipeline's watermark, in seconds since 1970.";
    EVENT_TIME_LAG Gauge "riskstream_event_time_lag_seconds" "seconds" ["pipeline"]
        "How far the newest event time is behind the clock, in seconds.";
    WATERMARK_LAG Gauge "riskstream_watermark_lag_seconds" "seconds" ["pipeline"]
        "How far the watermark is behind the clock, in seconds.";
    PARTITIONS Gauge "riskstream_partitions" "partitions" ["pipeline"]
        "Partitions of the source that are not read to their end.";
    PARTITION_EVENT_TIME_LAG Gauge "riskstream_partition_event_time_lag_seconds" "seconds"
        ["pipeline", "partition"]
        "How far a partition's newest event time is behind the clock, in seconds; of the 200 \
         partitions that hold the watermark back the most.";
    PARTITION_WATERMARK Gauge "riskstream_partition_watermark_timestamp_seconds"
        "seconds since 1970" ["pipeline", "partition"]
        "A partition's watermark, in seconds since 1970; of the same partitions.";

    STEP_ROWS_IN Counter "riskstream_step_rows_in_total" "rows" ["pipeline", "step"]
        "Rows that came into the step.";
    STEP_ROWS_OUT Counter "riskstream_step_rows_out_total" "rows" ["pipeline", "step"]
        "Rows that left the step; of a destination, rows of committed epochs.";
    STEP_ERRORS Counter "riskstream_step_errors_total" "rows" ["pipeline", "step"]
        "Rows that the step made dead letters, also those of epochs that were not committed.";
    STEP_BUSY Counter "riskstream_step_busy_seconds_total" "seconds" ["pipeline", "step"]
        "Seconds of work in the step, over all workers.";
    STEP_STATE Gauge "riskstream_step_state_bytes" "bytes" ["pipeline", "step"]
        "Memory that the step's state takes, over all workers.";

    SINK_SECONDS Histogram "riskstream_delivery_duration_seconds" "seconds" ["pipeline", "sink"]
        "Seconds that a delivery took, from its first attempt to when its rows were visible.";
    SINK_ERRORS Counter "riskstream_sink_errors_total" "attempts" ["pipeline", "sink"]
        "Attempts to deliver that failed, the destination being away.";
    SINK_EPOCH Gauge "riskstream_sink_delivered_epoch" "number of an epoch" ["pipeline", "sink"]
        "Number of the last epoch that the destination has.";

    HELD Gauge "riskstream_held_bytes" "bytes" ["pipeline"]
        "Bytes of rows that wait for the watermark, or are in epochs that are not committed.";
    STORE_WRITTEN Counter "riskstream_store_written_bytes_total" "bytes" ["pipeline"]
        "Bytes written to epoch files and snapshots.";
    STORE_DISK Gauge "riskstream_store_disk_bytes" "bytes" ["pipeline"]
        "Bytes on disk of the pipeline's store: epochs, snapshots, state, history.";
    TABLES_DISK Gauge "riskstream_tables_disk_bytes" "bytes" []
        "Bytes on disk of the tables, files that are no longer part of them included.";
    TABLE_FILES Gauge "riskstream_table_files" "files" ["table"]
        "Files of the table's newest version, when it was last maintained.";
    TABLE_BYTES Gauge "riskstream_table_bytes" "bytes" ["table"]
        "Bytes of these files.";
    MAINTAINED Gauge "riskstream_maintenance_timestamp_seconds" "seconds since 1970" ["table"]
        "When maintenance of the table in the background last ended well, in seconds since 1970.";
    MAINTAIN_FAILURES Counter "riskstream_maintenance_failures_total" "failures" ["table"]
        "Failures of maintenance in the background; the log says why.";

    SPANS_MISSED Counter "riskstream_spans_missed_total" "spans" ["pipeline"]
        "Spans that were left out since they came faster than they left.";
    SPANS_LOST Counter "riskstream_spans_lost_total" "spans" []
        "Spans that the collector did not take.";

    QUERY_STATEMENTS Counter "riskstream_query_statements_total" "statements"
        ["port", "sqlstate_class"]
        "SQL statements that have ended.";
    QUERY_SECONDS Histogram "riskstream_query_duration_seconds" "seconds" []
        "Seconds that an SQL statement took, from its arrival to its last row or its error.";
    QUERY_ROWS Counter "riskstream_query_rows_total" "rows" []
        "Rows that SQL statements gave.";
    QUERY_BYTES Counter "riskstream_query_bytes_total" "bytes" []
        "Bytes of memory that these rows took.";
    QUERY_SPILLED Counter "riskstream_query_spilled_bytes_total" "bytes" []
        "Bytes that SQL statements wrote to the disk for want of memory.";
    QUERY_RUNNING Gauge "riskstream_query_running" "statements" []
        "SQL statements that have a turn: they work.";
    QUERY_WAITING Gauge "riskstream_query_waiting" "statements" []
        "SQL statements that wait for a turn.";
    QUERY_OPEN Gauge "riskstream_query_open" "statements" []
        "SQL statements that have begun and not ended, those whose client takes its time included.";
    QUERY_MEMORY Gauge "riskstream_query_memory_bytes" "bytes" []
        "Memory that operators of SQL statements hold.";
    QUERY_MEMORY_LIMIT Gauge "riskstream_query_memory_limit_bytes" "bytes" []
        "Memory that they may hold.";
    QUERY_SPILL Gauge "riskstream_query_spill_bytes" "bytes" []
        "Bytes of SQL statements that are on the disk now for want of memory.";
    USERS_WRONG Gauge "riskstream_query_users_file_wrong" "0 or 1" []
        "1 while the users file is wrong and the rules before it hold on; the log says why.";
}
