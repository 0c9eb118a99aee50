#!/usr/bin/perl
# The operator's command against a control socket that answers from canned lines. This is the protocol: one line of
# JSON asks; each line that comes back is an object with one member, `progress`, `text`, `error` or, last, `done`.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Socket::UNIX;
use JSON::PP;
use POSIX ();
use Process qw(work_dir run_command spew slurp);
use Test::More;

my $program = ($ENV{top_builddir} // '.') . '/lockstep';
plan skip_all => 'lockstep is not built' unless -x $program;
my $dir = work_dir('client');
my $socket = "$dir/control.sock";
my $json = JSON::PP->new->canonical->utf8;

# Runs the command while a child answers the one connection that it makes: (status, output, errors, the request).
sub asked {
    my ($answer, @command) = @_;
    unlink $socket;
    my $listener = IO::Socket::UNIX->new(Local => $socket, Listen => 1) or die "$socket: $!";
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        alarm 20;   # should nobody ask
        my $client = $listener->accept;
        my $line = <$client>;
        spew("$dir/request", $line // '');
        print $client map { ref $_ ? $json->encode($_) . "\n" : $_ } @$answer;
        close $client;
        POSIX::_exit(0);
    }
    my @got = run_command(@command);
    waitpid $pid, 0;
    push @got, slurp("$dir/request");
    unlink $socket, "$dir/request";
    return @got;
}

sub lockstep {
    my ($answer, @words) = @_;
    return asked($answer, $program, '-s', $socket, @words);
}

# The same on a terminal: what it prints there, its ends of line as files have them.
sub on_terminal {
    my ($answer, @words) = @_;
    my $command = join ' ', map { "'$_'" } $program, '-s', $socket, @words;
    my ($status, $out) = asked($answer, 'env', 'TERM=xterm', 'script', '-qec', $command, '/dev/null');
    return $out =~ s/\r\n/\n/gr;
}

sub request_is {
    my ($line, $expected, $name) = @_;
    like($line, qr/\A[^\n]*\n\z/, "$name: one line");
    is_deeply(eval { decode_json($line) }, $expected, $name) or diag($line);
}

my %ok = (zone => 'example.com.', serial => 7, state => 'ok', reason => undef, primary => 'hidden', age => 12, refresh => 3588,
    expiry => 604788, durable => 6, written => 7, best => 7, source => 'transfer', file => '/z/example.com.zone', records => 123,
    memory => 4567, changed => 86400, written_age => 60, best_age => 60,
        primaries => [ { name => 'hidden', address => '192.0.2.1@53', serial => 7, age => 3, healthy => JSON::PP::true,
        error => undef } ], last_failure => undef);
my %stale = (%ok, zone => 'b.example.', state => 'stale', reason => "no answer\e[31m\x{9b}", serial => 4294967295, age => 90061, refresh => -5,
    last_failure => { time => '2026-11-21T19:00:00Z', primary => 'hidden', reason => "timed\nout" });
my %empty = (%ok, zone => 'empty.example.', state => 'empty', serial => undef, primary => undef, age => undef, refresh => undef,
    expiry => undef, durable => undef, written => undef, best => undef, primaries => [], file => undef);
my $status = { done => { zones => [ \%ok, \%stale, \%empty ], summary => { zones => 3, ok => 1, stale => 1, empty => 1, expired => 0 },
    version => '0.1.0', uptime => 7380 } };

# --- status ------------------------------------------------------------------------
{
    my ($exit, $out, $said, $request) = lockstep([ $status ], 'status');
    is($exit, 0, 'status ends with 0');
    is($said, '', 'and says nothing else');
    request_is($request, { verb => 'status', zones => [], table => JSON::PP::true }, 'status asks for all zones, for what a table shows of them');
    is($out, join("\n",
        "ZONE\tSERIAL\tSTATE\tPRIMARY\tAGE\tREFRESH\tEXPIRES\tREASON",
        "example.com.\t7\tok\thidden\t12\t3588\t604788\t-",
        "b.example.\t4294967295\tstale\thidden\t90061\t-5\t604788\tno answer\\027[31m\\155",
        "empty.example.\t-\tempty\t-\t-\t-\t-\t-") . "\n", 'columns separated by tabs, control characters escaped')
        if $out =~ s/^# (.*)\n\z//m;
    is($1, '3 zones: 1 empty, 1 ok, 1 stale; lockstepd 0.1.0, up 2h3m', 'a summary line');

    $out = on_terminal([ $status ], 'status');
    is($out, join("\n",
        'ZONE            SERIAL      STATE  PRIMARY  AGE   REFRESH  EXPIRES  REASON',
        "example.com.    7           \e[32mok\e[0m     hidden   12s   59m48s   6d23h    -",
        "b.example.      4294967295  \e[31mstale\e[0m  hidden   1d1h  -5s      6d23h    no answer\\027[31m\\155",
        "empty.example.  -           \e[31mempty\e[0m  -        -     -        -        -",
        "3 zones: 1 \e[31mempty\e[0m, 1 \e[32mok\e[0m, 1 \e[31mstale\e[0m; lockstepd 0.1.0, up 2h3m") . "\n",
        'on a terminal columns are aligned, states have colours, times are for people');
    {
        local $ENV{NO_COLOR} = 1;
        unlike(on_terminal([ $status ], 'status'), qr/\e/, 'no colour with NO_COLOR');
    }

    ($exit, $out, $said, $request) = lockstep([ { done => { zones => [ \%stale ], version => '0.1.0', uptime => 1 } } ], 'status', 'B.Example');
    request_is($request, { verb => 'status', zones => ['B.Example.'] }, 'a zone is sent as an absolute name');
    is($out, join("\n",
        'zone          b.example.',
        'state         stale',
        'reason        no answer\027[31m\155',
        'served        4294967295, since 1d',
        'durable       6',
        'in its file   7, since 1m',
        'best known    7, since 1m',
        'source        transfer',
        'came from     hidden',
        'file          /z/example.com.zone',
        'records       123',
        'memory        4567',
        'confirmed     1d1h ago',
        'refresh in    -5s',
        'expires in    6d23h',
        'primary       hidden 192.0.2.1@53: serial 7, asked 3s ago, healthy',
        'last failure  2026-11-21T19:00:00Z hidden: timed\010out') . "\n", 'one zone in full');

    my $failing = { %ok, file_error => 'disk full',
        primaries => [ { name => 'a', address => '::1@53', serial => undef, age => undef, healthy => JSON::PP::false,
        error => 'connection refused' } ] };
    ($exit, $out) = lockstep([ { done => { zones => [ $failing ] } } ], 'status', 'example.com');
    like($out, qr/^primary       a ::1\@53: serial -, failing; last error: connection refused$/m, 'a primary that fails, and how');
    $failing->{primaries}[0] = { %{ $failing->{primaries}[0] }, healthy => JSON::PP::true, error => 'REFUSED' };
    like((lockstep([ { done => { zones => [ $failing ] } } ], 'status', 'example.com'))[1],
        qr/^primary       a ::1\@53: serial -, answering; last error: REFUSED$/m,
        'a primary that answers, but not what was wanted');
    like($out, qr/^file          \S+\nfile error    disk full$/m, 'a file that cannot be written, and why');

    ($exit, $out) = lockstep([ $status ], 'status', 'example.com', 'b.example');
    like($out, qr/^ZONE\t/, 'several zones are a table');
    unlike($out, qr/lockstepd 0/, 'without a summary');

    ($exit, $out) = lockstep([ $status ], '--json', 'status');
    is_deeply(decode_json($out), $status->{done}, '--json prints the document');
    my @pieces = map { { zones => [ map { { zone => "$_.", serial => 1, state => 'ok' } } @$_ ] } } [ 'a' .. 'c' ], [ 'd' .. 'f' ];
    my $last = { done => { zones => [], summary => { zones => 6, ok => 6 }, version => '0.1.0', uptime => 1 } };
    ($exit, $out) = lockstep([ @pieces, $last ], 'status', '--json');
    is_deeply(decode_json($out), { %{ $last->{done} }, zones => [ map { @{ $_->{zones} } } @pieces ] }, 'what comes in pieces becomes one document');
    ($exit, $out) = lockstep([ @pieces, $last ], 'status');
    is($out =~ s/\t.*//gmr, join("\n", 'ZONE', (map { "$_." } 'a' .. 'f'), $out =~ /(# 6 zones.*)/) . "\n", 'or one table');
    my @on_terminal = map { length } on_terminal([ @pieces, $last ], 'status') =~ /^(\S\.? +\d+) /gm;
    is_deeply(\@on_terminal, [ ($on_terminal[0]) x 6 ], 'on a terminal too');
    ($exit, $out, $said) = lockstep([@pieces], 'status', '--json');
    is($exit, 1, 'a daemon that ends in the middle');
    is_deeply(decode_json($out), { zones => [ map { @{ $_->{zones} } } @pieces ] }, 'leaves a document of what has come');
    like($said, qr/closed the connection before the end/, 'and a line that says so');
    ($exit, $out) = lockstep([ { zones => [] }, $last ], 'status', '--json');
    is_deeply(decode_json($out), $last->{done}, 'no zones at all');
    ($exit, $out) = lockstep([ $status ], 'status', '--json');
    is_deeply(decode_json($out), $status->{done}, '--json may stand behind the verb');
    unlike($out, qr/[^\n\x20-\x7e]/, 'and has no control characters');

    ($exit, $out, $said) = lockstep([ { error => "there is no zone\t\"x.\"" }, { done => { zones => [] } } ], 'status', 'x');
    is($exit, 1, 'an unknown zone: 1');
    is($said, "lockstep: status: there is no zone\\009\"x.\"\n", 'and one line says so');
    is($out, '', 'and there is no table');
}

# --- transfer, refresh, notify, write ----------------------------------------------
{
    my $done = { zones => [
        { zone => 'a.', result => 'updated', old => 6, new => 7, type => 'IXFR', primary => 'hidden', records => 12, bytes => 1234,
            seconds => 0.0123, error => undef },
        { zone => 'b.', result => 'updated', old => undef, new => 1, type => 'AXFR', primary => 'hidden', records => 3, bytes => 99,
            seconds => 1.5, error => undef },
        { zone => 'c.', result => 'current', old => 5, new => 5, type => undef, primary => 'other', records => 0, bytes => 0, seconds => 0,
            error => undef } ] };
    my @answer = ({ progress => { zone => 'a.', records => 5, bytes => 400, seconds => 0.01 } }, { done => $done });
    my ($exit, $out, $said, $request) = lockstep(\@answer, 'transfer', '--full', '--from', 'hidden', 'a', 'b', 'c');
    is($exit, 0, 'transfer: all are current: 0');
    is($said, '', 'no progress but on a terminal');
    request_is($request, { verb => 'transfer', zones => [qw(a. b. c.)], full => JSON::PP::true, from => 'hidden' }, 'transfer --full --from');
    is($out, "a.: 6 -> 7 by IXFR from hidden, 12 records, 1234 bytes, 0.012 s\n"
        . "b.: - -> 1 by AXFR from hidden, 3 records, 99 bytes, 1.500 s\nc.: 5 is current at other\n", 'a line for each zone');
    like(on_terminal(\@answer, 'transfer', 'a'), qr/\r\e\[Ka\.: 5 records, 400 bytes, 0\.0 s\r\e\[Ka\.: 6 -> 7/,
        'on a terminal progress is shown in one line, which goes away');
    ($exit, $out) = lockstep(\@answer, 'transfer', '--from=hidden', '--json', 'a');
    is_deeply(decode_json($out), $done, 'transfer --json');

    ($exit, $out) = lockstep([ { done => { zones => [ { zone => 'a.', result => 'current', old => 6, new => undef, primary => undef } ] } } ], 'transfer', 'a');
    is($out, "a.: 6 is current\n", 'a zone of which nothing had to be asked');

    my $failed = { %{ $done->{zones}[0] }, result => 'failed', new => 6, type => undef, error => "REFUSED\r" };
    ($exit, $out, $said) = lockstep([ { done => { zones => [ $failed, $done->{zones}[2] ] } } ], 'transfer', 'a', 'c');
    is($exit, 1, 'one zone has failed: 1');
    is($out, "c.: 5 is current at other\n", 'the others are shown');
    is($said, "lockstep: a.: REFUSED\\013\n", 'the reason is said');
    ($exit, $out, $said) = lockstep([ { error => 'a.: REFUSED' }, { done => { zones => [ $failed ] } } ], 'transfer', 'a');
    is($said, "lockstep: transfer: a.: REFUSED\n", 'and said once, if the daemon says it');

    for my $verb (qw(refresh notify write)) {
        ($exit, $out, $said, $request) = lockstep([ { done => { zones => [ map { { zone => $_, result => 'ok', error => undef } } qw(a. b.) ] } } ],
            $verb, '--all');
        is("$exit $out$said", "0 $verb: 2 zones\n", "$verb --all");
        request_is($request, { verb => $verb, zones => [], all => JSON::PP::true }, "$verb --all asks for all zones");
        ($exit, $out, $said) = lockstep([ { done => { zones => [ { zone => 'a.', result => 'failed', error => 'disk full' } ] } } ], $verb, 'a');
        is("$exit $out$said", "1 lockstep: a.: disk full\n", "$verb: a failure is told");
    }
}

# --- reload, stats, stop -----------------------------------------------------------
{
    my ($exit, $out, $said, $request) = lockstep([ { done => { added => 1, removed => 0, changed => 2, zones => 100 } } ], 'reload');
    is("$exit $out$said", "0 reload: 1 added, 0 removed, 2 changed; 100 zones\n", 'reload');
    request_is($request, { verb => 'reload', zones => [] }, 'reload asks for no zone');
    ($exit, $out, $said) = lockstep([ { error => 'lockstep.conf:3: server.workrs: there is no such key' }, { done => {} } ], 'reload');
    is("$exit $out$said", "1 lockstep: reload: lockstep.conf:3: server.workrs: there is no such key\n", 'reload with an error in the configuration');

    my $stats = { queries => { udp => 10, tcp => 2 }, transfers => { in => { axfr => 1 } }, load => 0.5, version => '0.1.0' };
    ($exit, $out) = lockstep([ '{"done": {"queries": {"udp": 10, "tcp": 2}, "transfers": {"in": {"axfr": 1}}, "load": 0.5, "version": "0.1.0"}}', "\n" ], 'stats');
    is($out, "queries.udp\t10\nqueries.tcp\t2\ntransfers.in.axfr\t1\nload\t0.5\nversion\t0.1.0\n", 'stats: a line for each counter');
    ($exit, $out) = lockstep([ { done => $stats } ], '--json', 'stats');
    is_deeply(decode_json($out), $stats, 'stats --json');

    ($exit, $out, $said) = lockstep([ { done => {} } ], 'stop');
    is("$exit $out$said", '0 ', 'stop says nothing');
}

# --- dump --------------------------------------------------------------------------
{
    my @text = ("example.com.\t3600 IN SOA ns.example.com. host.example.com. 7 1 2 3 4\na.examp", "le.com. 60 IN TXT \"x  y\" \"\\009\"\n",
        "b.example.com. 60 IN A 192.0.2.1\n");
    my @answer = ((map { { text => $_ } } @text), { done => { zone => 'example.com.', serial => 7, records => 3 } });
    my ($exit, $out, $said, $request) = lockstep(\@answer, 'dump', 'example.com');
    is("$exit $out$said", '0 ' . join('', @text), 'dump prints the text as it comes');
    request_is($request, { verb => 'dump', zones => ['example.com.'] }, 'dump asks for the zone');
    ($exit, $out, $said, $request) = lockstep(\@answer, 'dump', 'example.com', 'www.example.com.', 'aaaa');
    request_is($request, { verb => 'dump', zones => ['example.com.'], name => 'www.example.com.', type => 'AAAA' }, 'dump asks for name and type');
    ($exit, $out) = lockstep(\@answer, '--json', 'dump', 'example.com');
    is_deeply(decode_json($out), { zone => 'example.com.', serial => 7, records => [
        { owner => 'example.com.', ttl => 3600, class => 'IN', type => 'SOA', rdata => 'ns.example.com. host.example.com. 7 1 2 3 4' },
        { owner => 'a.example.com.', ttl => 60, class => 'IN', type => 'TXT', rdata => '"x  y" "\\009"' },
        { owner => 'b.example.com.', ttl => 60, class => 'IN', type => 'A', rdata => '192.0.2.1' } ] }, 'dump --json') or diag($out);
    ($exit, $out) = lockstep([ { text => "a. 1 IN TXT \"\e]0;x\a\x{e4}\"\n" }, { done => {} } ], 'dump', 'a');
    is($out, "a. 1 IN TXT \"\\027]0;x\\007\\195\\164\"\n", 'what no zone file has is escaped');
    ($exit, $out, $said) = lockstep([ { error => 'there is no zone "x."' }, { done => {} } ], '--json', 'dump', 'x');
    is("$exit $out$said", "1 lockstep: dump: there is no zone \"x.\"\n", 'dump of an unknown zone prints no document');
    ($exit, $out, $said) = lockstep([ { done => { zone => 'x.', serial => 7, records => 0 } } ], '--json', 'dump', 'x', 'nothing.x');
    is_deeply(decode_json($out), { zone => 'x.', serial => 7, records => [] }, 'dump --json of nothing');
    ($exit, $out, $said) = lockstep([ $answer[0], $answer[1] ], '--json', 'dump', 'example.com');
    is($exit, 1, 'a dump that is cut off: 1');
    is(scalar @{ decode_json($out)->{records} }, 2, 'and what was printed is a document');
}

# --- a daemon that is not there, or not well ---------------------------------------
{
    my ($exit, $out, $said) = run_command($program, '-s', "$dir/none", 'status');
    is("$exit $out$said", "1 lockstep: lockstepd is not running? cannot connect to $dir/none: No such file or directory\n", 'no socket');
    IO::Socket::UNIX->new(Local => "$dir/dead", Listen => 1)->close;
    ($exit, $out, $said) = run_command($program, '-s', "$dir/dead", 'status');
    is("$exit $out$said", "1 lockstep: lockstepd is not running? cannot connect to $dir/dead: Connection refused\n", 'a socket that nobody holds');
    ($exit, $out, $said) = run_command($program, '-s', '/' . 'x' x 200, 'status');
    like($said, qr/too long for the path of a socket$/, 'a path that no socket can have');
    ($exit, $out, $said) = lockstep([], 'status');
    is("$exit $out$said", "1 lockstep: $socket: lockstepd closed the connection before the end\n", 'closed without an answer');
    ($exit, $out, $said) = lockstep([ "SSH-2.0\n" ], 'status');
    is("$exit $out$said", "1 lockstep: $socket: what came from there is not an answer of lockstepd\n", 'another protocol');
    ($exit, $out, $said) = lockstep([ "[]\n" ], 'status');
    is($exit, 1, 'JSON that is no answer');
    ($exit, $out, $said) = lockstep([ '{"error":"a"}', "\n", '{"error":"b"}', "\n", '{"done":{}}', "\n" ], 'write', 'a');
    is("$exit $said", "1 lockstep: write: a\nlockstep: write: b\n", 'every error is shown');
    ($exit, $out, $said) = asked([ { done => {} } ], 'sh', '-c', "'$program' -s '$socket' --json stop >/dev/full");
    is("$exit $said", "1 lockstep: standard output: No space left on device\n", 'output that cannot be written is a failure');
}

# --- where the socket is -----------------------------------------------------------
{
    spew("$dir/lockstep.conf", "server: { control = \"control.sock\"; workers = \"wrong\"; };\n");
    my ($exit, $out, $said) = asked([ { done => {} } ], $program, '-c', "$dir/lockstep.conf", 'stop');
    is("$exit $out$said", '0 ', 'the socket is where the configuration says, whatever else is wrong in it');
    spew("$dir/lockstep.conf", "server: {\n");
    ($exit, $out, $said) = run_command($program, '-c', "$dir/lockstep.conf", 'stop');
    is("$exit $out$said", "1 lockstep: $dir/lockstep.conf:2: syntax error\n", 'a configuration that cannot be read is an error');
    ($exit, $out, $said) = run_command($program, '-c', "$dir/none.conf", 'stop');
    is("$exit $out$said", "1 lockstep: $dir/none.conf: open: No such file or directory\n", 'a configuration that is not there');
}

# --- config ------------------------------------------------------------------------
{
    spew("$dir/lockstep.conf", "zones: ( { name = \"a.example\"; source = \"file\"; } );\n");
    my ($exit, $out, $said) = run_command($program, '-c', "$dir/lockstep.conf", 'config');
    is($exit, 0, 'config works without a daemon');
    like($out, qr/^zones: \(\n    \{\n        name = "a\.example\.";\n/m, 'and prints the configuration');
    ($exit, $out) = run_command($program, '-c', "$dir/lockstep.conf", 'config', '--json');
    is(decode_json($out)->{zones}[0]{source}, 'file', 'as JSON too');
    spew("$dir/lockstep.conf", "\nzones: ( { nam = 1; } );\n");
    ($exit, $out, $said) = run_command($program, '-c', "$dir/lockstep.conf", 'config');
    is("$exit $out$said", "1 lockstep: $dir/lockstep.conf:2: zones.nam: there is no such key (did you mean \"name\"?)\n",
        'config says what is wrong');
}

# --- help and wrong usage ----------------------------------------------------------
{
    my ($exit, $out, $said) = run_command($program, '--help');
    is("$exit$said", '0', '--help ends with 0');
    my @verbs = $out =~ /^  ([a-z]+) +\S/mg;
    my %listed = map { $_ => 1 } @verbs;
    is(join(' ', grep { !$listed{$_} } qw(status transfer refresh notify write reload dump stats stop pull config)), '', '--help lists the verbs');
    for my $verb (@verbs) {
        ($exit, $out, $said) = run_command($program, $verb, '--help');
        is("$exit$said", '0', "$verb --help ends with 0");
        like($out, qr/\Ausage: lockstep $verb\b/, "$verb --help says how it is used");
    }
    ($exit, $out) = run_command($program, '--version');
    like("$exit $out", qr/\A0 lockstep \d+\.\d+\.\d+\n\z/, '--version');

    my @wrong = (
        [ [], qr/^lockstep: a verb is missing$/ ],
        [ ['statsu'], qr/^lockstep: there is no verb "statsu" \(did you mean "stat(?:s|us)"\?\)$/ ],
        [ ["x\e[2J"], qr/^lockstep: there is no verb "x\?\[2J"$/ ],
        [ [ 'status', '--frob' ], qr/^lockstep: there is no option --frob$/ ],
        [ [ 'status', '-x' ], qr/^lockstep: there is no option -x$/ ],
        [ [ 'status', '--json=1' ], qr/^lockstep: the option --json takes no value$/ ],
        [ [ 'status', '-s' ], qr/^lockstep: the option --socket wants a value: SOCKET$/ ],
        [ [ 'status', '--all' ], qr/^lockstep status: it has no option --all$/ ],
        [ [ 'status', 'a..b' ], qr/^lockstep status: name "a\.\.b": an empty label$/ ],
        [ ['transfer'], qr/^lockstep transfer: a zone is missing$/ ],
        [ ['refresh'], qr/^lockstep refresh: a zone is missing$/ ],
        [ [ 'write', '--all', 'a' ], qr/^lockstep write: zones and --all do not go together$/ ],
        [ [ 'pull', 'a' ], qr/^lockstep pull: --from is missing: the address of the server$/ ],
        [ [ 'pull', '--from', '::1' ], qr/^lockstep pull: a zone is missing$/ ],
        [ [ 'pull', 'a', 'b', '--from', '::1' ], qr/^lockstep pull: too many arguments: "b"$/ ],
        [ ['dump'], qr/^lockstep dump: a zone is missing$/ ],
        [ [ 'dump', 'a', 'b', 'A', 'c' ], qr/^lockstep dump: too many arguments: "c"$/ ],
        [ [ 'reload', 'a' ], qr/^lockstep reload: too many arguments: "a"$/ ],
        [ [ '-c', 'x', '-s', 'y', 'stop' ], qr/^lockstep stop: -c and -s do not go together$/ ],
    );
    for my $case (@wrong) {
        ($exit, $out, $said) = run_command($program, @{ $case->[0] });
        my $words = join(' ', @{ $case->[0] }) =~ s/\e/ESC/r;
        is("$exit$out", '2', "lockstep $words: 2");
        like((split /\n/, $said)[0], $case->[1], "lockstep $words: what is wrong");
        like($said, qr/^usage: .*--help\)$/m, "lockstep $words: what to do");
    }
    my (undef, undef, undef, $request) = lockstep([ { done => {} } ], 'refresh', '--', '-a');
    request_is($request, { verb => 'refresh', zones => ['-a.'] }, 'behind -- a name may begin with a dash');
}
done_testing;
