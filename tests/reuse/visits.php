<?php
// `php visits.php`: visits by mysqli and PDO. A line of JSON from stdin for each: port, user, password, client, what it
// asks and how it leaves (`visits.Visit`). Prints a line for each: the first values that it got, and the error's code.
declare(strict_types=1);

interface Client {
    public function value(string $statement): ?string;
    public function leave_unread(string $statement): void;
}

class Mysqli_ implements Client {
    private mysqli $link;

    public function __construct(array $visit) {
        $host = ($visit['persistent'] ? 'p:' : '') . '127.0.0.1';
        $this->link = mysqli_init();
        $this->link->real_connect($host, $visit['user'], $visit['password'], $visit['database'], $visit['port']);
    }

    public function value(string $statement): ?string {
        $result = $this->link->query($statement);
        return $result instanceof mysqli_result ? (string)($result->fetch_row()[0] ?? 'NULL') : null;
    }

    public function leave_unread(string $statement): void {
        $this->link->real_query($statement);
    }

    public function __destruct() {
        try {
            $this->link->close();
        } catch (Error) {  // it never was open
        }
    }
}

class PDO_ implements Client {
    private PDO $link;

    public function __construct(array $visit) {
        $place = "mysql:host=127.0.0.1;port={$visit['port']}" . ($visit['database'] ? ";dbname={$visit['database']}" : '');
        $options = [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION, PDO::ATTR_PERSISTENT => false];
        $this->link = new PDO($place, $visit['user'], $visit['password'], $options);
    }

    public function value(string $statement): ?string {
        $result = $this->link->query($statement);
        return $result->columnCount() ? (string)($result->fetchColumn() ?? 'NULL') : null;
    }

    public function leave_unread(string $statement): void {
        $this->link->setAttribute(PDO::MYSQL_ATTR_USE_BUFFERED_QUERY, false);
        $this->link->query($statement);
    }
}

function visit(array $visit): array {
    $values = [];
    try {
        $client = $visit['client'] === 'PDO' ? new PDO_($visit) : new Mysqli_($visit);
        foreach ($visit['statements'] as $statement) {
            $value = $client->value($statement);
            if ($value !== null) $values[] = $value;
        }
        if ($visit['leave'] === 'unread') $client->leave_unread($visit['unread']);
    } catch (PDOException $error) {
        return ['values' => $values, 'error' => $error->errorInfo[1] ?? $error->getCode()];
    } catch (mysqli_sql_exception $error) {
        return ['values' => $values, 'error' => $error->getCode()];
    }
    return ['values' => $values, 'error' => 0];
}

mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);
error_reporting(E_ALL & ~E_WARNING); // what it warns of, it throws too
while (($line = fgets(STDIN)) !== false) echo json_encode(visit(json_decode($line, true))), "\n";
