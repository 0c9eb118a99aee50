package Peer;
# Real name servers (NSD, Knot, BIND, PowerDNS) as the other side of a test: each in a directory of its own, on a free port, as the
# current user.
#
#     my $primary = Peer->new('knot', zones => [ { name => 'example.com', text => $text, key => $key, notify => [ '127.0.0.1@5300' ] } ])->start;
#     my $secondary = Peer->new('nsd', zones => [ { name => 'example.com', key => $key, primaries => [ $primary->at ] } ])->start;
#     $primary->edit('example.com', $text2);          # history is kept, so that IXFR can be given
#     ok($secondary->wait_serial('example.com', 2));
#
# A zone: name; text or file (a primary) or primaries (a secondary); key (Tsig::key: for transfers and NOTIFY); notify (addresses);
# sign_notify => 0 for NOTIFY without the key; tls (Tls::certificate, a client's, with `auth_name`: the primaries are asked over TLS; NSD
# and BIND); hidden: it is not asked for when the server starts. Lines of their own configuration: of a zone, `lines` (Knot); of the server, `options`
# (BIND), `sections` (Knot), `settings` (PowerDNS). Of the server: tls (a certificate, BIND: its zones are given over TLS alone,
# at `tls_at`, with `clients`, a file, to who shows a certificate of these authorities); minimal => 1 for responses without what
# was not asked for; addresses, all that it listens at, the first of them IPv4; peers, networks to which transfers are given and
# whose NOTIFY is heeded, with the key if there is one (127.0.0.0/8 and ::1). A zone that is `open` is given to all.
use strict;
use warnings;
use Dump qw(dig_key at_options);
use File::Copy qw(copy);
use Process qw(work_dir free_port start_process stop_process running wait_for slurp spew run_command find_program);
use Test::More ();
use Wire;

my %program = (nsd => 'nsd', knot => 'knotd', bind => 'named', powerdns => 'pdns_server');
my %package = (nsd => 'Peer::NSD', knot => 'Peer::Knot', bind => 'Peer::BIND', powerdns => 'Peer::PowerDNS');

sub have {
    my ($class, $kind) = @_;
    return defined find_program($program{$kind}) && ($kind ne 'powerdns' || -e '/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql'
        && find_program('sqlite3'));
}

sub new {
    my ($class, $kind, %of) = @_;
    my $package = $package{$kind} or die "no such server: $kind";
    eval "require $package" or die $@;
    my $self = bless { kind => $kind, address => '127.0.0.1', port => $of{port} // free_port, dir => work_dir($kind),
        peers => [ '127.0.0.0/8', '::1' ], %of }, $package;
    $self->{addresses} //= [ $self->{address} ];
    $self->{address} = $self->{addresses}[0];
    $self->{log} = "$self->{dir}/log";
    for my $zone (@{ $self->{zones} }) {
        $zone->{file} = $self->put_file($zone) if !$zone->{primaries};
    }
    return $self;
}

sub at { my ($self) = @_; return "$self->{address}\@$self->{port}" }
sub tls_at { my ($self) = @_; return "$self->{address}\@$self->{tls_port}" }
sub zone_file { my ($self, $name) = @_; return sprintf '%s/%s.zone', $self->{dir}, $name eq '.' ? 'root' : $name }
sub log_text { my ($self) = @_; return slurp($self->{log}) }
sub zone { my ($self, $name) = @_; return (grep { $_->{name} eq $name } @{ $self->{zones} })[0] }

sub put_file {
    my ($self, $zone) = @_;
    my $file = $self->zone_file($zone->{name});
    defined $zone->{text} ? spew($file, $zone->{text}) : copy($zone->{file}, $file) || die "$zone->{file}: $!";
    return $file;
}

# Every key that its zones name, once.
sub keys {
    my ($self) = @_;
    my %by_name = map { $_->{name} => $_ } @{ $self->{keys} // [] }, grep { $_ } map { $_->{key} } @{ $self->{zones} };
    return @by_name{ sort CORE::keys %by_name };
}

sub notify_key { my ($self, $zone) = @_; return $zone->{sign_notify} // 1 ? $zone->{key} : undef }
sub split_at { my ($self, $at) = @_; return $at =~ /^(.*)@(\d+)$/ }

# Starts the server and waits until it answers (for a primary: with every zone).
sub start {
    my ($self) = @_;
    $self->configure;
    return $self->launch;
}

sub launch {
    my ($self) = @_;
    return $self->begin->wait_up;
}

# `launch` in two, for many servers at once.
sub begin {
    my ($self) = @_;
    $self->{pid} = start_process($self->{log}, $self->command);
    return $self;
}

sub wait_up {
    my ($self) = @_;
    my @own = grep { !$_->{primaries} && !$_->{hidden} } @{ $self->{zones} };
    my $up = wait_for(sub { !running($self->{pid}) || $self->answers }, 60) && running($self->{pid});
    for my $zone (@own) {
        $up &&= wait_for(sub { defined $self->serial($zone->{name}) }, 60);
    }
    die "$self->{kind} did not start: " . $self->log_text unless $up;
    return $self;
}

sub answers {
    my ($self) = @_;
    my $zone = @{ $self->{zones} } ? $self->{zones}[0]{name} : '.';
    return defined Wire::ask_udp($self->at, Wire::message(question => Wire::question($zone, 'SOA')), 0.3);
}

# The serial that it answers with, or undef.
sub serial {
    my ($self, $zone) = @_;
    return Wire::served_serial($self->at, $zone);
}

sub wait_serial {
    my ($self, $zone, $serial, $seconds) = @_;
    my $got;
    return 1 if wait_for(sub { $got = $self->serial($zone); defined $got && $got == $serial }, $seconds // 60);
    Test::More::diag("$self->{kind} has serial " . ($got // 'none') . " of $zone, not $serial");
    return 0;
}

# Replaces the zone's text, has the server read it, and waits until it answers with the new serial.
sub edit {
    my ($self, $name, $text, $serial) = @_;
    ($serial) = $text =~ /\sSOA\s+\S+\s+\S+\s+\(?\s*(\d+)/ unless defined $serial;
    spew($self->zone_file($name), $text);
    $self->reload($name);
    $self->wait_serial($name, $serial) or die "$self->{kind} did not take the new text: " . $self->log_text;
}

# Its AXFR as canonical records.
sub dump {
    my ($self, $name) = @_;
    return Dump::dump_axfr($self->at, $name, $self->zone($name)->{key});
}

# The wait status: 0 if it went cleanly.
sub stop {
    my ($self) = @_;
    return stop_process(delete $self->{pid}) if $self->{pid};
}

sub run {
    my ($self, @command) = @_;
    my ($status, $out, $said) = run_command(@command);
    die "@command: $out$said" if $status;
    return $out;
}

1;
