import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.ParameterMetaData;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;

/** What Arrow's JDBC driver gets from the port: URL NAME PASSWORD. A line for each check. */
final class Jdbc {
    private static boolean failed = false;

    private Jdbc() {}

    interface Work {
        String run() throws Exception;
    }

    static void check(String name, Work work) {
        try {
            String said = work.run();
            System.out.println("ok     JDBC: " + name + (said == null ? "" : " " + said));
        } catch (Throwable problem) {
            failed = true;
            System.out.println("FAILED JDBC: " + name + ": " + problem);
        }
    }

    static void same(Object expected, Object found) {
        if (!String.valueOf(expected).equals(String.valueOf(found))) {
            throw new AssertionError(found + " instead of " + expected);
        }
    }

    /** All rows as text, a bar between values, those columns only. */
    static List<String> rows(ResultSet result, String... names) throws SQLException {
        List<String> rows = new ArrayList<>();
        try (result) {
            ResultSetMetaData columns = result.getMetaData();
            while (result.next()) {
                List<String> row = new ArrayList<>();
                int all = names.length == 0 ? columns.getColumnCount() : 0;
                for (int place = 1; place <= all; place++) {
                    row.add(result.getString(place));
                }
                for (String name : names) {
                    row.add(result.getString(name));
                }
                rows.add(String.join("|", row.stream().map(String::valueOf).toList()));
            }
        }
        return rows;
    }

    static String refused(Work work) throws Exception {
        try {
            work.run();
        } catch (SQLException problem) {
            return String.valueOf(problem.getMessage());
        }
        throw new AssertionError("nothing was refused");
    }

    public static void main(String[] arguments) throws Exception {
        String url = arguments[0], name = arguments[1], password = arguments[2];
        try (Connection connection = DriverManager.getConnection(url, name, password)) {
            names(connection.getMetaData());
            abilities(connection.getMetaData());
            statements(connection);
            stopping(connection);
        }
        check("a wrong password", () -> {
            String said =
                    refused(() -> String.valueOf(DriverManager.getConnection(url, name, "x")));
            return said.contains("password authentication failed") ? null : said;
        });
        System.exit(failed ? 1 : 0);
    }

    static void names(DatabaseMetaData about) {
        check("catalogs", () -> {
            same("[riskstream]", rows(about.getCatalogs(), "TABLE_CAT"));
            return null;
        });
        check("schemas", () -> {
            same(true, rows(about.getSchemas(), "TABLE_SCHEM").contains("public"));
            same("[public]", rows(about.getSchemas(null, "pub%"), "TABLE_SCHEM"));
            return null;
        });
        check("table types", () -> {
            same("[TABLE, VIEW]", rows(about.getTableTypes()));
            return null;
        });
        check("tables", () -> {
            String[] kinds = {"TABLE"};
            ResultSet all = about.getTables(null, "public", "%", kinds);
            same("[payments|TABLE]", rows(all, "TABLE_NAME", "TABLE_TYPE"));
            same("[]", rows(about.getTables(null, null, "secrets", null)));
            return null;
        });
        check("columns", () -> {
            ResultSet all = about.getColumns(null, "public", "payments", "%");
            String[] wanted = {"COLUMN_NAME", "DATA_TYPE", "TYPE_NAME", "IS_NULLABLE", "REMARKS"};
            List<String> found = rows(all, wanted);
            same("cents", found.get(3).split("\\|")[0]);
            same("-5", found.get(3).split("\\|")[1]);
            return found.toString();
        });
        check("keys", () -> {
            same("[]", rows(about.getPrimaryKeys(null, "public", "payments")));
            same("[]", rows(about.getImportedKeys(null, "public", "payments")));
            same("[]", rows(about.getExportedKeys(null, "public", "payments")));
            same("[]", rows(about.getCrossReference(null, null, "a", null, null, "b")));
            return null;
        });
    }

