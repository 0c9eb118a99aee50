#!/usr/bin/perl
# Zones at run time: add, remove, purge, hold and release; what survives a restart, kill -9, and the loss of a file; what a
# transfer that joins another one keeps.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Fake;
use JSON::PP;
use Lockstep;
use Process qw(slurp spew wait_for);
use Test::More;

plan skip_all => 'lockstepd is not built' unless Lockstep::have();
my @records = ('example. 300 IN NS ns.example.', 'www.example. 60 IN A 192.0.2.1');

# One primary for any zone: its answers are for the zone that is asked for.
sub any_zone {
    my ($talk) = @_;
    my $fake = $talk->{fake};
    local $fake->{zone} = $talk->{asked}{name} =~ s/\.?$/./r;
    return $talk->send(answer => [ $talk->soa ]) if $talk->{asked}{type} eq 'SOA';
    $talk->send(answer => [ $talk->soa, "$fake->{zone} 300 IN NS ns.example.", "www.$fake->{zone} 60 IN A 192.0.2.1", $talk->soa ]);
}
my %any = (soa => \&any_zone, axfr => \&any_zone);
my $fake = Fake->new(%any)->serve(serial => 1, %any);
my $other = Fake->new(address => '127.0.0.2')->serve(serial => 1, %any);
my $lockstep = Lockstep->new(remotes => [ Lockstep::remote('p', $fake), Lockstep::remote('q', $other) ],
    templates => [ { name => 'default', primaries => ['p'], 'zonefile-sync' => 0 },
        { name => 'two', primaries => [ 'q', 'p' ], 'zonefile-sync' => 0 },
        { name => 'one-file', primaries => ['p'], file => 'all.zone' },
        { name => 'nobody' } ],
    zones => [ { name => 'configured' }, { name => 'own', source => 'file' }, { name => 'odd', file => 'clash.example.zone' } ]);
$lockstep->put_zone('own', "own. 300 IN SOA ns.own. host.own. 1 3600 900 604800 300\nown. 300 IN NS ns.own.\n");

sub works {
    my ($name, @words) = @_;
    my ($status, $out, $said) = $lockstep->verb(@words);
    is("$status$said", '0', $name);
    return $out;
}

sub fails {
    my ($name, $why, @words) = @_;
    my ($status, $out, $said) = $lockstep->verb(@words);
    is("$status $out", '1 ', "$name: exit status 1, and nothing is printed");
    like($said, qr/\Alockstep: [^\n]*$why[^\n]*\n\z/, "$name: one line says why");
}

sub restarted {
    my ($how) = @_;
    $how eq 'kill' ? $lockstep->kill9 : is($lockstep->stop, 0, 'it ends cleanly');
    $lockstep->start;
}
my $roster = "$lockstep->{dir}/state/roster";
my $copy = "$lockstep->{dir}/zones/.lockstep-roster";

$lockstep->start;
ok($lockstep->wait_serial('configured', 1), 'the zone of the configuration is there');
ok(!-e $roster, 'nothing is remembered that need not be');

