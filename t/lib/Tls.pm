package Tls;
# Certificates made with the openssl command, and clients of DNS over TLS.
#
#     my $ca = Tls::authority('clients');
#     my $cert = Tls::certificate('ns.example', $ca);            # { name, cert, key, ca }: paths
#     my $client = Tls::connect($lockstep->{tls_port}, SSL_ca_file => $ca->{cert}, SSL_hostname => 'ns.example');
#     $client->ask(Wire::message(...))                           # undef at its end
use strict;
use warnings;
use IO::Socket::IP;
use Process qw(work_dir run_command);
use Socket qw(SOCK_STREAM);
use Wire;

sub have { return eval { require IO::Socket::SSL; 1 } && (run_command('openssl', 'version'))[0] == 0 }

sub openssl {
    my ($status, $out, $said) = run_command('openssl', @_);
    die "openssl @_: $said" if $status;
    return $out;
}

my @new_key = ('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes');

# One that signs others, and itself.
sub authority {
    my ($name) = @_;
    my $base = work_dir('authority') . '/ca';
    openssl('req', '-x509', @new_key, '-keyout', "$base.key", '-out', "$base.pem", '-subj', "/CN=$name", '-days', 10);
    return { name => $name, cert => "$base.pem", key => "$base.key" };
}

# Options: days, from => the certificate whose key is used again.
sub certificate {
    my ($name, $by, %of) = @_;
    my $base = work_dir('certificate') . '/own';
    Process::spew("$base.ext", "subjectAltName = DNS:$name\n");
    openssl('req', $of{from} ? ('-new', '-key', $of{from}{key}) : (@new_key, '-keyout', "$base.key"), '-out', "$base.csr", '-subj', "/CN=$name");
    openssl('x509', '-req', '-in', "$base.csr", '-CA', $by->{cert}, '-CAkey', $by->{key}, '-CAcreateserial', '-days', $of{days} // 10,
        '-extfile', "$base.ext", '-out', "$base.pem");
    chmod 0600, "$base.key";
    return { name => $name, cert => "$base.pem", key => $of{from} ? $of{from}{key} : "$base.key", ca => $by->{cert} };
}

sub fingerprint { my ($cert) = @_; return (openssl('x509', '-in', $cert->{cert}, '-noout', '-fingerprint', '-sha256') =~ /=(.*)/)[0] =~ s/://gr }

# A client; undef (and $IO::Socket::SSL::SSL_ERROR) where there is no handshake. ALPN is "dot" unless it is given.
sub connect {
    my ($port, %of) = @_;
    require IO::Socket::SSL;
    my $host = delete $of{host} // '127.0.0.1';
    my $socket = IO::Socket::SSL->new(PeerHost => $host, PeerPort => $port, Timeout => 5, SSL_verify_mode => $of{SSL_ca_file} ? 1 : 0,
        SSL_verifycn_scheme => 'http', SSL_alpn_protocols => ['dot'], %of) or return undef;
    return bless { socket => $socket, buffer => '' }, 'Tls::Client';
}

sub error { no warnings 'once'; return "$IO::Socket::SSL::SSL_ERROR" }

package Tls::Client;

sub send { my ($self, @messages) = @_; return $self->{socket}->syswrite(join '', map { Wire::frame($_) } @messages) }

# The next message; undef at the end, or after so many seconds.
sub receive {
    my ($self, $seconds) = @_;
    my $end = time + ($seconds // 5);
    until (length $self->{buffer} >= 2 && length $self->{buffer} >= 2 + unpack 'n', $self->{buffer}) {
        if (!$self->{socket}->pending) {
            vec(my $ready = '', fileno $self->{socket}, 1) = 1;
            my $left = $end - time;
            return undef if $left < 0 || !select $ready, undef, undef, $left;
        }
        return undef unless $self->{socket}->sysread($self->{buffer}, 65536, length $self->{buffer});
    }
    my $message = unpack 'n/a', $self->{buffer};
    substr $self->{buffer}, 0, 2 + length $message, '';
    return $message;
}

sub ask { my ($self, $message) = @_; return $self->send($message) ? $self->receive : undef }

# The rcode of one answer, and the records of all messages up to the second SOA: of a transfer.
sub transfer {
    my ($self, $zone, %of) = @_;
    my ($count, $soas) = (0, 0);
    my @authority = defined $of{serial}
        ? (authority => [ Wire::raw_rr(owner => $zone, type => 'SOA', rdata => Wire::soa_rdata($zone, $of{serial})) ]) : ();
    $self->send(Wire::message(question => Wire::question($zone, $of{type} // 'AXFR'), @authority));
    while ($soas < 2) {
        my $message = Wire::parse($self->receive // return);
        return $message->{rcode} if $message->{rcode};
        $soas += grep { $_->{type} == 6 } @{ $message->{answer} };
        $count += @{ $message->{answer} };
    }
    return (0, $count);
}

1;
