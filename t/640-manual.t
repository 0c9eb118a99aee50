#!/usr/bin/perl
# The manual knows every key, verb and option, and no others; the example configuration is taken.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Process qw(work_dir run_command slurp spew);
use Test::More;

my $top = "$FindBin::Bin/..";
my $program = ($ENV{top_builddir} // '.') . '/lockstep';
plan skip_all => 'lockstep is not built' unless -x $program;

# --- keys --------------------------------------------------------------------------
my $rows = slurp("$top/lib/run/keys.c");
my %keys = map { $_ => 1 } $rows =~ /(?:KEY(?:_LIST)?\([\w ]+, |KEY_GROUP\(|\.name = )"([^"]+)"/g;
$keys{$_} = 1 for $rows =~ /keys_sections\[\] = \{([^}]*)\}/ ? $1 =~ /"([^"]+)"/g : ();
ok(keys %keys > 70, 'the keys were found');
my $manual = slurp("$top/cmd/lockstep.conf.5");
my %known = map { $_ => 1 } map { s/^"|"$//gr } map { split /[ ,.;]+/ } $manual =~ /^\.(?:It )?Cm ([^\n]+)$/mg;
$known{ lc $_ } = 1 for $manual =~ /^\.Sh ([A-Z-]+)$/mg;
is_deeply([ sort grep { !$known{$_} } keys %keys ], [], 'lockstep.conf(5) has every key');
is_deeply([ sort grep { !$keys{$_} } grep { /^[a-z-]+$/ } map { s/^"|"$//gr } map { split /[ ,.;]+/ } $manual =~ /^\.It Cm ([^\n]+)$/mg ], [],
    'and no other');

# --- verbs and options -------------------------------------------------------------
my (undef, $help) = run_command($program, '--help');
my @verbs = $help =~ /^  ([a-z]+) +\S/mg;
$manual = slurp("$top/cmd/lockstep.1");
my ($section) = $manual =~ /^\.Sh VERBS\n(.*?)^\.Sh /ms;
$section =~ s/^\.Bl -tag -width refreshing.*?^\.El$//ms;
is_deeply([ sort $section =~ /^\.(?:It )?Cm (\w+)/mg ], [ sort @verbs ], 'lockstep(1) has every verb, and no other');
for my $verb (@verbs) {
    my ($entry) = $section =~ /^(\.(?:It )?Cm $verb\b.*?)(?=^\.It |\z)/ms;
    (undef, my $text) = run_command($program, $verb, '--help');
    my ($usage) = $text =~ /^usage: (.*)/;
    for my $option ($usage =~ /--([a-z-]+)/g) {
        like($entry, qr/Fl -$option\b/, "lockstep(1) has --$option of $verb");
    }
}
for my $option ($help =~ /--([a-z]+)/g) {
    like($manual, qr/Fl (?:\w , )?-$option\b/, "lockstep(1) has --$option");
}

# --- the example -------------------------------------------------------------------
my $dir = work_dir('example');
spew("$dir/xfr.secret", "c2VjcmV0c2VjcmV0c2VjcmV0\n");
spew("$dir/cookie.secret", "00112233445566778899aabbccddeeff\n");
chmod 0600, "$dir/$_.secret" for qw(xfr cookie);
my $example = slurp("$top/cmd/lockstep.conf.example");
spew("$dir/lockstep.conf", $example);
my ($status, $out, $said) = run_command($program, '-c', "$dir/lockstep.conf", 'config');
is("$status$said", '0', 'the example is taken');
spew("$dir/customers.list", "a.example\n");
$example =~ s{^( *)// (?=[^A-Z/]*[=:,{}();])}{$1}mg;
spew("$dir/lockstep.conf", $example);
($status, $out, $said) = run_command($program, '-c', "$dir/lockstep.conf", 'config');
is("$status$said", '0', 'and with all that is commented out too') or diag($example);
like($out, qr/identity = "ns1\.example\.net".*notify = \[ "far" \].*name = "a\.example\."/s, 'which has an effect');
done_testing;
