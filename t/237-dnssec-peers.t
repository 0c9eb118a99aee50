#!/usr/bin/perl
# zone/dnssec on zones signed by ldns and by BIND: what they sign is right, what has been tampered with is not, as a whole and as a change.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use POSIX ();
use Process qw(work_dir run_command spew slurp find_program);
use Test::More;

my $program = ($ENV{top_builddir} // '.') . '/t/237-dnssec-peers';
plan skip_all => 'ldns-signzone and ldns-keygen are needed' if grep { !find_program($_) } qw(ldns-signzone ldns-keygen);

my $dir = work_dir('dnssec');
my $serial = 0;

sub run_here {
    my (@command) = @_;
    my ($status, $out, $said) = run_command('sh', '-c', 'cd "$0" && exec "$@"', $dir, @command);
    die "@command: $out$said" if $status;
    return $out;
}

sub key {
    my ($algorithm) = @_;
    my ($base) = run_here('ldns-keygen', '-a', $algorithm, $algorithm =~ /RSA/ ? ('-b', 1024) : (), 'example') =~ /(\S+)/;
    return $base;
}

my %key = map { $_ => key($_) } qw(RSASHA256 ECDSAP256SHA256 ECDSAP384SHA384 ED25519);
my $usual = $key{ECDSAP256SHA256};

# Data of every place: at the apex, an empty non-terminal, a wildcard, an alias, a delegation with and without DS, addresses below both, a DNAME.
my @records = ('@ NS ns', 'ns A 192.0.2.53', '@ MX 10 Mail', 'www A 192.0.2.1', 'www A 192.0.2.2', 'www TXT "two" "strings"',
    'a.b.empty A 192.0.2.3', '*.wild TXT wild',
    'alias CNAME WWW', 'secure NS ns.secure', 'secure DS 12345 13 2 ' . 'ab' x 32, 'ns.secure A 192.0.2.4', 'bare NS ns.bare',
    'bare NS ns', 'ns.bare A 192.0.2.5',
    'deep.under.bare2.empty2 NS ns', 'dname DNAME www', 'mail AAAA 2001:db8::1', 'z.www A 192.0.2.6', '_sip._tcp SRV 1 2 5060 Sip');

# A signed zone of these records, as lines; how: options of ldns-signzone.
sub sign {
    my ($records, $key, @how) = @_;
    my @keys = ref $key ? @$key : $key;
    $serial++;
    spew("$dir/plain", join "\n", '$ORIGIN example.', '$TTL 300', "\@ SOA ns host $serial 3600 900 604800 300", @$records, '');
    run_here('ldns-signzone', '-o', 'example', '-f', 'signed', @how, 'plain', @keys);
    return grep { /\S/ && !/^;/ } split /\n/, slurp("$dir/signed");
}

my $file = 0;

# What becomes of zones, each a reference to lines: [ whole, change ] for each.
sub verdicts {
    my ($now, @zones) = @_;
    my @files = map { my $name = "$dir/zone" . $file++; spew($name, join "\n", @$_, ''); $name } @zones;
    my ($status, $out, $said) = run_command($program, 'example', $now, @files);
    diag($said) if $status && $said !~ /not acceptable|SOA|NS record|CNAME|malformed|RDATA|digits|length/i;
    return map { [ (split /\t/)[ 1, 2 ] ] } split /\n/, $out;
}

# Good zone, then the other: refused for this reason, both ways.
sub wrong {
    my ($what, $reason, $good, $bad, $now) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @got = verdicts($now // time, $good, $bad);
    is($got[0][0], 'ok', "$what: before") or return;
    like($got[1][0], $reason, "$what: refused");
    is($got[1][1], $got[1][0], "$what: as a change too");
}

sub right {
    my ($what, @zones) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @got = verdicts(time, @zones);
    is(join(' ', map { $_->[0] } @got), join(' ', ('ok') x @zones), $what);
    is(join(' ', map { $_->[1] } @got[ 1 .. $#got ]), join(' ', ('ok') x $#zones), "$what: as changes too") if @zones > 1;
}

sub without { my ($pattern, @lines) = @_; my @left = grep { !/$pattern/ } @lines; die "nothing is $pattern" if @left == @lines; return \@left }
sub altered {
    my ($change, @lines) = @_;
    my $n = 0;
    my @new = map { local $_ = $_; $n += $change->() ? 1 : 0; $_ } @lines;
    die 'nothing was altered' unless $n;
    return \@new;
}

right("signed with $_", [ sign(\@records, $key{$_}) ]) for sort keys %key;
right('signed with two algorithms', [ sign(\@records, [ @key{qw(RSASHA256 ED25519)} ]) ]);
my %how = (NSEC => [], NSEC3 => [ '-n', '-t', 0 ], 'NSEC3 with salt' => [ '-n', '-s', 'aabbcc', '-t', 3 ], 'opt-out' => [ '-n', '-p', '-t', 0 ]);
my $unsigned = [ '$TTL 300', 'example. SOA ns host 1 1 1 1 1', 'example. NS ns.' ];

for my $how (sort keys %how) {
    my @how = @{ $how{$how} };
    my @good = sign(\@records, $usual, @how);
    my $chain = $how eq 'NSEC' ? 'NSEC' : 'NSEC3';
    right("$how: a zone", \@good);
    right("$how: from unsigned and back", $unsigned, \@good, $unsigned);

    # Signatures.
    wrong("$how: a signature is missing", qr/^www\.example\. TXT: it is not signed/, \@good, without(qr/^www\.example\.\s.*RRSIG\s+TXT/, @good));
    wrong("$how: a signature is flipped", qr/^www\.example\. A: its signature by key \d+ does not fit/, \@good,
        altered(sub { /^www\.example\.\s.*RRSIG\s+A / && s/(\S)(\S{20})$/($1 eq 'A' ? 'B' : 'A') . $2/e }, @good));
    wrong("$how: a record comes that nobody signed", qr/^www\.example\. A: its signature by key \d+ does not fit/, \@good,
        [ @good, 'www.example. 300 IN A 192.0.2.66' ]);
    wrong("$how: a record is another", qr/^mail\.example\. AAAA: its signature/, \@good, altered(sub { s/2001:db8::1$/2001:db8::2/ }, @good));
    wrong("$how: a name comes that nobody signed", qr/^new\.example\. A: it is not signed/, \@good, [ @good, 'new.example. 300 IN A 192.0.2.66' ]);
    wrong("$how: the DS of a delegation is not signed", qr/^secure\.example\. DS: it is not signed/, \@good,
        without(qr/^secure\.example\.\s.*RRSIG\s+DS/, @good));
    wrong("$how: a DS comes", qr/^bare\.example\. DS: it is not signed/, \@good, [ @good, 'bare.example. 300 IN DS 1 13 2 ' . 'cd' x 32 ]);
    wrong("$how: the keys are not signed", qr/^example\. DNSKEY: it is not signed/, \@good, without(qr/RRSIG\s+DNSKEY/, @good));
    wrong("$how: the keys have gone", qr/no DNSKEY record/, \@good, without(qr/\sDNSKEY\s/, @good));
    wrong("$how: the signatures have gone", qr/is not signed/, \@good, without(qr/\sRRSIG\s/, @good));
    my ($expired) = verdicts(time + 40 * 86400, \@good);
    like($expired->[0], qr/^example\. DNSKEY: its signature by key \d+ expired at 20\d\d-/, "$how: when the signatures have expired");
    my ($early) = verdicts(time - 400 * 86400, \@good);
    like($early->[0], qr/its signature by key \d+ begins at 20\d\d-.* only/, "$how: before they begin");

    # The chain.
    wrong("$how: a signed name is gone, its link is not",
        $chain eq 'NSEC' ? qr/NSEC: it says that www\.example\. is the next name, but z\.www\.example\. is/
        : qr/belongs to no name/,
        \@good, without($chain eq 'NSEC' ? qr/^www\.example\./ : qr/^z\.www\.example\./, @good));
    wrong("$how: a type that the chain knows of is gone", qr/types/, \@good, without(qr/^www\.example\.\s.*IN\s+(?:RRSIG\s+)?TXT\s/, @good));
    my ($link) = $chain eq 'NSEC' ? '^alias\.example\.\s.*(?:RRSIG\s+NSEC|IN\s+NSEC)\s' :
        '^' . quotemeta((map { /^(\S+)\s.*\sIN\s+NSEC3\s/ ? $1 : () } @good)[2]) . '\s';
    wrong("$how: a link is missing", qr/NSEC/, \@good, without(qr/$link/, @good));
    wrong("$how: a delegation is hidden", $chain eq 'NSEC' ? qr/secure\.example\. is the next name/ : qr/belongs to no name/,
        \@good, without(qr/^(?:ns\.)?secure\.example\./, @good));

    # What is right.
    my @now = @records;
    my @steps = (\@good);
    for my $edit ([ [], ['new A 192.0.2.9'] ], [ ['new A 192.0.2.9'], [] ], [ [], ['x.y.z.empty3 A 192.0.2.1'] ],
        [ ['a.b.empty A 192.0.2.3'], [ 'b.empty TXT x' ] ],
        [ [], [ 'under NS ns.under', 'ns.under A 192.0.2.7' ] ], [ [], [ 'more.under A 192.0.2.7' ] ],
        [ [ 'under NS ns.under' ], [] ], [ [], [ 'under NS ns' ] ],
        [ [], [ 'bare DS 1 13 2 ' . 'cd' x 32 ] ], [ [ 'bare DS 1 13 2 ' . 'cd' x 32 ], [] ],
        [ [ 'deep.under.bare2.empty2 NS ns' ], [] ], [ ['dname DNAME www'], ['dname A 192.0.2.1'] ],
        [ [ 'z.www A 192.0.2.6', 'www A 192.0.2.1', 'www A 192.0.2.2', 'www TXT "two" "strings"' ], [] ],
        [ [], ['zz A 192.0.2.1'] ], [ [], ['deleg.opt NS ns'] ],
        [ [], ['sibling.opt A 192.0.2.1'] ], [ ['sibling.opt A 192.0.2.1'], [] ], [ [], [ map { "n$_ NS ns" } 1 .. 40 ] ],
        [ [], [ map { "d$_ A 192.0.2.1" } 1 .. 40 ] ]) {
        my ($less, $more) = @$edit;
        my %less = map { $_ => 1 } @$less;
        @now = ((grep { !$less{$_} } @now), @$more);
        push @steps, [ sign(\@now, $usual, @how) ];
    }
    right("$how: names, delegations and empty non-terminals come and go", @steps);

    # Only what changed is looked at, and what is beside it. Ed25519 makes the same signatures again.
    my @times = map { POSIX::strftime('%Y%m%d', gmtime(time + $_ * 86400)) } -2, 20;
    my $rot = sub { altered(sub { /^mail\.example\.\s.*RRSIG\s+AAAA/ && s/(\S)(\S{20})$/($1 eq 'A' ? 'B' : 'A') . $2/e }, @_) };
    my ($rotten, $next) = map { $rot->(sign([ @records, @$_ ], $key{ED25519}, @how, '-i', $times[0], '-e', $times[1])) } [], ['www2 A 192.0.2.9'];
    my @got = verdicts(time, $rotten, $next);
    like($got[1][0], qr/^mail\.example\. AAAA/, "$how: a bad signature is found by a look at the whole");
    is($got[1][1], 'ok', "$how: but a change elsewhere is no reason for one");
}

# Whatever is done to a zone: a look at the change finds what a look at the whole finds. With LONG=1 a thousand times.
srand 20261122;
for my $how (sort keys %how) {
    my @good = sign(\@records, $usual, @{ $how{$how} });
    my @other = sign([ grep { !/^(?:www|bare)\b/ } @records, 'new A 192.0.2.9', 'more.wild A 192.0.2.9', 'bare DS 1 13 2 ' . 'cd' x 32, 'bare NS ns' ], $usual, @{ $how{$how} });
    my @soa = grep { /\sIN\s+(?:RRSIG\s+)?SOA\s/ } @good;
    my (@differ, %seen) = ();
    $seen{$_} = 0 for qw(ok wrong);
    for my $n (1 .. ($ENV{LONG} ? 1000 : 60)) {
        my @bad = @good;
        for (1 .. 1 + int rand 3) {
            my $at = 3 + int rand @bad - 3;
            my $kind = int rand 4;
            if ($kind == 0) { splice @bad, $at, 1 }
            elsif ($kind == 1) { $bad[$at] =~ s/([a-z0-9]{4})(?=\S*$)/ scalar reverse $1/e }
            elsif ($kind == 2) { my $line = $other[ rand @other ]; push @bad, $line unless $line =~ /SOA\s/ }
            else { my ($owner) = $bad[$at] =~ /^(\S+)/; @bad = grep { !/^\Q$owner\E\s/ || /\s(?:SOA|NS)\s/ && /^example\./ } @bad }
        }
        my @got = verdicts(time, \@good, \@bad);
        next if @got < 2;        # no zone at all
        $seen{ $got[1][0] eq 'ok' ? 'ok' : 'wrong' }++;
        push @differ, "$n: $got[1][0] | $got[1][1]" if ($got[1][0] eq 'ok') != ($got[1][1] eq 'ok');
    }
    is(join("\n", @differ), '', "$how: tampered with at random, the change is judged as the whole is (right $seen{ok}, wrong $seen{wrong})");
}

# Keys.
my $other = key('ECDSAP256SHA256');
my @before = sign(\@records, $usual);
right('another key comes, and the old one goes', \@before, [ sign(\@records, [ $usual, $other ]) ], [ sign(\@records, $other) ]);
my @foreign = sign(\@records, $other);
wrong('records signed by a key that the zone does not have', qr/is by no key of the zone/, \@before,
    [ (grep { !/^www\.example\./ } @before), grep { /^www\.example\./ } @foreign ]);
right('from NSEC to NSEC3 and back', \@before, [ sign(\@records, $usual, '-n') ], [ sign(\@records, $usual) ]);
right('from opt-out to none and back', [ sign(\@records, $usual, '-n', '-p') ], [ sign(\@records, $usual, '-n') ],
    [ sign(\@records, $usual, '-n', '-p') ]);

SKIP: {
    require Signed;
    skip 'BIND\'s tools are needed', 1 unless Signed::have();
    my $key = Signed::key('example');
    my $text = join "\n", '$ORIGIN example.', '$TTL 300', '@ SOA ns host 1 3600 900 604800 300', @records, '$ORIGIN .', '';
    right("BIND: @$_", [ split /\n/, Signed::sign('example', $text, $key, @$_) ])
        for [], [ nsec3 => '-' ], [ nsec3 => 'aabb', iterations => 5, optout => 1 ];
}
done_testing;
