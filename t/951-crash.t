#!/usr/bin/perl
# lockstepd is killed at random moments under a stream of changes; each time, with the primary away, every zone is served again at the last serial
# that a client had seen, or a later one, and is what the primary had at that serial; and so is its zone file.
#
# SEED=N repeats the changes and the moments of a run; LONG=1 kills it 300 times instead of 30.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Dump qw(same_zone);
use Fcntl qw(SEEK_SET);
use History;
use Lockstep;
use Mirror qw(same_answers);
use Net::DNS::RR;
use POSIX qw(_exit);
use Process qw(slurp wait_for work_dir);
use Test::More;
use Time::HiRes qw(sleep time);
use Wire;

plan skip_all => 'lockstepd is not built' unless Lockstep::have();
my $seed = History::seed();
my $rounds = $ENV{LONG} ? 300 : 30;
my %sync = ('at-once.example.' => 0, 'soon.example.' => 1, 'later.example.' => 3600, 'never.example.' => -1);
my @zones = sort keys %sync;
my $history = History->new(seed => $seed, zones => \@zones)->serve;
my $lockstep = Lockstep->new(remotes => [ Lockstep::remote('hidden', $history) ],
    acls => [ { name => 'all', address => [ '127.0.0.0/8' ], action => 'allow' } ],
    server => { limits => { connect => '1s', 'transfer-idle' => '1s' } },
    zones => [ map { { name => $_, primaries => ['hidden'], 'zonefile-sync' => $sync{$_}, 'allow-transfer' => ['all'] } } @zones ]);
my $seen_file = work_dir('client') . '/seen';

# A process that does this until it is ended.
sub meanwhile {
    my ($work) = @_;
    my $pid = Process::fork_plain();
    return $pid if $pid;
    eval { $work->() while 1 };
    _exit(1);
}

sub end { my ($pid) = @_; kill 'KILL', $pid; waitpid $pid, 0 }

# The primary's changes: mostly one at a time, told at once.
sub stream {
    my @dice = @_;
    return meanwhile(sub {
        my $zone = $zones[ rand @zones ];
        $history->advance($zone, rand() < 0.1 ? 1 + int rand 5 : 1);
        $history->notify($lockstep->at, $zone);
        sleep rand 0.02;
    });
}

# A client that notes the serial that it saw last of each zone.
sub client {
    open my $file, '+>', $seen_file or die "$seen_file: $!";
    my $turn = 0;
    return meanwhile(sub {
        my $number = $turn++ % @zones;
        my $serial = Wire::served_serial($lockstep->at, $zones[$number]) // return;
        sysseek $file, 4 * $number, SEEK_SET;
        syswrite $file, pack 'N', $serial;
    });
}

sub seen { my %seen; @seen{@zones} = unpack 'N*', (slurp($seen_file) // '') . "\0" x (4 * @zones); return \%seen }

# (serial, canonical records) of a zone file, undef where it is not one.
sub read_file {
    my ($zone) = @_;
    my $text = slurp($lockstep->zone_file($zone =~ s/\.$//r)) // return;
    my @records = map { my $rr = eval { Net::DNS::RR->new($_) }; $rr ? \($rr->encode) : return } grep { /^[^;\s]/ } split /\n/, $text;
    my ($serial) = $text =~ /\sSOA\s\S+\s\S+\s(\d+)/;
    return ($serial, [ sort map { History::canonical($_) } @records ]);
}

sub check_zone {
    my ($round, $zone, $seen) = @_;
    my $good = wait_for(sub { defined Wire::served_serial($lockstep->at, $zone) }, $seen ? 60 : 5);
    my ($serial, $records) = $good ? History::served($lockstep->at, $zone) : ();
    my $what = "round $round, $zone";
    return ok(!$seen, "$what: a client saw $seen, it is served again") unless defined $serial;
    cmp_ok($serial, '>=', $seen, "$what: the last serial that a client saw, or a later one") or return 0;
    return same_zone($records, $history->version($zone, $serial), "$what: what the primary had at serial $serial");
}

sub check_file {
    my ($round, $zone, $seen, $starting) = @_;
    my $file = $lockstep->zone_file($zone =~ s/\.$//r);
    my $level = !$sync{$zone} && !$starting;      # after a kill between commit and file the next start brings it there
    return ok(!$level || !$seen, "round $round, $zone: its file is there") unless -e $file;
    my ($serial, $records) = read_file($zone);
    return 0 unless ok(defined $serial, "round $round, $zone: its file can be read");
    cmp_ok($serial, '>=', $seen, "round $round, $zone: what is served is in its file") if $level;
    return same_zone($records, $history->version($zone, $serial), "round $round, $zone: its file is whole, at serial $serial");
}

my %last = map { $_ => 0 } @zones;
for my $round (1 .. $rounds) {
    my $starting = $round > 1 && rand() < 0.2;    # this time it is killed while it starts
    my $time = $starting ? rand 0.4 : 0.05 + rand 0.5;
    $starting ? $lockstep->launch : $lockstep->start;
    my ($client, $stream) = (client(), stream());
    sleep $time;
    $lockstep->kill9;
    end($_) for $stream, $client;
    $history->vanish;
    my $seen = seen();
    for (@zones) { $last{$_} = $seen->{$_} if $seen->{$_} > $last{$_} }
    my $good = 1;
    $good &= check_file($round, $_, $last{$_}, $starting) for @zones;
    $lockstep->start;
    $good &= check_zone($round, $_, $last{$_}) for @zones;
    is(join(' ', map { s,.*/,,r } grep { !/\.zone$/ } glob "$lockstep->{dir}/zones/*"), '', "round $round: nothing is left of files half written");
    unless ($good) {
        diag("SEED=$seed, round $round, killed after $time s" . ($starting ? ' of its start' : ''));
        diag($_) for grep { / (?:warning|error) / } split /\n/, $lockstep->log_text;
        last;
    }
    if ($round % 10 == 0) { same_answers($lockstep, $_, "round $round, $_") for grep { defined $lockstep->serial($_) } @zones }
    $round % 2 ? is($lockstep->stop, 0, "round $round: it ends cleanly") : $lockstep->kill9;
    $history->serve;
}
if (Test::More->builder->is_passing) {
    for my $zone (@zones) {
        cmp_ok($history->serial($zone), '>', $rounds, "$zone changed often enough");
        cmp_ok($last{$zone}, '>', 1, "and a client saw that");
    }
    my @steps = $lockstep->events('transfer', got => 'IXFR', outcome => 'ok');
    note scalar(@steps) . ' transfers of steps were taken';
    cmp_ok(scalar(@steps), '>', $rounds / 5, 'steps were taken when it was killed');
}
done_testing;
