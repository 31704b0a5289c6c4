# `perl postgres.pl`: DBD::Pg.
use strict;
use warnings;
use utf8;
use DBI;
use DBD::Pg qw(:async);
use Digest::SHA qw(sha256_hex);
use Encode qw(encode);
use JSON::PP;
use Time::HiRes qw(sleep time);

use constant { LONG => 1000, LET_IT_START => 0.4, PART => 65536 };

my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my $given = $json->decode(do { local $/; <STDIN> });
my ($link, $login);
$| = 1;

sub unsupported { die {unsupported => $_[0]} }

sub shown {
    my ($value) = @_;
    return undef if !defined $value;
    return '[' . join(', ', map { shown($_) // 'undef' } @$value) . ']' if ref $value eq 'ARRAY';
    return '0x' . unpack 'H*', $value if !utf8::is_utf8($value) && $value =~ /[^\x20-\x7f]/;
    return length($value) . ' characters, sha256 ' . sha256_hex(encode('UTF-8', $value)) if length $value > LONG;
    return "$value";
}

sub login_to {
    my ($next) = @_;
    unsupported('libpq 15 has no TLS at once') if ($next->{tls} // '') eq 'direct';
    $login = $next;
    my ($host, $port) = $login->{socket} ? ($login->{socket_folder}, 5432) : ($login->{host}, $login->{port});
    my $mode = $login->{tls} ? 'require' : 'disable';
    my $place = "dbi:Pg:host=$host;port=$port;dbname=$login->{database};sslmode=$mode";
    $link = DBI->connect($place, $login->{user}, $login->{password}, {RaiseError => 1, PrintError => 0, PrintWarn => 0, AutoCommit => 1});
}

sub leave { eval { $link->disconnect if $link }; undef $link }

sub result {
    my ($statement) = @_;
    return {columns => [], rows => [], affected => $statement->rows + 0} if !$statement->{NUM_OF_FIELDS};
    my @columns = map { shown($_) } @{$statement->{NAME}};
    my @types = map { shown($_) } @{$statement->{pg_type}};
    my @rows = map { [map { shown($_) } @$_] } @{$statement->fetchall_arrayref};
    return {columns => \@columns, types => \@types, rows => \@rows};
}

sub prepared {
    my ($sql, $all) = @_;
    my $statement = $link->prepare($sql);
    return [map { $statement->execute(map { $_->[1] } @$_); result($statement) } @$all];
}

sub stream {
    my ($sql) = @_;
    my $total = 0;
    $link->begin_work;
    $link->do("DECLARE all_rows CURSOR FOR $sql");
    while (1) {
        my $rows = $link->selectall_arrayref('FETCH 500 FROM all_rows');
        last if !@$rows;
        $total += length $_->[1] for @$rows;
    }
    $link->commit;
    return [{rows => [["$total"]]}];
}

sub copy_in {
    my ($table) = @_;
    open my $file, '<:raw', $given->{infile} or die "infile: $!";
    $link->do("COPY $table FROM STDIN");
    my $part;
    while (read $file, $part, PART) { $link->pg_putcopydata($part) }
    $link->pg_putcopyend;
    return {};
}

sub copy_out {
    my ($sql) = @_;
    $link->do("COPY ($sql) TO STDOUT");
    my $sum = Digest::SHA->new(256);
    my ($length, $row) = (0, '');
    while ($link->pg_getcopydata($row) >= 0) {
        $sum->add($row);
        $length += length $row;
    }
    return [$length, $sum->hexdigest];
}

sub notify {
    my ($channel, $payload) = @_;
    $link->do("LISTEN $channel");
    $link->do("NOTIFY $channel, '$payload'");
    my $note = $link->pg_notifies;
    return $note ? [$note->[0], $note->[2], $note->[1] == $link->{pg_pid} ? 'own' : 'other'] : undef;
}

sub notices {
    my ($sql) = @_;
    my @told;
    local $SIG{__WARN__} = sub { push @told, shown($_[0]) };
    local $link->{PrintWarn} = 1;
    $link->do($sql);
    return \@told;
}

sub cancel {
    my ($sql) = @_;
    $link->do($sql, {pg_async => PG_ASYNC});
    sleep LET_IT_START;
    my $at = time;
    my $cancelled = $link->pg_cancel;
    my $seconds = time - $at;
    return {value => $cancelled ? 'cancelled' : 'not', faults => $cancelled ? [] : ['it was not cancelled'], 'cancelled after' => $seconds};
}

sub attempt {
    my ($work) = @_;
    my $result = eval { $work->() };
    return $result if !$@;
    my $error = $@;
    return $error if ref $error;
    my $about = $link // 'DBI';
    my $text = (ref $about ? $about->errstr : $DBI::errstr) // $error;
    my $state = ref $about ? $about->state : undef; # of a login libpq tells none
    undef $state if ($state // '') eq '08000'; # DBD::Pg's own, for a connection that ended
    $text =~ s/ at \S+ line \d+\.?\n?//;
    return {error => {sqlstate => $state || undef, text => shown($text)}};
}

sub reopen { my ($next) = @_; leave(); login_to($next); return {} }

sub perform {
    my ($action) = @_;
    my ($what, $sql, $args) = ($action->{do}, $action->{sql}, $action->{args} // []);
    return {sets => prepared($sql, [$args])} if $what eq 'query';
    return {sets => prepared($sql, $args)} if $what eq 'prepared';
    if ($what eq 'multi') { $link->do($sql); return {} }
    return {sets => stream($sql)} if $what eq 'stream';
    return copy_in($action->{table}) if $what eq 'copy in';
    return {value => copy_out($sql)} if $what eq 'copy out';
    return {value => notify($action->{channel}, $action->{payload})} if $what eq 'notify';
    return {value => notices($sql)} if $what eq 'notices';
    return reopen({%{$given->{login}}, %{$action->{changes}}}) if $what eq 'connect';
    return reopen($login) if $what eq 'reconnect';
    if ($what eq 'begin') { $link->begin_work; return {} }
    if ($what eq 'commit') { $link->commit; return {} }
    if ($what eq 'rollback') { $link->rollback; return {} }
    return cancel($sql) if $what eq 'cancel';
    if ($what eq 'logins') {
        for (1 .. $action->{count}) { reopen($login); $link->do('SELECT 1') }
        return {value => $action->{count}};
    }
    unsupported('has no pipelines') if $what eq 'pipeline';
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
