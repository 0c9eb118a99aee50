#!/usr/bin/perl
# A configuration that takes long to read: meanwhile the daemon goes on as before. The reading is held up by t/faults.c, so that what
# happens during it is known to happen during it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Fake;
use Faults;
use JSON::PP;
use Lockstep;
use Process qw(slurp spew wait_for);
use Test::More;
use Wire;

plan skip_all => 'lockstepd is not built' unless Lockstep::have();
plan skip_all => 't/faults.so is not built' unless Faults::have();
my $fake = Fake->new(zone => 'example.', records => ['example. 300 IN NS ns.example.'])->serve(serial => 1);
my $example = { name => 'example', primaries => ['hidden'] };
my $lockstep = Lockstep->new(remotes => [ Lockstep::remote('hidden', $fake) ], zones => [$example]);
my $faults = Faults->new;

sub file_zone { my ($name) = @_; return { name => $name, source => 'file' } }

# A reading that is under way, and waits.
sub hold_up {
    $faults->set('read ' . $lockstep->conf_file . ' 1+ WAIT');
}
sub is_reading { return wait_for(sub { $faults->fired(qr/WAIT/) }, 30) }

# The file says other zones from now on.
sub say_zones { $lockstep->{conf}{zones} = [@_]; $lockstep->configure }

# Somebody who asks for a reload. Requests are heard in the order in which they come: when `status` is answered, this one has been.
sub ask {
    my $socket = $lockstep->control_socket;
    syswrite $socket, qq({"verb":"reload"}\n);
    return $socket;
}

