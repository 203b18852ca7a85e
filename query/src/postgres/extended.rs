//! The extended protocol: Parse, Bind, Execute, Close.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::extendedquery::{
    BindComplete, CloseComplete, ParseComplete, PortalSuspended,
};
use pgwire::messages::response::EmptyQueryResponse;

use super::columns::format_of;
use super::connection::Connection;
use super::describe::is_exact;
use super::error::{Problem, Step};
use super::missing::{cursor_exists, no_portal, no_statement, statement_exists};
use super::portal::{Named, Open, Parameter, Portal, Started, State};
use super::sql::{Action, parse_one};
use super::values::parameters::decode_parameter;
use super::values::settings::Format;
use super::wire::{Bound, Target};

impl Connection {
    pub(super) async fn parse(&mut self, name: String, text: &str, types: Vec<u32>) -> Step<()> {
        let action = parse_one(text)?;
        self.check_failed(&action)?;
        if name.is_empty() {
            self.statements.remove("");
        } else if self.statements.contains_key(&name) {
            return Err(statement_exists(&name).into());
        }
        let named = Named::written(text, action, types);
        if matches!(named.action, Action::Query(_)) {
            // What is wrong with it is told now.
            self.shape(&named).await?;
        }
        self.statements.insert(name, named);
        let complete = ParseComplete::new();
        self.channel.put(&PgWireBackendMessage::ParseComplete(complete));
        Ok(())
    }

    pub(super) async fn bind(&mut self, bound: Bound) -> Step<()> {
        let name = &bound.statement;
        let named = self.statements.get(name).cloned().ok_or_else(|| no_statement(name))?;
        self.check_failed(&named.action)?;
        check_counts(&bound, &named)?;
        if let Some(columns) = named.shape.get().and_then(|shape| shape.columns.as_ref()) {
            columns.check_count(&bound.result_formats)?;
        }
        if bound.portal.is_empty() {
            self.portals.remove("");
        } else if self.portals.contains_key(&bound.portal) {
            return Err(cursor_exists(&bound.portal).into());
        }
        let values = self.bound_values(&bound, &named).await?;
        let depth = self.transaction.depth();
        let portal = Portal::new(named, values, bound.result_formats, depth);
        self.portals.insert(bound.portal, portal);
        self.channel.put(&PgWireBackendMessage::BindComplete(BindComplete::new()));
        Ok(())
    }

    async fn bound_values(&mut self, bound: &Bound, named: &Named) -> Step<Vec<ScalarValue>> {
        let count = bound.values.len();
        if count == 0 {
            return Ok(Vec::new());
        }
        let are_said = named.types.len() >= count
            && named.types.iter().all(|&oid| is_exact(oid))
            && named.shape.get().is_none();
        let parameters = if are_said {
            let needed = arrow::datatypes::DataType::Null;
            named.types.iter().map(|&oid| Parameter { oid, needed: needed.clone() }).collect()
        } else {
            self.shape(named).await?.parameters
        };
        let settings = self.value_settings();
        let values = bound.values.iter().zip(&parameters).enumerate().map(|(index, (value, p))| {
            // A type that was found out is the statement's own, whose name the client may not know
            // where it sends a text. What is binary is of the type that it was told of.
            let said = named.types.get(index).copied().unwrap_or_default();
            let format = format_of(&bound.formats, index);
            let is_found = said == 0 && format == Format::Text;
            let oid = if is_found { 0 } else { p.oid };
            decode_parameter(oid, format, value.as_deref(), &p.needed, &settings)
        });
        Ok(values.collect::<Result<_, _>>()?)
    }

    /// Begins the rows of a portal.
    pub(super) async fn begin_portal(&mut self, name: &str) -> Step<()> {
        let Some(mut portal) = self.portals.remove(name) else {
            return Err(no_portal(name).into());
        };
        portal.state = self.begun(&portal).await?.0;
        self.keep(name, portal);
        Ok(())
    }

    /// The state of a portal that has begun, and the tag if it is done with that.
    async fn begun(&mut self, portal: &Portal) -> Step<(State, Option<String>)> {
        let named = Arc::clone(&portal.named);
        match self.start(&named.action, &portal.values).await? {
            Started::Done(tag) => Ok((State::Done, Some(tag))),
            Started::Rows(source, columns, tag) => {
                let told = named.shape.get().and_then(|shape| shape.columns.as_ref());
                if told.is_some_and(|told| !told.are_alike(&columns)) {
                    let text = "cached plan must not change result type";
                    return Err(Problem::unsupported(text).into());
                }
                let encoders = columns.encoders(&portal.formats, &self.value_settings())?;
                Ok((State::Open(Open { source, columns, encoders, tag }), None))
            }
        }
    }

    pub(super) async fn execute(&mut self, name: &str, rows_max: i32) -> Step<()> {
        let mut portal = self.portals.remove(name).ok_or_else(|| no_portal(name))?;
        self.check_failed(&portal.named.action)?;
        if matches!(portal.named.action, Action::Empty) {
            let empty = EmptyQueryResponse::new();
            self.channel.put(&PgWireBackendMessage::EmptyQueryResponse(empty));
            self.keep(name, portal);
            return Ok(());
        }
        if matches!(portal.state, State::Ready) {
            let (state, tag) = self.begun(&portal).await?;
            portal.state = state;
            if let Some(tag) = tag {
                self.running(None);
                self.complete(tag);
                self.keep(name, portal);
                return Ok(());
            }
        }
        let rows_max = u64::try_from(rows_max).ok().filter(|&rows_max| rows_max > 0);
        self.resume(&portal);
        match &mut portal.state {
            State::Open(open) => {
                let tag = open.tag;
                if portal.position == 0 {
                    let (named, ahead) = (&portal.named, self.look_ahead(&mut open.source).await);
                    ahead.map_err(|halt| halt.map(|problem| named.action.placed(problem)))?;
                }
                let (rows, are_all) = self.send(open, rows_max).await?;
                portal.position += rows;
                if are_all {
                    self.running(None);
                    portal.state = State::Read(tag);
                    self.complete(tag.text(rows));
                } else {
                    let suspended = PortalSuspended::new();
                    self.channel.put(&PgWireBackendMessage::PortalSuspended(suspended));
                }
            }
            State::Read(tag) => {
                let tag = tag.text(0);
                self.complete(tag);
            }
            State::Ready | State::Done => {
                let text = format!("portal \"{name}\" cannot be run");
                return Err(Problem::error("55000", text).into());
            }
        }
        self.keep(name, portal);
        Ok(())
    }

    pub(super) fn close(&mut self, target: &Target) {
        match target {
            Target::Statement(name) => drop(self.statements.remove(name)),
            Target::Portal(name) => drop(self.portals.remove(name)),
        }
        self.channel.put(&PgWireBackendMessage::CloseComplete(CloseComplete::new()));
    }
}

/// Whether there are as many values as the statement needs, and formats to fit.
fn check_counts(bound: &Bound, named: &Named) -> Result<(), Problem> {
    let (values, formats) = (bound.values.len(), bound.formats.len());
    if formats > 1 && formats != values {
        let text = format!("bind message has {formats} parameter formats but {values} parameters");
        return Err(Problem::protocol(text));
    }
    let needed = named.types.len().max(named.action.parameters());
    // What is refused was not read to its end.
    if values != needed && !matches!(named.action, Action::Refused(_)) {
        let text = format!(
            "bind message supplies {values} parameters, but prepared statement \"{}\" requires \
             {needed}",
            bound.statement
        );
        return Err(Problem::protocol(text));
    }
    Ok(())
}
