#!/usr/bin/perl
# When a version comes to its zone file, under which name, and what happens when it cannot.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Dump qw(dump_text same_zone);
use Fake;
use File::Find ();
use Lockstep;
use Process qw(free_port run_command slurp spew wait_for);
use Test::More;
use Time::HiRes qw(time);
use Wire;

plan skip_all => 'lockstepd is not built' unless Lockstep::have();
my @records = ('example. 300 IN NS ns.example.', 'ns.example. 300 IN A 192.0.2.53', map { "h$_.example. 300 IN A 192.0.2.$_" } 1 .. 50);
my $fake = Fake->new(zone => 'example.')->serve(serial => 1, records => \@records);

sub start_with {
    my ($sync, %settings) = @_;
    return Lockstep->new(remotes => [ Lockstep::remote('hidden', $fake) ],
        zones => [ { name => 'example', primaries => ['hidden'], 'zonefile-sync' => $sync, 'refresh-min' => '1h', %settings } ])->start;
}

sub serial_in { my ($file) = @_; return (slurp($file) // '') =~ /\sSOA\s\S+\s\S+\s(\d+)/ ? $1 : undef }
sub next_version { my ($lockstep) = @_; $fake->serve(serial => $fake->{serial} + 1); $fake->notify($lockstep->at); return $fake->{serial} }

subtest 'zonefile-sync = 0: on disk before it is served' => sub {
    my $lockstep = start_with(0);
    my $file = $lockstep->zone_file('example');
    ok($lockstep->wait_serial('example', $fake->{serial}), 'the zone is there');
    is(serial_in($file), $fake->{serial}, 'and in its file');
    for (1 .. 10) {
        my $next = next_version($lockstep);
        my $served;
        wait_for(sub { $served = $lockstep->serial('example'); return $served == $next });
        is(serial_in($file), $next, "as soon as serial $next is served it is in the file");
    }
    same_zone(dump_text(slurp($file), 'example'), $lockstep->dump('example'), 'the file holds what is served');
    my $old = $fake->{serial};
    unlink $file;
    mkdir $file;
    my $next = next_version($lockstep);
    ok($lockstep->wait_log(qr/zone-file-failed .*zone=example\. serial=$next .*why=".*\Q$file\E/), 'where it cannot be written the log says so');
    is($lockstep->serial('example'), $old, 'and the old version stays');
    my $status = $lockstep->status('example');
    is("$status->{state} $status->{best}", "lagging $next", 'the zone lags');
    like($status->{reason}, qr/\Q$file\E/, 'and status says why');
    my ($exit, $out, $said) = $lockstep->verb('transfer', 'example');
    is($exit, 1, 'transfer fails');
    like($said, qr/\Q$file\E/, 'and says why');
    rmdir $file;
    is(($lockstep->verb('transfer', 'example'))[0], 0, 'once it can be written all is well');
    is($lockstep->serial('example'), $next, 'the new version is served');
    is(serial_in($file), $next, 'and in its file');
    is($lockstep->status('example')->{reason}, undef, 'nothing is left of the error');
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
};

subtest 'a file that cannot be read for a while' => sub {
    my $lockstep = start_with(60);
    my $file = $lockstep->zone_file('example');
    my $serial = $fake->{serial};
    ok($lockstep->wait_serial('example', $serial), 'the zone is there');
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
    $fake->vanish;
    rename $file, "$file.away" or die "rename: $!";
    mkdir $file;
    unlink glob "$lockstep->{dir}/state/*";       # there is no other copy
    $lockstep->start;
    ok($lockstep->wait_log(qr/zone-load-failed .*zone=example\..*why=".*not a regular file/), 'the file is in the way of itself');
    is($lockstep->serial('example'), undef, 'there is nothing to serve');
    rmdir $file;
    rename "$file.away", $file or die "rename: $!";
    ok($lockstep->wait_serial('example', $serial, 20), 'when it can be read again it is served, though the primary is away');
    my $status = $lockstep->status('example');
    is($status->{file_error}, undef, 'nothing is left of the error');
    $fake->serve(serial => $serial + 1);
    is(($lockstep->verb('refresh', 'example'))[0], 0, 'and it goes on from there');
    is($lockstep->serial('example'), $serial + 1, 'with the next serial');
    is(($lockstep->events('transfer'))[-1]{asked}, 'IXFR', 'by IXFR');
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
};

subtest 'zonefile-sync = -1: only by `write`' => sub {
    my $lockstep = start_with(-1);
    my $file = $lockstep->zone_file('example');
    ok($lockstep->wait_serial('example', $fake->{serial}), 'the zone is there');
    is($lockstep->status('example')->{written}, undef, 'status knows of no file');
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
    ok(!-e $file, 'there is no file');
    $lockstep->start;
    ok($lockstep->wait_serial('example', $fake->{serial}), 'the zone is transferred again');
    is(($lockstep->verb('write', 'example'))[0], 0, 'write');
    is(serial_in($file), $fake->{serial}, 'the file is there');
    my $old = $fake->{serial};
    my $next = next_version($lockstep);
    ok($lockstep->wait_serial('example', $next), 'the next version');
    is(serial_in($file), $old, 'the file stays behind');
    is($lockstep->status('example')->{written}, $old, 'and status says so');
    $lockstep->reload(zones => [ { %{ $lockstep->{conf}{zones}[0] }, 'zonefile-sync' => 0 } ]);
    ok(wait_for(sub { (serial_in($file) // 0) == $next }), 'another zonefile-sync brings it up to date');
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
};

subtest 'zonefile-sync = 1: a second later, once' => sub {
    my $lockstep = start_with(1);
    my $file = $lockstep->zone_file('example');
    ok($lockstep->wait_serial('example', $fake->{serial}), 'the zone is there');
    my $began = time;
    for (1 .. 3) {
        my $next = next_version($lockstep);
        ok($lockstep->wait_serial('example', $next), "serial $next");
    }
    ok(wait_for(sub { (serial_in($file) // 0) == $fake->{serial} }), 'the file holds the last one');
    cmp_ok(time - $began, '<', 30, 'after a second or two');
    $lockstep->wait_log(qr/ zone-file-written .*serial=$fake->{serial} /);
    is(scalar $lockstep->events('zone-file-written'), $lockstep->json('stats')->{files}{files_written}, 'each time it was written is counted');
    cmp_ok($lockstep->json('stats')->{files}{files_written}, '<=', 2 + time - $began, 'several versions, one file each second at most');
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
};

subtest '`write`' => sub {
    my $lockstep = start_with('1h');
    my $file = $lockstep->zone_file('example');
    ok($lockstep->wait_serial('example', $fake->{serial}), 'the zone is there');
    is(($lockstep->verb('write', 'example'))[0], 0, 'write');
    is(serial_in($file), $fake->{serial}, 'when it returns the file is there');
    my $inode = (stat $file)[1];
    is(($lockstep->verb('write', '--all'))[0], 0, 'write --all');
    is((stat $file)[1], $inode, 'what is up to date is not written again');
    for my $case ([ 'removed', sub { unlink $file } ], [ 'emptied', sub { spew($file, '') } ],
        [ 'edited', sub { spew($file, slurp($file) =~ s/192/193/gr) } ]) {
        my ($what, $damage) = @$case;
        my $text = slurp($file);
        $damage->();
        is(($lockstep->verb('write', 'example'))[0], 0, "write after the file was $what");
        is(slurp($file), $text, 'brings it back');
    }
    $lockstep->reload(zones => [ @{ $lockstep->{conf}{zones} }, { name => 'other', primaries => ['hidden'] } ]);
    my ($exit, $out, $said) = $lockstep->verb('write', 'other');
    is($exit, 1, 'a zone that was never loaded cannot be written');
    like($said, qr/other\.: .*never loaded/, 'and it is said why');
    is(($lockstep->verb('write', '--all'))[0], 0, 'with --all that is no failure');
    my $next = next_version($lockstep);
    ok($lockstep->wait_serial('example', $next), 'the next version');
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
    is(serial_in($file), $next, 'and writes what is not in the file yet');
};

subtest 'another file' => sub {
    my $lockstep = start_with('1h');
    ok($lockstep->wait_serial('example', $fake->{serial}), 'the zone is there');
    is(($lockstep->verb('write', 'example'))[0], 0, 'write');
    my $asked = $fake->count('AXFR') + $fake->count('IXFR');
    is(($lockstep->reload(zones => [ { %{ $lockstep->{conf}{zones}[0] }, file => 'moved/%s.db' } ]))[0], 0, 'the configuration names another file');
    is($lockstep->serial('example'), $fake->{serial}, 'the zone is served all the time');
    is(($lockstep->verb('write', 'example'))[0], 0, 'write');
    is(serial_in("$lockstep->{dir}/zones/moved/example.db"), $fake->{serial}, 'the other file is there');
    is($fake->count('AXFR') + $fake->count('IXFR'), $asked, 'without another transfer');
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
};

subtest 'a file that is touched while the daemon runs' => sub {
    my $lockstep = Lockstep->new(remotes => [ Lockstep::remote('hidden', $fake) ], server => { metrics => '127.0.0.1@' . free_port },
        zones => [ { name => 'example', primaries => ['hidden'], 'zonefile-sync' => '1h' } ])->start;
    my $file = $lockstep->zone_file('example');
    ok($lockstep->wait_serial('example', $fake->{serial}), 'the zone is there');
    is(($lockstep->verb('write', 'example'))[0], 0, 'write');
    for my $case ([ 'edited', sub { spew($file, slurp($file) . "new.example.\t300\tIN\tA\t192.0.2.1\n") } ], [ 'missing', sub { unlink $file } ]) {
        my ($word, $touch) = @$case;
        my $text = slurp($file);
        $touch->();
        is(($lockstep->verb('write', 'example'))[0], 0, "$word: write");
        is(slurp($file), $text, "$word: it is as it was");
        ok($lockstep->wait_log(qr/warning zone-file-$word zone=example\. file=\Q$file\E why=/), "$word: the log says what it was");
        is($lockstep->json('stats')->{files}{"files_$word"}, 1, "$word: which is counted");
        is($lockstep->metric("files_${word}_total"), 1, "$word: in the metrics too");
    }
    my $next = next_version($lockstep);
    ok($lockstep->wait_serial('example', $next), 'the next version comes');
    is(($lockstep->verb('write', 'example'))[0], 0, 'write');
    is(serial_in($file), $next, 'and is in the file');
    is($lockstep->json('stats')->{files}{files_mended}, 2, 'twice it was mended');
    is(scalar(() = $lockstep->log_lines(qr/warning zone-file-/)), 2, 'and twice something was wrong');
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
};

subtest 'what cannot be written is served all the same' => sub {
    for my $case ([ 'a directory in its place', sub { mkdir $_[0] }, sub { rmdir $_[0] } ],
        [ 'a file where its directory should be', sub { spew($_[1], 'x') }, sub { unlink $_[1] } ]) {
        my ($what, $spoil, $mend) = @$case;
        my $lockstep = Lockstep->new(remotes => [ Lockstep::remote('hidden', $fake) ], server => { metrics => '127.0.0.1@' . free_port },
            zones => [ { name => 'example', primaries => ['hidden'], 'zonefile-sync' => 1, file => $what =~ /^a file/ ? 'sub/%s' : '%s' } ]);
        my $directory = "$lockstep->{dir}/zones" . ($what =~ /^a file/ ? '/sub' : '');
        my $file = "$directory/example";
        $spoil->($file, $directory);
        $lockstep->start;
        ok($lockstep->wait_serial('example', $fake->{serial}), "$what: the zone is served");
        ok($lockstep->wait_log(qr/error zone-file-failed zone=example\. .*why=".*\Q$directory\E/), "$what: the log says what is wrong");
        my $status = $lockstep->status('example');
        is($status->{state}, 'ok', "$what: the state is ok");
        ok($status->{file_error} && $status->{reason}, "$what: status says what is wrong");
        like(($lockstep->verb('status'))[1], qr/^example\.\t\d+\tok\t.*\Q$status->{file_error}\E$/m, "$what: so does the table");
        my ($exit, $out, $said) = $lockstep->verb('write', 'example');
        is($exit, 1, "$what: write fails");
        like($said, qr/\Q$directory\E/, "$what: and says why");
        cmp_ok($lockstep->json('stats')->{files}{files_failed}, '>=', 2, "$what: both times are counted");
        cmp_ok($lockstep->metric('files_failed_total'), '>=', 2, "$what: in the metrics too");
        $mend->($file, $directory);
        ok(wait_for(sub { (serial_in($file) // 0) == $fake->{serial} }), "$what: mended, it is written by itself");
        ok(wait_for(sub { !defined $lockstep->status('example')->{file_error} }), "$what: and nothing is left of the error");
        is($lockstep->stop, 0, 'lockstepd ends cleanly');
    }
};

# A file system of a few pages, for files and database; only root can make one.
my $mounted;
END { local $?; run_command('umount', $mounted) if $mounted }
subtest 'a full disk' => sub {
    my $lockstep = Lockstep->new(remotes => [ Lockstep::remote('hidden', $fake) ],
        zones => [ { name => 'example', primaries => ['hidden'], 'zonefile-sync' => 1 } ]);
    my $small = "$lockstep->{dir}/small";
    mkdir $small;
    plan skip_all => 'no file system can be mounted' if $> || (run_command('mount', '-t', 'tmpfs', '-o', 'size=128k', 'none', $small))[0];
    $mounted = $small;
    @{ $lockstep->{conf}{server} }{ 'state-dir', 'zone-dir' } = ("$small/state", "$small/zones");
    $lockstep->start;
    my $file = "$small/zones/example.zone";
    ok(wait_for(sub { serial_in($file) }), 'the zone is there, and in its file');
    my $text = slurp($file);
    open my $filler, '>', "$small/filler" or die $!;
    1 while syswrite $filler, 'x' x 4096;
    my $next = next_version($lockstep);
    ok($lockstep->wait_serial('example', $next), 'nothing fits any more: the next version is served');
    ok($lockstep->wait_log(qr/error zone-file-failed .*No space left/), 'the log says why the file is not written');
    is(slurp($file), $text, 'the old file is whole');
    like($lockstep->status('example')->{file_error}, qr/No space left/, 'status says it too');
    truncate $filler, 0;
    ok(wait_for(sub { serial_in($file) == $next }), 'there is room again: it is written');
    is_deeply([ sort map { s,.*/,,r } glob "$small/zones/*" ], ['example.zone'], 'and nothing else is left there');
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
    $lockstep->start;
    ok($lockstep->wait_serial('example', $next), 'and starts again');
    is($lockstep->state('example'), 'ok', 'with all that it knew');
    is($lockstep->stop, 0, 'lockstepd ends cleanly');
};

subtest 'names' => sub {
    my @names = ('.', 'root', 'a/b.example', '\.\..example', '\.', '\.\.', '\.\./etc', '%.example', '%s', '%00.example',
        '\000.example', '\000', '\032\009.example',
        '\255\200.example', '-', '~', '*.example', '\\\\.example', '\".example', ('x' x 63) . '.' . ('y' x 63) . '.' . ('z' x 63) . '.' . ('w' x 61),
        ('\001' x 63) . '.' . ('\001' x 63) . '.' . ('\001' x 63) . '.' . ('\002' x 61),
            ('\001' x 63) . '.' . ('\001' x 63) . '.' . ('\001' x 63) . '.' . ('\003' x 61));
    my $any = sub {
        my ($talk) = @_;
        my $zone = $talk->{asked}{name};
        my $soa = Wire::raw_rr(owner => $zone, type => 'SOA', rdata => Wire::soa_rdata('example.', 7));
        $talk->send(answer => [ $soa, $talk->{asked}{type} eq 'SOA' ? () : (Wire::raw_rr(owner => $zone, type => 'NS', rdata => Wire::name('ns.example.')), $soa) ]);
    };
    for my $pattern ('%s.zone', '%1/%2/%s', '%1%%%2-%s') {
        $fake->serve(soa => $any, axfr => $any);
        my $lockstep = Lockstep->new(remotes => [ Lockstep::remote('hidden', $fake) ],
            templates => [ { name => 'default', primaries => ['hidden'], file => $pattern } ],
            zones => [ map { { name => $_ } } @names ])->start;
        ok(wait_for(sub { $lockstep->json('status')->{summary}{ok} == @names }, 20), "$pattern: all zones are there")
            or diag(($lockstep->verb('status'))[1]);
        is(($lockstep->verb('write', '--all'))[0], 0, "$pattern: all are written");
        my @files;
        File::Find::find(sub { push @files, $File::Find::name if -f }, "$lockstep->{dir}/zones");
        is(scalar @files, scalar @names, "$pattern: into as many files") or diag(join "\n", @files);
        is(scalar(grep { m,[^\w./%-], || m,/\.\.?(?:/|$), } map { substr $_, length "$lockstep->{dir}/zones" } @files), 0,
            "$pattern: with harmless names") or diag(join "\n", @files);
        is((grep { $_->{zone} eq '.' } @{ $lockstep->json('status')->{zones} })[0]{file}, "$lockstep->{dir}/zones/"
            . { '%s.zone' => 'root.zone', '%1/%2/%s' => 'r/o/root', '%1%%%2-%s' => 'r%o-root' }->{$pattern}, "$pattern: the root's");
        is($lockstep->stop, 0, 'lockstepd ends cleanly');
        $fake->vanish;
        $lockstep->start;
        is(join(' ', grep { !$lockstep->wait_serial($_, 7) } @names), '', "$pattern: each is read again from its own");
        is($lockstep->stop, 0, 'lockstepd ends cleanly');
    }
};
done_testing;
