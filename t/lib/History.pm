package History;
# A primary (Fake) of some zones that change all the time, each version following from a seed and its serial alone: so it answers IXFR with true
# differences, one step after the other, and whoever knows the seed knows what a zone held at any serial.
#
#     my $history = History->new(seed => 7, zones => [ 'a.example.', 'b.example.' ]);
#     $history->serve;
#     $history->advance('a.example.');          # to the next serial
#     same_zone($lockstep->dump('a.example'), $history->version('a.example.', 5), 'what it held at serial 5');
#
# Each zone begins at serial 1. `slots` names may be there, of which some change with each serial; `whole`: of so many serials one is
# given as a whole zone when IXFR is asked for. How far each zone has come is shared by all processes that have the object.
use strict;
use warnings;
use Digest::SHA qw(sha256);
use Fake;
use Process qw(work_dir);
use Test::More ();
use Time::HiRes ();
use Wire;

# For all that is random in a test: $ENV{SEED}, or another one each time. It is said, so that a failure can be had again.
sub seed {
    my $seed = $ENV{SEED} // int(Time::HiRes::time() * 1000) % 1_000_000;
    srand $seed;
    Test::More::note("SEED=$seed");
    return $seed;
}

sub new {
    my ($class, %of) = @_;
    my $self = bless { slots => 40, most => 4, whole => 12, %of }, $class;
    $self->{fake} = Fake->new(zone => $self->{zones}[0], $of{key} ? (key => $of{key}) : ());
    my $file = work_dir('history') . '/serials';
    open $self->{serials}, '+>', $file or die "$file: $!";
    $self->{number}{ $self->{zones}[$_] } = $_ for 0 .. $#{ $self->{zones} };
    $self->set_serial($_, 1) for @{ $self->{zones} };
    return $self;
}

sub at { my ($self) = @_; return $self->{fake}->at }

sub serve {
    my ($self) = @_;
    my $soa = sub {
        my ($talk) = @_;
        my $zone = $talk->{asked}{name};
        my $serial = $self->serial($zone);
        $self->slots_at($zone, $serial);          # here it is remembered, in the children that send it is not
        $talk->send(answer => [ $self->soa($zone, $serial) ]);
    };
    $self->{fake}->serve(soa => $soa, axfr => sub { $self->send_whole(@_) }, ixfr => sub { $self->send_steps(@_) });
    return $self;
}

sub vanish { my ($self) = @_; $self->{fake}->vanish }

# --- serials ----------------------------------------------------------------------

sub set_serial {
    my ($self, $zone, $serial) = @_;
    sysseek $self->{serials}, 4 * $self->{number}{$zone}, 0;
    syswrite $self->{serials}, pack 'N', $serial;
}

# Each process has its own place in the file.
sub serial {
    my ($self, $zone) = @_;
    open my $file, '<:raw', "/proc/self/fd/" . fileno $self->{serials} or die "serials: $!";
    sysseek $file, 4 * $self->{number}{$zone}, 0;
    sysread $file, my $serial, 4;
    return unpack 'N', $serial;
}

