#!/usr/bin/perl
# What zone/zonefile writes is read by BIND, NSD, Knot and ldns, to the same records; and it reads the sample zones as BIND does.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Dump qw(dump_axfr same_zone);
use File::Copy qw(copy);
use Peer;
use Process qw(work_dir slurp spew run_command find_program);
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

# Types and values that we do not write in their own form, but read in it.
sub check_own_forms {
    my $zone = 'own.example';
    my $file = spew(work_dir('own') . '/zone', <<'END');
$TTL 5
@ SOA ns h 1 2 3 4 5
@ NS ns
ns A 192.0.2.1
mb MB host
mg MG host
mr MR host.
wks WKS 192.0.2.1 TCP 25 80 smtp
wks2 WKS 192.0.2.1 17
x25 X25 31105060845
isdn ISDN "150862028003217" 004
isdn2 ISDN "150862028003217"
nsap NSAP 0x47.0005.80.005a00.0000.0001.e133.ffffff000161.00
nsap-ptr NSAP-PTR host
sig SIG NXT 5 2 3600 20180101000000 20171106062400 258 example. c2lnbmF0dXJl
key KEY 49152 3 5
px PX 10 map822 mapx400
gpos GPOS -32.6882 "116.8652" 10.0
nxt NXT n.example. A NS SIG KEY NXT
nxt2 NXT n.example.
eid EID e3 2c
nimloc NIMLOC 32251b030067
atma ATMA 39.246f000000000000000000000000000000000000
atma2 ATMA +61200000000
a6 A6 0 2001:db8::1
a6-2 A6 60 1:2:3:4:5:6:7:8 p
a6-3 A6 128 p.
sink SINK 1 2 3 Zm9vYmFy
hip HIP 2 200100107b1a74df365639cc39f1d578 AwEAAbdxyhNuSutc5EMzxTs9LBPCIkOFH8cI rvs1 rvs2.example.
ninfo NINFO "a" b
talink TALINK a b.
csync CSYNC 66 3
nid NID 10 14:4fff:ff20:ee64
l64 L64 10 2001:db8:1140:1000
caa CAA 0 Issue "x"
avc AVC "a" b
amtrelay AMTRELAY 10 0 1 192.0.2.1
amtrelay2 AMTRELAY 10 1 2 2001:db8::1
amtrelay3 AMTRELAY 10 1 3 relay
amtrelay4 AMTRELAY 10 0 0 .
dlv DLV 60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118
ta TA 60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118
loc LOC 42 21 54 N 71 6 18 W -24m 30m
loc2 LOC 0 S 0 E 1.5
loc3 LOC 1 2 3.004 S 4 5 6.789 E -1.25m 0.50m 12m 0.03m
cert CERT PGP 2 RSASHA256 Y2VydA==
tlsa TLSA 3 1 1 ab cd ( ef
 01 )
svcb SVCB 1 . port=53 mandatory=port,alpn alpn="a\\\\,b,h2"
rrsig RRSIG A 5 2 3600 1514764800 1509949440 258 example. c2lnbmF0dXJl
at CNAME \@.x
END
    my $text = ours($zone, $file);
    check_bind($zone, $file, $text) if ok(defined $text, "$zone is read");
}

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
for my $file (@zones) {
    my ($zone) = $file =~ m{([^/]+)\.zone$};
    taken("zones/$zone", slurp($file), @$_) for [ 'nsd-checkzone', $zone, 'FILE' ], [ 'ldns-read-zone', 'FILE' ],
        [ 'kzonecheck', '-o', $zone, '-d', 'off', 'FILE' ];
}
check_zone(m{([^/]+)\.zone$}, $_) for @zones, $nasty;
check_own_forms();
check_knot();
done_testing;
