package Transfers;
# What every kind of real primary goes through with Lockstep as its secondary: each TSIG algorithm with AXFR, NOTIFY and IXFR; several steps in
# one IXFR; a zone of 100,000 records; the signed root zone. After each transfer the dump of what is served is held
# against the primary's own AXFR, which dig makes.
use strict;
use warnings;
use Dump qw(dump_text same_zone);
use Exporter 'import';
use FindBin;
use IO::Uncompress::Gunzip qw(gunzip);
use Lockstep;
use Mirror qw(same_answers);
use Peer;
use Process qw(slurp);
use Test::More;
use Tsig;

our @EXPORT_OK = qw(zone_text root_zone transfers_from);

# A zone's text: some records of many shapes, and `count` addresses of which those in `changed` differ.
sub zone_text {
    my ($name, $serial, %of) = @_;
    my %changed = map { $_ => 1 } @{ $of{changed} // [] };
    my @host = map { sprintf 'h%d.%s. 300 IN A 10.%d.%d.%d', $_, $name, $changed{$_} ? $serial % 250 : 250, $_ >> 8 & 255,
        $_ & 255 } 1 .. $of{count} // 50;
    return join "\n", "$name. 300 IN SOA ns.$name. host.$name. $serial 3600 900 604800 300", "$name. 300 IN NS ns.$name.",
        "mx.$name. 300 IN MX 10 Mail.$name.", "ns.$name. 300 IN AAAA 2001:db8::1", "*.wild.$name. 60 IN CNAME $name.",
        "sub.$name. 300 IN NS ns.sub.$name.",
        "ns.sub.$name. 300 IN A 192.0.2.53", "odd\\.label\\000.$name. 60 IN TXT \"a \\\"quote\\\" and \\200\" \"\"",
        "x.$name. 60 IN TYPE65280 \\# 3 abcdef",
        "_sip._tcp.$name. 60 IN SRV 1 2 5060 Sip.$name.", "caa.$name. 60 IN CAA 0 issue \"ca.example\"",
        "deep.er.and.deeper.$name. 60 IN TXT \"serial $serial\"",
        @host, @{ $of{more} // [] }, '';
}

# The signed root zone of 29 January 2018.
sub root_zone {
    gunzip("$FindBin::Bin/data/root-2018012900.zone.gz", \my $text) or die 'the root zone cannot be read';
    return $text;
}

sub transfers_from {
    my ($kind, %of) = @_;
    plan skip_all => "$kind is not installed" unless Peer->have($kind);
    my $ixfr = $of{ixfr} // 1;
    my %key = map { $_ => Tsig::key(name => "key.$_", algorithm => $_) } Tsig::algorithms, @{ $of{truncated} // [] };
    my $steps_key = $key{'hmac-sha256'};
    my @signed = map { { name => "$_.example", text => zone_text("$_.example", 1), key => $key{$_} } } sort keys %key;
    my @zones = (@signed, { name => 'plain.example', text => zone_text('plain.example', 1) },
        { name => 'steps.example', text => zone_text('steps.example', 1), key => $steps_key },
        { name => 'big.example', text => zone_text('big.example', 1, count => 100_000), key => $steps_key },
        { name => '.', text => root_zone(), key => $steps_key });
    my $primary = Peer->new($kind, zones => \@zones);
    my $lockstep = Lockstep->new(keys => [ values %key ],
        remotes => [ Lockstep::remote('plain', $primary), map { Lockstep::remote($_, $primary, $key{$_}) } sort keys %key ],
        templates => [ { name => 'default', primaries => ['hmac-sha256'], 'refresh-min' => '1h' } ],
        zones => [ map { { name => $_->{name}, $_->{key} ? (primaries => [ $_->{key}{algorithm} ]) : (primaries => ['plain']) } } @zones ]);
    $_->{notify} = [ $lockstep->at ] for grep { $_->{name} =~ /^(?:hmac|plain)/ } @zones;
    $primary->start;
    $lockstep->start;
    my $same = sub { my ($name, $what) = @_; same_zone($lockstep->dump($name), $primary->dump($name), $what) };

    my @names = map { $_->{name} } @signed, $primary->zone('plain.example');
    for my $name (@names) {
        ok($lockstep->wait_serial($name, 1), "$name: pulled");
        $same->($name, "$name: what is served is the primary's AXFR");
    }
    $primary->edit($_, zone_text($_, 2, changed => [ 7, 8 ], more => ["new.$_. 60 IN A 192.0.2.99"])) for @names;
    for my $name (@names) {
        ok($lockstep->wait_serial($name, 2), "$name: NOTIFY brings the new version");
        $same->($name, "$name: and it is the primary's");
        transfer_logged($lockstep, $name, 2, $ixfr ? 'IXFR' : 'AXFR');
        same_answers($lockstep, $name, $name);
    }

    # NSD 4.6 adds a record of an unchanged RRset again where an owner has three types and one of them changes.
    my $mx = 'plain.example. 300 IN MX 10 mail.plain.example.';
    $primary->edit('plain.example', zone_text('plain.example', $_, more => [$mx])) for 3, 4;
    ok($lockstep->wait_serial('plain.example', 4), 'three types at the apex');
    $same->('plain.example', 'also come to what the primary has');
    same_answers($lockstep, 'plain.example', 'and');

    ok($lockstep->wait_serial('steps.example', 1), 'steps.example: pulled');
    $primary->edit('steps.example', zone_text('steps.example', $_, changed => [ 1 .. $_ ], count => 50 - $_)) for 2 .. 6;
    is(($lockstep->verb('refresh', 'steps.example'))[0], 0, 'refresh is taken');
    ok($lockstep->wait_serial('steps.example', 6), 'steps.example: five steps at once');
    $same->('steps.example', 'and the result is the primary\'s');
    transfer_logged($lockstep, 'steps.example', 6, $ixfr ? 'IXFR' : 'AXFR');
    same_answers($lockstep, 'steps.example', 'five steps');

    ok($lockstep->wait_serial('big.example', 1, 120), '100,000 records: pulled');
    $same->('big.example', '100,000 records: the primary\'s');
    $primary->edit('big.example', zone_text('big.example', 2, count => 99_000, changed => [ map { 97 * $_ } 1 .. 1000 ]));
    my ($status, $out, $said) = $lockstep->verb('transfer', 'big.example');
    is($status, 0, 'transfer waits until the zone is current') or diag("$out$said");
    ($status, $out, $said) = $lockstep->verb('transfer', 'big.example');
    is("$status$said", '0', 'and again: current already, nothing to complain of');
    is($lockstep->serial('big.example'), 2, '100,000 records: the new version is served');
    $same->('big.example', '100,000 records: and is the primary\'s');
    same_answers($lockstep, 'big.example', '100,000 records');

    ok($lockstep->wait_serial('.', 2018012900, 120), 'the signed root zone: pulled');
    $same->('.', 'the signed root zone: the primary\'s');

    is(($lockstep->verb('write', '--all'))[0], 0, 'write brings the zone files up to date');
    same_zone(dump_text(slurp($lockstep->zone_file($_)), $_), $primary->dump($_), "$_: the zone file is the primary's")
        for 'hmac-sha512.example', '.';
    $primary->stop;
    ($status, $out, $said) = $lockstep->verb('transfer', 'big.example');
    is($status, 1, 'transfer fails when the primary has gone');
    like($said, qr/big\.example/, 'and says so');
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
}

# One line says how the zone came to this serial.
sub transfer_logged {
    my ($lockstep, $name, $serial, $type) = @_;
    my ($line) = $lockstep->events('transfer', zone => $name =~ s/\.?$/./r, new => $serial, got => $type, outcome => 'ok');
    ok($line, "$name: the log says that serial $serial came by $type");
}

1;
