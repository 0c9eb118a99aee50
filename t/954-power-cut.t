#!/usr/bin/perl
# The power is cut at random moments under a stream of changes, while lockstepd starts, and while it mends what an earlier cut
# left: of what was written and not synced the disk holds anything that it may (t/lib/PowerCut.pm). Each time, with the primary
# away, every zone is served again at the last serial that a client had seen, or a later one, and is what the primary had at that
# serial; its zone file is whole; what an operator was told is done is done.
#
# SEED=N repeats the changes and the dice of a run; LONG=1 cuts 200 times instead of 10.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Dump qw(same_zone);
use Faults;
use File::Path qw(remove_tree);
use History;
use Lockstep;
use Mirror qw(same_answers);
use Net::DNS::RR;
use POSIX qw(_exit);
use PowerCut;
use Process qw(slurp wait_for work_dir);
use Test::More;
use Time::HiRes qw(sleep time);
use Wire;

plan skip_all => 'lockstepd is not built' unless Lockstep::have();
plan skip_all => 't/faults.so is not built' unless Faults::have();
my $seed = History::seed();
my ($runs, $cuts) = $ENV{LONG} ? (40, 5) : (5, 2);
my %sync = ('at-once.example.' => 0, 'soon.example.' => 1, 'later.example.' => 3600, 'never.example.' => -1);
my @zones = sort keys %sync;
my $history = History->new(seed => $seed, zones => \@zones)->serve;
my $lockstep = Lockstep->new(remotes => [ Lockstep::remote('hidden', $history) ],
    acls => [ { name => 'all', address => [ '127.0.0.0/8' ], action => 'allow' } ],
    server => { limits => { connect => '1s', 'transfer-idle' => '1s' } },
    zones => [ map { { name => $_, primaries => ['hidden'], 'zonefile-sync' => $sync{$_}, 'allow-transfer' => ['all'], file => 'of/%1/%s.zone' } } @zones ]);
my @dirs = map { "$lockstep->{dir}/$_" } qw(state zones);
my $faults = Faults->new;
my $traces = work_dir('traces');

