#!/usr/bin/perl
# Transfers in over TLS (RFC 9103): from our own daemon, from BIND, from a fake primary whose certificate, protocol or manners are
# wrong; never without TLS where it is configured. Clients by their certificates.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Dump qw(dump_text same_zone);
use Fake;
use IO::Socket::IP;
use Lockstep;
use Mirror qw(same_answers);
use Peer;
use Process qw(free_port run_command slurp spew wait_for work_dir);
use Test::More;
use Tls;
use Transfers qw(zone_text);
use Wire;

plan skip_all => 'lockstepd is not built' unless Lockstep::have();
plan skip_all => 'needs openssl and IO::Socket::SSL' unless Tls::have();

my $build = $ENV{top_builddir} // '.';
my ($ca, $clients, $others) = map { Tls::authority($_) } 'Authority', 'Clients', 'Others';
my $server = Tls::certificate('ns.example', $ca);
my %client = map { $_ => Tls::certificate("$_.example", $clients) } qw(down other);

sub pin_of {
    my ($cert) = @_;
    my ($status, $pin) = run_command('sh', '-c',
        'openssl x509 -in "$0" -noout -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | openssl base64',
        $cert->{cert});
    return $pin =~ s/\s//gr;
}

sub asks { my ($lockstep, $zone, @more) = @_; return $lockstep->verb('transfer', @more, $zone) }
sub stat_of { my ($lockstep, $room, $name) = @_; return $lockstep->json('stats')->{$room}{$name} }
sub ends_well { my ($lockstep) = @_; is($lockstep->stop, 0, 'lockstepd ends cleanly') }

