# Regular expressions, sorting, formats, floating point, modules.
perl -e '
use strict; use warnings; use Digest::SHA qw(sha512_hex); use List::Util qw(sum reduce); use POSIX; use Math::BigInt;
printf "%vd\n", $^V;
my %count; my $state = 12345;
for (1 .. 20000) { $state = ($state * 1103515245 + 12345) % 2147483648; $count{substr(sprintf("%x", $state), 0, 2)}++ }
print join(" ", map { "$_=$count{$_}" } sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count), "\n";
my $text = join(" ", map { chr(97 + $_ * 7 % 26) x ($_ % 5 + 1) . $_ } 1 .. 3000);
my @words = $text =~ /\b([a-m]+)(?=\d+)/g; print scalar(@words), " ", sha512_hex($text), "\n";
(my $changed = $text) =~ s/(\w)\1{2,}(\d+)/<$1:$2>/g; print sha512_hex($changed), "\n";
printf "%.17g %.17g %.17g %.17g %s\n", sin(1), cos(2), exp(3.3), log(7), atan2(1, 3);
printf "%.17g %.15e %g %a\n", sqrt(2), 2 ** 0.5, 1e300 * 10, 0.1;
print join(",", map { floor($_ / 3) . ":" . fmod($_, 0.7) . ":" . ceil(-$_ / 7) } 1 .. 20), "\n";
print sum(map { 1 / $_ } 1 .. 10000), " ", (reduce { ($a * 31 + $b) % 1000003 } 1 .. 10000), "\n";
print Math::BigInt->new(3)->bpow(500), " ", Math::BigInt->new(2)->bpow(127)->bdec->bmodpow(12345, 1000000007), "\n";
print unpack("H*", pack("w N n v V Q d f A5 Z6", 300, 1, 2, 3, 4, 5, 1.5, -2.25, "ab", "cd")), "\n";
print join("|", sort { $a <=> $b } map { $_ * 7919 % 1009 } 1 .. 300), "\n";
'
