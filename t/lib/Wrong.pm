package Wrong;
# Zones for the small internet that have one fault each, and what `lockstep check` finds of it: names as Findings wants them.
# `plain` are unsigned; `signed` are not, and some of them have no fault.
#
#     for my $zone (Wrong::plain()) { ... }          # what Internet takes; what (a title), expected, check (options of Findings::are, and `as`: who checks)
use strict;
use warnings;
use Internet ();
use Signed;

my ($own, $north, $west, $south) = my @all = @Internet::nameservers;
my @zones;

# A zone of that name below alpha, with what makes the fault, and what is to be found of it.
sub fault {
    my ($what, $name, $expected, %of) = @_;
    my %check = map { $_ => delete $of{$_} } grep { exists $of{$_} } qw(arguments message severity as);
    push @zones, { name => "$name.alpha", what => $what, expected => $expected, check => \%check, %of };
}

# What a provider has instead of the zone: the text with changes.
sub at_west { my ($change) = @_; return (at => { west => sub { local $_ = $_[0]; $change->(@_); $_ } }) }
sub without { my ($ns) = @_; return at_west(sub { s/^\S+ \d+ IN NS \Q$ns\E\.\n//m }) }
sub inside { my ($name, $six, $four) = @_; return join '', Internet::address_records("ns1.$name.alpha", $four, $six) }

sub plain {
    @zones = ();
    # the delegation:
    fault('a nameserver is missing at one provider', 'missing', [ 'NS-SPLIT *', "NS-PARENT-EXTRA $west" ], without($south),
        message => qr/\Q$south\E/);
    fault('one provider has a nameserver more', 'added', [ 'NS-SPLIT *', "NS-CHILD-EXTRA $west" ],
        at_west(sub { s/^(\S+ \d+ IN NS )\S+\n/$&$1ns2.south.beta.\n/m }), message => qr/ns2\.south\.beta/);
    fault('a nameserver is missing at the parent', 'childextra', ['NS-CHILD-EXTRA *'],
        parent => { ns => [ $own, $north, $west ] }, message => qr/\Q$south\E/);
    fault('the parent has a nameserver more', 'parentextra', ['NS-PARENT-EXTRA *'],
        parent => { ns => [ @Internet::nameservers, 'ns2.own.alpha' ] }, message => qr/ns2\.own\.alpha/);
    fault('the servers of the parent do not agree', 'parents', [ 'NS-SPLIT b.nic.alpha', 'NS-CHILD-EXTRA *' ],
        parent_b => { ns => [ $own, $north, $west ] }, message => qr/\Q$south\E/);
    fault('a provider gives its own NS set', 'ownset', [ 'NS-SPLIT *', "NS-APEX-IGNORED $west", "NS-PARENT-EXTRA $west" ],
        at_west(sub { s/^\S+ \d+ IN NS (?!\Q$west\E)\S+\n//mg }));
    fault('a provider gives an NS set of names of its own', 'ownnames',
        [ 'NS-SPLIT *', "NS-APEX-IGNORED $west", 'NS-PARENT-EXTRA *', 'NS-CHILD-EXTRA *' ],
        at_west(sub { s/^\S+ \d+ IN NS (?!\Q$west\E)\S+\n//mg; s/^(\S+ \d+ IN NS )\S+\n/$&$1ns2.west.beta.\n/m }));
    fault('only the TTL of an NS set differs', 'nsttl', ["NS-TTL $west"], at_west(sub { s/^(\S+) \d+ IN NS/$1 7200 IN NS/mg }));
    fault('glue is not what the zone has', 'drift', ['GLUE-DRIFT ns1.drift.alpha'], ns => [ 'ns1.drift.alpha', $north, $west, $south ],
        records => inside('drift', '2001:db8:1::53', '192.0.2.53'), parent => { glue => inside('drift', '2001:db8:1::53', '192.0.2.54') });
    fault('an NS is an alias', 'alias', ['NS-TARGET alias.own.alpha'], ns => [ @Internet::nameservers, 'alias.own.alpha' ]);
    fault('an NS does not exist', 'nothere', ['NS-TARGET nothere.own.alpha'], ns => [ @Internet::nameservers, 'nothere.own.alpha' ]);
    fault('an NS has no address', 'noaddress', ['NS-TARGET text.own.alpha'], ns => [ @Internet::nameservers, 'text.own.alpha' ]);
    fault('the referral is too large', 'large', ['REFERRAL-SIZE *'], ns => [ @Internet::nameservers, @Internet::long_names ]);
    fault('not the NS set of the providers', 'expected', ['NS-EXPECTED *'], ns => [ $own, $north, $west ], as => 'policy', message => qr/\Q$south\E/);

    # the answers:
    fault('a server does not have the zone', 'refused', ["LAME $west"], at => { west => 0 });
    fault('a server answers without authority', 'noauthority', ["LAME $west"],
        fault => sub { my ($talk) = @_; $talk->send($talk->flags($talk->relay, 0, 0x0400)) });
    fault('a server fails', 'servfail', ["LAME $west"], fault => sub { my ($talk) = @_; $talk->send($talk->message(rcode => 2)) });
    fault('a server is silent over UDP', 'silent', ["UNREACHABLE $west"], arguments => [ '--timeout', '4s' ],
        fault => sub { my ($talk) = @_; $talk->send($talk->relay) if $talk->tcp });
    fault('a server is silent over TCP', 'notcp', ["TCP-FAIL $west"], arguments => [ '--timeout', '4s' ],
        fault => sub { my ($talk) = @_; $talk->send($talk->relay) unless $talk->tcp });
    fault('a server answers each question the third time', 'third', [], arguments => [ '--timeout', '10s' ],
        fault => sub { my ($talk) = @_; $talk->send($talk->relay) if $talk->tcp || $talk->nth % 3 == 0 });
    fault('a server is slow', 'slow', [], fault => sub { my ($talk) = @_; $talk->send($talk->relay, after => 0.4) });
    fault('recursion is offered', 'recursion', ["RECURSION $west"],
        fault => sub { my ($talk) = @_; $talk->send($talk->flags($talk->relay, 0x0080)) });
    fault('all may transfer', 'open', ["TRANSFER-OPEN $south"], open => { south => 1 });
    fault('an answer from another address', 'odd', ["ADDRESS-ODD $west"], fault => sub {
        my ($talk) = @_;
        $talk->send($talk->relay, from => $talk->{socket}->sockhost =~ /:/ ? '2001:db8:2::54' : '198.51.100.54');
    });
    fault('EDNS is a format error', 'formerr', ["EDNS-FAIL $west"],
        fault => sub { my ($talk) = @_; $talk->send($talk->opt ? $talk->message(rcode => 1) : $talk->relay) });
    fault('a question with EDNS is dropped', 'dropsedns', ["EDNS-FAIL $west"], arguments => [ '--timeout', '4s' ],
        fault => sub { my ($talk) = @_; $talk->send($talk->relay) if $talk->tcp || !$talk->opt });
    fault('EDNS is not answered', 'noedns', ["EDNS-FAIL $west"], fault => sub { my ($talk) = @_; $talk->send($talk->relay($talk->plain)) });
    fault('a version of EDNS that cannot be known is answered', 'version', ["EDNS-FAIL $west"], fault => sub {
        my ($talk) = @_;
        my $opt = $talk->opt;
        substr $talk->{bytes}, $opt->{start} + 6, 1, "\0" if $opt;             # its version
        $talk->send($talk->relay);
    });

    # what is served:
    fault('a secondary that does not transfer any more', 'stale', ["SERIAL-LAG $west"], soa => { serial => 7 },
        at => { west => { stale => Internet::zone_text({ name => 'stale.alpha' }) } }, as => 'impatient');
    fault('a serial that no primary has', 'ahead', ["SERIAL-AHEAD $west"], at_west(sub { s/(SOA \S+ \S+) 1 /$1 9 / }));
    fault('another SOA', 'soa', ["SOA-DIFFERS $west"], at_west(sub { s/hostmaster\.own\.alpha/admin.west.beta/ }));
    fault('retry over refresh', 'retry', ['SOA-TIMERS *'], soa => { refresh => 7200, retry => 14400 });
    fault('expire under refresh and retry', 'expire', ['SOA-TIMERS *'], soa => { refresh => 14400, retry => 7200, expire => 20000 });
    fault('a TTL that does not last', 'short', ['TTL-SHORT *'], ns_ttl => 3599);
    fault('an NS TTL far below that of the parent', 'ttlns', ['TTL-NS *'], ns_ttl => 8000, parent => { ttl => 86400 });

    # all in one:
    fault('one TLD', 'onetld', ['DIV-TLD'], ns => [ $own, $north ]);
    fault('one prefix', 'oneprefix', ['DIV-PREFIX'], ns => [ $north, 'ns1.near.beta' ]);
    fault('one provider', 'oneprovider', ['DIV-PROVIDER'], ns => [ $own, $south ], as => 'customer');
    fault('one address family', 'onefamily', ['DIV-FAMILY'], ns => [ 'ns4.own.alpha', 'ns4.south.beta' ]);
    fault('one nameserver, and so one of everything', 'one', [qw(DIV-COUNT DIV-PROVIDER DIV-TLD DIV-PREFIX)], ns => [$own]);
    return @zones;
}

# --- signed ------------------------------------------------------------------------
sub zone {
    my ($what, $name, $expected, %of) = @_;
    my %check = map { $_ => delete $of{$_} } grep { exists $of{$_} } qw(message severity);
    push @zones, { name => "$name.alpha", what => $what, expected => $expected, check => \%check, signed => {}, %of };
    return $zones[-1];
}

# West signs for itself: the same records and others, with this key, or the zone's.
sub west_signs {
    my ($records, %of) = @_;
    my $key = delete $of{key};
    return (at => { west => sub { my (undef, $zone) = @_; Signed::sign($zone->{name}, Internet::zone_text($zone) . $records, $key // $zone->{key}, %of) } });
}
sub www { my ($name) = @_; return "www.$name.alpha. 3600 IN A 192.0.2.80\n" }
sub key { my ($name) = @_; return Signed::key("$name.alpha") }

sub signed {
    @zones = ();
    # all is well:
    zone('a signed zone', 'signed', []);
    zone('no DS yet', 'island', [], parent => { ds => '' });
    my $cds = key('cds');
    zone('what the DS should be is said everywhere', 'cds', [], signed => { key => $cds }, records => www('cds') . Signed::announced($cds));
    my @two = map { key('two') } 1, 2;
    zone('two signers, each with the keys of both, and DS for both', 'two', [], signed => { key => $two[0] },
        records => www('two') . $two[1]{dnskey}, parent => { ds => $two[0]{ds} . $two[1]{ds} },
        at => { west => sub { my (undef, $zone) = @_; Signed::sign($zone->{name}, Internet::zone_text({ %$zone, records => www('two') }) . $two[0]{dnskey}, $two[1]) } });
    my @rolled = map { key('rolled') } 1, 2;
    zone('one provider has a key of its own for keys alone', 'morekeys', [], west_signs(key('morekeys')->{dnskey}));
    zone('a DS of a key to come', 'rolled', [], signed => { key => $rolled[0] }, parent => { ds => $rolled[0]{ds} . $rolled[1]{ds} });

    # one fault at a time:
    zone('one provider has a key more that data may be signed with', 'more', ['DNSKEY-SPLIT *'],
        west_signs(key('more')->{dnskey} =~ s/DNSKEY 257/DNSKEY 256/r));
    zone('one provider has its own key alone', 'ownkey', [ 'DNSKEY-SPLIT *', "DS-MISMATCH $west" ], west_signs('', key => key('ownkey')));
    my $apart = key('apart');
    my $apart2 = key('apart');
    zone('two signers that know nothing of each other', 'apart', ['DNSKEY-SPLIT *'], signed => { key => $apart },
        parent => { ds => $apart->{ds} . $apart2->{ds} }, west_signs('', key => $apart2));
    my $cdswest = key('cdswest');
    zone('one provider alone says what the DS should be', 'cdswest', ['CDS-SPLIT *'], signed => { key => $cdswest },
        west_signs(Signed::announced($cdswest)));
    my @cdsother = map { key('cdsother') } 1, 2;
    zone('a provider says another DS', 'cdsother', ['CDS-SPLIT *'], signed => { key => $cdsother[0] },
        records => www('cdsother') . Signed::announced($cdsother[0]),
        at => { west => sub { my (undef, $zone) = @_; Signed::sign($zone->{name}, Internet::zone_text({ %$zone, records => www('cdsother') . Signed::announced($cdsother[1]) }), $cdsother[0]) } });
    zone('one provider alone has a CSYNC', 'csync', ['CSYNC-SPLIT *'], west_signs("csync.alpha. 3600 IN CSYNC 1 3 A NS AAAA\n"));
    zone('a DS of none of the keys', 'mismatch', [ map { "DS-MISMATCH $_" } @all ], parent => { ds => key('mismatch')->{ds} });
    zone('a DS, and no key', 'nokey', [ map { "DS-MISMATCH $_" } @all ], signed => undef, parent => { ds => key('nokey')->{ds} });
    zone('one provider serves the zone without signatures', 'bare', [ 'DNSKEY-SPLIT *', "DS-MISMATCH $west" ],
        at => { west => sub { Internet::zone_text($_[1]) } });
    zone('a signature that is none', 'broken', ["DS-MISMATCH $west"],
        at => { west => sub { $_[0] =~ s/(RRSIG\s+SOA .*\s)(\S)(\S*)$/$1 . ($2 eq 'A' ? 'B' : 'A') . $3/merg } });
    zone('signatures that end soon', 'soon', [ map { "EXPIRE-HORIZON $_" } @all ], signed => { until => 'now+172800' });
    zone('signatures that end very soon', 'verysoon', [ map { "EXPIRE-HORIZON $_" } @all ], signed => { until => 'now+43200' },
        severity => { 'EXPIRE-HORIZON' => 'critical' });
    zone('signatures that end soon at one provider', 'soonwest', ["EXPIRE-HORIZON $west"], west_signs('', until => 'now+172800'));
    zone('signatures that have ended at one provider', 'ended', ["EXPIRE-HORIZON $west"],
        west_signs('', from => 'now-864000', until => 'now-3600'), severity => { 'EXPIRE-HORIZON' => 'critical' });
    return @zones;
}

1;
