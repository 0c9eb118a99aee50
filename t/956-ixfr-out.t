#!/usr/bin/perl
# IXFR out: BIND, NSD, Knot and another Lockstep below one that has the zone from a primary by IXFR. After every change all have what the
# primary has, and what they were sent are the steps.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Dump qw(same_zone dig_key at_options dump_text);
use Fake;
use Lockstep;
use Mirror qw(same_answers);
use Peer;
use Process qw(free_port run_command wait_for);
use Test::More;
use Tls;
use Transfers qw(zone_text);
use Tsig;
use Wire;

my ($above) = grep { Peer->have($_) } qw(knot bind nsd);
my @kinds = grep { Peer->have($_) } qw(bind nsd knot);
plan skip_all => 'needs nsd, knot or bind9' unless @kinds;
my $name = 'steps.example';
my %key = map { $_ => Tsig::key(name => "$_.key", algorithm => $_ eq 'nsd' ? 'hmac-sha512' : 'hmac-sha256') } 'up', 'last', 'file', @kinds;

my $primary = Peer->new($above, zones => [ { name => $name, text => zone_text($name, 1, count => 2000), key => $key{up} } ]);
my $middle = Lockstep->new(keys => [ @key{ 'up', 'last', @kinds } ]);
my $last = Lockstep->new(keys => [ $key{last} ]);
my %below = map { $_ => Peer->new($_, zones => [ { name => $name, key => $key{$_}, primaries => [ $middle->at ] } ]) } @kinds;
$primary->zone($name)->{notify} = [ $middle->at ];
$middle->{conf}{remotes} = [ Lockstep::remote('primary', $primary, $key{up}), Lockstep::remote('last', $last, $key{last}),
    map { Lockstep::remote($_, $below{$_}, $key{$_}) } @kinds ];
$middle->{conf}{zones} = [ { name => $name, primaries => ['primary'], notify => [ 'last', @kinds ], 'allow-transfer' => [ 'last', @kinds ] } ];
$last->{conf}{remotes} = [ Lockstep::remote('middle', $middle, $key{last}) ];
$last->{conf}{zones} = [ { name => $name, primaries => ['middle'] } ];
$_->start for $primary, $middle, $last, values %below;

# NSD and Knot write the names in RDATA in lower case.
sub lower_names { my ($line) = @_; return $line =~ s/(?<= )([0-9a-f]+)$/unpack 'H*', lc pack 'H*', $1/er }

