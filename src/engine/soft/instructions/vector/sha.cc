// SHA1 and SHA256 (SDM 2B, SHA1RNDS4 to SHA256MSG2): steps of the two digests on four 32-bit words.
// Lane 3 is what the manual calls bits 127:96.
#include <bit>

#include "engine/soft/instructions/vector/vector.h"

namespace ringside::soft {
namespace {

using u8 = std::uint8_t;
using u32 = std::uint32_t;
using Words = LanesOf<u32, Xmm>;

Words words(const Xmm& value) { return lanes<u32>(value); }
Xmm from(const Words& value) { return vector_of<Xmm>(value); }

u32 choose(u32 x, u32 y, u32 z) { return (x & y) ^ (~x & z); }
u32 parity(u32 x, u32 y, u32 z) { return x ^ y ^ z; }
u32 majority(u32 x, u32 y, u32 z) { return (x & y) ^ (x & z) ^ (y & z); }

// ---- SHA1
// Four rounds of the function and the constant that the immediate chooses. The words of `sums` are
// sums already: the first with E.
struct Sha1Rounds {
  Xmm operator()(const Xmm& state, const Xmm& sums, u8 immediate) const {
    constexpr u32 kConstants[] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
    const Words s = words(state), w = words(sums);
    u32 a = s[3], b = s[2], c = s[1], d = s[0], e = 0;
    for (unsigned round = 0; round < 4; ++round) {
      const unsigned kind = immediate & 3;
      const u32 f = kind == 0 ? choose(b, c, d) : kind == 2 ? majority(b, c, d) : parity(b, c, d);
      const u32 next = f + std::rotl(a, 5) + w[3 - round] + e + kConstants[kind];
      e = d;
      d = c;
      c = std::rotl(b, 30);
      b = a;
      a = next;
    }
    return from({d, c, b, a});
  }
};
struct Sha1NextE {
  Xmm operator()(const Xmm& a, const Xmm& b) const {
    Words w = words(b);
    w[3] += std::rotl(words(a)[3], 30);
    return from(w);
  }
};
struct Sha1Message1 {
  Xmm operator()(const Xmm& a, const Xmm& b) const {
    const Words x = words(a), y = words(b);
    return from({x[0] ^ y[2], x[1] ^ y[3], x[2] ^ x[0], x[3] ^ x[1]});
  }
};
struct Sha1Message2 {
  Xmm operator()(const Xmm& a, const Xmm& b) const {
    const Words x = words(a), y = words(b);
    const u32 w16 = std::rotl(x[3] ^ y[2], 1), w17 = std::rotl(x[2] ^ y[1], 1),
              w18 = std::rotl(x[1] ^ y[0], 1), w19 = std::rotl(x[0] ^ w16, 1);
    return from({w19, w18, w17, w16});
  }
};

// ---- SHA256
u32 small_sigma0(u32 x) { return std::rotr(x, 7) ^ std::rotr(x, 18) ^ x >> 3; }
u32 small_sigma1(u32 x) { return std::rotr(x, 17) ^ std::rotr(x, 19) ^ x >> 10; }
u32 large_sigma0(u32 x) { return std::rotr(x, 2) ^ std::rotr(x, 13) ^ std::rotr(x, 22); }
u32 large_sigma1(u32 x) { return std::rotr(x, 6) ^ std::rotr(x, 11) ^ std::rotr(x, 25); }

struct Sha256Message1 {
  Xmm operator()(const Xmm& a, const Xmm& b) const {
    const Words x = words(a);
    return from({x[0] + small_sigma0(x[1]), x[1] + small_sigma0(x[2]), x[2] + small_sigma0(x[3]),
                 x[3] + small_sigma0(words(b)[0])});
  }
};
struct Sha256Message2 {
  Xmm operator()(const Xmm& a, const Xmm& b) const {
    const Words x = words(a), y = words(b);
    const u32 w16 = x[0] + small_sigma1(y[2]), w17 = x[1] + small_sigma1(y[3]);
    return from({w16, w17, x[2] + small_sigma1(w16), x[3] + small_sigma1(w17)});
  }
};
// Two rounds: `later` has C, D, G and H, `state` A, B, E and F, and XMM0 the sums of words and
// constants.
Xmm sha256_rounds(const Xmm& later, const Xmm& state, const Xmm& sums) {
  const Words x = words(later), y = words(state), w = words(sums);
  u32 a = y[3], b = y[2], c = x[3], d = x[2], e = y[1], f = y[0], g = x[1], h = x[0];
  for (unsigned round = 0; round < 2; ++round) {
    const u32 sum = choose(e, f, g) + large_sigma1(e) + w[round] + h;
    h = g;
    g = f;
    f = e;
    e = d + sum;
    const u32 next = sum + majority(a, b, c) + large_sigma0(a);
    d = c;
    c = b;
    b = a;
    a = next;
  }
  return from({f, e, b, a});
}
void sha256_rounds_register(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  Xmm& a = cpu.fpu.xmm[insn.reg];
  a = sha256_rounds(a, cpu.fpu.xmm[insn.rm], cpu.fpu.xmm[0]);
}
void sha256_rounds_memory(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  const Xmm b = load_vector<Xmm>(cpu, insn);
  Xmm& a = cpu.fpu.xmm[insn.reg];
  a = sha256_rounds(a, b, cpu.fpu.xmm[0]);
}

}  // namespace

void register_sha(LowerTable& table) {
  VectorForm rounds;
  rounds.xmm_register = sha256_rounds_register;
  rounds.xmm_load = sha256_rounds_memory;
  add_forms(table, {
                       {ZYDIS_MNEMONIC_SHA1RNDS4, xmm_form(Sha1Rounds{})},
                       {ZYDIS_MNEMONIC_SHA1NEXTE, xmm_form(Sha1NextE{})},
                       {ZYDIS_MNEMONIC_SHA1MSG1, xmm_form(Sha1Message1{})},
                       {ZYDIS_MNEMONIC_SHA1MSG2, xmm_form(Sha1Message2{})},
                       {ZYDIS_MNEMONIC_SHA256RNDS2, rounds},
                       {ZYDIS_MNEMONIC_SHA256MSG1, xmm_form(Sha256Message1{})},
                       {ZYDIS_MNEMONIC_SHA256MSG2, xmm_form(Sha256Message2{})},
                   });
}

}  // namespace ringside::soft
