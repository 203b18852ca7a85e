//! From a checked configuration to what the engine runs: sources opened for their schema,
//! expressions compiled, models loaded, tables made.
//!
//! ```text
//! config::Pipeline ─▶ source.rs (schema) ─▶ steps/ (one schema to the next)
//!                  ─▶ sinks.rs (tables) ─▶ engine Plan
//! ```
//! Everything that the configuration can get wrong and that is only known now (an inferred schema,
//! a model's features, an expression's types) is reported with its place in the file, as `config`
//! does, before anything is started.

mod checks;
mod context;
mod dead_letters;
mod destinations;
mod error;
mod facts;
mod forecast;
mod lay_out;
mod lineage;
mod names;
mod places;
mod sinks;
mod sort_keys;
mod source;
mod state;
mod strangers;

pub(crate) use checks::checks_step;
pub use dead_letters::{EPOCH_COLUMN, PIPELINE_COLUMN, dead_letter_table};
pub(crate) use destinations::{Looked, Target, look, origin, targets};
pub use error::{NamesError, PlanError};
pub use facts::table_facts;
pub(crate) use forecast::{Fate, Forecast, Item, What, begins_at_end, forecast};
pub use lay_out::{Planned, Stored, plan_pipeline};
pub(crate) use lay_out::{lay_out, source_notes, user_schema};
pub(crate) use names::{KnownAs, NAMES_FILE, stores};
pub use places::{
    audit_location, audit_locations, command_line_audit, registry_location, store_location,
    table_location, tables_location,
};
pub use sinks::{PlannedTable, TableKind};
pub use sort_keys::sort_keys;
pub use source::open_source;
pub(crate) use source::{file_spec, generator_source, kafka_spec};
pub use state::{check_state, notices};
