// `java Postgres`: pgjdbc.

import java.io.FileInputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.sql.*;
import java.util.*;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.util.PSQLException;

public class Postgres {
    static final int LONG = 1000;
    static final int LET_IT_START = 400; // milliseconds

    static class Unsupported extends Exception {
        Unsupported(String text) { super(text); }
    }

    interface Work { Map<String, Object> run() throws Exception; }

    final Map<String, Object> given;
    Map<String, Object> login;
    Connection link;

    Postgres(Map<String, Object> given) { this.given = given; }

    // --- values ---

    static String hex(byte[] bytes) { return HexFormat.of().formatHex(bytes); }

    static String shown(Object value) throws Exception {
        if (value == null) return null;
        if (value instanceof byte[] bytes) return "0x" + hex(bytes);
        String text = value.toString();
        if (text.length() <= LONG) return text;
        byte[] sum = MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
        return text.length() + " characters, sha256 " + hex(sum);
    }

    static Map<String, Object> map(Object... pairs) {
        Map<String, Object> made = new LinkedHashMap<>();
        for (int i = 0; i < pairs.length; i += 2) made.put((String) pairs[i], pairs[i + 1]);
        return made;
    }

    static Map<String, Object> result(Statement statement) throws Exception {
        ResultSet found = statement.getResultSet();
        if (found == null) return map("columns", null, "rows", List.of(), "affected", statement.getUpdateCount());
        ResultSetMetaData about = found.getMetaData();
        List<Object> columns = new ArrayList<>(), rows = new ArrayList<>();
        for (int i = 1; i <= about.getColumnCount(); i++) columns.add(about.getColumnLabel(i) + " " + about.getColumnTypeName(i));
        while (found.next()) {
            List<Object> row = new ArrayList<>();
            for (int i = 1; i <= columns.size(); i++) row.add(shown(found.getObject(i)));
            rows.add(row);
        }
        found.close();
        return map("columns", columns, "rows", rows);
    }

    static void bind(PreparedStatement statement, List<?> args) throws SQLException {
        for (int i = 0; i < args.size(); i++) statement.setString(i + 1, (String) ((List<?>) args.get(i)).get(1));
    }

    // --- actions ---

