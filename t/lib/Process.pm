package Process;
# What a test of running servers needs: a directory of its own, free ports, child processes that end with the
# test, and waits that are bounded. The directory is kept, and named, when a test has failed.
use strict;
use warnings;
use Exporter 'import';
use Fcntl qw(:flock);
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use IO::Socket::IP;
use POSIX qw(:signal_h WNOHANG _exit);
use Socket qw(SOCK_DGRAM SOCK_STREAM);
use Test::More ();
use Time::HiRes qw(sleep time);

our @EXPORT_OK = qw(work_dir free_port start_process stop_process signal_process running wait_for slurp spew run_command find_program);

my $owner = $$;
my ($dir, %reserved, %children);
my $number = 0;
$SIG{INT} = $SIG{TERM} = $SIG{HUP} = sub { exit 130 };
$SIG{PIPE} = 'IGNORE';

sub work_dir {
    my ($name) = @_;
    $dir //= tempdir('lockstep-test-XXXXXX', TMPDIR => 1);
    return $dir unless defined $name;
    my $own = sprintf '%s/%s-%d', $dir, $name, ++$number;
    mkdir $own or die "$own: $!";
    return $own;
}

# A port that nothing uses, for UDP and TCP on every loopback address; tests that run at the same time get
# different ones (a lock, held until this process ends).
sub free_port {
    my $locks = (File::Spec->tmpdir) . "/lockstep-ports-$<";
    mkdir $locks, 0700;
    die "$locks is not ours" unless -d $locks && -o _;
    for (1 .. 1000) {
        my $port = 20000 + int rand 12000;
        next if $reserved{$port};
        open my $lock, '>', "$locks/$port" or next;
        flock $lock, LOCK_EX | LOCK_NB or next;
        next if grep { !port_is_free($port, $_) } SOCK_DGRAM, SOCK_STREAM;
        $reserved{$port} = $lock;
        return $port;
    }
    die 'no free port was found';
}

sub port_is_free {
    my ($port, $type) = @_;
    return IO::Socket::IP->new(LocalHost => '0.0.0.0', LocalPort => $port, Type => $type,
        ($type == SOCK_STREAM ? (Listen => 1, ReuseAddr => 1) : ()));
}

sub find_program {
    my ($name) = @_;
    for my $path (split(/:/, $ENV{PATH}), '/usr/sbin', '/usr/local/sbin', '/sbin') {
        return "$path/$name" if -x "$path/$name";
    }
    return undef;
}

# A fork whose child ends at a signal, instead of doing what this process does then.
sub fork_plain {
    my $signals = POSIX::SigSet->new(SIGTERM, SIGINT, SIGHUP);
    sigprocmask(SIG_BLOCK, $signals);
    my $pid = fork;
    @SIG{qw(TERM INT HUP)} = ('DEFAULT') x 3 if defined $pid && $pid == 0;
    sigprocmask(SIG_UNBLOCK, $signals);
    return $pid // die "fork: $!";
}

# Starts a program in the foreground, its output in a log; it gets SIGTERM if this process dies.
sub start_process {
    my ($log, @command) = @_;
    my $pid = fork_plain();
    if ($pid == 0) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>>', $log or _exit(126);
        open STDERR, '>&', \*STDOUT;
        exec 'setpriv', '--pdeathsig', 'TERM', '--', @command or _exit(127);
    }
    $children{$pid} = $log;
    return $pid;
}

sub running {
    my ($pid) = @_;
    return 0 unless $pid && exists $children{$pid};
    return 1 if waitpid($pid, WNOHANG) == 0;
    $children{"status $pid"} = $?;
    delete $children{$pid};
    return 0;
}

# Ends a child and returns its wait status: 0 if it went cleanly.
sub stop_process {
    my ($pid, $signal, $seconds) = @_;
    kill $signal // 'TERM', $pid if running($pid);
    return delete $children{"status $pid"} if wait_for(sub { !running($pid) }, $seconds // 60);
    kill 'KILL', $pid;
    waitpid $pid, 0;
    delete $children{$pid};
    return 9;
}

sub signal_process {
    my ($pid, $signal) = @_;
    kill $signal, $pid;
}

# Asks until the answer is true, at most for so many seconds (60: a slow machine is no failure); the last answer.
sub wait_for {
    my ($condition, $seconds) = @_;
    my $end = time + ($seconds // 60);
    my $pause = 0.005;
    while (1) {
        my $answer = $condition->();
        return $answer if $answer || time > $end;
        sleep $pause;
        $pause *= 1.5 if $pause < 0.1;
    }
}

sub slurp {
    my ($path) = @_;
    open my $in, '<:raw', $path or return undef;
    local $/;
    return scalar(<$in>) // '';
}

# Whole or not at all, since a server may read it at any time.
sub spew {
    my ($path, @text) = @_;
    open my $out, '>:raw', "$path.new" or die "$path.new: $!";
    print $out @text or die "$path.new: $!";
    close $out or die "$path.new: $!";
    rename "$path.new", $path or die "$path: $!";
    return $path;
}

# Runs a command to its end: (exit status, standard output, standard error).
sub run_command {
    my @command = @_;
    my $base = sprintf '%s/command-%d-%d', work_dir(), $$, ++$number;
    my $pid = fork_plain();
    if ($pid == 0) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', "$base.out";
        open STDERR, '>', "$base.err";
        exec @command or _exit(127);
    }
    waitpid $pid, 0;
    my $status = $? & 127 ? 128 + ($? & 127) : $? >> 8;
    my @said = map { slurp("$base.$_") } qw(out err);
    unlink "$base.out", "$base.err";
    return ($status, @said);
}

END {
    if ($$ == $owner) {
        local ($?, $!);
        my @left = grep { /^\d+$/ } keys %children;
        stop_process($_) for @left;
        if (defined $dir) {
            my $failed = !Test::More->builder->is_passing;
            $failed ? Test::More::diag("logs and files are kept in $dir") : remove_tree($dir);
        }
    }
}

1;