sub advance {
    my ($self, $zone, $steps) = @_;
    my $serial = $self->serial($zone) + ($steps // 1);
    $self->set_serial($zone, $serial);
    return $serial;
}

sub notify {
    my ($self, $to, $zone) = @_;
    return $self->{fake}->notify($to, zone => $zone, serial => $self->serial($zone), no_wait => 1);
}

# --- versions ---------------------------------------------------------------------

# Numbers that follow from seed, zone and serial.
sub numbers {
    my ($self, $zone, $serial) = @_;
    return unpack 'N8', sha256("$self->{seed} $zone $serial");
}

# What the step to this serial does: slot => serial of its record, or 0 where it goes.
sub step {
    my ($self, $zone, $serial) = @_;
    my @number = $self->numbers($zone, $serial);
    my %slot;
    $slot{ $number[$_] % $self->{slots} } = $number[$_] >> 16 & 3 ? $serial : 0 for 1 .. 1 + $number[0] % $self->{most};
    return \%slot;
}

# slot => serial of the record that stands there. Every 64th version is kept.
sub slots_at {
    my ($self, $zone, $serial) = @_;
    my $kept = $self->{kept}{$zone} //= [ { map { $_ => 1 } 0 .. $self->{slots} / 2 } ];
    push @$kept, $self->later($zone, $kept->[-1], 64 * $#$kept + 1, 64 * @$kept + 1) while 64 * @$kept < $serial;
    my $nearest = int(($serial - 1) / 64);
    return $self->later($zone, $kept->[$nearest], 64 * $nearest + 1, $serial);
}

sub later {
    my ($self, $zone, $slots, $from, $to) = @_;
    my %later = %$slots;
    for my $serial ($from + 1 .. $to) {
        my $step = $self->step($zone, $serial);
        for (keys %$step) { $step->{$_} ? ($later{$_} = $step->{$_}) : delete $later{$_} }
    }
    return \%later;
}

sub soa {
    my ($self, $zone, $serial) = @_;
    return Wire::raw_rr(owner => $zone, type => 'SOA', ttl => 300, rdata => Wire::soa_rdata($zone, $serial, 3600, 2, 604800, 300));
}

sub record {
    my ($self, $zone, $slot, $serial) = @_;
    return Wire::raw_rr(owner => "h$slot.$zone", type => 'TXT', ttl => 300, rdata => pack('C/a', "$slot at $serial " . 'x' x ($slot % 7 * 20)));
}

sub fixed { my ($self, $zone) = @_; return Wire::raw_rr(owner => $zone, type => 'NS', ttl => 300, rdata => Wire::name("ns.$zone")) }

sub records_at {
    my ($self, $zone, $serial) = @_;
    my $slots = $self->slots_at($zone, $serial);
    return ($self->fixed($zone), map { $self->record($zone, $_, $slots->{$_}) } sort { $a <=> $b } keys %$slots);
}

# The zone at a serial as Dump's canonical lines.
sub version {
    my ($self, $zone, $serial) = @_;
    return [ sort map { canonical($_) } $self->soa($zone, $serial), $self->records_at($zone, $serial) ];
}

sub canonical {
    my ($record) = @_;
    my ($owner, $at) = Wire::read_name($$record, 0);
    my ($type, $class, $ttl, $rdata) = unpack 'n2 N n/a', substr $$record, $at;
    return join ' ', $owner, $ttl, $class, $type, unpack 'H*', $rdata;
}

# --- transfers --------------------------------------------------------------------

sub send_whole {
    my ($self, $talk, $serial) = @_;
    my $zone = $talk->{asked}{name};
    $serial //= $self->serial($zone);
    $talk->send(answer => [ $self->soa($zone, $serial), $self->records_at($zone, $serial), $self->soa($zone, $serial) ]);
}

sub send_steps {
    my ($self, $talk) = @_;
    my $zone = $talk->{asked}{name};
    my ($from, $to) = ($talk->serial, $self->serial($zone));
    return $self->send_whole($talk, $to) if $from > $to || ($from < $to && $self->{whole} && ($self->numbers($zone, $to))[6] % $self->{whole} == 0);
    my @answer = $self->soa($zone, $to);
    my $slots = $self->slots_at($zone, $from);
    for my $serial ($from + 1 .. $to) {
        my $step = $self->step($zone, $serial);
        push @answer, $self->soa($zone, $serial - 1), map({ $self->record($zone, $_, $slots->{$_}) } grep { $slots->{$_} } sort keys %$step),
            $self->soa($zone, $serial), map { $self->record($zone, $_, $serial) } grep { $step->{$_} } sort keys %$step;
        for (keys %$step) { $step->{$_} ? ($slots->{$_} = $serial) : delete $slots->{$_} }
    }
    push @answer, $self->soa($zone, $to) if $from < $to;
    $talk->send(answer => [ splice @answer, 0, 200 ]) while @answer;
}

# --- what a server serves -----------------------------------------------------------

# The serial and the canonical lines of a server's AXFR, without another program; undef where it gives none.
sub served {
    my ($at, $zone) = @_;
    my $socket = Wire::socket_to($at, IO::Socket::SOCK_STREAM()) or return;
    $socket->syswrite(Wire::frame(Wire::message(question => Wire::question($zone, 'AXFR'))));
    my ($buffer, $serial, $soas, @lines) = ('', undef, 0);
    while ($soas < 2) {
        vec(my $ready = '', fileno $socket, 1) = 1;
        return unless select($ready, undef, undef, 5) && $socket->sysread($buffer, 65536, length $buffer);
        while (length $buffer >= 2 && length $buffer >= 2 + unpack 'n', $buffer) {
            my $message = Wire::parse(substr $buffer, 2, unpack 'n', $buffer);
            substr $buffer, 0, 2 + unpack('n', $buffer), '';
            return if $message->{rcode} || !@{ $message->{answer} };
            for my $record (@{ $message->{answer} }) {
                $serial = Wire::soa_serial($message, $record) if $record->{type} == 6;
                next if $record->{type} == 6 && $soas++;
                push @lines, join ' ', @$record{qw(owner ttl class type)}, unpack 'H*', plain_rdata($message, $record);
            }
        }
    }
    return ($serial, [ sort @lines ]);
}

# RDATA without compression, as far as SOA and NS have it.
sub plain_rdata {
    my ($message, $record) = @_;
    return $record->{rdata} unless $record->{type} == 2 || $record->{type} == 6;
    my ($at, $plain) = ($record->{at}, '');
    for (1 .. ($record->{type} == 6 ? 2 : 1)) {
        (my $name, $at) = Wire::read_name($message->{bytes}, $at);
        $plain .= Wire::name($name);
    }
    return $plain . substr $message->{bytes}, $at, $record->{at} + length($record->{rdata}) - $at;
}

1;
