package Internet;
# A small internet in a network namespace of its own: a root, the TLDs alpha (two servers) and beta, four providers with a
# nameserver each, a hidden primary and a resolver that knows the root alone. All of them are real servers, on port 53 of
# addresses that look public, IPv4 and IPv6:
#
#     root              NSD             198.18.0.53      2001:db8:f0::53
#     alpha   a, b      NSD, Knot       198.18.1.53 ...  2001:db8:f1::53 ...
#     beta              NSD             198.18.3.53      2001:db8:f3::53
#     ns1.own.alpha     Lockstep        192.0.2.53       2001:db8:1::53
#     ns1.north.alpha   Knot            203.0.113.53     2001:db8:3::53
#     ns1.west.beta     BIND            198.51.100.53    2001:db8:2::53     behind a Front
#     ns1.south.beta    NSD             198.18.4.53      2001:db8:4::53
#
#     use Internet;                                       # the test starts again, in the namespace
#     my $net = Internet->new(zones => [ { name => 'clean.alpha' }, { name => 'lame.alpha', at => { west => 0 } } ])->start;
#     my $operator = $net->operator(check => { 'lag-warn' => '1s' });
#     my ($status, $out, $said) = $operator->verb('check', '--resolver', $net->resolver->at, 'clean.alpha');
#
# A zone: name; ns (nameservers, the four); ns_ttl, ttl, soa (serial and times); records (zone file lines); glue (those of them
# that the parent has too); signed (options of Signed::sign; key, or a new one); at => { PROVIDER => sub { my ($text, $zone) = @_;
# ... } } where a provider has a text of its own instead of the hidden primary's (0: it has nothing; stale => the text it got from
# a primary that is gone); open => { PROVIDER => 1 } where all may transfer; parent => { ns, ttl, glue, ds } is what the parent
# has, if not the same, and parent_b that of alpha's second server; fault: the Front's sub for west.
use strict;
use warnings;
use Front;
use Lockstep;
use Peer;
use Process qw(wait_for find_program spew work_dir slurp run_command);
use Resolver;
use Signed;
use Test::More ();
use Tsig;
use Wire;

our %provider = (
    own => { kind => 'lockstep', addresses => [ '192.0.2.53', '2001:db8:1::53' ], domain => 'own.alpha' },
    north => { kind => 'knot', addresses => [ '203.0.113.53', '2001:db8:3::53' ], domain => 'north.alpha' },
    west => { kind => 'bind', addresses => [ '198.51.100.53', '2001:db8:2::53' ], port => 5300, domain => 'west.beta' },
    south => { kind => 'nsd', addresses => [ '198.18.4.53', '2001:db8:4::53' ], domain => 'south.beta' },
);
our %tld = (
    a => { kind => 'nsd', zone => 'alpha', addresses => [ '198.18.1.53', '2001:db8:f1::53' ] },
    b => { kind => 'knot', zone => 'alpha', addresses => [ '198.18.2.53', '2001:db8:f2::53' ] },
    c => { kind => 'nsd', zone => 'beta', addresses => [ '198.18.3.53', '2001:db8:f3::53' ] },
);
our @root = ('198.18.0.53', '2001:db8:f0::53');
our @nameservers = map { "ns1.$provider{$_}{domain}" } qw(own north west south);

# Other addresses of the same servers (of west: of the Front), and the names that lead to them, for zones that need them: ns2 has
# both families, ns4 IPv4 alone; ns1.near.beta is ns2.north.alpha.
our %more = (
    own => [ '192.0.2.54', '2001:db8:1::54' ],
    north => [ '203.0.113.54', '2001:db8:3::54' ],
    west => [ '198.51.100.54', '2001:db8:2::54' ],
    south => [ '198.18.4.54', '2001:db8:4::54' ],
);
our @long_names = map { "ns-$_-with-a-name-as-long-as-a-label-may-be-so-that-it-fills-up.own.alpha" } 1 .. 8;
my %special = (own => join '', "alias.own.alpha. 3600 IN CNAME ns2.own.alpha.\n", "text.own.alpha. 3600 IN TXT \"no address\"\n",
    map { address_records($_, @{ $more{own} }) } @long_names);

# --- the namespace ------------------------------------------------------------------

