package Peer::NSD;
# NSD: keeps differences between the zone files that it reads (create-ixfr), as a primary.
use strict;
use warnings;
use parent -norequire, 'Peer';
use Process qw(find_program spew);

sub command { my ($self) = @_; return (find_program('nsd'), '-d', '-c', "$self->{dir}/nsd.conf") }

sub configure {
    my ($self) = @_;
    my $dir = $self->{dir};
    my $minimal = $self->{minimal} ? 'yes' : 'no';
    my $text = <<"END";
server:
@{[ join "\n", map { "  ip-address: $_\@$self->{port}" } @{ $self->{addresses} } ]}
  username: ""
  chroot: ""
  zonesdir: "$dir"
  database: ""
  pidfile: "$dir/nsd.pid"
  xfrdfile: "$dir/xfrd.state"
  xfrdir: "$dir"
  zonelistfile: "$dir/zone.list"
  cookie-secret-file: "$dir/cookies"
  server-count: 1
  rrl-ratelimit: 0
  rrl-whitelist-ratelimit: 0
  xfrd-reload-timeout: 0
  minimal-responses: $minimal
  verbosity: 2
remote-control:
  control-enable: yes
  control-interface: "$dir/nsd.ctl"
END
    $text .= qq{key:\n  name: "$_->{name}"\n  algorithm: $_->{algorithm}\n  secret: "$_->{secret}"\n} for $self->keys;
    for my $zone (grep { $_->{tls} } @{ $self->{zones} }) {
        my $tls = $zone->{tls};
        $text =~ s/^server:\n/server:\n  tls-cert-bundle: "$tls->{ca}"\n/ unless $text =~ /tls-cert-bundle/;
        $text .= qq{tls-auth:\n  name: "tls-$zone->{name}"\n  auth-domain-name: "$tls->{auth_name}"\n};
        $text .= qq{  client-cert: "$tls->{cert}"\n  client-key: "$tls->{key}"\n} if $tls->{key};
    }
    $text .= $self->zone_text($_) for @{ $self->{zones} };
    spew("$dir/nsd.conf", $text);
}

sub zone_text {
    my ($self, $zone) = @_;
    my $key = $zone->{key} ? $zone->{key}{name} : 'NOKEY';
    my $notify_key = $self->notify_key($zone) ? $key : 'NOKEY';
    my $file = $self->zone_file($zone->{name});
    my @lines = ("name: \"$zone->{name}\"", "zonefile: \"$file\"", $zone->{open} ? ('provide-xfr: 0.0.0.0/0 NOKEY', 'provide-xfr: ::/0 NOKEY')
        : map { "provide-xfr: $_ $key" } @{ $self->{peers} });
    push @lines, "notify: $_ $notify_key", 'notify-retry: 5' for @{ $zone->{notify} // [] };
    push @lines, "store-ixfr: yes", "create-ixfr: yes", "ixfr-size: 100000000";
    for my $at (@{ $zone->{primaries} // [] }) {
        push @lines, "request-xfr: $at $key" . ($zone->{tls} ? " tls-$zone->{name}" : ''),
            map { "allow-notify: $_ $notify_key" } ($self->split_at($at))[0], @{ $self->{peers} };
    }
    return "zone:\n" . join '', map { "  $_\n" } @lines;
}

sub control { my ($self, @verb) = @_; return $self->run(find_program('nsd-control'), '-c', "$self->{dir}/nsd.conf", @verb) }
sub reload { my ($self, $name) = @_; $self->control('reload', $name) }
sub notify { my ($self, $name) = @_; $self->control('notify', $name) }
sub refresh { my ($self, $name) = @_; $self->control('transfer', $name) }

1;
