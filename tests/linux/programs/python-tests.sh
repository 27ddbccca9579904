# Python's own tests of packing, mathematics, floating point, decimals, compression and digests. What they say
# of the time and of the machine's load is taken out.
python3.11 -m test test_struct test_math test_float test_decimal test_zlib test_hashlib 2>&1 |
  sed -e 's/^[0-9:]* \(load avg: [0-9.]* \)\{0,1\}//' -e 's/ -- .* in .*//' -e '/ passed in /d' -e '/^Total duration/d'
