#!/usr/bin/perl
# What a primary can do wrong with the stream of messages: it breaks off, stalls, lies about lengths, mixes things up, or never ends.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Hostile;
use Test::More;
use Wire;

my $pair = Hostile->new(settings => { 'max-zone-size' => '1M', 'max-records' => 5000 });
my $hasty = Hostile->new(limits => { 'transfer-time' => '3s' });
my $slow = Hostile->new(limits => { 'transfer-idle' => '1s' });
my $short = Hostile->new(limits => { 'transfer-messages' => 24 });
my @records = $pair->records;

# --- it breaks off -------------------------------------------------------------------

$pair->refused('it closes when the connection is there', 'network', connect => sub { $_[0]->close });
$pair->refused('it closes after one octet of the length', 'network.*closed the connection within a message',
    axfr => sub { $_[0]->bytes("\0"); $_[0]->close });
$pair->refused('it closes in the middle of a message', 'network.*closed the connection within a message', axfr => sub {
    my ($talk) = @_;
    my $message = Wire::frame($talk->message(answer => [ $talk->soa, @records, $talk->soa ]));
    $talk->bytes(substr $message, 0, length($message) / 2);
    $talk->close;
});
$pair->refused('it closes after the first SOA', 'network|incomplete', axfr => sub {
    my ($talk) = @_;
    $talk->send(answer => [ $talk->soa ]);
    $talk->close;
});
$pair->refused('it closes before the last SOA', 'network|incomplete', axfr => sub {
    my ($talk) = @_;
    $talk->send(answer => [ $talk->soa, @records ]);
    $talk->close;
});
$pair->refused('it resets the connection before the last SOA', 'network', axfr => sub {
    my ($talk) = @_;
    $talk->send(answer => [ $talk->soa, @records ]);
    $talk->reset;
});

# --- it stalls -----------------------------------------------------------------------

$pair->refused('it says nothing', 'network.*(?:time|idle|second|silen)', axfr => sub { $_[0]->wait_close });
$pair->refused('it stalls after the first SOA', 'network.*limits.transfer-idle', axfr => sub {
    my ($talk) = @_;
    $talk->send(answer => [ $talk->soa ]);
    $talk->wait_close;
});
$hasty->refused('it sends an octet now and then', 'network.*not done within 3 s \(limits.transfer-time\)', axfr => sub {
    my ($talk) = @_;
    for my $octet (split //, Wire::frame($talk->message(answer => [ $talk->soa, @records, $talk->soa ]))) {
        $talk->bytes($octet) or last;
        $talk->pause(0.3);
    }
});

# Each comes within `transfer-idle`; in two of these it must be a hundred octets a second.
$slow->refused('it sends an octet now and then, for ever', 'network.* octets in 2 s, slower than limits.transfer-rate = 100', axfr => sub {
    my ($talk) = @_;
    $talk->bytes("\xff\xff");
    while ($talk->bytes('x')) { $talk->pause(0.3) }
});
$slow->taken('it stalls for a moment, then goes on', records => 23, axfr => sub {
    my ($talk) = @_;
    for my $part ([ $talk->soa, @records[ 0 .. 9 ] ], [ @records[ 10 .. 20 ] ], [ $records[21], $talk->soa ]) {
        $talk->send(answer => $part);
        $talk->pause(0.7) if @$part > 2;
    }
});

# --- lengths and counts ----------------------------------------------------------------

$pair->refused('a message of no octets', 'malformed|header', axfr => sub {
    my ($talk) = @_;
    $talk->send(answer => [ $talk->soa ]);
    $talk->bytes("\0\0");
    $talk->wait_close;
});
$pair->taken('a message of 65,535 octets', records => 1223, axfr => sub {
    my ($talk) = @_;
    my @more = map { sprintf 'text%d.example. 300 IN TXT %s', $_, 'x' x 25 } 1 .. 1200;
    my $message = $talk->message(answer => [ $talk->soa, @records, @more ]);
    my $room = 65_535 - length $message;
    die "no room: $room" if $room < 0;
    $talk->send(answer => [ $talk->soa, @records, @more ], additional => [ Wire::raw_rr(owner => '.', type => 'OPT', class => 1232, ttl => 0,
        rdata => "\xfd\xe9" . pack 'n/a', 'p' x ($room - 15)) ]);
    $talk->send(answer => [ $talk->soa ]);
});
$pair->refused('the header counts more records than there are', 'malformed', axfr => sub {
    my ($talk) = @_;
    $talk->send(answer => [ $talk->soa, @records, $talk->soa ], counts => [ 1, @records + 3, 0, 0 ]);
});
$pair->refused('octets follow the last record', 'trailing', axfr => sub {
    my ($talk) = @_;
    $talk->send(answer => [ $talk->soa, @records, $talk->soa ], tail => 'more');
});

