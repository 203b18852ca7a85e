//! What the server's catalog says: the table's columns, types and key, the publication, the slot.

use crate::postgres::error::SessionError;
use crate::postgres::place::Published;
use crate::postgres::session::{Row, Session};
use crate::types::{type_name, utc_timestamp};
use arrow::datatypes::DataType;
use pgwire_replication::Lsn;

/// A table as the catalog has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    /// Its name, quoted.
    pub(crate) quoted: String,
    pub(crate) oid: u32,
    /// Partitioned: its rows are in other tables, which the publication sends under its name.
    pub(crate) partitioned: bool,
    /// Name and type as SQL writes it, but for generated columns, which the stream does not carry.
    pub(crate) columns: Vec<(String, String)>,
    /// Columns that the server makes of others.
    pub(crate) generated: Vec<String>,
    /// Of a partition: the table whose partition it is, quoted.
    pub(crate) root: Option<String>,
    /// The server shows this user only some of the rows.
    pub(crate) row_security: bool,
    /// Columns of the primary key.
    pub(crate) primary_key: Vec<String>,
    /// `d`, `n`, `f` or `i`.
    pub(crate) identity: String,
}

/// A replication slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) plugin: String,
    pub(crate) database: String,
    /// The process that reads it.
    pub(crate) reader: Option<String>,
    /// Changes before this are given to nobody any more.
    pub(crate) confirmed: Lsn,
    /// The server has thrown away what it needs.
    pub(crate) lost: bool,
}

/// The name of a table, as `schema.table` or `table`, quoted.
pub(crate) fn quoted_table(name: &str) -> String {
    let (schema, table) = name.split_once('.').unwrap_or(("public", name));
    quoted_name(schema, table)
}

/// The same of its parts.
pub(crate) fn quoted_name(schema: &str, table: &str) -> String {
    format!("{}.{}", identifier(schema), identifier(table))
}

/// A quoted identifier.
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A quoted string.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn text(row: &Row, at: usize) -> &str {
    row.get(at).and_then(Option::as_deref).unwrap_or_default()
}

/// Looks a table up.
pub(crate) async fn table(session: &mut Session, name: &str) -> Result<Table, SessionError> {
    let quoted = quoted_table(name);
    let found = session
        .query(&format!(
            "select c.oid, c.relkind, c.relreplident, row_security_active(c.oid), \
             (select format('%I.%I', n.nspname, r.relname) from pg_class r \
             join pg_namespace n on n.oid = r.relnamespace \
             where c.relispartition and r.oid = pg_partition_root(c.oid)) \
             from pg_class c where c.oid = to_regclass({})",
            literal(&quoted)
        ))
        .await
        .map_err(SessionError::settled)?;
    let Some(row) = found.first() else {
        return Err(SessionError::Fatal(format!(
            "there is no table {name}, or its schema is not for this user to use"
        )));
    };
    let (oid, kind, identity) =
        (text(row, 0).to_owned(), text(row, 1).to_owned(), text(row, 2).to_owned());
    let (row_security, root) = (text(row, 3) == "t", row.get(4).cloned().flatten());
    if !matches!(kind.as_str(), "r" | "p") {
        return Err(SessionError::Fatal(format!("{name} is no table; only tables have changes")));
    }
    let columns = session
        .query(&format!(
            "select a.attname, case t.typtype when 'd' then format_type(t.typbasetype, \
             t.typtypmod) else format_type(a.atttypid, a.atttypmod) end, \
             exists (select 1 from pg_index i where i.indrelid = a.attrelid and i.indisprimary \
             and a.attnum = any (i.indkey)), \
             a.attgenerated <> '' from pg_attribute a join pg_type t on t.oid = a.atttypid \
             where a.attrelid = {oid} and a.attnum > 0 and not a.attisdropped order by a.attnum"
        ))
        .await
        .map_err(SessionError::settled)?;
    let (generated, columns): (Vec<Row>, Vec<Row>) =
        columns.into_iter().partition(|row| text(row, 3) == "t");
    Ok(Table {
        quoted,
        generated: generated.iter().map(|row| text(row, 0).to_owned()).collect(),
        root,
        row_security,
        oid: oid
            .parse()
            .map_err(|_| SessionError::Fatal(format!("the table's number is {oid:?}")))?,
        partitioned: kind == "p",
        primary_key: columns
            .iter()
            .filter(|row| text(row, 2) == "t")
            .map(|row| text(row, 0).to_owned())
            .collect(),
        columns: columns
            .iter()
            .map(|row| (text(row, 0).to_owned(), text(row, 1).to_owned()))
            .collect(),
        identity,
    })
}

