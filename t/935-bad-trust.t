#!/usr/bin/perl
# Versions that come whole and are not what they say they are: their ZONEMD digest, their signatures, how much of them changes, or the operator's
# command. What was served stays; the state is `rejected` and says why.
use strict;
use warnings;
use Digest::SHA qw(sha384 sha512);
use FindBin;
use lib "$FindBin::Bin/lib";
use Dump qw(dump_text same_zone);
use Fake;
use Hostile;
use Lockstep;
use Process qw(work_dir spew slurp wait_for run_command find_program);
use Signed;
use Test::More;
use Transfers ();
use Wire qw(name raw_rr soa_rdata rr_bytes question);

my %hash = (1 => \&sha384, 2 => \&sha512);

# The digest of these records and the zone's SOA (RFC 8976 3.3); all are in lower case, none is there twice.
sub digest {
    my ($serial, $hash, @records) = @_;
    my @sorted = sort { $a->[0] cmp $b->[0] } map {
        my $bytes = rr_bytes($_);
        my ($owner) = $bytes =~ /^((?:[^\0].*?)??\x07example\0)/s;
        my ($type, $length) = unpack 'n x6 n', substr $bytes, length $owner;
        [ join('', map { "$_\0" } reverse split /\./, Wire::name_text($owner)) . pack('n', $type) . substr($bytes, -$length), $bytes ];
    } raw_rr(owner => 'example.', type => 'SOA', rdata => soa_rdata('example.', $serial)), @records;
    return $hash{$hash}->(join '', map { $_->[1] } @sorted);
}

sub zonemd {
    my ($serial, $digest, $hash, $scheme) = @_;
    return raw_rr(owner => 'example.', type => 'ZONEMD', rdata => pack('N C2', $serial, $scheme // 1, $hash // 1) . $digest);
}

# The whole zone, with these records more, which are made with the serial.
sub whole {
    my ($pair, $make, @zone) = @_;
    @zone = $pair->records unless @zone;
    return (axfr => sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa, @zone, $make->($talk->{fake}{serial}, @zone), $talk->soa ]) });
}

