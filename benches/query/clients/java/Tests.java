import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.concurrent.Callable;

/** What the clients in Java share: tests one after another, a line of JSON each, and the cases. */
final class Tests {
    static final String HOST = System.getenv("PGHOST");
    static final int PORT = Integer.parseInt(System.getenv("PGPORT"));
    static final String USER = System.getenv("PGUSER");
    static final String DATABASE = System.getenv("PGDATABASE");
    static final int USERS_PORT = Integer.parseInt(System.getenv("USERS_PORT"));
    static final String USERS_NAME = System.getenv("USERS_NAME");
    static final String USERS_PASSWORD = System.getenv("USERS_PASSWORD");
    static final int ROUNDS = 10;

    private static final PrintStream OUT =
            new PrintStream(System.out, true, StandardCharsets.UTF_8);
    private static final int SKIP = Integer.parseInt(System.getenv("RISKSTREAM_SKIP"));
    private static final List<String> ONLY = only(System.getenv("RISKSTREAM_FEATURE"));
    private static int number = 0;

    private Tests() {}

    private static List<String> only(String text) {
        return text == null || text.isEmpty() ? List.of() : Arrays.asList(text.split(","));
    }

    /** Gives the SQLSTATE of an exception, or null. */
    interface State {
        String of(Throwable problem);
    }

    static void test(String feature, String name, int rounds, State state, Callable<?> work) {
        if (!ONLY.isEmpty() && !ONLY.contains(feature)) {
            return;
        }
        number++;
        if (number <= SKIP) {
            return;
        }
        say(map("begin", number, "feature", feature, "case", name));
        Object answer = null;
        for (int round = 0; round < rounds; round++) {
            Object now;
            try {
                now = work.call();
            } catch (Throwable problem) {
                String found = state.of(problem);
                String kind = found == null ? problem.getClass().getSimpleName() : found;
                now = map("error", kind, "text", String.valueOf(problem.getMessage()));
            }
            if (round == 0) {
                answer = now;
            } else if (!Objects.equals(json(answer), json(now))) {
                answer =
                        map(
                                "error",
                                "rounds differ",
                                "first",
                                answer,
                                "round",
                                round + 1,
                                "now",
                                now);
                break;
            }
            if (now instanceof Map && ((Map<?, ?>) now).containsKey("error")) {
                break;
            }
        }
        say(map("feature", feature, "case", name, "answer", answer));
    }

    private static void say(Object line) {
        OUT.println(json(line));
    }

    static Map<String, Object> map(Object... pairs) {
        Map<String, Object> map = new TreeMap<>();
        for (int i = 0; i < pairs.length; i += 2) {
            map.put((String) pairs[i], pairs[i + 1]);
        }
        return map;
    }

    static String json(Object value) {
        if (value == null || value instanceof Boolean || value instanceof Integer) {
            return String.valueOf(value);
        }
        if (value instanceof Map) {
            StringBuilder text = new StringBuilder("{");
            for (Map.Entry<?, ?> entry : ((Map<?, ?>) value).entrySet()) {
                text.append(text.length() > 1 ? "," : "");
                text.append(json(entry.getKey())).append(":").append(json(entry.getValue()));
            }
            return text.append("}").toString();
        }
        if (value instanceof List) {
            StringBuilder text = new StringBuilder("[");
            for (Object one : (List<?>) value) {
                text.append(text.length() > 1 ? "," : "").append(json(one));
            }
            return text.append("]").toString();
        }
        StringBuilder text = new StringBuilder("\"");
        for (char c : String.valueOf(value).toCharArray()) {
            if (c == '"' || c == '\\') {
                text.append('\\').append(c);
            } else if (c < 32) {
                text.append(String.format("\\u%04x", (int) c));
            } else {
                text.append(c);
            }
        }
        return text.append("\"").toString();
    }

    /** A shared case. */
    record Case(
            String feature,
            String name,
            String sql,
            int rounds,
            List<String> before,
            List<Map<String, Object>> parameters) {}

    @SuppressWarnings("unchecked")
    static List<Case> cases() throws Exception {
        String text = Files.readString(Path.of(System.getenv("RISKSTREAM_CASES")));
        List<Case> cases = new ArrayList<>();
        for (Object one : (List<Object>) new Reader(text).value()) {
            Map<String, Object> map = (Map<String, Object>) one;
            cases.add(
                    new Case(
                            (String) map.get("feature"),
                            (String) map.get("case"),
                            (String) map.get("sql"),
                            Integer.parseInt((String) map.get("rounds")),
                            (List<String>) map.get("before"),
                            (List<Map<String, Object>>) map.get("parameters")));
        }
        return cases;
    }

    /** Reads JSON; numbers stay texts. */
    private static final class Reader {
        private final String text;
        private int at = 0;

        Reader(String text) {
            this.text = text;
        }

        private char next() {
            while (Character.isWhitespace(text.charAt(at))) {
                at++;
            }
            return text.charAt(at);
        }

        Object value() {
            char c = next();
            if (c == '{') {
                Map<String, Object> map = new TreeMap<>();
                at++;
                while (next() != '}') {
                    String key = (String) value();
                    next();
                    at++;
                    map.put(key, value());
                    if (next() == ',') {
                        at++;
                    }
                }
                at++;
                return map;
            }
            if (c == '[') {
                List<Object> list = new ArrayList<>();
                at++;
                while (next() != ']') {
                    list.add(value());
                    if (next() == ',') {
                        at++;
                    }
                }
                at++;
                return list;
            }
            if (c == '"') {
                return string();
            }
            int begin = at;
            while (",]} \n\r\t".indexOf(text.charAt(at)) < 0) {
                at++;
            }
            String word = text.substring(begin, at);
            return word.equals("null") ? null : word;
        }

        private String string() {
            StringBuilder found = new StringBuilder();
            at++;
            while (text.charAt(at) != '"') {
                char c = text.charAt(at++);
                if (c == '\\') {
                    c = text.charAt(at++);
                    switch (c) {
                        case 'n' -> found.append('\n');
                        case 't' -> found.append('\t');
                        case 'r' -> found.append('\r');
                        case 'b' -> found.append('\b');
                        case 'f' -> found.append('\f');
                        case 'u' -> {
                            found.append((char) Integer.parseInt(text.substring(at, at + 4), 16));
                            at += 4;
                        }
                        default -> found.append(c);
                    }
                } else {
                    found.append(c);
                }
            }
            at++;
            return found.toString();
        }
    }
}
