#!/usr/bin/perl
# What is known of a zone survives a restart, a kill, and the loss of the database or of the zone file; and what does not is said.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Fake;
use Lockstep;
use Process qw(free_port run_command slurp spew find_program);
use Test::More;
use Time::HiRes qw(time);
use Wire;

plan skip_all => 'lockstepd is not built' unless Lockstep::have();
plan skip_all => 'sqlite3 is not installed' unless find_program('sqlite3');
my $row = ($ENV{top_builddir} // '.') . '/t/940-row';
plan skip_all => "$row is not built" unless -x $row;

my $month = 30 * 86400;
my $fake = Fake->new(zone => 'example.', times => [ 3600, 900, $month, 300 ])->serve(serial => 5, records => ['example. 300 IN NS ns.example.']);
my $lockstep = Lockstep->new(remotes => [ Lockstep::remote('hidden', $fake) ],
    server => { limits => { connect => '1s', 'transfer-idle' => '1s' }, metrics => '127.0.0.1@' . free_port },
    templates => [ { name => 'default', primaries => ['hidden'], 'zonefile-sync' => 0, 'expire-max' => $month } ],
        zones => [ { name => 'example' } ]);
my $database = "$lockstep->{dir}/state/lockstep.db";
my $file = $lockstep->zone_file('example');

# What the daemon, which is not running, has remembered.
sub remembered {
    my ($sql) = @_;
    my ($status, $out, $said) = run_command('sqlite3', $database, $sql);
    is("$status$said", '0', 'the database can be opened with sqlite3') or BAIL_OUT($said);
    return $out;
}

# Changes it.
sub remember { remember_of($lockstep, 'example', @_) }
sub remember_of {
    my ($lockstep, $zone, @what) = @_;
    my ($status, undef, $said) = run_command($row, "$lockstep->{dir}/state", unpack('H*', Wire::name($zone)), @what);
    is($status, 0, "the row is changed: @what") or BAIL_OUT($said);
}

# The same while it is running: of a copy, since nobody else can open the database then.
sub is_remembered {
    my ($sql, $wanted) = @_;
    my $copy = "$lockstep->{dir}/copy.db";
    unlink $copy, "$copy-wal";
    spew($copy, slurp($database));
    spew("$copy-wal", slurp("$database-wal")) if -e "$database-wal";
    my (undef, $out) = run_command('sqlite3', $copy, $sql);
    return $out eq "$wanted\n";
}

sub restart {
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
    $lockstep->start;
}

# An age, or a time left, of about so many seconds.
sub about {
    my ($got, $wanted, $name) = @_;
    ok(defined $got && $got >= $wanted - 10 && $got <= $wanted + 10, $name) or diag("$name: " . ($got // 'undef') . ", not $wanted");
}

sub forget_log { spew($lockstep->{log}, '') }

$lockstep->start;
ok($lockstep->wait_serial('example', 5), 'the zone is there');
is(($lockstep->start_in_vain)[0], 1, 'a second daemon does not start meanwhile');

subtest 'all that is known of a version is there as soon as it is served' => sub {
    $lockstep->kill9;
    my ($serial, $primary, $refreshed, $expires, $next) = split /\|/, remembered('SELECT serial, primary_name, refreshed, expires, next FROM zone');
    is("$serial $primary", '5 hidden', 'its serial and whom it came from');
    about(time - $refreshed, 0, 'when that was');
    about($expires - $refreshed, $month, 'how long it lasts');
    cmp_ok($next, '>', $refreshed, 'and when the primary is asked next');
    $lockstep->start;
    ok($lockstep->wait_serial('example', 5), 'it is served again');
};

subtest 'with the primary away the zone is served from its file, as old as it is' => sub {
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
    $fake->vanish;
    like(remembered('SELECT serial, expired, written, primary_name FROM zone'), qr/^5\|0\|5\|hidden$/m, 'serials and primary are in the database');
    remember(refreshed => '-1000', changed => '-9000');
    $lockstep->start;
    ok($lockstep->wait_serial('example', 5), 'it is served');
    my $status = $lockstep->status('example');
    is($status->{state}, 'ok', 'its time to ask again has not come');
    about($status->{age}, 1000, 'its age counts on');
    about($status->{expiry}, $month - 1000, 'and so does the time to expiry');
    about($status->{changed}, 9000, 'it is known since when this version is there');
    is($status->{primary}, 'hidden', 'and whom it came from');
    is($status->{written}, 5, 'and that it is on disk');
    ok($lockstep->wait_log(qr/probe .*outcome=network/), 'the primary is asked at once');
    $lockstep->stop;
    remember(refreshed => '-10000');
    $lockstep->start;
    ok($lockstep->wait_state('example', 'stale'), 'after more than refresh and retry it is stale');
    like($lockstep->status('example')->{reason}, qr/refused/i, 'and status says why');
    is($lockstep->outcome('example', 'SOA'), 'NOERROR', 'and it is served all the same');
};

subtest 'a zone that expired while the daemon was down' => sub {
    $lockstep->stop;
    remember(refreshed => "-$month");
    forget_log();
    $lockstep->start;
    ok($lockstep->wait_outcome('example', 'SERVFAIL 24'), 'is answered with SERVFAIL and why');
    ok($lockstep->wait_state('example', 'expired'), 'its state is expired');
    is($lockstep->status('example')->{expiry}, 0, 'no time is left');
    is(scalar $lockstep->events('zone-expired', zone => 'example.', serial => 5), 1, 'the log says so');
    like(($lockstep->verb('dump', 'example'))[2], qr/expired/, 'dump says so');
    ok(-s $file, 'the file is kept');
    restart();
    ok($lockstep->wait_state('example', 'expired'), 'another restart does not bring it back');
    $fake->serve(serial => 3);
    is(($lockstep->verb('refresh', 'example'))[0], 0, 'the primary returns, with an older serial');
    is($lockstep->serial('example'), 3, 'which is taken');
    is($lockstep->state('example'), 'ok', 'and all is well');
    $fake->vanish;
    $lockstep->stop;
    remember(refreshed => '+86400');
    $lockstep->start;
    ok($lockstep->wait_state('example', 'ok'), 'a clock that went back does not make it expire');
    about($lockstep->status('example')->{age}, 0, 'nor younger than now');
    my $years = 30 * 365 * 86400;
    $lockstep->stop;
    remember(refreshed => "-$years");
    $lockstep->start;
    ok($lockstep->wait_state('example', 'expired'), 'one that went thirty years ahead does');
    is($lockstep->status('example')->{expiry}, 0, 'with no time left');
    cmp_ok($lockstep->status('example')->{age}, '>', $years - 2 * 86400, 'as old as that');
    $lockstep->stop;
    remember(refreshed => '+' . 2 * $years, expired => '=0');
    $lockstep->start;
    ok($lockstep->wait_state('example', 'ok'), 'one that went thirty years back does not');
    about($lockstep->status('example')->{age}, 0, 'it was confirmed now');
    about($lockstep->status('example')->{expiry}, $month, 'and has all its time');
    $lockstep->stop;
    remember(refreshed => '+86400', expired => '=1');
    $lockstep->start;
    ok($lockstep->wait_state('example', 'expired'), 'nor an expired zone come back');
};

subtest 'the serial was raised in the minute before a kill' => sub {
    $fake->serve(serial => 6);
    is(($lockstep->verb('refresh', 'example'))[0], 0, 'serial 6 comes');
    $lockstep->reload(templates => [ { name => 'default', primaries => ['hidden'], 'zonefile-sync' => 3600, 'expire-max' => $month } ]);
    $fake->serve(serial => 7);
    is(($lockstep->verb('refresh', 'example'))[0], 0, 'serial 7 comes, and is not yet in the file');
    ok(Process::wait_for(sub { is_remembered('SELECT serial FROM zone', 7) }), 'the database knows of it');
    is($lockstep->status('example')->{written}, 6, 'so does status');
    $lockstep->kill9;
    $fake->vanish;
    remember(refreshed => '-50');
    $lockstep->start;
    ok($lockstep->wait_serial('example', 7), 'it is served again all the same');
    my $status = $lockstep->status('example');
    is("$status->{best} $status->{durable} $status->{written}", '7 7 6', 'it is the newest, durable, and not in the file');
    is($status->{state}, 'ok', 'all is well');
    about($status->{age}, 50, 'its age counts on');
    $fake->serve(serial => 8);
    is(($lockstep->verb('refresh', 'example'))[0], 0, 'serial 8 comes');
    is(($lockstep->verb('write', 'example'))[0], 0, 'and is written');
    $lockstep->kill9;
    $fake->vanish;
    $lockstep->start;
    ok($lockstep->wait_serial('example', 8), 'what was written is there after a kill');
    is($lockstep->state('example'), 'ok', 'and is known to be the newest');
};

sub patch {
    my ($path, $at, $bytes) = @_;
    my $whole = slurp($path);
    substr $whole, $at, length $bytes, $bytes;
    spew($path, $whole);
}

subtest 'the database is gone or damaged' => sub {
    for my $case ([ 'is gone', sub { unlink $database, "$database-wal", "$database-shm" }, 0 ],
        [ 'is gone after a kill, its log is not', sub { unlink $database }, 0, 'KILL' ],
        [ 'has another schema number', sub { patch($database, 60, pack 'N', 6) }, 1 ],
        [ 'has noise in it', sub { spew($database, 'noise' x 2000) }, 1 ],
        [ 'is a directory where its log should be', sub { mkdir "$database-wal" }, undef ]) {
        my ($what, $damage, $aside, $kill) = @$case;
        $kill ? $lockstep->kill9 : $lockstep->stop;
        $damage->();
        utime time - 2000, time - 2000, $file, glob "$lockstep->{dir}/state/steps-*";
        forget_log();
        $lockstep->start;
        if (!defined $aside) {
            ok($lockstep->wait_serial('example', 8), "$what: the zone is served from its file");
            ok($lockstep->wait_log(qr/error state-write-failed copy=database why=.*lockstep\.db/), "$what: the log says what is wrong");
            is($lockstep->json('status')->{storage}{state}, 'degraded', "$what: so does status");
            rmdir "$database-wal";
            ok(Process::wait_for(sub { $lockstep->json('status')->{storage}{state} eq 'ok' }, 15), "$what: and once it is gone all is well");
            next;
        }
        ok($lockstep->wait_serial('example', 8), "$what: the zone is served from its file");
        about($lockstep->status('example')->{age}, 2000, "$what: which is as old as its file");
        my @kept = glob "$database.damaged-*";
        is(scalar(grep { !/-(?:wal|shm)$/ } @kept), $aside, $aside ? "$what: it is set aside" : "$what: nothing is set aside");
        my @said = $lockstep->events('state-damaged');
        is(scalar @said, $aside, $aside ? "$what: the log says so" : "$what: nothing is said");
        like($said[0]{msg}, qr/\Q$database\E was damaged/, "$what: and which") if $aside;
        is($lockstep->json('stats')->{storage}{begun_anew}, $aside, "$what: how often that was is counted");
        is($lockstep->metric('storage_begun_anew_total'), $aside, "$what: in the metrics too");
        unlink @kept;
    }
};

# It has the number twice, as one that was made so (zone/journal.h).
subtest 'the database was made by a newer program' => sub {
    $lockstep->stop;
    patch($database, 60, pack 'N', 3);
    patch($database, 68, pack 'N', 0x4c530003);
    my $kept = slurp($database);
    forget_log();
    $lockstep->start;
    ok($lockstep->wait_serial('example', 8), 'the zone is served from its file');
    like(join('', $lockstep->log_lines(qr/error state-write-failed copy=database /)),
        qr/made by a newer version of Lockstep \(schema 3, this one knows 2\)/, 'the log says what is wrong');
    like($lockstep->json('status')->{storage}{database_error}, qr/made by a newer version/, 'so does status');
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
    is(slurp($database), $kept, 'and has left it as it is');
    is_deeply([ glob "$database.damaged-*" ], [], 'where it is');
    patch($database, 60, pack 'N', 2);
    patch($database, 68, pack 'N', 0x4c530002);
    $lockstep->start;
    ok($lockstep->wait_serial('example', 8), 'what knows it goes on with it');
    is($lockstep->json('status')->{storage}{state}, 'ok', 'and all is well');
};

subtest 'the zone file is gone or damaged' => sub {
    my $text = slurp($file);
    for my $case ([ 'is gone', sub { unlink $file }, qr/zone-file-missing .*zone=example\./ ],
        [ 'is cut', sub { spew($file, substr $text, 0, 40) }, qr/zone-file-damaged .*why="\Q$file\E:1: / ],
        [ 'is empty', sub { spew($file, '') }, qr/zone-file-damaged .*why=".*\Q$file\E/ ],
        [ 'has a word that is no type', sub { spew($file, $text =~ s/\tNS\t/\tNOTYPE\t/r) }, qr/zone-file-damaged .*why="\Q$file\E:2: / ],
        [ 'is of another zone', sub { spew($file, $text =~ s/example\./other./gr) }, qr/zone-file-damaged .*why="\Q$file\E:1: / ],
        [ 'was edited', sub { spew($file, $text =~ s/\tNS\tns/\tNS\tother/r) }, qr/zone-file-edited .*zone=example\./ ],
        [ 'is a directory', sub { unlink $file; mkdir $file }, qr/zone-file-damaged .*why=".*\Q$file\E/ ]) {
        my ($what, $damage, $said) = @$case;
        $lockstep->stop;
        $damage->();
        forget_log();
        $lockstep->start;
        ok($lockstep->wait_log($said), "$what: the log says so") or diag($lockstep->log_text);
        is($lockstep->serial('example'), 8, "$what: the zone is served from the database");
        is($lockstep->state('example'), 'ok', "$what: the state is ok");
        if (-d $file) {
            ok(Process::wait_for(sub { $lockstep->status('example')->{file_error} }), "$what: status says what is wrong");
            rmdir $file;
            is(($lockstep->verb('write', 'example'))[0], 0, "$what: it can be written again");
        }
        ok(Process::wait_for(sub { (slurp($file) // '') eq $text }), "$what: it is written anew, as it was");
        ok(Process::wait_for(sub { !defined $lockstep->status('example')->{file_error} }), "$what: and nothing is left of the error");
    }
};

subtest 'a version that was refused' => sub {
    $fake->serve(serial => 9, axfr => sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa, 'www.example. 300 IN A 192.0.2.1', $talk->soa ]) });
    is(($lockstep->verb('refresh', 'example'))[0], 1, 'comes');
    is($lockstep->state('example'), 'rejected', 'and is refused');
    my $reason = $lockstep->status('example')->{reason};
    my $transfers = sub { return $fake->count('AXFR') + $fake->count('IXFR') };
    for my $end (qw(stop kill9)) {
        ok(Process::wait_for(sub { is_remembered('SELECT rejected FROM zone', 9) }), 'the database knows of it');
        my ($fetched, $asked) = ($transfers->(), $fake->count('SOA'));
        $lockstep->$end;
        $lockstep->start;
        ok($lockstep->wait_state('example', 'rejected'), "$end: it is known after a restart");
        is($lockstep->status('example')->{reason}, $reason, "$end: and why");
        ok($fake->wait_count(SOA => $asked + 1), "$end: the primary is asked");
        ok(Process::wait_for(sub { $lockstep->json('stats')->{transfer}{refused_again} == 1 }), "$end: it has the same");
        is($transfers->(), $fetched, "$end: which is not fetched again");
        is($lockstep->serial('example'), 8, "$end: and the zone is served as it was");
    }
    $fake->serve(serial => 10);
    is(($lockstep->verb('refresh', 'example'))[0], 0, 'a good one is taken');
    is($lockstep->state('example'), 'ok', 'and all is well');
    $fake->vanish;
    restart();
    ok($lockstep->wait_state('example', 'ok'), 'also after a restart');
};

subtest 'failures are counted on' => sub {
    $lockstep->stop;
    remember(failures => '=6');
    forget_log();
    $lockstep->start;
    ok($lockstep->wait_log(qr/probe .*outcome=network/), 'the primary does not answer');
    ok(Process::wait_for(sub { is_remembered('SELECT failures FROM zone', 7) }), 'once more');
    my $refresh = $lockstep->status('example')->{refresh};
    ok($refresh > 800 && $refresh <= 900, 'it is asked again after the retry time') or diag($refresh);
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
    my $left = remembered('SELECT next FROM zone') - time;
    ok(abs($left - $refresh) < 10, 'which is remembered') or diag($left);
    $lockstep->start;
};

subtest 'when the primary said that its copy expires' => sub {
    my $expire = sub { my ($talk, @answer) = @_; $talk->send(answer => \@answer, additional => [ Wire::raw_rr(owner => '.', type => 41, class => 1232, ttl => 0, rdata => pack('nnN', 9, 4, 5000)) ]) };
    $fake->serve(serial => 11, soa => sub { my ($talk) = @_; $expire->($talk, $talk->soa) }, 
        map { $_ => sub { my ($talk) = @_; $expire->($talk, $talk->soa, 'example. 300 IN NS ns.example.', $talk->soa) } } qw(axfr ixfr));
    restart();
    ok($lockstep->wait_serial('example', 11), 'in less than the SOA says');
    about($lockstep->status('example')->{expiry}, 5000, 'ours does too');
    $fake->vanish;
    $lockstep->stop;
    remember(refreshed => '-1000');
    $lockstep->start;
    ok($lockstep->wait_serial('example', 11), 'it is served after a restart');
    about($lockstep->status('example')->{expiry}, 4000, 'and what is left goes on');
    $lockstep->stop;
    remember(refreshed => '-5000');
    $lockstep->start;
    ok($lockstep->wait_state('example', 'expired'), 'until nothing is');
};

subtest 'both files of the roster are lost' => sub {
    $fake->serve(serial => 12);
    is(($lockstep->verb('refresh', 'example'))[0], 0, 'a new version');
    is(($lockstep->verb('hold', 'example'))[0], 0, 'hold');
    $lockstep->stop;
    spew($_, 'noise') for "$lockstep->{dir}/state/roster", "$lockstep->{dir}/zones/.lockstep-roster";
    $lockstep->start;
    ok($lockstep->wait_state('example', 'held'), 'the database knows of the hold');
    is(($lockstep->verb('release', 'example'))[0], 0, 'release');
    restart();
    ok($lockstep->wait_state('example', 'ok'), 'which lasts');
};

is($lockstep->stop, 0, 'lockstepd ends cleanly');

subtest 'many zones do not ask all at once' => sub {
    my @names = map { sprintf 'z%04d', $_ } 1 .. 1000;
    my $source = Lockstep->new(acls => [ { name => 'all', address => ['127.0.0.0/8'] } ],
        zones => [ map { { name => $_, source => 'file', 'allow-transfer' => ['all'] } } @names ]);
    $source->put_zone($_, "$_. 300 IN SOA ns.$_. host.$_. 1 3600 900 604800 300\n$_. 300 IN NS ns.$_.\n") for @names;
    my $many = Lockstep->new(remotes => [ Lockstep::remote('source', $source) ], zones => [ map { { name => $_, primaries => ['source'] } } @names ]);
    my $probes = sub { return $many->json('stats')->{transfer}{probes} };
    my $age = sub { return $many->status('z0500')->{age} };
    $_->start for $source, $many;
    ok(Process::wait_for(sub { $many->json('status')->{summary}{ok} == 1000 }, 60), 'they are here');
    is($many->stop, 0, 'it ends');
    remember_of($many, 'z0500', refreshed => '-5000', next => '-10000');
    my $began = time;
    $many->start;
    ok(Process::wait_for(sub { $age->() < 1000 }), 'one whose time had come has been asked about');
    my ($asked, $took) = ($probes->(), time - $began);
    cmp_ok($asked, '<', 500 + 300 * $took, 'when most of the others have not') or diag("$took s");
    ok(Process::wait_for(sub { $probes->() >= 1000 }), 'but in the end all have, since a NOTIFY may have come meanwhile');
    cmp_ok(time - $began, '>', 3, 'which took its time');
    is($_->stop, 0, 'it ends cleanly') for $many, $source;
};
done_testing;
