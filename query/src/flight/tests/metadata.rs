use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Schema, UInt32Type};
use arrow_flight::sql::{
    CommandGetCatalogs, CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys,
    CommandGetImportedKeys, CommandGetPrimaryKeys, CommandGetSqlInfo, CommandGetTableTypes,
    CommandGetTables, CommandGetXdbcTypeInfo, ProstMessageExt, SqlInfo, XdbcDataType,
};
use arrow_flight::{FlightDescriptor, IpcMessage};
use prost::Message;
use tonic::{Code, Status};

use super::world::*;

/// The rows of a command: its ticket works, its columns are those that were told.
async fn got(client: &mut Client, command: impl ProstMessageExt) -> Result<RecordBatch, Status> {
    let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
    let info = client.inner_mut().get_flight_info(descriptor.clone()).await;
    // The client of Flight SQL adds its token, which the one within does not.
    let info = match info {
        Ok(info) => info.into_inner(),
        Err(status) if status.code() == Code::Unauthenticated => {
            let mut request = tonic::Request::new(descriptor);
            let token = format!("Bearer {}", client.token().unwrap());
            request.metadata_mut().insert("authorization", token.parse().unwrap());
            client.inner_mut().get_flight_info(request).await?.into_inner()
        }
        Err(status) => return Err(status),
    };
    fetch(client, &info).await
}

fn tables() -> CommandGetTables {
    CommandGetTables::default()
}

#[tokio::test]
async fn every_command_has_its_rows() {
    let served = Served::new();
    let mut client = served.client().await;
    let client = &mut client;
    let catalogs = got(client, CommandGetCatalogs {}).await.unwrap();
    assert_eq!(shown(&catalogs), ["riskstream"]);
    let types = got(client, CommandGetTableTypes {}).await.unwrap();
    assert_eq!(shown(&types), ["TABLE", "VIEW"]);
    let schemas = |catalog: Option<&str>, pattern: Option<&str>| CommandGetDbSchemas {
        catalog: catalog.map(str::to_owned),
        db_schema_filter_pattern: pattern.map(str::to_owned),
    };
    for (command, rows) in [
        (schemas(None, None), &["riskstream|public", "riskstream|system"][..]),
        (schemas(Some("riskstream"), Some("pub%")), &["riskstream|public"]),
        (schemas(None, Some("s_stem")), &["riskstream|system"]),
        (schemas(Some(""), None), &[]),
        (schemas(Some("other"), None), &[]),
    ] {
        assert_eq!(shown(&got(client, command).await.unwrap()), rows);
    }
    let table = |of: &str| CommandGetPrimaryKeys {
        catalog: None,
        db_schema: Some("public".to_owned()),
        table: of.to_owned(),
    };
    let keys = got(client, table("payments_now")).await.unwrap();
    assert_eq!(shown(&keys), ["riskstream|public|payments_now|id|payments_now_pkey|1"]);
    assert_eq!(keys.column(5).as_primitive::<Int32Type>().value(0), 1);
    for none in ["payments", "nothing"] {
        assert_eq!(got(client, table(none)).await.unwrap().num_rows(), 0);
    }
    let columns = got(client, CommandGetExportedKeys::default()).await.unwrap();
    assert_eq!((columns.num_rows(), columns.num_columns()), (0, 13));
    let schema = columns.schema();
    for other in [
        got(client, CommandGetImportedKeys::default()).await.unwrap(),
        got(client, CommandGetCrossReference::default()).await.unwrap(),
    ] {
        assert_eq!((other.num_rows(), other.schema()), (0, Arc::clone(&schema)));
    }
}

#[tokio::test]
async fn tables_are_found_by_patterns_and_types() {
    let served = Served::new();
    let mut client = served.client().await;
    let (payments, now) =
        ("riskstream|public|payments|TABLE", "riskstream|public|payments_now|VIEW");
    let queries = "riskstream|system|queries|VIEW";
    let named = |pattern: &str| CommandGetTables {
        table_name_filter_pattern: Some(pattern.to_owned()),
        ..tables()
    };
    let typed = |types: &[&str]| CommandGetTables {
        table_types: types.iter().map(|of| (*of).to_owned()).collect(),
        ..tables()
    };
    let schema = CommandGetTables { db_schema_filter_pattern: Some("pub%".into()), ..tables() };
    for (command, rows) in [
        (tables(), &[payments, now, queries][..]),
        (named("pay%"), &[payments, now]),
        (named("payments"), &[payments]),
        (named("payments\\_now"), &[now]),
        (named("%_now"), &[now]),
        (named(""), &[]),
        (schema, &[payments, now]),
        (typed(&["TABLE"]), &[payments]),
        (typed(&["VIEW", "VIEW", "TABLE"]), &[payments, now, queries]),
        (typed(&["INDEX"]), &[]),
        (CommandGetTables { catalog: Some("riskstream".into()), ..named("q%") }, &[queries]),
        (CommandGetTables { catalog: Some(String::new()), ..tables() }, &[]),
    ] {
        let text = format!("{command:?}");
        assert_eq!(shown(&got(&mut client, command).await.unwrap()), rows, "{text}");
    }
    let many = typed(&["x"; 10_000]);
    assert_eq!(got(&mut client, many).await.unwrap().num_rows(), 0);
}

