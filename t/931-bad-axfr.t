#!/usr/bin/perl
# What a primary can put wrong into a whole zone: SOAs, owners, classes, types, RDATA, names, compression.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Dump qw(dump_text same_zone);
use Hostile;
use Process qw(slurp);
use Test::More;
use Wire qw(name raw_rr soa_rdata);

my $pair = Hostile->new(settings => { 'allow-transfer' => ['fake'], 'max-records-per-type' => 0, 'max-types-per-name' => 0 });
my $plain = Hostile->new;        # with the limits as they are unless somebody says otherwise
my @records = $pair->records;

# A zone with these records more (references or text), between two good SOAs.
sub with { my @more = @_; return (axfr => sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa, @records, @more, $talk->soa ]) }) }

# --- SOAs --------------------------------------------------------------------------------

$pair->refused('the last SOA has another serial', 'soa',
    axfr => sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa, @records, $talk->soa(77) ]) });
$pair->refused('the last SOA has the serial, but other timers', 'soa-differs', axfr => sub {
    my ($talk) = @_;
    $talk->send(answer => [ $talk->soa, @records, $talk->soa(undef, times => [ 1, 2, 3, 4 ]) ]);
});
$pair->refused('the last SOA has another owner', 'soa-owner', axfr => sub {
    my ($talk) = @_;
    $talk->send(answer => [ $talk->soa, @records, $talk->soa(undef, owner => 'sub.example.') ]);
});
$pair->taken('the last SOA has its owner in capitals', records => 23, axfr => sub {
    my ($talk) = @_;
    $talk->send(answer => [ $talk->soa, @records, $talk->soa(undef, owner => 'EXAMPLE.') ]);
});
$pair->refused('another SOA in the middle', 'soa-middle',
    axfr => sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa, @records, $talk->soa(1), $talk->soa ]) });
$pair->refused('a SOA of another owner in the middle', 'soa-owner',
    with(raw_rr(owner => 'h1.example.', type => 'SOA', rdata => soa_rdata('example.', 5))));
$pair->refused('records follow the last SOA', 'after-end',
    axfr => sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa, @records, $talk->soa, $records[2] ]) });
$pair->refused('three SOAs', 'after-end', axfr => sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa, @records, $talk->soa, $talk->soa ]) });
$pair->refused('no SOA', 'no-soa', axfr => sub { $_[0]->send(answer => [@records]) });
$pair->refused('no records at all', 'network|incomplete|no-soa|empty', axfr => sub { $_[0]->send; $_[0]->close });
$pair->refused('the SOA is not the zone\'s', 'soa-owner|no-soa', axfr => sub {
    my ($talk) = @_;
    my $other = $talk->soa(undef, owner => 'other.');
    $talk->send(answer => [ $other, @records, $other ]);
});
for my $cut (1, 4, 19) {
    $pair->refused("the SOA's RDATA is $cut octets short", 'rdata', axfr => sub {
        my ($talk) = @_;
        my $soa = raw_rr(owner => 'example.', type => 'SOA', rdata => substr soa_rdata('example.', 9), 0, -$cut);
        $talk->send(answer => [ $soa, @records, $soa ]);
    });
}
$pair->refused('the SOA\'s RDATA is an octet long', 'rdata', axfr => sub {
    my ($talk) = @_;
    my $soa = raw_rr(owner => 'example.', type => 'SOA', rdata => soa_rdata('example.', 9) . 'x');
    $talk->send(answer => [ $soa, @records, $soa ]);
});
for my $serial (0, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 0, 5) {
    $pair->taken("serial $serial", serial => $serial, axfr => undef, records => 23);
}

# --- the zone as a whole -----------------------------------------------------------------

