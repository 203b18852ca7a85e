#!/usr/bin/perl
# DBD::Pg: server-side prepares, placeholders of three kinds, its metadata, COPY.
use strict;
use warnings;
use utf8;
use DBI qw(:sql_types);
use DBD::Pg qw(:pg_types);
use JSON::PP;

my $json    = JSON::PP->new->utf8->canonical->allow_nonref;
my $skip    = $ENV{RISKSTREAM_SKIP} || 0;
my %only    = map { $_ => 1 } split /,/, $ENV{RISKSTREAM_FEATURE} || '';
my $number  = 0;
my $rounds  = 10;
my $db;
$| = 1;

sub open_db {
    my (%more) = @_;
    my $at = join ';', "dbi:Pg:host=$ENV{PGHOST}",
        'port=' . ($more{port} || $ENV{PGPORT}), 'dbname=' . ($more{dbname} || $ENV{PGDATABASE});
    $at .= ";$more{more}" if $more{more};
    return DBI->connect($at, $more{user} || $ENV{PGUSER}, $more{password} || '',
        { RaiseError => 1, PrintError => 0, AutoCommit => 1, pg_enable_utf8 => 1 });
}

sub db {
    $db = open_db() if !$db || !$db->ping;
    $db->rollback if !$db->{AutoCommit};
    $db->{AutoCommit} = 1 if !$db->{AutoCommit};
    return $db;
}

sub say_line { print $json->encode($_[0]), "\n" }

sub test {
    my ($feature, $name, $times, $work) = @_;
    return if %only && !$only{$feature};
    $number++;
    return if $number <= $skip;
    say_line({ begin => $number, feature => $feature, case => $name });
    my $answer;
    for my $round (1 .. $times) {
        my $now = eval { $work->() };
        if (my $problem = $@) {
            my $state = $DBI::state || $DBI::err || 'error';
            $now = { error => "$state", text => substr("$problem", 0, 300) };
        }
        if ($round == 1) { $answer = $now }
        elsif ($json->encode($now) ne $json->encode($answer)) {
            $answer = { error => 'rounds differ', first => $answer, round => $round, now => $now };
            last;
        }
        last if ref $now eq 'HASH' && $now->{error};
    }
    say_line({ feature => $feature, case => $name, answer => $answer });
}

sub answer {
    my ($st) = @_;
    return { rows => undef } if !$st->{NUM_OF_FIELDS};
    my $rows = $st->fetchall_arrayref;
    $rows = [ map { [ map { ref $_ ? $_ : defined $_ ? "$_" : undef } @$_ ] } @$rows ];
    return {
        columns => [ map { [ $st->{NAME}[$_], $st->{pg_type}[$_], $st->{TYPE}[$_],
            $st->{PRECISION}[$_], $st->{SCALE}[$_] ] } 0 .. $st->{NUM_OF_FIELDS} - 1 ],
        rows => $rows,
    };
}

my %bytes = (bytea => 1);

sub run_case {
    my ($sql, $given) = @_;
    my $st = db()->prepare($sql);
    for my $at (1 .. @$given) {
        my ($type, $value) = @{ $given->[ $at - 1 ] }{qw(type value)};
        if (defined $value && $bytes{$type}) {
            $st->bind_param($at, pack('H*', $value), { pg_type => PG_BYTEA });
        }
        else { $st->bind_param($at, $value) }
    }
    $st->execute;
    return answer($st);
}

open my $file, '<', $ENV{RISKSTREAM_CASES} or die $!;
my $cases = $json->decode(do { local $/; <$file> });
my %wanted = map { $_ => 1 } split ' ', 'bool int float numeric text bytea date time timestamp '
    . 'timestamptz interval uuid json array tables p-bool p-int p-float p-numeric p-text p-bytea '
    . 'p-date p-time p-timestamp p-timestamptz p-uuid p-json p-array p-null p-inferred sqlstates';
