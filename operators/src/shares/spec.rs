//! What a `shares` step computes, as the configuration says it, and what that means on its input.

use crate::keyed::encode::{Encoding, KeptColumn};
use crate::keyed::sums::Unit;
use crate::step_error::StepError;
use crate::windows::{
    COMPLETE_THROUGH, IS_FINAL, REVISION, WINDOW, WINDOW_END, WINDOW_START, sum_type,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::sync::Arc;

/// What is computed of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShareFunction {
    /// The row's value over the group's total: Float64, null where the total is 0.
    Share,
    /// The group's total, exact; null where its type does not hold it, which a dead letter says.
    Total,
    /// The sum of the squares of the group's shares (Herfindahl-Hirschman index, from 0 to 1):
    /// Float64.
    Hhi,
    /// The largest share of the group: Float64.
    Top,
}

/// One column of the result.
#[derive(Debug, Clone)]
pub struct ShareSpec {
    /// Its name.
    pub name: String,
    /// What is computed.
    pub function: ShareFunction,
    /// Of which column.
    pub column: String,
}

/// A `shares` step.
#[derive(Debug, Clone)]
pub struct SharesSpec {
    /// The step's id.
    pub step_id: String,
    /// What is computed.
    pub shares: Vec<ShareSpec>,
    /// Rows of one window that are equal in these are a group.
    pub of: Vec<String>,
    /// What tells the rows of a window apart: the key of the `aggregate` step.
    pub by: Vec<String>,
    /// How long after its window's end a group is kept; microseconds.
    pub keep: i64,
}

/// The step on its input.
#[derive(Debug)]
pub(super) struct OnInput {
    pub(super) spec: SharesSpec,
    /// `of`, the window's label and its end.
    pub(super) group: Vec<usize>,
    pub(super) by: Vec<usize>,
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) is_final: usize,
    /// Columns that a publication sets: revision, whether it is final, the watermark.
    pub(super) set: [usize; 3],
    pub(super) measures: Vec<KeptColumn>,
    /// How each is added up.
    pub(super) units: Vec<Unit>,
    /// Function, measure and type of each new column.
    pub(super) shown: Vec<(ShareFunction, usize, DataType)>,
    pub(super) input: SchemaRef,
    pub(super) output: SchemaRef,
}

impl OnInput {
    pub(super) fn new(spec: SharesSpec, input: &SchemaRef) -> Result<Self, StepError> {
        let find =
            |name: &str| input.index_of(name).map_err(|_| StepError::unknown_column(name, input));
        let mut group = spec.of.iter().map(|name| find(name)).collect::<Result<Vec<_>, _>>()?;
        group.extend([find(WINDOW)?, find(WINDOW_END)?]);
        let by = spec.by.iter().map(|name| find(name)).collect::<Result<Vec<_>, _>>()?;
        let mut fields: Vec<Field> =
            input.fields().iter().map(|field| field.as_ref().clone()).collect();
        let (mut measures, mut shown): (Vec<KeptColumn>, Vec<_>) = (Vec::new(), Vec::new());
        for share in &spec.shares {
            let index = find(&share.column)?;
            let data_type = input.field(index).data_type();
            let role = "only numbers have a share";
            let wrong = || StepError::WrongType {
                column: share.column.clone(),
                found: data_type.clone(),
                role,
            };
            let kept = KeptColumn {
                input: index,
                encoding: Encoding::of_number(data_type).ok_or_else(wrong)?,
            };
            let measure = measures.iter().position(|known| *known == kept).unwrap_or_else(|| {
                measures.push(kept);
                measures.len() - 1
            });
            let shows = if share.function == ShareFunction::Total {
                sum_type(data_type)
            } else {
                DataType::Float64
            };
            if fields.iter().any(|field| *field.name() == share.name) {
                return Err(StepError::ColumnExists { column: share.name.clone() });
            }
            fields.push(Field::new(&share.name, shows.clone(), true));
            shown.push((share.function, measure, shows));
        }
        let set = [find(REVISION)?, find(IS_FINAL)?, find(COMPLETE_THROUGH)?];
        let units =
            measures.iter().map(|kept| Unit::of(input.field(kept.input).data_type())).collect();
        let (start, end) = (find(WINDOW_START)?, find(WINDOW_END)?);
        Ok(Self {
            group,
            by,
            start,
            end,
            is_final: set[1],
            set,
            measures,
            units,
            shown,
            input: Arc::clone(input),
            output: Arc::new(Schema::new(fields)),
            spec,
        })
    }
}
