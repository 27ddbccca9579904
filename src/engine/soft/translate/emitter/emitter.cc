#include "engine/soft/translate/emitter/emitter.h"

#include "engine/soft/translate/emitter/host_calls.h"
#include "engine/soft/translate/emitter/host_flags.h"

namespace ringside::soft {

using namespace Xbyak::util;

namespace {

Uppers uppers_of(const std::vector<Form>& forms) {
  for (const Form& form : forms) {
    if ((form.use & vector_use::kAvx) != 0) return Uppers::Used;
  }
  return Uppers::Untouched;
}

}  // namespace

Emitter::Emitter(Assembler& assembler, const Stubs& stubs, const CpuOffsets& offsets,
                 const VectorOffsets& vector_offsets, std::vector<Form>& forms,
                 unsigned page_offset, ExitSlot* slots)
    : code_(assembler),
      stubs_(stubs),
      offsets_(offsets),
      xcr0_(vector_offsets.xcr0),
      forms_(forms),
      page_offset_(page_offset),
      slots_(slots),
      vectors_(assembler, vector_offsets, uppers_of(forms)) {}

std::size_t Emitter::most_bytes(const std::vector<Form>& forms) {
  return uppers_of(forms) == Uppers::Used ? 2 * kMostBytes : kMostBytes;
}

void Emitter::block() {
  begin();
  for (index_ = 0; index_ < forms_.size(); ++index_)
    instruction();
  index_ = static_cast<unsigned>(forms_.size()) - 1;
  if (!ended_) {
    vectors_.write_back();
    leave_to(next_offset());
  }
  cold_paths();
}

void Emitter::begin() {
  entry_ = code_.position();
  code_.sub(field(offsets_.left), static_cast<int>(forms_.size()));
  too_few_left_ = code_.jump_if(condition::kLess);
}

void Emitter::instruction() {
  check_vector_unit();
  first_cold_ = cold_.size();
  const bool last = (insn().prefixes & prefix::kEndsBlock) != 0;
  if (last) vectors_.write_back();
  if (form().emit != nullptr) {
    form().emit(*this);
  } else if (last) {
    where_to_second();
    code_.jump(stubs_.call_last_handler);
    ended_ = true;
  } else {
    call_handler();
  }
  // The handler comes back here with flags in AX only.
  if (cold_.size() > first_cold_) lose_host_flags();
  for (std::size_t i = first_cold_; i < cold_.size(); ++i) {
    cold_[i].resume = code_.position();
    cold_[i].held = vectors_.held();
  }
}

// The interpreter's handlers ask before each instruction; within a block the answer stays.
void Emitter::check_vector_unit() {
  const VectorUse check = form().check;
  if (check == vector_use::kNone) return;
  const auto low = [](int offset) { return byte[rbp + offset]; };
  if ((check & vector_use::kSse) != 0) {
    code_.test(low(offsets_.cr0), kSseOff);
    cold_if(Cold::What::Rest, condition::kNotEqual);
    code_.test(low(offsets_.cr4 + 1), kSseOn >> 8);
    cold_if(Cold::What::Rest, condition::kEqual);
  }
  if ((check & vector_use::kAvx) != 0) {
    code_.test(low(offsets_.cr0), kAvxOff);
    cold_if(Cold::What::Rest, condition::kNotEqual);
    code_.test(low(offsets_.cr4 + 2), kAvxOn >> 16);
    cold_if(Cold::What::Rest, condition::kEqual);
    code_.mov(cl, low(xcr0_));
    code_.not_(cl);
    code_.test(cl, kAvxState);
    cold_if(Cold::What::Rest, condition::kNotEqual);
  }
  if ((check & vector_use::kControl) != 0) {
    code_.cmp(low(offsets_.control_loaded), 0);
    cold_if(Cold::What::LoadControl, condition::kEqual);
    cold_.back().resume = code_.position();
  }
  lose_host_flags();
}

void Emitter::where_to_second() {
  code_.mov(rsi, reinterpret_cast<std::uint64_t>(&insn()));
  code_.mov(edx, host_calls::where(index_, static_cast<unsigned>(forms_.size()), form().offset));
}

void Emitter::call_handler() {
  vectors_.write_back();
  where_to_second();
  code_.call_to(stubs_.call_handler);
  vectors_.forget();
  lose_host_flags();
}

void Emitter::handler_if(unsigned condition) { cold_if(Cold::What::Instruction, condition); }

void Emitter::cold_if(Cold::What what, unsigned condition) {
  cold_.push_back({what, code_.jump_if(condition), 0, index_, vectors_.changed()});
}

// What comes after the block's own code: everything that is seldom needed.
void Emitter::cold_paths() {
  for (std::size_t i = 0; i < cold_.size(); ++i) {
    code_.set_destination(cold_[i].jump, code_.position());
    // Several ways into one path.
    const bool has_same_next = i + 1 < cold_.size() && cold_[i + 1].index == cold_[i].index &&
                               cold_[i + 1].what == cold_[i].what;
    if (!has_same_next) cold_path(cold_[i]);
  }
  for (unsigned i = 0; i < slots_used_; ++i) {
    slots_[i].unlinked = slots_[i].target = code_.executable(code_.position());
    code_.address_of(rdx, &slots_[i]);
    code_.jump(stubs_.exit);
  }
  code_.set_destination(too_few_left_, code_.position());
  code_.add(field(offsets_.left), static_cast<int>(forms_.size()));
  code_.jump(stubs_.exit_without);
}

void Emitter::cold_path(const Cold& cold) {
  index_ = cold.index;
  if (cold.what == Cold::What::LoadControl) {
    code_.call_to(stubs_.load_control);
    code_.set_destination(code_.jump_if(condition::kEqual), cold.resume);
  }
  vectors_.store(cold.changed);
  where_to_second();
  if (cold.what != Cold::What::Instruction) {
    code_.jump(stubs_.call_rest);
  } else if ((insn().prefixes & prefix::kEndsBlock) != 0) {
    code_.jump(stubs_.call_last_handler);
  } else {
    code_.call_to(stubs_.call_handler);
    vectors_.load(cold.held);
    // It was loaded, and what is emitted has no handler that changes the guest's control bits.
    if (form().control_loaded) code_.call_to(stubs_.load_control);
    code_.jump(cold.resume);
  }
}

// ---- Registers

Xbyak::Reg64 Emitter::read(unsigned guest, const Xbyak::Reg64& scratch) {
  if (kHostRegister[guest] >= 0) return Xbyak::Reg64(kHostRegister[guest]);
  code_.mov(scratch, in_memory(guest));
  return scratch;
}

void Emitter::load(unsigned guest, const Xbyak::Reg64& to) {
  const Xbyak::Reg64 where = read(guest, to);
  if (where.getIdx() != to.getIdx()) code_.mov(to, where);
}

Xbyak::Reg64 Emitter::place(unsigned guest, const Xbyak::Reg64& scratch) {
  return kHostRegister[guest] >= 0 ? Xbyak::Reg64(kHostRegister[guest]) : scratch;
}

void Emitter::written(unsigned guest, const Xbyak::Reg64& where) {
  if (kHostRegister[guest] < 0) code_.mov(in_memory(guest), where);
}

Xbyak::Reg Emitter::sized(const Xbyak::Reg64& reg, Width width) {
  switch (width) {
    case Width::Bits8:
      return reg.cvt8();
    case Width::Bits16:
      return reg.cvt16();
    case Width::Bits32:
      return reg.cvt32();
    default:
      return reg;
  }
}

Xbyak::Address Emitter::at(const Xbyak::Reg64& reg, Width width) {
  switch (width) {
    case Width::Bits8:
      return byte[reg];
    case Width::Bits16:
      return word[reg];
    case Width::Bits32:
      return dword[reg];
    default:
      return qword[reg];
  }
}

// ---- Memory

void Emitter::offset_in_segment() {
  const Insn& operand = insn();
  const int displacement = operand.displacement;
  if (operand.base == Cpu::kRip) {
    // RIP in memory is that of the block's first instruction. A sum that has no room in 32 bits is
    // made of two.
    code_.mov(kAddress, rip());
    code_.lea(kAddress, ptr[kAddress + displacement]);
    code_.lea(kAddress, ptr[kAddress + static_cast<int>(next_offset())]);
  } else {
    const bool has_base = operand.base != Cpu::kNoRegister;
    const bool has_index = operand.index != Cpu::kNoRegister;
    const int scale = 1 << operand.scale;
    if (has_base && has_index) {
      const Xbyak::Reg64 base = read(operand.base, kAddress);
      const Xbyak::Reg64 index = read(operand.index, kSecond);
      code_.lea(kAddress, ptr[base + index * scale + displacement]);
    } else if (has_base) {
      if (displacement != 0) {
        code_.lea(kAddress, ptr[read(operand.base, kAddress) + displacement]);
      } else {
        load(operand.base, kAddress);
      }
    } else if (has_index) {
      const Xbyak::Reg64 index = read(operand.index, kSecond);
      code_.lea(kAddress, ptr[index * scale + displacement]);
    } else {
      code_.mov(kAddress, static_cast<std::int64_t>(displacement));
    }
  }
}

void Emitter::linear_address() {
  offset_in_segment();
  const Insn& operand = insn();
  if (operand.segment == segment_use::kFs64) code_.add(kAddress, field(offsets_.fs_base));
  if (operand.segment == segment_use::kGs64) code_.add(kAddress, field(offsets_.gs_base));
}

// As Cpu::load_as and store_as.
void Emitter::reach(unsigned size, AccessKind kind) {
  static_assert(sizeof(TlbEntry) == 32 && Tlb::kEntries == 1024);
  code_.mov(edx, ecx);
  code_.shr(edx, 12 - 5);
  if (size > 1) {
    code_.lea(kThird, ptr[kAddress + static_cast<int>(size - 1)]);
  } else {
    code_.mov(kThird, kAddress);
  }
  code_.and_(edx, (Tlb::kEntries - 1) << 5);
  code_.and_(kThird, -static_cast<int>(kPageSize));
  code_.add(kSecond, field(offsets_.data));
  code_.or_(kThird, field(offsets_.generation));
  const auto tag =
      kind == AccessKind::Write ? offsetof(TlbEntry, write_tag) : offsetof(TlbEntry, read_tag);
  code_.cmp(kThird, ptr[kSecond + static_cast<int>(tag)]);
  handler_if(condition::kNotEqual);
  code_.add(kAddress, ptr[kSecond + static_cast<int>(offsetof(TlbEntry, host_offset))]);
  lose_host_flags();
}

// ---- Flags

void Emitter::keep_flags(Kind kind) {
  host_flags_valid_ = true;
  if (!flags_live()) return;
  code_.lahf();
  if (kind == Kind::Logical) {
    code_.mov(al, host_flags::kClear);
  } else {
    code_.seto(al);
  }
}

void Emitter::keep_carry() {
  lose_host_flags();
  if (!flags_live()) return;
  code_.setc(dl);
  code_.and_(ah, 0xfe);
  code_.or_(ah, dl);
}

void Emitter::settle_aux() {
  static_assert(host_flags::kClear >> 3 == x86::rflags::AF);
  code_.mov(edx, eax);
  code_.shr(dl, 3);
  code_.and_(dl, static_cast<int>(x86::rflags::AF));
  code_.not_(dl);
  code_.and_(ah, dl);
  code_.and_(al, 1);
}

void Emitter::need_flags(unsigned condition) {
  if (host_flags_valid_) return;
  const unsigned pair = condition >> 1;
  if (pair == condition::kOverflow >> 1 || pair >= condition::kLess >> 1) {
    code_.mov(esi, eax);
    code_.add(sil, 0x7f);  // overflows when it was 1
  }
  code_.sahf();
}

void Emitter::need_carry() {
  if (!host_flags_valid_) code_.bt(eax, 8);
}

// ---- Ends

void Emitter::exit_by_slot() { code_.jump_by(&slots_[slots_used_++].target); }

void Emitter::leave_to(std::int64_t delta) {
  ended_ = true;
  if (delta == 0) {
    code_.jump(entry_);
  } else if (is_in_page(delta)) {
    code_.add(rip(), static_cast<int>(delta));
    exit_by_slot();
  } else {
    code_.mov(kAddress, rip());
    code_.add(kAddress, static_cast<int>(delta));
    leave_to_address();
  }
}

void Emitter::leave_to_checked(std::int64_t delta) {
  if (is_in_page(delta)) {
    leave_to(delta);
    return;
  }
  code_.mov(kAddress, rip());
  code_.add(kAddress, static_cast<int>(delta));
  check_canonical();
  leave_to_address();
}

void Emitter::check_canonical() {
  code_.mov(kSecond, kAddress);
  code_.sar(kSecond, 47);
  code_.add(kSecond, 1);
  code_.cmp(kSecond, 1);
  handler_if(condition::kAbove);
  lose_host_flags();
}

void Emitter::leave_to_address() {
  ended_ = true;
  code_.mov(rip(), kAddress);
  code_.jump(stubs_.look_up);
}

}  // namespace ringside::soft
