#!/usr/bin/perl
# What a primary can do wrong with differences, and what follows: AXFR from the same primary, or a refusal.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Hostile;
use Test::More;
use Wire qw(name raw_rr soa_rdata);

my $pair = Hostile->new;
my @records = $pair->records;
my @no_axfr = (axfr => sub { $_[0]->send(rcode => 5) });

# An IXFR answer from a list: numbers are SOAs, relative to our serial; 'new' is the new version's SOA; all else are records.
sub ixfr {
    my @list = @_;
    return (list => \@list, ixfr => sub {
        my ($talk) = @_;
        $talk->send(answer => [ map { !ref && /^-?\d+$/ ? $talk->soa($talk->serial + $_) : $_ eq 'new' ? $talk->soa : $_ } @list ]);
        $talk->close;
    });
}

# --- good ones -----------------------------------------------------------------------------

$pair->taken('one step', records => 24, ixfr('new', 0, 'new', 'added.example. 300 IN A 192.0.2.1', 'new'), @no_axfr);
$pair->{offered} += 2;
$pair->taken('three steps', records => 24,
    ixfr('new', 0, 1, 'b.example. 300 IN A 192.0.2.1', 1, 'b.example. 300 IN A 192.0.2.1', 2, 'c.example. 300 IN A 192.0.2.1',
    2, 'added.example. 300 IN A 192.0.2.1', 'new', 'new'), @no_axfr);
$pair->taken('a step that changes nothing but the serial', records => 24, ixfr('new', 0, 'new', 'new'), @no_axfr);
$pair->taken('a whole zone in answer to IXFR', records => 23, ixfr('new', @records, 'new'), @no_axfr);
$pair->taken('a whole zone in answer to IXFR, a record in each message', records => 23, ixfr => sub {
    my ($talk) = @_;
    $talk->send(answer => [$_]) for $talk->soa, @records, $talk->soa;
}, @no_axfr);
$pair->taken('a record goes and comes back with another TTL', records => 23,
    ixfr('new', 0, 'h1.example. 300 IN A 192.0.2.1', 'new', 'h1.example. 60 IN A 192.0.2.1', 'new'), @no_axfr);
is(($pair->attempts)[0]{got}, 'IXFR', 'the log says that it came by IXFR');

# --- bad sequences: refused; and where AXFR works, it brings the version ------------------------