sub all_have {
    my ($serial) = @_;
    my %server = (middle => $middle, last => $last, %below);
    my $wanted = [ map { lower_names($_) } @{ $primary->dump($name) } ];
    for my $which (sort keys %server) {
        ok($server{$which}->wait_serial($name, $serial, 30), "$which has serial $serial");
        same_zone([ map { lower_names($_) } @{ $server{$which}->dump($name) // [] } ], $wanted, 'with the records of the primary');
    }
    same_answers($_, $name, 'Lockstep') for $middle, $last;
}

# The transfers out to one of them, of a type, as the log has them.
sub sent { my ($which, %of) = @_; return $middle->events('transfer-out', zone => "$name.", key => "$which.key.", outcome => 'done', %of) }
sub stat_of { my ($lockstep, $counter) = @_; return $lockstep->json('stats')->{serve}{$counter} }

subtest 'they begin with the whole zone' => sub {
    all_have(1);
    is(stat_of($middle, 'ixfr_out_whole'), 0, 'asked for as such');
    is(scalar(sent($_, type => 'AXFR')), 1, "$_ by one AXFR") for 'last', @kinds;
};

my $serial = 1;
sub edit {
    my (%of) = @_;
    $serial++;
    $primary->edit($name, zone_text($name, $serial, count => 2000 - $serial % 7, changed => [ map { 1 + int rand 1900 } 1 .. 6 ],
        more => [ map { "m$_.$name. 60 IN TXT \"$serial\"" } grep { ($serial + $_) % 3 } 1 .. 5 ], %of));
}

subtest 'change by change' => sub {
    for (1 .. 12) {
        edit();
        ok($middle->wait_serial($name, $serial), "serial $serial is here");
        ok($_->wait_serial($name, $serial, 30), 'and there') for $last, values %below;
    }
    all_have($serial);
    for my $which ('last', @kinds) {
        cmp_ok(scalar(sent($which, type => 'IXFR', sent => 'steps')), '>=', 8, "$which was sent the steps");
        is(scalar(sent($which, type => 'AXFR')), 1, 'and the whole zone no more than once');
    }
    cmp_ok(scalar($last->events('transfer', zone => "$name.", got => 'IXFR', outcome => 'ok')), '>=', 12, 'Lockstep below says so too');
    cmp_ok(stat_of($middle, 'ixfr_out'), '>=', 8 * (1 + @kinds), 'and the counter');
    is(stat_of($middle, 'ixfr_out_whole'), 0, 'none had to be given all');
};

subtest 'many changes at once' => sub {
    is($last->stop, 0, 'one is away');
    my @before = sent('last');
    for (1 .. 15) {
        edit();
        ok($middle->wait_serial($name, $serial), "serial $serial is here");
    }
    $last->start;
    all_have($serial);
    my @sent = (sent('last'))[ scalar(@before) .. $#{ [ sent('last') ] } ];
    is(scalar(@sent), 1, 'it came back with one transfer');
    is("$sent[0]{type} $sent[0]{sent}", 'IXFR steps', 'of steps');
    my ($status, $text) = run_command('dig', at_options($middle->at), dig_key($key{last}), $name, 'IXFR=' . ($serial - 15), '+nocmd', '+nostats');
    my @soa = $text =~ /\sSOA\s/g;
    is(scalar(@soa), 4, 'condensed to one');
};

subtest 'what has changed is remembered over a restart' => sub {
    is($last->stop, 0, 'one is away');
    my $before = sent('last');
    for (1 .. 4) {
        edit();
        ok($middle->wait_serial($name, $serial), "serial $serial is here");
    }
    is($middle->stop, 0, 'the one above it ends');
    $middle->start;
    $last->start;
    all_have($serial);
    my @sent = (sent('last'))[ $before .. scalar(sent('last')) - 1 ];
    is("$sent[0]{type} $sent[0]{sent}", 'IXFR steps', 'it is sent the steps all the same');
    $middle->kill9;
    $last->stop;
    $middle->start;
    edit();
    ok($middle->wait_serial($name, $serial), 'after a kill too');
    $last->start;
    all_have($serial);
    is((sent('last'))[-1]{sent}, 'steps', 'the steps');
};

subtest 'owners and whole RRsets change their TTL, their case, and go' => sub {
    edit(more => [ "CamelCase.$name. 60 IN TXT \"a\"", "CamelCase.$name. 60 IN TXT \"b\"", "CamelCase.$name. 60 IN MX 10 Mail.$name." ]);
    all_have($serial);
    edit(more => [ "CamelCase.$name. 90 IN TXT \"a\"", "CamelCase.$name. 90 IN TXT \"b\"", "CamelCase.$name. 60 IN MX 10 Mail.$name." ]);
    all_have($serial);
    edit(more => [ "camelcase.$name. 90 IN TXT \"a\"" ]);
    all_have($serial);
    edit(more => []);
    all_have($serial);
};

subtest 'who asks from a serial that nobody remembers is given the zone' => sub {
    my $before = stat_of($middle, 'ixfr_out_whole');
    my ($status, $text) = run_command('dig', at_options($middle->at), dig_key($key{last}), $name, 'IXFR=4294960000', '+nocmd', '+nostats');
    my @soa = $text =~ /\sSOA\s/g;
    is(scalar(@soa), 2, 'in the manner of an AXFR');
    like($text, qr/^h1\.\Q$name\E/m, 'with all that is in it');
    ok(wait_for(sub { stat_of($middle, 'ixfr_out_whole') == $before + 1 }), 'and that is counted');
    ($status, $text) = run_command('dig', at_options($middle->at), dig_key($key{last}), $name, "IXFR=$serial", '+nocmd', '+nostats');
    @soa = $text =~ /\sSOA\s/g;
    is(scalar(@soa), 1, 'who has it already is given the SOA');
    unlike($text, qr/^h1\./m, 'alone');
};

subtest 'over UDP where it fits' => sub {
    edit(count => 2000, changed => [], more => []);
    my $from = $serial;
    edit(count => 2000, changed => [], more => ["one.$name. 60 IN A 192.0.2.1"]);
    all_have($serial);
    my @command = ('dig', at_options($middle->at), dig_key($key{last}), $name, '+notcp', '+nocmd', '+nostats');
    my ($status, $text) = run_command(@command, "IXFR=$from");
    my @soa = $text =~ /\sSOA\s/g;
    is(scalar(@soa), 4, 'the step in one datagram');
    like($text, qr/^one\.\Q$name\E\.\s+60\s+IN\s+A\s+192\.0\.2\.1$/m, 'with what is new');
    ($status, $text) = run_command(@command, "IXFR=" . ($from - 3));
    @soa = $text =~ /\sSOA\s/g;
    is(scalar(@soa), 1, 'what does not fit is the SOA alone');
};

subtest 'a zone file that is edited' => sub {
    my $zone = 'own.example';
    my $source = Lockstep->new(keys => [ $key{file} ]);
    my $reader = Lockstep->new(keys => [ $key{file} ], remotes => [ Lockstep::remote('source', $source, $key{file}) ],
        zones => [ { name => $zone, primaries => ['source'] } ]);
    $source->{conf}{remotes} = [ Lockstep::remote('reader', $reader, $key{file}) ];
    $source->{conf}{zones} = [ { name => $zone, source => 'file', notify => ['reader'], 'allow-transfer' => ['reader'] } ];
    my $take = sub { my ($text) = @_; $source->put_zone($zone, $text); is(($source->verb('reload'))[0], 0, 'reload') };
    $source->put_zone($zone, zone_text($zone, 1));
    $_->start for $source, $reader;
    ok($reader->wait_serial($zone, 1), 'is read');
    $take->(zone_text($zone, 2, changed => [3]));
    ok($reader->wait_serial($zone, 2), 'and again');
    same_zone($reader->dump($zone), dump_text(zone_text($zone, 2, changed => [3]), $zone), 'with what it has');
    same_answers($_, $zone, 'a step') for $source, $reader;
    is(scalar($source->wait_events(1, 'transfer-out', zone => "$zone.", type => 'IXFR', sent => 'steps')), 1, 'which went out as a step');

    utime time + 5, time + 5, $source->zone_file($zone);
    is(($source->verb('refresh', $zone))[0], 0, 'a file that is only touched');
    is(scalar($source->events('serial-not-raised')), 0, 'is no reason to warn');
    is($source->status($zone)->{reason}, undef, 'nor to say anything in status');

    $take->(zone_text($zone, 2, changed => [4]));
    ok($source->wait_log(qr/warning serial-not-raised zone=own\.example\. old=2 new=2/), 'other records under the same serial are');
    my $status = $source->status($zone);
    is($status->{state}, 'ok', 'the zone is served');
    like($status->{reason}, qr/serial is not newer/, 'and status says what is wrong with it');
    $take->(zone_text($zone, 3, changed => [5]));
    ok($reader->wait_serial($zone, 3), 'the next serial');
    same_zone($reader->dump($zone), dump_text(zone_text($zone, 3, changed => [5]), $zone), 'brings them all the same');
    is(scalar($source->wait_events(1, 'transfer-out', zone => "$zone.", type => 'IXFR', sent => 'zone')), 1,
        'with the whole zone, as serial 2 was not one content');
    is($source->status($zone)->{reason}, undef, 'and status has nothing to say');
    $take->(zone_text($zone, 4, changed => [5]));
    ok($reader->wait_serial($zone, 4), 'another one');
    is(scalar($source->wait_events(2, 'transfer-out', zone => "$zone.", type => 'IXFR', sent => 'steps')), 2, 'is a step again');
    same_zone($reader->dump($zone), dump_text(zone_text($zone, 4, changed => [5]), $zone), 'to what the file has');
    same_answers($_, $zone, 'a step again') for $source, $reader;
    is($_->stop, 0, 'it ends cleanly') for $reader, $source;
};

subtest 'a large zone file' => sub {
    my ($zone, $count) = ('huge.example', 120_000);
    my $source = Lockstep->new(keys => [ $key{file} ], acls => [ { name => 'all', key => $key{file}{name} } ],
        zones => [ { name => $zone, source => 'file', 'allow-transfer' => ['all'] } ]);
    my $ixfr = sub {
        my ($from) = @_;
        my ($status, $text) = run_command('dig', at_options($source->at), dig_key($key{file}), $zone, "IXFR=$from", '+nocmd', '+nostats');
        return scalar grep { /\sIN\s/ } split /\n/, $text;
    };
    $source->put_zone($zone, zone_text($zone, 1, count => $count));
    $source->start;
    is($source->serial($zone), 1, 'is read');
    for (2, 3) {
        $source->put_zone($zone, zone_text($zone, $_, count => $count, changed => [ 5, 6 ]));
        is(($source->verb('refresh', $zone))[0], 0, 'and again');
    }
    is($ixfr->(1), 2 + 2 + 6, 'two edits go out as one step');
    utime time + 5, time + 5, $source->zone_file($zone);
    is(($source->verb('refresh', $zone))[0], 0, 'touched');
    is(scalar($source->events('serial-not-raised')), 0, 'it is the same for all that');
    is($ixfr->(2), 2 + 2 + 6, 'and what led to it is still known');
    is($source->stop, 0, 'it ends cleanly');
};

subtest 'a primary that knows no IXFR' => sub {
    my $zone = 'whole.example';
    my $plain = Fake->new(zone => "$zone.");
    my $middle = Lockstep->new(keys => [ $key{last} ], acls => [ { name => 'all', key => $key{last}{name} } ],
        remotes => [ Lockstep::remote('plain', $plain) ],
        zones => [ { name => $zone, primaries => ['plain'], 'allow-transfer' => ['all'], 'refresh-min' => '1h' } ]);
    # 2000 addresses and a name server; of the addresses so many differ with each serial.
    my $give = sub {
        my ($serial, $differ) = @_;
        my @records = (Wire::raw_rr(owner => "$zone.", type => 'NS', ttl => 300, rdata => Wire::name("ns.$zone.")),
            map { Wire::raw_rr(owner => "h$_.$zone.", type => 'A', ttl => 300, rdata => pack('C2 n', 10, $_ <= $differ ? $serial : 0, $_)) } 1 .. 2000);
        $plain->serve(serial => $serial, ixfr => sub { my ($talk) = @_; $talk->send(rcode => 4) }, axfr => sub {
            my ($talk) = @_;
            my @all = ($talk->soa, @records, $talk->soa);
            $talk->send(answer => [ splice @all, 0, 500 ]) while @all;
        });
    };
    my $take = sub {
        my ($serial, $differ) = @_;
        $give->($serial, $differ);
        is(($middle->verb('transfer', $zone))[0], 0, "serial $serial comes");
        is(scalar($middle->events('transfer', zone => "$zone.", new => $serial, got => 'AXFR', outcome => 'ok')), 1, 'as a whole');
    };
    # What IXFR gives: what the log calls it, SOA records, and all records.
    my $given = sub {
        my ($from) = @_;
        my @before = $middle->events('transfer-out', type => 'IXFR');
        my ($status, $text) = run_command('dig', at_options($middle->at), dig_key($key{last}), $zone, "IXFR=$from", '+nocmd', '+nostats');
        my @now;
        wait_for(sub { @now = $middle->events('transfer-out', type => 'IXFR'); return @now > @before });
        my @soa = $text =~ /\sSOA\s/g;
        return join ' ', $now[-1]{sent}, scalar(@soa), scalar grep { /\sIN\s/ } split /\n/, $text;
    };
    my $restart = sub {
        my ($serial) = @_;
        $middle->kill9;
        $plain->vanish;
        $middle->start;
        ok($middle->wait_serial($zone, $serial), "after a kill serial $serial is there");
    };
    $give->(1, 0);
    $middle->start;
    ok($middle->wait_serial($zone, 1), 'serial 1 comes');
    $take->(2, 1);
    is($given->(1), 'steps 4 6', 'where little has changed the difference is passed on');
    $restart->(2);
    is($given->(1), 'steps 4 6', 'and so it is');
    $take->(3, 1900);
    is($given->(2), 'zone 2 2003', 'where most has the whole zone is');
    is($given->(1), 'zone 2 2003', 'from whatever serial');
    $restart->(3);
    is($given->(2), 'zone 2 2003', 'and so it is');
    is($middle->stop, 0, 'it ends cleanly');
};

subtest 'over TLS' => sub {
    plan skip_all => 'needs openssl and IO::Socket::SSL' unless Tls::have();
    my ($zone, $port, $ca) = ('own.example', free_port, Tls::authority('Authority'));
    my $server = Tls::certificate('ns.example', $ca);
    my $source = Lockstep->new(keys => [ $key{file} ],
        server => { 'listen-tls' => ["127.0.0.1\@$port"], 'tls-cert' => $server->{cert}, 'tls-key' => $server->{key} },
        acls => [ { name => 'all', key => $key{file}{name}, tls => 'true' } ]);
    my $reader = Lockstep->new(keys => [ $key{file} ], zones => [ { name => $zone, primaries => ['source'] } ],
        remotes => [ { name => 'source', address => ["127.0.0.1\@$port"], key => $key{file}{name}, tls => { 'auth-name' => 'ns.example', ca => $ca->{cert} } } ]);
    $source->{conf}{remotes} = [ Lockstep::remote('reader', $reader, $key{file}) ];
    $source->{conf}{zones} = [ { name => $zone, source => 'file', notify => ['reader'], 'allow-transfer' => ['all'] } ];
    $source->put_zone($zone, zone_text($zone, 1, count => 2000));
    $_->start for $source, $reader;
    ok($reader->wait_serial($zone, 1), 'the whole');
    for (2 .. 6) {
        $source->put_zone($zone, zone_text($zone, $_, count => 2000, changed => [ $_ * 7, $_ * 9 ]));
        is(($source->verb('reload'))[0], 0, 'reload');
        ok($reader->wait_serial($zone, $_), "serial $_");
        same_zone($reader->dump($zone), $source->dump($zone), 'what came is what is there');
        same_answers($reader, $zone, "serial $_");
    }
    is(scalar($source->wait_events(5, 'transfer-out', type => 'IXFR', sent => 'steps', over => 'TLS', key => 'file.key.')), 5,
        'each as a step, signed, over TLS');
    is($_->stop, 0, 'it ends cleanly') for $reader, $source;
};

is($_->stop, 0, 'it ends cleanly') for $last, $middle;
done_testing;
