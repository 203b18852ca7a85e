//! The time, as an instant in the zone of the session.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use chrono::{DateTime, Utc};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::super::settings::SettingsShown;

/// `now()` and its other names. DataFusion's has no zone unless its own settings name one.
pub(super) fn function(settings: &SettingsShown) -> Arc<ScalarUDF> {
    let aliases = [
        "current_timestamp",
        "transaction_timestamp",
        "statement_timestamp",
        "clock_timestamp",
        "pg_postmaster_start_time",
        "pg_conf_load_time",
    ];
    Arc::new(ScalarUDF::new_from_impl(Now {
        settings: settings.clone(),
        signature: Signature::nullary(Volatility::Stable),
        aliases: aliases.map(str::to_owned).to_vec(),
    }))
}

#[derive(Debug)]
struct Now {
    settings: SettingsShown,
    signature: Signature,
    aliases: Vec<String>,
}

impl PartialEq for Now {
    fn eq(&self, other: &Self) -> bool {
        self.signature == other.signature
    }
}

impl Eq for Now {}

impl Hash for Now {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.signature.hash(state);
    }
}

impl Now {
    fn zone(&self) -> Arc<str> {
        self.settings.time_zone().into()
    }
}

impl ScalarUDFImpl for Now {
    fn name(&self) -> &'static str {
        "now"
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Timestamp(TimeUnit::Microsecond, Some(self.zone())))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let zone = match arguments.return_type() {
            DataType::Timestamp(_, zone) => zone.clone(),
            _ => Some(self.zone()),
        };
        Ok(ColumnarValue::Scalar(instant(Utc::now(), zone)))
    }

    fn simplify(&self, args: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        // All of a statement's are the moment at which it began.
        let Some(start) = context.query_execution_start_time() else {
            return Ok(ExprSimplifyResult::Original(args));
        };
        let value = instant(start, Some(self.zone()));
        Ok(ExprSimplifyResult::Simplified(Expr::Literal(value, None)))
    }
}

fn instant(at: DateTime<Utc>, zone: Option<Arc<str>>) -> ScalarValue {
    ScalarValue::TimestampMicrosecond(Some(at.timestamp_micros()), zone)
}