    void open(Map<String, Object> next) throws Exception {
        if (next.containsKey("socket")) throw new Unsupported("has no Unix sockets without a library of its own");
        if ("direct".equals(next.get("tls"))) throw new Unsupported("pgjdbc 42.5 has no TLS at once");
        login = next;
        String url = "jdbc:postgresql://" + next.get("host") + ":" + next.get("port") + "/" + next.get("database")
            + "?sslmode=" + (Boolean.TRUE.equals(next.get("tls")) ? "require" : "disable") + "&prepareThreshold=3&loginTimeout=20";
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

    Map<String, Object> query(String sql) throws Exception {
        try (Statement statement = link.createStatement()) {
            List<Object> sets = new ArrayList<>();
            statement.execute(sql);
            do sets.add(result(statement)); while (statement.getMoreResults() || statement.getUpdateCount() != -1);
            return map("sets", sets);
        }
    }

    Map<String, Object> prepared(String sql, List<?> all) throws Exception {
        List<Object> sets = new ArrayList<>();
        try (PreparedStatement statement = link.prepareStatement(sql.replaceAll("\\$\\d+", "?"))) {
            for (Object args : all) {
                bind(statement, (List<?>) args);
                statement.execute();
                sets.add(result(statement));
            }
        }
        return map("sets", sets);
    }

    /** Batches are sent as one pipeline. */
    Map<String, Object> pipeline(int count) throws Exception {
        link.createStatement().execute("CREATE TEMP TABLE piped (n int)");
        try (PreparedStatement statement = link.prepareStatement("INSERT INTO piped VALUES (?)")) {
            for (int i = 0; i < count; i++) {
                statement.setInt(1, i);
                statement.addBatch();
            }
            return map("value", Arrays.stream(statement.executeBatch()).boxed().toList(), "sum", query("SELECT sum(n) FROM piped"));
        }
    }

    Map<String, Object> stream(String sql) throws Exception {
        long total = 0;
        link.setAutoCommit(false);
        try (Statement statement = link.createStatement()) {
            statement.setFetchSize(500);
            try (ResultSet found = statement.executeQuery(sql)) {
                while (found.next()) total += found.getString(2).length();
            }
        }
        link.commit();
        link.setAutoCommit(true);
        return map("sets", List.of(map("rows", List.of(List.of("" + total)))));
    }

    Map<String, Object> copyIn(String table) throws Exception {
        try (FileInputStream file = new FileInputStream((String) given.get("infile"))) {
            return map("value", link.unwrap(PGConnection.class).getCopyAPI().copyIn("COPY " + table + " FROM STDIN", file));
        }
    }

    Map<String, Object> copyOut(String sql) throws Exception {
        MessageDigest sum = MessageDigest.getInstance("SHA-256");
        long[] length = {0};
        OutputStream out = new OutputStream() {
            @Override public void write(int one) { write(new byte[] {(byte) one}, 0, 1); }

            @Override public void write(byte[] part, int from, int count) {
                sum.update(part, from, count);
                length[0] += count;
            }
        };
        long rows = link.unwrap(PGConnection.class).getCopyAPI().copyOut("COPY (" + sql + ") TO STDOUT", out);
        return map("value", List.of(rows, length[0], hex(sum.digest())));
    }

    Map<String, Object> notify(String channel, String payload) throws Exception {
        query("LISTEN " + channel);
        query("NOTIFY " + channel + ", '" + payload + "'");
        PGConnection own = link.unwrap(PGConnection.class);
        List<Object> told = new ArrayList<>();
        for (PGNotification note : own.getNotifications(5000)) {
            told.add(List.of(note.getName(), note.getParameter(), note.getPID() == own.getBackendPID()));
        }
        return map("value", told);
    }

    Map<String, Object> notices(String sql) throws Exception {
        try (Statement statement = link.createStatement()) {
            statement.execute(sql);
            List<Object> texts = new ArrayList<>();
            for (SQLWarning w = statement.getWarnings(); w != null; w = w.getNextWarning()) texts.add(w.getSQLState() + " " + w.getMessage());
            return map("value", texts);
        }
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
            Map<String, Object> found = attempt(() -> map("sets", statement.execute(sql)));
            double seconds = at[0] == 0 ? -1 : (System.nanoTime() - at[0]) / 1e9;
            thread.join();
            if (!found.containsKey("error")) faults.add("it was not cancelled");
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
            case "query": return args.isEmpty() ? query(sql) : prepared(sql, List.of(args));
            case "multi": return query(sql);
            case "prepared": return prepared(sql, args);
            case "pipeline": return pipeline(((Number) action.get("count")).intValue());
            case "stream": return stream(sql);
            case "copy in": return copyIn((String) action.get("table"));
            case "copy out": return copyOut(sql);
            case "notify": return notify((String) action.get("channel"), (String) action.get("payload"));
            case "notices": return notices(sql);
            case "cancel": return cancel(sql);
            case "connect": {
                Map<String, Object> next = new LinkedHashMap<>((Map<String, Object>) given.get("login"));
                next.putAll((Map<String, Object>) action.get("changes"));
                close();
                open(next);
                return map();
            }
            case "reconnect": close(); open(login); return map();
            case "begin": link.setAutoCommit(false); return map();
            case "commit": link.commit(); link.setAutoCommit(true); return map();
            case "rollback": link.rollback(); link.setAutoCommit(true); return map();
            case "logins": {
                int count = ((Number) action.get("count")).intValue();
                for (int i = 0; i < count; i++) {
                    close();
                    open(login);
                    query("SELECT 1");
                }
                return map("value", count);
            }
        }
        throw new Unsupported("does not know " + action.get("do"));
    }

    static Map<String, Object> attempt(Work work) {
        try {
            return work.run();
        } catch (Unsupported trouble) {
            return map("unsupported", trouble.getMessage());
        } catch (SQLException trouble) {
            String routine = null;
            if (trouble instanceof PSQLException own && own.getServerErrorMessage() != null) routine = own.getServerErrorMessage().getRoutine();
            return map("error", map("type", trouble.getClass().getSimpleName(), "sqlstate", trouble.getSQLState(), "routine", routine,
                "text", String.valueOf(trouble.getMessage()).split("\n")[0]));
        } catch (Exception trouble) {
            return map("error", map("type", trouble.getClass().getSimpleName(), "text", trouble.toString()));
        }
    }

    @SuppressWarnings("unchecked")
    List<Object> check(List<Object> actions) {
        Map<String, Object> opened = attempt(() -> {
            open((Map<String, Object>) given.get("login"));
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
        Postgres client = new Postgres((Map<String, Object>) new Json(input).value());
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
