#!/usr/bin/perl
# What a packager gets: `make install` below DESTDIR puts each file in its place and writes nowhere else, what was installed runs,
# and `make uninstall` takes it all away again.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Find ();
use Process qw(find_program run_command slurp work_dir);
use Test::More;

my $build = $ENV{top_builddir} // '.';
plan skip_all => 'lockstepd is not built' unless -x "$build/lockstepd";
my $made = slurp("$build/Makefile") or plan skip_all => "$build has no Makefile";
my $dir = work_dir('install');
delete @ENV{qw(MAKEFLAGS MFLAGS MAKELEVEL)};

sub make {
    my ($target) = @_;
    my ($status, $out, $said) = run_command('make', '-s', '-C', $build, $target, "DESTDIR=$dir");
    is($status, 0, "make $target") or diag("$out$said");
}

sub files {
    my @files;
    File::Find::find(sub { push @files, substr $File::Find::name, length $dir if !-d }, $dir);
    return sort @files;
}

# A directory of the Makefile, with the variables in it put in.
sub place {
    my ($variable) = @_;
    my ($value) = $made =~ /^\Q$variable\E = (.*)$/m;
    die "the Makefile has no $variable" unless defined $value;
    return $value =~ s/\$[{(](\w+)[})]/$1 eq 'PACKAGE_TARNAME' ? 'lockstep' : place($1)/ger;
}

make('install');
my @wanted = (place('bindir') . '/lockstep', place('sbindir') . '/lockstepd', place('mandir') . '/man1/lockstep.1',
    place('mandir') . '/man5/lockstep.conf.5',
    place('mandir') . '/man8/lockstepd.8', place('docdir') . '/lockstep.conf.example');
my @examples = map { place('docdir') . "/examples/$_" } qw(lockstep-check.cron lockstep-check.service lockstep-check.timer nagios-lockstep.cfg icinga2-lockstep.conf);
my $unit = $made =~ /^systemdsystemunit_DATA = \S/m ? place('systemdsystemunitdir') . '/lockstepd.service' : undef;
is_deeply([ files() ], [ sort @wanted, @examples, $unit // () ], 'every file in its place, and no other');
is((run_command($dir . $wanted[0], '--version'))[0], 0, 'lockstep runs from there');
is((run_command($dir . $wanted[1], '--version'))[0], 0, 'and so does lockstepd');
like(slurp("$dir$unit"), qr/^ExecStart=\Q$wanted[1]\E\b/m, 'which the unit starts') if $unit;
like(slurp("$dir$_"), qr/\Q$wanted[0]\E"?,? "?check\b/, "$_ runs it") for grep { !/timer$/ } @examples;
SKIP: {
    skip 'systemd-analyze is not here', 1 unless find_program('systemd-analyze');
    my ($status, $out, $said) = run_command(find_program('systemd-analyze'), 'verify', '--man=no', map { "$dir$_" } @examples[ 1, 2 ]);
    my @wrong = grep { /lockstep-check/ && !/not executable|No such file/ } split /\n/, "$out$said";
    is("@wrong", '', 'systemd takes the timer and its service');
}
make('uninstall');
is_deeply([ files() ], [], 'and nothing is left');
done_testing;
