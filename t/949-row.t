#!/usr/bin/perl
# What the database says of a zone when its row is written while a version of it is on its way there: nothing of the version before is left.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Fake;
use Faults;
use Lockstep;
use Process qw(find_program run_command slurp spew wait_for);
use Test::More;
use Time::HiRes qw(sleep);

plan skip_all => 'lockstepd is not built' unless Lockstep::have();
plan skip_all => 't/faults.so is not built' unless Faults::have();
plan skip_all => 'sqlite3 is not installed' unless find_program('sqlite3');
my $fake = Fake->new(zone => 'example.', records => ['example. 300 IN NS ns.example.'])->serve(serial => 5);
my $lockstep = Lockstep->new(remotes => [ Lockstep::remote('hidden', $fake) ], zones => [ { name => 'example', primaries => ['hidden'] } ]);
my $database = "$lockstep->{dir}/state/lockstep.db";
my $faults = Faults->new;

# In a copy, since nobody else can open the database while it is in use.
sub remembered {
    my ($sql) = @_;
    my $copy = "$lockstep->{dir}/copy.db";
    unlink $copy, "$copy-wal";
    spew("$copy$_", slurp("$database$_") // '') for '', '-wal';
    my (undef, $out) = run_command('sqlite3', $copy, $sql);
    return $out =~ s/\n//r;
}

$lockstep->start($faults->command);
ok($lockstep->wait_serial('example', 5), 'the zone is there');
ok(wait_for(sub { remembered('SELECT serial FROM zone') eq '5' }, 30), 'and in the database');

$faults->set('sync *lockstep.db-wal 1+ WAIT');
$fake->serve(serial => 6, records => ['example. 300 IN NS ns.example.']);
$fake->notify($lockstep->at);
ok(wait_for(sub { $faults->fired(qr/WAIT/) }, 30), 'a new version is on its way to the disk');
is(($lockstep->verb('hold', 'example'))[0], 0, 'meanwhile something else of the zone changes');
sleep 0.3;           # so that this is on its way too: nothing tells; if it is not, it only comes later
$faults->clear;
ok($lockstep->wait_serial('example', 6), 'the version is served');
ok(wait_for(sub { remembered('SELECT serial, held FROM zone') eq '6|1' }, 30), 'both are in the database')
    or diag(remembered('SELECT serial, held FROM zone'));

is($lockstep->stop, 0, 'lockstepd ends cleanly');
done_testing;
