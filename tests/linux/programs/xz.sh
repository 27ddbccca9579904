# Compression by each program of the package and by Python, and back.
xz --version
data() { seq 1 20000; cat /usr/lib/python3.11/heapq.py /usr/bin/xz; }
for options in -1 -6 -9e '--format=lzma' '--x86 --lzma2=preset=3' '--check=sha256 -2'; do
  # shellcheck disable=SC2086  # several options are meant
  data | xz -T1 -c $options >/tmp/packed
  sha256sum </tmp/packed
  xz -dc </tmp/packed | sha256sum
done
rm /tmp/packed
python3.11 -S -c '
import bz2, hashlib, lzma, zlib
data = open("/usr/lib/python3.11/heapq.py", "rb").read() * 3 + bytes(range(256)) * 100
for pack, unpack in ((zlib.compress, zlib.decompress), (bz2.compress, bz2.decompress), (lzma.compress, lzma.decompress)):
    packed = pack(data)
    print(len(packed), hashlib.sha256(packed).hexdigest(), unpack(packed) == data)
print(zlib.crc32(data), zlib.adler32(data))
'
