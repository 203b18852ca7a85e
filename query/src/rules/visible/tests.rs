use std::path::Path;

use arrow::datatypes::Field;

use super::*;
use crate::rules::file;

fn policy(text: &str) -> Policy {
    file::parse(Path::new("u"), text).map_err(|problems| problems.to_string()).unwrap()
}

fn user(roles: &[&str], lender: &[&str]) -> User {
    let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    let attributes = [("lender_id".to_owned(), owned(lender))].into();
    User { name: "u".into(), roles: owned(roles), attributes }
}

fn schema(fields: &[(&str, DataType)]) -> Schema {
    let field = |(name, of): &(&str, DataType)| Field::new(*name, of.clone(), true);
    Schema::new(fields.iter().map(field).collect::<Vec<_>>())
}

fn loans() -> Schema {
    schema(&[
        ("lender_id", DataType::Int64),
        ("borrower", DataType::Utf8),
        ("age", DataType::Int32),
    ])
}

fn told(seen: &Seen) -> String {
    match seen {
        Seen::Hidden => "hidden".into(),
        Seen::All => "all".into(),
        Seen::Ruled(rule) => rule.policies().join("; "),
    }
}

const TEXT: &str = r#"
    [roles.lender]
    tables = ["loans", "lenders"]
    rows = [{ table = "*", column = "lender_id", in = "lender_id" }]
    masks = [{ table = "loans", column = "borrower", as = "***" },
             { table = "loans", column = "age", as = "last4" }]
    limits = { rows = 10, statements = 1 }
    [roles.analyst]
    tables = ["*"]
    masks = [{ table = "*", column = "borrower", as = "null" }]
    limits = { rows = 20, statement_timeout = "1s" }
    [roles.support]
    tables = ["loans", "system.queries"]
    rows = [{ table = "*", column = "lender_id", in = "other" }]
"#;

#[test]
fn what_is_not_granted_is_hidden() {
    let policy = policy(TEXT);
    let see = |roles: &[&str], schema: &str, table: &str| {
        told(&policy.see(&user(roles, &["17"]), schema, table, &loans()))
    };
    assert_eq!(see(&[], "public", "loans"), "hidden");
    assert_eq!(see(&["nobody"], "public", "loans"), "hidden");
    assert_eq!(see(&["lender"], "public", "loans_now"), "hidden");
    assert_eq!(see(&["lender"], "live", "loans"), "hidden");
    assert_eq!(see(&["analyst"], "system", "queries"), "hidden");
    assert_eq!(see(&["owner"], "system", "audit"), "all");
    assert_eq!(
        see(&["lender"], "public", "loans"),
        "role lender: rows with lender_id in lender_id (17), age as null, borrower as text"
    );
}

#[test]
fn who_sees_some_statements_sees_no_number_that_counts_all() {
    let policy = policy(
        r#"
        [roles.own]
        tables = ["system.queries", "system.audit", "queries"]
        rows = [{ table = "*", column = "name", in = "lender_id" }]
        masks = [{ table = "system.audit", column = "sequence", as = "***" }]
        [roles.all]
        tables = ["system.queries"]
    "#,
    );
    let names = ["number", "sequence", "hash", "rows", "name"];
    let columns = schema(&names.map(|name| (name, DataType::Utf8)));
    let see = |roles: &[&str], schema: &str, table: &str| {
        told(&policy.see(&user(roles, &["u"]), schema, table, &columns))
    };
    let rows = "role own: rows with name in lender_id (u)";
    for (table, expected) in [
        (("system", "queries"), ", number as null"),
        (("system", "audit"), ", hash as null, sequence as null"),
        (("public", "queries"), ""),
    ] {
        assert_eq!(see(&["own"], table.0, table.1), format!("{rows}{expected}"), "{table:?}");
    }
    assert_eq!(see(&["own", "all"], "system", "queries"), "all");
}

#[test]
fn a_view_is_granted_with_its_table_or_alone_and_both_are_restricted_with_either_name() {
    let policy = policy(
        r#"
        [roles.table]
        tables = ["loans"]
        [roles.view]
        tables = ["loans_now"]
        [roles.views]
        tables = ["*_now"]
        [roles.prefix]
        tables = ["loans_*"]
        [roles.ruled]
        tables = ["loans_now"]
        rows = [{ table = "loans", column = "lender_id", in = "lender_id" }]
        masks = [{ table = "loans_now", column = "borrower", as = "null" }]
        [roles.both]
        tables = ["loans"]
        rows = [{ table = "loans_now", column = "lender_id", in = "lender_id" }]
        masks = [{ table = "loans", column = "borrower", as = "null" }]
        "#,
    );
    let ruled = "role ruled: rows with lender_id in lender_id (17), borrower as null";
    let both = ruled.replace("ruled", "both");
    for (role, table, view) in [
        ("table", "all", "all"),
        ("view", "hidden", "all"),
        ("views", "hidden", "all"),
        ("prefix", "hidden", "hidden"),
        ("ruled", "hidden", ruled),
        ("both", both.as_str(), both.as_str()),
    ] {
        let user = user(&[role], &["17"]);
        let names = View { table: "loans", view: "loans_now" };
        assert_eq!(told(&policy.see_table(&user, "public", names, &loans())), table, "{role}");
        assert_eq!(told(&policy.see_view(&user, "public", names, &loans())), view, "{role}");
        assert_eq!(told(&policy.see_view(&user, "live", names, &loans())), "hidden", "{role}");
        assert_eq!(policy.may_see(&user, "public", names), view != "hidden", "{role}");
    }
}

