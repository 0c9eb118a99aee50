#!/usr/bin/perl
# The life of a zone whose SOA counts in seconds, and the word that `status` has for each part of it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Fake;
use Lockstep;
use Process qw(spew wait_for);
use Test::More;
use Time::HiRes qw(time);
use Wire;

plan skip_all => 'lockstepd is not built' unless Lockstep::have();

my %primary = map { $_ => Fake->new(zone => "$_.", times => [ 1, 1, 4, 300 ]) } qw(short never slow bad);
my $lockstep = Lockstep->new(remotes => [ map { Lockstep::remote($_, $primary{$_}) } sort keys %primary ],
    server => { limits => { connect => '5s', 'transfer-idle' => '30s' } },
    templates => [ { name => 'default', 'refresh-min' => 1, 'retry-min' => 1 } ],
    zones => [ map { { name => $_, primaries => [$_], $_ eq 'short' ? () : ('refresh-min' => '1h', 'retry-min' => '1h', 'expire-min' => '1h') } } sort keys %primary ]);
my %records = map { $_ => ["$_. 300 IN NS ns.$_."] } keys %primary;
my %seen;

sub state_of {
    my ($zone) = @_;
    my $status = $lockstep->status($zone);
    $seen{ $status->{state} }++;
    return $status;
}

