#!/usr/bin/perl
# NOTIFY from whom it must not come, malformed, ahead of time, and in floods; and SOA probes that are answered wrongly.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Fake;
use Lockstep;
use IO::Socket::IP;
use Process qw(wait_for);
use Socket qw(SOCK_DGRAM);
use Test::More;
use Tsig;
use Wire qw(name raw_rr soa_rdata question);

my $key = Tsig::key;
my @records = ('example. 300 IN NS ns.example.');
my $fake = Fake->new(zone => 'example.', key => $key)->serve(serial => 1, records => \@records);
my $plain = Fake->new(zone => 'plain.', address => '127.0.0.2')->serve(serial => 1, records => ['plain. 300 IN NS ns.plain.']);
my $ahead = Fake->new(zone => 'ahead.', address => '127.0.0.4')->serve(serial => 1, records => ['ahead. 300 IN NS ns.ahead.']);
my $lockstep = Lockstep->new(keys => [$key],
    remotes => [ Lockstep::remote('signed', $fake, $key), Lockstep::remote('unsigned', $plain),
    Lockstep::remote('ahead', $ahead) ],
    server => { limits => { connect => '1s', 'transfer-idle' => '2s', 'transfer-time' => '8s' } },
    templates => [ { name => 'default', 'refresh-min' => '1h', 'retry-min' => '1h' } ],
    zones => [ { name => 'example', primaries => ['signed'] }, { name => 'plain', primaries => ['unsigned'] },
        { name => 'ahead', primaries => ['ahead'] } ])->start;
ok($lockstep->wait_serial($_, 1), "$_ is there") for qw(example plain ahead);
my $at = $lockstep->at;
my $ahead_asked = $ahead->count('SOA');
is($ahead->notify($at, serial => 7)->{rcode}, 0, 'NOTIFY of a serial that the primary has not: seen to at the end');

sub code { my ($answer) = @_; return $answer ? $answer->{rcode} : 'none' }

# The daemon asks nobody because of this. What it would ask it would ask before it answers a verb of ours.
sub not_heeded {
    my ($what, $rcode, $primary, %of) = @_;
    my $asked = $primary->count('SOA');
    my $answer = $primary->notify($at, %of);
    like(code($answer), qr/^(?:$rcode)$/, "$what: answered with $rcode");
    $lockstep->verb('status');
    is($primary->count('SOA'), $asked, "$what: not heeded");
}

# --- who and what --------------------------------------------------------------------------------

$fake->serve(serial => $fake->{serial} + 1);
my $answer = $fake->notify($at, serial => $fake->{serial});
is(code($answer), 0, 'a signed NOTIFY from the primary: NOERROR');
is("@$answer{qw(qr opcode aa)}", '1 4 1', 'the answer is one to NOTIFY, with authority');
is($answer->{questions}[0]{name}, 'example.', 'with the question');
ok($fake->wait_count('IXFR', 1, 15), 'and the primary is asked, for the difference at once');
ok($lockstep->wait_serial('example', $fake->{serial}, 15), 'and what it has is taken');
not_heeded('unsigned where a key is configured', '5|9', $fake, key => undef, serial => 5);
not_heeded('signed with another secret', 9, $fake, key => Tsig::key(name => $key->{name}), serial => 5);
not_heeded('signed with another key', 9, $fake, key => Tsig::key(name => 'other'), serial => 5);
not_heeded('signed 1000 s ago', 9, $fake, tsig => { time => time - 1000 }, serial => 5);
not_heeded('from another address', 5, $plain, source => '127.0.0.3', serial => 5);
not_heeded('for a zone that is not here', '5|9', $fake, zone => 'other.', serial => 5);
not_heeded('for a name in a zone', '5|9', $fake, zone => 'www.example.', serial => 5);
not_heeded('in class CH', '1|5|9', $plain, question => question('plain.', 'SOA', 3), serial => 5);
not_heeded('in class ANY', '1|5|9', $plain, question => question('plain.', 'SOA', 255), serial => 5);
not_heeded('in class NONE', '1|5|9', $plain, question => question('plain.', 'SOA', 254), serial => 5);
not_heeded('with two questions', 1, $plain, question => question('plain.', 'SOA') x 2, counts => [ 2, 0, 0, 0 ], serial => undef);
not_heeded('with no question', 1, $plain, question => '', counts => [ 0, 0, 0, 0 ], serial => undef);
not_heeded('with a count that lies', 1, $plain, counts => [ 1, 5, 0, 0 ], serial => undef);
not_heeded('with the serial that is served', 0, $plain, serial => 1);
not_heeded('with an older serial', 0, $plain, serial => 0);
not_heeded('with a SOA whose RDATA is short', 1, $plain,
    answer => [ raw_rr(owner => 'plain.', type => 'SOA', rdata => substr soa_rdata('plain.', 9), 0, -3) ]);

