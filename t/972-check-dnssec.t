#!/usr/bin/perl
# Signed zones in a small internet of real servers, signed by BIND's tools, with DS at the parent: where all is well, and with several signers that do what RFC 8901
# wants of them, `lockstep check` finds nothing; of each fault, made one at a time, that one.
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
my @all = @Internet::nameservers;
my @zones;

sub zone {
    my ($what, $name, $expected, %of) = @_;
    my %check = map { $_ => delete $of{$_} } grep { exists $of{$_} } qw(message severity);
    push @zones, { name => "$name.alpha", what => $what, expected => $expected, check => \%check, signed => {}, %of };
    return $zones[-1];
}

# West signs for itself: the same records and others, with this key, or the zone's.
sub west_signs {
    my ($records, %of) = @_;
    my $key = delete $of{key};
    return (at => { west => sub { my (undef, $zone) = @_; Signed::sign($zone->{name}, Internet::zone_text($zone) . $records, $key // $zone->{key}, %of) } });
}
sub www { my ($name) = @_; return "www.$name.alpha. 3600 IN A 192.0.2.80\n" }
sub key { my ($name) = @_; return Signed::key("$name.alpha") }

# --- all is well --------------------------------------------------------------------
zone('a signed zone', 'signed', []);
zone('no DS yet', 'island', [], parent => { ds => '' });
my $cds = key('cds');
zone('what the DS should be is said everywhere', 'cds', [], signed => { key => $cds }, records => www('cds') . Signed::announced($cds));
my @two = map { key('two') } 1, 2;
zone('two signers, each with the keys of both, and DS for both', 'two', [], signed => { key => $two[0] }, records => www('two') . $two[1]{dnskey}, parent => { ds => $two[0]{ds} . $two[1]{ds} },
    at => { west => sub { my (undef, $zone) = @_; Signed::sign($zone->{name}, Internet::zone_text({ %$zone, records => www('two') }) . $two[0]{dnskey}, $two[1]) } });
my @rolled = map { key('rolled') } 1, 2;
zone('a DS of a key to come', 'rolled', [], signed => { key => $rolled[0] }, parent => { ds => $rolled[0]{ds} . $rolled[1]{ds} });

# --- one fault at a time --------------------------------------------------------------
zone('one provider has a key more', 'more', ['DNSKEY-SPLIT *'], west_signs(key('more')->{dnskey}));
zone('one provider has its own key alone', 'ownkey', [ 'DNSKEY-SPLIT *', "DS-MISMATCH $west" ], west_signs('', key => key('ownkey')));
my $apart = key('apart');
my $apart2 = key('apart');
zone('two signers that know nothing of each other', 'apart', ['DNSKEY-SPLIT *'], signed => { key => $apart }, parent => { ds => $apart->{ds} . $apart2->{ds} }, west_signs('', key => $apart2));
my $cdswest = key('cdswest');
zone('one provider alone says what the DS should be', 'cdswest', ['CDS-SPLIT *'], signed => { key => $cdswest }, west_signs(Signed::announced($cdswest)));
my @cdsother = map { key('cdsother') } 1, 2;
zone('a provider says another DS', 'cdsother', ['CDS-SPLIT *'], signed => { key => $cdsother[0] }, records => www('cdsother') . Signed::announced($cdsother[0]),
    at => { west => sub { my (undef, $zone) = @_; Signed::sign($zone->{name}, Internet::zone_text({ %$zone, records => www('cdsother') . Signed::announced($cdsother[1]) }), $cdsother[0]) } });
zone('one provider alone has a CSYNC', 'csync', ['CSYNC-SPLIT *'], west_signs("csync.alpha. 3600 IN CSYNC 1 3 A NS AAAA\n"));
zone('a DS of none of the keys', 'mismatch', [ map { "DS-MISMATCH $_" } @all ], parent => { ds => key('mismatch')->{ds} });
zone('a DS, and no key', 'nokey', [ map { "DS-MISMATCH $_" } @all ], signed => undef, parent => { ds => key('nokey')->{ds} });
zone('one provider serves the zone without signatures', 'bare', [ 'DNSKEY-SPLIT *', "DS-MISMATCH $west" ], at => { west => sub { Internet::zone_text($_[1]) } });
zone('a signature that is none', 'broken', ["DS-MISMATCH $west"], at => { west => sub { $_[0] =~ s/(RRSIG\s+SOA .*\s)(\S)(\S*)$/$1 . ($2 eq 'A' ? 'B' : 'A') . $3/merg } });
zone('signatures that end soon', 'soon', [ map { "EXPIRE-HORIZON $_" } @all ], signed => { until => 'now+172800' });
zone('signatures that end very soon', 'verysoon', [ map { "EXPIRE-HORIZON $_" } @all ], signed => { until => 'now+43200' }, severity => { 'EXPIRE-HORIZON' => 'critical' });
zone('signatures that end soon at one provider', 'soonwest', ["EXPIRE-HORIZON $west"], west_signs('', until => 'now+172800'));
zone('signatures that have ended at one provider', 'ended', ["EXPIRE-HORIZON $west"], west_signs('', from => 'now-864000', until => 'now-3600'), severity => { 'EXPIRE-HORIZON' => 'critical' });

my $net = Internet->new(zones => \@zones)->start;
my $findings = Findings->new(operator => $net->operator, arguments => [ '--resolver', $net->resolver->at ]);
$findings->are($_->{what}, $_->{name}, $_->{expected}, %{ $_->{check} }) for @zones;

is($net->stop, 0, 'the servers stop');
done_testing;
