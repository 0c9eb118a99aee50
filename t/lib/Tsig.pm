package Tsig;
# TSIG (RFC 8945) for the fake primary and the tests: signs a sequence of messages and verifies one, on its own,
# so that the program's own TSIG is held against something else. Every field can be made wrong.
use strict;
use warnings;
use Digest::HMAC_MD5 qw(hmac_md5);
use Digest::SHA qw(hmac_sha1 hmac_sha224 hmac_sha256 hmac_sha384 hmac_sha512);
use MIME::Base64 qw(decode_base64 encode_base64);
use Wire qw(name parse raw_rr rr_bytes);

my %hmac = (
    'hmac-md5' => \&hmac_md5, 'hmac-sha1' => \&hmac_sha1, 'hmac-sha224' => \&hmac_sha224, 'hmac-sha256' => \&hmac_sha256,
    'hmac-sha384' => \&hmac_sha384, 'hmac-sha512' => \&hmac_sha512,
);
my %wire_name = (map({ $_ => $_ } keys %hmac), 'hmac-md5' => 'hmac-md5.sig-alg.reg.int');

sub algorithms { return sort keys %hmac }

# A key as the configurations of all servers want it: name, algorithm, secret (base64).
sub key {
    my (%of) = @_;
    my $secret = $of{secret} // encode_base64(join('', map { chr int rand 256 } 1 .. 32), '');
    return { name => $of{name} // 'xfr.example', algorithm => $of{algorithm} // 'hmac-sha256', secret => $secret };
}

# One exchange's side that sends. request_mac: of the request, for those that answer.
sub new {
    my ($class, $key, %of) = @_;
    return bless { key => $key, mac => $of{request_mac}, first => 1, unsigned => '' }, $class;
}

# A message that goes out unsigned between signed ones.
sub skip {
    my ($self, $message) = @_;
    $self->{unsigned} .= $message;
    return $message;
}

# The TSIG record for a message, as a reference to its bytes. What may be made wrong: time, fudge, error, other, name, algorithm,
# secret, original_id, mac (bytes), mac_length (cut to), class, ttl.
sub record {
    my ($self, $message, %of) = @_;
    my $key = $self->{key};
    my $algorithm = $of{algorithm} // $wire_name{ $key->{algorithm} };
    my $owner = lc name($of{name} // $key->{name});
    my $time = pack 'n N n', ($of{time} // time) >> 32, ($of{time} // time) & 0xffffffff, $of{fudge} // 300;
    my $end = pack('n', $of{error} // 0) . pack('n/a', $of{other} // '');
    my $original_id = pack 'n', $of{original_id} // unpack 'n', $message;
    my $digest = (defined $self->{mac} ? pack('n/a', $self->{mac}) : '') . $self->{unsigned} . $original_id . substr $message, 2;
    $digest .= $self->{first} ? $owner . pack('n N', 255, 0) . name($algorithm) . $time . $end : $time;
    my $mac = $of{mac} // $hmac{ $key->{algorithm} }->($digest, decode_base64($of{secret} // $key->{secret}));
    @$self{qw(mac first unsigned)} = ($mac, 0, '');
    $mac = substr $mac, 0, $of{mac_length} if defined $of{mac_length};
    return raw_rr(owner_wire => $owner, type => 'TSIG', class => $of{class} // 255, ttl => $of{ttl} // 0,
        rdata => name($algorithm) . $time . pack('n/a', $mac) . $original_id . $end);
}

# A signed message.
sub sign {
    my ($self, $message, %of) = @_;
    my $record = $self->record($message, %of);
    substr($message, 10, 2) = pack 'n', 1 + unpack 'n', substr $message, 10, 2;
    return $message . rr_bytes($record);
}

# Of a parsed message: its TSIG in parts, or undef.
sub of_message {
    my ($message) = @_;
    my $record = $message->{additional}[-1] or return undef;
    return undef unless $record->{type} == 250;
    my ($algorithm, $at) = Wire::read_name($record->{rdata}, 0);
    my ($high, $low, $fudge, $mac, $id, $error, $other) = unpack 'n N n n/a n n n/a', substr $record->{rdata}, $at;
    return { owner => $record->{owner}, algorithm => $algorithm, time => $high << 32 | $low, fudge => $fudge, mac => $mac,
        original_id => $id, error => $error, other => $other, start => $record->{start} };
}

# Holds a parsed message against what this side would have signed: 'NOERROR', 'BADKEY', 'BADSIG', 'BADTIME' or 'none'
# (no TSIG). The sequence goes on from its MAC. For answers the object is made with the request's MAC.
sub verify {
    my ($self, $message) = @_;
    my $tsig = of_message($message) or return 'none';
    my $key = $self->{key};
    my $owner = $key->{name} =~ s/\.?$/./r;
    return 'BADKEY' unless $tsig->{owner} eq lc $owner && $tsig->{algorithm} eq "$wire_name{ $key->{algorithm} }.";
    my $bare = substr $message->{bytes}, 0, $tsig->{start};
    substr($bare, 0, 2) = pack 'n', $tsig->{original_id};
    substr($bare, 10, 2) = pack 'n', $message->{counts}[3] - 1;
    $self->record($bare, time => $tsig->{time}, fudge => $tsig->{fudge}, error => $tsig->{error}, other => $tsig->{other});
    my $whole = $self->{mac};
    my $min = length($whole) / 2 > 10 ? length($whole) / 2 : 10;
    return 'BADSIG' unless length $tsig->{mac} >= $min && $tsig->{mac} eq substr $whole, 0, length $tsig->{mac};
    $self->{mac} = $tsig->{mac};
    return abs(time - $tsig->{time}) > $tsig->{fudge} ? 'BADTIME' : 'NOERROR';
}

1;
