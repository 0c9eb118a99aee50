#!/usr/bin/perl
# `lockstep diff`: whether real nameservers answer as a zone says. A zone with something of everything, plain and signed, differs nowhere from itself,
# whoever serves it; and what is made to differ is shown, each difference in its lines, and nothing else.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Corners;
use JSON::PP;
use Lockstep;
use Peer;
use Process qw(find_program run_command start_process stop_process slurp wait_for work_dir);
use Signed;
use Test::More;
use Time::HiRes qw(time);
use Tsig;

plan skip_all => 'lockstepd is not built' unless Lockstep::have();
plan skip_all => 'needs nsd, knot, bind9 and bind9-utils' if !Signed::have() || grep { !Peer->have($_) } qw(nsd knot bind);
my $lockstep = ($ENV{top_builddir} // '.') . '/lockstep';
my $dir = work_dir('diff');

# Text of the zone to a nameserver of the kind; more zones may go with it.
sub server {
    my ($kind, $zone, $text, %more) = @_;
    my @zones = ({ name => $zone, text => $text }, map { { name => $_, text => $more{$_} } } sort keys %more);
    return Peer->new($kind, zones => \@zones)->start if $kind ne 'lockstep';
    my $server = Lockstep->new(zones => [ map { { name => $_->{name}, source => 'file', 'allow-transfer' => ['any'] } } @zones ],
        acls => [ { name => 'any', address => [ '127.0.0.0/8' ] } ]);
    $server->put_zone($_->{name}, $_->{text}) for @zones;
    return $server->start;
}

sub diff { return run_command($lockstep, 'diff', @_) }
sub ns { my ($name, $server) = @_; return ('--ns', "$name/" . (ref $server ? $server->at : $server)) }

# The lines of a diff, without those that say who is asked.
sub changes { my ($out) = @_; return join '', map { "$_\n" } grep { /^[-+](?![-+]{2} )/ } split /\n/, $out }

# --- no false findings --------------------------------------------------------------------

my %text = (plain => Corners::parent('corners.test'));
my $key = Signed::key('corners.test');
$text{nsec} = Signed::sign('corners.test', $text{plain} . $key->{dnskey}, $key);
$text{nsec3} = Signed::sign('corners.test', $text{plain} . $key->{dnskey}, $key, nsec3 => 'AABB', iterations => 1);
for my $how (qw(plain nsec nsec3)) {
    my %server = map { $_ => server($_, 'corners.test', $text{$how}) } qw(nsd knot bind lockstep);
    my %below = Corners::zones('corners.test');
    delete $below{'corners.test'};
    my %with = map { $_ => server($_, 'corners.test', $text{$how}, %below) } qw(nsd knot bind);
    my @all = ((map { ns("$_.example", $server{$_}) } sort keys %server), map { ns("$_.with.example", $with{$_}) } sort keys %with);
    my ($status, $out, $said) = diff('corners.test', '--from', $server{nsd}->at, '--rate', 0, @all);
    is("$status$said", '0', "$how: all serve the same zone") or diag($out, $said);
    is(changes($out), '', "$how: nothing differs, from whoever it is");
    is(scalar(() = $out =~ /no difference$/mg), 7, "$how: which is said of each");
    my ($quiet, $quiet_out, $quiet_said) = diff('corners.test', '--from', $server{nsd}->at, '--rate', 0, '--quiet', @all);
    is("$quiet$quiet_out$quiet_said", '0', "$how: --quiet: and not a word");
    $_->stop for values %server, values %with;
}

# --- what differs -------------------------------------------------------------------------

my $zone = <<'END';
$ORIGIN example.com.
$TTL 300
@ SOA ns1 host 7 3600 900 604800 300
@ NS ns1.a.example.
@ NS ns2.b.example.
@ MX 10 mail
www A 192.0.2.1
www A 192.0.2.2
www TXT "a;b"
ftp CNAME www
*.wild A 192.0.2.3
a.empty A 192.0.2.4
sub NS ns.sub
ns.sub A 192.0.2.5
mail A 192.0.2.6
END
my $whole = server('nsd', 'example.com', $zone);
my @changed = (
    [ 'a record dropped', sub { s/^www A 192\.0\.2\.2\n//m }, "-www.example.com.\t300 A 192.0.2.2\n" ],
    [ 'another address', sub { s/^mail A 192\.0\.2\.6/mail A 192.0.2.7/m },
        "-mail.example.com.\t300 A 192.0.2.6\n+mail.example.com.\t300 A 192.0.2.7\n" ],
    [ 'another TTL', sub { s/^mail A/mail 60 A/m }, "-mail.example.com.\t300 A 192.0.2.6\n+mail.example.com.\t60 A 192.0.2.6\n" ],
    [ 'an RRset missing', sub { s/^www TXT.*\n//m }, "-www.example.com.\t300 TXT \"a;b\"\n+www.example.com.\tTXT\tNODATA\n" ],
    [ 'a name missing', sub { s/^ftp.*\n//m }, "-ftp.example.com.\t300 CNAME www.example.com.\n+ftp.example.com.\tA\tNXDOMAIN\n"
        . "-ftp.example.com.\t300 CNAME www.example.com.\n+ftp.example.com.\tCNAME\tNXDOMAIN\n" ],
    [ 'a wildcard too many', sub { $_ .= "* TXT \"x\"\n* A 192.0.2.9\n" }, qr/\A(?:-\S+\tA\tNXDOMAIN\n\+\S+\t300 A 192\.0\.2\.9\n)+\z/ ],
    [ 'a delegation missing', sub { s/^sub.*\n//m }, "-sub.example.com.\t300 NS ns.sub.example.com.\n+sub.example.com.\tNS\tNODATA\n" ],
    [ 'another serial', sub { s/host 7/host 8/ }, "-example.com.\t300 SOA ns1.example.com. host.example.com. 7 3600 900 604800 300\n"
        . "+example.com.\t300 SOA ns1.example.com. host.example.com. 8 3600 900 604800 300\n" ],
);
for my $kind (qw(nsd knot bind lockstep)) {
    for my $case (@changed[$kind eq 'knot' ? 0 .. $#changed : (0, 2)]) {
        my ($name, $change, $wanted) = @$case;
        my $text = $zone;
        $change->() for $text;
        my $other = server($kind, 'example.com', $text);
        my ($status, $out, $said) = diff('example.com', '--from', $whole->at, '--rate', 0, ns('ns1.a.example', $whole), ns('ns2.b.example', $other));
        is($status, 2, "$kind: $name: critical") or diag($out, $said);
        ref $wanted ? like(changes($out), $wanted, "$kind: $name: is shown") : is(changes($out), $wanted, "$kind: $name: is shown, and nothing else");
        like($out, qr/^\+\+\+ ns2\.b\.example\. \Q@{[ $other->at ]}\E serial \d+: ANSWER-DIFF, (?:1 of \d+ answers differs|\d{2,} of \d+ answers differ|[2-9] of \d+ answers differ)$/m, "$kind: $name: at that server");
        like($out, qr/\ALOCKSTEP CRITICAL - example\.com\.: (?:1 difference|[2-9] differences|\d{2,} differences) at 1 of 2 addresses of nameservers; \d+ answers from 2 addresses /,
            "$kind: $name: and counted in the first line");
        like($out, qr/^    ns1\.a\.example\. .*no difference$/m, "$kind: $name: the other is said to be well");
        $other->stop;
    }
}

# --- signatures ---------------------------------------------------------------------------

my $its_key = Signed::key('example.com');
my $signed = server('knot', 'example.com', Signed::sign('example.com', $zone . $its_key->{dnskey}, $its_key));
my $bare = server('bind', 'example.com', $zone . $its_key->{dnskey});
my ($status, $out, $said) = diff('example.com', '--from', $signed->at, '--rate', 0, ns('ns1.a.example', $signed), ns('ns2.b.example', $bare));
is($status, 2, 'one that is unsigned') or diag($said);
like($out, qr/^-www\.example\.com\.\tA\tRRSIG\n\+www\.example\.com\.\tA\tno RRSIG$/m, 'an RRset without signatures');
like($out, qr/^-\S+\tNSEC|^-\S+\tA\tNSEC\n\+\S+\tA\tno NSEC$/m, 'a denial without proof');
like($out, qr/^    ns1\.a\.example\. /m, 'the signed one is well');
$_->stop for $signed, $bare;

# --- as an object -------------------------------------------------------------------------

my $other = server('knot', 'example.com', $zone =~ s/^mail A/mail 60 A/mr =~ s/host 7/host 6/r);
($status, $out, $said) = diff('--json', 'example.com', '--from', $whole->at, '--rate', 0, ns('ns1.a.example', $whole), ns('ns2.b.example', $other));
my $object = eval { decode_json($out) };
is("$status$said", '2', '--json') or diag($out);
is($object->{zone}, 'example.com.', 'the zone');
is($object->{status}, 'CRITICAL', 'the status');
is($object->{serial}, 7, 'the newest serial that is seen');
my %row = map { $_->{name} => $_ } @{ $object->{nameservers} };
is($row{'ns1.a.example.'}{serial}, 7, 'a serial');
is_deeply($row{'ns1.a.example.'}{findings}, [], 'nothing at the first');
is_deeply($row{'ns2.b.example.'}{findings}, ['ANSWER-DIFF'], 'differences at the second');
is($row{'ns2.b.example.'}{address}, $other->at, 'its address');
my ($finding) = grep { $_->{owner} eq 'mail.example.com.' } @{ $object->{findings} };
is_deeply({ map { $_ => $finding->{$_} } qw(id severity server address owner type expected got) }, { id => 'ANSWER-DIFF', severity => 'critical',
    server => 'ns2.b.example.', address => $other->at, owner => 'mail.example.com.', type => 'A', expected => '300 A 192.0.2.6',
        got => '60 A 192.0.2.6' }, 'a difference');
like($finding->{message}, qr/^mail\.example\.com\. A has another TTL/, 'as a sentence');
is(scalar @{ $object->{findings} }, 2, 'that, and the SOA record');
$other->stop;

# --- servers that do not answer --------------------------------------------------------------

my $lame = server('nsd', 'other.test', $zone =~ s/example\.com/other.test/r);
my $dead = Process::free_port();
($status, $out) = diff('example.com', '--from', $whole->at, '--rate', 0, '--timeout', '1s', ns('ns1.a.example', $whole), ns('lame.example', $lame),
    ns('dead.example', "127.0.0.1\@$dead"));
is($status, 2, 'a lame and a dead server');
like($out, qr/LAME lame\.example\. \S+: .*REFUSED/, 'one is lame');
like($out, qr/UNREACHABLE dead\.example\. /, 'one does not answer');
is(changes($out), '', 'and nothing is said to differ');
$lame->stop;

# --- where the zone comes from --------------------------------------------------------------

my $tsig = Tsig::key(name => 'pull');
my $hidden = Peer->new('knot', zones => [ { name => 'example.com', text => $zone, key => $tsig } ])->start;
($status, $out, $said) = diff('example.com', '--from', $hidden->at, '--key', "$tsig->{algorithm}:$tsig->{name}:$tsig->{secret}", '--rate', 0,
    ns('ns1.a.example', $whole));
is($status, 0, 'by a signed transfer') or diag($said);
($status, $out, $said) = diff('example.com', '--from', $hidden->at, '--rate', 0, ns('ns1.a.example', $whole));
is($status, 3, 'a transfer that is refused: it cannot be told');
like($out, qr/\ALOCKSTEP UNKNOWN - [^\n|]+ \| zones=0\n\z/, 'in the first line');
like($said, qr/^lockstep: --from \Q@{[ $hidden->at ]}\E: \S/, 'and why');
($status, $out) = diff('--json', 'example.com', '--from', $hidden->at, '--rate', 0, ns('ns1.a.example', $whole));
$object = eval { decode_json($out) };
is("$status $object->{zone} $object->{status} $object->{findings}[0]{id}", '3 example.com. UNKNOWN CHECK-INCOMPLETE',
    'and in the document') or diag($out);
$hidden->stop;

my $daemon = server('lockstep', 'example.com', $zone);
($status, $out, $said) = $daemon->verb('diff', 'example.com', '--rate', 0, ns('ns1.a.example', $whole));
is($status, 0, 'as the daemon serves it') or diag($out, $said);
like($out, qr/^--- example\.com\. serial 7, as lockstepd serves it$/m, 'which is said');
($status, $out, $said) = $daemon->verb('diff', 'nothere.com', '--rate', 0, ns('ns1.a.example', $whole));
is($status, 3, 'a zone that it has not: it cannot be told');
like($said, qr/\Alockstep: nothere\.com\. cannot be had from the daemon: no such zone is configured\n\z/, 'and why');
$daemon->stop;
($status, $out, $said) = run_command($lockstep, '-c', $daemon->conf_file, 'diff', 'example.com', '--rate', 0, ns('ns1.a.example', $whole));
is($status, 0, 'without the daemon from the zone file') or diag($out, $said);
like($out, qr/^--- example\.com\. serial 7, from \Q@{[ $daemon->zone_file('example.com') ]}\E$/m, 'which is said');
unlink $daemon->zone_file('example.com');
($status, $out, $said) = run_command($lockstep, '-c', $daemon->conf_file, 'diff', 'example.com', ns('ns1.a.example', $whole));
is($status, 3, 'without either it cannot be told');
like($out, qr/\ALOCKSTEP UNKNOWN - .*\| zones=0\n\z/, 'in the first line');
like($said, qr/not running.*example\.com\.zone/, 'and why');

# --- off, where the operator says so ----------------------------------------------------------

my $unlike = server('nsd', 'example.com', $zone =~ s/^mail A/mail 60 A/mr);
my $easy = Lockstep->new(templates => [ { name => 'default', check => { severity => { 'ANSWER-DIFF' => 'off' } } } ]);
$easy->configure;
my @unlike = ('diff', 'example.com', '--from', $whole->at, '--rate', 0, ns('ns2.b.example', $unlike));
($status, $out, $said) = $easy->verb(@unlike);
is("$status$said", '0', 'differences that are off') or diag($out, $said);
is(changes($out), '', 'are not shown');
unlike($out, qr/ANSWER-DIFF|no difference|^\+\+\+/m, 'nor named, nor denied');
like($out, qr/\ALOCKSTEP OK - example\.com\.: differences are off; \d+ answers from 1 address in [^|]*\| differences=0 /,
    'which the first line says');
like($out, qr/^    ns2\.b\.example\. \Q@{[ $unlike->at ]}\E serial 7: \d+ answers$/m, 'the server is asked all the same');
is(($easy->verb(@unlike, '--quiet'))[1], '', 'with --quiet nothing is printed');
$object = $easy->json(@unlike);
is("$object->{status} " . scalar @{ $object->{findings} }, 'OK 0', 'nor is anything in the document');
$unlike->stop;

# --- pace, and the end ------------------------------------------------------------------------

my $many = $zone . join '', map { "n$_ A 192.0.2.10\n" } 1 .. 400;
my $large = server('nsd', 'example.com', $many);
my $began = time;
($status) = diff('example.com', '--from', $large->at, '--rate', 400, ns('ns1.a.example', $large));
my $slow = time - $began;
$began = time;
is($status, 0, 'at a bounded rate');
($status) = diff('example.com', '--from', $large->at, '--rate', 0, ns('ns1.a.example', $large));
is($status, 0, 'and without');
cmp_ok($slow, '>', 2, 'more than 1,000 questions at 400 a second take their time');
cmp_ok(time - $began, '<', $slow, 'which is the rate');

# Who is not told otherwise asks at most 1,000 times a second; a terminal shows meanwhile how far it is, and a file nothing.
SKIP: {
    my $at = "ns1.a.example/" . $large->at;
    my $from = $large->at;
    my $script = find_program('script') or skip('needs script', 5);
    my $began = time;
    my ($status, $out) = run_command('env', 'TERM=xterm', $script, '-qec', "'$lockstep' diff example.com --from $from --ns $at > $dir/stdout", '/dev/null');
    my ($answers) = (slurp("$dir/stdout") // '') =~ /; (\d+) answers from 1 address/;
    is($status, 0, 'on a terminal');
    cmp_ok(time - $began, '>=', ($answers // 0) / 1000 - 0.3, "the usual rate: $answers answers");
    like($out, qr/\A(?:\r\e\[K[^\[\r\n]*)*(?:\r\e\[K\[#*\.*\] +\d+%  \d+ of $answers, 0 differences)+\r\e\[K\z/, 'a progress bar, which goes away at the end');
    unlike(slurp("$dir/stdout"), qr/[\e\r]/, 'none in a file, and no colours');
    (undef, $out) = run_command('env', 'TERM=xterm', $script, '-qec', "'$lockstep' diff example.com --from $from --quiet --ns $at", '/dev/null');
    is($out, '', '--quiet: nothing on a terminal either');
}

# Interrupted once it has come to the names that differ.
my $stale = server('lockstep', 'example.com', $many =~ s/^n(1\d*) A 192\.0\.2\.10/n$1 A 192.0.2.11/mgr);
my $same = server('lockstep', 'example.com', $many);
for my $case ([ $same, 3, 'nothing was found' ], [ $stale, 2, 'something was found' ]) {
    my ($server, $wanted, $name) = @$case;
    my $log = "$dir/log-$wanted";
    my $pid = start_process($log, $lockstep, 'diff', 'example.com', '--from', $large->at, '--rate', 200, ns('ns1.a.example', $server));
    ok(wait_for(sub { $server->json('stats')->{serve}{queries_udp} > 100 }), "$name: a part has been asked");
    my $status = stop_process($pid, 'INT') >> 8;
    my $out = slurp($log);
    is($status, $wanted, "interrupted: $name") or diag($out);
    like($out, qr/CHECK-INCOMPLETE ns1\.a\.example\. \S+: interrupted after \d+ answers/, "interrupted, $name: it says so");
    like($out, qr/^\+n1\d*\.example\.com\.\t300 A 192\.0\.2\.11$/m, 'and shows what it has') if $wanted == 2;
}

# One that goes away in the middle is not asked on and on.
my $going = server('lockstep', 'example.com', $many);
my $log = "$dir/log-going";
my $pid = start_process($log, $lockstep, 'diff', 'example.com', '--from', $large->at, '--rate', 200, '--timeout', '3s',
    ns('ns1.a.example', $same), ns('gone.example', $going));
ok(wait_for(sub { $going->json('stats')->{serve}{queries_udp} > 100 }), 'a part has been asked');
$going->kill9;
ok(wait_for(sub { !Process::running($pid) }, 120), 'one that goes away is given up');
is(stop_process($pid) >> 8, 3, 'so that not everything could be told');
like(slurp($log), qr/^CHECK-INCOMPLETE gone\.example\. \S+: after \d+ answers it has answered no more: /m, 'which is said');
like(slurp($log), qr/^    ns1\.a\.example\. .*: \d{4} answers, no difference$/m, 'the other is asked to the end');

# --- usage ------------------------------------------------------------------------------------

for my $case ([], [ 'a.test', 'b.test' ], [ 'a.test', '--rate', 'fast' ], [ 'a.test', '-4', '-6' ], [ 'a.test', '--key', 'x:y' ],
    [ 'a.test', '--port', 0 ]) {
    my ($status, $out, $said) = diff(@$case);
    is("$status$out", '3', "wrong usage: @$case");
    like($said, qr/^lockstep/, 'is said');
}
done_testing;
