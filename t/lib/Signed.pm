package Signed;
# Zones signed by BIND's tools.
#
#     my $key = Signed::key('example');                        # { name, file, dnskey, ds }: records as text
#     my $text = Signed::sign('example', $text, $key, nsec3 => 'AABB', iterations => 1, optout => 1);
#
# from, until: when the signatures hold ('now-86400', 'now+2592000'). Without nsec3 (a salt in hexadecimal, '-' for none) it gets
# NSEC. The text comes back as one record a line, with its names and TTLs written out.
use strict;
use warnings;
use Process qw(work_dir slurp spew run_command find_program);

sub have { return !grep { !find_program($_) } qw(dnssec-keygen dnssec-signzone dnssec-dsfromkey) }

sub run {
    my (@command) = @_;
    my ($status, $out, $said) = run_command(find_program(shift @command), @command);
    die "@command: $out$said" if $status;
    return $out;
}

sub key {
    my ($zone) = @_;
    my $dir = work_dir('key');
    my ($base) = run('dnssec-keygen', '-q', '-K', $dir, '-a', 'ECDSAP256SHA256', '-f', 'KSK', $zone) =~ /^(K\S+)$/m;
    my $file = "$dir/$base";
    my ($dnskey) = slurp("$file.key") =~ /^([^;].*\n)/m;
    return { name => $zone, file => $file, dnskey => $dnskey, ds => run('dnssec-dsfromkey', '-2', "$file.key") };
}

# Each of the types at a zone's apex that tells the parent what its DS should be.
sub announced {
    my ($key) = @_;
    return join '', $key->{ds} =~ s/ DS / CDS /r, $key->{dnskey} =~ s/ DNSKEY / CDNSKEY /r;
}

sub sign {
    my ($zone, $text, $key, %of) = @_;
    my $dir = work_dir('signed');
    spew("$dir/zone", $text, $key->{dnskey});
    my @nsec3 = defined $of{nsec3} ? ('-3', $of{nsec3}, '-H', $of{iterations} // 0, $of{optout} ? '-A' : ()) : ();
    run('dnssec-signzone', '-q', '-P', '-z', '-n', 1, '-d', $dir, '-o', $zone, '-O', 'full', '-f', "$dir/out", '-s', $of{from}
        // 'now-86400', '-e', $of{until} // 'now+2592000', @nsec3,
        "$dir/zone", $key->{file});
    return slurp("$dir/out");
}

1;
