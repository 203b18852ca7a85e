// lib/pq: database/sql's other driver: text values, prepared statements.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/lib/pq"
)

func state(err error) string {
	var problem *pq.Error
	if errors.As(err, &problem) {
		return string(problem.Code)
	}
	return ""
}

func open(more string) *sql.DB {
	at := fmt.Sprintf("host=%s port=%s user=%s dbname=%s sslmode=disable connect_timeout=10 ",
		os.Getenv("PGHOST"), os.Getenv("PGPORT"), os.Getenv("PGUSER"), os.Getenv("PGDATABASE"))
	db, err := sql.Open("postgres", at+more)
	if err != nil {
		panic(err)
	}
	db.SetMaxOpenConns(2)
	return db
}

func answer(rows *sql.Rows) (any, error) {
	defer rows.Close()
	kinds, err := rows.ColumnTypes()
	if err != nil {
		return nil, err
	}
	columns, found := []any{}, []any{}
	for _, kind := range kinds {
		precision, scale, known := kind.DecimalSize()
		columns = append(columns, []any{kind.Name(), kind.DatabaseTypeName(), precision, scale, known})
	}
	for rows.Next() {
		values, places := make([]any, len(kinds)), make([]any, len(kinds))
		for i := range values {
			places[i] = &values[i]
		}
		if err := rows.Scan(places...); err != nil {
			return nil, err
		}
		row := []any{}
		for _, one := range values {
			row = append(row, plain(one))
		}
		found = append(found, row)
	}
	return []any{columns, found}, rows.Err()
}

func ask(db *sql.DB, text string, given ...any) (any, error) {
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
	defer stop()
	rows, err := db.QueryContext(ctx, text, given...)
	if err != nil {
		return nil, err
	}
	return answer(rows)
}

func main() {
	db := open("")
	features := strings.Fields("bool int float numeric text bytea date time timestamp timestamptz " +
		"uuid json array tables p-bool p-int p-float p-numeric p-text p-bytea p-date p-timestamp " +
		"p-timestamptz p-uuid p-json p-array p-null p-inferred sqlstates forms types")
	for _, one := range cases(features...) {
		given := []any{}
		for _, p := range one.Parameters {
			found := value(p.Type, p.Value)
			if strings.HasSuffix(p.Type, "[]") {
				found = pq.Array(found)
			}
			given = append(given, found)
		}
		test(one.Feature, one.Case, min(one.Rounds, 6), state, func() (any, error) {
			return ask(db, one.SQL, given...)
		})
	}
	binary := open("binary_parameters=yes")
	for _, one := range cases("p-int", "p-text", "p-bytea", "p-bool", "p-inferred") {
		given := []any{}
		for _, p := range one.Parameters {
			given = append(given, value(p.Type, p.Value))
		}
		test(one.Feature, one.Case+" (binary_parameters)", 2, state, func() (any, error) {
			return ask(binary, one.SQL, given...)
		})
	}
	test("extended", "Prepare", rounds, state, func() (any, error) {
		statement, err := db.Prepare("select id, txt from all_types where id > $1 order by id")
		if err != nil {
			return nil, err
		}
		defer statement.Close()
		rows, err := statement.Query(3)
		if err != nil {
			return nil, err
		}
		return answer(rows)
	})
	test("simple", "several results", 2, state, func() (any, error) {
		rows, err := db.Query("select 1::int4 as a; select 2::int4 as b, 'x'::text as c")
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		found := []any{}
		for {
			columns, err := rows.Columns()
			if err != nil {
				return nil, err
			}
			found = append(found, columns)
			for rows.Next() {
				found = append(found, "a row")
			}
			if !rows.NextResultSet() {
				return found, rows.Err()
			}
		}
	})
	for _, level := range []sql.IsolationLevel{
		sql.LevelDefault, sql.LevelReadCommitted, sql.LevelRepeatableRead, sql.LevelSerializable,
	} {
		test("begin", level.String(), 1, state, func() (any, error) {
			options := &sql.TxOptions{Isolation: level, ReadOnly: true}
			tx, err := db.BeginTx(context.Background(), options)
			if err != nil {
				return nil, err
			}
			defer tx.Rollback()
			var found string
			err = tx.QueryRow("show transaction_isolation").Scan(&found)
			return found, err
		})
	}
	test("cancel", "a context's end", 1, state, func() (any, error) {
		ctx, stop := context.WithTimeout(context.Background(), 300*time.Millisecond)
		defer stop()
		began := time.Now()
		_, err := db.ExecContext(ctx, "select pg_sleep(20)")
		found := []any{err != nil, time.Since(began) < 3*time.Second}
		after, problem := ask(db, "select 1::int4")
		return append(found, after), problem
	})
	test("error-midway", "after 20000 rows", 2, state, func() (any, error) {
		_, err := ask(db, "select 1000/(20000 - a) from generate_series(1, 30000) a")
		after, problem := ask(db, "select 1::int4")
		return []any{state(err), after}, problem
	})
	for _, sql := range []string{"", ";", "-- ping"} {
		test("empty", fmt.Sprintf("%q", sql), 1, state, func() (any, error) {
			_, err := db.Exec(sql)
			return "done", err
		})
	}
	test("empty", "Ping", 2, state, func() (any, error) { return "pong", db.Ping() })
	secret := fmt.Sprintf("port=%s user=%s password='%s' ", os.Getenv("USERS_PORT"),
		os.Getenv("USERS_NAME"), os.Getenv("USERS_PASSWORD"))
	for _, way := range [][3]string{
		{"password", "right", secret},
		{"password", "wrong", secret + "password=wrong"},
		{"ssl", "require", secret + "sslmode=require"},
		{"database", "unknown", "dbname=nothing_here"},
		{"startup", "options", "options='-c statement_timeout=5s' application_name=x"},
	} {
		test(way[0], way[1], 1, state, func() (any, error) {
			other := open(way[2])
			defer other.Close()
			return ask(other, "select current_setting('statement_timeout') as t, count(*) from all_types")
		})
	}
	test("read-only", "CopyIn", 1, state, func() (any, error) {
		tx, err := db.Begin()
		if err != nil {
			return nil, err
		}
		defer tx.Rollback()
		_, err = tx.Prepare(pq.CopyIn("all_types", "id"))
		return "prepared", err
	})
}
