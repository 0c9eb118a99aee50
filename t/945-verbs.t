#!/usr/bin/perl
# Every verb against the running daemon: what it prints, as text and as JSON, its exit status, and what the control socket makes of
# clients that do not keep to the rules.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Dump qw(dump_text same_zone);
use Fake;
use IO::Socket::UNIX;
use JSON::PP;
use Lockstep;
use Process qw(free_port run_command slurp spew start_process stop_process wait_for);
use Test::More;
use Time::HiRes qw(time);
use Wire;

plan skip_all => 'lockstepd is not built' unless Lockstep::have();
my $build = $ENV{top_builddir} // '.';
my @records = ('example. 300 IN NS ns.example.', 'ns.example. 300 IN A 192.0.2.53', 'www.example. 60 IN A 192.0.2.1',
    'www.example. 60 IN TXT "a b" "\""');
my @p = map { Fake->new(zone => 'example.', address => "127.0.0.$_", records => \@records)->serve(serial => 1) } 1, 2;
my $big = 100_000;
my $down = Fake->new(zone => 'big.', address => '127.0.0.3')->serve;
my $lockstep = Lockstep->new(remotes => [ (map { Lockstep::remote("p$_", $p[ $_ - 1 ]) } 1, 2), Lockstep::remote('nobody', '127.0.0.1@1'), Lockstep::remote('down', $down) ],
    zones => [ { name => 'example', primaries => [ 'p1', 'p2' ] }, { name => 'never', primaries => ['nobody'] },
        { name => 'big', source => 'file', notify => ['down'] } ]);

sub big_text {
    my ($serial) = @_;
    return join "\n", "big. 300 IN SOA ns.big. host.big. $serial 3600 900 604800 300", 'big. 300 IN NS ns.big.',
        map({ "h$_.big. 300 IN A 10.0.0.1" } 1 .. $big), '';
}

# A verb that must fail: with exit status 1, nothing on standard output, and one line that says why.
sub fails {
    my ($name, $why, @words) = @_;
    my ($status, $out, $said) = $lockstep->verb(@words);
    is($status, 1, "$name: exit status 1") or diag("$out$said");
    like($said, qr/\Alockstep: [^\n]*$why[^\n]*\n\z/, "$name: one line says why");
    return $out;
}

sub works {
    my ($name, @words) = @_;
    my ($status, $out, $said) = $lockstep->verb(@words);
    is("$status$said", '0', $name);
    return $out;
}

$lockstep->put_zone('big', big_text(1));
$lockstep->configure;

subtest 'without a daemon' => sub {
    for my $words (['status'], [ 'status', 'example' ], [ 'transfer', 'example' ], [ 'refresh', '--all' ], [ 'notify', '--all' ],
        [ 'write', '--all' ], ['reload'], [ 'dump', 'example' ],
        ['stats'], ['stop']) {
        is(fails("@$words", 'lockstepd is not running', @$words), '', "@$words: nothing is printed");
    }
    my $stale = IO::Socket::UNIX->new(Local => $lockstep->{conf}{server}{control}, Listen => 1);
    close $stale;
    fails('a socket that nobody listens at', 'lockstepd is not running', 'status');
};

$lockstep->start;
ok($lockstep->wait_serial('example', 1), 'the zone is there');
ok($lockstep->wait_serial('big', 1), 'so is the big one');

