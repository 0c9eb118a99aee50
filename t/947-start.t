#!/usr/bin/perl
# How the daemon starts and ends: what it binds, as whom it runs, what it leaves behind, and what it says where it cannot start.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";

# In a network of its own, where every port is free, if that may be had.
my $own_network = $ENV{LOCKSTEP_OWN_NETWORK};
if (!defined $own_network) {
    my @unshare = ('unshare', $> ? '-rn' : '-n');
    $ENV{LOCKSTEP_OWN_NETWORK} = system("@unshare ip link set lo up 2>/dev/null") == 0 ? 1 : 0;
    exec $ENV{LOCKSTEP_OWN_NETWORK} ? @unshare : (), $^X, $0 or die "exec: $!";
}
system 'ip link set lo up' if $own_network;

use Fake;
use File::Copy qw(copy);
use IO::Socket::IP;
use Lockstep;
use Process qw(free_port running run_command signal_process slurp spew start_process stop_process wait_for work_dir);
use Socket qw(SOCK_DGRAM SOCK_STREAM);
use Test::More;
use Time::HiRes qw(sleep time);
use Wire;

plan skip_all => 'lockstepd is not built' unless Lockstep::have();
my $build = $ENV{top_builddir} // '.';
my $no_family = "$build/t/947-no-family";
my @fake_of = (zone => 'example.', records => ['example. 300 IN NS ns.example.']);

# A daemon with one zone from a file.
sub daemon {
    my (%server) = @_;
    my $lockstep = Lockstep->new(zones => [ { name => 'own', source => 'file' } ], server => \%server);
    $lockstep->put_zone('own', "own. 300 IN SOA ns.own. host.own. 1 3600 900 604800 300\nown. 300 IN NS ns.own.\n");
    return $lockstep;
}

sub fails_to_start {
    my ($name, $lockstep, $wanted, @command) = @_;
    my ($status, $said) = $lockstep->start_in_vain(@command);
    is($status, 1, "$name: it does not start, exit status 1") or diag($said);
    like($said, $wanted, "$name: and says why");
    unlike($said, qr/Sanitizer/, "$name: and leaves nothing behind");
}

sub has_v6 { return IO::Socket::IP->new(LocalHost => '::1', Listen => 1) }

subtest 'addresses' => sub {
    my $port = free_port;
    fails_to_start('an address that is not ours', daemon(listen => ["192.0.2.1\@$port"]),
        qr/error not-started msg=".*192\.0\.2\.1\@$port: bind: Cannot assign/);
    my $udp = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => $port, Type => SOCK_DGRAM);
    fails_to_start('another program has the UDP port', daemon(listen => ["127.0.0.1\@$port"]), qr/127\.0\.0\.1\@$port: bind: Address already in use/);
    close $udp;
    my $tcp = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => $port, Type => SOCK_STREAM, Listen => 1, ReuseAddr => 1);
    fails_to_start('another program has the TCP port', daemon(listen => ["127.0.0.1\@$port"]), qr/127\.0\.0\.1\@$port: bind: Address already in use/);
    my $client = IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $port);
    my $server = $tcp->accept;
    close $_ for $server, $tcp, $client;
    my $lockstep = daemon(listen => ["127.0.0.1\@$port"])->start;
    is($lockstep->outcome('own'), 'NOERROR', 'a connection that has ended is not in the way');
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
    SKIP: {
        skip '947-no-family cannot be run', 3 if !has_v6() || (run_command($no_family, 'inet6', '/bin/true'))[0];
        fails_to_start('IPv6 was asked for and is not there', daemon(listen => [ "127.0.0.1\@$port", "::1\@$port" ]),
            qr/::1\@$port: socket: Address family not supported/, $no_family, 'inet6');
    }
};

