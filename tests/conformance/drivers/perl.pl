# `perl perl.pl CLIENT`: DBD::mysql and DBD::MariaDB.
use strict;
use warnings;
use utf8;
use DBI;
use Digest::SHA qw(sha256_hex);
use Encode qw(decode encode FB_CROAK LEAVE_SRC);
use JSON::PP;
use Time::HiRes qw(sleep time);

use constant { BIG_UNIT => '0123456789abcdef', LONG => 1000, LET_IT_START => 0.4 };

my $client = $ARGV[0];
my ($driver, $prefix) = $client eq 'dbd-mysql' ? ('mysql', 'mysql') : ('MariaDB', 'mariadb');
my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my $given = $json->decode(do { local $/; <STDIN> });
my ($link, $login);
$| = 1;

# DBD::mysql takes and gives bytes, in the connection's charset; DBD::MariaDB characters.
my $bytes = $driver eq 'mysql';

sub charset { return $login->{charset} eq 'latin1' ? 'iso-8859-1' : 'UTF-8' }

sub argument {
    my ($kind, $text) = @{$_[0]};
    return undef if !defined $text;
    return pack 'H*', $text if $kind eq 'bytes';
    return BIG_UNIT x ($text / length BIG_UNIT) if $kind eq 'big';
    return $bytes ? encode(charset(), $text) : $text;
}

