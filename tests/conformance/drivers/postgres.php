<?php
// `php postgres.php`: PDO with pdo_pgsql, as Debian builds it.
declare(strict_types=1);

const LONG = 1000;

$given = json_decode(stream_get_contents(STDIN), true);

class Unsupported extends Exception {}

function shown(mixed $value): ?string {
    if ($value === null) return null;
    if (is_resource($value)) return '0x' . bin2hex(stream_get_contents($value));
    if (is_bool($value)) return $value ? 'true' : 'false';
    $text = (string)$value;
    return strlen($text) > LONG ? strlen($text) . ' bytes, sha256 ' . hash('sha256', $text) : $text;
}

class Client {
    public array $login;
    private ?PDO $link = null;

    public function open(array $login): void {
        if ($login['tls'] === 'direct') throw new Unsupported("libpq 15 has no TLS at once");
        $this->login = $login;
        [$host, $port] = empty($login['socket']) ? [$login['host'], $login['port']] : [$login['socket_folder'], 5432];
        $mode = $login['tls'] ? 'require' : 'disable';
        $place = "pgsql:host=$host;port=$port;dbname={$login['database']};sslmode=$mode";
        $this->link = new PDO($place, $login['user'], $login['password'], [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
    }

    public function close(): void { $this->link = null; }

    private function set(PDOStatement $statement): array {
        $columns = [];
        for ($i = 0; $i < $statement->columnCount(); $i++) {
            $about = $statement->getColumnMeta($i);
            $columns[] = [$about['name'], $about['native_type'], $about['len']];
        }
        $rows = $columns ? array_map(fn($row) => array_map(shown(...), $row), $statement->fetchAll(PDO::FETCH_NUM)) : [];
        return ['columns' => $columns, 'affected' => $statement->rowCount(), 'rows' => $rows];
    }

    public function query(string $sql, array $args): array {
        if (!$args) return [$this->set($this->link->query($sql))];
        return $this->prepared($sql, [$args]);
    }

    public function prepared(string $sql, array $args): array {
        $statement = $this->link->prepare(preg_replace('/\$\d+/', '?', $sql));
        $sets = [];
        foreach ($args as $each) {
            $statement->execute(array_column($each, 1));
            $sets[] = $this->set($statement);
        }
        return $sets;
    }

    public function multi(string $sql): array { $this->link->exec($sql); return []; }

    public function stream(string $sql): int {
        $this->link->beginTransaction();
        $this->link->exec("DECLARE all_rows CURSOR FOR $sql");
        $total = 0;
        while ($rows = $this->link->query('FETCH 500 FROM all_rows')->fetchAll(PDO::FETCH_NUM)) {
            foreach ($rows as $row) $total += strlen($row[1]);
        }
        $this->link->commit();
        return $total;
    }

    public function copyIn(string $table, string $path): void { $this->link->pgsqlCopyFromFile($table, $path); }

    public function copyOut(string $sql, string $path): array {
        $this->link->pgsqlCopyToFile("($sql)", "$path.out");
        $found = [filesize("$path.out"), hash_file('sha256', "$path.out")];
        unlink("$path.out");
        return $found;
    }

    public function notify(string $channel, string $payload): array {
        $this->link->exec("LISTEN $channel");
        $this->link->exec("NOTIFY $channel, '$payload'");
        $note = $this->link->pgsqlGetNotify(PDO::FETCH_ASSOC, 5000);
        return [$note['message'] ?? null, $note['payload'] ?? null, ($note['pid'] ?? 0) === $this->link->pgsqlGetPid()];
    }

    public function transaction(string $what): void {
        match ($what) {
            'begin' => $this->link->beginTransaction(),
            'commit' => $this->link->commit(),
            'rollback' => $this->link->rollBack(),
        };
    }
}

function perform(Client $client, array $action): array|stdClass {
    global $given;
    $sql = $action['sql'] ?? '';
    $args = $action['args'] ?? [];
    switch ($action['do']) {
        case 'query': return ['sets' => $client->query($sql, $args)];
        case 'multi': return ['sets' => $client->multi($sql)];
        case 'prepared': return ['sets' => $client->prepared($sql, $args)];
        case 'stream': return ['sets' => [['rows' => [[(string)$client->stream($sql)]]]]];
        case 'copy in': $client->copyIn($action['table'], $given['infile']); return new stdClass();
        case 'copy out': return ['value' => $client->copyOut($sql, $given['infile'])];
        case 'notify': return ['value' => $client->notify($action['channel'], $action['payload'])];
        case 'begin': case 'commit': case 'rollback': $client->transaction($action['do']); return new stdClass();
        case 'connect': $client->close(); $client->open([...$given['login'], ...$action['changes']]); return new stdClass();
        case 'reconnect': $client->close(); $client->open($client->login); return new stdClass();
        case 'notices': throw new Unsupported('shows no notices');
        case 'cancel': throw new Unsupported('cannot cancel');
        case 'pipeline': throw new Unsupported('has no pipelines');
        case 'logins':
            for ($i = 0; $i < $action['count']; $i++) {
                $client->close();
                $client->open($client->login);
                $client->query('SELECT 1', []);
            }
            return ['value' => $action['count']];
    }
    throw new Unsupported("does not know {$action['do']}");
}

function attempt(callable $work): array|stdClass {
    try {
        return $work();
    } catch (Unsupported $error) {
        return ['unsupported' => $error->getMessage()];
    } catch (Throwable $error) {
        // Of a login PDO knows only a code of its own.
        $state = $error instanceof PDOException ? ($error->errorInfo[0] ?? null) : null;
        $known = $state !== null && $state !== 'HY000' && $state !== '08006';
        return ['error' => ['type' => get_class($error), 'sqlstate' => $known ? $state : null, 'text' => substr($error->getMessage(), 0, 500)]];
    }
}

function check(Client $client, array $actions): array {
    global $given;
    $opened = attempt(function () use ($client, $given) { $client->open($given['login']); return []; });
    if ($opened) return [['login' => $opened]];
    $results = [];
    foreach ($actions as $action) {
        $result = attempt(fn() => perform($client, $action));
        $results[] = $result;
        if (isset(((array)$result)['unsupported']) || (isset(((array)$result)['error']) && !$action['may fail'])) break;
    }
    $client->close();
    return $results;
}

set_error_handler(fn() => true); // what matters is raised as an exception
$client = new Client();
foreach ($given['checks'] as ['name' => $name, 'actions' => $actions]) {
    $started = microtime(true);
    $results = check($client, $actions);
    $line = ['check' => $name, 'results' => $results, 'seconds' => round(microtime(true) - $started, 3)];
    echo json_encode($line, JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE), "\n";
}
