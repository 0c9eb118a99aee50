#!/usr/bin/perl
# `lockstep ready` on a small internet of real servers: whether a new set of nameservers would be safe, what is to be mended and in which order, and the way
# until the parent has it too. And `lockstep diff` where the nameservers are found, not given.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Internet;
use JSON::PP;
use Lockstep;
use Process qw(run_command slurp start_process stop_process wait_for work_dir);
use Test::More;

plan skip_all => 'needs lockstepd, nsd, knot, bind9 with its tools, and unbound' unless Internet->have;
my @four = @Internet::nameservers;
my $net = Internet->new(zones => [
    { name => 'clean.alpha' },
    { name => 'moving.alpha', parent => { ns => [ @four[ 0, 1 ] ], ttl => 7200 } },
    { name => 'lame.alpha', parent => { ns => [ @four[ 0, 1 ] ] }, at => { west => 0 } },
    { name => 'behind.alpha', soa => { serial => 2 }, at => { south => { stale => Internet::zone_text({ name => 'behind.alpha' }) } } },
    { name => 'dropped.alpha', records => "www.dropped.alpha. 3600 IN A 192.0.2.80\nftp.dropped.alpha. 3600 IN A 192.0.2.81\n",
        at => { north => sub { my ($text) = @_; return $text =~ s/^ftp.*\n//mr } } },
])->start;
my $operator = $net->operator;
my @resolver = ('--resolver', $net->resolver->at);
my @candidates = map { ('--ns', $_) } @four;

sub ready { return $operator->verb('ready', @resolver, @_) }
sub ready_json { my ($status, $out) = run_command(($ENV{top_builddir} // '.') . '/lockstep', '--json', '-c', $operator->conf_file, 'ready', @resolver, @_); return ($status, eval { decode_json($out) }) }

# --- yes ------------------------------------------------------------------------------------

for my $zone (qw(clean.alpha moving.alpha)) {
    my ($status, $out, $said) = ready($zone, @candidates);
    is("$status$said", '0', "$zone: yes, whatever the delegation is today") or diag($out, $said);
    like($out, qr/\ALOCKSTEP OK - \Q$zone\E\.: serial 1 at 8 addresses \| zones=1 servers=8 critical=0 [^\n]*\n\Q$zone\E\. ready: yes\n\z/, "$zone: in a line behind the first");
    is_deeply([ ready($zone, '--quiet', @candidates) ], [ 0, '', '' ], "$zone: --quiet: and not even that");
}
my ($status, $object) = ready_json('moving.alpha', @candidates);
is($status, 0, '--json');
is($object->{ready}, JSON::PP::true, 'ready');
is("$object->{zone} $object->{status} $object->{serial}", 'moving.alpha. OK 1', 'zone, status, serial');
is(scalar @{ $object->{nameservers} }, 8, 'each address of each candidate');
is_deeply($object->{findings}, [], 'no findings');

# --- no ---------------------------------------------------------------------------------------

(my $out, my $said);
($status, $out, $said) = ready('lame.alpha', @candidates);
is($status, 2, 'a candidate that is lame: no') or diag($out, $said);
like($out, qr/\ALOCKSTEP CRITICAL - lame\.alpha\.: LAME [^\n|]* \| zones=1 servers=8 critical=2 [^\n]*\nlame\.alpha\. ready: no\nTo be mended first, in this order:\n  1\. LAME ns1\.west\.beta\. 198\.51\.100\.53: .*\n  2\. LAME ns1\.west\.beta\. 2001:db8:2::53: .*\n     have the zone served there/,
    'both of its addresses, and what is to be done');
($status, $object) = ready_json('lame.alpha', @candidates);
is($status, 2, 'as an object');
is($object->{ready}, JSON::PP::false, 'not ready');
is_deeply([ map { "$_->{id} $_->{server}" } grep { $_->{severity} eq 'critical' } @{ $object->{findings} } ], [ ('LAME ns1.west.beta.') x 2 ], 'what is critical');

($status, $out) = ready('behind.alpha', @candidates);
is($status, 2, 'a candidate that is behind: no, at once');
like($out, qr/^  1\. SERIAL-LAG ns1\.south\.beta\. /m, 'which is why') or diag($out);

($status, $out) = ready('clean.alpha', @candidates, '--ns', 'ns2.own.alpha');
is($status, 2, 'a candidate that the apex does not name: no');
like($out, qr/^  1\. NS-PARENT-EXTRA\b.*ns2\.own\.alpha/m, 'which is why') or diag($out);
like($out, qr/put the name into the NS set at the zone's apex first/, 'and what is to be done');

($status, $out) = ready('clean.alpha', @candidates[ 0 .. 5 ]);
is($status, 1, 'one that the apex names is left out: a warning');
like($out, qr/\ALOCKSTEP WARNING - clean\.alpha\.: NS-CHILD-EXTRA[^\n]*\| zones=1 [^\n]*\nclean\.alpha\. ready: yes, with warnings\nNo reason to wait, but worth mending:\n  1\. NS-CHILD-EXTRA\b.*ns1\.south\.beta/, 'which is said') or diag($out);

# --- it cannot be told ----------------------------------------------------------------------------

($status, $out) = $operator->verb('ready', '--resolver', '127.0.0.1@9', '--timeout', '1s', 'clean.alpha', @candidates);
is($status, 3, 'without a resolver it cannot be told') or diag($out);
like($out, qr/\ALOCKSTEP UNKNOWN - clean\.alpha\.: CHECK-INCOMPLETE[^\n]*\| zones=1 [^\n]*\nclean\.alpha\. ready: it cannot be told\nWhat could not be told:\n  1\. CHECK-INCOMPLETE/, 'which is said') or diag($out);
for my $wrong ('ns1..example', 'ns1.example/not-an-address') {
    ($status, $out, $said) = ready('clean.alpha', '--ns', $wrong);
    is($status, 3, "--ns $wrong");
    like($out, qr/\ALOCKSTEP UNKNOWN - [^\n|]+ \| zones=0\n\z/, 'the first line is there');
    like($said, qr/^lockstep: \S/, 'and it is said');
    ($status, $object) = ready_json('clean.alpha', '--ns', $wrong);
    is("$status $object->{zone} $object->{status} $object->{findings}[0]{id}", '3 clean.alpha. UNKNOWN CHECK-INCOMPLETE', 'and the document') or diag(explain($object));
    is($object->{ready}, JSON::PP::false, 'not ready');
}
for my $case ([], ['clean.alpha'], [ @candidates ],
    [ 'clean.alpha', @candidates, '--rate', 5 ]) {
    ($status, $out, $said) = ready(@$case);
    is("$status$out", '3', "wrong usage: @$case");
    like($said, qr/^lockstep/, 'is said');
}

# --- until it is done --------------------------------------------------------------------------------

my $log = work_dir('watch') . '/log';
my $pid = start_process($log, ($ENV{top_builddir} // '.') . '/lockstep', '-c', $operator->conf_file, 'ready', @resolver, '--watch', 'moving.alpha', @candidates);
ok(wait_for(sub { (slurp($log) // '') =~ /the new NS set is shown by 0 of 4 servers of the parent, and 8 of 8 of the zone$/m }), 'the parent has the old set') or diag(slurp($log));
my ($moving) = grep { $_->{name} eq 'moving.alpha' } @{ $net->{zones} };
delete $moving->{parent};
$net->{a}->edit('alpha', $net->tld_text('a') =~ s/(SOA\s+\S+\s+\S+\s+)1 /${1}2 /r);
ok(wait_for(sub { (slurp($log) // '') =~ /by 2 of 4 servers of the parent/ }), 'one of its servers has the new one') or diag(slurp($log));
ok(Process::running($pid), 'which is not enough');
$net->{b}->edit('alpha', $net->tld_text('b') =~ s/(SOA\s+\S+\s+\S+\s+)1 /${1}2 /r);
ok(wait_for(sub { !Process::running($pid) }, 120), 'when all of them have it, it ends');
is(stop_process($pid), 0, 'with yes');
like(slurp($log), qr/^Parent and nameservers agree\. Caches may hold the old set until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC \(7200 seconds/m, 'and says how long the old set lives')
    or diag(slurp($log));
($status, $object) = ready_json('moving.alpha', '--watch', @candidates);
is("$status $object->{converged}", '0 1', 'what has converged already is done at once');
cmp_ok($object->{cached_until}, '>', time, 'with the time until caches know');
is_deeply([ ready('moving.alpha', '--watch', '--quiet', @candidates) ], [ 0, '', '' ], '--watch --quiet: not a word about it');
$pid = start_process("$log.2", ($ENV{top_builddir} // '.') . '/lockstep', '-c', $operator->conf_file, 'ready', @resolver, '--watch', 'clean.alpha', @candidates[ 0 .. 5 ]);
ok(wait_for(sub { (slurp("$log.2") // '') =~ /0 of 4 servers of the parent, and 0 of \d/ }), 'one that will not converge');
is(stop_process($pid, 'INT') >> 8, 3, 'interrupted: it cannot be told');

# --- diff, of the nameservers that are found ----------------------------------------------------------

my @from = ('--from', $net->{hidden}->at, '--key', "$net->{key}{algorithm}:$net->{key}{name}:$net->{key}{secret}");
($status, $out, $said) = $operator->verb('diff', @resolver, @from, '--rate', 0, 'clean.alpha');
is("$status$said", '0', 'diff: nothing differs') or diag($out, $said);
is(scalar(() = $out =~ /no difference$/mg), 8, 'diff: at each address of each nameserver');
($status, $out, $said) = $operator->verb('diff', @resolver, @from, '--rate', 0, 'dropped.alpha');
is($status, 2, 'diff: a record that one provider has dropped') or diag($out, $said);
is(join('', map { "$_\n" } grep { /^[-+](?![-+]{2} )/ } split /\n/, $out), "-ftp.dropped.alpha.\t3600 A 192.0.2.81\n+ftp.dropped.alpha.\tA\tNXDOMAIN\n-ftp.dropped.alpha.\tMX\tNODATA\n+ftp.dropped.alpha.\tMX\tNXDOMAIN\n" x 2, 'diff: at both of its addresses')
    or diag($out);
like($out, qr/^\+\+\+ ns1\.north\.alpha\. \Q$_\E serial 1: ANSWER-DIFF/m, "diff: at $_") for @{ $Internet::provider{north}{addresses} };
($status, $out, $said) = $operator->verb('diff', @resolver, @from, '--rate', 3, '--timeout', '3s', 'clean.alpha');
is("$status$said", '0', 'diff: at a low rate the nameservers are found all the same') or diag($out, $said);
is(scalar(() = $out =~ /no difference$/mg), 8, 'diff: all of them');
my $lenient = $net->operator(check => { severity => { 'ANSWER-DIFF' => 'warning' } });
is(($lenient->verb('diff', @resolver, @from, '--rate', 0, 'dropped.alpha'))[0], 1, 'diff: no more than a warning, where the operator says so');
($status, $out) = $operator->verb('diff', @resolver, @from, '--rate', 0, '-4', 'dropped.alpha');
is(scalar(() = $out =~ /^(?:\+\+\+|   ) ns1\./mg), 4, 'diff: -4: one address of each');
($status, $out) = $operator->verb('diff', @resolver, @from, '--rate', 0, '--ns', $four[0], 'dropped.alpha');
is("$status " . scalar(() = $out =~ /no difference$/mg), '0 2', 'diff: a name that is given is resolved, and no other is asked');
($status, $out) = $operator->verb('diff', '--resolver', '127.0.0.1@9', '--timeout', '1s', @from, 'clean.alpha');
is($status, 3, 'diff: without a resolver it cannot be told');
like($out, qr/^CHECK-INCOMPLETE: /m, 'diff: which is said');
is($net->stop, 0, 'the servers stop');
done_testing;
