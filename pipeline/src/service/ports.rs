//! The ports of `[query]`, on which others ask: beside a run, and of `riskstream serve`.

use std::path::PathBuf;
use std::sync::Arc;

use riskstream_query::service::{Limits, QueryService, ServiceSettings};
use riskstream_query::{
    Audit, AuditError, FlightPort, FlightSettings, PostgresPort, PostgresSettings, QueryError,
    Rules, TlsFiles,
};

use crate::config::Config;
use crate::config::spec::Query;
use crate::plan::{audit_location, table_facts};
use crate::system::ProgramTables;

/// Clients at the same time where the file does not say.
const CONNECTIONS: usize = 1_000;

/// Ports that listen. They end with this.
#[derive(Debug)]
pub(crate) struct Ports {
    postgres: Option<PostgresPort>,
    flight: Option<FlightPort>,
    service: QueryService,
}

/// Why a port does not listen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PortsError {
    /// The service that answers can't be started.
    #[error(transparent)]
    Service(#[from] QueryError),
    /// The port of PostgreSQL's protocol can't.
    #[error("the PostgreSQL port: {0}")]
    Postgres(#[from] riskstream_query::PortError),
    /// The port of Flight SQL can't.
    #[error(transparent)]
    Flight(#[from] riskstream_query::FlightPortError),
    /// The audit can't be written.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The file of users is wrong.
    #[error("{0}")]
    Users(String),
}

impl Ports {
    /// Listens as the configuration says; none where it names no port.
    pub(crate) fn begin(config: &Config) -> Result<Option<Self>, PortsError> {
        let Some(query) = &config.spec.query else { return Ok(None) };
        if query.postgres.is_none() && query.flight.is_none() {
            return Ok(None);
        }
        let rules = rules(query)?;
        let audit = audit(config, rules.is_some())?;
        let service = query_service(config, rules.clone(), audit)?;
        let tls = query.tls.as_ref().map(|tls| TlsFiles {
            certificate: tls.certificate.value.clone(),
            key: tls.key.value.clone(),
        });
        let connections_max = query.connections.unwrap_or(CONNECTIONS);
        let postgres = query.postgres.as_ref().map(|listen| PostgresSettings {
            listen: listen.value,
            tls: tls.clone(),
            users: rules.clone().map(|rules| rules as _),
            connections_max,
        });
        let flight = query.flight.as_ref().map(|listen| FlightSettings {
            listen: listen.value,
            tls: tls.clone(),
            users: rules.clone(),
            connections_max,
        });
        let postgres =
            postgres.map(|port| PostgresPort::begin(service.clone(), port)).transpose()?;
        let flight = flight.map(|port| FlightPort::begin(service.clone(), port)).transpose()?;
        Ok(Some(Self { postgres, flight, service }))
    }

    /// What answers.
    pub(crate) fn service(&self) -> QueryService {
        self.service.clone()
    }

    /// What is said of them at the start.
    pub(crate) fn said(&self) -> String {
        let psql = self.postgres.as_ref().map(|port| {
            let address = port.address();
            format!("psql -h {} -p {} riskstream", address.ip(), address.port())
        });
        let flight = self.flight.as_ref().map(|port| format!("Flight SQL at {}", port.uri()));
        let all: Vec<String> = psql.into_iter().chain(flight).collect();
        format!("query: {}", all.join(", "))
    }

    /// Ends them, and the statements that run.
    pub(crate) fn end(self) {
        self.service.stop();
        if let Some(postgres) = self.postgres {
            postgres.end();
        }
        if let Some(flight) = self.flight {
            flight.end();
        }
    }
}

/// Who may see what; none where the file names no users.
pub(crate) fn rules(query: &Query) -> Result<Option<Arc<Rules>>, PortsError> {
    let Some(users) = &query.users else { return Ok(None) };
    let file: &PathBuf = &users.value;
    let rules = Rules::open(file).map_err(|problems| PortsError::Users(problems.to_string()))?;
    Ok(Some(Arc::new(rules)))
}

/// The audit, which there is where there are users.
fn audit(config: &Config, has_users: bool) -> Result<Option<Arc<Audit>>, PortsError> {
    if !has_users {
        return Ok(None);
    }
    Ok(Some(Arc::new(Audit::open(&audit_location(config))?)))
}

/// The service over a configuration's data folder.
pub(crate) fn query_service(
    config: &Config,
    rules: Option<Arc<Rules>>,
    audit: Option<Arc<Audit>>,
) -> Result<QueryService, QueryError> {
    let mut limits = Limits::default();
    if let Some(query) = &config.spec.query {
        limits.threads = query.threads.unwrap_or(limits.threads);
        let bytes = query.memory.and_then(|bytes| usize::try_from(bytes).ok());
        limits.memory_bytes = bytes.unwrap_or(limits.memory_bytes);
        limits.spill_bytes_max = query.spill.unwrap_or(limits.spill_bytes_max);
        limits.statement_timeout = query.statement_timeout;
        limits.rows_max = query.rows;
        limits.statements_max = query.statements.unwrap_or(limits.statements_max);
        limits.queue_max = query.queue.unwrap_or(limits.queue_max);
    }
    QueryService::open(ServiceSettings {
        data: config.spec.riskstream.data.value.clone(),
        tables: table_facts(config),
        limits,
        system: Arc::new(ProgramTables::new(config)),
        rules,
        audit,
    })
}
