#!/usr/bin/perl
# DNS over TLS: real clients (kdig, dig, openssl, IO::Socket::SSL), handshakes that go wrong, transfers out, clients with certificates,
# and certificates that change under open connections.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Copy qw(copy);
use IO::Socket::IP;
use Lockstep;
use Peer;
use Process qw(find_program free_port run_command signal_process slurp spew wait_for work_dir);
use Test::More;
use Time::HiRes qw(sleep);
use Tls;
use Transfers qw(zone_text);
use Wire;

plan skip_all => 'lockstepd is not built' unless Lockstep::have();
plan skip_all => 'needs openssl and IO::Socket::SSL' unless Tls::have();

my $build = $ENV{top_builddir} // '.';
my $ca = Tls::authority('Authority');
my %cert = map { $_ => Tls::certificate('ns.example', $ca) } qw(first second);
my $soa = Wire::message(id => 7, question => Wire::question('own', 'SOA'));

# A daemon with a certificate in files of its own, whose zone anybody may transfer.
sub daemon {
    my (%server) = @_;
    my $port = free_port;
    my $lockstep = Lockstep->new(server => { 'listen-tls' => ["127.0.0.1\@$port"], limits => { 'tcp-idle' => '120s' }, %server },
        acls => [ { name => 'all' } ], zones => [ { name => 'own', source => 'file', 'allow-transfer' => ['all'] } ]);
    $lockstep->{tls_port} = $port;
    $lockstep->{conf}{server}{"tls-$_"} //= "$lockstep->{dir}/tls.$_" for qw(cert key);
    put_cert($lockstep, $cert{first});
    $lockstep->put_zone('own', zone_text('own', 1, count => 2000));
    return $lockstep;
}

sub put_cert {
    my ($lockstep, $cert) = @_;
    spew("$lockstep->{dir}/tls.$_", slurp($cert->{$_})) for qw(cert key);
    chmod 0600, "$lockstep->{dir}/tls.key";
}

