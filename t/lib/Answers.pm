package Answers;
# The same questions to lockstepd and to other servers that serve the same zones, many at a time, and the answers held against each other.
# Every difference must be one that is known, by name; and each that is known must be met.
#
#     my $compare = Answers->new(ours => $lockstep, peers => { nsd => $nsd }, apexes => [ 'example' ], known => [
#         { kind => 'nsd', name => qr/^up\./, type => qr/^A$/, how => qr/^do/, but_for => qr/^additional .*\n/m, why => 'it goes on in the parent zone' } ]);
#     $compare->run({ name => 'www.example', type => 'A', how => 'do1232' }, ...);
#     $compare->known_are_met;
#
# Of what is known, kind and why are always given; the others narrow it down: patterns, and but_for: what alone differs (left out: anything);
# or a sub, `if`, that gets the question, our response, the other, and says whether this is it. A `why` that begins with a question mark need not
# be met: it depends on the server's version.
use strict;
use warnings;
use IO::Socket::IP;
use Net::DNS;
use Socket qw(SOCK_DGRAM SOCK_STREAM);
use Test::More ();
use Time::HiRes qw(time);
use Wire;

use constant { WINDOW => 32, PATIENCE => 2, TRIES => 4 };

# How a question is asked: the EDNS size (left out: no EDNS), the DO bit, TCP.
my %how = (udp => {}, edns => { size => 1232 }, tcp => { tcp => 1 }, tcpedns => { tcp => 1, size => 1232 },
    tcpdo => { tcp => 1, size => 1232, do => 1 },
    map { $_ => { size => $_ =~ s/do//r, do => 1 } } qw(do512 do1232 do4096));

# --- asking ------------------------------------------------------------------------------

sub message_of {
    my ($question) = @_;
    my $how = $how{ $question->{how} };
    my $opt = $how->{size} ? Wire::raw_rr(owner_wire => "\0", type => 41, class => $how->{size}, ttl => $how->{do} ? 0x8000 : 0) : undef;
    return Wire::message(id => 0, question => Wire::question($question->{name}, $question->{type}), $opt ? (additional => [$opt]) : ());
}

# What is answered to each message, in their order; undef for nothing. Each gets its place as its id.
sub ask_many {
    my ($at, $tcp, @messages) = @_;
    my @answers;
    for (my $first = 0; $first < @messages; $first += 65536) {
        my $last = $first + 65535 > $#messages ? $#messages : $first + 65535;
        push @answers, ($tcp ? \&ask_stream : \&ask_datagrams)->($at, [ map { pack('n', $_ - $first) . substr $messages[$_], 2 } $first .. $last ]);
    }
    return @answers;
}

sub readable {
    my ($socket, $seconds) = @_;
    vec(my $ready = '', fileno $socket, 1) = 1;
    return select $ready, undef, undef, $seconds;
}

sub ask_datagrams {
    my ($at, $messages) = @_;
    my $socket = Wire::socket_to($at, SOCK_DGRAM) or return;
    my @answers = (undef) x @$messages;
    my %open;
    my $next = 0;
    while ($next < @$messages || %open) {
        while ($next < @$messages && keys %open < WINDOW) {
            $socket->send($messages->[$next]);
            $open{ $next++ } = [ 1, time ];
        }
        while (%open && readable($socket, keys %open >= WINDOW || $next == @$messages ? 0.2 : 0)) {
            defined $socket->recv(my $bytes, 65535) or last;
            my $id = unpack 'n', $bytes;
            $answers[$id] = $bytes if delete $open{$id};
        }
        for my $id (grep { time - $open{$_}[1] > PATIENCE } keys %open) {
            if ($open{$id}[0]++ >= TRIES) { delete $open{$id}; next }
            $socket->send($messages->[$id]);
            $open{$id}[1] = time;
        }
    }
    return @answers;
}

sub ask_stream {
    my ($at, $messages) = @_;
    my $socket = Wire::socket_to($at, SOCK_STREAM) or return;
    my @answers = (undef) x @$messages;
    my ($next, $open, $buffer) = (0, 0, '');
    while ($next < @$messages || $open) {
        while ($next < @$messages && $open < WINDOW) {
            $socket->syswrite(Wire::frame($messages->[ $next++ ]));
            $open++;
        }
        last unless readable($socket, 10) && $socket->sysread($buffer, 65536, length $buffer);
        while (length $buffer >= 2 && length $buffer >= 2 + unpack 'n', $buffer) {
            my $bytes = unpack 'n/a', $buffer;
            substr $buffer, 0, 2 + length $bytes, '';
            $answers[ unpack 'n', $bytes ] = $bytes;
            $open--;
        }
    }
    return @answers;
}

# --- reading -----------------------------------------------------------------------------

# The name at an offset in wire form and lower case, and the offset behind it. `seen`: names of the message that have been read already.
sub name_at {
    my ($bytes, $at, $seen) = @_;
    my ($start, $wire, $after) = ($at, '', undef);
    while (1) {
        my $length = ord substr $bytes, $at, 1;
        if ($length >= 192) {
            $after //= $at + 2;
            my $to = unpack('n', substr $bytes, $at, 2) & 0x3fff;
            die "a pointer forward\n" if $to >= $at;
            $wire .= $seen->{$to} //= (name_at($bytes, $to, $seen))[0];
            last;
        }
        $wire .= substr $bytes, $at, 1 + $length;
        $at += 1 + $length;
        last if $length == 0;
        die "a name without end\n" if $at >= length $bytes;
    }
    $after //= $at;
    return (($seen->{$start} //= lc $wire), $after);
}

# Octets before the names in RDATA, how many names there are: their case, and whether they are compressed, is not what is compared.
my %names_in = (2 => [ 0, 1 ], 5 => [ 0, 1 ], 6 => [ 0, 2 ], 12 => [ 0, 1 ], 15 => [ 2, 1 ], 33 => [ 6, 1 ], 39 => [ 0, 1 ],
    46 => [ 18, 1 ], 47 => [ 0, 1 ]);

sub rdata_of {
    my ($bytes, $type, $at, $end, $seen) = @_;
    my $shape = $names_in{$type} or return substr $bytes, $at, $end - $at;
    my ($before, $names) = @$shape;
    my $rdata = substr $bytes, $at, $before;
    $at += $before;
    for (1 .. $names) {
        (my $name, $at) = name_at($bytes, $at, $seen);
        $rdata .= $name;
    }
    return $rdata . substr $bytes, $at, $end - $at;
}

# A response: rcode, aa, tc, ad, edns, do; answer, authority and additional as lists of { owner, type, key (all of the record) }.
sub read_response {
    my ($bytes) = @_;
    my (undef, $flags, @counts) = unpack 'n6', $bytes;
    my %seen;
    my %got = (bytes => $bytes, rcode => $flags & 15, aa => $flags >> 10 & 1, tc => $flags >> 9 & 1, ad => $flags >> 5 & 1, edns => 0, do => 0);
    my $at = 12;
    for (1 .. $counts[0]) { (undef, $at) = name_at($bytes, $at, \%seen); $at += 4 }
    for my $section (qw(answer authority additional)) {
        my @records;
        shift @counts;
        for (1 .. $counts[0]) {
            (my $owner, $at) = name_at($bytes, $at, \%seen);
            my ($type, undef, $ttl, $length) = unpack 'n2 N n', substr $bytes, $at, 10;
            my $head = substr $bytes, $at, 8;
            $at += 10;
            if ($type == 41) { @got{qw(edns do)} = (1, $ttl >> 15 & 1); $got{rcode} |= $ttl >> 24 << 4 }
            else { push @records, { owner => $owner, type => $type, key => $owner . $head . rdata_of($bytes, $type, $at, $at + $length, \%seen) } }
            $at += $length;
        }
        $got{$section} = \@records;
    }
    die "octets behind the last record\n" if $at != length $bytes;
    return \%got;
}

sub unlike {
    my ($of, $section, $with) = @_;
    my %there = map { $_->{key} => 1 } @{ $with->{$section} };
    return grep { !$there{ $_->{key} } } @{ $of->{$section} };
}

# --- comparing ---------------------------------------------------------------------------

# Without NS records of the apex, which a server may add to an answer, and what Knot gives twice.
sub response {
    my ($self, $question, $bytes) = @_;
    return { none => 1, head => 'no answer', map { $_ => [] } qw(answer authority additional) } unless defined $bytes;
    my $got = eval { read_response($bytes) } // return { none => 1, head => "unreadable: $@", map { $_ => [] } qw(answer authority additional) };
    $got->{referral} = !@{ $got->{answer} } && !$got->{aa} && grep { $_->{type} == 2 } @{ $got->{authority} };
    if (@{ $got->{answer} } && $got->{aa}) {
        my $apex = $self->apex_of($question);
        $got->{authority} = [ grep { !($apex eq $_->{owner} && ($_->{type} == 2 || ($_->{type} == 46 && covered($_) == 2))) } @{ $got->{authority} } ];
    }
    my %seen;
    $got->{additional} = [ grep { !$seen{ $_->{key} }++ } @{ $got->{additional} } ];
    $got->{head} = join ' ', map { "$_ $got->{$_}" } qw(rcode aa tc edns do);
    return $got;
}

sub apex_of {
    my ($self, $question) = @_;
    my $name = lc Wire::name($question->{name});
    my ($apex) = sort { length $b <=> length $a } grep { substr($name, -length) eq $_
        && ($question->{type} ne 'DS' || $name ne $_) } keys %{ $self->{apex} };
    return $apex // '';
}

sub covered { my ($record) = @_; return unpack 'n', substr $record->{key}, 8 + length $record->{owner}, 2 }

# The addresses that a referral cannot do without: of nameservers below the cut. And the others.
sub glue {
    my ($response) = @_;
    my ($cut) = map { $_->{owner} } grep { $_->{type} == 2 } @{ $response->{authority} };
    my (@needed, @other);
    push @{ substr($_->{owner}, -length $cut) eq $cut ? \@needed : \@other }, $_ for grep { $_->{type} != 46 } @{ $response->{additional} };
    return ({ additional => \@needed }, { additional => \@other });
}

sub equal { my ($section, @two) = @_; return @{ $two[0]{$section} } == @{ $two[1]{$section} } && !unlike($two[0], $section, $two[1]) }

# Addresses beside an answer are a courtesy, and so are those of a referral that are not below the cut: a server which `gives_less` leaves them
# out, and all do where there is not much room. Of a truncated response the head alone counts.
sub same {
    my ($self, $kind, $question, $got, $wanted) = @_;
    return 0 if $got->{head} ne $wanted->{head};
    return 1 if $got->{tc};
    return 0 if !equal('answer', $got, $wanted) || !equal('authority', $got, $wanted);
    return equal('additional', $got, $wanted) if $self->{additional}{$kind} && !$got->{referral};
    return 1 unless $got->{referral};
    my ($our_needed, $ours) = glue($got);
    my ($needed, $other) = glue($wanted);
    return 0 unless equal('additional', $our_needed, $needed);
    return 1 if $self->{gives_less}{$kind} || room($question, $got) < 140 || room($question, $wanted) < 140;
    return equal('additional', $ours, $other);
}

# Octets that are left in a response.
sub room {
    my ($question, $response) = @_;
    my $how = $how{ $question->{how} };
    my $size = $how->{tcp} ? 65535 : $how->{size} // 512;
    return ($size > 1232 && !$how->{tcp} ? 1232 : $size) - length $response->{bytes};
}

sub text_of {
    my ($response) = @_;
    return "$response->{head}\n" if $response->{none};
    my $packet = Net::DNS::Packet->decode(\$response->{bytes}) or return "unreadable\n";
    my @lines = map { my $s = $_; map { "$s $_\n" } sort map { lc $_->plain } grep { $_->type ne 'OPT' } $packet->$s } qw(answer authority additional);
    return join '', "$response->{head}\n", @lines;
}

sub is_known {
    my ($self, $kind, $question, $got, $wanted) = @_;
    for my $known (grep { $kind =~ /^(?:$_->{kind})$/ } @{ $self->{known} }) {
        next if grep { $known->{$_} && $question->{$_} !~ $known->{$_} } qw(name type how);
        next if $known->{if} && !$known->{if}->($question, $got, $wanted);
        if (my $part = $known->{but_for}) {
            my ($ours, $theirs) = map { join "\n", sort split /\n/, text_of($_) =~ s/$part//gr } $got, $wanted;
            next if $ours ne $theirs;
        }
        $known->{met}++;
        return 1;
    }
    return 0;
}

sub new {
    my ($class, %of) = @_;
    my $self = bless { %of, count => 0 }, $class;
    $self->{apex} = { map { lc(Wire::name($_)) => 1 } @{ $of{apexes} } };
    $self->{$_} = { map { $_ => 1 } @{ $of{$_} // [] } } for qw(additional gives_less);
    return $self;
}

# Their answers as they came.
sub ask {
    my ($server, $questions) = @_;
    my @answers;
    for my $tcp (0, 1) {
        my @nth = grep { !!$how{ $questions->[$_]{how} }{tcp} == $tcp } 0 .. $#$questions;
        @answers[@nth] = ask_many($server->at, $tcp, map { message_of($questions->[$_]) } @nth);
    }
    return \@answers;
}

sub responses {
    my ($self, $server, $questions) = @_;
    my $bytes = ask($server, $questions);
    return [ map { $self->response($questions->[$_], $bytes->[$_]) } 0 .. $#$questions ];
}

# What is not as large as it may be, and truncated all the same; or larger.
sub sizes_are_right {
    my ($self, $what, $ours, @questions) = @_;
    my @cut = grep { $ours->[$_]{tc} } 0 .. $#questions;
    my $over_tcp = sub { my $how = $how{ $_[0]{how} }; return { %{ $_[0] }, how => $how->{do} ? 'tcpdo' : $how->{size} ? 'tcpedns' : 'tcp' } };
    my $whole = $self->responses($self->{ours}, [ map { $over_tcp->($questions[$_]) } @cut ]);
    my @needless = grep { $whole->[$_]{none} || $whole->[$_]{tc} || room($questions[ $cut[$_] ], $whole->[$_]) >= 0 } 0 .. $#cut;
    my @large = grep { !$ours->[$_]{none} && room($questions[$_], $ours->[$_]) < 0 } 0 .. $#questions;
    Test::More::is(@needless + @large, 0, "$what: " . @cut . ' responses are truncated, where they do not fit')
        or Test::More::diag(map { "$_->{name} $_->{type} $_->{how}\n" } @questions[ @cut[@needless], @large ]);
}

# One test for each peer, and one for the sizes.
sub run {
    my ($self, $what, @questions) = @_;
    my $ours = $self->responses($self->{ours}, \@questions);
    $self->sizes_are_right($what, $ours, @questions);
    for my $kind (sort keys %{ $self->{peers} }) {
        my $bytes = ask($self->{peers}{$kind}, \@questions);
        my @other = grep { substr($bytes->[$_] // '', 2) ne substr($ours->[$_]{bytes} // '', 2) || $ours->[$_]{none} } 0 .. $#questions;
        my $theirs = { map { $_ => $self->response($questions[$_], $bytes->[$_]) } @other };
        my @differ = grep { my @two = ($kind, $questions[$_], $ours->[$_], $theirs->{$_}); !$self->same(@two) && !$self->is_known(@two) } @other;
        $self->{count} += @questions;
        Test::More::is(scalar @differ, 0, "$what: $kind answers " . @questions . ' questions as lockstepd does') or Test::More::diag(map {
            "$questions[$_]{name} $questions[$_]{type} $questions[$_]{how}\n--- lockstepd\n" . text_of($ours->[$_])
                . "--- $kind\n" . text_of($theirs->{$_}) . "\n" }
            $#differ > 7 && !$ENV{ALL_DIFFERENCES} ? @differ[ 0 .. 7 ] : @differ);
    }
}

# One test for each; of questions that are not those of every day, not each may be met.
sub known_are_met {
    my ($self, %of) = @_;
    for my $known (@{ $self->{known} }) {
        next unless grep { /^(?:$known->{kind})$/ } keys %{ $self->{peers} };
        my $met = $known->{met} // 0;
        Test::More::ok($met || $of{other_questions} || $known->{why} =~ /^\?/, "known of $known->{kind}, met $met times: $known->{why}");
    }
}

1;
