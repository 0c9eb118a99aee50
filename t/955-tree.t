#!/usr/bin/perl
# Lockstep behind Lockstep behind Lockstep behind a primary: 20 of them, on 3 levels. Every change arrives everywhere, as steps, and how long
# that took is said.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Dump qw(same_zone);
use Lockstep;
use Mirror qw(same_answers);
use Peer;
use Process qw(wait_for);
use Test::More;
use Time::HiRes qw(time sleep);
use Transfers qw(zone_text);
use Tsig;

my ($kind) = grep { Peer->have($_) } qw(knot bind nsd);
plan skip_all => 'needs nsd, knot or bind9' unless $kind;
my ($name, $first, $second, $third) = ('tree.example', 1, 4, 15);
my $bound = 20;                      # seconds; what is usual is said below
my $key = Tsig::key(name => 'tree.key');

my $primary = Peer->new($kind, zones => [ { name => $name, text => zone_text($name, 1, count => 2000), key => $key } ]);
my @level = map { [ map { Lockstep->new(keys => [$key]) } 1 .. $_ ] } $first, $second, $third;
my @nodes = map { @$_ } @level;

# Each has the node above for a primary, by turns, and tells those below.
for my $depth (0 .. $#level) {
    for my $i (0 .. $#{ $level[$depth] }) {
        my $node = $level[$depth][$i];
        my $above = $depth ? $level[ $depth - 1 ][ $i % @{ $level[ $depth - 1 ] } ] : $primary;
        my @below = $depth < $#level ? map { $level[ $depth + 1 ][$_] } grep { $_ % @{ $level[$depth] } == $i } 0 .. $#{ $level[ $depth + 1 ] } : ();
        $node->{conf}{remotes} = [ Lockstep::remote('above', $above, $key), map { Lockstep::remote("below$_", $below[$_], $key) } 0 .. $#below ];
        $node->{conf}{zones} = [ { name => $name, primaries => ['above'], notify => [ map { "below$_" } 0 .. $#below ], 'allow-transfer' => [ map { "below$_" } 0 .. $#below ] } ];
    }
}
$primary->zone($name)->{notify} = [ $level[0][0]->at ];
$_->start for $primary, @nodes;

# Waits until all of them have the serial: the seconds from `since` on; undef: not in time.
sub spread {
    my ($serial, $since, @which) = @_;
    my @left = @which;
    while (@left && time - $since < $bound) {
        @left = grep { my $got = $_->serial($name); !defined $got || $got != $serial } @left;
        sleep 0.002 if @left;
    }
    diag(scalar(@left) . " of " . @which . " do not have serial $serial") if @left;
    return @left ? undef : time - $since;
}

sub all_same {
    my ($what) = @_;
    my $wanted = $primary->dump($name);
    my @other = grep { join("\n", @{ $_->dump($name) // [] }) ne join("\n", @$wanted) } @nodes;
    is(scalar(@other), 0, $what);
    same_zone($other[0]->dump($name), $wanted, 'one that differs') if @other;
}

ok(defined spread(1, time, @nodes), '20 nodes have the first version');
all_same('which is the primary\'s');

my $serial = 1;
my @seconds;
sub change {
    $serial++;
    $primary->edit($name, zone_text($name, $serial, count => 2000, changed => [ map { 1 + int rand 1999 } 1 .. 5 ], more => ["new$serial.$name. 60 IN A 192.0.2.1"]));
    return time;
}

for (1 .. 20) {
    my $since = change();
    push @seconds, spread($serial, $since, @nodes);
}
is(scalar(grep { defined } @seconds), 20, "each of 20 changes is everywhere within $bound s");
@seconds = sort { $a <=> $b } grep { defined } @seconds;
diag(sprintf 'from the change to the last of 20 nodes: %.3f s in the median, %.3f s at most', $seconds[ @seconds / 2 ], $seconds[-1]);
all_same('and all have what the primary has');
for my $node (@nodes) {
    my @whole = $node->events('transfer', zone => "$name.", got => 'AXFR', outcome => 'ok');
    is(scalar(@whole), 1, 'the zone came as a whole once, and then as steps') or diag(join "\n", $node->log_lines(qr/ transfer /));
}

# Changes faster than they spread: what counts is that the last one arrives.
my $since;
$since = change() for 1 .. 15;
my $took = spread($serial, $since, @nodes);
ok(defined $took, '15 changes without a pause') and diag(sprintf '15 changes in a row: %.3f s after the last of them', $took);
all_same('are everywhere');

# One in the middle is away for some changes; those below it catch up with it.
my $away = $level[1][0];
is($away->stop, 0, 'one in the middle ends');
$since = change() for 1 .. 5;
my @cut_off = ($away, grep { my $n = $_; grep { $level[2][$_] == $n && $_ % $second == 0 } 0 .. $#{ $level[2] } } @{ $level[2] });
my %cut_off = map { $_ => 1 } @cut_off;
ok(defined spread($serial, $since, grep { !$cut_off{$_} } @nodes), 'the others go on');
$away->start;
ok(defined spread($serial, time, @nodes), 'and when it is back, those below it have all of it');
all_same('as everybody has');

same_answers($level[$_][-1], $name, "level $_") for 0 .. 2;
is($_->stop, 0, 'it ends cleanly') for reverse @nodes;
done_testing;