subtest 'no addresses: all of them, port 53' => sub {
    plan skip_all => 'this needs a network of its own' unless $own_network;
    my $all = sub {
        my $lockstep = daemon();
        delete $lockstep->{conf}{server}{listen};
        return $lockstep;
    };
    my $lockstep = $all->()->start;
    is($lockstep->outcome('own', 'SOA', at => '127.0.0.1@53'), 'NOERROR', 'IPv4');
    is($lockstep->outcome('own', 'SOA', at => '127.0.0.9@53'), 'NOERROR', 'any of it');
    is($lockstep->outcome('own', 'SOA', at => '::1@53'), 'NOERROR', 'IPv6') if has_v6();
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
    SKIP: {
        skip '947-no-family cannot be run', 6 if (run_command($no_family, 'inet6', '/bin/true'))[0];
        $lockstep = $all->()->start($no_family, 'inet6');
        is($lockstep->outcome('own', 'SOA', at => '127.0.0.1@53'), 'NOERROR', 'a machine without IPv6 has IPv4');
        like(($lockstep->events('listen-left-out'))[0]{msg}, qr/^::\@53: .*not supported/, 'and the log says what is missing');
        is($lockstep->stop, 0, 'lockstepd ends cleanly');
        fails_to_start('a machine without both', $all->(), qr/not-started msg=".*\@53: socket: Address family not supported/,
            $no_family, 'inet6,inet');
    }
    my $udp = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 53, Type => SOCK_DGRAM);
    fails_to_start('a port that another program has is not left out', $all->(), qr/0\.0\.0\.0\@53: bind: Address already in use/);
};

subtest 'clients over TCP' => sub {
    plan skip_all => 'this machine has no ::1' unless has_v6();
    my $port = free_port;
    my @at = ("127.0.0.1\@$port", "127.0.0.2\@$port", "::1\@$port");
    my $lockstep = daemon(listen => \@at, limits => { 'tcp-clients' => 10 })->start;
    my @clients = map { my ($host) = $at[ $_ % 3 ] =~ /^(.*)@/; IO::Socket::IP->new(PeerHost => $host, PeerPort => $port) } 1 .. 45;
    is(scalar(grep { $_ } @clients), 45, 'forty-five connect to three addresses');
    ok(wait_for(sub { $lockstep->json('stats')->{serve}{tcp_rejected} >= 35 }), 'thirty-five give way');
    my @open = grep { my $ready = ''; vec($ready, fileno $_, 1) = 1; !select $ready, undef, undef, 0 } @clients;
    is(scalar @open, 10, 'ten are left, whatever address they came to');
    syswrite $open[0], Wire::frame(Wire::message(question => Wire::question('own', 'SOA')));
    ok(sysread($open[0], my $answer, 65535), 'and are answered');
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
};

subtest 'the end' => sub {
    for my $signal (qw(TERM INT)) {
        my $fake = Fake->new(@fake_of)->serve(serial => 5);
        my $lockstep = Lockstep->new(remotes => [ Lockstep::remote('hidden', $fake) ],
            zones => [ { name => 'example', primaries => ['hidden'], 'zonefile-sync' => '1h' } ])->start;
        ok($lockstep->wait_serial('example', 5), "SIG$signal: a zone that is not yet in its file");
        $fake->serve(serial => 6, axfr => sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa, @{ $talk->{fake}{records} } ]); $talk->wait_close(20) });
        $fake->notify($lockstep->at);
        ok($fake->wait_count('IXFR', 1), 'a transfer is under way');
        my $tcp = IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $lockstep->{port});
        my $control = $lockstep->control_socket;
        $lockstep->signal($signal);
        ok(wait_for(sub { !$lockstep->running }), "SIG$signal ends it");
        is($lockstep->stop, 0, 'with exit status 0');
        like(slurp($lockstep->zone_file('example')) // '', qr/SOA.* 5 /, 'the file was written');
        ok(!-e $lockstep->{conf}{server}{control}, 'the socket is gone');
        is_deeply([ map { s,.*/,,r } glob "$lockstep->{dir}/state/* $lockstep->{dir}/zones/*" ],
            [ 'lockstep.db', 'lockstep.lock', 'example.zone' ], 'and nothing else is left');
        like($lockstep->log_text, qr/notice stopping /, 'the log says so');
    }
    my $lockstep = daemon();
    $lockstep->configure;
    my %ended;
    for my $n (0 .. 14) {
        my $pid = start_process($lockstep->{log}, "$build/lockstepd", '-c', $lockstep->conf_file);
        sleep $n * 0.01;
        my $status = stop_process($pid);
        $ended{$status}++;
    }
    is_deeply([ grep { $_ != 0 && $_ != 15 } keys %ended ], [], 'stopped at any moment of its start it ends cleanly, or has not begun');
    unlike($lockstep->log_text, qr/Sanitizer/, 'and leaves nothing behind');
    $lockstep->start;
    is($lockstep->outcome('own'), 'NOERROR', 'and starts again after all that');
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
};

