#!/usr/bin/perl
# The disk fails under lockstepd (t/faults.c): full, read-only, broken, an fsync that fails, a database that is damaged while it
# is in use; or the process ends at any of its calls to the disk. It goes on serving what it has, says what is wrong, and is well
# again when the disk is.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Dump qw(same_zone);
use Faults;
use History;
use Lockstep;
use Mirror qw(same_answers);
use Process qw(run_command slurp spew wait_for);
use Test::More;
use Wire;

plan skip_all => 'lockstepd is not built' unless Lockstep::have();
plan skip_all => 't/faults.so is not built' unless Faults::have();
my $seed = History::seed();
my $history = History->new(seed => $seed, zones => [ 'example.', 'at-once.example.' ])->serve;
my %sync = ('example.' => 3600, 'at-once.example.' => 0);
my @zones = sort keys %sync;

sub new_lockstep {
    return Lockstep->new(remotes => [ Lockstep::remote('hidden', $history) ],
        acls => [ { name => 'all', address => [ '127.0.0.0/8' ], action => 'allow' } ],
        server => { limits => { connect => '1s', 'transfer-idle' => '1s' } },
        zones => [ map { { name => $_, primaries => ['hidden'], 'zonefile-sync' => $sync{$_}, 'allow-transfer' => ['all'] } } @zones ]);
}

sub next_serial {
    my ($lockstep, $zone) = @_;
    my $serial = $history->advance($zone);
    $history->notify($lockstep->at, $zone);
    return $serial;
}

sub serves {
    my ($lockstep, $zone, $serial, $name) = @_;
    my ($got, $records) = History::served($lockstep->at, $zone);
    is($got, $serial, $name) and same_zone($records, $history->version($zone, $got), "$name: and all of it");
}

# After the daemon was killed and the primary went, the zones are there.
sub is_durable {
    my ($lockstep, $name) = @_;
    my %wanted = map { $_ => $lockstep->serial($_) } @zones;
    $lockstep->kill9;
    $history->vanish;
    $lockstep->start;
    serves($lockstep, $_, $wanted{$_}, "$name: $_ after a kill") for @zones;
    $lockstep->kill9;
    $history->serve;
}

my $metrics = '127.0.0.1@' . Process::free_port();

sub http_get {
    my ($at, $path) = @_;
    my $socket = Wire::socket_to($at, IO::Socket::SOCK_STREAM()) or return '';
    $socket->syswrite("GET $path HTTP/1.0\r\n\r\n");
    local $/;
    return scalar(<$socket>) // '';
}

sub storage { my ($lockstep) = @_; return $lockstep->json('status')->{storage} }

my @at = (log => '*/state/steps-*', database => '*/state/lockstep.db*');

