package Hostile;
# One fake primary that misbehaves and one lockstepd that must not mind. Each case offers one version more and says what must become of it:
#
#     my $pair = Hostile->new(key => $key);
#     $pair->refused('the last SOA has another serial', 'soa-differs', axfr => sub {
#         my ($talk) = @_;
#         $talk->send(answer => [ $talk->soa, $pair->records, $talk->soa(99) ]);
#     });
#     $pair->taken('the last SOA has its owner in capitals', axfr => sub { ... });
#
# The scripts are Fake's. With an `ixfr` script the version is asked for by IXFR, else by AXFR (`transfer --full`).
# After a refusal the old version is served, the zone file is as it was, the reason is in the log, status says that the primary
# has another version or why it was refused, and the next time to ask is set (what happens then, and when it is well again:
# t/937-refused-again.t). Where a limit was reached, each transfer that the primary was asked for has one line in the log, and one
# of them alone says so.
use strict;
use warnings;
use Fake;
use Lockstep;
use Mirror;
use Process qw(slurp);
use Test::More;
use Wire;

sub new {
    my ($class, %of) = @_;
    my $self = bless { zone => 'example', key => $of{key} }, $class;
    $self->{fake} = Fake->new(zone => 'example.', key => $of{key});
    $self->{fake}->serve(serial => 1, records => [ $self->records, $of{records} ? $of{records}->() : () ]);
    $self->{lockstep} = Lockstep->new($of{key} ? (keys => [ $of{key} ]) : (), remotes => [ Lockstep::remote('fake', $self->{fake}, $of{key}) ],
        server => { limits => { connect => '5s', 'transfer-idle' => '2s', 'transfer-time' => '1m', %{ $of{limits} // {} } } },
        zones => [ { name => 'example', primaries => ['fake'], 'zonefile-sync' => 0, 'refresh-min' => '1h', 'retry-min' => '1h', %{ $of{settings} // {} } } ])->start;
    $self->{lockstep}->wait_serial('example', 1) or BAIL_OUT('lockstepd does not take a good zone');
    $self->{served} = 1;
    $self->{offered} = 1;
    return $self;
}

# What the zone holds besides its SOA.
sub records {
    return ('example. 300 IN NS ns.example.', 'ns.example. 300 IN A 192.0.2.53', map { "h$_.example. 300 IN A 192.0.2.$_" } 1 .. 20);
}

# Offers the next version; returns what `transfer` said.
sub offer {
    my ($self, %script) = @_;
    my $lockstep = $self->{lockstep};
    $self->{mark} = () = $lockstep->events('transfer');
    $self->{refusals} = () = $lockstep->events('version-refused');
    $self->{asked} = $self->transfers_asked;
    $self->{fake}->serve(serial => ++$self->{offered}, %script);
    return $lockstep->verb('transfer', $script{ixfr} ? () : '--full', 'example');
}

# The attempts that the last offer led to.
sub attempts {
    my ($self) = @_;
    my @all = $self->{lockstep}->events('transfer');
    return @all[ $self->{mark} .. $#all ];
}

# What came whole and was then refused for what it says of itself, or by the operator.
sub refusals {
    my ($self) = @_;
    my @all = $self->{lockstep}->events('version-refused');
    return @all[ $self->{refusals} .. $#all ];
}

sub transfers_asked { my ($self) = @_; return $self->{fake}->count('AXFR') + $self->{fake}->count('IXFR') }

# What is wrong with the lines about a limit; nothing, ''.
sub lines_of_limit {
    my ($self) = @_;
    my @attempts = $self->attempts;
    my $said = grep { ($_->{reason} // '') eq 'limit' } @attempts;
    return '' unless $said;
    my ($asked, $refusals) = ($self->transfers_asked - $self->{asked}, scalar(my @refused = $self->refusals));
    return $said == 1 && @attempts == $asked
        && $refusals == 0 ? '' : "$said lines of a limit, " . @attempts
        . " of transfers, $refusals of refused versions; $asked were asked for";
}

sub dump_text { my ($self) = @_; return ($self->{lockstep}->verb('dump', 'example'))[1] }

sub refused {
    my ($self, $what, $reason, %script) = @_;
    my $lockstep = $self->{lockstep};
    delete $script{list};
    my ($file, $dump) = (slurp($lockstep->zone_file('example')), $self->dump_text);
    my ($status, $out, $said) = $self->offer(%script);
    my ($first, @more) = $self->attempts;
    my ($refusal) = $self->refusals;
    my $given = join ' ', (map { $first->{$_} // () } qw(outcome reason why)), map { $refusal->{$_} // () } qw(by why);
    my $state = $lockstep->status('example');
    my $next = $state->{refresh} // -1;
    my $lines = $self->lines_of_limit;
    my $right = $status == 1 && !$lines && !(grep { $_->{outcome} eq 'ok' } $first, @more)
        && $state->{state} =~ /^(?:lagging|rejected|refreshing|ok)$/ && $next >= 0 && $next <= 3600
        && ($state->{last_failure} || $state->{reason}) && $lockstep->running && $lockstep->serial('example') == $self->{served}
        && $given =~ /$reason/
        && slurp($lockstep->zone_file('example')) eq $file && $self->dump_text eq $dump && $said =~ /\S/;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok($right, "$what: refused") or diag("exit $status: $said\nthe log: $given\nwanted: $reason\n$lines\nserved: "
        . ($lockstep->serial('example') // 'nothing') . ", $state->{state}, asks in $next s");
    return $first;
}

# A record, as text or by reference, as Dump writes it.
sub record_line {
    my ($record) = @_;
    my ($got) = @{ Wire::parse(Wire::message(answer => [$record]))->{answer} };
    return join ' ', @$got{qw(owner ttl class type)}, unpack 'H*', $got->{rdata};
}

# What the zone holds after an answer to IXFR, without its SOA. Numbers and 'new' in the list of what was sent stand for SOAs.
sub after {
    my ($before, @sent) = @_;
    my %zone = map { $_ => 1 } @$before;
    my ($soas, $whole) = (0, 0);
    for my $item (@sent) {
        if (!ref $item && $item =~ /^(?:-?\d+|new)$/) { $soas++; next }
        my $line = record_line($item);
        %zone = () if $soas == 1 && !$whole++;
        if ($soas % 2) { $zone{$line} = 1; next }
        delete $zone{$_} for grep { s/^\S+ \K\d+ //r eq $line =~ s/^\S+ \K\d+ //r } keys %zone;        # the TTL does not count
    }
    return join "\n", sort keys %zone;
}

# What is served, without its SOA.
sub content { my ($self) = @_; return grep { !/^\S+ \d+ 1 6 / } @{ $self->{lockstep}->dump('example') // [] } }

# How many records are wanted may be given as `records`.
# An answer to IXFR may be given as `list`: then what is served must be what it leads to. In any case every answer must be as if
# it had come as a whole.
sub taken {
    my ($self, $what, %script) = @_;
    my ($wanted, $list) = delete @script{qw(records list)};
    my $lockstep = $self->{lockstep};
    my $expected = $list && after([ $self->content ], @$list);
    my ($status, $out, $said) = $self->offer(%script);
    my $serial = $script{serial} // $self->{offered};
    my $records = () = $self->dump_text =~ /^[^;\n]/mg;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $right = $status == 0 && $lockstep->serial('example') == $serial && (!defined $wanted || $wanted == $records);
    ok($right, "$what: taken") or diag("exit $status: $out$said\nserved: " . ($lockstep->serial('example') // 'nothing') . ", $records records");
    $self->{served} = $self->{offered} = $serial if $right;
    my @attempts = $self->attempts;
    $self->as_if_whole($what, $attempts[0]{outcome} eq 'ok' ? $expected : undef) if $right && grep { $_->{got} eq 'IXFR' } @attempts;
    return $right;
}

sub as_if_whole {
    my ($self, $what, $expected) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is(join("\n", $self->content), $expected, "$what: the records") if defined $expected;
    is(($self->{mirror} //= Mirror->new($self->{lockstep}))->differ('example'), '', "$what: the answers");
}

# A good version is still taken after all that, and the daemon ends cleanly.
sub finish {
    my ($self) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    $self->taken('after all that, a good version', axfr => undef, ixfr => undef);
    $self->{mirror}->stop if $self->{mirror};
    is($self->{lockstep}->stop, 0, 'lockstepd ends cleanly');
}

1;
