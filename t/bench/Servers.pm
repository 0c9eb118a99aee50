package Servers;
# The servers of the bench, each with one worker on one processor: Lockstep, NSD, Knot, BIND and PowerDNS, where they are installed.
# Rate limits are off, and minimal responses are on where a server has them. What drives them is bound to the other processor.
#
#     my $server = Servers->start('knot', dir => $dir, zone => 'bench.test', file => $path);         # serves the file's zone
#     my $server = Servers->start('knot', dir => $dir, zone => 'bench.test', primary => $port);      # its secondary; its zone file is $dir/zone
#     my $server = Servers->start('knot', dir => $dir, zones => \@names, primary => $port);           # the same of many, as the server is set up by default
#     $server->wait_answer(60) or die $server->said;
#     $server->stop;
#
# Servers::program(NAME, PATH) takes another program than the one that is installed.
use strict;
use warnings;
use Exporter 'import';
use IO::Select;
use IO::Socket::INET;
use IPC::Open2;
use POSIX ();
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC sleep);

our @EXPORT_OK = qw(slurp spew now median on_driver build start_source expect wait_gone free_port);

my $build = $ENV{top_builddir} // '.';
my $nproc = () = glob '/sys/devices/system/cpu/cpu[0-9]*';
my ($driver, $served) = $nproc > 1 ? ([ qw(taskset -c 0) ], [ qw(taskset -c 1) ]) : ([], []);
our $port;
our %changed;                # of many zones, those with a setting of their own
my $schema = '/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql';

