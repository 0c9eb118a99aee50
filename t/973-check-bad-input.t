#!/usr/bin/perl
# What `lockstep check` cannot check, because what it is told by others is missing, wrong, endless or a lie: one clear line,
# status 3, never OK, and an end within four times the time that one server is waited for.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Internet;
use Findings;
use Front;
use Process qw(free_port run_command slurp spew);
use Test::More;
use Time::HiRes qw(time);
use Wire;

plan skip_all => 'needs lockstepd, nsd, knot, bind9 with its tools, and unbound' unless Internet->have;
my ($own, $north, $west, $south) = @Internet::nameservers;
my $timeout = 1.5;
my @zones;

# What a nameserver can send instead of an answer; the SOA of TCP is answered as it is only where that is said.
sub bad { my ($what, $name, $fault, %of) = @_; push @zones, { name => "$name.alpha", what => $what, fault => $fault, ns => [ $west, $south ], %of } }
sub all { my ($bytes) = @_; return sub { my ($talk) = @_; $talk->send($bytes->($talk)) } }
bad('octets that are no message', 'noise', all(sub { join '', map { chr int rand 256 } 1 .. 100 }));
bad('nothing but a length', 'empty', all(sub { '' }));
bad('half a header', 'half', all(sub { substr $_[0]->message, 0, 7 }));
bad('the answer to another question', 'other',
    all(sub { my ($talk) = @_; $talk->message(question => Wire::question('another.alpha', 'SOA'), aa => 1) }));
bad('the question sent back', 'echo', all(sub { $_[0]{bytes} }));
bad('counts that lie', 'counts', all(sub { $_[0]->message(aa => 1, counts => [ 1, 65535, 65535, 65535 ]) }));
bad('names that go in a circle', 'circle', all(sub { $_[0]->message(aa => 1, counts => [ 1, 1, 0, 0 ], tail => "\xc0\x1e\0\6\0\1\0\0\0\0\0\0") }));
bad('a record that ends too late', 'late',
    all(sub { $_[0]->message(aa => 1, answer => [ Wire::raw_rr(owner => 'late.alpha', type => 'SOA', rdata => 'xx', rdlength => 500) ]) }));
bad('a SOA that is none', 'notsoa', all(sub { $_[0]->message(aa => 1, answer => [ Wire::raw_rr(owner => 'notsoa.alpha', type => 'SOA', rdata => "\xff" x 30) ]) }));

sub www { my ($talk) = @_; return map { Wire::raw_rr(owner => "$_.www.example", type => 'TXT', rdata => pack('C/a', 'x' x 250)) } 1 .. 220 }
bad('an answer of 60,000 octets', 'huge',
    sub { my ($talk) = @_; $talk->send($talk->message(aa => 1, additional => [ www($talk) ])) }, status => 2, finds => 'LAME');
bad('a nameserver set of a thousand', 'thousand', sub {
    my ($talk) = @_;
    return $talk->send($talk->relay) if $talk->type != 2;
    return $talk->send($talk->message(aa => 1, tc => 1)) unless $talk->tcp;
    $talk->send($talk->message(aa => 1, answer => [ map { Wire::raw_rr(owner => 'thousand.alpha', type => 'NS', rdata => Wire::name("ns$_.alpha")) } 1 .. 1000 ]));
}, status => 2, finds => 'NS-SPLIT');
bad('an answer that is always cut', 'cut', sub { my ($talk) = @_; $talk->send($talk->message(aa => 1, tc => 1)) }, status => 2, finds => 'LAME');
bad('a transfer without an end', 'endless', sub {
    my ($talk) = @_;
    return $talk->send($talk->relay) if $talk->type != 252;
    $talk->send($talk->message(aa => 1, answer => [ ('endless.alpha. 300 IN TXT "again"') x 100 ])) while 1;
}, status => 1, finds => 'DIV-TLD');      # both nameservers are under beta, and there is nothing else

my $net = Internet->new(zones => [ @zones, { name => 'fine.alpha' } ])->start;
my $operator = $net->operator;
my @resolver = ('--resolver', $net->resolver->at, '--timeout', '1500ms');
my $findings = Findings->new(operator => $operator, arguments => [ '--resolver', $net->resolver->at ]);

