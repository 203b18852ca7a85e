SET extra_float_digits = 3
;;
SET application_name = 'DBeaver 25.0 - Main'
;;
-- rows
SELECT current_database(), current_schema(), session_user
;;
-- rows
SELECT version() like 'PostgreSQL %' as v
;;
-- rows
SELECT db.oid,db.* FROM pg_catalog.pg_database db WHERE 1<>1
;;
SELECT db.oid,db.* FROM pg_catalog.pg_database db WHERE datallowconn AND NOT datistemplate
OR db.datname ='riskstream' ORDER BY db.datname
;;
-- rows
SHOW search_path
;;
-- rows
SELECT n.oid,n.nspname,n.nspowner > 0 as owned,d.description FROM pg_catalog.pg_namespace n
LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=n.oid AND d.objsubid=0
AND d.classoid='pg_namespace'::regclass WHERE nspname = 'information_schema' ORDER BY nspname
;;
SELECT n.oid,n.*,d.description FROM pg_catalog.pg_namespace n LEFT OUTER JOIN
pg_catalog.pg_description d ON d.objoid=n.oid AND d.objsubid=0 AND
d.classoid='pg_namespace'::regclass ORDER BY nspname
;;
SELECT t.oid,t.*,c.relkind,format_type(nullif(t.typbasetype, 0), t.typtypmod) as base_type_name,
d.description FROM pg_catalog.pg_type t LEFT OUTER JOIN pg_catalog.pg_type et ON et.oid=t.typelem
LEFT OUTER JOIN pg_catalog.pg_class c ON c.oid=t.typrelid LEFT OUTER JOIN pg_catalog.pg_description
d ON t.oid=d.objoid WHERE t.typname IS NOT NULL AND (c.relkind IS NULL OR c.relkind = 'c') AND
(et.typcategory IS NULL OR et.typcategory <> 'C')
;;
-- rows
SELECT c.relname, c.relkind, d.description,
pg_catalog.pg_get_expr(c.relpartbound, c.oid) as partition_expr,
pg_catalog.pg_get_partkeydef(c.oid) as partition_key
FROM pg_catalog.pg_class c INNER JOIN pg_catalog.pg_namespace n ON n.oid=c.relnamespace
LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=c.oid AND d.objsubid=0 AND
d.classoid='pg_class'::regclass WHERE n.nspname='public' AND c.relkind not in ('i','I','c')
AND c.relname in ('all_types', 'portfolio', 'portfolio_now') ORDER BY c.relname
;;
SELECT c.oid,c.*,d.description,pg_catalog.pg_get_expr(c.relpartbound, c.oid) as partition_expr,
pg_catalog.pg_get_partkeydef(c.oid) as partition_key FROM pg_catalog.pg_class c INNER JOIN
pg_catalog.pg_namespace n ON n.oid=c.relnamespace LEFT OUTER JOIN pg_catalog.pg_description d ON
d.objoid=c.oid AND d.objsubid=0 AND d.classoid='pg_class'::regclass WHERE c.relnamespace=2200 AND
c.relkind not in ('i','I','c')
;;
-- rows
select c.relname, pg_catalog.pg_total_relation_size(c.oid) >= 0 as total_rel_size,
pg_catalog.pg_relation_size(c.oid) >= 0 as rel_size FROM pg_class c WHERE c.relnamespace=2200
and c.relname = 'all_types'
;;
-- rows
SELECT c.relname,a.attname,a.attnum,a.atttypid,a.atttypmod,a.attnotnull,
pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) as def_value,dsc.description,dep.objid
FROM pg_catalog.pg_attribute a INNER JOIN pg_catalog.pg_class c ON (a.attrelid=c.oid)
LEFT OUTER JOIN pg_catalog.pg_attrdef ad ON (a.attrelid=ad.adrelid AND a.attnum = ad.adnum)
LEFT OUTER JOIN pg_catalog.pg_description dsc ON (c.oid=dsc.objoid AND a.attnum = dsc.objsubid)
LEFT OUTER JOIN pg_depend dep on dep.refobjid = a.attrelid AND dep.deptype = 'i' and
dep.refobjsubid = a.attnum and dep.classid = dep.refclassid
WHERE NOT a.attisdropped AND a.attnum > 0 AND c.oid={all_types} ORDER BY a.attnum
;;
SELECT c.relname,a.*,pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) as def_value,
dsc.description,dep.objid FROM pg_catalog.pg_attribute a
INNER JOIN pg_catalog.pg_class c ON (a.attrelid=c.oid)
LEFT OUTER JOIN pg_catalog.pg_attrdef ad ON (a.attrelid=ad.adrelid AND a.attnum = ad.adnum)
LEFT OUTER JOIN pg_catalog.pg_description dsc ON (c.oid=dsc.objoid AND a.attnum = dsc.objsubid)
LEFT OUTER JOIN pg_depend dep on dep.refobjid = a.attrelid AND dep.deptype = 'i' and
dep.refobjsubid = a.attnum and dep.classid = dep.refclassid
WHERE NOT a.attisdropped AND c.relkind not in ('i','I','c') AND c.oid={all_types}
ORDER BY a.attnum
;;
SELECT c.oid,c.*,t.relname as tabrelname,rt.relnamespace as refnamespace,d.description,
case when c.contype='c' then "substring"(pg_get_constraintdef(c.oid), 7) else null end
consrc_copy FROM pg_catalog.pg_constraint c INNER JOIN pg_catalog.pg_class t ON t.oid=c.conrelid
LEFT OUTER JOIN pg_catalog.pg_class rt ON rt.oid=c.confrelid LEFT OUTER JOIN
pg_catalog.pg_description d ON d.objoid=c.oid AND d.objsubid=0 AND
d.classoid='pg_constraint'::regclass WHERE c.conrelid={all_types} ORDER BY c.oid
;;
SELECT i.*,i.indkey as keys,c.relname,c.relnamespace,c.relam,c.reltablespace,tc.relname as
tabrelname,dsc.description,pg_catalog.pg_get_expr(i.indpred, i.indrelid, true) as
pred_expr,pg_catalog.pg_get_expr(i.indexprs, i.indrelid, true) as
expr,pg_catalog.pg_relation_size(i.indexrelid) as index_rel_size,
pg_catalog.pg_stat_get_numscans(i.indexrelid) as index_num_scans
FROM pg_catalog.pg_index i INNER JOIN pg_catalog.pg_class c ON c.oid=i.indexrelid INNER JOIN
pg_catalog.pg_class tc ON tc.oid=i.indrelid LEFT OUTER JOIN pg_catalog.pg_description dsc ON
i.indexrelid=dsc.objoid WHERE i.indrelid={all_types} ORDER BY tabrelname, c.relname
;;
SELECT p.oid,p.*,pg_catalog.pg_get_expr(p.proargdefaults, 0) as arg_defaults,d.description FROM
pg_catalog.pg_proc p LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=p.oid AND
d.objsubid = 0 WHERE p.pronamespace=2200 ORDER BY p.proname
;;
SELECT x.oid,x.*,p.relname FROM pg_catalog.pg_trigger x LEFT OUTER JOIN pg_catalog.pg_class p ON
p.oid=x.tgrelid WHERE x.tgrelid={all_types} AND NOT x.tgisinternal
;;
SELECT r.oid,r.* FROM pg_catalog.pg_rewrite r WHERE r.ev_class={all_types}
;;
SELECT pol.oid,pol.* FROM pg_catalog.pg_policy pol WHERE pol.polrelid={all_types}
;;
-- rows
SELECT i.inhparent::regclass::text FROM pg_catalog.pg_inherits i WHERE i.inhrelid={all_types}
ORDER BY i.inhseqno
;;
SELECT a.oid,a.*,pd.description FROM pg_catalog.pg_roles a left join pg_catalog.pg_shdescription pd
on a.oid = pd.objoid ORDER BY a.rolname
;;
SELECT t.oid,t.*,pg_tablespace_location(t.oid) loc FROM pg_catalog.pg_tablespace t ORDER BY t.oid
;;
SELECT am.oid,am.* FROM pg_catalog.pg_am am ORDER BY am.oid
;;
SELECT c.oid,c.* FROM pg_catalog.pg_conversion c ORDER BY c.conname
;;
SELECT c.oid,c.* FROM pg_catalog.pg_collation c ORDER BY c.oid
;;
SELECT l.oid,l.* FROM pg_catalog.pg_language l ORDER BY l.oid
;;
SELECT l.oid,l.*,p.proname as handler_name FROM pg_catalog.pg_foreign_data_wrapper l LEFT OUTER JOIN
pg_catalog.pg_proc p ON p.oid=l.fdwhandler ORDER BY l.fdwname
;;
SELECT l.oid,l.* FROM pg_catalog.pg_foreign_server l ORDER BY l.srvname
;;
SELECT e.oid,e.*,n.nspname as schema_name FROM pg_catalog.pg_extension e JOIN
pg_catalog.pg_namespace n ON n.oid = e.extnamespace ORDER BY e.oid
;;
SELECT * FROM pg_catalog.pg_available_extensions ORDER BY name
;;
SELECT e.oid,e.* FROM pg_catalog.pg_event_trigger e ORDER BY e.oid
;;
SELECT * FROM pg_catalog.pg_settings
;;
SELECT relacl FROM pg_catalog.pg_class WHERE oid = {portfolio_now}
;;
SELECT oid, * FROM pg_catalog.pg_default_acl
;;
-- rows
SELECT pg_catalog.pg_database_size('riskstream') >= 0 as s
;;
-- rows
select string_agg(word, ',' order by word) from pg_catalog.pg_get_keywords() where word in
('select', 'abort')
;;
SELECT s.pid, s.usename, s.datname, s.state, s.query FROM pg_catalog.pg_stat_activity s
;;
SELECT * FROM pg_catalog.pg_locks
;;
-- rows
SELECT x.* FROM public.all_types x WHERE id = 4 LIMIT 200
;;
SELECT x.* FROM public.all_types x ORDER BY x.id LIMIT 200 OFFSET 2
;;
-- rows
SELECT count(*) FROM ( SELECT x.* FROM public.all_types x ) dbvrcnt
;;
-- rows
select pg_get_viewdef({portfolio_now}, true) is not null as v
;;
-- rows
SELECT typcategory FROM pg_catalog.pg_type WHERE oid = 1007
;;
-- rows
select oid::regclass::text from pg_class where oid = 'pg_class'::regclass
;;
EXPLAIN SELECT 1
;;
