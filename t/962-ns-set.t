#!/usr/bin/perl
# The NS set that a zone's apex is to show: warned of, required, or put in place of the one that came, between a real primary and real servers
# downstream, by AXFR and IXFR, over restarts and reloads.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Dump qw(same_zone dump_text);
use File::Path qw(remove_tree);
use Lockstep;
use Mirror qw(same_answers);
use Peer;
use Process qw(run_command slurp spew wait_for);
use Signed;
use Test::More;
use Transfers qw(zone_text);
use Wire ();

my ($above) = grep { Peer->have($_) } qw(knot bind nsd);
my @kinds = grep { Peer->have($_) } qw(bind nsd knot);
plan skip_all => 'needs nsd, knot or bind9' unless @kinds;

my $name = 'set.example';
my @set = qw(ns1.own.example. ns1.p.example. ns2.p.example.);
my @other = qw(ns1.own.example. ns1.q.example.);
my $providers = [ { name => 'p', ns => [ 'ns1.p.example', 'NS2.p.example' ] }, { name => 'q', ns => ['ns1.q.example'] } ];
my %rewrite = (mode => 'rewrite', providers => ['p'], names => [ 'ns1.own.example', 'ns1.p.example' ]);

# A zone's text with this apex NS set instead of its own.
sub text_with {
    my ($zone, $serial, $ns, %of) = @_;
    return zone_text($zone, $serial, %of) =~ s/^\Q$zone\E\. 300 IN NS .*\n/join '', map { "$zone. 300 IN NS $_\n" } @$ns/mer;
}

# What a server says of it: "TTL name name".
sub ns_at {
    my ($at, $zone) = @_;
    my ($host, $port) = $at =~ /^(.*)@(\d+)$/;
    my ($status, $out) = run_command('dig', "\@$host", '-p', $port, $zone, 'NS', '+norec', '+noall', '+answer', '+time=2', '+tries=2');
    my @found = sort { $a->[1] cmp $b->[1] } map { /^\S+\s+(\d+)\s+IN\s+NS\s+(\S+)$/ ? [ $1, lc $2 ] : () } split /\n/, $out;
    return join ' ', map({ $_->[0] } @found[ 0 .. (@found ? 0 : -1) ]), map { $_->[1] } @found;
}

