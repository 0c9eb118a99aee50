#!/usr/bin/perl
# Response rate limiting under a real flood from one prefix: what comes back, what is counted, what is logged, and who gets through.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Dump qw(at_options);
use IO::Select;
use Lockstep;
use Process qw(find_program run_command wait_for);
use Test::More;
use Time::HiRes qw(time);
use Wire;

plan skip_all => 'lockstepd is not built' unless Lockstep::have();

use constant { RATE => 20, FLOOD => 400 };
my $text = "\$ORIGIN example.\n\$TTL 3600\n@ IN SOA ns1 host 7 3600 900 604800 300\n@ IN NS ns1\nns1 IN A 192.0.2.1\n"
    . "www IN TXT \"" . 'x' x 200 . "\"\n";
my %rrl = (rate => RATE, slip => 2);
my $ours = Lockstep->new(server => { workers => 1, rrl => {%rrl} }, zones => [ { name => 'example', source => 'file' } ]);
$ours->put_zone('example', $text);
$ours->start;

my $query = Wire::message(question => Wire::question('www.example', 'TXT'));

# The counters as a hash.
sub counters { return map { /(\w+)\t(\d+)$/ ? ($1, $2) : () } split /\n/, ($ours->verb('stats'))[1] }

# Sends FLOOD queries, in small lots so that no buffer overflows, and takes what comes until all is accounted for: (whole answers, cut short,
# the longest of these, seconds).
sub flood {
    my ($bytes) = @_;
    my ($host, $port) = $ours->at =~ /^(.*)@(\d+)$/;
    my $socket = IO::Socket::IP->new(PeerHost => $host, PeerPort => $port, Type => Socket::SOCK_DGRAM) or die "UDP: $!";
    my $select = IO::Select->new($socket);
    my %before = counters();
    my ($whole, $cut, $longest, $began) = (0, 0, 0, time);
    my $take = sub {
        $socket->recv(my $answer, 65535) // return;
        my $got = Wire::parse($answer);
        if ($got->{tc}) { $cut++; $longest = length $answer if length $answer > $longest }
        else { $whole++ }
    };
    for my $i (1 .. FLOOD) {
        $socket->send($bytes);
        if ($i % 20 == 0) { $take->() while $select->can_read(0.01) }
    }
    my $seconds = time - $began;
    wait_for(sub {
        $take->() while $select->can_read(0.05);
        my %now = counters();
        my $dropped = ($now{rrl_dropped} // 0) - ($before{rrl_dropped} // 0);
        return $whole + $cut + $dropped == FLOOD;
    }, 10);
    my %after = counters();
    return ({ whole => $whole, cut => $cut, longest => $longest, seconds => $seconds, map { $_ => ($after{$_} // 0) - ($before{$_} // 0) }
        qw(rrl_dropped rrl_slipped rrl_would rrl_allowed) });
}

my $got = flood($query);
cmp_ok($got->{whole}, '>=', RATE, 'the rate is answered');
cmp_ok($got->{whole}, '<=', RATE * ($got->{seconds} + 2), 'and no more') or diag(explain($got));
is($got->{whole} + $got->{cut} + $got->{rrl_dropped}, FLOOD, 'the rest is cut short or dropped');
is($got->{cut}, $got->{rrl_slipped}, 'which is counted');
cmp_ok(abs($got->{rrl_slipped} - $got->{rrl_dropped}), '<=', 1, 'one half each');
cmp_ok($got->{longest}, '<=', length $query, 'what is cut short is no longer than the query');
my $line = $ours->wait_log(qr/ notice rate-limit-begins /, 10);
like($line, qr{ prefix=127\.0\.0\.0/24 kind=answer rate=20 limited=\d+$}, 'the log says who is limited');

# --- who gets through meanwhile ------------------------------------------------------
flood($query);
my ($answer) = Wire::ask_tcp($ours->at, $query);
is(scalar @{ Wire::parse($answer)->{answer} }, 1, 'over TCP there is no limit');
SKIP: {
    skip 'needs dig', 2 unless find_program('dig');
    flood($query);
    my (undef, $out) = run_command('dig', at_options($ours->at), '+time=1', '+tries=20', '+ignore', '+nobadcookie', '+cookie', 'www.example', 'TXT');
    my ($cookie) = $out =~ /^; COOKIE: ([0-9a-f]{48})/m;
    ok($cookie, 'a client that knows cookies gets one');
    flood($query);
    (undef, $out) = run_command('dig', at_options($ours->at), '+time=2', '+tries=1', '+ignore', "+cookie=$cookie", 'www.example', 'TXT');
    like($out, qr/status: NOERROR.*flags: qr aa rd;.*ANSWER: 1/s, 'and is answered then');
}
my $ended = $ours->wait_log(qr/ notice rate-limit-ends /, 20);
like($ended, qr{ prefix=127\.0\.0\.0/24 kind=answer rate=20 limited=\d+$}, 'the log says when it is over');
is(scalar $ours->log_lines(qr/ rate-limit-begins /), 1, 'each once');

# --- log-only, allow, off ----------------------------------------------------------------
sub set_rrl {
    my (%of) = @_;
    is(($ours->reload(server => { %{ $ours->{conf}{server} }, rrl => {%of} }))[0], 0, 'a reload');
}
set_rrl(%rrl, 'log-only' => 'true');
$got = flood($query);
is($got->{whole}, FLOOD, 'log-only: everything is answered');
cmp_ok($got->{rrl_would}, '>=', FLOOD - RATE * ($got->{seconds} + 2), 'what would be limited is counted');
ok($ours->wait_log(qr{ rate-limit-begins prefix=127\.0\.0\.0/24 kind=answer rate=20 limited=\d+ mode=log-only$}, 10), 'and logged');
set_rrl(%rrl, allow => ['127.0.0.0/8']);
$got = flood($query);
is($got->{whole}, FLOOD, 'allow: everything is answered');
cmp_ok($got->{rrl_allowed}, '>=', FLOOD - RATE * ($got->{seconds} + 2), 'which is counted');
set_rrl(rate => 0);
$got = flood($query);
is($got->{whole}, FLOOD, 'off: everything is answered');
is($got->{rrl_allowed} + $got->{rrl_would} + $got->{rrl_dropped} + $got->{rrl_slipped}, 0, 'and nothing counted');
is($ours->stop, 0, 'it goes cleanly');
done_testing;