#[test]
fn a_table_that_lacks_the_column_of_a_rule_is_hidden() {
    let policy = policy(TEXT);
    let lender = user(&["lender"], &["17"]);
    let see = |fields: &Schema| told(&policy.see(&lender, "public", "lenders", fields));
    assert_eq!(see(&schema(&[("name", DataType::Utf8)])), "hidden");
    assert_eq!(see(&schema(&[("LENDER_ID", DataType::Utf8)])), "hidden");
    assert_eq!(see(&schema(&[("lender_id", DataType::Float64)])), "hidden");
    let of_system = schema(&[("statement", DataType::Utf8)]);
    let support = user(&["support"], &[]);
    assert_eq!(told(&policy.see(&support, "system", "queries", &of_system)), "hidden");
}

#[test]
fn without_a_value_no_row_is_seen() {
    let policy = policy(TEXT);
    for values in [&[][..], &[""], &[" ", "\u{a0}"]] {
        let seen = policy.see(&user(&["lender"], values), "public", "loans", &loans());
        let Seen::Ruled(rule) = seen else { panic!("it is granted") };
        assert!(rule.lets_no_row_pass() && rule.leaves_out_rows(), "{values:?}");
    }
    let mut nobody = user(&["lender"], &[]);
    nobody.attributes.clear();
    let Seen::Ruled(rule) = policy.see(&nobody, "public", "loans", &loans()) else { panic!() };
    assert!(rule.lets_no_row_pass());
}

#[test]
fn roles_add_to_each_other_row_by_row() {
    let policy = policy(TEXT);
    let both = user(&["lender", "analyst", "support"], &["17"]);
    let Seen::Ruled(rule) = policy.see(&both, "public", "loans", &loans()) else { panic!() };
    // `support` has no value, so it neither adds rows nor unmasks a column.
    assert_eq!(rule.grants.len(), 2);
    assert!(!rule.leaves_out_rows());
    let masked = rule.masked();
    assert_eq!(masked.keys().copied().collect::<Vec<_>>(), ["borrower"], "analyst shows age");
    assert_eq!(*masked["borrower"].kind, MaskKind::Null, "the stricter counts");
}

#[test]
fn a_role_that_shows_all_shows_all() {
    let policy = policy(
        "[roles.a]\ntables = [\"t\"]\n[roles.b]\ntables = [\"*\"]\nrows = [{ table \
                         = \"*\", column = \"x\", in = \"x\" }]",
    );
    assert_eq!(told(&policy.see(&user(&["a", "b"], &[]), "public", "t", &loans())), "all");
    assert_eq!(told(&policy.see(&user(&["b"], &[]), "public", "t", &loans())), "hidden");
}

#[test]
fn limits_are_the_most_generous_that_are_named() {
    let policy = policy(TEXT);
    let limits = policy.limits(&user(&["lender", "analyst", "support"], &[]));
    assert_eq!(limits.rows_max, Some(20));
    assert_eq!(limits.statements_max, Some(1));
    assert_eq!(limits.statement_timeout, Some(std::time::Duration::from_secs(1)));
    assert_eq!(policy.limits(&user(&["lender", "owner"], &[])), RoleLimits::default());
}

#[test]
fn a_reload_is_taken_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.toml");
    std::fs::write(&file, TEXT).unwrap();
    let rules = Rules::open(&file).unwrap();
    let lender = user(&["lender"], &["17"]);
    let see = || told(&rules.see(&lender, "public", "loans", &loans()));
    assert_ne!(see(), "hidden");
    std::fs::write(&file, "[roles.lender]\ntables = [1]").unwrap();
    assert!(rules.reload().unwrap_err().to_string().contains("users.toml:2:11"));
    assert_ne!(see(), "hidden");
    std::fs::write(&file, "[roles.lender]\ntables = []").unwrap();
    rules.reload().unwrap();
    assert_eq!(see(), "hidden");
    std::fs::remove_file(&file).unwrap();
    assert!(rules.reload().is_err());
    assert!(rules.has_users() && !Rules::none().has_users());
    assert_eq!(told(&Rules::none().see(&User::local("me"), "a", "b", &loans())), "all");
    assert_eq!(told(&Rules::none().see(&lender, "public", "loans", &loans())), "hidden");
}