subtest 'status' => sub {
    ok(wait_for(sub { $lockstep->status('never')->{reason} }), 'a zone that cannot be had');
    my @lines = split /\n/, works('status', 'status');
    is($lines[0], join("\t", qw(ZONE SERIAL STATE PRIMARY AGE REFRESH EXPIRES REASON)), 'a heading');
    like($lines[1], qr/^big\.\t1\tok\t-\t\d+\t-\t-\t-$/, 'a zone from a file');
    like($lines[2], qr/^example\.\t1\tok\tp1\t\d+\t3\d{3}\t604\d{3}\t-$/, 'a zone from a primary');
    like($lines[3], qr/^never\.\t-\tempty\t-\t-\t\d+\t-\t.*refused/, 'a zone that was never there');
    like($lines[4], qr/^# 3 zones: 2 ok, 1 empty; lockstepd \S+, up \d+s$/, 'a summary');
    is(scalar @lines, 5, 'and that is all');
    my $all = $lockstep->json('status');
    is_deeply([ map { $_->{zone} } @{ $all->{zones} } ], [ 'big.', 'example.', 'never.' ], 'the same as JSON');
    like(works('several zones', 'status', 'EXAMPLE', 'big.'), qr/^example\..*\nbig\..*\n\z/m, 'in the order of the request');
    my %line = map { /^(\S+(?: known| from| in| failure)?)\s+(.*)$/ } split /\n/, works('one zone', 'status', 'example');
    is($line{zone}, 'example.', 'in full');
    like($line{served}, qr/^1, since \d+s$/, 'its serial, and since when');
    like($line{primary}, qr/^p[12] 127\.0\.0\.[12]\@\d+: serial /, 'its primaries');
    my ($status, $out, $said) = $lockstep->verb('status', 'example', 'none.example');
    is($status, 1, 'a zone that is not here: exit status 1');
    like($said, qr/none\.example\.: no such zone/, 'which is said');
    like($out, qr/^example\./m, 'the others are shown');
};

# What the manual has of a JSON document: its members, each with those that it has itself.
sub documented {
    my ($text) = @_;
    my %member;
    while ($text =~ /"(\w+)"(?::\s*(?:(?:\[\s*)?(\{(?:[^{}]++|(?2))*\})|"[^,}]*))?/g) {
        my ($name, $inner) = ($1, $2);
        $member{$name} = $inner ? documented(substr $inner, 1, -1) : {};
    }
    return \%member;
}

subtest 'status as JSON has the members that the manual has, and no others' => sub {
    my ($manual) = slurp("$FindBin::Bin/../cmd/lockstep.1") =~ /^\.It Cm status\n\.Bd -literal\n(.*?)^\.Ed$/ms;
    my $known = documented($manual);
    my @top = qw(storage uptime version zones);
    my @zone = qw(zone age best best_age catalog changed durable expiry file file_error held last_transfer memory notified notified_age ns_set origin primary reason records refresh serial
        source state template written written_age);
    my @named = sort @zone, qw(activity check last_failure primaries);
    my %inner = (last_transfer => [qw(age bytes records seconds type)], last_failure => [qw(primary reason time)],
        primaries => [qw(address addresses age error failures healthy health held key name refused serial tls)]);
    my $has = sub { my ($what, $got, @wanted) = @_; is(join(' ', sort keys %$got), join(' ', sort @wanted), $what) };
    my ($all, $named) = ($lockstep->json('status'), $lockstep->json('status', 'example', 'never'));
    my ($example, $never) = @{ $named->{zones} };
    $has->('of all zones', $all, @top, qw(state_error summary));
    $has->('of zones by name', $named, @top);
    $has->("$_->{zone} in the list", $_, @zone) for @{ $all->{zones} };
    $has->("$_->{zone} by name", $_, @named) for $example, $never;
    $has->('its last transfer', $example->{last_transfer}, @{ $inner{last_transfer} });
    $has->('a failure', $never->{last_failure}, @{ $inner{last_failure} });
    $has->('a primary', $_, @{ $inner{primaries} }) for map { @{ $_->{primaries} } } $example, $never;
    $has->('the states', $all->{summary}, qw(zones ok refreshing lagging stale rejected expired empty held));
    $has->('the storage', $all->{storage}, qw(state database_error log_error));
    is(ref $_, '', 'a zone that is not checked, and has no NS set in the configuration') for @$example{qw(check ns_set)};
    $has->('the manual: the document', $known, @top, qw(state_error summary));
    $has->('the manual: a zone', $known->{zones}, @named, 'members');            # those of a catalog
    $has->("the manual: $_", $known->{zones}{$_}, @{ $inner{$_} }) for sort keys %inner;
    $has->('the manual: the storage', $known->{storage}, qw(state database_error log_error));
};

subtest 'transfer' => sub {
    $_->serve(serial => 2) for @p;
    like(works('transfer', 'transfer', 'example'), qr/^example\.: 1 -> 2 by AXFR from p1, 6 records, \d+ bytes, \d+\.\d{3} s\n\z/, 'says what came');
    like(works('again', 'transfer', 'example'), qr/^example\.: 2 is current at p1\n\z/, 'says that there is no more');
    like(works('--full', 'transfer', '--full', 'example'), qr/^example\.: 2 -> 2 by AXFR from p1/, 'takes the same serial once more');
    like(works('--from', 'transfer', '--full', '--from', 'p2', 'example'), qr/ from p2,/, 'is from whom it should be');
    is($lockstep->status('example')->{primary}, 'p2', 'and status knows it');
    fails('--from somebody else', '"down" is not one of its primaries', 'transfer', '--from', 'down', 'example');
    fails('--from nobody', '"who" is not one of its primaries', 'transfer', '--from', 'who', 'example');
    fails('of a zone that is not here', 'no such zone', 'transfer', 'none');
    fails('of a zone that cannot be had', 'never\.: .*refused', 'transfer', 'never');
    my $got = $lockstep->json('transfer', '--full', 'example')->{zones}[0];
    is_deeply({ map { $_ => $got->{$_} } qw(zone result old new type primary records error) },
        { zone => 'example.', result => 'updated', old => 2, new => 2, type => 'AXFR', primary => 'p1', records => 6, error => undef }, 'as JSON');
    cmp_ok($got->{bytes}, '>', 100, 'with the octets');
    my ($status, $out, $said) = $lockstep->verb('--json', 'transfer', 'example', 'never');
    is($status, 1, 'one of two fails: exit status 1');
    is(join(' ', map { $_->{result} } @{ decode_json($out)->{zones} }), 'current failed', 'and each has its result');
    $_->serve(axfr => sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa, $talk->soa(7) ]) }) for @p;
    fails('refused', 'example\.: .*SOA', 'transfer', '--full', 'example');
    is($lockstep->serial('example'), 2, 'the old version is served');
    $_->serve for @p;
    works('well again', 'refresh', 'example');
};

subtest 'a second transfer joins the first' => sub {
    my $asked = $p[0]->count('IXFR');
    $p[0]->serve(serial => 3, axfr => sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa, @records ]); $talk->pause(0.5); $talk->send(answer => [ $talk->soa ]) });
    my @sockets = map {
        my $socket = $lockstep->control_socket;
        print $socket qq({"verb":"transfer","zones":["example."]}\n);
        $socket->flush;
        $socket;
    } 1 .. 5;
    for my $socket (@sockets) {
        my @lines = map { decode_json($_) } <$socket>;
        is($lines[-1]{done}{zones}[0]{result}, 'updated', 'each is told');
        ok((grep { $_->{progress} } @lines), 'and has seen how it went on');
    }
    is($p[0]->count('IXFR'), $asked + 1, 'the primary was asked once');
};