#[tokio::test]
async fn tables_come_with_their_columns() {
    let served = Served::new();
    let mut client = served.client().await;
    let command = CommandGetTables { include_schema: true, ..tables() };
    let rows = got(&mut client, command).await.unwrap();
    let schema = rows.column(4).as_binary::<i32>().value(0);
    let schema = Schema::try_from(IpcMessage(schema.to_vec().into())).unwrap();
    let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["id", "lender", "cents", "at", "revision"]);
    let remarks = schema.field(2).metadata().get("ARROW:FLIGHT:SQL:REMARKS");
    assert_eq!(remarks.map(String::as_str), Some("in hundredths"));
    assert!(schema.field(0).metadata().is_empty());
    // The columns are those with which the rows come.
    let info = client.execute("select * from payments".to_owned(), None).await.unwrap();
    let types = |schema: &Schema| {
        schema.fields().iter().map(|f| (f.data_type().clone(), f.is_nullable())).collect::<Vec<_>>()
    };
    assert_eq!(types(&schema), types(&told(&info)));
}

#[tokio::test]
async fn a_user_is_shown_what_it_may_see() {
    let served = Served::with(Setup::with_users());
    let mut ann = served.signed_in("ann").await;
    let rows = got(&mut ann, tables()).await.unwrap();
    let expected = ["riskstream|public|payments|TABLE", "riskstream|public|payments_now|VIEW"];
    assert_eq!(shown(&rows), expected);
    let mut nobody = served.client().await;
    let refused = nobody.get_tables(tables()).await.unwrap_err();
    assert_eq!(status(refused).code(), Code::Unauthenticated);
}

#[tokio::test]
async fn the_port_says_what_it_can() {
    let served = Served::new();
    let mut client = served.client().await;
    let all = got(&mut client, CommandGetSqlInfo { info: vec![] }).await.unwrap();
    // All that there are but the versions of Substrait, which is not taken.
    let known = (0..1_000).filter(|number| SqlInfo::try_from(*number).is_ok()).count();
    assert_eq!(all.num_rows(), known - 2);
    // Asked for by numbers, known and unknown, once and again.
    let asked = CommandGetSqlInfo { info: vec![3, 0, 8, 3, 99_999, 504, 9] };
    let some = got(&mut client, asked).await.unwrap();
    let numbers = some.column(0).as_primitive::<UInt32Type>().values().to_vec();
    assert_eq!(numbers, [0, 3, 8, 9, 504]);
    let lines = shown(&some);
    let values: Vec<_> = lines.iter().map(|line| line.split_once('|').unwrap().1).collect();
    assert_eq!(
        values,
        [
            "{string_value=riskstream}",
            "{bool_value=true}",
            "{int32_bitmask=1}",
            "{bool_value=true}",
            "{string_value=\"}"
        ]
    );
    let unknown = CommandGetSqlInfo { info: vec![77_777; 100_000] };
    assert_eq!(got(&mut client, unknown).await.unwrap().num_rows(), 0);
}

#[tokio::test]
async fn types_have_postgres_names() {
    let served = Served::new();
    let mut client = served.client().await;
    let all = got(&mut client, CommandGetXdbcTypeInfo { data_type: None }).await.unwrap();
    let names: Vec<_> = all.column(0).as_string::<i32>().iter().flatten().collect();
    for name in ["boolean", "bigint", "double precision", "numeric", "text", "date", "timestamptz"]
    {
        assert!(names.contains(&name), "{name}");
    }
    let command = CommandGetXdbcTypeInfo { data_type: Some(XdbcDataType::XdbcTimestamp as i32) };
    let some = got(&mut client, command).await.unwrap();
    let names: Vec<_> = some.column(0).as_string::<i32>().iter().flatten().collect();
    assert_eq!(names, ["timestamp", "timestamptz"]);
}
