#!/usr/bin/perl
# PowerDNS as the primary.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Transfers qw(transfers_from);

transfers_from('powerdns', ixfr => 0);
done_testing;
