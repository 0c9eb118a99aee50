#!/usr/bin/perl
# The configuration changes under a running daemon, by `reload` and by SIGHUP: what it says comes into force, what it does not change
# goes on, and an error in it changes nothing.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Dump qw(dump_axfr);
use Fake;
use JSON::PP;
use Lockstep;
use POSIX qw(_exit);
use Process qw(run_command slurp spew wait_for work_dir);
use Test::More;
use Time::HiRes qw(time);
use Tsig;
use Wire;

plan skip_all => 'lockstepd is not built' unless Lockstep::have();
my $key = Tsig::key(name => 'one');
my $other_key = Tsig::key(name => 'two');
my @fake = map { Fake->new(zone => 'example.', address => "127.0.0.$_", records => ['example. 300 IN NS ns.example.'])->serve(serial => 1) } 1, 2;
my $down = Fake->new(zone => 'own.', address => '127.0.0.3')->serve;
my @remotes = (Lockstep::remote('hidden', $fake[0]), Lockstep::remote('down', $down));
my $example = { name => 'example', primaries => ['hidden'] };
my $own = { name => 'own', source => 'file', notify => ['down'] };
my $lockstep = Lockstep->new(keys => [ $key, $other_key ], remotes => \@remotes, zones => [ $example, $own ],
    server => { limits => { connect => '1s' } });

sub own_text {
    my ($serial, @more) = @_;
    return join "\n", "own. 300 IN SOA ns.own. host.own. $serial 3600 900 604800 300", 'own. 300 IN NS ns.own.', @more, '';
}

# An axfr script for whatever zone is asked for, with a pause before its end.
sub slow {
    my ($serial, $pause) = @_;
    return sub {
        my ($talk) = @_;
        my $zone = $talk->{asked}{name};
        my $soa = Wire::raw_rr(owner => $zone, type => 'SOA', rdata => Wire::soa_rdata($zone, $serial));
        return $talk->send(answer => [$soa]) if $talk->{asked}{type} eq 'SOA';
        $talk->send(answer => [ $soa, "$zone 300 IN NS ns.$zone" ]);
        $talk->pause($pause);
        $talk->send(answer => [$soa]);
    };
}

sub reloaded {
    my ($name, %of) = @_;
    my ($status, $out, $said) = $lockstep->reload(%of);
    is("$status$said", '0', $name) or diag($said);
    return $out;
}

$lockstep->put_zone('own', own_text(1));
$lockstep->start;
ok($lockstep->wait_serial($_, 1), "$_ is there") for qw(example own);

subtest 'zones come and go' => sub {
    my $asked = $fake[0]->count('AXFR');
    $lockstep->put_zone('more', own_text(5) =~ s/own\./more./gr);
    like(reloaded('a zone is added', zones => [ $example, $own, { name => 'more', source => 'file' } ]),
        qr/^reload: 1 added, 0 removed, 0 changed; 3 zones$/, 'which is said');
    ok($lockstep->wait_serial('more', 5), 'and served');
    like(reloaded('it is removed', zones => [ $example, $own ]), qr/0 added, 1 removed, 0 changed; 2 zones/, 'which is said');
    is($lockstep->outcome('more'), 'REFUSED 20', 'and it is ours no more');
    like(reloaded('nothing has changed'), qr/0 added, 0 removed, 0 changed; 2 zones/, 'which is said too');
    is($lockstep->status('example')->{age} < 60, 1, 'the others know what they knew');
    is($fake[0]->count('AXFR'), $asked, 'and were not transferred again');
    $lockstep->{conf}{zones} = [ $example, $own, { name => 'more', source => 'file' } ];
    $lockstep->configure;
    $lockstep->signal('HUP');
    ok($lockstep->wait_serial('more', 5), 'SIGHUP does the same');
    reloaded('back', zones => [ $example, $own ]);
};

subtest 'a zone that comes back is no older and no younger than it is' => sub {
    is(($lockstep->verb('write', 'example'))[0], 0, 'the zone file is written');
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
    $lockstep->start;
    ok($lockstep->wait_state('example', 'ok'), 'a restart: the database has a row');
    reloaded('the zone goes', zones => [$own]);
    utime time - 3000, time - 3000, $lockstep->zone_file('example');
    $fake[0]->vanish;
    reloaded('and comes', zones => [ $example, $own ]);
    ok($lockstep->wait_serial('example', 1), 'it is read from its file');
    my $age = $lockstep->status('example')->{age};
    ok($age >= 2990 && $age < 3100, 'and is as old as that') or diag($age);
    $fake[0]->serve(serial => 1);
};

