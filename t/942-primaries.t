#!/usr/bin/perl
# Several primaries, with several addresses each: who is asked, in which order, what is taken, and how much at once.
use strict;
use warnings;
use Fcntl qw(:flock);
use FindBin;
use lib "$FindBin::Bin/lib";
use Fake;
use IO::Socket::IP;
use Lockstep;
use Process qw(free_port slurp wait_for work_dir);
use Test::More;
use Time::HiRes qw(time);
use Tsig;
use Wire;

plan skip_all => 'lockstepd is not built' unless Lockstep::have();
my $have_v6 = IO::Socket::IP->new(LocalHost => '::1', Listen => 1);
my @records = ('example. 300 IN NS ns.example.');
my $lockstep;

# Primaries p1, p2, ... at 127.0.0.1, 127.0.0.2, ...
sub primaries {
    my ($count) = @_;
    return map { Fake->new(zone => 'example.', address => "127.0.0.$_", records => \@records) } 1 .. $count;
}

sub start_with {
    my ($primaries, %settings) = @_;
    my @remotes = map { Lockstep::remote("p$_", $primaries->[ $_ - 1 ]) } 1 .. @$primaries;
    $lockstep = Lockstep->new(remotes => \@remotes, server => { limits => { connect => '1s', 'transfer-idle' => '1s' } },
        zones => [ { name => 'example', primaries => [ map { $_->{name} } @remotes ], 'refresh-min' => '1h', 'retry-min' => '1h', %settings } ])->start;
}

# What the log says of the attempts since the last call: "p1 network, p2 ok".
my $seen = 0;
sub attempts {
    my @all = $lockstep->events('transfer');
    my @new = @all[ $seen .. $#all ];
    $seen = @all;
    return join ', ', map { "$_->{primary} $_->{outcome}" } @new;
}

sub ended {
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
    $seen = 0;
}

sub refresh { return ($lockstep->verb('refresh', 'example'))[0] }

subtest 'a primary of several addresses' => sub {
    plan skip_all => 'this machine has no ::1' unless $have_v6;
    my ($silent, $living) = (Fake->new(zone => 'example.', address => '127.0.0.1'),
        Fake->new(zone => 'example.', address => '::1', records => \@records));
    $living->serve(serial => 1);
    start_with([ [ '127.0.0.1@' . free_port, '::1@' . free_port, $silent->at, $living->at, '127.0.0.2@' . free_port ] ]);
    ok($lockstep->wait_serial('example', 1), 'refused, refused, silent: the fourth gives the zone');
    is(attempts(), 'p1 network, p1 network, p1 network, p1 ok', 'each was tried once');
    my @addresses = map { $_->{address} } $lockstep->events('transfer');
    like("@addresses", qr/^127.0.0.1\@\d+ ::1\@\d+ \Q@{[ $silent->at ]} @{[ $living->at ]}\E$/, 'in the order of the list');
    $silent->vanish;
    $living->serve(serial => 2);
    is(refresh(), 0, 'a refresh');
    is($lockstep->serial('example'), 2, 'brings the next version');
    is(attempts(), 'p1 ok', 'from the address that answered, without another try at the others');
    my ($primary) = @{ $lockstep->status('example')->{primaries} };
    is($primary->{healthy}, JSON::PP::true, 'the primary is healthy');
    is($primary->{health}, 'good', 'as the best of its addresses is');
    ended();
};

subtest 'the first primary is of no use' => sub {
    my @p = primaries(3);
    $p[0]->vanish;
    $p[1]->serve(serial => 1);
    start_with([ @p[0, 1] ]);
    ok($lockstep->wait_serial('example', 1), 'it is gone: the second gives the zone');
    is(attempts(), 'p1 network, p2 ok', 'the first was tried');
    for my $case ([ 'it refuses everything', 'p2 ok', soa => sub { $_[0]->send(rcode => 5) }, axfr => sub { $_[0]->send(rcode => 5) } ],
        [ 'it refuses transfers', 'p1 protocol, p1 protocol, p2 ok', axfr => sub { $_[0]->send(rcode => 5) } ],
        [ 'it gives transfers that are wrong', 'p1 protocol, p1 protocol, p2 ok',
            axfr => sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa, $talk->soa($talk->{fake}{serial} + 1) ]) } ],
        [ 'it is no more authoritative', 'p2 ok', soa => sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa ], aa => 0) } ],
        [ 'it breaks transfers off', 'p1 network, p2 ok', connect => sub { $_[0]->reset } ]) {
        my ($what, $wanted, %script) = @$case;
        my $next = $p[1]{serial} + 1;
        $p[0]->serve(serial => $next, %script);
        $p[1]->serve(serial => $next);
        is(refresh(), 0, "$what: refresh goes well");
        is($lockstep->serial('example'), $next, "$what: the second gives the zone");
        is(attempts(), $wanted, "$what: who was tried");
        is($lockstep->state('example'), 'ok', "$what: and the zone is well");
    }
    ended();
};

