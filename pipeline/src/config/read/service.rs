//! `[riskstream] log`, `[metrics]`, `[tracing]`, and `on_failure` of a pipeline.

use std::net::SocketAddr;

use crate::config::defaults;
use crate::config::problem::Problem;
use crate::config::reader::Table;
use crate::config::spec::{Log, MetricsEndpoint, OnFailure, OnFailureName, Restart, Tracing};

/// Where a collector takes spans when the URL has no path of its own, as OTLP says.
const TRACES_PATH: &str = "/v1/traces";

/// `log = { format, level }`.
pub(super) fn log(mut table: Table<'_>, problems: &mut Vec<Problem>) -> Log {
    let log = Log {
        format: table.keyword("format", problems).map(|format| format.value),
        level: table.keyword("level", problems).map(|level| level.value),
    };
    table.finish(problems);
    log
}

/// `[metrics]`; none when it can't be read.
pub(super) fn metrics(
    mut table: Table<'_>,
    problems: &mut Vec<Problem>,
) -> Option<MetricsEndpoint> {
    let allow_remote = table.boolean("allow_remote", problems).unwrap_or(false);
    let example = "listen = \"127.0.0.1:9464\"";
    let listen = match table.required("listen", example, problems) {
        Some(_) => table.string("listen", problems),
        None => None,
    };
    table.finish(problems);
    let listen = listen?;
    let Ok(address) = listen.value.parse::<SocketAddr>() else {
        problems.push(
            Problem::new(listen.span, format!("`{listen}` is no address of this machine"))
                .label("expected an IP address and a port")
                .help(format!("write {example}, or of IPv6 \"[::1]:9464\"")),
        );
        return None;
    };
    if !address.ip().is_loopback() && !allow_remote {
        problems.push(
            Problem::new(listen.span, format!("other machines can reach `{listen}`"))
                .label("not a loopback address")
                .help(
                    "the endpoint asks nobody who they are: write \"127.0.0.1:PORT\", or add \
                     `allow_remote = true` where the network keeps strangers out",
                ),
        );
        return None;
    }
    Some(MetricsEndpoint { listen: address })
}

/// `[tracing]`; none when it can't be read.
pub(super) fn tracing(mut table: Table<'_>, problems: &mut Vec<Problem>) -> Option<Tracing> {
    let example = "otlp = \"http://127.0.0.1:4318\"";
    let otlp = match table.required("otlp", example, problems) {
        Some(_) => table.string("otlp", problems),
        None => None,
    };
    table.finish(problems);
    let otlp = otlp?;
    let rest = ["http://", "https://"].iter().find_map(|scheme| otlp.value.strip_prefix(scheme));
    let Some((host, path)) = rest.map(|rest| rest.split_once('/').unwrap_or((rest, ""))) else {
        problems.push(
            Problem::new(otlp.span, format!("`{otlp}` is not an HTTP URL"))
                .label("expected http:// or https://")
                .help(format!("spans leave by OTLP over HTTP, as JSON: {example}")),
        );
        return None;
    };
    if host.is_empty() {
        problems.push(
            Problem::new(otlp.span, format!("`{otlp}` names no host"))
                .help(format!("write {example}")),
        );
        return None;
    }
    let has_path = !path.is_empty();
    Some(Tracing {
        otlp: otlp.map(|url| match has_path {
            true => url,
            false => format!("{}{TRACES_PATH}", url.trim_end_matches('/')),
        }),
    })
}

/// `on_failure` and `restart` of a pipeline.
pub(super) fn on_failure(table: &mut Table<'_>, problems: &mut Vec<Problem>) -> OnFailure {
    let name = table.keyword::<OnFailureName>("on_failure", problems);
    let restart = table.table("restart", problems).map(|restart| {
        let span = restart.span;
        (self::restart(restart, problems), span)
    });
    match (name.map(|name| name.value), restart) {
        (Some(OnFailureName::Restart), restart) => {
            OnFailure::Restart(restart.map_or(defaults::RESTART, |(restart, _)| restart))
        }
        (Some(OnFailureName::Stop) | None, None) => OnFailure::Stop,
        (Some(OnFailureName::Stop) | None, Some((_, span))) => {
            problems.push(
                Problem::new(span, "`restart` says how a pipeline starts again that does not")
                    .help("add `on_failure = \"restart\"`, or leave `restart` out"),
            );
            OnFailure::Stop
        }
    }
}

fn restart(mut table: Table<'_>, problems: &mut Vec<Problem>) -> Restart {
    let mut restart = defaults::RESTART;
    let min = table.duration("min", problems);
    let max = table.duration("max", problems);
    if let Some(healthy) = table.duration("healthy_after", problems) {
        restart.healthy_after = healthy.value;
    }
    if let Some(min) = min {
        restart.min = min.value;
        restart.max = restart.max.max(min.value);
        if min.is_zero() {
            problems.push(Problem::new(min.span, "`min` of `restart` is zero").help(
                "a pipeline that fails at once would do nothing else; write some time, such \
                     as \"1s\"",
            ));
        }
    }
    if let Some(max) = max {
        restart.max = max.value;
        if max.is_zero() {
            problems.push(
                Problem::new(max.span, "`max` of `restart` is zero")
                    .help("write some time, such as \"1m\""),
            );
        }
        match min {
            Some(min) if min.value > max.value => problems.push(
                Problem::new(min.span, "`min` of `restart` is longer than its `max`")
                    .related(max.span, "the `max`")
                    .help("lower `min` or raise `max`"),
            ),
            Some(_) => {}
            None => restart.min = restart.min.min(max.value),
        }
    }
    table.finish(problems);
    restart
}
