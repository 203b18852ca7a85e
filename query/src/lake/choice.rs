//! How one query reads the files of a table: chosen for each, by its filters, its columns and what
//! there is to read.
//!
//! - **Whether rows are filtered while they are read**, before their other columns are. A wide
//!   query that wants few rows then reads a third or less. Where most rows pass, or little else is
//!   read, it costs more than it saves. So does it with what a join finds out while it runs: of
//!   each row its key would be looked up twice. That only skips files, row groups and pages.
//! - **How many threads read**: a thread is worth it for a megabyte of the columns that are read,
//!   so that a look-up stays on one.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, InListExpr};
use datafusion::physical_expr::expressions::{IsNullExpr, LikeExpr};
use datafusion::physical_expr::utils::{collect_columns, split_conjunction};

/// Columns beside the filter's that make it worth to filter first, where few rows can be expected
/// to pass.
const OTHERS_FOR_FEW_ROWS: usize = 2;
/// The same, where nothing is known of how many pass.
const OTHERS_FOR_ANY_ROWS: usize = 8;
/// Less than this is not worth a thread of its own.
const GROUP_BYTES_MIN: u64 = 1 << 20;

/// How a scan reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Choice {
    /// Rows are filtered before their other columns are read.
    pub filters_first: bool,
    /// Groups of files, each read by a thread.
    pub groups: usize,
}

/// What a scan is to give.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// The table's columns, those in the files first.
    pub schema: &'a Schema,
    /// How many of them are in the files.
    pub in_files: usize,
    /// What rows have to meet.
    pub filters: &'a [Arc<dyn PhysicalExpr>],
    /// The columns that it gives.
    pub columns: &'a [usize],
    /// The bytes of the files that may have such rows.
    pub bytes: u64,
    /// As many threads as there are.
    pub threads: usize,
}

impl Choice {
    /// For one scan.
    pub(super) fn of(wanted: Wanted<'_>) -> Self {
        let threads = wanted.threads.max(1);
        let worth = usize::try_from(bytes_read(wanted) / GROUP_BYTES_MIN).unwrap_or(usize::MAX);
        Self {
            filters_first: filters_first(wanted.filters, wanted.columns),
            groups: worth.clamp(1, threads),
        }
    }
}

/// Whether a limit with an order should filter rows while they are read, of a scan that gives so
/// many columns: its filter lets ever fewer rows pass.
pub(super) fn order_filters_first(filters: &[Arc<dyn PhysicalExpr>], columns: usize) -> bool {
    let own: HashSet<Column> = filters.iter().flat_map(collect_columns).collect();
    columns.saturating_sub(own.len()) >= OTHERS_FOR_FEW_ROWS
}

/// Whether a scan of these columns should filter rows before it reads the other columns.
fn filters_first(filters: &[Arc<dyn PhysicalExpr>], columns: &[usize]) -> bool {
    let mut own = Vec::new();
    let mut few = false;
    for filter in filters {
        own.extend(collect_columns(filter).iter().map(Column::index));
        few |= split_conjunction(filter).into_iter().any(asks_for_few);
    }
    let others = columns.iter().filter(|column| !own.contains(column)).count();
    let needed = if few { OTHERS_FOR_FEW_ROWS } else { OTHERS_FOR_ANY_ROWS };
    !filters.is_empty() && others >= needed
}

/// A condition that few rows can be expected to meet.
fn asks_for_few(condition: &Arc<dyn PhysicalExpr>) -> bool {
    if let Some(binary) = condition.downcast_ref::<BinaryExpr>() {
        return *binary.op() == Operator::Eq;
    }
    if let Some(list) = condition.downcast_ref::<InListExpr>() {
        return !list.negated();
    }
    if let Some(like) = condition.downcast_ref::<LikeExpr>() {
        return !like.negated();
    }
    // A flag, such as that of fraud, is rarely set.
    condition.downcast_ref::<Column>().is_some() || condition.downcast_ref::<IsNullExpr>().is_some()
}

