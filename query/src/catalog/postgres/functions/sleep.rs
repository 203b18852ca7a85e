//! `pg_sleep`, which holds no thread while it waits.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Float64Type};
use async_trait::async_trait;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::async_udf::{AsyncScalarUDF, AsyncScalarUDFImpl};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// The longest sleep of one row.
const SECONDS_MAX: f64 = 3_600.0;

pub(super) fn function() -> Arc<ScalarUDF> {
    let signature = Signature::exact(vec![DataType::Float64], Volatility::Volatile);
    Arc::new(AsyncScalarUDF::new(Arc::new(Sleep { signature })).into_scalar_udf())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Sleep {
    signature: Signature,
}

impl ScalarUDFImpl for Sleep {
    fn name(&self) -> &'static str {
        "pg_sleep"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, _arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!("pg_sleep is async")
    }
}

#[async_trait]
impl AsyncScalarUDFImpl for Sleep {
    async fn invoke_async_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        let Some(seconds) = arguments.args.first() else {
            return exec_err!("pg_sleep takes an argument");
        };
        let seconds = seconds.to_array(rows)?;
        for seconds in seconds.as_primitive::<Float64Type>().iter().flatten() {
            let seconds = if seconds.is_nan() { 0.0 } else { seconds.clamp(0.0, SECONDS_MAX) };
            tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
        }
        Ok(ColumnarValue::Array(ScalarValue::from("").to_array_of_size(rows)?))
    }
}
