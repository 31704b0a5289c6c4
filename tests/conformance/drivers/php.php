<?php
// `php php.php CLIENT`: mysqli and PDO, on mysqlnd as Debian builds them.
declare(strict_types=1);

const BIG_UNIT = '0123456789abcdef';
const LONG = 1000;
const LET_IT_START = 400000; // microseconds

$given = json_decode(stream_get_contents(STDIN), true);

class Unsupported extends Exception {}

function argument(array $pair, bool $latin1): mixed {
    [$kind, $text] = $pair;
    if ($text === null) return null;
    return match ($kind) {
        'int' => (string)(int)$text === $text ? (int)$text : $text,
        'float' => (float)$text,
        'bytes' => hex2bin($text),
        'big' => str_repeat(BIG_UNIT, intdiv((int)$text, strlen(BIG_UNIT))),
        'text' => $latin1 ? iconv('UTF-8', 'ISO-8859-1', $text) : $text,
        default => $text,
    };
}

function shown(mixed $value): ?string {
    if ($value === null) return null;
    if (is_float($value)) return json_encode($value);
    if (!is_string($value)) return (string)$value;
    $is_text = preg_match('//u', $value) === 1;
    if (strlen($value) > LONG) {
        return ($is_text ? strlen($value) - preg_match_all('/[\x80-\xBF]/', $value) . ' characters' : strlen($value) . ' bytes') . ', sha256 ' . hash('sha256', $value);
    }
    global $client;
    if (!$is_text && $client->login['charset'] === 'latin1') return iconv('ISO-8859-1', 'UTF-8', $value);
    return $is_text ? $value : '0x' . bin2hex($value);
}

abstract class Client {
    public array $login;
    abstract public function open(array $login, bool $persistent = false): void;
    abstract public function close(): void;
    abstract public function query(string $sql, array $args): array;
    abstract public function prepared(string $sql, array $args): array;
    abstract public function multi(string $sql): array;
    abstract public function stream(string $sql): array;
    abstract public function ownId(): int;
    abstract public function info(): string;
    abstract public function error(Throwable $error): array;
    public function call(string $procedure, array $args): array {
        return $this->multi("CALL $procedure(" . implode(', ', array_map(strval(...), $args)) . ')');
    }
    abstract public function begin(): void;
    abstract public function commit(): void;
    abstract public function rollback(): void;
    public function changeUser(array $login): void { throw new Unsupported('cannot change the user'); }

    // Each use of a persistent connection in a new request is, for the server, a change of user or a fresh login.
    public function persistent(): array {
        global $given;
        $seen = [];
        $this->close();
        for ($request = 0; $request < 4; $request++) {
            $this->open($given['login'], true);
            $seen[] = $this->query('SELECT CONNECTION_ID()', [])[0]['rows'][0][0];
            $rows[] = $this->query('SELECT CURRENT_USER(), DATABASE(), @kept, @@character_set_client', [])[0]['rows'];
            $this->query('SET @kept = 1', []);
            $this->close();
        }
        // Whether it is one session for the server is the client's affair; what a request finds is not.
        return ['found' => $rows];
    }
}

class MySQLi_ extends Client {
    private ?mysqli $link = null;

    public function open(array $login, bool $persistent = false): void {
        $this->link = mysqli_init();
        $this->link->options(MYSQLI_OPT_LOCAL_INFILE, 1);
        $this->link->options(MYSQLI_OPT_INT_AND_FLOAT_NATIVE, 1);
        $host = ($persistent ? 'p:' : '') . $login['host'];
        $flags = $login['tls'] ? MYSQLI_CLIENT_SSL | MYSQLI_CLIENT_SSL_DONT_VERIFY_SERVER_CERT : 0;
        $this->link->real_connect($host, $login['user'], $login['password'], $login['database'] ?? '', $login['port'], null, $flags);
        $this->link->set_charset($login['charset']);
    }

    public function close(): void {
        try {
            $this->link?->close();
        } catch (Error) {
        }
        $this->link = null;
    }