subtest 'the configuration is tested' => sub {
    my $lockstep = daemon();
    my $dir = work_dir('empty');
    @{ $lockstep->{conf}{server} }{qw(state-dir zone-dir control)} = ("$dir/state", "$dir/zones", "$dir/run/socket");
    $lockstep->configure;
    is_deeply([ run_command("$build/lockstepd", '-t', '-c', $lockstep->conf_file) ], [ 0, '', '' ], '-t: nothing to say');
    is_deeply([ glob "$dir/*" ], [], 'and nothing is made');
    $lockstep->{conf}{server}{user} = 'nobody-of-this-name';
    $lockstep->configure;
    is_deeply([ run_command("$build/lockstepd", '-t', '-c', $lockstep->conf_file) ],
        [ 0, '', "lockstepd: server.user: there is no user \"nobody-of-this-name\" on this machine\n" ], '-t: a user that is not here is said');
    spew($lockstep->conf_file, slurp($lockstep->conf_file) . "\nodd: 1;\n");
    for my $option ([], ['-t']) {
        my ($status, $out, $said) = run_command("$build/lockstepd", @$option, '-c', $lockstep->conf_file);
        is($status, 1, "an error: exit status 1 @$option");
        like($said, qr/\Alockstepd: \Q@{[ $lockstep->conf_file ]}\E:\d+: .*odd[^\n]*\n\z/, 'with file, line and key');
    }
    my ($status, $out, $said) = run_command("$build/lockstepd", '-c', "$dir/none");
    is($status, 1, 'no such file: exit status 1');
    like($said, qr,\Q$dir/none\E: .*No such file,, 'which is said');
    is((run_command("$build/lockstepd", @$_))[0], 2, "wrong usage: exit status 2: @$_") for ['-x'], ['more'], ['-c'];
    like((run_command("$build/lockstepd", '--version'))[1], qr/^lockstepd \d/, '--version');
    like((run_command("$build/lockstepd", '--help'))[1], qr/^usage: lockstepd /, '--help');
};