sub is_ns {
    my ($server, $zone, $wanted, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is(ns_at($server->at, $zone), $wanted, $what);
}

# NSD and Knot write the names in RDATA in lower case.
sub lower_names { my ($line) = @_; return $line =~ s/(?<= )([0-9a-f]+)$/unpack 'H*', lc pack 'H*', $1/er }
sub records_of { my ($server, $zone) = @_; return [ sort map { lower_names($_) } @{ $server->dump($zone) // [] } ] }

# What the primary has, but with this set.
sub rewritten {
    my ($primary, $zone, $ttl, @ns) = @_;
    my @rest = grep { !/^\Q$zone\E\. \d+ 1 2 / } @{ records_of($primary, $zone) };
    return [ sort @rest, map { "$zone. $ttl 1 2 " . unpack 'H*', Wire::name($_) } @ns ];
}

my @zones = map { { name => "$_.example" } } qw(warn require signed digest plain);
my $primary = Peer->new($above, zones => [ { name => $name, text => text_with($name, 1, ["ns.$name."]) },
    map { { name => $_->{name}, text => text_with($_->{name}, 1, ['ns.elsewhere.']) } } @zones ]);
my $middle = Lockstep->new(providers => $providers);
my $last = Lockstep->new;
my %below = map { $_ => Peer->new($_, zones => [ { name => $name, primaries => [ $middle->at ] } ]) } @kinds;
$primary->zone($_)->{notify} = [ $middle->at ] for $name, map { $_->{name} } @zones;
$middle->{conf}{remotes} = [ Lockstep::remote('primary', $primary), Lockstep::remote('last', $last),
    map { Lockstep::remote($_, $below{$_}) } @kinds ];
$middle->{conf}{acls} = [ { name => 'all', address => ['127.0.0.0/8'] } ];

# The configuration, with this policy for the first zone.
sub zones_with {
    my (%policy) = @_;
    my %wants = (warn => 'warn', require => 'require', signed => 'rewrite', digest => 'rewrite', plain => 'off');
    return [ { name => $name, primaries => ['primary'], notify => [ 'last', @kinds ], 'allow-transfer' => ['all'], 'zonefile-sync' => 1, 'ns-set' => {%policy} },
        map { { name => "$_.example", primaries => ['primary'], 'allow-transfer' => ['all'], 'ns-set' => { %rewrite, mode => $wants{$_} } } } sort keys %wants ];
}
$middle->{conf}{zones} = zones_with(%rewrite, ttl => 86400);
$last->{conf}{remotes} = [ Lockstep::remote('middle', $middle) ];
$last->{conf}{zones} = [ { name => $name, primaries => ['middle'] } ];
my %server = (middle => $middle, last => $last, %below);
$_->start for $primary, values %server;

sub all_have {
    my ($serial, $ttl, @ns) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $wanted = rewritten($primary, $name, $ttl, @ns);
    for my $which (sort keys %server) {
        ok($server{$which}->wait_serial($name, $serial, 30), "$which has serial $serial");
        same_zone(records_of($server{$which}, $name), $wanted, 'with the records of the primary and the set that is configured');
    }
    same_answers($_, $name, 'Lockstep') for $middle, $last;
}

my $serial = 1;
sub edit {
    my ($ns, %of) = @_;
    $serial++;
    return $primary->edit($name, text_with($name, $serial, $ns, changed => [ map { 1 + int rand 45 } 1 .. 3 ], %of));
}
sub steps_sent { return scalar $middle->events('transfer-out', zone => "$name.", outcome => 'done', type => 'IXFR', sent => 'steps') }
sub steps_taken { return scalar $middle->events('transfer', zone => "$name.", got => 'IXFR', outcome => 'ok') }

subtest 'a zone that comes whole is served, and passed on, with the set' => sub {
    all_have(1, 86400, @set);
    my $status = $middle->status($name);
    is($status->{ns_set}{mode}, 'rewrite', 'the status knows the mode');
    ok($status->{ns_set}{rewritten}, 'and that it is rewritten');
    is($status->{state}, 'ok', 'nothing is wrong');
    like(($middle->verb('status', $name))[1], qr/^ns-set +rewritten, mode rewrite$/m, 'people see it too');
    ok($middle->wait_log(qr/ ns-set-rewritten zone=\Q$name\E\. serial=1 why="the apex NS set lacks ns1\.own\.example\., .*, and has ns\.set\.example\., which/), 'the log says what came');
};

subtest 'changes come and go by differences, whether they touch the apex or not' => sub {
    my ($sent, $taken) = (steps_sent(), steps_taken());
    edit(["ns.$name."]);
    all_have(2, 86400, @set);
    edit([ "ns.$name.", 'ns1.p.example.' ]);
    all_have(3, 86400, @set);
    edit([ 'ns.another.', 'ns.more.' ], more => ["added.$name. 60 IN A 192.0.2.9"]);
    all_have(4, 86400, @set);
    edit(\@set);
    all_have(5, 86400, @set);
    edit(["ns.$name."]);
    all_have(6, 86400, @set);
    wait_for(sub { steps_taken() - $taken >= 5 && steps_sent() - $sent >= 5 * (1 + @kinds) - 2 });
    is(steps_taken() - $taken, 5, 'each came by IXFR');
    cmp_ok(steps_sent() - $sent, '>=', 5 * (1 + @kinds) - 2, 'and went on by IXFR');
};

subtest 'the zone file and dump hold what is served' => sub {
    ok(wait_for(sub { (slurp($middle->zone_file($name)) // '') =~ /\sSOA\s.*\s6 /s }, 20), 'the file is there');
    is_deeply([ map { lower_names($_) } @{ dump_text(slurp($middle->zone_file($name)), $name) } ],
        rewritten($primary, $name, 86400, @set), 'with the set');
    is_deeply(records_of($middle, $name), rewritten($primary, $name, 86400, @set), 'so has dump');
};

for my $way (qw(stop kill9)) {
    subtest "a restart by $way without the primary" => sub {
        my $taken = steps_taken();
        $primary->stop;
        $way eq 'stop' ? $middle->stop : $middle->kill9;
        $middle->start;
        ok($middle->wait_serial($name, $serial), 'it is served');
        is_ns($middle, $name, "86400 @set", 'with the set');
        ok(wait_for(sub { $middle->status($name)->{written} }, 20), 'the zone file is written again');
        like(slurp($middle->zone_file($name)), qr/ns2\.p\.example/i, 'as it is served');
        $primary->start;
        edit([ "ns.$name.", "ns-$way.$name." ]);
        all_have($serial, 86400, @set);
        wait_for(sub { steps_taken() > $taken });
        is(steps_taken(), $taken + 1, 'the primary could go on by differences from what came');
    };
}

subtest 'another set by reload: at once for queries, with the next serial downstream' => sub {
    is(($middle->reload(zones => zones_with(%rewrite, providers => ['q'], names => ['ns1.own.example'])))[0], 0, 'reloaded');
    is_ns($middle, $name, "300 @other", 'queries see it');
    is($middle->serial($name), $serial, 'under the same serial');
    ok($middle->status($name)->{ns_set}{ahead}, 'status says so');
    like(($middle->verb('status', $name))[1], qr/^ns-set .*servers downstream will have it with the next one$/m, 'in words too');
    is_ns($_, $name, "86400 @set", 'downstream it is the one before') for $last, values %below;
    edit(["ns.$name."]);
    all_have($serial, 300, @other);
    ok(!$middle->status($name)->{ns_set}{ahead}, 'and all is said');
    my $sent = steps_sent();
    edit(["ns.$name."]);
    all_have($serial, 300, @other);
    wait_for(sub { steps_sent() - $sent >= @kinds });
    cmp_ok(steps_sent() - $sent, '>=', @kinds, 'from then on by differences again');
};

subtest 'no policy any more, and then again' => sub {
    is(($middle->reload(zones => zones_with(mode => 'off')))[0], 0, 'reloaded');
    is_ns($middle, $name, "300 ns.$name.", 'what came is served');
    ok(wait_for(sub { (slurp($middle->zone_file($name)) // '') !~ /ns1\.q\.example/i }, 20), 'and is in the file');
    edit([ "ns.$name.", 'b.example.' ]);
    all_have($serial, 300, 'b.example.', "ns.$name.");
    is(($middle->reload(zones => zones_with(%rewrite)))[0], 0, 'reloaded');
    is_ns($middle, $name, "300 @set", 'it is rewritten again');
    edit([ "ns.$name.", 'b.example.' ]);
    all_have($serial, 300, @set);
};

subtest 'both copies of what came are lost' => sub {
    ok(wait_for(sub { ($middle->status($name)->{written} // 0) == $serial }, 20), 'the zone file is there');
    $primary->stop;
    $middle->stop;
    remove_tree("$middle->{dir}/state");
    mkdir "$middle->{dir}/state";
    $middle->start;
    ok($middle->wait_serial($name, $serial), 'it is served from its file');
    is_ns($middle, $name, "300 @set", 'with the set');
    $primary->start;
    my $whole = sub { scalar $middle->events('transfer', zone => "$name.", got => 'AXFR', outcome => 'ok') };
    my $before = $whole->();
    edit([ "ns.$name.", 'b.example.' ]);
    all_have($serial, 300, @set);
    ok(wait_for(sub { $whole->() > $before }), 'the primary gave it whole');
    $middle->reload(zones => zones_with(mode => 'off'));
    is_ns($middle, $name, "300 b.example. ns.$name.", 'what came is known again');
};

subtest 'warn' => sub {
    ok($middle->wait_serial('warn.example', 1), 'it is served');
    is_ns($middle, 'warn.example', '300 ns.elsewhere.', 'as it came');
    my $ns = $middle->status('warn.example')->{ns_set};
    is($ns->{finding}, 'NS-EXPECTED', 'the status has the finding');
    like($ns->{message}, qr/lacks ns1\.own\.example\., ns1\.p\.example\., ns2\.p\.example\., and has ns\.elsewhere\., which is not configured/, 'and its reason');
    like(($middle->verb('status', 'warn.example'))[1], qr/^finding +NS-EXPECTED: the apex NS set lacks/m, 'in words');
    ok($middle->log_lines(qr/ ns-set-differs zone=warn\.example\. serial=1 finding=NS-EXPECTED why="the apex/), 'so has the log');
    $primary->edit('warn.example', text_with('warn.example', 2, \@set));
    ok($middle->wait_serial('warn.example', 2), 'the set is put right');
    is($middle->status('warn.example')->{ns_set}{finding}, undef, 'nothing is found');
};

subtest 'require' => sub {
    my $zone = 'require.example';
    ok($middle->wait_state($zone, 'rejected'), 'a first version with another set is not served');
    like($middle->outcome($zone), qr/^SERVFAIL/, 'it is SERVFAIL');
    like($middle->status($zone)->{reason}, qr/the apex NS set lacks/, 'for that');
    cmp_ok($middle->json('stats')->{versions}{refused_ns_set}, '>=', 1, 'and counted');
    $primary->edit($zone, text_with($zone, 2, [ reverse @set ]));
    ok($middle->wait_serial($zone, 2, 30), 'the right set is taken');
    $primary->edit($zone, text_with($zone, 3, [ @set, 'ns.more.' ]));
    ok($middle->wait_state($zone, 'rejected', 30), 'a change to another one is refused');
    $primary->edit($zone, text_with($zone, 4, [ @set, 'ns.more.' ], changed => [5]));
    ok($middle->wait_log(qr/ version-refused zone=require\.example\. old=2 serial=4 .*by=ns-set/), 'one that does not touch the apex too');
    is($middle->serial($zone), 2, 'the version before stays');
    $primary->edit($zone, text_with($zone, 5, \@set, changed => [6]));
    ok($middle->wait_serial($zone, 5, 30), 'until it is right');
};

subtest 'a zone with a digest is not rewritten' => sub {
    my $zone = 'digest.example';
    my $digest = "$zone. 300 IN ZONEMD 1 240 1 " . '00' x 48;
    ok($middle->wait_serial($zone, 1), 'without one it is');
    is_ns($middle, $zone, "300 @set", 'rewritten');
    $primary->edit($zone, text_with($zone, 2, ['ns.elsewhere.'], more => [$digest]));
    ok($middle->wait_state($zone, 'rejected', 30), 'with one it is refused');
    like($middle->status($zone)->{reason}, qr/signed or has a digest, it cannot be rewritten: the apex NS set lacks/, 'for that');
    is($middle->serial($zone), 1, 'the version before stays');
    is_ns($middle, $zone, "300 @set", 'as it was');
    $primary->edit($zone, text_with($zone, 3, \@set, more => [$digest]));
    ok($middle->wait_serial($zone, 3, 30), 'with the right set it is served');
    ok(!$middle->status($zone)->{ns_set}{rewritten}, 'as it came');
};

subtest 'a signed zone is not rewritten' => sub {
    plan skip_all => 'needs bind9-utils' unless Signed::have();
    my $zone = 'sealed.example';
    my $key = Signed::key($zone);
    my $signed = sub { my ($n, $ns) = @_; return Signed::sign($zone, text_with($zone, $n, $ns) =~ s/^sub\..*\n|^ns\.sub.*\n//mgr, $key) };
    my $source = Peer->new($above, zones => [ { name => $zone, text => $signed->(1, ['ns.elsewhere.']), notify => [ $middle->at ] } ]);
    my $reload = sub { my ($mode) = @_; return ($middle->reload(remotes => [ @{ $middle->{conf}{remotes} }[ 0 .. 1 + @kinds ], Lockstep::remote('signer', $source) ],
        zones => [ @{ zones_with(%rewrite) }, { name => $zone, primaries => ['signer'], 'ns-set' => { %rewrite, mode => $mode } } ]))[0] };
    $source->start;
    is($reload->('rewrite'), 0, 'added');
    ok($middle->wait_state($zone, 'rejected', 30), 'at the first transfer: refused');
    like($middle->outcome($zone), qr/^SERVFAIL/, 'and not answered');
    $source->edit($zone, $signed->(2, \@set));
    ok($middle->wait_serial($zone, 2, 30), 'with the right set it is served');
    my $file = $source->dump($zone);
    is_deeply([ map { lower_names($_) } @{ $middle->dump($zone) } ], [ map { lower_names($_) } @$file ], 'as it came');
    $source->edit($zone, $signed->(3, ['ns.elsewhere.']));
    ok($middle->wait_state($zone, 'rejected', 30), 'a later one is refused');
    is($middle->serial($zone), 2, 'the served one is kept');
    is($reload->('off'), 0, 'without the policy');
    ok($middle->wait_serial($zone, 3, 30), 'it is taken');
    is($reload->('rewrite'), 0, 'with it again');
    is($middle->serial($zone), 3, 'it is kept, as it is served already');
    is($middle->status($zone)->{ns_set}{finding}, 'NS-EXPECTED', 'and what is wrong with it is said');
    $middle->stop;
    $middle->start;
    ok($middle->wait_serial($zone, 3), 'after a restart too');
};

subtest 'a zone that is read from a file' => sub {
    my $hidden = Lockstep->new(providers => $providers,
        zones => [ map { { name => "$_.example", source => 'file', 'ns-set' => { %rewrite, mode => $_ } } } qw(require rewrite warn) ]);
    $hidden->put_zone("$_.example", text_with("$_.example", 1, ['ns.elsewhere.'])) for qw(require rewrite warn);
    $hidden->start;
    is($hidden->state('require.example'), 'rejected', 'require: it is refused');
    like($hidden->outcome('require.example'), qr/^SERVFAIL/, 'and not served');
    is_ns($hidden, 'rewrite.example', "300 @set", 'rewrite: it is');
    like(slurp($hidden->zone_file('rewrite.example')), qr/NS ns\.elsewhere/, 'its file is let alone');
    is($hidden->status('warn.example')->{ns_set}{finding}, 'NS-EXPECTED', 'warn: it is said');
    $hidden->put_zone('rewrite.example', text_with('rewrite.example', 2, ['ns.other.']));
    is(($hidden->verb('transfer', 'rewrite.example'))[0], 0, 'read again');
    is_ns($hidden, 'rewrite.example', "300 @set", 'and rewritten again');
    is($hidden->stop, 0, 'it ends well');
};

is($_->stop, 0, 'it ends well') for $last, $middle;
done_testing;
