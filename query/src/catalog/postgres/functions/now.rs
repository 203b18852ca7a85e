//! The time, as an instant in the zone of the session.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use chrono::{DateTime, Utc};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::super::settings::SettingsShown;

/// `now()` and its other names, of which DataFusion's has no zone unless its own settings name one;
/// and the time at which a statement begins, and the one at which it is looked at.
pub(super) fn functions(settings: &SettingsShown) -> [Arc<ScalarUDF>; 3] {
    let function = |name, volatility, aliases: &[&str]| {
        Arc::new(ScalarUDF::new_from_impl(Now {
            name,
            settings: settings.clone(),
            signature: Signature::nullary(volatility),
            aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
        }))
    };
    let of_transaction = [
        "current_timestamp",
        "transaction_timestamp",
        "pg_postmaster_start_time",
        "pg_conf_load_time",
    ];
    [
        function(NOW, Volatility::Stable, &of_transaction),
        function("statement_timestamp", Volatility::Stable, &[]),
        function("clock_timestamp", Volatility::Volatile, &[]),
    ]
}

/// The time at which the transaction began.
const NOW: &str = "now";

#[derive(Debug)]
struct Now {
    name: &'static str,
    settings: SettingsShown,
    signature: Signature,
    aliases: Vec<String>,
}

impl PartialEq for Now {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Now {}

impl Hash for Now {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl Now {
    fn zone(&self) -> Arc<str> {
        self.settings.time_zone().into()
    }
}

impl ScalarUDFImpl for Now {
    fn name(&self) -> &'static str {
        self.name
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
        // A value that is evaluated here would be another one at each place of the statement.
        if self.name == NOW {
            return exec_err!("the moment of the transaction is not known");
        }
        let zone = match arguments.return_type() {
            DataType::Timestamp(_, zone) => zone.clone(),
            _ => Some(self.zone()),
        };
        Ok(ColumnarValue::Scalar(instant(Utc::now(), zone)))
    }

    fn simplify(&self, args: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        // All of a transaction's are the moment at which it began.
        let start = context.query_execution_start_time().filter(|_| self.name == NOW);
        let Some(start) = start else {
            return Ok(ExprSimplifyResult::Original(args));
        };
        let value = instant(start, Some(self.zone()));
        Ok(ExprSimplifyResult::Simplified(Expr::Literal(value, None)))
    }
}

fn instant(at: DateTime<Utc>, zone: Option<Arc<str>>) -> ScalarValue {
    ScalarValue::TimestampMicrosecond(Some(at.timestamp_micros()), zone)
}