# A daemon that gives its zones over TLS; anybody may ask, unless the zones say otherwise.
sub primary {
    my (%of) = @_;
    my $port = free_port;
    my @names = @{ delete $of{names} // ['own'] };
    my $self = Lockstep->new(server => { 'listen-tls' => ["127.0.0.1\@$port"], 'tls-cert' => $server->{cert}, 'tls-key' => $server->{key}, %{ delete $of{server} // {} } },
        acls => [ { name => 'all', tls => 'true' } ], zones => [ map { { name => $_, source => 'file', 'allow-transfer' => ['all'] } } @names ], %of);
    $self->{tls_at} = "127.0.0.1\@$port";
    $self->{tls_port} = $port;
    $self->put_zone($_, zone_text($_, 1)) for @names;
    return $self;
}

# One that pulls its zones from there.
sub secondary {
    my ($at, $tls, %of) = @_;
    my @names = @{ delete $of{names} // ['own'] };
    return Lockstep->new(remotes => [ { name => 'up', address => [$at], tls => $tls } ],
        zones => [ map { { name => $_, primaries => ['up'] } } @names ], %of);
}

subtest 'from our own daemon, with certificates on both sides' => sub {
    my @names = ('own', map { "z$_.example" } 1 .. 20);
    my $primary = primary(names => \@names, server => { 'tls-ca' => $clients->{cert} }, acls => [ { name => 'all', 'cert-name' => 'down.example' } ]);
    my $below = secondary($primary->{tls_at},
        { 'auth-name' => 'ns.example', ca => $ca->{cert}, cert => $client{down}{cert}, key => $client{down}{key} },
        names => \@names);
    $primary->{conf}{remotes} = [ Lockstep::remote('below', $below) ];
    $_->{notify} = ['below'] for @{ $primary->{conf}{zones} };
    $primary->start;
    $below->start;
    ok($below->wait_serial($_, 1), "$_ has come") for @names;
    same_zone($below->dump('own'), $primary->dump('own'), 'it is what the primary has');
    is($below->wait_state('own', 'ok'), 1, 'its state is ok');
    my @lines = $below->events('transfer');
    is(scalar(grep { $_->{transport} ne 'tls' } @lines), 0, 'the log says: over TLS');
    is(scalar(grep { $_->{over} ne 'TLS' } $primary->events('transfer-out')), 0, 'so does that of the primary');
    cmp_ok(stat_of($primary, 'serve', 'tls_accepted'), '<', 3 * @names, 'not more connections than there are questions');
    $primary->put_zone('own', zone_text('own', 2, changed => [ 1 .. 3 ]));
    is(($primary->verb('reload'))[0], 0, 'a change');
    ok($below->wait_serial('own', 2), 'a NOTIFY without TLS is heeded, and the change comes over TLS');
    same_zone($below->dump('own'), $primary->dump('own'), 'all of it');
    is(scalar($primary->log_lines(qr/transfer-out-refused/)), 0, 'nothing was refused');
    ends_well($_) for $below, $primary;
};

subtest 'our own certificate is renewed' => sub {
    my $primary = primary(server => { 'tls-ca' => $clients->{cert} }, acls => [ { name => 'all', 'cert-name' => 'down.example' } ])->start;
    my $own = work_dir('own');
    my $show = sub { my ($name) = @_; spew("$own/$_.pem", slurp($client{$name}{$_})) for qw(cert key); chmod 0600, "$own/key.pem" };
    $show->('other');
    my $below = secondary($primary->{tls_at}, { 'auth-name' => 'ns.example', ca => $ca->{cert}, map { $_ => "$own/$_.pem" } qw(cert key) })->start;
    is((asks($below, 'own'))[0], 1, 'with one the zone is not given');
    $show->('down');
    is($below->json('reload')->{changed}, 1, 'another one in the same files is a change');
    ok($below->wait_serial('own', 1), 'and used from then on');
    ends_well($_) for $below, $primary;
};

subtest 'many zones: sessions are resumed' => sub {
    my @names = map { "z$_.example" } 1 .. 60;
    my $primary = primary(names => \@names)->start;
    my $below = secondary($primary->{tls_at}, { 'auth-name' => 'ns.example', ca => $ca->{cert} }, names => \@names,
        server => { limits => { 'transfers-per-primary' => 1 } })->start;
    ok($below->wait_serial($names[-1], 1) && wait_for(sub { !grep { !defined $below->serial($_) } @names }, 20), 'all have come');
    my ($accepted, $resumed) = map { stat_of($primary, 'serve', $_) } qw(tls_accepted tls_resumed);
    ok($accepted <= 3 || $resumed * 2 > $accepted, 'over few connections, or most of them resume a session')
        or diag("$accepted connections, $resumed resumed");
    is(($below->verb('reload'))[0], 0, 'a reload');
    my $before = stat_of($primary, 'serve', 'tls_accepted') - stat_of($primary, 'serve', 'tls_resumed');
    is((asks($below, $names[0], '--full'))[0], 0, 'a transfer after it');
    is(stat_of($primary, 'serve', 'tls_accepted') - stat_of($primary, 'serve', 'tls_resumed'), $before, 'needs no whole handshake');
    ends_well($_) for $below, $primary;
};

subtest 'who may transfer, by certificate' => sub {
    my $self = Tls::certificate('self.example', $others);
    my $primary = primary(server => { 'tls-ca' => $clients->{cert} }, acls => [ { name => 'all', 'cert-name' => 'down.example' } ])->start;
    my $with = sub {
        my ($cert) = @_;
        my $client = Tls::connect($primary->{tls_port},
            $cert ? (SSL_cert_file => $cert->{cert}, SSL_key_file => $cert->{key}) : ()) or return 'no connection';
        my ($rcode) = $client->transfer('own');
        return $rcode // 'none';
    };
    my $plain = sub { my ($bytes) = Wire::ask_tcp($primary->at, Wire::message(question => Wire::question('own', 'AXFR')), 1); return defined $bytes ? Wire::parse($bytes)->{rcode} : 'none' };
    my $check = sub {
        my ($rule, %of) = @_;
        $primary->{conf}{acls} = [ { name => 'all', %$rule } ];
        is(($primary->reload)[0], 0, join ' ', map { ref $rule->{$_} ? $_ : "$_ $rule->{$_}" } sort keys %$rule);
        is($with->($client{down}), $of{down}, 'down.example') if defined $of{down};
        is($with->($client{other}), $of{other}, 'other.example');
        is($with->(undef), 5, 'without a certificate');
        is($plain->(), 5, 'without TLS');
    };
    $check->({ 'cert-name' => 'down.example' }, down => 0, other => 5);
    $check->({ 'cert-name' => 'OTHER.example.' }, down => 5, other => 0);
    $check->({ 'cert-pin' => [ pin_of($client{down}) ] }, down => 0, other => 5);
    $check->({ 'cert-pin' => [ map { pin_of($_) } values %client ] }, down => 0, other => 0);
    $check->({ 'cert-name' => 'down.example', 'cert-pin' => [ pin_of($client{other}) ] }, down => 5, other => 5);
    my ($refused) = grep { $_->{certificate} } $primary->events('transfer-out-refused');
    like($refused->{certificate}, qr/^\\?"other\.example\\?" \(issuer CN=Clients, until 20\d\d-\d\d-\d\d, pin \S{44}\)/, 'the log says who it was');
    $primary->{conf}{remotes} = [ { name => 'peer', address => ['127.0.0.1'], tls => { 'auth-name' => 'down.example' } } ];
    $primary->{conf}{zones}[0]{'allow-transfer'} = ['peer'];
    $check->({}, down => 0, other => 5);
    delete $primary->{conf}{server}{'tls-ca'};
    $primary->{conf}{zones}[0]{'allow-transfer'} = ['all'];
    $primary->{conf}{acls} = [ { name => 'all', 'cert-pin' => [ pin_of($self) ] } ];
    is(($primary->reload)[0], 0, 'a pin without authorities');
    is($with->($self), 0, 'its certificate may be of anybody');
    is($with->($client{down}), 5, 'another one is not it');
    is($with->(undef), 5, 'nor is none');
    is($plain->(), 5, 'nor is a request without TLS');
    ends_well($primary);
};

subtest 'refused clients are logged, a few of them' => sub {
    my $primary = primary(server => { 'tls-ca' => $clients->{cert} })->start;
    my $bad = Tls::certificate('bad.example', $others);
    my $client = Tls::connect($primary->{tls_port}, SSL_cert_file => $bad->{cert}, SSL_key_file => $bad->{key});
    $client->receive(2) if $client;
    like($primary->wait_log(qr/ notice tls-failed /),
        qr/client=\S*127\.0\.0\.1\@\d+.*expected a certificate of an authority in \S+, got one for \\?"bad\.example\\?" \(issuer CN=Others, until/, 'with what was expected and what came');
    # What is no TLS comes thirty times while the daemon is stopped, and so at once when it goes on.
    my @talk;
    my $talk = sub {
        push @talk, IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $primary->{tls_port}) // die "connect: $!";
        syswrite $talk[-1], 'no TLS at all';
    };
    my $failed = sub { my ($count) = @_; return wait_for(sub { stat_of($primary, 'serve', 'tls_failed') == $count }) };
    $primary->signal('STOP');
    $talk->() for 1 .. 30;
    $primary->signal('CONT');
    ok($failed->(31), 'all of them are counted');
    my @lines = $primary->events('tls-failed');
    ok(@lines > 1 && @lines < 31, 'and some logged') or diag(scalar @lines);
    ok(wait_for(sub { $talk->(); return $primary->log_lines(qr/ tls-failed .*left-out=\d/) }), 'later it is said how many were left out');
    ok($failed->(1 + @talk), 'and all are counted');
    IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $primary->{tls_port})->close;
    ok($failed->(2 + @talk), 'one that only looks whether the port is there');
    is(scalar($primary->log_lines(qr/ notice tls-failed .*closed/)), 0, 'is not worth a line');
    ends_well($primary);
};

my @ns = ('example. 300 IN NS ns.example.', 'ns.example. 300 IN A 192.0.2.53');

# A primary that gives 'example' over TLS, and what its certificate is by name.
my %shows = (right => $server, 'another name' => Tls::certificate('www.example', $ca),
    'an unknown authority' => Tls::certificate('ns.example', $others),
    expired => Tls::certificate('ns.example', $ca, days => -1), 'self-signed' => { map { $_ => $others->{$_} } qw(cert key) });
sub tls_of { my ($name, %more) = @_; return { SSL_cert_file => $shows{$name}{cert}, SSL_key_file => $shows{$name}{key}, %more } }

subtest 'a primary that is not what it must be' => sub {
    my $fake = Fake->new(zone => 'example.', serial => 1, records => \@ns);
    my $lockstep = secondary($fake->at, { 'auth-name' => 'ns.example', ca => $ca->{cert} }, names => ['example'],
        server => { limits => { connect => '60s' } });
    $fake->serve(tls => tls_of('right'));
    $lockstep->start;
    ok($lockstep->wait_serial('example', 1), 'a first version');     # nothing is under way then that the next transfer would join
    my $tls = $lockstep->{conf}{remotes}[0]{tls};
    my $serial = 1;
    my $case = sub {
        my ($name, $wanted, %of) = @_;
        my ($trust, $waits) = delete @of{qw(trust waits)};
        $lockstep->{conf}{remotes}[0]{tls} = $trust // $tls;
        $lockstep->{conf}{server}{limits}{connect} = '2s' if $waits;
        is(($lockstep->reload)[0], 0, "$name: the configuration");
        my $before = $lockstep->serial('example');
        $fake->serve(serial => ++$serial, %of);
        my $asked = () = $fake->asked;
        my ($status, $out, $said) = asks($lockstep, 'example');
        is($status, 1, "$name: no transfer");
        is($lockstep->serial('example'), $before, "$name: what was served is served");
        like($said . $out, $wanted, "$name: it is said why");
        ok(wait_for(sub { grep { ($_->{why} // '') =~ s/\\"/"/gr =~ $wanted } $lockstep->events('transfer') }), "$name: the log says it");
        like(($lockstep->verb('--json', 'status', 'example'))[1] =~ s/\\"/"/gr, $wanted, "$name: so does the status");
        is(scalar(grep { $_->{type} } ($fake->asked)[ $asked .. ($#{ [ $fake->asked ] }) ]), 0, "$name: nothing was asked, over TLS or without");
        $lockstep->{conf}{remotes}[0]{tls} = $tls;
        $lockstep->{conf}{server}{limits}{connect} = '60s';
        $lockstep->reload;
        $fake->serve(serial => $serial, tls => tls_of('right'));
        is((asks($lockstep, 'example'))[0], 0, "$name: when it is mended, the zone comes");
        is($lockstep->serial('example'), $serial, "$name: and is served");
    };
    $case->('another name', qr/expected a certificate for "ns\.example", got one for "www\.example" \(issuer CN=Authority, until 20\d\d-/, tls => tls_of('another name'));
    $case->('an unknown authority', qr/expected a certificate of an authority in \S+, got one for "ns\.example" \(issuer CN=Others, /, tls => tls_of('an unknown authority'));
    $case->('expired', qr/expected a certificate that is valid now, got one for "ns\.example".*until 20.*certificate has expired/,
        tls => tls_of('expired'));
    $case->('self-signed', qr/expected a certificate of an authority in .*self-signed certificate/, tls => tls_of('self-signed'));
    $case->('no ALPN', qr/expected ALPN "dot", got none/, tls => tls_of('right', SSL_alpn_protocols => undef));
    $case->('another ALPN', qr/expected ALPN "dot"/, tls => tls_of('right', SSL_alpn_protocols => ['h2']));
    $case->('TLS 1.2', qr/expected TLS 1\.3, /, tls => tls_of('right', SSL_version => 'TLSv1_2'));
    $case->('it wants a certificate', qr/the server expects a certificate of ours, got none/,
        tls => tls_of('right', SSL_ca_file => $clients->{cert}, SSL_verify_mode => 3));
    $case->('it does not like ours', qr/the server does not accept our certificate \S+: .*unknown ca/,
        tls => tls_of('right', SSL_ca_file => $others->{cert}, SSL_verify_mode => 3),
        trust => { %$tls, cert => $client{down}{cert}, key => $client{down}{key} });
    $case->('a wrong pin', qr/expected the pin \S{44}, got a certificate for "ns\.example".*pin \Q@{[ pin_of($server) ]}\E/,
        tls => tls_of('right'), trust => { pin => [ pin_of($shows{'another name'}) ] });
    $case->('a right pin of a wrong name', qr/expected a certificate for "ns\.example", got/, tls => tls_of('another name'),
        trust => { %$tls, pin => [ pin_of($shows{'another name'}) ] });
    $case->('plain DNS at the port', qr/expected TLS 1\.3, got (?:no handshake in time|something else|the end)/, tls => undef, waits => 1);
    $case->('plain DNS that speaks first', qr/expected TLS 1\.3, got something else/, tls => undef,
        connect => sub { my ($talk) = @_; $talk->bytes(Wire::frame(Wire::message(rcode => 1))); $talk->wait_close });
    $case->('silence in the handshake', qr/no handshake in time/, tls => undef, waits => 1,
        connect => sub { my ($talk) = @_; $talk->wait_close(10) });
    $case->('an end in the handshake', qr/expected TLS 1\.3, got the end of the connection|Connection reset/, tls => undef,
        connect => sub { my ($talk) = @_; $talk->close });
    $fake->vanish;
    like(join('', asks($lockstep, 'example')), qr/Connection refused/, 'nobody there');
    is($lockstep->serial('example'), $serial, 'what was served is served');
    $fake->serve(tls => undef);
    is(scalar(grep { ($_->{transport} // 'TLS') ne 'TLS' } $fake->asked), 0, 'never, in all of this, was it asked without TLS');
    ends_well($lockstep);
};

subtest 'what makes a certificate right' => sub {
    my $fake = Fake->new(zone => 'example.', serial => 1, records => \@ns);
    my $lockstep = secondary($fake->at, { pin => [ pin_of($server) ] }, names => ['example'])->start;
    my $serial = 1;
    my $case = sub {
        my ($name, $shown, $trust, %more) = @_;
        $lockstep->{conf}{remotes}[0]{tls} = $trust;
        is(($lockstep->reload)[0], 0, "$name: the configuration");
        $fake->serve(serial => ++$serial, tls => tls_of($shown, %more));
        my ($status, $out, $said) = asks($lockstep, 'example');
        is($status, 0, "$name: it is taken") or diag($said);
        is($lockstep->serial('example'), $serial, "$name: the zone is served");
    };
    $case->('the pin', 'right', { pin => [ pin_of($server) ] });
    $case->('one of two pins', 'right', { pin => [ pin_of($shows{'another name'}), pin_of($server) ] });
    $case->('the pin alone, of nobody we know', 'self-signed', { pin => [ pin_of($others) ] });
    $case->('the pin alone, expired', 'expired', { pin => [ pin_of($shows{expired}) ] });
    $case->('name and pin', 'right', { 'auth-name' => 'ns.example', ca => $ca->{cert}, pin => [ pin_of($server) ] });
    $case->('itself in the file', 'an unknown authority', { 'auth-name' => 'ns.example', ca => $shows{'an unknown authority'}{cert} });
    $case->('our certificate, which it wants', 'right',
        { 'auth-name' => 'ns.example', ca => $ca->{cert}, cert => $client{down}{cert}, key => $client{down}{key} },
        SSL_ca_file => $clients->{cert}, SSL_verify_mode => 3);
    is_deeply([ sort keys %{ { map { $_->{transport} => 1 } grep { $_->{transport} } $fake->asked } } ], ['TLS'], 'all over TLS');
    is(scalar(grep { $_->{type} && $_->{length} % 128 } $fake->asked), 0, 'what is asked is padded');
    ends_well($lockstep);
};

subtest 'within a transfer' => sub {
    my $fake = Fake->new(zone => 'example.', serial => 1, records => \@ns);
    my $lockstep = secondary($fake->at, { 'auth-name' => 'ns.example', ca => $ca->{cert} }, names => ['example'],
        server => { limits => { 'transfer-idle' => '5s' } });
    $fake->serve(tls => tls_of('right'));
    $lockstep->start;
    ok($lockstep->wait_serial('example', 1), 'a first version');
    my @records = map { "h$_.example. 300 IN A 192.0.2.$_" } 1 .. 9;   # and with the SOA ten
    my %broken = ('a goodbye in the middle' => sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa, @records ]); $talk->{socket}->close(SSL_no_shutdown => 0); $talk->{closed} = 1 },
        'an end without goodbye' => sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa, @records ]); $talk->{socket}->close(SSL_no_shutdown => 1); $talk->{closed} = 1 },
        'plain octets in the middle' => sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa, @records ]); syswrite(IO::Handle->new_from_fd(fileno $talk->{socket}, 'w'), "\0\x0cplain octets"); $talk->wait_close(5) },
        silence => sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa, @records ]); $talk->wait_close(10) });
    for my $name (sort keys %broken) {
        $fake->serve(serial => 2, tls => tls_of('right'), axfr => $broken{$name});
        is((asks($lockstep, 'example', '--full'))[0], 1, "$name: no new version");
        is($lockstep->serial('example'), 1, "$name: the old one is served");
    }
    my @why = map { $_->{why} } ($lockstep->wait_events(5, 'transfer'))[ -4 .. -1 ];
    like($why[$_], qr/after message 1, record 10/, 'the log says how far it came') for 0, 1, 3;
    like($why[2], qr/TLS: /, 'or that it was no TLS any more');

    # The certificate changes while a connection may be open: what is new must show the new one.
    $fake->serve(serial => 3, tls => tls_of('another name'), axfr => undef);
    my ($status, $out, $said) = asks($lockstep, 'example');
    is($status, 1, 'a certificate that was swapped for a wrong one');
    like($said, qr/got one for "www\.example"/, 'is seen');
    $fake->serve(serial => 3, tls => tls_of('right'));
    is((asks($lockstep, 'example'))[0], 0, 'the right one again');
    is($lockstep->serial('example'), 3, 'brings the zone');
    is(scalar(grep { ($_->{transport} // 'TLS') ne 'TLS' } $fake->asked), 0, 'all over TLS');
    ends_well($lockstep);
};

subtest 'the configuration' => sub {
    my $fake = Fake->new(zone => 'example.', serial => 1, records => \@ns)->serve(tls => tls_of('right'));
    my $dir = work_dir('files');
    spew("$dir/ca.pem", slurp($ca->{cert}));
    my $lockstep = secondary($fake->at, { 'auth-name' => 'ns.example', ca => "$dir/ca.pem" }, names => ['example'])->start;
    ok($lockstep->wait_serial('example', 1), 'it works');
    my $probes = stat_of($lockstep, 'transfer', 'probes');
    is($lockstep->json('reload')->{changed}, 0, 'a reload of the same changes no zone');
    utime 1, 1, "$dir/ca.pem";
    is($lockstep->json('reload')->{changed}, 0, 'nor does a file that is only touched');
    is(stat_of($lockstep, 'transfer', 'probes'), $probes, 'and nobody is asked because of it');
    unlink "$dir/ca.pem";
    my ($status, $out, $said) = $lockstep->verb('reload');
    is($status, 1, 'a file that is gone: reload fails');
    like($said, qr,remotes: "up": tls: \Q$dir\E/ca\.pem: open: No such file,, 'and says which');
    is((run_command("$build/lockstepd", '-t', '-c', $lockstep->conf_file))[0], 256 >> 8, '-t too');
    spew("$dir/ca.pem", slurp($others->{cert}));
    is($lockstep->json('reload')->{changed}, 1, 'other authorities in the file');
    $fake->serve(serial => 2, tls => tls_of('right'));
    like((asks($lockstep, 'example'))[2], qr/expected a certificate of an authority in/, 'are those that count');
    my $late = Tls::certificate('down.example', $clients, days => -1);
    $lockstep->{conf}{remotes}[0]{tls} = { 'auth-name' => 'ns.example', ca => $ca->{cert}, cert => $late->{cert}, key => $late->{key} };
    is(($lockstep->reload)[0], 0, 'a certificate of ours that has expired');
    like(join("\n", $lockstep->log_lines(qr/ warning config /)), qr/remotes: \\?"up\\?": tls: \S+: the certificate has expired/, 'is warned of');
    is((asks($lockstep, 'example'))[0], 0, 'and used');
    $lockstep->{conf}{remotes}[0]{tls} = { 'auth-name' => 'ns.example' };
    is(($lockstep->reload)[0], 0, 'without a file');
    $fake->serve(serial => 3, tls => tls_of('right'));
    like((asks($lockstep, 'example'))[2], qr/expected a certificate of an authority in the system's store/, "the system's authorities count");
    ends_well($lockstep);
};

subtest 'BIND as the primary' => sub {
    plan skip_all => 'needs bind9' unless Peer->have('bind');
    my $lockstep = secondary('127.0.0.1@1',
        { 'auth-name' => 'ns.example', ca => $ca->{cert}, cert => $client{down}{cert}, key => $client{down}{key} });
    my $bind = Peer->new('bind', tls => { %$server, clients => $clients->{cert} },
        zones => [ { name => 'own', text => zone_text('own', 1, count => 3000), notify => [ $lockstep->at ] } ])->start;
    $lockstep->{conf}{remotes}[0]{address} = [ $bind->tls_at ];
    $lockstep->start;
    ok($lockstep->wait_serial('own', 1), 'AXFR');
    $bind->edit('own', zone_text('own', 2, count => 3000, changed => [ 5 .. 9 ]));
    ok($lockstep->wait_serial('own', 2), 'NOTIFY and IXFR');
    my @lines = $lockstep->wait_events(2, 'transfer', outcome => 'ok');
    is(join(' ', map { "$_->{transport} $_->{got}" } @lines), 'tls AXFR tls IXFR', 'over TLS');
    same_zone($lockstep->dump('own'), dump_text(zone_text('own', 2, count => 3000, changed => [ 5 .. 9 ]), 'own'), 'it is what BIND has');
    same_answers($lockstep, 'own', 'after IXFR over TLS');
    is(join("\n", sort map { s/\s+/ /gr } split /\n/, (run_command('sh', '-c', '"$@" | sort', 'x', 'dig', '+tls', "+tls-ca=$ca->{cert}", '+tls-hostname=ns.example', "+tls-certfile=$client{down}{cert}", "+tls-keyfile=$client{down}{key}",
        '@127.0.0.1', '-p', $bind->{tls_port}, 'own', 'AXFR', '+short', '+nocookie'))[1]) =~ tr/\n//, 3012, 'dig, over TLS, sees as many records');
    $lockstep->{conf}{remotes}[0]{tls} = { 'auth-name' => 'ns.example', ca => $ca->{cert} };
    is(($lockstep->reload)[0], 0, 'without our certificate');
    my ($status, $out, $said) = asks($lockstep, 'own', '--full');
    is($status, 1, 'there is no transfer');
    like($said, qr/the server expects a certificate of ours, got none/, 'and it is said why');
    ends_well($lockstep);
    $bind->stop;
};

subtest 'BIND as the secondary, by its certificate' => sub {
    plan skip_all => 'needs bind9' unless Peer->have('bind');
    my $primary = primary(names => [qw(own theirs)], server => { 'tls-ca' => $clients->{cert} },
        acls => [ { name => 'all', 'cert-name' => 'down.example' },
            { name => 'theirs', 'cert-name' => 'other.example', 'cert-pin' => [ pin_of($client{other}) ] } ]);
    my %shown = (%{ $client{down} }, ca => $ca->{cert}, auth_name => 'ns.example');
    my $bind = Peer->new('bind', zones => [ map { { name => $_, primaries => [ $primary->{tls_at} ], tls => {%shown} } } qw(own theirs) ]);
    $primary->{conf}{remotes} = [ Lockstep::remote('bind', $bind) ];
    $primary->{conf}{zones}[0]{notify} = ['bind'];
    $primary->{conf}{zones}[1]{'allow-transfer'} = ['theirs'];
    $_->start for $primary, $bind;
    ok($bind->wait_serial('own', 1), 'BIND has the zone that its certificate is for') or diag($bind->log_text);
    ok(wait_for(sub { $primary->events('transfer-out-refused', zone => 'theirs.') }), 'and is refused the other');
    is($bind->serial('theirs'), undef, 'which it has not');
    for my $serial (2, 3) {
        $primary->put_zone('own', zone_text('own', $serial, changed => [ $serial, 9 ]));
        is(($primary->verb('reload'))[0], 0, 'a change');
        ok($bind->wait_serial('own', $serial), 'of which BIND is told') or diag($bind->log_text);     # its next refresh is an hour away
        my %step = (zone => 'own.', type => 'IXFR', sent => 'steps', serial => $serial, over => 'TLS', outcome => 'done');
        is(scalar($primary->wait_events(1, 'transfer-out', %step)), 1, 'comes as a step, over TLS');
        same_zone($bind->dump('own'), $primary->dump('own'), 'it has what we have');
    }
    ok(scalar($primary->wait_events(1, 'notify-out', zone => 'own.', to => 'bind', serial => 3, outcome => 'NOERROR')), 'NOTIFY was answered');
    is(scalar(grep { $_->{over} ne 'TLS' } $primary->events('transfer-out')), 0, 'nothing went out without TLS');
    $bind->stop;
    ends_well($primary);
};

subtest 'NOTIFY over TLS' => sub {
    my ($good, $bad, $plain) = map { Fake->new(zone => 'own.') } 1 .. 3;
    $good->serve(tls => tls_of('right'));
    $bad->serve(tls => tls_of('another name'));
    $plain->serve(tls => undef);
    my $primary = primary();
    my $tls = { 'auth-name' => 'ns.example', ca => $ca->{cert} };
    $primary->{conf}{remotes} = [ map { { %{ Lockstep::remote(@$_) }, tls => $tls } } [ 'good', $good ], [ 'bad', $bad ], [ 'plain', $plain ] ];
    $primary->{conf}{zones}[0]{notify} = [qw(good bad plain)];
    $primary->start;
    ok($good->wait_count('NOTIFY', 1), 'it is told');
    my %how = map { ("$_->{transport} $_->{name} $_->{serial}" => 1) } grep { $_->{type} } $good->asked;     # once, unless a handshake took too long
    is_deeply([ sort keys %how ], ['TLS own. 1'], 'over TLS');
    ok(wait_for(sub { $primary->events('notify-out', to => 'good') }), 'the answer has come');
    like((map { "$_->{transport} $_->{outcome}" } $primary->events('notify-out', to => 'good'))[0], qr/^tls NOERROR$/, 'and is logged');
    ok(wait_for(sub { (grep { $_->{tls} } $bad->asked) >= 2 }), 'one with another name is tried again');
    is(scalar(grep { $_->{type} } $bad->asked, $plain->asked), 0, 'but neither it nor one without TLS is told anything');
    ends_well($primary);
};

subtest 'pull' => sub {
    my $primary = primary(server => { 'tls-ca' => $clients->{cert} })->start;
    my $file = work_dir('pull') . '/zone';
    my @with = ('--cert', $client{down}{cert}, '--cert-key', $client{down}{key});
    my $pull = sub { return run_command("$build/lockstep", 'pull', 'own', '--from', $primary->{tls_at}, '-o', $file, @_) };
    my ($status, $out, $said) = $pull->('--tls', '--auth-name', 'ns.example', '--ca', $ca->{cert}, @with);
    is($status, 0, 'a transfer over TLS') or diag($said);
    same_zone(dump_text(slurp($file), 'own'), $primary->dump('own'), 'is the zone');
    ($status, $out, $said) = $pull->('--tls', '--pin', pin_of($server), @with);
    is($status, 0, 'by the pin') or diag($said);
    ($status, $out, $said) = $pull->('--tls', @with);
    is($status, 0, 'of anybody');
    like($said, qr/not checked: "ns\.example" \(issuer CN=Authority, .*pin \Q@{[ pin_of($server) ]}\E/, 'but it is said who it is');
    ($status, $out, $said) = $pull->('--tls', '--auth-name', 'other.example', '--ca', $ca->{cert}, @with);
    is($status, 1, 'not of another');
    like($said, qr/expected a certificate for "other\.example", got one for "ns\.example"/, 'which is said');
    is(($pull->('--pin', pin_of($server)))[0], 2, '--pin without --tls');
    is(($pull->())[0], 1, 'without TLS nothing comes');
    ends_well($primary);
};
done_testing;
