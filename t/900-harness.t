#!/usr/bin/perl
# The tools of the whole-daemon tests, held against each other: real servers transfer between themselves and from the fake primary.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Dump qw(dump_text dump_axfr same_zone);
use Fake;
use Peer;
use Test::More;
use Tsig;

my @kinds = grep { Peer->have($_) } qw(nsd knot bind);
plan skip_all => 'needs nsd, knot and bind9' unless @kinds == 3;
my @primaries = (@kinds, grep { Peer->have($_) } 'powerdns');
my $key = Tsig::key(name => 'Xfr.example');
my $lower = Tsig::key(name => 'xfr.lower');      # PowerDNS signs NOTIFY wrongly with a key that has capitals
my %key = map { $_ => $_ eq 'powerdns' ? $lower : $key } @primaries;

sub zone_text {
    my ($name, $serial, @more) = @_;
    return join "\n", "$name. 300 IN SOA ns.$name. host.$name. $serial 3600 900 604800 300", "$name. 300 IN NS ns.$name.",
        map({ "a$_.$name. 300 IN A 192.0.2.$_" } 1 .. 50), "ns.$name. 300 IN AAAA 2001:db8::1",
        "odd\\.name\\000.$name. 60 IN TXT \"quote \\\" and \\200\" \"\"", "x.$name. 60 IN TYPE65280 \\# 3 abcdef", @more, '';
}

my %primary = map { $_ => Peer->new($_, zones => [ { name => "$_.example", text => zone_text("$_.example", 1), key => $key{$_}, notify => [] } ]) } @primaries;
my %secondary;
for my $kind (@kinds) {
    $secondary{$kind} = Peer->new($kind,
        zones => [ map { { name => "$_.example", key => $key{$_}, primaries => [ $primary{$_}->at ] } } @primaries ]);
    push @{ $_->{zones}[0]{notify} }, $secondary{$kind}->at for values %primary;
}
$_->start for values %primary, values %secondary;

subtest 'AXFR' => sub {
    for my $from (@primaries) {
        my $wanted = dump_text(zone_text("$from.example", 1), "$from.example");
        same_zone($primary{$from}->dump("$from.example"), $wanted, "$from serves its zone");
        for my $to (@kinds) {
            ok($secondary{$to}->wait_serial("$from.example", 1), "$to has pulled it");
            same_zone($secondary{$to}->dump("$from.example"), $wanted, "$to has the same records");
        }
    }
};

subtest 'an edit, NOTIFY and the next version' => sub {
    my %text = map { $_ => zone_text("$_.example", 2, "new.$_.example. 60 IN A 192.0.2.99") } @primaries;
    $primary{$_}->edit("$_.example", $text{$_}) for @primaries;
    for my $from (@primaries) {
        my $wanted = dump_text($text{$from}, "$from.example");
        for my $to (@kinds) {
            ok($secondary{$to}->wait_serial("$from.example", 2), "$from told $to");
            same_zone($secondary{$to}->dump("$from.example"), $wanted, "$to has the new records");
        }
    }
};

subtest 'several edits come as one IXFR of several steps' => sub {
    for my $kind (@kinds) {
        $primary{$kind}->edit("$kind.example", zone_text("$kind.example", $_, map { "new$_.$kind.example. 60 IN A 192.0.2.$_" } 3 .. $_)) for 3 .. 5;
        my ($host, $port) = $primary{$kind}->split_at($primary{$kind}->at);
        my $answer = $primary{$kind}->run('dig', Dump::at_options($primary{$kind}->at), Dump::dig_key($key), "$kind.example",
            'IXFR=3', '+nocmd', '+nostats');
        my @serials = $answer =~ /\sSOA\s+\S+\s+\S+\s+(\d+)/g;
        is("@serials", '5 3 4 4 5 5', "$kind gives the steps from 3 to 5");
    }
};
is($_->stop, 0, "$_->{kind} stops") for values %secondary, @primary{@kinds};

subtest 'the fake primary' => sub {
    my @records = ('fake.example. 300 IN NS ns.fake.example.', map { "a$_.fake.example. 300 IN A 192.0.2.$_" } 1 .. 9);
    for my $algorithm (Tsig::algorithms) {
        my $fake_key = Tsig::key(algorithm => $algorithm);
        my $fake = Fake->new(zone => 'fake.example.', key => $fake_key)->serve(serial => 7, records => \@records);
        my $got = dump_axfr($fake->at, 'fake.example', $fake_key);
        is(scalar @{ $got // [] }, 11, "$algorithm: dig takes what it signs");
        is(($fake->asked)[-1]{tsig}, 'NOERROR', "$algorithm: it takes what dig signs");
        is(dump_axfr($fake->at, 'fake.example', Tsig::key(algorithm => $algorithm)), undef, "$algorithm: another secret fails");
        is(($fake->asked)[-1]{tsig}, 'BADSIG', "$algorithm: and is seen");
    }
};

# BIND wants every message signed since its CVE-2026-19033.
for my $every (1, 90) {
    subtest "secondaries pull from the fake primary, one message of $every signed" => sub {
        my $fake = Fake->new(zone => 'fake.example.', key => $key)->serve(serial => 4294967295, axfr => sub {
            my ($talk) = @_;
            $talk->send(answer => [ $talk->soa, 'fake.example. 300 IN NS ns.fake.example.' ]);
            $talk->send(answer => [ "a$_.fake.example. 300 IN A 192.0.2.1" ], sign => $_ % $every == 0) for 1 .. 300;
            $talk->send(answer => [ $talk->soa ]);
        });
        for my $kind ($every == 1 ? @kinds : qw(nsd knot)) {
            my $server = Peer->new($kind, zones => [ { name => 'fake.example', key => $key, primaries => [ $fake->at ] } ])->start;
            ok($server->wait_serial('fake.example', 4294967295), "$kind takes it");
            is(scalar @{ $server->dump('fake.example') // [] }, 302, "$kind has all records");
            $server->stop;
        }
    };
}

subtest 'a primary that closes early is believed by none' => sub {
    my $fake = Fake->new(zone => 'fake.example.', key => $key)->serve(serial => 2, axfr => sub {
        my ($talk) = @_;
        $talk->send(answer => [ $talk->soa, 'fake.example. 300 IN NS ns.fake.example.' ]);
        $talk->close;
    });
    for my $kind (@kinds) {
        my $asked = $fake->count('AXFR');
        my $server = Peer->new($kind, zones => [ { name => 'fake.example', key => $key, primaries => [ $fake->at ] } ])->start;
        ok($fake->wait_count('AXFR', $asked + 1, 15), "$kind asks");
        is($server->serial('fake.example'), undef, "$kind has no zone");
        $server->stop;
    }
};

subtest 'NOTIFY from the fake primary' => sub {
    my $fake = Fake->new(zone => 'fake.example.', key => $key)->serve(serial => 1, records => [ 'fake.example. 300 IN NS ns.fake.example.' ]);
    my $server = Peer->new('knot', zones => [ { name => 'fake.example', key => $key, primaries => [ $fake->at ] } ])->start;
    ok($server->wait_serial('fake.example', 1), 'the first version is there');
    $fake->serve(serial => 2);
    my $answer = $fake->notify($server->at);
    is($answer && $answer->{rcode}, 0, 'a signed NOTIFY is taken');
    ok($server->wait_serial('fake.example', 2), 'and brings the new version');
    my $refused = $fake->notify($server->at, tsig => { mac => 'x' x 32 });
    is($refused && $refused->{rcode}, 9, 'one with a false MAC is not');
};
done_testing;
