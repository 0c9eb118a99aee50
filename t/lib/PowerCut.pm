package PowerCut;
# What a disk may hold after a cut of power. A run of the daemon leaves a trace of all that it did to its files (t/faults.c); from
# a trace up to any line of it a legal state of the disk is made:
#
#     my $cut = PowerCut->new($dir1, $dir2);            # as they are now: all of that is durable
#     $lockstep->start($faults->command(trace => $file, traced => [ $dir1, $dir2 ]));
#     ...
#     my @steps = PowerCut::steps($file);
#     $cut->replay(@steps[ 0 .. $n ])->leave;           # the directories are as a cut after that step may leave them
#
# What a file system may lose (POSIX, fsync(2)): of a file, all that was not followed by an fsync or fdatasync of it that began
# later and came back. Each sector of 512 or 4096 octets holds what stood there at some time since; the length is one that it had
# since, and what was never written reads as zeros, or as anything. A sync of a file says nothing of its name: what was made,
# renamed or removed in a directory may be lost until an fsync of the directory, in order (a journal of the file system) or each
# by itself; a rename is there or is not.
use strict;
use warnings;
use File::Find ();
use File::Path qw(make_path remove_tree);
use Process qw(slurp);

sub new {
    my ($class, @dirs) = @_;
    my $self = bless { dirs => [@dirs], base_file => {}, base_dir => {} }, $class;
    File::Find::find({ no_chdir => 1, wanted => sub {
        my ($parent, $name) = m,^(.*)/([^/]+)$,;
        my $top = grep { $_ eq $File::Find::name } @dirs;
        if (-d $_) { $self->{base_dir}{$_} //= {}; $self->{base_inode}{$_} = (stat _)[1]; $self->{base_dir}{$parent}{$name} = 'directory' unless $top; return }
        return unless -f _;
        my $inode = (stat _)[1];
        $self->{base_file}{$inode} = slurp($_);
        $self->{base_dir}{$parent}{$name} = $inode;
    } }, grep { -d } @dirs);
    return $self;
}

# The lines of a trace, each an array of its words; of what others appended too.
sub steps {
    my ($file) = @_;
    my $trace = slurp($file) // '';
    my ($at, @steps) = (0);
    while ((my $end = index $trace, "\n", $at) >= 0) {
        my @word = split / /, substr $trace, $at, $end - $at;
        $at = $end + 1;
        if ($word[0] eq 'W') { push @word, substr $trace, $at, $word[3]; $at += $word[3] }
        push @steps, \@word;
    }
    return @steps;
}

sub split_path { return $_[0] =~ m,^(.*)/([^/]+)$, }

# A file: what is durable of it; what was done since, oldest first: [ offset, octets ] or [ length ]; how much of that any sync covered.
sub new_file { my ($bytes) = @_; return { durable => $bytes, now => $bytes, done => [], passed => 0 } }

sub apply {
    my ($bytes, $op) = @_;
    if (@$op == 1) {
        $$bytes = $op->[0] < length $$bytes ? substr $$bytes, 0, $op->[0] : $$bytes . "\0" x ($op->[0] - length $$bytes);
        return;
    }
    $$bytes .= "\0" x ($op->[0] - length $$bytes) if $op->[0] > length $$bytes;
    substr $$bytes, $op->[0], length $op->[1], $op->[1];
}

# The state after these steps, of which some are durable.
sub replay {
    my ($self, @steps) = @_;
    $self->{file} = { map { $_ => new_file($self->{base_file}{$_}) } keys %{ $self->{base_file} } };
    $self->{dir} = {};
    for my $path (keys %{ $self->{base_dir} }) {
        my %entry = map { my $is = $self->{base_dir}{$path}{$_}; $_ => $is eq 'directory' ? $is
            : $self->{file}{$is} } keys %{ $self->{base_dir}{$path} };
        $self->{dir}{$path} = { durable => {%entry}, now => {%entry}, done => [], passed => 0 };
    }
    @$self{qw(order inode_of)} = (0, {});
    $self->{inode_of}{ $self->{base_inode}{$_} } = $self->{dir}{$_} for keys %{ $self->{dir} };
    $self->{inode_of}{$_} = $self->{file}{$_} for keys %{ $self->{file} };
    $self->one_step(@$_) for @steps;
    return $self;
}

sub rename_entry {
    my ($self, $path, @change) = @_;
    my $dir = $self->{dir}{$path} // die "a change in $path, which is not known";
    push @{ $dir->{done} }, [ ++$self->{order}, @change ];
    change_entries($dir->{now}, @change);
}

sub change_entries {
    my ($entries, @change) = @_;
    while (my ($name, $is) = splice @change, 0, 2) { defined $is ? ($entries->{$name} = $is) : delete $entries->{$name} }
}

sub one_step {
    my ($self, $what, @of) = @_;
    if ($what eq 'W' || $what eq 'T') {
        my $file = $self->{inode_of}{ $of[0] } // die "a file that is not known is written";
        my $op = $what eq 'W' ? [ $of[1], $of[3] ] : [ $of[1] ];
        push @{ $file->{done} }, $op;
        apply(\$file->{now}, $op);
    }
    elsif ($what eq 'C' || $what eq 'M') {
        my ($dir, $name) = split_path($of[1]);
        $self->{inode_of}{ $of[0] } = $what eq 'C' ? new_file('') : ($self->{dir}{ $of[1] } = { durable => {}, now => {}, done => [], passed => 0 });
        return unless $self->{dir}{$dir};         # one of the directories themselves
        $self->rename_entry($dir, $name => $what eq 'C' ? $self->{inode_of}{ $of[0] } : 'directory');
    }
    elsif ($what eq 'U') {
        my ($dir, $name) = split_path($of[0]);
        $self->rename_entry($dir, $name => undef);
    }
    elsif ($what eq 'R') {
        my ($from, $old) = split_path($of[0]);
        my ($dir, $new) = split_path($of[1]);
        die "renamed from one directory to another" if $from ne $dir;
        $self->rename_entry($dir, $old => undef, $new => $self->{dir}{$dir}{now}{$old} // die "$of[0] is renamed and is not there");
    }
    elsif ($what eq 'S') {
        my $what = $self->{inode_of}{ $of[0] } // return;
        $self->{sync}{ $of[1] } = $what->{passed} + @{ $what->{done} };
    }
    elsif ($what eq 'D') {
        my $what = $self->{inode_of}{ $of[0] } // return;
        my $count = $self->{sync}{ $of[1] } - $what->{passed};
        return if $count <= 0;
        for my $op (splice @{ $what->{done} }, 0, $count) {
            ref $what->{durable} ? change_entries($what->{durable}, @$op[ 1 .. $#$op ]) : apply(\$what->{durable}, $op);
        }
        $what->{passed} += $count;
    }
    elsif ($what eq 'X') { die "$of[0] is mapped to be written: what is done to it so does not show here" }
}

# Where the directories are not what the steps made of them: the paths. For who wants to know that nothing escapes the trace.
sub differs {
    my ($self) = @_;
    my %wanted = $self->tree(sub { $self->{dir}{ $_[0] }{now} }, sub { $_[0]{now} });
    my %is;
    File::Find::find({ no_chdir => 1, wanted => sub { $is{$_} = slurp($_) if -f } }, grep { -d } @{ $self->{dirs} });
    return sort grep { ($wanted{$_} // "\1") ne ($is{$_} // "\2") } keys %{ { %wanted, %is } };
}

# path => octets, as these two tell of directories and of files.
sub tree {
    my ($self, $entries, $bytes) = @_;
    my @paths = grep { $self->{dir}{$_} } @{ $self->{dirs} };
    my %tree;
    while (defined(my $path = shift @paths)) {
        my $now = $entries->($path);
        for my $name (sort keys %$now) {
            if (ref $now->{$name}) { $tree{"$path/$name"} = $bytes->($now->{$name}); next }
            push @paths, "$path/$name";
        }
    }
    return %tree;
}

# --- one of the legal outcomes ------------------------------------------------------

sub pick { return $_[ int rand @_ ] }

# Written in order, the last of it torn.
sub torn {
    my ($file, $unit) = @_;
    my ($bytes, @done) = ($file->{durable}, @{ $file->{done} });
    splice @done, int rand @done + 1;
    if (@done && @{ $done[-1] } == 2 && rand() < 0.7) {
        my ($at, $octets) = @{ pop @done };
        my $until = int(($at + rand(1 + length $octets)) / $unit) * $unit;
        push @done, [ $at, substr $octets, 0, $until - $at ] if $until > $at;
    }
    apply(\$bytes, $_) for @done;
    return $bytes;
}

# Each sector as it was at some time since, in no order.
sub shuffled {
    my ($file, $unit) = @_;
    my $bytes = my $now = $file->{durable};
    my (%sector, @length);
    push @length, length $now;
    for my $op (@{ $file->{done} }) {
        apply(\$now, $op);
        push @length, length $now;
        next unless @$op == 2;
        for (my $n = int $op->[0] / $unit; $n * $unit < $op->[0] + length $op->[1]; $n++) { push @{ $sector{$n} }, substr $now, $n * $unit, $unit }
    }
    my $length = rand() < 0.5 ? $length[-1] : pick(@length);
    my $fill = pick("\0", "\0", "\0", "\xa5");
    $bytes .= $fill x ($length - length $bytes) if $length > length $bytes;
    my $lost = pick(0.1, 0.5, 0.9);
    for my $n (keys %sector) {
        next if rand() < $lost || $n * $unit >= length $bytes;
        my $is = pick(@{ $sector{$n} });
        substr $bytes, $n * $unit, length $is, $is;
    }
    return substr $bytes, 0, $length;
}

sub file_outcome {
    my ($file, $unit, $how) = @_;
    return $file->{durable} unless @{ $file->{done} };
    $how = pick(qw(lost whole torn shuffled)) if $how eq 'mixed';
    return $how eq 'lost' ? $file->{durable} : $how eq 'whole' ? $file->{now} : $how eq 'torn' ? torn($file, $unit) : shuffled($file, $unit);
}

sub directory_outcome {
    my ($dir, $how, $until) = @_;
    my %entry = %{ $dir->{durable} };
    change_entries(\%entry, @$_[ 1 .. $#$_ ]) for grep { $how eq 'journal' ? $_->[0] <= $until : rand() < 0.5 } @{ $dir->{done} };
    return \%entry;
}

# Leaves one of the states that a cut after the steps may leave; says what sort it is.
sub leave {
    my ($self) = @_;
    my ($unit, $how, $names) = (pick(512, 4096), pick(qw(lost whole torn shuffled mixed)), pick(qw(journal each)));
    my @orders = sort { $a <=> $b } map { map { $_->[0] } @{ $_->{done} } } values %{ $self->{dir} };
    my $until = pick(0, $self->{order}, @orders);
    my %outcome = map { $_ => directory_outcome($self->{dir}{$_}, $names, $until) } sort keys %{ $self->{dir} };
    my %tree = $self->tree(sub { $outcome{ $_[0] } }, sub { file_outcome($_[0], $unit, $how) });
    for my $dir (@{ $self->{dirs} }) {
        remove_tree($dir, { keep_root => 1 });
        make_path($dir);
    }
    for my $path (sort keys %tree) {
        make_path($path =~ s,/[^/]+$,,r);
        open my $out, '>:raw', $path or die "$path: $!";
        print $out $tree{$path};
        close $out or die "$path: $!";
    }
    my $pending = grep { @{ $_->{done} } } values %{ $self->{inode_of} };
    return "$pending files and directories not synced: $how, sectors of $unit, names " . ($names eq 'each' ? 'each by itself' : 'in order');
}

1;
