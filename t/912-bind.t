#!/usr/bin/perl
# BIND as the primary.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Transfers qw(transfers_from);

transfers_from('bind');
done_testing;
