package Resolver;
# Unbound as a validating resolver that knows nobody but the servers on loopback that it is told of.
#
#     my $resolver = Resolver->new(stub => { 'example' => $lockstep->at }, anchors => [ $key->{ds} ])->start;
#     my @responses = $resolver->ask([ 'www.example', 'A' ], ...);          # as Answers reads them, and `ad`
#
# A stub's server is asked as one that has authority. With forward => ADDRESS another resolver is asked for all, as which any server does that
# answers: its responses are then taken whole, chains of aliases and all. `date` is what it takes for today (YYYYMMDD). With `hints`, a file that
# names root servers, it resolves from there, at any address; nothing is validated without anchors.
use strict;
use warnings;
use Answers;
use Process qw(work_dir free_port start_process stop_process running wait_for slurp spew find_program);
use Wire;

# All addresses but those of loopback.
my @elsewhere = qw(0.0.0.0/2 64.0.0.0/3 96.0.0.0/4 112.0.0.0/5 120.0.0.0/6 124.0.0.0/7 126.0.0.0/8 128.0.0.0/1);

sub have { return defined find_program('unbound') }

sub new {
    my ($class, %of) = @_;
    my $self = bless { port => free_port, dir => work_dir('unbound'), %of }, $class;
    $self->{log} = "$self->{dir}/log";
    return $self;
}

sub at { my ($self) = @_; return "127.0.0.1\@$self->{port}" }

sub conf_text {
    my ($self) = @_;
    my $more = join '', $self->{hints} ? "  root-hints: \"$self->{hints}\"\n"
        : map({ "  do-not-query-address: $_\n" } @elsewhere),
        map { '  trust-anchor: "' . s/\s+$//r . "\"\n" } @{ $self->{anchors} };
    $more .= $self->{date} ? "  val-override-date: \"$self->{date}000000\"\n" : '';
    $more .= $self->{hints} ? '' : "  outgoing-interface: 127.0.0.1\n  do-ip6: no\n";
    my $text = <<"END" . $more;
server:
  interface: 127.0.0.1\@$self->{port}
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "$self->{dir}"
  pidfile: ""
  use-syslog: no
  logfile: ""
  log-time-ascii: yes
  val-log-level: 2
  num-threads: 1
  module-config: "validator iterator"
  do-not-query-localhost: no
  qname-minimisation: no
  aggressive-nsec: no
  harden-below-nxdomain: no
  deny-any: no
  target-fetch-policy: "0 0 0 0 0"
  local-zone: "test." nodefault
END
    $text .= "remote-control:\n  control-enable: no\n";
    $text .= "stub-zone:\n  name: \"$_\"\n  stub-addr: $self->{stub}{$_}\n" for sort keys %{ $self->{stub} // {} };
    $text .= "forward-zone:\n  name: \".\"\n  forward-addr: $self->{forward}\n" if $self->{forward};
    return $text;
}

sub start {
    my ($self) = @_;
    spew("$self->{dir}/unbound.conf", $self->conf_text);
    $self->{pid} = start_process($self->{log}, find_program('unbound'), '-d', '-c', "$self->{dir}/unbound.conf");
    my $probe = Wire::message(question => Wire::question('version.server', 'TXT', 3));
    my $up = wait_for(sub { !running($self->{pid}) || defined Wire::ask_udp($self->at, $probe, 0.3) }, 60) && running($self->{pid});
    die 'unbound did not start: ' . slurp($self->{log}) unless $up;
    return $self;
}

sub ask {
    my ($self, @questions) = @_;
    my $opt = Wire::raw_rr(owner_wire => "\0", type => 41, class => 1232, ttl => 0x8000);
    my @messages = map { Wire::message(id => 0, rd => 1, question => Wire::question(@$_), additional => [$opt]) } @questions;
    return map { defined $_ ? Answers::read_response($_) : undef } Answers::ask_many($self->at, 1, @messages);
}

# What it said of a name that it found bogus.
sub said {
    my ($self, $name) = @_;
    return join '', grep { /\Q$name\E/i } split /^/, slurp($self->{log}) // '';
}

sub stop { my ($self) = @_; return stop_process(delete $self->{pid}) if $self->{pid} }

1;
