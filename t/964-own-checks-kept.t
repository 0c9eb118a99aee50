#!/usr/bin/perl
# What the daemon's own checks found survives a restart: it is not found anew, and it can be shown before anything is checked
# again. And what it says where it cannot keep up with check.every; that zones come and go while they are checked; that a changed
# resolv.conf is heeded.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Internet;
use JSON::PP;
use Lockstep;
use Process qw(slurp spew wait_for work_dir run_command);
use Test::More;

plan skip_all => 'needs lockstepd, nsd, knot, bind9 with its tools, and unbound' unless Internet->have;
my $net = Internet->new(zones => [ { name => 'clean.alpha' }, { name => 'lame.alpha', at => { west => 0 } } ])->start;
my $dir = work_dir('command');
spew("$dir/told", '');
spew("$dir/command", "#!/bin/sh\necho \"\$1 \$2 \$3\" >> $dir/told\n");
chmod 0755, "$dir/command";
my %check = (every => 2, resolver => $net->resolver->at, 'on-change' => { command => "$dir/command" });
my %idle = (check => { %check, every => '4w' });
my $operator = $net->operator(check => {%check});
$operator->{conf}{server}{limits} = { 'check-rate' => 1000 };
$operator->{conf}{zones} = [ { name => 'clean.alpha' }, { name => 'lame.alpha' }, { name => 'later.alpha', %idle } ];
$operator->start;