subtest 'directories, and a user' => sub {
    my $lockstep = daemon();
    my $dir = work_dir('deep');
    @{ $lockstep->{conf}{server} }{qw(state-dir control)} = ("$dir/a/b/state", "$dir/c/d/socket");
    $lockstep->start;
    is($lockstep->outcome('own'), 'NOERROR', 'what is missing is made');
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
    fails_to_start('a user that is not there', daemon(user => 'no-such-user'),
        qr/not-started msg="server\.user: there is no user \\"no-such-user\\"/);
    spew("$dir/file", '');
    my $without = daemon('state-dir' => "$dir/file/state")->start;
    is($without->outcome('own'), 'NOERROR', 'state-dir below a file: what there is is served');
    ok($without->wait_log(qr,error state-write-failed .*\Q$dir/file\E,), 'and what is wrong is said');
    is($without->stop, 0, 'it ends cleanly');
    fails_to_start('control below a file', daemon(control => "$dir/file/socket"), qr,error not-started msg=".*\Q$dir/file\E,);
    fails_to_start('control too long for a socket', daemon(control => "$dir/" . 'x' x 120),
        qr/conf:\d+: server\.control: .* is longer than the \d+ octets/);
};

# Who may not read the build directory runs copies.
sub as_nobody {
    my ($program) = @_;
    my $dir = work_dir('bin');
    copy("$build/$program", "$dir/$program") or die $!;
    chmod 0755, "$dir/$program";
    chmod 0711, work_dir();
    return ('setpriv', '--reuid=nobody', '--regid=nogroup', '--clear-groups', '--', 'sh', '-c', 'shift; exec ' . "$dir/$program" . ' "$@"', 'sh');
}

subtest 'users' => sub {
    plan skip_all => 'this needs root' if $> || ($own_network && slurp('/proc/self/uid_map') !~ /\b0\s+0\s+\d{5,}/);
    my ($uid, $gid) = (getpwnam 'nobody')[ 2, 3 ];
    my $own = sub { my ($path, $name) = @_; my @stat = stat $path; is("@stat[4, 5]", "$uid $gid", $name) };
    my @nobody = as_nobody('lockstepd');

    my $lockstep = daemon();
    $lockstep->{conf}{server}{listen} = ['127.0.0.1@53'];
    chown $uid, $gid, $lockstep->{dir}, glob "$lockstep->{dir}/*";
    fails_to_start('an ordinary user may not have port 53', $lockstep, qr/127\.0\.0\.1\@53: bind: Permission denied/, @nobody)
        if $own_network && (slurp('/proc/sys/net/ipv4/ip_unprivileged_port_start') // 0) > 53;
    fails_to_start('nor become another', daemon(user => 'root'), qr/server\.user: cannot become \\"root\\"|Permission denied/, @nobody);

    $lockstep = daemon(user => 'nobody', $own_network ? (listen => ['127.0.0.1@53']) : ());
    my $fake = Fake->new(@fake_of)->serve(serial => 3);
    $lockstep->{conf}{remotes} = [ Lockstep::remote('hidden', $fake) ];
    push @{ $lockstep->{conf}{zones} }, { name => 'example', primaries => ['hidden'], 'zonefile-sync' => 0, file => '%1/%s' };
    my $run = "$lockstep->{dir}/run";
    $lockstep->{conf}{server}{control} = "$run/socket";
    $lockstep->start;
    ok($lockstep->wait_serial('example', 3), 'root starts it, and it serves') or diag($lockstep->log_text);
    my %status = map { /^(\w+):\s*(.*)/ ? ($1 => $2) : () } split /\n/, slurp("/proc/$lockstep->{pid}/status");
    is($status{Uid}, join("\t", ($uid) x 4), 'as nobody');
    is($status{Gid}, join("\t", ($gid) x 4), 'in its group');
    is($status{Groups} =~ s/ *$//r, $gid, 'and in no other');
    is($status{CapEff}, '0' x 16, 'without any rights');
    $own->("$lockstep->{dir}/$_->[0]", "$_->[1] belongs to it")
        for [ 'state', 'state-dir' ], [ 'state/lockstep.db', 'the database' ], [ 'zones', 'zone-dir' ],
        [ 'zones/e', 'a directory below it' ], [ 'zones/e/example', 'the zone file' ], [ 'run', 'the directory of the socket' ],
        [ 'run/socket', 'the socket' ];
    is(sprintf('%o', (stat $lockstep->zone_file('own'))[2] & 07777), '644', 'a file that was there keeps its mode');
    is(sprintf('%o', (stat "$lockstep->{dir}/zones/e/example")[2] & 07777), '640', 'a new one is not for everybody');
    $fake->serve(serial => 4);
    is(($lockstep->verb('refresh', 'example'))[0], 0, 'it works');
    is(($lockstep->verb('reload'))[0], 0, 'and reads its configuration again');
    chmod 0600, $lockstep->conf_file;
    my @got = $lockstep->control(qq({"verb":"reload"}\n));
    like($got[0]{error}, qr/\Q@{[ $lockstep->conf_file ]}\E: .*Permission denied/, 'if it may: else it says so');
    is($lockstep->outcome('example'), 'NOERROR', 'and goes on');
    chmod 0644, $lockstep->conf_file;
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
    ok(!-e "$run/socket", 'and takes its socket away');
    $lockstep->start;
    ok($lockstep->wait_serial('example', 4), 'it starts again');
    is($lockstep->stop, 0, 'lockstepd ends cleanly');

    $lockstep = daemon();
    $lockstep->start;
    is($lockstep->stop, 0, 'one that was started as root');
    $lockstep->{conf}{server}{user} = 'nobody';
    fails_to_start('is then to be somebody else', $lockstep,
        qr,error state-write-failed .*\Q$lockstep->{dir}\E/state/.*Permission denied.*error not-started ,s);
};
done_testing;