subtest 'another source' => sub {
    is(($lockstep->verb('refresh', 'example'))[0], 0, 'the zone is confirmed');
    my $before = $fake[0]->count('SOA') + $fake[0]->count('IXFR') + $fake[0]->count('AXFR');
    like(reloaded('the zone is a file from now on', zones => [ { name => 'example', source => 'file' }, $own ]),
        qr/0 added, 0 removed, 1 changed/, 'that is a change');
    ok($lockstep->wait_serial('example', 1), 'it is served from what was transferred');
    is($lockstep->status('example')->{source}, 'file', 'status says so');
    spew($lockstep->zone_file('example'), slurp($lockstep->zone_file('example')) =~ s/ 1 / 2 /r);
    reloaded('an edit');
    ok($lockstep->wait_serial('example', 2), 'is served');
    is($fake[0]->count('SOA') + $fake[0]->count('IXFR') + $fake[0]->count('AXFR'), $before, 'the primary is asked no more');
    reloaded('back', zones => [ $example, $own ]);
    $fake[0]->serve(serial => 3);
    is(($lockstep->verb('refresh', 'example'))[0], 0, 'the primary is asked again');
    is($lockstep->serial('example'), 3, 'and followed');
};

subtest 'other primaries are asked at once' => sub {
    $fake[1]->serve(serial => 4);
    like(reloaded('another address', remotes => [ Lockstep::remote('hidden', $fake[1]), $remotes[1] ]),
        qr/0 added, 0 removed, 1 changed/, 'that is a change');
    ok($lockstep->wait_serial('example', 4), 'its version is taken');
    reloaded('nobody is at this address', remotes => [ Lockstep::remote('hidden', '127.0.0.1@1'), $remotes[1] ],
        zones => [ $example, { %$example, name => 'new' }, $own ]);
    ok($lockstep->wait_log(qr/primary-lost primary=hidden address=127\.0\.0\.1\@1 /), 'a new zone cannot be had');
    $fake[0]->serve(serial => 5, soa => slow(5, 0), axfr => slow(5, 0));
    reloaded('the right address', remotes => \@remotes);
    ok($lockstep->wait_serial('new', 5), 'ends every pause');
    reloaded('back', zones => [ $example, $own ]);
};

subtest 'keys and rights' => sub {
    my @acl = map { { name => "may-$_->{name}", address => ['127.0.0.1'], key => $_->{name}, action => 'allow' } } $key, $other_key;
    is(dump_axfr($lockstep->at, 'example', $key), undef, 'nobody may transfer');
    like(reloaded('one may', acls => \@acl, zones => [ { %$example, 'allow-transfer' => ['may-one'] }, $own ]),
        qr/0 added, 0 removed, 1 changed/, 'that is a change');
    ok(dump_axfr($lockstep->at, 'example', $key), 'with its key');
    is(dump_axfr($lockstep->at, 'example', $other_key), undef, 'not with the other');
    reloaded('now the other', zones => [ { %$example, 'allow-transfer' => ['may-two'] }, $own ]);
    is(dump_axfr($lockstep->at, 'example', $key), undef, 'the one no more');
    ok(dump_axfr($lockstep->at, 'example', $other_key), 'the other may');
    my $renewed = Tsig::key(name => 'two');
    reloaded('its secret is renewed', keys => [ $key, $renewed ]);
    is(dump_axfr($lockstep->at, 'example', $other_key), undef, 'the old secret is worth nothing');
    ok(dump_axfr($lockstep->at, 'example', $renewed), 'the new one is');
    $fake[0]->{key} = $renewed;
    $fake[0]->serve(serial => 6);
    like(reloaded('the primary wants that key', remotes => [ Lockstep::remote('hidden', $fake[0], $renewed), $remotes[1] ], zones => [ $example, $own ]),
        qr/0 added, 0 removed, 1 changed/, 'that is a change');
    ok($lockstep->wait_serial('example', 6), 'it is asked with it');
    is(($fake[0]->asked)[-1]{tsig}, 'NOERROR', 'and takes it');
    reloaded('back', remotes => \@remotes, keys => [$key], acls => []);
    $fake[0]->{key} = undef;
    $fake[0]->serve(serial => 6);
};

