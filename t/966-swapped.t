#!/usr/bin/perl
# The state directory, or that of the zone files, is taken away under lockstepd, or another one is put in its place: it goes on there, says so, and what was
# served is served again after a kill, with the primary away, and when then one of the two copies is lost.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Dump qw(same_zone);
use History;
use Lockstep;
use Process qw(wait_for);
use Test::More;

plan skip_all => 'lockstepd is not built' unless Lockstep::have();
my $seed = History::seed();
my $history = History->new(seed => $seed, zones => [ 'example.', 'at-once.example.' ])->serve;
my %sync = ('example.' => 3600, 'at-once.example.' => 0);
my @zones = sort keys %sync;

sub serves {
    my ($lockstep, $zone, $name) = @_;
    wait_for(sub { defined $lockstep->serial($zone) });
    my ($got, $records) = History::served($lockstep->at, $zone);
    is($got, $history->serial($zone), $name) and same_zone($records, $history->version($zone, $got), "$name: and all of it");
}

my %swap = (
    'taken away' => sub { },
    'another one' => sub { mkdir $_[0] },
    'a link to another one' => sub { mkdir "$_[0].other"; symlink "$_[0].other", $_[0] },
);
for my $dir ('state', 'zones') {
    for my $what (sort keys %swap) {
        subtest "$dir: $what" => sub {
            my $lockstep = Lockstep->new(remotes => [ Lockstep::remote('hidden', $history) ], acls => [ { name => 'all', address => [ '127.0.0.0/8' ], action => 'allow' } ],
                server => { limits => { connect => '1s', 'transfer-idle' => '1s' } },
                zones => [ map { { name => $_, primaries => ['hidden'], 'zonefile-sync' => $sync{$_}, 'allow-transfer' => ['all'] } } @zones ])->start;
            ok($lockstep->wait_serial($_, $history->serial($_)), "$_ is served") for @zones;
            my $place = "$lockstep->{dir}/$dir";
            rename $place, "$place.away" or die "$place: $!";
            $swap{$what}->($place);
            for (1 .. 2) {
                for my $zone (@zones) { $history->advance($zone); $history->notify($lockstep->at, $zone) }
                ok($lockstep->wait_serial($_, $history->serial($_)), "$_: the next version is served") for @zones;
            }
            ok($lockstep->wait_log($dir eq 'zones' ? qr/warning zone-file-missing zone=at-once\./ : qr/error state-damaged msg=".*: the log of steps is gone/), 'the log says what was seen');
            ok(wait_for(sub { -e "$place/" . ($dir eq 'zones' ? 'at-once.example.zone' : 'lockstep.db') }), 'it goes on in that place');
            $lockstep->kill9;
            $history->vanish;
            for my $lost (undef, 'lockstep.db*', 'steps-*') {
                unlink glob "$lockstep->{dir}/state/$lost" if $lost;
                $lockstep->start;
                serves($lockstep, $_, $lost ? "without $lost: $_" : "after a kill: $_") for @zones;
                is($lockstep->stop, 0, 'lockstepd ends cleanly');
            }
            $history->serve;
        };
    }
}
done_testing;