subtest 'the first primary is behind' => sub {
    my @p = primaries(2);
    $p[0]->serve(serial => 5);
    $p[1]->serve(serial => 6);
    start_with(\@p);
    ok($lockstep->wait_serial('example', 5), 'the first in the list is believed');
    is(refresh(), 0, 'refresh');
    is($lockstep->serial('example'), 5, 'and stays so as long as it has what we have');
    $p[0]->serve(serial => 4);
    is(refresh(), 0, 'it goes back');
    is($lockstep->serial('example'), 6, 'then the second is asked, and its version taken');
    is(refresh(), 0, 'refresh');
    is($lockstep->serial('example'), 6, 'it is kept');
    my $status = $lockstep->status('example');
    is($status->{primary}, 'p2', 'status says from whom it is');
    is(join(' ', map { $_->{serial} } @{ $status->{primaries} }), '4 6', 'and what each of them has');
    $p[1]->vanish;
    my ($exit, $out, $said) = $lockstep->verb('refresh', 'example');
    is($exit, 1, 'with the first alone a refresh fails');
    like($lockstep->status('example')->{last_failure}{reason}, qr/refused|older/i, 'and it is said why');
    is($lockstep->serial('example'), 6, 'and the zone stays');
    ended();
};

subtest 'NOTIFY' => sub {
    my @p = primaries(3);
    $_->serve(serial => 1) for @p;
    start_with(\@p);
    ok($lockstep->wait_serial('example', 1), 'the zone is there');
    is($p[0]->count('AXFR'), 1, 'from the first');
    $_->serve(serial => 2) for @p;
    my @before = map { $_->count('SOA') + $_->count('IXFR') } @p;
    $p[1]->notify($lockstep->at);
    ok($lockstep->wait_serial('example', 2), 'NOTIFY from the second');
    is(join(' ', map { $p[$_]->count('SOA') + $p[$_]->count('IXFR') - $before[$_] } 0 .. 2), '0 1 0', 'its sender is asked, once, nobody else');
    is($lockstep->status('example')->{primary}, 'p2', 'and gives the zone');
    $_->serve(serial => 3) for @p[1, 2];
    $p[2]->notify($lockstep->at, serial => 3, source => $p[0]{address});
    ok($lockstep->wait_serial('example', 3), 'the first announces what it does not have: the others are asked too');
    $p[0]->serve(serial => 3);
    is(refresh(), 0, 'refresh');
    is($p[0]->count('SOA') > 0, 1, 'the order is the list\'s again');
    ended();
};

subtest 'primary-choice = "newest"' => sub {
    my @p = primaries(4);
    $p[0]->serve(serial => 5);
    $p[1]->serve(serial => 7);
    $p[2]->vanish;
    $p[3]->serve(serial => 6);
    start_with(\@p, 'primary-choice' => 'newest');
    ok(wait_for(sub { defined $lockstep->serial('example') }), 'the first transfer is from whoever gives it');
    is(refresh(), 0, 'refresh');
    is($lockstep->serial('example'), 7, 'all are asked, the newest is taken');
    is($lockstep->status('example')->{primary}, 'p2', 'from the one that has it');
    $p[3]->serve(serial => 9);
    $p[1]->serve(serial => 8, axfr => sub { $_[0]->send(rcode => 5) });
    is(refresh(), 0, 'refresh');
    is($lockstep->serial('example'), 9, 'again the newest');
    $p[3]->serve(serial => 12, axfr => sub { $_[0]->send(rcode => 5) });
    $p[0]->serve(serial => 11);
    attempts();
    is(refresh(), 0, 'the newest refuses the transfer');
    is($lockstep->serial('example'), 11, 'then another newer one is taken') or diag(attempts());
    is($lockstep->state('example'), 'lagging', 'and it is known that there is more');
    ended();
};