# (exit status, standard output, standard error), of what must end in time.
sub check {
    my (@words) = @_;
    my $began = time;
    my @got = $operator->verb('check', @words);
    my $took = time - $began;
    cmp_ok($took, '<', 4 * $timeout + 10, "@words: ends in time");        # the rest is for a slow machine
    return @got;
}

# It could not be told, and one line says of which zone and why.
sub unknown {
    my ($what, $zone, $why, @words) = @_;
    my ($status, $out, $said) = check(@words, $zone);
    my ($first) = split /\n/, $out;
    is($status, 3, "$what: status 3") or diag($out, $said);
    like($first, qr/^LOCKSTEP UNKNOWN - .*\Q$zone\E/, "$what: the first line has the zone");
    like($out, $why, "$what: and it says why");
    is($said, '', "$what: nothing on standard error");
}

# --- zones --------------------------------------------------------------------------
unknown('a zone that does not exist', 'nothere.alpha', qr/does not exist|NXDOMAIN/i, @resolver);
unknown('a TLD that does not exist', 'example.nowhere', qr/does not exist|NXDOMAIN/i, @resolver);
unknown('a name in a zone', 'www.fine.alpha', qr/\bfine\.alpha\./, @resolver);
for my $bad ('a..alpha', ('x' x 64) . '.alpha', join('.', ('x' x 60) x 5), '', "\\999.alpha") {
    my ($status, $out, $said) = check(@resolver, $bad);
    is($status, 3, "\"$bad\" is no name: status 3");
    like($out . $said, qr/\S/, 'and a word is said');
}

# --- usage --------------------------------------------------------------------------
for my $wrong ([ '--resolver', 'nonsense' ], [ '--resolver', '127.0.0.1@99999' ], [ '--timeout', 'soon' ], [ '--timeout', '0' ],
    [ '--port', '70000' ], [ '--ns', 'a..b' ], [ '--ns', 'ns/1.2.3' ],
    ['--unheard-of'], [ '--parent', 'here' ]) {
    my ($status, $out, $said) = check(@$wrong, 'fine.alpha');
    is($status, 3, "@$wrong is wrong usage");
    like($said, qr/\S.*\n/, 'which standard error explains');
}
my $broken = $net->operator;
spew($broken->conf_file, "server: { nonsense = 1; };\n");
my ($status, $out, $said) = $broken->verb('check', @resolver, 'fine.alpha');
is($status, 3, 'a configuration with an error');
like($out . $said, qr/nonsense/, 'is named');

# --- resolvers ----------------------------------------------------------------------
my $port = free_port;
unknown('a resolver at an address that nobody can reach', 'fine.alpha', qr/203\.0\.113\.200/, '--resolver', '203.0.113.200', '--timeout', '500ms');
unknown('a resolver that is not there', 'fine.alpha', qr/127\.0\.0\.1\@$port/, '--resolver', "127.0.0.1\@$port", '--timeout', '500ms');

