#!/usr/bin/perl
# What lockstepd answers for signed zones is secure for a resolver that validates it: data, wildcards, NODATA, NXDOMAIN, DS and its denial;
# where it is not signed, the resolver is shown that it need not be. SEED in the environment makes other questions.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Answers;
use Corners;
use Lockstep;
use Resolver;
use Signed;
use Test::More;
use Transfers qw(root_zone);
use Valid;

plan skip_all => 'lockstepd is not built' unless Lockstep::have();
plan skip_all => 'needs unbound and bind9-utils' unless Resolver::have() && Signed::have();
my $seed = $ENV{SEED} // 20180129;
note("SEED=$seed");

my (%text, %key);
for my $way (Corners::ways()) {
    my ($text, $key) = Corners::signed_zones("$way.test", $way);
    %text = (%text, %$text);
    %key = (%key, %$key);
}
my @signed = sort keys %text;
$text{'.'} = ". 3600 IN SOA ns.invalid. host.invalid. 1 3600 900 604800 300\n. 3600 IN NS ns.invalid.\n";

sub serve {
    my (%text) = @_;
    my $lockstep = Lockstep->new(zones => [ map { { name => $_, source => 'file' } } sort keys %text ]);
    $lockstep->put_zone($_, $text{$_}) for keys %text;
    return $lockstep->start;
}

# Each once, whatever its case; not what is never signed, nor what the trust anchors stand for.
sub questions {
    my ($zone, $sample) = @_;
    my $like = $zone =~ s/^bare/kid/r;
    my %seen;
    return grep { my ($name, $type) = @$_; $name = lc $name; !$seen{"$name $type"}++ && $type ne 'RRSIG'
        && !($type eq 'DS' && $name =~ /^\w*\.(?:test\.)?$/) }
        map { [ $_->{name} =~ s/\Q$like\E\.$/$zone./ir, $_->{type} ] } Corners::questions($seed, 0, ['tcpdo'],
            $like => $text{$like}, sample => $sample);
}

# ------------------------------------------------------------------------------------------

my $lockstep = serve(%text);
my @anchors = map { $key{"$_.test"}{ds} } Corners::ways();
my %count;
my %way = (stub => { stub => { map { $_ => $lockstep->at } keys %text } }, forward => { forward => $lockstep->at });
for my $way (sort keys %way) {
    my $resolver = Resolver->new(%{ $way{$way} }, anchors => \@anchors)->start;
    my $valid = Valid->new(ours => $lockstep, resolver => $resolver, served => \%text);
    $valid->validate($way, $_, questions($_, $way eq 'forward' ? 250 : 0)) for @signed;
    $count{$_} += $valid->{count}{$_} for keys %{ $valid->{count} };
    is($resolver->stop, 0, 'unbound stops');
}
is($lockstep->stop, 0, 'lockstepd stops');

# The root zone, when it was valid.
%text = ('.' => root_zone());
$lockstep = serve(%text);
my @dnskeys = map { s/\s+/ /gr } grep { /\sDNSKEY\s+257\s/ } split /\n/, $text{'.'};
my $resolver = Resolver->new(stub => { '.' => $lockstep->at }, anchors => \@dnskeys, date => '20180130')->start;
srand $seed;
my %top = map { $_ => 1 } $text{'.'} =~ /^([\w-]+\.)\s+\d+\s+IN\s+NS\s/mg;
my @top = (sort keys %top)[ map { int rand keys %top } 1 .. 200 ];
srand;
my @missing = map { my $name = s/\.$//r; ([ "${name}0.", 'A' ], [ "a.b.zz${name}.", 'TXT' ], [ substr($name, 0, -1) . '.', 'AAAA' ]) } @top;
Valid->new(ours => $lockstep, resolver => $resolver, served => \%text)
    ->validate('stub', '.', map({ [ $_, 'DS' ] } @top), grep { !$top{ $_->[0] =~ s/^.*\.(?=.)//r } } @missing);
is($_->stop, 0, 'and stops') for $resolver, $lockstep;

cmp_ok($count{$_}, '>', 300, "$count{$_} answers: $_") for qw(secure insecure either);
done_testing;
