#!/usr/bin/perl
# The same zones of the small internet to `lockstep check` and to Zonemaster, which is pointed at it by root hints of its own. The
# table says what each of them finds, and why where they differ. Exit statuses are not compared: Zonemaster's is 0 whatever it
# finds.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Internet;
use Findings;
use JSON::PP;
use Process qw(find_program run_command slurp spew wait_for work_dir);
use Test::More;
use Wrong;

plan skip_all => 'needs lockstepd, nsd, knot, bind9 with its tools, and unbound' unless Internet->have;
my $program = find_program('zonemaster-cli') or plan skip_all => 'needs zonemaster-cli';
my ($version) = (run_command($program, '--version'))[1] =~ /Engine version:\s*v(\S+)/;
plan skip_all => 'zonemaster-cli does not say its version' unless $version && (run_command($^X, '-MZonemaster::CLI', '-e', '1'))[0] == 0;
plan skip_all => "the table is that of Zonemaster 4.6 (Debian 12), not $version" unless $version =~ /^4\.6\./;

# Zone, what Zonemaster says of it (at NOTICE and above, but for what it says of the clean zone too), how that is to ours, and why.
my @table = (
    [ 'missing', 'MULTIPLE_NS_SET', 'milder',
        'a notice to them, since it resolves; to us an outage to come: whoever has that server\'s set in the cache does not know of the other provider' ],
    [ 'added', 'CAN_NOT_BE_RESOLVED EXTRA_NAME_CHILD MULTIPLE_NS_SET', 'more',
        'and an error that is none: only names that the first server shows are looked up, so that one of another "cannot be resolved"' ],
    [ 'childextra', 'EXTRA_NAME_CHILD', 'same' ],
    [ 'parentextra', 'EXTRA_NAME_PARENT', 'same' ],
    [ 'parents', '', 'unseen', 'they take the delegation from the first of the parent\'s servers that has one; we ask all' ],
    [ 'ownset', 'MULTIPLE_NS_SET', 'milder', 'and nothing tells it from a provider that is only late: who is a provider is not known to them' ],
    [ 'nsttl', '', 'unseen', 'names alone are compared' ],
    [ 'drift', 'IN_BAILIWICK_ADDR_MISMATCH EXTRA_ADDRESS_CHILD', 'same' ],
    [ 'alias', 'NS_IS_CNAME', 'same' ],
    [ 'nothere', 'CAN_NOT_BE_RESOLVED', 'same' ],
    [ 'noaddress', 'CAN_NOT_BE_RESOLVED', 'same' ],
    [ 'large', 'REFERRAL_SIZE_TOO_LARGE CHILD_NS_SAME_IP DEL_NS_SAME_IP SAME_IP_ADDRESS', 'more',
        'they find names with the same address too: to us that is no fault, but each of them is asked' ],
    [ 'refused', 'CN01_UNEXPECTED_RCODE_NS_QUERY_UDP CN01_UNEXPECTED_RCODE_SOA_QUERY_UDP CN02_UNEXPECTED_RCODE_NS_QUERY_TCP'
        . ' CN02_UNEXPECTED_RCODE_SOA_QUERY_TCP IS_NOT_AUTHORITATIVE NS_ERROR NS_FAILED', 'same',
        'seven times' ],
    [ 'servfail', 'CN01_UNEXPECTED_RCODE_NS_QUERY_UDP CN01_UNEXPECTED_RCODE_SOA_QUERY_UDP CN02_UNEXPECTED_RCODE_NS_QUERY_TCP'
        . ' CN02_UNEXPECTED_RCODE_SOA_QUERY_TCP IS_NOT_AUTHORITATIVE NS_ERROR NS_FAILED', 'same',
        'seven times' ],
    [ 'noauthority', 'CN01_NS_RECORD_NOT_AA_UDP CN01_SOA_RECORD_NOT_AA_UDP CN02_NS_RECORD_NOT_AA_TCP CN02_SOA_RECORD_NOT_AA_TCP IS_NOT_AUTHORITATIVE', 'milder', 'five warnings; to us one finding, and critical: a server of the delegation that does not serve the zone' ],
    [ 'silent', 'CN01_NO_RESPONSE_UDP', 'milder', 'a warning; to us critical' ],
    [ 'notcp', 'CN02_NO_RESPONSE_TCP', 'same' ],
    [ 'recursion', '', 'unseen', 'they ask for a name elsewhere, and none is resolved here; we look at the RA bit' ],
    [ 'open', 'AXFR_AVAILABLE', 'same' ],
    [ 'odd', '', 'unseen', 'an answer from another address is dropped before they see it' ],
    [ 'formerr', 'NO_EDNS_SUPPORT', 'same' ],
    [ 'dropsedns', 'BREAKS_ON_EDNS', 'other', 'an error to them; to us a warning, as it answers what comes without EDNS' ],
    [ 'noedns', 'N10_EDNS_RESPONSE_ERROR', 'same' ],
    [ 'version', 'N10_EDNS_RESPONSE_ERROR', 'same' ],
    [ 'stale', 'MULTIPLE_SOA_SERIALS SOA_SERIAL_VARIATION', 'other',
        'they see that serials differ, at once; we say it when one has been behind for longer than lag-warn, and how long' ],
    [ 'ahead', 'MULTIPLE_SOA_SERIALS SOA_SERIAL_VARIATION Z01_MNAME_NOT_MASTER', 'other',
        'they see that serials differ, at once, also where a secondary is only some seconds late; we know the primary, and since when' ],
    [ 'soa', 'MULTIPLE_SOA_RNAMES', 'same' ],
    [ 'retry', 'REFRESH_MINIMUM_VALUE_LOWER', 'other', 'that retry is over refresh is information only; they want four hours of refresh' ],
    [ 'expire', 'EXPIRE_MINIMUM_VALUE_LOWER', 'other', 'they want a week at least; we want expire to hold refresh and retry' ],
    [ 'lowrefresh', 'REFRESH_MINIMUM_VALUE_LOWER RETRY_MINIMUM_VALUE_LOWER', 'more',
        'they want four hours and one; those who poll a hidden primary have good reason for less' ],
    [ 'hiddenmname', 'Z01_MNAME_NOT_RESOLVE MNAME_HAS_NO_ADDRESS', 'more', 'a hidden primary needs no public name' ],
    [ 'short', '', 'unseen', 'they look at the SOA\'s minimum alone' ],
    [ 'onetld', '', 'unseen', 'not looked at' ],
    [ 'onefamily', 'NO_IPV6_NS_CHILD NO_IPV6_NS_DEL', 'same' ],
    [ 'one', 'NOT_ENOUGH_IPV4_NS_CHILD NOT_ENOUGH_IPV4_NS_DEL NOT_ENOUGH_IPV6_NS_CHILD'
        . ' NOT_ENOUGH_IPV6_NS_DEL NOT_ENOUGH_NS_CHILD NOT_ENOUGH_NS_DEL', 'other',
        'errors to them; to us warnings, and what else is one: provider, TLD, prefix' ],
    [ 'island', 'DNSKEY_BUT_NOT_DS', 'more', 'a zone may be signed before its DS is there, and must be' ],
    [ 'two', 'DS02_NO_MATCHING_DNSKEY_RRSIG', 'more',
        'each server signs the keys with its own key: with several signers that is how it is to be (RFC 8901)' ],
    [ 'rolled', 'DS02_NO_DNSKEY_FOR_DS', 'more', 'a DS of a key to come is a step of a rollover: one that fits is enough' ],
    [ 'more', '', 'unseen', 'DNSKEY sets are not compared' ],
    [ 'cdsother', 'DS15_INCONSISTENT_CDNSKEY DS15_INCONSISTENT_CDS', 'same' ],
    [ 'cdswest', 'DS15_INCONSISTENT_CDNSKEY DS15_INCONSISTENT_CDS', 'same' ],
    [ 'csync', '', 'unseen', 'CSYNC is not looked at' ],
    [ 'mismatch', 'DS02_NO_DNSKEY_FOR_DS DS02_NO_VALID_DNSKEY_FOR_ANY_DS', 'same' ],
    [ 'nokey', 'DS_BUT_NOT_DNSKEY', 'same' ],
    [ 'ownkey', 'DS02_NO_DNSKEY_FOR_DS DS02_NO_VALID_DNSKEY_FOR_ANY_DS', 'same', 'though not that the DNSKEY sets differ' ],
    [ 'bare', '', 'unseen', 'whether there are keys and signatures they ask the first server that answers' ],
    [ 'broken', 'DS09_RRSIG_NOT_VALID_BY_DNSKEY', 'same' ],
    [ 'soon', '', 'unseen', 'twelve hours are enough for them' ],
    [ 'soonwest', '', 'unseen', 'the same' ],
    [ 'ended', 'DS02_DNSKEY_NOT_SIGNED_BY_ANY_DS DS02_NO_MATCHING_DNSKEY_RRSIG DS02_RRSIG_NOT_VALID_BY_DNSKEY DS09_SOA_RRSIG_EXPIRED', 'same' ],
);
# Each takes a second: of all of them only with LONG=1.
my @short = qw(missing childextra parents drift nothere noauthority open ahead lowrefresh two rolled cdsother broken soon);
@table = grep { my $row = $_; grep { $row->[0] eq $_ } @short } @table unless $ENV{LONG};
my %row = map { ("$_->[0].alpha" => $_) } @table;
my @zones = grep { $row{ $_->{name} } } (Wrong::plain(), Wrong::signed(),
    { name => 'lowrefresh.alpha', what => 'a refresh for those who poll', expected => [], soa => { refresh => 300, retry => 60 } },
    { name => 'hiddenmname.alpha', what => 'a primary without a public name', expected => [], soa => { mname => 'hidden.own.alpha' } });
