// `java Jdbc CLIENT`: MariaDB Connector/J.

import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.sql.*;
import java.util.*;

public class Jdbc {
    static final String BIG_UNIT = "0123456789abcdef";
    static final int LONG = 1000;
    static final int LET_IT_START = 400; // milliseconds

    static class Unsupported extends Exception {
        Unsupported(String text) { super(text); }
    }

    interface Work { Map<String, Object> run() throws Exception; }

    final Map<String, Object> given;
    Map<String, Object> login;
    Connection link;

    Jdbc(Map<String, Object> given) { this.given = given; }

    // --- values ---

    static String hex(byte[] bytes) { return HexFormat.of().formatHex(bytes); }

    static String digest(byte[] bytes) throws Exception { return hex(MessageDigest.getInstance("SHA-256").digest(bytes)); }

    static String shown(Object value) throws Exception {
        if (value == null) return null;
        if (value instanceof byte[] bytes) {
            return bytes.length > LONG ? bytes.length + " bytes, sha256 " + digest(bytes) : "0x" + hex(bytes);
        }
        if (value instanceof Boolean flag) return flag ? "1" : "0";
        String text = value.toString();
        if (text.length() <= LONG) return text;
        return text.codePointCount(0, text.length()) + " characters, sha256 " + digest(text.getBytes(StandardCharsets.UTF_8));
    }

    static void bind(PreparedStatement statement, List<?> args) throws SQLException {
        for (int i = 0; i < args.size(); i++) {
            List<?> pair = (List<?>) args.get(i);
            String text = (String) pair.get(1);
            int at = i + 1;
            switch ((String) pair.get(0)) {
                case "null" -> statement.setNull(at, Types.INTEGER);
                case "int" -> {
                    BigInteger number = new BigInteger(text);
                    if (number.bitLength() < 64) statement.setLong(at, number.longValue());
                    else statement.setBigDecimal(at, new BigDecimal(number));
                }
                case "float" -> statement.setDouble(at, Double.parseDouble(text));
                case "decimal" -> statement.setBigDecimal(at, new BigDecimal(text));
                case "bytes" -> statement.setBytes(at, HexFormat.of().parseHex(text));
                case "date" -> statement.setString(at, text); // MySQL 9.7 refuses the DATE that version 2.7.6 sends
                case "datetime" -> statement.setTimestamp(at, Timestamp.valueOf(text));
                case "big" -> statement.setString(at, BIG_UNIT.repeat(Integer.parseInt(text) / BIG_UNIT.length()));
                default -> statement.setString(at, text);
            }
        }
    }

    static Map<String, Object> map(Object... pairs) {
        Map<String, Object> made = new LinkedHashMap<>();
        for (int i = 0; i < pairs.length; i += 2) made.put((String) pairs[i], pairs[i + 1]);
        return made;
    }

    static Map<String, Object> result(Statement statement) throws Exception {
        ResultSet found = statement.getResultSet();
        if (found == null) {
            List<String> ids = new ArrayList<>();
            int affected = statement.getUpdateCount();
            try (ResultSet keys = statement.getGeneratedKeys()) {
                while (keys.next()) ids.add(keys.getString(1));
            } catch (SQLException none) {
                ids.add("none");
            }
            return map("columns", null, "rows", List.of(), "affected", affected, "id", ids);
        }
        ResultSetMetaData about = found.getMetaData();
        List<Object> columns = new ArrayList<>(), types = new ArrayList<>(), rows = new ArrayList<>();
        for (int i = 1; i <= about.getColumnCount(); i++) {
            columns.add(about.getColumnLabel(i));
            types.add(about.getColumnTypeName(i) + " " + about.isNullable(i));
        }
        while (found.next()) {
            List<Object> row = new ArrayList<>();
            for (int i = 1; i <= columns.size(); i++) row.add(shown(found.getObject(i)));
            rows.add(row);
        }
        found.close();
        return map("columns", columns, "types", types, "rows", rows);
    }

