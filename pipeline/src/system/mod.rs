//! The program's own state as tables of the schema `system`: what `status` prints, for those who
//! ask in SQL.
//!
//! Each is read when a statement names it, and of no more than it needs: stores are looked at
//! without being touched, so that a running program is not disturbed.

mod audit;
mod columns;
mod failed;

use arrow::array::RecordBatch;
use riskstream_engine::store::{Inspection, inspect};
use riskstream_models::Registry;
use riskstream_query::{SystemTable, SystemTables};

use crate::config::Config;
use crate::plan::{registry_location, store_location};
use columns::{Column, batch, schema};
use failed::Failed;

/// A table: its name, what it says, and its columns.
struct Shown {
    name: &'static str,
    about: &'static str,
    columns: &'static [(&'static str, Column)],
}

const TABLES: &[Shown] = &[
    Shown {
        name: "sources",
        about: "what comes in, and which pipelines read it",
        columns: &[("source", Column::Text), ("kind", Column::Text), ("pipelines", Column::Text)],
    },
    Shown {
        name: "partitions",
        about: "how far each partition of a source is read, as of the last commit",
        columns: &[
            ("pipeline", Column::Text),
            ("partition", Column::Count),
            ("name", Column::Text),
            ("next_offset", Column::Count),
            ("finished", Column::Flag),
        ],
    },
    Shown {
        name: "steps",
        about: "the steps of pipelines, and what their state takes",
        columns: &[
            ("pipeline", Column::Text),
            ("step", Column::Text),
            ("kind", Column::Text),
            ("state_bytes", Column::Count),
            ("file_bytes", Column::Count),
        ],
    },
    Shown {
        name: "sinks",
        about: "where rows go, and what waits for it",
        columns: &[
            ("pipeline", Column::Text),
            ("sink", Column::Text),
            ("destination", Column::Text),
            ("delivered_epoch", Column::Count),
            ("waiting_epochs", Column::Count),
            ("waiting_bytes", Column::Count),
            ("away_since", Column::Time),
            ("away_reason", Column::Text),
        ],
    },
    Shown {
        name: "epochs",
        about: "the epoch files that a store still has",
        columns: &[("pipeline", Column::Text), ("epoch", Column::Count)],
    },
    Shown {
        name: "runs",
        about: "pipelines, and who runs them",
        columns: &[
            ("pipeline", Column::Text),
            ("generation", Column::Count),
            ("running", Column::Flag),
            ("process", Column::Count),
            ("committed_epoch", Column::Count),
            ("event_time", Column::Time),
            ("watermark", Column::Time),
            ("store_bytes", Column::Count),
        ],
    },
    Shown {
        name: "models",
        about: "the models of the registry",
        columns: &[("model", Column::Text), ("version", Column::Count), ("in_use", Column::Flag)],
    },
];

/// The tables about the program that this configuration runs.
#[derive(Debug)]
pub struct ProgramTables {
    config: Config,
}

