#!/usr/bin/perl
# BIND as the primary; it knows truncated signatures too (RFC 8945 5.2.2.1).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Transfers qw(transfers_from);

transfers_from('bind', truncated => [ 'hmac-md5-80', 'hmac-sha1-80', 'hmac-sha224-112', 'hmac-sha256-128', 'hmac-sha384-192', 'hmac-sha512-256' ]);
done_testing;
