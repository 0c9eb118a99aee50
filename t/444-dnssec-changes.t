#!/usr/bin/perl
# A zone changes, by IXFR from BIND, from NSEC to NSEC3, to another chain of NSEC3 with both of them there for a time, to none at all, and back. After
# each step it answers as a lockstepd does that has read the version from a file, as NSD does, and as it should for unbound.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Answers;
use Corners;
use Dump qw(same_zone);
use Known;
use Lockstep;
use Peer;
use Resolver;
use Signed;
use Test::More;
use Valid;

plan skip_all => 'lockstepd is not built' unless Lockstep::have();
plan skip_all => 'needs bind9, nsd, unbound and bind9-utils' if grep { !$_ } Peer->have('bind'), Peer->have('nsd'), Resolver::have(), Signed::have();
my $seed = $ENV{SEED} // 20180129;
note("SEED=$seed");

my $zone = 'change.test';
my $key = Signed::key($zone);
# Of two chains NSD takes the one whose NSEC3PARAM record comes first in the file, we the first in canonical order: the same.
my %chain = (
    nsec => {},
    first => { nsec3 => '11223344', iterations => 1 },
    second => { nsec3 => 'AABBCCDD', iterations => 1 },
    optout => { nsec3 => '-', optout => 1 },
);

# A version without signatures: its serial, and some names that come and go.
sub plain {
    my ($serial) = @_;
    my $more = join '', map { my $n = $_; $serial % ($n + 2) ? "v$n IN A 192.0.2.$n\nx.v$n.w IN TXT \"$serial\"\n" : "v$n.w IN NS ns1\n" } 1 .. 9;
    return Corners::parent($zone) =~ s/(SOA ns1 host) 7/$1 $serial/r . $more;
}

sub signed { my ($serial, $chain) = @_; return Signed::sign($zone, plain($serial) . Signed::announced($key), $key, %{ $chain{$chain} }) }

# Two versions with the same serial as one that has the chains of both.
sub both {
    my ($serial, $one, $other) = @_;
    my @more = grep { /\sIN\s+NSEC3(?:PARAM)?\s/ || /\sRRSIG\s+NSEC3\s/ } split /^/, signed($serial, $other);
    return signed($serial, $one) . join '', @more;
}

my @steps = (
    [ 'NSEC' => sub { signed($_[0], 'nsec') } ],
    [ 'NSEC3 in the place of NSEC' => sub { signed($_[0], 'first') } ],
    [ 'a second chain of NSEC3 beside the first' => sub { both($_[0], 'first', 'second') } ],
    [ 'the second chain alone' => sub { signed($_[0], 'second') } ],
    [ 'opt-out' => sub { signed($_[0], 'optout') } ],
    [ 'no signatures' => sub { plain($_[0]) } ],
    [ 'NSEC again' => sub { signed($_[0], 'nsec') } ],
    [ 'no signatures again' => sub { plain($_[0]) } ],
    [ 'NSEC3 again' => sub { signed($_[0], 'first') } ],
    [ 'and NSEC' => sub { signed($_[0], 'nsec') } ],
);
my @text = map { $steps[$_][1]->($_ + 1) } 0 .. $#steps;

my $primary = Peer->new('bind', zones => [ { name => $zone, text => $text[0] } ]);
my $ours = Lockstep->new(remotes => [ Lockstep::remote('primary', $primary) ], zones => [ { name => $zone, primaries => ['primary'] } ]);
$primary->{zones}[0]{notify} = [ $ours->at ];
my $nsd = Peer->new('nsd', zones => [ { name => $zone, text => $text[0] } ], minimal => 1);
$_->start for $primary, $ours, $nsd;

# About names with NSEC, with NSEC3, and those of this version.
sub questions {
    my ($hows, $sample, $serial) = @_;
    return Corners::questions($seed + $serial, 0, $hows, $zone => join('', @text[ 0, 1, $serial - 1 ]), sample => $sample);
}

my @known = Known::differences();
my $compared = 0;
for my $step (0 .. $#steps) {
    my ($what, $serial) = ($steps[$step][0], $step + 1);
    if ($step) { $_->edit($zone, $text[$step], $serial) for $primary, $nsd }
    ok($ours->wait_serial($zone, $serial), "$serial: $what");
    is(scalar($ours->wait_events(1, 'transfer', zone => "$zone.", new => $serial, got => 'IXFR', outcome => 'ok')), 1, 'it came by IXFR') if $step;
    same_zone($ours->dump($zone), $primary->dump($zone), 'with the records of the primary');

    my $fresh = Lockstep->new(zones => [ { name => $zone, source => 'file' } ]);
    $fresh->put_zone($zone, $text[$step]);
    $fresh->start;
    my $compare = Answers->new(ours => $ours, peers => { fresh => $fresh, nsd => $nsd }, apexes => [$zone], known => \@known);
    $compare->run($what, questions([qw(do1232 do1232 do512 udp tcpdo)], 500, $serial));
    $compared += $compare->{count};
    is($fresh->stop, 0, 'the other lockstepd stops');

    next if $what =~ /no signatures/;
    my $resolver = Resolver->new(stub => { $zone => $ours->at }, anchors => [ $key->{ds} ])->start;
    my %seen = ("$zone. ds" => 1);
    my @questions = grep { !$seen{ lc "@$_" }++
        && $_->[1] !~ /^(?:RRSIG|NSEC3PARAM)$/ } map { [ $_->{name}, $_->{type} ] } questions(['tcpdo'], 250, $serial);
    Valid->new(ours => $ours, resolver => $resolver, served => { $zone => 1 })->validate($what, $zone, @questions);
    is($resolver->stop, 0, 'unbound stops');
}
cmp_ok($compared, '>', 5000, "$compared comparisons");
is($_->stop, 0, ($_->{kind} // 'lockstepd') . ' stops') for $primary, $ours, $nsd;
done_testing;