    static List<Object> results(Statement statement) throws Exception {
        List<Object> sets = new ArrayList<>();
        sets.add(result(statement));
        while (statement.getMoreResults() || statement.getUpdateCount() != -1) sets.add(result(statement));
        return sets;
    }

    // --- actions ---

    void open(Map<String, Object> next, String more) throws SQLException {
        login = next;
        Object database = next.get("database");
        String options = "?allowMultiQueries=true&allowLocalInfile=true&allowPublicKeyRetrieval=true&useServerPrepStmts=false"
            + (Boolean.TRUE.equals(next.get("tls")) ? "&useSsl=true&trustServerCertificate=true" : "&useSsl=false") + more;
        String url = "jdbc:mariadb://" + next.get("host") + ":" + next.get("port") + "/" + (database == null ? "" : database) + options;
        link = DriverManager.getConnection(url, (String) next.get("user"), (String) next.get("password"));
    }

    void close() {
        try {
            if (link != null) link.close();
        } catch (SQLException gone) {
            // It is closed either way.
        }
        link = null;
    }

    void reopen(Map<String, Object> next, String more) throws Exception {
        if ("latin1".equals(next.get("charset"))) throw new Unsupported("always speaks UTF-8");
        close();
        open(next, more);
    }

    List<Object> query(String sql, List<?> args) throws Exception {
        if (args.isEmpty()) {
            try (Statement statement = link.createStatement()) {
                statement.execute(sql, Statement.RETURN_GENERATED_KEYS);
                return results(statement);
            }
        }
        return prepared(sql, args);
    }

    List<Object> prepared(String sql, List<?> args) throws Exception {
        try (PreparedStatement statement = link.prepareStatement(sql, Statement.RETURN_GENERATED_KEYS)) {
            bind(statement, args);
            statement.execute();
            return results(statement);
        }
    }

    List<Object> call(String procedure, List<?> args) throws Exception {
        String marks = String.join(", ", Collections.nCopies(args.size(), "?"));
        try (CallableStatement statement = link.prepareCall("{call " + procedure + "(" + marks + ")}")) {
            bind(statement, args);
            statement.execute();
            return results(statement);
        }
    }

    List<Object> stream(String sql) throws Exception {
        long total = 0;
        try (Statement statement = link.createStatement(ResultSet.TYPE_FORWARD_ONLY, ResultSet.CONCUR_READ_ONLY)) {
            statement.setFetchSize(10);
            try (ResultSet found = statement.executeQuery(sql)) {
                while (found.next()) total += found.getString(2).length();
            }
        }
        return List.of(map("columns", List.of("all"), "rows", List.of(List.of("" + total))));
    }

    Map<String, Object> cancel(String sql) throws Exception {
        try (Statement statement = link.createStatement()) {
            List<Object> faults = Collections.synchronizedList(new ArrayList<>());
            long[] at = {0};
            Thread thread = new Thread(() -> {
                try {
                    Thread.sleep(LET_IT_START);
                    at[0] = System.nanoTime();
                    statement.cancel();
                } catch (Exception trouble) {
                    faults.add(trouble.toString());
                }
            });
            thread.start();
            Map<String, Object> found = attempt(() -> {
                statement.execute(sql);
                return map("sets", results(statement));
            });
            double seconds = at[0] == 0 ? -1 : (System.nanoTime() - at[0]) / 1e9;
            thread.join();
            Map<String, Object> all = new LinkedHashMap<>(found);
            all.put("faults", faults);
            all.put("cancelled after", seconds);
            return all;
        }
    }