sub stat_of { my ($lockstep, $name) = @_; return $lockstep->json('stats')->{serve}{$name} }
sub rcode { my ($bytes) = @_; return defined $bytes ? Wire::parse($bytes)->{rcode} : 'none' }
sub ends_well { my ($lockstep) = @_; is($lockstep->stop, 0, 'lockstepd ends cleanly') }
sub transfer_rcode { my ($client, @of) = @_; my ($rcode) = $client->transfer('own', @of); return $rcode // 'none' }

subtest 'queries' => sub {
    my $lockstep = daemon()->start;
    my @at = ('@127.0.0.1', '-p', $lockstep->{tls_port});
    my @dig = ('dig', '+tls', "+tls-ca=$ca->{cert}", '+tls-hostname=ns.example', @at, '+norec');
    SKIP: {
        skip 'kdig is not installed', 5 unless find_program('kdig');
        my @kdig = ('kdig', "+tls-ca=$ca->{cert}", '+tls-hostname=ns.example', @at, 'own', 'SOA', '+norec');
        my ($status, $out) = run_command(@kdig);
        like($out, qr/TLS1\.3.*status: NOERROR.*Flags: qr aa;.*host\.own\. 1 /s, 'kdig, which checks the certificate, is answered');
        ($status, $out) = run_command(map { /hostname/ ? '+tls-hostname=other.example' : $_ } @kdig);
        unlike($out, qr/NOERROR/, 'and would not be with another name');
        ($status, $out) = run_command('kdig', '+tls', @at, '+keepopen', 'own', 'SOA', 'h5.own', 'A', 'none.own', 'A');
        is(join(' ', $out =~ /status: (\w+)/g), 'NOERROR NOERROR NXDOMAIN', 'three questions on one connection');
        ($status, $out) = run_command('kdig', '+tls', '+padding', @at, 'own', 'SOA');
        like($out, qr/^;; Received 468 B/m, 'who pads gets a padded answer');
        ($status, $out) = run_command('kdig', '+tls', '+nopadding', @at, 'own', 'SOA');
        unlike($out, qr/^;; Received 468 B/m, 'who does not gets it bare');
    }
    my ($status, $out) = run_command(@dig, 'own', 'SOA');
    like($out, qr/status: NOERROR.*\(TLS\)/s, 'dig');
    my $before = stat_of($lockstep, 'queries_tls');
    my $client = Tls::connect($lockstep->{tls_port}, SSL_ca_file => $ca->{cert}, SSL_verifycn_name => 'ns.example');
    is($client->{socket}->get_sslversion, 'TLSv1_3', 'TLS 1.3');
    is($client->{socket}->alpn_selected, 'dot', 'ALPN dot');
    $client->send(map { Wire::message(id => $_, question => Wire::question("h$_.own", 'A')) } 1 .. 500);
    my @ids = map { unpack 'n', $client->receive // '' } 1 .. 500;
    is_deeply(\@ids, [ 1 .. 500 ], 'five hundred at once are answered in order');
    is(stat_of($lockstep, 'queries_tls') - $before, 500, 'and counted');
    for my $name (qw(TLSv1_2 TLSv1_3)) {
        my $client = Tls::connect($lockstep->{tls_port}, SSL_version => $name);
        is(rcode($client->ask($soa)), 0, "$name is spoken");
        is($client->{socket}->get_sslversion, $name, 'alone');
    }
    is(rcode(Tls::connect($lockstep->{tls_port}, SSL_alpn_protocols => undef)->ask($soa)), 0, 'a client without ALPN is served');
    is(rcode(Tls::connect($lockstep->{tls_port}, SSL_alpn_protocols => [qw(h2 dot)])->ask($soa)), 0, 'one with more than dot too');
    is((Wire::ask_tcp($lockstep->at, $soa, 1))[0] ? 1 : 0, 1, 'the other port is without TLS');
    is(stat_of($lockstep, 'tls_failed') <= 1, 1, 'nothing has failed but the client that did not like our name');
    ends_well($lockstep);
};

subtest 'handshakes that go wrong' => sub {
    my $lockstep = daemon(limits => { 'tcp-idle' => '1s' }, log => { level => 'debug' })->start;
    my $raw = sub { return IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $lockstep->{tls_port}, Timeout => 5) };
    ok(!Tls::connect($lockstep->{tls_port}, SSL_alpn_protocols => ['h2']), 'ALPN without dot');
    like(Tls::error(), qr/no application protocol/, 'is told so');
    my ($status, $out, $said) = run_command('openssl', 's_client', '-connect', "127.0.0.1:$lockstep->{tls_port}", '-tls1_1',
        '-cipher', 'ALL:@SECLEVEL=0');
    like("$out$said", qr/alert protocol version/, 'TLS 1.1 is refused');
    ok(wait_for(sub { stat_of($lockstep, 'tls_failed') == 2 }), 'both are counted');
    my @sockets;
    for my $bytes (Wire::frame($soa), "GET / HTTP/1.0\r\n\r\n", "\x16\x03\x01\x40\x00\x01" . "\0" x 5000,
        "\x16\x03\x01\xff\xff" . 'x' x 70000, join '', map { chr int rand 256 } 1 .. 3000) {
        push @sockets, my $socket = $raw->();
        syswrite $socket, $bytes;
    }
    close $raw->();
    my $half = $raw->();
    syswrite $half, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    close $half;
    ok(wait_for(sub { stat_of($lockstep, 'tls_failed') == 2 + 7 }), 'so is noise, what is cut, and a hello that never ends')
        or diag(stat_of($lockstep, 'tls_failed'));
    my $silent = $raw->();
    my $begun = Time::HiRes::time;
    my $slow = $raw->();
    my $hello = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" . 'x' x 100;
    for my $octet (split //, $hello) {
        local $SIG{PIPE} = 'IGNORE';
        syswrite $slow, $octet or last;
        last if wait_for(sub { stat_of($lockstep, 'tls_failed') == 2 + 7 + 2 }, 0.05);
    }
    my $took = Time::HiRes::time() - $begun;
    ok($took > 0.9 && $took < 30, 'silence and a trickle end after tcp-idle') or diag("$took s");
    is(scalar(grep { $_->{reason} =~ /no handshake in time/ } $lockstep->wait_events(2 + 7 + 2, 'tls-failed')), 3, 'the log (debug) says why')
        or diag(join "\n", map { $_->{reason} } $lockstep->events('tls-failed'));
    is(stat_of($lockstep, 'tls_accepted'), 0, 'nobody got in');
    is(rcode(Tls::connect($lockstep->{tls_port})->ask($soa)), 0, 'the next one is served');
    ends_well($lockstep);
};

subtest 'transfers' => sub {
    my $lockstep = daemon()->start;
    my $tls = sub { return Tls::connect($lockstep->{tls_port}, @_) };
    my @got = $tls->()->transfer('own');
    is($got[0], 0, 'AXFR');
    is($got[1], 2013, 'all of it');
    is(($lockstep->wait_events(1, 'transfer-out'))[0]{over}, 'TLS', 'the log says how');
    is(transfer_rcode($tls->(), type => 'IXFR', serial => 0), 0, 'IXFR');
    is(transfer_rcode($tls->(SSL_version => 'TLSv1_2')), 5, 'a transfer over TLS 1.2 is refused (RFC 9103 7.1)');
    is(transfer_rcode($tls->(SSL_alpn_protocols => undef)), 5, 'so is one without ALPN');
    like(($lockstep->wait_events(1, 'transfer-out-refused'))[0]{reason}, qr/TLS 1\.3 and ALPN/, 'which the log says');
    my $client = $tls->();
    $client->send($soa, Wire::message(question => Wire::question('own', 'AXFR')), $soa);
    my @messages = map { Wire::parse($client->receive) } 1 .. 2;
    is($messages[0]{id}, 7, 'questions before and after it');
    my $last;
    wait_for(sub { my $bytes = $client->receive(1) // return 1; $last = Wire::parse($bytes); $last->{id} == 7 });
    is($last->{id}, 7, 'are answered in order');
    my ($status, $out) = run_command('dig', '+tls', '@127.0.0.1', '-p', $lockstep->{tls_port}, 'own', 'AXFR', '+short', '+nocookie');
    is(scalar(split /\n/, $out), 2013, 'dig');
    ($status, $out) = run_command('dig', '+tls', '@127.0.0.1', '-p', $lockstep->{tls_port}, 'own', 'AXFR');
    unlike($out, qr/warning|expected/i, 'dig with a cookie has nothing to remark');
    like($out, qr/XFR size: 2013 records \(messages [2-9],/, 'about several messages');
    $client = $tls->();
    $client->send(Wire::message(question => Wire::question('own', 'AXFR'), additional => [ Wire::raw_rr(owner => '.', type => 'OPT', class => 1232, ttl => 0, rdata => pack 'nn', 12, 0) ]));
    my ($soas, @lengths) = (0);
    while ($soas < 2) {
        my $bytes = $client->receive // last;
        push @lengths, length $bytes;
        $soas += grep { $_->{type} == 6 } @{ Wire::parse($bytes)->{answer} };
    }
    is(scalar(grep { $_ % 468 } @lengths), 0, 'who pads gets a padded transfer') or diag("@lengths");
    cmp_ok(scalar @lengths, '>', 2, 'of several messages');
    ends_well($lockstep);
};

subtest 'transfers over TLS alone' => sub {
    my $lockstep = daemon();
    my $conf = $lockstep->{conf};
    push @{ $conf->{acls} }, { name => 'secure', tls => 'true' }, { name => 'not-other', address => ['127.0.0.9'], action => 'deny' };
    $conf->{remotes} = [ { name => 'down', address => ['127.0.0.1'], tls => { 'auth-name' => 'down.example' } } ];
    for my $who ('secure', 'down') {
        $conf->{zones}[0]{'allow-transfer'} = [$who];
        $lockstep->{pid} ? $lockstep->reload : $lockstep->start;
        my ($plain) = Wire::ask_tcp($lockstep->at, Wire::message(question => Wire::question('own', 'AXFR')), 1);
        is(rcode($plain), 5, "$who: refused without TLS");
        is(transfer_rcode(Tls::connect($lockstep->{tls_port})), 0, "$who: given over TLS");
    }
    ends_well($lockstep);
};

subtest 'clients with certificates' => sub {
    my ($clients, $others) = map { Tls::authority($_) } qw(clients others);
    my ($good, $bad) = map { Tls::certificate('down.example', $_) } $clients, $others;
    my $late = Tls::certificate('down.example', $clients, days => -1);
    my $lockstep = daemon('tls-ca' => $clients->{cert})->start;
    my $with = sub { my ($cert) = @_; return Tls::connect($lockstep->{tls_port}, $cert ? (SSL_cert_file => $cert->{cert}, SSL_key_file => $cert->{key}) : ()) };
    my $client = $with->();
    is(rcode($client->ask($soa)), 0, 'questions need none');
    is(transfer_rcode($client), 5, 'a transfer does');
    like(($lockstep->wait_events(1, 'transfer-out-refused'))[0]{reason}, qr/shown no certificate/, 'which the log says');
    is(transfer_rcode($with->($good)), 0, 'with a good one it is given');
    for my $case ([ 'of somebody else', $bad ], [ 'that has expired', $late ]) {
        my ($name, $cert) = @$case;
        my $client = $with->($cert);
        is($client ? rcode($client->ask($soa)) : 'none', 'none', "one $name: no answer");
    }
    ok(wait_for(sub { stat_of($lockstep, 'tls_failed') == 2 }), 'both are counted');
    my $open = $with->($good);
    is(rcode($open->ask($soa)), 0, 'an open connection');
    $lockstep->{conf}{server}{'tls-ca'} = $others->{cert};
    is(($lockstep->reload)[0], 0, 'other authorities come into force');
    is(transfer_rcode($with->($bad)), 0, 'whose clients are taken');
    my $former = $with->($good);
    is($former ? rcode($former->ask($soa)) : 'none', 'none', 'and the others no more');
    is(rcode($open->ask($soa)), 0, 'the open connection goes on');
    ends_well($lockstep);
};

subtest 'addresses and limits change with a reload' => sub {
    my $lockstep = daemon(workers => 2)->start;
    my ($one, $two) = ($lockstep->{tls_port}, free_port);
    my $at = sub { my ($port, @of) = @_; my $client = Tls::connect($port, @of); return $client ? rcode($client->ask($soa)) : 'none' };
    my $to = sub { $lockstep->{conf}{server}{'listen-tls'} = [ map { "127.0.0.1\@$_" } @_ ]; return ($lockstep->reload)[0] };
    my $open = Tls::connect($one);
    is($to->($one, $two), 0, 'one more address');
    ok(wait_for(sub { $at->($two) eq '0' }), 'is listened at');
    is(join('', map { $at->($_) } ($one, $two) x 8), '0' x 16, 'by all workers, beside the first');
    is($to->($two), 0, 'the first is left out');
    ok(wait_for(sub { $at->($one) eq 'none' }), 'nobody listens there');
    is(rcode($open->ask($soa)), 0, 'but the open connection goes on');
    $to->($one, $two), $to->($two), $to->($one) for 1 .. 10;
    ok(wait_for(sub { $at->($two) eq 'none' }), 'many changes: the last counts');
    is(join('', map { $at->($one) } 1 .. 8), '0' x 8, 'for all workers');
    my $other = IO::Socket::IP->new(LocalHost => '127.0.0.1', Listen => 1);
    is($to->($one, $other->sockport), 0, 'an address that another program has');
    like(($lockstep->log_lines(qr/a change of server\.listen-tls takes effect with the next start/))[0] // '',
        qr/ warning reload .*Address already in use/, 'is for the next start, with the reason');
    is($at->($one), 0, 'the others stay');
    delete $lockstep->{conf}{server}{'listen-tls'};
    is(($lockstep->reload)[0], 0, 'none at all');
    ok(wait_for(sub { $at->($one) eq 'none' }), 'nobody listens');
    is($to->($two), 0, 'and again');
    ok(wait_for(sub { $at->($two) eq '0' }), 'somebody does');

    my $idle = sub {
        my $client = IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $lockstep->{port});
        my $begun = Time::HiRes::time;
        vec(my $ready = '', fileno $client, 1) = 1;
        select $ready, undef, undef, $_[0];
        return Time::HiRes::time() - $begun;
    };
    cmp_ok($idle->(2), '>', 1.9, 'an idle connection stays');
    $lockstep->{conf}{server}{limits}{'tcp-idle'} = '1s';
    is(($lockstep->reload)[0], 0, 'tcp-idle');
    cmp_ok($idle->(10), '<', 5, 'and the next is ended soon');
    $lockstep->{conf}{server}{limits} = { 'tcp-idle' => '20s', 'tcp-clients' => 4 };
    is(($lockstep->reload)[0], 0, 'tcp-clients');
    my $rejected = stat_of($lockstep, 'tcp_rejected');
    my @many = map { IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $lockstep->{port}) } 1 .. 12;
    ok(wait_for(sub { stat_of($lockstep, 'tcp_rejected') >= $rejected + 8 }), 'holds for who comes') or diag(stat_of($lockstep, 'tcp_rejected'));
    is(scalar($lockstep->log_lines(qr/tcp-(?:idle|clients) takes effect with the next start/)), 0, 'without a restart');
    ends_well($lockstep);
};

# The fingerprint of the certificate that a new connection sees.
sub shown {
    my ($lockstep) = @_;
    my $client = Tls::connect($lockstep->{tls_port}) or return 'none';
    return uc($client->{socket}->get_fingerprint('sha256') =~ s/.*\$//r);
}

subtest 'certificates change' => sub {
    my %print = map { $_ => Tls::fingerprint($cert{$_}) } keys %cert;
    my $lockstep = daemon(workers => 2)->start;
    my @open = map { Tls::connect($lockstep->{tls_port}) } 1 .. 8;
    is(rcode($_->ask($soa)), 0, 'a connection') for @open;
    is(shown($lockstep), $print{first}, 'the first certificate');
    my $session = "$lockstep->{dir}/session";
    my @s_client = ('openssl', 's_client', '-connect', "127.0.0.1:$lockstep->{tls_port}", '-alpn', 'dot');
    # It stays until it has the server's ticket for the next session.
    my $until_there = 'i=0; until [ -s "$0.next" ] || [ $i -eq 400 ]; do sleep 0.05; i=$((i + 1)); done';
    my $resumed = sub {
        spew("$session.query", Wire::frame($soa));
        unlink "$session.next";
        my ($status, $out) = run_command('sh', '-c', qq({ cat "\$0.query"; $until_there; } | exec "\$\@" -sess_out "\$0.next" 2>&1), $session, @s_client, @_);
        rename "$session.next", $session;
        return $out =~ /^Reused, TLSv1.3/m ? 1 : 0;
    };
    is($resumed->(), 0, 'a session');
    is(join(' ', map { $resumed->('-sess_in', $session) } 1 .. 6), '1 1 1 1 1 1', 'is resumed, by whichever worker gets it');

    put_cert($lockstep, $cert{second});
    is(($lockstep->verb('reload'))[0], 0, 'reload');
    is(shown($lockstep), $print{second}, 'the second certificate');
    is(rcode($_->ask($soa)), 0, 'the open connection goes on') for @open;
    is($resumed->('-sess_in', $session), 1, 'the session is resumed all the same');
    is(stat_of($lockstep, 'tls_resumed'), 7, 'which is counted');

    my @wrong = ([ 'a key that does not belong to it', sub { spew("$lockstep->{dir}/tls.key", slurp($cert{first}{key})) }, qr,/tls\.key: the key does not belong to the certificate in \S+/tls\.cert, ],
        [ 'half a file', sub { spew("$lockstep->{dir}/tls.cert", substr slurp($cert{first}{cert}), 0, 300) }, qr,/tls\.cert: (?:certificate 1 is damaged|there is no certificate), ],
        [ 'no file', sub { unlink "$lockstep->{dir}/tls.cert" }, qr,/tls\.cert: open: No such file, ],
        [ 'no authorities', sub { put_cert($lockstep, $cert{first}); $lockstep->{conf}{server}{'tls-ca'} = "$lockstep->{dir}/none" }, qr,/none: open: No such file, ]);
    for my $case (@wrong) {
        my ($name, $break, $wanted) = @$case;
        $break->();
        my ($status, $out, $said) = $lockstep->reload;
        is($status, 1, "$name: reload fails");
        like($said, $wanted, 'and says why');
        my $lines = my @before = $lockstep->log_lines(qr/error reload msg="nothing was changed: .*$wanted/);
        $lockstep->signal('HUP');
        ok(wait_for(sub { my @now = $lockstep->log_lines(qr/error reload msg="nothing was changed: .*$wanted/); @now > $lines }), 'SIGHUP too');
        is(shown($lockstep), $print{second}, 'the certificate in force stays');
        like((run_command("$build/lockstepd", '-t', '-c', $lockstep->conf_file))[2],
            qr/\Alockstepd: $wanted|\Alockstepd: .*$wanted/, '-t says so too');
        put_cert($lockstep, $cert{second});
    }
    delete $lockstep->{conf}{server}{'tls-ca'};
    put_cert($lockstep, $cert{first});
    $lockstep->configure;
    $lockstep->signal('HUP');
    ok(wait_for(sub { shown($lockstep) eq $print{first} }), 'SIGHUP brings the next certificate');
    is(rcode($_->ask($soa)), 0, 'the open connection goes on') for @open;

    put_cert($lockstep, my $late = Tls::certificate('ns.example', $ca, days => -1));
    like((run_command("$build/lockstepd", '-t', '-c', $lockstep->conf_file))[2], qr,/tls\.cert: the certificate has expired\n,, 'an expired one is warned of');
    is(($lockstep->verb('reload'))[0], 0, 'and taken');
    like(($lockstep->events('tls'))[0]{msg}, qr/has expired/, 'with a line in the log');
    is(shown($lockstep), Tls::fingerprint($late), 'new connections see it');
    ends_well($lockstep);
};

sub fails_to_start {
    my ($name, $lockstep, $wanted) = @_;
    my ($status, $said) = $lockstep->start_in_vain;
    is($status, 1, "$name: it does not start");
    like($said, $wanted, 'and says why');
    unlike($said, qr/Sanitizer/, 'and leaves nothing behind');
}

subtest 'the start' => sub {
    my $lockstep = daemon();
    unlink "$lockstep->{dir}/tls.key";
    fails_to_start('no key', $lockstep, qr,not-started msg=".*/tls\.key: open: No such file,);
    $lockstep = daemon();
    delete $lockstep->{conf}{server}{'tls-key'};
    fails_to_start('tls-key left out', $lockstep, qr/conf:\d+: server\.listen-tls: "tls-key" is missing/);
    $lockstep = daemon('listen-tls' => []);
    unlink "$lockstep->{dir}/tls.key";
    is($lockstep->start->stop, 0, 'without listen-tls the files are not looked at');
    $lockstep = daemon();
    $lockstep->{conf}{server}{'listen-tls'} = [ $lockstep->at ];
    fails_to_start('an address in both lists', $lockstep, qr/server\.listen-tls: \S+ is in "listen" too/);
    my $other = IO::Socket::IP->new(LocalHost => '127.0.0.1', Listen => 1);
    $lockstep = daemon('listen-tls' => [ '127.0.0.1@' . $other->sockport ]);
    fails_to_start('another program has the port', $lockstep, qr/not-started msg=".*bind: Address already in use/);
    SKIP: {
        skip 'this needs root', 5 if $> || slurp('/proc/self/uid_map') !~ /\b0\s+0\s+\d{5,}/;
        my ($uid, $gid) = (getpwnam 'nobody')[ 2, 3 ];
        $lockstep = daemon(user => 'nobody');
        $lockstep->{conf}{server}{control} = "$lockstep->{dir}/run/socket";
        chmod 0755, work_dir();
        $lockstep->start;
        is(rcode(Tls::connect($lockstep->{tls_port})->ask($soa)), 0, 'a key that root alone may read is read before root is left');
        my ($status, $out, $said) = $lockstep->verb('reload');
        is($status, 1, 'a reload is done by the user');
        like($said, qr,/tls\.key: open: Permission denied,, 'who may not read it, which is said');
        chown $uid, $gid, "$lockstep->{dir}/tls.key";
        is(($lockstep->verb('reload'))[0], 0, 'or may');
        ends_well($lockstep);
    }
};

# NSD 4.6 shows no certificate of its own.
subtest 'BIND and NSD pull over TLS' => sub {
    my @kinds = grep { Peer->have($_) } qw(nsd bind);
    plan skip_all => 'needs nsd or bind9' unless @kinds;
    my $clients = Tls::authority('clients');
    my %client = (%{ Tls::certificate('down.example', $clients) }, ca => $ca->{cert}, auth_name => 'ns.example');
    my $lockstep = daemon();
    $lockstep->{conf}{acls}[0]{tls} = 'true';
    $lockstep->start;
    for my $kind (@kinds) {
        if ($kind eq 'bind') {
            $lockstep->{conf}{server}{'tls-ca'} = $clients->{cert};
            is(($lockstep->reload)[0], 0, 'now with a certificate of the client');
        }
        my $tls = { %client, $kind eq 'nsd' ? (key => undef) : () };
        my $peer = Peer->new($kind, zones => [ { name => 'own', primaries => ["127.0.0.1\@$lockstep->{tls_port}"], tls => $tls } ])->start;
        ok($peer->wait_serial('own', 1), "$kind has it") or diag($peer->log_text, join "\n", $lockstep->log_lines(qr/transfer-out/));
        $peer->stop;
    }
    is_deeply([ map { $_->{over} } $lockstep->wait_events(scalar @kinds, 'transfer-out', outcome => 'done') ], [ ('TLS') x @kinds ], 'over TLS');
    ends_well($lockstep);
};
done_testing;