my $liar = Front->new(addresses => ['127.0.0.1'], port => free_port, behind => $net->resolver->at);
my @liar = ('--resolver', $liar->at, '--timeout', '500ms');
my %lie = (
    'is silent' => sub { },
    'sends octets that are no message' => all(sub { join '', map { chr int rand 256 } 1 .. 60 }),
    'answers another question' => all(sub { $_[0]->message(question => Wire::question('another.alpha', 'NS')) }),
    'has another ID' => all(sub { $_[0]->message(id => 65535 - $_[0]->query->{id}) }),
    'fails' => all(sub { $_[0]->message(rcode => 2) }),
    'refuses' => all(sub { $_[0]->message(rcode => 5) }),
    'knows no name' => all(sub { $_[0]->message(rcode => 3) }),
    'has empty answers' => all(sub { $_[0]->message }),
    'gives an alias to itself' => all(sub { my ($talk) = @_; my $name = $talk->query->{questions}[0]{name}; $talk->message(answer => ["$name 300 IN CNAME $name"]) }),
    'gives aliases without an end' => all(sub { my ($talk) = @_; my $name = $talk->query->{questions}[0]{name}; $talk->message(answer => ["$name 300 IN CNAME x$name"]) }),
    'cuts all answers' => all(sub { $_[0]->message(tc => 1) }),
    'gives 3000 addresses' => sub {
        my ($talk) = @_;
        return $talk->send($talk->relay) unless $talk->type == 1;
        return $talk->send($talk->message(tc => 1)) unless $talk->tcp;
        my $name = $talk->query->{questions}[0]{name};
        $talk->send($talk->message(answer => [ map { Wire::raw_rr(owner => $name, type => 'A', rdata => pack 'C4', 192, 0, 2 + int $_ / 250, $_ % 250) } 1 .. 3000 ]));
    },
    'gives all names one address, where no server is' => sub {
        my ($talk) = @_;
        my $name = $talk->query->{questions}[0]{name};
        $talk->send($talk->type == 1 ? $talk->message(answer => ["$name 300 IN A 127.0.0.9"]) : $talk->type == 28 ? $talk->message : $talk->relay);
    },
);
for my $what (sort keys %lie) {
    $liar->serve('' => $lie{$what});
    unknown("a resolver that $what", 'fine.alpha', qr/\S/, @liar) unless $what =~ /3000|one address/;
    next unless $what =~ /3000|one address/;
    ($status, $out, $said) = check(@liar, 'fine.alpha');
    cmp_ok($status, '>=', 2, "a resolver that $what: not OK");
    like($out, qr/^LOCKSTEP (?:CRITICAL|UNKNOWN) - .*fine\.alpha/, "a resolver that $what: one clear line");
}
# Aliases in a circle for one nameserver's name: the others are checked.
$liar->serve('west.beta' => sub { my ($talk) = @_; my $name = $talk->query->{questions}[0]{name}; $talk->send($talk->message(answer => [ "$name 300 IN CNAME x.$name", "x.$name 300 IN CNAME $name" ])) });
($status, $out, $said) = check(@liar, 'fine.alpha');
cmp_ok($status, '>=', 2, 'an alias in a circle: not OK');
like($out, qr/(?:NS-TARGET|CHECK-INCOMPLETE).*\Q$west\E/, 'which is found at that nameserver');
$liar->stop;

# --- nameservers --------------------------------------------------------------------
for my $zone (@zones) {
    ($status, $out, $said) = check(@resolver, $zone->{name});
    my ($first) = split /\n/, $out;
    if ($zone->{finds}) {
        like($first, qr/^LOCKSTEP (?:CRITICAL|WARNING) - .*\Q$zone->{name}\E/, "$zone->{what}: one clear line");
        is($status, $zone->{status}, "$zone->{what}: status $zone->{status}") or diag($out);
        like($out, qr/^  (?:critical|warning) +$zone->{finds}\b/m, "$zone->{what}: $zone->{finds} is found") or diag($out);
        next;
    }
    is($status, 3, "$zone->{what}: status 3") or diag($out, $said);
    like($out, qr/CHECK-INCOMPLETE.*\Q$west\E|\Q$west\E.*CHECK-INCOMPLETE/, "$zone->{what}: at which nameserver");
    unlike($out, qr/[^\n -~]/, "$zone->{what}: nothing but text");
}

# --- what is remembered ---------------------------------------------------------------
$findings->are('a zone that is fine', 'fine.alpha', []);
my @kept = grep { -f } map { glob "$_/*" } map { ($_, glob "$_/*/") } "$operator->{dir}/state";
ok(@kept, 'what is remembered is in the state directory');
for my $damage ('', 'x' x 100_000, "\0" x 50, '{"serial":') {
    spew($_, $damage) for @kept;
    ($status, $out, $said) = check('--resolver', $net->resolver->at, 'fine.alpha');
    is($status, 0, 'damage in it is no end');
    like($said, qr/\Alockstep: [^\n]*check\/fine\.alpha[^\n]*\n\z/, 'but said');
    unlike($out, qr/[^\n -~]/, 'nor shown');
}

# --- no network at all ----------------------------------------------------------------
my ($ip_status) = run_command('ip', 'link', 'set', 'lo', 'down');
is($ip_status, 0, 'the network is gone');
unknown('no network', 'fine.alpha', qr/\S/, @resolver);
unknown('no network, and nameservers that are given', 'fine.alpha', qr/\S/, @resolver, '--ns', "$west/198.51.100.53");
run_command('ip', 'link', 'set', 'lo', 'up');

is($net->stop, 0, 'the servers stop');
done_testing;
