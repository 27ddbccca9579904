#include "translator/random_units.h"

#include <iterator>
#include <utility>

#include "differential/inputs.h"
#include "engine/soft/decode/lower.h"

namespace ringside::testing {
namespace {

using differential::edge_value;
using soft::is_general;

constexpr unsigned kRax = 0, kRcx = 1, kRdx = 2, kRsp = 4, kRsi = 6, kRdi = 7;

unsigned number_of(ZydisRegister reg) { return static_cast<unsigned>(ZydisRegisterGetId(reg)); }

}  // namespace

void RandomUnits::begin_part(CodeMode mode) {
  mode_ = mode;
  known_ = {};
}

void RandomUnits::append_last_jump(CodeWriter& writer) {
  begin_insn(writer);
  branch(writer.jump(), OpenEnds::Branch::Where::Anywhere);
}

// Somewhere for an operand to point to.
std::uint64_t RandomUnits::pick_target() {
  using namespace stage;
  const bool paged = setting_ != Setting::Real16;
  const auto within = [&](std::uint64_t page) { return page + random_() % (kPageSize - 64); };
  switch (random_() % 64) {
    case 0:
    case 1:
    case 2:
      return kData + kPageSize * (1 + random_() % 3) - random_() % 17;  // across two pages
    case 3:
      return kReadOnly - random_() % 17;
    case 4:
      return within(kReadOnly);
    case 5:
      return kAbsent - random_() % 17;
    case 6:
      return within(kAbsent);
    case 7:
      return within(kKernelOnly);
    case 8:
      return within(kNoExecute);
    case 9:
      return within(kData + 2 * kPageSize);  // where the right to write comes and goes
    case 10:
      return paged ? within(kDataAlias) : within(kData);
    case 11:
    case 12:
      return paged ? within(kMoving) : within(kData);
    case 13:
      return kCode + random_() % (kCodePages * kPageSize);
    case 14:
      return paged && one_in(random_, 2) ? kRegisters + 8 * (random_() % 8) : within(kData);
    case 15:
      if (paged && one_in(random_, 3)) return within(kNobody);
      return is_64(setting_) && mode_ == CodeMode::Code64 && one_in(random_, 2)
                 ? std::uint64_t{0x8000'0000'0000} << random_() % 16
                 : within(kData);
    default:
      return (kData + random_() % (2 * kPageSize - 64)) &
             ~std::uint64_t{one_in(random_, 4) ? 0u : 15u};
  }
}
// As a register has it.
std::uint64_t RandomUnits::offset_of(std::uint64_t linear) const {
  if (mode_ == CodeMode::Code64) return linear;
  return mode_ == CodeMode::Code16 ? (linear - stage::kRealBase) & 0xffff : linear & 0xffffffff;
}

void RandomUnits::forget(const Encoding& encoding) {
  for (const ZydisDecodedOperand& operand : encoding.operands) {
    if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER && is_general(operand.reg.value) &&
        (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0)
      known_.at(number_of(operand.reg.value) & 15).reset();
  }
}
void RandomUnits::load(CodeWriter& writer, unsigned reg, std::uint64_t value) {
  begin_insn(writer);
  writer.load(reg, value);
  known_.at(reg) = value;
}
// Most of the time a register that shall point somewhere does.
void RandomUnits::aim(CodeWriter& writer, ZydisRegister reg) {
  if (reg == ZYDIS_REGISTER_NONE || !is_general(reg) || number_of(reg) == kRsp) return;
  const unsigned number = number_of(reg) & 15;
  const bool good = known_.at(number) && *known_.at(number) > 0x4000;
  if (good ? one_in(random_, 12) : !one_in(random_, 10))
    load(writer, number, offset_of(pick_target()));
}
void RandomUnits::make_small(CodeWriter& writer, ZydisRegister reg) {
  if (reg == ZYDIS_REGISTER_NONE || !is_general(reg) || number_of(reg) == kRsp) return;
  const unsigned number = number_of(reg) & 15;
  if (known_.at(number) && *known_.at(number) < 64) return;
  if (!one_in(random_, 10)) load(writer, number, random_() % 24);
}

Unwanted RandomUnits::unwanted() const {
  const bool fragile = setting_ == Setting::Kernel32 || setting_ == Setting::Real16;
  return {.privileged_state = !is_user(setting_),
          .stack_pointer = fragile,
          .segments = setting_ == Setting::Real16};
}

void RandomUnits::prepare_operands(CodeWriter& writer, const Encoding& encoding) {
  if (encoding.repeats() && !(known_.at(kRcx) && *known_.at(kRcx) < 64) && !one_in(random_, 8))
    load(writer, kRcx, random_() % 20);
  for (const ZydisDecodedOperand& operand : encoding.operands) {
    if (operand.type != ZYDIS_OPERAND_TYPE_MEMORY || operand.mem.type == ZYDIS_MEMOP_TYPE_AGEN)
      continue;
    make_small(writer, operand.mem.index);
    if (operand.mem.base != ZYDIS_REGISTER_RIP) aim(writer, operand.mem.base);
  }
  if (encoding.is(
          {ZYDIS_MNEMONIC_BT, ZYDIS_MNEMONIC_BTS, ZYDIS_MNEMONIC_BTR, ZYDIS_MNEMONIC_BTC}) &&
      encoding.operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY &&
      encoding.operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER)
    make_small(writer, encoding.operands[1].reg.value);
  if (encoding.is({ZYDIS_MNEMONIC_DIV, ZYDIS_MNEMONIC_IDIV}) && !one_in(random_, 5)) {
    load(writer, kRdx, random_() % 4);
    load(writer, kRax, edge_value(random_) & 0x7fffffff);
  }
}

// Displacements are small beside a register, and lead to the data without one.
void RandomUnits::place(Encoding& encoding, std::uint64_t at) {
  const auto& raw = encoding.insn.raw;
  if (raw.disp.size < 16) return;
  for (const ZydisDecodedOperand& operand : encoding.operands) {
    if (operand.type != ZYDIS_OPERAND_TYPE_MEMORY) continue;
    std::uint64_t value = random_() % 512 - 256;
    if (operand.mem.base == ZYDIS_REGISTER_RIP || operand.mem.base == ZYDIS_REGISTER_EIP) {
      value = pick_target() - (at + encoding.insn.length);
    } else if (operand.mem.base == ZYDIS_REGISTER_NONE) {
      value = offset_of(pick_target());
    }
    for (unsigned i = 0; i < raw.disp.size / 8u; ++i)
      encoding.bytes[raw.disp.offset + i] = static_cast<std::uint8_t>(value >> 8 * i);
    return;
  }
}

void RandomUnits::append_insn(CodeWriter& writer, Encoding encoding) {
  prepare_operands(writer, encoding);
  place(encoding, writer.at());
  begin_insn(writer);
  const std::uint64_t at = writer.at();
  writer.bytes(encoding.bytes);
  const auto& raw = encoding.insn.raw;
  if (raw.imm[0].size != 0) ends_.immediates.push_back(at + raw.imm[0].offset);
  // INC and DEC of a register differ in one bit.
  if (encoding.is({ZYDIS_MNEMONIC_INC, ZYDIS_MNEMONIC_DEC}) && raw.modrm.offset != 0)
    ends_.directions.push_back(at + raw.modrm.offset);
  forget(encoding);
}
void RandomUnits::append_plain(CodeWriter& writer) {
  append_insn(writer, random_insn(writer.mode(), processor_, unwanted(), random_));
}

void RandomUnits::branch(const CodeWriter::Distance& distance, OpenEnds::Branch::Where where) {
  ends_.branches.push_back({distance, ends_.labels.size(), where});
}
OpenEnds::Branch::Where RandomUnits::somewhere() {
  if (one_in(random_, 12)) return OpenEnds::Branch::Where::Back;
  return one_in(random_, 6) ? OpenEnds::Branch::Where::Anywhere : OpenEnds::Branch::Where::Near;
}

// Prefixes that mean nothing to a near branch, in 64-bit code at least.
void RandomUnits::append_branch_prefixes(CodeWriter& writer) {
  constexpr std::uint8_t kPrefixes[] = {0x66, 0x2e, 0x3e, 0xf2, 0xf3, 0x48, 0x40};
  if (writer.mode() == CodeMode::Code64 && one_in(random_, 16))
    writer.bytes({kPrefixes[random_() % std::size(kPrefixes)]});
}

void RandomUnits::append_jump_if(CodeWriter& writer) {
  begin_insn(writer);
  append_branch_prefixes(writer);
  const auto condition = static_cast<unsigned>(random_() % 16);
  const bool is_short = one_in(random_, 2);
  const auto distance = is_short ? writer.jump_short_if(condition) : writer.jump_if(condition);
  branch(distance, is_short ? OpenEnds::Branch::Where::Near : somewhere());
}

void RandomUnits::append_flags(CodeWriter& writer) {
  append_insn(writer, random_flag_writer(writer.mode(), random_));
  for (std::uint64_t between = random_() % 3; between > 0; --between)
    append_plain(writer);
  for (std::uint64_t readers = 1 + random_() % 3; readers > 0; --readers)
    append_insn(writer, random_flag_reader(writer.mode(), random_));
  if (one_in(random_, 2)) append_jump_if(writer);
}

// A row of vector instructions, with something else in between now and then.
void RandomUnits::append_vectors(CodeWriter& writer) {
  for (std::uint64_t length = 2 + random_() % 6; length > 0; --length) {
    append_insn(writer, random_vector_insn(writer.mode(), processor_, random_));
    if (one_in(random_, 10)) append_rounding(writer);
    if (one_in(random_, 8)) append_plain(writer);
  }
}

void RandomUnits::append_loop(CodeWriter& writer) {
  load(writer, kRcx, 1 + random_() % 6);
  const std::uint64_t start = writer.at();
  for (std::uint64_t length = random_() % 4; length > 0; --length)
    append_insn(writer, random_flag_writer(writer.mode(), random_));
  begin_insn(writer);
  const auto distance = writer.loop(static_cast<unsigned>(random_() % 3));
  if (!writer.set_target(distance, start)) branch(distance, OpenEnds::Branch::Where::Near);
  known_.at(kRcx).reset();
}

void RandomUnits::append_call(CodeWriter& writer) {
  begin_insn(writer);
  append_branch_prefixes(writer);
  switch (random_() % 8) {
    case 0:
    case 1:
      writer.bytes({0xc3});
      return;
    case 2:
      writer.bytes({0xc2, static_cast<std::uint8_t>(random_() % 4 * 8), 0});
      return;
    case 3:
    case 4:
      branch(writer.jump(), somewhere());
      return;
    default:
      branch(writer.call(), somewhere());
      return;
  }
}

// By a register, or by memory, to the address of some instruction.
void RandomUnits::append_indirect(CodeWriter& writer) {
  const auto reg = static_cast<unsigned>(random_() % 3);  // RAX, RCX, RDX
  begin_insn(writer);
  writer.load(reg, 0);
  ends_.pointers.push_back({writer.mode(), writer.at() - pointer_size(), pointer_size()});
  known_.at(reg).reset();
  const auto call = static_cast<std::uint8_t>(one_in(random_, 2) ? 2 : 4);  // CALL, JMP
  if (one_in(random_, 2)) {
    begin_insn(writer);
    writer.bytes({0xff, static_cast<std::uint8_t>(0xc0 | call << 3 | reg)});
    return;
  }
  // mov [data], reg; jmp [data]
  const std::uint64_t slot = stage::kData + 8 * (random_() % 64);
  if (writer.mode() == CodeMode::Code64) {
    begin_insn(writer);
    writer.bytes({0x48, 0x89, static_cast<std::uint8_t>(reg << 3 | 4), 0x25});
    writer.number(slot, 4);
    begin_insn(writer);
    writer.bytes({0xff, static_cast<std::uint8_t>(call << 3 | 4), 0x25});
    writer.number(slot, 4);
  } else {
    const std::uint8_t form = writer.mode() == CodeMode::Code16 ? 6 : 5;
    begin_insn(writer);
    writer.bytes({0x89, static_cast<std::uint8_t>(reg << 3 | form)});
    writer.number(offset_of(slot), pointer_size());
    begin_insn(writer);
    writer.bytes({0xff, static_cast<std::uint8_t>(call << 3 | form)});
    writer.number(offset_of(slot), pointer_size());
  }
}

void RandomUnits::append_change(CodeWriter& writer) {
  begin_insn(writer);
  std::uint64_t place = 0;
  auto what = static_cast<OpenEnds::Change::What>(random_() % 2);
  if (one_in(random_, 40)) what = OpenEnds::Change::What::Anything;
  if (what == OpenEnds::Change::What::Direction) {
    place = writer.xor8(stage::kData, 8);
  } else if (one_in(random_, 2)) {
    place = writer.store8(stage::kData, static_cast<std::uint8_t>(random_()));
  } else {
    place = writer.xor8(stage::kData, static_cast<std::uint8_t>(1u << random_() % 8));
  }
  ends_.changes.push_back({writer, place, what});
  // What is changed may be the next instruction.
  if (one_in(random_, 2)) append_insn(writer, random_flag_writer(writer.mode(), random_));
}

void RandomUnits::append_call_to_kernel(CodeWriter& writer) {
  begin_insn(writer);
  writer.bytes({0xcd, static_cast<std::uint8_t>(stage::kFirstCall + random_() % stage::kCalls)});
  if (setting_ == Setting::Real16 || one_in(random_, 3)) return;
  // What has moved is read, or executed.
  if (one_in(random_, 2)) {
    load(writer, kRsi, stage::kMoving + 16 * (random_() % 200));
  } else {
    begin_insn(writer);
    const auto distance = writer.call();
    if (!writer.set_target(distance, stage::kMoving))
      branch(distance, OpenEnds::Branch::Where::Near);
  }
}

void RandomUnits::append_string(CodeWriter& writer) {
  constexpr std::uint8_t kStrings[] = {0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf};
  load(writer, kRsi, offset_of(pick_target()));
  load(writer, kRdi, offset_of(pick_target()));
  if (!one_in(random_, 6))
    load(writer, kRcx, one_in(random_, 8) ? random_() % 3000 : random_() % 40);
  begin_insn(writer);
  if (one_in(random_, 8)) {
    writer.bytes({static_cast<std::uint8_t>(one_in(random_, 2) ? 0xfc : 0xfd)});  // CLD, STD
    begin_insn(writer);
  }
  if (!one_in(random_, 4))
    writer.bytes({static_cast<std::uint8_t>(one_in(random_, 3) ? 0xf2 : 0xf3)});
  if (writer.mode() == CodeMode::Code64 && one_in(random_, 2)) writer.bytes({0x48});
  writer.bytes({kStrings[random_() % std::size(kStrings)]});
  known_.at(kRsi).reset();
  known_.at(kRdi).reset();
  known_.at(kRcx).reset();
}

// Flags by way of the stack: TF and AC among them.
void RandomUnits::append_stack_flags(CodeWriter& writer) {
  begin_insn(writer);
  writer.bytes({0x9c});  // PUSHF
  // Only 32- and 64-bit code can address by the stack pointer.
  const std::uint64_t choice = writer.mode() == CodeMode::Code16 ? 5 : random_() % 5;
  if (choice < 5) begin_insn(writer);
  if (choice < 2) {
    writer.bytes({0x80, 0x4c, 0x24, 0x01, 0x01});  // or byte [rsp + 1], 1: TF
  } else if (choice == 2) {
    writer.bytes({0x80, 0x4c, 0x24, 0x02, 0x04});  // or byte [rsp + 2], 4: AC
  } else if (choice < 5) {
    writer.bytes({0x66, 0x81, 0x34, 0x24});  // xor word [rsp], arithmetic flags, NT and DF
    writer.number(random_() & 0x4cd5, 2);
  }
  begin_insn(writer);
  writer.bytes({0x9d});  // POPF
}

void RandomUnits::append_shadow(CodeWriter& writer) {
  begin_insn(writer);
  switch (random_() % 4) {
    case 0:
      writer.bytes({0xfb});  // STI
      break;
    case 1:
      writer.bytes({0xfa});  // CLI
      append_plain(writer);
      begin_insn(writer);
      writer.bytes({0xfb});
      break;
    default: {
      // mov eax, ss; mov ss, eax
      writer.bytes({0x8c, 0xd0});
      known_.at(kRax).reset();
      begin_insn(writer);
      writer.bytes({0x8e, 0xd0});
      break;
    }
  }
  append_insn(writer, random_flag_writer(writer.mode(), random_));
}

void RandomUnits::append_port(CodeWriter& writer) {
  constexpr std::uint8_t kPorts[] = {0x80, 0x81, 0x60};
  begin_insn(writer);
  const std::uint8_t port = kPorts[random_() % std::size(kPorts)];
  const auto direction = static_cast<std::uint8_t>(random_() % 2 * 2);  // IN, OUT
  writer.bytes({static_cast<std::uint8_t>(0xe4 | direction | random_() % 2), port});
  known_.at(kRax).reset();
}

// To the other width of code, and on there.
void RandomUnits::append_switch(CodeWriter& writer) {
  if (!is_64(setting_)) return;
  begin_insn(writer);
  const bool user = is_user(setting_);
  if (writer.mode() == CodeMode::Code64) {
    const std::uint16_t selector = user ? stage::kUserCode32 : stage::kKernelCode32;
    writer.bytes({0x6a, static_cast<std::uint8_t>(selector)});  // push
    begin_insn(writer);
    writer.bytes({0x68});
    ends_.pointers.push_back({CodeMode::Code32, writer.at(), 4});
    writer.number(0, 4);
    begin_insn(writer);
    writer.bytes({0x48, 0xcb});  // RETFQ
  } else {
    writer.bytes({0xea});  // JMP far
    ends_.pointers.push_back({CodeMode::Code64, writer.at(), 4});
    writer.number(0, 4);
    writer.number(user ? stage::kUserCode64 : stage::kKernelCode, 2);
  }
}

void RandomUnits::append_rounding(CodeWriter& writer) {
  // LDMXCSR of a value that is good most of the time.
  std::uint32_t mxcsr = 0x1f80 | (random_() & 0x603f);
  if (one_in(random_, 2)) mxcsr |= random_() & 0x8040;
  if (one_in(random_, 4)) mxcsr &= ~(random_() & 0x1f80);
  if (one_in(random_, 30)) mxcsr |= 0x10000;
  const std::uint64_t slot = stage::kData + 0x400 + 4 * (random_() % 16);
  begin_insn(writer);
  writer.store32(slot, mxcsr);
  begin_insn(writer);
  writer.bytes({0x0f, 0xae});
  if (writer.mode() == CodeMode::Code64) {
    writer.bytes({0x14, 0x25});
    writer.number(slot, 4);
  } else {
    writer.bytes({static_cast<std::uint8_t>(writer.mode() == CodeMode::Code16 ? 0x16 : 0x15)});
    writer.number(offset_of(slot), pointer_size());
  }
}

void RandomUnits::append_halt(CodeWriter& writer) {
  begin_insn(writer);
  writer.bytes({0xf4});
}

void RandomUnits::append(CodeWriter& writer) {
  const std::uint64_t choice = random_() % 1000;
  if (choice < 430) return append_plain(writer);
  if (choice < 520) return append_vectors(writer);
  if (choice < 620) return append_flags(writer);
  if (choice < 720) return append_jump_if(writer);
  if (choice < 750) return append_loop(writer);
  if (choice < 790) return append_call(writer);
  if (choice < 815) return append_indirect(writer);
  if (choice < 870) return append_change(writer);
  if (choice < 895) return append_call_to_kernel(writer);
  if (choice < 925) return append_string(writer);
  if (choice < 940) return append_stack_flags(writer);
  if (choice < 955) return append_shadow(writer);
  if (choice < 967) return append_port(writer);
  if (choice < 982) return append_switch(writer);
  if (choice < 998) return append_rounding(writer);
  append_halt(writer);
}

}  // namespace ringside::testing