    @SuppressWarnings("unchecked")
    Map<String, Object> perform(Map<String, Object> action) throws Exception {
        String sql = (String) action.get("sql");
        List<?> args = (List<?>) action.getOrDefault("args", List.of());
        switch ((String) action.get("do")) {
            case "query": return map("sets", query(sql, args));
            case "prepared":
                if (!link.getMetaData().getURL().contains("useServerPrepStmts=true")) reopen(login, "&useServerPrepStmts=true");
                return map("sets", prepared(sql, args));
            case "multi": return map("sets", query(sql, List.of()));
            case "call": return map("sets", call((String) action.get("procedure"), args));
            case "stream": return map("sets", stream(sql));
            case "infile": {
                String path = given.get("infile") + (action.containsKey("missing") ? ".missing" : "");
                return map("sets", query("LOAD DATA LOCAL INFILE '" + path + "' INTO TABLE " + action.get("table"), List.of()));
            }
            case "connect": {
                Map<String, Object> next = new LinkedHashMap<>((Map<String, Object>) given.get("login"));
                next.putAll((Map<String, Object>) action.get("changes"));
                reopen(next, "");
                return map();
            }
            case "reconnect": reopen(login, ""); return map();
            case "begin": link.setAutoCommit(false); return map();
            case "commit": link.commit(); link.setAutoCommit(true); return map();
            case "rollback": link.rollback(); link.setAutoCommit(true); return map();
            case "info": return map("value", link.getMetaData().getDatabaseProductName() + " " + link.getMetaData().getDatabaseProductVersion());
            case "warnings": {
                List<Object> texts = new ArrayList<>();
                for (SQLWarning w = link.getWarnings(); w != null; w = w.getNextWarning()) texts.add(w.getErrorCode() + " " + w.getMessage());
                return map("value", List.of(query("SHOW WARNINGS", List.of()), texts));
            }
            case "sleep": Thread.sleep((long) (((Number) action.get("seconds")).doubleValue() * 1000)); return map();
            case "cancel": return cancel(sql);
            case "logins": {
                int count = ((Number) action.get("count")).intValue();
                for (int i = 0; i < count; i++) {
                    reopen(login, "");
                    query("SELECT 1", List.of());
                }
                return map("value", count);
            }
            case "change user": throw new Unsupported("cannot change the user");
            case "reset": throw new Unsupported("resets connections only inside its pool");
        }
        throw new Unsupported("does not know " + action.get("do"));
    }

    static Map<String, Object> attempt(Work work) {
        try {
            return work.run();
        } catch (Unsupported trouble) {
            return map("unsupported", trouble.getMessage());
        } catch (SQLException trouble) {
            // The first line: others can hold the statement, 20 MB of it.
            String text = String.valueOf(trouble.getMessage()).split("\n")[0];
            return map("error", map("type", trouble.getClass().getSimpleName(), "code", trouble.getErrorCode(),
                "sqlstate", trouble.getSQLState(), "text", text.replaceAll("\\(conn=\\d+\\)", "(conn=<id>)")));
        } catch (Exception trouble) {
            return map("error", map("type", trouble.getClass().getSimpleName(), "code", null, "text", trouble.toString()));
        }
    }

    @SuppressWarnings("unchecked")
    List<Object> check(List<Object> actions) {
        Map<String, Object> opened = attempt(() -> {
            open((Map<String, Object>) given.get("login"), "");
            return null;
        });
        if (opened != null) return List.of(map("login", opened));
        List<Object> results = new ArrayList<>();
        for (Object each : actions) {
            Map<String, Object> action = (Map<String, Object>) each;
            Map<String, Object> found = attempt(() -> perform(action));
            results.add(found);
            if (found.containsKey("unsupported") || (found.containsKey("error") && !(Boolean) action.get("may fail"))) break;
        }
        close();
        return results;
    }

    @SuppressWarnings("unchecked")
    public static void main(String[] arguments) throws Exception {
        String input = new String(System.in.readAllBytes(), StandardCharsets.UTF_8);
        Jdbc client = new Jdbc((Map<String, Object>) new Json(input).value());
        var out = new java.io.PrintStream(new java.io.FileOutputStream(java.io.FileDescriptor.out), true, "UTF-8");
        for (Object each : (List<Object>) client.given.get("checks")) {
            Map<String, Object> check = (Map<String, Object>) each;
            long started = System.nanoTime();
            List<Object> results = client.check((List<Object>) check.get("actions"));
            double seconds = Math.round((System.nanoTime() - started) / 1e6) / 1e3;
            out.println(Json.written(map("check", check.get("name"), "results", results, "seconds", seconds)));
        }
        System.exit(0);
    }
}