# --- heeded, though odd ----------------------------------------------------------------------------

sub heeded {
    my ($what, %of) = @_;
    my $serial = $plain->{serial} + 1;
    $plain->serve(serial => $serial);
    my $answer = $plain->notify($at, serial => $serial, %of);
    is(code($answer), 0, "$what: NOERROR");
    ok($lockstep->wait_serial('plain', $serial, 15), "$what: heeded");
}
heeded('without a serial', serial => undef);
heeded('with a SOA of another owner', answer => [ raw_rr(owner => 'other.', type => 'SOA', rdata => soa_rdata('other.', 9)) ]);
heeded('with a thousand records', answer => [ map { "n$_.plain. 300 IN A 192.0.2.1" } 1 .. 1000 ]);

# --- how often ---------------------------------------------------------------------------------------

my $before = $plain->count('SOA');
$plain->notify($at, serial => 1000 + $_, no_wait => 1) for 1 .. 3000;
ok($plain->notify($at, serial => 5000, seconds => 5), 'three thousand NOTIFYs: the daemon answers still');
is(($lockstep->verb('refresh', 'plain'))[0], 0, 'and the zone can be refreshed');
cmp_ok($plain->count('SOA') - $before, '<=', 12, 'the primary is asked a handful of times');
is($lockstep->serial('plain'), $plain->{serial}, 'and the zone is served');

# Transfers that take half a second; those from the `$then`th on bring the serial after it, which the primary shows all the time.
sub slowly {
    my ($serial, $then) = @_;
    $fake->serve(serial => $serial, soa => sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa($serial + ($then ? 1 : 0)) ]) }, axfr => sub {
        my ($talk) = @_;
        my $brings = $serial + ($then && $talk->nth >= $then ? 1 : 0);
        $talk->send(answer => [ $talk->soa($brings), @records ]);
        $talk->pause(0.5);
        $talk->send(answer => [ $talk->soa($brings) ]);
    });
}
sub asked_of { my ($fake) = @_; return join ' ', map { "$_ " . $fake->count($_) } qw(SOA IXFR AXFR) }

