import io.r2dbc.postgresql.PostgresqlConnectionConfiguration;
import io.r2dbc.postgresql.PostgresqlConnectionFactory;
import io.r2dbc.postgresql.api.PostgresqlConnection;
import io.r2dbc.postgresql.api.PostgresqlStatement;
import io.r2dbc.spi.ColumnMetadata;
import io.r2dbc.spi.IsolationLevel;
import io.r2dbc.spi.R2dbcException;
import io.r2dbc.spi.RowMetadata;

import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.Callable;

/** r2dbc-postgresql: asynchronous, extended protocol, binary values. */
final class R2dbc {
    private static final Duration LIMIT = Duration.ofSeconds(20);
    private static final Set<String> BY_CASE =
            Set.of(
                    "bool",
                    "int",
                    "float",
                    "numeric",
                    "text",
                    "date",
                    "time",
                    "timestamp",
                    "timestamptz",
                    "uuid",
                    "json",
                    "array",
                    "tables",
                    "p-bool",
                    "p-int",
                    "p-float",
                    "p-numeric",
                    "p-text",
                    "p-date",
                    "p-time",
                    "p-timestamp",
                    "p-timestamptz",
                    "p-uuid",
                    "p-inferred",
                    "sqlstates");
    private static PostgresqlConnection main;

    private static PostgresqlConnection connect(boolean users, String password, Integer fetch) {
        PostgresqlConnectionConfiguration.Builder builder =
                PostgresqlConnectionConfiguration.builder()
                        .host(Tests.HOST)
                        .port(users ? Tests.USERS_PORT : Tests.PORT)
                        .database(Tests.DATABASE)
                        .username(users ? Tests.USERS_NAME : Tests.USER)
                        .connectTimeout(Duration.ofSeconds(10));
        if (users) {
            builder.password(password);
        }
        if (fetch != null) {
            builder.fetchSize(fetch);
        }
        return new PostgresqlConnectionFactory(builder.build()).create().block(LIMIT);
    }

    private static PostgresqlConnection connection() {
        if (main == null
                || !Boolean.TRUE.equals(
                        Mono.from(main.validate(io.r2dbc.spi.ValidationDepth.LOCAL))
                                .block(LIMIT))) {
            main = connect(false, null, null);
        }
        return main;
    }

    private static String state(Throwable problem) {
        for (Throwable cause = problem; cause != null; cause = cause.getCause()) {
            if (cause instanceof R2dbcException found) {
                return found.getSqlState();
            }
        }
        return null;
    }

    private static void test(String feature, String name, int rounds, Callable<?> work) {
        Tests.test(feature, name, rounds, R2dbc::state, work);
    }

    private static Object shown(Object value) {
        if (value == null || value instanceof Boolean || value instanceof String) {
            return value;
        }
        if (value instanceof ByteBuffer buffer) {
            byte[] bytes = new byte[buffer.remaining()];
            buffer.get(bytes);
            return "bytes " + HexFormat.of().formatHex(bytes);
        }
        if (value instanceof Object[] array) {
            return Arrays.deepToString(array);
        }
        if (value instanceof io.r2dbc.postgresql.codec.Json json) {
            return "json " + json.asString();
        }
        return value.getClass().getSimpleName() + " " + value;
    }

    private static void names(RowMetadata about, List<Object> columns) {
        for (ColumnMetadata column : about.getColumnMetadatas()) {
            columns.add(
                    Arrays.asList(
                            column.getName(),
                            column.getType().getName(),
                            column.getPrecision(),
                            column.getScale()));
        }
    }

    private static Object run(
            PostgresqlConnection on, String sql, List<Map<String, Object>> given) {
        PostgresqlStatement statement = on.createStatement(sql);
        for (int i = 0; i < given.size(); i++) {
            String type = (String) given.get(i).get("type");
            String text = (String) given.get(i).get("value");
            String name = "$" + (i + 1);
            if (text == null) {
                statement.bindNull(name, String.class);
            } else {
                statement.bind(name, parameter(type, text));
            }
        }
        List<Object> rows = new ArrayList<>();
        List<Object> columns = new ArrayList<>();
        Flux.from(statement.execute())
                .concatMap(
                        result ->
                                result.map(
                                        (row, about) -> {
                                            List<Object> found = new ArrayList<>();
                                            if (columns.isEmpty()) {
                                                names(about, columns);
                                            }
                                            for (int i = 0;
                                                    i < about.getColumnMetadatas().size();
                                                    i++) {
                                                found.add(shown(row.get(i)));
                                            }
                                            return (Object) found;
                                        }))
                .collectList()
                .block(LIMIT)
                .forEach(rows::add);
        return Tests.map("columns", columns, "rows", rows);
    }

