#!/usr/bin/perl
# The HTTP server: /metrics, /health and the page, and clients that behave badly.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Fake;
use IO::Socket::INET;
use JSON::PP;
use Lockstep;
use Process qw(free_port wait_for);
use Test::More;

plan skip_all => 'lockstepd is not built' unless Lockstep::have();
my $port = free_port;
my $odd = 'b\"s\\\\l.test';                                 # a quote and a backslash in a label
my $zone_text = "\$TTL 300\n@ IN SOA ns host 7 3600 900 604800 300\n@ IN NS ns\nns IN A 192.0.2.1\n";
my $lockstep = Lockstep->new(
    server => { metrics => "127.0.0.1\@$port", workers => 2 },
    remotes => [ { name => 'nobody', address => [ '127.0.0.1@' . free_port ] } ],
    zones => [ { name => 'file.test', source => 'file', file => 'file' },
        { name => 'broken.test', source => 'file', file => 'broken' }, { name => 'empty.test', primaries => ['nobody'] },
        { name => $odd, source => 'file', file => 'file' } ]);
Process::spew("$lockstep->{dir}/zones/file", $zone_text);
Process::spew("$lockstep->{dir}/zones/broken", "<script>alert(1)</script> IN FOO\n");
$lockstep->start;

# (status, headers, body)
sub http {
    my ($request) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 10) or return (0, '', '');
    $request = "GET $request HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" unless $request =~ /\n/;
    print $socket $request;
    local $/;
    my $answer = <$socket> // '';
    my ($head, $body) = split /\r\n\r\n/, $answer, 2;
    $body //= '';
    if ($head =~ /^transfer-encoding: chunked/mi) {
        my $whole = '';
        while ($body =~ s/^([0-9a-f]+)\r\n//i) {
            my $n = hex $1 or last;
            $whole .= substr $body, 0, $n, '';
            $body =~ s/^\r\n//;
        }
        $body = $whole;
    }
    return ($head =~ /^HTTP\S+ (\d+)/ ? $1 : 0, $head, $body);
}