    /** Every method without arguments answers or is not supported by the driver. */
    static void abilities(DatabaseMetaData about) {
        check("abilities", () -> {
            int answered = 0;
            for (var method : DatabaseMetaData.class.getMethods()) {
                if (method.getParameterCount() > 0) {
                    continue;
                }
                try {
                    Object said = method.invoke(about);
                    if (said instanceof ResultSet result) {
                        rows(result);
                    }
                    answered++;
                } catch (java.lang.reflect.InvocationTargetException problem) {
                    Throwable cause = problem.getCause();
                    boolean isUnsupported = cause instanceof UnsupportedOperationException
                            || cause instanceof java.sql.SQLFeatureNotSupportedException;
                    if (!isUnsupported) {
                        throw new AssertionError(method.getName() + ": " + cause);
                    }
                }
            }
            same("riskstream", about.getDatabaseProductName());
            same(true, about.isReadOnly());
            return answered + " answered";
        });
    }

    static void statements(Connection connection) {
        check("rows", () -> {
            try (Statement statement = connection.createStatement()) {
                String sql = "select id, lender, cents, at from payments order by id limit 2";
                ResultSetMetaData columns = statement.executeQuery(sql).getMetaData();
                same("id", columns.getColumnName(1));
                same("BIGINT", columns.getColumnTypeName(1));
                List<String> found = rows(statement.executeQuery(sql), "id", "lender", "cents");
                same("[0|17|0, 2|17|200]", found);
                return null;
            }
        });
        check("values", () -> {
            try (Statement statement = connection.createStatement()) {
                String sql = "select null as n, true as b, 1.5::float8 as f,"
                        + " date '1969-12-31' as d, 123.45::numeric(10,2) as m,"
                        + " array[1,2] as l, 'ä' as t, 7::smallint as s";
                ResultSet found = statement.executeQuery(sql);
                found.next();
                same(null, found.getString(1));
                same(true, found.getBoolean(2));
                same(1.5, found.getDouble(3));
                same("1969-12-31", found.getDate(4).toLocalDate());
                same("123.45", found.getBigDecimal(5));
                same("ä", found.getString(7));
                same(7, found.getInt(8));
                return null;
            }
        });
        check("parameters", () -> {
            String sql = "select id, cents from payments where id between ? and ? and lender = ?";
            try (PreparedStatement statement = connection.prepareStatement(sql)) {
                ParameterMetaData parameters = statement.getParameterMetaData();
                same(3, parameters.getParameterCount());
                for (int from = 0; from < 10; from++) {
                    statement.setLong(1, 2 * from);
                    statement.setLong(2, 2 * from + 1);
                    statement.setString(3, "17");
                    same("[" + 2 * from + "|" + 200 * from + "]", rows(statement.executeQuery()));
                }
                return null;
            }
        });
        check("errors leave the connection", () -> {
            try (Statement statement = connection.createStatement()) {
                String table = "select * from nothing", change = "delete from payments";
                for (String sql : List.of("selec 1", table, change)) {
                    refused(() -> String.valueOf(statement.executeQuery(sql)));
                    same("[1]", rows(statement.executeQuery("select 1")));
                }
                return null;
            }
        });
        check("many rows", () -> {
            try (Statement statement = connection.createStatement()) {
                String sql = "select i, 'text ' || i from generate_series(1, 200000) as t(i)";
                ResultSet result = statement.executeQuery(sql);
                long count = 0, sum = 0;
                while (result.next()) {
                    count++;
                    sum += result.getLong(1);
                }
                same(200_000L, count);
                same(20_000_100_000L, sum);
                return null;
            }
        });
    }

    static void stopping(Connection connection) {
        check("cancel", () -> {
            try (Statement statement = connection.createStatement()) {
                String sql = "select i from generate_series(1, 1000000000000) as t(i)";
                ResultSet result = statement.executeQuery(sql);
                result.next();
                statement.cancel();
                return null;
            }
        });
        check("another statement after it", () -> {
            try (Statement statement = connection.createStatement()) {
                same("[1]", rows(statement.executeQuery("select 1")));
                return null;
            }
        });
    }
}
