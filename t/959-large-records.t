#!/usr/bin/perl
# What was taken in can be passed on: a TXT record of 65,000 octets, and one that fills the largest message there is, so that it has no room for a
# signature, through two Lockstep servers to BIND, Knot and NSD, signed all the way, as a whole and as steps.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Dump qw(dump_axfr same_zone at_options);
use Fake;
use Lockstep;
use Mirror qw(same_answers);
use Peer;
use Process qw(run_command);
use Test::More;
use Tsig;
use Wire qw(name raw_rr);

plan skip_all => 'lockstepd is not built' unless Lockstep::have();
my @kinds = grep { Peer->have($_) } qw(bind knot nsd);
my %key = map { $_ => Tsig::key(name => "$_.key") } 'up', 'mid', @kinds;
my $most = 65_535 - 12 - length(name('x.full.example.')) - 10;

sub txt {
    my ($fill) = @_;
    return raw_rr(owner => 'txt.example.', type => 'TXT',
        rdata => chr(255) . $fill x 255 . ("\xff" . 'x' x 255) x 252 . "\xe7" . 'y' x 231);
}
sub full { my ($fill, $size) = @_; return raw_rr(owner => "$fill.full.example.", type => 65280, rdata => $fill x $size) }
my @small = ('example. 300 IN NS ns.example.', 'ns.example. 300 IN A 192.0.2.53', map { "h$_.example. 300 IN A 192.0.2.$_" } 1 .. 50);
is(length(${ txt('a') }) - length(name('txt.example.')) - 10, 65_000, 'a TXT record of 65,000 octets');

my $fake = Fake->new(zone => 'example.', key => $key{up});
my $first = Lockstep->new(keys => [ @key{ 'up', 'mid' } ]);
my $second = Lockstep->new(keys => [ @key{ 'mid', @kinds } ]);
my %below = map { $_ => Peer->new($_, zones => [ { name => 'example', key => $key{$_}, primaries => [ $second->at ] } ]) } @kinds;
$first->{conf}{remotes} = [ Lockstep::remote('fake', $fake, $key{up}), Lockstep::remote('second', $second, $key{mid}) ];
$first->{conf}{zones} = [ { name => 'example', primaries => ['fake'], notify => ['second'], 'allow-transfer' => ['second'] } ];
$second->{conf}{remotes} = [ Lockstep::remote('first', $first, $key{mid}), map { Lockstep::remote($_, $below{$_}, $key{$_}) } @kinds ];
$second->{conf}{zones} = [ { name => 'example', primaries => ['first'], notify => [@kinds], 'allow-transfer' => [@kinds] } ];

# Those that fit with a signature, which is all that BIND takes: it wants one in every message.
my @signed = map { full($_, $most - 150) } 'b' .. 's';
my @full = (full('x', $most), full('y', $most - 40));

# The fake primary does what Lockstep does: the message that is full is the one without a signature.
sub one_each { my ($talk, @large) = @_; $talk->send(answer => [$_], question => '', sign => length($$_) < 65_535 - 12 - 90) for @large }
sub whole {
    my (@large) = @_;
    return sub {
        my ($talk) = @_;
        $talk->send(answer => [ $talk->soa, @small ]);
        one_each($talk, @large);
        $talk->send(answer => [ $talk->soa ], question => '');
    };
}
sub step {
    my ($removed, $added) = @_;
    return sub {
        my ($talk) = @_;
        $talk->send(answer => [ $talk->soa, $talk->soa($talk->serial) ]);
        one_each($talk, @$removed);
        $talk->send(answer => [ $talk->soa ], question => '');
        one_each($talk, @$added);
        $talk->send(answer => [ $talk->soa ], question => '');
    };
}
$fake->serve(serial => 1, axfr => whole(txt('a'), @signed));
$_->start for $first, $second, values %below;

# NSD takes such records, but gives none of them in an AXFR: it is asked for each.
sub nsd_dump {
    my ($wanted) = @_;
    my %seen;
    my @each = grep { !$seen{$_}++ } map { (split)[0] . ' TYPE' . (split)[3] } @$wanted;
    return [ sort map { Dump::canonical_line($_) } grep { length && !/^;/ }
        map { split /\n/, (run_command('dig', at_options($below{nsd}->at), '+tcp', '+unknownformat', '+noall', '+answer', split))[1] } @each ];
}

# Those below cannot give an AXFR with records that have no room for a signature, and BIND takes none.
sub all_have {
    my ($serial) = @_;
    my $wanted = dump_axfr($fake->at, 'example', $key{up});
    ok($wanted && @$wanted > 50, 'dig takes the zone from the fake primary');
    for (['the first', $first, 'mid'], $kinds[0] ? ['the second', $second, $kinds[0]] : ()) {
        my ($what, $lockstep, $key) = @$_;
        ok($lockstep->wait_serial('example', $serial), "$what has serial $serial");
        same_zone(dump_axfr($lockstep->at, 'example', $key{$key}), $wanted, 'and gives the same, signed');
        same_answers($lockstep, 'example', "$what, serial $serial");
    }
    for my $kind (grep { $serial != 2 || $_ ne 'bind' } @kinds) {
        ok($below{$kind}->wait_serial('example', $serial, 20), "$kind has serial $serial");
        same_zone($kind eq 'nsd' ? nsd_dump($wanted) : $below{$kind}->dump('example'), $wanted, 'with the same records') if $serial != 2;
    }
}

subtest 'records that have room for a signature' => sub { all_have(1) };

subtest 'records that have none' => sub {
    $fake->serve(serial => 2, axfr => whole(txt('e'), @signed, @full), ixfr => step([ txt('a') ], [ txt('e'), @full ]));
    $fake->notify($first->at);
    all_have(2);
};

subtest 'and go again' => sub {
    $fake->serve(serial => 3, axfr => whole(txt('e'), @signed), ixfr => step([@full], []));
    $fake->notify($first->at);
    all_have(3);
    is(scalar($_->events('transfer', zone => 'example.', got => 'IXFR', outcome => 'ok')), 2, 'all that as steps') for $first, $second;
    for my $kind (grep { $_ ne 'bind' } @kinds) {
        is(scalar($second->events('transfer-out', type => 'IXFR', sent => 'steps', key => "$kind.key.", outcome => 'done')), 2, "and to $kind");
    }
};

subtest 'a record that fits no message' => sub {
    my $text = sub { my ($serial, $size) = @_; return join "\n", "own. 300 IN SOA ns.own. host.own. $serial 3600 900 604800 300",
        'own. 300 IN NS ns.own.',
        'full.own. 300 IN TYPE65280 \# ' . "$size " . '61' x $size, '' };
    my $own = Lockstep->new(zones => [ { name => 'own', source => 'file' } ]);
    my $fits = 65_535 - 12 - length(name('full.own.')) - 10;
    $own->put_zone('own', $text->(1, $fits));
    $own->start;
    is($own->serial('own'), 1, 'one that just fits is served');
    $own->put_zone('own', $text->(2, $fits + 1));
    is(($own->verb('refresh', 'own'))[0], 1, 'one octet more');
    like($own->status('own')->{reason}, qr/full\.own\. TYPE65280: it is too large for a message: it could not be passed on/,
        'is refused where it would come in, with a reason');
    is($own->serial('own'), 1, 'and what is served stays');
    is($own->stop, 0, 'it ends cleanly');
};

is($_->stop, 0, 'it ends cleanly') for $second, $first;
done_testing;
