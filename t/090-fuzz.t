#!/usr/bin/perl
# Each fuzz target that `make fuzz` built runs for FUZZ_SECONDS from a copy of its corpus.
use strict;
use warnings;
use File::Copy qw(copy);
use File::Temp qw(tempdir);
use Test::More;

my $source = $ENV{top_srcdir} // '.';
my $build = $ENV{top_builddir} // '.';
my $seconds = $ENV{FUZZ_SECONDS} // 5;
my @names = map { m{([^/]+)\.c$} } glob("$source/t/fuzz/*.c");
my @built = grep { -x "$build/fuzz/$_" } @names;
plan skip_all => '`make fuzz` (which needs clang) has not built the fuzz targets' unless @built;
is("@built", "@names", 'every fuzz target is built');

my $work = tempdir(CLEANUP => 1);
for my $name (@built) {
    my $corpus = "$work/$name";
    mkdir $corpus or die "$corpus: $!";
    my @seeds = glob("$source/t/fuzz/$name/*");
    copy($_, $corpus) or die "$_: $!" for @seeds;
    ok(scalar @seeds, "$name has a corpus");
    my @command = ("$build/fuzz/$name", "-max_total_time=$seconds", '-timeout=5', '-rss_limit_mb=2048',
        "-artifact_prefix=$work/", '-print_final_stats=1', $corpus);
    my $said = do {
        open my $out, '-|', 'sh', '-c', 'exec "$@" 2>&1', 'sh', @command or die "$name: $!";
        local $/;
        my $text = <$out>;
        close $out;
        $text;
    };
    my $clean = $? == 0;
    my ($runs) = $said =~ /number_of_executed_units:\s*(\d+)/;
    ok($clean, "$name: nothing found in " . ($runs // 'no') . ' runs');
    next if $clean;
    diag($said =~ s/\A.*?(?===\d+==|SUMMARY|[^\n]*runtime error)//sr);
    for my $find (glob("$work/{crash,timeout,oom,leak}-*")) {
        open my $in, '<:raw', $find or die "$find: $!";
        local $/;
        diag("$name: the input that did it: " . unpack('H*', <$in>));
    }
}
done_testing;
