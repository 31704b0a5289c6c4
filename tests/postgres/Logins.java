// `java Logins.java`: pgjdbc. Each line of the input is a login, `URL<tab>user<tab>password`. Each is answered with a
// line: the SQLSTATE and the text of the exception, separated by a tab, or `in`.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.sql.DriverManager;
import java.sql.SQLException;

public class Logins {
    static String answer(String url, String user, String password) {
        try {
            DriverManager.getConnection(url, user, password).close();
            return "in";
        } catch (SQLException refused) {
            return (refused.getSQLState() + "\t" + refused.getMessage()).replace("\n", "\\n");
        }
    }

    public static void main(String[] arguments) throws Exception {
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = input.readLine()) != null; ) {
            String[] login = line.split("\t");
            System.out.println(answer(login[0], login[1], login[2]));
        }
    }
}
