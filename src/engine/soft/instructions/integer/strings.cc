// MOVS STOS LODS SCAS CMPS INS OUTS with and without REP.
//
// Counting must not depend on how a REP is executed: in bulk, or an iteration at a time under a
// debugger or TF. So a chunk ends where the count or the condition ends the instruction, or where
// the next access of either operand starts in another 4 KiB page; an instruction retires only at
// the end of a chunk. Between chunks RIP is back on the instruction and interrupts may come. A
// chunk takes the time of one instruction and of one more for each line of 64 bytes that it goes
// through, all of it when it retires, so that no event of the machine comes in its midst.
#include <algorithm>
#include <utility>

#include "engine/soft/cpu/board.h"
#include "engine/soft/cpu/port_access.h"
#include "engine/soft/instructions/integer/integer.h"

namespace ringside::soft {
namespace {

constexpr std::uint8_t kAcc = 0, kRcx = 1, kRdx = 2, kRsi = 6, kRdi = 7;

template <typename T>
T get_at(const std::uint8_t* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}
template <typename T>
void put_at(std::uint8_t* at, T value) {
  std::memcpy(at, &value, sizeof(T));
}

// Each operation: one element by linear addresses, and many elements in host memory (ascending),
// which gives the number done. Compares stop where ZF ends the repetition.
struct Movs {
  static constexpr bool kSource = true, kDestination = true, kCompares = false, kBulk = true;
  static constexpr AccessKind kDestinationAccess = AccessKind::Write;
  static void prepare(Cpu&, unsigned) {}
  template <typename T>
  static void element(Cpu& cpu, std::uint64_t source, std::uint64_t destination) {
    cpu.store<T>(destination, cpu.load<T>(source));
  }
  template <typename T>
  static std::uint64_t many(Cpu&, const std::uint8_t* source, std::uint8_t* destination,
                            std::uint64_t count, bool) {
    const std::uint64_t size = count * sizeof(T);
    if (destination <= source || destination >= source + size) {
      std::memmove(destination, source, size);
    } else {  // the copy reads what it wrote
      for (std::uint64_t i = 0; i < size; i += sizeof(T)) {
        put_at<T>(destination + i, get_at<T>(source + i));
      }
    }
    return count;
  }
};

struct Stos {
  static constexpr bool kSource = false, kDestination = true, kCompares = false, kBulk = true;
  static constexpr AccessKind kDestinationAccess = AccessKind::Write;
  static void prepare(Cpu&, unsigned) {}
  template <typename T>
  static void element(Cpu& cpu, std::uint64_t, std::uint64_t destination) {
    cpu.store<T>(destination, cpu.get<T>(kAcc));
  }
  template <typename T>
  static std::uint64_t many(Cpu& cpu, const std::uint8_t*, std::uint8_t* destination,
                            std::uint64_t count, bool) {
    const T value = cpu.get<T>(kAcc);
    for (std::uint64_t i = 0; i < count; ++i)
      put_at<T>(destination + i * sizeof(T), value);
    return count;
  }
};

struct Lods {
  static constexpr bool kSource = true, kDestination = false, kCompares = false, kBulk = false;
  static void prepare(Cpu&, unsigned) {}
  template <typename T>
  static void element(Cpu& cpu, std::uint64_t source, std::uint64_t) {
    cpu.set<T>(kAcc, cpu.load<T>(source));
  }
};

template <typename T>
void compare(Cpu& cpu, T a, T b) {
  cpu.flags.set_sub<T>(a, b, static_cast<T>(a - b));
}

struct Scas {
  static constexpr bool kSource = false, kDestination = true, kCompares = true, kBulk = true;
  static constexpr AccessKind kDestinationAccess = AccessKind::Read;
  static void prepare(Cpu&, unsigned) {}
  template <typename T>
  static void element(Cpu& cpu, std::uint64_t, std::uint64_t destination) {
    compare<T>(cpu, cpu.get<T>(kAcc), cpu.load<T>(destination));
  }
  template <typename T>
  static std::uint64_t many(Cpu& cpu, const std::uint8_t*, const std::uint8_t* destination,
                            std::uint64_t count, bool while_equal) {
    const T a = cpu.get<T>(kAcc);
    std::uint64_t i = 0;
    while (i < count - 1 && (get_at<T>(destination + i * sizeof(T)) == a) == while_equal)
      ++i;
    compare<T>(cpu, a, get_at<T>(destination + i * sizeof(T)));
    return i + 1;
  }
};

struct Cmps {
  static constexpr bool kSource = true, kDestination = true, kCompares = true, kBulk = true;
  static constexpr AccessKind kDestinationAccess = AccessKind::Read;
  static void prepare(Cpu&, unsigned) {}
  template <typename T>
  static void element(Cpu& cpu, std::uint64_t source, std::uint64_t destination) {
    const T a = cpu.load<T>(source);
    compare<T>(cpu, a, cpu.load<T>(destination));
  }
  template <typename T>
  static std::uint64_t many(Cpu& cpu, const std::uint8_t* source, const std::uint8_t* destination,
                            std::uint64_t count, bool while_equal) {
    std::uint64_t i = 0;
    while (i < count - 1 && (get_at<T>(source + i * sizeof(T)) ==
                             get_at<T>(destination + i * sizeof(T))) == while_equal) {
      ++i;
    }
    compare<T>(cpu, get_at<T>(source + i * sizeof(T)), get_at<T>(destination + i * sizeof(T)));
    return i + 1;
  }
};

// The port is read only when the store cannot fault any more.
struct Ins {
  static constexpr bool kSource = false, kDestination = true, kCompares = false, kBulk = false;
  static constexpr AccessKind kDestinationAccess = AccessKind::Write;
  static void prepare(Cpu& cpu, unsigned size) {
    check_port_access(cpu, cpu.get<std::uint16_t>(kRdx), size);
  }
  template <typename T>
  static void element(Cpu& cpu, std::uint64_t, std::uint64_t destination) {
    cpu.check_write(destination, sizeof(T));
    cpu.store<T>(destination,
                 static_cast<T>(port_in(cpu, cpu.get<std::uint16_t>(kRdx), sizeof(T))));
  }
};

struct Outs {
  static constexpr bool kSource = true, kDestination = false, kCompares = false, kBulk = false;
  static void prepare(Cpu& cpu, unsigned size) {
    const auto port = cpu.get<std::uint16_t>(kRdx);
    check_port_access(cpu, port, size);
    check_output(cpu, port, size);
  }
  template <typename T>
  static void element(Cpu& cpu, std::uint64_t source, std::uint64_t) {
    port_out(cpu, cpu.get<std::uint16_t>(kRdx), sizeof(T), cpu.load<T>(source));
  }
};

constexpr unsigned kLineShift = 6;

// Notes the lines that an operand goes through on its way by so many bytes. However the way is cut
// into steps, the sum is the same.
void count_lines(Cpu& cpu, std::uint64_t linear, std::int64_t bytes) {
  const std::uint64_t from = linear >> kLineShift;
  const std::uint64_t to = (linear + static_cast<std::uint64_t>(bytes)) >> kLineShift;
  cpu.string_lines += bytes < 0 ? from - to : to - from;
}

// The instruction, or its part on one page, retires: what it has gone through takes time. The run
// gets that much shorter.
void take_time(Cpu& cpu) {
  const std::uint64_t lines = std::exchange(cpu.string_lines, 0);
  cpu.board().surcharge += lines;
  cpu.limit -= std::min(cpu.limit, lines);
  cpu.run_until -= std::min(cpu.run_until, lines);
  cpu.iterations = 0;
}

// Moves an index register and says whether the next access starts in another page.
template <typename Address>
bool advance(Cpu& cpu, std::uint8_t reg, std::uint64_t linear, std::int64_t bytes) {
  const auto offset = cpu.get<Address>(reg);
  const auto next = static_cast<Address>(offset + static_cast<std::uint64_t>(bytes));
  cpu.set<Address>(reg, next);
  return ((linear + next - offset) ^ linear) >= kPageSize;
}

// Both of them, after so many bytes at the addresses given. Lines are those of one operand.
template <typename Op, typename Address>
void move_operands(Cpu& cpu, std::uint64_t source, std::uint64_t destination, std::int64_t bytes,
                   bool& new_page) {
  count_lines(cpu, Op::kDestination ? destination : source, bytes);
  if constexpr (Op::kSource) new_page |= advance<Address>(cpu, kRsi, source, bytes);
  if constexpr (Op::kDestination) new_page |= advance<Address>(cpu, kRdi, destination, bytes);
}

// One iteration. True when the next one would access another page.
template <typename Op, typename T, typename Address>
bool step(Cpu& cpu, const Insn& insn) {
  std::uint64_t source = 0, destination = 0;
  if constexpr (Op::kSource) {
    source = cpu.segmented(insn.segment, cpu.get<Address>(kRsi), sizeof(T), AccessKind::Read);
  }
  if constexpr (Op::kDestination) {
    destination =
        cpu.segmented(insn.extra, cpu.get<Address>(kRdi), sizeof(T), Op::kDestinationAccess);
  }
  Op::template element<T>(cpu, source, destination);
  const std::int64_t bytes =
      cpu.flags.df() ? -static_cast<std::int64_t>(sizeof(T)) : static_cast<std::int64_t>(sizeof(T));
  bool new_page = false;
  move_operands<Op, Address>(cpu, source, destination, bytes, new_page);
  return new_page;
}

// How many elements lie whole before the page, the segment or the address space ends.
template <typename T, typename Address>
std::uint64_t room(const Cpu& cpu, std::uint8_t use, Address offset, std::uint64_t linear) {
  std::uint64_t bytes = kPageSize - (linear & ~kPageMask);
  if constexpr (sizeof(Address) < 8) {
    bytes = std::min(bytes, std::uint64_t{static_cast<Address>(~Address{0})} - offset + 1);
  }
  if (use < segment_use::kFlat) {
    const x86::Segment& segment = cpu.segment[use];
    if (segment.expand_down() || segment.limit < offset) return 0;
    bytes = std::min(bytes, std::uint64_t{segment.limit} - offset + 1);
  }
  return bytes / sizeof(T);
}

// As many iterations as can be done at once; 0 when they must be done singly.
template <typename Op, typename T, typename Address>
std::uint64_t bulk(Cpu& cpu, const Insn& insn, std::uint64_t count, bool& new_page) {
  if (cpu.flags.df() || count < 2) return 0;
  std::uint64_t source = 0, destination = 0;
  const std::uint8_t* source_host = nullptr;
  std::uint8_t* destination_host = nullptr;
  if constexpr (Op::kSource) {
    const auto offset = cpu.get<Address>(kRsi);
    source = cpu.segmented(insn.segment, offset, sizeof(T), AccessKind::Read);
    count = std::min(count, room<T, Address>(cpu, insn.segment, offset, source));
  }
  if constexpr (Op::kDestination) {
    const auto offset = cpu.get<Address>(kRdi);
    destination = cpu.segmented(insn.extra, offset, sizeof(T), Op::kDestinationAccess);
    count = std::min(count, room<T, Address>(cpu, insn.extra, offset, destination));
  }
  if (count < 2) return 0;
  if constexpr (Op::kSource) {
    source_host = cpu.direct(source, AccessKind::Read);
    if (source_host == nullptr) return 0;
  }
  if constexpr (Op::kDestination) {
    destination_host = cpu.direct(destination, Op::kDestinationAccess);
    if (destination_host == nullptr) return 0;
  }
  const bool while_equal = (insn.prefixes & prefix::kRep) != 0;
  const std::uint64_t done =
      Op::template many<T>(cpu, source_host, destination_host, count, while_equal);
  const auto bytes = static_cast<std::int64_t>(done * sizeof(T));
  move_operands<Op, Address>(cpu, source, destination, bytes, new_page);
  return done;
}

template <typename Op, typename T, typename Address>
void once(Cpu& cpu, const Insn& insn) {
  Op::prepare(cpu, sizeof(T));
  const std::uint64_t lines = cpu.string_lines;
  step<Op, T, Address>(cpu, insn);
  cpu.string_lines = lines;
}

template <typename Op, typename T, typename Address>
void repeat(Cpu& cpu, const Insn& insn) {
  Op::prepare(cpu, sizeof(T));  // ports are protected even where the count is none
  auto count = cpu.get<Address>(kRcx);
  if (count == 0) return;
  // The second attempt in bulk comes after a single iteration has filled the TLB.
  for (unsigned round = 0;; ++round) {
    bool new_page = false;
    std::uint64_t done = 0;
    if constexpr (Op::kBulk) {
      if (round < 2 && !cpu.one_iteration) done = bulk<Op, T, Address>(cpu, insn, count, new_page);
    }
    if (done == 0) {
      new_page = step<Op, T, Address>(cpu, insn);
      done = 1;
    }
    count = static_cast<Address>(count - done);
    cpu.iterations += done;
    cpu.set<Address>(kRcx, count);
    bool complete = count == 0;
    if constexpr (Op::kCompares) {
      complete |= cpu.flags.zf() != ((insn.prefixes & prefix::kRep) != 0);
    }
    if (complete || new_page) take_time(cpu);
    if (complete) return;
    if (new_page || cpu.one_iteration || cpu.pending_debug != 0 || cpu.pending_exit.has_value() ||
        !cpu.watch_hits.empty() || !cpu.physical_watch_hits.empty() || !cpu.caught.empty()) {
      cpu.rip() = cpu.insn_rip;
      if (!new_page) cpu.retired = false;
      return;
    }
  }
}

// Implicit operands: the source at rSI in DS or an override, the destination at rDI always in ES.
template <typename Op>
bool lower_string(const Decoded& decoded, Insn& insn) {
  if (decoded.insn.meta.category != ZYDIS_CATEGORY_STRINGOP &&
      decoded.insn.meta.category != ZYDIS_CATEGORY_IOSTRINGOP) {
    return false;  // MOVSD and CMPSD are also names of vector instructions
  }
  Width width = Width::Bits8;
  for (unsigned i = 0; i < decoded.insn.operand_count; ++i) {
    if (!decoded.is_memory(i)) continue;
    width = decoded.width(i);
    if (!Op::kSource || ZydisRegisterGetId(decoded.op(i).mem.base) == kRsi) {
      lower_memory(decoded, i, insn);
    }
  }
  insn.extra =
      decoded.code64() ? segment_use::kFlat : static_cast<std::uint8_t>(x86::SegmentName::Es);
  const bool repeats = (insn.prefixes & (prefix::kRep | prefix::kRepne)) != 0;
  if (repeats) insn.prefixes |= prefix::kEndsBlock;
  insn.execute = by_width(width, [&](auto t) -> Handler {
    return by_word_width(insn.address_width, [&](auto address) -> Handler {
      return repeats ? repeat<Op, decltype(t), decltype(address)>
                     : once<Op, decltype(t), decltype(address)>;
    });
  });
  return true;
}

}  // namespace

void register_strings(LowerTable& table) {
  table.add(
      {ZYDIS_MNEMONIC_MOVSB, ZYDIS_MNEMONIC_MOVSW, ZYDIS_MNEMONIC_MOVSD, ZYDIS_MNEMONIC_MOVSQ},
      lower_string<Movs>);
  table.add(
      {ZYDIS_MNEMONIC_STOSB, ZYDIS_MNEMONIC_STOSW, ZYDIS_MNEMONIC_STOSD, ZYDIS_MNEMONIC_STOSQ},
      lower_string<Stos>);
  table.add(
      {ZYDIS_MNEMONIC_LODSB, ZYDIS_MNEMONIC_LODSW, ZYDIS_MNEMONIC_LODSD, ZYDIS_MNEMONIC_LODSQ},
      lower_string<Lods>);
  table.add(
      {ZYDIS_MNEMONIC_SCASB, ZYDIS_MNEMONIC_SCASW, ZYDIS_MNEMONIC_SCASD, ZYDIS_MNEMONIC_SCASQ},
      lower_string<Scas>);
  table.add(
      {ZYDIS_MNEMONIC_CMPSB, ZYDIS_MNEMONIC_CMPSW, ZYDIS_MNEMONIC_CMPSD, ZYDIS_MNEMONIC_CMPSQ},
      lower_string<Cmps>);
  table.add({ZYDIS_MNEMONIC_INSB, ZYDIS_MNEMONIC_INSW, ZYDIS_MNEMONIC_INSD}, lower_string<Ins>);
  table.add({ZYDIS_MNEMONIC_OUTSB, ZYDIS_MNEMONIC_OUTSW, ZYDIS_MNEMONIC_OUTSD}, lower_string<Outs>);
}

}  // namespace ringside::soft
