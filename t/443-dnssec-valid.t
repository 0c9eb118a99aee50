#!/usr/bin/perl
# What lockstepd answers for signed zones is secure for a resolver that validates it: data, wildcards, NODATA, NXDOMAIN, DS and its denial;
# where it is not signed, the resolver is shown that it need not be. SEED in the environment makes other questions.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Answers;
use Corners;
use Lockstep;
use Resolver;
use Signed;
use Test::More;
use Transfers qw(root_zone);
use Wire;

plan skip_all => 'lockstepd is not built' unless Lockstep::have();
plan skip_all => 'needs unbound and bind9-utils' unless Resolver::have() && Signed::have();
my $seed = $ENV{SEED} // 20180129;
note("SEED=$seed");

my (%text, %key);
for my $way (Corners::ways()) {
    my ($text, $key) = Corners::signed_zones("$way.test", $way);
    %text = (%text, %$text);
    %key = (%key, %$key);
}
my @signed = sort keys %text;
$text{'.'} = ". 3600 IN SOA ns.invalid. host.invalid. 1 3600 900 604800 300\n. 3600 IN NS ns.invalid.\n";

sub serve {
    my (%text) = @_;
    my $lockstep = Lockstep->new(zones => [ map { { name => $_, source => 'file' } } sort keys %text ]);
    $lockstep->put_zone($_, $text{$_}) for keys %text;
    return $lockstep->start;
}

# --- what is to come of it ----------------------------------------------------------------

sub of_type { my ($section, $type) = @_; return grep { $_->{type} == Wire::type_number($type) } @$section }