my $settled;
subtest 'NOTIFY during a transfer: one more look, no more' => sub {
    my ($transfers, $probes) = $fake->count('IXFR');
    my $during = sub {
        my ($what, $serial, $named) = @_;
        is(code($fake->notify($at, serial => $serial)), 0, "$what: it begins");
        ok($fake->wait_count('IXFR', ++$transfers, 15), "$what: the transfer is under way");
        is(scalar(grep { code($fake->notify($at, serial => $named)) eq '0' } 1 .. 20), 20, "$what: twenty NOTIFYs are answered");
        is($lockstep->serial('example'), $serial - 1, "$what: it is under way still");
        $probes = $fake->count('SOA');
    };
    my $serial = $fake->{serial} + 1;
    slowly($serial);
    $during->('of the serial that is coming', $serial, $serial);
    ok($lockstep->wait_serial('example', $serial, 15), 'it comes');
    is($fake->count('SOA') . ' ' . $fake->count('IXFR'), "$probes $transfers", 'and that is all');

    slowly(++$serial);
    $during->('without a serial', $serial, undef);
    ok($lockstep->wait_serial('example', $serial, 15), 'it comes');
    ok($fake->wait_count('SOA', $probes + 1, 15), 'one more look');
    is(($lockstep->verb('status'))[0], 0, 'after it');
    is($fake->count('SOA') . ' ' . $fake->count('IXFR'), ($probes + 1) . " $transfers", 'no more than that');

    slowly(++$serial, $transfers + 2);
    $during->('of the next one', $serial, $serial + 1);
    ok($lockstep->wait_serial('example', ++$serial, 15), 'it comes, and the next one');
    ($probes, $transfers) = ($probes + 1, $transfers + 1);
    is($fake->count('SOA') . ' ' . $fake->count('IXFR'), "$probes $transfers", 'one look, and one transfer for what is newer, no more');
    $settled = asked_of($fake);
};

# --- probes ------------------------------------------------------------------------------------------

# A probe that is answered so fails, is explained, and the zone goes on; TCP may be tried where UDP says nothing.
sub bad_probe {
    my ($what, $script, $reason) = @_;
    $plain->serve(serial => $plain->{serial}, soa => $script);
    my ($status, $out, $said) = $lockstep->verb('refresh', 'plain');
    is($status, 1, "probe: $what: refresh fails") or diag($out);
    like($said, qr/$reason/i, "probe: $what: and says why") if $reason;
    is($lockstep->serial('plain'), $plain->{serial}, "probe: $what: the zone is served");
}
bad_probe('a CNAME', sub { $_[0]->send(answer => ['plain. 300 IN CNAME other.']) });
bad_probe('nothing', sub { $_[0]->send });
bad_probe('a referral', sub { $_[0]->send(aa => 0, authority => ['plain. 300 IN NS ns.other.']) });
bad_probe('the SOA of another owner', sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa(99, owner => 'other.') ]) });
bad_probe('a SOA that is short', sub { $_[0]->send(answer => [ raw_rr(owner => 'plain.', type => 'SOA', rdata => substr soa_rdata('plain.', 99), 0, -9) ]) });
bad_probe('two SOAs of different serials', sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa(98), $talk->soa(99) ]) });
bad_probe('an answer from another address', sub {
    my ($talk) = @_;
    return $talk->close unless $talk->{peer};
    for my $from ([ LocalHost => '127.0.0.3', LocalPort => $plain->{port} ], [ LocalHost => $plain->{address} ]) {
        my $socket = IO::Socket::IP->new(@$from, Type => SOCK_DGRAM) or die "UDP: $!";
        $socket->send($talk->message(answer => [ $talk->soa(99) ]), 0, $talk->{peer});
    }
});
bad_probe('SERVFAIL', sub { $_[0]->send(rcode => 2) }, 'SERVFAIL');
bad_probe('REFUSED', sub { $_[0]->send(rcode => 5) }, 'REFUSED');
bad_probe('three octets, another ID, another question', sub {
    my ($talk) = @_;
    $talk->send_message('abc');
    $talk->send(answer => [ $talk->soa(99) ], id => $talk->query->{id} ^ 1);
    $talk->send(answer => [ $talk->soa(99) ], question => question('other.', 'SOA'));
    $talk->close unless $talk->{peer};
});
bad_probe('the TC bit, and nothing over TCP', sub { my ($talk) = @_; $talk->{peer} ? $talk->send(tc => 1) : $talk->close });
bad_probe('silence', sub { $_[0]{peer} or $_[0]->close });

$plain->serve(serial => $plain->{serial} + 1,
    soa => sub { my ($talk) = @_; $talk->{peer} ? $talk->send(tc => 1) : $talk->send(answer => [ $talk->soa ]) });