subtest 'a transfer is asked for while the zone file is being read' => sub {
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
    my $text = big_text(5) =~ s/\bbig\./example./gr;
    spew($lockstep->zone_file('example'), $text);
    unlink glob "$lockstep->{dir}/state/*";       # so that the file is all there is
    $p[0]->serve(serial => 6, soa => undef);
    $lockstep->{pid} = start_process($lockstep->{log}, "$build/lockstepd", '-c', $lockstep->conf_file);
    ok(wait_for(sub { $lockstep->control_socket }, 20), 'the daemon begins');
    my $got = $lockstep->json('transfer', 'example')->{zones}[0];
    is("$got->{result} $got->{old} $got->{new}", 'updated 5 6', 'first the file is read, then the transfer begins');
    is($lockstep->serial('example'), 6, 'and what it brought is served');
    is(scalar @{ $lockstep->dump('example') }, 6 - 1, 'and nothing else');
    ok($lockstep->wait_serial('big', 1), 'the other zone is there too');
};

subtest 'refresh, notify, write' => sub {
    $p[0]->serve(serial => 7);
    like(works('refresh', 'refresh', 'example'), qr/^refresh: 1 zone\n\z/, 'says how many');
    is($lockstep->serial('example'), 7, 'and the new version is there');
    fails('refresh of what cannot be had', 'never\.: .*refused', 'refresh', 'never');
    my ($status, $out, $said) = $lockstep->verb('refresh', '--all');
    is("$status $out", "1 refresh: 2 zones\n", 'refresh --all: those that could');
    like($said, qr/\Alockstep: refresh: never\.: [^\n]*\n\z/, 'and those that could not');
    like(works('notify', 'notify', 'big'), qr/^notify: 1 zone\n\z/, 'says how many');
    fails('notify without anybody downstream', 'no server downstream', 'notify', 'example');
    like(works('notify --all', 'notify', '--all'), qr/^notify: 3 zones\n\z/, 'is no failure');
    like(works('write', 'write', 'example', 'big'), qr/^write: 2 zones\n\z/, 'says how many');
    fails("$_->[0] of a zone that is not here", 'none\.: no such zone', @$_, 'none') for ['refresh'], ['notify'], ['write'];
    is_deeply($lockstep->json('write', 'example'), { zones => [ { zone => 'example.', result => 'ok', error => undef } ] }, 'as JSON');
};

