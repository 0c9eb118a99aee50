#!/usr/bin/perl
# Signed zones in a small internet of real servers, signed by BIND's tools, with DS at the parent: where all is well, and with
# several signers that do what RFC 8901 wants of them, `lockstep check` finds nothing; of each fault, made one at a time, that
# one.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Internet;
use Findings;
use Test::More;
use Wrong;

plan skip_all => 'needs lockstepd, nsd, knot, bind9 with its tools, and unbound' unless Internet->have;
my @zones = Wrong::signed();
my $net = Internet->new(zones => \@zones)->start;
my $findings = Findings->new(operator => $net->operator, arguments => [ '--resolver', $net->resolver->at ]);
$findings->are($_->{what}, $_->{name}, $_->{expected}, %{ $_->{check} }) for @zones;

# By bounds of the operator's own.
for my $bound ([ 'expire-warn', 'warning' ], [ 'expire-crit', 'critical' ]) {
    my $operator = $net->operator(check => { 'expire-warn' => '40d', $bound->[0] => '40d' });
    Findings->new(operator => $operator, arguments => [ '--resolver', $net->resolver->at ])->are("signatures that end within $bound->[0]", 'signed.alpha',
        [ map { "EXPIRE-HORIZON $_" } @Internet::nameservers ], severity => { 'EXPIRE-HORIZON' => $bound->[1] });
}

is($net->stop, 0, 'the servers stop');
done_testing;