# secure, insecure, either (opt-out leaves open what is between the names that it proves; RFC 5155 9.2), or unknown (the answer is elsewhere).
sub expected {
    my ($zone, $question, $ours) = @_;
    return 'unknown' if refused_by_unbound($question, $ours);
    my ($cut) = map { Wire::name_text($_->{owner}) =~ s/\.$//r } of_type($ours->{authority}, 'NS');
    return $text{$cut} && $zone ne '.' ? ($zone =~ /optout/ ? 'either' : $cut =~ /^bare/ ? 'insecure' : 'secure') : 'unknown' if defined $cut;
    my @aliases = of_type($ours->{answer}, 'CNAME');
    my @data = grep { $_->{type} != 46 && $_->{type} != 39 } @{ $ours->{answer} };
    return 'unknown' if @aliases && @aliases == @data && !of_type($ours->{authority}, 'SOA') && $question->[1] !~ /^(?:CNAME|ANY)$/;
    return 'insecure' if $question->[0] =~ /(?:^|\.)bare\.\w+\.test\.$/i && "@$question" !~ /^bare\.\w+\.test\. DS$/i;
    my @proof = $zone =~ /optout/ ? of_type($ours->{authority}, 'NSEC3') : ();
    return 'either' if @proof > 1 || (@proof && ($ours->{rcode} == 3 || @{ $ours->{answer} }));
    return 'secure';
}

# What unbound (1.17) takes from no server: an alias made by a DNAME that was asked for by its type (or all), or that has too long a name; and NODATA at a
# wildcard that is an empty non-terminal, where an alias leads to it; and a wildcard's records at a name that itself begins with "*".
sub refused_by_unbound {
    my ($question, $ours) = @_;
    return 1 if of_type($ours->{answer}, 'DNAME') && of_type($ours->{answer}, 'CNAME') && $question->[1] =~ /^(?:CNAME|DNAME|ANY)$/;
    return 1 if $question->[0] =~ /^\*\./ && @{ $ours->{answer} } && @{ $ours->{authority} };
    return $ours->{rcode} == 6 || (@{ $ours->{answer} } && $question->[0] =~ /\.(?:wild|d)star\.\w+\.test\.$/i);
}

sub is_right {
    my ($expected, $question, $ours, $got) = @_;
    return 0 if !$got || $got->{rcode} == 2;
    return 0 if $expected ne 'either' && $got->{ad} != ($expected eq 'secure');
    return 1 if of_type($ours->{authority}, 'NS') || $question->[1] =~ /^(?:ANY|NSEC)$/;       # it may have an alias in its cache
    return $got->{rcode} == $ours->{rcode} && join("\n", without_ttl($got)) eq join("\n", without_ttl($ours));
}

sub without_ttl {
    my ($response) = @_;
    return sort map { my $key = $_->{key}; substr $key, length($_->{owner}) + 4, 4, ''; $key } @{ $response->{answer} };
}

my %count;

# One test for a zone: the resolver takes everything that lockstepd answers.
sub validate {
    my ($what, $zone, $lockstep, $resolver, @questions) = @_;
    my $opt = Wire::raw_rr(owner_wire => "\0", type => 41, class => 1232, ttl => 0x8000);
    my @ours = map { Answers::read_response($_) } Answers::ask_many($lockstep->at, 1, map { Wire::message(id => 0, question => Wire::question(@$_), additional => [$opt]) } @questions);
    my @expected = map { expected($zone, $questions[$_], $ours[$_]) } 0 .. $#questions;
    my @nth = grep { $expected[$_] ne 'unknown' } 0 .. $#questions;
    my @got = $resolver->ask(@questions[@nth]);
    my @wrong;
    for my $n (0 .. $#nth) {
        my ($question, $expected) = ($questions[ $nth[$n] ], $expected[ $nth[$n] ]);
        $count{$expected}++;
        next if is_right($expected, $question, $ours[ $nth[$n] ], $got[$n]);
        push @wrong, join "\n", "@$question is to be $expected", '--- lockstepd', map({ Answers::text_of({ head => '', %$_ }) } $ours[ $nth[$n] ]), '--- unbound',
            $got[$n] ? Answers::text_of({ head => "rcode $got[$n]{rcode} ad $got[$n]{ad}", %{ $got[$n] } }) : 'nothing', $resolver->said($question->[0]), '';
    }
    is(scalar @wrong, 0, "$what: " . @nth . " answers of $zone are as they should be") or diag(@wrong[ 0 .. ($#wrong > 5 && !$ENV{ALL_DIFFERENCES} ? 5 : $#wrong) ]);
}

# Each once, whatever its case; not what is never signed, nor what the trust anchors stand for.
sub questions {
    my ($zone, $sample) = @_;
    my $like = $zone =~ s/^bare/kid/r;
    my %seen;
    return grep { my ($name, $type) = @$_; $name = lc $name; !$seen{"$name $type"}++ && $type ne 'RRSIG' && !($type eq 'DS' && $name =~ /^\w*\.(?:test\.)?$/) }
        map { [ $_->{name} =~ s/\Q$like\E\.$/$zone./ir, $_->{type} ] } Corners::questions($seed, 0, ['tcpdo'], $like => $text{$like}, sample => $sample);
}

# ------------------------------------------------------------------------------------------

my $lockstep = serve(%text);
my @anchors = map { $key{"$_.test"}{ds} } Corners::ways();
my %way = (stub => { stub => { map { $_ => $lockstep->at } keys %text } }, forward => { forward => $lockstep->at });
for my $way (sort keys %way) {
    my $resolver = Resolver->new(%{ $way{$way} }, anchors => \@anchors)->start;
    validate($way, $_, $lockstep, $resolver, questions($_, $way eq 'forward' ? 250 : 0)) for @signed;
    is($resolver->stop, 0, 'unbound stops');
}
is($lockstep->stop, 0, 'lockstepd stops');

# The root zone, when it was valid.
%text = ('.' => root_zone());
$lockstep = serve(%text);
my @dnskeys = map { s/\s+/ /gr } grep { /\sDNSKEY\s+257\s/ } split /\n/, $text{'.'};
my $resolver = Resolver->new(stub => { '.' => $lockstep->at }, anchors => \@dnskeys, date => '20180130')->start;
srand $seed;
my %top = map { $_ => 1 } $text{'.'} =~ /^([\w-]+\.)\s+\d+\s+IN\s+NS\s/mg;
my @top = (sort keys %top)[ map { int rand keys %top } 1 .. 200 ];
srand;
validate('stub', '.', $lockstep, $resolver, (map { [ $_, 'DS' ] } sort keys %{ { map { $_ => 1 } @top } }), grep { !$top{ $_->[0] =~ s/^.*\.(?=.)//r } }
    map { my $name = s/\.$//r; ([ "${name}0.", 'A' ], [ "a.b.zz${name}.", 'TXT' ], [ substr($name, 0, -1) . '.', 'AAAA' ]) } @top);
is($_->stop, 0, 'and stops') for $resolver, $lockstep;

cmp_ok($count{$_}, '>', 300, "$count{$_} answers: $_") for qw(secure insecure either);
done_testing;
