#!/usr/bin/perl
# A hundred zones of one primary, one of which goes wrong in one way after the other: the other 99 stay fresh, what is wrong is said, and it is not
# fetched again and again. And NOTIFYs for all of them, ten thousand at once.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Dump qw(dump_axfr same_zone);
use Fake;
use IO::Socket::IP;
use Lockstep;
use Mirror qw(same_answers);
use Process qw(wait_for);
use Socket qw(SOCK_DGRAM);
use Test::More;
use Time::HiRes qw(time);
use Wire qw(raw_rr soa_rdata question);

use constant ZONES => 100;
my @zones = map { sprintf 'z%02d.test', $_ } 0 .. ZONES - 1;
my $bad = $zones[50];
my @good = grep { $_ ne $bad } @zones;
my $fake = Fake->new(zone => 'test.');

sub zone_of { my ($talk) = @_; return $talk->query->{questions}[0]{name} =~ s/\.$//r }
sub soa { my ($talk, $serial) = @_; return $talk->soa($serial, owner => zone_of($talk) . '.', times => [ 2, 1, 604800, 300 ]) }
sub records { my ($zone, $serial) = @_; return ("$zone. 300 IN NS ns.elsewhere.", map { "h$_.$zone. 300 IN A 192.0.2.$serial" } 1 .. 5) }

# Everybody's serial from now on; `wrong` is what the bad one's transfers are like.
sub offer {
    my ($serial, $wrong) = @_;
    my $whole = sub { my ($talk) = @_; $talk->send(answer => [ soa($talk), records(zone_of($talk), $serial), soa($talk) ]) };
    my $steps = sub {
        my ($talk) = @_;
        my ($zone, $old) = (zone_of($talk), $talk->serial);
        $talk->send(answer => [ soa($talk), soa($talk, $old), map({ "h$_.$zone. 300 IN A 192.0.2.$old" } 1 .. 5), soa($talk), map({ "h$_.$zone. 300 IN A 192.0.2.$serial" } 1 .. 5), soa($talk) ]);
    };
    $fake->serve(serial => $serial, soa => sub { my ($talk) = @_; $talk->send(answer => [ soa($talk) ]) },
        axfr => sub { my ($talk) = @_; $wrong && zone_of($talk) eq $bad ? $wrong->($talk) : $whole->($talk) },
        ixfr => sub { my ($talk) = @_; $wrong && zone_of($talk) eq $bad ? $wrong->($talk) : $steps->($talk) });
}

# How often a zone was asked for, by types.
sub asked { my ($zone, $types) = @_; return scalar grep { ($_->{type} // '') =~ /^(?:$types)$/ && $_->{name} eq "$zone." } $fake->asked }

offer(1);
my $lockstep = Lockstep->new(server => { limits => { connect => '2s', 'transfer-idle' => '2s', 'transfer-time' => '20s' } },
    remotes => [ Lockstep::remote('one', $fake) ],
    templates => [ { name => 'default', primaries => ['one'], 'refresh-min' => '1h', 'retry-min' => '1h', 'max-records' => 1000 },
        { name => 'bad', primaries => ['one'], 'refresh-min' => 2, 'retry-min' => 1, 'max-records' => 1000 } ],
    zones => [ map { { name => $_, $_ eq $bad ? (template => 'bad') : () } } @zones ])->start;

# The zones that do not serve this serial.
sub behind { my ($serial, @of) = @_; return grep { ($lockstep->serial($_) // 0) != $serial } @of }
sub all_fresh {
    my ($serial, $what, @of) = @_;
    my @left = @of;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok(wait_for(sub { !(@left = behind($serial, @left)) }, 15), $what) or diag("behind: @left");
}
all_fresh(1, 'a hundred zones are served', @zones);

# After IXFR.
sub as_the_primary {
    my ($zone, $what) = @_;
    same_zone($lockstep->dump($zone), dump_axfr($fake->at, $zone), "$what: $zone is what AXFR gives");
    same_answers($lockstep, $zone, "$what: $zone");
}

my $serial = 1;
my $served = 1;
my @ways = (
    [ 'malformed RDATA', qr/malformed RDATA/, 1,
        sub { my ($talk) = @_; $talk->send(answer => [ soa($talk), records($bad, 9), raw_rr(owner => "$bad.", type => 'A', rdata => 'abc'), soa($talk) ]) } ],
    [ 'a wrong digest', qr/digest/, 1, sub { my ($talk) = @_;
        $talk->send(answer => [ soa($talk), records($bad, 9), raw_rr(owner => "$bad.", type => 'ZONEMD', rdata => pack('N C2', $talk->{fake}{serial}, 1, 1) . 'x' x 48), soa($talk) ]) } ],
    [ 'records without end', qr/max-records/, 1, sub { my ($talk) = @_;
        my $n = 0;
        $talk->send(answer => [ soa($talk), records($bad, 9) ]);
        while ($talk->send(answer => [ map { \(Wire::name("n$_.$bad.") . pack 'n2 N n N', 1, 1, 300, 4, $_) } $n .. $n + 499 ])) { $n += 500 } } ],
    [ 'SERVFAIL', qr/SERVFAIL/, 0, sub { $_[0]->send(rcode => 2) } ],
    [ 'silence', qr/idle|no answer|nothing more/, 0, sub { $_[0]->wait_close } ],
    [ 'a reset', qr/reset|closed/, 0, sub { $_[0]->reset } ],
);
for my $way (@ways) {
    my ($what, $why, $refused, $wrong) = @$way;
    offer(++$serial, $wrong);
    my ($soas, $transfers) = (asked($bad, 'SOA'), asked($bad, '[AI]XFR'));
    $fake->notify($lockstep->at, zone => "$_.", serial => $serial) for @zones;
    all_fresh($serial, "$what: the other 99 are fresh", @good);
    my $said = $refused ? sub { $_[0]{reason} } : sub { $_[0]{last_failure}{reason} };
    ok(wait_for(sub { ($said->($lockstep->status($bad)) // '') =~ $why }, 15), "$what: the status says why")
        or diag(explain($lockstep->status($bad)));
    like($lockstep->status($bad)->{state}, $refused ? qr/^rejected$/ : qr/^(?:lagging|refreshing|rejected)$/, "$what: and the state");
    is($lockstep->serial($bad), $served, "$what: what was served is served");
    as_the_primary($good[ $serial * 7 % @good ], $what);
    cmp_ok(scalar($lockstep->events('transfer', zone => "$bad.")), '>', 0, "$what: it is in the log");
    next unless $refused;
    # It goes on being asked for its serial each retry (1 s), but what was refused is not fetched again; another NOTIFY changes nothing.
    $soas = asked($bad, 'SOA');
    $transfers = asked($bad, '[AI]XFR');
    ok(wait_for(sub { asked($bad, 'SOA') >= $soas + 2 }, 10), "$what: its serial is asked for again");
    $fake->notify($lockstep->at, zone => "$bad.", serial => $serial);
    $soas = asked($bad, 'SOA');
    ok(wait_for(sub { asked($bad, 'SOA') >= $soas + 2 }, 10), "$what: after a NOTIFY too");
    is(asked($bad, '[AI]XFR'), $transfers, "$what: but it is not fetched again");
    is(($lockstep->verb('transfer', '--full', $bad))[0], 1, "$what: unless the operator wants it");
}
offer(++$serial);
$fake->notify($lockstep->at, zone => "$_.", serial => $serial) for @zones;
all_fresh($serial, 'a good version: all of them are fresh', @zones);
is($lockstep->status($bad)->{state}, 'ok', 'and the bad one is well');
as_the_primary($_, 'a good version') for $bad, $good[9];
is($lockstep->status($bad)->{reason}, undef, 'without a reason');

# --- ten thousand NOTIFYs --------------------------------------------------------------------

my $probes = sub { scalar grep { ($_->{type} // '') eq 'SOA' && $_->{name} ne "$bad." } $fake->asked };
my $before = $probes->();
my $socket = IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $lockstep->{port}, LocalHost => '127.0.0.1',
    Type => SOCK_DGRAM) or die "UDP: $!";
my @messages = map { Wire::message(opcode => 4, aa => 1, question => question("$_.", 'SOA'),
    answer => [ raw_rr(owner => "$_.", type => 'SOA', rdata => soa_rdata("$_.", $serial + 5)) ]) } @good;
my $began = time;
for my $round (1 .. 101) { $socket->send($_) for @messages }
my $took = time - $began;
note(sprintf '%d NOTIFYs in %.2f s', 101 * @messages, $took);
is($lockstep->serial($good[7]), $serial, 'queries are answered meanwhile');
is(($lockstep->verb('status'))[0], 0, 'so is the operator');
ok(wait_for(sub { my $n = $probes->(); select undef, undef, undef, 1.5; $n == $probes->() }, 120), 'the probes that they cause come to an end');
cmp_ok($probes->() - $before, '<=', 8 * @good, 'and are a few for each zone');
cmp_ok($probes->() - $before, '>=', 1 * @good, 'but at least one');
offer(++$serial);
is(($lockstep->verb('transfer', $_))[0], 0, "$_ is still pulled") for @good[ 3, 77 ];
$fake->notify($lockstep->at, zone => "$_.", serial => $serial + 9) for @zones;
is($lockstep->stop, 0, 'lockstepd ends cleanly');
done_testing;