subtest 'serials that have no order' => sub {
    my @p = primaries(2);
    $p[0]->serve(serial => 5);
    $p[1]->serve(serial => 5 + 2 ** 31);
    for my $choice (qw(first newest)) {
        start_with(\@p, 'primary-choice' => $choice);
        ok(wait_for(sub { defined $lockstep->serial('example') }), "$choice: a zone is there");
        my $serial = $lockstep->serial('example');
        my $transfers = $lockstep->json('stats')->{transfer}{transfers};
        refresh() for 1 .. 5;
        is($lockstep->serial('example'), $serial, "$choice: it does not go to and fro between the two");
        is($lockstep->json('stats')->{transfer}{transfers}, $transfers, "$choice: and nothing more is transferred");
        $_->serve(serial => $serial + 1) for @p;
        is(refresh(), 0, "$choice: when they agree again, and have a newer one");
        is($lockstep->serial('example'), $serial + 1, "$choice: it is taken");
        $p[0]->serve(serial => 5);
        $p[1]->serve(serial => 5 + 2 ** 31);
        ended();
    }
};

subtest 'rollback' => sub {
    for my $case ([ 'refuse', 0, 0 ], [ 'after-expire', 0, 1 ], [ 'accept', 1, 1 ]) {
        my ($rollback, $at_once, $expired) = @$case;
        my ($p) = primaries(1);
        $p->serve(serial => 10, times => [ 3600, 900, $rollback eq 'accept' ? 604800 : 1, 300 ]);
        start_with([$p], rollback => $rollback, 'retry-min' => 1, 'expire-min' => $rollback eq 'accept' ? 0 : 2);
        ok($lockstep->wait_serial('example', 10), "$rollback: serial 10");
        $p->serve(serial => 9);
        my ($exit, $out, $said) = $lockstep->verb('refresh', 'example');
        is($exit, $at_once ? 0 : 1, "$rollback: the primary goes back to 9");
        is($lockstep->serial('example'), 9, "$rollback: and is followed") if $at_once;
        like($said, qr/serial 9 is older than ours, 10/, "$rollback: which is explained") unless $at_once;
        is(($lockstep->verb('transfer', 'example'))[0], $at_once ? 0 : 1, "$rollback: transfer does the same");
        ok($lockstep->wait_serial('example', 9), "$rollback: when the zone expires the older one is taken") if $expired;
        ok($lockstep->wait_state('example', 'expired'), "$rollback: the zone rather expires") unless $expired;
        is(($lockstep->verb('transfer', '--full', 'example'))[0], 0, "$rollback: with --full it is taken");
        is($lockstep->serial('example'), 9, "$rollback: and served");
        ended();
    }
};

subtest 'rollback = accept, where the operator asks for a transfer' => sub {
    my ($p) = primaries(1);
    $p->serve(serial => 10);
    start_with([$p], rollback => 'accept');
    ok($lockstep->wait_serial('example', 10), 'serial 10');
    $p->serve(serial => 9);
    is(($lockstep->verb('transfer', 'example'))[0], 0, 'the primary went back to 9, and a transfer follows it');
    is($lockstep->serial('example'), 9, 'it is served');
    is(join(' ', map { $_->{asked} } ($lockstep->events('transfer'))[ 1, 2 ]), 'IXFR AXFR', 'by AXFR, when IXFR showed that it is older');
    ended();
};