sub checks_done { return $operator->json('stats')->{checks}{checks} }
sub wait_checks { my ($count) = @_; my $from = checks_done(); return wait_for(sub { checks_done() >= $from + $count }, 120) }
sub found { my ($zone, $id, $what) = @_; return $operator->events("finding-$what", zone => "$zone.", finding => $id) }
sub told { return scalar grep { /^lame\.alpha\. LAME found$/ } split /\n/, slurp("$dir/told") }
sub templates { my ($check) = @_; return [ { name => 'default', primaries => ['hidden'], check => $check } ] }
sub row_of { my ($zone) = @_; return (grep { $_->{zone} eq "$zone." } @{ $operator->json('status')->{zones} })[0] // {} }
sub from { my ($daemon, $zone) = @_; return $daemon->verb('check', '--from-daemon', $zone) }
sub from_daemon { my ($zone) = @_; return from($operator, $zone) }

subtest 'a zone that was never checked' => sub {
    ok(wait_for(sub { (from_daemon('later.alpha'))[1] =~ /is due in/ }, 60), 'is known to the checks');
    my ($status, $out) = from_daemon('later.alpha');
    is($status, 3, 'is UNKNOWN');
    like($out, qr/^later\.alpha\.  UNKNOWN  the daemon has not checked it yet: the first check is due in \d+ s$/m,
        'and it is said why, and when it will be');
};

subtest 'what is critical is in the table of all zones' => sub {
    ok(wait_for(sub { found('lame.alpha', 'LAME', 'found') >= 2 && told() >= 2 }, 120), 'it is found, and told');
    ok(wait_for(sub { my $row = row_of('lame.alpha'); $row->{state} eq 'ok' && ($row->{reason} // '') =~ /^check: LAME ns1\.west\.beta\. \S+ \(and \d+ more\)$/ }, 60), 'as the reason, beside its state');
    like(($operator->verb('status'))[1], qr/^lame\.alpha\.\t.*\tcheck: LAME ns1\.west\.beta\. /m, 'in words too');
    ok(wait_for(sub { (from_daemon('clean.alpha'))[0] == 0 && !defined row_of('clean.alpha')->{reason} }, 60),
        'of a zone where all is well there is nothing');
};

subtest 'a restart' => sub {
    my ($found, $told) = (scalar(found('lame.alpha', 'LAME', 'found')), told());
    is($operator->stop, 0, 'stopped');
    $operator->{conf}{templates} = templates($idle{check});
    $operator->start;
    ok(wait_for(sub { (from_daemon('lame.alpha'))[0] == 2 }, 60), 'what was found last is known');
    my ($status, $out) = from_daemon('lame.alpha');
    like($out, qr/^lame\.alpha\.  CRITICAL  serial 1, first seen \d+ s ago, checked \d+ s ago$/m, 'with its age');
    like($out, qr/^  critical  LAME ns1\.west\.beta\. /m, 'and all that was found');
    is(checks_done(), 0, 'before it is checked again');
    like(row_of('lame.alpha')->{reason}, qr/^check: LAME /, 'and is in the table');
    is((from_daemon('clean.alpha'))[0], 0, 'so is what was well');
    is(($operator->reload(templates => templates(\%check)))[0], 0, 'it is checked again');
    ok(wait_checks(6), 'several times');
    is(scalar(found('lame.alpha', 'LAME', 'found')), $found, 'and is not found anew');
    is(told(), $told, 'nor told');
};

subtest 'what was kept is damaged' => sub {
    is($operator->stop, 0, 'stopped');
    my $text = slurp("$operator->{dir}/state/checked/lame.alpha");
    spew("$operator->{dir}/state/checked/lame.alpha", substr $text, 0, length($text) / 2);
    spew("$operator->{dir}/state/checked/clean.alpha", $text);
    $operator->{conf}{templates} = templates($idle{check});
    $operator->start;
    ok($operator->wait_log(qr/ check-memory .*\/checked\/$_\.alpha: this is not the last result/, 60), "$_.alpha: it is said") for qw(lame clean);
    is((from_daemon("$_.alpha"))[0], 3, "$_.alpha: nothing is known of it") for qw(lame clean);
};

subtest 'zones that go for good' => sub {
    my @all = @{ $operator->{conf}{zones} };
    my $checked = "$operator->{dir}/state/checked";
    spew("$checked/added.alpha", "{}\n");
    is(($operator->verb('add', 'added.alpha'))[0], 0, 'one that is added');
    ok(wait_for(sub { (from_daemon('added.alpha'))[1] =~ /is due in/ }, 60), 'and is to be checked, some day');
    is(($operator->verb('remove', 'added.alpha'))[0], 0, 'and removed');
    ok(wait_for(sub { !-e "$checked/added.alpha" }, 60), 'leaves no last result, long before it would have been its turn');
    ok(-e "$checked/lame.alpha", 'one that stays does');
    is(($operator->reload(zones => [ grep { $_->{name} ne 'lame.alpha' } @all ]))[0], 0, 'one is taken out of the configuration');
    ok(wait_for(sub { !-e "$checked/lame.alpha" }, 60), 'and leaves none');
    ok(-e "$checked/clean.alpha", 'one that stays does');
    is($operator->stop, 0, 'stopped');
    $operator->{conf}{zones} = [ grep { $_->{name} ne 'clean.alpha' } @all ];
    $operator->start;
    ok(wait_for(sub { !-e "$checked/clean.alpha" }, 60), 'one that is taken out meanwhile leaves none either');
    is(($operator->reload(zones => \@all))[0], 0, 'all of them again');
};

# Nobody knows when they would be checked; but if all began at once, or one after the other, their turns were not so far from each other.
subtest 'the first checks are spread over check.every' => sub {
    my @names = map { "spread$_.alpha" } 1 .. 20;
    my $many = $net->operator(check => $idle{check});
    $many->{conf}{zones} = [ map { { name => $_ } } @names ];
    $many->start;
    my %in;
    ok(wait_for(sub { %in = map { (from($many, $_))[1] =~ /the first check is due in (\d+) s/ ? ($_ => $1) : () } @names; keys %in == @names }, 60), 'all are to be checked');
    my ($least, $most) = (sort { $a <=> $b } values %in)[ 0, -1 ];
    cmp_ok($most - $least, '>', 3 * 86400, 'in four weeks, not at once');
    cmp_ok($most, '<=', 28 * 86400, 'nor later');
    is($many->stop, 0, 'it ends well');
};

subtest 'more to ask than the rate allows' => sub {
    is(scalar($operator->events('checks-slow')), 0, 'which was never so until now');
    $operator->{conf}{server}{limits} = { 'check-rate' => 1 };
    is(($operator->reload(templates => templates({ %check, every => 60 })))[0], 0, 'reloaded');
    ok($operator->wait_log(qr/ checks-slow zones=3 rate=1 round=\d+ wanted=\d+ msg=".*server\.limits\.check-rate/, 60),
        'is said, with how long it takes and what to do');
    is(($operator->verb('add', 'added.alpha'))[0], 0, 'one zone more');
    ok(wait_for(sub { $operator->json('stats')->{checks}{zones} == 4 }, 60), 'is checked too');
    is(scalar($operator->events('checks-slow')), 1, 'and it is said once');
    is(($operator->verb('remove', 'added.alpha'))[0], 0, 'it goes');
};

subtest 'zones that come and go while they are checked' => sub {
    my @all = @{ $operator->{conf}{zones} };
    $operator->{conf}{server}{limits} = { 'check-rate' => 10000 };
    for my $round (1 .. 4) {
        is(($operator->reload(templates => templates({ %check, every => 1 }), zones => \@all))[0], 0, 'all of them');
        ok(wait_checks(1), 'are checked');
        is(($operator->reload(templates => templates({ %check, every => $round % 2 }), zones => [ $all[0] ]))[0], 0, 'and one alone');
    }
    is(($operator->reload(templates => templates({ %check, every => 1 }), zones => \@all))[0], 0, 'all of them');
    ok(wait_checks(3), 'are checked still');
    my $kept = "$operator->{dir}/state/checked/lame.alpha";
    ok(wait_for(sub { (from_daemon('lame.alpha'))[0] == 2 && -e $kept }, 60), 'what is found is kept');
    is(($operator->reload(zones => [ $all[0] ]))[0], 0, 'a zone goes');
    ok(wait_for(sub { !-e $kept }, 60), 'and nothing is left of that');
    is(($operator->reload(zones => \@all))[0], 0, 'it comes back');
    is($operator->stop, 0, 'and all ends well in the midst of it');
};

subtest 'resolv.conf is changed' => sub {
    my $file = "$dir/resolv.conf";
    my @bound = ('unshare', '--mount', 'sh', '-c', "mount --bind $file /etc/resolv.conf && exec \"\$@\"", 'sh');
    spew($file, "nameserver 192.0.2.199\n");
    plan skip_all => 'needs a mount namespace' if !-f '/etc/resolv.conf' || (run_command(@bound, 'true'))[0];
    my $other = $net->operator(check => { every => 1 });
    $other->{conf}{server}{limits} = { 'check-rate' => 1000 };
    $other->{conf}{zones} = [ { name => 'clean.alpha' } ];
    $other->start(@bound);
    ok(wait_for(sub { $other->events('finding-found', zone => 'clean.alpha.', finding => 'CHECK-INCOMPLETE') }, 120), 'a resolver that is not there');
    open my $same, '>', $file or die "$file: $!";        # not another file in its place, which the mount would not follow
    print $same 'nameserver ', $net->resolver->at, "\n";
    close $same or die "$file: $!";
    ok(wait_for(sub { (($other->status('clean.alpha') // {})->{check} // {})->{status} eq 'OK' }, 120),
        'another one is asked, without a word to the daemon');
    is($other->stop, 0, 'it ends well');
};

done_testing;
