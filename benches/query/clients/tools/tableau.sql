SET DateStyle = 'ISO';SET extra_float_digits = 2;SET client_min_messages = warning
;;
select oid, typbasetype from pg_type where typname = 'lo'
;;
-- rows
select current_schema()
;;
SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY
;;
-- rows
begin; declare "SQL_CUR7" cursor with hold for select id from all_types order by id;
fetch 2 in "SQL_CUR7"; commit; fetch 2 in "SQL_CUR7"; close "SQL_CUR7"
;;
-- rows
SAVEPOINT a
;;
-- rows
BEGIN;SAVEPOINT _EXEC_SVP_1;SELECT 1::int4;RELEASE _EXEC_SVP_1;COMMIT
;;
-- rows
SELECT SUM(1) AS "COL" FROM ( SELECT 1 AS "ONE" ) AS "CHECKTABLE" HAVING COUNT(1) > 0
;;
-- rows
SELECT "all_types"."flag" AS "flag", SUM("all_types"."i4") AS "sum:i4:ok", AVG(CAST("all_types"."id"
AS DOUBLE PRECISION)) AS "avg:id:ok" FROM "public"."all_types" "all_types" GROUP BY 1 ORDER BY 1
;;
-- rows
SELECT "t0"."id" AS "id" FROM ( ( "public"."all_types" "t0" INNER JOIN "public"."all_types" "t1" ON
("t0"."id" = "t1"."id") ) LEFT JOIN "public"."all_types" "t2" ON ("t1"."id" = "t2"."id") ) ORDER BY
1
;;
-- rows
SELECT DATE_TRUNC( 'MONTH', CAST("all_types"."at" AS DATE) ) AS "tmn:at:ok", COUNT(1) AS "cnt"
FROM "public"."all_types" "all_types" WHERE "all_types"."id" > 3 GROUP BY 1 ORDER BY 1
;;
-- rows
SELECT CAST(TRUNC(EXTRACT(YEAR FROM "all_types"."at")) AS INTEGER) AS "yr", COUNT(DISTINCT
"all_types"."flag") AS "ctd" FROM "public"."all_types" "all_types" WHERE (("all_types"."id" >= 4)
AND ("all_types"."id" <= 6)) GROUP BY 1 HAVING (COUNT(1) > 0) ORDER BY 1
;;
-- rows
SELECT (CASE WHEN ("all_types"."id" > 3) THEN 'a' WHEN NOT ("all_types"."id" > 3) THEN 'b' ELSE NULL
END) AS "calc", MIN("all_types"."txt" COLLATE "C") IS NOT NULL AS "m" FROM "public"."all_types"
"all_types" GROUP BY 1 ORDER BY 1
;;
-- rows
SELECT "all_types"."id" AS "id" FROM "public"."all_types" "all_types" INNER JOIN (SELECT
"all_types"."id" AS "id", COUNT(1) AS "x" FROM "public"."all_types" "all_types" GROUP BY 1 ORDER BY
2 DESC, 1 ASC LIMIT 3) "t0" ON ("all_types"."id" IS NOT DISTINCT FROM "t0"."id") ORDER BY 1
;;
-- rows
SELECT "t"."a" AS "a" FROM (SELECT (TIMESTAMP '2024-02-29 00:00:00.000') AS "a", DATE '2024-02-29'
AS
"b", CAST('2024-02-29' AS TIMESTAMP) AS "c" LIMIT 1) "t" WHERE "t"."b" >= DATE '2024-01-01'
;;
-- rows
SELECT TO_CHAR("all_types"."at", 'YYYY"-"MM') AS "m", CONCAT("all_types"."id", '-x') AS "c",
CAST("all_types"."id" AS TEXT) || 'y' AS "d" FROM "public"."all_types" "all_types" WHERE id > 3
ORDER BY id
;;