is_deeply([ sort map { $_->{name} } @zones ], [ sort keys %row ], 'all zones of the table are here');
my $net = Internet->new(zones => [ { name => 'clean.alpha' }, { name => 'cleansigned.alpha', signed => {} }, @zones ])->start;

# Zonemaster: only the test cases of what we look at too, and short waits.
my $dir = work_dir('zonemaster');
my $profile = decode_json((run_command($program, '--dump_profile'))[1]);
my $resolver = $profile->{resolver};
@{ $resolver->{defaults} }{qw(timeout retrans retry)} = (1, 1, 1);
my @cases = grep { /^(?:basic|consistency|delegation|nameserver0[1-46]|nameserver1|connectivity0[12]|dnssec(?:02|04|07|09|15)|zone0[1-7])/ } @{ $profile->{test_cases} };
spew("$dir/profile", encode_json({ resolver => $resolver, test_cases => \@cases }));
spew("$dir/hints", ". 3600000 NS root.servers.\n", Internet::address_records('root.servers', @Internet::root));

# The program is loaded once, and runs once in a child for each zone, two at a time, as zonemaster-cli itself would: { zone => { TAG => level } }.
my $runner = <<'END';
use Zonemaster::CLI;
my ($dir, @names) = @ARGV;
my $running = 0;
for my $name (@names) {
    wait if ++$running > 2;
    next if fork;
    open STDOUT, '>', "$dir/$name";
    open STDERR, '>&', \*STDOUT;
    @ARGV = ('--hints', "$dir/hints", '--profile', "$dir/profile", qw(--no-progress --raw --no-time --level NOTICE), $name);
    Zonemaster::CLI->new_with_options->run;
    exit;
}
1 while wait > 0;
END