subtest 'one JSON document for each verb' => sub {
    my %member = (status => 'zones', transfer => 'zones', refresh => 'zones', notify => 'zones', write => 'zones',
        reload => 'changed', dump => 'records', stats => 'serve',
        config => 'server', pull => 'records');
    my %words = (transfer => ['example'], refresh => ['example'], notify => ['big'], write => ['example'], dump => ['example'],
        pull => [ 'example', '--from', $p[0]->at ]);
    for my $verb (sort keys %member) {
        my @got = map { works("@$_", @$_) } [ '--json', $verb, @{ $words{$verb} // [] } ], [ $verb, @{ $words{$verb} // [] }, '--json' ];
        for my $place ('before the verb', 'behind it') {
            my $document = eval { decode_json(shift @got) };
            is(ref $document, 'HASH', "$verb: --json $place");
            ok(exists $document->{ $member{$verb} }, "$verb: with $member{$verb}");
        }
    }
    for my $words ([ 'transfer', 'never' ], [ 'refresh', 'never' ], [ 'notify', 'example' ], [ 'write', 'never' ]) {
        my ($status, $out, $said) = $lockstep->verb('--json', @$words);
        is($status, 1, "@$words: a failure");
        ok(eval { decode_json($out) }->{zones}[0]{error}, "@$words: has its reason in the document") or diag($out);
    }
};

subtest 'the log: one line for each attempt to transfer, with all that is known' => sub {
    my %part = (zone => qr/^example\.$/, primary => qr/^p1$/, address => qr/^\Q@{[ $p[0]->at ]}\E$/, transport => qr/^tcp$/,
        key => qr/^none$/, asked => qr/^AXFR$/, got => qr/^AXFR$/,
        old => qr/^8$/, new => qr/^8$/, messages => qr/^1$/, records => qr/^6$/, bytes => qr/^[1-9]\d\d$/,
            seconds => qr/^0\.\d{3}$/, outcome => qr/^ok$/);
    my %refused = (%part, outcome => qr/^protocol$/, new => qr/^9$/, records => qr/^3$/, reason => qr/^soa-differs$/,
        why => qr/^message 1, record 3: .*SOA/);
    my %silent = (%part, outcome => qr/^network$/, got => qr/^nothing$/, messages => qr/^0$/, records => qr/^0$/, bytes => qr/^0$/, why => qr/\S/);
    delete $silent{new};
    $_->serve(serial => 8) for @p;
    works('serial 8', 'refresh', 'example');
    for my $case ([ 'a good one', \%part ],
        [ 'one that is refused', \%refused, serial => 9,
        axfr => sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa, $records[0], $talk->soa(undef, times => [ 1 .. 4 ]) ]) } ],
        [ 'one that breaks off', \%silent, axfr => sub { $_[0]->reset } ]) {
        my ($what, $wanted, %script) = @$case;
        my $before = () = $lockstep->events('transfer');
        $p[0]->serve(%script);
        $lockstep->verb('transfer', '--full', '--from', 'p1', 'example');
        my @lines = ($lockstep->events('transfer'))[ $before .. $before + 2 ];
        is(scalar(grep { ($_->{primary} // '') eq 'p1' } @lines), 1, "$what: one line");
        like($lines[0]{$_} // 'nothing', $wanted->{$_}, "$what: $_") for sort keys %$wanted;
        is(join(' ', grep { !$wanted->{$_} } sort keys %{ $lines[0] }), '', "$what: and nothing else");
    }
    $_->serve(serial => 8, axfr => undef) for @p;
    works('well again', 'refresh', 'example');
};

subtest 'dump' => sub {
    my $text = works('dump', 'dump', 'example');
    same_zone(dump_text($text, 'example'),
        dump_text(join("\n", 'example. 300 IN SOA ns.example. host.example. 8 3600 900 604800 300', @records, ''), 'example'),
        'is the zone');
    is_deeply([ map { (split /\t/)[0] } split /\n/, $text ],
        [ 'example.', 'example.', 'ns.example.', 'www.example.', 'www.example.' ], 'in canonical order');
    is(works('a name', 'dump', 'example', 'WWW.example.'), join('', grep { /^www/ } split /^/, $text), 'of one name');
    is(works('a type', 'dump', 'example', 'www.example', 'txt'), join('', grep { /\tTXT\t/ } split /^/, $text), 'of one type');
    fails('no such type there', 'no records of that type', 'dump', 'example', 'www.example', 'MX');
    fails('no such name', 'no records at that name', 'dump', 'example', 'no.example');
    fails('a name outside', 'not in the zone', 'dump', 'example', 'www.other');
    fails('no such zone', 'no such zone', 'dump', 'www.example');
    fails('not loaded', 'never loaded', 'dump', 'never');
    my $json = $lockstep->json('dump', 'example', 'www.example');
    is_deeply([ @$json{qw(zone serial)} ], [ 'example.', 8 ], 'as JSON');
    is(scalar @{ $json->{records} }, 2, 'with its records');
};

subtest 'dumps of a big zone' => sub {
    my ($status, $text, $said) = $lockstep->verb('dump', 'big');
    is($status, 0, 'a whole one');
    is(scalar(() = $text =~ /\n/g), $big + 2, 'has all records');
    my @slow = map {
        my $socket = $lockstep->control_socket;
        print $socket qq({"verb":"dump","zones":["big."]}\n);
        $socket->flush;
        $socket;
    } 1 .. 8;
    ok(wait_for(sub { my $ready = ''; vec($ready, fileno $_, 1) = 1 for @slow; select(my $got = $ready, undef, undef, 0.1) == @slow }), 'eight clients that do not read');
    $lockstep->put_zone('big', big_text(2));
    works('meanwhile a new version', 'refresh', 'big');
    is($lockstep->serial('big'), 2, 'is served');
    fails('a ninth dump', 'too many dumps', 'dump', 'example');
    my $slow = pop @slow;
    my $lines = 0;
    my $done;
    while (my $line = <$slow>) {
        my $object = decode_json($line);
        $done = $object->{done} // $done;
        $lines += () = ($object->{text} // '') =~ /\n/g;
    }
    is("$lines $done->{serial} $done->{records}", join(' ', $big + 2, 1, $big + 2), 'one that reads late gets all of the version that it asked for');
    close $_ for @slow;
    ok(wait_for(sub { ($lockstep->verb('dump', 'example'))[0] == 0 }), 'the others go away, and there is room again');
    for (1 .. 30) {
        my $socket = $lockstep->control_socket;
        print $socket qq({"verb":"dump","zones":["big."]}\n);
        $socket->flush;
        <$socket>;
        close $socket;
    }
    ok(wait_for(sub { ($lockstep->verb('dump', 'example'))[0] == 0 }), 'thirty that go away in the middle do no harm');
};

subtest 'stats' => sub {
    my $before = $lockstep->json('stats');
    my $asked = 20;
    $lockstep->serial('example') for 1 .. $asked;
    my $after = $lockstep->json('stats');
    cmp_ok($after->{serve}{queries_udp}, '>=', $before->{serve}{queries_udp} + $asked, 'queries are counted');
    is_deeply([ grep { $after->{serve}{$_} < $before->{serve}{$_} } keys %{ $before->{serve} } ], [], 'and never reset by reading');
    cmp_ok($after->{transfer}{$_}, '>', 0, "$_ is counted") for qw(probes transfers transfers_axfr transfers_failed records_in bytes_in);
    $lockstep->verb('reload');
    cmp_ok($lockstep->json('stats')->{serve}{queries_udp}, '>=', $after->{serve}{queries_udp}, 'nor by a reload');
    like(works('as text', 'stats'), qr/^serve\.queries_udp\t\d+$/m, 'a line for each');
};

subtest 'the control socket' => sub {
    my $path = $lockstep->{conf}{server}{control};
    is(sprintf('%o', (stat $path)[2] & 07777), '660', 'its mode');
    for my $case ([ 'not JSON', "hello\n", 'not a line of JSON' ], [ 'an empty line', "\n", 'not a line of JSON' ],
        [ 'an array', "[]\n", 'no such verb' ], [ 'a number', "7\n", '.' ],
        [ 'cut off', qq({"verb":"status"\n), 'not a line of JSON' ], [ 'no verb', "{}\n", 'no such verb' ],
        [ 'a verb that is a number', qq({"verb":7}\n), 'no such verb' ],
        [ 'a verb that nobody knows', qq({"verb":"fly"}\n), 'no such verb' ],
        [ 'the same member twice', qq({"verb":"stop","verb":"status"}\n), 'not a line of JSON' ],
        [ 'bytes that are not UTF-8', qq({"verb":"\xff\xfe"}\n), 'not a line of JSON' ], [ 'a NUL', qq({"verb":"status\0"}\n), 'not a line of JSON' ],
        [ 'very deep', ('[' x 100_000) . "\n", 'not a line of JSON' ],
        [ 'zones that are no list', qq({"verb":"dump","zones":"example."}\n), 'no such zone' ],
        [ 'a zone that is a number', qq({"verb":"transfer","zones":[5]}\n), 'no such zone' ],
        [ 'a zone that is no name', qq({"verb":"transfer","zones":["a..b"]}\n), 'no such zone' ],
        [ 'a name that is no name', qq({"verb":"dump","zones":["example."],"name":"a..b"}\n), 'not in the zone' ],
        [ 'a remote that is a list', qq({"verb":"transfer","zones":["never."],"from":["p1"]}\n), 'refused' ],
        [ 'too long', '"' . 'x' x (9 << 20) . qq("\n), 'longer than' ]) {
        my ($what, $bytes, $wanted) = @$case;
        my @got = $lockstep->control($bytes);
        like(join(' ', map { $_->{error} // () } @got), qr/$wanted/, "$what: an error");
        ok(@got && $got[-1]{done}, "$what: and an end");
    }
    my $mute = $lockstep->control_socket;
    print $mute '{"verb":"status"';
    $mute->flush;
    is(sysread($mute, my $nothing, 1), 0, 'one that does not come to its point is closed');
    my $half = $lockstep->control_socket;
    print $half '{"verb":"stop"}';
    $half->flush;
    close $half;
    is($lockstep->state('example'), 'ok', 'a line without its end is not heeded');
    my @idle = map { $lockstep->control_socket } 1 .. 100;
    is(scalar(grep { $_ } @idle), 100, 'a hundred connections that say nothing');
    is($lockstep->state('example'), 'ok', 'are not in the way');
    close $_ for @idle;
    $_->serve(serial => 8, soa => sub { }, axfr => sub { $_[0]->wait_close(20) }) for @p;
    my @busy = map {
        my $socket = $lockstep->control_socket;
        print $socket qq({"verb":"transfer","full":true,"zones":["example."]}\n);
        $socket->flush;
        $socket;
    } 1 .. 64;
    ok(wait_for(sub { ($lockstep->control(qq({"verb":"stats"}\n)))[0]{error} }), 'sixty-four that wait for a transfer are');
    fails('then the next one', 'too many requests', 'status');
    close $_ for @busy;
    $_->serve for @p;
    ok(wait_for(sub { ($lockstep->verb('status'))[0] == 0 }), 'they go away, and all is well');
};

subtest 'a second daemon' => sub {
    my %other = (%{ $lockstep->{conf}{server} });
    my $second = Lockstep->new(zones => []);
    my %own = %{ $second->{conf}{server} };
    for my $case ([ 'the same port', { listen => $other{listen} }, qr/\Q$other{listen}[0]\E: bind: Address already in use/ ],
        [ 'the same socket', { control => $other{control} }, qr/\Q$other{control}\E: another daemon answers there/ ],
        [ 'the same state-dir', { 'state-dir' => $other{'state-dir'} }, qr/\Q$other{'state-dir'}\E: another lockstepd uses/ ]) {
        my ($what, $same, $wanted) = @$case;
        $second->{conf}{server} = { %own, %$same };
        my ($status, $said) = $second->start_in_vain;
        is($status, 1, "$what: it does not start");
        like($said, qr/error not-started msg="[^\n]*$wanted/, "$what: and says why");
        unlike($said, qr/Sanitizer/, "$what: and leaves nothing behind");
        is($lockstep->state('example') && $lockstep->outcome('example'), 'NOERROR', "$what: the first one is not disturbed");
    }
    $second->{conf}{server} = {%own};
    spew($own{control}, 'text');
    my ($status, $said) = $second->start_in_vain;
    is($status, 1, 'a file where the socket should be: it does not start');
    like($said, qr/\Q$own{control}\E: is there already, and is no socket/, 'and says why');
    is(slurp($own{control}), 'text', 'and the file is left alone');
};

subtest 'stop' => sub {
    $lockstep->kill9;
    ok(-S $lockstep->{conf}{server}{control}, 'after a kill the socket is left');
    $lockstep->start;
    ok($lockstep->wait_serial('example', 8), 'and is replaced');
    unlink $lockstep->zone_file('example');
    my $socket = $lockstep->control_socket;
    my $began = time;
    is(works('stop', 'stop'), '', 'says nothing');
    ok(!-e $lockstep->{conf}{server}{control}, 'the socket is gone when it returns');
    ok(wait_for(sub { !$lockstep->running }), 'and so is the daemon');
    is($lockstep->stop, 0, 'which ended cleanly');
    is(<$socket>, undef, 'a connection that was open is closed');
    fails('another stop', 'not running', 'stop');
};
subtest 'all of a thousand zones' => sub {
    my @names = map { sprintf 'z%04d', $_ } 1 .. 1000;
    my $many = Lockstep->new(zones => [ map { { name => $_, source => 'file' } } @names ]);
    $many->put_zone($_, "$_. 300 IN SOA ns.$_. host.$_. 1 3600 900 604800 300\n$_. 300 IN NS ns.$_.\n") for @names;
    $many->start;
    for my $verb (qw(refresh notify write)) {
        my $socket = $many->control_socket;
        print $socket qq({"verb":"$verb","all":true}\n);
        $socket->flush;
        my @answers = map { JSON::PP::decode_json($_) } <$socket>;
        cmp_ok(scalar(grep { $_->{zones} } @answers), '>=', 9, "$verb: it is told as it goes on");
        is(join(' ', sort map { $_->{zone} } map { @{ $_->{zones} // $_->{done}{zones} } } @answers),
            join(' ', map { "$_." } @names), "$verb: each zone once");
        is(($many->verb($verb, '--all'))[1], "$verb: 1000 zones\n", "$verb: which the command counts");
    }
    my $socket = $many->control_socket;
    print $socket qq({"verb":"refresh","all":true}\n);
    $socket->flush;
    is(($many->reload(zones => [ @{ $many->{conf}{zones} }[ 0 .. 499 ] ]))[0], 0, 'half of them go meanwhile');
    like((<$socket>)[-1], qr/"done"/, 'and it comes to its end');
    is($many->stop, 0, 'lockstepd ends cleanly');
};
done_testing;
