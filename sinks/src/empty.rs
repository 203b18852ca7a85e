//! A table emptied of what a pipeline has delivered: in one commit, once, under the number of the
//! epoch that asks for it.
//!
//! The files go from the table's newest version; readers of older versions still have them until a
//! vacuum takes them. A table that several pipelines write (that of dead letters) loses the rows of
//! one of them: a file that holds rows of others too is written again without it.

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use deltalake_core::kernel::{Action, Remove, Transaction};
use deltalake_core::protocol::DeltaOperation;
use riskstream_engine::disk::Folder;
use serde_json::{Map, json};

use crate::delta::add_action;
use crate::error::SinkError;
use crate::log::{Put, commit_bytes, put_commit};
use crate::maintain::rewrite_one;
use crate::runtime::DeltaRuntime;
use crate::snapshot::{ActiveFile, TableSnapshot};
use crate::stage::{StagedFile, sync_files};
use crate::watch::reread;

const ATTEMPTS_MAX: u32 = 20;

/// Rows of a table that others write too: those with this value in this text column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnRows {
    /// The column.
    pub column: String,
    /// The value.
    pub value: String,
}

impl OwnRows {
    /// The rows of `batch` that are others'.
    fn others(&self, batch: &RecordBatch) -> Result<BooleanArray, SinkError> {
        let Some(column) = batch.column_by_name(&self.column) else {
            return Ok(BooleanArray::from(vec![true; batch.num_rows()]));
        };
        let text = cast(column, &DataType::Utf8)?;
        Ok(text
            .as_string::<i32>()
            .iter()
            .map(|value| Some(value != Some(self.value.as_str())))
            .collect())
    }
}

/// Takes all rows, or those of `own`, out of the table at `location` in a commit that records
/// `epoch` for `app_id`. Does nothing where the table has recorded that epoch or a later one.
pub(crate) fn empty(
    runtime: &DeltaRuntime,
    location: &Folder,
    app_id: &str,
    epoch: i64,
    own: Option<&OwnRows>,
) -> Result<(), SinkError> {
    let mut reason = String::new();
    for _ in 0..ATTEMPTS_MAX {
        let (snapshot, recorded) = reread(location, || {
            let snapshot = TableSnapshot::open(runtime, location)?;
            let recorded = runtime.block_on(snapshot.delivered_through(app_id))?;
            Ok((snapshot, recorded))
        })?;
        if recorded.is_some_and(|recorded| recorded >= epoch) {
            return Ok(());
        }
        let (mut removed, mut written) = (Vec::new(), Vec::new());
        for file in snapshot.files()? {
            match rest_of(location, &snapshot, &file, own)? {
                Rest::All => {}
                Rest::None => removed.push(file),
                Rest::Some(rest) => {
                    written.push(rest);
                    removed.push(file);
                }
            }
        }
        sync_files(location, &written)?;
        match put(location, snapshot.version(), (app_id, epoch), &removed, &written, own) {
            Ok(Put::Landed) => return Ok(()),
            Ok(Put::Taken) => {
                reason = format!("version {} was taken", snapshot.version() + 1);
                for file in &written {
                    // What can't be removed is left to the vacuum.
                    let _left = location.disk().remove(&location.join(&file.path));
                }
            }
            // The commit may have landed all the same; the next attempt finds its epoch in the log.
            Err(error) => reason = error.to_string(),
        }
    }
    Err(SinkError::DeliveryGaveUp {
        table: location.path().display().to_string(),
        attempts: ATTEMPTS_MAX,
        reason,
    })
}

/// What of a file stays.
enum Rest {
    All,
    None,
    Some(StagedFile),
}

fn rest_of(
    location: &Folder,
    snapshot: &TableSnapshot,
    file: &ActiveFile,
    own: Option<&OwnRows>,
) -> Result<Rest, SinkError> {
    let Some(own) = own else { return Ok(Rest::None) };
    let (rest, rows) =
        rewrite_one(location, &snapshot.file_schema()?, file, |batch| own.others(batch))?;
    let Some(rest) = rest else { return Ok(Rest::None) };
    if rest.rows == rows {
        // What can't be removed is left to the vacuum.
        let _left = location.disk().remove(&location.join(&rest.path));
        return Ok(Rest::All);
    }
    Ok(Rest::Some(rest))
}

fn put(
    location: &Folder,
    version: u64,
    (app_id, epoch): (&str, i64),
    removed: &[ActiveFile],
    written: &[StagedFile],
    own: Option<&OwnRows>,
) -> Result<Put, SinkError> {
    let now_ms = chrono::Utc::now().timestamp_millis();
    let removes = removed.iter().map(|file| {
        Action::Remove(Remove {
            path: file.path.clone(),
            data_change: true,
            deletion_timestamp: Some(now_ms),
            extended_file_metadata: Some(true),
            partition_values: Some(file.partition_values.clone().into_iter().collect()),
            size: i64::try_from(file.bytes).ok(),
            ..Remove::default()
        })
    });
    let adds = written.iter().map(|file| Action::Add(add_action(file, now_ms, true)));
    let operation = DeltaOperation::Delete {
        predicate: own.map(|own| format!("{} = '{}'", own.column, own.value.replace('\'', "''"))),
    };
    let mut info = Map::new();
    info.insert("riskstream".into(), json!({ "app": app_id, "begun_anew_at_epoch": epoch }));
    info.insert("riskstreamEpoch".into(), json!(epoch));
    let transaction = Transaction::new_with_last_update(app_id, epoch, Some(now_ms));
    let bytes = commit_bytes(removes.chain(adds).collect(), operation, info, vec![transaction])?;
    put_commit(location, version + 1, bytes)
}
