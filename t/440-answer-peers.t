#!/usr/bin/perl
# The same questions to lockstepd, NSD, Knot and BIND, which serve the same zones. Every difference is in the list of what is known, by name.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Lockstep;
use Net::DNS;
use Peer;
use Test::More;
use Wire;

plan skip_all => 'lockstepd is not built' unless Lockstep::have();
my @kinds = grep { Peer->have($_) } qw(nsd knot bind);
plan skip_all => 'needs nsd, knot or bind9' unless @kinds;

my %text = ('example' => <<'END' . join('', map { "big IN A 10.0.0.$_\n" } 1 .. 60), 'kid.example' => <<'END');
$ORIGIN example.
$TTL 3600
@ IN SOA ns1 host 7 3600 900 604800 300
@ IN NS ns1
@ IN NS ns.other.test.
@ IN NS ns.sub
@ IN MX 10 mail
@ IN MX 20 mail
@ IN MX 30 ns.sub
@ IN MX 40 outside.test.
ns1 IN A 192.0.2.1
ns1 IN AAAA 2001:db8::1
mail IN A 192.0.2.2
www IN A 192.0.2.3
www IN TXT "x"
alias IN CNAME www
alias2 IN CNAME alias
loop1 IN CNAME loop2
loop2 IN CNAME loop1
dangling IN CNAME nothere
toent IN CNAME ent
out IN CNAME www.other.test.
tosub IN CNAME host.sub
tocut IN CNAME sub
towild IN CNAME a.wild
tokid IN CNAME www.kid
todname IN CNAME x.d
a.ent IN A 192.0.2.4
*.wild IN A 192.0.2.5
*.wild IN MX 10 mail
b.wild IN A 192.0.2.6
c.b.a.wild IN TXT "deep"
*.wildalias IN CNAME www
*.wildloop IN CNAME x.wildloop
*.wildself IN CNAME a.wildself
x.*.star IN A 192.0.2.7
sub IN NS ns.sub
sub IN NS ns.sib
sub IN NS ns1
sub IN NS ns.elsewhere.test.
sub IN DS 1 8 2 AABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDD
ns.sub IN A 192.0.2.8
ns.sub IN AAAA 2001:db8::8
below.sub IN TXT "hidden by the cut"
sib IN NS ns.sib
ns.sib IN A 192.0.2.9
unsigned IN NS ns.unsigned
ns.unsigned IN A 192.0.2.10
wildns IN NS a.wild
d IN DNAME target
d IN TXT "beside"
x.target IN A 192.0.2.11
again.target IN DNAME d
target IN TXT "t"
dout IN DNAME elsewhere.test.
dlong IN DNAME 3456789-123456789-123456789-123456789-123456789-123456789.3456789-123456789-123456789-123456789-123456789-123456789.3456789-123456789-123456789-123456789-123456789-123456789
_s._tcp IN SRV 1 1 5 www
_s._tcp IN SRV 1 1 5 nothere
svc IN HTTPS 1 www alpn=h2
ptr IN PTR www
wildmx IN MX 10 a.wild
aliasmx IN MX 10 alias
kid IN NS ns1.kid
kid IN DS 2 8 2 AABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDD
ns1.kid IN A 192.0.2.12
END
$ORIGIN kid.example.
$TTL 3600
@ IN SOA ns1 host 8 3600 900 604800 7200
@ IN NS ns1
ns1 IN A 192.0.2.20
www IN A 192.0.2.21
up IN CNAME www.example.
END

my @names = (qw(. test www.nowhere example), map { "$_.example" } qw(ns1 mail www WwW x.www nothere a.nothere alias alias2 loop1 dangling toent out tosub tocut towild
    tokid todname ent a.ent b.a.ent wild *.wild x.wild y.x.wild b.wild x.b.wild a.wild b.a.wild c.b.a.wild x.a.wild foo.wildalias wildalias a.wildloop a.wildself
    star *.star a.star x.*.star sub a.sub ns.sub below.sub sib ns.sib unsigned a.unsigned wildns d x.d y.d a.x.d x.again.d target dout x.dout
    _tcp _s._tcp svc ptr wildmx aliasmx big kid www.kid x.kid ns1.kid up.kid
    long12345678901234567890123456789012345678901234567890123.long56789012345678901234.dlong));
my @types = qw(A AAAA NS CNAME SOA MX TXT DS SRV DNAME HTTPS PTR TYPE65280);

# What is known: server, name, type, why, and what alone may differ (left out: anything). Each must be met; but those with a question mark depend on the server's version.
my @known = map { { kind => $_->[0], name => $_->[1], type => $_->[2], why => $_->[3], but_for => $_->[4] } } (
    [ 'bind', qr/^(?:loop1|a\.wildloop|a\.wildself)\.example/, qr/./, 'it fails where a chain of aliases goes in a circle; the others give the chain' ],
    [ 'bind', qr/./, qr/^SOA$/, 'the SOA of a denial has the TTL 0 where the SOA was asked for (zero-no-soa-ttl)',
        qr/^authority \S+ \K\d+(?= in soa )/m ],
    [ 'bind', qr/^tokid\.example/, qr/./, 'it stops before the delegation to a child that it serves too; NSD goes on in the child; Knot refers to it, as we do' ],
    [ 'nsd', qr/^tokid\.example/, qr/./, 'see above' ],
    [ 'nsd', qr/^up\.kid\.example/, qr/./, 'it goes on in the parent zone' ],
    [ 'nsd', qr/^a\.wildself\.example/, qr/./, 'it gives an alias again that a wildcard has made of itself' ],
    [ 'knot', qr/^a\.wildself\.example/, qr/./, 'see above' ],
    [ 'knot', qr/^long.*\.dlong\.example/, qr/./, '? a DNAME that makes too long a name is NXDOMAIN in 3.2' ],
);

