#!/usr/bin/perl
# Many zones, few file descriptors, and a primary that is silent: all zones want to ask it at once, and yet each is read from its file
# and served, over TCP too.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";

my $limit = 64;
exec 'sh', '-c', 'ulimit -n $0 && LOCKSTEP_FEW_FILES=1 exec "$@"', $limit, $^X, $0 unless $ENV{LOCKSTEP_FEW_FILES};

use Fake;
use Lockstep;
use Process qw(wait_for);
use Test::More;
use Wire;

my $zones = 1000;
my $fake = Fake->new(zone => 'z1.example.');
$fake->serve(soa => sub { }, axfr => sub { $_[0]->send(rcode => 5) });
my @names = map { "z$_.example" } 1 .. $zones;
my $lockstep = Lockstep->new(remotes => [ Lockstep::remote('silent', $fake) ],
    zones => [ map { { name => $_, primaries => ['silent'], 'zonefile-sync' => -1 } } @names ]);
$lockstep->put_zone($_, "$_. 300 IN SOA ns.$_. host.$_. 1 3600 600 86400 60\n$_. 300 IN NS ns.$_.\n") for @names;
$lockstep->start;

ok($fake->wait_count(SOA => 2), 'the primary is asked');
my $served = sub {
    my $status = $lockstep->json('status') or return;
    return grep { defined $_->{serial} && $_->{serial} == 1 } @{ $status->{zones} };
};
wait_for(sub { $served->() == $zones });
is(scalar(my @good = $served->()), $zones, 'every zone was read from its file');
my ($answer) = Wire::ask_tcp($lockstep->at, Wire::message(question => Wire::question("z$zones.example.", 'SOA')));
ok($answer && Wire::parse($answer)->{aa}, 'and is served over TCP');
is_deeply([ $lockstep->log_lines(qr/Too many open files/) ], [], 'descriptors were left for all that');
is($lockstep->stop, 0, 'lockstepd ends cleanly');
done_testing;
