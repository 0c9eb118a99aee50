#!/usr/bin/perl
# What is not done twice: a version that was refused is not fetched again, in whatever way it is offered; and what is tried in another way: a
# server that does not bear EDNS. And what is known of primaries that are not asked for the zone.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Fake;
use Lockstep;
use Process qw(wait_for);
use Test::More;
use Tsig;
use Wire;

plan skip_all => 'lockstepd is not built' unless Lockstep::have();
my @records = ('example. 300 IN NS ns.example.');
my ($lockstep, @fakes);

sub start_with {
    my ($count, %settings) = @_;
    @fakes = map { Fake->new(zone => 'example.', address => "127.0.0.$_", records => \@records) } 1 .. $count;
    my @remotes = map { Lockstep::remote("p$_", $fakes[ $_ - 1 ]) } 1 .. $count;
    $lockstep = Lockstep->new(remotes => \@remotes, server => { limits => { connect => '2s', 'transfer-idle' => '2s' } },
        zones => [ { name => 'example', primaries => [ map { $_->{name} } @remotes ], %settings } ]);
}

sub transfers { my ($fake) = @_; return $fake->count('AXFR') + $fake->count('IXFR') }
sub ended { is($lockstep->stop, 0, 'lockstepd ends cleanly'); $_->stop for @fakes }

# A zone without its NS records.
sub bad { return (axfr => sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa, 'www.example. 300 IN A 192.0.2.1', $talk->soa ]) }, @_) }
sub fast { return (times => [ 2, 1, 600, 60 ], @_) }

subtest 'a version that was refused' => sub {
    start_with(1);
    my ($p) = @fakes;
    $p->serve(fast(serial => 1));
    $lockstep->start;
    ok($lockstep->wait_serial('example', 1), 'a good version');
    $p->serve(fast(bad(serial => 2)));
    my ($transfers, $probes) = (transfers($p), $p->count('SOA'));
    ok(defined $p->notify($lockstep->at), 'NOTIFY of a bad one');
    ok($lockstep->wait_state('example', 'rejected'), 'which is refused');
    wait_for(sub { transfers($p) - $transfers >= 2 });
    is(transfers($p) - $transfers, 2, 'by IXFR and by AXFR');
    like($lockstep->status('example')->{reason}, qr/NS/, 'and it is said why');
    is($lockstep->status('example')->{primaries}[0]{refused}, 2, 'status says which');
    $p->notify($lockstep->at) for 1 .. 20;
    ok($p->wait_count(SOA => $probes + 4), 'at each retry the primary is asked for its serial');
    is(transfers($p) - $transfers, 2, 'but the same version is not fetched again');
    is($lockstep->state('example'), 'rejected', 'and the state stays');
    is($lockstep->serial('example'), 1, 'as does the zone');
    cmp_ok($lockstep->json('stats')->{transfer}{refused_again}, '>=', 3, 'it is counted');
    is(($lockstep->verb('refresh', 'example'))[0], 1, 'when the operator asks');
    wait_for(sub { transfers($p) - $transfers >= 4 });
    is(transfers($p) - $transfers, 4, 'it is tried again');
    $p->serve(fast(bad(serial => 3)));
    ok($p->wait_count(AXFR => 4), 'another serial is fetched');
    $p->serve(fast(serial => 4));
    ok($lockstep->wait_serial('example', 4), 'and when it is a good one, taken');
    is($lockstep->state('example'), 'ok', 'the zone is well');
    ended();
};

