#!/usr/bin/perl
# Reloads, and everything else that an operator or a primary may do, in any order, at any time: zones and keys come, go and change
# while they are transferred. A hundred steps, a thousand with LONG=1; SEED=n for the same ones again. Then all is well: each zone
# is there, is what the primary has, and nothing is left of the others.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Fake;
use JSON::PP;
use Lockstep;
use List::Util qw(shuffle);
use Process qw(wait_for);
use Test::More;
use Time::HiRes ();
use Tsig;

plan skip_all => 'lockstepd is not built' unless Lockstep::have();
my $steps = $ENV{LONG} ? 1000 : 100;
my $seed = $ENV{SEED} // time % 100_000;
srand $seed;
note("SEED=$seed");

my %zone;                # what each primary has: name => serial
sub any_zone {
    my ($talk) = @_;
    my $fake = $talk->{fake};
    my $zone = $talk->{asked}{name} =~ s/\.$//r;
    local $fake->{zone} = "$zone.";
    return $talk->send(answer => [ $talk->soa ]) if $talk->{asked}{type} eq 'SOA';
    my $slow = $fake->{slow} && $talk->{nth} % 3 == 0;
    my @catalog = $zone eq 'cat' ? ('version.cat. 0 IN TXT "2"', map { "$_.zones.cat. 0 IN PTR $_.member." } @{ $fake->{members} }) : ();
    $talk->send(answer => [ $talk->soa, "$zone. 0 IN NS invalid." ]);
    $talk->pause($fake->{slow}) if $slow;
    $talk->send(answer => [ "www.$zone. 60 IN A 192.0.2." . $fake->{serial} % 250, @catalog, $talk->soa ]);
}
my @keys = map { Tsig::key(name => "key$_") } 1, 2;
my @fake = map { Fake->new(zone => 'cat.', address => "127.0.0.$_", key => $keys[0]) } 1, 2;
my ($serial, @members) = (1, qw(a b));
sub serve {
    my ($slow) = @_;
    $_->serve(serial => $serial, members => [@members], soa => \&any_zone, axfr => \&any_zone, slow => $slow // 0.4) for @fake;
}
serve();

# The configuration as it is now.
my %conf = (key => 0, zones => [qw(one two three)], first => 0, refresh => 100, acl => 0);
my (%added, %held);
sub groups {
    my @remotes = map { Lockstep::remote("p$_", $fake[$_], $keys[ $conf{key} ]) } 0, 1;
    my @primaries = $conf{first} ? qw(p1 p0) : qw(p0 p1);
    my %common = (primaries => \@primaries, 'refresh-min' => $conf{refresh}, $conf{acl} ? ('allow-transfer' => ['local']) : ());
    return (keys => \@keys, remotes => \@remotes, acls => [ { name => 'local', address => ['127.0.0.0/8'] } ],
        templates => [ { name => 'default', %common, 'zonefile-sync' => 1 }, { name => 'run', %common } ],
        zones => [ { name => 'cat', catalog => 'consume' }, map { { name => $_ } } @{ $conf{zones} } ]);
}
my $lockstep = Lockstep->new(groups())->start;
my @open;                # requests whose answers nobody has waited for yet

sub request {
    my (%ask) = @_;
    my $socket = $lockstep->control_socket or return;
    print $socket encode_json(\%ask), "\n";
    $socket->flush;
    push @open, [ $socket, \%ask ];
    finish_one() if @open > 20;
}

my %unfinished;
sub finish_one {
    my ($socket, $ask) = @{ shift @open };
    my @lines = map { decode_json($_) } <$socket>;
    $unfinished{ $ask->{verb} }++ unless @lines && $lines[-1]{done};
    return @lines;
}

sub now { my (%ask) = @_; request(%ask); my $mine = pop @open; unshift @open, $mine; return finish_one() }
sub everything { return ('cat', @{ $conf{zones} }, keys %added, map { "$_.member" } @members) }
sub any { return $_[ rand @_ ] }

sub reload {
    %{ $lockstep->{conf} } = (%{ $lockstep->{conf} }, groups());
    $lockstep->configure;
    my ($said) = grep { $_ } map { $_->{error} } now(verb => 'reload');
    is($said, undef, 'a reload is taken') if $said;
}

my @what = (
    [ 9, 'reload', sub { reload() } ],
    [ 6, 'a new version', sub { $serial++; serve(); $fake[0]->notify($lockstep->at, zone => $_, no_wait => 1) for map { "$_." } everything() } ],
    [ 6, 'transfer', sub { request(verb => 'transfer', zones => [ any(everything()) ], rand() < 0.3 ? (full => JSON::PP::true) : (), rand() < 0.3 ? (from => any('p0', 'p1')) : ()) } ],
    [ 2, 'refresh', sub { request(verb => 'refresh', all => JSON::PP::true) } ],
    [ 5, 'a zone goes during its transfer',
        sub { my $zone = any(@{ $conf{zones} })
        // return; request(verb => 'transfer', full => JSON::PP::true,
        zones => [$zone]); $conf{zones} = [ grep { $_ ne $zone } @{ $conf{zones} } ]; delete $held{$zone}; reload() } ],
    [ 6, 'a zone comes', sub { my $zone = 'n' . int rand 30; $conf{zones} = [ $zone, grep { $_ ne $zone } @{ $conf{zones} } ]; delete $added{$zone}; reload() } ],
    [ 4, 'another key', sub { $conf{key} ^= 1; $_->{key} = $keys[ $conf{key} ] for @fake; serve(); reload() } ],
    [ 4, 'another primary', sub { $conf{first} ^= 1; reload() } ],
    [ 2, 'other timers', sub { $conf{refresh} = 50 + int rand 100; reload() } ],
    [ 2, 'another access list', sub { $conf{acl} ^= 1; reload() } ],
    [ 5, 'add', sub { my $zone = 'run' . int rand 12; now(verb => 'add', zones => [$zone], template => 'run'); $added{$zone} = 1 } ],
    [ 4, 'remove', sub { my $zone = any(sort keys %added) // return; now(verb => 'remove', zones => [$zone]); delete $added{$zone}; delete $held{$zone} } ],
    [ 3, 'hold', sub { my $zone = any(@{ $conf{zones} }, sort keys %added) // return; now(verb => 'hold', zones => [$zone]); $held{$zone} = 1 } ],
    [ 4, 'release', sub { my $zone = any(sort keys %held) // return; now(verb => 'release', zones => [$zone]); delete $held{$zone} } ],
    [ 4, 'purge', sub { my $zone = any(grep { !$held{$_} } everything()); request(verb => 'purge', zones => [$zone]) } ],
    [ 4, 'members come and go', sub { @members = grep { rand() < 0.6 } 'a' .. 'h'; $serial++; serve(); request(verb => 'transfer', zones => ['cat']) } ],
    [ 2, 'status', sub { request(verb => 'status') } ],
    [ 1, 'a client goes away', sub { my $gone = shift @open; close $gone->[0] if $gone } ],
    [ 1, 'no primary', sub { $_->stop for @fake; request(verb => 'refresh', all => JSON::PP::true); serve() } ],
    [ 1, 'kill -9', sub { @open = (); $lockstep->kill9; $lockstep->start } ],
    [ 1, 'stop and start', sub { @open = (); is($lockstep->stop, 0, 'it ends cleanly, in the middle'); $lockstep->start } ],
);
my @urn = map { my $step = $_; ($step) x $step->[0] } @what;

my $lost = 0;
for my $n (1 .. $steps) {
    my $step = any(@urn);
    my $began = Time::HiRes::time();
    $step->[2]->();
    $lockstep->running or do { fail("step $n, $step->[1]: it runs (SEED=$seed)"); last };
    $lost++ if $lockstep->outcome('version.bind', 'TXT') eq 'none';
    note(sprintf '%d %s %.1f s', $n, $step->[1], Time::HiRes::time() - $began) if Time::HiRes::time() - $began > 2;
}
ok($lockstep->running, "it has lived through $steps steps (SEED=$seed)");
is($lost, 0, 'and answered after each of them');
finish_one() while @open;
is_deeply(\%unfinished, {}, 'every request came to its end');

# Nothing disturbs it any more.
serve(0);
reload();
request(verb => 'release', zones => [ sort keys %held ]) if %held;
finish_one() while @open;
now(verb => 'refresh', all => JSON::PP::true);
my @wanted = sort map { "$_." } everything();
my $got;
ok(wait_for(sub { ($got = join ' ', sort map { $_->{zone} } @{ ($lockstep->json('status') // {})->{zones} }) eq "@wanted" }),
    'there are the zones that there should be')
    or diag("there are $got\nnot @wanted");
for my $zone (@wanted) {
    ok($lockstep->wait_serial($zone, $serial, 90), "$zone has the last version");
    my $status = $lockstep->status($zone);
    is(join(' ', $status->{state}, $status->{activity}, $status->{held}), 'ok idle 0', "$zone is well") or diag(explain($status));
    is($lockstep->outcome("www.$zone", 'A'), 'NOERROR', "$zone is answered");
}
is($lockstep->outcome("www.$_", 'A'), 'REFUSED 20', "$_ is gone")
    for grep { my $name = $_; !grep { $_ eq "$name." } @wanted } map({ "n$_" } 0 .. 29), map({ "run$_" } 0 .. 11),
    map { "$_.member" } 'a' .. 'h';
is($lockstep->stop, 0, 'lockstepd ends cleanly');
$lockstep->start;
is(join(' ', sort map { $_->{zone} } @{ $lockstep->json('status')->{zones} }), "@wanted", 'and knows its zones the next time');
is($lockstep->stop, 0, 'once more');
done_testing;