subtest 'an error changes nothing, and is explained' => sub {
    my $good = slurp($lockstep->conf_file);
    my $lines = () = $good =~ /\n/g;
    for my $case ([ 'syntax', sub { $_[0] . "odd: (\n" }, qr/conf:\d+: .*syntax/ ],
        [ 'an unknown key', sub { "$_[0]odd: 1;\n" }, qr/conf:@{[ $lines + 1 ]}: .*odd/ ],
        [ 'a wrong type', sub { $_[0] =~ s/workers = 1/workers = "many"/r }, qr/conf:\d+: server\.workers/ ],
        [ 'an undefined remote', sub { $_[0] =~ s/primaries = \[ "hidden" \]/primaries = [ "nobody" ]/r }, qr/conf:\d+: .*primaries.*nobody/ ],
        [ 'a zone without primaries', sub { $_[0] =~ s/primaries = \[ "hidden" \];//r }, qr/conf:\d+: .*primaries: .*example/ ],
        [ 'a zone twice', sub { $_[0] =~ s/(\{[^}]*name = "own"[^}]*\})/$1, $1/r }, qr/conf:\d+: .*own/ ],
        [ 'an address that is none', sub { $_[0] =~ s/"127.0.0.3\@/"127.0.0.333@/r }, qr/conf:\d+: .*address.*127\.0\.0\.333/ ],
        [ 'no file at all', sub { undef }, qr/\Q@{[ $lockstep->conf_file ]}\E/ ]) {
        my ($what, $spoil, $wanted) = @$case;
        my $bad = $spoil->($good);
        isnt($bad, $good, "$what:") unless !defined $bad;
        defined $bad ? spew($lockstep->conf_file, $bad) : unlink $lockstep->conf_file;
        my $text = join ' ', map { $_->{error} // () } $lockstep->control(qq({"verb":"reload"}\n));
        like($text, $wanted, "$what: says where and what");
        spew($lockstep->conf_file, $good);
        is($lockstep->json('status')->{summary}{zones}, 2, "$what: the zones are there");
        is($lockstep->outcome('example'), 'NOERROR', "$what: and served");
    }
    spew($lockstep->conf_file, "$good\nodd: 1;\n");
    for my $how ([ '-c', $lockstep->conf_file ], [ '-s', $lockstep->{conf}{server}{control} ]) {
        my ($status, $out, $said) = run_command(($ENV{top_builddir} // '.') . '/lockstep', @$how, 'reload');
        is($status, 1, "reload $how->[0] exits with 1");
        like($said, qr/^lockstep: .*\Q@{[ $lockstep->conf_file ]}\E:\d+: .*odd/, 'and says the same');
        is($out, '', 'and nothing else');
    }
    my $before = () = $lockstep->events('reload');
    $lockstep->signal('HUP');
    ok(wait_for(sub { $lockstep->events('reload') > $before }), 'after SIGHUP the log says it');
    like(($lockstep->events('reload'))[-1]{msg}, qr/nothing was changed: .*odd/, 'with the reason');
    spew($lockstep->conf_file, $good);
    reloaded('a good one is taken after all that');
    reloaded('what needs a restart', server => { %{ $lockstep->{conf}{server} }, workers => 2 });
    ok($lockstep->wait_log(qr/warning reload msg=".*server\.workers.*next start"/), 'is said');
};

subtest 'a zone that is a file' => sub {
    my $told = $down->count('NOTIFY');
    $lockstep->put_zone('own', own_text(2, 'www.own. 300 IN A 192.0.2.1'));
    reloaded('an edit');
    ok($lockstep->wait_serial('own', 2), 'is served');
    is($lockstep->outcome('www.own', 'A'), 'NOERROR', 'with what is new');
    ok($down->wait_count('NOTIFY', $told + 1), 'and told downstream');
    is(($down->asked)[-1]{serial}, 2, 'with its serial');
    $lockstep->put_zone('own', own_text(3, 'www.own. 300 IN A 192.0.2.1.5'));
    reloaded('a broken edit');
    my $file = $lockstep->zone_file('own');
    ok($lockstep->wait_log(qr/error zone-load-failed zone=own\. .*why="\Q$file\E:3: /), 'is said with file and line');
    is($lockstep->outcome('www.own', 'A'), 'NOERROR', 'the old version is served');
    my $status = $lockstep->status('own');
    is("$status->{state} $status->{serial}", 'rejected 2', 'status says so');
    like($status->{reason}, qr/\Q$file\E:3: /, 'and why');
    my ($exit, $out, $said) = $lockstep->verb('transfer', 'own');
    is($exit, 1, 'transfer reads it too');
    like($said, qr/\Q$file\E:3: /, 'and says the same');
    unlink $file;
    is(($lockstep->verb('refresh', 'own'))[0], 1, 'a file that is gone');
    is($lockstep->serial('own'), 2, 'is no reason to stop');
    $lockstep->put_zone('own', own_text(2, 'web.own. 300 IN A 192.0.2.1'));
    is(($lockstep->verb('refresh', 'own'))[0], 0, 'the same serial, other records');
    is($lockstep->outcome('web.own', 'A'), 'NOERROR', 'are served');
    ok($lockstep->wait_log(qr/warning serial-not-raised zone=own\. old=2 new=2/), 'but it is said that nobody downstream will take them');
    $told = $down->count('NOTIFY');
    $lockstep->put_zone('own', own_text(1));
    is(($lockstep->verb('refresh', 'own'))[0], 0, 'a lower serial');
    ok($lockstep->wait_log(qr/warning serial-not-raised zone=own\. old=2 new=1/), 'is said too');
    is($lockstep->state('own'), 'ok', 'and the zone is ok');
};

subtest 'a zone is removed during its transfer' => sub {
    my @names = map { "z$_" } 1 .. 3;
    $fake[0]->serve(axfr => slow(9, 1));
    reloaded('three zones that take their time', zones => [ $example, $own, map { { %$example, name => $_ } } @names ]);
    ok($fake[0]->wait_count('AXFR', 3), 'their transfers are under way');
    my $socket = $lockstep->control_socket;
    $socket->print(qq({"verb":"transfer","zones":["z1","z2","z3"]}\n));
    $socket->flush;
    ok(defined <$socket>, 'somebody waits for them');
    like(reloaded('one of them goes', zones => [ $example, $own, map { { %$example, name => $_ } } @names[ 1, 2 ] ]), qr/1 removed/, 'which is said');
    my @lines = map { decode_json($_) } <$socket>;
    my ($done) = map { $_->{done} // () } @lines;
    my %got = map { $_->{zone} => $_ } @{ $done->{zones} };
    is($got{'z1.'}{result}, 'failed', 'who waits for it is told');
    like($got{'z1.'}{error}, qr/removed/, 'and why');
    is($got{$_}{result}, 'updated', "$_ comes") for 'z2.', 'z3.';
    is($lockstep->outcome('z1'), 'REFUSED 20', 'it is ours no more');
    reloaded('back', zones => [ $example, $own ]);
    $fake[0]->serve(serial => 6);
};

subtest 'a hundred reloads during transfers and queries' => sub {
    my $result = work_dir('queries') . '/result';
    my @all = ($example, $own, map { { %$example, name => "n$_" } } 1 .. 5);
    $fake[0]->serve(serial => 10, soa => slow(10, 0), axfr => slow(10, 0.01));
    reloaded('some more zones', zones => [ @all, { %$example, name => 'keep', 'allow-transfer' => ['down'] } ],
        remotes => [ $remotes[0], Lockstep::remote('down', '127.0.0.1') ]);
    ok($lockstep->wait_serial('keep', 10), 'they are there');
    my @queries = map { Wire::message(id => $_->[2], question => Wire::question(@$_[ 0, 1 ])) } [ 'keep', 'SOA', 1 ],
        [ 'www.keep', 'A', 2 ], [ 'keep', 'NS', 3 ];
    my $pid = fork // die;
    if ($pid == 0) {
        my %count = (asked => 0, lost => 0, wrong => 0, transfers => 0, broken => 0);
        $SIG{TERM} = sub { spew($result, encode_json(\%count)); _exit(0) };
        while (1) {
            for my $query (@queries) {
                my $bytes = Wire::ask_udp($lockstep->at, $query, 2);
                $count{asked}++;
                $count{ defined $bytes ? 'wrong' : 'lost' }++ unless defined $bytes && unpack('n', substr $bytes, 2) & 0x0400;
            }
            my @messages = Wire::ask_tcp($lockstep->at, Wire::message(question => Wire::question('keep', 'AXFR')), 1);
            $count{transfers}++;
            $count{broken}++ unless @messages && Wire::parse($messages[0])->{rcode} == 0 && @{ Wire::parse($messages[0])->{answer} };
        }
    }
    my $failed = 0;
    for my $n (1 .. 100) {
        my @zones = grep { $n % 3 || $_->{name} !~ /^n[12]$/ } @all;
        $lockstep->{conf}{zones} = [ @zones, { %$example, name => 'keep', 'allow-transfer' => ['down'], 'refresh-min' => $n % 7 + 1 } ];
        $lockstep->{conf}{keys} = [ Tsig::key(name => "key$n") ];
        $lockstep->configure;
        $failed++ if grep { $_->{error} } $lockstep->control(qq({"verb":"reload"}\n));
        $lockstep->control(qq({"verb":"transfer","full":true,"zones":["keep"]}\n)) if $n % 10 == 0;
    }
    is($failed, 0, 'every reload is taken');
    kill 'TERM', $pid;
    waitpid $pid, 0;
    my $count = decode_json(slurp($result) // '{}');
    cmp_ok($count->{asked}, '>', 50, "$count->{asked} queries were asked meanwhile");
    is($count->{lost}, 0, 'none was lost');
    is($count->{wrong}, 0, 'none was answered wrongly');
    cmp_ok($count->{transfers}, '>', 10, "$count->{transfers} transfers out");
    is($count->{broken}, 0, 'none was refused or broken off');
    ok($lockstep->wait_state("n$_", 'ok'), "n$_ is there") for 1 .. 5;
};

is($lockstep->stop, 0, 'lockstepd ends cleanly');
done_testing;
