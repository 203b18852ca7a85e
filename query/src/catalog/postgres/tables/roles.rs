//! Who there is: `pg_roles`, `pg_user`.

use super::super::known::{Known, OWNER};
use super::rows::Rows;

pub(super) fn pg_roles(known: &Known, rows: &mut Rows<'_>) {
    let all = &known.roles;
    let user = known.user_oid();
    rows.length(all.len())
        .oids("oid", all.iter().map(|(_, oid)| *oid))
        .texts("rolname", all.iter().map(|(name, _)| name))
        .bools("rolsuper", all.iter().map(|(_, oid)| *oid == OWNER && user != OWNER))
        .all("rolinherit", true)
        .all("rolcreaterole", false)
        .all("rolcreatedb", false)
        .bools("rolcanlogin", all.iter().map(|(_, oid)| *oid == user))
        .all("rolreplication", false)
        .all("rolconnlimit", -1)
        .all("rolpassword", "********")
        .all("rolbypassrls", false);
}

pub(super) fn pg_user(known: &Known, rows: &mut Rows<'_>) {
    rows.length(1)
        .all("usename", known.shown.user.as_str())
        .all("usesysid", known.user_oid())
        .all("usecreatedb", false)
        .all("usesuper", false)
        .all("userepl", false)
        .all("usebypassrls", false)
        .all("passwd", "********");
}