# What was answered at last: "added removed zones", or the error.
sub answer {
    my ($socket) = @_;
    my @lines = map { decode_json($_) } <$socket>;
    my ($error) = map { $_->{error} // () } @lines;
    my ($done) = map { $_->{done} // () } @lines;
    return $error // ($done ? join ' ', @$done{qw(added removed zones)} : 'nothing');
}

sub put {
    my ($name, $serial) = @_;
    $lockstep->put_zone($name, join "\n", "$name. 300 IN SOA ns.$name. host.$name. $serial 3600 900 604800 300", "$name. 300 IN NS ns.$name.", '');
}

put($_, 1) for qw(second third fourth);
$lockstep->start($faults->command);
ok($lockstep->wait_serial('example', 1), 'a zone is there');

subtest 'the daemon goes on while the file is read' => sub {
    say_zones($example, file_zone('second'));
    hold_up();
    my $asked = ask();
    ok(is_reading(), 'it is being read');
    $fake->serve(serial => 2);
    $fake->notify($lockstep->at, serial => 2);
    ok($lockstep->wait_serial('example', 2, 30), 'NOTIFY leads to a transfer');
    is($lockstep->json('status')->{summary}{zones}, 1, 'status is answered');
    is($lockstep->outcome('second'), 'REFUSED 20', 'nothing has changed yet');
    $fake->serve(serial => 3);
    is(($lockstep->verb('transfer', 'example'))[0], 0, 'transfer transfers');
    is($lockstep->serial('example'), 3, 'the new version');
    is(scalar $lockstep->events('reload'), 0, 'it is still being read');
    $faults->clear;
    is(answer($asked), '1 0 2', 'then what it says is in force');
    ok($lockstep->wait_serial('second', 1), 'and the new zone served');
};

subtest 'who asks during a reading gets the next one' => sub {
    hold_up();
    my $first = ask();
    ok(is_reading(), 'it is being read');
    say_zones($example, file_zone('second'), file_zone('third'));
    my @next = map { ask() } 1 .. 3;
    is($lockstep->json('status')->{summary}{zones}, 2, 'the daemon has heard all of them');
    $faults->clear;
    is(answer($first), '0 0 2', 'the first one gets what was there when it asked');
    is(answer($_), '1 0 3', 'another one what came then') for @next;
    is(scalar $lockstep->events('reload'), 3, 'which was read once for all of them');
    ok($lockstep->wait_serial('third', 1), 'and is in force');
};

subtest 'an error' => sub {
    my $good = slurp($lockstep->conf_file);
    spew($lockstep->conf_file, "$good\nodd: 1;\n");
    hold_up();
    my $first = ask();
    ok(is_reading(), 'a bad file is being read');
    say_zones($example, file_zone('second'));
    my $next = ask();
    is($lockstep->json('status')->{summary}{zones}, 3, 'both are heard');
    $faults->clear;
    like(answer($first), qr/:\d+: .*odd/, 'is told to who asked for it');
    is(answer($next), '0 1 2', 'not to who asked when it was mended');
};

subtest 'who asked goes away' => sub {
    say_zones($example, file_zone('second'), file_zone('third'));
    hold_up();
    my ($gone, $stays) = (ask());
    ok(is_reading(), 'it is being read');
    $stays = ask();
    close $gone;
    is($lockstep->json('status')->{summary}{zones}, 2, 'the daemon goes on');
    $faults->clear;
    is(answer($stays), '0 0 3', 'the next one finds the zones there');
};

subtest 'SIGHUP during a reading' => sub {
    hold_up();
    my $first = ask();
    ok(is_reading(), 'it is being read');
    say_zones($example, file_zone('fourth'));
    $lockstep->signal('HUP');
    is($lockstep->json('status')->{summary}{zones}, 3, 'the daemon goes on');
    $faults->clear;
    is(answer($first), '0 0 3', 'the first one is told');
    ok($lockstep->wait_serial('fourth', 1, 30), 'then the other file is in force');
};

subtest 'files of zones' => sub {
    my $loads = sub { return $lockstep->json('stats')->{files}{loads} // die 'stats name no loads' };
    my $before = $loads->();
    is(answer(ask()), '0 0 2', 'a reload looks at them');
    is(($lockstep->verb('refresh', 'fourth'))[0], 0, 'and so does refresh, behind it');
    is($loads->(), $before, 'one that is as it was is not read');
    put('fourth', 2);
    $faults->set('read ' . $lockstep->zone_file('fourth') . ' 1+ WAIT');
    is(answer(ask()), '0 0 2', 'a reload does not wait for them');
    ok(is_reading(), 'the file is being read');
    put('fourth', 3);
    is(answer(ask()), '0 0 2', 'a reload after another change');
    my $asked = $lockstep->control_socket;
    syswrite $asked, qq({"verb":"refresh","zones":["fourth"]}\n);
    is($lockstep->serial('fourth'), 1, 'the old version is served meanwhile');
    $faults->clear;
    my ($done) = map { $_->{done} // () } map { decode_json($_) } <$asked>;
    is($done->{zones}[0]{result}, 'ok', 'who waits for the file');
    is($lockstep->serial('fourth'), 3, 'waits for what it says now');
    is($loads->(), $before + 2, 'it was read twice');
};

subtest 'files of many zones' => sub {
    my @many = map { { name => "m$_", source => 'file', file => 'shared.zone' } } 1000 .. 2199;
    my $shared = sub { $lockstep->put_zone('shared', "\@ 300 IN SOA ns host $_[0] 3600 900 604800 300\n\@ 300 IN NS ns\n") };
    $shared->(1);
    say_zones($example, file_zone('fourth'), @many);
    is(answer(ask()), '1200 0 1202', 'they are there');
    ok($lockstep->wait_serial($_, 1, 30), "$_ is served") for qw(m1000 m2199);
    $shared->(2);
    is(answer(ask()), '0 0 1202', 'a reload');
    ok($lockstep->wait_serial($_, 2, 30), "brings $_") for qw(m1000 m1499 m1500 m2000 m2199);
    say_zones($example, file_zone('fourth'));
    is(answer(ask()), '0 1200 2', 'they go');
};

subtest 'a zone that is removed while its transfer, and a reading, are under way' => sub {
    say_zones(file_zone('fourth'));
    hold_up();
    my $asked = ask();
    ok(is_reading(), 'it is being read');
    my $transfers = $fake->count('AXFR');
    $fake->serve(serial => 4, axfr => sub { my ($talk) = @_; $talk->send(answer => [ Wire::raw_rr(owner => 'example.', type => 'SOA',
        rdata => Wire::soa_rdata('example.', 4)) ]); $talk->pause(60) });
    my $waits = $lockstep->control_socket;
    syswrite $waits, qq({"verb":"transfer","full":true,"zones":["example"]}\n);
    ok($fake->wait_count('AXFR', $transfers + 1, 30), 'its transfer is under way');
    $faults->clear;
    is(answer($asked), '0 1 1', 'the zone goes');
    like(answer($waits), qr/removed/, 'and who waits for it is told');
    $fake->serve(serial => 4);
};

subtest 'at the start each zone is served when its own file has been read' => sub {
    my @others = map { "other$_" } 1 .. 20;
    my $starts = Lockstep->new(zones => [ map { file_zone($_) } 'slow', @others ]);
    $starts->put_zone($_, "$_. 300 IN SOA ns.$_. host.$_. 1 3600 900 604800 300\n$_. 300 IN NS ns.$_.\n") for 'slow', @others;
    $faults->set('read ' . $starts->zone_file('slow') . ' 1+ WAIT');
    $starts->launch($faults->command);
    my $served = sub { return scalar grep { defined $starts->serial($_) } @others };
    ok(wait_for($served), 'some are served');
    ok(is_reading(), 'while the file of one is being read');
    is($starts->outcome('slow'), 'SERVFAIL 14', 'and it is answered so');
    is(scalar $starts->log_lines(qr/ notice ready /), 0, 'nor is the start over');
    $faults->clear;
    ok($starts->wait_serial($_, 1), "$_ is served") for 'slow', @others;
    ok($starts->wait_log(qr/ notice ready /), 'and it is over');
    is($starts->stop, 0, 'lockstepd ends cleanly');
};

subtest 'the end during a reading' => sub {
    say_zones($example);
    hold_up();
    my ($first, $next) = (ask());
    ok(is_reading(), 'it is being read');
    $next = ask();
    is($lockstep->json('status')->{summary}{zones}, 1, 'and another one is to be');
    my $before = $lockstep->events('reload');
    $lockstep->signal('TERM');
    is(answer($_), 'nothing', 'who waits for it is not kept') for $first, $next;
    $faults->clear;
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
    is($lockstep->events('reload'), $before, 'and does not begin anything new');
};

done_testing;
