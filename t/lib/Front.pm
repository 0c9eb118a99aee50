package Front;
# What stands before a real server and does not pass everything on as it is: a bad firewall, a balancer, an old server. UDP and
# TCP, all addresses of one server. What is asked of a zone that has a fault goes to the fault's sub; all else passes.
#
#     my $front = Front->new(addresses => [ '198.51.100.53', '2001:db8:2::53' ], port => 53, behind => '198.51.100.53@5300');
#     $front->serve('slow.alpha' => sub { my ($talk) = @_; $talk->send($talk->relay, after => 0.7) });
#
# The fault of the name '' is for all others. A sub that sends nothing is silent (over TCP: the connection ends). `serve` may be called again.
use strict;
use warnings;
use IO::Socket::IP;
use POSIX qw(_exit);
use Process ();
use Socket qw(SOCK_DGRAM SOCK_STREAM);
use Time::HiRes qw(time);
use Wire;

sub new {
    my ($class, %of) = @_;
    my $self = bless { port => 53, %of }, $class;
    for my $address (@{ $self->{addresses} }) {
        my @at = (LocalHost => $address, LocalPort => $self->{port}, $address =~ /:/ ? (V6Only => 1) : ());
        $self->{udp}{$address} = IO::Socket::IP->new(@at, Type => SOCK_DGRAM) // die "UDP at $address: $!";
        next if $self->{no_tcp};
        $self->{tcp}{$address} = IO::Socket::IP->new(@at, Type => SOCK_STREAM, Listen => 64, ReuseAddr => 1) // die "TCP at $address: $!";
    }
    return $self;
}

sub serve {
    my ($self, %fault) = @_;
    $self->stop;
    pipe my $hold_read, my $hold or die "pipe: $!";
    my $pid = Process::fork_plain();
    if ($pid == 0) {
        close $hold;
        setpgrp;
        $self->{fault} = \%fault;
        eval { $self->child($hold_read) } or print STDERR "the front died: $@";
        _exit(0);
    }
    @$self{qw(pid hold)} = ($pid, $hold);
    setpgrp $pid, $pid;
    return $self;
}

# Silent from now on: what comes stays in the sockets. `vanish`: the kernel refuses.
sub stop {
    my ($self) = @_;
    my $pid = delete $self->{pid} or return;
    kill 'KILL', -$pid;
    waitpid $pid, 0;
    delete $self->{hold};
}

sub at { my ($self) = @_; return "$self->{addresses}[0]\@$self->{port}" }
sub vanish { my ($self) = @_; $self->stop; delete @$self{qw(udp tcp)} }
sub DESTROY { my ($self) = @_; local ($?, $!, $@); $self->stop }

# --- the child ----------------------------------------------------------------------

sub child {
    my ($self, $hold) = @_;
    $SIG{CHLD} = 'IGNORE';
    $self->{later} = [];
    my %udp = map { fileno($_) => $_ } values %{ $self->{udp} };
    my %tcp = map { fileno($_) => $_ } values %{ $self->{tcp} };
    while (1) {
        my $read = '';
        vec($read, $_, 1) = 1 for fileno $hold, keys %udp, keys %tcp;
        my ($next) = sort { $a <=> $b } map { $_->[0] } @{ $self->{later} };
        select $read, undef, undef, $next ? ($next > time ? $next - time : 0) : undef;
        kill 'KILL', -$$ if vec $read, fileno $hold, 1;
        for (grep { vec $read, $_, 1 } keys %udp) { $self->from_udp($udp{$_}) }
        for (grep { vec $read, $_, 1 } keys %tcp) { $self->from_tcp($tcp{$_}) }
        my @due = grep { $_->[0] <= time } @{ $self->{later} };
        $self->{later} = [ grep { my $one = $_; !grep { $_ == $one } @due } @{ $self->{later} } ];
        $_->[1]->() for @due;
    }
}

