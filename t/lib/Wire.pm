package Wire;
# DNS messages made byte by byte, so that they may be wrong, and a small reader of messages.
# A record is text ("www.example. 300 IN A 192.0.2.1") or a reference to its bytes (raw_rr).
use strict;
use warnings;
use Exporter 'import';
use IO::Socket::IP;
use Net::DNS::RR;
use Socket qw(SOCK_DGRAM SOCK_STREAM);

our @EXPORT_OK = qw(name name_text type_number question raw_rr rr_bytes message header parse soa_rdata soa_serial frame ask_udp ask_tcp);

my %types = (A => 1, NS => 2, CNAME => 5, SOA => 6, PTR => 12, MX => 15, TXT => 16, AAAA => 28, SRV => 33, DNAME => 39,
    OPT => 41, APL => 42, DS => 43, RRSIG => 46, NSEC => 47, DNSKEY => 48, NSEC3 => 50, NSEC3PARAM => 51, SVCB => 64, HTTPS => 65,
    CDS => 59, CDNSKEY => 60, CSYNC => 62, ZONEMD => 63, TSIG => 250, IXFR => 251, AXFR => 252, ANY => 255, CAA => 257);

sub type_number {
    my ($type) = @_;
    return $type if $type =~ /^\d+$/;
    return $1 if $type =~ /^TYPE(\d+)$/;
    return $types{$type} // die "type $type is not known here";
}