    private function result(mysqli_result|bool $found): array {
        if (is_bool($found)) {
            return ['columns' => null, 'rows' => [], 'affected' => $this->link->affected_rows, 'id' => $this->link->insert_id,
                    'warnings' => $this->link->warning_count, 'info' => $this->link->info];
        }
        $fields = $found->fetch_fields();
        $rows = array_map(fn($row) => array_map(shown(...), $row), $found->fetch_all(MYSQLI_NUM));
        $found->free();
        return ['columns' => array_column($fields, 'name'), 'rows' => $rows, 'warnings' => $this->link->warning_count,
                'types' => array_map(fn($field) => [$field->type, $field->charsetnr, $field->flags], $fields)];
    }

    private function quoted(string $sql, array $args): string {
        $parts = explode('?', $sql);
        $text = array_shift($parts);
        foreach ($parts as $i => $part) {
            $value = $args[$i];
            $text .= match (true) {
                $value === null => 'NULL',
                is_string($value) => "'" . $this->link->real_escape_string($value) . "'",
                default => json_encode($value),
            };
            $text .= $part;
        }
        return $text;
    }

    public function query(string $sql, array $args): array {
        return [$this->result($this->link->query($args ? $this->quoted($sql, $args) : $sql))];
    }

    public function prepared(string $sql, array $args): array {
        $statement = $this->link->prepare($sql);
        $types = array_map(fn($value) => match (true) { is_int($value) => 'i', is_float($value) => 'd', default => 's' }, $args);
        if ($args) $statement->bind_param(implode('', $types), ...$args);
        $statement->execute();
        $found = $statement->get_result();
        $result = $found === false
            ? ['columns' => null, 'rows' => [], 'affected' => $statement->affected_rows, 'id' => $statement->insert_id]
            : $this->result($found);
        $statement->close();
        return [$result];
    }

    public function multi(string $sql): array {
        $this->link->multi_query($sql);
        $sets = [];
        do {
            $sets[] = $this->result($this->link->store_result());
        } while ($this->link->more_results() && $this->link->next_result());
        return $sets;
    }

    public function stream(string $sql): array {
        $found = $this->link->query($sql, MYSQLI_USE_RESULT);
        $total = 0;
        while ($row = $found->fetch_row()) $total += strlen($row[1]);
        $found->free();
        // A server-side cursor as well.
        $statement = $this->link->prepare($sql);
        $statement->attr_set(MYSQLI_STMT_ATTR_CURSOR_TYPE, MYSQLI_CURSOR_TYPE_READ_ONLY);
        $statement->execute();
        $statement->bind_result($number, $filling);
        $again = 0;
        while ($statement->fetch()) $again += strlen($filling);
        $statement->close();
        return [['columns' => ['all', 'again'], 'rows' => [[(string)$total, (string)$again]]]];
    }

    public function begin(): void { $this->link->begin_transaction(); }
    public function commit(): void { $this->link->commit(); }
    public function rollback(): void { $this->link->rollback(); }
    public function ownId(): int { return $this->link->thread_id; }
    public function info(): string { return $this->link->server_info . ' protocol ' . $this->link->protocol_version; }
    public function changeUser(array $login): void { $this->link->change_user($login['user'], $login['password'], $login['database']); }

    public function error(Throwable $error): array {
        $sqlstate = $error instanceof mysqli_sql_exception ? $error->getSqlState() : null;
        return ['type' => $error::class, 'code' => $error->getCode(), 'sqlstate' => $sqlstate, 'text' => $error->getMessage()];
    }
}

class PDO_ extends Client {
    private ?PDO $link = null;

