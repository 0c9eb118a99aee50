#!/usr/bin/perl
# BIND, Knot and NSD pull from lockstepd with TSIG and NOTIFY: from one that reads the zone from its file, and from one that has it from a primary.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Dump qw(dump_axfr dump_text same_zone);
use Lockstep;
use Mirror qw(same_answers);
use Peer;
use Test::More;
use Transfers qw(zone_text);
use Tsig;

my @kinds = grep { Peer->have($_) } qw(nsd knot bind);
plan skip_all => 'needs nsd, knot or bind9' unless @kinds;
my $up = Tsig::key(name => 'up.example', algorithm => 'hmac-sha512');
my $down = Tsig::key(name => 'down.example', algorithm => 'hmac-sha256');

my $hidden = Lockstep->new(keys => [$up]);
my $middle = Lockstep->new(keys => [ $up, $down ]);
my %below = map { $_ => Peer->new($_, zones => [ map { { name => $_, key => $down, primaries => [ $middle->at ] } } qw(small.example large.example) ]) } @kinds;
my @zones = qw(small.example large.example);
$hidden->{conf}{remotes} = [ Lockstep::remote('middle', $middle, $up) ];
$hidden->{conf}{zones} = [ map { { name => $_, source => 'file', notify => ['middle'], 'allow-transfer' => ['middle'] } } @zones ];
$middle->{conf}{remotes} = [ Lockstep::remote('hidden', $hidden, $up), map { Lockstep::remote($_, $below{$_}, $down) } @kinds ];
$middle->{conf}{zones} = [ map { { name => $_, primaries => ['hidden'], notify => [@kinds], 'allow-transfer' => [@kinds] } } @zones ];

my %text = ('small.example' => zone_text('small.example', 1), 'large.example' => zone_text('large.example', 1, count => 20_000));
$hidden->put_zone($_, $text{$_}) for @zones;
$_->start for $hidden, $middle, values %below;

sub all_have {
    my ($serial) = @_;
    for my $zone (@zones) {
        ok($middle->wait_serial($zone, $serial), "lockstepd has serial $serial of $zone");
        my $wanted = dump_text($text{$zone}, $zone);
        same_zone($middle->dump($zone), $wanted, 'as the hidden primary\'s file has it');
        same_zone($middle->dump($zone), dump_axfr($hidden->at, $zone, $up), 'and as its AXFR has it');
        same_answers($middle, $zone, "$zone, serial $serial");
        for my $kind (@kinds) {
            ok($below{$kind}->wait_serial($zone, $serial), "$kind has serial $serial");
            my @got = map { lc } @{ $below{$kind}->dump($zone) // [] };
            same_zone([ map { lower_names($_) } @got ], [ map { lower_names($_) } @$wanted ], "$kind has the same records");
        }
    }
}

# NSD and Knot write the names in RDATA in lower case.
sub lower_names { my ($line) = @_; return $line =~ s/(?<= )([0-9a-f]+)$/unpack 'H*', lc pack 'H*', $1/er }

subtest 'the first version' => sub { all_have(1) };

subtest 'an edit goes through all of them by NOTIFY' => sub {
    %text = ('small.example' => zone_text('small.example', 2, more => ['new.small.example. 5 IN A 192.0.2.9']),
        'large.example' => zone_text('large.example', 2, count => 19_000, changed => [ 100 .. 200 ]));
    $hidden->put_zone($_, $text{$_}) for @zones;
    my ($status, $out, $said) = $hidden->verb('reload');
    is($status, 0, 'reload') or diag($said);
    all_have(2);
    is(scalar($middle->events('transfer', zone => "$_.", new => 2, got => 'IXFR', outcome => 'ok')), 1, "$_ came as a difference") for @zones;
};

is($_->stop, 0, 'it ends cleanly') for $middle, $hidden;
$_->stop for values %below;
done_testing;