sub rejected_for {
    my ($pair, $reason, $what) = @_;
    my $status = $pair->{lockstep}->status('example');
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    like("$status->{state}: " . ($status->{reason} // ''), qr/^rejected: .*$reason/, "$what: the state says why");
}

# --- ZONEMD ----------------------------------------------------------------------------------

my $right = sub { my ($serial, @zone) = @_; zonemd($serial, digest($serial, 1, @zone)) };
my $wrong = sub { zonemd($_[0], 'x' x 48) };
my $strange = sub { zonemd($_[0], 'x' x 48, 1, 240), zonemd($_[0], 'y' x 20, 240, 1) };
my $check = Hostile->new;
$check->taken('a right digest', records => 24, whole($check, $right));
$check->taken('a right digest of SHA-512', records => 24,
    whole($check, sub { my ($serial, @zone) = @_; zonemd($serial, digest($serial, 2, @zone), 2) }));
$check->taken('no digest', records => 23, whole($check, sub { }));
$check->taken('digests of unknown kinds', records => 25, whole($check, $strange));
$check->taken('one of two digests is right', records => 25, whole($check, sub { $right->(@_), zonemd($_[0], 'x' x 64, 2) }));
my $line = $check->refused('a wrong digest', 'zonemd ZONEMD: the zone\'s digest is not the one', whole($check, $wrong));
like("$line->{got} $line->{outcome}: $line->{why}", qr/^AXFR refused: ZONEMD: the zone's digest is not the one/,
    'the line of the transfer says what became of it');
is(() = $check->attempts, 1, 'and there is one');
rejected_for($check, "the zone's digest is not the one that the record gives", 'a wrong digest');
is(scalar(my @once = $check->attempts), 1, 'it is not fetched again at once');
$check->refused('a wrong digest among unknown ones', 'zonemd', whole($check, sub { $wrong->(@_), $strange->(@_) }));
$check->refused('a digest for another serial', 'zonemd ZONEMD: the record is for serial \d+, the zone has \d+',
    whole($check, sub { my ($serial, @zone) = @_; zonemd($serial - 1, digest($serial, 1, @zone)) }));
$check->refused('two digests of one kind', 'zonemd ZONEMD: more than one record for SHA-384', whole($check, sub { $right->(@_), $wrong->(@_) }));
$check->refused('a record more than was digested', 'zonemd', axfr => sub {
    my ($talk) = @_;
    my @zone = $check->records;
    $talk->send(answer => [ $talk->soa, @zone, $right->($talk->{fake}{serial}, @zone), 'more.example. 300 IN A 192.0.2.66', $talk->soa ]);
});
my @zone = $check->records;
my $by_ixfr = sub {
    my ($digest) = @_;
    return (ixfr => sub {
        my ($talk) = @_;
        my $new = $talk->{fake}{serial};
        my @old = $talk->serial == $check->{digested} ? $right->($talk->serial, @zone) : ();
        $talk->send(answer => [ $talk->soa, $talk->soa($talk->serial), @old, $talk->soa, 'more.example. 300 IN A 192.0.2.66', $digest->($new, @zone, 'more.example. 300 IN A 192.0.2.66'), $talk->soa ]);
        $talk->close;
    });
};
$check->taken('a zone to begin with', records => 24, whole($check, $right));
$check->{digested} = $check->{served};
$check->refused('a wrong digest by IXFR', 'zonemd', $by_ixfr->($wrong), axfr => sub { $_[0]->send(rcode => 5) });
is(join(' ', map { $_->{asked} } $check->attempts), 'IXFR AXFR', 'the whole zone is asked for there');
$check->taken('a wrong digest by IXFR, and AXFR helps', records => 24, $by_ixfr->($wrong), whole($check, $right));
$check->{digested} = $check->{served};
$check->taken('a right digest by IXFR', records => 25, $by_ixfr->($right), axfr => sub { $_[0]->send(rcode => 5) });
my $counters = $check->{lockstep}->json('stats');
cmp_ok($counters->{versions}{refused_zonemd}, '>=', 7, 'refusals are counted');
$check->finish;

my $require = Hostile->new(settings => { zonemd => 'require' }, records => sub { my ($talk) = @_; $right->(1, Hostile->records) });
$require->taken('required and right', records => 24, whole($require, $right));
$require->refused('required and not there', 'zonemd the zone has no ZONEMD record', whole($require, sub { }));
$require->refused('required and unknown', 'zonemd ZONEMD: none of the records', whole($require, $strange));
$require->refused('required and wrong', 'zonemd', whole($require, $wrong));
is($require->{lockstep}->stop, 0, 'lockstepd ends cleanly');

my $off = Hostile->new(settings => { zonemd => 'off' });
$off->taken('wrong, and nobody looks', records => 24, whole($off, $wrong));
$off->finish;

# The root zone with the digests that ldns makes of it, and a zone that is read from a file.
SKIP: {
    skip 'ldns-signzone is needed', 1 unless find_program('ldns-signzone');
    my $dir = work_dir('zonemd');
    spew("$dir/plain", Transfers::root_zone());
    my ($status, $out, $said) = run_command('ldns-signzone', qw(-Z -z simple:sha384 -z simple:sha512 -o . -f), "$dir/digested", "$dir/plain");
    is($status, 0, 'ldns adds two digests to the root zone') or diag("$out$said");
    my $text = slurp("$dir/digested");
    my $lockstep = Lockstep->new(zones => [ { name => '.', source => 'file', zonemd => 'require' } ]);
    $lockstep->put_zone('.', $text);
    $lockstep->start;
    ok($lockstep->wait_serial('.', 2018012900), 'both are right: it is served');
    is($lockstep->json('stats')->{versions}{judged}, 1, 'because somebody has looked');
    $lockstep->put_zone('.', $text =~ s/^(aaa\.\s.*IN\s+NS\s.*\n)//mr);
    ($status, $out, $said) = $lockstep->verb('transfer', '.');
    is($status, 1, 'the file loses a record');
    like($said, qr/the zone's digest is not the one that the record gives/, 'and is not taken');
    is($lockstep->state('.'), 'rejected', 'the state');
    is(scalar @{ Wire::parse(Wire::ask_udp($lockstep->at, Wire::message(question => question('aaa.', 'NS'))))->{authority} }, 6,
        'what was served is served');
    $lockstep->put_zone('.', $text =~ s/2018012900 1800/2018012900 1801/r =~ s/^\S+\s+\d+\s+IN\s+ZONEMD\s.*\n//mgr);
    like(($lockstep->verb('transfer', '.'))[2], qr/no ZONEMD record/, 'nor is one without a digest');
    $lockstep->put_zone('.', $text);
    is(($lockstep->verb('transfer', '.'))[0], 0, 'the right one is');
    is($lockstep->state('.'), 'ok', 'and all is well');
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
}

# --- DNSSEC ----------------------------------------------------------------------------------

SKIP: {
    skip 'BIND\'s tools are needed', 1 unless Signed::have();
    my $key = Signed::key('example');
    my $pair = Hostile->new(settings => { dnssec => 'check' });
    # The records of a signed zone, with the SOA of the version that is offered; `change` may spoil them.
    my $lines = sub {
        my ($records, %how) = @_;
        my $serial = $pair->{offered} + 1;
        my $text = join "\n", "example. 300 IN SOA ns.example. host.example. $serial 3600 900 604800 300", @$records,
            'cut.example. 300 IN NS ns.cut.example.',
            'ns.cut.example. 300 IN A 192.0.2.77', '';
        my @lines = grep { /\S/ && !/^;/ } split /\n/, Signed::sign('example', $text, $key, %how);
        my ($soa) = grep { /\sSOA\s/ && !/RRSIG/ } @lines;
        return ($soa, grep { $_ ne $soa } @lines);
    };
    my $signed = sub {
        my ($change, %how) = @_;
        my ($soa, @rest) = $lines->([ $pair->records ], %how);
        @rest = $change->(@rest);
        return (axfr => sub { my ($talk) = @_; $talk->send(answer => [ $soa, @rest, $soa ]) });
    };
    # From what is served to the same with another address of h7, signed anew; `change` may spoil what is added.
    my $resigned = sub {
        my ($old, $change, %how) = @_;
        my ($soa, @all) = $lines->([ map { s/192\.0\.2\.7$/192.0.2.107/r } $pair->records ], %how);
        my $differs = sub { return grep { /^example\.\s.*\sRRSIG\s+SOA\s|^h7\.example\.\s.*\s(?:A|RRSIG\s+A)\s/ } @_ };
        my ($gone, $come) = ([ $differs->(@$old[ 1 .. $#$old ]) ], [ $change->($differs->(@all)) ]);
        return (list => [ 'new', 0, @$gone, 'new', @$come, 'new' ], ixfr => sub {
            my ($talk) = @_;
            $talk->send(answer => [ $soa, $old->[0], @$gone, $soa, @$come, $soa ]);
            $talk->close;
        });
    };
    for my $how ([ 'NSEC' ], [ 'NSEC3', nsec3 => '-' ]) {
        my ($name, @how) = @$how;
        $pair->taken("$name: a signed zone", $signed->(sub { @_ }, @how));
        $pair->refused("$name: a signature is missing", 'dnssec h7\.example\. A: it is not signed',
            $signed->(sub { grep { !/^h7\.example\..*RRSIG\s+A / } @_ }, @how));
        rejected_for($pair, 'h7\.example\. A: it is not signed', "$name: a signature is missing");
        $pair->refused("$name: another address", 'dnssec h7\.example\. A: its signature by key \d+ does not fit',
            $signed->(sub { map { s/192\.0\.2\.7$/192.0.2.107/r } @_ }, @how));
        $pair->refused("$name: expired", 'dnssec example\. DNSKEY: its signature by key \d+ expired at ',
            $signed->(sub { @_ }, @how, from => 'now-86400', until => 'now-3600'));
        $pair->refused("$name: a name is left out", "dnssec .*$name", $signed->(sub { grep { !/^h7\.example\./ } @_ }, @how));
        my @old = $lines->([ $pair->records ], @how);
        my $refuses = sub { $_[0]->send(rcode => 5) };
        $pair->taken("$name: a signed zone again", axfr => sub { my ($talk) = @_; $talk->send(answer => [ @old, $old[0] ]) });
        $pair->refused("$name: an address changes by IXFR, without its signature", 'dnssec h7\.example\. A: it is not signed',
            $resigned->(\@old, sub { grep { !/RRSIG\s+A\s/ } @_ }, @how), axfr => $refuses);
        is(join(' ', map { "$_->{got} $_->{outcome}" } ($pair->attempts)[0]), 'IXFR refused', 'as a difference');
        $pair->refused("$name: an address changes by IXFR, with a signature that is not its own",
            'dnssec h7\.example\. A: its signature by key \d+ does not fit',
            $resigned->(\@old, sub { map { s/192\.0\.2\.107$/192.0.2.108/r } @_ }, @how), axfr => $refuses);
        $pair->taken("$name: an address changes by IXFR, with its signature", records => scalar @old,
            $resigned->(\@old, sub { @_ }, @how), axfr => $refuses);
        is(($pair->attempts)[0]{got}, 'IXFR', 'as a difference');
    }
    $pair->taken('a zone that is not signed any more', whole($pair, sub { }));
    $pair->finish;
}

# --- approve -----------------------------------------------------------------------------------

my $dir = work_dir('approve');
sub script { my ($name, $text) = @_; spew("$dir/$name", "#!/bin/sh\n$text\n"); chmod 0755, "$dir/$name"; return "$dir/$name" }
my $command = script('approve', "echo \"\$@\" >$dir/arguments; cat >$dir/zone; cat $dir/say; exit \$(cat $dir/exit)");
spew("$dir/exit", '0');
spew("$dir/say", '');
my $asked = Hostile->new(settings => { approve => { command => $command, timeout => '3s' } });
is(slurp("$dir/arguments"), "example. - 1\n", 'the first version: there is no old serial');
$asked->taken('the command agrees', records => 24, whole($asked, sub { 'new.example. 300 IN TXT "new"' }));
is(slurp("$dir/arguments"), "example. 1 2\n", 'it is told zone, old and new serial');
same_zone(dump_text(slurp("$dir/zone"), 'example'), $asked->{lockstep}->dump('example'), 'and gets the new zone');
spew("$dir/say", "\e[31mno such\nluck " . 'x' x 100_000);
spew("$dir/exit", '3');
$asked->refused('the command says no', 'command .* ended with 3: \?\[31mno such luck xxx', whole($asked, sub { }));
rejected_for($asked, 'ended with 3', 'the command says no');
unlike($asked->{lockstep}->log_text, qr/\e/, 'what it says is escaped');
cmp_ok(length(($asked->{lockstep}->log_lines(qr/version-refused/))[-1]), '<', 2001, 'and bounded');
spew("$dir/say", '');
script('approve', 'kill -9 $$');
$asked->refused('the command is killed', 'command .* was ended by signal 9', whole($asked, sub { }));
script('approve', "sleep 100 & echo \$! >$dir/child; sleep 100");
$asked->refused('the command does not come to an end', 'command .* did not end within 3 s', whole($asked, sub { }));
my $child = slurp("$dir/child");
ok(wait_for(sub { !kill 0, $child }), 'what it has started is ended with it');
script('approve', 'exec cat /dev/zero');
$asked->refused('the command writes without end', 'command .* did not end within 3 s', whole($asked, sub { }));
script('approve', 'exit 0');
$asked->taken('the command does not read', records => 3023, axfr => sub {
    my ($talk) = @_;
    $talk->send(answer => [ $talk->soa, $asked->records ]);
    for my $n (1 .. 30) {
        $talk->send(answer => [ map { raw_rr(owner => "n$n-$_.example.", type => 'TXT', rdata => pack 'C/a', 'x' x 200) } 1 .. 100 ]);
    }
    $talk->send(answer => [ $talk->soa ]);
});
script('approve', 'exec sleep 2');
$asked->taken('the command takes its time', records => 23, whole($asked, sub { }));
unlink "$dir/approve";
$asked->refused('the command is not there', 'command .* cannot be started: No such file', whole($asked, sub { }));
script('approve', 'exit 0');
$asked->finish;

my $share = Hostile->new(settings => { approve => { 'max-change' => '25%' } });
$share->taken('a quarter of the records changes', records => 23, whole($share, sub { }, map { s/(h[1-5]\.\S+) 300/$1 60/r } $share->records));
$share->refused('more than a quarter goes', 'max-change 6 of 22 records change \(27\.3%\), more than approve\.max-change = 25%',
    whole($share, sub { }, (map { s/(h[1-5]\.\S+) 300/$1 60/r } $share->records)[ 0 .. 15 ]));
$share->refused('more than a quarter comes', 'max-change 6 of 22 records',
    whole($share, sub { map { "new$_.example. 60 IN A 192.0.2.1" } 1 .. 6 },
    map { s/(h[1-5]\.\S+) 300/$1 60/r } $share->records));
is(($share->{lockstep}->reload(zones => [ { %{ $share->{lockstep}{conf}{zones}[0] }, approve => { 'max-change' => '30%' } } ]))[0], 0, 'the operator allows more');
ok(wait_for(sub { $share->{lockstep}->serial('example') == $share->{offered} }), 'and the version that was refused is taken');
is($share->{lockstep}->stop, 0, 'lockstepd ends cleanly');

# --- one zone's command is no matter of another zone ---------------------------------------------

script('slow', 'exec sleep 60');
my $one = Fake->new(zone => 'slow.')->serve(serial => 1, records => ['slow. 300 IN NS ns.slow.']);
my $two = Fake->new(zone => 'quick.', address => '127.0.0.2');
my $digest = sub { my ($serial) = @_; raw_rr(owner => 'quick.', type => 'ZONEMD', rdata => pack('N C2', $serial, 1, 240) . 'x' x 48) };
$two->serve(serial => 1, records => [ 'quick. 300 IN NS ns.quick.', $digest->(1) ]);
my $lockstep = Lockstep->new(remotes => [ Lockstep::remote('one', $one), Lockstep::remote('two', $two) ],
    templates => [ { name => 'default', 'refresh-min' => '1h' } ],
    zones => [ { name => 'slow', primaries => ['one'], approve => { command => "$dir/slow" } }, { name => 'quick', primaries => ['two'] } ])->start;
ok($lockstep->wait_serial('quick', 1), 'while a command sleeps, another zone is judged and served');
$two->serve(serial => 2, records => [ 'quick. 300 IN NS ns.quick.', $digest->(2) ]);
is(($lockstep->verb('transfer', 'quick'))[0], 0, 'and changes');
is($lockstep->outcome('slow'), 'SERVFAIL 14', 'the one that waits is not served yet');
is(($lockstep->reload(zones => [ { name => 'quick', primaries => ['two'] } ]))[0], 0, 'it is removed meanwhile');
is($lockstep->stop, 0, 'and lockstepd ends cleanly, at once');
done_testing;
