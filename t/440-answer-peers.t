#!/usr/bin/perl
# The same questions to lockstepd, NSD, Knot and BIND, which serve the same zones without signatures, with all the additional records that there
# are. Every difference is in the list of what is known, by name.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Answers;
use Corners;
use Lockstep;
use Peer;
use Test::More;

plan skip_all => 'lockstepd is not built' unless Lockstep::have();
my @kinds = grep { Peer->have($_) } qw(nsd knot bind);
plan skip_all => 'needs nsd, knot or bind9' unless @kinds;

my %text = Corners::zones('example');

my @names = (qw(. test www.nowhere example), map { "$_.example" } qw(ns1 mail www WwW x.www nothere a.nothere alias alias2 loop1 dangling toent out tosub tocut towild
    tokid todname ent a.ent b.a.ent wild *.wild x.wild y.x.wild b.wild x.b.wild a.wild b.a.wild c.b.a.wild x.a.wild foo.wildalias wildalias a.wildloop a.wildself
    star *.star a.star x.*.star sub a.sub ns.sub below.sub sib ns.sib unsigned a.unsigned wildns d x.d y.d a.x.d x.again.d target dout x.dout
    _tcp _s._tcp svc ptr wildmx aliasmx big kid www.kid x.kid ns1.kid up.kid
    long12345678901234567890123456789012345678901234567890123.long56789012345678901234.dlong));
my @types = qw(A AAAA NS CNAME SOA MX TXT DS SRV DNAME HTTPS PTR TYPE65280);

my @known = (
    { kind => 'bind', name => qr/^(?:loop1|a\.wildloop|a\.wildself)\.example/,
        why => 'it fails where a chain of aliases goes in a circle; the others give the chain' },
    { kind => 'bind', type => qr/^SOA$/, but_for => qr/^authority \S+ \K\d+(?= in soa )/m,
        why => 'the SOA of a denial has the TTL 0 where the SOA was asked for (zero-no-soa-ttl)' },
    { kind => 'bind', name => qr/^tokid\.example/,
        why => 'it stops before the delegation to a child that it serves too; NSD goes on in the child; Knot refers to it, as we do' },
    { kind => 'nsd', name => qr/^tokid\.example/, why => 'see above' },
    { kind => 'nsd', name => qr/^up\.kid\.example/, why => 'it goes on in the parent zone' },
    { kind => 'nsd', name => qr/^a\.wildself\.example/, why => 'it gives an alias again that a wildcard has made of itself' },
    { kind => 'knot', name => qr/^a\.wildself\.example/, why => 'see above' },
    { kind => 'knot', name => qr/^long.*\.dlong\.example/, why => '? a DNAME that makes too long a name is NXDOMAIN in 3.2' },
);

my $ours = Lockstep->new(server => { 'minimal-responses' => 'false' }, zones => [ map { { name => $_, source => 'file' } } sort keys %text ]);
$ours->put_zone($_, $text{$_}) for keys %text;
my %peer = map { $_ => Peer->new($_, zones => [ map { { name => $_, text => $text{$_} } } sort keys %text ]) } @kinds;
$_->start for $ours, values %peer;

# Addresses beside an answer: Knot gives those that we do, NSD and BIND more, or fewer.
my $compare = Answers->new(ours => $ours, peers => \%peer, apexes => [ keys %text ], known => \@known, additional => ['knot'],
    gives_less => ['bind']);
for my $how (qw(edns udp tcp)) {
    $compare->run($how, map { my $name = $_; map { { name => $name, type => $_, how => $how } } @types } @names);
}
cmp_ok($compare->{count}, '>', 2700 * @kinds, "$compare->{count} comparisons");
$compare->known_are_met;

is($_->stop, 0, ($_->{kind} // 'lockstepd') . ' stops') for $ours, values %peer;
done_testing;
