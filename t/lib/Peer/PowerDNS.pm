package Peer::PowerDNS;
# PowerDNS with its SQLite backend, as a primary. It gives the whole zone when asked for an IXFR, and signs NOTIFY
# with the key by which it would itself ask for a transfer.
use strict;
use warnings;
use parent -norequire, 'Peer';
use Process qw(find_program slurp spew);

my $schema = '/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql';

sub command { my ($self) = @_; return (find_program('pdns_server'), "--config-dir=$self->{dir}", '--guardian=no', '--daemon=no') }

sub configure {
    my ($self) = @_;
    my $dir = $self->{dir};
    spew("$dir/pdns.conf", <<"END");
launch=gsqlite3
gsqlite3-database=$dir/pdns.db
gsqlite3-dnssec=yes
socket-dir=$dir
local-address=$self->{address}
local-port=$self->{port}
primary=yes
@{[ $self->{settings} // 'secondary=no' ]}
allow-axfr-ips=127.0.0.0/8,::1
only-notify=
query-local-address=$self->{address}
cache-ttl=0
query-cache-ttl=0
negquery-cache-ttl=0
zone-cache-refresh-interval=0
receiver-threads=1
retrieval-threads=1
distributor-threads=1
zone-metadata-cache-ttl=0
END
    $self->run('sqlite3', "$dir/pdns.db", ".read $schema");
    $self->util('import-tsig-key', @$_{qw(name algorithm secret)}) for $self->keys;
    for my $zone (@{ $self->{zones} }) {
        my ($name, $signed) = ($zone->{name}, 0);
        my $text = slurp($self->zone_file($name));
        if ($text =~ /\sRRSIG\s/) {         # it makes the NSEC records itself, beside those that it is given
            spew($self->zone_file($name), $text =~ s/^\S+\s+\d+\s+IN\s+NSEC\s.*\n//mgr);
            $signed = 1;
        }
        $self->util('load-zone', $name, $self->zone_file($name));
        $self->util($_, $name) for $signed ? qw(rectify-zone set-presigned) : ();
        $self->util('set-kind', $name, 'primary');
        $self->util('set-meta', $name, $_, $zone->{key}{name}) for $zone->{key} ? qw(TSIG-ALLOW-AXFR AXFR-MASTER-TSIG) : ();
        $self->util('set-meta', $name, 'ALSO-NOTIFY', map { join ':', $self->split_at($_) } @{ $zone->{notify} }) if $zone->{notify};
    }
}

sub util { my ($self, @verb) = @_; return $self->run(find_program('pdnsutil'), "--config-dir=$self->{dir}", @verb) }
sub control { my ($self, @verb) = @_; return $self->run(find_program('pdns_control'), "--socket-dir=$self->{dir}", @verb) }
sub notify { my ($self, $name) = @_; $self->control('notify', $name) }

# It has no zone files of its own to read: the text goes into its database; it tells the secondaries when it is told to.
sub reload {
    my ($self, $name) = @_;
    $self->util('load-zone', $name, $self->zone_file($name));
    $self->control('purge', "$name\$");
    $self->notify($name) if $self->zone($name)->{notify};
}

1;
