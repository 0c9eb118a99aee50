#!/usr/bin/perl
# Real clients ask lockstepd, which serves the sample zones from their files: dig, kdig, drill and Net::DNS over UDP and TCP, with
# EDNS, and AXFR with TSIG.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Dump qw(dump_text dump_axfr dig_key at_options same_zone);
use Lockstep;
use Net::DNS;
use Process qw(slurp run_command find_program);
use Test::More;
use Tsig;

my %file = map { m{([^/]+)\.zone$} ? ($1 => $_) : () } glob("$FindBin::Bin/../zones/*.zone");
my @key = map { Tsig::key(name => "key.$_", algorithm => $_) } Tsig::algorithms, 'hmac-sha1-80', 'hmac-sha256-128', 'hmac-sha512-256';
my ($key) = grep { $_->{algorithm} eq 'hmac-sha256' } @key;
my $lockstep = Lockstep->new(server => { identity => 'ns1.company.example' }, keys => \@key,
    acls => [ map { { name => $_->{algorithm}, key => $_->{name}, action => 'allow' } } @key ],
    zones => [ map { { name => $_, source => 'file', 'allow-transfer' => [ map { $_->{algorithm} } @key ] } } sort keys %file ]);
$lockstep->put_zone($_, slurp($file{$_})) for keys %file;
$lockstep->start;
my $zone = 'company.example';
ok($lockstep->wait_serial($_, 2026112101), "$_ is served") for sort keys %file;

subtest 'the sample zones' => sub {
    for my $name (sort keys %file) {
        my $wanted = dump_text(slurp($file{$name}), $name);
        same_zone($lockstep->dump($name), $wanted, "$name: dump is what the file says");
        same_zone(dump_axfr($lockstep->at, $name, $key), $wanted, "$name: so is AXFR");
    }
};

sub said { my @command = @_; my ($status, $out, $said) = run_command(@command); return "$out$said" }

subtest 'dig' => sub {
    my @dig = ('dig', at_options($lockstep->at), '+norecurse');
    my $answer = said(@dig, "www.$zone", 'A');
    like($answer, qr/status: NOERROR/, 'UDP: an answer');
    like($answer, qr/flags: qr aa/, 'with authority');
    like($answer, qr/CNAME\s+\Q$zone\E\..*\sA\s+192\.0\.2\.10/s, 'an alias is followed');
    like($answer, qr/EDNS: version: 0/, 'with EDNS');
    unlike($answer, qr/WARNING/, 'and dig has nothing to say against it');
    like(said(@dig, '+tcp', $zone, 'MX'), qr/\sMX\s+10 mail\.\Q$zone\E\./, 'TCP');
    like(said(@dig, '+noedns', $zone, 'NS'), qr/ANSWER: 3/, 'without EDNS');
    like(said(@dig, '+edns=1', '+noednsnegotiation', $zone, 'NS'), qr/status: BADVERS/, 'an EDNS version that is not known: BADVERS');
    like(said(@dig, '+ednsopt=65001:abcd', $zone, 'NS'), qr/status: NOERROR/, 'an unknown EDNS option is passed over');
    like(said(@dig, 'id.server', 'TXT', 'CH'), qr/"ns1\.company\.example"/, 'id.server');
    like(said(@dig, '+noedns', '+ignore', 'long.every-type.example', 'TXT'), qr/status: NOERROR/, 'an answer of some length');
    like(said(@dig, '+bufsize=512', '+ignore', $zone, 'TXT'), qr/status: NOERROR/, 'a small buffer');
    like(said(@dig, "WwW.CoMpAnY.eXaMpLe", 'A'), qr/^;WwW\.CoMpAnY\.eXaMpLe\./m, 'the question comes back as it was written');
    like(said(@dig, "nothing.$zone", 'A'), qr/status: NXDOMAIN.*AUTHORITY: 1.*\sSOA\s/s, 'a name that is not there');
    like(said(@dig, "mail.$zone", 'TXT'), qr/status: NOERROR.*ANSWER: 0.*\sSOA\s/s, 'a type that is not there');
    like(said(@dig, "a.b.dev.$zone", 'A'), qr/a\.b\.dev\.\Q$zone\E\.\s+3600\s+IN\s+A\s+192\.0\.2\.80/, 'a wildcard');
    like(said(@dig, "x.lab.$zone", 'A'),
        qr/flags: qr[; ].*ANSWER: 0.*lab\.\Q$zone\E\.\s+3600\s+IN\s+NS\s.*ns\.lab\.\Q$zone\E\.\s+3600\s+IN\s+A/s,
        'a referral with glue');
    like(said(@dig, "lab.$zone", 'DS'), qr/flags: qr aa.*\sDS\s+41824/s, 'DS at the cut');
    like(said(@dig, 'other.example', 'A'), qr/status: REFUSED/, 'a zone that is not here');
    like(said(@dig, $zone, 'ANY'), qr/status: NOERROR/, 'ANY');
    for my $own (@key) {
        like(said(@dig, dig_key($own), $zone, 'SOA'), qr/TSIG PSEUDOSECTION.*NOERROR/s, "$own->{algorithm}: a signed query");
        ok(dump_axfr($lockstep->at, $zone, $own), "$own->{algorithm}: AXFR");
    }
    is(dump_axfr($lockstep->at, $zone), undef, 'AXFR without the key');
    my $false = Tsig::key(name => $key->{name});
    like(said(@dig, dig_key($false), $zone, 'AXFR'), qr/BADSIG|NOTAUTH|Transfer failed/, 'AXFR with a false secret');
    is(dump_axfr($lockstep->at, $zone, $false), undef, 'gives nothing');
};