/// About the bytes of the columns that a scan looks at.
fn bytes_read(wanted: Wanted<'_>) -> u64 {
    let mut read: HashSet<usize> = wanted.columns.iter().copied().collect();
    read.extend(wanted.filters.iter().flat_map(collect_columns).map(|column| column.index()));
    let (mut of_read, mut of_all) = (0_u128, 0_u128);
    for (index, field) in wanted.schema.fields().iter().take(wanted.in_files).enumerate() {
        let weight = weight(field.data_type());
        of_all += weight;
        of_read += if read.contains(&index) { weight } else { 0 };
    }
    let bytes = (u128::from(wanted.bytes) * of_read).checked_div(of_all).unwrap_or(0);
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// What a value takes in a file, beside a number's.
fn weight(data_type: &DataType) -> u128 {
    if data_type.is_numeric() || data_type.is_temporal() || *data_type == DataType::Boolean {
        return 1;
    }
    // Texts, and what has several values.
    4
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Field;
    use datafusion::common::DFSchema;
    use datafusion::prelude::SessionContext;

    use super::*;

    const MIB: u64 = 1 << 20;

    /// Ten numbers, a text, and a date that is no column of the files.
    fn schema() -> Schema {
        let numbers = (0..10).map(|n| Field::new(format!("n{n}"), DataType::Int64, true));
        let name = Field::new("name", DataType::Utf8, true);
        let flag = Field::new("flag", DataType::Boolean, true);
        let date = Field::new("event_date", DataType::Date32, true);
        Schema::new(numbers.chain([name, flag, date]).collect::<Vec<_>>())
    }

    fn chosen(condition: &str, columns: &[usize], bytes: u64) -> Choice {
        let schema = schema();
        let of_query = DFSchema::try_from(schema.clone()).unwrap();
        let context = SessionContext::new();
        let filters: Vec<_> = match condition {
            "" => Vec::new(),
            condition => {
                let filter = context.parse_sql_expr(condition, &of_query).unwrap();
                vec![context.state().create_physical_expr(filter, &of_query).unwrap()]
            }
        };
        let (filters, threads) = (filters.as_slice(), 4);
        Choice::of(Wanted { schema: &schema, in_files: 12, filters, columns, bytes, threads })
    }

    #[test]
    fn rows_are_filtered_first_where_few_are_wanted_or_much_else_is_read() {
        let all: Vec<usize> = (0..13).collect();
        let cases: &[(&str, &[usize], bool)] = &[
            ("", &all, false),
            ("n0 = 3", &all, true),
            ("n0 = 3 and n1 > 4", &all, true),
            ("n0 in (3, 4)", &all, true),
            ("name like 'a%'", &all, true),
            ("name not like 'a%'", &[0, 1, 10], false),
            ("flag", &all, true),
            ("n0 is null", &all, true),
            // Half the rows may pass, but there is much to save.
            ("n0 > 3", &all, true),
            ("n0 > 3", &[0, 1, 2, 3], false),
            // Little or nothing is read beside the filter's own column.
            ("n0 = 3", &[], false),
            ("n0 = 3", &[0, 1], false),
            ("n0 = 3", &[1, 2], true),
            ("n0 = 3 or n1 = 4", &[0, 1, 2, 3], false),
        ];
        for &(condition, columns, expected) in cases {
            let found = chosen(condition, columns, MIB).filters_first;
            assert_eq!(found, expected, "{condition} of {columns:?}");
        }
    }

    #[test]
    fn an_order_with_a_limit_filters_first_where_there_are_other_columns() {
        let order: Vec<Arc<dyn PhysicalExpr>> = vec![Arc::new(Column::new("n0", 0))];
        assert!(order_filters_first(&order, 3));
        assert!(!order_filters_first(&order, 2));
    }

    #[test]
    fn a_thread_has_a_megabyte_of_what_is_read() {
        let all: Vec<usize> = (0..13).collect();
        // The text weighs as much as four of the eleven others.
        let cases: &[(&[usize], u64, usize)] = &[
            (&all, 0, 1),
            (&all, MIB, 1),
            (&all, 3 * MIB, 3),
            (&all, 1000 * MIB, 4),
            (&[0], 3 * MIB, 1),
            (&[10], 15 * MIB, 4),
            (&[0], 30 * MIB, 2),
            // What stands in the log is not read.
            (&[12], 1000 * MIB, 1),
            (&[], 1000 * MIB, 1),
        ];
        for &(columns, bytes, expected) in cases {
            assert_eq!(chosen("", columns, bytes).groups, expected, "{columns:?} of {bytes}");
        }
        assert_eq!(chosen("n1 > 3 and n2 > 3", &[0], 15 * MIB).groups, 3);
    }
}
