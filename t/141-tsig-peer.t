#!/usr/bin/perl
# dns/tsig against an independent implementation, Net::DNS, in both directions: each algorithm, a truncated key,
# runs of signed messages, and what must not verify.
use strict;
use warnings;
use IPC::Open2;
use MIME::Base64;
use Net::DNS;
use Net::DNS::RR::TSIG;
use Test::More;

my $build = $ENV{top_builddir} // '.';
my $program = "$build/t/141-tsig-peer";
my $pid = open2(my $from, my $to, $program);
my $secret = encode_base64('a secret of more than thirty octets', '');

sub ours {
    print $to join(' ', @_), "\n";
    $to->flush;
    my $line = <$from> // die "$program has ended";
    chomp $line;
    return $line;
}

sub query {
    my $query = Net::DNS::Packet->new('example.com', 'AXFR');
    $query->header->rd(0);
    return $query;
}

sub reply_to {
    my ($query, $serial) = @_;
    my $reply = $query->reply;
    $reply->push(answer => Net::DNS::RR->new("example.com. 60 SOA ns.example.com. admin.example.com. $serial 1 2 3 4"));
    return $reply;
}

sub hex_of { return unpack 'H*', $_[0]->data }
sub packet_of { my $data = pack 'H*', $_[0]; return Net::DNS::Packet->decode(\$data) // die "$@" }

# Net::DNS keeps one key a name, so each algorithm has a name of its own.
my @pairs = map { ["hmac-$_", "HMAC-" . uc] } qw(sha1 sha224 sha256 sha384 sha512);
unshift @pairs, ['hmac-md5', 'HMAC-MD5.SIG-ALG.REG.INT'];
push @pairs, ['hmac-sha256-128', 'HMAC-SHA256'], ['hmac-sha512-256', 'HMAC-SHA512'];

for my $pair (@pairs) {
    my ($algorithm, $theirs) = @$pair;
    my $name = "key-for-$algorithm.Example";
    my %key = (name => $name, type => 'TSIG', algorithm => $theirs, key => $secret);
    is(ours('key', $name, $algorithm, $secret), 'ok', "$algorithm: the key");

    # Net::DNS asks
    my $query = query();
    $query->sign_tsig(Net::DNS::RR->new(%key));
    my $asked = hex_of($query);
    is(ours('check', $asked, time), 'OK', "$algorithm: its request is right");
    my $before = $query;
    for my $serial (1 .. 3) {
        my $reply = packet_of(ours('reply', hex_of(reply_to($query, $serial)), time));
        my $verified = $reply->verify($before);
        ok($verified, "$algorithm: our reply $serial is right") or diag($reply->verifyerr);
        $before = $verified;
    }

    # we ask
    my $request = packet_of(ours('sign', hex_of(query()), time));
    ok($request->verify, "$algorithm: our request is right") or diag($request->verifyerr);
    my $last = $request;
    for my $serial (1 .. 3) {
        my $reply = reply_to($request, $serial);
        $last = $reply->sign_tsig($last);
        is(ours('verify', hex_of($reply), time), 'OK', "$algorithm: its reply $serial is right");
    }
    is(ours('finish'), 'OK', "$algorithm: so is the run");

    # what must not verify
    $asked =~ s{03636f6d00}{03636f6e00} or die 'no com in the question';
    is(ours('check', $asked, time), 'BADSIG', "$algorithm: a changed request is not");
    ours('sign', hex_of(query()), time);
    my $stale = reply_to($request, 1);
    $stale->sign_tsig($request);
    is(ours('verify', hex_of($stale), time), 'BADSIG', "$algorithm: nor is the reply to another request");
}

is(ours('key', 'other.example', 'hmac-sha256', $secret), 'ok', 'another key');
my $query = query();
$query->sign_tsig(Net::DNS::RR->new(name => 'unknown.example', type => 'TSIG', algorithm => 'HMAC-SHA256', key => $secret));
is(ours('check', hex_of($query), time), 'BADKEY', 'a request with an unknown key');
my $refusal = packet_of(ours('reply', hex_of($query->reply), time));
is($refusal->sigrr->error, 'BADKEY', 'is answered BADKEY');
is(length $refusal->sigrr->macbin, 0, 'without a MAC');

my $late = query();
$late->sign_tsig(Net::DNS::RR->new(name => 'other.example', type => 'TSIG', algorithm => 'HMAC-SHA256', key => $secret));
my $now = time + 1000;
is(ours('check', hex_of($late), $now), 'BADTIME', 'a request 1000 s late');
$refusal = packet_of(ours('reply', hex_of($late->reply), $now));
is($refusal->sigrr->error, 'BADTIME', 'is answered BADTIME');
is(unpack('H*', $refusal->sigrr->other), sprintf('%012x', $now), 'with our time');
ok($refusal->sigrr->macbin, 'and signed');

close $to;
waitpid $pid, 0;
is($?, 0, 'the program ends well');
done_testing;
