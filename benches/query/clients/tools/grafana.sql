-- rows
select current_setting('server_version_num')::int/100 >= 1500 as version
;;
-- rows
SELECT
  CASE WHEN quote_ident(table_schema) IN (
      SELECT CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END
      FROM generate_series(
             array_lower(string_to_array(current_setting('search_path'),','),1),
             array_upper(string_to_array(current_setting('search_path'),','),1)
           ) as i,
           string_to_array(current_setting('search_path'),',') s
    )
    THEN quote_ident(table_name)
    ELSE quote_ident(table_schema) || '.' || quote_ident(table_name)
  END AS "table"
FROM information_schema.tables
WHERE quote_ident(table_schema) NOT IN (
    'information_schema', 'pg_catalog', '_timescaledb_cache', '_timescaledb_catalog',
    '_timescaledb_internal', '_timescaledb_config', 'timescaledb_information', 'system')
  AND table_type = 'BASE TABLE' AND table_name IN ('all_types', 'portfolio')
ORDER BY 1
;;
-- rows
SELECT quote_ident(column_name) AS "column", data_type AS "type"
FROM information_schema.columns
WHERE CASE
    WHEN array_length(parse_ident('public.all_types'),1) = 2
      THEN quote_ident(table_schema) = (parse_ident('public.all_types'))[1]
        AND quote_ident(table_name) = (parse_ident('public.all_types'))[2]
    ELSE quote_ident(table_name) = 'public.all_types'
  END
ORDER BY ordinal_position
;;
-- rows
SELECT floor(extract(epoch from at)/60)*60 AS "time", count(*) AS n FROM all_types
WHERE at BETWEEN '2024-01-01T00:00:00Z' AND '2024-12-31T23:59:59.999Z' GROUP BY 1 ORDER BY 1
;;
-- rows
SELECT at AS "time", f8 FROM all_types
WHERE at BETWEEN '2024-02-29T12:00:00.500000000Z' AND '2024-06-15T10:00:00.000001000Z' ORDER BY 1
;;
-- rows
SELECT extract(epoch from at) as "time", txt as metric FROM all_types
WHERE extract(epoch from at) >= 1704067200 AND extract(epoch from at) <= 1735689599 ORDER BY 1
;;
-- rows
SELECT to_timestamp(floor(extract(epoch from at)/300)*300) as "time", sum(i4) FROM all_types
WHERE id > 3 GROUP BY 1 ORDER BY 1
;;
-- rows
SELECT date_bin('15 min', at, timestamptz '2000-01-01 00:00:00Z') as "time", max(f8) FROM all_types
WHERE id > 3 GROUP BY 1 ORDER BY 1
;;
-- rows
SELECT date_trunc('hour', at) AS "time", flag::text AS metric, count(*)::float8 AS value
FROM all_types WHERE id > 3 AND at > now() - interval '100 years' GROUP BY 1, 2 ORDER BY 1, 2
;;
-- rows
SELECT distinct lender_id AS __text, lender_id AS __value FROM portfolio_now ORDER BY 1
;;
-- rows
SELECT max(as_of) AS "time", lender_id AS metric, avg(par30) as value FROM portfolio_now
WHERE lender_id IN ('lender-1','lender-2') GROUP BY lender_id ORDER BY lender_id
;;
SELECT 1
;;
