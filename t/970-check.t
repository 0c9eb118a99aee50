#!/usr/bin/perl
# `lockstep check` on a small internet of real servers where all is well: nothing is found, in any form, with any family, for one
# zone and for many, signed and not, before and after a change that all nameservers follow; and `--quiet` says nothing.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Internet;
use Answers;
use Findings;
use JSON::PP;
use Lockstep;
use Process qw(find_program wait_for run_command);
use Test::More;

plan skip_all => 'needs lockstepd, nsd, knot, bind9 with its tools, and unbound' unless Internet->have;
my $net = Internet->new(zones => [ { name => 'clean.alpha', moves => 1 }, { name => 'clean.beta' }, { name => 'secure.alpha', signed => {} }, { name => 'nsec3.beta', signed => { nsec3 => '-' } },
    { name => 'inside.alpha', ns => [ 'ns1.inside.alpha', @Internet::nameservers[ 1 .. 3 ] ], glue => join '',
        Internet::address_records('ns1.inside.alpha', @{ $Internet::provider{own}{addresses} }) } ])->start;
my @zones = map { $_->{name} } grep { !$_->{only} } @{ $net->{zones} };

# The internet itself, without Lockstep's help.
for my $zone (@zones, map { $_->{domain} } values %Internet::provider) {
    my ($got) = $net->resolver->ask([ $zone, 'NS' ]);
    is($got && $got->{rcode}, 0, "unbound finds $zone");
}
for my $name (@Internet::nameservers) {
    my ($four, $six) = $net->resolver->ask([ $name, 'A' ], [ $name, 'AAAA' ]);
    is(@{ $four->{answer} } . @{ $six->{answer} }, '11', "unbound finds both addresses of $name");
}
for my $address (map { @{ $_->{addresses} } } values %Internet::provider) {
    is_deeply([ map { Wire::served_serial("$address\@53", $_) } @zones ], [ map { 1 } @zones ], "all zones are at $address");
}

my $operator = $net->operator;
my @resolver = ('--resolver', $net->resolver->at);
my $findings = Findings->new(operator => $operator, arguments => \@resolver);
for my $zone (@zones) {
    my $got = $findings->are('a zone where all is well', $zone, []);
    my @nameservers = @{ $got->{json}{nameservers} // [] };
    is(scalar @nameservers, 8, "$zone: each address of each nameserver");
    is_deeply([ map { $_->{serial} } @nameservers ], [ (1) x 8 ], "$zone: shows the serial,");
    is_deeply([ map { $_->{lag} } @nameservers ], [ (0) x 8 ], "$zone: is not behind,");
    is((grep { $_->{rtt} > 0 && $_->{rtt} < 20 } @nameservers), 8, "$zone: and answers in time");
    is($got->{json}{serial}, 1, "$zone: the newest serial");
    like($got->{text}, qr/\Q$_\E/, "$zone: the table has $_") for @Internet::nameservers[ 1 .. 3 ], $Internet::provider{west}{addresses}[1];
    unlike($got->{text}, qr/\e/, "$zone: no colours where it is no terminal");
}

for my $family (4, 6) {
    my $one = $findings->are("IPv$family alone", 'clean.alpha', [], arguments => ["-$family"]);
    is(scalar(grep { ($_->{address} =~ /:/ ? 6 : 4) == $family } @{ $one->{json}{nameservers} // [] }), 4, 'is one address of each nameserver,');
    is(scalar @{ $one->{json}{nameservers} // [] }, 4, 'and no other');
}
$findings->are('the delegation from a server that is given', 'clean.alpha', [], arguments => [ '--parent', '198.18.2.53' ]);
$findings->are('a nameserver that is given', 'clean.alpha', [], arguments => [ '--ns', 'ns1.own.alpha/192.0.2.53' ]);

# On a terminal what is well is green.
SKIP: {
    my $script = find_program('script') or skip('needs script', 2);
    my @on_terminal = ('env', 'TERM=xterm', $script, '-qec');
    my $command = join ' ', map { "'$_'" } ($ENV{top_builddir} // '.') . '/lockstep', '-c', $operator->conf_file, 'check', @resolver;
    my ($status, $out) = run_command(@on_terminal, "$command clean.alpha", '/dev/null');
    like($out, qr/^clean\.alpha\.  \e\[32mOK\e\[0m/m, 'on a terminal: what is well') or diag($out);
    unlike((run_command('env', 'NO_COLOR=1', @on_terminal, "$command clean.alpha", '/dev/null'))[1], qr/\e/, 'NO_COLOR: no colours');
}

# Many zones: one line, one array.
my ($status, $out, $said) = $operator->verb('check', @resolver, @zones);
is($status, 0, 'many zones: the status');
is(scalar(grep { /^LOCKSTEP / } split /\n/, $out), 1, 'one line for the monitoring system');
my $all = $operator->json('check', @resolver, @zones);
is_deeply([ map { "$_->{zone} $_->{status}" } @{ $all // [] } ], [ map { "$_. OK" } @zones ], 'and an array in JSON');
is_deeply([ $operator->verb('check', '--quiet', @resolver, @zones) ], [ 0, '', '' ], 'and nothing with --quiet');

# A change that all follow.
my $zone = (grep { $_->{name} eq 'clean.alpha' } @{ $net->{zones} })[0];
$net->{hidden}->edit('clean.alpha', Internet::primary_text({ %$zone, soa => { serial => 2 } }));
ok($net->{$_}->wait_serial('clean.alpha', 2), "$_ follows") for sort keys %Internet::provider;
my $got = $findings->are('after a change', 'clean.alpha', []);
is($got->{json}{serial}, 2, 'the new serial is the newest');
is_deeply([ map { $_->{serial} } @{ $got->{json}{nameservers} // [] } ], [ (2) x 8 ], 'which all show');

is($net->stop, 0, 'the servers stop');
done_testing;
