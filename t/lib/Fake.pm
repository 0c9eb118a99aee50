package Fake;
# A scriptable primary: UDP and TCP on one port, well behaved unless told otherwise. A test gives what it wants to be
# wrong as a sub; it gets a Fake::Talk, the exchange with one client, and sends records, messages or bytes:
#
#     my $fake = Fake->new(zone => 'example.', key => $key);
#     $fake->serve(serial => 2, axfr => sub {
#         my ($talk) = @_;
#         $talk->send(answer => [ $talk->soa, 'www.example. 300 IN A 192.0.2.1' ]);
#         $talk->close;                       # before the last SOA
#     });
#     ...
#     is($fake->count('AXFR'), 1);
#
# With `tls` (options of IO::Socket::SSL's server) TCP is TLS: a handshake that fails is noted as { tls => reason }. UDP stays what it is, so
# that a test sees who asks without TLS.
# Without subs: SOA probes get the serial, AXFR (and IXFR) the `records` between two SOAs, one message.
# `serve` may be called again, for what comes next; everything that was asked is in `asked`.
use strict;
use warnings;
use Fcntl qw(:flock);
use IO::Socket::IP;
use JSON::PP;
use POSIX qw(_exit);
use Process qw(work_dir free_port wait_for slurp);
use Scalar::Util qw(weaken);
use Socket qw(SOCK_DGRAM SOCK_STREAM SOL_SOCKET SO_LINGER);
use Test::More ();
use Tsig;
use Wire;

my @all;   # a child keeps none of the others' sockets

sub new {
    my ($class, %of) = @_;
    my $self = bless { zone => 'example.', address => '127.0.0.1', serial => 1, %of }, $class;
    $self->{port} = $of{port} // free_port;
    $self->{dir} = work_dir('fake');
    $self->bind;
    weaken($all[@all] = $self);
    return $self;
}

sub bind {
    my ($self) = @_;
    my @at = (LocalHost => $self->{address}, LocalPort => $self->{port});
    $self->{udp} //= IO::Socket::IP->new(@at, Type => SOCK_DGRAM) // die "UDP: $!";
    $self->{tcp} //= IO::Socket::IP->new(@at, Type => SOCK_STREAM, Listen => 64, ReuseAddr => 1) // die "TCP: $!" unless $self->{no_tcp};
}

sub at { my ($self) = @_; return "$self->{address}\@$self->{port}" }

# From now on: serial, records, tls, and the subs soa, axfr, ixfr, connect (before anything is read), notify, other (any other type).
sub serve {
    my ($self, %of) = @_;
    $self->stop;
    $self->bind;
    @$self{qw(soa axfr ixfr connect notify other)} = ();
    $self->{$_} = $of{$_} for keys %of;
    pipe my $hold_read, my $hold or die "pipe: $!";
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        close $hold;
        for my $other (grep { $_ && $_ != $self } @all) { close delete $other->{$_} for grep { $other->{$_} } qw(udp tcp) }
        setpgrp;
        $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP);
        eval { $self->child($hold_read); 1 } or $self->note({ died => "$@" });
        _exit(0);
    }
    @$self{qw(pid hold)} = ($pid, $hold);
    setpgrp $pid, $pid;
    return $self;
}

