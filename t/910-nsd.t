#!/usr/bin/perl
# NSD as the primary.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Transfers qw(transfers_from);

transfers_from('nsd');
done_testing;