# --- headers ---------------------------------------------------------------------------

for my $case ([ 'another ID', 'not-response', id => 0 ], [ 'the QR bit 0', 'not-response', qr => 0 ],
    [ 'the opcode UPDATE', 'not-response', opcode => 5 ],
    [ 'the TC bit', 'truncated', tc => 1 ], [ 'the code SERVFAIL', 'rcode.*SERVFAIL', rcode => 2 ],
    [ 'the code NOTAUTH', 'rcode.*NOTAUTH \(it may not have the zone', rcode => 9 ],
    [ 'the code REFUSED', 'rcode.*REFUSED \(it may not let this address', rcode => 5 ]) {
    my ($what, $reason, $field, $value) = @$case;
    for my $nth (1, 2) {
        $pair->refused("message $nth has $what", $reason, axfr => sub {
            my ($talk) = @_;
            my @wrong = ($field => $field eq 'id' ? $talk->query->{id} ^ 1 : $value);
            $talk->send(answer => [ $talk->soa, @records ], $nth == 1 ? @wrong : ());
            $talk->send(answer => [ $talk->soa ], $nth == 2 ? @wrong : ());
        });
    }
}
for my $case ([ 'another name', Wire::question('other.', 'AXFR') ], [ 'another type', Wire::question('example.', 'SOA') ],
    [ 'another class', Wire::question('example.', 'AXFR', 3) ]) {
    my ($what, $question) = @$case;
    $pair->refused("the question has $what", 'question', axfr => sub {
        my ($talk) = @_;
        $talk->send(answer => [ $talk->soa, @records, $talk->soa ], question => $question);
    });
}
$pair->refused('two questions', 'question', axfr => sub {
    my ($talk) = @_;
    $talk->send(answer => [ $talk->soa, @records, $talk->soa ], question => $talk->query->{question_bytes} x 2, counts => [ 2, @records + 2, 0, 0 ]);
});
$pair->taken('no question in any message', records => 23, axfr => sub {
    my ($talk) = @_;
    $talk->send(answer => [ $talk->soa, @records ], question => '');
    $talk->send(answer => [ $talk->soa ], question => '');
});
$pair->refused('another zone\'s transfer comes between', 'question|not-response|soa', axfr => sub {
    my ($talk) = @_;
    $talk->send(answer => [ $talk->soa, @records ]);
    $talk->send(answer => [ $talk->soa(5, owner => 'other.') ], question => Wire::question('other.', 'AXFR'), id => $talk->query->{id} ^ 7);
    $talk->send(answer => [ $talk->soa ]);
});

# --- it never ends -----------------------------------------------------------------------

