//! The rows that a model is trained and tested on, taken out of record batches into plain columns.
//!
//! Rows outside the windows are dropped batch by batch, so memory follows the windows, not the
//! history. Rows without an event time, a key or a label can't be used; they are counted. Missing
//! feature values are NaN here; training fills them.

use std::collections::HashMap;

use arrow::array::types::TimestampMicrosecondType;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{cast, filter};
use arrow::datatypes::{DataType, TimeUnit};

use crate::error::TrainError;
use crate::features::{FeatureKind, column_names, to_f64};
use crate::protocol::Split;

/// The columns of the training rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// A timestamp; without a zone it is taken as UTC.
    pub event_time: String,
    /// Boolean, or a number that is 0 or 1 (1: fraud). Rows with null are not used.
    pub label: String,
    /// Whose card or account it is; an integer or a string.
    pub key: String,
    /// Numbers and booleans, in the order that the model keeps.
    pub features: Vec<String>,
}

/// Labeled rows of all windows. `days`, `cards`, `labels` and each of `columns` have one entry per
/// row.
#[derive(Debug, Default)]
pub(crate) struct Dataset {
    /// Days since the first day of training.
    pub(crate) days: Vec<i64>,
    /// Card numbers, from 0 in the order in which the keys first appear.
    pub(crate) cards: Vec<u32>,
    /// True: fraud.
    pub(crate) labels: Vec<bool>,
    /// One column per feature; NaN where a value is missing.
    pub(crate) columns: Vec<Vec<f64>>,
    /// One kind per feature.
    pub(crate) kinds: Vec<FeatureKind>,
    /// Rows inside the windows that lack a key or a label, and rows anywhere that lack an event
    /// time.
    pub(crate) unusable: usize,
}

impl Dataset {
    /// Takes the rows inside the split's windows out of the batches.
    pub(crate) fn collect(
        batches: &[RecordBatch],
        columns: &Columns,
        split: &Split,
    ) -> Result<Self, TrainError> {
        let mut dataset =
            Dataset { columns: vec![Vec::new(); columns.features.len()], ..Dataset::default() };
        let mut card_numbers: HashMap<String, u32> = HashMap::new();
        for batch in batches {
            dataset.append(batch, columns, split, &mut card_numbers)?;
        }
        Ok(dataset)
    }

    fn append(
        &mut self,
        batch: &RecordBatch,
        columns: &Columns,
        split: &Split,
        card_numbers: &mut HashMap<String, u32>,
    ) -> Result<(), TrainError> {
        let times = event_times(find(batch, &columns.event_time)?, &columns.event_time)?;
        let times = times.as_primitive::<TimestampMicrosecondType>();
        let keys = find(batch, &columns.key)?;
        let labels = find(batch, &columns.label)?;

        let (start, end) = split.range_micros();
        let mut keep = Vec::with_capacity(batch.num_rows());
        for row in 0..batch.num_rows() {
            let inside = times.is_valid(row) && (start..end).contains(&times.value(row));
            let usable = keys.is_valid(row) && labels.is_valid(row);
            self.unusable += usize::from(times.is_null(row) || (inside && !usable));
            keep.push(inside && usable);
        }
        let keep = BooleanArray::from(keep);

        let times = filter(times, &keep)?;
        self.days.extend(
            times
                .as_primitive::<TimestampMicrosecondType>()
                .values()
                .iter()
                .map(|time| split.day_of(*time)),
        );
        self.append_cards(&filter(keys, &keep)?, &columns.key, card_numbers)?;
        self.append_labels(&filter(labels, &keep)?, &columns.label)?;

        let mut kinds = Vec::with_capacity(columns.features.len());
        for (feature, name) in columns.features.iter().enumerate() {
            let column = find(batch, name)?;
            let wrong_type = || TrainError::ColumnType {
                column: name.clone(),
                found: column.data_type().clone(),
                role: "a feature must be a number or a boolean; leave it out or cast it",
            };
            kinds.push(FeatureKind::of(column.data_type()).ok_or_else(wrong_type)?);
            let kept = filter(column, &keep)?;
            let (values, _) = to_f64(kept.as_ref(), f64::NAN).ok_or_else(wrong_type)?;
            self.columns[feature].extend_from_slice(&values);
        }
        self.kinds = kinds;
        Ok(())
    }

