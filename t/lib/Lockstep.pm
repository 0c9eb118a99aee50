package Lockstep;
# The daemon under test, with a configuration made from plain Perl data, and the operator's command.
#
#     my $lockstep = Lockstep->new(keys => [ $key ], remotes => [ Lockstep::remote('hidden', $primary, $key) ],
#         zones => [ { name => 'example.com', primaries => [ 'hidden' ] } ])->start;
#     ok($lockstep->wait_serial('example.com', 1));
#     same_zone($lockstep->dump('example.com'), $primary->dump('example.com'), 'what is served is what the primary has');
#
# Every group of the configuration has its own name (server, keys, remotes, acls, templates, zones, zone_lists). Lists of scalars become arrays,
# lists of hashes lists; numbers, true and false stand as they are, all else is quoted. listen, control, state-dir and zone-dir are filled in.
use strict;
use warnings;
use Dump qw(dump_text);
use IO::Socket::UNIX;
use JSON::PP;
use Process qw(work_dir free_port start_process stop_process signal_process wait_for slurp spew run_command);
use Test::More ();
use Wire;

my $build = $ENV{top_builddir} // '.';

sub have { return -x "$build/lockstepd" && -x "$build/lockstep" }

sub new {
    my ($class, %of) = @_;
    my $self = bless { conf => {%of}, dir => work_dir('lockstep'), port => $of{port} // free_port }, $class;
    delete $self->{conf}{port};
    $self->{log} = "$self->{dir}/log";
    mkdir "$self->{dir}/$_" for qw(state zones);
    $self->{conf}{server} = { listen => ["127.0.0.1\@$self->{port}"], 'state-dir' => "$self->{dir}/state", 'zone-dir' => "$self->{dir}/zones",
        control => "$self->{dir}/control.sock", workers => 1, %{ $of{server} // {} } };
    return $self;
}

# A remote for the configuration, from a Peer, a Fake, another Lockstep or an address.
sub remote {
    my ($name, $server, $key) = @_;
    my @at = map { ref $_ ? $_->at : $_ } ref $server eq 'ARRAY' ? @$server : $server;
    return { name => $name, address => \@at, $key ? (key => $key->{name}) : () };
}

sub at { my ($self) = @_; return ($self->{conf}{server}{listen} // ['127.0.0.1@53'])->[0] =~ s/^0\.0\.0\.0\@/127.0.0.1\@/r }
sub conf_file { my ($self) = @_; return "$self->{dir}/lockstep.conf" }
sub zone_file { my ($self, $name) = @_; return sprintf '%s/zones/%s.zone', $self->{dir}, $name eq '.' ? 'root' : $name }

# Puts a zone's text where source = "file" reads it.
sub put_zone { my ($self, $name, $text) = @_; spew($self->zone_file($name), $text) }

# --- the configuration --------------------------------------------------------------

sub value_text {
    my ($value) = @_;
    if (ref $value eq 'HASH') {
        return '{ ' . join(' ', map { "$_ = " . value_text($value->{$_}) . ';' } sort keys %$value) . ' }';
    }
    if (ref $value eq 'ARRAY') {
        return '(' . join(', ', map { value_text($_) } @$value) . ')' if grep { ref } @$value;
        return '[ ' . join(', ', map { value_text($_) } @$value) . ' ]';
    }
    return $value if $value =~ /^(?:-?\d{1,9}|true|false)$/;
    return '"' . $value =~ s/(["\\])/\\$1/gr . '"';
}

sub conf_text {
    my ($self) = @_;
    my $conf = $self->{conf};
    return join '', map {
        my $name = tr/_/-/r;
        my $value = $conf->{$_};
        my $text = ref $value eq 'ARRAY' ? '(' . join(', ', map { "\n    " . value_text($_) } @$value) . "\n)" : value_text($value);
        "$name: $text;\n";
    } sort keys %$conf;
}

sub configure { my ($self) = @_; spew($self->conf_file, $self->conf_text) }

# Changes groups of the configuration, and has the daemon read them: what `lockstep reload` gives.
sub reload {
    my ($self, %of) = @_;
    %{ $self->{conf} } = (%{ $self->{conf} }, %of);
    $self->configure;
    return $self->verb('reload');
}

# --- the daemon ---------------------------------------------------------------------

# A command may be given that runs the daemon, which it gets as arguments. It has read its zone files then.
sub start {
    my ($self, @command) = @_;
    my $ready = $self->log_lines(qr/ notice ready /);
    $self->configure;
    $self->{pid} = start_process($self->{log}, @command, "$build/lockstepd", '-c', $self->conf_file);
    my $probe = Wire::message(question => Wire::question('id.server', 'TXT', 3));
    wait_for(sub { !$self->running || (-S $self->{conf}{server}{control} && defined Wire::ask_udp($self->at, $probe, 0.2)) }, 60);
    wait_for(sub { !$self->running || $self->log_lines(qr/ notice ready /) > $ready }, 60);
    die 'lockstepd did not start: ' . $self->log_text unless $self->running;
    return $self;
}

# Starts it, and does not wait for anything.
sub launch {
    my ($self, @command) = @_;
    $self->configure;
    $self->{pid} = start_process($self->{log}, @command, "$build/lockstepd", '-c', $self->conf_file);
    return $self;
}

# For one that must not start: (its exit status, or undef if it runs; what it said).
sub start_in_vain {
    my ($self, @command) = @_;
    $self->configure;
    my $log = "$self->{dir}/in-vain";
    my $pid = start_process($log, @command, "$build/lockstepd", '-c', $self->conf_file);
    my $ended = wait_for(sub { !Process::running($pid) }, 60);
    my $status = stop_process($pid);
    my $said = slurp($log);
    unlink $log;
    return ($ended ? $status >> 8 : undef, $said);
}

# Its wait status: 0 if it went cleanly (and, built so, without a word from the sanitizers).
sub stop {
    my ($self) = @_;
    return 0 unless $self->{pid};
    my $status = stop_process(delete $self->{pid});
    my $mirror = delete $self->{mirror};
    $mirror->stop if $mirror;
    Test::More::diag("lockstepd ended with $status:\n" . join '', (split /^/, $self->log_text)[-40 .. -1]) if $status;
    return $status;
}

sub kill9 {
    my ($self) = @_;
    stop_process(delete $self->{pid}, 'KILL') if $self->{pid};
}

sub signal { my ($self, $signal) = @_; signal_process($self->{pid}, $signal) }
sub running { my ($self) = @_; return Process::running($self->{pid}) }
sub log_text { my ($self) = @_; return slurp($self->{log}) // '' }
sub log_lines { my ($self, $wanted) = @_; return grep { $_ =~ $wanted } split /\n/, $self->log_text }

# The first line of the log that matches, waited for.
sub wait_log {
    my ($self, $wanted, $seconds) = @_;
    my $line = wait_for(sub { ($self->log_lines($wanted))[0] }, $seconds);
    Test::More::diag("the log has no $wanted") unless $line;
    return $line;
}

# The log's lines of one event as hashes of their fields, those alone in which the given fields are so.
sub events {
    my ($self, $event, %wanted) = @_;
    my @found;
    for my $line ($self->log_lines(qr/^\S+ \S+ \Q$event\E /)) {
        my %field;
        while ($line =~ /([\w-]+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))/g) { $field{$1} = $2 // $3 }
        push @found, \%field unless grep { ($field{$_} // '') ne $wanted{$_} } keys %wanted;
    }
    return @found;
}

# The same as soon as there are so many: a line may follow on what it tells of. Those that there are, if they do not come.
sub wait_events {
    my ($self, $count, $event, %wanted) = @_;
    my @found;
    wait_for(sub { (@found = $self->events($event, %wanted)) >= $count }, 30);
    return @found;
}

# --- the command --------------------------------------------------------------------

# (exit status, standard output, standard error)
sub verb {
    my ($self, @words) = @_;
    return run_command("$build/lockstep", '-c', $self->conf_file, @words);
}

sub json {
    my ($self, @words) = @_;
    my ($status, $out, $said) = $self->verb('--json', @words);
    my $value = eval { decode_json($out) };
    Test::More::diag("lockstep --json @words gave no JSON: $out$said") unless defined $value;
    return $value;
}

# A connection to the control socket, for what the command would not do.
sub control_socket {
    my ($self) = @_;
    return IO::Socket::UNIX->new(Peer => $self->{conf}{server}{control});
}

# What is answered to bytes sent there, until the daemon closes: the lines, decoded.
sub control {
    my ($self, $bytes) = @_;
    my $socket = $self->control_socket or return;
    local $SIG{PIPE} = 'IGNORE';
    $socket->print($bytes);
    $socket->flush;
    return map { decode_json($_) } <$socket>;
}

# What `status` says of one zone.
sub status {
    my ($self, $zone) = @_;
    my $value = $self->json('status', $zone) // return undef;
    $value = $value->{zones} if ref $value eq 'HASH' && $value->{zones};
    return ref $value eq 'ARRAY' ? $value->[0] : $value;
}

# One of its metrics (server.metrics must be set), by its name without "lockstep_"; undef: there is none of it.
sub metric {
    my ($self, $name) = @_;
    my $socket = Wire::socket_to($self->{conf}{server}{metrics}, IO::Socket::SOCK_STREAM()) or return undef;
    $socket->syswrite("GET /metrics?zones=none HTTP/1.0\r\n\r\n");
    local $/;
    return (scalar(<$socket>) // '') =~ /^lockstep_\Q$name\E (\S+)$/m ? $1 : undef;
}

sub state { my ($self, $zone) = @_; return ($self->status($zone) // {})->{state} }

sub wait_state {
    my ($self, $zone, $state, $seconds) = @_;
    my $got;
    return 1 if wait_for(sub { ($got = $self->state($zone) // '') =~ /^(?:$state)$/ }, $seconds // 60);
    Test::More::diag("the state of $zone is $got, not $state");
    return 0;
}

# The zone as `dump` prints it, as canonical records.
sub dump {
    my ($self, $zone) = @_;
    my ($status, $text, $said) = $self->verb('dump', $zone);
    Test::More::diag("dump $zone: $said") if $status;
    return $status ? undef : dump_text($text, $zone);
}

# --- what it serves -----------------------------------------------------------------

# The answer to a query with EDNS: the parsed message, its extended error (RFC 8914) as `ede`; undef without an answer.
sub answer {
    my ($self, $name, $type, %of) = @_;
    my $opt = Wire::raw_rr(owner => '.', type => 'OPT', class => 1232, ttl => 0);
    my $query = Wire::message(question => Wire::question($name, $type), additional => [$opt]);
    my $bytes;
    for my $seconds ($of{seconds} // (2, 4, 8)) { last if defined($bytes = Wire::ask_udp($of{at} // $self->at, $query, $seconds)) }
    return undef unless defined $bytes;
    my $message = Wire::parse($bytes);
    my ($got) = grep { $_->{type} == 41 } @{ $message->{additional} };
    for (my $left = $got ? $got->{rdata} : ''; length $left;) {
        my ($code, $value) = unpack 'n n/a', $left;
        $message->{ede} = unpack 'n', $value if $code == 15;
        $left = substr $left, 4 + length $value;
    }
    return $message;
}

# What became of such a query in short: "NOERROR", "SERVFAIL 24", "none".
sub outcome {
    my ($self, $name, $type, %of) = @_;
    my $message = $self->answer($name, $type // 'SOA', %of) // return 'none';
    my $rcode = (qw(NOERROR FORMERR SERVFAIL NXDOMAIN NOTIMP REFUSED))[ $message->{rcode} ] // "RCODE$message->{rcode}";
    return join ' ', $rcode, $message->{ede} // ();
}

sub wait_outcome {
    my ($self, $name, $wanted, $seconds) = @_;
    my $got;
    return 1 if wait_for(sub { ($got = $self->outcome($name)) eq $wanted }, $seconds // 60);
    Test::More::diag("$name is answered with $got, not $wanted");
    return 0;
}

sub serial {
    my ($self, $zone) = @_;
    return Wire::served_serial($self->at, $zone);
}

sub wait_serial {
    my ($self, $zone, $serial, $seconds) = @_;
    my $got;
    return 1 if wait_for(sub { $got = $self->serial($zone); defined $got && $got == $serial }, $seconds // 60);
    Test::More::diag("lockstep serves serial " . ($got // 'none') . " of $zone, not $serial: " . join "\n", $self->log_lines(qr/\Q$zone\E/));
    return 0;
}

1;
