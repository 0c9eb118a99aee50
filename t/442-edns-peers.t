#!/usr/bin/perl
# The options of EDNS as dig and kdig see them, and cookies that BIND takes from us, and we from BIND.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Dump qw(at_options);
use Lockstep;
use Peer;
use Process qw(find_program run_command spew wait_for work_dir);
use Test::More;

plan skip_all => 'lockstepd is not built' unless Lockstep::have();
plan skip_all => 'needs dig' unless find_program('dig');

my @secret = ('00112233445566778899aabbccddeeff', 'ffeeddccbbaa99887766554433221100');
my $text = "\$ORIGIN example.\n\$TTL 3600\n@ IN SOA ns1 host 7 3600 900 604800 300\n@ IN NS ns1\nns1 IN A 192.0.2.1\nwww IN TXT x\n";
my $file = work_dir('cookies') . '/secrets';

sub put_secrets { spew($file, map { "$_\n" } @_); chmod 0600, $file }

sub dig {
    my ($server, @words) = @_;
    return (run_command('dig', at_options($server->at), '+time=5', '+tries=1', '+nobadcookie', @words))[1];
}

# The whole cookie that the server gives, and dig's word on it.
sub cookie_from {
    my ($server, $cookie) = @_;
    my $out = dig($server, defined $cookie ? "+cookie=$cookie" : '+cookie', 'www.example', 'TXT');
    my ($rcode) = $out =~ /status: (\w+)/;
    return $out =~ /^; COOKIE: ([0-9a-f]+) \((\w+)\)/m ? ($1, $2, $rcode) : (undef, 'none', $rcode);
}

put_secrets($secret[0]);
my $ours = Lockstep->new(server => { identity => 'here', 'cookie-secret-file' => $file }, acls => [ { name => 'all' } ],
    zones => [ { name => 'example', source => 'file', 'allow-transfer' => ['all'] } ]);
$ours->put_zone('example', $text);
$ours->start;