subtest 'metrics' => sub {
    my ($status, $head, $body) = http('/metrics');
    is($status, 200, 'there');
    like($head, qr{^content-type: text/plain; version=0\.0\.4}mi, 'in the text format');
    my @wrong = grep { !/^# (?:HELP|TYPE) lockstep_\w+ /
        && !/^lockstep_\w+(?:\{\w+="(?:[^"\\]|\\.)*"(?:,\w+="(?:[^"\\]|\\.)*")*\})? -?[\d.e+]+$/ } split /\n/, $body;
    is_deeply(\@wrong, [], 'each line is one of that');
    my %types;
    $types{$1}++ while $body =~ /^# TYPE (\S+)/mg;
    is_deeply([ grep { $types{$_} > 1 } keys %types ], [], 'each family is told once');
    my @order = map { /^(lockstep_\w+)/ ? $1 : () } split /\n/, $body;
    my ($last, %seen, @twice) = ('');
    for (@order) {
        push @twice, $_ if $_ ne $last && $seen{$_}++;
        $last = $_;
    }
    is_deeply(\@twice, [], 'and stands in one piece');
    like($body, qr/^lockstep_zone_serial\{zone="file\.test\."\} 7$/m, 'a serial');
    like($body, qr/^lockstep_zone_state\{zone="broken\.test\.",state="rejected"\} 1$/m, 'a state');
    like($body, qr/^lockstep_zone_serial\{zone="b\\\\\\"s\\\\092l\.test\."\} 7$/m, 'a name with a quote and a backslash');
    unlike($body, qr/^lockstep_zone_serial\{zone="empty/m, 'what is not known is left out');
    like($body, qr/^lockstep_zones\{state="ok"\} 2$/m, 'zones by state');
    my ($before) = $body =~ /^lockstep_serve_queries_udp_total (\d+)$/m;
    $lockstep->wait_serial('file.test', 7);
    my ($after) = (http('/metrics?zones=none'))[2] =~ /^lockstep_serve_queries_udp_total (\d+)$/m;
    cmp_ok($after, '>', $before, 'counters count');
    unlike((http('/metrics?zones=none'))[2], qr/lockstep_zone_/, '?zones=none');
    like((http('/metrics?zones=all'))[2], qr/lockstep_zone_serial/, '?zones=all');
};

subtest 'health' => sub {
    my ($status, $head, $body) = http('/health');
    my $said = decode_json($body);
    is($status, 200, 'it answers');
    is($said->{status}, 'ok', 'and says so');
    is($said->{asked}, 4, 'asked from two ports for each worker');
    is($said->{answered}, 4, 'all were answered');
};

subtest 'the page' => sub {
    my ($status, $head, $body) = http('/');
    is($status, 200, 'there');
    like($body, qr{<td>file\.test\.</td><td>ok</td><td class="n">7</td>}, 'a zone');
    unlike($body, qr/<script>/, 'nothing of a zone file is taken for HTML');
    like($body, qr/broken\.test.*file\.test/s, 'those that need somebody come first');
    is((http('/nothing'))[0], 404, 'no other pages');
};

subtest 'clients' => sub {
    my ($status, $head, $body) = http("HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    is($status, 200, 'HEAD');
    is($body, '', 'has no body');
    isnt((http("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))[0], 200, 'POST is refused');
    isnt((http("GET /metrics HTTP/1.1\r\nHost: x\r\nX: " . 'x' x 20000 . "\r\nConnection: close\r\n\r\n"))[0], 200,
        'headers without end are refused');
    http("\x16\x03\x01\n\n");
    my @gone = map { my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port); print $s "GET /$_ HTTP/1.1\r\nHost: x\r\n\r\n"; $s } ('metrics?zones=all', 'health') x 20;
    close $_ for @gone;
    is((http('/health'))[0], 200, 'clients that leave at once do no harm');
};

$lockstep->stop;

# A limit that silences the loopback is the simplest way to have a server that is there and does not answer.
subtest 'a server that does not answer' => sub {
    my $silent = Lockstep->new(server => { metrics => "127.0.0.1\@$port", rrl => { rate => 1, slip => 0 } });
    $silent->start;
    my ($status, $head, $body);
    wait_for(sub { ($status, $head, $body) = http('/health'); $status == 503 }, 20);
    is($status, 503, 'is not well');
    my $said = decode_json($body);
    is($said->{status}, 'silent', 'and the answer says why');
    is($said->{silent}, $silent->at, 'and where');
    cmp_ok($said->{answered}, '<', $said->{asked}, 'not all were answered');
    $silent->stop;
};

# Serials are compared as RFC 1982 has it; wherever they are told they are what they are.
subtest 'the highest serial' => sub {
    my $highest = 4294967295;
    my $fake = Fake->new(zone => 'high.test.')->serve(serial => $highest, records => ['high.test. 300 IN NS ns.high.test.']);
    my $high = Lockstep->new(server => { metrics => "127.0.0.1\@$port" }, remotes => [ Lockstep::remote('fake', $fake) ],
        zones => [ { name => 'high.test', primaries => ['fake'] } ])->start;
    my $told = sub {
        my ($serial, $when) = @_;
        ok($high->wait_state('high.test', 'ok'), "$when: it is well");
        my $status = $high->status('high.test');
        is(join(' ', map { $_ // 'null' } @$status{qw(state serial best durable written)}), join(' ', 'ok', ($serial) x 4), "$when: status");
        like(($high->verb('status', 'high.test'))[1], qr/^served +$serial,/m, "$when: for people");
        like((http('/metrics'))[2], qr/^lockstep_zone_serial\{zone="high\.test\."\} $serial$/m, "$when: the metric");
        like((http('/metrics'))[2], qr/^lockstep_zone_written_serial\{zone="high\.test\."\} $serial$/m, "$when: that of the file");
    };
    ok($high->wait_serial('high.test', $highest), 'has come');
    is(($high->verb('write', 'high.test'))[0], 0, 'and is written');
    $told->($highest, 'as it came');
    is($high->status('high.test')->{primaries}[0]{serial}, $highest, 'that of the primary');
    for my $way (qw(kill9 stop)) {
        $high->$way;
        $fake->vanish;
        $high->start;
        ok($high->wait_serial('high.test', $highest), "$way: it is served again");
        $told->($highest, $way);
    }
    $fake->serve(serial => 0);
    is(($high->verb('transfer', 'high.test'))[0], 0, 'the next one is 0');
    is(($high->verb('write', 'high.test'))[0], 0, 'it is written');
    $told->(0, '0');
    $high->kill9;
    $fake->vanish;
    $high->start;
    ok($high->wait_serial('high.test', 0), '0 is served after a kill, though the other was known before');
    $told->(0, '0, after a kill');
    is($high->stop, 0, 'lockstepd ends cleanly');
};

# Another one must not take half of the questions.
subtest 'the port is taken' => sub {
    my $other = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 1, ReuseAddr => 1) or plan skip_all => "$!";
    my $second = Lockstep->new(server => { metrics => "127.0.0.1\@$port" });
    my ($status, $said) = $second->start_in_vain;
    isnt($status, 0, 'it does not start');
    like($said, qr/\Q127.0.0.1\E\S*$port/, 'and says what it lacks');
};

done_testing;
