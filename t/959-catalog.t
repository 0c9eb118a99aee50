#!/usr/bin/perl
# Catalog zones (RFC 9432): their members come, go, change and begin anew; what a catalog may not do; a broken one changes
# nothing; BIND, Knot and PowerDNS as producers for us, and as consumers of what we produce.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Dump qw(dump_axfr same_zone);
use Fake;
use Lockstep;
use Mirror qw(same_answers);
use Peer;
use Process qw(slurp spew wait_for);
use Test::More;

plan skip_all => 'lockstepd is not built' unless Lockstep::have();

sub works {
    my ($lockstep, $name, @words) = @_;
    my ($status, $out, $said) = $lockstep->verb(@words);
    is("$status$said", '0', $name);
    return $out;
}

sub zone_text {
    my ($zone, $serial) = @_;
    return "$zone. 60 IN SOA ns.$zone. host.$zone. $serial 3600 900 604800 300\n$zone. 60 IN NS ns.$zone.\nns.$zone. 60 IN A 192.0.2.1\n";
}

# Whether anybody may transfer a zone from there, as a template may say of those in its group.
sub is_open { my ($lockstep, $zone) = @_; return defined dump_axfr($lockstep->at, $zone) }
my $all = { name => 'all', address => ['127.0.0.0/8'] };

