#!/usr/bin/perl
# `lockstep pull`: one transfer from a real server, without a daemon.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Dump qw(dump_text same_zone);
use Fake;
use JSON::PP;
use Peer;
use Process qw(run_command slurp work_dir);
use Test::More;
use Transfers qw(zone_text);
use Tsig;

my $lockstep = ($ENV{top_builddir} // '.') . '/lockstep';
my $dir = work_dir('pull');
my $key = Tsig::key(algorithm => 'hmac-sha384');
my $named = "$key->{algorithm}:$key->{name}:$key->{secret}";

for my $kind (grep { Peer->have($_) } qw(nsd knot bind)) {
    my $peer = Peer->new($kind, zones => [ { name => 'pull.example', text => zone_text('pull.example', 3, count => 3000), key => $key } ])->start;
    my ($status, $out, $said) = run_command($lockstep, 'pull', 'pull.example', '--from', $peer->at, '--key', $named);
    is($status, 0, "$kind: to standard output") or diag($said);
    same_zone(dump_text($out, 'pull.example'), $peer->dump('pull.example'), "$kind: what it has");
    ($status, undef, $said) = run_command($lockstep, 'pull', 'pull.example', '--from', $peer->at, '--key', $named, '-o', "$dir/$kind");
    is($status, 0, "$kind: into a file") or diag($said);
    is(slurp("$dir/$kind"), $out, "$kind: the same");
    ($status, $out, $said) = run_command($lockstep, 'pull', 'pull.example', '--from', $peer->at, '--key',
        "$key->{name}:$key->{secret}", '-o', "$dir/not");
    is($status, 1, "$kind: with another algorithm: it fails");
    like($said, qr/\S/, "$kind: and says why");
    ok(!-e "$dir/not", "$kind: and leaves no file");
    ($status, $out, $said) = run_command($lockstep, 'pull', 'other.example', '--from', $peer->at, '--key', $named);
    is("$status$out", '1', "$kind: a zone that it has not: it fails, and prints nothing");
    $peer->stop;
}

my $fake = Fake->new(zone => 'example.')->serve(axfr => sub {
    my ($talk) = @_;
    $talk->send(answer => [ $talk->soa, 'example. 300 IN NS ns.example.' ]);
    $talk->close;
});
my ($status, $out, $said) = run_command($lockstep, 'pull', 'example', '--from', $fake->at, '-o', "$dir/kept");
is($status, 1, 'a transfer that breaks off fails');
ok(!-e "$dir/kept", 'and leaves no file');
$fake->serve(serial => 5, axfr => undef, records => ['example. 300 IN NS ns.example.']);
is((run_command($lockstep, 'pull', 'example', '--from', $fake->at, '-o', "$dir/kept"))[0], 0, 'a good one is kept');
my $before = slurp("$dir/kept");
$fake->serve(serial => 6, axfr => sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa ]); $talk->close });
is((run_command($lockstep, 'pull', 'example', '--from', $fake->at, '-o', "$dir/kept"))[0], 1, 'the next breaks off');
is(slurp("$dir/kept"), $before, 'and the file is as it was');
$fake->serve(serial => 6, axfr => undef);
($status, $out, $said) = run_command($lockstep, '--json', 'pull', 'example', '--from', $fake->at);
is($status, 0, '--json') or diag($said);
ok(eval { decode_json($out) }, 'is one JSON document') or diag($out);
like($out, qr/"seconds":\d+\.\d{1,6},/, 'its time is not given to more digits than there are');
is((run_command($lockstep, 'pull', 'example'))[0], 2, 'without --from: wrong usage');
done_testing;
