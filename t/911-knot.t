#!/usr/bin/perl
# Knot as the primary.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Transfers qw(transfers_from);

transfers_from('knot');
done_testing;
