#!/usr/bin/perl
# Two copies of each zone: the database, and the zone file with the log of steps. Either may be damaged or gone: with the primary away each zone
# is served at its last durable version, what was wrong is said, and the copy is mended, so that the other one may be lost next.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Dump qw(same_zone);
use History;
use Lockstep;
use Mirror qw(same_answers);
use Process qw(free_port run_command slurp spew find_program wait_for work_dir);
use Test::More;
use Wire;

plan skip_all => 'lockstepd is not built' unless Lockstep::have();
plan skip_all => 'sqlite3 is not installed' unless find_program('sqlite3');
my $seed = History::seed();

# In its file; behind it by some steps; by a great many; without a file.
my %sync = ('level.example.' => 0, 'behind.example.' => 3600, 'far.example.' => 3600, 'never.example.' => -1);
my @zones = sort keys %sync;
my $history = History->new(seed => $seed, zones => \@zones, slots => 200)->serve;
my $lockstep = Lockstep->new(remotes => [ Lockstep::remote('hidden', $history) ],
    acls => [ { name => 'all', address => [ '127.0.0.0/8' ], action => 'allow' } ],
    server => { metrics => '127.0.0.1@' . free_port, limits => { connect => '1s', 'transfer-idle' => '1s' } },
    zones => [ map { { name => $_, primaries => ['hidden'], 'zonefile-sync' => $sync{$_}, 'allow-transfer' => ['all'], 'refresh-min' => '1h' } } @zones ]);
my ($state, $files) = map { "$lockstep->{dir}/$_" } qw(state zones);
my $database = "$state/lockstep.db";
my %wanted;