# What must be so at any moment, whatever the state is. (A state is shown a moment later than it came about.)
sub true_to_itself {
    my ($status, $since) = @_;
    my ($state, $age, $left) = @$status{qw(state age expiry)};
    return "$state, but what is served is " . ($status->{serial} // 'nothing') if ($state eq 'expired') != !defined $status->{serial};
    return "$state after $age s" if $state eq 'ok' && $age > 3 || $state eq 'stale' && $age < 2;
    return "$state with $left s left" if $state eq 'expired' && $left > 0;
    return "age $age, $left s left" if $age + $left > 4;
    return undef;
}

$primary{short}->serve(serial => 1, records => $records{short});
$primary{slow}->serve(serial => 1, records => $records{slow});
$primary{bad}->serve(serial => 1, records => $records{bad});
$primary{never}->vanish;
$lockstep->start;
ok($lockstep->wait_serial($_, 1), "$_ is there") for qw(short slow bad);

subtest 'empty: never loaded' => sub {
    my $status = state_of('never');
    is($status->{state}, 'empty', 'the state');
    is($status->{serial}, undef, 'no serial');
    is($lockstep->outcome('never'), 'SERVFAIL 14', 'SERVFAIL, not ready');
    is($lockstep->outcome('www.never', 'A'), 'SERVFAIL 14', 'below it too');
    ok(wait_for(sub { ($status = state_of('never'))->{reason} }), 'after the first failure there is a reason');
    is($status->{expiry}, undef, 'nothing can expire');
};

subtest 'ok: refreshed again and again' => sub {
    my $asked = $primary{short}->count('SOA');
    ok($primary{short}->wait_count('SOA', $asked + 2), 'the primary is asked each second');
    my $status;
    ok(wait_for(sub { $status = state_of('short'); $status->{state} eq 'ok' && $status->{age} <= 1 }), 'the state; it was confirmed a moment ago');
    cmp_ok($status->{expiry}, '>=', 2, 'and will not expire soon');
    is($status->{reason}, undef, 'there is nothing to say');
};

subtest 'stale, expired, and back' => sub {
    my $began = time;
    my (%when, @wrong, $warned);
    $primary{short}->vanish;
    ok(wait_for(sub {
        my $status = state_of('short');
        $warned ||= $status->{state} eq 'ok' && ($status->{reason} // '') =~ /refused/i;
        my $wrong = true_to_itself($status);
        push @wrong, $wrong if $wrong;
        $when{ $status->{state} } //= time - $began;
        return $status->{state} eq 'expired';
    }), 'it expires');
    is("@wrong", '', 'the state is true to the times at every moment');
    ok($warned, 'the first failure is shown while all is well yet');
    ok($when{stale}, 'it was stale before');
    cmp_ok($when{expired}, '>', 2.5, 'not too early');
    cmp_ok($when{expired}, '<', 30, 'nor too late');
    like($lockstep->status('short')->{reason}, qr/refused/i, 'status says why');
    is($lockstep->outcome('short'), 'SERVFAIL 24', 'SERVFAIL, and it is said that the data is invalid');
    is($lockstep->outcome('www.short', 'A'), 'SERVFAIL 24', 'for what is below it too');
    is($lockstep->outcome('slow'), 'NOERROR', 'the others are served');
    my $bytes = (Wire::ask_tcp($lockstep->at, Wire::message(question => Wire::question('short', 'AXFR'))))[0];
    is(Wire::parse($bytes)->{rcode}, 5, 'no transfers out, though that is for another reason');
    my ($status, $out, $said) = $lockstep->verb('transfer', 'short');
    is($status, 1, 'transfer fails');
    like($said, qr/refused/i, 'and says why');
    $primary{short}->serve(serial => 1, records => $records{short});
    ok($lockstep->wait_outcome('short', 'NOERROR'), 'the primary comes back, and so does the zone, by itself');
    is(state_of('short')->{state}, 'ok', 'the state is ok');
    is(scalar $lockstep->events('zone-expired'), 1, 'the log says that it expired, once');
    is(scalar $lockstep->events('zone-revived'), 1, 'and that it came back');
};

subtest 'an expired zone is taken at any serial' => sub {
    $primary{short}->serve(serial => 2, records => $records{short}, times => [ 1, 1, 2, 300 ]);
    ok($lockstep->wait_serial('short', 2), 'the SOA counts in even fewer seconds');
    $primary{short}->vanish;
    ok($lockstep->wait_state('short', 'expired'), 'it expires');
    $primary{short}->serve(serial => 2 + 2 ** 31, records => $records{short});
    ok($lockstep->wait_serial('short', 2 + 2 ** 31), "one is taken that is neither older nor newer");
};

subtest 'refreshing: a transfer is under way' => sub {
    my $seen = "$lockstep->{dir}/seen";
    $primary{slow}->serve(serial => 2, axfr => sub {
        my ($talk) = @_;
        $talk->send(answer => [ $talk->soa, @{ $records{slow} } ]);
        for (1 .. 200) { last if -e $seen; $talk->pause(0.1) }
        $talk->send(answer => [ $talk->soa ]);
    });
    $primary{slow}->notify($lockstep->at);
    ok($lockstep->wait_state('slow', 'refreshing'), 'the state');
    my $status = state_of('slow');
    is($status->{serial}, 1, 'the old version is served');
    is($status->{best}, 2, 'it is known what comes');
    is($status->{refresh}, 0, 'the refresh is now');
    spew($seen, '');
    ok($lockstep->wait_serial('slow', 2), 'the new one comes');
    ok(wait_for(sub { state_of('slow')->{state} eq 'ok' }), 'and all is well');
};

subtest 'lagging: a primary has more than we have' => sub {
    $primary{bad}->serve(serial => 2, axfr => sub { $_[0]->send(rcode => 5) });
    is(($lockstep->verb('refresh', 'bad'))[0], 1, 'the primary shows serial 2, but gives no transfer');
    my $status = state_of('bad');
    is($status->{state}, 'lagging', 'the state');
    is($status->{best}, 2, 'the best known serial');
    like($status->{reason}, qr/REFUSED/, 'the reason');
    is($lockstep->serial('bad'), 1, 'the old version is served');
    $primary{bad}->notify($lockstep->at, serial => 7);
    ok(wait_for(sub { ($status = state_of('bad'))->{best} == 7 }), 'a NOTIFY announces serial 7');
    # A transfer is tried at once; when it has failed again, the zone lags.
    ok(wait_for(sub { ($status = state_of('bad'))->{state} ne 'refreshing' }), 'the transfer that follows ends');
    is($status->{state}, 'lagging', 'and the zone lags');
};

subtest 'rejected: what was offered is not acceptable' => sub {
    $primary{bad}->serve(serial => 8, records => [ 'other. 300 IN A 192.0.2.1' ]);
    my ($exit, $out, $said) = $lockstep->verb('transfer', 'bad');
    is($exit, 1, 'transfer fails');
    my $status = state_of('bad');
    is($status->{state}, 'rejected', 'the state');
    like($status->{reason}, qr/other\./, 'the reason names the record');
    is($status->{last_failure}{reason}, $status->{reason}, 'so does the last failure');
    $primary{bad}->vanish;
    ($exit, undef, $said) = $lockstep->verb('refresh', 'bad');
    is($exit, 1, 'the primary goes away');
    like($said, qr/bad\.: UDP: \Q@{[ $primary{bad}->at ]}\E: Connection refused/, 'which address refused is said');
    $status = state_of('bad');
    is($status->{state}, 'rejected', 'it stays rejected');
    like($status->{reason}, qr/other\./, 'and why');
    like($status->{primaries}[0]{error}, qr/refused/i, 'of the primary the last error is shown');
    $primary{bad}->serve(serial => 9, records => $records{bad});
    is(($lockstep->verb('transfer', 'bad'))[0], 0, 'a good version comes');
    $status = state_of('bad');
    is("$status->{state} $status->{serial}", 'ok 9', 'and all is well');
    is($status->{reason}, undef, 'without a reason');
    is($status->{primaries}[0]{error}, undef, 'nor an error of the primary');
};

subtest 'other clamps count at once' => sub {
    $primary{short}->vanish;
    ok($lockstep->wait_state('short', 'expired'), 'a zone expires while its primary is away');
    my @zones = @{ $lockstep->{conf}{zones} };
    my @longer = map { $_->{name} eq 'short' ? { %$_, 'expire-min' => '1d' } : $_ } @zones;
    is(($lockstep->reload(zones => \@longer))[0], 0, 'the operator lets it live a day longer');
    is($lockstep->outcome('short'), 'NOERROR', 'and it is served again');
    is($lockstep->state('short'), 'stale', 'though stale');
    is(($lockstep->reload(zones => \@zones))[0], 0, 'a day less');
    ok($lockstep->wait_outcome('short', 'SERVFAIL 24'), 'and it expires');
};

my $summary = $lockstep->json('status')->{summary};
is_deeply($summary, { zones => 4, ok => $summary->{ok}, refreshing => $summary->{refreshing}, lagging => 0, stale => 0, rejected => 0, expired => 1,
    empty => 1, held => 0 }, 'the summary counts each zone once');
is($summary->{ok} + $summary->{refreshing}, 2, 'and all of them');
is(join(' ', sort grep { $_ ne 'held' } keys %seen), 'empty expired lagging ok refreshing rejected stale', 'every state was seen');
is($lockstep->stop, 0, 'lockstepd ends cleanly');
done_testing;
