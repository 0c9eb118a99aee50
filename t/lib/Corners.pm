package Corners;
# Zones with something of everything that an answer can turn on, and questions about them.
#
#     my %text = Corners::zones('example');                    # example, kid.example (a cut with DS), bare.example (one without)
#     my ($text, $keys) = Corners::signed_zones('example', 'nsec3');
#     my @questions = Corners::questions($seed, $count, \@hows, $signed_text, ...);
use strict;
use warnings;
use Signed;

my @nine = map { "$_-" . '123456789-' x 5 . '123456789' } 1 .. 3;

sub zones {
    my ($apex) = @_;
    return ($apex => parent($apex), "kid.$apex" => kid($apex), "bare.$apex" => bare($apex));
}

sub parent {
    my ($apex) = @_;
    return <<"END" . join '', map { "big IN A 10.0.0.$_\n" } 1 .. 60;
\$ORIGIN $apex.
\$TTL 3600
@ IN SOA ns1 host 7 3600 900 604800 300
@ IN NS ns1
@ IN NS ns.other.test.
@ IN NS ns.sub
@ IN MX 10 mail
@ IN MX 20 mail
@ IN MX 30 ns.sub
@ IN MX 40 outside.test.
@ IN CSYNC 7 3 A NS AAAA
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
tounsigned IN CNAME host.unsigned
towild IN CNAME a.wild
tokid IN CNAME www.kid
tokidno IN CNAME nothere.kid
tobare IN CNAME www.bare
todname IN CNAME x.d
a.ent IN A 192.0.2.4
*.wild IN A 192.0.2.5
*.wild IN MX 10 mail
b.wild IN A 192.0.2.6
c.b.a.wild IN TXT "deep"
*.wildalias IN CNAME www
*.wildloop IN CNAME x.wildloop
*.wildself IN CNAME a.wildself
*.wildwild IN CNAME q.wild
*.wildno IN CNAME nothere
*.wildnodata IN CNAME mail
*.wildcut IN CNAME h.sub
*.wildkid IN CNAME www.kid
*.wilddname IN CNAME q.d
*.wildstar IN CNAME q.star
x.*.star IN A 192.0.2.7
*.*.nest IN TXT "twice"
below.*.nest2 IN TXT "below"
*.nest2 IN TXT "at"
*.a.nest2 IN TXT "beside"
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
signed.mixed IN NS ns1
signed.mixed IN DS 3 8 2 AABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDD
unsigned.mixed IN NS ns1
u1.un IN NS ns1
u2.un IN NS ns.u2.un
ns.u2.un IN A 192.0.2.31
u3.deep.un IN NS ns1
s.deep.deep.deep IN NS ns1
s.deep.deep.deep IN DS 4 8 2 AABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDD
*.cutwild IN A 192.0.2.32
cut.cutwild IN NS ns1
d IN DNAME target
d IN TXT "beside"
x.target IN A 192.0.2.11
again.target IN DNAME d
target IN TXT "t"
dout IN DNAME elsewhere.test.
dsub IN DNAME sub
dunsigned IN DNAME unsigned
dkid IN DNAME kid
dbare IN DNAME bare
dwild IN DNAME wild
dstar IN DNAME star
dno IN DNAME nothere
dd IN DNAME d
dapex IN DNAME @
x.dent IN DNAME target
dlong IN DNAME $nine[0].$nine[1].$nine[2]
_s._tcp IN SRV 1 1 5 www
_s._tcp IN SRV 1 1 5 nothere
svc IN HTTPS 1 www alpn=h2
ptr IN PTR www
wildmx IN MX 10 a.wild
aliasmx IN MX 10 alias
caa IN CAA 0 issue "ca.example"
UPPER IN TXT "case"
odd\\.label IN TXT "a dot"
n\\000l IN A 192.0.2.33
n IN A 192.0.2.34
n\\000 IN A 192.0.2.35
\\255 IN A 192.0.2.36
-dash IN A 192.0.2.37
type IN TYPE65280 \\# 3 abcdef
kid IN NS ns1.kid
kid IN DS 2 8 2 AABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDD
ns1.kid IN A 192.0.2.12
bare IN NS ns1.bare
ns1.bare IN A 192.0.2.13
@{[ join '', map { "bigcut IN NS ns$_.bigcut\nns$_.bigcut IN A 192.0.2.$_\nns$_.bigcut IN AAAA 2001:db8::$_\n" } 1 .. 13 ]}
@{[ join '', map { "hugecut IN NS a-rather-long-name-of-a-nameserver-$_.hugecut\na-rather-long-name-of-a-nameserver-$_.hugecut IN A 192.0.2.$_\n" } 1 .. 60 ]}
@{[ join '', map { "bigds IN DS $_ 8 2 " . 'AABBCCDD' x 8 . "\n" } 1 .. 14 ]}
bigds IN NS ns1.bigds
ns1.bigds IN A 192.0.2.38
@{[ join '', map { "huge IN TXT " . ' "' . 'x' x 199 . qq{$_"\n} } 10 .. 40 ]}
@{[ join '', map { "medium IN TXT " . ' "' . 'x' x 99 . qq{$_"\n} } 10 .. 18 ]}
tohuge IN CNAME huge
tobigcut IN CNAME x.bigcut
@{[ join '', map { "manymx IN MX $_ mail$_\nmail$_ IN A 192.0.2.$_\n" } 100 .. 130 ]}
END
}

sub kid {
    my ($apex) = @_;
    return <<"END";
\$ORIGIN kid.$apex.
\$TTL 3600
@ IN SOA ns1 host 8 3600 900 604800 7200
@ IN NS ns1
ns1 IN A 192.0.2.20
www IN A 192.0.2.21
up IN CNAME www.$apex.
*.up2 IN CNAME nothere.$apex.
@{[ $apex eq 'example' ? '' : '* IN TXT "any"' ]}
grand IN NS ns1.kid
a.b IN A 192.0.2.22
END
}

sub bare { my ($apex) = @_; return kid($apex) =~ s/^(\$ORIGIN )kid/$1bare/r =~ s/host 8/host 9/r }

my %way = (nsec => {}, nsec3 => { nsec3 => 'AABBCCDD', iterations => 1 }, optout => { nsec3 => '-', optout => 1 });

sub ways { return sort keys %way }

# The same, the first two signed in one of these ways; bare.example is not. The keys by zone.
sub signed_zones {
    my ($apex, $way) = @_;
    my %text = zones($apex);
    my %key = map { $_ => Signed::key($_) } $apex, "kid.$apex";
    $text{$apex} =~ s/^kid IN DS .*\n/$key{"kid.$apex"}{ds}/m;
    $text{$_} = Signed::sign($_, $text{$_} . Signed::announced($key{$_}), $key{$_}, %{ $way{$way} }) for keys %key;
    return (\%text, \%key);
}

# --- questions ------------------------------------------------------------------------------

my @types = qw(A AAAA NS CNAME SOA MX TXT DS SRV DNAME HTTPS PTR CAA CDS CDNSKEY CSYNC NSEC NSEC3 NSEC3PARAM RRSIG DNSKEY ANY TYPE65280);

sub labels { my ($name) = @_; return $name =~ /((?:\\\d{3}|\\.|[^.\\])+)\./g }
sub above { my ($name) = @_; return $name =~ s/^(?:\\\d{3}|\\.|[^.\\])+\.//r }

# Names of the zone's text (one record a line, with its owner written out) and those around them: each with the types that it has.
# Of the owners of NSEC3 records only a few.
sub names {
    my ($apex, $text) = @_;
    my (%types, %hashed);
    while ($text =~ /^([^;\s]\S*)\s+\d+\s+IN\s+(\S+)/mg) {
        $types{ lc $1 }{$2} = 1;
        $hashed{ lc $1 } = 1 if $2 eq 'NSEC3';
    }
    delete @types{ (sort keys %hashed)[ 6 .. keys(%hashed) - 1 ] } if keys %hashed > 6;
    for my $name (sort keys %types) {
        for (my $up = above($name); length $up && $up ne '.' && length $up >= length $apex; $up = above($up)) { $types{$up} //= {} }
    }
    my %around;
    for my $name (sort keys %types) {
        my ($first) = labels($name);
        my $rest = above($name);
        my $dot = $name eq '.' ? '' : $name;
        my @near = ("nothere.$dot", "a.nothere.$dot", "*.$dot", "\\000.$dot", "a.*.$dot", "\\255.$dot");
        push @near, "${first}0.$rest", "$first\\000.$rest", "$first.$rest" =~ s/^(\w|\*)[^.]*/$1/r, "zz.${first}x.$rest"
            if defined $first && $name ne $apex;
        push @near, 'long' . '0' x 58 . ".$dot" if $types{$name}{DNAME};
        $around{$_} = $types{$name} for @near;
    }
    delete @around{ keys %types };
    return (\%types, \%around);
}

# Questions about each zone, the same ones for the same seed: one for every name that exists or is near one, and more, until there are $count. With
# `sample`, only so many, about any of them.
sub questions {
    my ($seed, $count, $hows, %text) = @_;
    my $sample = delete $text{sample};
    srand $seed;
    my $pick = sub { $_[ int rand @_ ] };
    my @questions;
    for my $zone (sort keys %text) {
        my $apex = $zone eq '.' ? '.' : "$zone.";
        my ($types, $around) = names($apex, $text{$zone});
        my %sorted = map { $_ => [ sort keys %{ $types->{$_} // $around->{$_} } ] } keys %$types, keys %$around;
        my @lists = map { [ sort keys %$_ ] } $types, $around;
        my @each = map { @$_ } @lists;
        for my $n ($sample ? 1 .. $sample : 0 .. ($count > @each ? $count : @each) - 1) {
            my $name = !$sample && $n < @each ? $each[$n] : $pick->(@{ $lists[ rand() < 0.5 ] });
            my @own = @{ $sorted{$name} };
            my $type = @own && rand() < 0.3 ? $pick->(@own) : $pick->(@types);
            $name =~ s/([a-z])/rand() < 0.5 ? uc $1 : $1/ge if rand() < 0.05;
            push @questions, { name => $name, type => $type, how => $pick->(@$hows) };
        }
    }
    srand;
    return @questions;
}

1;
