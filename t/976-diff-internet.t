#!/usr/bin/perl
# `lockstep diff` in a small internet of real servers: of a zone that all of them serve alike it finds nothing, plain and signed;
# what one provider serves otherwise it finds there, record by record, and nothing else.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Internet;
use Findings;
use Signed;
use Test::More;

plan skip_all => 'needs lockstepd, nsd, knot, bind9 with its tools, and unbound' unless Internet->have;
my ($own, $north, $west, $south) = @Internet::nameservers;
my @zones;

# The records of every zone here: wildcards, an alias, a delegation, an empty non-terminal, and more of one type.
sub records {
    my ($zone) = @_;
    return join '', map { "$_\n" } "www.$zone. 3600 IN A 192.0.2.80", "www.$zone. 3600 IN A 192.0.2.81",
        "mail.$zone. 3600 IN AAAA 2001:db8::25", "$zone. 3600 IN MX 10 mail.$zone.",
        "*.wild.$zone. 3600 IN TXT \"any\"", "alias.$zone. 3600 IN CNAME www.$zone.", "deep.below.$zone. 3600 IN TXT \"deep\"",
        "sub.$zone. 3600 IN NS ns.sub.$zone.", "ns.sub.$zone. 3600 IN A 192.0.2.99";
}

sub zone {
    my ($what, $name, $change, %of) = @_;
    my $zone = { name => "$name.alpha", what => $what, records => records("$name.alpha"), seen => delete $of{seen}, %of };
    my $expected = $change ? ["ANSWER-DIFF $west"] : [];
    $zone->{at} = { west => sub { local $_ = $_[0]; $change->(); $_ } } if $change;
    push @zones, { %$zone, expected => $expected };
}

zone('a zone that is the same everywhere', 'same');
zone('a signed zone that is the same everywhere', 'samesigned', undef, signed => {});
zone('a signed zone with NSEC3', 'samensec3', undef, signed => { nsec3 => '-' });
zone('a record that one provider has dropped', 'dropped', sub { s/^www\.\S+ 3600 IN A 192\.0\.2\.81\n//m },
    seen => [ 'www.dropped.alpha.', 'A', qr/192\.0\.2\.81/ ]);
zone('all records of a name', 'name', sub { s/^mail\..*\n//m }, seen => [ 'mail.name.alpha.', 'AAAA', qr/2001:db8::25/ ]);
zone('other data', 'data', sub { s/2001:db8::25/2001:db8::26/ }, seen => [ 'mail.data.alpha.', 'AAAA', qr/2001:db8::25/ ]);
zone('another TTL', 'ttl', sub { s/^(alias\.\S+) 3600/$1 60/m }, seen => [ 'alias.ttl.alpha.', 'CNAME', qr/3600/ ]);
zone('a record more', 'extra', sub { s/^(www\.\S+ 3600 IN A )192\.0\.2\.80\n/$&${1}192.0.2.82\n/m }, seen => [ 'www.extra.alpha.', 'A', undef ]);
zone('a wildcard that is gone', 'wild', sub { s/^\*\..*\n//m }, seen => [ undef, 'TXT', undef ]);
zone('a wildcard that is not in the zone', 'everything', sub { s/^www\./*.everything.alpha. 3600 IN TXT "here"\nwww./m },
    seen => [ undef, undef, undef ]);
zone('signatures that one provider does not give', 'bare', sub { s/^\S+\s+\d+\s+IN\s+(?:RRSIG|NSEC|DNSKEY)\s.*\n//mg },
    signed => {}, seen => [ 'www.bare.alpha.', 'A', undef ]);

my $net = Internet->new(zones => \@zones)->start;
my $key = $net->{key};
my $findings = Findings->new(operator => $net->operator,
    arguments => [ '--resolver', $net->resolver->at, '--from', $net->{hidden}->at, '--key',
    "$key->{algorithm}:$key->{name}:$key->{secret}" ]);
for my $zone (@zones) {
    my $got = $findings->are($zone->{what}, $zone->{name}, $zone->{expected}, verb => 'diff');
    my ($owner, $type, $expected) = @{ $zone->{seen} // next };
    my @seen = grep { (!$owner || lc($_->{owner}) eq $owner) && (!$type || $_->{type} eq $type)
        && (!$expected || ($_->{expected} // '') =~ $expected) } @{ $got->{json}{findings} // [] };
    ok(@seen, "$zone->{what}: it is shown") or diag(explain($got->{json}{findings}));
    is((grep { !defined $_->{owner} || !defined $_->{type} || !exists $_->{got} } @{ $got->{json}{findings} // [] }), 0,
        "$zone->{what}: each with owner, type and what came");
    like($got->{text}, qr/^[-+]\S*\Q$zone->{name}\E\.\s/m, "$zone->{what}: as a diff is read");
}

is($net->stop, 0, 'the servers stop');
done_testing;