my @bad = (
    [ 'it begins with another serial', 'sequence-start', 'new', 77, 'new', 'x.example. 300 IN A 192.0.2.1', 'new' ],
    [ 'a gap between two steps', 'sequence', 'new', 0, 1, 2, 'new', 'new' ],
    [ 'it goes back to an older serial', 'sequence', 'new', 0, -1, 'new', 'new' ],
    [ 'two steps that overlap', 'sequence', 'new', 0, 2, 1, 3, 'new' ],
    [ 'a step twice', 'sequence', 'new', 0, 1, 0, 1, 'new' ],
    [ 'from a serial to the same', 'sequence', 'new', 0, 0, 'new' ],
    [ 'it ends at another serial than it says', 'sequence|soa|incomplete|network', 'new', 0, 1, 1 ],
    [ 'a step beyond the serial that it says', 'sequence', 'new', 0, 9, 'new' ],
    [ 'the last SOA is missing', 'network|incomplete', 'new', 0, 'new', 'x.example. 300 IN A 192.0.2.1' ],
    [ 'records follow the last SOA', 'after-end', 'new', 0, 'new', 'x.example. 300 IN A 192.0.2.1', 'new', 'y.example. 300 IN A 192.0.2.1' ],
    [ 'it removes a record that is not there', 'mismatch', 'new', 0, 'missing.example. 300 IN A 192.0.2.1', 'new', 'new' ],
    [ 'it removes a record from an owner that is not there', 'mismatch', 'new', 0, 'h1.example. 300 IN TXT "none"', 'new', 'new' ],
    [ 'it removes the whole NS set of the apex', 'content', 'new', 0, 'example. 300 IN NS ns.example.', 'new', 'new' ],
    [ 'a SOA of another owner', 'soa-owner', 'new', 0, raw_rr(owner => 'sub.example.', type => 'SOA', rdata => soa_rdata('example.', 9)), 'new' ],
    [ 'it removes the SOA among other records', 'sequence', 'new', 0, 'h1.example. 300 IN A 192.0.2.1', 0, 'new', 'new' ],
    [ 'it removes the new SOA, and brings none', 'after-end', 'new', 0, 'new', 'x.example. 300 IN A 192.0.2.1', 'new', 0 ],
    [ 'a record that is not in the zone', 'record', 'new', 0, 'new', 'www.other. 300 IN A 192.0.2.1', 'new' ],
    [ 'malformed RDATA', 'rdata', 'new', 0, 'new', raw_rr(owner => 'x.example.', type => 'A', rdata => 'abc'), 'new' ],
    [ 'a CNAME comes to other data', 'content|record', 'new', 0, 'new', 'h1.example. 300 IN CNAME h2.example.', 'new' ],
    [ 'nothing but the new SOA', 'network|incomplete', 'new' ],
    [ 'a whole zone that breaks off', 'network|incomplete', 'new', @records ],
);
$pair->{offered} += 20;
for my $case (@bad) {
    my ($what, $reason, @list) = @$case;
    $pair->refused($what, $reason, ixfr(@list), @no_axfr);
    next unless $what =~ /last SOA is missing|nothing but|another serial than|breaks off/;
    # What broke off in the middle is not tried again in the same way.
    $pair->{offered} += 20;
    $pair->taken("$what: AXFR the next time", records => 23, ixfr(@list),
        axfr => sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa, @records, $talk->soa ]) });
    is(join(' ', map { $_->{asked} } $pair->attempts), 'AXFR', 'at once');
}
for my $case (@bad) {
    my ($what, undef, @list) = @$case;
    next if $what =~ /last SOA is missing|nothing but|another serial than|breaks off/;        # broken off: another time, not another way
    $pair->{offered} += 20;
    $pair->taken("$what, and AXFR helps", records => 23, ixfr(@list),
        axfr => sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa, @records, $talk->soa ]) });
    is(join(' ', map { $_->{asked} } $pair->attempts), 'IXFR AXFR', 'in one go');
}
for my $case ([ SERVFAIL => 2 ], [ NOTIMP => 4 ], [ FORMERR => 1 ], [ REFUSED => 5 ], [ 'an unknown code' => 15 ]) {
    my ($name, $rcode) = @$case;
    $pair->taken("$name to IXFR: AXFR helps", records => 23, ixfr => sub { $_[0]->send(rcode => $rcode) },
        axfr => sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa, @records, $talk->soa ]) });
}
$pair->refused('the differences, then SERVFAIL in place of the end', 'rcode', ixfr => sub {
    my ($talk) = @_;
    $talk->send(answer => [ $talk->soa, $talk->soa($talk->serial), $talk->soa, 'x.example. 300 IN A 192.0.2.1' ]);
    $talk->send(rcode => 2);
}, @no_axfr);