    private static Object parameter(String type, String text) {
        return switch (type) {
            case "bool" -> text.equals("t");
            case "int2" -> Short.valueOf(text);
            case "int4" -> Integer.valueOf(text);
            case "int8" -> Long.valueOf(text);
            case "float4" -> Float.valueOf(text);
            case "float8" -> Double.valueOf(text);
            case "numeric" -> new BigDecimal(text);
            case "date" -> LocalDate.parse(text);
            case "time" -> LocalTime.parse(text);
            case "timestamp" -> LocalDateTime.parse(text);
            case "timestamptz" -> OffsetDateTime.parse(text);
            case "uuid" -> UUID.fromString(text);
            default -> text;
        };
    }

    public static void main(String[] arguments) throws Exception {
        for (Tests.Case one : Tests.cases()) {
            boolean lists =
                    one.parameters().stream().anyMatch(given -> given.get("value") instanceof List);
            if (BY_CASE.contains(one.feature()) && !lists) {
                test(
                        one.feature(),
                        one.name(),
                        Math.min(one.rounds(), 6),
                        () -> run(connection(), one.sql(), one.parameters()));
            }
        }
        for (int size : new int[] {1, 2, 10}) {
            test(
                    "portals",
                    "fetch size " + size,
                    2,
                    () -> {
                        PostgresqlConnection on = connect(false, null, size);
                        Object found =
                                run(
                                        on,
                                        "select id, txt from all_types where id > $1 order by id",
                                        List.of(Map.of("type", "int4", "value", "0")));
                        on.close().block(LIMIT);
                        return found;
                    });
        }
        test(
                "status",
                "a failed transaction",
                1,
                () -> {
                    PostgresqlConnection on = connection();
                    on.beginTransaction().block(LIMIT);
                    List<Object> found = new ArrayList<>();
                    for (String sql : List.of("select 1::int4", "select 1/0", "select 2::int4")) {
                        try {
                            found.add(run(on, sql, List.of()));
                        } catch (RuntimeException problem) {
                            found.add(state(problem));
                        }
                    }
                    on.rollbackTransaction().block(LIMIT);
                    return found;
                });
        test(
                "savepoints",
                "createSavepoint",
                1,
                () -> {
                    PostgresqlConnection on = connection();
                    on.beginTransaction().block(LIMIT);
                    on.createSavepoint("a").block(LIMIT);
                    on.rollbackTransactionToSavepoint("a").block(LIMIT);
                    Object found = run(on, "select 1::int4", List.of());
                    on.commitTransaction().block(LIMIT);
                    return found;
                });
        for (IsolationLevel level :
                List.of(
                        IsolationLevel.READ_COMMITTED,
                        IsolationLevel.REPEATABLE_READ,
                        IsolationLevel.SERIALIZABLE)) {
            test(
                    "begin",
                    level.asSql(),
                    1,
                    () -> {
                        PostgresqlConnection on = connect(false, null, null);
                        on.setTransactionIsolationLevel(level).block(LIMIT);
                        return run(on, "show transaction_isolation", List.of());
                    });
        }
        test(
                "password",
                "right",
                1,
                () ->
                        run(
                                connect(true, Tests.USERS_PASSWORD, null),
                                "select count(*) from all_types",
                                List.of()));
        test("password", "wrong", 1, () -> connect(true, "wrong", null));
        test(
                "timeout",
                "setStatementTimeout",
                1,
                () -> {
                    PostgresqlConnection on = connect(false, null, null);
                    on.setStatementTimeout(Duration.ofMillis(300)).block(LIMIT);
                    return run(on, "select pg_sleep(10)", List.of());
                });
        System.exit(0);
    }
}