/// Makes the publication, or checks that it shows all of the table: all its changes, and the
/// columns `wanted`; gives the rows it is confined to, as SQL.
pub(crate) async fn publication(
    session: &mut Session,
    table: &Table,
    name: &str,
    wanted: &[(String, DataType)],
) -> Result<Option<String>, SessionError> {
    let found = session
        .query(&format!(
            "select p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, p.pubviaroot, \
             current_setting('server_version_num')::int >= 150000 \
             from pg_publication p where p.pubname = {}",
            literal(name)
        ))
        .await
        .map_err(SessionError::settled)?;
    let only = if table.partitioned { "" } else { "only " };
    let Some(row) = found.first() else {
        let make = format!(
            "create publication {} for table {only}{} with (publish_via_partition_root = true)",
            identifier(name),
            table.quoted
        );
        check_identity(table)?;
        return match session.query(&make).await {
            Ok(_) => Ok(None),
            Err(SessionError::Refused { message, .. }) => Err(SessionError::Fatal(format!(
                "there is no publication {name}, and it can't be made: {message}; let the table's \
                 owner run: {make}"
            ))),
            Err(
                other @ (SessionError::Fatal(_)
                | SessionError::Passing(_)
                | SessionError::Changed(_)
                | SessionError::Stopped),
            ) => Err(other),
        };
    };
    let kinds = ["insert", "update", "delete", "truncate"];
    let (lists, via_root) = (text(row, 5) == "t", text(row, 4) == "t");
    check_kinds(
        name,
        &kinds
            .iter()
            .enumerate()
            .filter(|(at, _)| text(row, *at) != "t")
            .map(|(_, kind)| *kind)
            .collect::<Vec<_>>(),
    )?;
    check_identity(table)?;
    let more = if lists { "rowfilter, array_to_json(attnames)" } else { "null, null" };
    let of_table = |which: &str| {
        format!(
            "select {more} from pg_publication_tables where pubname = {} \
             and (schemaname, tablename) = \
             (select n.nspname, c.relname from pg_class c \
             join pg_namespace n on n.oid = c.relnamespace where c.oid = {which})",
            literal(name)
        )
    };
    let member =
        session.query(&of_table(&table.oid.to_string())).await.map_err(SessionError::settled)?;
    let Some(member) = member.into_iter().next() else {
        let root = match &table.root {
            Some(root) => session
                .query(&of_table(&format!("to_regclass({})", literal(root))))
                .await
                .map_err(SessionError::settled)?,
            None => Vec::new(),
        };
        return Err(SessionError::Fatal(not_published(
            table,
            name,
            only,
            via_root,
            !root.is_empty(),
        )));
    };
    let sent: Option<Vec<String>> =
        member.get(1).cloned().flatten().and_then(|names| serde_json::from_str(&names).ok());
    check_sent(table, name, only, sent.as_deref(), wanted)?;
    Ok(member.into_iter().next().flatten())
}

/// A publication that keeps some kinds of changes to itself.
fn check_kinds(name: &str, missing: &[&str]) -> Result<(), SessionError> {
    if missing.is_empty() {
        return Ok(());
    }
    Err(SessionError::Fatal(format!(
        "the publication {name} does not send every change of the table: it leaves out {}; \
         let its owner run: alter publication {} set \
         (publish = 'insert, update, delete, truncate'), or name another in `publication`",
        missing.join(", "),
        identifier(name)
    )))
}

/// Columns that are wanted, and that the publication's list leaves out. They would be read at
/// first, and be null from the first change on.
fn check_sent(
    table: &Table,
    name: &str,
    only: &str,
    sent: Option<&[String]>,
    wanted: &[(String, DataType)],
) -> Result<(), SessionError> {
    let Some(sent) = sent else { return Ok(()) };
    let is_there = |column: &&str| table.columns.iter().any(|(there, _)| there == column);
    let wanted = wanted.iter().map(|(column, _)| column.as_str()).filter(is_there);
    let left_out: Vec<&str> =
        wanted.filter(|column| !sent.iter().any(|sent| sent == column)).collect();
    if left_out.is_empty() {
        return Ok(());
    }
    let (name, table) = (identifier(name), &table.quoted);
    Err(SessionError::Fatal(format!(
        "the publication {name} leaves out columns of the table: {}; \
         name in `schema` the columns that it has ({}), or let its owner run: \
         begin; alter publication {name} drop table {only}{table}; \
         alter publication {name} add table {only}{table}; commit",
        left_out.join(", "),
        sent.join(", ")
    )))
}