sub stop {
    my ($self) = @_;
    my $pid = delete $self->{pid} or return;
    kill 'KILL', -$pid;
    waitpid $pid, 0;
    delete $self->{hold};
    my @died = grep { $_->{died} } $self->asked;
    Test::More::diag("the fake primary's script died: $_->{died}") for @died[ ($self->{dead} // 0) .. $#died ];
    $self->{dead} = @died;
}

sub DESTROY {
    my ($self) = @_;
    local ($?, $!, $@);
    $self->stop if $self->{pid};
}

# Nobody is at its address any more: the kernel refuses. (After `stop` alone it is silent.) `serve` brings it back.
sub vanish {
    my ($self) = @_;
    $self->stop;
    close delete $self->{$_} for grep { $self->{$_} } qw(udp tcp);
}

# What was asked so far, in order: { type, transport, name, id, length, serial (IXFR, NOTIFY), tsig (none, NOERROR, BADSIG, ...), from }.
sub asked {
    my ($self) = @_;
    return map { decode_json($_) } split /\n/, slurp("$self->{dir}/asked") // '';
}

# How many questions of a type, over any transport or the given one.
sub count {
    my ($self, $type, $transport) = @_;
    return scalar grep { ($_->{type} // '') eq $type && (!$transport || $_->{transport} eq $transport) } $self->asked;
}

# Until so many queries of a type have come.
sub wait_count {
    my ($self, $type, $count, $seconds) = @_;
    return wait_for(sub { $self->count($type) >= $count }, $seconds);
}

# Sends a NOTIFY from this primary's address and returns the parsed answer, or undef. Fields: zone, serial (in the answer section, or
# undef for none), key (unsigned without; default: this primary's; undef: none), tsig (what is wrong with it), source (another
# address), and those of Wire::message.
sub notify {
    my ($self, $to, %of) = @_;
    my $zone = $of{zone} // $self->{zone};
    my $key = exists $of{key} ? $of{key} : $self->{key};
    my $serial = exists $of{serial} ? $of{serial} : $self->{serial};
    my @soa = defined $serial ? Wire::raw_rr(owner => $zone, type => 'SOA', rdata => Wire::soa_rdata($zone, $serial)) : ();
    my $message = Wire::message(opcode => 4, aa => 1, question => Wire::question($zone, 'SOA'), answer => \@soa, %of);
    $message = Tsig->new($key)->sign($message, %{ $of{tsig} // {} }) if $key;
    my ($host, $port) = $to =~ /^(.*)@(\d+)$/;
    my $socket = IO::Socket::IP->new(PeerHost => $host, PeerPort => $port, Type => SOCK_DGRAM,
        $host =~ /:/ ? () : (LocalHost => $of{source} // $self->{address})) or die "UDP: $!";
    $socket->send($message);
    return 1 if $of{no_wait};
    vec(my $ready = '', fileno $socket, 1) = 1;
    return undef unless select $ready, undef, undef, $of{seconds} // 3;
    my $answer;
    return defined $socket->recv($answer, 65535) ? Wire::parse($answer) : undef;
}

# --- the child --------------------------------------------------------------------

sub child {
    my ($self, $hold) = @_;
    $SIG{CHLD} = 'IGNORE';
    my @sockets = grep { defined } @$self{qw(udp tcp)};
    while (1) {
        my $read = '';
        vec($read, fileno $_, 1) = 1 for $hold, @sockets;
        next unless select($read, undef, undef, undef) > 0;
        if (vec $read, fileno $hold, 1) { kill 'KILL', -$$ }
        $self->from_udp if vec $read, fileno $self->{udp}, 1;
        $self->from_tcp if $self->{tcp} && vec $read, fileno $self->{tcp}, 1;
    }
}

sub from_udp {
    my ($self) = @_;
    my $bytes;
    my $peer = $self->{udp}->recv($bytes, 65535) // return;
    $self->handle(Fake::Talk->new($self, $self->{udp}, $peer), $bytes);
}

sub from_tcp {
    my ($self) = @_;
    my $socket = $self->{tcp}->accept or return;
    my $pid = fork // return;
    return close $socket if $pid;
    eval {
        $socket = $self->secure($socket) or _exit(0);
        my $talk = Fake::Talk->new($self, $socket);
        $self->{connect}->($talk) if $self->{connect};
        while (!$talk->{closed} && defined(my $bytes = $talk->read_message)) {
            $self->handle($talk, $bytes);
        }
        1;
    } or $self->note({ died => "$@" });
    _exit(0);
}

# The socket, over TLS where that is wanted; undef if there was no handshake.
sub secure {
    my ($self, $socket) = @_;
    return $socket unless $self->{tls};
    require IO::Socket::SSL;
    return $socket if IO::Socket::SSL->start_SSL($socket, SSL_server => 1, SSL_alpn_protocols => ['dot'], %{ $self->{tls} });
    no warnings 'once';
    $self->note({ tls => "$IO::Socket::SSL::SSL_ERROR" });
    local $SIG{ALRM} = sub { _exit(0) };
    alarm 5;
    CORE::shutdown($socket, 1) && eval { 1 while CORE::sysread $socket, my $ignored, 4096 };   # no reset, which would take the place of the alert
    return undef;
}

my %type_name = (6 => 'SOA', 251 => 'IXFR', 252 => 'AXFR');

sub handle {
    my ($self, $talk, $bytes) = @_;
    my $query = Wire::parse($bytes);
    my $question = $query->{questions}[0] // { name => '', type => 0 };
    my $type = $query->{opcode} == 4 ? 'NOTIFY' : $type_name{ $question->{type} } // "TYPE$question->{type}";
    my ($old) = grep { $_->{type} == 6 } map { @$_ } @$query{qw(authority answer)};
    my $tsig = 'none';
    my $signer;
    if ($self->{key} and my $sent = Tsig::of_message($query)) {
        $tsig = Tsig->new($self->{key})->verify($query);
        $signer = Tsig->new($self->{key}, request_mac => $sent->{mac});
    }
    my %asked = (type => $type, transport => $talk->{peer} ? 'UDP' : $self->{tls} ? 'TLS' : 'TCP', name => $question->{name},
        id => $query->{id}, tsig => $tsig,
        from => $talk->from, $old ? (serial => Wire::soa_serial($query, $old)) : (), length => length $bytes,
            edns => scalar(grep { $_->{type} == 41 } @{ $query->{additional} }));
    @$talk{qw(query signer asked)} = ($query, $signer, \%asked);
    $talk->{nth} = $self->note(\%asked);
    my $own = $self->{ { SOA => 'soa', AXFR => 'axfr', IXFR => 'ixfr', NOTIFY => 'notify' }->{$type} // 'other' };
    return $own->($talk) if $own;
    return $talk->send(answer => [ $talk->soa ]) if $type eq 'SOA';
    return $talk->send if $type eq 'NOTIFY';
    return $self->{axfr}->($talk) if $type eq 'IXFR' && $self->{axfr};
    return $talk->send(answer => [ $talk->soa, @{ $self->{records} // [] }, $talk->soa ]) if $type =~ /XFR/;
    $talk->send(rcode => 5);
}

# Notes what was asked; the number of questions of this type so far. One that is `forgetful` notes nothing: it is for thousands of questions.
sub note {
    my ($self, $what) = @_;
    return 1 if $self->{forgetful} && !$what->{died};
    open my $file, '+>>', "$self->{dir}/asked" or die "asked: $!";
    flock $file, LOCK_EX;
    seek $file, 0, 0;
    my $same = defined $what->{type} ? qr/"type":"\Q$what->{type}\E"/ : qr/(?!)/;
    my $nth = 1 + grep { $_ =~ $same } <$file>;
    print $file encode_json($what), "\n";
    close $file;
    return $nth;
}

package Fake::Talk;
# One client's exchange: `query` (parsed), `nth` (queries of this type so far, this one counted), `asked`.
use Socket qw(SOL_SOCKET SO_LINGER);
use Time::HiRes ();

sub new {
    my ($class, $fake, $socket, $peer) = @_;
    return bless { fake => $fake, socket => $socket, peer => $peer, buffer => '' }, $class;
}

sub nth { my ($self) = @_; return $self->{nth} }
sub query { my ($self) = @_; return $self->{query} }
sub serial { my ($self) = @_; return $self->{asked}{serial} }

sub from {
    my ($self) = @_;
    my $peer = $self->{peer} // $self->{socket}->peername // return '';
    my ($failed, $host, $port) = Socket::getnameinfo($peer, Socket::NI_NUMERICHOST() | Socket::NI_NUMERICSERV());
    return $failed ? '' : "$host\@$port";
}

# The zone's SOA as a record, with this serial (the served one), times, or owner.
sub soa {
    my ($self, $serial, %of) = @_;
    my $fake = $self->{fake};
    return Wire::raw_rr(owner => $of{owner} // $fake->{zone}, type => 'SOA', ttl => $of{ttl} // 300,
        rdata => Wire::soa_rdata($fake->{zone}, $serial // $fake->{serial}, @{ $of{times} // $fake->{times} // [] }));
}

# An answer to the query as bytes, not signed: Wire::message's fields, with the query's id and question, QR and AA unless given.
sub message {
    my ($self, %of) = @_;
    my $query = $self->{query};
    return Wire::message(id => $query->{id}, qr => 1, aa => 1, opcode => $query->{opcode}, question => $query->{question_bytes}, %of);
}

# Signs the next message of the sequence: Tsig's fields say what is to be wrong.
sub sign {
    my ($self, $message, %of) = @_;
    die "the query was not signed with the fake primary's key" unless $self->{signer};
    return $self->{signer}->sign($message, %of);
}

# Makes an answer and sends it, signed if the query was (sign => 0: unsigned, part of the sequence; tsig => {...}: signed, but wrong).
sub send {
    my ($self, %of) = @_;
    my ($sign, $tsig) = (delete $of{sign} // 1, delete $of{tsig} // {});
    my $message = $self->message(%of);
    $message = $sign ? $self->{signer}->sign($message, %$tsig) : $self->{signer}->skip($message) if $self->{signer};
    return $self->send_message($message);
}

# Sends a whole message as it is.
sub send_message {
    my ($self, $message) = @_;
    return $self->{socket}->send($message, 0, $self->{peer}) if $self->{peer};
    return $self->bytes(Wire::frame($message));
}

# Writes bytes to the TCP stream; false once the client has gone.
sub bytes {
    my ($self, $bytes) = @_;
    while (length $bytes) {
        my $sent = $self->{socket}->syswrite($bytes) or return 0;
        substr $bytes, 0, $sent, '';
    }
    return 1;
}

sub pause {
    my ($self, $seconds) = @_;
    Time::HiRes::sleep($seconds);
}

# Waits until the client closes (or, at most, so many seconds): for a primary that stalls.
sub wait_close {
    my ($self, $seconds) = @_;
    my $end = Time::HiRes::time() + ($seconds // 60);
    while ((my $left = $end - Time::HiRes::time()) > 0) {
        vec(my $ready = '', fileno $self->{socket}, 1) = 1;
        next unless select $ready, undef, undef, $left;
        last unless $self->{socket}->sysread(my $ignored, 65536);
    }
    $self->close;
}

sub close {
    my ($self) = @_;
    $self->{closed} = 1;
    $self->{socket}->close;
}

# Closes with a reset.
sub reset {
    my ($self) = @_;
    setsockopt $self->{socket}, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0);
    $self->close;
}

# The next message from the client, or undef when it has closed.
sub read_message {
    my ($self) = @_;
    while (length $self->{buffer} < 2 || length $self->{buffer} < 2 + unpack 'n', $self->{buffer}) {
        $self->{socket}->sysread($self->{buffer}, 65536, length $self->{buffer}) or return undef;
    }
    my $message = unpack 'n/a', $self->{buffer};
    substr $self->{buffer}, 0, 2 + length $message, '';
    return $message;
}

1;