    fn append_cards(
        &mut self,
        keys: &ArrayRef,
        name: &str,
        card_numbers: &mut HashMap<String, u32>,
    ) -> Result<(), TrainError> {
        // As text, so that one rule serves integers and strings alike.
        let text = cast(keys, &DataType::Utf8).map_err(|_| TrainError::ColumnType {
            column: name.to_owned(),
            found: keys.data_type().clone(),
            role: "the key of a card or customer must be an integer or a string",
        })?;
        for key in text.as_string::<i32>().iter() {
            let key = key.unwrap_or_default();
            let next = card_numbers.len() as u32;
            let number = match card_numbers.get(key) {
                Some(number) => *number,
                None => *card_numbers.entry(key.to_owned()).or_insert(next),
            };
            self.cards.push(number);
        }
        Ok(())
    }

    fn append_labels(&mut self, labels: &ArrayRef, name: &str) -> Result<(), TrainError> {
        let (values, _) =
            to_f64(labels.as_ref(), f64::NAN).ok_or_else(|| TrainError::ColumnType {
                column: name.to_owned(),
                found: labels.data_type().clone(),
                role: "a label must be a boolean or a number, 1 for fraud and 0 for genuine",
            })?;
        for value in values.iter() {
            if *value != 0.0 && *value != 1.0 {
                return Err(TrainError::Label { column: name.to_owned(), value: *value });
            }
            self.labels.push(*value == 1.0);
        }
        Ok(())
    }
}

fn find<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, TrainError> {
    batch.column_by_name(name).ok_or_else(|| TrainError::MissingColumn {
        column: name.to_owned(),
        found: column_names(batch),
    })
}

/// The column as UTC microseconds; a column without a time zone is taken as UTC.
fn event_times(column: &ArrayRef, name: &str) -> Result<ArrayRef, TrainError> {
    match column.data_type() {
        DataType::Timestamp(_, zone) => {
            Ok(cast(column, &DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?)
        }
        other => Err(TrainError::ColumnType {
            column: name.to_owned(),
            found: other.clone(),
            role: "the event time must be a timestamp",
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, Int8Array, Int32Array, TimestampSecondArray};
    use chrono::NaiveDate;

    use super::*;

    fn columns() -> Columns {
        Columns {
            event_time: "time".to_owned(),
            label: "fraud".to_owned(),
            key: "card".to_owned(),
            features: vec!["amount".to_owned()],
        }
    }

    fn rows(
        times: Vec<Option<i64>>,
        cards: Vec<Option<i32>>,
        labels: Vec<Option<i8>>,
    ) -> RecordBatch {
        let amounts =
            Float64Array::from_iter((0..times.len()).map(|row| (row != 1).then_some(row as f64)));
        RecordBatch::try_from_iter_with_nullable(vec![
            ("time", Arc::new(TimestampSecondArray::from(times)) as ArrayRef, true),
            ("card", Arc::new(Int32Array::from(cards)), true),
            ("fraud", Arc::new(Int8Array::from(labels)), true),
            ("amount", Arc::new(amounts), true),
        ])
        .unwrap()
    }

    #[test]
    fn seconds_without_a_zone_and_integer_keys_are_read_and_rows_that_lack_something_are_counted() {
        let split =
            Split { train_start: NaiveDate::default(), train_days: 1, delay_days: 0, test_days: 1 };
        let batch = rows(
            vec![
                Some(0),
                Some(86_399),
                Some(86_400),
                Some(172_800),
                Some(-1),
                None,
                Some(10),
                Some(10),
            ],
            vec![Some(7), Some(9), Some(7), Some(1), Some(1), Some(1), None, Some(1)],
            vec![Some(0), Some(1), Some(0), Some(0), None, Some(0), Some(0), None],
        );
        let dataset = Dataset::collect(&[batch], &columns(), &split).unwrap();
        assert_eq!(
            (dataset.days, dataset.cards, dataset.labels),
            (vec![0, 0, 1], vec![0, 1, 0], vec![false, true, false])
        );
        assert!(dataset.columns[0][1].is_nan() && dataset.columns[0][2] == 2.0);
        // No time, no key, no label; a row outside the windows that lacks its label does not
        // matter.
        assert_eq!(dataset.unusable, 3);
    }

    #[test]
    fn a_label_of_2_is_refused() {
        let split =
            Split { train_start: NaiveDate::default(), train_days: 1, delay_days: 0, test_days: 1 };
        let error = Dataset::collect(
            &[rows(vec![Some(0)], vec![Some(1)], vec![Some(2)])],
            &columns(),
            &split,
        )
        .unwrap_err();
        assert_eq!(error.to_string(), "label 2 in column `fraud` is neither 0 nor 1");
    }
}
