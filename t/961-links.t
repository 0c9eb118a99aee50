#!/usr/bin/perl
# Many small zones from one primary, whichever: the connections are kept, and shared; and servers that will have none of it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Fake;
use Lockstep;
use Peer;
use Process qw(wait_for);
use Test::More;
use Tsig;
use Wire qw(raw_rr soa_rdata);

plan skip_all => 'lockstepd is not built' unless Lockstep::have();
my $zones = 80;
my @names = map { "z$_.example" } 1 .. $zones;

sub all_at {
    my ($lockstep, $serial, $what) = @_;
    my $count = sub {
        my $status = $lockstep->json('status') or return 0;
        return scalar grep { defined $_->{serial} && $_->{serial} == $serial } @{ $status->{zones} };
    };
    ok(wait_for(sub { $count->() == $zones }, 30), $what) or diag($count->(), " of $zones");
}

sub secondary {
    my ($remote) = @_;
    return Lockstep->new(@_ > 1 ? (keys => [ $_[1] ]) : (), remotes => [$remote],
        zones => [ map { { name => $_, primaries => ['one'], 'zonefile-sync' => -1 } } @names ]);
}

sub kept { my ($lockstep) = @_; my $c = $lockstep->json('stats')->{transfer}; return ($c->{exchanges_kept}, $c->{transfers}) }

for my $kind (qw(nsd knot bind)) {
    subtest "from $kind" => sub {
        plan skip_all => "$kind is not here" unless Peer->have($kind);
        my $key = Tsig::key;
        my $text = sub { my ($name) = @_; "$name. 300 IN SOA ns.$name. host.$name. 7 3600 600 86400 60\n$name. 300 IN NS ns.$name.\nns.$name. 300 IN A 192.0.2.1\n" };
        my $peer = Peer->new($kind, zones => [ map { { name => $_, text => $text->($_), key => $key } } @names ])->start;
        my $lockstep = secondary(Lockstep::remote('one', $peer, $key), $key)->start;
        all_at($lockstep, 7, 'all zones come');
        my ($kept, $transfers) = kept($lockstep);
        cmp_ok($kept, '>=', $zones / 2, 'most of them over a connection that was there') or diag("$kept of $transfers");
        is(scalar(grep { $_->{outcome} ne 'ok' } $lockstep->events('transfer')), 0, 'and none of it failed');
        is($lockstep->stop, 0, 'lockstepd ends cleanly');
    };
}

# Any zone, at one serial; `after`: what becomes of the connection.
sub serve_all {
    my ($fake, $serial, %of) = @_;
    my $soa = sub { my ($talk) = @_; my $zone = $talk->{asked}{name}; raw_rr(owner => $zone, type => 'SOA', rdata => soa_rdata($zone, $serial, 3600, 600, 86400, 60)) };
    my $whole = sub {
        my ($talk) = @_;
        return $talk->close if $of{before} && $of{before}->($talk);
        $talk->send(answer => [ $soa->($talk), "$talk->{asked}{name} 300 IN NS ns.example.", $soa->($talk) ]);
        $of{after}->($talk) if $of{after};
    };
    $fake->serve(serial => $serial, soa => sub { my ($talk) = @_; $talk->send(answer => [ $soa->($talk) ]) }, axfr => $whole, ixfr => $whole);
}

subtest 'a server that closes after each answer' => sub {
    my $fake = Fake->new(forgetful => 1);
    serve_all($fake, 1, after => sub { $_[0]->close });
    my $lockstep = secondary(Lockstep::remote('one', $fake))->start;
    all_at($lockstep, 1, 'all zones come');
    is(scalar(grep { $_->{outcome} ne 'ok' } $lockstep->events('transfer')), 0, 'none of it failed');
    my ($kept) = kept($lockstep);
    cmp_ok($kept, '<=', 10, 'after a few tries each gets a connection of its own');
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
};

# Its connections bear two questions; the third is not answered any more.
subtest 'a server that closes now and then' => sub {
    my $fake = Fake->new(forgetful => 1);
    serve_all($fake, 1, before => sub { $_[0]{count}++ >= 2 });
    my $lockstep = secondary(Lockstep::remote('one', $fake))->start;
    all_at($lockstep, 1, 'all zones come');
    is(scalar(grep { $_->{outcome} ne 'ok' } $lockstep->events('transfer')), 0, 'none of it failed');
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
};

# One zone's answer has no end; the others are not kept waiting by it for long.
subtest 'an answer without end' => sub {
    my $fake = Fake->new(forgetful => 1);
    serve_all($fake, 1);
    my $lockstep = secondary(Lockstep::remote('one', $fake))->start;
    all_at($lockstep, 1, 'all zones come');
    serve_all($fake, 2, before => sub {
        my ($talk) = @_;
        return 0 unless $talk->{asked}{name} eq 'z1.example.';
        my $zone = $talk->{asked}{name};
        $talk->send(answer => [ raw_rr(owner => $zone, type => 'SOA', rdata => soa_rdata($zone, 2, 3600, 600, 86400, 60)) ]) or return 1;
        my $n = 0;
        $n++ while $talk->send(answer => ["h$n.$zone 300 IN A 192.0.2.1"]) && $talk->pause(0.05);
        return 1;
    });
    $fake->notify($lockstep->at, zone => "$_.", serial => 2, no_wait => 1) for @names;
    my $count = sub {
        my $status = $lockstep->json('status') or return 0;
        return scalar grep { defined $_->{serial} && $_->{serial} == 2 } @{ $status->{zones} };
    };
    ok(wait_for(sub { $count->() == $zones - 1 }, 20), 'all others are fresh') or diag($count->());
    is($lockstep->state('z1.example'), 'refreshing', 'while that one still comes');
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
};
done_testing;
