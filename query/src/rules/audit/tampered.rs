//! What is not as it was written.

/// What is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Tampered {
    /// A line's text and its hash differ.
    #[error("line {line} of {file} is not as it was written")]
    Edited {
        /// The file's name.
        file: String,
        /// The line, from 1.
        line: u64,
    },
    /// A line does not follow the one before: something is gone, put in, or moved.
    #[error("line {line} of {file} is record {found}, where {expected} has to be")]
    Broken {
        /// The file's name.
        file: String,
        /// The line, from 1.
        line: u64,
        /// The record that has to be there.
        expected: u64,
        /// The one that is.
        found: u64,
    },
    /// A file is gone or does not belong.
    #[error("there is {found}, where {expected} has to be")]
    File {
        /// The file that has to be there.
        expected: String,
        /// The one that is.
        found: String,
    },
    /// The end is gone.
    #[error("it ends with record {last}, and {head} had been written")]
    Truncated {
        /// The last record that is there.
        last: u64,
        /// The last one that was.
        head: u64,
    },
    /// The head is of another chain than the lines.
    #[error("record {record} is not the one that the head knows")]
    OtherHead {
        /// The head's record.
        record: u64,
    },
    /// The head can't be read, or is gone while there are records.
    #[error("head.json is gone or damaged")]
    NoHead,
}