# The probe shows a newer serial, the answer to IXFR is the single SOA of our version: a primary that is several machines.
for my $case ([ 'and AXFR has it', sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa, @records, $talk->soa ]) }, 0, 'ok' ], [ 'and AXFR is refused', sub { $_[0]->send(rcode => 5) }, 1, 'lagging' ],
    [ 'and AXFR has no newer one either',
        sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa($pair->{served}), @records, $talk->soa($pair->{served}) ]) }, 0,
        'ok' ]) {
    my ($what, $axfr, $status, $state) = @$case;
    $what = "nothing newer by IXFR than we have, though the probe has shown it, $what";
    $pair->{fake}->serve(serial => ++$pair->{offered}, axfr => $axfr,
        ixfr => sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa($talk->serial) ]) });
    my ($got, $out, $said) = $pair->{lockstep}->verb('refresh', 'example');
    is($got, $status, "$what: refresh") or diag($said);
    is($pair->{lockstep}->state('example'), $state, "$what: the state");
    $pair->{served} = $pair->{offered} if $what =~ /AXFR has it/;
    is($pair->{lockstep}->serial('example'), $pair->{served}, "$what: what is served");
}
$pair->refused('an older serial', 'serial-back', ixfr => sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa($talk->serial - 1) ]) }, @no_axfr);
$pair->refused('a connection that breaks: no AXFR storm', 'network', ixfr => sub { $_[0]->reset }, @no_axfr);
is(scalar(grep { $_->{asked} eq 'AXFR' } $pair->attempts), 0, 'AXFR was not tried');

# --- size --------------------------------------------------------------------------------------

# One record in each step, and as few messages as there may be.
sub step_by_step {
    my ($talk, $unended) = @_;
    my ($ours, $new) = ($talk->serial, $talk->{fake}{serial});
    my @wait = ($talk->soa);
    for my $at ($ours .. $new - 1) {
        push @wait, $talk->soa($at), $at > $ours ? "step$at.example. 300 IN A 192.0.2.1" : (), $talk->soa($at + 1),
            'step' . ($at + 1) . '.example. 300 IN A 192.0.2.1';
        $talk->send(answer => [ splice @wait ]) if @wait > 200;
    }
    $talk->send(answer => [ @wait, $unended ? () : $talk->soa ]);
}
my $steps = $ENV{LONG} ? 100_000 : 5000;
$pair->{offered} += $steps - 1;
$pair->taken("$steps steps", records => 24,
    list => [ 'new', 0, 'new', 'step' . ($pair->{offered} + 1) . '.example. 300 IN A 192.0.2.1', 'new' ], ixfr => \&step_by_step,
    @no_axfr);

$pair->{offered} += 5000;
$pair->refused('thousands of steps, and SERVFAIL in place of the end', 'rcode',
    ixfr => sub { my ($talk) = @_; step_by_step($talk, 1); $talk->send(rcode => 2) }, @no_axfr);
is($pair->{fake}->count('IXFR', 'UDP'), 0, 'IXFR is never asked for over UDP, where anybody could answer');

# --- answers -----------------------------------------------------------------------------------

# Responses to all questions that the zone makes one think of, as bytes.
sub answers {
    my @names = map { "$_.example." } qw(a.b.ent b.ent ent x.ent cut w.cut h1 h2 *.wild x.wild wild y.x.wild d x.d alias none), 'x' x 32;
    my $opt = raw_rr(owner => '.', type => 'OPT', class => 1232, ttl => 0x8000);
    my %got;
    for my $name ('example.', @names) {
        for my $type (1, 2, 5, 6, 16, 39, 43, 46, 47, 48, 50, 51, 255) {
            my $bytes = Wire::ask_udp($pair->{lockstep}->at, Wire::message(question => Wire::question($name, $type), additional => [$opt]));
            $got{"$name $type"} = unpack 'H*', $bytes // '';
        }
    }
    return \%got;
}
my $rrsig = sub { my ($owner, $type) = @_; raw_rr(owner => $owner, type => 'RRSIG', rdata => pack('n C2 N3 n', $type, 8, 2, 300, 2 ** 31, 1, 7) . name('example.') . 'signature') };
my $hash = ('x' x 32) . '.example.';
my @nsec = (raw_rr(owner => 'example.', type => 'NSEC', rdata => name('h1.example.') . "\0\6\x62\0\0\0\0\3"), $rrsig->('example.', 47));
my @nsec3 = (raw_rr(owner => 'example.', type => 'NSEC3PARAM', rdata => pack('C2 n C', 1, 0, 0, 0)), raw_rr(owner => $hash, type => 'NSEC3',
    rdata => pack('C2 n C C/a', 1, 0, 0, 0, 'h' x 20) . "\0\1\x40"), $rrsig->($hash, 50), $rrsig->('example.', 51));
