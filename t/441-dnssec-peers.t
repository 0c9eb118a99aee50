#!/usr/bin/perl
# Thousands of questions to lockstepd, NSD, Knot and BIND, which serve the same zones: unsigned, signed with NSEC, NSEC3 and NSEC3 with opt-out,
# and the root zone. SEED in the environment makes other questions than those of every day, COUNT more of them.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Answers;
use Corners;
use Known;
use Lockstep;
use Peer;
use Signed;
use Test::More;
use Transfers qw(root_zone);
use Wire;

plan skip_all => 'lockstepd is not built' unless Lockstep::have();
my @kinds = grep { Peer->have($_) } qw(nsd knot bind);
plan skip_all => 'needs nsd, knot or bind9, and bind9-utils' unless @kinds && Signed::have();
my $seed = $ENV{SEED} // 20180129;
my $count = $ENV{COUNT} // 600;
note("SEED=$seed COUNT=$count");

my %text = (Corners::zones('unsigned.test'), map { %{ (Corners::signed_zones("$_.test", $_))[0] } } Corners::ways());
my %root = ('.' => root_zone());

# Those about zones that are not signed are those about the same names where they are.
sub questions {
    my ($zone) = @_;
    return Corners::questions($seed, 0, [qw(edns do512 do1232 do1232 tcpdo)], %root, sample => 2 * $count) if $zone eq '.';
    my $like = $zone eq 'unsigned.test' ? 'nsec.test' : $zone;
    my @hows = qw(udp edns do512 do1232 do1232 do1232 do4096 tcp tcpdo tcpdo);
    my @questions = Corners::questions($seed, $count, \@hows, map { $_ => $text{$_} } $like, "kid.$like");
    my @bare = Corners::questions($seed + 1, 0, \@hows, "kid.$like" => $text{"kid.$like"});
    $_->{name} =~ s/kid(?=\.\Q$like\E\.$)/bare/i for @bare;
    push @questions, @bare;
    $_->{name} =~ s/\Q$like\E\.$/$zone./i for @questions;
    return @questions;
}

sub servers {
    my (%text) = @_;
    my @zones = map { { name => $_, text => $text{$_} } } sort keys %text;
    my $ours = Lockstep->new(zones => [ map { { name => $_, source => 'file' } } sort keys %text ]);
    $ours->put_zone($_, $text{$_}) for keys %text;
    my %peer = map { $_ => Peer->new($_, zones => [ map { {%$_} } @zones ], minimal => 1) } @kinds;
    $_->start for $ours, values %peer;
    return (ours => $ours, peers => \%peer, gives_less => [qw(bind)], apexes => [ keys %text ]);
}

my @known = Known::differences();
my $total = 0;
for my $group (\%text, \%root) {
    my $compare = Answers->new(servers(%$group), known => \@known);
    $compare->run($_, questions($_)) for grep { !/^(?:kid|bare)\./ } sort keys %$group;
    $total += $compare->{count};
    is($_->stop, 0, ($_->{kind} // 'lockstepd') . ' stops') for $compare->{ours}, values %{ $compare->{peers} };
}
cmp_ok($total, '>', 1000, "$total comparisons");
Answers::known_are_met({ known => \@known, peers => { map { $_ => 1 } @kinds } }, other_questions => $ENV{SEED});
done_testing;
