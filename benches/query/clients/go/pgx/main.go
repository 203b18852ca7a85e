// pgx 5: binary values, its five ways of running statements, batches, COPY, cancel by context.
package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

var main_ *pgx.Conn

func state(err error) string {
	var problem *pgconn.PgError
	if errors.As(err, &problem) {
		return problem.Code
	}
	return ""
}

func connect(more string) (*pgx.Conn, error) {
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	at := fmt.Sprintf("host=%s port=%s user=%s dbname=%s ", os.Getenv("PGHOST"),
		os.Getenv("PGPORT"), os.Getenv("PGUSER"), os.Getenv("PGDATABASE"))
	return pgx.Connect(ctx, at+more)
}

func connection() *pgx.Conn {
	if main_ == nil || main_.IsClosed() || main_.PgConn().TxStatus() != 'I' {
		drop()
		made, err := connect("")
		if err != nil {
			panic(err)
		}
		main_ = made
	}
	return main_
}

func drop() {
	if main_ != nil {
		main_.Close(context.Background())
	}
	main_ = nil
}

// answer reads all rows: names, OIDs, formats and values.
func answer(rows pgx.Rows) (any, error) {
	defer rows.Close()
	columns, found := []any{}, []any{}
	for _, field := range rows.FieldDescriptions() {
		columns = append(columns, []any{
			field.Name, field.DataTypeOID, field.DataTypeSize, field.TypeModifier, field.Format,
		})
	}
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			return nil, err
		}
		row := []any{}
		for _, one := range values {
			row = append(row, plain(one))
		}
		found = append(found, row)
	}
	if rows.Err() != nil {
		return nil, rows.Err()
	}
	return []any{columns, found, rows.CommandTag().String()}, nil
}

func ask(sql string, given ...any) (any, error) {
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
	defer stop()
	rows, err := connection().Query(ctx, sql, given...)
	if err != nil {
		return nil, err
	}
	return answer(rows)
}

func shared() {
	features := strings.Fields("bool int float numeric text bytea date time timestamp timestamptz " +
		"interval uuid json array tables p-bool p-int p-float p-numeric p-text p-bytea p-date " +
		"p-timestamp p-timestamptz p-uuid p-json p-array p-null p-inferred sqlstates types forms " +
		"catalog-rows casts")
	modes := map[string]pgx.QueryExecMode{
		"":                  pgx.QueryExecModeCacheStatement,
		" (describe)":       pgx.QueryExecModeCacheDescribe,
		" (describe, exec)": pgx.QueryExecModeDescribeExec,
		" (exec)":           pgx.QueryExecModeExec,
		" (simple)":         pgx.QueryExecModeSimpleProtocol,
	}
	for _, suffix := range []string{"", " (describe)", " (describe, exec)", " (exec)", " (simple)"} {
		for _, one := range cases(features...) {
			if suffix != "" && one.Rounds == 1 && !strings.HasPrefix(one.Feature, "p-") {
				continue
			}
			given := []any{modes[suffix]}
			for _, p := range one.Parameters {
				given = append(given, value(p.Type, p.Value))
			}
			times := one.Rounds
			if suffix != "" {
				times = 1
			}
			test(one.Feature, one.Case+suffix, times, state, func() (any, error) {
				return ask(one.SQL, given...)
			})
		}
	}
}

