#include "differential/inputs.h"

#include <cstring>

#include "ringside/types.h"
#include "ringside/x86/bits.h"

namespace ringside::differential {
namespace {

bool one_in(Random& random, unsigned n) { return random() % n == 0; }

unsigned number(ZydisRegister reg) { return static_cast<unsigned>(ZydisRegisterGetId(reg)); }

bool is_vector(ZydisRegister reg) {
  switch (ZydisRegisterGetClass(reg)) {
    case ZYDIS_REGCLASS_XMM:
    case ZYDIS_REGCLASS_YMM:
    case ZYDIS_REGCLASS_MMX:
    case ZYDIS_REGCLASS_X87:
      return true;
    default:
      return false;
  }
}

// A linear address for an operand of `size` bytes.
std::uint64_t pick_target(Random& random, unsigned size, bool stack) {
  const std::uint64_t odd = random() % 64;
  if (odd == 0) return kData + kPageSize - random() % (size + 1);  // across the two pages
  if (odd == 1) return kReadOnly - random() % (size + 1);          // into the read-only page
  if (odd == 2) return kUnmapped - random() % (size + 1);          // into nothing
  if (odd == 3) return kReadOnly + random() % (kReadOnlySize - 64);
  if (odd == 4) return kData - 1 - random() % (size + 8);
  std::uint64_t target = kData + 256 + random() % (kDataSize - 512);
  if (stack || random() % 4 != 0) target &= ~(size >= 16 ? std::uint64_t{15} : std::uint64_t{7});
  return target;
}

// Gives the registers of a memory operand values that make it point to `target` (an offset).
void aim(UserState& state, const ZydisDecodedOperand& operand, unsigned address_width,
         std::uint64_t target, Random& random) {
  const std::uint64_t mask =
      address_width == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << address_width) - 1;
  const ZydisDecodedOperandMem& memory = operand.mem;
  const std::uint64_t above = random() & ~mask;  // must not matter
  std::uint64_t rest = target - static_cast<std::uint64_t>(memory.disp.value);
  const bool has_base = memory.base != ZYDIS_REGISTER_NONE && memory.base != ZYDIS_REGISTER_RIP &&
                        memory.base != ZYDIS_REGISTER_EIP;
  // The indices of a gather are the vector's (spread_indices).
  const bool has_index = memory.index != ZYDIS_REGISTER_NONE && !is_vector(memory.index);
  const std::uint64_t scale = memory.scale == 0 ? 1 : memory.scale;
  if (has_index && ZydisRegisterGetClass(memory.index) == ZYDIS_REGCLASS_GPR8) {
    rest -= state.gpr[number(memory.index)] & 0xff;  // XLAT
  } else if (has_index && has_base && number(memory.index) == number(memory.base)) {
    const auto wanted = static_cast<std::int64_t>(rest & mask);
    state.gpr[number(memory.base)] =
        above | (static_cast<std::uint64_t>(wanted / static_cast<std::int64_t>(scale + 1)) & mask);
    return;
  } else if (has_index && has_base) {
    const std::uint64_t index = edge_value(random);
    state.gpr[number(memory.index)] = index;
    rest -= index * scale;
  } else if (has_index) {
    state.gpr[number(memory.index)] =
        above | ((static_cast<std::uint64_t>(static_cast<std::int64_t>(rest & mask) /
                                             static_cast<std::int64_t>(scale))) &
                 mask);
  }
  if (has_base) state.gpr[number(memory.base)] = above | (rest & mask);
}

void refill(std::span<std::uint8_t> data, std::uint64_t linear, unsigned size, Random& random) {
  const std::int64_t first = static_cast<std::int64_t>((linear & ~std::uint64_t{7}) - kData) - 32;
  for (std::int64_t at = first; at < first + 80 + static_cast<std::int64_t>(size); at += 8) {
    if (at < 0 || at + 8 > static_cast<std::int64_t>(data.size())) continue;
    const std::uint64_t value = edge_value(random);
    std::memcpy(data.data() + at, &value, 8);
  }
}

void fill_fpu(x86::FpuState& fpu, Random& random) {
  for (auto& reg : fpu.vector) {
    for (unsigned i = 0; i < 32; i += 8) {
      const std::uint64_t value = edge_value(random);
      std::memcpy(reg.data() + i, &value, 8);
    }
  }
}

// Values without which an instruction would nearly always do the same thing.
void favour(const Encoding& encoding, Case& test, Random& random) {
  auto& gpr = test.state.gpr;
  if (encoding.is({ZYDIS_MNEMONIC_DIV, ZYDIS_MNEMONIC_IDIV}) && !one_in(random, 4)) {
    // Quotients that fit: the upper half nought, the sign, or small.
    gpr[2] = one_in(random, 3) ? 0
             : one_in(random, 2)
                 ? static_cast<std::uint64_t>(static_cast<std::int64_t>(gpr[0]) >> 63)
                 : random() % 8;
    if (encoding.operands[0].size == 8) {
      gpr[0] = one_in(random, 2)
                   ? random() % 0x800
                   : static_cast<std::uint64_t>(-static_cast<std::int64_t>(random() % 0x800));
    }
  }
  if (encoding.is(
          {ZYDIS_MNEMONIC_BT, ZYDIS_MNEMONIC_BTS, ZYDIS_MNEMONIC_BTR, ZYDIS_MNEMONIC_BTC}) &&
      encoding.operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY &&
      encoding.operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER) {
    const std::uint64_t reach = one_in(random, 8) ? 60000 : 2000;
    gpr[number(encoding.operands[1].reg.value)] = random() % (2 * reach) - reach;
  }
  if (encoding.is({ZYDIS_MNEMONIC_LOOP, ZYDIS_MNEMONIC_LOOPE, ZYDIS_MNEMONIC_LOOPNE,
                   ZYDIS_MNEMONIC_JCXZ, ZYDIS_MNEMONIC_JECXZ, ZYDIS_MNEMONIC_JRCXZ}) &&
      !one_in(random, 3)) {
    gpr[1] = random() % 3;
  }
  if (encoding.is({ZYDIS_MNEMONIC_CMPXCHG8B, ZYDIS_MNEMONIC_CMPXCHG16B}) && one_in(random, 2)) {
    gpr[2] = gpr[0] = 0;
  }
  if (encoding.repeats()) {
    gpr[1] = one_in(random, 16) ? random() % 2000 : random() % 24;
  }
  if (encoding.insn.mnemonic == ZYDIS_MNEMONIC_ENTER) {
    const std::uint64_t room = one_in(random, 8) ? random() : random() % 256;
    test.bytes[encoding.insn.raw.imm[0].offset] = static_cast<std::uint8_t>(room);
    test.bytes[encoding.insn.raw.imm[0].offset + 1] = static_cast<std::uint8_t>(room >> 8);
    test.bytes[encoding.insn.raw.imm[1].offset] =
        static_cast<std::uint8_t>(one_in(random, 4) ? random() : random() % 4);
    gpr[5] = (kData - data_base(test.mode)) + 512 + (random() % 512) * 8;
  }
}

// So that comparisons meet equal operands as well.
void make_equal(const Encoding& encoding, Case& test, std::span<std::uint8_t> data,
                std::uint64_t target, Random& random) {
  if (encoding.is({ZYDIS_MNEMONIC_CMPXCHG, ZYDIS_MNEMONIC_CMPXCHG8B, ZYDIS_MNEMONIC_CMPXCHG16B}) &&
      one_in(random, 2) && target >= kData && target + 16 <= kData + kDataSize) {
    const std::size_t half = encoding.is({ZYDIS_MNEMONIC_CMPXCHG8B}) ? 4 : 8;
    std::memcpy(data.data() + (target - kData), &test.state.gpr[0], half);
    if (!encoding.is({ZYDIS_MNEMONIC_CMPXCHG})) {
      std::memcpy(data.data() + (target - kData) + half, &test.state.gpr[2], half);
    }
  }
}

}  // namespace

