#!/usr/bin/perl
# NOTIFY to the servers downstream (RFC 1996): what it says, with and without TSIG, how often, and what is made of the answers.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Fake;
use Lockstep;
use POSIX qw(_exit);
use Process qw(free_port wait_for);
use Test::More;
use Time::HiRes qw(time);
use Tsig;
use Wire;

plan skip_all => 'lockstepd is not built' unless Lockstep::have();
my $key = Tsig::key;
my $plain = Fake->new(zone => 'own.', address => '127.0.0.2')->serve;
my $signed = Fake->new(zone => 'own.', address => '127.0.0.3', key => $key)->serve;
my $silent = Fake->new(zone => 'own.', address => '127.0.0.4')->serve(notify => sub { });
my $nobody = '127.0.0.5@' . free_port;
my @remotes = (Lockstep::remote('plain', $plain), Lockstep::remote('signed', $signed, $key), Lockstep::remote('silent', $silent),
    Lockstep::remote('nobody', $nobody),
    Lockstep::remote('both', [ $plain, $signed ]));
my $lockstep = Lockstep->new(keys => [$key], remotes => \@remotes, zones => [ { name => 'own', source => 'file', notify => [ 'plain', 'signed' ] } ]);
my $serial = 0;

sub text { my ($zone, $serial) = @_; return "$zone. 300 IN SOA ns.$zone. host.$zone. $serial 3600 900 604800 300\n$zone. 300 IN NS ns.$zone.\n" }
sub next_version { $lockstep->put_zone('own', text('own', ++$serial)); $lockstep->verb('refresh', 'own'); return $serial }
sub notify_to { my @names = @_; $lockstep->reload(zones => [ { name => 'own', source => 'file', notify => \@names } ]) }
# Who was slow to answer has got it again, from the same port: that is told once.
sub sent { my ($fake) = @_; return grep { $_->{type} eq 'NOTIFY' } $fake->asked }
sub told { my %had; return grep { !$had{"$_->{from} $_->{name} $_->{serial}"}++ } sent(@_) }

next_version();
$lockstep->start;

subtest 'a new serial is told' => sub {
    ok($_->wait_count('NOTIFY', 1), 'at the start') for $plain, $signed;
    my ($got) = told($plain);
    is("$got->{name} $got->{transport} $got->{tsig}", 'own. UDP none', 'the zone, over UDP, not signed');
    is($got->{serial}, 1, 'with the serial as a hint');
    ($got) = told($signed);
    is("$got->{name} $got->{transport} $got->{tsig}", 'own. UDP NOERROR', 'signed where there is a key');
    next_version();
    ok($_->wait_count('NOTIFY', 2), 'after an edit') for $plain, $signed;
    is((told($_))[-1]{serial}, 2, 'with the new serial') for $plain, $signed;
    ok($lockstep->wait_log(qr/info notify-out zone=own\. to=signed address=\Q@{[ $signed->at ]}\E key=\Q$key->{name}\E.* serial=2 tries=1 outcome=NOERROR/), 'the log says who took it');
    $lockstep->reload;
    is(scalar(told($plain)), 2, 'a reload without a change tells nobody');
};

subtest 'a zone that was transferred is told on' => sub {
    my $hidden = Fake->new(zone => 'example.', records => ['example. 300 IN NS ns.example.'])->serve(serial => 7);
    $lockstep->reload(remotes => [ @remotes, Lockstep::remote('hidden', $hidden) ],
        zones => [ @{ $lockstep->{conf}{zones} }, { name => 'example', primaries => ['hidden'], notify => ['plain'] } ]);
    ok(wait_for(sub { grep { $_->{name} eq 'example.' && $_->{serial} == 7 } told($plain) }), 'as soon as it is there');
    my $before = told($plain);
    is(($lockstep->verb('refresh', 'example'))[0], 0, 'a refresh that brings nothing');
    is(($lockstep->verb('transfer', 'example'))[0], 0, 'a transfer that brings nothing');
    is(scalar(told($plain)), $before, 'tells nobody');
    $hidden->serve(serial => 8);
    is(($lockstep->verb('refresh', 'example'))[0], 0, 'the next version');
    ok(wait_for(sub { grep { $_->{name} eq 'example.' && $_->{serial} == 8 } told($plain) }), 'is told');
    $lockstep->reload(remotes => \@remotes, zones => [ $lockstep->{conf}{zones}[0] ]);
};

subtest 'the verb' => sub {
    my $before = told($plain);
    my ($status, $out, $said) = $lockstep->verb('notify', 'own');
    is("$status $out$said", "0 notify: 1 zone\n", 'all have answered');
    is(scalar(told($plain)), $before + 1, 'and were told');
    $plain->serve(notify => sub { $_[0]->send(rcode => 5) });
    ($status, $out, $said) = $lockstep->verb('notify', 'own');
    is($status, 1, 'one refuses');
    like($said, qr/own\.: 1 of 2 addresses .*did not accept/, 'which is said');
    ok($lockstep->wait_log(qr/warning notify-out zone=own\. to=plain .*outcome=REFUSED/), 'and logged');
    $plain->serve(notify => sub { my ($talk) = @_; $talk->send(rcode => 5, id => $talk->query->{id} ^ 1); $talk->send_message('x'); $talk->send(opcode => 0, rcode => 5); $talk->send });
    is(($lockstep->verb('notify', 'own'))[0], 0, 'answers to something else are passed over');
    $plain->serve;
    $signed->serve(notify => sub { my ($talk) = @_; $talk->send_message($talk->message); $talk->send_message(Tsig->new($key, request_mac => 'x' x 32)->sign($talk->message)); $talk->send });
    is(($lockstep->verb('notify', 'own'))[0], 0, 'and so are answers that are not signed as they must be');
    $signed->{key} = Tsig::key(name => $key->{name});
    $signed->serve(notify => sub { my ($talk) = @_; $talk->send_message($talk->message(rcode => 9, additional => [
        Wire::raw_rr(owner => $key->{name}, type => 'TSIG', class => 255, ttl => 0,
            rdata => Wire::name('hmac-sha256') . pack('nNn n n n n', 0, time, 300, 0, $talk->query->{id}, 16, 0)) ])) });
    ($status, $out, $said) = $lockstep->verb('notify', 'own');
    is($status, 1, 'a server with another secret refuses');
    ok($lockstep->wait_log(qr/warning notify-out zone=own\. to=signed .*outcome=BADSIG/), 'which is logged');
    $signed->{key} = $key;
    $signed->serve;
    notify_to('both');
    $before = told($plain) + told($signed);
    is(($lockstep->verb('notify', 'own'))[0], 0, 'a remote of two addresses');
    is(told($plain) + told($signed), $before + 2, 'is told at both');
};