# What goes wrong on the way is tried again at each retry, a second later here; what came whole and was refused is not fetched
# again. Either way the zone is served, it is said why, and when the primary is well again the zone is too, without anybody's
# doing.
my @wrong = (
    [ 'it breaks off', 'fetched again', qr/closed|reset|ended/,
        sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa, @records ]); $talk->close } ],
    [ 'it stalls', 'fetched again', qr/idle|nothing/, sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa ]); $talk->wait_close } ],
    [ 'SERVFAIL', 'fetched again', qr/SERVFAIL/, sub { $_[0]->send(rcode => 2) } ],
    [ 'REFUSED', 'fetched again', qr/REFUSED/, sub { $_[0]->send(rcode => 5) } ],
    [ 'another ID', 'fetched again', qr/not a response to our query/,
        sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa, @records, $talk->soa ], id => $talk->query->{id} ^ 1) } ],
    [ 'malformed RDATA', 'refused', qr/malformed RDATA/, sub { my ($talk) = @_;
        $talk->send(answer => [ $talk->soa, @records, Wire::raw_rr(owner => 'x.example.', type => 'A', rdata => 'abc'), $talk->soa ]) } ],
    [ 'another SOA at the end', 'refused', qr/SOA/, sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa, @records, $talk->soa(99) ]) } ],
    [ 'a record of another zone', 'refused', qr/not in the zone/,
        sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa, @records, 'www.other. 300 IN A 192.0.2.1', $talk->soa ]) } ],
    [ 'more than the zone may have', 'refused', qr/max-records/,
        sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa, @records, map({ "h$_.example. 300 IN A 192.0.2.1" } 1 .. 60), $talk->soa ]) } ],
    [ 'a wrong digest', 'refused', qr/digest/, sub { my ($talk) = @_;
        $talk->send(answer => [ $talk->soa, @records, Wire::raw_rr(owner => 'example.', type => 63, rdata => pack('N C2', 2, 1, 1) . 'x' x 48), $talk->soa ]) } ],
    [ 'a signature that does not verify', 'fetched again', qr/TSIG/,
        sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa, @records, $talk->soa ], tsig => { mac => 'x' x 32 }) }, 1 ],
);
for my $case (@wrong) {
    my ($what, $then, $why, $script, $signed) = @$case;
    subtest "what follows: $what" => sub {
        start_with(1, 'max-records' => 50);
        my ($p) = @fakes;
        if ($signed) {
            my $key = $p->{key} = Tsig::key();
            @{ $lockstep->{conf} }{qw(keys remotes)} = ([$key], [ Lockstep::remote('p1', $p, $key) ]);
        }
        $p->serve(fast(serial => 1));
        $lockstep->start;
        ok($lockstep->wait_serial('example', 1), 'a good version');
        $p->serve(fast(serial => 2, axfr => $script, ixfr => $script));
        $p->notify($lockstep->at);
        my $said = sub { my $status = $lockstep->status('example'); return join ' ', $status->{reason} // '',
            ($status->{last_failure} // {})->{reason} // '' };
        ok(wait_for(sub { $said->() =~ $why }, 15), 'the status says why') or diag($said->());
        like(join(' ', map { $_->{why} // '' } $lockstep->events('transfer', zone => 'example.'), $lockstep->events('version-refused', zone => 'example.')), $why, 'so does the log');
        my $probes = $p->count('SOA');
        ok($p->wait_count(SOA => $probes + 2, 15), 'at each retry the primary is asked for its serial');
        my $transfers = transfers($p);
        ok($p->wait_count(SOA => $probes + 4, 25), 'and again');
        if ($then eq 'refused') {
            is(transfers($p), $transfers, 'the same version is not fetched again');
            is($lockstep->state('example'), 'rejected', 'the state');
            $p->serve(fast(serial => 3));
        } else {
            ok(wait_for(sub { transfers($p) > $transfers }, 25), 'the version is fetched again');
            like($lockstep->state('example'), qr/^(?:lagging|refreshing|stale|rejected)$/, 'the state');
            is($lockstep->serial('example'), 1, 'what was served is served');
            $p->serve(fast(serial => 2));
        }
        ok($lockstep->wait_serial('example', $p->{serial}, 40), 'the primary is well: so is the zone');
        ok($lockstep->wait_state('example', 'ok'), 'and its state');
        ended();
    };
}

subtest 'the first version is refused' => sub {
    start_with(1);
    my ($p) = @fakes;
    $p->serve(bad(serial => 2));
    $lockstep->start;
    ok($lockstep->wait_state('example', 'rejected'), 'there is no version to serve');
    my $transfers = transfers($p);
    ok($p->wait_count(SOA => 1, 15), 'the primary is asked for its serial');
    is(transfers($p), $transfers, 'the same version is not fetched again');
    $p->serve(serial => 3);
    ok($lockstep->wait_serial('example', 3), 'the next one is');
    ended();
};

subtest 'the other primary has a good version of that serial' => sub {
    start_with(2);
    $fakes[0]->serve(fast(serial => 1));
    $fakes[1]->serve(fast(serial => 1));
    $lockstep->start;
    ok($lockstep->wait_serial('example', 1), 'a good version');
    $fakes[0]->serve(fast(bad(serial => 2)));
    $fakes[1]->serve(fast(serial => 2));
    ok($lockstep->wait_serial('example', 2), 'it is taken from there');
    is($lockstep->status('example')->{primary}, 'p2', 'from the second');
    ended();
};

# What each kind of server makes of a query with an OPT; without, they answer well.
my %edns = (
    'FORMERR' => sub { $_[0]->send(rcode => 1) },
    'NOTIMP' => sub { $_[0]->send(rcode => 4) },
    'FORMERR without the question' => sub { $_[0]->send(rcode => 1, question => '') },
    'BADVERS' => sub { $_[0]->send(additional => [ Wire::raw_rr(owner => '.', type => 41, class => 1232, ttl => 1 << 24, rdata => '') ]) },
    'silence' => sub { $_[0]{peer} or $_[0]->close },
);
for my $kind (sort keys %edns) {
    subtest "a server that does not bear EDNS: $kind" => sub {
        start_with(1, ixfr => 'false', 'refresh-min' => '1h');
        my ($p) = @fakes;
        my $either = sub {
            my ($good) = @_;
            return sub { my ($talk) = @_; return $talk->{asked}{edns} ? $edns{$kind}->($talk) : $good->($talk) };
        };
        my $whole = sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa, @records, $talk->soa ]) };
        my $soa = sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa ]) };
        my %script = (soa => $either->($soa), axfr => $either->($whole), ixfr => $either->($whole));
        $p->serve(serial => 1, %script);
        $lockstep->start;
        ok($lockstep->wait_serial('example', 1), 'the zone is transferred');
        $p->serve(serial => 2, %script);
        is(($lockstep->verb('refresh', 'example'))[0], 0, 'it is asked for its serial');
        is($lockstep->serial('example'), 2, 'and followed');
        my $with = grep { $_->{edns} } $p->asked;
        $p->serve(serial => 3, %script);
        is(($lockstep->verb('refresh', 'example'))[0], 0, 'once more');
        is(scalar(grep { $_->{edns} } $p->asked), $with, 'it is not asked with an OPT any more');
        ended();
    };
}

