#!/usr/bin/perl
# Many zones, and primaries that are dead: those of a live one are fresh within seconds, the dead ones are asked by few, said once, and found
# again when they are back.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Fake;
use Lockstep;
use Process qw(wait_for);
use Test::More;
use Time::HiRes qw(time);
use Wire qw(raw_rr soa_rdata);

plan skip_all => 'lockstepd is not built' unless Lockstep::have();
my $seconds = 30;

# Any zone, at one serial.
sub serve_all {
    my ($fake, $serial) = @_;
    my $soa = sub { my ($talk) = @_; my $zone = $talk->{asked}{name}; raw_rr(owner => $zone, type => 'SOA', rdata => soa_rdata($zone, $serial, 10, 600, 86400, 60)) };
    my $whole = sub { my ($talk) = @_; $talk->send(answer => [ $soa->($talk), "$talk->{asked}{name} 300 IN NS ns.example.", $soa->($talk) ]) };
    $fake->serve(serial => $serial, soa => sub { my ($talk) = @_; $talk->send(answer => [ $soa->($talk) ]) }, axfr => $whole, ixfr => $whole);
}

my ($live, $dead, $silent, $gone) = map { Fake->new(address => "127.0.0.$_", forgetful => 1) } 1 .. 4;
serve_all($live, 1);
$gone->vanish;
my %zones = (both => 200, alone => 200, lost => 50, other => 50, refused => 50, twin => 50);
my %primaries = (both => [qw(dead live)], alone => ['live'], lost => ['dead'], other => ['silent'], refused => ['gone'], twin => ['second']);
my @zones = map { my $kind = $_; map { { name => "$kind$_.example", primaries => $primaries{$kind} } } 1 .. $zones{$kind} } sort keys %zones;
my $lockstep = Lockstep->new(remotes => [ Lockstep::remote(live => $live), Lockstep::remote(dead => $dead), Lockstep::remote(silent => $silent),
        Lockstep::remote(gone => $gone), Lockstep::remote(second => $silent) ], server => { limits => { 'transfer-idle' => '4s' } }, zones => \@zones,
    templates => [ { name => 'default', 'zonefile-sync' => -1 } ]);

# How many zones of a kind are at a serial.
sub fresh {
    my ($serial, @kinds) = @_;
    my $status = $lockstep->json('status') or return 0;
    my $kind = join '|', @kinds;
    return scalar grep { $_->{zone} =~ /^(?:$kind)\d/ && defined $_->{serial} && $_->{serial} == $serial } @{ $status->{zones} };
}

# Prints how long it took.
sub all_fresh {
    my ($what, $serial, @kinds) = @_;
    my ($count, $begin) = (0, time);
    $count += $zones{$_} for @kinds;
    ok(wait_for(sub { fresh($serial, @kinds) == $count }, $seconds), $what) or diag(fresh($serial, @kinds), " of $count");
    note(sprintf '%.1f s', time - $begin);
}

$lockstep->start;
all_fresh('zones of a live primary come, also where a dead one stands first', 1, qw(both alone));
serve_all($live, 2);
all_fresh('and are refreshed', 2, qw(both alone));

subtest 'what is said of the dead ones' => sub {
    ok($lockstep->wait_log(qr/ warning primary-lost primary=$_ /, 60), "$_ is lost") for qw(dead (?:silent|second) gone);
    my @lost = $lockstep->log_lines(qr/ primary-lost /);
    cmp_ok(scalar @lost, '<=', 6, 'once, for transfers and for questions') or diag(join "\n", @lost);
    my @failures = $lockstep->log_lines(qr/ (?:transfer|probe) .*outcome=network/);
    cmp_ok(scalar @failures, '<=', 8, 'and not for each zone and try') or diag(join "\n", @failures);
    my $status = $lockstep->status('lost7.example');
    is($status->{state}, 'empty', 'a zone that was never loaded says so');
    like($status->{reason} // '', qr/answer/, 'and why') or diag(explain($status));
    is($status->{primaries}[0]{health}, $_, "its primary is $_") for grep { /^(?:held|trial|late)$/ } $status->{primaries}[0]{health} // 'unknown';
    cmp_ok($lockstep->json('stats')->{transfer}{primaries_lost}, '>=', 3, 'they are counted');
};

subtest 'a dead one that is back' => sub {
    serve_all($_, 7) for $gone, $silent;
    ok($lockstep->wait_log(qr/ notice primary-back primary=$_ /, 150), "$_ is found again") for qw(gone (?:silent|second));
    all_fresh('all its zones follow, and those that have its address under another name', 7, qw(refused other twin));
    my @back = $lockstep->log_lines(qr/ primary-back /);
    cmp_ok(scalar @back, '<=', 4, 'and one line says so') or diag(join "\n", @back);
};

subtest 'the NOTIFY of a dead one' => sub {
    serve_all($dead, 9);
    ok(defined $dead->notify($lockstep->at, zone => 'lost1.example.', serial => 9), 'it announces one of its zones');
    ok($lockstep->wait_serial('lost1.example', 9), 'which is asked for at once');
    all_fresh('all others follow', 9, 'lost');
};
is($lockstep->stop, 0, 'lockstepd ends cleanly');
done_testing;