func batches() {
	test("pipeline", "SendBatch", 3, state, func() (any, error) {
		batch := &pgx.Batch{}
		for n := range 5 {
			batch.Queue("select $1::int4 + 1", n)
		}
		batch.Queue("select id from all_types order by id")
		results := connection().SendBatch(context.Background(), batch)
		defer results.Close()
		found := []any{}
		for range 6 {
			rows, err := results.Query()
			if err != nil {
				return nil, err
			}
			one, err := answer(rows)
			if err != nil {
				return nil, err
			}
			found = append(found, one)
		}
		return found, nil
	})
	test("pipeline", "SendBatch with an error", 2, state, func() (any, error) {
		batch := &pgx.Batch{}
		batch.Queue("select 1::int4")
		batch.Queue("select 1/0")
		batch.Queue("select 2::int4")
		results := connection().SendBatch(context.Background(), batch)
		found := []any{}
		for range 3 {
			_, err := results.Exec()
			if err != nil {
				found = append(found, state(err))
			} else {
				found = append(found, "ok")
			}
		}
		results.Close()
		after, err := ask("select 3::int4")
		return append(found, after), err
	})
	test("pipeline", "pgconn pipeline", 2, state, func() (any, error) {
		ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
		defer stop()
		pipeline := connection().PgConn().StartPipeline(ctx)
		pipeline.SendPrepare("p", "select $1::int4 + 1", nil)
		pipeline.SendQueryPrepared("p", [][]byte{[]byte("2")}, nil, nil)
		pipeline.SendFlushRequest()
		if err := pipeline.Flush(); err != nil {
			return nil, err
		}
		first, err := pipeline.GetResults()
		if err != nil {
			return nil, err
		}
		second, err := pipeline.GetResults()
		if err != nil {
			return nil, err
		}
		read := second.(*pgconn.ResultReader).Read()
		pipeline.SendDeallocate("p")
		if err := pipeline.Sync(); err != nil {
			return nil, err
		}
		found := []any{fmt.Sprintf("%T", first), string(read.Rows[0][0])}
		return found, pipeline.Close()
	})
	for _, sql := range []string{
		"copy (select * from all_types order by id) to stdout",
		"copy (select id, at from all_types order by id) to stdout (format binary)",
	} {
		feature := "copy-text"
		if strings.Contains(sql, "binary") {
			feature = "copy-binary"
		}
		test(feature, sql, 2, state, func() (any, error) {
			var out bytes.Buffer
			tag, err := connection().PgConn().CopyTo(context.Background(), &out, sql)
			return []any{tag.String(), hex.EncodeToString(out.Bytes())}, err
		})
	}
	test("read-only", "CopyFrom", 1, state, func() (any, error) {
		count, err := connection().CopyFrom(context.Background(), pgx.Identifier{"all_types"},
			[]string{"id"}, pgx.CopyFromRows([][]any{{int32(7)}}))
		return count, err
	})
}

func stopping() {
	slow := "select count(*) from generate_series(1, 100000) a, generate_series(1, 100000) b"
	for _, sql := range []string{"select pg_sleep(20)", slow} {
		test("cancel", "a context's end closes: "+sql, 1, state, func() (any, error) {
			ctx, stop := context.WithTimeout(context.Background(), 300*time.Millisecond)
			defer stop()
			began := time.Now()
			_, err := connection().Exec(ctx, sql)
			found := []any{err != nil, time.Since(began) < 3*time.Second}
			drop()
			after, err := ask("select 1::int4")
			return append(found, after), err
		})
	}
	test("cancel", "CancelRequest", 1, state, func() (any, error) {
		c := connection()
		go func() {
			time.Sleep(300 * time.Millisecond)
			c.PgConn().CancelRequest(context.Background())
		}()
		_, err := c.Exec(context.Background(), slow)
		after, problem := ask("select 1::int4")
		return []any{state(err), after}, problem
	})
}

func transactions() {
	levels := []pgx.TxIsoLevel{pgx.ReadCommitted, pgx.RepeatableRead, pgx.Serializable}
	for _, level := range levels {
		test("begin", string(level), 1, state, func() (any, error) {
			ctx := context.Background()
			tx, err := connection().BeginTx(ctx, pgx.TxOptions{
				IsoLevel: level, AccessMode: pgx.ReadOnly, DeferrableMode: pgx.Deferrable,
			})
			if err != nil {
				return nil, err
			}
			defer tx.Rollback(ctx)
			var found string
			err = tx.QueryRow(ctx, "show transaction_isolation").Scan(&found)
			return found, err
		})
	}
	test("savepoints", "nested", 2, state, func() (any, error) {
		ctx := context.Background()
		tx, err := connection().Begin(ctx)
		if err != nil {
			return nil, err
		}
		defer tx.Rollback(ctx)
		inner, err := tx.Begin(ctx)
		if err != nil {
			return nil, err
		}
		_, failed := inner.Exec(ctx, "select 1/0")
		if err := inner.Rollback(ctx); err != nil {
			return nil, err
		}
		var n int
		err = tx.QueryRow(ctx, "select 1::int4").Scan(&n)
		if err != nil {
			return nil, err
		}
		return []any{state(failed), n}, tx.Commit(ctx)
	})
}

