#!/usr/bin/perl
# IPv4 and IPv6, and machines with many addresses: a primary's next address is tried when one is dead, the next primary when one is;
# answers leave from the address that was asked, also where all addresses are listened on.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Dump qw(dump_axfr dump_text same_zone);
use Lockstep;
use Mirror qw(same_answers);
use Process qw(free_port run_command);
use Test::More;
use Transfers qw(zone_text);
use Tsig;

my $key = Tsig::key;
my ($port, $dead) = (free_port, free_port);
my $hidden = Lockstep->new(port => $port, server => { listen => ["::1\@$port"] }, keys => [$key],
    acls => [ { name => 'local', address => [ '::1', '127.0.0.0/8' ], key => $key->{name}, action => 'allow' } ],
    zones => [ { name => 'small.example', source => 'file', 'allow-transfer' => ['local'], notify => ['secondary'] } ]);
my $port_2 = free_port;
my $secondary = Lockstep->new(port => $port_2, server => { listen => [ "0.0.0.0\@$port_2", "::\@$port_2" ] }, keys => [$key],
    remotes => [ Lockstep::remote('away', "127.0.0.1\@$dead", $key), Lockstep::remote('hidden', [ "127.0.0.9\@$port", "::1\@$port" ], $key) ],
    acls => [ { name => 'local', address => ['::1'], key => $key->{name}, action => 'allow' } ],
    zones => [ { name => 'small.example', primaries => [ 'away', 'hidden' ], 'allow-transfer' => ['local'] } ]);
$hidden->{conf}{remotes} = [ Lockstep::remote('secondary', "::1\@$port_2", $key) ];
$hidden->put_zone('small.example', zone_text('small.example', 1));
$_->start for $hidden, $secondary;

ok($secondary->wait_serial('small.example', 1), 'the second primary\'s second address, over IPv6, gives the zone');
$hidden->put_zone('small.example', zone_text('small.example', 2));
$hidden->verb('reload');
ok($secondary->wait_serial('small.example', 2), 'NOTIFY over IPv6 brings the next version');
my ($came) = $secondary->events('transfer', new => 2, outcome => 'ok');
is($came && "$came->{address} $came->{got}", "::1\@$port IXFR", 'from the address that works, as a difference');
same_zone($secondary->dump('small.example'), dump_axfr("::1\@$port", 'small.example', $key), 'what is served is what AXFR gives there');
same_answers($secondary, 'small.example', 'the difference');

# dig takes no answer from another address than the one that it asked.
for my $address ('127.0.0.1', '127.0.0.77', '::1') {
    for my $transport ('+notcp', '+tcp') {
        my ($status, $out) = run_command('dig', "\@$address", '-p', $port_2, '+tries=1', '+time=3', $transport, 'small.example', 'SOA', '+short');
        like($out, qr/ 2 3600 /, "an answer from $address, $transport");
    }
}
same_zone(dump_axfr("::1\@$port_2", 'small.example', $key), dump_text(zone_text('small.example', 2), 'small.example'), 'AXFR over IPv6');
is(dump_axfr("127.0.0.1\@$port_2", 'small.example', $key), undef, 'an address that allow-transfer does not name is refused');
is($_->stop, 0, 'lockstepd ends cleanly') for $secondary, $hidden;
done_testing;
