//! What statements take and give, before they run.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::data::{NoData, ParameterDescription};

use super::columns::Columns;
use super::connection::Connection;
use super::error::{Problem, Step};
use super::missing::{no_portal, no_statement};
use super::portal::{Named, Parameter, Shape, State};
use super::settings::ALL;
use super::sql::{Action, Query, parameter_types};
use super::values::oid::{BPCHAR, TEXT, UNKNOWN, VARCHAR};
use super::values::types::{arrow_type, pg_column};
use super::wire::Target;

/// OIDs that say nothing of what a parameter is: none, unknown, and text, which clients take for
/// all that they have as text.
const VAGUE: [u32; 5] = [0, UNKNOWN, TEXT, VARCHAR, BPCHAR];

/// Whether a type says what a parameter is.
pub(super) fn is_exact(oid: u32) -> bool {
    !VAGUE.contains(&oid)
}

impl Connection {
    /// Answers Describe.
    pub(super) async fn describe(&mut self, target: &Target) -> Step<()> {
        match target {
            Target::Statement(name) => {
                let named = self.statements.get(name).cloned().ok_or_else(|| no_statement(name))?;
                self.check_failed(&named.action)?;
                let shape = self.shape(&named).await?;
                let types = shape.parameters.iter().map(|parameter| parameter.oid).collect();
                let types = ParameterDescription::new(types);
                self.channel.put(&PgWireBackendMessage::ParameterDescription(types));
                self.tell(shape.columns.as_deref(), &[]);
            }
            Target::Portal(name) => {
                let portal = self.portals.get(name);
                let portal = portal.ok_or_else(|| no_portal(name))?;
                let formats = portal.formats.clone();
                let columns = self.portal_columns(name).await?;
                self.tell(columns.as_deref(), &formats);
            }
        }
        Ok(())
    }

    fn tell(&mut self, columns: Option<&Columns>, formats: &[i16]) {
        match columns {
            Some(columns) => self.channel.put(&columns.message(formats)),
            None => self.channel.put(&PgWireBackendMessage::NoData(NoData::new())),
        }
    }

    /// The columns of a portal. A query that was not described yet is begun for that: it is planned
    /// once.
    async fn portal_columns(&mut self, name: &str) -> Step<Option<Arc<Columns>>> {
        let Some(portal) = self.portals.get(name) else { return Ok(None) };
        if let State::Open(open) = &portal.state {
            return Ok(Some(Arc::clone(&open.columns)));
        }
        let named = Arc::clone(&portal.named);
        self.check_failed(&named.action)?;
        let is_new = matches!(portal.state, State::Ready) && named.shape.get().is_none();
        if is_new && matches!(named.action, Action::Query(_)) {
            self.begin_portal(name).await?;
            return Ok(self.cursor_columns(name).ok());
        }
        Ok(self.shape(&named).await?.columns)
    }

    /// What a statement takes and gives. It stays what it was when it was asked first: a client
    /// that was told of columns gets these, or an error.
    pub(super) async fn shape(&mut self, named: &Named) -> Step<Shape> {
        if let Some(shape) = named.shape.get() {
            return Ok(shape.clone());
        }
        let shape = match &named.action {
            Action::Query(query) => self.query_shape(query, &named.types).await?,
            Action::Explain(query) => Shape {
                columns: Some(Arc::new(Columns::texts(&["QUERY PLAN"])?)),
                ..self.parameters_of(query, &named.types).await?
            },
            Action::Declare { query, .. } | Action::Copy { query, .. } => {
                Shape { columns: None, ..self.parameters_of(query, &named.types).await? }
            }
            // What these give may be another thing the next time.
            Action::Fetch { name, .. } => {
                // A cursor that is not there is told of when it is read.
                let is_there = self.portals.contains_key(name);
                let columns = is_there.then(|| self.cursor_columns(name)).transpose()?;
                return Ok(Shape { parameters: Vec::new(), columns });
            }
            Action::Execute { name, .. } => {
                let other = self.statements.get(name).cloned().ok_or_else(|| no_statement(name))?;
                let columns = Box::pin(self.shape(&other)).await?.columns;
                return Ok(Shape { parameters: Vec::new(), columns });
            }
            Action::Show(name) => {
                let _known = self.settings.get(name)?;
                told(named, Some(Columns::texts(&[&self.setting_name(name)])?))
            }
            Action::ShowAll => told(named, Some(Columns::texts(&ALL)?)),
            Action::Empty
            | Action::Begin { .. }
            | Action::Commit { .. }
            | Action::Rollback { .. }
            | Action::Savepoint(_)
            | Action::Release(_)
            | Action::RollbackTo(_)
            | Action::Set { .. }
            | Action::Reset(_)
            | Action::DiscardAll
            | Action::Deallocate(_)
            | Action::Prepare { .. }
            | Action::MoveTo { .. }
            | Action::Close(_)
            | Action::Accepted { .. }
            | Action::Refused(_) => told(named, None),
        };
        Ok(named.shape.get_or_init(|| shape).clone())
    }

    /// The parameters of a query whose rows the client does not get as such.
    async fn parameters_of(&mut self, query: &Query, types: &[u32]) -> Step<Shape> {
        let known = types.len() >= query.parameters && types.iter().all(|&oid| is_exact(oid));
        if known {
            let parameters = types.iter().map(|&oid| said(oid)).collect();
            return Ok(Shape { parameters, columns: None });
        }
        self.query_shape(query, types).await
    }

    async fn query_shape(&mut self, query: &Query, types: &[u32]) -> Step<Shape> {
        let count = query.parameters.max(types.len());
        if let Some(number) = query.origin.unused_parameter(query.parameters)
            && matches!(types.get(number - 1).copied(), None | Some(0 | UNKNOWN))
        {
            let text = format!("could not determine data type of parameter ${number}");
            return Err(Problem::error("42P18", text).into());
        }
        let written = parameter_types(query.statement.tree());
        let told = |index: usize| match types.get(index).copied() {
            None | Some(0 | UNKNOWN) => written.get(&(index + 1)).copied().unwrap_or_default(),
            Some(oid) => oid,
        };
        let given: Vec<_> = (0..count)
            .map(|index| arrow_type(told(index)).filter(|_| is_exact(told(index))))
            .collect();
        let stop = self.begin_work();
        let work = self.session.describe(&query.statement, &given);
        let described = self.channel.watch(&stop, work).await?;
        let described = described.map_err(|error| query.origin.placed(error.into()))?;
        self.running(None);
        let parameters = (0..count.max(described.parameters.len())).map(|index| {
            let needed = described.parameters.get(index).cloned().unwrap_or(DataType::Utf8);
            let oid = match told(index) {
                0 => oid_of(&needed),
                oid => oid,
            };
            Parameter { oid, needed }
        });
        let parameters = parameters.collect();
        let columns = Columns::new(&described.columns)?;
        Ok(Shape { parameters, columns: Some(Arc::new(columns)) })
    }
}

/// What a statement is that the core does not plan.
fn told(named: &Named, columns: Option<Columns>) -> Shape {
    let parameters = named.types.iter().map(|&oid| said(oid)).collect();
    Shape { parameters, columns: columns.map(Arc::new) }
}

/// A parameter of which only the client's type is known.
fn said(oid: u32) -> Parameter {
    Parameter { oid: if oid == 0 { TEXT } else { oid }, needed: DataType::Null }
}

fn oid_of(data_type: &DataType) -> u32 {
    let field = Field::new("parameter", data_type.clone(), true);
    pg_column(&field).map_or(TEXT, |column| column.postgres.oid)
}
