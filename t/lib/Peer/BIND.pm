package Peer::BIND;
# BIND: keeps the differences between the zone files that it reads in its journal (ixfr-from-differences).
use strict;
use warnings;
use parent -norequire, 'Peer';
use Process qw(find_program spew free_port);
use Tsig;

sub command { my ($self) = @_; return (find_program('named'), '-g', '-n', 1, '-c', "$self->{dir}/named.conf") }

sub configure {
    my ($self) = @_;
    my $dir = $self->{dir};
    $self->{control_port} = free_port;
    my $control = Tsig::key(name => 'rndc-key');
    my @keys = map { "key \"$_->{name}\" { algorithm $_->{algorithm}; secret \"$_->{secret}\"; };" } $control, $self->keys;
    spew("$dir/rndc.conf", "$keys[0]\noptions { default-key \"rndc-key\"; default-server 127.0.0.1; default-port $self->{control_port}; };\n");
    push @keys, map { my $t = $_->{tls}; $t ? "tls \"tls-$_->{name}\" { ca-file \"$t->{ca}\"; remote-hostname \"$t->{auth_name}\"; "
        . ($t->{key} ? "cert-file \"$t->{cert}\"; key-file \"$t->{key}\"; " : '') . '};' : () } @{ $self->{zones} };
    push @keys, $self->tls_text if $self->{tls};
    my @zones = map { $self->zone_text($_) } @{ $self->{zones} };
    my $minimal = $self->{minimal} ? 'yes' : 'no';
    spew("$dir/named.conf", join "\n", @keys, "controls { inet 127.0.0.1 port $self->{control_port} allow { 127.0.0.1; } keys { \"rndc-key\"; }; };",
        <<"END", @zones, '');
options {
  directory "$dir"; pid-file none; session-keyfile none; lock-file none; managed-keys-directory "$dir";
  listen-on port $self->{port} { @{[ map { "$_;" } grep { !/:/ } @{ $self->{addresses} } ]} };
  listen-on-v6 port $self->{port} { @{[ map { "$_;" } (grep { /:/ } @{ $self->{addresses} }), 'none' ]} };
  @{[ $self->{tls} ? "listen-on port $self->{tls_port} tls \"own\" { $self->{address}; };" : '' ]}
  recursion no; dnssec-validation no; empty-zones-enable no; notify explicit; notify-delay 0; minimal-responses $minimal;
  allow-transfer { none; }; ixfr-from-differences yes; masterfile-format text; masterfile-style full;
  notify-source $self->{address}; transfer-source $self->{address}; check-names primary ignore; check-names secondary ignore;
  @{[ $self->{options} // '' ]}
  serial-query-rate 1000; notify-rate 1000; startup-notify-rate 1000; check-integrity no; check-mx ignore; check-sibling no; max-ixfr-ratio unlimited; max-journal-size unlimited;
};
END
}

# What it shows, and whose certificates its clients must show.
sub tls_text {
    my ($self) = @_;
    my $tls = $self->{tls};
    $self->{tls_port} //= free_port;
    return "tls \"own\" { cert-file \"$tls->{cert}\"; key-file \"$tls->{key}\"; protocols { TLSv1.3; }; "
        . ($tls->{clients} ? "ca-file \"$tls->{clients}\"; " : '') . '};';
}

sub zone_text {
    my ($self, $zone) = @_;
    my $with_key = sub { my ($at, $key) = @_; my ($host, $port) = $self->split_at($at); return "$host port $port"
        . ($key ? " key \"$key->{name}\"" : '') };
    my $file = $self->zone_file($zone->{name});
    my $key = $zone->{open} ? 'any' : $zone->{key} ? "key \"$zone->{key}{name}\"" : join '; ', @{ $self->{peers} };
    my @lines = ($zone->{primaries} ? 'type secondary' : 'type primary', "file \"$file\"", "allow-transfer { $key; }");
    $lines[2] = "allow-transfer port $self->{tls_port} transport tls { $key; }" if $self->{tls};
    push @lines, 'primaries { ' . join(' ',
        map { $with_key->($_, $zone->{key}) . ($zone->{tls} ? " tls \"tls-$zone->{name}\";" : ';') } @{ $zone->{primaries} })
        . ' }' if $zone->{primaries};
    push @lines, 'allow-notify { ' . join('', map { "$_; " } @{ $self->{peers} }) . '}' if $zone->{primaries};
    push @lines, 'also-notify { ' . join(' ', map { $with_key->($_, $self->notify_key($zone)) . ';' } @{ $zone->{notify} }) . ' }' if $zone->{notify};
    return "zone \"$zone->{name}\" {\n" . join('', map { "  $_;\n" } @lines) . '};';
}

sub control { my ($self, @verb) = @_; return $self->run(find_program('rndc'), '-c', "$self->{dir}/rndc.conf", @verb) }
sub reload { my ($self, $name) = @_; $self->control('reload', $name) }
sub notify { my ($self, $name) = @_; $self->control('notify', $name) }
sub refresh { my ($self, $name) = @_; $self->control('refresh', $name) }

1;
