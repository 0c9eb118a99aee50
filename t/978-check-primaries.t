#!/usr/bin/perl
# The primaries of a zone are asked by `lockstep check` the way that the configuration says, with a key or over TLS; where that
# fails it is said, and where one is silent it is not. Whether they were asked shows in SERIAL-AHEAD: the nameserver that is given
# has a newer serial than they.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Lockstep;
use Peer;
use Process qw(free_port wait_for);
use Test::More;
use Tls;
use Transfers qw(zone_text);
use Tsig;

plan skip_all => 'lockstepd is not built' unless Lockstep::have();
my $zone = 'own.example';
my $public = Lockstep->new(zones => [ { name => $zone, source => 'file' } ]);
$public->put_zone($zone, zone_text($zone, 5));
$public->start;
my $key = Tsig::key(name => 'ask.example');

# What a check finds, and says of the primary, where that is such a remote. Nobody else than that and the nameserver is there.
sub finds {
    my ($remote, @keys) = @_;
    my $operator = Lockstep->new(keys => \@keys, remotes => [ { name => 'hidden', %$remote } ],
        zones => [ { name => $zone, primaries => ['hidden'] } ]);
    $operator->configure;
    my $nobody = '127.0.0.1@' . free_port;
    my $found = $operator->json('check', '--resolver', $nobody, '--parent', $nobody, '--timeout', '5s', '--ns', "ns1.$zone/" . $public->at, $zone);
    my @of_primary = grep { /the primary/ } map { $_->{message} } grep { $_->{id} eq 'CHECK-INCOMPLETE' } @{ $found->{findings} };
    return (scalar(grep { $_->{id} eq 'SERIAL-AHEAD' } @{ $found->{findings} }), @of_primary);
}

is(join(' ', finds({ address => [ '127.0.0.1@' . free_port ] })), '0', 'a primary that is not there is not known, and no gap');

SKIP: {
    skip 'needs BIND', 5 unless Peer->have('bind');
    my $hidden = Peer->new('bind', options => "allow-query { key \"$key->{name}\"; };",
        zones => [ { name => $zone, text => zone_text($zone, 4), key => $key, hidden => 1 } ])->start;
    ok(wait_for(sub { $hidden->log_text =~ /all zones loaded/ }, 60), 'BIND has its zone');
    is(join(' ', finds({ address => [ $hidden->at ], key => $key->{name} }, $key)), '1',
        'one that answers no question but with a key is asked with it');
    my ($ahead, @said) = finds({ address => [ $hidden->at ], key => $key->{name} }, { %$key, secret => Tsig::key()->{secret} });
    is($ahead, 0, 'with a wrong secret nothing is known');
    like("@said", qr/\Athe primary hidden \(127\.0\.0\.1\@\d+\) could not be asked for its serial: it refused our TSIG: BADSIG\z/,
        'and that is said');
    is($hidden->stop, 0, 'BIND stops');
}

SKIP: {
    skip 'needs openssl and IO::Socket::SSL', 6 unless Tls::have();
    my $ca = Tls::authority('Authority');
    my $cert = Tls::certificate('ns.example', $ca);
    my $port = free_port;
    my $hidden = Lockstep->new(server => { 'listen-tls' => ["127.0.0.1\@$port"], 'tls-cert' => $cert->{cert}, 'tls-key' => $cert->{key} }, zones => [ { name => $zone, source => 'file' } ]);
    $hidden->put_zone($zone, zone_text($zone, 4));
    $hidden->start;
    my %at = (address => ["127.0.0.1\@$port"]);
    is(join(' ', finds({ %at, tls => { 'auth-name' => 'ns.example', ca => $ca->{cert} } })), '1', 'one over TLS is asked over TLS');
    my ($ahead, @said) = finds({ %at, tls => { 'auth-name' => 'another.example', ca => $ca->{cert} } });
    is($ahead, 0, 'one that shows a certificate for another name is not believed');
    like("@said", qr/\Athe primary hidden \(127\.0\.0\.1\@\d+\) could not be asked for its serial: .*another\.example/, 'and that is said');
    ($ahead, @said) = finds({ %at, tls => { 'auth-name' => 'ns.example', ca => "$ca->{cert}.gone" } });
    is($ahead, 0, 'where a file of TLS is not there nothing is asked');
    like("@said", qr/\Athe primary hidden \(127\.0\.0\.1\@\d+\) could not be asked for its serial: .*\.gone/, 'and the file is named');
    is($hidden->stop, 0, 'the primary stops');
}
is($public->stop, 0, 'the nameserver stops');
done_testing;