sub namespace { return readlink('/proc/self/ns/net') // '' }

# The test starts once more, in a network namespace of its own; without the right to make one it is skipped.
sub import {
    my $outside = $ENV{LOCKSTEP_OUTSIDE};
    return if defined $outside && $outside ne namespace();
    my ($unshare) = grep { (run_command(@$_, 'true'))[0] == 0 } [ 'unshare', '--net', '--' ],
        [ 'unshare', '--user', '--map-root-user', '--net', '--' ];
    Test::More::plan(skip_all => 'needs a network namespace of its own (root, or user namespaces), and iproute2')
        unless $unshare && find_program('ip');
    $ENV{LOCKSTEP_OUTSIDE} = namespace();
    exec @$unshare, $^X, $0, @ARGV or die "unshare: $!";
}

sub have { return Lockstep::have() && Resolver::have() && Signed::have() && !grep { !Peer->have($_) } qw(nsd knot bind) }

sub add_addresses {
    my (@addresses) = @_;
    my $file = work_dir('addresses') . '/batch';
    spew($file, "link set lo up\n", map { "addr add $_/" . (/:/ ? '128 dev lo nodad' : '32 dev lo') . "\n" } @addresses);
    my ($status, $out, $said) = run_command(find_program('ip'), '-batch', $file);
    die "ip: $said" if $status;
}

# --- the zones' texts ---------------------------------------------------------------

sub address_records {
    my ($name, @addresses) = @_;
    return map { "$name. 3600 IN " . (/:/ ? 'AAAA' : 'A') . " $_\n" } @addresses;
}

sub zone_text {
    my ($zone) = @_;
    my $ttl = $zone->{ttl} // 3600;
    my %soa = (serial => 1, refresh => 14400, retry => 3600, expire => 1209600, minimum => 3600, %{ $zone->{soa} // {} });
    my @ns = map { "$zone->{name}. " . ($zone->{ns_ttl} // $ttl) . " IN NS $_.\n" } @{ $zone->{ns} // \@nameservers };
    my $soa = "$zone->{name}. " . ($soa{ttl} // $ttl) . ' IN SOA ' . ($soa{mname} // 'ns1.own.alpha')
        . ". hostmaster.own.alpha. $soa{serial} $soa{refresh} $soa{retry} $soa{expire} $soa{minimum}\n";
    return join '', $soa, @ns, $zone->{glue} // '', $zone->{records} // "www.$zone->{name}. 3600 IN A 192.0.2.80\n";
}

# What the hidden primary has.
sub primary_text {
    my ($zone) = @_;
    return zone_text($zone) unless $zone->{signed};
    $zone->{key} //= $zone->{signed}{key} // Signed::key($zone->{name});
    return Signed::sign($zone->{name}, zone_text($zone), $zone->{key}, %{ $zone->{signed} });
}

# The delegation of a zone at a server of its parent.
sub delegation {
    my ($zone, $server) = @_;
    my %of = (%{ $zone->{parent} // {} }, $server eq 'b' ? %{ $zone->{parent_b} // {} } : ());
    my $ttl = $of{ttl} // 3600;
    return join '', map({ "$zone->{name}. $ttl IN NS $_.\n" } @{ $of{ns} // $zone->{ns} // \@nameservers }), $of{glue} // $zone->{glue} // '',
        $of{ds} // ($zone->{key} ? $zone->{key}{ds} : '');
}

sub provider_zone {
    my ($name, $domain, @addresses) = @_;
    my ($four, $six) = @{ $more{$name} };
    my $more = join '', address_records("ns2.$domain", $four, $six), address_records("ns4.$domain", $four);
    return { name => $domain, ns => ["ns1.$domain"], glue => join('', address_records("ns1.$domain", @addresses)),
        records => $more . ($special{$name} // ''), only => $name };
}

sub provider_zones {
    return map({ provider_zone($_, $provider{$_}{domain}, @{ $provider{$_}{addresses} }) } sort keys %provider),
        provider_zone('north', 'near.beta', @{ $more{north} });
}

sub tld_text {
    my ($self, $server) = @_;
    my $tld = $tld{$server}{zone};
    my @ns = grep { $tld{$_}{zone} eq $tld } sort keys %tld;
    return join '', zone_text({ name => $tld, ttl => 86400, soa => { mname => "$ns[0].nic.$tld" }, ns => [ map { "$_.nic.$tld" } @ns ], records => '' }),
        map({ address_records("$_.nic.$tld", @{ $tld{$_}{addresses} }) } @ns),
        map { delegation($_, $server) } grep { $_->{name} =~ /^[^.]+\.\Q$tld\E$/ } @{ $self->{zones} };
}

sub root_text {
    return join '', ". 86400 IN SOA root.servers. hostmaster.servers. 1 14400 3600 1209600 3600\n",
        ". 86400 IN NS root.servers.\n", address_records('root.servers', @root),
        map { my $s = $_; ("$tld{$s}{zone}. 86400 IN NS $s.nic.$tld{$s}{zone}.\n", address_records("$s.nic.$tld{$s}{zone}", @{ $tld{$s}{addresses} })) } sort keys %tld;
}

# --- the servers --------------------------------------------------------------------

my @anyone = ('0.0.0.0/0', '::/0');

sub new {
    my ($class, %of) = @_;
    my $self = bless { zones => [], %of }, $class;
    $self->{zones} = [ provider_zones(), @{ $self->{zones} } ];
    add_addresses(@root, map({ @{ $_->{addresses} } } values %provider, values %tld), map { @$_ } values %more);
    $self->{key} = Tsig::key(name => 'transfers.own.alpha');
    my @own = grep { !$_->{only} } @{ $self->{zones} };
    $_->{text} = primary_text($_) for @{ $self->{zones} };
    $self->{hidden} = Peer->new('nsd', peers => \@anyone,
        zones => [ map { { name => $_->{name}, text => $_->{text}, key => $self->{key}, notify => $self->told_of($_) } } @own ]);
    $self->{root} = Peer->new('nsd', addresses => \@root, port => 53, zones => [ { name => '.', text => root_text() } ]);
    for my $server (keys %tld) {
        my $of = $tld{$server};
        $self->{$server} = Peer->new($of->{kind}, addresses => $of->{addresses}, port => 53,
            zones => [ { name => $of->{zone}, text => $self->tld_text($server) } ]);
    }
    $self->{$_} = $self->make_provider($_) for keys %provider;
    return $self;
}

# Who gets NOTIFY: those that follow the primary, if the zone is one that will change.
sub told_of {
    my ($self, $zone) = @_;
    return [] unless $zone->{moves};
    return [ map { "$provider{$_}{addresses}[0]@" . ($provider{$_}{port} // 53) } grep { !exists $zone->{at}{$_} } sort keys %provider ];
}

# The zones of a provider: { name, text } where it has its own, { name, primaries } where it follows.
sub zones_of {
    my ($self, $provider) = @_;
    my @zones;
    for my $zone (grep { ($_->{only} // $provider) eq $provider } @{ $self->{zones} }) {
        my $at = $zone->{at}{$provider};
        next if exists $zone->{at}{$provider} && !$at;
        my %has = (name => $zone->{name}, key => $self->{key}, open => $zone->{open}{$provider});
        if (ref $at eq 'HASH') { push @zones, { %has, primaries => ['127.0.0.1@1'], stale => $at->{stale} } }
        elsif ($at || $zone->{only}) { push @zones, { %has, text => $at ? $at->($zone->{text}, $zone) : $zone->{text} } }
        else { push @zones, { %has, primaries => [ $self->{hidden}->at ] } }
    }
    return @zones;
}

sub make_provider {
    my ($self, $name) = @_;
    my $of = $provider{$name};
    my @addresses = (@{ $of->{addresses} }, @{ $more{$name} });
    my @zones = $self->zones_of($name);
    if ($of->{kind} ne 'lockstep') {
        my $peer = Peer->new($of->{kind}, addresses => $of->{port} ? $of->{addresses} : \@addresses, port => $of->{port} // 53,
            peers => \@anyone, zones => \@zones);
        spew($peer->zone_file($_->{name}), $_->{stale}) for grep { $_->{stale} } @zones;
        $self->{front} = Front->new(addresses => \@addresses, behind => $peer->at) if $of->{port};
        return $peer;
    }
    my $own = Lockstep->new(keys => [ $self->{key} ], remotes => [ Lockstep::remote('hidden', $self->{hidden}, $self->{key}) ],
        server => { listen => [ map { "$_\@53" } @addresses ] },
            acls => [ { name => 'told', address => \@anyone, key => $self->{key}{name}, action => 'allow' } ],
        zones => [ map { { name => $_->{name}, $_->{text} ? (source => 'file') : (primaries => ['hidden'], 'allow-notify' => ['told']) } } @zones ]);
    $own->put_zone($_->{name}, $_->{text}) for grep { $_->{text} } @zones;
    return $own;
}

sub start {
    my ($self) = @_;
    my @peers = grep { ref =~ /^Peer/ } map { $self->{$_} } 'root', keys %tld, keys %provider;
    $self->{hidden}->start;
    for (@peers) { $_->configure; $_->begin }
    $self->{own}->start;
    $_->wait_up for @peers;
    $self->{front}->serve(map { $_->{name} => $_->{fault} } grep { $_->{fault} } @{ $self->{zones} });
    for my $name (sort keys %provider) {
        for my $zone ($self->zones_of($name)) {
            wait_for(sub { defined $self->{$name}->serial($zone->{name}) }, 90) or die "$name has no $zone->{name}";
        }
    }
    $self->{resolver} = $self->new_resolver->start;
    return $self;
}

# A resolver that knows nothing yet.
sub new_resolver {
    my ($self) = @_;
    my $hints = work_dir('hints') . '/hints';
    spew($hints, ". 3600000 NS root.servers.\n", address_records('root.servers', @root));
    return Resolver->new(hints => $hints);
}

sub resolver { my ($self) = @_; return $self->{resolver} }
sub servers { my ($self) = @_; return grep { $_ } map { $self->{$_} } qw(hidden root), sort(keys %tld), sort keys %provider }

# The wait status of each, added up; what the resolver and Front end with does not matter.
sub stop {
    my ($self) = @_;
    $self->{front}->stop;
    $self->{resolver}->stop;
    my $sum = 0;
    $sum += $_->stop // 0 for $self->servers;
    return $sum;
}

# Who checks: a configuration and a directory for what is remembered, with no daemon. Settings are those of the template `default`.
sub operator {
    my ($self, %settings) = @_;
    my $providers = delete $settings{providers} // [ map { { name => $_, ns => ["ns1.$provider{$_}{domain}"] } } sort keys %provider ];
    my $lockstep = Lockstep->new(keys => [ $self->{key} ],
        remotes => [ Lockstep::remote('hidden', $self->{hidden}, $self->{key}) ], providers => $providers,
        templates => [ { name => 'default', primaries => ['hidden'], %settings } ]);
    $lockstep->configure;
    return $lockstep;
}

1;