my @keys = (raw_rr(owner => 'example.', type => 'DNSKEY', rdata => pack('n C2', 257, 3, 8) . 'key'), $rrsig->('example.', 48),
    $rrsig->('example.', 6));
my $ds = raw_rr(owner => 'cut.example.', type => 'DS', rdata => pack('n C2', 7, 8, 2) . 'd' x 32);
my @cut = ('cut.example. 300 IN NS ns.cut.example.', 'ns.cut.example. 300 IN A 192.0.2.1');
my @below = ('w.cut.example. 300 IN A 192.0.2.2');
my @wild = ('*.wild.example. 300 IN A 192.0.2.3');
my @steps = ([ 'a plain zone', [], [] ],
    [ 'empty non-terminals come', [], [ 'a.b.ent.example. 300 IN A 192.0.2.1', @below, @wild ] ],
    [ 'it is signed, with NSEC', [], [ @keys, @nsec ] ],
    [ 'the signature of the DNSKEY set goes', [ $keys[1] ], [] ], [ 'and comes back', [], [ $keys[1] ] ],
    [ 'an empty non-terminal is no longer empty', [], [ 'b.ent.example. 300 IN TXT "x"' ] ], [ 'a delegation comes above data', [], [ @cut, $ds ] ],
    [ 'from NSEC to NSEC3', \@nsec, \@nsec3 ],
    [ 'what was below goes, and with it what was empty',
    [ 'a.b.ent.example. 300 IN A 192.0.2.1', 'b.ent.example. 300 IN TXT "x"' ], [] ],
    [ 'the delegation goes, a DNAME and an alias come', [ @cut, $ds ],
        [ 'd.example. 300 IN DNAME wild.example.', 'alias.example. 300 IN CNAME x.wild.example.' ] ],
    [ 'the wildcard goes', \@wild, [ 'y.x.wild.example. 300 IN A 192.0.2.4' ] ], [ 'from NSEC3 to NSEC', \@nsec3, \@nsec ],
    [ 'it is signed no more', [ @keys, @nsec ], [] ]);
my @zone = @records;
$pair->taken('a zone to begin with', records => 23, axfr => sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa, @records, $talk->soa ]) });
my $last;
for my $step (@steps) {
    my ($what, $less, $more) = @$step;
    my %gone = map { (ref ? $$_ : $_) => 1 } @$less;
    my @next = ((grep { !$gone{ ref ? $$_ : $_ } } @zone), @$more);
    is(scalar @next, @zone - @$less + @$more, "$what: as it is meant") or next;
    $pair->taken("$what, by IXFR", records => 1 + @next, ixfr('new', 0, @$less, 'new', @$more, 'new'), @no_axfr);
    my $by_ixfr = answers();
    $pair->{offered}--;
    $pair->taken("$what, the same serial by AXFR", records => 1 + @next,
        axfr => sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa, @next, $talk->soa ]) });
    my $by_axfr = answers();
    is(join(', ', grep { substr($by_ixfr->{$_}, 4) ne substr($by_axfr->{$_}, 4) } sort keys %$by_axfr), '', "$what: every answer is the same");
    cmp_ok(scalar(grep { length $by_axfr->{$_} != length $last->{$_} } keys %$by_axfr), '>', 0,
        "$what: and some are others than before") if @$less + @$more;
    ($last, @zone) = ($by_axfr, @next);
}
$pair->finish;
my $small = Hostile->new(settings => { 'max-records' => 40 });
$small->{offered} += 99;
$small->taken('steps of more records than a zone may have: AXFR helps', records => 23, ixfr => \&step_by_step,
    axfr => sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa, @records, $talk->soa ]) });
is(join(' ', map { $_->{asked} } $small->attempts), 'IXFR AXFR', 'in one go');
$small->finish;
done_testing;
