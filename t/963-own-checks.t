#!/usr/bin/perl
# The daemon's own checks of the nameservers, on a small internet of real servers: what they find is in `status`, in the log once,
# and handed to a command; what is mended is said to be gone.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Internet;
use JSON::PP;
use Lockstep;
use Process qw(slurp spew wait_for work_dir);
use Test::More;

plan skip_all => 'needs lockstepd, nsd, knot, bind9 with its tools, and unbound' unless Internet->have;
sub without_www { return $_[0] =~ s/^www\..*\n//mr }
my $overtaken = { name => 'overtaken.alpha' };
my $net = Internet->new(zones => [ { name => 'clean.alpha' }, { name => 'lame.alpha', at => { west => 0 } },
    { name => 'drops.alpha', at => { west => \&without_www } }, { name => 'unsampled.alpha', at => { west => \&without_www } },
    { name => 'behind.alpha', soa => { serial => 2 },
        at => { west => sub { return without_www($_[0]) =~ s/ 2 14400/ 1 14400/r } } }, $overtaken ])->start;
my $dir = work_dir('command');
spew("$dir/told", '');
spew("$dir/command", "#!/bin/sh\necho \"\$1 \$2 \$3 \$(cat)\" >> $dir/told\n");
spew("$dir/failing", "#!/bin/sh\necho no >&2\nexit 3\n");
chmod 0755, "$dir/command", "$dir/failing";
my %check = (every => 2, resolver => $net->resolver->at, 'on-change' => { command => "$dir/command", timeout => 10 });
my $operator = $net->operator(check => {%check});
$operator->{conf}{server}{limits} = { 'check-rate' => 1000 };
$operator->{conf}{zones} = [ { name => 'clean.alpha' }, { name => 'lame.alpha' }, { name => 'unwatched.alpha', check => { every => 0 } },
    { name => 'later.alpha', check => { every => '4w' } }, { name => 'drops.alpha', check => { %check, sample => 1 } },
    { name => 'unsampled.alpha', check => { %check, sample => 0 } },
    { name => 'behind.alpha', check => { every => 0 } } ];
$operator->start;

sub check_of { my ($zone) = @_; return ($operator->status($zone) // {})->{check} }
sub checks_done { return $operator->json('stats')->{checks}{checks} }
sub wait_checks { my ($rounds) = @_; my $from = checks_done(); return wait_for(sub { checks_done() >= $from + 2 * $rounds }, 60) }
sub found { my ($zone, $id, $what) = @_; return $operator->events("finding-$what", zone => "$zone.", finding => $id) }
sub told {
    return map { /^(\S+) (\S+) (\S+) (.*)$/ ? { zone => $1, id => $2, what => $3, json => eval { decode_json($4) } }
        : () } split /\n/, slurp("$dir/told");
}

subtest 'a zone where all is well' => sub {
    ok(wait_for(sub { check_of('clean.alpha') }, 30), 'is checked');
    my $got = check_of('clean.alpha');
    is($got->{status}, 'OK', 'its status');
    is_deeply($got->{findings}, [], 'nothing is found');
    is(scalar @{ $got->{nameservers} }, 8, 'each address of each nameserver');
    is_deeply([ map { $_->{serial} } @{ $got->{nameservers} } ], [ (1) x 8 ], 'with its serial');
    like($got->{age}, qr/\A\d+\z/, 'and its age');
    is(check_of('unwatched.alpha'), undef, 'one that is not to be checked is not');
    like(($operator->verb('status', 'clean.alpha'))[1], qr/^check +OK, \S+ ago\nnameserver +ns1\.north\.alpha\. \S+: serial 1$/m, 'in words');
};

subtest 'a zone where something is wrong' => sub {
    ok(wait_for(sub { found('lame.alpha', 'LAME', 'found') >= 2 }, 30), 'the log says what');
    my ($line) = found('lame.alpha', 'LAME', 'found');
    is("$line->{severity} $line->{server}", 'critical ns1.west.beta.', 'and where');
    ok(wait_for(sub { grep { $_->{id} eq 'LAME' } told() }, 30), 'the command is told');
    my ($told) = grep { $_->{id} eq 'LAME' } told();
    is("$told->{zone} $told->{what}", 'lame.alpha. found', 'by its arguments');
    is($told->{json}{finding}{server}, 'ns1.west.beta.', 'and on its standard input');
    is($told->{json}{event}, 'found', 'with what became of it');
    my $got = check_of('lame.alpha');
    is($got->{status}, 'CRITICAL', 'status has it');
    like(($operator->verb('status', 'lame.alpha'))[1], qr/^finding +LAME \(critical\) ns1\.west\.beta\. \S+: /m, 'in words too');
    my $lines = found('lame.alpha', 'LAME', 'found');
    ok(wait_checks(2), 'looked at again');
    is(scalar(found('lame.alpha', 'LAME', 'found')), $lines, 'it is said once');
};

subtest 'the same by the verb check' => sub {
    my ($status, $out) = $operator->verb('check', '--from-daemon', 'clean.alpha');
    is($status, 0, 'a zone where all is well: status 0');
    like($out, qr/\ALOCKSTEP OK - clean\.alpha\.: serial 1 at 8 addresses \| zones=1 servers=8 .* age=\d+s\n/,
        'the line of a monitoring plugin, with the age');
    like($out, qr/^clean\.alpha\.  OK  serial 1, first seen \d+ s ago, checked \d+ s ago$/m, 'and for people');
    is(scalar(() = $out =~ /^  ns\d\.\S+ +\S+ +1 +0 s +A +[\d.]+ ms +ok +ok +ok$/mg), 8, 'and the table');
    is_deeply([ ($operator->verb('check', '--from-daemon', '--quiet', 'clean.alpha'))[ 0, 1 ] ], [ 0, '' ], '--quiet is quiet');
    ($status, $out) = $operator->verb('check', '--from-daemon', '--json', 'lame.alpha');
    my $got = decode_json($out);
    is("$status $got->{zone} $got->{status}", '2 lame.alpha. CRITICAL', 'a zone where something is wrong: status 2, as JSON');
    ok(scalar(grep { $_->{id} eq 'LAME' && $_->{server} eq 'ns1.west.beta.' } @{ $got->{findings} }), 'with what was found');
    like($got->{age}, qr/\A\d+\z/, 'and its age');
    ($status, $out) = $operator->verb('check', '--from-daemon', 'clean.alpha', 'unwatched.alpha', 'later.alpha', 'elsewhere.alpha');
    is($status, 3, 'what was not checked: status 3');
    like($out, qr/^unwatched\.alpha\.  UNKNOWN  the daemon does not check it \(check\.every is 0\)$/m, 'where that is off');
    like($out, qr/^later\.alpha\.  UNKNOWN  the daemon has not checked it yet: the first check is due in \d+ s$/m, 'where it is to come');
    like($out, qr/^elsewhere\.alpha\.  UNKNOWN  the daemon has no such zone$/m, 'where there is no such zone');
    ($status, $out) = $operator->verb('check', '--from-daemon', '--json');
    is($status, 2, 'all zones: the worst');
    is_deeply([ map { $_->{zone} } @{ decode_json($out) } ],
        [ map { "$_.alpha." } qw(behind clean drops lame later unsampled unwatched) ], 'are all there');
};

subtest 'an answer that is not what the zone says' => sub {
    ok(wait_for(sub { found('drops.alpha', 'ANSWER-DIFF', 'found') >= 2 }, 120), 'is found by chance, at both addresses');
    my ($got) = grep { $_->{id} eq 'ANSWER-DIFF' } @{ check_of('drops.alpha')->{findings} };
    is_deeply({ map { $_ => $got->{$_} } qw(severity server owner type expected got) },
        { severity => 'critical', server => 'ns1.west.beta.', owner => 'www.drops.alpha.', type => 'A',
        expected => '3600 A 192.0.2.80', got => 'NXDOMAIN' }, 'with what was expected, and what came');
    is_deeply([ sort map { $_->{name} } grep { grep { $_ eq 'ANSWER-DIFF' } @{ $_->{findings} } } @{ check_of('drops.alpha')->{nameservers} } ], [ ('ns1.west.beta.') x 2 ], 'there alone');
    ok(wait_checks(6), 'looked at again');
    is(scalar(found('drops.alpha', 'ANSWER-DIFF', 'gone')), 0, 'it stays found, whatever chance picks');
    is(scalar(found('drops.alpha', 'ANSWER-DIFF', 'found')), 2, 'and is said once');
    is(check_of('unsampled.alpha')->{status}, 'OK', 'with sample = 0 nobody looks');
    is(scalar(found('clean.alpha', 'ANSWER-DIFF', 'found')), 0, 'a zone that is the same everywhere differs nowhere');
};

subtest 'a nameserver that has not the newest version' => sub {
    ok(wait_for(sub { ($operator->status('behind.alpha') // {})->{changed} >= 8 }, 30), 'which has been there for a while');
    is(($operator->reload(zones => [ map { $_->{name} eq 'behind.alpha' ? { name => $_->{name} } : $_ } @{ $operator->{conf}{zones} } ]))[0], 0, 'before it is to be checked');
    ok(wait_for(sub { check_of('behind.alpha') }, 60), 'it is');
    my $status = $operator->status('behind.alpha');
    my ($west) = grep { $_->{name} eq 'ns1.west.beta.' } @{ $status->{check}{nameservers} };
    is($west->{serial}, 1, 'its serial is seen');
    cmp_ok($west->{lag}, '>=', 8, 'it lags since the daemon has the newer one, not since somebody looked');
    cmp_ok($west->{lag}, '<=', $status->{changed}, 'and no longer');
    is_deeply([ grep { $_->{id} eq 'ANSWER-DIFF' } @{ $status->{check}{findings} } ], [], 'and is not asked for records of the newer one');
};

subtest 'a nameserver goes, and comes back' => sub {
    is(scalar(found('clean.alpha', 'UNREACHABLE', 'found')), 0, 'all are there');
    $net->{south}->stop;
    ok(wait_for(sub { found('clean.alpha', 'UNREACHABLE', 'found') >= 2 }, 90), 'it is missed, at both addresses');
    is(check_of('clean.alpha')->{status}, 'CRITICAL', 'in status');
    $net->{south}->start;
    ok(wait_for(sub { found('clean.alpha', 'UNREACHABLE', 'gone') >= 2 }, 90), 'that it is back is said');
    is(scalar(found('clean.alpha', 'UNREACHABLE', 'found')), 2, 'and nothing twice');
    ok(wait_for(sub { grep { $_->{id} eq 'UNREACHABLE' && $_->{what} eq 'gone' } told() }, 30), 'to the command too');
};

subtest 'a command that fails, and no checks any more' => sub {
    my %failing = (%check, 'on-change' => { command => "$dir/failing" });
    is(($operator->reload(templates => [ { name => 'default', primaries => ['hidden'], check => \%failing } ]))[0], 0, 'reloaded');
    $net->{south}->stop;
    ok($operator->wait_log(qr/ on-change-failed zone=\S+ finding=\S+ why=".*ended with 3: no"/, 90), 'its failure is in the log');
    cmp_ok($operator->json('stats')->{checks}{commands_failed}, '>=', 1, 'and counted');
    is(($operator->reload(templates => [ { name => 'default', primaries => ['hidden'] } ], zones => [ grep { $_->{name} !~ /^(?:drops|unsampled)/ } @{ $operator->{conf}{zones} } ]))[0], 0,
        'reloaded');
    ok(wait_for(sub { $operator->json('stats')->{checks}{zones} == 1 }, 30), 'no zone is checked, but for the one with a setting of its own');
    is(check_of('clean.alpha'), undef, 'nothing is said of it');
};

subtest 'all nameservers stay behind what is served here' => sub {
    $net->{south}->start;
    $operator->put_zone('overtaken.alpha', $overtaken->{text} =~ s/(hostmaster\.own\.alpha\. )1 /${1}2 /r);
    my %impatient = (%check, every => 1, 'lag-warn' => 1);
    is(($operator->reload(zones => [ { name => 'overtaken.alpha', primaries => [], source => 'file', check => \%impatient } ]))[0], 0, 'reloaded');
    ok(wait_for(sub { found('overtaken.alpha', 'SERIAL-LAG', 'found') >= 8 }, 60),
        'is found at each address, though no nameserver shows the newest serial');
    is(check_of('overtaken.alpha')->{serial}, 2, 'which is that of the file');
    my $rounds = checks_done() + 3;
    ok(wait_for(sub { checks_done() >= $rounds }, 60), 'looked at again');
    is(scalar(found('overtaken.alpha', 'SERIAL-LAG', 'gone')), 0, 'and again it is found');
};

is($operator->stop, 0, 'it ends well');
done_testing;
