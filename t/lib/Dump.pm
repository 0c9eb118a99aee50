package Dump;
# A zone's records in one canonical form, whatever they came from: a list of "owner TTL CLASS TYPE rdata-in-hex", sorted. Text is
# read by BIND's named-compilezone and transfers by dig, so that the program's own reader and writer do not judge themselves.
use strict;
use warnings;
use Exporter 'import';
use Process qw(run_command work_dir spew slurp find_program);
use Test::More ();
use Wire qw(name_text);

our @EXPORT_OK = qw(dump_text dump_axfr dig_axfr dump_raw same_zone dig_key at_options);

sub dig_key {
    my ($key) = @_;
    return $key ? ('-y', "$key->{algorithm}:$key->{name}:$key->{secret}") : ();
}

sub at_options {
    my ($at) = @_;
    my ($host, $port) = $at =~ /^(.*)@(\d+)$/ or die "$at is not ADDRESS\@PORT";
    return ("\@$host", '-p', $port);
}

# The records that a server gives in an AXFR, or undef.
sub dump_axfr {
    my ($at, $zone, $key, @more) = @_;
    my ($status, $text, $said) = run_command('dig', at_options($at), dig_key($key), $zone, 'AXFR', '+onesoa', '+unknownformat',
        '+nocmd', '+nostats', '+noidnout', '+time=20', @more);
    if ($status || $text =~ /^; Transfer failed/m || $text =~ /^;; (?:Couldn't|communications|connection)/m) {
        Test::More::note("AXFR of $zone from $at: " . join ' / ', grep { /^;/ } split /\n/, $text);
        return undef;
    }
    return [ sort map { canonical_line($_) } grep { length && !/^;/ && !/\sTYPE250\s/ } split /\n/, $text ];
}

sub canonical_line {
    my ($owner, $ttl, $class, $type, undef, $length, @hex) = split ' ', $_[0];
    return join ' ', lc $owner, $ttl, $class =~ s/^CLASS//r, $type =~ s/^TYPE//r, lc join '', @hex;
}

# The records of a zone's text. Dies with what named-compilezone says if it does not take the text whole.
sub dump_text {
    my ($text, $zone) = @_;
    my $base = work_dir('zone') . '/zone';
    my $apex = $zone eq '.' ? '.' : $zone =~ s/\.?$/./r;
    spew("$base.text", $text);
    my ($lines, $bad) = compiled($base, $apex);
    if (!$lines && $bad =~ /has no NS records/) {
        spew("$base.text", $text, "\n$apex 0 IN NS marker.invalid.\n");
        ($lines, $bad) = compiled($base, $apex);
        $lines &&= [ grep { !/^\Q\L$apex\E 0 1 2 066d61726b6572/ } @$lines ];
    }
    die "zone $apex is not what BIND takes: $bad" unless $lines;
    return $lines;
}

# The same of a file FILE.text, whose name is given without `.text`.
sub dump_compiled {
    my ($base, $zone) = @_;
    my ($lines, $bad) = compiled($base, $zone);
    die "zone $zone is not what BIND takes: $bad" unless $lines;
    return $lines;
}

# (records, undef) or (undef, what was wrong)
sub compiled {
    my ($base, $apex) = @_;
    my ($status, $out, $said) = run_command(find_program('named-compilezone'), '-i', 'none', map({ ("-$_", 'ignore') } qw(k n m M r S T W)),
        '-F', 'raw', '-o', "$base.raw", $apex, "$base.text");
    my @bad = grep { /ignoring|error|failed|fatal|has no/i } split /\n/, "$out$said";
    return (undef, join "\n", @bad) if $status || @bad;
    return (dump_raw(slurp("$base.raw")), undef);
}

# BIND's raw zone file (version 1): a header of 24 octets, then RRsets.
sub dump_raw {
    my ($raw) = @_;
    my ($at, @lines) = (24);
    while ($at < length $raw) {
        my ($total, $class, $type, undef, $ttl, $count, $owner) = unpack 'N n3 N2 n/a', substr $raw, $at, 275;
        my $next = $at + $total;
        $at += 20 + length $owner;
        my $start = join ' ', lc name_text($owner), $ttl, $class, $type;
        for (1 .. $count) {
            my $rdata = unpack 'n/a', substr $raw, $at, 2 + unpack 'n', substr $raw, $at, 2;
            push @lines, "$start " . unpack 'H*', $rdata;
            $at += 2 + length $rdata;
        }
        $at = $next;
    }
    return [ sort @lines ];
}

# One test: two such lists are the same; the first records that are not are shown.
sub same_zone {
    my ($got, $wanted, $name) = @_;
    my $ok = $got && $wanted && @$got == @$wanted && "@$got" eq "@$wanted";
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    Test::More::ok($ok, $name) and return 1;
    Test::More::diag('there is nothing to compare') and return 0 unless $got && $wanted;
    my %left;
    $left{$_}++ for @$wanted;
    $left{$_}-- for @$got;
    my @differ = grep { $left{$_} } sort keys %left;
    Test::More::diag(sprintf '%d records, %d wanted, %d differ', scalar @$got, scalar @$wanted, scalar @differ);
    Test::More::diag(($left{$_} > 0 ? 'missing: ' : 'too many: ') . $_) for @differ[0 .. ($#differ > 9 ? 9 : $#differ)];
    return 0;
}

1;