subtest 'options that nobody asked for' => sub {
    start_with(1);
    my ($p) = @fakes;
    my $opt = sub { my ($options) = @_; return Wire::raw_rr(owner => '.', type => 41, class => 1232, ttl => 0, rdata => $options) };
    my $serial = 0;
    for my $case ([ 'a cookie' => pack('nn/a', 10, 'c' x 8 . 's' x 16) ],
        [ 'a cookie of an odd length' => pack('nn/a', 10, 'c' x 3) ], [ 'EXPIRE of two octets' => pack('nn/a', 9, 'xx') ],
        [ 'an unknown option' => pack('nn/a', 65001, 'x' x 500) ], [ 'padding' => pack('nn/a', 12, "\0" x 300) ]) {
        my ($what, $options) = @$case;
        $serial++;
        $p->serve(serial => $serial, soa => sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa ], additional => [ $opt->($options) ]) },
            axfr => sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa, @records, $talk->soa ], additional => [ $opt->($options) ]) });
        $lockstep->start if $serial == 1;
        is(($lockstep->verb('refresh', 'example'))[0], 0, "$what: refresh") if $serial > 1;
        ok($lockstep->wait_serial('example', $serial), "$what: the version is taken");
    }
    ended();
};

# BADCOOKIE: RCODE 7 in the header, 1 above it in the OPT.
subtest 'cookies: a server that wants one' => sub {
    start_with(1);
    my ($p) = @fakes;
    my @wants = (rcode => 7, additional => [ Wire::raw_rr(owner => '.', type => 41, class => 1232, ttl => 1 << 24, rdata => pack('nn/a', 10, 'c' x 8 . 's' x 8)) ]);
    my %over_tcp = (soa => sub { my ($talk) = @_; $talk->{peer} ? $talk->send(@wants) : $talk->send(answer => [ $talk->soa ]) });
    $p->serve(serial => 1, %over_tcp);
    $lockstep->start;
    ok($lockstep->wait_serial('example', 1), 'the zone is transferred');
    $p->serve(serial => 2, %over_tcp);
    is(($lockstep->verb('refresh', 'example'))[0], 0, 'BADCOOKIE over UDP: it is asked over TCP, which needs none');
    ok($lockstep->wait_serial('example', 2), 'and followed');
    $p->serve(fast(serial => 3), map { $_ => sub { $_[0]->send(@wants) } } qw(soa axfr ixfr));
    my ($status, $out, $said) = $lockstep->verb('refresh', 'example');
    is($status, 1, 'over TCP too: refresh fails');
    like($said, qr/the primary answered BADCOOKIE/, 'and says why');
    ($status, $out, $said) = $lockstep->verb('transfer', '--full', 'example');
    is($status, 1, 'so does transfer');
    like($said, qr/the primary answered BADCOOKIE/, 'and says why');
    is($lockstep->serial('example'), 2, 'what was served is served');
    ok(scalar($lockstep->events('transfer', zone => 'example.', outcome => 'protocol')), 'the log has it');
    $p->serve(fast(serial => 3));
    is(($lockstep->verb('refresh', 'example'))[0], 0, 'it wants none any more');
    ok($lockstep->wait_serial('example', 3), 'and is followed');
    ended();
};