/// What to do about a publication that does not show the table under its name.
fn not_published(table: &Table, name: &str, only: &str, via_root: bool, has_root: bool) -> String {
    let name = identifier(name);
    match &table.root {
        Some(root) if via_root && has_root => format!(
            "the publication {name} sends the table's changes as those of {root}, of which it is a \
             partition; name {root} in `table`, or another publication in `publication`"
        ),
        _ if table.partitioned && !via_root => format!(
            "the publication {name} does not send the changes of a partitioned table as its own; \
             let its owner run: alter publication {name} set \
             (publish_via_partition_root = true), and if it lacks the table: alter publication \
             {name} add table {}",
            table.quoted
        ),
        _ => format!(
            "the publication {name} does not have the table; \
             let its owner run: alter publication {name} add table {only}{}",
            table.quoted
        ),
    }
}

/// Which table is there now under the name, and how it is published; none where there is no such
/// table or publication. In one statement, for it is asked again and again.
pub(crate) async fn published(
    session: &mut Session,
    table: &str,
    publication: &str,
) -> Result<Option<Published>, SessionError> {
    // Schemas can be published since version 15.
    let version = session
        .query("select current_setting('server_version_num')::int >= 150000")
        .await
        .map_err(SessionError::settled)?;
    let schemas = if version.first().is_some_and(|row| text(row, 0) == "t") {
        "(select string_agg(n.oid || ':' || n.xmin::text, ',' order by n.oid) \
         from pg_publication_namespace n where n.pnpubid = p.oid)"
    } else {
        "null"
    };
    let rows = session
        .query(&format!(
            "select c.oid, concat_ws(' ', p.oid, p.xmin::text, (select string_agg(r.oid || ':' || \
             r.xmin::text, ',' order by r.oid) from \
             pg_publication_rel r where r.prpubid = p.oid and (r.prrelid = c.oid \
             or r.prrelid in (select * from pg_partition_ancestors(c.oid)))), \
             {schemas}) from pg_class c, pg_publication p \
             where c.oid = to_regclass({}) and p.pubname = {}",
            literal(&quoted_table(table)),
            literal(publication)
        ))
        .await
        .map_err(SessionError::settled)?;
    Ok(rows.first().and_then(|row| {
        Some(Published { table: text(row, 0).parse().ok()?, entries: text(row, 1).to_owned() })
    }))
}

/// A table of which this user sees only some rows, while its changes are sent whole.
pub(crate) fn check_row_security(table: &Table, user: &str) -> Result<(), SessionError> {
    if !table.row_security {
        return Ok(());
    }
    Err(SessionError::Fatal(format!(
        "the table has row-level security, so that the user {user} can read only some of its rows, \
         while the changes of all are sent; read it as its owner (without \
         `force row level security`), or let a superuser run: alter role {} bypassrls",
        identifier(user)
    )))
}

/// A table whose updates and deletions PostgreSQL would refuse for want of a key.
fn check_identity(table: &Table) -> Result<(), SessionError> {
    let has_key = match table.identity.as_str() {
        "d" => !table.primary_key.is_empty(),
        "n" => false,
        _ => true,
    };
    if has_key {
        return Ok(());
    }
    Err(SessionError::Fatal(format!(
        "the table has no key to tell rows apart (no primary key, \
         or REPLICA IDENTITY NOTHING), so that updates and deletions can't be sent; add a \
         primary key, or run: alter table {} replica identity full",
        table.quoted
    )))
}

/// Looks a slot up.
pub(crate) async fn slot(session: &mut Session, name: &str) -> Result<Option<Slot>, SessionError> {
    let rows = session
        .query(&format!(
            "select plugin, database, active_pid, confirmed_flush_lsn, \
             coalesce(wal_status = 'lost', false) from pg_replication_slots where slot_name = {}",
            literal(name)
        ))
        .await
        .map_err(SessionError::settled)?;
    Ok(rows.first().map(|row| Slot {
        plugin: text(row, 0).to_owned(),
        database: text(row, 1).to_owned(),
        reader: row.get(2).cloned().flatten(),
        confirmed: Lsn::parse(text(row, 3)).unwrap_or_default(),
        lost: text(row, 4) == "t",
    }))
}

