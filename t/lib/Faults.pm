package Faults;
# A daemon whose disk fails when and how a test wants it (t/faults.c says how the rules read):
#
#     my $faults = Faults->new;
#     $lockstep->start($faults->command);
#     $faults->set('sync *lockstep.db-wal 1+ EIO');
#     ...
#     ok($faults->fired, 'it came about');
#     $faults->clear;
use strict;
use warnings;
use Process qw(work_dir slurp spew);

my $library = ($ENV{top_builddir} // '.') . '/t/faults.so';

sub have { return -e $library }

sub new {
    my ($class) = @_;
    my $self = bless { rules => work_dir('faults') . '/rules' }, $class;
    return $self->clear;
}

# What runs the daemon. `trace`: a file that gets what is done to the files under the directories `traced` (t/lib/PowerCut.pm).
sub command {
    my ($self, %of) = @_;
    my $options = join ':', grep { length } $ENV{ASAN_OPTIONS} // '', 'verify_asan_link_order=0';
    my @trace = $of{trace} ? ("LOCKSTEP_TRACE=$of{trace}", 'LOCKSTEP_TRACED=' . join ':', @{ $of{traced} }) : ();
    return ('env', "LD_PRELOAD=$library", "LOCKSTEP_FAULTS=$self->{rules}", "ASAN_OPTIONS=$options", @trace);
}

# From now on these rules, counted from the beginning.
sub set {
    my ($self, @rules) = @_;
    unlink "$self->{rules}.fired";
    spew($self->{rules}, map { "$_\n" } @rules);
    return $self;
}

sub clear { my ($self) = @_; return $self->set }

# What came about since: lines "CALL PATH NTH WHAT".
sub fired {
    my ($self, $wanted) = @_;
    return grep { !$wanted || $_ =~ $wanted } split /\n/, slurp("$self->{rules}.fired") // '';
}

1;
