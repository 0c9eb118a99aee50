#!/usr/bin/perl
# The configurations in README are what the programs take.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Process qw(slurp spew work_dir run_command find_program);
use Test::More;

my $readme = slurp("$FindBin::Bin/../README");
my $build = $ENV{top_builddir} // '.';
my $dir = work_dir('readme');

# The indented block after the line that names the file.
sub block {
    my ($file) = @_;
    my ($text) = $readme =~ /^[^\n]*\Q$file\E[^\n]*:\n\n((?: {4}[^\n]*\n)+)/m or return undef;
    return $text =~ s/^ {4}//mgr;
}

sub taken_by {
    my ($file, $program, @arguments) = @_;
    my $text = block($file);
    ok($text, "README has a $file");
    my $path = find_program($program);
    $path = "$build/lockstepd" if $program eq 'lockstepd';
    SKIP: {
        skip "$program is not here", 1 unless $path;
        spew("$dir/$file", $text);
        my ($status, $out, $said) = run_command($path, map { $_ eq 'FILE' ? "$dir/$file" : $_ } @arguments);
        is($status, 0, "$program takes it") or diag("$out$said");
    }
}

taken_by('lockstep.conf', 'lockstepd', '-t', '-c', 'FILE');
taken_by('named.conf', 'named-checkconf', 'FILE');
taken_by('knot.conf', 'knotc', '-c', 'FILE', 'conf-check');
taken_by('nsd.conf', 'nsd-checkconf', 'FILE');
done_testing;
