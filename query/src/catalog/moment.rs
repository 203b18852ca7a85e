//! `epoch()` and `as_of()`: which moment a statement sees.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};
use riskstream_engine::ids::Epoch;

use crate::live::{Pinned, Reached};

/// Their names.
pub(crate) const FUNCTIONS: [&str; 2] = ["epoch", "as_of"];

/// The functions for a statement that sees `pinned`, for a user who knows of the tables `seen`;
/// none: of all.
pub(crate) fn functions(
    pinned: &Arc<Pinned>,
    seen: Option<BTreeSet<String>>,
) -> [Arc<ScalarUDF>; 2] {
    let epoch = EpochFunction {
        signature: Signature::one_of(
            vec![TypeSignature::Nullary, TypeSignature::String(1)],
            Volatility::Stable,
        ),
        pinned: Arc::clone(pinned),
        seen,
    };
    let as_of =
        AsOf { signature: Signature::nullary(Volatility::Stable), micros: pinned.at_micros() };
    [Arc::new(ScalarUDF::from(epoch)), Arc::new(ScalarUDF::from(as_of))]
}

/// `epoch('pipeline')`: the last epoch of a pipeline that the statement sees; without a name, that
/// of the only one. A pipeline that writes no table of which the user knows is not there.
#[derive(Debug)]
struct EpochFunction {
    signature: Signature,
    pinned: Arc<Pinned>,
    seen: Option<BTreeSet<String>>,
}

impl EpochFunction {
    /// The pipelines that there are for the user.
    fn epochs(&self) -> Result<BTreeMap<&str, Epoch>> {
        let is_seen = |reached: &Reached| match &self.seen {
            Some(seen) => !reached.tables.is_disjoint(seen),
            None => true,
        };
        let all = self.pinned.epochs()?.iter().filter(|(_, reached)| is_seen(reached));
        Ok(all.map(|(pipeline, reached)| (pipeline.as_str(), reached.epoch)).collect())
    }
}

impl PartialEq for EpochFunction {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.pinned, &other.pinned) && self.seen == other.seen
    }
}

impl Eq for EpochFunction {}

impl std::hash::Hash for EpochFunction {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.pinned.at_micros().hash(state);
    }
}

impl ScalarUDFImpl for EpochFunction {
    fn name(&self) -> &str {
        "epoch"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let epochs = self.epochs()?;
        let known = || epochs.keys().copied().collect::<Vec<_>>().join(", ");
        let epoch = match arguments.args.first() {
            None if epochs.len() > 1 => {
                let said = format!("epoch(): name a pipeline, one of {}", known());
                return Err(DataFusionError::Execution(said));
            }
            None => epochs.values().next(),
            Some(ColumnarValue::Scalar(name)) => match name.try_as_str().flatten() {
                Some(name) => match epochs.get(name) {
                    Some(epoch) => Some(epoch),
                    None if epochs.is_empty() => {
                        let said = format!("epoch(): no pipeline '{name}'; there are none");
                        return Err(DataFusionError::Execution(said));
                    }
                    None => {
                        let said = format!("epoch(): no pipeline '{name}'; there are {}", known());
                        return Err(DataFusionError::Execution(said));
                    }
                },
                None => None,
            },
            Some(ColumnarValue::Array(_)) => {
                let said = "epoch(): the pipeline's name must be a constant".to_owned();
                return Err(DataFusionError::Execution(said));
            }
        };
        let epoch = epoch.map(|epoch| i64::try_from(epoch.0).unwrap_or(i64::MAX));
        Ok(ColumnarValue::Scalar(ScalarValue::Int64(epoch)))
    }
}

/// `as_of()`: the instant at which the statement looked.
#[derive(Debug, PartialEq, Eq, Hash)]
struct AsOf {
    signature: Signature,
    micros: i64,
}

impl ScalarUDFImpl for AsOf {
    fn name(&self) -> &str {
        "as_of"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))
    }

    fn invoke_with_args(&self, _arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(ScalarValue::TimestampMicrosecond(
            Some(self.micros),
            Some("UTC".into()),
        )))
    }
}
