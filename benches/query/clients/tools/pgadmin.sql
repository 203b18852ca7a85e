SET DateStyle=ISO; SET client_min_messages=notice; SELECT set_config('bytea_output','hex',false)
FROM pg_show_all_settings() WHERE name = 'bytea_output'; SET client_encoding='UTF8'
;;
-- rows
SELECT version() like 'PostgreSQL%' as v
;;
SELECT db.oid as did, db.datname, db.datallowconn, pg_encoding_to_char(db.encoding) AS
serverencoding,
has_database_privilege(db.oid, 'CREATE') as cancreate, datistemplate
FROM pg_catalog.pg_database db WHERE db.datname = current_database()
;;
-- rows
SELECT gss_authenticated, encrypted FROM pg_catalog.pg_stat_gssapi WHERE pid = pg_backend_pid()
;;
SELECT roles.oid as id, roles.rolname as name, roles.rolsuper as is_superuser,
CASE WHEN roles.rolsuper THEN true ELSE roles.rolcreaterole END as can_create_role,
CASE WHEN roles.rolsuper THEN true ELSE roles.rolcreatedb END as can_create_db,
CASE WHEN 'pg_signal_backend'=ANY(ARRAY(WITH RECURSIVE cte AS (
SELECT pg_roles.oid,pg_roles.rolname FROM pg_roles WHERE pg_roles.oid = roles.oid
UNION ALL SELECT m.roleid,pgr.rolname FROM cte cte_1 JOIN pg_auth_members m ON m.member = cte_1.oid
JOIN pg_roles pgr ON pgr.oid = m.roleid) SELECT rolname FROM cte)) THEN True
ELSE False END as can_signal_backend
FROM pg_catalog.pg_roles as roles WHERE rolname = current_user
;;
SELECT usename, application_name, state, backend_type FROM pg_catalog.pg_stat_activity
WHERE pid = pg_backend_pid()
;;
SELECT count(*) FROM pg_catalog.pg_replication_slots
;;
SELECT slot_name, slot_type, active FROM pg_catalog.pg_replication_slots
;;
SELECT db.oid AS did, db.datname AS name, db.dattablespace AS spcoid, spcname, datallowconn,
pg_catalog.pg_get_userbyid(datdba) AS datowner, db.datacl, descr.description
FROM pg_catalog.pg_database db LEFT OUTER JOIN pg_catalog.pg_tablespace ta ON
db.dattablespace = ta.oid LEFT OUTER JOIN pg_catalog.pg_shdescription descr ON
(db.oid=descr.objoid AND descr.classoid='pg_database'::regclass) WHERE db.datname = 'riskstream'
ORDER BY datname
;;
-- rows
SELECT nsp.oid, nsp.nspname as name, pg_catalog.has_schema_privilege(nsp.oid, 'USAGE') as has_usage
FROM pg_catalog.pg_namespace nsp WHERE nspname NOT LIKE E'pg\\_%' AND nsp.nspname = 'public'
ORDER BY nspname
;;
-- rows
SELECT rel.relname AS name, (SELECT count(*) FROM pg_catalog.pg_trigger WHERE tgrelid=rel.oid AND
tgisinternal = FALSE) AS triggercount, (SELECT count(1) FROM pg_catalog.pg_inherits WHERE
inhrelid=rel.oid LIMIT 1) as is_inherits FROM pg_catalog.pg_class rel WHERE rel.relkind IN
('r','s','t','p') AND rel.relnamespace = 2200::oid AND NOT rel.relispartition AND
rel.relname in ('all_types', 'portfolio') ORDER BY rel.relname
;;
-- rows
SELECT DISTINCT att.attname as name, att.attnum as OID, pg_catalog.format_type(ty.oid,NULL) AS
datatype, att.attnotnull as not_null, CASE WHEN att.atthasdef OR att.attidentity != '' OR
ty.typdefault IS NOT NULL THEN True ELSE False END as has_default_val, des.description, seq.seqtypid
FROM pg_catalog.pg_attribute att JOIN pg_catalog.pg_type ty ON ty.oid=atttypid
JOIN pg_catalog.pg_namespace tn ON tn.oid=ty.typnamespace
JOIN pg_catalog.pg_class cl ON cl.oid=att.attrelid
JOIN pg_catalog.pg_namespace na ON na.oid=cl.relnamespace
LEFT OUTER JOIN pg_catalog.pg_type et ON et.oid=ty.typelem
LEFT OUTER JOIN pg_catalog.pg_attrdef def ON adrelid=att.attrelid AND adnum=att.attnum
LEFT OUTER JOIN (pg_catalog.pg_depend JOIN pg_catalog.pg_class cs ON
classid='pg_class'::regclass AND objid=cs.oid AND cs.relkind='S') ON refobjid=att.attrelid AND
refobjsubid=att.attnum
LEFT OUTER JOIN pg_catalog.pg_namespace ns ON ns.oid=cs.relnamespace
LEFT OUTER JOIN pg_catalog.pg_index pi ON pi.indrelid=att.attrelid AND indisprimary
LEFT OUTER JOIN pg_catalog.pg_description des ON (des.objoid=att.attrelid AND
des.objsubid=att.attnum AND des.classoid='pg_class'::regclass)
LEFT OUTER JOIN pg_catalog.pg_sequence seq ON cs.oid=seq.seqrelid
WHERE att.attrelid = {all_types}::oid AND att.attnum > 0 AND att.attisdropped IS FALSE
ORDER BY att.attnum
;;
SELECT at.attname, at.attnum, ty.typname FROM pg_catalog.pg_attribute at LEFT JOIN
pg_catalog.pg_type ty ON (ty.oid = at.atttypid) WHERE attrelid={all_types}::oid AND attnum = ANY (
(SELECT con.conkey FROM pg_catalog.pg_class rel LEFT OUTER JOIN pg_catalog.pg_constraint con ON
con.conrelid=rel.oid AND con.contype='p' WHERE rel.relkind IN ('r','s','t', 'p') AND rel.oid =
{all_types}::oid)::oid[])
;;
BEGIN; SELECT 1; ROLLBACK
;;
SELECT 'session_stats' AS chart_name, pg_catalog.row_to_json(t) AS chart_data FROM (SELECT
(SELECT count(*) FROM pg_catalog.pg_stat_activity) AS "Total") t
;;
SELECT (SELECT sum(xact_commit) FROM pg_catalog.pg_stat_database) AS "Commits",
(SELECT sum(blks_hit) FROM pg_catalog.pg_stat_database) AS "Hits"
;;
