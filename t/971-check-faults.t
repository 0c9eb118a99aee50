#!/usr/bin/perl
# One fault at a time in a small internet of real servers: `lockstep check` finds that one, at the server that has it, and nothing
# else, in each of its forms.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Internet;
use Findings;
use Lockstep;
use Process qw(find_program run_command wait_for);
use Test::More;
use Wrong;

plan skip_all => 'needs lockstepd, nsd, knot, bind9 with its tools, and unbound' unless Internet->have;
my ($own, $north, $west, $south) = @Internet::nameservers;
my @zones = Wrong::plain();
my $net = Internet->new(zones => [ @zones, { name => 'back.alpha', soa => { serial => 5 }, at => { south => sub { $_[0] } } }, { name => 'dead.alpha' },
    { name => 'port.alpha', ns => [$west], fault => sub { my ($talk) = @_; $talk->send($talk->message(rcode => 2)) } } ])->start;
my %operator = (
    plain => $net->operator,
    impatient => $net->operator(check => { 'lag-warn' => '1s' }),
    policy => $net->operator('ns-set' => { mode => 'warn', providers => [qw(own north west south)] }),
    customer => $net->operator(providers => [ { name => 'one', ns => [ $own, $south ] } ]),
);
my %findings = map { $_ => Findings->new(operator => $operator{$_}, arguments => [ '--resolver', $net->resolver->at ]) } keys %operator;

# What is behind is only so after a while: until then, it is not found.
$findings{impatient}->are('a secondary that may only be slow', 'stale.alpha', []);
ok(wait_for(sub { ($operator{impatient}->verb('check', '--resolver', $net->resolver->at, 'stale.alpha'))[0] == 1 }), 'then it is behind');