std::uint64_t edge_value(Random& random) {
  const std::uint64_t value = random();
  switch (random() % 8) {
    case 0:
      return value % 33 - 16;
    case 1:
      return std::uint64_t{1} << (value % 64);
    case 2:
      return (std::uint64_t{1} << (value % 64)) - 1;
    case 3:
      return ~(std::uint64_t{1} << (value % 64));
    case 4:
      return static_cast<std::uint64_t>(std::int64_t{static_cast<std::int32_t>(value)});
    case 5:
      return value & 0xffffffff;
    default:
      return value;
  }
}

Case make_case(const Encoding& encoding, std::span<std::uint8_t> data, Random& random) {
  using namespace x86::rflags;
  Case test;
  test.mode = encoding.mode;
  test.bytes = encoding.bytes;
  test.repeats = encoding.repeats();
  test.branches = encoding.branches();
  UserState& state = test.state;
  for (std::uint64_t& value : state.gpr)
    value = edge_value(random);
  state.rip = kCode - code_base(test.mode);
  state.rflags = Fixed | (random() & kArithmetic) | (one_in(random, 4) ? DF : 0);
  const std::uint64_t base = data_base(test.mode);
  state.gpr[4] = kData + kPageSize - base + 8 * (random() % 128) - 512;
  for (const ZydisDecodedOperand& operand : encoding.operands) {
    if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER && is_vector(operand.reg.value)) {
      test.uses_fpu = true;
    }
  }
  if (test.uses_fpu) fill_fpu(state.fpu, random);
  favour(encoding, test, random);
  for (const ZydisDecodedOperand& operand : encoding.operands) {
    if (operand.type != ZYDIS_OPERAND_TYPE_MEMORY || operand.mem.type == ZYDIS_MEMOP_TYPE_AGEN) {
      continue;
    }
    const bool stack = operand.visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN &&
                       operand.mem.base != ZYDIS_REGISTER_NONE && number(operand.mem.base) == 4;
    const unsigned size = operand.size / 8u;
    const std::uint64_t target = pick_target(random, size, stack);
    const unsigned width = stack ? encoding.insn.stack_width : encoding.insn.address_width;
    refill(data, target, size, random);
    make_equal(encoding, test, data, target, random);
    if (one_in(random, 256) && width == 64 && operand.mem.base != ZYDIS_REGISTER_NONE &&
        operand.mem.base != ZYDIS_REGISTER_RIP) {
      aim(state, operand, width, std::uint64_t{0x800000000000} << (random() % 16), random);
    } else {
      aim(state, operand, width, target - base, random);
    }
  }
  if (test.mode != Mode::Code64) {
    for (std::uint64_t& value : state.gpr)
      value &= 0xffffffff;
    if (test.mode == Mode::Code16) state.gpr[4] &= 0xffff;
  }
  return test;
}

}  // namespace ringside::differential
