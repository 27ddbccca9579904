# What Python programs do: whole numbers, texts, tables, objects, sorting, calls.
import hashlib


class Point:
    def __init__(self, x, y):
        self.x, self.y = x, y

    def __add__(self, other):
        return Point(self.x + other.x, self.y - other.y * 0.5)


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


words = {}
for i in range(60000):
    word = f"{i * 7919 % 10007:x}-{i % 13}"
    words[word] = words.get(word, 0) + len(word)
point = Point(0, 0)
for i in range(40000):
    point = point + Point(i, 1 / (i + 1))
text = ",".join(sorted(words, key=lambda word: (-words[word], word)))
primes = [n for n in range(2, 6000) if all(n % p for p in range(2, int(n**0.5) + 1))]
print(queens(8), point.x, point.y, len(primes), pow(3, 2**200, 10**60 + 7))
print(hashlib.sha256(text.replace("-", "+").encode()).hexdigest(), 7**5000 % 1000003)