# One of the two copies fails: nothing is refused, and it is said.
for my $case ([ 'log', 'the log cannot be synced', 'sync */state/steps-* 1+ EIO', qr/Input\/output/ ],
    [ 'log', 'there is no room for the log', 'write */state/steps-* 1+ ENOSPC', qr/No space/ ],
    [ 'log', 'the log cannot be opened', 'open */state/steps-* 1+ EACCES', qr/Permission/, 1 ],
    [ 'database', 'the database cannot be synced', 'sync */state/lockstep.db* 1+ EIO', qr/I\/O/ ],
    [ 'database', 'there is no room for the database', 'write */state/lockstep.db* 1+ ENOSPC', qr/full/ ]) {
    my ($copy, $what, $rule, $said, $at_start) = @$case;
    subtest $what => sub {
        my ($lockstep, $faults) = (new_lockstep(), Faults->new);
        $faults->set($rule) if $at_start;
        $lockstep->{conf}{server}{metrics} = $metrics;
        $lockstep->start($faults->command);
        $lockstep->wait_serial($_, $history->serial($_)) for @zones;
        is(storage($lockstep)->{state}, 'ok', 'before, all is well') unless $at_start;
        $faults->set($rule) unless $at_start;
        my $serial = next_serial($lockstep, 'example.');
        ok($lockstep->wait_serial('example.', $serial), 'the next version is served: the other copy has it');
        ok(wait_for(sub { scalar $faults->fired }, 30), 'the fault came about');
        ok($lockstep->wait_log(qr/error state-write-failed copy=$copy why=.*$said/), 'the log says so');
        my $storage = storage($lockstep);
        is($storage->{state}, 'degraded', 'status says so');
        like($storage->{"${copy}_error"} // '', $said, 'and what it is');
        my %metric = map { /^lockstep_storage_ok\{copy="(\w+)"\} (\d)/ ? ($1 => $2) : () } split /\n/, http_get($metrics, '/metrics');
        is_deeply(\%metric, { database => $copy eq 'log' ? 1 : 0, log => $copy eq 'log' ? 0 : 1 }, 'so do the metrics');
        is_durable($lockstep, $what);
        my $failed = () = $lockstep->log_lines(qr/error state-write-failed copy=$copy /);
        $lockstep->start($faults->command);
        my $again = sub { $lockstep->wait_serial('example.', next_serial($lockstep, 'example.'))
            && $lockstep->log_lines(qr/error state-write-failed copy=$copy /) > $failed };
        ok(wait_for($again, 90), 'and again, whenever the copy that fails is written');
        $faults->clear;
        ok(wait_for(sub { storage($lockstep)->{state} eq 'ok' }, 60), 'the disk is well again: so is the state, by itself');
        ok($lockstep->wait_log(qr/notice state-write-mended copy=$copy/), 'the log says so');
        is_durable($lockstep, "$what, mended");
    };
}

subtest 'both copies fail' => sub {
    my ($lockstep, $faults) = (new_lockstep(), Faults->new);
    $lockstep->start($faults->command);
    $lockstep->wait_serial($_, $history->serial($_)) for @zones;
    my $old = $history->serial('example.');
    for my $error (qw(ENOSPC EIO EROFS)) {
        $faults->set(map { "write */state/$_* 1+ $error" } 'steps-', 'lockstep.db');
        my $next = next_serial($lockstep, 'example.');
        ok($lockstep->wait_log(qr/error version-not-kept zone=example\. serial=$next why=/), "$error: the new version is refused, the log says so");
        my @came = $lockstep->wait_events(1, 'transfer', zone => 'example.', new => $next);
        is("$came[0]{outcome} $came[0]{why}" =~ /^not-kept \S/ && @came, 1, "$error: so does the line of the transfer") or diag(explain(\@came));
        serves($lockstep, 'example.', $old, "$error: the old one is served");
        my $status = $lockstep->status('example');
        is("$status->{state} $status->{best} $status->{durable}", "lagging $next $old", "$error: status shows the newer serial and the durable one");
        ok($status->{reason}, "$error: and why");
        my $storage = storage($lockstep);
        ok($storage->{database_error} && $storage->{log_error}, "$error: both copies are named");
        ok($lockstep->json('stats')->{storage}{failed}, "$error: and counted");
        is(($lockstep->verb('transfer', 'example'))[0], 1, "$error: transfer fails");
        $faults->clear;
        is(($lockstep->verb('transfer', 'example'))[0], 0, "$error: mended, it succeeds") or diag($lockstep->log_text);
        is($lockstep->serial('example.'), $next, "$error: and the version is served");
        $old = $next;
        ok(wait_for(sub { storage($lockstep)->{state} eq 'ok' }, 60), "$error: all is well");
    }
    is_durable($lockstep, 'afterwards');
};

subtest 'what is purged cannot be forgotten' => sub {
    my ($lockstep, $faults) = (new_lockstep(), Faults->new);
    $lockstep->start($faults->command);
    $lockstep->wait_serial($_, $history->serial($_)) for @zones;
    is(($lockstep->verb('write', '--all'))[0], 0, 'the files are written');
    for my $case ([ 'the database', 'write */state/lockstep.db* 1+ EIO' ], [ 'the zone file', 'unlink *example.zone 1+ EIO' ]) {
        my ($what, $rule) = @$case;
        $faults->set($rule);
        my ($status, $out, $said) = $lockstep->verb('purge', 'example');
        is($status, 1, "$what: purge fails");
        like($said, qr/^lockstep: purge: example\.: it begins anew, but what was kept of it may come back with a restart: /,
            "$what: and says what that means");
        ok($lockstep->wait_serial('example.', $history->serial('example.')), "$what: the zone comes anew all the same");
        $faults->clear;
        ok(wait_for(sub { ($lockstep->verb('purge', 'example'))[0] == 0 }, 15), "$what: once the disk is well again it succeeds");
        ok($lockstep->wait_serial('example.', $history->serial('example.')), "$what: and the zone comes again");
    }
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
};

subtest 'what is removed cannot be forgotten' => sub {
    my ($lockstep, $faults) = (new_lockstep(), Faults->new);
    my @known = @{ $lockstep->{conf}{zones} };
    $lockstep->{conf}{zones} = [ grep { $_->{name} ne 'example.' } @known ];
    $lockstep->{conf}{templates} = [ { name => 'default', primaries => ['hidden'] } ];
    $lockstep->start($faults->command);
    for my $case ([ 'the database', 'write */state/lockstep.db* 1+ EIO' ], [ 'the zone file', 'unlink *example.zone 1+ EIO' ], ['nothing']) {
        my ($what, $rule) = @$case;
        is(($lockstep->verb('add', 'example'))[0], 0, "$what: a zone is added");
        ok($lockstep->wait_serial('example.', $history->serial('example.')), "$what: it comes");
        is(($lockstep->verb('write', 'example'))[0], 0, "$what: its file is written");
        $faults->set($rule) if $rule;
        my ($status, undef, $said) = $lockstep->verb('remove', 'example');
        is($status, $rule ? 1 : 0, $rule ? "$what: it fails, and so does remove" : 'remove goes well where nothing fails');
        like($said, qr/^lockstep: remove: example\.: it is removed, but what was kept of it is not all gone: \S/, "$what: and says why") if $rule;
        is(($lockstep->verb('status', 'example'))[0], 1, "$what: the zone is there no more");
        $faults->clear;
        ok(wait_for(sub { storage($lockstep)->{state} eq 'ok' }, 60), "$what: once the disk is well again the state is too, though nothing was left to write");
    }
    ok(!-e $lockstep->zone_file('example'), 'nor is its file');
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
};

subtest 'a state-dir that cannot be written at the start' => sub {
    my ($lockstep, $faults) = (new_lockstep(), Faults->new);
    $lockstep->start($faults->command);
    $lockstep->wait_serial($_, $history->serial($_)) for @zones;
    is(($lockstep->verb('write', '--all'))[0], 0, 'the files are written');
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
    $history->vanish;
    $faults->set(map { "$_ */state/* 1+ EROFS" } qw(open write rename mkdir unlink));
    my $began = $lockstep->log_lines(qr/./);
    $lockstep->start($faults->command);
    for (@zones) { ok($lockstep->wait_serial($_, $history->serial($_)), "$_ is served") }
    is(storage($lockstep)->{state}, 'degraded', 'status says that it is degraded');
    ok($lockstep->wait_log(qr/error state-write-failed /), 'so does the log');
    like(($lockstep->verb('status'))[1], qr/^# state-dir degraded: /m, 'and the table');
    $history->serve;
    my $serial = next_serial($lockstep, 'example.');
    ok($lockstep->wait_serial('example.', $serial), 'the next version is served');
    like(slurp($lockstep->zone_file('example')), qr/\sSOA\s\S+\s\S+\s$serial\s/, 'and is in its file first, as there is nothing else');
    $lockstep->kill9;
    $history->vanish;
    $faults->clear;
    $lockstep->start($faults->command);
    serves($lockstep, 'example.', $serial, 'after a kill it is not taken for a file that was edited');
    $lockstep->kill9;
    $history->serve;
    $faults->set(map { "$_ */state/* 1+ EROFS" } qw(open write rename mkdir unlink));
    $lockstep->start($faults->command);
    $serial = next_serial($lockstep, 'example.');
    ok($lockstep->wait_serial('example.', $serial), 'once more');
    $faults->clear;
    ok(wait_for(sub { storage($lockstep)->{state} eq 'ok' }, 60), 'once it can be written all is well');
    is_durable($lockstep, 'afterwards');
};

subtest 'the database is damaged under the daemon' => sub {
    my $lockstep = new_lockstep();
    $lockstep->{conf}{server}{metrics} = $metrics;
    $lockstep->start;
    $lockstep->wait_serial($_, $history->serial($_)) for @zones;
    for my $name ('lockstep.db', 'lockstep.db-wal') {
        my $file = "$lockstep->{dir}/state/$name";
        next unless -s $file;
        open my $handle, '+<', $file or die $!;
        syswrite $handle, 'noise' x (1 + (-s $file) / 5);
        close $handle;
    }
    for (1 .. 30) {
        next_serial($lockstep, $_) for @zones;
        $lockstep->wait_serial($_, $history->serial($_)) for @zones;
    }
    serves($lockstep, $_, $history->serial($_), 'versions come and are served') for @zones;
    same_answers($lockstep, $_, $_) for @zones;
    my $begun_anew = sub { $lockstep->json('stats')->{storage}{begun_anew} };
    for (1 .. 20) {      # what is in memory is looked for on the disk again after a moment without versions
        last if wait_for($begun_anew, 2);
        $lockstep->wait_serial('example.', next_serial($lockstep, 'example.'));
    }
    cmp_ok($begun_anew->(), '>', 0, 'it was begun anew, which is counted');
    is($lockstep->metric('storage_begun_anew_total'), $begun_anew->(), 'in the metrics too');
    ok($lockstep->wait_log(qr/error state-damaged msg=".*lockstep\.db was damaged: it was set aside and begun anew"/), 'and the log says so');
    ok(wait_for(sub { storage($lockstep)->{state} eq 'ok' }), 'all is well again');
    is_durable($lockstep, 'and they are durable');
};

# One change, and the end at each call to the disk in turn.
subtest 'the process ends at any call to the disk' => sub {
    my $lockstep = new_lockstep();
    my $faults = Faults->new;
    my @moments = $ENV{LONG} ? 1 .. 120 : sort { $a <=> $b } map { 1 + int rand 60 } 1 .. 12;
    my $killed = 0;
    for my $n (@moments) {
        for my $what ('KILL', 'TORN') {
            $lockstep->start($faults->command);
            $lockstep->wait_serial($_, $history->serial($_)) for @zones;
            my %seen = map { $_ => $history->serial($_) } @zones;
            $faults->set("any */state/* $n $what", "any */zones/* $n $what");
            for (1 .. 10) {
                last unless $lockstep->running;
                my $zone = $zones[ rand @zones ];
                my $serial = next_serial($lockstep, $zone);
                my $got;
                wait_for(sub { !$lockstep->running || ($got = $lockstep->serial($zone) // 0) == $serial }, 3);
                $seen{$zone} = $got if $got && $got > $seen{$zone};
            }
            $killed++ if $faults->fired;
            $lockstep->kill9;
            $history->vanish;
            $faults->clear;
            $lockstep->start;
            for my $zone (@zones) {
                my ($serial, $records) = History::served($lockstep->at, $zone);
                cmp_ok($serial // 0, '>=', $seen{$zone}, "$what at call $n: $zone, the last serial that was seen, or a later one")
                    or diag($lockstep->log_text), last;
                same_zone($records, $history->version($zone, $serial), "$what at call $n: $zone, what the primary had at serial $serial");
            }
            $lockstep->kill9;
            $history->serve;
            return unless Test::More->builder->is_passing;
        }
    }
    cmp_ok($killed, '>', @moments, 'most of the times it was killed so');
};
done_testing;