func scanning() {
	test("tables", "Scan into Go's types", 3, state, func() (any, error) {
		var (
			id   int32
			i8   *int64
			f8   *float64
			flag *bool
			txt  *string
			at   *time.Time
			raw  []byte
			day  *time.Time
		)
		err := connection().QueryRow(context.Background(),
			"select id, i8, f8, flag, txt, at, raw, day from all_types where id = $1", 4,
		).Scan(&id, &i8, &f8, &flag, &txt, &at, &raw, &day)
		if err != nil {
			return nil, err
		}
		return []any{id, *i8, *f8, *flag, *txt, at.UTC().String(), string(raw), day.String()}, nil
	})
	test("array", "Scan into slices", 3, state, func() (any, error) {
		var ints []int32
		var texts []*string
		err := connection().QueryRow(context.Background(),
			"select array[1, 2]::int4[], array['a', null]::text[]").Scan(&ints, &texts)
		return fmt.Sprint(ints, len(texts)), err
	})
	test("reflection", "LoadType", 1, state, func() (any, error) {
		found, err := connection().LoadType(context.Background(), "_numeric")
		if err != nil {
			return nil, err
		}
		return []any{found.Name, found.OID}, nil
	})
	test("reflection", "LoadType of a row", 1, state, func() (any, error) {
		found, err := connection().LoadType(context.Background(), "all_types")
		if err != nil {
			return nil, err
		}
		return found.Name, nil
	})
	test("describe", "Prepare", 2, state, func() (any, error) {
		found, err := connection().Prepare(context.Background(), "d",
			"select id, txt from all_types where id = $1 and at > $2 limit $3")
		if err != nil {
			return nil, err
		}
		fields := []any{}
		for _, field := range found.Fields {
			fields = append(fields, []any{field.Name, field.DataTypeOID})
		}
		return []any{fields, fmt.Sprint(found.ParamOIDs)}, nil
	})
}

func starting() {
	secret := fmt.Sprintf("port=%s user=%s password='%s' ", os.Getenv("USERS_PORT"),
		os.Getenv("USERS_NAME"), os.Getenv("USERS_PASSWORD"))
	wrong := fmt.Sprintf("port=%s user=%s password=wrong ", os.Getenv("USERS_PORT"),
		os.Getenv("USERS_NAME"))
	for _, way := range [][3]string{
		{"password", "right", secret}, {"password", "wrong", wrong},
		{"ssl", "require", secret + "sslmode=require"},
		{"ssl", "verify-full", secret + "sslmode=verify-full sslrootcert=" +
			os.Getenv("RISKSTREAM_WORK") + "/server.crt"},
		{"database", "unknown", "dbname=nothing_here"},
		{"startup", "settings", "application_name=x statement_timeout=5000 timezone=Asia/Tokyo"},
		{"startup", "options", "options='-c statement_timeout=5s'"},
		{"tool-start", "read-write", "target_session_attrs=any"},
		{"tool-start", "read-only", "target_session_attrs=read-only"},
		{"tool-start", "primary", "target_session_attrs=primary"},
	} {
		test(way[0], way[1], 1, state, func() (any, error) {
			made, err := connect(way[2])
			if err != nil {
				return nil, err
			}
			defer made.Close(context.Background())
			var count int64
			var timeout string
			err = made.QueryRow(context.Background(), "select count(*) from all_types").Scan(&count)
			if err != nil {
				return nil, err
			}
			err = made.QueryRow(context.Background(), "show statement_timeout").Scan(&timeout)
			return []any{count, timeout}, err
		})
	}
	for _, sql := range []string{"", ";", "-- ping", "select 1; select 2"} {
		test("empty", fmt.Sprintf("%q", sql), 1, state, func() (any, error) {
			tag, err := connection().Exec(context.Background(), sql, pgx.QueryExecModeSimpleProtocol)
			return tag.String(), err
		})
	}
	test("empty", "Ping", 2, state, func() (any, error) {
		return "pong", connection().Ping(context.Background())
	})
}

func main() {
	starting()
	batches()
	stopping()
	transactions()
	scanning()
	shared()
}
