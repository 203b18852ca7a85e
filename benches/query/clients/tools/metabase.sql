show timezone
;;
-- rows
SELECT "n"."nspname" AS "schema", "c"."relname" AS "name", CASE "c"."relkind" WHEN 'r' THEN 'TABLE'
  WHEN 'p' THEN 'PARTITIONED TABLE' WHEN 'v' THEN 'VIEW' WHEN 'f' THEN 'FOREIGN TABLE'
  WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE NULL END AS "type", "d"."description" AS "description",
  "stat"."n_live_tup" >= 0 AS "estimated"
FROM "pg_catalog"."pg_class" AS "c"
INNER JOIN "pg_catalog"."pg_namespace" AS "n" ON "c"."relnamespace" = "n"."oid"
LEFT JOIN "pg_catalog"."pg_description" AS "d" ON ("c"."oid" = "d"."objoid") AND ("d"."objsubid" =
0)
  AND ("d"."classoid" = 'pg_class'::regclass)
LEFT JOIN "pg_stat_user_tables" AS "stat" ON ("n"."nspname" = "stat"."schemaname")
  AND ("c"."relname" = "stat"."relname")
WHERE ("c"."relnamespace" = "n"."oid") AND ("n"."nspname" !~ '^pg_')
  AND ("n"."nspname" <> 'information_schema') AND c.relkind in ('r', 'p', 'v', 'f', 'm')
  AND ("n"."nspname" IN ('public')) AND c.relname in ('all_types', 'portfolio', 'portfolio_now')
ORDER BY "type" ASC, "schema" ASC, "name" ASC
;;
-- rows
SELECT "c"."column_name" AS "name", CASE WHEN "c"."udt_schema" IN ('public', 'pg_catalog')
  THEN FORMAT('%s', "c"."udt_name") ELSE FORMAT('"%s"."%s"', "c"."udt_schema", "c"."udt_name") END
  AS "database-type", "c"."ordinal_position" - 1 AS "database-position",
  "c"."table_schema" AS "table-schema", "c"."table_name" AS "table-name",
  "pk"."column_name" IS NOT NULL AS "pk?",
  COL_DESCRIPTION(CAST(CAST(FORMAT('%I.%I', CAST("c"."table_schema" AS TEXT),
    CAST("c"."table_name" AS TEXT)) AS REGCLASS) AS OID), "c"."ordinal_position") AS
    "field-comment",
  (("column_default" IS NULL) OR (LOWER("column_default") = 'null')) AND ("is_nullable" = 'NO')
    AND NOT ((("column_default" IS NOT NULL) AND ("column_default" LIKE '%nextval(%'))
      OR ("is_identity" <> 'NO')) AS "database-required",
  (("column_default" IS NOT NULL) AND ("column_default" LIKE '%nextval(%'))
    OR ("is_identity" <> 'NO') AS "database-is-auto-increment"
FROM "information_schema"."columns" AS "c"
LEFT JOIN (SELECT "tc"."table_schema", "tc"."table_name", "kc"."column_name"
  FROM "information_schema"."table_constraints" AS "tc"
  INNER JOIN "information_schema"."key_column_usage" AS "kc"
    ON ("tc"."constraint_name" = "kc"."constraint_name")
    AND ("tc"."table_schema" = "kc"."table_schema") AND ("tc"."table_name" = "kc"."table_name")
  WHERE "tc"."constraint_type" = 'PRIMARY KEY') AS "pk"
  ON ("c"."table_schema" = "pk"."table_schema") AND ("c"."table_name" = "pk"."table_name")
  AND ("c"."column_name" = "pk"."column_name")
WHERE c.table_schema !~ '^information_schema|catalog_history|pg_' AND c.table_schema IN ('public')
  AND c.table_name IN ('all_types')
UNION ALL
SELECT "pa"."attname" AS "name", CASE WHEN "ptn"."nspname" IN ('public', 'pg_catalog')
  THEN FORMAT('%s', "pt"."typname") ELSE FORMAT('"%s"."%s"', "ptn"."nspname", "pt"."typname") END
  AS "database-type", "pa"."attnum" - 1 AS "database-position", "pn"."nspname" AS "table-schema",
  "pc"."relname" AS "table-name", FALSE AS "pk?", NULL AS "field-comment",
  FALSE AS "database-required", FALSE AS "database-is-auto-increment"