my %got;
for my $zone (@zones) {
    my %of = %{ $zone->{check} };
    $got{ $zone->{name} } = $findings{ $of{as} // 'plain' }->are($zone->{what}, $zone->{name}, $zone->{expected}, %of);
}
my @slow = map { $_->{rtt} } grep { $_->{name} eq "$west." } @{ $got{'slow.alpha'}{json}{nameservers} // [] };
ok((grep { $_ >= 0.4 && $_ < 5 } @slow), 'the slow one is seen to be slow');       # an answer that comes after the next try is timed from that
my @behind = map { $_->{lag} } grep { $_->{name} eq "$west." } @{ $got{'stale.alpha'}{json}{nameservers} // [] };
is(scalar(grep { $_ >= 1 && $_ < 900 } @behind), 2, 'and how long it is behind');
is($got{'stale.alpha'}{json}{serial}, 7, 'the newest serial is that of the others');
cmp_ok($got{'silent.alpha'}{seconds}, '<', 20, 'a silent server does not keep it waiting');

# On a terminal what is critical is red.
SKIP: {
    my $script = find_program('script') or skip('needs script', 1);
    my $command = join ' ', map { "'$_'" } ($ENV{top_builddir} // '.') . '/lockstep', '-c', $operator{plain}->conf_file, 'check', '--resolver', $net->resolver->at, '--timeout', '20s', 'refused.alpha';
    my (undef, $out) = run_command('env', 'TERM=xterm', $script, '-qec', $command, '/dev/null');
    like($out, qr/^refused\.alpha\.  \e\[31mCRITICAL\e\[0m.*^  \e\[31mcritical *\e\[0m *LAME/ms, 'on a terminal: what is critical') or diag($out);
}

# The same by severities of the operator's own.
my $own_mind = Findings->new(operator => $net->operator(check => { severity => { 'LAME' => 'warning', 'DIV-TLD' => 'critical', 'RECURSION' => 'off' } }), arguments => [ '--resolver', $net->resolver->at ]);
$own_mind->are('a severity that was made milder', 'refused.alpha', ["LAME $west"], severity => { LAME => 'warning' });
$own_mind->are('one that was raised', 'onetld.alpha', ['DIV-TLD'], severity => { 'DIV-TLD' => 'critical' });
$own_mind->are('one that is off', 'recursion.alpha', []);

# By bounds of the operator's own.
my %strict = map { $_->[0] => $net->operator(check => { $_->[0] => $_->[1], 'lag-warn' => '1s' }) } [ 'lag-crit', '1s' ], [ 'ttl-min', '2h' ];
ok(wait_for(sub { ($strict{'lag-crit'}->verb('check', '--resolver', $net->resolver->at, 'stale.alpha'))[0] == 2 }), 'a secondary is behind for longer than lag-crit');
sub strict { my ($key) = @_; return Findings->new(operator => $strict{$key}, arguments => [ '--resolver', $net->resolver->at ]) }
strict('lag-crit')->are('behind for longer than lag-crit', 'stale.alpha', ["SERIAL-LAG $west"], severity => { 'SERIAL-LAG' => 'critical' });
strict('ttl-min')->are('TTLs under ttl-min', 'dead.alpha', ['TTL-SHORT *'], message => qr/less than 7200/);

# A remote of the configuration may transfer, and is not tried.
my $known = $net->operator;
push @{ $known->{conf}{remotes} }, { name => 'south', address => $Internet::provider{south}{addresses} };
$known->configure;
Findings->new(operator => $known, arguments => [ '--resolver', $net->resolver->at ])->are('all may transfer at one that is a remote', 'open.alpha', []);

# Nameservers at another port than that at which one fails.
my @alone = qw(DIV-COUNT DIV-PROVIDER DIV-TLD DIV-PREFIX);
$findings{plain}->are('it fails at the usual port', 'port.alpha', [ "LAME $west", @alone ], arguments => [ '--parent', '198.18.1.53' ]);
$got{port} = $findings{plain}->are('not at the one that is given', 'port.alpha', \@alone, arguments => [ '--parent', '198.18.1.53', '--port', $Internet::provider{west}{port} ]);
is_deeply([ sort map { $_->{address} } @{ $got{port}{json}{nameservers} // [] } ], [ sort map { "$_\@5300" } @{ $Internet::provider{west}{addresses} } ], 'at both of its addresses');

# One server of the parent alone is asked.
$findings{plain}->are('the server of the parent that lacks a nameserver', 'parents.alpha', ['NS-CHILD-EXTRA *'], arguments => [ '--parent', '198.18.2.53' ]);
$findings{plain}->are('the one that does not', 'parents.alpha', [], arguments => [ '--parent', '198.18.1.53' ]);

# The one of several that decides.
my ($status) = $operator{plain}->verb('check', '--resolver', $net->resolver->at, 'dead.alpha', 'onetld.alpha', 'refused.alpha');
is($status, 2, 'of several zones, the worst decides');

# A serial that goes back, and comes again.
$findings{plain}->are('before', 'back.alpha', []);
my $text = $net->{south}->zone('back.alpha')->{text};
$net->{south}->edit('back.alpha', $text =~ s/(SOA \S+ \S+) 5 /$1 4 /r);
$findings{plain}->are('a serial that went back', 'back.alpha', ["SERIAL-BACK $south"]);
$findings{plain}->are('it still is', 'back.alpha', ["SERIAL-BACK $south"]);
$net->{south}->edit('back.alpha', $text);
$findings{plain}->are('it has come again', 'back.alpha', []);

# A TLD that is dead: half of the nameservers' names cannot be resolved, and nobody says that all is well.
sub cold { return Findings->new(operator => $operator{plain}, arguments => [ '--resolver', $net->new_resolver->start->at, '--timeout', '3s' ]) }
$net->{c}->stop;
my $got = cold()->are('a TLD is dead', 'dead.alpha', [ "CHECK-INCOMPLETE $west", "CHECK-INCOMPLETE $south" ]);
cmp_ok($got->{seconds}, '<', 20, 'in bounded time');
$net->{b}->stop;
$findings{plain}->are('a server of the parent is dead', 'dead.alpha', ['CHECK-INCOMPLETE *'],
    message => qr/b\.nic\.alpha|198\.18\.2\.53/, arguments => [ '--timeout', '3s' ]);
$net->{a}->stop;
$got = cold()->are('all servers of the parent are dead', 'dead.alpha', ['CHECK-INCOMPLETE *']);
cmp_ok($got->{seconds}, '<', 20, 'in bounded time');
delete $net->{$_} for qw(a b c);

is($net->stop, 0, 'the servers stop');
done_testing;