subtest 'a primary that another zone has found dead' => sub {
    my ($p) = primaries(1);
    $p->serve(serial => 1, axfr => sub {
        my ($talk) = @_;
        my $soa = Wire::raw_rr(owner => $talk->{asked}{name}, type => 'SOA', rdata => Wire::soa_rdata($talk->{asked}{name}, 1));
        $talk->send(answer => [ $soa, "$talk->{asked}{name} 300 IN NS ns.example.", $soa ]);
    });
    start_with([$p]);
    is(($lockstep->reload(zones => [ @{ $lockstep->{conf}{zones} }, { name => 'other', primaries => ['p1'], 'refresh-min' => '1h' } ]))[0], 0, 'a second zone');
    ok($lockstep->wait_serial($_, 1), "$_ is there") for qw(example other);
    is($lockstep->status('other')->{primaries}[0]{healthy}, JSON::PP::true, 'the primary is healthy');
    $p->vanish;
    is(refresh(), 1, 'it dies, as the refresh of one zone shows');
    my ($primary) = @{ $lockstep->status('other')->{primaries} };
    is($primary->{health}, 'held', 'the other one, which did not ask, knows that nobody asks it');
    is($primary->{healthy}, JSON::PP::false, 'that it is not healthy');
    like($primary->{error} // '', qr/refused/i, 'and why');
    like(($lockstep->verb('status', 'other'))[1], qr/^primary +p1 .*failing; last error: .*refused/mi, 'so do people');
    my (%times, $until);
    for ($until = time + 2.2; time < $until;) { $times{ $lockstep->status('example')->{last_failure}{time} }++ }
    is(scalar keys %times, 1, 'a failure has one time, whenever one asks') or diag(join ' ', sort keys %times);
    ended();
};

subtest 'a secret that is not the primary\'s' => sub {
    my ($key, $other) = (Tsig::key(name => 'xfr.example'), Tsig::key(name => 'xfr.example'));
    my $p = Fake->new(zone => 'example.', key => $key, records => \@records)->serve(serial => 1);
    my $page = '127.0.0.1@' . free_port;
    $lockstep = Lockstep->new(keys => [$key], remotes => [ Lockstep::remote('p1', $p, $key) ], server => { metrics => $page },
        zones => [ { name => 'example', primaries => ['p1'], 'refresh-min' => '1h', 'retry-min' => '1h' } ])->start;
    ok($lockstep->wait_serial('example', 1), 'the zone comes with the right one');
    is($lockstep->status('example')->{reason}, undef, 'there is nothing to say');
    is(($lockstep->reload(keys => [$other]))[0], 0, 'the operator enters another one');
    my ($exit, undef, $said) = $lockstep->verb('refresh', 'example');
    is($exit, 1, 'a refresh fails');
    my $status = $lockstep->status('example');
    is("$status->{state} $status->{serial}", 'ok 1', 'for refresh and retry the zone counts as in step');
    like($status->{reason} // '', qr/TSIG|BADSIG|signed/, 'but the reason is shown at once');
    my ($primary) = @{ $status->{primaries} };
    is($primary->{healthy}, JSON::PP::false, 'the primary does not count as healthy');
    is($primary->{error}, $status->{reason}, 'and shows why');
    like(($lockstep->verb('status'))[1], qr/^example\.\s.*(?:TSIG|BADSIG|signed)/m, 'so does the table');
    like(($lockstep->verb('status', 'example'))[1], qr/^reason .*(?:TSIG|BADSIG|signed)/m, 'and what is told of one zone');
    my $socket = Wire::socket_to($page, IO::Socket::SOCK_STREAM());
    $socket->syswrite("GET / HTTP/1.0\r\n\r\n");
    like(join('', <$socket>), qr/<td>example\..*(?:TSIG|BADSIG|signed)/, 'and the status page');
    is(($lockstep->reload(keys => [$key]))[0], 0, 'the right one again');
    is(refresh(), 0, 'a refresh goes well');
    is($lockstep->status('example')->{reason}, undef, 'and all is well');
    ended();
};

# Two primaries with eight zones each. Each transfer notes when it begins and, before its last message, when it ends.
subtest 'how many transfers at once' => sub {
    my $notes = work_dir('notes') . '/notes';
    my $note = sub {
        open my $file, '>>', $notes or die "$notes: $!";
        flock $file, LOCK_EX;
        syswrite $file, "@_\n";
    };
    my @p = map {
        my $number = $_;
        Fake->new(zone => 'example.', address => "127.0.0.$_")->serve(serial => 1, axfr => sub {
            my ($talk) = @_;
            my $zone = $talk->{asked}{name};
            my $soa = Wire::raw_rr(owner => $zone, type => 'SOA', rdata => Wire::soa_rdata($zone, 1));
            $note->($number, 1);
            $talk->send(answer => [ $soa, "$zone 300 IN NS ns.$zone" ]);
            $talk->pause(0.3);
            $note->($number, -1);
            $talk->send(answer => [$soa]);
        });
    } 1, 2;
    my @zones = map { { name => "z$_.example", primaries => [ $_ % 2 ? 'p1' : 'p2' ] } } 1 .. 16;
    $lockstep = Lockstep->new(remotes => [ map { Lockstep::remote("p$_", $p[ $_ - 1 ]) } 1, 2 ], zones => \@zones,
        server => { limits => { transfers => 3, 'transfers-per-primary' => 2 } })->start;
    ok($lockstep->wait_state($_->{name}, 'ok'), "$_->{name} is done") for @zones;
    my (%now, %most);
    for (split /\n/, slurp($notes)) {
        my ($primary, $step) = split ' ';
        for my $counter ($primary, 'all') {
            $now{$counter} += $step;
            $most{$counter} = $now{$counter} if $now{$counter} > ($most{$counter} // 0);
        }
    }
    is($most{all}, 3, 'three at once, never more');
    is(join(' ', @most{1, 2}), '2 2', 'two at each primary, never more');
    is($now{all}, 0, 'none is left over');
    is($lockstep->json('stats')->{transfer}{transfers}, 16, 'one transfer for each zone');
    ended();
};
done_testing;