# Wire form of a name in text, with \. and \DDD.
sub name {
    my ($text) = @_;
    my ($wire, $label) = ('', '');
    $text = '' if $text eq '.';
    while ($text =~ /\G(?:\\(\d{3})|\\(.)|(\.)|(.))/gs) {
        if (defined $3) { $wire .= pack('C/a', $label); $label = '' }
        else { $label .= defined $1 ? chr $1 : $2 // $4 }
    }
    $wire .= pack('C/a', $label) if length $label;
    return "$wire\0";
}

# The reverse, for names that are not compressed.
sub name_text {
    my ($wire) = @_;
    my ($text, $at) = ('', 0);
    while ((my $length = ord substr $wire, $at, 1) != 0) {
        $text .= join('', map { /[^!-~]/ ? sprintf('\\%03d', ord) : /[.\\"\$;()@]/ ? "\\$_" : $_ } split //, substr $wire, $at + 1, $length) . '.';
        $at += 1 + $length;
    }
    return length $text ? $text : '.';
}

sub question {
    my ($name, $type, $class) = @_;
    return name($name) . pack('n2', type_number($type), $class // 1);
}

# A record of any bytes: rdlength and owner_wire may lie.
sub raw_rr {
    my (%of) = @_;
    my $rdata = $of{rdata} // '';
    my $bytes = ($of{owner_wire} // name($of{owner})) . pack('n2 N n', type_number($of{type}), $of{class} // 1, $of{ttl} // 300,
        $of{rdlength} // length $rdata) . $rdata;
    return \$bytes;
}

my %made;

sub rr_bytes {
    my ($record) = @_;
    return $$record if ref $record;
    return $made{$record} //= Net::DNS::RR->new($record)->encode;
}

sub soa_rdata {
    my ($zone, $serial, @times) = @_;
    @times = (3600, 900, 604800, 300) unless @times;
    my $apex = name($zone);
    return "\2ns$apex\4host$apex" . pack('N5', $serial, @times);
}

sub header {
    my (%of) = @_;
    my $flags = $of{flags} // (($of{qr} // 0) << 15 | ($of{opcode} // 0) << 11 | ($of{aa} // 0) << 10 | ($of{tc} // 0) << 9
        | ($of{rd} // 0) << 8 | ($of{rcode} // 0));
    return pack('n6', $of{id} // int rand 65536, $flags, @{ $of{counts} // [ 0, 0, 0, 0 ] });
}

# Fields: id, flags or qr/opcode/aa/tc/rd/rcode, question (bytes), answer/authority/additional (lists of records),
# counts (if they are to lie), tail (bytes after the last record).
sub message {
    my (%of) = @_;
    my @sections = map { $of{$_} // [] } qw(answer authority additional);
    my $question = $of{question} // '';
    my $counts = $of{counts} // [ length $question ? 1 : 0, map { scalar @$_ } @sections ];
    return header(%of, counts => $counts) . $question . join('', map { rr_bytes($_) } map { @$_ } @sections) . ($of{tail} // '');
}

sub frame {
    my ($message) = @_;
    return pack('n/a', $message);
}

# A name at an offset, decompressed, in lower case: (text, offset after it).
sub read_name {
    my ($bytes, $at) = @_;
    my ($wire, $after, $hops) = ('', undef, 0);
    while (1) {
        die "name ends outside the message\n" if $at >= length $bytes;
        my $length = ord substr $bytes, $at, 1;
        if ($length >= 192) {
            die "compression loop\n" if ++$hops > 127;
            $after //= $at + 2;
            $at = unpack('n', substr $bytes, $at, 2) & 0x3fff;
            next;
        }
        $wire .= substr $bytes, $at, 1 + $length;
        $at += 1 + $length;
        last if $length == 0;
    }
    return (lc name_text($wire), $after // $at);
}

# A message as a hash: id, qr, opcode, aa, tc, rd, ra, rcode, questions, answer, authority, additional (each record
# { owner, type, class, ttl, rdata, at, start }), bytes. Dies on what cannot be read.
sub parse {
    my ($bytes) = @_;
    die "short message\n" if length $bytes < 12;
    my ($id, $flags, @counts) = unpack 'n6', $bytes;
    my %got = (id => $id, qr => $flags >> 15, opcode => $flags >> 11 & 15, aa => $flags >> 10 & 1, tc => $flags >> 9 & 1,
        rd => $flags >> 8 & 1, ra => $flags >> 7 & 1, rcode => $flags & 15, bytes => $bytes, counts => \@counts, questions => []);
    my $at = 12;
    for (1 .. $counts[0]) {
        (my $owner, $at) = read_name($bytes, $at);
        my ($type, $class) = unpack 'n2', substr $bytes, $at, 4;
        push @{ $got{questions} }, { name => $owner, type => $type, class => $class };
        $at += 4;
    }
    $got{question_bytes} = substr $bytes, 12, $at - 12;
    for my $section (1 .. 3) {
        my $list = $got{ (qw(answer authority additional))[ $section - 1 ] } = [];
        for (1 .. $counts[$section]) {
            my $start = $at;
            (my $owner, $at) = read_name($bytes, $at);
            die "short record\n" if $at + 10 > length $bytes;
            my ($type, $class, $ttl, $length) = unpack 'n2 N n', substr $bytes, $at, 10;
            die "rdata ends outside the message\n" if $at + 10 + $length > length $bytes;
            push @$list, { owner => $owner, type => $type, class => $class, ttl => $ttl, rdata => substr($bytes, $at + 10, $length),
                at => $at + 10, start => $start };
            $at += 10 + $length;
        }
    }
    $got{tail} = substr $bytes, $at;
    return \%got;
}

# The serial of a SOA record that parse returned.
sub soa_serial {
    my ($message, $record) = @_;
    my (undef, $at) = read_name($message->{bytes}, $record->{at});
    (undef, $at) = read_name($message->{bytes}, $at);
    return unpack 'N', substr $message->{bytes}, $at, 4;
}

sub socket_to {
    my ($address, $type) = @_;
    my ($host, $port) = $address =~ /^(.*)@(\d+)$/ or die "$address is not ADDRESS\@PORT";
    return IO::Socket::IP->new(PeerHost => $host, PeerPort => $port, Type => $type, Timeout => 5);
}

# Sends bytes, returns the bytes that come back; undef after so many seconds, or if the server closes.
sub ask_udp {
    my ($address, $bytes, $seconds) = @_;
    my $socket = socket_to($address, SOCK_DGRAM) or return undef;
    $socket->send($bytes);
    vec(my $ready = '', fileno $socket, 1) = 1;
    return undef unless select $ready, undef, undef, $seconds // 3;
    my $answer;
    return defined $socket->recv($answer, 65535) ? $answer : undef;
}

# The serial with which the server answers for the zone with authority, or undef. It is asked again where nothing comes.
sub served_serial {
    my ($address, $zone) = @_;
    my $query = message(question => question($zone, 'SOA'));
    my $bytes;
    for my $seconds (1, 2, 4) { last if defined($bytes = ask_udp($address, $query, $seconds)) }
    return undef unless defined $bytes;
    my $message = parse($bytes);
    my ($soa) = grep { $_->{type} == 6 } @{ $message->{answer} };
    return $soa && $message->{aa} ? soa_serial($message, $soa) : undef;
}

# ask_udp on a new TCP connection, which is ended after $count messages (1) or when the server closes: a list.
sub ask_tcp {
    my ($address, $bytes, $count, $seconds) = @_;
    my $socket = socket_to($address, SOCK_STREAM) or return;
    $socket->syswrite(frame($bytes));
    my ($buffer, @messages) = ('');
    my $end = time + ($seconds // 5);
    while (@messages < ($count // 1) && time < $end) {
        vec(my $ready = '', fileno $socket, 1) = 1;
        next unless select $ready, undef, undef, 0.5;
        last unless $socket->sysread($buffer, 65536, length $buffer);
        while (length $buffer >= 2 && length $buffer >= 2 + unpack 'n', $buffer) {
            push @messages, unpack 'n/a', $buffer;
            substr $buffer, 0, 2 + length $messages[-1], '';
        }
    }
    return @messages;
}

1;
