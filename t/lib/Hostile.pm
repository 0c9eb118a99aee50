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
# After a refusal the old version is served, the zone file is as it was, and the reason is in the log.
use strict;
use warnings;
use Fake;
use Lockstep;
use Process qw(slurp);
use Test::More;

sub new {
    my ($class, %of) = @_;
    my $self = bless { zone => 'example', key => $of{key} }, $class;
    $self->{fake} = Fake->new(zone => 'example.', key => $of{key});
    $self->{fake}->serve(serial => 1, records => [ $self->records, $of{records} ? $of{records}->() : () ]);
    $self->{lockstep} = Lockstep->new($of{key} ? (keys => [ $of{key} ]) : (), remotes => [ Lockstep::remote('fake', $self->{fake}, $of{key}) ],
        server => { limits => { connect => '2s', 'transfer-idle' => '2s', 'transfer-time' => '1m', %{ $of{limits} // {} } } },
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

sub dump_text { my ($self) = @_; return ($self->{lockstep}->verb('dump', 'example'))[1] }

sub refused {
    my ($self, $what, $reason, %script) = @_;
    my $lockstep = $self->{lockstep};
    my ($file, $dump) = (slurp($lockstep->zone_file('example')), $self->dump_text);
    my ($status, $out, $said) = $self->offer(%script);
    my ($first) = $self->attempts;
    my ($refusal) = $self->refusals;
    my $given = join ' ', (map { $first->{$_} // () } qw(outcome reason why)), map { $refusal->{$_} // () } qw(by why);
    my $right = $status == 1 && $lockstep->running && $lockstep->serial('example') == $self->{served} && $given =~ /$reason/
        && slurp($lockstep->zone_file('example')) eq $file && $self->dump_text eq $dump && $said =~ /\S/;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok($right, "$what: refused") or diag("exit $status: $said\nthe log: $given\nwanted: $reason\nserved: " . ($lockstep->serial('example') // 'nothing'));
    return $first;
}

# How many records are wanted may be given as `records`.
sub taken {
    my ($self, $what, %script) = @_;
    my $wanted = delete $script{records};
    my $lockstep = $self->{lockstep};
    my ($status, $out, $said) = $self->offer(%script);
    my $serial = $script{serial} // $self->{offered};
    my $records = () = $self->dump_text =~ /^[^;\n]/mg;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $right = $status == 0 && $lockstep->serial('example') == $serial && (!defined $wanted || $wanted == $records);
    ok($right, "$what: taken") or diag("exit $status: $out$said\nserved: " . ($lockstep->serial('example') // 'nothing') . ", $records records");
    $self->{served} = $self->{offered} = $serial if $right;
    return $right;
}

# A good version is still taken after all that, and the daemon ends cleanly.
sub finish {
    my ($self) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    $self->taken('after all that, a good version', axfr => undef, ixfr => undef);
    is($self->{lockstep}->stop, 0, 'lockstepd ends cleanly');
}

1;