sub bind_type { return {int => DBI::SQL_BIGINT, float => DBI::SQL_DOUBLE, bytes => DBI::SQL_BINARY}->{$_[0][0]} // DBI::SQL_VARCHAR }

sub shown {
    my ($value) = @_;
    return undef if !defined $value;
    my $text = $value;
    if (!utf8::is_utf8($value) && $value =~ /[^\x00-\x7f]/) {
        $text = eval { decode(charset(), $value, FB_CROAK | LEAVE_SRC) };
        return '0x' . unpack 'H*', $value if !defined $text;
    }
    return length($text) . ' characters, sha256 ' . sha256_hex(encode('UTF-8', $text)) if length $text > LONG;
    return "$text";
}

sub login_to {
    ($login) = @_;
    my $place = "dbi:$driver:host=$login->{host};port=$login->{port}";
    $place .= ";database=$login->{database}" if $login->{database};
    $place .= ";${prefix}_local_infile=1;${prefix}_multi_statements=1";
    $place .= ";${prefix}_ssl=1;${prefix}_ssl_verify_server_cert=0;${prefix}_ssl_optional=1" if $login->{tls};
    $link = DBI->connect($place, $login->{user}, $login->{password}, {RaiseError => 1, PrintError => 0, AutoCommit => 1});
    $link->do("SET NAMES $login->{charset}");
}

sub leave { eval { $link->disconnect if $link }; undef $link }

sub result {
    my ($statement) = @_;
    return {columns => undef, rows => [], affected => $statement->rows + 0, id => shown($statement->{"${prefix}_insertid"}),
            warnings => $statement->{"${prefix}_warning_count"}} if !$statement->{NUM_OF_FIELDS};
    my @columns = map { shown($_) } @{$statement->{NAME}};
    my @types = map { "$_" } @{$statement->{"${prefix}_type"}};
    my @rows = map { my $row = $_; [map { shown($_) } @$row] } @{$statement->fetchall_arrayref};
    return {columns => \@columns, rows => \@rows, types => \@types, warnings => $statement->{"${prefix}_warning_count"}};
}

sub run {
    my ($sql, $args, $server_side) = @_;
    $sql = encode(charset(), $sql) if $bytes;
    my $statement = $link->prepare($sql, {"${prefix}_server_prepare" => $server_side});
    for my $i (0 .. $#$args) {
        my $type = bind_type($args->[$i]);
        $statement->bind_param($i + 1, argument($args->[$i]), $type);
    }
    $statement->execute;
    return $statement;
}

sub all_results {
    my ($statement) = @_;
    my @sets;
    do { push @sets, result($statement) } while ($statement->more_results);
    return \@sets;
}

sub query { my ($sql, $args) = @_; return [result(run($sql, $args, 0))] }

sub stream {
    my ($sql) = @_;
    my $statement = $link->prepare($sql, {"${prefix}_use_result" => 1});
    $statement->execute;
    my $total = 0;
    while (my $row = $statement->fetchrow_arrayref) { $total += length $row->[1] }
    return [{columns => ['all'], rows => [["$total"]]}];
}

sub unsupported { die {unsupported => $_[0]} }

sub attempt {
    my ($work) = @_;
    my $result = eval { $work->() };
    return $result if !$@;
    my $error = $@;
    return $error if ref $error;
    my $about = $link // 'DBI';
    my $text = ref $about ? $about->errstr : $DBI::errstr;
    $text = $error if !defined $text;
    $text =~ s/ at \S+ line \d+\.?\n?//;
    my ($code, $state) = ref $about ? ($about->err, $about->state) : ($DBI::err, $DBI::state);
    return {error => {code => $code, sqlstate => $state, text => shown($text)}};
}

# The second connection is another process: this one waits for its statement.
sub cancel {
    my ($sql) = @_;
    my $number = $link->{"${prefix}_thread_id"} // $link->{"${prefix}_thread_id"};
    pipe(my $reader, my $writer);
    my $child = fork // die 'no fork';
    if (!$child) {
        $link->{AutoInactiveDestroy} = $link->{InactiveDestroy} = 1;
        close $reader;
        sleep LET_IT_START;
        login_to($login);
        my $at = time;
        eval { $link->do("KILL QUERY $number") };
        print $writer "$at\n", ($@ // '');
        close $writer;
        leave();
        require POSIX;
        POSIX::_exit(0);
    }
    close $writer;
    my $result = attempt(sub { return {sets => query($sql, [])} });
    my $ended = time;
    my ($at, @trouble) = <$reader>;
    waitpid $child, 0;
    return {%$result, faults => [map { "$_" } @trouble], 'cancelled after' => $at ? $ended - $at : -1};
}

sub reopen { my ($next) = @_; leave(); login_to($next) }

sub perform {
    my ($action) = @_;
    my ($what, $sql, $args) = ($action->{do}, $action->{sql}, $action->{args} // []);
    return {sets => query($sql, $args)} if $what eq 'query';
    return {sets => [result(run($sql, $args, 1))]} if $what eq 'prepared';
    return {sets => all_results(run($sql, [], 0))} if $what eq 'multi';
    return {sets => all_results(run("CALL $action->{procedure}(" . join(', ', map { '?' } @$args) . ')', $args, 0))} if $what eq 'call';
    return {sets => stream($sql)} if $what eq 'stream';
    if ($what eq 'infile') {
        my $path = $given->{infile} . ($action->{missing} ? '.missing' : '');
        return {sets => query("LOAD DATA LOCAL INFILE '$path' INTO TABLE $action->{table}", [])};
    }
    if ($what eq 'connect') { reopen({%{$given->{login}}, %{$action->{changes}}}); return {} }
    if ($what eq 'reconnect') { reopen($login); return {} }
    if ($what eq 'begin') { $link->begin_work; return {} }
    if ($what eq 'commit') { $link->commit; return {} }
    if ($what eq 'rollback') { $link->rollback; return {} }
    return {value => $link->{"${prefix}_serverinfo"}} if $what eq 'info';
    return {value => query('SHOW WARNINGS', [])->[0]{rows}} if $what eq 'warnings';
    if ($what eq 'sleep') { sleep $action->{seconds}; return {} }
    return cancel($sql) if $what eq 'cancel';
    if ($what eq 'logins') {
        for (1 .. $action->{count}) { reopen($login); query('SELECT 1', []) }
        return {value => $action->{count}};
    }
    unsupported('cannot change the user') if $what eq 'change user';
    unsupported('cannot reset the connection') if $what eq 'reset';
    unsupported("does not know $what");
}

sub check {
    my ($actions) = @_;
    my $opened = attempt(sub { login_to($given->{login}); return });
    return [{login => $opened}] if $opened;
    my @results;
    for my $action (@$actions) {
        push @results, attempt(sub { perform($action) });
        last if $results[-1]{unsupported} || ($results[-1]{error} && !$action->{'may fail'});
    }
    leave();
    return \@results;
}

for my $part (@{$given->{checks}}) {
    my $started = time;
    my $results = check($part->{actions});
    # The runner looks for lines that begin with the check.
    my $line = $json->encode({results => $results, seconds => sprintf('%.3f', time - $started) + 0});
    print '{"check": ', $json->encode($part->{name}), ', ', substr($line, 1), "\n";
}