/// The type of the source's column for one of PostgreSQL's, as `format_type` writes it. What has no
/// type of its own is carried as its text.
pub(crate) fn carried(sql: &str) -> Result<DataType, String> {
    let (name, arguments) = match sql.split_once('(') {
        Some((name, rest)) if !sql.ends_with(']') => (name.trim(), rest.split(')').next()),
        _ => (sql, None),
    };
    Ok(match name {
        "smallint" => DataType::Int16,
        "integer" => DataType::Int32,
        "bigint" => DataType::Int64,
        "real" => DataType::Float32,
        "double precision" => DataType::Float64,
        "boolean" => DataType::Boolean,
        "date" => DataType::Date32,
        "timestamp" | "timestamp with time zone" | "timestamp without time zone" => utc_timestamp(),
        "numeric" => {
            let declare = "declare the column in `schema`, as decimal(38,S) with S digits below \
                           the point, or as string";
            let Some(arguments) = arguments else {
                return Err(format!("numeric without a precision holds any number; {declare}"));
            };
            let mut numbers = arguments.split(',').map(|n| n.trim().parse::<i16>().unwrap_or(-1));
            match (numbers.next().unwrap_or(-1), numbers.next().unwrap_or(0)) {
                (p @ 1..=38, s) if (0..=p).contains(&s) => DataType::Decimal128(p as u8, s as i8),
                _ => return Err(format!("{sql} is wider than a decimal of 38 digits; {declare}")),
            }
        }
        _ => DataType::Utf8,
    })
}

/// The source's columns for the table's.
pub(crate) fn carried_columns(table: &Table) -> Result<Vec<(String, DataType)>, String> {
    let one = |(name, sql): &(String, String)| {
        carried(sql)
            .map(|data_type| (name.clone(), data_type))
            .map_err(|reason| format!("column {name}: {reason}"))
    };
    table.columns.iter().map(one).collect()
}

/// A column that the table has not, when a source begins; later its values are null.
pub(crate) fn check_columns(table: &Table, wanted: &[(String, DataType)]) -> Result<(), String> {
    for (name, data_type) in wanted {
        if table.generated.contains(name) {
            return Err(format!(
                "the column {name} is generated by the server from other columns (generated always \
                 as), and is not sent; leave it out of `schema`, and derive it in a step"
            ));
        }
        if !table.columns.iter().any(|(have, _)| have == name) {
            let names: Vec<&str> = table.columns.iter().map(|(name, _)| name.as_str()).collect();
            return Err(format!(
                "the table has no column {name} ({}); it has {}",
                type_name(data_type),
                names.join(", ")
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_carried_exactly_or_as_text() {
        for (sql, name) in [
            ("numeric(12,2)", "decimal(12,2)"),
            ("numeric(38,0)", "decimal(38,0)"),
            ("bigint", "int64"),
            ("smallint", "int16"),
            ("boolean", "bool"),
            ("double precision", "float64"),
            ("real", "float32"),
            ("date", "date"),
            ("timestamp(3) without time zone", "timestamp"),
            ("timestamp with time zone", "timestamp"),
            ("character varying(20)", "string"),
            ("integer[]", "string"),
            ("numeric(12,2)[]", "string"),
            ("uuid", "string"),
            ("jsonb", "string"),
            ("public.loan_status", "string"),
            ("time without time zone", "string"),
        ] {
            assert_eq!(carried(sql).map(|t| type_name(&t)), Ok(name.to_owned()), "{sql}");
        }
        for sql in ["numeric", "numeric(40,2)", "numeric(5,-2)", "numeric(3,5)"] {
            assert!(carried(sql).expect_err(sql).contains("declare the column"), "{sql}");
        }
    }

    #[test]
    fn names_are_quoted() {
        assert_eq!(quoted_table("loans"), "\"public\".\"loans\"");
        assert_eq!(quoted_table("Credit.my\"loans"), "\"Credit\".\"my\"\"loans\"");
        assert_eq!(literal("it's"), "'it''s'");
    }
}
