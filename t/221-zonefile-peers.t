#!/usr/bin/perl
# What zone/zonefile writes is read by BIND, NSD, Knot and ldns, to the same records; and it reads the sample zones as BIND does.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Dump qw(dump_axfr same_zone);
use File::Copy qw(copy);
use Peer;
use Process qw(work_dir spew run_command find_program);
use Test::More;

my $program = ($ENV{top_builddir} // '.') . '/t/221-zonefile-peers';
my %needed = (
    'named-compilezone' => 'bind9-utils', 'nsd-checkzone' => 'nsd', kzonecheck => 'knot-dnssecutils', knotd => 'knot',
    'ldns-read-zone' => 'ldnsutils', dig => 'bind9-dnsutils',
);
my @missing = map { $needed{$_} } grep { !find_program($_) } sort keys %needed;
plan skip_all => "needs @missing" if @missing;

# What we read from a file, as text, or undef.
sub ours {
    my ($zone, $file) = @_;
    my ($status, $text, $said) = run_command($program, 'ours', $zone, $file);
    diag("$file: $said") if $status;
    return $status ? undef : $text;
}

# One test: a peer's checker takes our text. What it printed.
sub taken {
    my ($zone, $text, $peer, @command) = @_;
    my $file = spew(work_dir($peer) . '/in', $text);
    my ($status, $out, $said) = run_command(find_program($peer), map { s/FILE/$file/r } @command);
    is($status, 0, "$zone: $peer takes it") or diag("$out$said");
    return $out;
}

sub same_lines {
    my ($got, $wanted, $name) = @_;
    my ($got_lines, $wanted_lines) = map { [ sort split /\n/ ] } $got // '', $wanted;
    same_zone($got_lines, $wanted_lines, $name);
}

# BIND reads octet by octet the same from what we wrote as from the file.
sub check_bind {
    my ($zone, $file, $text) = @_;
    my ($theirs, $written) = map { work_dir('bind') . '/zone' } 1, 2;
    copy($file, "$theirs.text");
    spew("$written.text", $text);
    my $records = Dump::dump_compiled($written, $zone);
    same_zone($records, Dump::dump_compiled($theirs, $zone), "$zone: BIND reads the same from what is written");
    return $records;
}

sub check_nsd {
    my ($zone, $text) = @_;
    my $printed = taken($zone, $text, 'nsd-checkzone', '-p', $zone, 'FILE') =~ s/^zone \S+ is ok\n//mr;
    my $back = ours($zone, spew(work_dir('nsd') . '/out', $printed));
    same_lines(lc($back // ''), lc $text, "$zone: NSD reads the same");           # it folds names
}

sub check_ldns {
    my ($zone, $text) = @_;
    taken($zone, $text, 'ldns-read-zone', 'FILE');
    # It takes the name in an NSAP-PTR for a string and a SINK for one octet, and drops what is behind that.
    $text =~ s/^\S+\t\d+\tIN\tTYPE(?:23|40)\t.*\n//mg;
    my ($status, $back, $said) = run_command($program, 'ldns', spew(work_dir('ldns') . '/in', $text));
    diag($said) if $status;
    same_lines($back, $text, "$zone: ldns reads the same");
}

# "owner TTL class type hex" with the octets of RDATA in lower case.
sub fold { my ($head, $hex) = $_[0] =~ /^(.* )(\S*)$/; return $head . unpack 'H*', lc pack 'H*', $hex }

my %records;     # by zone, as BIND read them
my @served;

sub check_zone {
    my ($zone, $file) = @_;
    my $text = ours($zone, $file);
    ok(defined $text, "$zone is read") or return;
    same_lines(ours($zone, spew(work_dir('again') . '/zone', $text)), $text, "$zone: its own text is read to itself");
    $records{$zone} = check_bind($zone, $file, $text);
    check_nsd($zone, $text);
    check_ldns($zone, $text);
    taken($zone, $text, 'kzonecheck', '-o', $zone, '-d', 'off', 'FILE');
    push @served, { name => $zone, text => $text };
}

sub check_knot {
    my $knot = Peer->new('knot', zones => \@served)->start;
    for my $zone (map { $_->{name} } @served) {
        my ($got, $wanted) = map { [ sort map { fold($_) } @{ $_ // [] } ] } dump_axfr($knot->at, $zone), $records{$zone};
        same_zone($got, $wanted, "$zone: Knot reads the same");                   # it folds names
    }
}

my $nasty = work_dir('nasty') . '/nasty.example.zone';
spew($nasty, <<'E');
$TTL 5
@ SOA ns h\.m 1 2 3 4 5
@ NS ns
ns A 192.0.2.1
a\000b A 192.0.2.1
a\.b A 192.0.2.1
a\\b A 192.0.2.1
a\"b A 192.0.2.1
\$ORIGIN A 192.0.2.1
\$INCLUDE A 192.0.2.1
a\$b A 192.0.2.1
\@ A 192.0.2.1
a\;b A 192.0.2.1
a\010b A 192.0.2.1
a\013\010b A 192.0.2.1
a/b A 192.0.2.1
a%b A 192.0.2.1
* A 192.0.2.1
a*b A 192.0.2.1
a\ b A 192.0.2.1
\(a\) A 192.0.2.1
\009 A 192.0.2.1
\127\128\255 A 192.0.2.1
\# A 192.0.2.1
in A 192.0.2.1
a A 192.0.2.1
5 A 192.0.2.1
60h A 192.0.2.1
TYPE1 A 192.0.2.1
-_'`~!&+=<>?{}[]^, A 192.0.2.1
UPPER A 192.0.2.1
t TXT "\000\010\013\034\092;($)@%\127\255 " "" "\"" "\\" "$ORIGIN x" "@" ";" "(" ")"
t HINFO "\"" "\\"
c\.n CNAME \@.\$.\"\;\032.x
m MX 0 \000\010\(\).x
s SRV 1 2 3 \\.\..x
n NAPTR 1 2 "\"\\;" "\000" "" \@
u URI 1 2 "a\"\\;\000\255"
caa CAA 0 issue "a\"\\;\000\255"
svc SVCB 1 \;\@.x key666="a\"\\;\000\255 (" key667
svc2 SVCB 1 . alpn="a\\,b" 
svc3 HTTPS 1 . alpn="\200\"" port=1
x TYPE65280 \# 3 000aff
E

my $top = $ENV{top_srcdir} // '.';
my @zones = glob "$top/zones/*.zone";
ok(@zones >= 3, 'there are sample zones');
check_zone(m{([^/]+)\.zone$}, $_) for @zones, $nasty;
check_knot();
done_testing;
