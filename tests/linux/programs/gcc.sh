# What the compiler makes, byte for byte, and what that computes: SSE, x87, integers.
cd /tmp || exit 1
gcc --version
for options in -O0 '-O2 -msse4.2' '-O3 -mfpmath=387 -m64'; do
  # shellcheck disable=SC2086  # several options are meant
  gcc $options -S -o numbers.s /programs/numbers.c && sha256sum numbers.s
  # shellcheck disable=SC2086
  gcc $options -o numbers /programs/numbers.c -lm && sha256sum numbers && ./numbers
done
rm -f numbers numbers.s