sub from_udp {
    my ($self, $socket) = @_;
    my $peer = $socket->recv(my $bytes, 65535) // return;
    $self->handle(Front::Talk->new($self, $socket, $bytes, $peer));
}

sub from_tcp {
    my ($self, $socket) = @_;
    my $client = $socket->accept or return;
    my $pid = fork // return;
    return close $client if $pid;
    my $buffer = '';
    while (1) {
        while (length $buffer < 2 || length $buffer < 2 + unpack 'n', $buffer) {
            sysread $client, $buffer, 65536, length $buffer or _exit(0);
        }
        my $talk = Front::Talk->new($self, $client, unpack 'n/a', $buffer);
        substr $buffer, 0, 2 + length $talk->{bytes}, '';
        $self->handle($talk);
        _exit(0) unless $talk->{sent};
    }
}

sub handle {
    my ($self, $talk) = @_;
    my $name = $talk->query->{questions}[0]{name} =~ s/\.$//r;
    my ($zone) = sort { length $b <=> length $a } grep { $_ eq '' || $name eq $_ || $name =~ /\.\Q$_\E$/ } keys %{ $self->{fault} };
    return $self->{fault}{$zone}->($talk) if defined $zone;
    return $talk->send($talk->relay);
}

package Front::Talk;
# One question and its answers.
use Time::HiRes ();

sub new {
    my ($class, $front, $socket, $bytes, $peer) = @_;
    return bless { front => $front, socket => $socket, bytes => $bytes, peer => $peer, sent => 0 }, $class;
}

sub tcp { my ($self) = @_; return !$self->{peer} }
sub query { my ($self) = @_; return $self->{query} //= Wire::parse($self->{bytes}) }
sub type { my ($self) = @_; return $self->query->{questions}[0]{type} }
sub opt { my ($self) = @_; return (grep { $_->{type} == 41 } @{ $self->query->{additional} })[0] }

# How often this was asked from there, this time counted; a question with EDNS is not the one without.
sub nth {
    my ($self) = @_;
    my $opt = $self->opt;
    return $self->{nth} //= ++$self->{front}{seen}{ join ' ', $self->{peer} // '', $self->query->{question_bytes}, $opt ? $opt->{ttl} : 'plain' };
}

# What the server behind says to the question, or to other bytes; undef if it is silent.
sub relay {
    my ($self, $bytes) = @_;
    $bytes //= $self->{bytes};
    return Wire::ask_udp($self->{front}{behind}, $bytes, 2) unless $self->tcp;
    return (Wire::ask_tcp($self->{front}{behind}, $bytes, 1, 2))[0];
}

# The question again, without its OPT.
sub plain {
    my ($self) = @_;
    my $query = $self->query;
    return Wire::message(id => $query->{id}, rd => $query->{rd}, question => $query->{question_bytes});
}

# Fields of Wire::message, with the query's id and question.
sub message {
    my ($self, %of) = @_;
    my $query = $self->query;
    return Wire::message(id => $query->{id}, qr => 1, rd => $query->{rd}, question => $query->{question_bytes}, %of);
}

# after: seconds; from: another of the front's addresses (UDP).
sub send {
    my ($self, $bytes, %of) = @_;
    return unless defined $bytes;
    $self->{sent}++;
    if ($self->tcp) {
        Time::HiRes::sleep($of{after}) if $of{after};
        return syswrite $self->{socket}, Wire::frame($bytes);
    }
    my $socket = $of{from} ? $self->{front}{udp}{ $of{from} } : $self->{socket};
    my $send = sub { $socket->send($bytes, 0, $self->{peer}) };
    return $send->() unless $of{after};
    push @{ $self->{front}{later} }, [ Time::HiRes::time() + $of{after}, $send ];
}

# An answer with header bits set and cleared.
sub flags {
    my ($self, $bytes, $set, $clear) = @_;
    return undef unless defined $bytes;
    substr $bytes, 2, 2, pack 'n', unpack('n', substr $bytes, 2, 2) & ~($clear // 0) | $set;
    return $bytes;
}

1;