for my $case (@$cases) {
    next if !$wanted{ $case->{feature} };
    test($case->{feature}, $case->{case}, $case->{rounds},
        sub { run_case($case->{sql}, $case->{parameters}) });
}
test('extended', 'one statement, ten executions', 2, sub {
    my $st = db()->prepare('select id, txt from all_types where id > ? order by id');
    return [ map { $st->execute($_); $st->fetchall_arrayref } 0 .. 9 ];
});
test('p-inferred', 'placeholders :name', 2, sub {
    my $st = db()->prepare('select id from all_types where id > :low and id < :high order by id');
    $st->bind_param(':low', 2);
    $st->bind_param(':high', 5);
    $st->execute;
    return $st->fetchall_arrayref;
});
test('p-array', 'a Perl array', 2, sub {
    my $st = db()->prepare('select id from all_types where id = any(?::int4[]) order by id');
    $st->execute([ 1, 3 ]);
    return $st->fetchall_arrayref;
});
for my $prepare (0, 1) {
    test('extended', "pg_server_prepare $prepare", 2, sub {
        local db()->{pg_server_prepare} = $prepare;
        return db()->selectall_arrayref('select id from all_types where id = ?', undef, 4);
    });
}
my %listed = (
    table_info        => sub { db()->table_info(undef, 'public', 'all_types', undef) },
    'table_info %'    => sub { db()->table_info('', '%', '', undef) },
    'views'           => sub { db()->table_info(undef, 'public', 'portfolio_now', 'VIEW') },
    column_info       => sub { db()->column_info(undef, 'public', 'all_types', undef) },
    primary_key_info  => sub { db()->primary_key_info(undef, 'public', 'all_types') },
    foreign_key_info  => sub {
        db()->foreign_key_info(undef, 'public', 'all_types', undef, undef, undef);
    },
    statistics_info   => sub { db()->statistics_info(undef, 'public', 'all_types', 0, 1) },
);
for my $name (sort keys %listed) {
    test('reflection', $name, 1, sub {
        my $st = $listed{$name}->() or return 'none';
        my $rows = $st->fetchall_arrayref;
        $rows = [ grep { ($_->[1] // '') eq 'public' } @$rows ] if $name =~ /%/;
        return [ $st->{NAME}, [ map { [ map { defined $_ ? "$_" : undef } @$_ ] } @$rows ] ];
    });
}
test('reflection', 'tables', 1, sub {
    return [ sort grep { /all_types|portfolio_now/ } db()->tables(undef, 'public', undef, undef) ];
});
test('reflection', 'primary_key', 1, sub {
    return [ db()->primary_key(undef, 'public', 'all_types') ];
});
test('reflection', 'type_info_all', 1, sub { return scalar @{ db()->type_info_all } });
test('copy-text', 'pg_getcopydata', 2, sub {
    db()->do('copy (select id, txt from all_types order by id) to stdout');
    my @rows;
    my $row = '';
    push @rows, $row while db()->pg_getcopydata($row) >= 0;
    return \@rows;
});
test('savepoints', 'pg_savepoint', 2, sub {
    my $on = open_db();
    $on->{AutoCommit} = 0;
    my @found = $on->selectrow_array('select 1::int4');
    $on->pg_savepoint('a');
    eval { $on->do('select 1/0') };
    push @found, $on->state;
    $on->pg_rollback_to('a');
    $on->pg_release('a');
    push @found, $on->selectrow_array('select 2::int4');
    $on->commit;
    $on->disconnect;
    return \@found;
});
test('begin', 'ReadOnly', 1, sub {
    my $on = open_db();
    $on->{AutoCommit} = 0;
    $on->{ReadOnly}   = 1;
    my @found = $on->selectrow_array('show transaction_read_only');
    $on->rollback;
    return \@found;
});
test('cancel', 'pg_cancel of an asynchronous one', 1, sub {
    my $on = open_db();
    my $st = $on->prepare('select pg_sleep(20)', { pg_async => PG_ASYNC });
    $st->execute;
    my $ready = $on->pg_ready;
    my $cancelled = $on->pg_cancel;
    return [ $ready ? 1 : 0, $cancelled ? 1 : 0, $on->selectrow_array('select 1::int4') ];
});
test('empty', $_, 1, sub { my $found = db()->do($_[0] // ''); return "$found" }) for '', '-- ping';
test('empty', 'ping, pg_ping', 2, sub { return [ db()->ping, db()->pg_ping ] });
my %ways = (
    right => { password => $ENV{USERS_PASSWORD} },
    wrong => { password => 'wrong' },
    TLS   => { password => $ENV{USERS_PASSWORD}, more => 'sslmode=require' },
);
for my $name (sort keys %ways) {
    test($name eq 'TLS' ? 'ssl' : 'password', $name, 1, sub {
        my $password = $ways{$name}{password};
        my $on = open_db(port => $ENV{USERS_PORT}, user => $ENV{USERS_NAME}, %{ $ways{$name} });
        return $on->selectall_arrayref('select count(*) from all_types');
    });
}
test('database', 'unknown', 1, sub { open_db(dbname => 'nothing_here'); return 'in' });
exit 0;