    public function open(array $login, bool $persistent = false): void {
        $database = $login['database'] ? ";dbname={$login['database']}" : '';
        $options = [PDO::MYSQL_ATTR_LOCAL_INFILE => true, PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION,
                    PDO::ATTR_EMULATE_PREPARES => true, PDO::ATTR_PERSISTENT => $persistent];
        if ($login['tls']) {
            // PDO asks for TLS when there is a CA; it is not held against the certificate.
            $options += [PDO::MYSQL_ATTR_SSL_VERIFY_SERVER_CERT => false, PDO::MYSQL_ATTR_SSL_CA => '/etc/ssl/certs/ca-certificates.crt'];
        }
        $place = "mysql:host={$login['host']};port={$login['port']};charset={$login['charset']}$database";
        $this->link = new PDO($place, $login['user'], $login['password'], $options);
    }

    public function close(): void { $this->link = null; }

    private function result(PDOStatement $found): array {
        if ($found->columnCount() === 0) {
            return ['columns' => null, 'rows' => [], 'affected' => $found->rowCount(), 'id' => $this->link->lastInsertId()];
        }
        $columns = array_map(fn($i) => $found->getColumnMeta($i), range(0, $found->columnCount() - 1));
        $rows = array_map(fn($row) => array_map(shown(...), $row), $found->fetchAll(PDO::FETCH_NUM));
        return ['columns' => array_column($columns, 'name'), 'rows' => $rows,
                'types' => array_map(fn($column) => [$column['native_type'] ?? null, $column['flags']], $columns)];
    }

    private function run(string $sql, array $args, bool $emulate): PDOStatement {
        $this->link->setAttribute(PDO::ATTR_EMULATE_PREPARES, $emulate);
        $statement = $this->link->prepare($sql);
        foreach ($args as $i => $value) {
            $type = match (true) { $value === null => PDO::PARAM_NULL, is_int($value) => PDO::PARAM_INT, default => PDO::PARAM_STR };
            $statement->bindValue($i + 1, $value, $type);
        }
        $statement->execute();
        return $statement;
    }

    public function query(string $sql, array $args): array { return [$this->result($this->run($sql, $args, true))]; }
    public function prepared(string $sql, array $args): array { return [$this->result($this->run($sql, $args, false))]; }

    public function multi(string $sql): array {
        $found = $this->run($sql, [], true);
        $sets = [];
        do {
            $sets[] = $this->result($found);
        } while ($found->nextRowset());
        return $sets;
    }

    public function stream(string $sql): array {
        $this->link->setAttribute(PDO::MYSQL_ATTR_USE_BUFFERED_QUERY, false);
        $total = 0;
        foreach ($this->link->query($sql, PDO::FETCH_NUM) as $row) $total += strlen($row[1]);
        $this->link->setAttribute(PDO::MYSQL_ATTR_USE_BUFFERED_QUERY, true);
        return [['columns' => ['all'], 'rows' => [[(string)$total]]]];
    }

    public function begin(): void { $this->link->beginTransaction(); }
    public function commit(): void { $this->link->commit(); }
    public function rollback(): void { $this->link->rollBack(); }
    public function ownId(): int { return (int)$this->query('SELECT CONNECTION_ID()', [])[0]['rows'][0][0]; }
    public function info(): string { return $this->link->getAttribute(PDO::ATTR_SERVER_VERSION); }

    public function error(Throwable $error): array {
        $info = $error instanceof PDOException ? $error->errorInfo : null;
        return ['type' => $error::class, 'code' => $info[1] ?? $error->getCode(), 'sqlstate' => $info[0] ?? null, 'text' => $error->getMessage()];
    }
}

function attempt(Client $client, callable $work): array {
    try {
        return $work();
    } catch (Unsupported $error) {
        return ['unsupported' => $error->getMessage()];
    } catch (Throwable $error) {
        return ['error' => $client->error($error)];
    }
}

