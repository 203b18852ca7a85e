//! `system.audit`: what users have asked, through the ports and on the command line.

use arrow::array::RecordBatch;
use arrow::compute::{concat_batches, sort_to_indices, take_record_batch};
use riskstream_query::{SystemTable, audit_schema, read_audit};

use super::failed::Failed;
use crate::config::Config;
use crate::plan::audit_locations;

/// The table's name.
pub(super) const AUDIT: &str = "audit";
/// Its rows, at most: the newest.
const ROWS_MAX: usize = 100_000;

/// The table.
pub(super) fn table() -> SystemTable {
    let about = "what users have asked, the newest last";
    SystemTable { name: AUDIT, about, schema: audit_schema() }
}

/// Its rows, of all the records that there are.
pub(super) fn rows(config: &Config) -> Result<RecordBatch, Failed> {
    let schema = audit_schema();
    let mut batches = Vec::new();
    for folder in audit_locations(config)? {
        batches.extend(read_audit(&folder, ROWS_MAX)?);
    }
    let all = concat_batches(&schema, &batches)?;
    let time = schema.index_of("time")?;
    // Each record has its own numbers, so that only their times put them in one order.
    let order = sort_to_indices(all.column(time), None, None)?;
    let skipped = order.len().saturating_sub(ROWS_MAX);
    Ok(take_record_batch(&all, &order.slice(skipped, order.len() - skipped))?)
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, StringArray};
    use riskstream_query::{Audit, AuditRecord};

    use super::*;
    use crate::plan::audit_location;

    const COPY: &str = "[sources.s]\nkind = \"generator\"\n[pipelines.p]\nfrom = \"s\"\n\
        [[pipelines.p.to]]\nid = \"all\"\nkind = \"delta\"\ntable = \"t\"\n";

    fn record(micros: i64, user: &str) -> AuditRecord {
        AuditRecord {
            time_micros: micros,
            user: user.to_owned(),
            roles: Vec::new(),
            port: "cli".to_owned(),
            statement: "SELECT 1".to_owned(),
            policies: Vec::new(),
            tables: Vec::new(),
            rows: 1,
            bytes: 8,
            duration_micros: 5,
            outcome: "00000".to_owned(),
        }
    }

    #[test]
    fn the_records_of_all_are_one_table_in_the_order_of_their_times() {
        let data = tempfile::tempdir().unwrap();
        let text = format!("[riskstream]\ndata = \"{}\"\n{COPY}", data.path().display());
        let config = crate::config::parse("test.toml", &text, &[]).expect("a configuration");
        assert_eq!(rows(&config).unwrap().num_rows(), 0, "there is none");
        let of_ports = Audit::open(&audit_location(&config)).unwrap();
        let [one, two] = [1, 2]
            .map(|n| Audit::open_within(&audit_location(&config), &format!("command-line-{n}")));
        let (one, two) = (one.unwrap(), two.unwrap());
        for (audit, micros, user) in
            [(&of_ports, 40, "d"), (&one, 10, "a"), (&two, 30, "c"), (&of_ports, 20, "b")]
        {
            audit.record_blocking(record(micros, user)).unwrap();
        }
        drop((of_ports, one, two));
        assert_eq!(audit_locations(&config).unwrap().len(), 3);
        let rows = rows(&config).unwrap();
        let users: &StringArray = rows.column_by_name("user").unwrap().as_string();
        assert_eq!(users.iter().flatten().collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    }
}
