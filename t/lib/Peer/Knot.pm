package Peer::Knot;
# Knot DNS: keeps the differences between the zone files that it reads in its journal.
use strict;
use warnings;
use parent -norequire, 'Peer';
use Process qw(find_program spew);

sub command { my ($self) = @_; return (find_program('knotd'), '-c', "$self->{dir}/knot.conf") }

sub configure {
    my ($self) = @_;
    my $dir = $self->{dir};
    mkdir "$dir/run";
    my (@remotes, @zones);
    for my $zone (@{ $self->{zones} }) {
        my (@primaries, @notify);
        push @primaries, $self->remote(\@remotes, $_, $zone->{key}) for @{ $zone->{primaries} // [] };
        push @notify, $self->remote(\@remotes, $_, $self->notify_key($zone)) for @{ $zone->{notify} // [] };
        my $acl = 'transfer' . ($zone->{key} ? "-$zone->{key}{name}" : '');
        push @zones, "  - domain: \"$zone->{name}\"", "    file: \"" . $self->zone_file($zone->{name}) . '"',
            '    acl: [ ' . join(', ', $acl, $zone->{primaries} ? 'notify' . ($self->notify_key($zone) ? "-$zone->{key}{name}" : '') : ()) . ' ]',
            @primaries ? "    master: [ @{[ join ', ', @primaries ]} ]" : $zone->{hidden} ? '    zonefile-load: none'
            : ('    zonefile-load: difference', '    journal-content: changes'),
            (map { "    $_" } @{ $zone->{lines} // [] }), @notify ? "    notify: [ @{[ join ', ', @notify ]} ]" : (),
                '    zonefile-sync: ' . ($zone->{primaries} ? 0 : -1);
    }
    my @keys = map { ("  - id: \"$_->{name}\"", "    algorithm: $_->{algorithm}", "    secret: \"$_->{secret}\"") } $self->keys;
    my @acls = map { $self->acl_lines($_) } undef, $self->keys;
    spew("$dir/knot.conf", join "\n", 'server:', "    rundir: \"$dir/run\"",
        "    listen: [ " . join(", ", map { "$_\@$self->{port}" } @{ $self->{addresses} }) . " ]",
        '    udp-workers: 1', '    tcp-workers: 1', '    background-workers: 1', '    tcp-io-timeout: 20000',
        '    tcp-remote-io-timeout: 20000', 'log:', '  - target: stderr', '    any: info',
        'database:', "    storage: \"$dir\"", '    journal-db-max-size: 500M', @keys ? ('key:', @keys) : (),
        @remotes ? ('remote:', @remotes) : (), 'acl:', @acls,
        @{ $self->{sections} // [] }, 'zone:', @zones, '');
}

sub remote {
    my ($self, $remotes, $at, $key) = @_;
    my $id = 'remote-' . ($at =~ tr/:@./---/r) . ($key ? "-$key->{name}" : '');
    push @$remotes, "  - id: \"$id\"", "    address: $at", $key ? "    key: \"$key->{name}\"" : () unless grep { $_ eq "  - id: \"$id\"" } @$remotes;
    return "\"$id\"";
}

sub acl_lines {
    my ($self, $key) = @_;
    my $suffix = $key ? "-$key->{name}" : '';
    return map { ("  - id: \"$_$suffix\"", '    address: [ ' . join(', ', @{ $self->{peers} }) . ' ]', "    action: $_", $key ? "    key: \"$key->{name}\"" : ()) } qw(transfer notify);
}

sub control {
    my ($self, @verb) = @_;
    return $self->run(find_program('knotc'), '-c', "$self->{dir}/knot.conf", '-b', @verb);
}
sub reload { my ($self, $name) = @_; $self->control('zone-reload', $name) }
sub notify { my ($self, $name) = @_; $self->control('zone-notify', $name) }
sub refresh { my ($self, $name) = @_; $self->control('zone-refresh', $name) }

1;