FROM "pg_catalog"."pg_class" AS "pc"
INNER JOIN "pg_catalog"."pg_namespace" AS "pn" ON "pn"."oid" = "pc"."relnamespace"
INNER JOIN "pg_catalog"."pg_attribute" AS "pa" ON "pa"."attrelid" = "pc"."oid"
INNER JOIN "pg_catalog"."pg_type" AS "pt" ON "pt"."oid" = "pa"."atttypid"
INNER JOIN "pg_catalog"."pg_namespace" AS "ptn" ON "ptn"."oid" = "pt"."typnamespace"
WHERE ("pc"."relkind" = 'm') AND ("pa"."attnum" >= 1)
ORDER BY "table-schema" ASC, "table-name" ASC, "database-position" ASC
;;
-- rows
SELECT "fk_ns"."nspname" AS "fk-table-schema", "fk_table"."relname" AS "fk-table-name",
  "fk_column"."attname" AS "fk-column-name"
FROM "pg_constraint" AS "c"
INNER JOIN "pg_class" AS "fk_table" ON "c"."conrelid" = "fk_table"."oid"
INNER JOIN "pg_namespace" AS "fk_ns" ON "c"."connamespace" = "fk_ns"."oid"
INNER JOIN "pg_attribute" AS "fk_column" ON "c"."conrelid" = "fk_column"."attrelid"
INNER JOIN "pg_class" AS "pk_table" ON "c"."confrelid" = "pk_table"."oid"
INNER JOIN "pg_namespace" AS "pk_ns" ON "pk_table"."relnamespace" = "pk_ns"."oid"
INNER JOIN "pg_attribute" AS "pk_column" ON "c"."confrelid" = "pk_column"."attrelid"
WHERE fk_ns.nspname !~ '^information_schema|catalog_history|pg_' AND ("c"."contype" = 'f'::char)
  AND ("fk_column"."attnum" = ANY("c"."conkey")) AND ("pk_column"."attnum" = ANY("c"."confkey"))
ORDER BY "fk-table-schema" ASC, "fk-table-name" ASC
;;
-- rows
SELECT nspname, has_schema_privilege(nspname, 'USAGE') FROM pg_namespace WHERE nspname = 'public'
;;
-- rows
with table_privileges as (
  select NULL as role, t.schemaname as schema, t.objectname as table,
    pg_catalog.has_any_column_privilege(current_user, '"' || replace(t.schemaname, '"', '""') || '"'
      || '.' || '"' || replace(t.objectname, '"', '""') || '"', 'update') in (true, false) as
      update,
    pg_catalog.has_any_column_privilege(current_user, '"' || replace(t.schemaname, '"', '""') || '"'
      || '.' || '"' || replace(t.objectname, '"', '""') || '"', 'select') as select,
    pg_catalog.has_table_privilege(current_user, '"' || replace(t.schemaname, '"', '""') || '"'
      || '.' || '"' || replace(t.objectname, '"', '""') || '"', 'delete') in (true, false) as delete
  from (
    select schemaname, tablename as objectname from pg_catalog.pg_tables
    union
    select schemaname, viewname as objectname from pg_catalog.pg_views
    union
    select schemaname, matviewname as objectname from pg_catalog.pg_matviews
  ) t
  where t.schemaname !~ '^pg_' and t.schemaname <> 'information_schema'
    and pg_catalog.has_schema_privilege(current_user, t.schemaname, 'usage')
)
select t.* from table_privileges t where t.table in ('all_types', 'portfolio_now') order by t.table
;;
-- rows
SELECT "nspname", "typname" FROM "pg_type" AS "t" JOIN "pg_namespace" AS "n"
ON "n"."oid" = "t"."typnamespace" WHERE "t"."oid" IN (SELECT DISTINCT "enumtypid" FROM "pg_enum" AS
"e")
;;
-- rows
SELECT TRUE AS "_" FROM "public"."all_types" WHERE 1 <> 1 LIMIT 0
;;
-- rows
SELECT "public"."all_types"."id" AS "id", SUBSTRING("public"."all_types"."txt", 1, 1234) AS "txt"
FROM "public"."all_types" WHERE id in (3, 4) ORDER BY "public"."all_types"."id" ASC LIMIT 10000
;;
-- rows
SELECT DATE_TRUNC('month', "public"."all_types"."at") AS "at", COUNT(*) AS "count",
  SUM("public"."all_types"."money") AS "sum"
