#!/usr/bin/perl
# lib/ORDER is the only direction of includes: a module may include itself and what
# stands above it in the list; every file in lib/ is in the list; programs and tests may include all.
use strict;
use warnings;
use Test::More;

my $top = $ENV{top_srcdir} // '.';
my (%place, @modules);
open my $order, '<', "$top/lib/ORDER" or die "lib/ORDER: $!";
while (<$order>) {
    chomp;
    next if /^#/ || !/\S/;
    $place{$_} = @modules;
    push @modules, $_;
}
my %allowed_rooms = (
    base => { base => 1 },
    dns => { base => 1, dns => 1 },
    zone => { base => 1, dns => 1, zone => 1 },
    xfer => { base => 1, dns => 1, zone => 1, xfer => 1 },
    serve => { base => 1, dns => 1, zone => 1, serve => 1 },
    check => { base => 1, dns => 1, zone => 1, check => 1 },
    run => { map { $_ => 1 } qw(base dns zone xfer serve check run) },
);
for my $file (glob("$top/lib/*/*.[ch]")) {
    my ($module) = $file =~ m{lib/(.*)\.[ch]$};
    my $room = $module =~ s{/.*}{}r;
    ok(exists $place{$module}, "$module is in lib/ORDER") if $file =~ /\.h$/;
    open my $in, '<', $file or die "$file: $!";
    my @wrong;
    while (<$in>) {
        next unless m{^\s*#\s*include\s+"([^"]+)\.h"};
        my $used = $1;
        next if $used eq 'config';
        push @wrong, "$used is not in lib/ORDER" and next unless exists $place{$used};
        push @wrong, "$used comes later" if $place{$used} > ($place{$module} // -1);
        push @wrong, "$used is in a room that $room/ must not use" unless $allowed_rooms{$room}{ $used =~ s{/.*}{}r };
    }
    is("@wrong", '', "$file includes only what comes before it");
}
done_testing;
