#!/usr/bin/perl
# Clients over TCP and TLS that mean no good, or know no better: ten thousand that say nothing, many connections of one address, slow
# readers, questions that trickle in, and noise. Others are answered all the while, what is kept for the bad ones is bounded, and the
# counters show what happened.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";

# As many descriptors as may be had.
BEGIN {
    if (!$ENV{LOCKSTEP_DESCRIPTORS}++) {
        my @more = ('prlimit', '--nofile=20000:20000');
        exec system("@more true 2>/dev/null") == 0 ? @more : (), $^X, $0 or die "exec: $!";
    }
}
use Errno qw(EAGAIN EINTR EWOULDBLOCK);
use Lockstep;
use Process qw(free_port slurp wait_for);
use Socket;
use Test::More;
use Time::HiRes qw(sleep time);
use Tls;
use Transfers qw(zone_text);
use Wire;

plan skip_all => 'lockstepd is not built' unless Lockstep::have();
my $has_tls = Tls::have();
my $cert = $has_tls && Tls::certificate('ns.example', Tls::authority('Authority'));
my ($descriptors) = slurp('/proc/self/limits') =~ /^Max open files\s+(\d+)/m;
my $soa = Wire::message(id => 7, question => Wire::question('own', 'SOA'));

sub daemon {
    my (%of) = @_;
    my %tls = $has_tls ? ('listen-tls' => [ '127.0.0.1@' . free_port ], 'tls-cert' => $cert->{cert}, 'tls-key' => $cert->{key}) : ();
    my $lockstep = Lockstep->new(server => { %tls, workers => $of{workers} // 1, limits => $of{limits} }, acls => [ { name => 'all' } ],
        zones => [ { name => 'own', source => 'file', 'allow-transfer' => ['all'] } ]);
    $lockstep->put_zone('own', zone_text('own', 1, count => 40_000, more => [ map { "big.own. 60 IN TXT \"$_" . 'x' x 200 . '"' } 1 .. 30 ]));
    ($lockstep->{tls_port}) = ($tls{'listen-tls'} // ['@0'])->[0] =~ /(\d+)$/;
    return $lockstep->start;
}

sub counters { my ($lockstep) = @_; return $lockstep->json('stats')->{serve} }
sub resident { my ($lockstep) = @_; return slurp("/proc/$lockstep->{pid}/status") =~ /^VmRSS:\s+(\d+)/m ? $1 : 0 }
my $instrumented = grep { /libasan/ } `ldd @{[ ($ENV{top_builddir} // '.') . '/lockstepd' ]} 2>/dev/null`;

# Connected, not blocking; undef if it was refused.
sub raw {
    my ($port, $from) = @_;
    socket my $socket, PF_INET, SOCK_STREAM, 0 or return undef;
    bind $socket, pack_sockaddr_in(0, inet_aton($from // '127.0.0.1')) or return undef;
    connect $socket, pack_sockaddr_in($port, inet_aton('127.0.0.1')) or return undef;
    $socket->blocking(0);
    return $socket;
}

sub is_open {
    my ($socket) = @_;
    my $got = sysread $socket, my $bytes, 65536;
    return defined $got ? $got > 0 : $! == EAGAIN || $! == EWOULDBLOCK || $! == EINTR;
}

# Everybody else: UDP, TCP from another address, TLS. The slowest answer's time.
sub others_are_answered {
    my ($lockstep, $name) = @_;
    my $slowest = 0;
    my $timed = sub { my $begun = time; my $good = $_[0]->(); $slowest = time - $begun if time - $begun > $slowest; return $good };
    my $good = $timed->(sub { ($lockstep->outcome('own') // '') eq 'NOERROR' });
    $good &&= $timed->(sub {
        my $socket = raw($lockstep->{port}, '127.0.0.77') or return 0;
        $socket->blocking(1);
        syswrite $socket, Wire::frame($soa);
        return (sysread($socket, my $answer, 65536) // 0) > 12;
    });
    $good &&= $timed->(sub { my $client = Tls::connect($lockstep->{tls_port}) or return 0; return defined $client->ask($soa) }) if $has_tls;
    ok($good && $slowest < 2, "$name: others are answered") or diag("slowest: $slowest s");
}

subtest 'ten thousand that say nothing' => sub {
    my $count = 10_000;
    plan skip_all => "needs $count descriptors and more, not $descriptors" if $descriptors < $count + 2000;
    my $lockstep = daemon(workers => 2, limits => { 'tcp-clients' => 14_000, 'tcp-idle' => '3s' });
    my $before = resident($lockstep);
    my @sockets = map { raw($has_tls && $_ % 2 ? $lockstep->{tls_port} : $lockstep->{port}, '127.0.1.' . ($_ % 250 + 1)) // () } 1 .. $count;
    is(scalar @sockets, $count, 'are connected');
    others_are_answered($lockstep, 'meanwhile');
    my $each = (resident($lockstep) - $before) * 1024 / $count;
    ok($each < ($instrumented ? 12_000 : 3000), 'each of them costs little') or diag("$each octets");
    note sprintf '%.0f octets each', $each;
    my $gone = sub { my $c = counters($lockstep); return $c->{tcp_timeouts} + $c->{tls_failed} };
    ok(wait_for(sub { $gone->() >= $count }, 12), 'and is ended after tcp-idle') or diag($gone->());
    is(scalar(grep { is_open($_) } @sockets), 0, 'all of them');
    is(counters($lockstep)->{tcp_rejected}, 0, 'none had to give way');
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
};

subtest 'many connections of one address' => sub {
    my $lockstep = daemon(limits => { 'tcp-clients' => 60, 'tcp-idle' => '30s' });
    my $modest = raw($lockstep->{port}, '127.0.0.5');
    my $ask = sub {
        my ($socket) = @_;
        syswrite $socket, Wire::frame($soa);
        return wait_for(sub { (sysread($socket, my $bytes, 65536) // 0) > 12 }, 3);
    };
    ok($ask->($modest), 'a client');
    my @greedy;
    for my $round (1 .. 10) {
        for my $port ($lockstep->{port}, $has_tls ? $lockstep->{tls_port} : ()) {
            push @greedy, map { raw($port, '127.0.0.6') // () } 1 .. 40;
            syswrite $greedy[-$_], $port == $lockstep->{port} ? Wire::frame($soa) : "\x16\x03\x01" for 1 .. 20;
        }
    }
    ok(wait_for(sub { counters($lockstep)->{tcp_accepted} >= @greedy }), scalar(@greedy) . ' connections of another one');
    ok($ask->($modest), 'the first client is still there');
    others_are_answered($lockstep, 'and');
    my $c = counters($lockstep);
    cmp_ok($c->{tcp_limited}, '>=', @greedy - 60, 'tcp_limited') or diag(explain($c));
    is($c->{tcp_limited}, $c->{tcp_rejected}, 'nobody else had to give way');
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
};

# Sends as much as is taken, not waiting for anything.
sub push_in { my ($socket, $bytes) = @_; local $SIG{PIPE} = 'IGNORE'; my $sent = syswrite $socket, $bytes; return $sent // 0 }

subtest 'slow readers' => sub {
    my $lockstep = daemon(limits => { 'tcp-clients' => 1000, 'tcp-idle' => '1s', 'transfer-idle' => '2s' });
    my $big = join '', map { Wire::frame(Wire::message(question => Wire::question('big.own', 'TXT'))) } 1 .. 2000;    # 13 MB of answers
    my $axfr = Wire::frame(Wire::message(question => Wire::question('own', 'AXFR'))) x 20;
    my $before = resident($lockstep);
    my (@readers, @tls);
    for my $n (1 .. 40) {
        push @readers, raw($lockstep->{port}, "127.0.2.$n");
        push_in($readers[-1], $n % 2 ? $big : $axfr);
        next unless $has_tls && $n <= 20;
        push @tls, Tls::connect($lockstep->{tls_port});
        $tls[-1]{socket}->blocking(0);
        push_in($tls[-1]{socket}, substr $n % 2 ? $big : $axfr, 0, 16000);
    }
    others_are_answered($lockstep, 'meanwhile');
    my $most = 0;
    my $count = @readers + @tls;
    my $all_gone = wait_for(sub {
        $most = resident($lockstep) if resident($lockstep) > $most;
        for my $socket (@readers) { push_in($socket, $big) if rand() < 0.1 }
        return counters($lockstep)->{tcp_slow} >= $count;
    }, 12);
    ok($all_gone, 'each is ended as too slow') or diag(explain(counters($lockstep)));
    my $each = ($most - $before) / $count;
    ok($each < ($instrumented ? 1000 : 300), 'and did not cost much until then') or diag("$each KB");
    note sprintf '%.0f KB each', $each;
    my @failed = $lockstep->wait_events(20, 'transfer-out', outcome => 'failed');
    cmp_ok(scalar @failed, '>=', 20, 'the transfers have failed');
    like($failed[0]{reason}, qr/does not take what it has asked for/, 'and the log says why');
    others_are_answered($lockstep, 'afterwards');
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
};

subtest 'questions that trickle in' => sub {
    my $lockstep = daemon(limits => { 'tcp-clients' => 1000, 'tcp-idle' => '1s' });
    my $begun = time;
    my @slow = map { raw($lockstep->{port}, "127.0.3.$_") } 1 .. 50;
    push_in($_, "\xff") for @slow;        # at once: on a busy machine the others' handshakes take longer than tcp-idle
    my @tls = $has_tls ? map { my $tls = Tls::connect($lockstep->{tls_port}); push_in($tls->{socket}, "\xff"); $tls } 1 .. 10 : ();
    my $gone = wait_for(sub {
        push_in($_, "\xff") for @slow, map { $_->{socket} } @tls;
        sleep 0.05;
        return counters($lockstep)->{tcp_slow} >= @slow + @tls;
    }, 10);
    ok($gone, 'each is ended as too slow') or diag(explain(counters($lockstep)));
    cmp_ok(time - $begun, '>=', 0.9, 'not before tcp-idle');
    is(scalar(grep { is_open($_) } @slow), 0, 'all of them');
    others_are_answered($lockstep, 'afterwards');
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
};

# A question with some octets changed, cut, or grown.
sub noise {
    my $bytes = Wire::message(id => int rand 65536,
        question => Wire::question((qw(own big.own none.own other))[ rand 4 ], (qw(A SOA TXT ANY IXFR))[ rand 5 ]),
        additional => [ Wire::raw_rr(owner => '.', type => 'OPT', class => 1232, ttl => 0, rdata => pack 'n n/a', int rand 20, 'x' x rand 12) ]);
    substr $bytes, int rand length $bytes, 1, chr int rand 256 for 0 .. rand 6;
    $bytes = substr $bytes, 0, int rand length $bytes if rand() < 0.2;
    $bytes .= join '', map { chr int rand 256 } 0 .. rand 30 if rand() < 0.2;
    return $bytes;
}

subtest 'noise' => sub {
    srand 20261121;
    my $lockstep = daemon(workers => 2, limits => { 'tcp-clients' => 1000, 'tcp-idle' => '1s' });
    my @noise = map { noise() } 1 .. 5000;
    my ($host, $port) = ('127.0.0.1', $lockstep->{port});
    socket my $udp, PF_INET, SOCK_DGRAM, 0 or die $!;
    connect $udp, pack_sockaddr_in($port, inet_aton($host)) or die $!;
    my ($sent, $connections) = (0, 0);
    my $begun = time;
    while (time - $begun < 2.5) {
        for (1 .. 200) { $sent++ if defined send $udp, $noise[ rand @noise ], 0 }
        my $socket = raw($port, '127.0.4.1') or next;
        push_in($socket, join '', map { Wire::frame($noise[ rand @noise ]) } 1 .. 20);
        push_in($socket, $noise[ rand @noise ]) if rand() < 0.3;
        if ($has_tls && $connections++ % 10 == 0) {
            my $client = Tls::connect($lockstep->{tls_port}) or next;
            push_in($client->{socket}, join '', map { Wire::frame($noise[ rand @noise ]) } 1 .. 20);
        }
    }
    others_are_answered($lockstep, 'in the midst of it');
    my $c = counters($lockstep);
    note "$sent datagrams, $connections connections";
    cmp_ok($c->{rcode_formerr}, '>', 500, 'FORMERR');
    cmp_ok($c->{dropped}, '>', 100, 'silence');
    cmp_ok($c->{queries_tcp}, '>', 500, 'over TCP too');
    cmp_ok($c->{queries_tls}, '>', 20, 'and TLS') if $has_tls;
    my $answers = 0;
    $answers += $c->{$_} for grep { /^rcode_/ } keys %$c;
    is($answers, $c->{answers_udp} + $c->{answers_tcp}, 'every answer has a return code that is counted');
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
};
done_testing;