// The second connection is another process: this one waits for its statement.
function cancel(Client $client, string $sql): array {
    $login = $client->login;
    $number = $client->ownId();
    $kill = 'usleep(' . LET_IT_START . '); $l = json_decode(stream_get_contents(STDIN), true);'
        . '$m = new mysqli($l["host"], $l["user"], $l["password"], "", $l["port"]);'
        . '$at = microtime(true); $m->query("KILL QUERY ' . $number . '"); echo $at;';
    $process = proc_open([PHP_BINARY, '-r', $kill], [['pipe', 'r'], ['pipe', 'w'], ['pipe', 'w']], $pipes);
    fwrite($pipes[0], json_encode($login));
    fclose($pipes[0]);
    $result = attempt($client, fn() => ['sets' => $client->query($sql, [])]);
    $ended = microtime(true);
    $at = stream_get_contents($pipes[1]);
    $trouble = stream_get_contents($pipes[2]);
    proc_close($process);
    $faults = is_numeric($at) && $trouble === '' ? [] : ["$at $trouble"];
    return [...$result, 'faults' => $faults, 'cancelled after' => is_numeric($at) ? $ended - (float)$at : -1.0];
}

function reopen(Client $client, array $login): void {
    $client->close();
    $client->login = $login;
    $client->open($login);
}

function perform(Client $client, array $action): array {
    global $given;
    $latin1 = $client->login['charset'] === 'latin1';
    $args = array_map(fn($pair) => argument($pair, $latin1), $action['args'] ?? []);
    switch ($action['do']) {
        case 'query': return ['sets' => $client->query($action['sql'], $args)];
        case 'prepared': return ['sets' => $client->prepared($action['sql'], $args)];
        case 'multi': return ['sets' => $client->multi($action['sql'])];
        case 'call': return ['sets' => $client->call($action['procedure'], $args)];
        case 'stream': return ['sets' => $client->stream($action['sql'])];
        case 'infile':
            $path = $given['infile'] . (isset($action['missing']) ? '.missing' : '');
            return ['sets' => $client->query("LOAD DATA LOCAL INFILE '$path' INTO TABLE {$action['table']}", [])];
        case 'connect': reopen($client, [...$given['login'], ...$action['changes']]); return ['done' => true];
        case 'reconnect': reopen($client, $client->login); return ['done' => true];
        case 'begin': $client->begin(); return ['done' => true];
        case 'commit': $client->commit(); return ['done' => true];
        case 'rollback': $client->rollback(); return ['done' => true];
        case 'reset': throw new Unsupported('cannot reset the connection');
        case 'change user':
            $client->changeUser(isset($action['password']) ? [...$given['other'], 'password' => $action['password']] : $given['other']);
            return ['done' => true];
        case 'info': return ['value' => $client->info()];
        case 'warnings': return ['value' => $client->query('SHOW WARNINGS', [])[0]['rows']];
        case 'persistent': return ['value' => $client->persistent()];
        case 'sleep': usleep((int)($action['seconds'] * 1000000)); return ['done' => true];
        case 'cancel': return cancel($client, $action['sql']);
        case 'logins':
            for ($i = 0; $i < $action['count']; $i++) {
                reopen($client, $client->login);
                $client->query('SELECT 1', []);
            }
            return ['value' => $action['count']];
    }
    throw new Unsupported("does not know {$action['do']}");
}

function check(Client $client, array $actions): array {
    global $given;
    $client->login = $given['login'];
    $opened = attempt($client, function () use ($client) { $client->open($client->login); return []; });
    if ($opened) return [['login' => $opened]];
    $results = [];
    foreach ($actions as $action) {
        $result = attempt($client, fn() => perform($client, $action));
        $results[] = $result === ['done' => true] ? new stdClass() : $result;
        if (isset($result['unsupported']) || (isset($result['error']) && !$action['may fail'])) break;
    }
    $client->close();
    return $results;
}

set_error_handler(fn() => true); // what matters is raised as an exception
$client = $argv[1] === 'php-mysqli' ? new MySQLi_() : new PDO_();
foreach ($given['checks'] as ['name' => $name, 'actions' => $actions]) {
    $started = microtime(true);
    $results = check($client, $actions);
    $line = ['check' => $name, 'results' => $results, 'seconds' => round(microtime(true) - $started, 3)];
    echo json_encode($line, JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE), "\n";
}
