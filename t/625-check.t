#!/usr/bin/perl
# `lockstep check` where there is nothing to check with: wrong usage, no configuration, no network, a state directory that is not
# there. Always a clear line, and the exit status of a monitoring plugin. What it finds of real servers is in t/970 to t/973.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP;
use Lockstep;
use Process qw(work_dir run_command spew slurp free_port);
use Test::More;

my $program = ($ENV{top_builddir} // '.') . '/lockstep';
plan skip_all => 'lockstep is not built' unless -x $program;
my $dir = work_dir('check');
my $conf = "$dir/lockstep.conf";
my $dead = '127.0.0.1@' . free_port();
my @asked = ('--resolver', $dead, '--timeout', '500ms');

sub configure {
    my ($more, $state) = @_;
    spew($conf, "server: { state-dir = \"" . ($state // "$dir/state") . "\"; zone-dir = \"$dir/zones\"; control = \"$dir/no.sock\"; };\n$more\n");
}
sub check { return run_command($program, '-c', $conf, 'check', @_) }

# --- usage -------------------------------------------------------------------------
configure('');
for my $wrong ([ '--resolver', 'nonsense' ], [ '--resolver', '127.0.0.1@99999' ], [ '--parent', 'here' ], [ '--timeout', 'soon' ],
    [ '--timeout', '0' ], [ '--timeout', '0ms' ], [ '--timeout', '-1' ],
    [ '--port', '70000' ], [ '--port', '0' ], [ '--ns', 'a..b' ], [ '--ns', 'ns/1.2.3' ], [ '--ns', '' ], [ '--unheard-of' ],
    [ '-4', '-6' ], [ '--rate', '5' ], [ '--from', '192.0.2.1' ], [ '--resolver' ],
    [ '--from-daemon', '--timeout', '5s' ], [ '--from-daemon', '--ns', 'ns.example' ], [ '--from-daemon=yes' ], ['a..b'], [ 'x' x 64 ]) {
    my ($status, undef, $said) = check(@$wrong, @$wrong == 1 && $wrong->[0] !~ /^-/ ? () : 'example.com');
    is($status, 3, "@$wrong: status 3");
    like($said, qr/\Alockstep.*\S/, 'and standard error says why');
}
is((run_command($program, '--unheard-of', 'check'))[0], 3, 'a wrong option before the verb: status 3');
is((run_command($program, '--unheard-of', 'status'))[0], 2, 'of other verbs it is 2');
my ($status, $out, $said) = run_command($program, 'check', '--help');
is("$status$said", '0', 'there is help');
like($out, qr/--resolver.*--quiet|--quiet.*--resolver/s, 'with the options');
like($out, qr{remembered in check/ below the state directory.*/lib/lockstep}s, 'and where it remembers what');

# --- configuration -------------------------------------------------------------------
configure('nonsense = 1;');
($status, $out, $said) = check(@asked, 'example.com');
is($status, 3, 'a configuration with an error: status 3');
like($out, qr/\ALOCKSTEP UNKNOWN - .*nonsense.* \| zones=0\n\z/, 'which the first line names');
like($said, qr/lockstep\.conf:2: nonsense/, 'and standard error too');
($status, $out) = check('--json', @asked, 'example.com', 'example.net');
is(join(' ', $status, map { "$_->{zone} $_->{status}" } @{ (eval { decode_json($out) }) // [] }),
    '3 example.com. UNKNOWN example.net. UNKNOWN', '--json: and the document') or diag($out);
like($out, qr/CHECK-INCOMPLETE.*nonsense/s, 'which names it too');
($status, $out) = check('--json', @asked);
my $none = (eval { decode_json($out) }) // {};
is(join(' ', $status, $none->{zone} // 'null', $none->{status}), '3 null UNKNOWN', 'without a zone it is of none') or diag($out);
($status, $out) = run_command($program, '-c', "$dir/none.conf", 'check', 'example.com');
is($status, 3, 'one that is not there: status 3');
like($out, qr/\ALOCKSTEP UNKNOWN - .*none\.conf/, 'is named');
configure('');
($status, $out) = check(@asked);
is($status, 3, 'no zone, and none in the configuration: status 3');
like($out, qr/\ALOCKSTEP UNKNOWN - there is no zone to check \| zones=0 /, 'and it is said');

# --- nobody to ask ---------------------------------------------------------------------
($status, $out, $said) = check(@asked, 'example.com');
is($status, 3, 'a resolver that is dead: status 3');
like($out, qr/\ALOCKSTEP UNKNOWN - example\.com\.: CHECK-INCOMPLETE: [^|]* \| zones=1 servers=0 critical=0 unknown=[1-9]/, 'the first line says so');
like($out, qr/^  unknown +CHECK-INCOMPLETE: .*\Q$dead\E/m, 'and a line names it');
is($said, '', 'and standard error nothing');
($status, my $quiet) = check('--quiet', @asked, 'example.com');
is($status, 3, '--quiet: the same status');
like($quiet, qr/\ALOCKSTEP UNKNOWN/, 'and not quiet at all');
($status, $out) = check('--json', @asked, 'example.com');
is($status, 3, '--json: the same status');
my $object = decode_json($out);
is_deeply([ sort keys %$object ], [qw(findings nameservers serial status zone)], 'the object has its members');
is("$object->{zone} $object->{status}", 'example.com. UNKNOWN', 'the zone, and how it is');
is($object->{serial}, undef, 'no serial is known');
is_deeply($object->{nameservers}, [], 'nor any nameserver');
is_deeply([ sort keys %{ $object->{findings}[0] } ], [qw(address id message server severity)], 'a finding has its members');
is("$_->{id} $_->{severity}", 'CHECK-INCOMPLETE unknown', 'what was found') for @{ $object->{findings} };

my $closed = '127.0.0.1@' . free_port();
($status, $out) = check(@asked, '--ns', "ns1.example.net/$closed", 'example.com');
is($status, 3, 'a nameserver that is dead, where nobody else answers either: status 3, it may be us');
unlike($out, qr/UNREACHABLE/, 'so that is not said of the server');
like($out, qr/ns1\.example\.net\.\s+\Q$closed\E/, 'which stands in the table');

# --- no daemon ---------------------------------------------------------------------------
($status, $out, $said) = run_command($program, '-s', "$dir/no.sock", 'check', '--from-daemon', 'example.com');
is($status, 3, '--from-daemon without a daemon: status 3');
like($out, qr/\ALOCKSTEP UNKNOWN - lockstepd is not running\?.* \| zones=0\n\z/, 'and the first line says so');
like($said, qr/\Alockstep: lockstepd is not running/, 'and standard error too');

# --- several zones -----------------------------------------------------------------------
configure('remotes: ( { name = "r"; address = [ "127.0.0.1" ]; } );' . "\n" . 'templates: ( { name = "default"; primaries = [ "r" ]; } );' . "\n" .
    'zones: ( { name = "b.example"; }, { name = "a.example"; }, { name = "c.example"; catalog = "consume"; } );');
($status, $out) = check('--json', @asked);
is($status, 3, 'the zones of the configuration: status 3');
my %checked = map { $_->{zone} => $_ } @{ decode_json($out) };
is(join(' ', sort keys %checked), 'a.example. b.example. c.example.', 'are an array');
like($checked{'c.example.'}{findings}[0]{message},
    qr/^which zones this catalog brings is not known, they were not looked at: lockstepd is not running\?/,
    'the catalog is there for its zones, that nobody knows');
is("$checked{'c.example.'}{status} $checked{'c.example.'}{findings}[0]{id}", 'UNKNOWN CHECK-INCOMPLETE', 'and is UNKNOWN');
is(scalar @{ $checked{'c.example.'}{findings} }, 1, 'for that alone');
($status, $out) = check(@asked, 'b.example', 'x.example');
is(scalar(grep { /^LOCKSTEP / } split /\n/, $out), 1, 'there is one line for the monitoring system');
like($out, qr/^x\.example\.  UNKNOWN/m, 'and each zone in its turn');
configure('templates: ( { name = "default"; primaries = [ "r" ]; check = { severity = { CHECK-INCOMPLETE = "warning"; }; }; } );' . "\n" .
    'remotes: ( { name = "r"; address = [ "127.0.0.1" ]; } );');
is((check(@asked, 'example.com'))[0], 1, 'a zone that is not configured has the severities of the template "default"');

# --- zones that the configuration does not name ----------------------------------------------
SKIP: {
    skip 'lockstepd is not built', 8 unless Lockstep::have();
    my $daemon = Lockstep->new(templates => [ { name => 'default', source => 'file' }, { name => 'mild', source => 'file', check => { severity => { 'CHECK-INCOMPLETE' => 'warning' } } } ],
        zones => [ { name => 'a.example' } ]);
    $daemon->put_zone($_, "$_. 300 IN SOA ns.$_. host.$_. 1 3600 900 604800 300\n$_. 300 IN NS ns.$_.\n") for qw(a.example added.example);
    my $all = sub { my $got = $daemon->json('check', @asked); return join ' ', map { "$_->{zone} $_->{status}" } ref $got eq 'ARRAY' ? @$got : $got };
    $daemon->start;
    is($all->(), 'a.example. UNKNOWN', 'none was added');
    is(($daemon->verb('add', 'added.example', '--template', 'mild'))[0], 0, 'a zone is added');
    is($all->(), 'a.example. UNKNOWN added.example. WARNING', 'it is checked too, as its template says');
    unlike(($daemon->verb('check', @asked, 'a.example'))[1], qr/added/, 'but not where another one is named');
    is($daemon->stop, 0, 'the daemon stops');
    is($all->(), 'a.example. UNKNOWN added.example. WARNING', 'what it remembers is checked without it');
    spew("$daemon->{dir}/state/roster", 'rubbish');
    spew("$daemon->{dir}/zones/.lockstep-roster", 'rubbish');
    ($status, $out, $said) = $daemon->verb('check', @asked);
    like($said, qr/\Alockstep: [^\n]*roster[^\n]*: zones that were added at run time are not known, and were not looked at\n\z/,
        'where that cannot be read it is said');
    like($out, qr/ \| zones=1 /, 'and the others are checked');
}

# --- what is remembered --------------------------------------------------------------------
configure('');
check(@asked, 'a\\047.example', '.');
is_deeply([ sort map { s{.*/}{}r } glob "$dir/state/check/*" ],
    [ 'a%2F.example', 'a.example', 'b.example', 'example.com', 'root', 'x.example' ], 'a file for each zone, whatever its name');
like(slurp("$dir/state/check/example.com"), qr/\Alockstep-check 1\nzone example\.com\.\nend\n\z/, 'nothing of servers that were not found');
spew("$dir/state/check/example.com", "rubbish\n\e[31m");
($status, $out, $said) = check(@asked, 'example.com');
is($status, 3, 'a file that is damaged: no other status');
like($said, qr/\Alockstep: .*check\/example\.com.*\n\z/, 'and a line on standard error');
is((check(@asked, 'example.com'))[2], '', 'once');
spew("$dir/file", '');
configure('', "$dir/file/state");
($status, $out, $said) = check(@asked, 'example.com', 'example.org');
is($status, 3, 'a state directory that cannot be: no other status');
like($said, qr/\Alockstep: [^\n]*\n\z/, 'and one line on standard error');
($status, $out, $said) = check('--json', @asked, 'example.com');
ok(eval { decode_json($out) }, 'JSON is JSON all the same');

# Whom the state directory belongs to may put there what he likes: root does not write where he may not.
SKIP: {
    skip 'this needs root', 7 if $> || slurp('/proc/self/uid_map') !~ /\b0\s+0\s+\d{5,}/;
    my ($uid, $gid) = (getpwnam 'nobody')[ 2, 3 ];
    my ($state, $away) = ("$dir/theirs", "$dir/roots");
    my @passable = ($dir, $dir =~ s{/[^/]*$}{}r);
    chmod 0711, @passable;
    mkdir $_ for $state, $away;
    chown $uid, $gid, $state;
    configure('', $state);
    ($status, $out, $said) = check(@asked, 'example.com');
    is("$status$said", 3, 'a state directory of another user: nothing is said');
    is(join(' ', (stat $_)[ 4, 5 ]), "$uid $gid", "$_ is that user's") for "$state/check", "$state/check/example.com";
    rename "$state/check", "$state/before";
    symlink $away, "$state/check";
    ($status, $out, $said) = check(@asked, 'example.com');
    is($status, 3, 'a link of that user\'s to where only root may write: the same status');
    like($said, qr/\Alockstep: [^\n]*check\/[^\n]*: Permission denied: [^\n]*\n\z/, 'what could not be remembered is said');
    is_deeply([ glob "$away/* $away/.[a-z]*" ], [], 'and nothing was written there');
    is(join(' ', (stat $away)[ 4, 5 ]), '0 0', 'nor given away');
}

done_testing;