sub build { return $build }
sub on_driver { return @$driver }
sub slurp { my ($path) = @_; open my $in, '<', $path or return ''; local $/; return <$in> // '' }
sub spew { my ($path, $text) = @_; open my $out, '>', $path or die "$path: $!"; print $out $text; close $out }
sub append { my ($path, @text) = @_; open my $out, '>>', $path or die "$path: $!"; print $out @text; close $out }
sub now { clock_gettime(CLOCK_MONOTONIC) }
sub median { my @sorted = sort { $a <=> $b } grep { defined } @_; return @sorted ? $sorted[ $#sorted / 2 ] : undef }

# The first port from this one on that nobody has.
sub free_port {
    my ($from) = @_;
    for my $port ($from .. $from + 99) {
        my @both = map { IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Proto => $_, $_ eq 'tcp' ? (Listen => 1, ReuseAddr => 1) : ()) } qw(udp tcp);
        return $port if 2 == grep { defined } @both;
    }
    die "no free port from $from on\n";
}

# --- how each is set up -----------------------------------------------------------------------------

my %program = (lockstep => "$build/lockstepd", nsd => '/usr/sbin/nsd', knot => '/usr/sbin/knotd', bind => '/usr/sbin/named',
    powerdns => '/usr/sbin/pdns_server',
    echo => "$build/t/bench/echo");
my %setup = (lockstep => \&lockstep, nsd => \&nsd, knot => \&knot, bind => \&bind, powerdns => \&powerdns, echo => sub { ($program{echo}, $port) });

# Each writes the configuration into the directory and gives the command.
sub lockstep {
    my ($dir, $zone, $file, $primary, $many) = @_;
    my $list = join ",\n", map { qq({ name = "$_"; primaries = [ "primary" ];@{[ $changed{$_} ? ' refresh-min = 3;' : '' ]} }) } @{ $many // [] };
    my $from = $file ? qq(source = "file"; file = "$file";) : qq(primaries = [ "primary" ]; file = "zone"; zonefile-sync = -1;);
    my $remotes = $primary ? qq(remotes: ( { name = "primary"; address = [ "127.0.0.1\@$primary" ]; } );) : '';
    spew("$dir/c.conf", <<"X");
server: { listen = [ "127.0.0.1\@$port" ]; workers = 1; state-dir = "$dir/state"; zone-dir = "$dir"; control = "$dir/control"; };
$remotes
zones: ( @{[ $many ? $list : qq({ name = "$zone"; $from }) ]} );
X
    return ($program{lockstep}, '-c', "$dir/c.conf");
}

sub nsd {
    my ($dir, $zone, $file, $primary, $many) = @_;
    my $from = $file ? qq(zonefile: "$file")
        : qq(zonefile: "$dir/zone"\n request-xfr: AXFR 127.0.0.1\@$primary NOKEY\n allow-notify: 127.0.0.1 NOKEY);
    spew("$dir/c.conf", <<"X");
server:
 ip-address: 127.0.0.1\@$port
 server-count: 1
 username: ""
 chroot: ""
 zonesdir: "$dir"
 pidfile: "$dir/pid"
 xfrdfile: "$dir/xfrd.state"
 zonelistfile: "$dir/zone.list"
 database: ""
 zonefiles-write: 0
 rrl-ratelimit: 0
 minimal-responses: yes
 tcp-count: 200
 xfrd-reload-timeout: 0
 logfile: "$dir/log"
remote-control:
 control-enable: yes
 control-interface: "$dir/control"
@{[ $many ? '' : "zone:\n name: $zone\n $from" ]}
X
    append("$dir/c.conf", map { qq(zone:\n name: $_\n zonefile: "$dir/$_.zone"\n request-xfr: 127.0.0.1\@$primary NOKEY\n allow-notify: 127.0.0.1 NOKEY\n@{[ $changed{$_} ? " max-refresh-time: 100000\n" : '' ]}) } @$many) if $many;
    return ($program{nsd}, '-d', '-c', "$dir/c.conf");
}

sub knot {
    my ($dir, $zone, $file, $primary, $many) = @_;
    my $remote = $primary ? <<"X" : '';
remote:
  - id: primary
    address: 127.0.0.1\@$primary
acl:
  - id: primary
    address: 127.0.0.1
    action: notify
X
    my $from = $file ? qq(file: "$file") : qq(file: "zone"\n    master: primary\n    acl: primary);
    spew("$dir/c.conf", <<"X");
server:
  rundir: "$dir"
  listen: 127.0.0.1\@$port
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
log:
  - target: "$dir/log"
    any: info
database:
  storage: "$dir/db"
$remote@{[ $many ? "template:\n  - id: default\n    storage: \"$dir\"\n    master: primary\n    acl: primary\n    semantic-checks: off" : '' ]}
zone:
@{[ $many ? '' : "  - domain: $zone\n    storage: \"$dir\"\n    $from\n    zonefile-sync: -1\n    semantic-checks: off\n    journal-content: none" ]}
X
    append("$dir/c.conf", map { "  - domain: $_\n" . ($changed{$_} ? "    refresh-max-interval: 100000\n" : '') } @$many) if $many;
    return ($program{knot}, '-c', "$dir/c.conf");
}

sub bind {
    my ($dir, $zone, $file, $primary, $many) = @_;
    my $from = $file ? qq(type primary; file "$file";) : qq(type secondary; file "$dir/zone"; primaries { 127.0.0.1 port $primary; };);
    spew("$dir/c.conf", <<"X");
options {
  directory "$dir"; pid-file none; session-keyfile none; lock-file none; managed-keys-directory "$dir";
  listen-on port $port { 127.0.0.1; }; listen-on-v6 { none; };
  recursion no; dnssec-validation no; empty-zones-enable no; notify no; minimal-responses yes;
  masterfile-format text; check-names primary ignore; check-names secondary ignore; check-integrity no; tcp-clients 1000;
  max-udp-size 1232; zone-statistics none; querylog no;
};
controls { };
@{[ $many ? '' : qq(zone "$zone" { $from };) ]}
X
    append("$dir/c.conf", map { qq(zone "$_" { type secondary; file "$dir/$_"; primaries { 127.0.0.1 port $primary; }; };\n) } @$many) if $many;
    return ($program{bind}, '-g', '-n', 1, '-c', "$dir/c.conf");
}

# Its SQLite backend. The database of a file's zone is made once, beside the file, and copied. A signed zone has NSEC and NSEC3 made anew,
# with the signatures that are there.
sub powerdns {
    my ($dir, $zone, $file, $primary) = @_;
    my $new = $file && !-e "$file.pdns";
    my $database = $new ? "$file.pdns.new" : "$dir/pdns.db";
    my $conf = sub {
        my ($path) = @_;
        spew("$dir/pdns.conf", <<"X");
launch=gsqlite3
gsqlite3-database=$path
gsqlite3-dnssec=yes
gsqlite3-pragma-synchronous=0
socket-dir=$dir
local-address=127.0.0.1
local-port=$port
secondary=@{[ $primary ? 'yes' : 'no' ]}
receiver-threads=1
distributor-threads=1
retrieval-threads=1
max-tcp-connections=1000
loglevel=4
X
    };
    my $run = sub { system('timeout 900 ' . join(' ', map { qq('$_') } @_) . " >> '$dir/out' 2>&1") == 0 or die "failed: @_\n",
        substr slurp("$dir/out"), -2000 };
    my @util = ('pdnsutil', "--config-dir=$dir");
    $conf->($database);
    if (!$file || $new) {
        unlink $database;
        $run->('sqlite3', $database, ".read $schema");
        $run->(@util, $primary ? ('create-secondary-zone', $zone, "127.0.0.1:$primary") : ('load-zone', $zone, $file));
    }
    if ($new) {
        my $denial = slurp("$file.signed");
        # It sets the order of the names for a zone that it signs itself: so it gets a key, which is taken away again.
        $run->(@$_) for $denial ? ([ @util, 'secure-zone', $zone ], $denial =~ /nsec3/ ? [ @util, 'set-nsec3', $zone, '1 0 0 -' ] : (),
            [ @util, 'rectify-zone', $zone ], [ 'sqlite3', $database, 'delete from cryptokeys' ], [ @util, 'set-presigned', $zone ]) : ();
        rename $database, "$file.pdns" or die "$file.pdns: $!";
    }
    $conf->("$dir/pdns.db");
    $run->('cp', "$file.pdns", "$dir/pdns.db") if $file;
    return ($program{powerdns}, "--config-dir=$dir", '--guardian=no', '--daemon=no');
}

# --- processes --------------------------------------------------------------------------------------

# What is interrupted leaves no server behind.
my ($owner, %running) = ($$);
$SIG{$_} = sub { exit 1 } for qw(INT TERM HUP);
END {
    my $status = $?;
    kill KILL => map { -$_ } keys %running if $$ == $owner;
    $? = $status;
}

sub program { my ($name, $path) = @_; $program{$name} = $path }
sub have { my ($class, $name) = @_; return -x ($program{$name} // '') && ($name ne 'powerdns' || -e $schema) }

sub start {
    my ($class, $name, %of) = @_;
    my $self = bless { name => $name, %of }, $class;
    $port = free_port(24153) unless $of{primary};            # the primary knows the port already
    my @command = $setup{$name}->(@of{qw(dir zone file primary zones)});
    $self->{pid} = fork // die "fork: $!";
    if ($self->{pid}) {
        $running{ $self->{pid} } = 1;
        return $self;
    }
    POSIX::setpgid(0, 0);
    open STDOUT, '>>', "$of{dir}/out";
    open STDERR, '>&', \*STDOUT;
    exec @$served, @command or POSIX::_exit(127);
}

# Other zones from now on, once the server has been told to read its configuration again (by the command that is given; those who have none cannot).
sub reconfigure {
    my ($self, $zones) = @_;
    my %command = (lockstep => [ "$build/lockstep", '-s', "$self->{dir}/control", 'reload' ],
        nsd => [ '/usr/sbin/nsd-control', '-c', "$self->{dir}/c.conf", 'reconfig' ],
        knot => [ '/usr/sbin/knotc', '-c', "$self->{dir}/c.conf", '-b', '-t', 60, 'reload' ]);
    $setup{ $self->{name} }->(@$self{qw(dir zone file primary)}, $zones);
    return $command{ $self->{name} };
}

sub stop {
    my ($self) = @_;
    kill TERM => -$self->{pid};
    wait_gone($self->{pid}, 20);
    kill KILL => -$self->{pid};
    delete $running{ $self->{pid} };
}

sub wait_gone {
    my ($pid, $seconds) = @_;
    my $end = now() + $seconds;
    while (waitpid($pid, POSIX::WNOHANG()) == 0) {
        kill KILL => $pid if now() > $end;
        sleep 0.02;
    }
}

# The process and all below it.
sub family {
    my ($self) = @_;
    return descent($self->{pid});
}

sub descent {
    my ($pid) = @_;
    return ($pid, map { descent($_) } map { split ' ', slurp($_) } glob "/proc/$pid/task/*/children");
}

# Binds its threads again: Knot's UDP and TCP workers choose their processors themselves, from all there are.
sub bind_threads {
    my ($self) = @_;
    for my $pid (@$served ? $self->family : ()) {
        system("taskset -a -p -c $served->[-1] $pid > /dev/null") == 0 or die "taskset has failed for $self->{name}\n";
    }
    return 1;
}

sub said { my ($self) = @_; return join '', map { substr slurp("$self->{dir}/$_"), -2000 } qw(out log) }

# Whether it answers for the zone within so many seconds: with authority, so that a zone that is still being read does not pass.
sub wait_answer {
    my ($self, $seconds) = @_;
    my $end = now() + $seconds;
    my $query = pack 'n6', 0x4242, 0, 1, 0, 0, 0;
    $query .= pack '(C/a)*', split(/\./, $self->{zone} // $self->{zones}[0]), '';
    $query .= pack 'n2', 6, 1;
    while (now() < $end && waitpid($self->{pid}, POSIX::WNOHANG()) == 0) {
        my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Proto => 'udp') or next;
        $socket->send($query);
        next unless IO::Select->new($socket)->can_read(0.1);
        my $answer = '';
        $socket->recv($answer, 4096);
        my ($id, $flags, undef, $answers) = unpack 'n4', $answer . "\0" x 8;
        return $self->bind_threads if $id == 0x4242 && $flags & 0x8000
            && ($self->{name} eq 'echo' || ($flags & 0x0400 && !($flags & 15) && $answers));
        sleep 0.02;
    }
    return 0;
}

# --- the primary --------------------------------------------------------------------------------------

# t/bench/source, or another program, with these options, behind a command such as `nice`; it ends when $source->{in} is closed.
sub start_source {
    my ($behind, @options) = @_;
    my $source = { text => '' };
    my $program = $options[0] =~ /^--/ ? 'source' : shift @options;
    $port = free_port(24153);
    $source->{pid} = open2($source->{out}, $source->{in}, @$behind, @$driver, "$build/t/bench/$program", '--server', $port, @options);
    return $source;
}

# The source's lines, each "word [serial] seconds"; waits for one that matches.
sub expect {
    my ($source, $pattern, $seconds, $idle) = @_;
    my $end = now() + $seconds;
    while (now() < $end) {
        return $1 if $source->{text} =~ s/^(?:.*\n)*?($pattern) ([\d.]+)\n// and ($source->{time} = $2);
        if (IO::Select->new($source->{out})->can_read(0.01)) {
            sysread $source->{out}, $source->{text}, 4096, length $source->{text} or die "the source has ended\n";
        }
        $idle->() if $idle;
    }
    die "nothing like \"$pattern\" within $seconds s\n";
}

1;
