//! `[sources.NAME]` with `kind = "postgres"`.

use riskstream_engine::contract::COMMITTED_AT;
use riskstream_ingest::Endpoint;

use crate::config::defaults;
use crate::config::problem::Problem;
use crate::config::reader::{self, Table};
use crate::config::span::{Span, Spanned};
use crate::config::spec::{EventTime, PostgresSource, Stop, TimeFormat, WhenQuiet};

/// PostgreSQL's limit of a name.
const NAME_BYTES_MAX: usize = 63;
const URL: &str = "postgresql://user@localhost:5432/database";

pub(super) fn postgres(
    table: &mut Table<'_>,
    problems: &mut Vec<Problem>,
) -> Option<PostgresSource> {
    let required =
        |table: &mut Table<'_>, key: &'static str, example: &str, problems: &mut Vec<Problem>| {
            let entry = table.required(key, example, problems)?;
            reader::string(&entry.node, &format!("`{key}`"), problems)
        };
    let url = required(table, "url", &format!("url = \"{URL}\""), problems);
    if let Some(url) = &url {
        match Endpoint::parse(url) {
            Err(reason) => problems.push(
                Problem::new(url.span, "`url` isn't the address of a PostgreSQL server")
                    .help(reason),
            ),
            Ok(endpoint) if endpoint.has_password() => problems.push(
                Problem::new(
                    url.span,
                    "`url` holds a password, which anyone who reads this file would know",
                )
                .help(
                    "leave it out, and name the environment variable that holds it by \
                     `password_env`",
                ),
            ),
            Ok(_) => {}
        }
    }
    let password_env = table.string("password_env", problems);
    let name = required(table, "table", "table = \"public.loans\"", problems);
    if let Some(name) = &name {
        let mut parts = name.split('.');
        let good = parts.by_ref().take(2).all(|part| {
            !part.is_empty() && part.len() <= NAME_BYTES_MAX && !part.chars().any(char::is_control)
        });
        if !good || parts.next().is_some() {
            problems.push(
                Problem::new(name.span, format!("`{name}` isn't the name of a table"))
                    .help("such as table = \"public.loans\""),
            );
        }
    }
    let slot = required(table, "slot", "slot = \"riskstream_loans\"", problems);
    if let Some(slot) = &slot
        && !is_slot_name(slot)
    {
        problems.push(
            Problem::new(slot.span, format!("`{slot}` isn't the name of a replication slot")).help(
                format!("it has 1 to {NAME_BYTES_MAX} lower-case letters, digits and underscores"),
            ),
        );
    }
    let publication = table.string("publication", problems);
    if let Some(publication) = &publication
        && (publication.is_empty()
            || publication.len() > NAME_BYTES_MAX
            || publication.chars().any(|c| c.is_control() || c == ','))
    {
        problems.push(
            Problem::new(
                publication.span,
                format!("`{publication}` isn't the name of a publication"),
            )
            .help(format!("it has 1 to {NAME_BYTES_MAX} bytes, no comma")),
        );
    }
    let heartbeat = table
        .duration("heartbeat", problems)
        .map_or(defaults::POSTGRES_HEARTBEAT, |heartbeat| heartbeat.value);
    let stop = table.keyword::<Stop>("stop", problems).map_or(Stop::Never, |stop| stop.value);
    let slot = slot?;
    Some(PostgresSource {
        url: url?,
        password_env,
        table: name?,
        publication: publication.unwrap_or_else(|| slot.clone()),
        slot,
        heartbeat,
        stop,
    })
}

fn is_slot_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// When the source says none: the time of the commit.
pub(super) fn event_time(span: Span) -> EventTime {
    EventTime {
        column: Spanned::new(COMMITTED_AT.into(), span),
        parts: Vec::new(),
        zone: None,
        format: TimeFormat::Auto,
        out_of_orderness: defaults::POSTGRES_OUT_OF_ORDERNESS,
        ties_by: Vec::new(),
        idle_after: defaults::IDLE_AFTER,
        skew_max: defaults::SKEW_MAX,
        // The server's clock says when a transaction is committed: what comes next isn't older than
        // now.
        when_quiet: WhenQuiet::Clock,
        future_skew_max: defaults::FUTURE_SKEW_MAX,
    }
}
