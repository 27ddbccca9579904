# Numbers and text through the tools of every day: awk's and bc's arithmetic, gzip, sums and sorting.
gawk --version | sed -n 1p
gawk 'BEGIN {
  for (i = 1; i <= 3000; i++) {
    s += 1 / i
    printf "%.17g %.17g %.17g\n", sin(i) * exp(-i / 500), log(i) / sqrt(i), atan2(i, s)
  }
  for (i = 0; i < 64; i++) printf "%d %.15e %a %o\n", 2 ^ i % 1000003, 3 ^ i, 1 / (i + 1), int(1.7 ^ i)
}' >/tmp/numbers
sha256sum /tmp/numbers && sed -n '1~997p' /tmp/numbers
gawk '{ count[substr($1, 1, 2)]++; sum += $2 } END { n = asorti(count, key); for (i = 1; i <= n; i++) print key[i], count[key[i]]; print sum }' /tmp/numbers
echo 'scale=300; 4*a(1); e(1); l(2); s(1)^2+c(1)^2; sqrt(2); j(2,1.5)' | bc -l
echo 'for (i = 1; i <= 60; i++) { f = f * i + 1; if (i % 10 == 0) f % (2^127 - 1) }; 3^400; obase=16; 2^200/7' | bc
for level in 1 6 9; do
  gzip -n -"$level" </tmp/numbers >/tmp/packed
  sha256sum </tmp/packed
  gzip -dc /tmp/packed | sha256sum
done
for tool in md5sum sha1sum sha224sum sha384sum sha512sum b2sum cksum sum; do "$tool" </tmp/numbers; done
sort -g -k2,2 /tmp/numbers | sha256sum
sort -k1,1 -r /tmp/numbers | uniq -c -w 6 | sha256sum
factor 1000000007 18446744073709551557 18446744065119617029 6227020800
seq -f '%.10g' 0 0.1 300 | sha256sum
od -A x -t fDuL -v /tmp/numbers | sha256sum
rm /tmp/numbers /tmp/packed
