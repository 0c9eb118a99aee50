package Findings;
# What `lockstep check` finds, held against what it must find, and in every form that it has: the lines and the first of them,
# --json, --quiet, and the exit status.
#
#     my $findings = Findings->new(operator => $operator, arguments => [ '--resolver', $net->resolver->at ]);
#     $findings->are('a lame server', 'lame.alpha', [ 'LAME ns1.west.beta' ]);
#
# What is expected is a name and the server's, "NAME *" for one at any servers; each of the given ones must be found, and no
# other. Options: arguments, verb (check), severity => { NAME => ... } (where it is not the default), message (a pattern that one
# of the messages has).
use strict;
use warnings;
use JSON::PP;
use Process qw(work_dir slurp);
use Test::More ();
use Time::HiRes qw(time);

our %severity = (
    map({ $_ => 'critical' } qw(NS-PARENT-EXTRA NS-SPLIT NS-EXPECTED NS-APEX-IGNORED NS-TARGET GLUE-DRIFT SERIAL-STUCK SERIAL-AHEAD SERIAL-BACK UNREACHABLE LAME DNSKEY-SPLIT CDS-SPLIT
        CSYNC-SPLIT DS-MISMATCH ANSWER-DIFF)),
    map({ $_ => 'warning' } qw(NS-CHILD-EXTRA NS-TTL SERIAL-LAG SOA-DIFFERS SOA-TIMERS TCP-FAIL EDNS-FAIL ADDRESS-ODD RECURSION TRANSFER-OPEN EXPIRE-HORIZON DIV-PROVIDER DIV-TLD
        DIV-PREFIX DIV-FAMILY DIV-COUNT TTL-SHORT TTL-NS REFERRAL-SIZE)),
    'CHECK-INCOMPLETE' => 'unknown',
);
my $program = ($ENV{top_builddir} // '.') . '/lockstep';
my %status = (OK => 0, WARNING => 1, CRITICAL => 2, UNKNOWN => 3);

sub new { my ($class, %of) = @_; return bless { arguments => [], %of }, $class }

# Runs the command with each of the lists of arguments, all at once: { status, out, said, seconds } of each.
sub run_all {
    my ($self, @runs) = @_;
    my $dir = work_dir('findings');
    my $began = time;
    my %of;
    for my $n (0 .. $#runs) {
        my $pid = Process::fork_plain();
        $of{$pid} = $n if $pid;
        next if $pid;
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', "$dir/$n.out";
        open STDERR, '>', "$dir/$n.err";
        exec $program, '-c', $self->{operator}->conf_file, @{ $runs[$n] } or POSIX::_exit(127);
    }
    my @got;
    while (%of) {
        my $pid = waitpid -1, 0;
        my $n = delete $of{$pid} // next;
        $got[$n] = { status => $? & 127 ? 128 + ($? & 127) : $? >> 8, out => slurp("$dir/$n.out"), said => slurp("$dir/$n.err"),
            seconds => time - $began };
    }
    return @got;
}

# The whole of what is expected: a word.
sub overall {
    my (@severities) = @_;
    my %has = map { uc $_ => 1 } @severities;
    return (grep { $has{$_} } qw(CRITICAL UNKNOWN WARNING))[0] // 'OK';
}

# How "NAME server" and "NAME *" differ from what was found: lines.
sub difference {
    my ($expected, $found) = @_;
    my %left = map { $_ => 1 } @$found;
    my @wrong;
    for my $one (@$expected) {
        my ($name, $server) = split / /, $one;
        my @met = grep { $server && $server eq '*' ? /^\Q$name\E(?: |$)/ : $_ eq $one } keys %left;
        push @wrong, "$one is not found" unless @met;
        delete @left{@met};
    }
    return @wrong, map { "$_ is found" } sort keys %left;
}

sub are {
    my ($self, $what, $zone, $expected, %of) = @_;
    my $verb = $of{verb} // 'check';
    my @arguments = (@{ $self->{arguments} }, @{ $of{arguments} // [] });
    push @arguments, '--timeout', '20s' unless grep { $_ eq '--timeout' } @arguments;           # where all answer, a slow machine is not a silent server
    my ($text, $json, $quiet) = $self->run_all([ $verb, @arguments, $zone ], [ '--json', $verb, @arguments, $zone ],
        [ $verb, '--quiet', @arguments, $zone ]);
    my %level = (%severity, %{ $of{severity} // {} });
    my $status = $of{status} // overall(map { $level{ (split / /)[0] } } @$expected);
    my $object = eval { decode_json($json->{out}) };
    my @found = map { join ' ', $_->{id},
        map { s/\.$//r } grep { defined } $_->{server} } @{ ref $object eq 'HASH' ? $object->{findings} // [] : [] };
    my @wrong = ($object ? () : "this is not JSON", difference($expected, \@found));
    push @wrong, "$_->{id} is $_->{severity}" for grep { $_->{severity} ne $level{ $_->{id} } } @{ $object->{findings} // [] };
    push @wrong, "the status is " . ($object->{status} // 'nothing') . " in JSON, not $status" if ($object->{status} // '') ne $status;
    push @wrong, 'no message is so' if $of{message} && !grep { $_->{message} =~ $of{message} } @{ $object->{findings} // [] };
    push @wrong, map({ "exit status $_->{status}" } grep { $_->{status} != $status{$status} } $text, $json, $quiet),
        text_errors($text->{out}, $status, $object),
        quiet_errors($quiet->{out}, $status, $object);
    push @wrong, map { "on standard error: $_->{said}" } grep { length $_->{said} } $text, $quiet;
    Test::More::ok(!@wrong, $what . ': ' . (join(', ', map { s/ \*$//r } @$expected) || 'nothing is found'))
        or Test::More::diag(join "\n", @wrong, "text: $text->{out}$text->{said}", "JSON: $json->{out}$json->{said}", "quiet: $quiet->{out}");
    my ($seconds) = sort { $b <=> $a } map { $_->{seconds} } $text, $json, $quiet;
    Test::More::note(sprintf '%s: %.1f s', $zone, $seconds) if $seconds > 1;
    return { json => $object, text => $text->{out}, seconds => $seconds };
}

# The names that stand in a text, each with its server's on the same line.
sub text_errors {
    my ($text, $status, $object) = @_;
    my @lines = split /\n/, $text;
    my @wrong = (shift @lines // '') =~ /^LOCKSTEP \Q$status\E - [^|]+\| \S+=\S/ ? () : 'the first line is not the one of a monitoring plugin';
    my %known = map { $_->{id} => 1 } @{ $object->{findings} // [] };
    my $names = join '|', map { quotemeta } sort { length $b <=> length $a } keys %severity;
    my @named = map { /(?<![A-Z-])($names)(?![A-Z-])/g } split /\n/, $text;
    push @wrong, map { "the text has $_" } grep { !$known{$_} } @named;
    for my $finding (@{ $object->{findings} // [] }) {
        my $server = $finding->{server};
        next if grep { /(?<![A-Z-])\Q$finding->{id}\E(?![A-Z-])/ && (!defined $server || /\Q@{[ $server =~ s{\.$}{}r ]}\E/) } @lines;
        push @wrong, "the text has no line with $finding->{id} " . ($server // '');
    }
    return @wrong;
}

sub quiet_errors {
    my ($text, $status, $object) = @_;
    return $status eq 'OK' ? (length $text ? 'it is not quiet' : ()) : map { "quiet: $_" } text_errors($text, $status, $object);
}

1;