FROM "public"."all_types" WHERE ("public"."all_types"."at" >= timestamp with time zone
  '2024-01-01 00:00:00.000Z') AND ("public"."all_types"."at" < timestamp with time zone
  '2025-01-01 00:00:00.000Z')
GROUP BY DATE_TRUNC('month', "public"."all_types"."at")
ORDER BY DATE_TRUNC('month', "public"."all_types"."at") ASC
;;
-- rows
SELECT COUNT(*) AS "count" FROM "public"."all_types" WHERE "public"."all_types"."at" >=
  DATE_TRUNC('day', (NOW() + INTERVAL '-36500 day')) AND "public"."all_types"."at" <
  DATE_TRUNC('day', (NOW() + INTERVAL '1 day'))
;;
-- rows
SELECT CAST(extract(dow from "public"."all_types"."at") AS integer) + 1 AS "at", COUNT(*) AS "count"
FROM "public"."all_types" WHERE id > 3
GROUP BY CAST(extract(dow from "public"."all_types"."at") AS integer) + 1 ORDER BY 1
;;
-- rows
SELECT CAST(extract(hour from "public"."all_types"."at" AT TIME ZONE 'Europe/Berlin') AS integer)
AS "at" FROM "public"."all_types" WHERE id > 3 ORDER BY id
;;
-- rows
SELECT timezone('Europe/Berlin', at) FROM all_types WHERE id > 3 ORDER BY id
;;
-- rows
SELECT (CAST(DATE_TRUNC('week', CAST((CAST(at AS timestamp) + (INTERVAL '1 day')) AS timestamp))
AS timestamp) + (INTERVAL '-1 day')) AS "week" FROM "public"."all_types" WHERE id > 3 ORDER BY id
;;
-- rows
SELECT PERCENTILE_CONT(0.9) within group (order by "public"."all_types"."id") AS "p" FROM all_types
;;
-- rows
SELECT split_part(txt, ',', 1) AS host, SUBSTRING(txt FROM '[A-Z]+') AS sub, POSITION('U' IN txt)
FROM all_types WHERE id in (4, 5) ORDER BY id
;;
-- rows
SELECT FLOOR((("public"."all_types"."id" - 0.0) / 2.0)) * 2.0 + 0.0 AS "id", COUNT(*) AS "count"
FROM "public"."all_types" GROUP BY 1 ORDER BY 1
;;
-- rows
SELECT "source"."flag" AS "flag", AVG("source"."id") > 0 AS "avg" FROM (SELECT * FROM
"public"."all_types" WHERE (LOWER("public"."all_types"."txt") LIKE '%null%') OR
("public"."all_types"."txt" = '')) AS "source" GROUP BY "source"."flag" ORDER BY 1
;;
-- rows
SELECT CASE WHEN "id" > 3 THEN 'many' ELSE 'few' END AS "k", COUNT(distinct "flag"),
CAST(SUM(CASE WHEN "flag" THEN 1 ELSE 0.0 END) AS double precision) / NULLIF(COUNT(*), 0) AS "share"
FROM "all_types" GROUP BY 1 ORDER BY 1
;;
-- rows
SELECT "public"."all_types"."id", "other"."txt" AS "other__txt" FROM "public"."all_types"
LEFT JOIN "public"."all_types" AS "other" ON "public"."all_types"."id" = "other"."id" - 3 ORDER BY 1
;;
-- rows
SELECT sum("n") OVER (ORDER BY "id" ROWS UNBOUNDED PRECEDING) AS c FROM (SELECT id, 1 AS n
FROM all_types) s ORDER BY id
;;