my $ours = Lockstep->new(server => { 'minimal-responses' => 'false' }, zones => [ map { { name => $_, source => 'file' } } sort keys %text ]);
$ours->put_zone($_, $text{$_}) for keys %text;
my %peer = map { $_ => Peer->new($_, zones => [ map { { name => $_, text => $text{$_} } } sort keys %text ]) } @kinds;
$_->start for $ours, values %peer;
ok($ours->wait_serial('example', 7) && $ours->wait_serial('kid.example', 8), 'lockstepd serves the zones');

my $opt = Wire::raw_rr(owner_wire => "\0", type => 41, class => 1232, ttl => 0);

sub ask {
    my ($server, $name, $type, $how) = @_;
    my $bytes = Wire::message(question => Wire::question($name, $type), $how eq 'udp' ? () : (additional => [$opt]));
    my ($answer) = $how eq 'tcp' ? Wire::ask_tcp($server->at, $bytes) : (Wire::ask_udp($server->at, $bytes));
    return $answer;
}

# A response without what servers may choose: the order, and NS of the apex with their addresses beside an answer.
sub normal {
    my ($name, $bytes) = @_;
    return { head => 'none', text => 'none' } unless defined $bytes;
    my $packet = Net::DNS::Packet->decode(\$bytes) or return { head => 'unreadable', text => 'unreadable' };
    my $header = $packet->header;
    my %lines = map { my $section = $_; $section => [ sort map { lc $_->plain } grep { $_->type ne 'OPT' } $packet->$section ] } qw(answer authority additional);
    my $apex = $name =~ /\bkid\./ ? 'kid.example.' : 'example.';
    $lines{authority} = [ grep { !/^\Q$apex\E \d+ in ns / } @{ $lines{authority} } ] if @{ $lines{answer} } && $header->aa;
    my %seen;
    my $head = join ' ', $header->rcode, map { $header->$_ ? $_ : () } qw(aa tc);
    return {
        head => $head,
        text => join("\n", $head, map { my $s = $_; map { "$s $_" } @{ $lines{$s} } } qw(answer authority)),
        additional => join("\n", grep { !$seen{$_}++ } @{ $lines{additional} }),
        referral => !@{ $lines{answer} } && !$header->aa,
        tc => $header->tc,
    };
}

# Addresses beside an answer are a courtesy: Knot gives those that we do, NSD and BIND more, or fewer. Those of a referral are
# its glue; BIND leaves out what is not below the cut. A truncated answer is empty or has what fits.
sub same {
    my ($kind, $got, $wanted) = @_;
    return $got->{head} eq $wanted->{head} if $got->{tc};
    return 0 if $got->{text} ne $wanted->{text};
    return 1 if !($kind eq 'knot' || ($kind eq 'nsd' && $got->{referral}));
    return ($got->{additional} // '') eq ($wanted->{additional} // '');
}

sub same_but_for {
    my ($part, @responses) = @_;
    return 1 unless $part;
    my ($got, $wanted) = map { $_->{text} =~ s/$part//r } @responses;
    return $got eq $wanted;
}

my %count;
for my $how (qw(edns udp tcp)) {
    for my $kind (@kinds) {
        my @differ;
        for my $question (map { my $name = $_; map { [ $name, $_ ] } @types } @names) {
            my ($name, $type) = @$question;
            my ($got, $wanted) = map { normal($name, ask($_, $name, $type, $how)) } $ours, $peer{$kind};
            $count{$how}++;
            next if same($kind, $got, $wanted);
            my ($known) = grep { $kind eq $_->{kind} && $name =~ $_->{name} && $type =~ $_->{type} && same_but_for($_->{but_for}, $got, $wanted) } @known;
            $known ? $known->{met}++ : push @differ, join "\n", "$name $type", '--- lockstepd', @$got{qw(text additional)}, "--- $kind", @$wanted{qw(text additional)}, '';
        }
        is(scalar @differ, 0, "$kind over $how answers as lockstepd does") or diag(@differ[0 .. ($#differ > 5 ? 5 : $#differ)]);
    }
}
cmp_ok($count{$_}, '>', 900 * @kinds, "$count{$_} comparisons over $_") for sort keys %count;
for my $known (@known) {
    ok($known->{met} || $known->{why} =~ /^\?/, "known of $known->{kind}: $known->{why}") if $peer{ $known->{kind} };
}

is($_->stop, 0, ($_->{kind} // 'lockstepd') . ' stops') for $ours, values %peer;
done_testing;
