//! Completes a change of a row's key with the values that it does not carry. PostgreSQL does not
//! send a value that is stored out of line (TOAST) and did not change. The row under the old key
//! has the value, but operators keep state by key, and the two keys may be on different workers. So
//! the server is asked for the value, by the new key.
//!
//! The server answers with the present value, which may be newer than the change. In that case the
//! change that made it is still to come, and brings the value again. If the row is gone meanwhile,
//! its deletion is still to come, and the column stays marked as not sent.

use crate::postgres::catalog::{Table, identifier, literal};
use crate::postgres::endpoint::Endpoint;
use crate::postgres::error::SessionError;
use crate::postgres::frames::Mapped;
use crate::postgres::message::{Field, fields, tuple_of};
use crate::postgres::session::{Session, row_fields};
use bytes::Bytes;

/// SQLSTATEs for a column or a table that no longer exists, so that its value can't be known.
const GONE: [&str; 2] = ["42703", "42P01"];

/// Asks for values that were not sent, over a connection of its own, since the stream's takes no
/// SQL; made when it is needed first.
#[derive(Default)]
pub(crate) struct Completion {
    session: Option<Session>,
}

impl Completion {
    /// The tuple of a row under its new key, with the values that were not sent, if the row is
    /// still there.
    pub(crate) async fn complete(
        &mut self,
        endpoint: &Endpoint,
        application: &str,
        table: &Table,
        columns: &[Mapped],
        tuple: Bytes,
    ) -> Result<Bytes, SessionError> {
        let Some(sql) = question(table, columns, &tuple) else { return Ok(tuple) };
        let mut session = match self.session.take() {
            Some(session) => session,
            None => Session::open(endpoint, application).await?,
        };
        session.begin_query(&sql).await?;
        let mut completed = tuple.clone();
        loop {
            match session.next_row().await {
                Ok(Some(row)) => completed = with_values(columns, &tuple, &row_fields(&row)?),
                Ok(None) => break,
                Err(SessionError::Refused { code, .. }) if GONE.contains(&code.as_str()) => break,
                Err(e) => return Err(e),
            }
        }
        self.session = Some(session);
        Ok(completed)
    }
}

/// Columns of the source that were not sent.
fn is_missing(column: &Mapped, field: &Field<'_>) -> bool {
    column.target.is_some() && *field == Field::Unchanged
}

/// The query for what was not sent; none if nothing is missing, or the key itself.
fn question(table: &Table, columns: &[Mapped], tuple: &[u8]) -> Option<String> {
    let sent: Vec<(&Mapped, Field<'_>)> = columns.iter().zip(fields(tuple)).collect();
    let missing: Vec<String> = sent
        .iter()
        .filter(|(column, field)| is_missing(column, field))
        .map(|(column, _)| identifier(&column.name))
        .collect();
    let is = |(column, field): &(&Mapped, Field<'_>)| match field {
        Field::Text(text) => Some(format!(
            "{} = {}",
            identifier(&column.name),
            literal(std::str::from_utf8(text).ok()?)
        )),
        Field::Null | Field::Unchanged => None,
    };
    let key = sent.iter().filter(|(column, _)| column.key).map(is).collect::<Option<Vec<_>>>()?;
    (!missing.is_empty() && !key.is_empty()).then(|| {
        format!("select {} from {} where {}", missing.join(", "), table.quoted, key.join(" and "))
    })
}

/// The tuple with `values` in the places of what was not sent.
fn with_values(columns: &[Mapped], tuple: &[u8], values: &[Option<Bytes>]) -> Bytes {
    let mut values = values.iter();
    let filled: Vec<Field<'_>> = columns
        .iter()
        .zip(fields(tuple))
        .map(|(column, field)| match is_missing(column, &field).then(|| values.next()).flatten() {
            None => field,
            Some(None) => Field::Null,
            Some(Some(value)) => Field::Text(value),
        })
        .collect();
    Bytes::from(tuple_of(&filled))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Vec<Mapped> {
        let column = |name: &str, target, key| Mapped { name: name.into(), target, key };
        vec![
            column("id", Some(0), true),
            column("a \"note\"", Some(1), false),
            column("ours not", None, false),
            column("b", Some(2), false),
        ]
    }

    fn table() -> Table {
        let quoted = "\"public\".\"loans\"".into();
        Table {
            quoted,
            oid: 1,
            partitioned: false,
            columns: Vec::new(),
            generated: Vec::new(),
            root: None,
            row_security: false,
            primary_key: Vec::new(),
            identity: "d".into(),
        }
    }

    #[test]
    fn what_is_missing_is_asked_for_by_the_new_key() {
        let tuple = tuple_of(&[
            Field::Text(b"O'Neill"),
            Field::Unchanged,
            Field::Unchanged,
            Field::Unchanged,
        ]);
        let sql =
            "select \"a \"\"note\"\"\", \"b\" from \"public\".\"loans\" where \"id\" = 'O''Neill'";
        assert_eq!(question(&table(), &columns(), &tuple).as_deref(), Some(sql));
        let filled = with_values(&columns(), &tuple, &[Some(Bytes::from_static(b"long")), None]);
        let expected =
            [Field::Text(b"O'Neill"), Field::Text(b"long"), Field::Unchanged, Field::Null];
        assert_eq!(fields(&filled).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn nothing_is_asked_when_nothing_is_missing_or_the_key_is() {
        let whole =
            tuple_of(&[Field::Text(b"1"), Field::Null, Field::Unchanged, Field::Text(b"x")]);
        assert_eq!(
            question(&table(), &columns(), &whole),
            None,
            "a column that is not read may be missing"
        );
        let keyless = tuple_of(&[Field::Unchanged, Field::Unchanged, Field::Null, Field::Null]);
        assert_eq!(question(&table(), &columns(), &keyless), None);
    }
}
