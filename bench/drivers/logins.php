<?php
// `php logins.php mysqli|pdo`: login, SELECT 1, quit, again and again. Three lines from stdin: where, how long, and when
// to begin. Prints "ready" after a first login, then the seconds that each took.
declare(strict_types=1);

$subject = json_decode(fgets(STDIN), true);
$seconds = (float)fgets(STDIN);

function with_mysqli(array $subject): void {
    $client = mysqli_init();
    if ($subject['tls']) $client->ssl_set(null, null, $subject['ca_file'], null, null);
    $flags = $subject['tls'] ? MYSQLI_CLIENT_SSL | MYSQLI_CLIENT_SSL_DONT_VERIFY_SERVER_CERT : 0;
    $client->real_connect('127.0.0.1', $subject['user'], $subject['password'], 'shop', $subject['port'], null, $flags);
    $client->query('SELECT 1')->fetch_all();
    $client->close();
}

function with_pdo(array $subject): void {
    $options = [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION];
    if ($subject['tls']) {
        $options[PDO::MYSQL_ATTR_SSL_CA] = $subject['ca_file'];
        $options[PDO::MYSQL_ATTR_SSL_VERIFY_SERVER_CERT] = false;
    }
    $place = "mysql:host=127.0.0.1;port={$subject['port']};dbname=shop";
    $client = new PDO($place, $subject['user'], $subject['password'], $options);
    $client->query('SELECT 1')->fetchAll();
}

mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);
$log_in = ['mysqli' => with_mysqli(...), 'pdo' => with_pdo(...)][$argv[1]];
$log_in($subject);
echo "ready\n";
fgets(STDIN);
$times = [];
$now = microtime(true);
$deadline = $now + $seconds;
while ($now < $deadline) {
    $before = $now;
    $log_in($subject);
    $now = microtime(true);
    $times[] = $now - $before;
}
echo json_encode($times), "\n";