subtest 'EXPIRE' => sub {
    start_with(1);
    my ($p) = @fakes;
    my $opt = sub { my ($seconds) = @_; return Wire::raw_rr(owner => '.', type => 41, class => 1232, ttl => 0, rdata => pack('nnN', 9, 4, $seconds)) };
    my $script = sub {
        my ($seconds) = @_;
        return (times => [ 3600, 600, 86400, 60 ],
            soa => sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa ], additional => [ $opt->($seconds) ]) },
            axfr => sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa, @records, $talk->soa ], additional => [ $opt->($seconds) ]) });
    };
    $p->serve(serial => 1, $script->(5000));
    $lockstep->start;
    ok($lockstep->wait_serial('example', 1), 'a version that expires sooner at the primary');
    my $expiry = $lockstep->status('example')->{expiry};
    ok($expiry > 4900 && $expiry <= 5000, 'expires then here') or diag($expiry);
    $p->serve(serial => 1, $script->(50000));
    is(($lockstep->verb('refresh', 'example'))[0], 0, 'the primary has refreshed its own');
    $expiry = $lockstep->status('example')->{expiry};
    ok($expiry > 49900 && $expiry <= 50000, 'that moves ours') or diag($expiry);
    $p->serve(serial => 1, $script->(999999));
    is(($lockstep->verb('refresh', 'example'))[0], 0, 'a primary that promises more than the SOA does');
    $expiry = $lockstep->status('example')->{expiry};
    ok($expiry > 86300 && $expiry <= 86400, 'the SOA is the bound') or diag($expiry);
    ended();
};

# What is not true of a status, by what it says itself of the serials and of the ages; refresh and retry take 3 s. How soon a serial is known is in 340.
sub untrue {
    my ($status) = @_;
    my ($state, $serial, $best, $age) = @$status{qw(state serial best age)};
    my @newer = grep { ($_->{serial} // 0) > $serial } @{ $status->{primaries} };
    return "ok with $serial, and the newest is $best" if $state eq 'ok' && $best != $serial;
    return "ok with $serial, and $newer[0]{name} has $newer[0]{serial}" if $state eq 'ok' && @newer;
    return "ok after $age s" if $state eq 'ok' && $age > 3;
    return "lagging with $serial, and the newest is $best" if $state eq 'lagging' && $best <= $serial;
    return "stale after $age s" if $state eq 'stale' && $age < 2;     # the word is found a moment after the age
    return ();
}

subtest 'a newer serial at a primary that is not asked' => sub {
    start_with(2);
    $_->serve(fast(serial => 1)) for @fakes;
    $lockstep->start;
    ok($lockstep->wait_serial('example', 1), 'both have the same');
    my ($status, @untrue, %seen);
    my $until = sub { my ($wanted) = @_; return wait_for(sub { push @untrue, untrue($status = $lockstep->status('example')); $seen{ $status->{state} }++; return $status->{state} eq $wanted }) };
    ok($until->('ok'), 'all is well');
    my $asked = $fakes[1]->count('SOA');
    $fakes[1]->serve(fast(serial => 5));
    ok($until->('lagging'), 'the second has a newer one, and it is known');
    is($status->{best}, 5, 'which one');
    is($status->{primaries}[1]{serial}, 5, 'and who has it');
    cmp_ok($status->{best_age}, '>=', $status->{primaries}[1]{age}, 'since it was asked, or longer');
    is($status->{serial}, 1, 'the first is believed as long as it answers');
    ok($fakes[1]->wait_count(SOA => $asked + 3), 'the second is asked on and on');
    ok($until->('lagging'), 'and the state stays');
    is(transfers($fakes[1]), 0, 'nothing was transferred from the second');
    $fakes[0]->serve(fast(serial => 5));
    ok($lockstep->wait_serial('example', 5), 'when the first has it');
    ok($until->('ok'), 'all is well');
    $fakes[1]->serve(fast(serial => 6));
    ok($until->('lagging'), 'again the second is ahead');
    $fakes[1]->vanish;
    ok($until->('ok'), 'and away: what it showed once is forgotten after a while');
    is(join("\n", @untrue), '', 'at no time was the state ok while a newer serial was known, or nobody had confirmed ours');
    note(join ', ', map { "$_ $seen{$_}" } sort keys %seen);
    ended();
};
done_testing;