sub file_of { my ($zone) = @_; return sprintf '%s/of/%s/%s.zone', $dirs[1], substr($zone, 0, 1), $zone =~ s/\.$//r }

# A process that does this until it is ended.
sub meanwhile {
    my ($work) = @_;
    my $pid = Process::fork_plain();
    return $pid if $pid;
    eval { $work->() while 1 };
    _exit(1);
}

sub end { my ($pid) = @_; kill 'KILL', $pid; waitpid $pid, 0 }

sub stream {
    my ($seed) = @_;
    return meanwhile(sub {
        if (defined $seed) { srand $seed; undef $seed }
        my $zone = $zones[ rand @zones ];
        $history->advance($zone, rand() < 0.1 ? 1 + int rand 5 : 1);
        $history->notify($lockstep->at, $zone);
        sleep rand 0.02;
    });
}

sub append { my ($file, $line) = @_; syswrite $file, "$line\n" }

# A client whose sight of each new serial is a line of the trace.
sub client {
    my ($trace) = @_;
    open my $file, '>>', $trace or die "$trace: $!";
    my ($turn, %seen) = (0);
    return meanwhile(sub {
        my $zone = $zones[ $turn++ % @zones ];
        my $serial = Wire::served_serial($lockstep->at, $zone) // return;
        append($file, "SEEN $zone $serial") if ($seen{$zone} // 0) != $serial;
        $seen{$zone} = $serial;
    });
}

# (serial, canonical records) of a zone file, undef where it is not one.
sub read_file {
    my ($zone) = @_;
    my $text = slurp(file_of($zone)) // return;
    my @records = map { my $rr = eval { Net::DNS::RR->new($_) }; $rr ? \($rr->encode) : return } grep { /^[^;\s]/ } split /\n/, $text;
    my ($serial) = $text =~ /\sSOA\s\S+\s\S+\s(\d+)/;
    return ($serial, [ sort map { History::canonical($_) } @records ]);
}

sub file_is_whole {
    my ($what, $zone, $least) = @_;
    return ok(!$least, "$what, $zone: its file is there") unless -e file_of($zone);
    my ($serial, $records) = read_file($zone);
    return 0 unless ok(defined $serial, "$what, $zone: its file can be read");
    return cmp_ok($serial, '>=', $least, "$what, $zone: what a client saw is in its file") && same_zone($records, $history->version($zone, $serial),
        "$what, $zone: its file is whole, at serial $serial");
}

sub zone_is_back {
    my ($what, $zone, $seen) = @_;
    my $good = wait_for(sub { defined Wire::served_serial($lockstep->at, $zone) }, $seen ? 5 : 0);
    my ($serial, $records) = $good ? History::served($lockstep->at, $zone) : ();
    return ok(!$seen, "$what, $zone: a client saw $seen, it is served again") unless defined $serial;
    return cmp_ok($serial, '>=', $seen, "$what, $zone: the last serial that a client saw, or a later one")
        && same_zone($records, $history->version($zone, $serial), "$what, $zone: what the primary had at serial $serial");
}

# A stream of changes for a while; the steps that were made on disk.
sub recorded_run {
    my ($run, $seconds) = @_;
    my $trace = "$traces/$run";
    my $pristine = PowerCut->new(@dirs);
    $faults->clear;
    $history->serve;
    $lockstep->launch($faults->command(trace => $trace, traced => \@dirs));
    my ($client, $stream) = (client($trace), stream($seed + $run));
    sleep $seconds / 2;
    my $held = $zones[ rand @zones ];
    open my $file, '>>', $trace or die "$trace: $!";
    for my $verb (qw(hold release)) {
        append($file, "TOLD $held nothing");      # while it is asked, either may be
        append($file, "TOLD $held $verb") if ($lockstep->verb($verb, $held))[0] == 0;
        sleep $seconds / 4;
    }
    $faults->set('any *state* 1 KILL', 'any *zones* 1 KILL');
    wait_for(sub { !$lockstep->running }, 5);
    end($_) for $stream, $client;
    $lockstep->kill9;
    $history->vanish;
    return ($pristine, PowerCut::steps($trace));
}

# Often right behind what somebody saw, or while it starts.
sub moment {
    my (@steps) = @_;
    my @seen = grep { $steps[$_][0] =~ /^(?:SEEN|TOLD)$/ } 0 .. $#steps;
    my $dice = rand;
    return $dice < 0.5 && @seen ? $seen[ rand @seen ] : $dice < 0.65 ? int rand(@steps < 60 ? @steps : 60) : int rand @steps;
}

my (%last, %held, $cut_count);
RUN: for my $run (1 .. $runs) {
    if ($run == 1 || rand() < 0.25) {
        %last = map { $_ => 0 } @zones;
        %held = ();
        remove_tree($_, { keep_root => 1 }) for @dirs;
    }
    my ($pristine, @steps) = recorded_run($run, 0.6 + rand 0.6);
    is(join(' ', $pristine->replay(grep { $_->[0] !~ /^(?:SEEN|TOLD)$/ } @steps)->differs), '', "run $run: the trace has all that was done");
    my (%seen, %told);
    for my $cut (1 .. $cuts) {
        my $moment = moment(@steps);
        my @until = @steps[ 0 .. $moment ];
        %seen = %last;
        %told = %held;
        my %at_start;
        for (@until) {
            $told{ $_->[1] } = $_->[2] if $_->[0] eq 'TOLD';
            next unless $_->[0] eq 'SEEN';
            $at_start{ $_->[1] } //= $_->[2];
            $seen{ $_->[1] } = $_->[2] if $_->[2] > $seen{ $_->[1] };
        }
        my $what = "run $run, cut after step $moment";
        my $sort = $pristine->replay(grep { $_->[0] !~ /^(?:SEEN|TOLD)$/ } @until)->leave;
        $cut_count++;
        # With zonefile-sync = 0 a version that came in this run was in its file before it was served.
        my %least = map { $_ => !$sync{$_} && $seen{$_} > ($at_start{$_} // 0) ? $seen{$_} : 0 } @zones;
        my $good = 1;
        $good &= file_is_whole($what, $_, $least{$_}) for @zones;
        my $last = $cut == $cuts && PowerCut->new(@dirs);
        my $lines = $lockstep->log_lines(qr/./);
        $lockstep->start;
        $good &= zone_is_back($what, $_, $seen{$_}) for @zones;
        for my $zone (grep { $told{$_} ne 'nothing' } sort keys %told) { $good &= is(($lockstep->status($zone)->{state} eq 'held' ? 'hold' : 'release'), $told{$zone}, "$what, $zone: still as the operator was told") }
        $lockstep->kill9;
        $last->replay->leave if $last;
        next if $good;
        diag("SEED=$seed, $what: $sort");
        diag($_) for grep { / (?:warning|error) / } (split /\n/, $lockstep->log_text)[ $lines .. $lockstep->log_lines(qr/./) - 1 ];
        last RUN;
    }
    %last = %seen;
    %held = %told;
    unlink "$traces/$run";
}
is($cut_count, $runs * $cuts, 'so many cuts');
$history->serve;
$lockstep->start;
$lockstep->verb('release', $_) for @zones;
for my $zone (@zones) { ok($lockstep->wait_serial($zone, $history->serial($zone)), "$zone: with the primary back it is brought up to date") }
for my $zone (@zones) {
    zone_is_back('at the end', $zone, $history->serial($zone));
    same_answers($lockstep, $zone, $zone);
}
is($lockstep->stop, 0, 'lockstepd ends cleanly');
done_testing;