sub zonemaster {
    my @names = @_;
    my ($status, $out, $said) = run_command($^X, '-e', $runner, $dir, @names);
    die "zonemaster: $out$said" if $status;
    return { map { $_ => { reverse map { /^\s*(?:[\d.]+\s+)?(NOTICE|WARNING|ERROR|CRITICAL)\s+(\w+)/ ? ($1, $2) : () } split /\n/, slurp("$dir/$_") } } @names };
}

my $said = zonemaster('clean.alpha', 'cleansigned.alpha', map { $_->{name} } @zones);
my %always = map { %{ $said->{$_} } } qw(clean.alpha cleansigned.alpha);
note('what it says of every zone here: ' . join ' ', sort keys %always);

my %operator = (plain => $net->operator, impatient => $net->operator(check => { 'lag-warn' => '1s' }));
my @resolver = ('--resolver', $net->resolver->at);
my %findings = map { $_ => Findings->new(operator => $operator{$_}, arguments => \@resolver) } keys %operator;
ok(wait_for(sub { ($operator{impatient}->verb('check', @resolver, 'stale.alpha'))[0] == 1 }), 'one is behind for long enough') if $row{'stale.alpha'};
for my $zone (@zones) {
    my ($name, $tags, $how, $why) = @{ $row{ $zone->{name} } };
    my @got = sort grep { !$always{$_} } keys %{ $said->{ $zone->{name} } };
    my $found = $findings{ ($zone->{check} // {})->{as} // 'plain' }->are("$zone->{what} (lockstep)", $zone->{name}, $zone->{expected}, %{ $zone->{check} // {} });
    is("@got", join(' ', sort split / /, $tags), "$zone->{what} (Zonemaster): $how" . ($why ? ", $why" : ''));
    my $ours = join ' ', map { s/ .*//r } @{ $zone->{expected} };
    note(sprintf '%-12s %-8s %-50s %s', $name, $how, $ours || '-', join(' ', map { "$_/$said->{ $zone->{name} }{$_}" } @got) || '-');
    # What the word says is so.
    ok($how eq 'unseen' ? $ours && !@got : $how eq 'more' ? @got > @{ $zone->{expected} } : $ours && @got,
        "$zone->{what}: the word in the table is right");
}

is($net->stop, 0, 'the servers stop');
done_testing;