$pair->refused('nothing but the SOA', 'content', axfr => sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa, $talk->soa ]) });
$pair->refused('no NS at the apex', 'content',
    axfr => sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa, @records[ 1 .. $#records ], $talk->soa ]) });
$pair->refused('CNAME at the apex', 'content|record', with('example. 300 IN CNAME h1.example.'));
$pair->refused('CNAME beside other data', 'content|record', with('h1.example. 300 IN CNAME h2.example.'));
$pair->refused('two DNAMEs at a name', 'content.*DNAME', with('d.example. 300 IN DNAME one.test.', 'd.example. 300 IN DNAME two.test.'));

# A zone with so many records more, which are made by their number, a thousand to the message.
sub with_many {
    my ($count, $make) = @_;
    return (axfr => sub {
        my ($talk) = @_;
        $talk->send(answer => [ $talk->soa, @records ]);
        for (my $n = 0; $n < $count; $n += 1000) {
            $talk->send(answer => [ map { $make->($_) } $n .. $n + 999 ]) or last;
        }
        $talk->send(answer => [ $talk->soa ]);
    });
}
$pair->taken('an NS set of ten thousand names', records => 10_023,
    with_many(10_000, sub { raw_rr(owner => 'example.', type => 'NS', rdata => name("ns$_[0].provider.test.")) }));
$pair->taken('ten thousand types at a name', records => 10_023,
    with_many(10_000, sub { raw_rr(owner => 'types.example.', type => 10_000 + $_[0], rdata => 'x') }));
$pair->taken('an RRset of 65,000 records', records => 65_023,
    with_many(65_000, sub { raw_rr(owner => 'set.example.', type => 'A', rdata => pack 'N', $_[0]) }));
$pair->refused('an RRset of 100,000 records', 'set\.example\..*more than 65535 records',
    with_many(100_000, sub { raw_rr(owner => 'set.example.', type => 'A', rdata => pack 'N', $_[0]) }));
for my $case ([ 'four thousand records', 'taken', 4000 ], [ 'a record more', 'refused', 4001 ]) {
    my ($what, $verdict, $count) = @$case;
    $plain->$verdict("$what in an RRset",
        $verdict eq 'taken' ? (records => 23 + $count)
        : 'limit.*set\.example\. A: more records in one RRset than max-records-per-type = 4000',
        with_many($count, sub { $_[0] < $count ? raw_rr(owner => 'set.example.', type => 'A', rdata => pack 'N', $_[0]) : () }));
}
for my $case ([ 'a hundred types', 'taken', 100 ], [ 'a type more', 'refused', 101 ]) {
    my ($what, $verdict, $count) = @$case;
    my @types = map { raw_rr(owner => 'types.example.', type => 10_000 + $_, rdata => 'x'), raw_rr(owner => 'types.example.', type => 'RRSIG',
        rdata => pack('n C2 N3 n', 10_000 + $_, 8, 2, 300, 2 ** 31, 1, 7) . name('example.') . 'signature') } 1 .. $count;
    $plain->$verdict("$what at a name, each with a signature", $verdict eq 'taken' ? (records => 23 + 2 * $count) :
        'limit.*types\.example\. TYPE10101: more types at one name than max-types-per-name = 100', with(@types));
}
$pair->taken('data below a delegation and below a DNAME', records => 28,
    with('sub.example. 300 IN NS ns.sub.example.', 'ns.sub.example. 300 IN A 192.0.2.1',
    'www.sub.example. 300 IN TXT "hidden"', 'd.example. 300 IN DNAME elsewhere.test.', 'below.d.example. 300 IN A 192.0.2.1'));
$pair->taken('the same record three times', records => 24, with(('twice.example. 300 IN A 192.0.2.1') x 3));
$pair->taken('TTLs that differ in an RRset', records => 25, with('mixed.example. 300 IN A 192.0.2.1', 'mixed.example. 60 IN A 192.0.2.2'));
$pair->taken('a TTL of 2^31 and more', records => 24, with(raw_rr(owner => 'ttl.example.', type => 'A', ttl => 0x80000001, rdata => "\1\2\3\4")));

# --- owners, classes, types --------------------------------------------------------------

for my $case ([ 'another zone\'s name', 'www.other.' ], [ 'the parent', '.' ], [ 'a name that only ends like the zone\'s', 'notexample.' ]) {
    $pair->refused("a record of $case->[0]", 'record.*not in the zone', with(raw_rr(owner => $case->[1], type => 'A', rdata => "\1\2\3\4")));
}
for my $class (3, 254, 255, 0) {
    $pair->refused("a record of class $class", 'record.*class',
        with(raw_rr(owner => 'h1.example.', type => 'A', class => $class, rdata => "\1\2\3\4")));
}
for my $type (0, 41, 249, 250, 251, 252, 255) {
    $pair->refused("a record of type $type", 'record|rdata|tsig', with(raw_rr(owner => 'h1.example.', type => $type, rdata => '')));
}
$pair->refused('an RRSIG that covers a meta type', 'record|rdata', with(raw_rr(owner => 'h1.example.', type => 'RRSIG',
    rdata => pack('n C2 N3 n', 252, 8, 2, 300, 1, 0, 1) . name('example.') . 'signature')));

# --- RDATA -------------------------------------------------------------------------------

my @malformed = (
    [ 'A of 3 octets', 1, "\1\2\3" ], [ 'A of 5 octets', 1, "\1\2\3\4\5" ], [ 'A of none', 1, '' ], [ 'AAAA of 15 octets', 28, 'x' x 15 ],
    [ 'NS without a name', 2, '' ], [ 'NS with octets after the name', 2, name('a.b.') . 'x' ], [ 'NS whose name does not end', 2, "\3abc" ],
    [ 'MX without a name', 15, "\0\1" ], [ 'TXT whose string is longer than the RDATA', 16, "\5abc" ], [ 'TXT without a string', 16, '' ],
    [ 'SRV cut short', 33, pack 'n2', 1, 2 ], [ 'NAPTR cut short', 35, pack('n2', 1, 2) . "\1u" ], [ 'CAA with a tag of none', 257, "\0\0value" ],
    [ 'CAA with a tag longer than the RDATA', 257, "\0\xffissue" ], [ 'LOC of 15 octets', 29, "\0" x 15 ],
    [ 'APL with an address longer than its family\'s', 42, pack 'n C C a5', 1, 24, 5, 'abcde' ],
    [ 'APL that is longer than the RDATA', 42, pack 'n C C a2', 1, 24, 4, 'ab' ],
    [ 'HIP whose lengths lie', 55, pack('C C n', 200, 2, 300) . 'abc' ], [ 'IPSECKEY with a gateway of an unknown type', 45, "\12\7\2key" ],
    [ 'DS of 3 octets', 43, 'abc' ], [ 'DNSKEY of 3 octets', 48, 'abc' ], [ 'RRSIG cut short', 46, 'x' x 17 ],
    [ 'NSEC with an empty window', 47, name('b.example.') . "\0\0" ],
    [ 'NSEC with a window of 33 octets', 47, name('b.example.') . "\0\x21" . 'x' x 33 ],
    [ 'NSEC with windows out of order', 47, name('b.example.') . "\1\1\x40\0\1\x40" ],
    [ 'NSEC whose window is longer than the RDATA', 47, name('b.example.') . "\0\4\x40" ],
    [ 'NSEC3 whose salt is longer than the RDATA', 50, pack('C2 n C', 1, 0, 1, 200) . 'ab' ],
    [ 'NSEC3PARAM with octets after the salt', 51, pack('C2 n C', 1, 0, 1, 1) . 'abc' ],
    [ 'SVCB with keys out of order', 64, pack('n', 1) . "\0" . pack('n n/a n n/a', 4, "\1\2\3\4", 1, "\2h2") ],
    [ 'SVCB with a key twice', 64, pack('n', 1) . "\0" . pack('n n/a n n/a', 3, "\0\1", 3, "\0\2") ],
    [ 'SVCB with a value longer than the RDATA', 64, pack('n', 1) . "\0" . pack('n2', 3, 2000) ],
    [ 'HTTPS with an address hint of 3 octets', 65, pack('n', 1) . "\0" . pack('n n/a', 4, 'abc') ],
    [ 'ZONEMD with a digest of 3 octets', 63, pack('N C2', 1, 1, 1) . 'abc' ], [ 'CSYNC cut short', 62, 'abc' ],
    [ 'EUI48 of 5 octets', 108, 'abcde' ], [ 'AMTRELAY with an address cut short', 260, "\12\1\1\2" ], [ 'TLSA of 2 octets', 52, 'ab' ],
);
$pair->refused("RDATA: $_->[0]", 'rdata', with(raw_rr(owner => 'bad.example.', type => $_->[1], rdata => $_->[2]))) for @malformed;
my $named = $pair->refused('the refusal names the record', 'rdata', with(raw_rr(owner => 'bad.example.', type => 1, rdata => 'abc')));
like($named->{why} // '', qr/message 1, record 2[45].*bad\.example\. A/, 'with message and record number, owner and type');

for my $case ([ 'is 0', 0 ], [ 'is 1 short', 3 ], [ 'is 1 long', 5 ], [ 'is 65535', 65535 ]) {
    $pair->refused("the RDATA's length $case->[0]", 'rdata|malformed|trailing',
        with(raw_rr(owner => 'h1.example.', type => 'A', rdata => "\1\2\3\4", rdlength => $case->[1])));
}

# What is odd, but can be had: it is served, written, and read back.
my @strange = (raw_rr(owner => 'not-base32hex.example.', type => 'NSEC3', rdata => pack('C2 n C C/a', 1, 0, 1, 0, 'x' x 20) . "\0\1\x40"),
    raw_rr(owner => 'short.example.', type => 'NSEC3', rdata => pack('C2 n C C/a', 9, 0xff, 65535, 0, 'x')),
        raw_rr(owner => 'none.example.', type => 65280, rdata => ''),
    raw_rr(owner => 'long.example.', type => 65280, rdata => 'x' x 10_000), raw_rr(owner => 'apl.example.', type => 'APL', rdata => ''),
    raw_rr(owner => 'family.example.', type => 'APL', rdata => pack 'n C C a2', 9, 255, 2, 'ab'),
        raw_rr(owner => 'root.example.', type => 'MX', rdata => "\0\0\0"),
    raw_rr(owner => 'null.example.', type => 10, rdata => ''), raw_rr(owner => 'text.example.', type => 'TXT', rdata => "\0" x 300),
    raw_rr(owner => 'key.example.', type => 'DNSKEY', rdata => pack('n C2', 0xffff, 255, 0) . 'k'),
        raw_rr(owner => 'md.example.', type => 63, rdata => pack('N C2', 1, 9, 9) . 'x' x 12),
    raw_rr(owner => 'svc.example.', type => 'SVCB', rdata => pack('n', 1) . "\0" . pack('n n/a', 65534, "\0\xff")));
$pair->taken('RDATA that is odd, but well-formed', records => 23 + @strange, with(@strange));
same_zone(dump_text(slurp($pair->{lockstep}->zone_file('example')), 'example'), $pair->{lockstep}->dump('example'),
    'BIND reads the zone file back to the same records');
my $at = $pair->{lockstep}->at;
my %given = map { ("$_->{owner} $_->{type}" => $_->{rdata}) } map { @{ Wire::parse($_)->{answer} } } Wire::ask_tcp($at,
    Wire::message(question => Wire::question('example.', 'AXFR')));
for my $record (@strange) {
    my ($owner) = $$record =~ /^(.*?\x07example\0)/s;
    my ($type, $length) = unpack 'n x6 n', substr $$record, length $owner;
    my $rdata = substr $$record, length($$record) - $length;
    my ($answer) = @{ Wire::parse((Wire::ask_tcp($at, Wire::message(question => $owner . pack 'n2', $type, 1)))[0])->{answer} };
    my $name = Wire::name_text($owner);
    my $wanted = $type == 50 ? 'nothing' : $rdata;        # RFC 5155 7.2.8
    is(unpack('H*', $answer->{rdata} // 'nothing'), unpack('H*', $wanted),
        "$name is answered as it came, the owner of an NSEC3 record does not exist");
    is(unpack('H*', $given{"$name $type"} // 'nothing'), unpack('H*', $rdata), 'and transferred on');
}

# --- compression -------------------------------------------------------------------------

# The record comes right behind the question (29 octets: header 12, question 13 + 4).
for my $case ([ 'forward', "\xc0\xff" ], [ 'to itself', pack 'n', 0xc000 | 29 ], [ 'into the header', "\xc0\2" ], [ 'past the end', "\xff\xff" ],
    [ 'by a label of an unknown kind', "\x41abc" ],
    [ 'by a name of 256 octets', "\77" . 'x' x 63 . "\77" . 'x' x 63 . "\77" . 'x' x 63 . "\76" . 'x' x 62 . "\0" ]) {
    $pair->refused("an owner that points $case->[0]", 'malformed|no-soa', axfr => sub {
        my ($talk) = @_;
        $talk->send(answer => [ raw_rr(owner_wire => $case->[1], type => 'A', rdata => "\1\2\3\4") ]);
    });
}
# The SOA comes first, then a record of an unknown type whose RDATA holds a name, or a chain of so many pointers to that name.
sub chained {
    my ($count, $into) = @_;
    return (axfr => sub {
        my ($talk) = @_;
        my $soa = $talk->soa;
        my $owner = 12 + length($talk->query->{question_bytes}) + length $$soa;
        my $first = $owner + length(name('x.example.')) + 10;
        my $data = name('inside.example.');
        my $at = $first;
        for (1 .. $count) { $data .= pack 'n', 0xc000 | $at; $at = $first + length($data) - 2 }
        $talk->send(answer => [ $soa, raw_rr(owner => 'x.example.', type => 65280, rdata => $data), $pair->records,
            raw_rr(owner_wire => pack('n', 0xc000 | $at), type => 'A', rdata => "\1\2\3\4"), $soa ]);
    });
}
$pair->taken('an owner that points into RDATA', records => 25, chained(0));
like($pair->dump_text, qr/^inside\.example\./m, 'is the name that stands there');
$pair->taken('an owner over 126 pointers', records => 25, chained(126));
$pair->refused('an owner over 127 pointers more', 'malformed', chained(127));
$pair->refused('an owner over thousands of pointers', 'malformed', chained(6000));
$pair->taken('an owner of 127 labels, and one of 255 octets', records => 25, with(
    raw_rr(owner => '1.' x 123 . 'example.', type => 'A', rdata => "\1\2\3\4"),
    raw_rr(owner => join('.', 'a' x 63, 'b' x 63, 'c' x 63, 'd' x 52, 'example.'), type => 'A', rdata => "\1\2\3\4")));
$pair->refused('a compressed name in RDATA where it must not be', 'rdata', with(raw_rr(owner => 'srv.example.', type => 65280, rdata => ''),
    raw_rr(owner => 'nsec.example.', type => 'NSEC', rdata => "\xc0\x0c\0\1\x40")));

# --- names and text that a file, a log or a path may trip over -----------------------------

my @odd = ("a\0b", 'a.b', 'a\\b', 'a"b', '$ORIGIN', '@', 'a;b', "a\nb", '../../etc', '%s', '*', '(', ' ', "\e[31m", "\xff\xfe");
my @odd_records = map { (raw_rr(owner_wire => pack('C/a', $_) . name('example.'), type => 'TXT', rdata => pack('C/a', $_)),
    raw_rr(owner_wire => pack('C/a', $_) . "\3www" . name('example.'), type => 'PTR', rdata => pack('C/a', $_) . "\0")) } @odd;
$pair->taken('labels of any octets', records => 23 + 2 * @odd, with(@odd_records));
my $lockstep = $pair->{lockstep};
same_zone(dump_text(slurp($lockstep->zone_file('example')), 'example'), $lockstep->dump('example'),
    'and BIND reads the zone file back to the same records');
$pair->refused('what is wrong at such a name', 'record', with(raw_rr(owner_wire => "\4\e[2J" . "\7ex\nmple\0", type => 'A', rdata => "\1\2\3\4")));
unlike($lockstep->log_text, qr/\e|ex\nmple/, 'is escaped in the log');
$_->finish for $pair, $plain;
done_testing;
