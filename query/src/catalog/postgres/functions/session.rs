//! What a connection may ask of itself and its server.

use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::Volatility::{Stable, Volatile};

use super::super::settings::SettingError;
use super::super::version::VERSION;
use super::call::{Body, Definition};

/// The error of a setting as an error of a query. The port finds it by its type.
fn failed<T>(error: SettingError) -> Result<T> {
    Err(DataFusionError::External(Box::new(error)))
}

pub(super) const DEFINITIONS: &[Definition] = &[
    Definition {
        name: "version",
        takes: &[""],
        gives: "text",
        volatility: Stable,
        body: Body::Text(|_, _| Ok(Some(VERSION.to_owned()))),
    },
    Definition {
        name: "current_database",
        takes: &[""],
        gives: "name",
        volatility: Stable,
        body: Body::Text(|context, _| Ok(Some(context.known.shown.database.clone()))),
    },
    Definition {
        name: "current_catalog",
        takes: &[""],
        gives: "name",
        volatility: Stable,
        body: Body::Text(|context, _| Ok(Some(context.known.shown.database.clone()))),
    },
    Definition {
        name: "current_schema",
        takes: &[""],
        gives: "name",
        volatility: Stable,
        body: Body::Text(|context, _| {
            let path = context.settings.search_path();
            Ok(path.into_iter().find(|name| context.known.schema_named(name).is_some()))
        }),
    },
    Definition {
        name: "current_schemas",
        takes: &["B"],
        gives: "_name",
        volatility: Stable,
        body: Body::Texts(|context, row| {
            let Some(implicit) = row.bool(0) else { return Ok(None) };
            let mut path = context.settings.search_path();
            path.retain(|name| context.known.schema_named(name).is_some());
            if implicit && !path.iter().any(|name| name == "pg_catalog") {
                path.insert(0, "pg_catalog".to_owned());
            }
            Ok(Some(path.into_iter().map(Some).collect()))
        }),
    },
    user("session_user"),
    user("current_user"),
    user("current_role"),
    user("user"),
    Definition {
        name: "current_setting",
        takes: &["T", "TB"],
        gives: "text",
        volatility: Stable,
        body: Body::Text(|context, row| {
            let Some(name) = row.text(0) else { return Ok(None) };
            match context.settings.get(name) {
                Ok(value) => Ok(Some(value)),
                Err(_) if row.bool(1) == Some(true) => Ok(None),
                Err(error) => failed(error),
            }
        }),
    },
    Definition {
        name: "set_config",
        takes: &["TTB"],
        gives: "text",
        volatility: Volatile,
        body: Body::Text(|context, row| {
            let Some(name) = row.text(0) else { return Ok(None) };
            let set = match row.text(1) {
                Some(value) => context.settings.set(name, value),
                None => context.settings.reset(name),
            };
            match set {
                Ok(value) => Ok(Some(value)),
                Err(error) => failed(error),
            }
        }),
    },
    Definition {
        name: "pg_backend_pid",
        takes: &[""],
        gives: "int4",
        volatility: Stable,
        body: Body::Int(|context, _| Ok(Some(i64::from(context.settings.backend_pid())))),
    },
    Definition {
        name: "pg_is_in_recovery",
        takes: &[""],
        gives: "bool",
        volatility: Stable,
        body: Body::Bool(|_, _| Ok(Some(false))),
    },
    Definition {
        name: "pg_is_wal_replay_paused",
        takes: &[""],
        gives: "bool",
        volatility: Stable,
        body: Body::Bool(|_, _| Ok(Some(false))),
    },
    Definition {
        name: "pg_my_temp_schema",
        takes: &[""],
        gives: "oid",
        volatility: Stable,
        body: Body::Int(|_, _| Ok(Some(0))),
    },
    Definition {
        name: "pg_is_other_temp_schema",
        takes: &["I"],
        gives: "bool",
        volatility: Stable,
        body: Body::Bool(|_, row| Ok(row.int(0).map(|_| false))),
    },
    Definition {
        name: "pg_advisory_unlock_all",
        takes: &[""],
        gives: "void",
        volatility: Volatile,
        body: Body::Text(|_, _| Ok(Some(String::new()))),
    },
    Definition {
        name: "pg_cancel_backend",
        takes: &["I"],
        gives: "bool",
        volatility: Volatile,
        // Others are out of reach, and a connection that asks is not running what it could cancel.
        body: Body::Bool(|_, row| Ok(row.int(0).map(|_| false))),
    },
    Definition {
        name: "pg_terminate_backend",
        takes: &["I", "II"],
        gives: "bool",
        volatility: Volatile,
        body: Body::Bool(|_, row| Ok(row.int(0).map(|_| false))),
    },
    Definition {
        name: "txid_current",
        takes: &[""],
        gives: "int8",
        volatility: Stable,
        body: Body::Int(|_, _| Ok(Some(1))),
    },
    Definition {
        name: "txid_current_if_assigned",
        takes: &[""],
        gives: "int8",
        volatility: Stable,
        body: Body::Int(|_, _| Ok(None)),
    },
    Definition {
        name: "pg_current_xact_id",
        takes: &[""],
        gives: "xid8",
        volatility: Stable,
        body: Body::Text(|_, _| Ok(Some("1".to_owned()))),
    },
    Definition {
        name: "inet_server_addr",
        takes: &[""],
        gives: "inet",
        volatility: Stable,
        body: Body::Text(|_, _| Ok(None)),
    },
    Definition {
        name: "inet_client_addr",
        takes: &[""],
        gives: "inet",
        volatility: Stable,
        body: Body::Text(|_, _| Ok(None)),
    },
    Definition {
        name: "inet_server_port",
        takes: &[""],
        gives: "int4",
        volatility: Stable,
        body: Body::Int(|context, _| {
            Ok(context.settings.get("port").ok().and_then(|port| port.parse().ok()))
        }),
    },
    Definition {
        name: "pg_client_encoding",
        takes: &[""],
        gives: "name",
        volatility: Stable,
        body: Body::Text(|context, _| Ok(context.settings.get("client_encoding").ok())),
    },
    Definition {
        name: "getdatabaseencoding",
        takes: &[""],
        gives: "name",
        volatility: Stable,
        body: Body::Text(|_, _| Ok(Some("UTF8".to_owned()))),
    },
    Definition {
        name: "pg_jit_available",
        takes: &[""],
        gives: "bool",
        volatility: Stable,
        body: Body::Bool(|_, _| Ok(Some(false))),
    },
];

/// One of the names under which a connection asks for its user.
const fn user(name: &'static str) -> Definition {
    Definition {
        name,
        takes: &[""],
        gives: "name",
        volatility: Stable,
        body: Body::Text(|context, _| Ok(Some(context.known.shown.user.clone()))),
    }
}
