"""Prints what Python's library makes of data that does not change."""
import cmath, collections, csv, datetime, decimal, fractions, hashlib, heapq, io, itertools, json
import math, random, re, statistics, struct, sys, textwrap, unicodedata, xml.etree.ElementTree as tree

print(sys.version)
random.seed(20)
numbers = [random.gauss(0, 100) for _ in range(3000)]
print(math.fsum(numbers).hex(), statistics.fmean(numbers).hex(), statistics.stdev(numbers).hex())
print([f(0.7).hex() for f in (math.sin, math.exp, math.lgamma, math.erf, math.atanh, math.expm1)])
print(cmath.exp(1j), cmath.sqrt(-3 + 4j), (2 + 3j) ** 5)
for name in ("md5", "sha1", "sha256", "sha3_512", "blake2b", "blake2s"):
    print(name, hashlib.new(name, repr(numbers).encode()).hexdigest())
print(hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 3000).hex())
print(hashlib.scrypt(b"password", salt=b"salt", n=256, r=8, p=1).hex())
decimal.getcontext().prec = 200
print(decimal.Decimal(2).sqrt(), decimal.Decimal(1).exp(), decimal.Decimal(10).ln())
print(sum(fractions.Fraction(1, n) for n in range(1, 200)))
print(hashlib.sha256(hex(3**20000).encode()).hexdigest(), math.factorial(500) % (2**61 - 1))
print(pow(3, 2**512 - 1, 2**521 - 1))
text = open("/usr/lib/python3.11/random.py").read()
words = collections.Counter(re.findall(r"[A-Za-z_]\w+", text))
print(sorted(words.items(), key=lambda item: (-item[1], item[0]))[:40])
print(textwrap.fill(re.sub(r"\s+", " ", text)[:600], 50))
print(hashlib.sha256(json.dumps({"n": numbers, "w": words}, sort_keys=True, indent=1).encode()).hexdigest())
table = io.StringIO()
csv.writer(table).writerows(itertools.batched(numbers, 4) if hasattr(itertools, "batched") else zip(*[iter(numbers)] * 4))
print(hashlib.sha256(table.getvalue().encode()).hexdigest())
print(struct.pack("<bhiqfd10se", -1, 2, -3, 4, 0.1, 1 / 3, b"text", 0.1).hex())
print(datetime.datetime(2024, 2, 29, 12) + datetime.timedelta(days=365.25, microseconds=1))
print(unicodedata.normalize("NFKD", "Ångström ﬁ ½ ẛ̣").encode().hex())
print(heapq.nsmallest(5, numbers), sorted(map(round, numbers))[::300])
root = tree.fromstring("<a>" + "".join(f"<b n='{i}'>{i * i}</b>" for i in range(200)) + "</a>")
print(sum(int(b.text) * int(b.get("n")) for b in root.iter("b")))


def queens(n, row=0, columns=0, left=0, right=0):
    if row == n:
        return 1
    free = ~(columns | left | right) & ((1 << n) - 1)
    count = 0
    while free:
        bit = free & -free
        free ^= bit
        count += queens(n, row + 1, columns | bit, (left | bit) << 1, (right | bit) >> 1)
    return count


print([queens(n) for n in range(1, 8)])