# --- dig -----------------------------------------------------------------------------
my ($first, $word, $rcode) = cookie_from($ours);
is("$word $rcode", 'good NOERROR', 'dig finds the cookie good');
is(length $first, 48, 'which has the length of RFC 9018');
is((cookie_from($ours, $first))[0], $first, 'and may keep it');
sub counted { my ($name) = @_; my ($value) = join(' ', ($ours->verb('stats'))[1]) =~ /\b\Q$name\E\s+(\d+)/; return $value }
is(counted('cookies_good'), 1, 'which is counted');
(undef, $word, $rcode) = cookie_from($ours, ($first =~ s/.$//r) . ($first =~ /0$/ ? 1 : 0));
is("$word $rcode", 'good NOERROR', 'a cookie that is none of ours is answered all the same');
is(counted('cookies_bad'), 1, 'and counted');
like(dig($ours, '+cookie=0011223344', 'www.example', 'TXT'), qr/status: FORMERR/, 'a malformed one is FORMERR');
like(dig($ours, '+cookie', '+header-only'), qr/status: NOERROR.*QUERY: 0, ANSWER: 0.*^; COOKIE: [0-9a-f]{48} \(good\)/ms,
    'a cookie without a question');
like(dig($ours, '+expire', 'example', 'SOA'), qr/^; EXPIRE: 604800 /m, 'EXPIRE');
like(dig($ours, '+nsid', 'example', 'SOA'), qr/^; NSID: 68 65 72 65 \("here"\)/m, 'NSID');
like(dig($ours, '+keepalive', '+tcp', 'example', 'SOA'), qr/^; TCP.KEEPALIVE: 10\.0 secs/m, 'keepalive');
unlike(dig($ours, '+keepalive', 'example', 'SOA'), qr/KEEPALIVE/, 'over TCP alone');
like(dig($ours, '+ednsopt=19', 'www.example', 'TXT'), qr/^; OPT=19: 01 00 00 00 00 07/m, 'ZONEVERSION');
like(dig($ours, '+ednsopt=19:0100', 'www.example', 'TXT'), qr/status: FORMERR/, 'that must be empty in a query');
unlike(dig($ours, '+padding=128', '+tcp', 'www.example', 'TXT'), qr/^; PAD/m, 'padding goes with TLS alone');

SKIP: {
    skip 'needs kdig', 2 unless find_program('kdig');
    my (undef, $out) = run_command('kdig', at_options($ours->at), '+cookie', '+nsid', '+expire', 'example', 'SOA');
    like($out, qr/status: NOERROR/, 'kdig takes the answer');
    unlike($out, qr/WARNING|ERROR:/, 'without a word');
}

# --- replacing the secret ---------------------------------------------------------------
put_secrets(@secret[1, 0]);
is(($ours->reload)[0], 0, 'a new secret before the old one');
my $good = counted('cookies_good');
my ($second) = cookie_from($ours, $first);
isnt($second, $first, 'a cookie made with the old one gets one made with the new one');
is(counted('cookies_good'), $good + 1, 'and was good');
put_secrets('not a secret');
isnt(($ours->reload)[0], 0, 'a secret that is none is not taken');
is((cookie_from($ours, $second))[0], $second, 'and the ones before stay in force');
put_secrets($secret[1]);
is(($ours->reload)[0], 0, 'the old one goes');
my $bad = counted('cookies_bad');
cookie_from($ours, $first);
is(counted('cookies_bad'), $bad + 1, 'and its cookies are good no longer');

# --- without a file, and without cookies ---------------------------------------------------
my %server = %{ $ours->{conf}{server} };
delete $server{'cookie-secret-file'};
is(($ours->reload(server => {%server}))[0], 0, 'a secret of its own');
my ($own) = cookie_from($ours);
ok(defined $own, 'makes cookies');
is(($ours->reload)[0], 0, 'a reload');
is((cookie_from($ours, $own))[0], $own, 'keeps it');
is(($ours->reload(server => { %server, cookies => 'false' }))[0], 0, 'cookies = false');
is((cookie_from($ours))[1], 'none', 'gives none');
like(dig($ours, '+cookie=0011223344', 'www.example', 'TXT'), qr/status: NOERROR/, 'and overlooks malformed ones');

# --- BIND ----------------------------------------------------------------------------------
SKIP: {
    skip 'needs bind9', 7 unless Peer->have('bind');
    put_secrets($secret[0]);
    $ours->reload(server => { %server, 'cookie-secret-file' => $file });
    my $bind = Peer->new('bind', zones => [ { name => 'example', text => $text } ],
        options => "cookie-algorithm siphash24; cookie-secret \"$secret[0]\"; answer-cookie yes; require-server-cookie yes;");
    $bind->configure;
    # It answers who has its cookie alone, so Peer's own question would never be answered.
    $bind->{pid} = Process::start_process($bind->{log}, $bind->command);
    my $theirs;
    wait_for(sub { $theirs = (cookie_from($bind))[0] }, 15);
    ok($theirs, 'BIND gives a cookie');
    is((cookie_from($bind))[2], 'BADCOOKIE', 'and answers nobody without one');
    is((cookie_from($bind, (cookie_from($ours))[0]))[2], 'NOERROR', 'but who has one of ours');
    my $before = counted('cookies_good');
    cookie_from($ours, $theirs);
    is(counted('cookies_good'), $before + 1, 'a cookie of BIND is good here');
    put_secrets($secret[1]);
    is(($ours->reload)[0], 0, 'with another secret');
    is((cookie_from($bind, (cookie_from($ours))[0]))[2], 'BADCOOKIE', 'ours is none there');
    $before = counted('cookies_bad');
    cookie_from($ours, $theirs);
    is(counted('cookies_bad'), $before + 1, 'and theirs none here');
    $bind->stop;
}

# --- EXPIRE along a chain ----------------------------------------------------------------------
my $below = Lockstep->new(remotes => [ Lockstep::remote('above', $ours) ],
    zones => [ { name => 'example', primaries => ['above'], 'expire-max' => '1000s' } ])->start;
ok($below->wait_serial('example', 7), 'a secondary has the zone');
my ($left) = dig($below, '+expire', 'example', 'SOA') =~ /^; EXPIRE: (\d+) /m;
ok(defined $left && $left > 900 && $left <= 1000, 'and tells what is left until it expires there') or diag($left // 'nothing');
$below->{conf}{zones}[0]{'expire-max'} = '500s';
is(($below->reload)[0], 0, 'a shorter time');
($left) = dig($below, '+expire', 'example', 'SOA') =~ /^; EXPIRE: (\d+) /m;
ok(defined $left && $left > 400 && $left <= 500, 'shows at once') or diag($left // 'nothing');
is($_->stop, 0, 'it goes cleanly') for $below, $ours;
done_testing;
