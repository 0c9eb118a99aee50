#!/usr/bin/perl
# `lockstep ready` on a small internet of real servers: whether a new set of nameservers would be safe, what is to be mended and
# in which order, and the way until the parent has it too. And `lockstep diff` where the nameservers are found, not given.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Internet;
use Findings;
use JSON::PP;
use Lockstep;
use Process qw(run_command slurp start_process stop_process wait_for work_dir);
use Test::More;
use Wrong;

plan skip_all => 'needs lockstepd, nsd, knot, bind9 with its tools, and unbound' unless Internet->have;
my @four = my ($own, $north, $west, $south) = @Internet::nameservers;
my %wrong = map { $_->{name} => $_ } Wrong::plain(), Wrong::signed();
my %old = (name => 'changing.alpha', ns => [ $own, $north ]);
my $net = Internet->new(zones => [
    @wrong{qw(alias.alpha onetld.alpha open.alpha expected.alpha more.alpha broken.alpha)},
    { name => 'large.alpha', ns => [ @four, @Internet::long_names ], parent => { ns => [ @four ] } },
    { name => 'inside.alpha', ns => [ 'ns1.inside.alpha', $north, $west ], parent => { ns => [ $north, $west ] },
        records => join '', Internet::address_records('ns1.inside.alpha', @{ $Internet::provider{own}{addresses} }) },
    { name => 'several.alpha', ns => [ @four, 'nothere.own.alpha' ], ns_ttl => 600, parent => { ns => [ @four ] }, soa => { serial => 2 },
        at => { west => 0, south => { stale => Internet::zone_text({ name => 'several.alpha', ns => [ @four, 'nothere.own.alpha' ], ns_ttl => 600 }) } } },
    { %old, parent => { ttl => 7200 }, at => { map { $_ => sub { $_[0] } } keys %Internet::provider } },
    { name => 'clean.alpha' },
    { name => 'moving.alpha', parent => { ns => [ @four[ 0, 1 ] ], ttl => 7200 } },
    { name => 'lame.alpha', parent => { ns => [ @four[ 0, 1 ] ] }, at => { west => 0 } },
    { name => 'behind.alpha', soa => { serial => 2 }, at => { south => { stale => Internet::zone_text({ name => 'behind.alpha' }) } } },
    { name => 'dropped.alpha', records => "www.dropped.alpha. 3600 IN A 192.0.2.80\nftp.dropped.alpha. 3600 IN A 192.0.2.81\n",
        at => { north => sub { my ($text) = @_; return $text =~ s/^ftp.*\n//mr } } },
])->start;
my $operator = $net->operator;
my @resolver = ('--resolver', $net->resolver->at, '--timeout', '20s');         # where all answer, a slow machine is not a silent server
sub candidates { return map { ('--ns', $_) } @_ }
my @candidates = candidates(@four);

sub ready { return $operator->verb('ready', @resolver, @_) }
sub ready_json {
    my ($status, $out) = run_command(($ENV{top_builddir} // '.') . '/lockstep', '--json', '-c', $operator->conf_file, 'ready',
        @resolver, @_);
    return ($status, eval { decode_json($out) });
}

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
is_deeply([ map { "$_->{id} $_->{server}" } grep { $_->{severity} eq 'critical' } @{ $object->{findings} } ],
    [ ('LAME ns1.west.beta.') x 2 ], 'what is critical');

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

# What is wrong with several things: what answers comes first, then what it answers with, then the names; and behind each kind what is to be done.
($status, $out, $said) = ready('several.alpha', candidates("$own/192.0.2.54", @four[ 1 .. 3 ], 'nothere.own.alpha', 'ns2.own.alpha'));
is("$status$said", '2', 'several things are wrong: no');
is(join("\n", map { s/:.*//r } grep { !/^     / } (split /\n/, $out)[ 1 .. 13 ]),
    join("\n", 'several.alpha. ready', 'To be mended first, in this order', '  1. NS-TARGET nothere.own.alpha.',
    '  2. LAME ns1.west.beta. 198.51.100.53', '  3. LAME ns1.west.beta. 2001', '  4. SERIAL-LAG ns1.south.beta. 198.18.4.53',
    '  5. SERIAL-LAG ns1.south.beta. 2001',
    '  6. NS-PARENT-EXTRA', '  7. GLUE-DRIFT ns1.own.alpha.'), 'in this order') or diag($out);
like($out, qr/give the nameserver's name an address.*have the zone served there.*have it transfer.*put the name into.*\nNo reason to wait, but worth mending:\n  1\. TTL-SHORT[^\n]*\n\z/s, 'with what is to be done, and what can wait') or diag($out);

# --- every check, against the candidates ----------------------------------------------------------

my $findings = Findings->new(operator => $operator, arguments => \@resolver);
my $policy = Findings->new(operator => $net->operator('ns-set' => { mode => 'warn', providers => [qw(own north west south)] }),
    arguments => \@resolver);
sub as_checked {
    my ($by, $name, @ns) = @_;
    $by->are("ready: $wrong{$name}{what}", $name, $wrong{$name}{expected}, verb => 'ready', arguments => [ candidates(@ns) ]);
}
as_checked($findings, 'alias.alpha', @four, 'alias.own.alpha');
as_checked($findings, 'onetld.alpha', $own, $north);
as_checked($findings, 'open.alpha', @four);
as_checked($policy, 'expected.alpha', $own, $north, $west);
as_checked($findings, 'more.alpha', @four);
as_checked($findings, 'broken.alpha', @four);
$findings->are('ready: the referral to the new set will be too large', 'large.alpha', ['REFERRAL-SIZE'], verb => 'ready',
    message => qr/512/, arguments => [ candidates(@four, @Internet::long_names) ]);

# Candidates with addresses: those are asked, and compared with what the name has.
my @with = map { my $of = $_; map { "ns1.$of->{domain}/$_" } @{ $of->{addresses} } } @Internet::provider{qw(own north west south)};
my $got = $findings->are('ready: the addresses of the candidates are given', 'clean.alpha', [], verb => 'ready', arguments => [ candidates(@with) ]);
is(scalar @{ $got->{json}{nameservers} // [] }, 8, 'all of them are asked');
$got = $findings->are('ready: one address of one of them', 'clean.alpha', [], verb => 'ready', arguments => [ candidates(@with[ 0, 2 .. 7 ]) ]);
is(scalar @{ $got->{json}{nameservers} // [] }, 7, 'and no other is');
$findings->are('ready: another address than the name has', 'clean.alpha', ["GLUE-DRIFT $own"], verb => 'ready',
    message => qr/A: what was given is 192\.0\.2\.54, the authoritative answer is 192\.0\.2\.53/,
    arguments => [ candidates("$own/192.0.2.54", @with[ 2 .. 7 ]) ]);
$findings->are('ready: a name that does not exist', 'clean.alpha', [ 'NS-TARGET nothere.own.alpha', 'NS-PARENT-EXTRA *' ],
    verb => 'ready', arguments => [ candidates(@with, 'nothere.own.alpha/192.0.2.53') ]);
$findings->are('ready: a name in the zone, with its address', 'inside.alpha', [], verb => 'ready',
    arguments => [ candidates('ns1.inside.alpha/192.0.2.53', $north, $west) ]);

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
    is("$status $object->{zone} $object->{status} $object->{findings}[0]{id}", '3 clean.alpha. UNKNOWN CHECK-INCOMPLETE',
        'and the document') or diag(explain($object));
    is($object->{ready}, JSON::PP::false, 'not ready');
}
for my $case ([], ['clean.alpha'], [ @candidates ],
    [ 'clean.alpha', @candidates, '--rate', 5 ]) {
    ($status, $out, $said) = ready(@$case);
    is("$status$out", '3', "wrong usage: @$case");
    like($said, qr/^lockstep/, 'is said');
}

# --- until it is done --------------------------------------------------------------------------------

# One nameserver shows the new set, then one of the parent's servers, then all.
my $log = work_dir('watch') . '/log';
my ($changing) = grep { $_->{name} eq 'changing.alpha' } @{ $net->{zones} };
my $new_text = Internet::zone_text({ name => 'changing.alpha', soa => { serial => 2 } });
my $pid = start_process($log, ($ENV{top_builddir} // '.') . '/lockstep', '-c', $operator->conf_file, 'ready', @resolver,
    '--watch', 'changing.alpha', @candidates);
sub seen { my ($pattern, $what) = @_; ok(wait_for(sub { (slurp($log) // '') =~ $pattern }, 180), $what) or diag(slurp($log)) }
sub parent_has { my ($server, $serial) = @_; $net->{$server}->edit('alpha', $net->tld_text($server) =~ s/(SOA\s+\S+\s+\S+\s+)1 /$1$serial /r) }
seen(qr/the new NS set is shown by 0 of 4 servers of the parent, and 0 of 8 of the zone$/m, 'all have the old set');
delete $changing->{parent};
$changing->{ns} = \@four;
$net->{hidden}->edit('changing.alpha', $new_text);
$net->{west}->edit('changing.alpha', $new_text);
parent_has('a', 2);
seen(qr/by 2 of 4 servers of the parent, and 2 of 8 of the zone$/m,
    'one nameserver and one of the parent\'s servers have the new one, at both of their addresses');
ok(Process::running($pid), 'which is not enough');
parent_has('b', 2);
seen(qr/by 4 of 4 servers of the parent, and 2 of 8/, 'all of those have it');
ok(Process::running($pid), 'which is not enough either');
$net->{$_}->edit('changing.alpha', $new_text) for qw(north south);
$net->{own}->put_zone('changing.alpha', $new_text);
$net->{own}->verb('reload');
ok($net->{own}->wait_serial('changing.alpha', 2), 'the rest follows');
ok(wait_for(sub { !Process::running($pid) }, 180), 'then it ends') or diag(slurp($log));
is(stop_process($pid), 0, 'with yes') or diag(slurp($log));
like(slurp($log), qr/^\S+ \S+ UTC  the new NS set is shown by 4 of 4 servers of the parent, and 8 of 8 of the zone\nParent and nameservers agree\. Caches may hold the old set until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC \(7200 seconds[^\n]*\n\z/m,
    'and says how long the old set lives') or diag(slurp($log));
($status, $object) = ready_json('changing.alpha', '--watch', @candidates);
is("$status $object->{converged}", '0 1', 'what has converged already is done at once');
cmp_ok($object->{cached_until}, '>', time, 'with the time until caches know');
is_deeply([ ready('changing.alpha', '--watch', '--quiet', @candidates) ], [ 0, '', '' ], '--watch --quiet: not a word about it');
$pid = start_process("$log.2", ($ENV{top_builddir} // '.') . '/lockstep', '-c', $operator->conf_file, 'ready', @resolver,
    '--watch', 'clean.alpha', @candidates[ 0 .. 5 ]);
ok(wait_for(sub { (slurp("$log.2") // '') =~ /0 of 4 servers of the parent, and 0 of \d/ }), 'one that will not converge');
is(stop_process($pid, 'INT') >> 8, 3, 'interrupted: it cannot be told');

# --- diff, of the nameservers that are found ----------------------------------------------------------

my @from = ('--from', $net->{hidden}->at, '--key', "$net->{key}{algorithm}:$net->{key}{name}:$net->{key}{secret}");
($status, $out, $said) = $operator->verb('diff', @resolver, @from, '--rate', 0, 'clean.alpha');
is("$status$said", '0', 'diff: nothing differs') or diag($out, $said);
is(scalar(() = $out =~ /no difference$/mg), 8, 'diff: at each address of each nameserver');
($status, $out, $said) = $operator->verb('diff', @resolver, @from, '--rate', 0, 'dropped.alpha');
is($status, 2, 'diff: a record that one provider has dropped') or diag($out, $said);
is(join('', map { "$_\n" } grep { /^[-+](?![-+]{2} )/ } split /\n/, $out),
    "-ftp.dropped.alpha.\t3600 A 192.0.2.81\n+ftp.dropped.alpha.\tA\tNXDOMAIN\n-ftp.dropped.alpha.\tMX\tNODATA\n+ftp.dropped.alpha.\tMX\tNXDOMAIN\n" x 2, 'diff: at both of its addresses')
    or diag($out);
like($out, qr/^\+\+\+ ns1\.north\.alpha\. \Q$_\E serial 1: ANSWER-DIFF/m, "diff: at $_") for @{ $Internet::provider{north}{addresses} };
($status, $out, $said) = $operator->verb('diff', @resolver[ 0, 1 ], @from, '--rate', 3, '--timeout', '3s', 'clean.alpha');
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
