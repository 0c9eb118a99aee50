package Mirror;
# A second lockstepd that reads from a file what the first one serves, to hold a version that was made by steps against one that was made at once:
# every answer must be the same, octet for octet, also about what is not there: empty non-terminals, wildcards, the neighbours in a chain of denials.
#
#     my $mirror = Mirror->new($lockstep);
#     is($mirror->differ('example'), '', 'as if it had come as a whole');
#
# or, where one is as good as another and ends with the daemon (Lockstep::stop):
#
#     same_answers($lockstep, 'example', 'after some steps');
use strict;
use warnings;
use Answers;
use Exporter 'import';
use Lockstep;
use Process qw(spew);
use Test::More ();
use Wire;

our @EXPORT_OK = qw(same_answers);

use constant NAMES_MAX => 80;

sub new {
    my ($class, $lockstep) = @_;
    return bless { ours => $lockstep, zones => {} }, $class;
}

# The zone's text goes to the second one, which makes a version of it from nothing.
sub load {
    my ($self, $zone, $text) = @_;
    my $theirs = $self->{theirs} //= Lockstep->new(zones => []);
    my $known = $self->{zones}{$zone}++;
    $theirs->put_zone($zone, $text);
    if ($known) {
        my ($status, undef, $said) = $theirs->verb('transfer', $zone);
        return $status ? $said : '';
    }
    my @zones = map { { name => $_, source => 'file' } } sort keys %{ $self->{zones} };
    $theirs->{conf}{zones} = \@zones;
    if (!$theirs->{pid}) { $theirs->start }
    else { $theirs->reload(zones => \@zones) }
    return $theirs->wait_serial($zone, $self->{ours}->serial($zone)) ? '' : 'the mirror does not take it';
}

# Each owner, the names above it, one below and one beside it.
sub names {
    my ($zone, $text) = @_;
    my $apex = $zone eq '.' ? '.' : $zone =~ s/\.?$/./r;
    my %owner = map { $_ => 1 } $text =~ /^(\S+)\s/mg;
    my @owners = sort keys %owner;
    my $step = @owners > NAMES_MAX ? @owners / NAMES_MAX : 1;
    my %name = ($apex => 1);
    for (my $i = 0; $i < @owners; $i += $step) {
        my $owner = $owners[$i];
        $name{"0.$owner"} = $name{ $owner =~ s/^([^.\\]{1,40})/${1}0/r } = 1 if length $owner < 200;
        for (my $at = $owner; $at ne $apex && $at =~ /\Q$apex\E$/i; $at =~ s/^(?:[^.\\]|\\\d\d\d|\\.)*\.//) { $name{$at} = 1 }
    }
    return grep { $apex eq '.' || /(?:^|\.)\Q$apex\E$/i } sort keys %name;
}

# The questions that are answered differently: none, ''.
sub differ {
    my ($self, $zone) = @_;
    $zone =~ s/(?<=.)\.$//;
    my (undef, $text) = $self->{ours}->verb('dump', $zone);
    my $failed = $self->load($zone, $text);
    return $failed if $failed;
    my $opt = Wire::raw_rr(owner => '.', type => 'OPT', class => 1232, ttl => 0x8000);
    my $apex = $zone eq '.' ? '.' : "$zone.";
    # The apex's DS is the parent's, which ours may have too.
    my @questions = map { my $name = $_; map { [ $name, $_ ] } qw(A NS TXT NSEC ANY), $name eq $apex ? () : 'DS' } names($zone, $text);
    push @questions, map { [ $zone, $_ ] } qw(SOA DNSKEY NSEC3PARAM ZONEMD);
    my @messages = map { Wire::message(id => 0, question => Wire::question(@$_), additional => [$opt]) } @questions;
    my @ours = Answers::ask_many($self->{ours}->at, 0, @messages);
    my @theirs = Answers::ask_many($self->{theirs}->at, 0, @messages);
    my @differ = grep { ($ours[$_] // 'nothing') ne ($theirs[$_] // 'nothing') } 0 .. $#messages;
    return join ', ', map { "@{ $questions[$_] }" } @differ > 8 ? @differ[ 0 .. 7 ] : @differ;
}

sub same_answers {
    my ($lockstep, $zone, $what) = @_;
    my $mirror = $lockstep->{mirror} //= Mirror->new($lockstep);
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return Test::More::is($mirror->differ($zone), '', "$what: every answer is as if it had come as a whole");
}

sub stop { my ($self) = @_; return $self->{theirs} ? $self->{theirs}->stop : 0 }

1;
