#!/usr/bin/perl
# What can be wrong with the signatures of a transfer. Nothing may be served that was not signed to its end.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Hostile;
use Process qw(slurp spew work_dir);
use Test::More;
use Tsig;
use Wire qw(name raw_rr);

my $key = Tsig::key(algorithm => 'hmac-sha256');
my $pair = Hostile->new(key => $key);
my @records = $pair->records;

# A transfer of `count` messages; `sign` says of the nth (0 to count - 1) whether it is signed.
sub messages {
    my ($count, $sign) = @_;
    return (axfr => sub {
        my ($talk) = @_;
        for my $n (0 .. $count - 1) {
            my @answer = ($n == 0 ? ($talk->soa, @records) : (), "m$n.example. 300 IN A 192.0.2.1", $n == $count - 1 ? $talk->soa : ());
            $talk->send(answer => \@answer, sign => $sign->($n));
        }
        $talk->close;
    });
}

# One message whose TSIG is wrong in this way.
sub signed { my %wrong = @_; return (axfr => sub { my ($talk) = @_; $talk->send(answer => [ $talk->soa, @records, $talk->soa ], tsig => \%wrong) }) }

# --- which messages are signed -------------------------------------------------------------

$pair->taken('every message signed', records => 33, messages(10, sub { 1 }));
$pair->refused('no message signed', 'tsig', messages(1, sub { 0 }));
$pair->refused('an error that is not signed', 'tsig.*MISSING \(the primary answered NOTAUTH\)', axfr => sub { $_[0]->send(rcode => 9, sign => 0) });
$pair->refused('no message of several signed', 'tsig', messages(10, sub { 0 }));
$pair->refused('only the first signed', 'tsig', messages(10, sub { $_[0] == 0 }));
$pair->refused('only the last signed', 'tsig', messages(10, sub { $_[0] == 9 }));
$pair->refused('all but the last signed', 'tsig', messages(10, sub { $_[0] != 9 }));
$pair->taken('99 unsigned between two signed ones', records => 124, messages(101, sub { $_[0] % 100 == 0 }));
$pair->refused('100 unsigned between two signed ones', 'tsig', messages(102, sub { $_[0] % 101 == 0 }));
$pair->refused('differences whose last message is not signed', 'tsig', ixfr => sub {
    my ($talk) = @_;
    $talk->send(answer => [ $talk->soa, $talk->soa($talk->serial), $talk->soa, 'x.example. 300 IN A 192.0.2.1' ]);
    $talk->send(answer => [ $talk->soa ], sign => 0);
    $talk->close;
}, axfr => sub { $_[0]->send(rcode => 5) });

# --- keys and MACs ---------------------------------------------------------------------------

my $other = Tsig::key;
$pair->taken('signed as it must be', records => 23, signed());
$pair->refused('with another secret', 'tsig', signed(secret => $other->{secret}));
$pair->refused('with another key\'s name', 'tsig', signed(name => 'other.example'));
$pair->refused('with another algorithm\'s name', 'tsig', signed(algorithm => 'hmac-sha512'));
$pair->refused('with an algorithm that is not known', 'tsig', signed(algorithm => 'hmac-none'));
$pair->refused('with the root as algorithm', 'tsig', signed(algorithm => '.'));
$pair->refused('with an empty MAC', 'tsig', signed(mac => ''));
$pair->refused("with a MAC cut to $_ octets", 'tsig', signed(mac_length => $_)) for 1, 9, 10, 15, 31;
$pair->refused('with a MAC of 64 octets', 'tsig', signed(mac => 'x' x 64));
$pair->refused('with a MAC of zeros', 'tsig', signed(mac => "\0" x 32));
$pair->refused('with the signature of another exchange', 'tsig', axfr => sub {
    my ($talk) = @_;
    $talk->send_message(Tsig->new($key, request_mac => 'x' x 32)->sign($talk->message(answer => [ $talk->soa, @records, $talk->soa ])));
});
$pair->refused('with a signature that is not bound to the request', 'tsig', axfr => sub {
    my ($talk) = @_;
    $talk->send_message(Tsig->new($key)->sign($talk->message(answer => [ $talk->soa, @records, $talk->soa ])));
});
my $recorded = work_dir('recorded') . '/reply';
$pair->taken('a transfer that somebody records', records => 23, axfr => sub {
    my ($talk) = @_;
    my $next = $talk->soa($talk->{fake}{serial} + 1);
    spew($recorded, Tsig->new($key, request_mac => $talk->{signer}{mac})->sign($talk->message(answer => [ $next, @records, $next ])));
    $talk->send(answer => [ $talk->soa, @records, $talk->soa ]);
});
$pair->refused('and plays again', 'tsig', axfr => sub {
    my ($talk) = @_;
    my $message = slurp($recorded);
    substr($message, 0, 2) = pack 'n', $talk->query->{id};
    $talk->send_message($message);
});
$pair->refused('signed as it must be, but another zone', 'question|soa-owner', axfr => sub {
    my ($talk) = @_;
    my $soa = $talk->soa(undef, owner => 'other.');
    $talk->send(question => Wire::question('other.', 'AXFR'), answer => [ $soa, 'other. 300 IN NS ns.other.', $soa ]);
});
for my $place (0, 2, 3, 7, 13, 35, 60, 200, -1, -20, -40, -60) {
    $pair->refused("a bit flips at $place", 'tsig|protocol', axfr => sub {
        my ($talk) = @_;
        my $message = $talk->sign($talk->message(answer => [ $talk->soa, @records, $talk->soa ]));
        substr($message, $place, 1) ^= "\x10";
        $talk->send_message($message);
        $talk->close;
    });
}
$pair->refused('messages change places', 'tsig|no-soa', axfr => sub {
    my ($talk) = @_;
    my @messages = map { $talk->sign($talk->message(answer => $_)) } [ $talk->soa, @records ], ['x.example. 300 IN A 192.0.2.1'],
        ['y.example. 300 IN A 192.0.2.1'], [ $talk->soa ];
    $talk->send_message($_) for @messages[ 0, 2, 1, 3 ];
});

