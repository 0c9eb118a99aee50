#!/usr/bin/perl
# The clock is set while lockstepd runs, by a day or by thirty years, forwards or back (t/faults.c): what it waits for comes when it should, nothing expires for
# that, what does expire expires in its time, and a restart by the new clock knows how old each zone is.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Fake;
use Faults;
use Lockstep;
use Process qw(wait_for);
use Test::More;

plan skip_all => 'lockstepd is not built' unless Lockstep::have();
plan skip_all => 't/faults.so is not built' unless Faults::have();
my $day = 86_400;
my %jump = ('a day forwards' => $day, 'a day back' => -$day, 'thirty years forwards' => 10_957 * $day, 'thirty years back' => -10_957 * $day);
my @jumps = sort keys %jump;

# Asked each second; asked each second, and soon at its end without an answer; only when a NOTIFY comes; never again.
my %times = (short => [ 1, 1, 3600, 300 ], ends => [ 1, 1, 4, 300 ], told => [ 3600, 3600, 604_800, 300 ], still => [ 3600, 3600, 604_800, 300 ]);
my @zones = sort keys %times;
my %fake = map { $_ => Fake->new(zone => "$_.", times => $times{$_}) } @zones;
sub serve { my ($zone, $serial) = @_; $fake{$zone}->serve(serial => $serial, records => ["$zone. 300 IN NS ns.$zone."]) }
serve($_, 1) for @zones;

my (%lockstep, %faults);
sub on_all { my ($do) = @_; for my $what (@jumps) { local $_ = $what; $do->($what, $lockstep{$what}, $faults{$what}) } }

# Nothing is in the future, nor long ago. (After a restart when a file was written is what its own time says.)
sub ages_are_right {
    my ($lockstep, $what, $restarted, @of) = @_;
    for my $zone (@of) {
        my $status = $lockstep->status($zone);
        my @odd = grep { ($status->{$_} // 0) < 0 || ($status->{$_} // 0) > 900 } ('age', 'best_age', 'changed', $restarted ? () : 'written_age');
        is_deeply([ map { "$_ $status->{$_}" } @odd ], [], "$what: ages of $zone");
    }
    my $left = $lockstep->status('still')->{expiry};
    cmp_ok(abs($left - 604_800), '<', 900, "$what: still. has the time left that it had") or diag($left);
}

for my $what (@jumps) {
    $faults{$what} = Faults->new;
    $lockstep{$what} = Lockstep->new(remotes => [ map { Lockstep::remote($_, $fake{$_}) } @zones ],
        templates => [ { name => 'default', 'refresh-min' => 1, 'retry-min' => 1 } ], zones => [ map { { name => $_, primaries => [$_] } } @zones ]);
    $lockstep{$what}->start($faults{$what}->command);
}
on_all(sub {
    my ($what, $lockstep) = @_;
    ok($lockstep->wait_serial($_, 1), "$what: $_ is there") for @zones;
    is(($lockstep->verb('write', qw(short still told)))[0], 0, "$what: and in its file");
});

subtest 'while it runs' => sub {
    on_all(sub { my ($what, $lockstep, $faults) = @_; $faults->set("clock $jump{$what}") });
    on_all(sub {
        my ($what, $lockstep) = @_;
        my ($moved) = $lockstep->wait_events(1, 'clock-moved');
        cmp_ok(abs(($moved->{seconds} // 0) - $jump{$what}), '<', 60, "$what: the log says so") or diag(explain($moved));
        ok($lockstep->wait_serial($_, 1), "$what: $_ is served") for @zones;
        ok($lockstep->wait_state($_, 'ok'), "$what: $_ is well") for @zones;
        ages_are_right($lockstep, $what, 0, @zones);
    });
    serve($_, 2) for qw(short told);
    on_all(sub { my ($what, $lockstep) = @_; $fake{told}->notify($lockstep->at) });
    on_all(sub {
        my ($what, $lockstep) = @_;
        ok($lockstep->wait_serial('short', 2), "$what: a primary is asked when it is time");
        ok($lockstep->wait_serial('told', 2), "$what: and when it says that there is something");
    });
    $fake{ends}->vanish;
    on_all(sub { my ($what, $lockstep) = @_; ok($lockstep->wait_state('ends', 'expired'), "$what: what nobody confirms expires") });
    serve('ends', 1);
    on_all(sub { my ($what, $lockstep) = @_; ok($lockstep->wait_state('ends', 'ok'), "$what: and comes again") });
};

subtest 'a restart, with all primaries away' => sub {
    $_->vanish for values %fake;
    on_all(sub { my ($what, $lockstep, $faults) = @_; is($lockstep->stop, 0, "$what: lockstepd ends cleanly"); $lockstep->start($faults->command) });
    on_all(sub {
        my ($what, $lockstep) = @_;
        ok($lockstep->wait_serial(@$_), "$what: $_->[0] is served") for [ still => 1 ], [ told => 2 ];
        ages_are_right($lockstep, $what, 1, 'still', 'told');
    });
};

subtest 'the clock is set right again' => sub {
    on_all(sub { my ($what, $lockstep, $faults) = @_; $faults->clear });
    on_all(sub { my ($what, $lockstep) = @_; is(scalar(() = $lockstep->wait_events(2, 'clock-moved')), 2, "$what: the log says so") });
    on_all(sub { my ($what, $lockstep, $faults) = @_; is($lockstep->stop, 0, "$what: lockstepd ends cleanly"); $lockstep->start($faults->command) });
    on_all(sub {
        my ($what, $lockstep) = @_;
        ok($lockstep->wait_serial(@$_), "$what: $_->[0] is served") for [ still => 1 ], [ told => 2 ];
        ages_are_right($lockstep, $what, 1, 'still', 'told');
    });
    serve($_, 3) for @zones;
    on_all(sub {
        my ($what, $lockstep) = @_;
        is(($lockstep->verb('transfer', @zones))[0], 0, "$what: transfer");
        ok($lockstep->wait_serial($_, 3), "$what: $_ has the next version") for @zones;
        is($lockstep->stop, 0, "$what: lockstepd ends cleanly");
    });
};
done_testing;
