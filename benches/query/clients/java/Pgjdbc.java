import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;

import java.io.ByteArrayOutputStream;
import java.lang.reflect.Method;
import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Types;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.concurrent.Callable;

/** pgjdbc, on which DBeaver, Metabase and DataGrip stand: values, fetch size, all metadata. */
final class Pgjdbc {
    private static final Set<String> BY_CASE =
            Set.of(
                    "bool",
                    "int",
                    "float",
                    "numeric",
                    "text",
                    "bytea",
                    "date",
                    "time",
                    "timestamp",
                    "timestamptz",
                    "interval",
                    "uuid",
                    "json",
                    "array",
                    "tables",
                    "p-bool",
                    "p-int",
                    "p-float",
                    "p-numeric",
                    "p-text",
                    "p-bytea",
                    "p-date",
                    "p-time",
                    "p-timestamp",
                    "p-timestamptz",
                    "p-uuid",
                    "p-json",
                    "p-array",
                    "p-null",
                    "p-inferred",
                    "sqlstates",
                    "read-only",
                    "settings",
                    "zone",
                    "float-digits",
                    "forms",
                    "types",
                    "catalog-rows",
                    "casts",
                    "current",
                    "schemata",
                    "row-statistics");
    private static Connection main;

    private static Connection connect(Map<String, String> more) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", Tests.USER);
        properties.setProperty("socketTimeout", "60");
        int port = Tests.PORT;
        String database = Tests.DATABASE;
        for (Map.Entry<String, String> entry : more.entrySet()) {
            switch (entry.getKey()) {
                case "port" -> port = Integer.parseInt(entry.getValue());
                case "database" -> database = entry.getValue();
                default -> properties.setProperty(entry.getKey(), entry.getValue());
            }
        }
        return DriverManager.getConnection(
                "jdbc:postgresql://" + Tests.HOST + ":" + port + "/" + database, properties);
    }

    private static Connection connection() throws SQLException {
        if (main == null || main.isClosed()) {
            main = connect(Map.of());
        }
        if (!main.getAutoCommit()) {
            main.rollback();
            main.setAutoCommit(true);
        }
        return main;
    }

    private static void drop() {
        try {
            if (main != null) {
                main.close();
            }
        } catch (SQLException ignored) {
            // It is gone.
        }
        main = null;
    }

    private static String state(Throwable problem) {
        return problem instanceof SQLException sql ? sql.getSQLState() : null;
    }

    private static void test(String feature, String name, int rounds, Callable<?> work) {
        Tests.test(feature, name, rounds, Pgjdbc::state, work);
    }

    private static Object shown(Object value) throws SQLException {
        if (value == null || value instanceof Boolean || value instanceof String) {
            return value;
        }
        if (value instanceof byte[] bytes) {
            return "bytes " + HexFormat.of().formatHex(bytes);
        }
        if (value instanceof java.sql.Array array) {
            return Arrays.asList(
                    array.getBaseTypeName(), Arrays.deepToString((Object[]) array.getArray()));
        }
        return value.getClass().getSimpleName() + " " + value;
    }

    private static Map<String, Object> answer(ResultSet rows) throws SQLException {
        ResultSetMetaData about = rows.getMetaData();
        List<Object> columns = new ArrayList<>();
        int count = about.getColumnCount();
        for (int i = 1; i <= count; i++) {
            columns.add(
                    Arrays.asList(
                            about.getColumnLabel(i),
                            about.getColumnTypeName(i),
                            about.getColumnType(i),
                            about.getColumnClassName(i),
                            about.getPrecision(i),
                            about.getScale(i)));
        }
        List<Object> found = new ArrayList<>();
        while (rows.next()) {
            List<Object> row = new ArrayList<>();
            for (int i = 1; i <= count; i++) {
                row.add(shown(rows.getObject(i)));
            }
            found.add(row);
        }
        rows.close();
        return Tests.map("columns", columns, "rows", found);
    }

    private static void set(PreparedStatement statement, int at, Map<String, Object> given)
            throws SQLException {
        String type = (String) given.get("type");
        Object raw = given.get("value");
        if (raw == null) {
            statement.setNull(at, type.endsWith("[]") ? Types.ARRAY : Types.NULL);
            return;
        }
        if (raw instanceof List<?> list) {
            String element = type.substring(0, type.length() - 2);
            Object[] parts =
                    list.stream()
                            .map(
                                    part ->
                                            part == null
                                                    ? null
                                                    : switch (element) {
                                                        case "int4" ->
                                                                (Object)
                                                                        Integer.valueOf(
                                                                                (String) part);
                                                        case "int8" -> Long.valueOf((String) part);
                                                        case "float8" ->
                                                                Double.valueOf((String) part);
                                                        default -> part;
                                                    })
                            .toArray();
            statement.setArray(at, statement.getConnection().createArrayOf(element, parts));
            return;
        }
        String text = (String) raw;
        switch (type) {
            case "bool" -> statement.setBoolean(at, text.equals("t"));
            case "int2" -> statement.setShort(at, Short.parseShort(text));
            case "int4" -> statement.setInt(at, Integer.parseInt(text));
            case "int8" -> statement.setLong(at, Long.parseLong(text));
            case "float4" -> statement.setFloat(at, Float.parseFloat(text));
            case "float8" -> statement.setDouble(at, Double.parseDouble(text));
            case "numeric" -> statement.setBigDecimal(at, new BigDecimal(text));
            case "bytea" -> statement.setBytes(at, HexFormat.of().parseHex(text));
            case "date" -> statement.setObject(at, LocalDate.parse(text));
            case "time" -> statement.setObject(at, LocalTime.parse(text));
            case "timestamp" -> statement.setObject(at, LocalDateTime.parse(text));
            case "timestamptz" -> statement.setObject(at, OffsetDateTime.parse(text));
            case "uuid" -> statement.setObject(at, UUID.fromString(text));
            case "json", "jsonb" -> statement.setObject(at, text, Types.OTHER);
            default -> statement.setString(at, text);
        }
    }

    private static Object run(Connection on, String sql, List<Map<String, Object>> given)
            throws SQLException {
        if (given.isEmpty()) {
            try (Statement statement = on.createStatement()) {
                return statement.execute(sql) ? answer(statement.getResultSet()) : "no rows";
            }
        }
        try (PreparedStatement statement = on.prepareStatement(sql.replaceAll("\\$\\d", "?"))) {
            return bound(statement, given);
        }
    }

    private static Object bound(PreparedStatement statement, List<Map<String, Object>> given)
            throws SQLException {
        for (int i = 0; i < given.size(); i++) {
            set(statement, i + 1, given.get(i));
        }
        return statement.execute() ? answer(statement.getResultSet()) : "no rows";
    }

    /** A case, ten times on one prepared statement: results turn to binary at the sixth. */
    private static void cases() throws Exception {
        for (Tests.Case one : Tests.cases()) {
            if (!BY_CASE.contains(one.feature())) {
                continue;
            }
            if (!one.before().isEmpty()) {
                test(
                        one.feature(),
                        one.name(),
                        1,
                        () -> {
                            drop();
                            for (String before : one.before()) {
                                run(connection(), before, List.of());
                            }
                            Object found = run(connection(), one.sql(), one.parameters());
                            drop();
                            return found;
                        });
                continue;
            }
            if (one.rounds() == 1) {
                test(
                        one.feature(),
                        one.name(),
                        1,
                        () -> run(connection(), one.sql(), one.parameters()));
                continue;
            }
            test(
                    one.feature(),
                    one.name(),
                    1,
                    () -> {
                        String sql = one.sql().replaceAll("\\$\\d", "?");
                        Object first = null;
                        try (PreparedStatement statement = connection().prepareStatement(sql)) {
                            for (int round = 1; round <= Tests.ROUNDS; round++) {
                                Object now = bound(statement, one.parameters());
                                if (first == null) {
                                    first = now;
                                } else if (!Tests.json(first).equals(Tests.json(now))) {
                                    return Tests.map(
                                            "error",
                                            "rounds differ",
                                            "first",
                                            first,
                                            "round",
                                            round,
                                            "now",
                                            now);
                                }
                            }
                        }
                        return first;
                    });
        }
    }

    private static void fetching() {
        for (int size : new int[] {1, 2, 10, 0}) {
            test(
                    "portals",
                    "fetch size " + size,
                    3,
                    () -> {
                        Connection on = connection();
                        on.setAutoCommit(false);
                        try (PreparedStatement statement =
                                on.prepareStatement(
                                        "select id, txt from all_types where id > ? order by id")) {
                            statement.setFetchSize(size);
                            statement.setInt(1, 0);
                            Object found = answer(statement.executeQuery());
                            on.commit();
                            return found;
                        }
                    });
        }
        test(
                "portals",
                "interleaved",
                3,
                () -> {
                    Connection on = connection();
                    on.setAutoCommit(false);
                    List<Object> found = new ArrayList<>();
                    try (Statement one = on.createStatement();
                            Statement two = on.createStatement()) {
                        one.setFetchSize(2);
                        two.setFetchSize(1);
                        ResultSet up = one.executeQuery("select id from all_types order by id");
                        ResultSet down =
                                two.executeQuery("select id from all_types order by id desc");
                        while (up.next() && down.next()) {
                            found.add(up.getInt(1) + " " + down.getInt(1));
                        }
                    }
                    on.commit();
                    return found;
                });
        test(
                "large",
                "by fetch size",
                1,
                () -> {
                    Connection on = connection();
                    on.setAutoCommit(false);
                    int count = 0;
                    try (Statement statement = on.createStatement()) {
                        statement.setFetchSize(1000);
                        ResultSet rows =
                                statement.executeQuery("select * from generate_series(1, 100000)");
                        while (rows.next()) {
                            count++;
                        }
                    }
                    on.commit();
                    return count;
                });
        test(
                "cancel",
                "setQueryTimeout",
                1,
                () -> {
                    try (Statement statement = connection().createStatement()) {
                        statement.setQueryTimeout(1);
                        return timed(statement, "select pg_sleep(20)");
                    }
                });
        test(
                "cancel",
                "cancel()",
                1,
                () -> {
                    try (Statement statement = connection().createStatement()) {
                        Thread thread =
                                new Thread(
                                        () -> {
                                            try {
                                                Thread.sleep(400);
                                                statement.cancel();
                                            } catch (Exception ignored) {
                                                // The statement tells.
                                            }
                                        });
                        thread.start();
                        Object found =
                                timed(
                                        statement,
                                        "select count(*) from generate_series(1, 100000) a,"
                                            + " generate_series(1, 100000) b");
                        thread.join();
                        return found;
                    }
                });
        test(
                "error-midway",
                "after 20000 rows",
                2,
                () -> {
                    String sql = "select 1000/(20000 - a) from generate_series(1, 30000) a";
                    try {
                        run(connection(), sql, List.of());
                        return "no error";
                    } catch (SQLException problem) {
                        return Arrays.asList(
                                problem.getSQLState(),
                                run(connection(), "select 1::int4", List.of()));
                    }
                });
    }

    private static Object timed(Statement statement, String sql) throws SQLException {
        try {
            statement.executeQuery(sql);
            return "it ended";
        } catch (SQLException problem) {
            return Arrays.asList(
                    problem.getSQLState(), run(connection(), "select 1::int4", List.of()));
        }
    }

    private static void statements() {
        test(
                "simple",
                "several results",
                1,
                () -> {
                    List<Object> found = new ArrayList<>();
                    try (Statement statement = connection().createStatement()) {
                        boolean rows =
                                statement.execute(
                                        "select 1::int4; set extra_float_digits = 1; select"
                                            + " 'x'::text");
                        while (rows || statement.getUpdateCount() != -1) {
                            found.add(
                                    rows
                                            ? answer(statement.getResultSet())
                                            : "count " + statement.getUpdateCount());
                            rows = statement.getMoreResults();
                        }
                    }
                    return found;
                });
        for (String sql : List.of("", ";", "-- ping", "/* a */")) {
            test("empty", "'" + sql + "'", 2, () -> run(connection(), sql, List.of()));
        }
        for (String mode :
                List.of("simple", "extended", "extendedForPrepared", "extendedCacheEverything")) {
            test(
                    "extended",
                    "preferQueryMode " + mode,
                    2,
                    () -> {
                        try (Connection on = connect(Map.of("preferQueryMode", mode))) {
                            List<Object> found = new ArrayList<>();
                            for (int round = 0; round < 7; round++) {
                                found.add(
                                        run(
                                                on,
                                                "select id, txt, at from all_types where id = $1",
                                                List.of(Map.of("type", "int4", "value", "4"))));
                            }
                            return found;
                        }
                    });
        }
        test(
                "pipeline",
                "executeBatch of queries is refused",
                1,
                () -> {
                    try (PreparedStatement statement =
                            connection().prepareStatement("select ?::int4")) {
                        for (int i = 0; i < 5; i++) {
                            statement.setInt(1, i);
                            statement.addBatch();
                        }
                        return Arrays.toString(statement.executeBatch());
                    }
                });
        test(
                "describe",
                "parameters and columns without a run",
                2,
                () -> {
                    String sql =
                            "select id, txt from all_types where id = ? and at > ? and txt like ?"
                                + " limit ?";
                    try (PreparedStatement statement = connection().prepareStatement(sql)) {
                        List<Object> found = new ArrayList<>();
                        for (int i = 1;
                                i <= statement.getParameterMetaData().getParameterCount();
                                i++) {
                            found.add(statement.getParameterMetaData().getParameterTypeName(i));
                        }
                        found.add(statement.getMetaData().getColumnTypeName(2));
                        return found;
                    }
                });
        for (String sql :
                List.of(
                        "copy (select * from all_types order by id) to stdout",
                        "copy (select id, txt from all_types order by id) to stdout (format csv,"
                            + " header)",
                        "copy (select id, at from all_types order by id) to stdout (format"
                            + " binary)")) {
            test(
                    sql.contains("binary") ? "copy-binary" : "copy-text",
                    sql,
                    2,
                    () -> {
                        ByteArrayOutputStream out = new ByteArrayOutputStream();
                        CopyManager copy = connection().unwrap(PGConnection.class).getCopyAPI();
                        long rows = copy.copyOut(sql, out);
                        return Arrays.asList(
                                (int) rows, HexFormat.of().formatHex(out.toByteArray()));
                    });
        }
        test(
                "read-only",
                "copyIn",
                1,
                () ->
                        connection()
                                .unwrap(PGConnection.class)
                                .getCopyAPI()
                                .copyIn(
                                        "copy all_types (id) from stdin",
                                        new java.io.StringReader("1\n")));
        test(
                "hold",
                "HOLD_CURSORS_OVER_COMMIT",
                1,
                () -> {
                    Connection on = connection();
                    try (Statement statement =
                            on.createStatement(
                                    ResultSet.TYPE_SCROLL_INSENSITIVE,
                                    ResultSet.CONCUR_READ_ONLY,
                                    ResultSet.HOLD_CURSORS_OVER_COMMIT)) {
                        ResultSet rows =
                                statement.executeQuery("select id from all_types order by id");
                        rows.last();
                        int last = rows.getInt(1);
                        rows.first();
                        return last + " " + rows.getInt(1);
                    }
                });
        test(
                "savepoints",
                "setSavepoint",
                2,
                () -> {
                    Connection on = connection();
                    on.setAutoCommit(false);
                    List<Object> found = new ArrayList<>();
                    Savepoint point = on.setSavepoint("a");
                    try {
                        run(on, "select 1/0", List.of());
                    } catch (SQLException problem) {
                        found.add(problem.getSQLState());
                    }
                    on.rollback(point);
                    found.add(run(on, "select 1::int4", List.of()));
                    on.releaseSavepoint(on.setSavepoint());
                    on.commit();
                    return found;
                });
        for (String saves : List.of("never", "always", "conservative")) {
            test(
                    "savepoints",
                    "autosave " + saves,
                    1,
                    () -> {
                        try (Connection on = connect(Map.of("autosave", saves))) {
                            on.setAutoCommit(false);
                            List<Object> found = new ArrayList<>();
                            for (String sql :
                                    List.of("select 1::int4", "select 1/0", "select 2::int4")) {
                                try {
                                    found.add(run(on, sql, List.of()));
                                } catch (SQLException problem) {
                                    found.add(problem.getSQLState());
                                }
                            }
                            on.rollback();
                            return found;
                        }
                    });
        }
        for (int level : new int[] {1, 2, 4, 8}) {
            test(
                    "begin",
                    "isolation " + level,
                    1,
                    () -> {
                        try (Connection on = connect(Map.of())) {
                            on.setTransactionIsolation(level);
                            on.setReadOnly(true);
                            on.setAutoCommit(false);
                            Object found = run(on, "show transaction isolation level", List.of());
                            on.commit();
                            return Arrays.asList(
                                    on.getTransactionIsolation(), on.isReadOnly(), found);
                        }
                    });
        }
        test(
                "pool",
                "isValid, setSchema, setClientInfo, abort",
                1,
                () -> {
                    try (Connection on = connect(Map.of())) {
                        on.setClientInfo("ApplicationName", "x");
                        on.setSchema("public");
                        on.setNetworkTimeout(Runnable::run, 1000);
                        return Arrays.asList(
                                on.isValid(3),
                                on.getSchema(),
                                on.getCatalog(),
                                on.getClientInfo("ApplicationName"),
                                run(on, "show application_name", List.of()));
                    }
                });
    }

    private static void starting() {
        for (String name :
                List.of("readOnly", "binaryTransfer", "loadBalanceHosts", "tcpKeepAlive")) {
            test(
                    "tool-start",
                    name,
                    1,
                    () -> {
                        try (Connection on = connect(Map.of(name, "true"))) {
                            return run(on, "select 1::int4", List.of());
                        }
                    });
        }
        for (String type :
                List.of("any", "primary", "secondary", "preferSecondary", "preferPrimary")) {
            test(
                    "tool-start",
                    "targetServerType " + type,
                    1,
                    () -> {
                        try (Connection on = connect(Map.of("targetServerType", type))) {
                            return run(on, "select 1::int4", List.of());
                        }
                    });
        }
        test(
                "startup",
                "options, ApplicationName, assumeMinServerVersion, currentSchema",
                1,
                () -> {
                    try (Connection on =
                            connect(
                                    Map.of(
                                            "options",
                                            "-c statement_timeout=5s",
                                            "ApplicationName",
                                            "x",
                                            "assumeMinServerVersion",
                                            "9.0",
                                            "currentSchema",
                                            "public"))) {
                        return Arrays.asList(
                                run(on, "show statement_timeout", List.of()),
                                run(on, "show application_name", List.of()),
                                run(on, "show search_path", List.of()));
                    }
                });
        for (String[] way :
                new String[][] {
                    {Tests.USERS_PASSWORD, "disable"},
                    {Tests.USERS_PASSWORD, "require"},
                    {"wrong", "disable"},
                    {Tests.USERS_PASSWORD, "verify-full"}
                }) {
            test(
                    way[1].equals("disable") ? "password" : "ssl",
                    way[0].equals("wrong") + " " + way[1],
                    1,
                    () -> {
                        try (Connection on =
                                connect(
                                        Map.of(
                                                "port",
                                                String.valueOf(Tests.USERS_PORT),
                                                "user",
                                                Tests.USERS_NAME,
                                                "password",
                                                way[0],
                                                "sslmode",
                                                way[1],
                                                "sslrootcert",
                                                System.getenv("RISKSTREAM_WORK")
                                                        + "/server.crt"))) {
                            return run(on, "select count(*) from all_types", List.of());
                        }
                    });
        }
        test("database", "unknown", 1, () -> connect(Map.of("database", "nothing_here")));
        test(
                "version",
                "protocolVersion 3.2",
                1,
                () -> {
                    try (Connection on = connect(Map.of("protocolVersion", "3.2"))) {
                        return run(on, "select 1::int4", List.of());
                    }
                });
    }

    /** Of a metadata result the rows of our tables, or all where they are none's. */
    private static Object listed(ResultSet rows) throws SQLException {
        Set<String> names = Set.of("all_types", "portfolio_now", "payments_scored");
        ResultSetMetaData about = rows.getMetaData();
        List<Object> columns = new ArrayList<>();
        int table = 0;
        for (int i = 1; i <= about.getColumnCount(); i++) {
            String name = about.getColumnLabel(i);
            columns.add(name + " " + about.getColumnTypeName(i));
            if (name.equalsIgnoreCase("TABLE_NAME")) {
                table = i;
            }
        }
        Set<String> found = new TreeSet<>();
        while (rows.next()) {
            if (table > 0 && !names.contains(rows.getString(table))) {
                continue;
            }
            List<Object> row = new ArrayList<>();
            for (int i = 1; i <= about.getColumnCount(); i++) {
                row.add(rows.getString(i));
            }
            found.add(Tests.json(row));
        }
        rows.close();
        return Arrays.asList(columns, new ArrayList<>(found));
    }

    /** Every method of DatabaseMetaData; those without arguments by their names. */
    private static void metadata() {
        Set<String> differ =
                Set.of(
                        "getURL",
                        "getConnection",
                        "getDatabaseProductVersion",
                        "getDatabaseMajorVersion",
                        "getDatabaseMinorVersion",
                        "getFunctions",
                        "getProcedures");
        Method[] methods = DatabaseMetaData.class.getMethods();
        Arrays.sort(
                methods,
                java.util.Comparator.comparing(Method::getName)
                        .thenComparing(Method::getParameterCount));
        for (Method method : methods) {
            if (method.getParameterCount() > 0
                    || differ.contains(method.getName())
                    || method.getDeclaringClass() != DatabaseMetaData.class) {
                continue;
            }
            test(
                    "metadata",
                    method.getName(),
                    1,
                    () -> {
                        Object found = method.invoke(connection().getMetaData());
                        return found instanceof ResultSet rows
                                ? listed(rows)
                                : String.valueOf(found);
                    });
        }
        interface Listing {
            ResultSet of(DatabaseMetaData about) throws SQLException;
        }
        Map<String, Listing> listings = new java.util.LinkedHashMap<>();
        listings.put("getTables", about -> about.getTables(null, null, "%", null));
        listings.put(
                "getTables of public",
                about -> about.getTables("riskstream", "public", "all%", new String[] {"TABLE"}));
        listings.put(
                "getTables of views",
                about -> about.getTables(null, "public", "%", new String[] {"VIEW"}));
        listings.put(
                "getTables of many kinds",
                about ->
                        about.getTables(
                                null,
                                "%",
                                "%",
                                new String[] {
                                    "TABLE",
                                    "PARTITIONED TABLE",
                                    "VIEW",
                                    "MATERIALIZED VIEW",
                                    "FOREIGN TABLE",
                                    "SYSTEM TABLE"
                                }));
        listings.put("getSchemas of a pattern", about -> about.getSchemas(null, "pub%"));
        listings.put("getColumns", about -> about.getColumns(null, "public", "all_types", null));
        listings.put(
                "getColumns of a view",
                about -> about.getColumns(null, null, "portfolio_now", "%"));
        listings.put(
                "getColumns of a column",
                about -> about.getColumns(null, "public", "all_types", "money"));
        listings.put("getPrimaryKeys", about -> about.getPrimaryKeys(null, "public", "all_types"));
        listings.put(
                "getImportedKeys", about -> about.getImportedKeys(null, "public", "all_types"));
        listings.put(
                "getExportedKeys", about -> about.getExportedKeys(null, "public", "all_types"));
        listings.put(
                "getCrossReference",
                about ->
                        about.getCrossReference(
                                null, "public", "all_types", null, "public", "portfolio"));
        listings.put(
                "getIndexInfo",
                about -> about.getIndexInfo(null, "public", "all_types", false, true));
        listings.put(
                "getBestRowIdentifier",
                about -> about.getBestRowIdentifier(null, "public", "all_types", 0, true));
        listings.put(
                "getVersionColumns", about -> about.getVersionColumns(null, "public", "all_types"));
        listings.put(
                "getTablePrivileges",
                about -> about.getTablePrivileges(null, "public", "all_types"));
        listings.put(
                "getColumnPrivileges",
                about -> about.getColumnPrivileges(null, "public", "all_types", "id"));
        listings.put("getProcedures", about -> about.getProcedures(null, null, "nothing%"));
        listings.put(
                "getProcedureColumns",
                about -> about.getProcedureColumns(null, null, "nothing%", null));
        listings.put("getFunctions", about -> about.getFunctions(null, null, "nothing%"));
        listings.put(
                "getFunctionColumns",
                about -> about.getFunctionColumns(null, null, "nothing%", null));
        listings.put("getUDTs", about -> about.getUDTs(null, "public", "nothing%", null));
        listings.put("getSuperTables", about -> about.getSuperTables(null, null, "%"));
        listings.put("getPseudoColumns", about -> about.getPseudoColumns(null, null, "%", "%"));
        listings.forEach(
                (name, listing) ->
                        test(
                                "metadata",
                                name,
                                1,
                                () -> listed(listing.of(connection().getMetaData()))));
    }

    public static void main(String[] arguments) throws Exception {
        starting();
        statements();
        fetching();
        metadata();
        cases();
        System.exit(0);
    }
}
