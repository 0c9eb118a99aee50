package Known;
# Where NSD 4.6, Knot 3.2 and BIND 9.18 answer questions about the zones of Corners with DNSSEC otherwise than lockstepd, in the form that Answers
# takes; the zones are NAME.test, with a name that says how they are signed, or `change`, which is signed now so, now otherwise.
use strict;
use warnings;
use Answers;
use Wire;

my ($nsec, $optout) = map { "(?:$_|change)\\.test" } qw(nsec optout);

sub of_type { my ($response, $section, $type) = @_; return grep { $_->{type} == Wire::type_number($type) } @{ $response->{$section} } }
sub same_head { my (undef, $got, $wanted) = @_; return "@$got{qw(rcode aa)}" eq "@$wanted{qw(rcode aa)}" }

# They have the same head and answer, and authority sections which differ in nothing but records of these types.
sub same_but {
    my (@types) = @_;
    my %may = map { Wire::type_number($_) => 1 } @types;
    return sub {
        my (undef, $got, $wanted) = @_;
        return 0 if !same_head(@_) || ($got->{tc} ? $wanted->{tc} : !Answers::equal('answer', $got, $wanted));
        return $got->{tc} || !grep { !$may{ $_->{type} } } Answers::unlike($got, 'authority', $wanted), Answers::unlike($wanted, 'authority', $got);
    };
}

# The one has some records in its authority section that the other has not; or so many that they do not fit.
sub proves_less {
    my (undef, $got, $wanted) = @_;
    return same_but(qw(NSEC NSEC3 RRSIG))->(@_) && ($got->{tc} || !Answers::unlike($wanted, 'authority', $got));
}
sub proves_more { my ($question, $got, $wanted) = @_; return proves_less($question, $wanted, $got) }

sub alias_not_followed { my (undef, $got, $wanted) = @_; return !@{ $wanted->{answer} } && ($got->{tc} || of_type($got, 'answer', 'CNAME')) }

sub other_rrsets {
    my (undef, $got, $wanted) = @_;
    return same_head(@_) && @{ $got->{answer} } && ($wanted->{tc} || @{ $wanted->{answer} });
}

sub lacks_glue {
    my (undef, $got, $wanted) = @_;
    return 0 if $wanted->{tc} || !of_type($wanted, 'authority', 'NS');
    return $got->{tc} || Answers::unlike((Answers::glue($got))[0], 'additional', (Answers::glue($wanted))[0]);
}

sub only_we_truncate { my (undef, $got, $wanted) = @_; return $got->{tc} && !$wanted->{tc} }
sub only_they_truncate { my (undef, $got, $wanted) = @_; return same_head(@_) && !$got->{tc} && $wanted->{tc} }

sub below { my ($names, $zone) = @_; $zone //= '\w+\.test'; return qr/(?:^|\.)(?:$names)\.$zone\.$/i }
my $dname = 'd\w*|again\.target|x\.dent|wilddname';

sub differences {
    return map { {%$_} } (
        { kind => 'nsd|bind', name => below('(?:tokid|tokidno|tobare|wildkid|dkid|dbare|up2?\.(?:kid|bare))'),
            why => 'where an alias leads to another zone that they serve, NSD and BIND go on there, and BIND stops before the referral to it; Knot refers, as we do' },
        { kind => 'nsd|bind', type => qr/^(?:ANY|RRSIG)$/, if => \&other_rrsets, why => 'all RRsets, or more; we give the smallest (RFC 8482 4.1)' },
        { kind => 'knot', type => qr/^ANY$/, if => \&other_rrsets, why => '? another one of the RRsets' },
        { kind => 'bind', type => qr/^ANY$/, name => below($dname),
            if => sub { of_type($_[2], 'answer', 'DNAME') }, why => 'the alias that a DNAME makes is not followed' },
        { kind => 'bind', type => qr/^SOA$/, but_for => qr/^authority \S+ \K\d+(?= in (?:soa|rrsig soa) )/m,
            why => 'the SOA of a denial has the TTL 0 where the SOA was asked for' },
        { kind => 'bind', name => below('loop[12]|wildloop|wildself'),
            why => 'failure where a chain of aliases goes in a circle; the others give the chain' },
        { kind => 'nsd|knot', name => below('wildself'), why => 'an alias is given again that a wildcard has made of itself' },
        { kind => 'bind', type => qr/^NSEC$/, if => sub { !$_[1]{aa} && of_type($_[2], 'answer', 'NSEC') },
            why => 'the NSEC record of a cut is an answer; NSD, Knot and we refer to the child' },
        { kind => 'bind|knot', type => qr/^(?:NSEC|RRSIG)$/, if => \&alias_not_followed,
            why => 'an alias is not followed for types that may stand beside it, though they do not: NODATA, which no validator takes (RFC 6840 4.3)' },
        { kind => 'nsd', type => qr/^NSEC3$/, if => \&alias_not_followed, why => 'the same for NSEC3' },
        { kind => 'bind|knot', name => below('star|\w+star|nest', $nsec),
            if => \&proves_less, why => 'no proof that the wildcard is an empty non-terminal' },
        { kind => 'bind', name => below('star|\w+star|nest', $nsec), type => qr/^SOA$/,
            if => same_but(qw(SOA RRSIG NSEC)), why => '? that, and the TTL' },
        { kind => 'nsd', name => qr/(?:^|\.)\*\./, if => \&proves_more, why => 'one NSEC3 record more for NODATA at a wildcard itself' },
        { kind => 'knot', name => below('kid|wild\w*|nest2'),
            if => \&proves_less, why => 'no proof that the name itself is not there, beside the wildcard\'s own record' },
        { kind => 'knot', name => qr/[^.]\\000\.|(?:^|\.)n\.\w+\.test\.$/i, why => '? names with the octet 0 are not in their place' },
        { kind => 'nsd|knot', name => qr/\.[0-9a-v]{32}\.(?:kid\.)?\w+\.test\.$/i,
            why => 'the owner of an NSEC3 record, which is not in the chain, is the closest encloser' },
        { kind => 'nsd', name => below($dname, $nsec),
            if => same_but(qw(NSEC RRSIG)), why => 'not all of the proof about the name that a DNAME made, or another\'s' },
        { kind => 'nsd', name => below('un', $optout), if => same_but(qw(NSEC3 RRSIG)),
            why => 'not all of the proof below an empty non-terminal that opt-out has left without NSEC3' },
        { kind => 'knot', name => below('dlong'),
            if => sub { only_we_truncate(@_) && !@{ $_[2]{authority} } },
            why => '? a denial that does not fit is left out without TC' },
        { kind => 'bind', name => below('dlong'),
            if => \&only_we_truncate, why => '? it needs fewer octets, since the alias refers to the name in the DNAME record' },
        { kind => 'knot', name => qr/^long.*\.dlong\.\w+\.test\.$/i, why => '? a DNAME that makes too long a name is NXDOMAIN in 3.2' },
        { kind => 'nsd|bind', if => \&lacks_glue, why => 'some of the glue is left out without TC (RFC 9471 3)' },
        { kind => 'nsd|knot|bind', how => qr/^do512$/, if => sub { $_[1]{tc} && $_[2]{tc} && $_[1]{rcode} == 0 && $_[2]{rcode} != 2 },
            why => '? a chain that does not fit is not followed to its end, whose RCODE it would have' },
        { kind => 'nsd|knot|bind', how => qr/^(?:udp|do)/, if => \&only_they_truncate, why => 'it needs more octets than we do' },
    );
}

1;
