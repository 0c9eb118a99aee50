#!/usr/bin/perl
# One fault at a time in a small internet of real servers: `lockstep check` finds that one, at the server that has it, and nothing else, in each of its forms.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Internet;
use Findings;
use Lockstep;
use Process qw(wait_for);
use Test::More;

plan skip_all => 'needs lockstepd, nsd, knot, bind9 with its tools, and unbound' unless Internet->have;
my ($own, $north, $west, $south) = @Internet::nameservers;
my @zones;

# A zone of that name below alpha, with what makes the fault, and what is to be found of it.
sub fault {
    my ($what, $name, $expected, %of) = @_;
    my %check = map { $_ => delete $of{$_} } grep { exists $of{$_} } qw(arguments message severity as);
    push @zones, { name => "$name.alpha", what => $what, expected => $expected, check => \%check, %of };
}

# What a provider has instead of the zone: the text with changes.
sub at_west { my ($change) = @_; return (at => { west => sub { local $_ = $_[0]; $change->(@_); $_ } }) }
sub without { my ($ns) = @_; return at_west(sub { s/^\S+ \d+ IN NS \Q$ns\E\.\n//m }) }
sub inside { my ($name, $six, $four) = @_; return join '', Internet::address_records("ns1.$name.alpha", $four, $six) }

# --- the delegation -----------------------------------------------------------------
fault('a nameserver is missing at one provider', 'missing', [ 'NS-SPLIT *', "NS-PARENT-EXTRA $west" ], without($south), message => qr/\Q$south\E/);
fault('one provider has a nameserver more', 'added', [ 'NS-SPLIT *', "NS-CHILD-EXTRA $west" ], at_west(sub { s/^(\S+ \d+ IN NS )\S+\n/$&$1ns2.south.beta.\n/m }), message => qr/ns2\.south\.beta/);
fault('a nameserver is missing at the parent', 'childextra', ['NS-CHILD-EXTRA *'], parent => { ns => [ $own, $north, $west ] }, message => qr/\Q$south\E/);
fault('the parent has a nameserver more', 'parentextra', ['NS-PARENT-EXTRA *'], parent => { ns => [ @Internet::nameservers, 'ns2.own.alpha' ] }, message => qr/ns2\.own\.alpha/);
fault('the servers of the parent do not agree', 'parents', [ 'NS-SPLIT b.nic.alpha', 'NS-CHILD-EXTRA *' ], parent_b => { ns => [ $own, $north, $west ] }, message => qr/\Q$south\E/);
fault('a provider gives its own NS set', 'ownset', [ 'NS-SPLIT *', "NS-APEX-IGNORED $west", "NS-PARENT-EXTRA $west" ], at_west(sub { s/^\S+ \d+ IN NS (?!\Q$west\E)\S+\n//mg }));
fault('a provider gives an NS set of names of its own', 'ownnames', [ 'NS-SPLIT *', "NS-APEX-IGNORED $west", "NS-PARENT-EXTRA $west", "NS-CHILD-EXTRA $west" ],
    at_west(sub { s/^\S+ \d+ IN NS (?!\Q$west\E)\S+\n//mg; s/^(\S+ \d+ IN NS )\S+\n/$&$1ns2.west.beta.\n/m }));
fault('only the TTL of an NS set differs', 'nsttl', ["NS-TTL $west"], at_west(sub { s/^(\S+) \d+ IN NS/$1 7200 IN NS/mg }));
fault('glue is not what the zone has', 'drift', ['GLUE-DRIFT ns1.drift.alpha'], ns => [ 'ns1.drift.alpha', $north, $west, $south ],
    records => inside('drift', '2001:db8:1::53', '192.0.2.53'), parent => { glue => inside('drift', '2001:db8:1::53', '192.0.2.54') });
fault('an NS is an alias', 'alias', ['NS-TARGET alias.own.alpha'], ns => [ @Internet::nameservers, 'alias.own.alpha' ]);
fault('an NS does not exist', 'nothere', ['NS-TARGET nothere.own.alpha'], ns => [ @Internet::nameservers, 'nothere.own.alpha' ]);
fault('an NS has no address', 'noaddress', ['NS-TARGET text.own.alpha'], ns => [ @Internet::nameservers, 'text.own.alpha' ]);
fault('the referral is too large', 'large', ['REFERRAL-SIZE *'], ns => [ @Internet::nameservers, @Internet::long_names ]);
fault('not the NS set of the providers', 'expected', ['NS-EXPECTED *'], ns => [ $own, $north, $west ], as => 'policy', message => qr/\Q$south\E/);

# --- the answers --------------------------------------------------------------------
fault('a server does not have the zone', 'refused', ["LAME $west"], at => { west => 0 });
fault('a server answers without authority', 'noauthority', ["LAME $west"], fault => sub { my ($talk) = @_; $talk->send($talk->flags($talk->relay, 0, 0x0400)) });
fault('a server fails', 'servfail', ["LAME $west"], fault => sub { my ($talk) = @_; $talk->send($talk->message(rcode => 2)) });
fault('a server is silent over UDP', 'silent', ["UNREACHABLE $west"], arguments => [ '--timeout', '1s' ], fault => sub { my ($talk) = @_; $talk->send($talk->relay) if $talk->tcp });
fault('a server is silent over TCP', 'notcp', ["TCP-FAIL $west"], arguments => [ '--timeout', '1s' ], fault => sub { my ($talk) = @_; $talk->send($talk->relay) unless $talk->tcp });
fault('a server answers each third time', 'third', [], fault => sub { my ($talk) = @_; $talk->send($talk->relay) if $talk->tcp || $talk->nth % 3 == 0 });
fault('a server is slow', 'slow', [], fault => sub { my ($talk) = @_; $talk->send($talk->relay, after => 0.4) });
fault('recursion is offered', 'recursion', ["RECURSION $west"], fault => sub { my ($talk) = @_; $talk->send($talk->flags($talk->relay, 0x0080)) });
fault('all may transfer', 'open', ["TRANSFER-OPEN $south"], open => { south => 1 });
fault('an answer from another address', 'odd', ["ADDRESS-ODD $west"], fault => sub {
    my ($talk) = @_;
    $talk->send($talk->relay, from => $talk->{socket}->sockhost =~ /:/ ? '2001:db8:2::54' : '198.51.100.54');
});
fault('EDNS is a format error', 'formerr', ["EDNS-FAIL $west"], fault => sub { my ($talk) = @_; $talk->send($talk->opt ? $talk->message(rcode => 1) : $talk->relay) });
fault('a question with EDNS is dropped', 'dropsedns', ["EDNS-FAIL $west"], arguments => [ '--timeout', '1s' ],
    fault => sub { my ($talk) = @_; $talk->send($talk->relay) if $talk->tcp || !$talk->opt });
fault('EDNS is not answered', 'noedns', ["EDNS-FAIL $west"], fault => sub { my ($talk) = @_; $talk->send($talk->relay($talk->plain)) });
fault('a version of EDNS that cannot be known is answered', 'version', ["EDNS-FAIL $west"], fault => sub {
    my ($talk) = @_;
    my $opt = $talk->opt;
    substr $talk->{bytes}, $opt->{start} + 6, 1, "\0" if $opt;             # its version
    $talk->send($talk->relay);
});

# --- what is served -----------------------------------------------------------------
fault('a secondary that does not transfer any more', 'stale', ["SERIAL-LAG $west"], soa => { serial => 7 }, at => { west => { stale => Internet::zone_text({ name => 'stale.alpha' }) } }, as => 'impatient');
fault('a serial that no primary has', 'ahead', ["SERIAL-AHEAD $west"], at_west(sub { s/(SOA \S+ \S+) 1 /$1 9 / }));
fault('another SOA', 'soa', ["SOA-DIFFERS $west"], at_west(sub { s/hostmaster\.own\.alpha/admin.west.beta/ }));
fault('retry over refresh', 'retry', ['SOA-TIMERS *'], soa => { refresh => 7200, retry => 14400 });
fault('expire under refresh and retry', 'expire', ['SOA-TIMERS *'], soa => { refresh => 14400, retry => 7200, expire => 20000 });
fault('a TTL that does not last', 'short', ['TTL-SHORT *'], ns_ttl => 3599);
fault('an NS TTL far below that of the parent', 'ttlns', ['TTL-NS *'], ns_ttl => 8000, parent => { ttl => 86400 });

# --- all in one ---------------------------------------------------------------------
fault('one TLD', 'onetld', ['DIV-TLD'], ns => [ $own, $north ]);
fault('one prefix', 'oneprefix', ['DIV-PREFIX'], ns => [ $north, 'ns1.near.beta' ]);
fault('one provider', 'oneprovider', ['DIV-PROVIDER'], ns => [ $own, $south ], as => 'customer');
fault('one address family', 'onefamily', ['DIV-FAMILY'], ns => [ 'ns4.own.alpha', 'ns4.south.beta' ]);
fault('one nameserver', 'one', ['DIV-COUNT'], ns => [$own]);

my $net = Internet->new(zones => [ @zones, { name => 'back.alpha', soa => { serial => 5 }, at => { south => sub { $_[0] } } }, { name => 'dead.alpha' } ])->start;
my %operator = (
    plain => $net->operator,
    impatient => $net->operator(check => { 'lag-warn' => '1s' }),
    policy => $net->operator('ns-set' => { mode => 'warn', providers => [qw(own north west south)] }),
    customer => $net->operator(providers => [ { name => 'one', ns => [ $own, $south ] } ]),
);
my %findings = map { $_ => Findings->new(operator => $operator{$_}, arguments => [ '--resolver', $net->resolver->at ]) } keys %operator;

# What is behind is only so after a while: until then, it is not found.
$findings{impatient}->are('a secondary that may only be slow', 'stale.alpha', []);
ok(wait_for(sub { ($operator{impatient}->verb('check', '--resolver', $net->resolver->at, 'stale.alpha'))[0] == 1 }, 5), 'then it is behind');

my %got;
for my $zone (@zones) {
    my %of = %{ $zone->{check} };
    $got{ $zone->{name} } = $findings{ $of{as} // 'plain' }->are($zone->{what}, $zone->{name}, $zone->{expected}, %of);
}
my @slow = map { $_->{rtt} } grep { $_->{name} eq "$west." } @{ $got{'slow.alpha'}{json}{nameservers} // [] };
is(scalar(grep { $_ >= 0.4 && $_ < 2 } @slow), 2, 'the slow one is seen to be slow');
my @behind = map { $_->{lag} } grep { $_->{name} eq "$west." } @{ $got{'stale.alpha'}{json}{nameservers} // [] };
is(scalar(grep { $_ >= 1 && $_ < 60 } @behind), 2, 'and how long it is behind');
is($got{'stale.alpha'}{json}{serial}, 7, 'the newest serial is that of the others');
cmp_ok($got{'silent.alpha'}{seconds}, '<', 5, 'a silent server does not keep it waiting');

# The same by severities of the operator's own.
my $own_mind = Findings->new(operator => $net->operator(check => { severity => { 'LAME' => 'warning', 'DIV-TLD' => 'critical', 'RECURSION' => 'off' } }), arguments => [ '--resolver', $net->resolver->at ]);
$own_mind->are('a severity that was made milder', 'refused.alpha', ["LAME $west"], severity => { LAME => 'warning' });
$own_mind->are('one that was raised', 'onetld.alpha', ['DIV-TLD'], severity => { 'DIV-TLD' => 'critical' });
$own_mind->are('one that is off', 'recursion.alpha', []);

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
sub cold { return Findings->new(operator => $operator{plain}, arguments => [ '--resolver', $net->new_resolver->start->at, '--timeout', '1s' ]) }
$net->{c}->stop;
my $got = cold()->are('a TLD is dead', 'dead.alpha', [ "CHECK-INCOMPLETE $west", "CHECK-INCOMPLETE $south" ]);
cmp_ok($got->{seconds}, '<', 6, 'in bounded time');
$net->{b}->stop;
$findings{plain}->are('a server of the parent is dead', 'dead.alpha', ['CHECK-INCOMPLETE *'], message => qr/b\.nic\.alpha|198\.18\.2\.53/, arguments => [ '--timeout', '1s' ]);
$net->{a}->stop;
$got = cold()->are('all servers of the parent are dead', 'dead.alpha', ['CHECK-INCOMPLETE *']);
cmp_ok($got->{seconds}, '<', 6, 'in bounded time');
delete $net->{$_} for qw(a b c);

is($net->stop, 0, 'the servers stop');
done_testing;