# --- where the record stands, and what is in it --------------------------------------------------

sub placed {
    my ($build) = @_;
    return (axfr => sub {
        my ($talk) = @_;
        my @zone = ($talk->soa, @records, $talk->soa);
        $talk->send_message($talk->message($build->($talk->{signer}->record($talk->message(answer => \@zone)), \@zone)));
        $talk->close;
    });
}
my $opt = raw_rr(owner => '.', type => 'OPT', class => 1232, ttl => 0);
$pair->refused('TSIG before another record', 'tsig|protocol',
    placed(sub { my ($tsig, $zone) = @_; return (answer => $zone, additional => [ $tsig, $opt ]) }));
$pair->refused('two TSIGs', 'tsig|protocol', placed(sub { my ($tsig, $zone) = @_; return (answer => $zone, additional => [ $tsig, $tsig ]) }));
$pair->refused('TSIG in the answer section', 'tsig|protocol', placed(sub { my ($tsig, $zone) = @_; return (answer => [ @$zone, $tsig ]) }));
$pair->refused('TSIG in the authority section', 'tsig|protocol',
    placed(sub { my ($tsig, $zone) = @_; return (answer => $zone, authority => [$tsig]) }));
$pair->refused('TSIG of class IN', 'tsig|protocol', signed(class => 1));
for my $case ([ 'cut short', sub { substr $_[0], 0, -5 } ],
    [ 'with a MAC longer than itself', sub { my $r = shift; substr($r, 21, 2) = "\xff\xff"; $r } ],
    [ 'with other data longer than itself', sub { my $r = shift; substr($r, -2) = "\xff\xff"; $r } ], [ 'of nothing', sub { '' } ]) {
    my ($what, $change) = @$case;
    $pair->refused("a TSIG $what", 'tsig|protocol', axfr => sub {
        my ($talk) = @_;
        my $message = $talk->message(answer => [ $talk->soa, @records, $talk->soa ]);
        my $record = ${ $talk->{signer}->record($message) };
        my $start = length(name($key->{name})) + 10;
        $talk->send_message($talk->message(answer => [ $talk->soa, @records, $talk->soa ],
            additional => [ raw_rr(owner => $key->{name}, type => 'TSIG', class => 255, ttl => 0, rdata => $change->(substr $record, $start)) ]));
        $talk->close;
    });
}

for my $nth (0 .. 4) {
    $pair->refused("a bit flips in message $nth of five", 'tsig|protocol', axfr => sub {
        my ($talk) = @_;
        for my $n (0 .. 4) {
            my @answer = ($n == 0 ? ($talk->soa, @records) : (), "m$n.example. 300 IN A 192.0.2.1", $n == 4 ? $talk->soa : ());
            my $message = $talk->sign($talk->message(answer => \@answer));
            substr($message, 12 + length($talk->query->{question_bytes}) + 20, 1) ^= "\x10" if $n == $nth;
            $talk->send_message($message);
        }
        $talk->close;
    });
}

# --- time ----------------------------------------------------------------------------------------

my $now = time;
$pair->refused("signed at $_->[0]", 'tsig.*BADTIME', signed(time => $_->[1]))
    for [ '1000 s ago', $now - 1000 ], [ '1000 s ahead', $now + 1000 ], [ '0', 0 ],
    [ '2^32', 2 ** 32 + $now ], [ '2^48 - 1', 2 ** 48 - 1 ];
$pair->refused('a minute ago, with a fudge of 0', 'tsig.*BADTIME', signed(time => $now - 60, fudge => 0));
$pair->taken('250 s ago, within its fudge', records => 23, signed(time => $now - 250));

# --- errors in answer to our signature -----------------------------------------------------------

for my $case ([ 'BADSIG (compare the secrets)' => 16 ], [ 'BADKEY (compare the names and algorithms of the keys)' => 17 ], [ BADTRUNC => 22 ]) {
    my ($name, $error) = @$case;
    $pair->refused("$name", "tsig.*\Q$name\E\\z", axfr => sub {
        my ($talk) = @_;
        my $tsig = Tsig->new($key)->record($talk->message, mac => '', error => $error);
        $talk->send_message($talk->message(rcode => 9, additional => [$tsig]));
    });
}
$pair->refused('BADTIME', 'tsig.*BADTIME \(compare the clocks\)',
    axfr => sub { $_[0]->send(rcode => 9, tsig => { error => 18, other => pack 'nN', 0, $now + 5000 }) });
$pair->finish;
done_testing;