impl ProgramTables {
    /// Those of a configuration.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self { config: config.clone() }
    }

    /// What each pipeline's store holds; those that have none are left out.
    fn stores(&self) -> Result<Vec<(&str, Inspection)>, Failed> {
        let mut stores = Vec::new();
        for pipeline in &self.config.spec.pipelines {
            let name = pipeline.name.value.as_str();
            if let Some(seen) = inspect(store_location(&self.config, name))? {
                stores.push((name, seen));
            }
        }
        Ok(stores)
    }

    fn sources(&self, rows: &mut Rows) {
        for source in &self.config.spec.sources {
            let readers: Vec<&str> = self
                .config
                .spec
                .pipelines
                .iter()
                .filter(|pipeline| pipeline.from.value == source.name.value)
                .map(|pipeline| pipeline.name.value.as_str())
                .collect();
            rows.push(vec![
                source.name.value.as_str().into(),
                source.kind.as_str().into(),
                readers.join(", ").into(),
            ]);
        }
    }

    fn partitions(&self, rows: &mut Rows) -> Result<(), Failed> {
        for (pipeline, seen) in self.stores()? {
            for (number, (info, at)) in &seen.positions {
                rows.push(vec![
                    pipeline.into(),
                    u64::from(*number).into(),
                    info.name.as_str().into(),
                    at.next_offset.into(),
                    at.finished.into(),
                ]);
            }
        }
        Ok(())
    }

    fn steps(&self, rows: &mut Rows) -> Result<(), Failed> {
        for pipeline in &self.config.spec.pipelines {
            let seen = inspect(store_location(&self.config, &pipeline.name))?.unwrap_or_default();
            for step in &pipeline.steps {
                let state = seen.state.get(&step.id.value).copied().unwrap_or_default();
                rows.push(vec![
                    pipeline.name.value.as_str().into(),
                    step.id.value.as_str().into(),
                    step.kind.kind().key.into(),
                    state.bytes.into(),
                    state.file_bytes.into(),
                ]);
            }
        }
        Ok(())
    }

    fn sinks(&self, rows: &mut Rows) -> Result<(), Failed> {
        for (pipeline, seen) in self.stores()? {
            let destinations = seen.origin.iter().flat_map(|origin| &origin.destinations);
            for (sink, destination) in destinations {
                let waiting = seen.waiting.get(sink).copied().unwrap_or_default();
                let away = seen.away.get(sink);
                rows.push(vec![
                    pipeline.into(),
                    sink.as_str().into(),
                    destination.as_deref().into(),
                    seen.delivered(sink).0.into(),
                    waiting.epochs.into(),
                    waiting.bytes.into(),
                    away.map(|away| away.since_micros).into(),
                    away.map(|away| away.reason.as_str()).into(),
                ]);
            }
        }
        Ok(())
    }

    fn epochs(&self, rows: &mut Rows) -> Result<(), Failed> {
        for (pipeline, seen) in self.stores()? {
            rows.extend(seen.epochs.iter().map(|epoch| vec![pipeline.into(), epoch.0.into()]));
        }
        Ok(())
    }

    fn runs(&self, rows: &mut Rows) -> Result<(), Failed> {
        for (pipeline, seen) in self.stores()? {
            rows.push(vec![
                pipeline.into(),
                seen.generation.0.into(),
                seen.held_by.is_some().into(),
                seen.held_by.flatten().map(i64::from).into(),
                seen.committed.0.into(),
                seen.event_time.into(),
                seen.watermark.into(),
                seen.bytes.into(),
            ]);
        }
        Ok(())
    }

    fn models(&self, rows: &mut Rows) -> Result<(), Failed> {
        let registry = Registry::new(registry_location(&self.config));
        for name in registry.names()? {
            let in_use = registry.latest_usable(&name).ok().map(|usable| usable.model.version);
            for version in registry.versions(&name)? {
                rows.push(vec![
                    name.as_str().into(),
                    version.into(),
                    (in_use == Some(version)).into(),
                ]);
            }
        }
        Ok(())
    }
}

/// Rows of a table, column by column within each.
type Rows = Vec<Vec<columns::Value>>;

impl SystemTables for ProgramTables {
    fn tables(&self) -> Vec<SystemTable> {
        let shown = |table: &Shown| SystemTable {
            name: table.name,
            about: table.about,
            schema: schema(table.columns),
        };
        TABLES.iter().map(shown).chain([audit::table()]).collect()
    }

    fn rows(&self, name: &str) -> Result<RecordBatch, Failed> {
        if name == audit::AUDIT {
            return audit::rows(&self.config);
        }
        let Some(table) = TABLES.iter().find(|table| table.name == name) else {
            return Err(format!("there is no table system.{name}").into());
        };
        let mut rows = Rows::new();
        match table.name {
            "sources" => self.sources(&mut rows),
            "partitions" => self.partitions(&mut rows)?,
            "steps" => self.steps(&mut rows)?,
            "sinks" => self.sinks(&mut rows)?,
            "epochs" => self.epochs(&mut rows)?,
            "runs" => self.runs(&mut rows)?,
            _ => self.models(&mut rows)?,
        }
        Ok(batch(table.columns, &rows)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_table_has_the_columns_that_it_says() {
        let text = "[riskstream]\ndata = \"no-such-folder\"\nregistry = \"no-such-registry\"\n\
                    [sources.s]\nkind = \"generator\"\n[pipelines.p]\nfrom = \"s\"\n\
                    [[pipelines.p.to]]\nid = \"t\"\nkind = \"delta\"\ntable = \"t\"\n";
        let config = crate::config::parse("test.toml", text, &[]).expect("a configuration");
        let tables = ProgramTables::new(&config);
        for table in tables.tables() {
            let rows = tables.rows(table.name).expect(table.name);
            assert_eq!(rows.schema(), table.schema, "{}", table.name);
        }
        assert_eq!(tables.rows("sources").expect("rows").num_rows(), 1);
        assert!(tables.rows("others").is_err());
    }
}