my ($status, $out, $said) = $lockstep->verb('refresh', 'plain');
is($status, 0, 'the TC bit: TCP brings the answer') or diag($said);
ok($lockstep->wait_serial('plain', $plain->{serial}, 15), 'and the new version');
$plain->serve(serial => $plain->{serial} + 1, soa => sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa ]) unless $talk->{peer} });
is(($lockstep->verb('refresh', 'plain'))[0], 0, 'silence over UDP: TCP is tried');
ok($lockstep->wait_serial('plain', $plain->{serial}, 15), 'and brings the new version');
$plain->serve(serial => $plain->{serial}, soa => sub {
    my ($talk) = @_;
    $talk->send(answer => [ $talk->soa(4000) ], id => $talk->query->{id} ^ 3);
    $talk->send(answer => [ $talk->soa ]);
});
is(($lockstep->verb('refresh', 'plain'))[0], 0, 'a forged answer before the right one is passed over');
is($lockstep->serial('plain'), $plain->{serial}, 'and the zone stays as it is');

$plain->serve(serial => $plain->{serial} + 1, soa => sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa, $talk->soa ]) });
is(($lockstep->verb('refresh', 'plain'))[0], 0, 'the same SOA twice says what it says once');
ok($lockstep->wait_serial('plain', $plain->{serial}, 15), 'and is followed');

my $asked = $plain->count('SOA');
$plain->serve(serial => $plain->{serial} + 1,
    soa => sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa ]) if $talk->{peer} && $talk->nth > $asked + 1 });
is(($lockstep->verb('refresh', 'plain'))[0], 0, 'a lost query or answer: it is asked again');
ok($lockstep->wait_serial('plain', $plain->{serial}, 15), 'and the new version comes');

subtest 'a serial that is another one each time' => sub {
    my $served = $plain->{serial};
    my @serials = ($served, $served + 7, $served - 3, $served + 2 ** 31, $served + 1);
    $plain->serve(serial => $served, soa => sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa($serials[ $talk->nth % @serials ] % 2 ** 32) ]) });
    my $asked = $plain->count('SOA') + $plain->count('IXFR') + $plain->count('AXFR');
    for (1 .. 10) {
        $lockstep->verb('refresh', 'plain');
        is($lockstep->serial('plain'), $served, 'the zone is served as it is');
    }
    cmp_ok($plain->count('SOA') + $plain->count('IXFR') + $plain->count('AXFR') - $asked, '<=', 40,
        'the primary is asked a few times for each refresh, no more');
    $plain->serve(serial => $served + 1);
    is(($lockstep->verb('refresh', 'plain'))[0], 0, 'and when it has settled');
    is($lockstep->serial('plain'), $served + 1, 'it is followed');
};

subtest 'who cannot see the query cannot guess its answer' => sub {
    $lockstep->verb('refresh', 'plain') for 1 .. 20;
    my @asked = grep { $_->{type} eq 'SOA' && $_->{transport} eq 'UDP' } $plain->asked;
    my %different = map { my $field = $_; $field => { map { $_->{$field} => 1 } @asked[ -20 .. -1 ] } } qw(id from);
    cmp_ok(scalar keys %{ $different{id} }, '>', 15, 'IDs differ');
    cmp_ok(scalar keys %{ $different{from} }, '>', 15, 'and so do ports');
    my @step = map { $asked[ $_ + 1 ]{id} - $asked[$_]{id} } -20 .. -2;
    cmp_ok(scalar keys %{ { map { $_ => 1 } @step } }, '>', 15, 'IDs do not follow one another');
};

is(asked_of($fake), $settled, 'NOTIFY during a transfer: nothing more came of it later');
cmp_ok($ahead->count('SOA') - $ahead_asked, '>=', 1, 'NOTIFY of a serial that the primary has not: it was asked');
cmp_ok($ahead->count('SOA') - $ahead_asked, '<=', 6, 'but not for ever');
is($lockstep->serial('ahead'), 1, 'and the zone is as it was');
is($lockstep->stop, 0, 'lockstepd ends cleanly');
done_testing;
