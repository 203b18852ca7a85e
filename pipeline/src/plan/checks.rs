//! A source's `checks`, as the first step.

use std::sync::Arc;

use riskstream_operators::ChecksOperator;

use crate::config::Problem;
use crate::config::spec::Source;
use crate::steps::Chain;

/// The id of the step that a source's `checks` are.
pub(crate) fn checks_step(source: &str) -> String {
    format!("{source}.checks")
}

/// Adds the source's `checks`: rows for which one is false go no further.
pub(super) fn plan_checks(chain: &mut Chain<'_>, source: &Source) -> Result<(), Problem> {
    if source.checks.is_empty() {
        return Ok(());
    }
    let id = checks_step(&source.name.value);
    let sql: Vec<String> = source.checks.iter().map(|c| c.as_str().to_owned()).collect();
    let (name, schema, time) = (id.clone(), Arc::clone(&chain.schema), chain.event_time.clone());
    for check in &source.checks {
        chain.lineage.condition(check, &schema, "is not false");
    }
    chain.add_stateless(&id, (&source.checks, source.name.span), move || {
        ChecksOperator::new(&name, &sql, Arc::clone(&schema))?.with_event_time(&time)
    })
}