subtest 'kdig' => sub {
    plan skip_all => 'kdig is not here' unless find_program('kdig');
    my @kdig = ('kdig', at_options($lockstep->at));
    my @signed = (@kdig, '-y', "$key->{algorithm}:$key->{name}:$key->{secret}");
    like(said(@kdig, '+edns', "www.$zone", 'AAAA'), qr/NOERROR.*2001:db8:1::10/s, 'UDP with EDNS');
    like(said(@kdig, '+tcp', $zone, 'SOA'), qr/NOERROR.*2026112101/s, 'TCP');
    like(said(@signed, $zone, 'SOA'), qr/2026112101/, 'a signed query');
    my $axfr = said(@signed, $zone, 'AXFR');
    my $records = () = $axfr =~ /^\S+\s+\d+\s+IN\s/mg;
    is($records, 1 + @{ dump_text(slurp($file{$zone}), $zone) }, 'AXFR with TSIG: all records, the SOA twice');
    unlike($axfr, qr/;; (?:WARNING|ERROR)/, 'without a complaint');
};

subtest 'drill' => sub {
    plan skip_all => 'drill is not here' unless find_program('drill');
    my @drill = ('drill', '-p', ($lockstep->at =~ /@(\d+)/)[0], '@127.0.0.1');
    like(said(@drill, "www.$zone", 'A'), qr/NOERROR.*192\.0\.2\.10/s, 'UDP');
    like(said(@drill, '-t', $zone, 'NS'), qr/NOERROR.*ns1\.provider\.example/s, 'TCP');
    like(said(@drill, '-y', "$key->{name}:$key->{secret}:$key->{algorithm}", $zone, 'AXFR'), qr/printer\.office/, 'AXFR with TSIG');
};

subtest 'Net::DNS' => sub {
    my $resolver = Net::DNS::Resolver->new(nameservers => ['127.0.0.1'], port => ($lockstep->at =~ /@(\d+)/)[0], recurse => 0);
    for my $transport (qw(UDP TCP)) {
        $resolver->usevc($transport eq 'TCP');
        my $answer = $resolver->send("mail.$zone", 'A');
        ok($answer && $answer->header->aa && ($answer->answer)[0]->address eq '192.0.2.25', "$transport: an answer with authority");
        is($resolver->send("nothing.$zone", 'A')->header->rcode, 'NXDOMAIN', "$transport: a name that is not there");
    }
    $resolver->tsig(Net::DNS::RR->new(name => $key->{name}, type => 'TSIG', algorithm => $key->{algorithm}, key => $key->{secret}));
    my @records = $resolver->axfr($zone);
    is(scalar @records, scalar @{ dump_text(slurp($file{$zone}), $zone) }, 'AXFR with TSIG: all records') or diag($resolver->errorstring);
};

is($lockstep->stop, 0, 'lockstepd ends cleanly');
done_testing;