subtest 'rubbish all the time' => sub {
    notify_to('plain');
    $plain->serve(notify => sub {
        my ($talk) = @_;
        return if fork // die "fork: $!";
        for (1 .. 80) { $talk->pause(0.25); $talk->send_message('x') }
        _exit(0);
    });
    my $before = $plain->count('NOTIFY');
    next_version();
    ok($plain->wait_count('NOTIFY', $before + 3, 18), 'is no answer: it is told again as if there were silence');
    $plain->serve;
};

subtest 'no answer' => sub {
    notify_to('silent');
    my $began = time;
    my $first = next_version();
    ok($silent->wait_count('NOTIFY', 3), 'it is told again');
    my @times = map { $_->{serial} } (sent($silent))[ 0 .. 2 ];
    is("@times", "$first $first $first", 'the same');
    cmp_ok(time - $began, '>', 2.5, 'with a pause that grows');
    my @ids = map { $_->{id} } sent($silent);
    my $next = next_version();
    ok(wait_for(sub { (sent($silent))[-1]{serial} == $next }), 'a newer serial is told at once,');
    cmp_ok(scalar(grep { $_->{serial} == $first } sent($silent)), '<=', 4, 'instead of the older one');
    my $count = sent($silent);
    $silent->serve;
    ok($silent->wait_count('NOTIFY', $count + 1), 'and again, until there is an answer');
    ok($lockstep->wait_log(qr/info notify-out zone=own\. to=silent .*serial=$next tries=[2-9] outcome=NOERROR/), 'then it is done');
    is((sent($silent))[-1]{serial}, $next, 'the older one is forgotten');
    $silent->serve(notify => sub { });
    my $socket = $lockstep->control_socket;
    print $socket qq({"verb":"notify","zones":["own."]}\n);
    $socket->flush;
    my $asked = $silent->count('NOTIFY');
    ok($silent->wait_count('NOTIFY', $asked + 1), 'somebody waits for an answer that does not come');
    $lockstep->reload(zones => []);
    like(join('', <$socket>), qr/"error":"own\.: /, 'and is told when the zone goes');
};

subtest 'many zones, and nobody there' => sub {
    my @names = map { "z$_" } 1 .. 300;
    $lockstep->put_zone($_, text($_, 1)) for @names;
    $lockstep->reload(zones => [ map { { name => $_, source => 'file', notify => [ 'nobody', 'plain' ] } } @names ]);
    ok($lockstep->wait_serial('z300', 1), 'they are served');
    ok(wait_for(sub { my %told = map { $_->{name} => 1 } told($plain); return 300 == grep { $told{"$_."} } @names }),
        'who is there is told of each, whoever is not');
};

subtest 'after a start' => sub {
    my $hidden = Fake->new(zone => 'example.', records => ['example. 300 IN NS ns.example.'])->serve(serial => 20);
    my ($one, $other) = map { Fake->new(zone => 'own.', address => "127.0.0.$_")->serve } 6, 7;
    my $of = sub { my ($fake, $zone) = @_; return join ' ', map { $_->{serial} } grep { $_->{name} eq $zone } told($fake) };
    my @quiet = map { "q$_" } 1 .. 20;
    my @many = map { "m$_" } 1 .. 200;
    $lockstep->put_zone($_, text($_, 1)) for @quiet, @many;
    $lockstep->reload(remotes => [ Lockstep::remote('hidden', $hidden), Lockstep::remote('one', $one), Lockstep::remote('other', $other) ], zones => [
        { name => 'example', primaries => ['hidden'], notify => ['one'] },
        (map { { name => $_, source => 'file' } } @quiet), (map { { name => $_, source => 'file', notify => ['other'] } } @many) ]);
    ok(wait_for(sub { $of->($one, 'example.') eq '20' && told($other) == 200 }), 'all are told');
    is($lockstep->stop, 0, 'it ends');
    $hidden->vanish;
    my $before = told($other);
    my $began = time;
    $lockstep->start;
    ok(wait_for(sub { $of->($one, 'example.') eq '20 20' }), 'a zone that was transferred is told again, whether its primary answers or not');
    ok(wait_for(sub { told($other) == $before + 200 }), 'and one of a file');
    cmp_ok(time - $began, '>', 0.9, 'not all at once');
    is(scalar(grep { $_->{name} =~ /^q/ } told($one), told($other)), 0, 'none that has nobody to tell');
    $hidden->serve(serial => 21);
    is(($lockstep->verb('refresh', 'example'))[0], 0, 'the next version');
    ok(wait_for(sub { $of->($one, 'example.') eq '20 20 21' }), 'is told once');
};

is($lockstep->stop, 0, 'lockstepd ends cleanly');
done_testing;