# Names of the zones that came by a catalog.
sub members {
    my ($lockstep, $catalog) = @_;
    return join ' ', map { $_->{zone} } grep { ($_->{catalog} // '') eq "$catalog." } @{ ($lockstep->json('status') // {})->{zones} // [] };
}

sub wait_members {
    my ($lockstep, $catalog, $wanted, $what, $seconds) = @_;
    my $got;
    ok(wait_for(sub { ($got = members($lockstep, $catalog)) eq $wanted }, $seconds // 10), $what) or diag("the members of $catalog are: $got");
}

# --- consuming, from a primary that says what we like ----------------------------------------
my %said;        # catalog => records below it, and the serial of everything
my $serial = 1;

sub any_zone {
    my ($talk) = @_;
    my $fake = $talk->{fake};
    my $zone = $talk->{asked}{name} =~ s/\.$//r;
    my %at = (%{ $fake->{said} // {} });
    local $fake->{zone} = "$zone.";
    local $fake->{serial} = $at{$zone} ? $fake->{serial} : 1;
    return $talk->send(answer => [ $talk->soa ]) if $talk->{asked}{type} eq 'SOA';
    my @below = $at{$zone} ? map { s/\@/$zone./gr } @{ $at{$zone} } : ("www.$zone. 60 IN A 192.0.2.1");
    $talk->send(answer => [ $talk->soa, "$zone. 0 IN NS invalid.", @below, $talk->soa ]);
}

# What has changed in a catalog since the serial before; the whole of anything else.
sub any_step {
    my ($talk) = @_;
    my $fake = $talk->{fake};
    my $zone = $talk->{asked}{name} =~ s/\.$//r;
    my ($now, $before) = map { $_ && $_->{$zone} } @$fake{qw(said before)};
    return any_zone($talk) unless $now && $before && $talk->serial == $fake->{serial} - 1;
    local $fake->{zone} = "$zone.";
    my (%now, %before);
    @now{@$now} = @before{@$before} = ();
    my ($gone, $new) = map { [ map { s/\@/$zone./gr } @$_ ] } [ grep { !exists $now{$_} } @$before ], [ grep { !exists $before{$_} } @$now ];
    $talk->send(answer => [ $talk->soa, $talk->soa($talk->serial), @$gone, $talk->soa, @$new, $talk->soa ]);
}
my %any = (soa => \&any_zone, axfr => \&any_zone, ixfr => \&any_step);
my $version = 'version.@ 0 IN TXT "2"';
sub member {
    my ($id, $name, %of) = @_;
    return ("$id.zones.\@ 0 IN PTR $name.", $of{group} ? qq(group.$id.zones.\@ 0 IN TXT "$of{group}") : (),
        $of{coo} ? "coo.$id.zones.\@ 0 IN PTR $of{coo}." : ());
}

my $fake = Fake->new(%any, zone => 'cat.');
my @templates = ({ name => 'default', primaries => ['p'], 'zonefile-sync' => 0 },
    { name => 'special', primaries => ['p'], 'refresh-max' => 1000, 'zonefile-sync' => 0, 'allow-transfer' => ['all'] },
    { name => 'useless' });
my $cat = { name => 'cat', primaries => ['p'], catalog => 'consume', 'zonefile-sync' => 0 };
my $new = { %$cat, name => 'new.cat' };
my $lockstep = Lockstep->new(remotes => [ Lockstep::remote('p', $fake) ], acls => [$all], templates => \@templates,
    zones => [ $cat, $new, { name => 'configured' } ]);

# Changes what the primary says, and tells of it. What came as a difference is what AXFR gives, and is answered so.
my $steps = 0;
sub say_catalog {
    my (%of) = @_;
    my %before = %said;
    %said = (%said, %of);
    $serial++;
    $fake->serve(%any, serial => $serial, said => {%said}, before => \%before);
    for my $zone (sort keys %of) {
        my ($status, $out, $text) = $lockstep->verb('transfer', $zone);
        diag($text) if $status;
        next unless $lockstep->events('transfer', zone => "$zone.", new => $serial, got => 'IXFR', outcome => 'ok');
        $steps++;
        same_zone($lockstep->dump($zone), dump_axfr($fake->at, $zone), "$zone, serial $serial: the records after a difference");
        same_answers($lockstep, $zone, "$zone, serial $serial");
    }
}

%said = (cat => [ $version, member('a', 'one.example'), member('b', 'two.example') ], 'new.cat' => [$version]);
$fake->serve(%any, serial => $serial, said => {%said});
$lockstep->start;

subtest 'members come' => sub {
    wait_members($lockstep, 'cat', 'one.example. two.example.', 'those that it lists');
    ok($lockstep->wait_serial($_, 1), "$_ is served") for qw(one.example two.example);
    my $status = $lockstep->status('one.example');
    is(join(' ', map { $_ // 'none' } @$status{qw(state origin catalog template)}), 'ok catalog cat. none', 'status says whence');
    is(join(' ', @{ $lockstep->status('cat')->{members} }{qw(members refused)}), '2 0', 'and how many');
    is($lockstep->serial('cat'), $serial, 'the catalog itself is served too');
    my $checked = $lockstep->json('check', '--resolver', '127.0.0.1@' . Process::free_port(), '--timeout', '500ms');
    is(join(' ', sort map { $_->{zone} } @$checked), 'configured. one.example. two.example.',
        'check without a zone looks at them, and not at catalogs');
};

subtest 'members go, come, and change' => sub {
    works($lockstep, 'write', 'write', 'one.example');
    ok(!is_open($lockstep, 'two.example'), 'nobody may transfer one');
    my $file = $lockstep->zone_file('one.example');
    ok(-e $file, 'a member has a file');
    say_catalog(cat => [ $version, member('b', 'two.example', group => 'special'), member('c', 'three.example') ]);
    wait_members($lockstep, 'cat', 'three.example. two.example.', 'one went, one came');
    is($lockstep->outcome('one.example'), 'REFUSED 20', 'what went is ours no more');
    ok(wait_for(sub { !-e $file }), 'nor is its file there');
    ok($lockstep->wait_serial('three.example', 1), 'what came is served');
    ok(wait_for(sub { ($lockstep->status('two.example')->{template} // '') eq 'special' }), 'the group is known');
    is(scalar($lockstep->events('transfer', zone => 'two.example.')), 1, 'without a transfer');
    ok(wait_for(sub { is_open($lockstep, 'two.example') }), 'what the template of that name says holds: all may transfer it');
    ok(wait_for(sub { $lockstep->status('two.example')->{refresh} <= 1000 }), 'and its refresh time is that of the template');
    ok(!is_open($lockstep, 'three.example'), 'nobody may transfer another one');
    say_catalog(cat => [ $version, member('b', 'two.example', group => 'special'), member('c', 'three.example', group => 'unheard-of') ]);
    is($lockstep->serial('three.example'), 1, 'a group without a template is passed over');
    ok(!is_open($lockstep, 'three.example'), 'and opens nothing');
    say_catalog(cat => [ $version, member('d', 'two.example'), member('c', 'three.example') ]);
    ok(wait_for(sub { $lockstep->events('transfer', zone => 'two.example.') == 2 }), 'another label: it begins anew');
    my ($last) = ($lockstep->events('transfer', zone => 'two.example.'))[-1];
    is(join(' ', $last->{asked}, $last->{old} // 'nothing'), 'AXFR nothing', 'from nothing');
    ok($lockstep->wait_serial('two.example', 1), 'and is served');
    is((split / /, ($lockstep->log_lines(qr/ catalog zone=cat\. .*reset=1/))[-1] // '')[2], 'catalog', 'which the log says');
    ok(!is_open($lockstep, 'two.example'), 'and in no group any more');
    ok(wait_for(sub { $lockstep->status('two.example')->{refresh} > 1000 }), 'with the times of the others');
};

subtest 'a broken catalog changes nothing' => sub {
    my @good = (member('d', 'two.example'), member('c', 'three.example'));
    for my $case ([ 'no version', qr/no catalog/, @good ], [ 'another version', qr/version/, $version =~ s/2/3/r, @good ],
        [ 'two versions', qr/more than one TXT/, $version, $version =~ s/2/1/r, @good ],
        [ 'two members at a label', qr/more than one PTR/, $version, @good, member('c', 'four.example') ],
        [ 'a member at two labels', qr/two labels/, $version, @good, member('e', 'two.example') ],
        [ 'no version, nothing at all', qr/no catalog/ ],
        [ 'two owners to come', qr/more than one PTR/, $version, member('d', 'two.example', coo => 'x'),
        'coo.d.zones.@ 0 IN PTR y.' ]) {
        my ($what, $why, @records) = @$case;
        say_catalog(cat => \@records);
        ok(wait_for(sub { ($lockstep->status('cat')->{members}{error} // '') =~ $why }), "$what: status says so")
            or diag($lockstep->status('cat')->{members}{error});
        is(members($lockstep, 'cat'), 'three.example. two.example.', "$what: nothing changes");
        is($lockstep->serial('two.example'), 1, "$what: all are served");
        like($lockstep->status('cat')->{reason}, $why, "$what: it is the reason");
    }
    ok($lockstep->wait_log(qr/error catalog-failed zone=cat\. why=".*two labels"/), 'so does the log');
    say_catalog(cat => [ $version, @good ]);
    ok(wait_for(sub { !$lockstep->status('cat')->{members}{error} }), 'a good one is fine again');
    cmp_ok($lockstep->json('stats')->{catalogs}{broken}, '>=', 7, 'they are counted');
};

subtest 'what it may bring is bounded' => sub {
    my @many = (member('d', 'two.example'), member('c', 'three.example'), member('z', 'configured'), member('r', ''), member('x', 'elsewhere'));
    say_catalog(cat => [ $version, @many ]);
    ok(wait_for(sub { $lockstep->status('cat')->{members}{refused} == 2 }), 'a zone of the configuration, and the root, are refused');
    wait_members($lockstep, 'cat', 'elsewhere. three.example. two.example.', 'the others are not');
    is($lockstep->status('configured')->{origin}, 'config', 'what is in the configuration stays there');
    $lockstep->reload(zones => [ { %$cat, 'catalog-members-under' => [ 'example', 'other' ] }, $new, { name => 'configured' } ]);
    wait_members($lockstep, 'cat', 'three.example. two.example.', 'catalog-members-under: what is not there goes');
    like($lockstep->status('cat')->{members}{refused_why}, qr/catalog-members-under|configuration|root/, 'and why is said');
    $lockstep->reload(zones => [ { %$cat, 'catalog-members-max' => 4 }, $new, { name => 'configured' } ]);
    ok(wait_for(sub { ($lockstep->status('cat')->{members}{error} // '') =~ /more than 4 members/ }), 'catalog-members-max: too many change nothing');
    is(members($lockstep, 'cat'), 'three.example. two.example.', 'at all');
    is(($lockstep->verb('add', 'elsewhere'))[0], 0, 'one that is free can be added');
    is(($lockstep->verb('add', 'two.example'))[0], 1, 'one that is a member cannot');
    is(($lockstep->verb('remove', 'two.example'))[0], 1, 'nor be removed');
    $lockstep->reload(zones => [ $cat, $new, { name => 'configured' } ]);
    ok(wait_for(sub { $lockstep->status('cat')->{members}{refused} == 3 }), 'what was added is not taken away');
    works($lockstep, 'until', 'remove', 'elsewhere');
    wait_members($lockstep, 'cat', 'elsewhere. three.example. two.example.', 'it is free again');
    my ($status, $out, $said) = $lockstep->reload(zones => [ { %$cat, 'catalog-template' => 'useless' }, $new ]);
    like($said, qr/catalog-template: the template "useless" does not fit/, 'a template without primaries is an error');
    $lockstep->reload(zones => [ $cat, $new, { name => 'configured' } ]);
    say_catalog(cat => [ $version, member('d', 'two.example'), member('c', 'three.example') ]);
};

subtest 'a member changes its catalog' => sub {
    my $transfers = sub { scalar $lockstep->events('transfer', zone => 'two.example.') };
    my $before = $transfers->();
    say_catalog('new.cat' => [ $version, member('d', 'two.example'), member('q', 'three.example') ]);
    ok(wait_for(sub { $lockstep->status('new.cat')->{members}{refused} == 2 }), 'not because the new one says so');
    is($lockstep->status('two.example')->{catalog}, 'cat.', 'it stays where it is');
    like($lockstep->status('new.cat')->{members}{refused_why}, qr/member of cat\., which does not hand it over/, 'which is said');
    say_catalog(cat => [ $version, member('d', 'two.example', coo => 'new.cat'), member('c', 'three.example', coo => 'new.cat') ]);
    wait_members($lockstep, 'new.cat', 'three.example. two.example.', 'but because the old one hands it over');
    is($transfers->(), $before, 'the same label: it goes on as it was');
    ok(wait_for(sub { ($lockstep->events('transfer', zone => 'three.example.'))[-1]{asked} eq 'AXFR' && $lockstep->events('transfer', zone => 'three.example.') == 2 }), 'another label: it begins anew');
    say_catalog(cat => [$version]);
    is(members($lockstep, 'new.cat'), 'three.example. two.example.', 'the old one may forget them');
    is($lockstep->serial('two.example'), 1, 'and they are served');
};

subtest 'members survive' => sub {
    $fake->vanish;
    for my $how (qw(kill stop)) {
        $how eq 'kill' ? $lockstep->kill9 : is($lockstep->stop, 0, 'it ends cleanly');
        $lockstep->start;
        is(members($lockstep, 'new.cat'), 'three.example. two.example.', "$how: they are there");
        is($lockstep->serial('two.example'), 1, "$how: and served, without the primary");
    }
    $fake->serve(%any, serial => $serial, said => {%said});
    $lockstep->reload(zones => [ $cat, { %$new, catalog => 'consume', primaries => ['p'] }, { name => 'configured' }, { name => 'two.example' } ]);
    is($lockstep->status('two.example')->{origin}, 'config', 'the configuration comes first');
    $lockstep->reload(zones => [ $cat, { name => 'configured' } ]);
    is(members($lockstep, 'new.cat'), '', 'without the catalog there are no members');
    is($lockstep->outcome('three.example'), 'REFUSED 20', 'they are ours no more');
};

subtest 'many members' => sub {
    my @many = map { member("m$_", "z$_.many") } 1 .. 500;
    say_catalog(cat => [ $version, @many ]);
    ok(wait_for(sub { ($lockstep->json('status')->{summary}{ok} // 0) >= 502 }, 60), 'five hundred are served');
    is($lockstep->json('status')->{summary}{zones}, 502, 'no more, no less');
    say_catalog(cat => [$version]);
    ok(wait_for(sub { $lockstep->json('status')->{summary}{zones} == 2 }, 20), 'an empty catalog takes them all away');
    my $files = sub { scalar(() = glob("$lockstep->{dir}/zones/z*.many.zone")) };
    ok(wait_for(sub { !$files->() }, 300), 'with their files') or diag($files->());
};
cmp_ok($steps, '>=', 10, 'catalogs came as differences');
is($lockstep->stop, 0, 'lockstepd ends cleanly');

# --- others produce ----------------------------------------------------------------------
sub consumer {
    my ($peer) = @_;
    return Lockstep->new(remotes => [ Lockstep::remote('p', $peer) ], acls => [$all],
        templates => [ { name => 'default', primaries => ['p'] }, { name => 'grp', primaries => ['p'], 'allow-transfer' => ['all'] } ],
        zones => [ { name => 'cat.peer', primaries => ['p'], catalog => 'consume', 'refresh-max' => 1, 'refresh-min' => 1, 'retry-max' => 1 } ]);
}

# What is the same whoever produces: two members, then `change` takes "a.peer" out and puts "c.peer" in.
sub consume_from {
    my ($peer, $group, $change) = @_;
    my $lockstep = consumer($peer)->start;
    wait_members($lockstep, 'cat.peer', 'a.peer. b.peer.', 'its members come', 20);
    ok($lockstep->wait_serial($_, 1), "$_ is served") for qw(a.peer b.peer);
    is($lockstep->status('b.peer')->{template}, $group, 'the group is known');
    is(join(' ', map { is_open($lockstep, $_) ? 'open' : 'closed' } qw(a.peer b.peer)), 'closed open', 'and what its template says holds');
    $change->();
    ok(wait_for(sub { ($lockstep->verb('refresh', 'cat.peer'))[0] == 0 }, 60), 'the producer answers');     # it may have been away
    wait_members($lockstep, 'cat.peer', 'b.peer. c.peer.', 'a change of it is followed', 60);
    ok($lockstep->wait_serial('c.peer', 1), 'what came is served');
    my ($ours, $theirs);                 # the serial may rise without a change
    my $soa = sub { join ' ', grep { /^\S+ \d+ 1 6 / } @{ $_[0] // [] } };
    wait_for(sub { ($ours, $theirs) = ($lockstep->dump('cat.peer'), dump_axfr($peer->at, 'cat.peer')); $soa->($ours) eq $soa->($theirs) }, 30);
    same_zone($ours, $theirs, 'the catalog is what AXFR gives');
    works($lockstep, 'nothing new is taken', 'hold', 'cat.peer');
    same_answers($lockstep, 'cat.peer', 'the catalog');
    works($lockstep, 'until', 'release', 'cat.peer');
    is($lockstep->outcome('a.peer'), 'REFUSED 20', 'what went is not');
    is(scalar($lockstep->events('transfer', zone => 'b.peer.')), 1, 'what stayed was left alone');
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
}

sub three_zones { return map { { name => $_, text => zone_text($_, 1) } } qw(a.peer b.peer c.peer) }

subtest 'BIND produces' => sub {
    plan skip_all => 'no BIND' unless Peer->have('bind');
    my $text = sub { my ($n, @members) = @_; return join "\n", "cat.peer. 0 IN SOA invalid. invalid. $n 3600 600 2147483646 0",
        'cat.peer. 0 IN NS invalid.', map({ s/\@/cat.peer./gr } $version, @members), '' };
    my $peer = Peer->new('bind', zones => [ { name => 'cat.peer', text => $text->(1, member('a', 'a.peer'), member('b', 'b.peer', group => 'grp')) }, three_zones() ])->start;
    consume_from($peer, 'grp', sub { $peer->edit('cat.peer', $text->(2, member('b', 'b.peer', group => 'grp'), member('c', 'c.peer'))) });
    $peer->stop;
};

subtest 'Knot produces' => sub {
    plan skip_all => 'no Knot' unless Peer->have('knot');
    my %part = (lines => [ 'catalog-role: member', 'catalog-zone: cat.peer' ]);
    my ($x, $y, $z) = three_zones();
    my $catalog = { name => 'cat.peer', text => '', lines => ['catalog-role: generate'], hidden => 1 };
    my $peer = Peer->new('knot', zones => [ { %$x, %part }, { %$y, lines => [ @{ $part{lines} }, 'catalog-group: grp' ] }, $z, $catalog ])->start;
    consume_from($peer, 'grp', sub {
        delete $peer->zone('a.peer')->{lines};
        $peer->zone('c.peer')->{lines} = $part{lines};
        $peer->stop;                     # a reload gives the new catalog the old one's serial
        $peer->start;
    });
    $peer->stop;
};

subtest 'PowerDNS produces' => sub {
    plan skip_all => 'no PowerDNS' unless Peer->have('powerdns');
    my $peer = Peer->new('powerdns', zones => [ three_zones() ], settings => "secondary=no\nxfr-cycle-interval=1");
    $peer->configure;
    $peer->util('create-zone', 'cat.peer');
    $peer->util('set-kind', 'cat.peer', 'producer');
    $peer->util('set-catalog', $_, 'cat.peer') for qw(a.peer b.peer);
    $peer->util('set-option', 'b.peer', 'producer', 'group', 'grp');
    $peer->launch;
    consume_from($peer, 'grp', sub {
        $peer->util('set-catalog', 'a.peer', '');
        $peer->util('set-catalog', 'c.peer', 'cat.peer');
    });
    $peer->stop;
};

# --- we produce --------------------------------------------------------------------------
subtest 'we produce' => sub {
    my $port = Process::free_port;
    my $at = "127.0.0.1\@$port";
    my %peer;
    $peer{bind} = Peer->new('bind', options => "catalog-zones { zone \"our.cat\" default-primaries { 127.0.0.1 port $port; } in-memory yes min-update-interval 1; };",
        zones => [ { name => 'our.cat', primaries => [$at] } ]) if Peer->have('bind');
    my $remote = 'remote-' . ($at =~ tr/:@./---/r);
    $peer{knot} = Peer->new('knot', zones => [ { name => 'our.cat', primaries => [$at], lines => [ 'catalog-role: interpret', 'catalog-template: member' ] } ]) if Peer->have('knot');
    $peer{knot}{sections} = [ 'template:', '  - id: member', "    storage: \"$peer{knot}{dir}\"", "    master: \"$remote\"",
        '    acl: [ notify, transfer ]' ] if $peer{knot};
    $peer{powerdns} = Peer->new('powerdns', zones => [],
        settings => "secondary=yes\nxfr-cycle-interval=1\nallow-notify-from=127.0.0.0/8") if Peer->have('powerdns');
    plan skip_all => 'no other server' unless %peer;
    my %zone = (source => 'file', 'catalog-zone' => 'our.cat', 'allow-transfer' => ['us']);
    my @zones = ({ name => 'our.cat', catalog => 'produce', 'allow-transfer' => ['us'], notify => [ sort keys %peer ] },
        map({ { name => $_, %zone } } qw(a.ours b.ours)), { name => 'not.ours', source => 'file' });
    my $lockstep = Lockstep->new(port => $port, remotes => [ map { Lockstep::remote($_, $peer{$_}) } sort keys %peer ],
        acls => [ { name => 'us', address => ['127.0.0.0/8'] } ],
        templates => [ { name => 'ours', %zone, 'catalog-group' => 'a "group"' } ], zones => \@zones);
    $lockstep->put_zone($_, zone_text($_, 1)) for qw(a.ours b.ours not.ours c.ours);
    $lockstep->start;
    ok(wait_for(sub { $lockstep->serial('our.cat') }), 'the catalog is made');
    my $first = $lockstep->serial('our.cat');
    like(works($lockstep, 'dump', 'dump', 'our.cat'), qr/version\.our\.cat.*"2"/, 'it has a version');
    is($lockstep->status('our.cat')->{members}{members}, 2, 'and the members that say so');
    is(join(' ', @{ $lockstep->status('our.cat') }{qw(state source)}), 'ok catalog', 'status says what it is');
    is(scalar($lockstep->log_lines(qr/ error /)), 0, 'without an error');
    for my $kind (sort keys %peer) {
        if ($kind eq 'powerdns') {
            $peer{$kind}->configure;
            $peer{$kind}->util('create-secondary-zone', 'our.cat', "127.0.0.1:$port");
            $peer{$kind}->util('set-kind', 'our.cat', 'consumer');
            $peer{$kind}->launch;
        } else {
            $peer{$kind}->start;
        }
        ok($peer{$kind}->wait_serial($_, 1, 120), "$kind has $_") for qw(a.ours b.ours);
    }
    works($lockstep, 'reload', 'reload');
    is($lockstep->serial('our.cat'), $first, 'the serial stays where nothing changes');
    works($lockstep, 'a member more', 'add', '--template', 'ours', 'c.ours');
    ok(wait_for(sub { ($lockstep->serial('our.cat') // 0) > $first }), 'the serial rises');
    like(works($lockstep, 'dump', 'dump', 'our.cat'), qr/group\..*a \\"group\\"/, 'it is in its group');
    ok($peer{$_}->wait_serial('c.ours', 1, 120), "$_ has it too") for sort keys %peer;
    my $second = $lockstep->serial('our.cat');
    $lockstep->kill9;
    $lockstep->start;
    is($lockstep->serial('our.cat'), $second, 'after kill -9 it is the same');
    is($lockstep->status('c.ours')->{template}, 'ours', 'with the same members');
    $lockstep->reload(zones => [ grep { $_->{name} ne 'a.ours' } @zones ]);
    for my $kind (sort keys %peer) {
        ok(wait_for(sub { !defined $peer{$kind}->serial('a.ours') }, 120), "$kind lets go of what is no member any more");
        ok(defined $peer{$kind}->serial('b.ours'), "$kind keeps the others");
    }
    $_->stop for values %peer;
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
};

subtest 'a group that we produce is a template where we consume' => sub {
    my $group = 'a "group"';
    my %member = (source => 'file', 'catalog-zone' => 'our.cat', 'allow-transfer' => ['all']);
    my @zones = ({ name => 'our.cat', catalog => 'produce', 'allow-transfer' => ['all'], notify => ['below'] },
        { %member, name => 'a.ours', 'catalog-group' => $group }, { %member, name => 'b.ours' });
    my $producer = Lockstep->new(acls => [$all], zones => \@zones);
    my $consumer = Lockstep->new(acls => [$all], remotes => [ Lockstep::remote('p', $producer) ],
        zones => [ { name => 'our.cat', primaries => ['p'], catalog => 'consume' } ],
        templates => [ { name => 'default', primaries => ['p'] },
            { name => $group, primaries => ['p'], 'allow-transfer' => ['all'], 'refresh-max' => 1000 } ]);
    $producer->{conf}{remotes} = [ Lockstep::remote('below', $consumer) ];
    $producer->put_zone($_, zone_text($_, 1)) for qw(a.ours b.ours);
    $_->start for $producer, $consumer;
    my $settings = sub { my ($zone) = @_; return (is_open($consumer, $zone) ? 'open' : 'closed')
        . ($consumer->status($zone)->{refresh} <= 1000 ? ', often' : '') };
    wait_members($consumer, 'our.cat', 'a.ours. b.ours.', 'the members come', 60);
    ok($consumer->wait_serial($_, 1), "$_ is served") for qw(a.ours b.ours);
    ok(wait_for(sub { $settings->('b.ours') eq 'closed' }), 'the one without a group has the settings of all');
    is($settings->('a.ours'), 'open, often', 'the one in it those of the template');
    is($consumer->status('a.ours')->{template}, $group, 'as status says');
    $producer->reload(zones => [ @zones[ 0, 1 ], { %{ $zones[2] }, 'catalog-group' => $group } ]);
    ok(wait_for(sub { $settings->('b.ours') eq 'open, often' }), 'the other one comes into it too');
    is(scalar($consumer->wait_events(1, 'transfer', zone => 'b.ours.')), 1, 'as it was, without a transfer');
    is($_->stop, 0, 'it ends cleanly') for $consumer, $producer;
};

done_testing;
