package Valid;
# Whether what lockstepd answers is, for a resolver that validates it, what it should be: secure, or shown to be insecure. The zones are those of
# Corners; names tell which are what: optout.*, bare.*.
#
#     my $valid = Valid->new(ours => $lockstep, resolver => $resolver, served => \%text);      # keys: all zones that are served
#     $valid->validate('a test', 'nsec.test', [ 'www.nsec.test', 'A' ], ...);
#     $valid->{count}{secure};
use strict;
use warnings;
use Answers;
use Test::More ();
use Wire;

sub new { my ($class, %of) = @_; return bless {%of}, $class }

sub of_type { my ($section, $type) = @_; return grep { $_->{type} == Wire::type_number($type) } @$section }

# secure, insecure, either (opt-out leaves open what is between the names that it proves; RFC 5155 9.2), or unknown (the answer is elsewhere).
sub expected {
    my ($zone, $served, $question, $ours) = @_;
    return 'unknown' if refused_by_unbound($question, $ours);
    my ($cut) = map { Wire::name_text($_->{owner}) =~ s/\.$//r } of_type($ours->{authority}, 'NS');
    if (defined $cut) {
        return 'unknown' if !$served->{$cut} || $zone eq '.';
        return $zone =~ /optout/ ? 'either' : $cut =~ /^bare/ ? 'insecure' : 'secure';
    }
    my @aliases = of_type($ours->{answer}, 'CNAME');
    my @data = grep { $_->{type} != 46 && $_->{type} != 39 } @{ $ours->{answer} };
    return 'unknown' if @aliases && @aliases == @data && !of_type($ours->{authority}, 'SOA') && $question->[1] !~ /^(?:CNAME|ANY)$/;
    return 'insecure' if $question->[0] =~ /(?:^|\.)bare\.\w+\.test\.$/i && "@$question" !~ /^bare\.\w+\.test\. DS$/i;
    my @proof = of_type($ours->{authority}, 'NSEC3');
    @proof = () unless grep { ord(substr $_->{key}, length($_->{owner}) + 9, 1) & 1 } @proof;        # the flag of opt-out
    return 'either' if @proof > 1 || (@proof && ($ours->{rcode} == 3 || @{ $ours->{answer} }));
    return 'secure';
}

# What unbound (1.17) takes from no server: an alias made by a DNAME that was asked for by its type (or all), or that has too long a name; NODATA
# at a wildcard that is an empty non-terminal, where an alias leads to it; and a wildcard's records at a name that itself begins with "*".
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

# One test for a zone: the resolver takes everything that lockstepd answers.
sub validate {
    my ($self, $what, $zone, @questions) = @_;
    my $opt = Wire::raw_rr(owner_wire => "\0", type => 41, class => 1232, ttl => 0x8000);
    my @messages = map { Wire::message(id => 0, question => Wire::question(@$_), additional => [$opt]) } @questions;
    my @ours = map { Answers::read_response($_) } Answers::ask_many($self->{ours}->at, 1, @messages);
    my @expected = map { expected($zone, $self->{served}, $questions[$_], $ours[$_]) } 0 .. $#questions;
    my @nth = grep { $expected[$_] ne 'unknown' } 0 .. $#questions;
    my @got = $self->{resolver}->ask(@questions[@nth]);
    my @wrong;
    for my $n (0 .. $#nth) {
        my ($question, $expected) = ($questions[ $nth[$n] ], $expected[ $nth[$n] ]);
        $self->{count}{$expected}++;
        next if is_right($expected, $question, $ours[ $nth[$n] ], $got[$n]);
        my ($ours_text, $got_text) = map { $_ ? Answers::text_of({ head => "rcode $_->{rcode} ad $_->{ad}", %$_ })
            : "nothing\n" } $ours[ $nth[$n] ], $got[$n];
        push @wrong, "@$question is to be $expected\n--- lockstepd\n$ours_text--- unbound\n$got_text"
            . $self->{resolver}->said($question->[0]) . "\n";
    }
    Test::More::is(scalar @wrong, 0, "$what: " . @nth . " answers of $zone are as they should be")
        or Test::More::diag($#wrong > 5 && !$ENV{ALL_DIFFERENCES} ? @wrong[ 0 .. 5 ] : @wrong);
}

1;
