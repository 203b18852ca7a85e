-- rows
select round(extract(epoch from pg_postmaster_start_time() at time zone 'UTC')) > 0 as startup
;;
-- rows
select L.transactionid::varchar::bigint as transaction_id from pg_catalog.pg_locks L
where L.transactionid is not null order by pg_catalog.age(L.transactionid) desc limit 1
;;
-- rows
select case when pg_catalog.pg_is_in_recovery() then null else
(pg_catalog.txid_current() % (2^32)::bigint)::varchar::bigint >= 0 end as current_txid
;;
select N.oid::bigint as id, datname as name, D.description, datistemplate as is_template,
datallowconn as allow_connections, pg_catalog.pg_get_userbyid(N.datdba) as "owner"
from pg_catalog.pg_database N left join pg_catalog.pg_shdescription D on N.oid = D.objoid
order by case when datname = pg_catalog.current_database() then -1::bigint else N.oid::bigint end
;;
select N.oid::bigint as id, N.xmin as state_number, nspname as name, D.description,
pg_catalog.pg_get_userbyid(N.nspowner) as "owner" from pg_catalog.pg_namespace N
left join pg_catalog.pg_description D on N.oid = D.objoid
order by case when nspname = pg_catalog.current_schema() then -1::bigint else N.oid::bigint end
;;
select R.oid::bigint as role_id, rolname as role_name, rolsuper is_super, rolinherit is_inherit,
rolcreaterole can_createrole, rolcreatedb can_createdb, rolcanlogin can_login,
rolreplication is_replication, rolconnlimit conn_limit, rolvaliduntil valid_until,
rolbypassrls bypass_rls, rolconfig config, D.description from pg_catalog.pg_roles R
left join pg_catalog.pg_shdescription D on D.objoid = R.oid
;;
select member id, roleid role_id, admin_option from pg_catalog.pg_auth_members order by id,
roleid::text
;;
select T.oid::bigint as id, T.spcname as name, T.xmin as state_number,
pg_catalog.pg_get_userbyid(T.spcowner) as owner, pg_catalog.pg_tablespace_location(T.oid) as
location,
T.spcoptions as options, D.description as comment from pg_catalog.pg_tablespace T
left join pg_catalog.pg_shdescription D on D.objoid = T.oid
;;
select A.oid as access_method_id, A.xmin as state_number, A.amname as access_method_name,
A.amhandler::oid as handler_id, pg_catalog.quote_ident(N.nspname) || '.' ||
pg_catalog.quote_ident(P.proname) as handler_name, A.amtype as access_method_type
from pg_am A join pg_proc P on A.amhandler::oid = P.oid join pg_namespace N on P.pronamespace =
N.oid
;;
select T.relkind as table_kind, T.relname as table_name, T.oid as table_id, T.xmin as
table_state_number, false as table_with_oids, T.reltablespace as tablespace_id, T.reloptions as
options, T.relpersistence as persistence, (select pg_catalog.array_agg(inhparent::bigint order by
inhseqno)::varchar from pg_catalog.pg_inherits where T.oid = inhrelid) as ancestors,
(select pg_catalog.array_agg(inhrelid::bigint order by inhrelid)::varchar from
pg_catalog.pg_inherits where T.oid = inhparent) as successors, T.relispartition as is_partition,
pg_catalog.pg_get_partkeydef(T.oid) as partition_key, pg_catalog.pg_get_expr(T.relpartbound, T.oid)
as partition_expression, T.relam am_id, pg_catalog.pg_get_userbyid(T.relowner) as "owner"
from pg_catalog.pg_class T where relnamespace = 2200::oid and relkind in ('r', 'm', 'v', 'f', 'p')
order by table_kind, table_id
;;
with T as (select T.oid as table_id, T.relname as table_name from pg_catalog.pg_class T
where T.relnamespace = 2200::oid and T.relkind in ('r', 'm', 'v', 'f', 'p'))
select T.table_id, C.attnum as column_position, C.attname as column_name, C.xmin as
column_state_number, C.atttypmod as type_mod, C.attndims as dimensions_number,
pg_catalog.format_type(C.atttypid, C.atttypmod) as type_spec, C.atttypid as type_id,
C.attnotnull as mandatory, pg_catalog.pg_get_expr(D.adbin, T.table_id) as
column_default_expression, not C.attislocal as column_is_inherited, C.attfdwoptions as options,
C.attisdropped as column_is_dropped, C.attidentity as identity_kind, C.attgenerated as generated
from T join pg_catalog.pg_attribute C on T.table_id = C.attrelid
left join pg_catalog.pg_attrdef D on (C.attrelid, C.attnum) = (D.adrelid, D.adnum)
where attnum > 0 order by table_id, attnum
;;
-- rows
select D.objoid = {all_types} as id, case when 'v'::char = D.description then 1 else 0 end as sub,
D.objsubid as position, D.description from pg_catalog.pg_description D
join pg_catalog.pg_class C on D.objoid = C.oid where C.relnamespace = 2200::oid and
C.relkind in ('r', 'm', 'v', 'p', 'f') and D.classoid = 'pg_catalog.pg_class'::regclass
and C.relname = 'all_types' order by D.objsubid
;;
select T.oid table_id, relkind table_kind, C.oid::bigint con_id,
pg_catalog.int8(C.xmin::text::bigint)
con_state_id, conname con_name, contype con_kind, conkey con_columns, conindid index_id,
confrelid ref_table_id, condeferrable is_deferrable, condeferred is_init_deferred, confupdtype
on_update, confdeltype on_delete, connoinherit no_inherit, pg_catalog.pg_get_expr(conbin, T.oid)
con_expression, confkey ref_columns, conexclop::int[] excl_operators
from pg_catalog.pg_constraint C join pg_catalog.pg_class T on C.conrelid = T.oid
where relkind in ('r', 'v', 'f', 'p') and relnamespace = 2200::oid and contype in ('p', 'u', 'f',
'c', 'x')
;;
select pg_catalog.pg_get_viewdef(T.oid, true) as source_text from pg_catalog.pg_class T
where relnamespace = 2200::oid and relkind in ('m', 'v')
;;
select T.oid as type_id, T.xmin as type_state_number, T.typname as type_name, T.typtype as
type_sub_kind, T.typcategory as type_category, T.typrelid as class_id, T.typbasetype as
base_type_id, case when T.typtype in ('c', 'e') then null else pg_catalog.format_type(T.typbasetype,
T.typtypmod) end as type_def, T.typndims as dimensions_number, T.typdefault as default_expression,
T.typnotnull as mandatory, pg_catalog.pg_get_userbyid(T.typowner) as "owner"
from pg_catalog.pg_type T where T.typnamespace = 2200::oid and (T.typtype in ('d','e') or
coalesce((select C.relkind = 'c' from pg_catalog.pg_class C where C.oid = T.typrelid), false) or
(T.typtype = 'b' and (T.typelem = 0 OR T.typcategory <> 'A')) or T.typtype = 'p' and not
T.typisdefined) order by 1
;;
SET intervalstyle TO 'postgres'
;;
select name, is_dst from pg_catalog.pg_timezone_names union distinct select abbrev as name, is_dst
from pg_catalog.pg_timezone_abbrevs
;;
SHOW DateStyle
;;
-- rows
select t.* from public.all_types t where id = 4 limit 501
;;