sub file_of { my ($zone) = @_; return $lockstep->zone_file($zone =~ s/\.$//r) }

sub next_serial {
    my ($zone, $steps) = @_;
    $history->advance($zone, $steps);
    $history->notify($lockstep->at, $zone);
    return $lockstep->wait_serial($zone, $history->serial($zone));
}

$lockstep->start;
$lockstep->wait_serial($_, 1) or BAIL_OUT("$_ is not served") for @zones;
next_serial($_, 3) for @zones;
is(($lockstep->verb('write', 'behind.example', 'far.example'))[0], 0, 'two zone files are written');
next_serial($_) for @zones, @zones;
next_serial('far.example.', 5) for 1 .. 20;
is(wait_for(sub { ($lockstep->status('level.example') // {})->{written} }), $history->serial('level.example.'), 'one zone file is level');
$wanted{$_} = $history->serial($_) for @zones;
$history->vanish;

# As a kill left it.
$lockstep->kill9;
my $kept = work_dir('kept');
run_command('cp', '-a', $state, $files, $kept);

sub restore {
    my ($from) = @_;
    run_command('rm', '-r', $state, $files);
    run_command('cp', '-a', map({ "$from/$_" } qw(state zones)), $lockstep->{dir});
}

sub all_served {
    my ($what, %but) = @_;
    my $good = 1;
    for my $zone (@zones) {
        my $serial = exists $but{$zone} ? $but{$zone} : $wanted{$zone};
        if (!defined $serial) {
            $good &= is($lockstep->outcome($zone), 'SERVFAIL 14', "$what: $zone is not there, and answers say so");
            $good &= ok($lockstep->status($zone)->{reason}, "$what: so does status of $zone");
            next;
        }
        wait_for(sub { defined $lockstep->serial($zone) });
        my ($got, $records) = History::served($lockstep->at, $zone);
        $good &= is($got, $serial, "$what: $zone is served at its last durable serial");
        $good &= same_zone($records, $history->version($zone, $got), "$what: and it is what the primary had") if defined $got;
    }
    diag(join "\n", grep { / (?:warning|error|info) / } split /\n/, $lockstep->log_text) unless $good;
    return $good;
}

# How often one of these has been counted, as metrics and stats say, once they agree that it was; else 0.
sub counted {
    my (@names) = @_;
    my $sum = 0;
    wait_for(sub {
        my $stats = $lockstep->json('stats');
        $sum = 0;
        for (@names) {
            my ($group, $name) = /^storage_(.*)/ ? ('storage', $1) : ('files', $_);
            my $value = $stats->{$group}{$name} // return 0;
            return 0 unless $value == ($lockstep->metric("${_}_total") // -1);
            $sum += $value;
        }
        return $sum;
    }) or return 0;
    return $sum;
}

sub forget_log { spew($lockstep->{log}, '') }

# What changes a file: it gets its bytes and returns others, or undef to remove it.
sub change {
    my ($change, @paths) = @_;
    for my $path (grep { -e } @paths) {
        my $bytes = $change->(slurp($path));
        defined $bytes ? spew($path, $bytes) : unlink $path;
    }
}

sub flip {
    my ($bytes, $times) = @_;
    return $bytes unless length $bytes;
    for (1 .. $times // 1) { my $at = int rand length $bytes; substr($bytes, $at, 1) = chr(ord(substr $bytes, $at, 1) ^ 1 << int rand 8) }
    return $bytes;
}

my %change = (
    'removed' => sub { undef },
    'empty' => sub { '' },
    'cut' => sub { substr $_[0], 0, int rand length $_[0] },
    'flipped in one bit' => sub { flip($_[0]) },
    'flipped in many bits' => sub { flip($_[0], 100) },
    'noise' => sub { join '', map { chr rand 256 } 1 .. 20_000 },
);

sub database_files { return ($database, "$database-wal") }
sub other_files { return ((grep { -e } map { file_of($_) } @zones), glob "$state/steps-*") }

# After this damage all zones are served, and it is said if it is known for sure to be seen; then all of the other copy is lost,
# and they are served still.
sub survives {
    my ($what, $damage, $lose, $said) = @_;
    restore($kept);
    $damage->();
    forget_log();
    $lockstep->start;
    my $good = all_served($what);
    if ($said) {
        ok($lockstep->wait_log($said), "$what: and the log says so");
        cmp_ok(counted($said =~ /zone-file/ ? qw(files_missing files_damaged files_edited) : qw(storage_damaged storage_begun_anew)), '>', 0, "$what: so do stats and metrics");
    }
    is($lockstep->stop, 0, "$what: lockstepd ends cleanly");
    return unless $good;
    $lose->();
    forget_log();
    $lockstep->start;
    all_served("$what, mended, then the other copy is lost");
    $lockstep->kill9;
}

my $lose_database = sub { unlink $database, "$database-wal", "$database-shm" };
my $lose_files = sub { unlink other_files() };

# What cannot be overlooked. A cut or a bit may be where nothing was, and a database that is gone may never have been.
my $bad_file = qr/ error zone-file-damaged zone=\w+\.example\. /;
my $other_file = qr/ (?:error zone-file-damaged|warning zone-file-edited) zone=\w+\.example\. /;
my %file_said = ('removed' => qr/ warning zone-file-missing zone=\w+\.example\. /, 'empty' => $bad_file, 'noise' => $bad_file,
    'cut' => $other_file, 'flipped in many bits' => $other_file);
my %log_said = map { $_ => qr/ error state-damaged places=\d+ octets=\d+ msg=/ } 'noise', 'flipped in many bits';
my %database_said = ('noise' => qr/ error state-damaged msg=".*\Q$database\E was damaged/);

for my $how (sort keys %change) {
    survives("the database is $how", sub { change($change{$how}, database_files()); unlink "$database-shm" if $how eq 'removed' },
        $lose_files, $database_said{$how});
    survives("the zone files are $how", sub { change($change{$how}, map { file_of($_) } @zones) }, $lose_database, $file_said{$how});
    survives("the log of steps is $how", sub { change($change{$how}, glob "$state/steps-*") }, $lose_database, $log_said{$how});
    survives("zone files and log are $how", sub { change($change{$how}, other_files()) }, $lose_database, $file_said{$how});
}
for my $at (18, 19, 63, 71) {
    survives("a bit is flipped in octet $at of the database's head",
        sub { change(sub { my $bytes = $_[0]; substr($bytes, $at, 1) ^= "\4"; $bytes }, $database) }, $lose_files);
}
survives('zone files are cut at a line\'s end',
    sub { change(sub { my @lines = $_[0] =~ /^.*\n/mg; join '', @lines[0 .. $#lines / 2] }, map { file_of($_) } @zones) },
    $lose_database, $other_file);
survives('zone files are edited', sub { change(sub { $_[0] =~ s/ at /  at /gr }, map { file_of($_) } @zones) }, $lose_database, $other_file);

subtest 'a zone file that was edited is not served, and that is said' => sub {
    restore($kept);
    change(sub { $_[0] . "new.level.example.\t300\tIN\tA\t192.0.2.1\n" }, file_of('level.example.'));
    forget_log();
    $lockstep->start;
    all_served('edited');
    ok($lockstep->wait_log(qr/ zone-file-edited .*zone=level\.example\./), 'the log says so');
    ok(wait_for(sub { slurp(file_of('level.example.')) !~ /^new\./m }), 'the file is brought back');
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
};

subtest 'what is wrong with a zone file is in log, status and metrics, until it is well' => sub {
    my $zone = 'never.example.';                   # its file is written when somebody says so, not before
    my $file = file_of($zone);
    my $noise = sub { change($change{noise}, $file) };
    restore($kept);
    $lockstep->start;
    all_served('before');
    is(($lockstep->verb('write', $zone))[0], 0, 'the file is written');
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
    my $text = slurp($file);
    for my $case ([ 'removed', sub { unlink $file }, 'missing', qr/No such file/ ], [ 'noise', $noise, 'damaged', qr/\Q$file\E/ ], [ 'empty', sub { spew($file, '') }, 'damaged', qr/\Q$file\E/ ],
        [ 'not to be read', sub { unlink $file; mkdir $file }, 'damaged', qr/not a regular file/ ], [ 'edited', sub { spew($file, $text . "new.$zone\t300\tIN\tA\t192.0.2.1\n") }, 'edited', qr/edited/ ]) {
        my ($what, $spoil, $word, $why) = @$case;
        $spoil->();
        forget_log();
        $lockstep->start;
        all_served($what);
        ok($lockstep->wait_log(qr/ zone-file-$word zone=\Q$zone\E .*why=/), "$what: the log says so");
        is(counted("files_$word"), 1, "$what: stats and metrics say so");
        my $status = $lockstep->status($zone);
        like($status->{file_error}, $why, "$what: status says so");
        is($status->{state}, 'ok', "$what: the zone is well");
        rmdir $file if -d $file;
        is(($lockstep->verb('write', $zone))[0], 0, "$what: it is written anew");
        is(slurp($file), $text, "$what: as it was");
        is(counted('files_mended'), 1, "$what: which is counted");
        is($lockstep->status($zone)->{file_error}, undef, "$what: nothing is left of the error");
        is($lockstep->stop, 0, "$what: lockstepd ends cleanly");
    }
};

subtest 'rows that were changed behind our back are not believed' => sub {
    restore($kept);
    run_command('sqlite3', $database, 'UPDATE zone SET serial = serial + 100');
    $lockstep->start;
    all_served('a row with another serial');
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
};

subtest 'both copies are damaged' => sub {
    restore($kept);
    $lose_database->();
    change($change{cut}, glob "$state/steps-*");
    change(sub { substr $_[0], 0, 30 }, file_of('far.example.'));
    unlink file_of('behind.example.');
    forget_log();
    $lockstep->start;
    ok($lockstep->wait_serial('level.example', $wanted{'level.example.'}), 'what can be trusted is served');
    for my $zone ('far.example.', 'behind.example.', 'never.example.') {
        my ($serial, $records) = History::served($lockstep->at, $zone);
        if (defined $serial) {
            same_zone($records, $history->version($zone, $serial), "$zone: what is served is a version that there was");
        } else {
            is($lockstep->outcome($zone), 'SERVFAIL 14', "$zone: it is not there, and answers say so");
        }
    }
    ok($lockstep->status('far.example')->{reason}, 'status says what is wrong');
    $history->serve;
    ok($lockstep->verb('refresh', '--all'), 'the primary returns');
    all_served('fetched again');
    next_serial($_, 3) for @zones, @zones;
    $wanted{$_} = $history->serial($_) for @zones;
    all_served('and some steps later');
    same_answers($lockstep, $_, $_) for @zones;
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
};

subtest 'many small steps do not let the database grow' => sub {
    my ($zone, $steps) = ('small.example.', 600);
    my $primary = History->new(seed => $seed, zones => [$zone], most => 1, whole => 0);
    $primary->{fake}{forgetful} = 1;
    $primary->serve;
    my $small = Lockstep->new(remotes => [ Lockstep::remote('hidden', $primary) ],
        acls => [ { name => 'all', address => [ '127.0.0.0/8' ], action => 'allow' } ],
        zones => [ { name => $zone, primaries => ['hidden'], 'zonefile-sync' => 3600, 'allow-transfer' => ['all'], 'refresh-min' => '1h' } ])->start;
    $small->wait_serial($zone, 1) or BAIL_OUT("$zone is not served");
    my $came = 0;
    for (1 .. $steps) {
        $primary->advance($zone);
        $primary->notify($small->at, $zone);
        $came += $small->wait_serial($zone, $primary->serial($zone)) or last;
    }
    is($came, $steps, 'they come one by one');
    ok(wait_for(sub { $small->events('transfer', got => 'IXFR', outcome => 'ok') >= $steps }), 'as steps');
    $primary->vanish;
    $small->kill9;
    my ($status, $out) = run_command('sqlite3', "$small->{dir}/state/lockstep.db", 'SELECT count(*), sum(length(bytes)) FROM step');
    my ($rows, $octets) = $out =~ /^(\d+)\|(\d*)$/;
    note "$rows steps are there, of $octets octets";
    cmp_ok($rows // $steps, '<', $steps / 2, 'most of them have gone into an image');
    $small->start;
    my ($serial, $records) = History::served($small->at, $zone);
    is($serial, $primary->serial($zone), 'which is served');
    same_zone($records, $primary->version($zone, $serial), 'and is what the primary had');
    is($small->stop, 0, 'lockstepd ends cleanly');
};
done_testing;
