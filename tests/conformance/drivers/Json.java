import java.util.*;

/** As much of JSON as the scripts need: the JDK has none. */
class Json {
    private final String text;
    private int at = 0;

    Json(String text) { this.text = text; }

    private char next() {
        while (Character.isWhitespace(text.charAt(at))) at++;
        return text.charAt(at);
    }

    Object value() {
        switch (next()) {
            case '{': {
                Map<String, Object> made = new LinkedHashMap<>();
                at++;
                while (next() != '}') {
                    String key = string();
                    next();
                    at++;
                    made.put(key, value());
                    if (next() == ',') at++;
                }
                at++;
                return made;
            }
            case '[': {
                List<Object> made = new ArrayList<>();
                at++;
                while (next() != ']') {
                    made.add(value());
                    if (next() == ',') at++;
                }
                at++;
                return made;
            }
            case '"': return string();
            case 't': at += 4; return true;
            case 'f': at += 5; return false;
            case 'n': at += 4; return null;
        }
        int start = at;
        while (at < text.length() && "+-.eE0123456789".indexOf(text.charAt(at)) >= 0) at++;
        String number = text.substring(start, at);
        return number.contains(".") ? (Object) Double.valueOf(number) : Long.valueOf(number);
    }

    private String string() {
        StringBuilder made = new StringBuilder();
        next();
        at++;
        while (text.charAt(at) != '"') {
            char c = text.charAt(at++);
            if (c == '\\') {
                c = text.charAt(at++);
                switch (c) {
                    case 'n' -> made.append('\n');
                    case 't' -> made.append('\t');
                    case 'r' -> made.append('\r');
                    case 'b' -> made.append('\b');
                    case 'f' -> made.append('\f');
                    case 'u' -> {
                        made.append((char) Integer.parseInt(text.substring(at, at + 4), 16));
                        at += 4;
                    }
                    default -> made.append(c);
                }
            } else {
                made.append(c);
            }
        }
        at++;
        return made.toString();
    }

    static String written(Object value) {
        if (value == null || value instanceof Number || value instanceof Boolean) return String.valueOf(value);
        StringBuilder made = new StringBuilder();
        if (value instanceof Map<?, ?> entries) {
            for (var entry : entries.entrySet()) {
                made.append(made.isEmpty() ? "" : ", ").append(written(entry.getKey())).append(": ").append(written(entry.getValue()));
            }
            return "{" + made + "}";
        }
        if (value instanceof Collection<?> parts) {
            for (Object part : parts) made.append(made.isEmpty() ? "" : ", ").append(written(part));
            return "[" + made + "]";
        }
        for (char c : value.toString().toCharArray()) {
            if (c == '"' || c == '\\') made.append('\\').append(c);
            else if (c < ' ') made.append(String.format("\\u%04x", (int) c));
            else made.append(c);
        }
        return "\"" + made + "\"";
    }
}