sub for_ever {
    my ($talk, $next) = @_;
    $talk->send(answer => [ $talk->soa, 'example. 300 IN NS ns.example.' ]);
    my $n = 0;
    while ($talk->send($next->(\$n))) { }
}
$pair->refused('records without end', 'limit.*max-records', axfr => sub {
    for_ever($_[0], sub { my ($n) = @_; return (answer => [ map { \(Wire::name('n' . ++$$n . '.example.') . pack 'n2 N n N', 1, 1, 300, 4, $$n) } 1 .. 500 ]) });
});
$pair->refused('the same record without end', 'limit.*max-records', axfr => sub {
    for_ever($_[0], sub { return (answer => [ ('same.example. 300 IN A 192.0.2.1') x 500 ]) });
});
$pair->refused('octets without end, in few records', 'limit.*max-zone-size', axfr => sub {
    for_ever($_[0], sub { my ($n) = @_; return (answer => [ Wire::raw_rr(owner => 'n' . ++$$n . '.example.', type => 65280, rdata => 'x' x 60_000) ]) });
});
$pair->refused('empty messages without end', 'limit.*a hundred messages', axfr => sub { for_ever($_[0], sub { return () }) });
# Twelve octets each, which become more than five hundred: owner and name in RDATA are pointers.
$pair->refused('a few messages that unfold to a hundred times their size', 'limit.*max-zone-size', axfr => sub {
    my ($talk) = @_;
    my $long = join('', map { pack 'C/a', $_ x 58 } 'a' .. 'd') . "\xc0\x0c";
    $talk->send(answer => [ $talk->soa, 'example. 300 IN NS ns.example.' ]);
    for my $n (1 .. 20) {
        my @records = \(pack('C/a', "n$n") . $long . pack('n2 N n', 2, 1, 300, 2) . "\xc0\x0c");
        my $at = 12 + length($talk->query->{question_bytes}) + 1 + length "n$n";
        push @records, \(pack('C/a', $_) . pack('n n2 N n', 0xc000 | $at, 2, 1, 300, 2) . pack 'n', 0xc000 | $at) for 1 .. 200;
        $talk->send(answer => \@records) or last;
    }
    $talk->wait_close(5);
});
for my $case ([ 'as many records as max-records allows', 'taken', 5000 ], [ 'one record more', 'refused', 5001 ]) {
    my ($what, $verdict, $count) = @$case;
    $pair->$verdict($what, $verdict eq 'taken' ? (records => $count) : 'limit.*5000 records', axfr => sub {
        my ($talk) = @_;
        $talk->send(answer => [ $talk->soa, 'example. 300 IN NS ns.example.' ]);
        my @more = map { \(Wire::name("n$_.example.") . pack 'n2 N n N', 1, 1, 300, 4, $_) } 1 .. $count - 2;
        $talk->send(answer => [ splice @more, 0, 500 ]) while @more;
        $talk->send(answer => [ $talk->soa ]);
    });
}

for my $case ([ 'as many messages as limits.transfer-messages', 'taken', 22 ], [ 'one message more', 'refused', 23 ]) {
    my ($what, $verdict, $count) = @$case;
    $short->$verdict($what, $verdict eq 'taken' ? (records => 23) : 'limit.*limits.transfer-messages', axfr => sub {
        my ($talk) = @_;
        $talk->send(answer => [ $talk->soa ]);
        $talk->send(answer => [ $records[ $_ % @records ] ]) for 1 .. $count;
        $talk->send(answer => [ $talk->soa ]);
    });
}

# --- odd, but right ----------------------------------------------------------------------

$pair->taken('each record in a message of its own', records => 2002, axfr => sub {
    my ($talk) = @_;
    $talk->send(answer => [$_]) for $talk->soa, 'example. 300 IN NS ns.example.', map({ "n$_.example. 300 IN A 192.0.2.1" } 1 .. 2000), $talk->soa;
});
$pair->taken('each octet in a segment of its own', records => 23, axfr => sub {
    my ($talk) = @_;
    setsockopt $talk->{socket}, Socket::IPPROTO_TCP(), Socket::TCP_NODELAY(), 1;
    $talk->bytes($_) for split //, Wire::frame($talk->message(answer => [ $talk->soa, @records, $talk->soa ]));
});
$slow->taken('a message of 65,000 octets, each in a segment of its own', records => 323, axfr => sub {
    my ($talk) = @_;
    setsockopt $talk->{socket}, Socket::IPPROTO_TCP(), Socket::TCP_NODELAY(), 1;
    my @more = map { Wire::raw_rr(owner => "t$_.example.", type => 65280, rdata => 'x' x 190) } 1 .. 300;
    $talk->bytes($_) for split //, Wire::frame($talk->message(answer => [ $talk->soa, @records, @more, $talk->soa ]));
});
if ($ENV{LONG}) {
    $slow->taken('a hundred thousand messages of one record each', records => 100_002, axfr => sub {
        my ($talk) = @_;
        $talk->send(answer => [$_]) for $talk->soa, 'example. 300 IN NS ns.example.';
        $talk->send(answer => [ \(Wire::name("n$_.example.") . pack 'n2 N n N', 1, 1, 300, 4, $_) ]) for 1 .. 100_000;
        $talk->send(answer => [ $talk->soa ]);
    });
}
$pair->taken('messages without the AA bit', records => 23, axfr => sub {
    my ($talk) = @_;
    $talk->send(answer => $_, aa => 0) for [ $talk->soa, @records ], [ $talk->soa ];
});
$pair->taken('an empty message in the middle', records => 23, axfr => sub {
    my ($talk) = @_;
    $talk->send(answer => $_) for [ $talk->soa, @records ], [], [ $talk->soa ];
});
$_->finish for $pair, $hasty, $slow, $short;
done_testing;