subtest 'add' => sub {
    is(works('a zone', 'add', 'One.Example'), "add: 1 zone\n", 'says so');
    ok($lockstep->wait_serial('one.example', 1), 'it is served');
    my $status = $lockstep->status('one.example');
    is(join(' ', map { $_ // 'none' } @$status{qw(state origin template primary held)}), 'ok added none p 0', 'status knows where it comes from');
    is($lockstep->status('configured')->{origin}, 'config', 'and of another one too');
    works('with a template', 'add', '--template', 'two', 'two.example');
    ok($lockstep->wait_serial('two.example', 1), 'it is served');
    is(join(' ', @{ $lockstep->status('two.example') }{qw(template primary)}), 'two q', 'by its template');
    is(works('several', 'add', 'a.example', 'b.example', 'c.example'), "add: 3 zones\n", 'at once');
    is_deeply($lockstep->json('add', 'json.example'), { zones => [ { zone => 'json.example.', result => 'ok', error => undef } ] }, 'as JSON');
    fails('again', 'one.example.: it was added already', 'add', 'one.example');
    fails('a zone of the configuration', 'it is a zone of the configuration', 'add', 'CONFIGURED');
    fails('an unknown template', '"none".*not there', 'add', '--template', 'none', 'x.example');
    fails('a template without primaries', '"nobody".*no primaries', 'add', '--template', 'nobody', 'x.example');
    fails('a template of one file', '"one-file".*%s', 'add', '--template', 'one-file', 'x.example');
    fails("another zone's file", "another zone's", 'add', 'clash.example');
    my ($exit, $out) = $lockstep->verb('add', 'd.example', 'one.example', 'e.example');
    is("$exit$out", "1add: 2 zones\n", 'two of three');
    is(($lockstep->verb('add'))[0], 2, 'without a zone: wrong usage');
    is(($lockstep->verb('add', 'bad..name'))[0], 2, 'so is what is no name');
    is($lockstep->json('status')->{summary}{zones}, 11, 'they are counted');
    ok(-s $roster && -s $copy, 'and remembered twice');
};

subtest 'they survive' => sub {
    my @all = map { $_->{zone} } @{ $lockstep->json('status')->{zones} };
    $_->vanish for $fake, $other;
    works('what was added just before', 'add', 'late.example');
    @all = sort @all, 'late.example.';
    for my $case ([ 'kill', 'kill -9' ], [ 'stop', 'a restart' ], [ 'kill', 'the loss of a file', sub { unlink $roster } ],
        [ 'kill', 'that of the other one', sub { unlink $copy } ],
        [ 'kill', 'a file that was cut', sub { spew($roster, slurp($roster) =~ s/[^\n]*\n[^\n]*\n\z//r) } ],
        [ 'kill', 'a flipped bit', sub { my $text = slurp($roster); substr($text, 40, 1) ^= "\4"; spew($roster, $text) } ]) {
        my ($how, $what, $spoil) = @$case;
        $how eq 'kill' ? $lockstep->kill9 : is($lockstep->stop, 0, 'it ends cleanly');
        $spoil->() if $spoil;
        $lockstep->start;
        is_deeply([ sort map { $_->{zone} } @{ $lockstep->json('status')->{zones} } ], \@all, $what);
        is($lockstep->serial('configured'), 1, 'and the rest is served');
        ok(wait_for(sub { -e $roster && -e $copy && slurp($roster) eq slurp($copy) }), 'there are two copies again') if $spoil;
    }
    ok($lockstep->wait_log(qr/error state-damaged msg=".*roster: it is not as it was written; the other copy of the roster is whole"/), 'and it was said');
    $_->serve(serial => 1, %any) for $fake, $other;
    works('asked again', 'refresh', '--all');
    ok($lockstep->wait_serial($_, 1), "$_ is served") for qw(one.example two.example late.example);
};

subtest 'remove' => sub {
    works('bring its file up to date', 'write', 'one.example');
    my $file = $lockstep->zone_file('one.example');
    ok(-e $file, 'it has a file');
    is(works('remove', 'remove', 'one.example'), "remove: 1 zone\n", 'says so');
    is($lockstep->outcome('one.example'), 'REFUSED 20', 'it is ours no more');
    ok(wait_for(sub { !-e $file }), 'and its file is gone');
    fails('again', 'no such zone', 'remove', 'one.example');
    fails('one of the configuration', 'zone of the configuration', 'remove', 'configured');
    works('it may come again', 'add', 'one.example');
    ok($lockstep->wait_serial('one.example', 1), 'and is served');
    works('and go', 'remove', 'one.example');
    restarted('kill');
    is($lockstep->outcome('one.example'), 'REFUSED 20', 'a removal survives too');
    is($lockstep->state('one.example'), undef, 'altogether');
    works('once more', 'add', 'one.example');
    ok($lockstep->wait_serial('one.example', 1), 'it comes');
    $fake->vanish;
    for my $n (1 .. 5) {
        works('it goes', 'remove', 'one.example');
        $lockstep->control(qq({"verb":"add","zones":["one.example."]}\n));
        ok(wait_for(sub { ($lockstep->status('one.example') // {})->{reason} }), 'and comes, without a primary');
        is($lockstep->outcome('one.example'), 'SERVFAIL 14', 'with nothing of what it had');
        $fake->serve(serial => 1, %any);
        works('until there is one', 'transfer', 'one.example');
        $fake->vanish;
    }
    restarted('kill');
    is($lockstep->serial('one.example'), 1, 'it is durable');
    $fake->serve(serial => 1, %any);
    works('the end', 'remove', 'one.example');
};

subtest 'reload and zones at run time' => sub {
    my ($status, $out, $said) = $lockstep->reload;
    is("$status$said", '0', 'reload');
    like($out, qr/^reload: 0 added, 0 removed, 0 changed; 11 zones/, 'changes nothing');
    my @templates = @{ $lockstep->{conf}{templates} };
    ($status, $out, $said) = $lockstep->reload(templates => [ grep { $_->{name} ne 'two' } @templates ]);
    is("$status$out", '1', 'a template that is needed must not go');
    like($said, qr/two\.example\.".*"two".*not there/, 'which is said');
    is($lockstep->serial('two.example'), 1, 'nothing has changed');
    ($status, $out, $said) = $lockstep->reload(templates => [ map { $_->{name} eq 'two' ? { %$_, primaries => ['p'] } : $_ } @templates ]);
    like($out, qr/1 changed/, 'one that changes changes its zones');
    works('transfer', 'transfer', '--full', 'two.example');
    is($lockstep->status('two.example')->{primary}, 'p', 'which are transferred by it');
    my @zones = @{ $lockstep->{conf}{zones} };
    $lockstep->reload(templates => \@templates, zones => [ @zones, { name => 'two.example' } ]);
    is($lockstep->status('two.example')->{origin}, 'config', 'what the configuration names is its own');
    $lockstep->reload(zones => \@zones);
    is($lockstep->outcome('two.example'), 'REFUSED 20', 'and goes with it');
};

subtest 'hold and release' => sub {
    is(works('hold', 'hold', 'configured', 'a.example'), "hold: 2 zones\n", 'says so');
    my $asked = sub { scalar grep { $_->{name} =~ /^(?:configured|a\.example)/ && $_->{type} ne 'NOTIFY' } $fake->asked };
    my $before = $asked->();
    $fake->serve(serial => 2, %any);
    ok($fake->notify($lockstep->at, zone => 'configured.', serial => 2), 'NOTIFY is answered');
    fails('transfer', 'on hold', 'transfer', 'configured');
    fails('refresh', 'on hold', 'refresh', 'configured');
    works('of all zones the others are asked', 'refresh', '--all');
    ok($lockstep->wait_serial('b.example', 2), 'another zone goes on');
    is($lockstep->serial($_), 1, "$_ stays as it is") for qw(configured a.example);
    my $status = $lockstep->status('configured');
    is(join(' ', @$status{qw(state held best reason)}), 'held 1 2 on hold', 'status says so, and what it does not take');
    is($lockstep->json('status')->{summary}{held}, 2, 'they are counted');
    works('twice is as good as once', 'hold', 'configured');
    restarted('kill');
    is($lockstep->state('configured'), 'held', 'it survives kill -9');
    is($lockstep->serial('configured'), 1, 'and the zone is served');
    works('write', 'write', 'configured');
    is($asked->(), $before, 'and no primary was asked for it');
    is(works('release', 'release', 'configured', 'a.example'), "release: 2 zones\n", 'says so');
    ok($lockstep->wait_serial($_, 2), "$_ is in step again") for qw(configured a.example);
    works('what is not on hold is let go too', 'release', 'configured');
    restarted('stop');
    is($lockstep->state('configured'), 'ok', 'that survives as well');
    works('a zone from a file', 'hold', 'own');
    $lockstep->put_zone('own', "own. 300 IN SOA ns.own. host.own. 2 3600 900 604800 300\nown. 300 IN NS ns.own.\n");
    $lockstep->reload;
    is($lockstep->serial('own'), 1, 'is not read');
    works('until', 'release', 'own');
    works('it is', 'refresh', 'own');
    is($lockstep->serial('own'), 2, 'let go');
    fails('none', 'no such zone', 'hold', 'none.example');
};

subtest 'what cannot be written is said' => sub {
    for my $path ($roster, $copy) { rename $path, "$path.aside"; mkdir $path }
    my ($status, $out, $said) = $lockstep->verb('hold', 'b.example');
    is("$status $out", '1 ', 'hold fails');
    like($said, qr/b\.example\.: it is done, but would not survive a restart: .*roster/, 'and says how far');
    is($lockstep->state('b.example'), 'held', 'it is on hold now');
    like($lockstep->json('status')->{state_error}, qr/roster/, 'status says so');
    like((works('status as text', 'status') =~ /^# (not durable: .*)/m)[0], qr/roster/, 'in words too');
    rmdir $copy;
    works('one of two places is enough', 'release', 'b.example');
    is($lockstep->json('status')->{state_error}, undef, 'all is well');
    ok($lockstep->wait_log(qr/error state-write-failed msg=".*state\/roster/), 'but the log has the other one');
    rmdir $roster;
    works('the next time both are written', 'hold', 'b.example');
    ok(-f $roster && -f $copy, 'both');
    works('release', 'release', 'b.example');
};

subtest 'a transfer under way ends with the hold' => sub {
    $fake->serve(serial => 3, soa => \&any_zone,
        axfr => sub { my ($talk) = @_; $talk->{fake}{zone} = 'configured.'; $talk->send(answer => [ $talk->soa, 'configured. 300 IN NS ns.' ]); $talk->wait_close });
    my $socket = $lockstep->control_socket;
    $socket->print(qq({"verb":"transfer","zones":["configured."]}\n));
    $socket->flush;
    ok(wait_for(sub { grep { $_->{name} =~ /^configured/ && $_->{type} =~ /XFR/ && ($_->{serial} // 0) == 2 } $fake->asked }), 'it is asked for');
    works('hold', 'hold', 'configured');
    my ($done) = map { $_->{done} // () } map { decode_json($_) } <$socket>;
    like($done->{zones}[0]{error}, qr/put on hold/, 'who waits is told');
    $fake->serve(serial => 3, %any);
    works('release', 'release', 'configured');
    ok($lockstep->wait_serial('configured', 3), 'and it comes');
};

subtest 'a zone on hold expires' => sub {
    my @short = (times => [ 2, 1, 3, 300 ]);
    $fake->serve(serial => 4, %any, @short);
    works('transfer', 'transfer', 'configured');
    works('hold', 'hold', 'configured');
    ok($lockstep->wait_state('configured', 'expired', 10), 'like any other');
    works('release', 'release', 'configured');
    ok($lockstep->wait_state('configured', 'ok|refreshing', 10), 'and is back at once');
    $fake->serve(serial => 5, %any, times => []);
    works('transfer', 'transfer', 'configured');
};

subtest 'purge' => sub {
    works('write', 'write', 'configured');
    my $file = $lockstep->zone_file('configured');
    my $asked = $fake->count('AXFR');
    is(works('purge', 'purge', 'configured'), "purge: 1 zone\n", 'says so');
    ok($lockstep->wait_serial('configured', 5), 'it is transferred anew');
    is($fake->count('AXFR'), $asked + 1, 'as a whole');
    $fake->serve(serial => 2, %any);
    works('with a lower serial', 'purge', 'configured');
    ok($lockstep->wait_serial('configured', 2), 'it is taken');
    works('write', 'write', 'configured');
    $fake->vanish;
    works('without a primary', 'purge', 'configured');
    is($lockstep->outcome('configured'), 'SERVFAIL 14', 'nothing is left');
    ok(!-e $file, 'no file either');
    restarted('kill');
    is($lockstep->state('configured'), 'empty', 'not after a restart');
    works('hold', 'hold', 'configured');
    fails('of a zone on hold', 'release it first', 'purge', 'configured');
    works('release', 'release', 'configured');
    fails('of a zone from a file', 'zone file', 'purge', 'own');
    fails('of none', 'no such zone', 'purge', 'none');
    $fake->serve(serial => 2, %any);
    works('refresh', 'refresh', 'configured');
};

subtest 'a transfer that joins another one keeps its options' => sub {
    $lockstep->reload(zones => [ { name => 'configured', primaries => [ 'p', 'q' ] } ]);
    $_->serve(serial => 6, %any) for $fake, $other;
    works('transfer', 'transfer', 'configured');
    my $slow = sub { my ($talk) = @_; $talk->pause(0.7); any_zone($talk) };
    $fake->serve(serial => 7, soa => \&any_zone, axfr => $slow);
    $other->serve(serial => 7, %any);
    my $full = $other->count('AXFR');
    my $ixfr = $fake->count('IXFR');
    my @sockets = map {
        my $socket = $lockstep->control_socket;
        $socket->print("$_\n");
        $socket->flush;
        $fake->wait_count('IXFR', $ixfr + 1);
        $socket;
    } '{"verb":"transfer","zones":["configured."]}', '{"verb":"transfer","zones":["configured."],"full":true,"from":"q"}',
        '{"verb":"transfer","zones":["configured."]}';
    my @done = map { my $socket = $_; map { $_->{done}{zones}[0] // () } map { decode_json($_) } <$socket> } @sockets;
    is(join(' ', map { "$_->{result} $_->{primary}" } @done), 'updated p updated q updated p', 'the plain ones are one, the other one follows');
    is($other->count('AXFR'), $full + 1, 'as a whole, from whom it should be');
};

is($lockstep->stop, 0, 'lockstepd ends cleanly');
done_testing;
