#!/usr/bin/perl
# cmd/demo, as `./bootstrap demo` runs it: what it shows, that it is done within ten seconds, and that it leaves nothing behind.
use strict;
use warnings;
use File::Temp 'tempdir';
use Test::More;
use Time::HiRes 'time';

my $top = $ENV{top_srcdir} // '.';
my $build = $ENV{top_builddir} // '.';
plan skip_all => 'lockstepd is not built' unless -x "$build/lockstepd";

local $ENV{TMPDIR} = tempdir('lockstep-test-XXXXXX', TMPDIR => 1, CLEANUP => 1);
chmod 0755, $ENV{TMPDIR};              # root's demo runs its daemons as nobody
my $begin = time;
my $said = `'$top/cmd/demo' '$build' 2>&1 < /dev/null`;
my $seconds = time - $begin;
is($?, 0, 'the demo ends well') or diag($said);
cmp_ok($seconds, '<', 120, 'before long');            # some three seconds, but not on every machine
like($said, qr/^ZONE\s+SERIAL\s+STATE.*\n^company\.example\.\s+2026112101\s+ok\s+hidden/m, 'the status table');
like($said, qr/^www\.company\.example\..*\n.*\bA\s+192\.0\.2\.10$/m, 'an answer from the secondary');
like($said, qr/^>.*2026112102/m, 'the edit');
like($said, qr/notify/i, 'NOTIFY');
like($said, qr/ transfer zone=company\.example\. .*old=2026112101 new=2026112102 .*outcome=ok/, 'the transfer');
like($said, qr/^news\.company\.example\.\s+60\s+IN\s+A\s+192\.0\.2\.200$/m, 'the new answer');
like($said, qr/^company\.example\.\s+3600\s+IN\s+SOA\s.*2026112102/m, 'the zone file');
is(join(' ', glob "$ENV{TMPDIR}/*"), '', 'no file is left');
is(join(' ', grep { (readlink("$_/cwd") // '') =~ /^\Q$ENV{TMPDIR}\E/ } glob '/proc/[0-9]*'), '', 'and no process');
done_testing;
