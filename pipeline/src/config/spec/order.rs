//! In which order rows meet the steps, and what becomes of late ones.

use super::keywords::keywords;

/// In which order rows meet the keyed steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By event time, ties by `ties_by`; waits for the watermark. The same rows whatever batches,
    /// workers and epochs were.
    EventTime,
    /// As they arrive: the lowest latency.
    Arrival,
}
keywords!(Order { "event-time" => EventTime, "arrival" => Arrival });

/// What happens to a late row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Late {
    /// It is processed where it stands, and flagged in the column `late`.
    Apply,
    /// It goes to the dead-letter table.
    DeadLetter,
}
keywords!(Late { "apply" => Apply, "dead-letter" => DeadLetter });
