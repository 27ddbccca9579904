// Writes the host code of one block: where the guest's registers are, how memory is reached, when
// flags are kept, how a block is left. The instruction families (../forms) write instructions
// with it. Used by the Translator for one block at a time.
//
// While host code runs
//  * RBP points into the Cpu (Cpu::host_base);
//  * AX has the arithmetic flags (host_flags.h);
//  * ten guest registers are in host registers and six in Cpu::gpr;
//  * RCX, RDX and RSI are free within an instruction, and so are the host's own flags;
//  * the guest's vector registers that the block has used are in the host's (vector_registers.h);
//  * Cpu::rip is the address of the block's first instruction, and Cpu::frame.left has the whole
//    block taken off already. What can look at the guest gets exact values (host_calls.h).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "engine/soft/cpu/cpu.h"
#include "engine/soft/decode/lower.h"
#include "engine/soft/translate/emitter/assembler.h"
#include "engine/soft/translate/emitter/stubs.h"
#include "engine/soft/translate/emitter/vector_registers.h"
#include "engine/soft/translate/emitter/vector_use.h"

namespace ringside::soft {

class Emitter;
// Writes the present instruction.
using Emit = void (*)(Emitter&);
// Chooses how to write a form; null: its handler is called.
using Plan = Emit (*)(const Decoded& decoded, const Insn& insn);

// One instruction of the block.
struct Form {
  Decoded decoded;
  const Insn* insn = nullptr;
  Emit emit = nullptr;
  unsigned offset = 0;                  // of its first byte in the block
  bool flags_live = true;               // somebody may read the arithmetic flags that it leaves
  VectorUse use = vector_use::kNone;    // of what is emitted
  VectorUse check = vector_use::kNone;  // what has to be established right before it
  bool control_loaded = false;          // the host's MXCSR is the guest's after it
};

class Emitter {
 public:
  // The registers that are free within an instruction. An address is always in the first.
  const Xbyak::Reg64 kAddress = Xbyak::util::rcx, kSecond = Xbyak::util::rdx,
                     kThird = Xbyak::util::rsi, kFlags = Xbyak::util::rax;

  // `page_offset` is that of the block's first byte in its page; `slots` has room for kSlots exits.
  Emitter(Assembler& assembler, const Stubs& stubs, const CpuOffsets& offsets,
          const VectorOffsets& vector_offsets, std::vector<Form>& forms, unsigned page_offset,
          ExitSlot* slots);

  // Writes all of it. What the assembler refuses, it says by an AssemblerError; form() is then the
  // one that it refused.
  void block();
  // How long that may be: of a block without VEX, and of this one. With VEX each instruction that
  // reaches memory may have to store and load sixteen registers in two halves.
  static constexpr std::size_t kMostBytes = 16384;
  static std::size_t most_bytes(const std::vector<Form>& forms);
  static constexpr unsigned kSlots = 2;  // that a block may use

  // ---- For the families
  Assembler& code() { return code_; }
  const Form& form() const { return forms_[index_]; }
  const Insn& insn() const { return *form().insn; }
  const Decoded& decoded() const { return form().decoded; }

  // A field of the Cpu.
  static Xbyak::Address field(int offset) { return Xbyak::util::qword[Xbyak::util::rbp + offset]; }
  const CpuOffsets& offsets() const { return offsets_; }

  // A guest register's value, in its host register or loaded to `scratch`.
  Xbyak::Reg64 read(unsigned guest, const Xbyak::Reg64& scratch);
  // `to`, which is no guest's, gets a guest register's value.
  void load(unsigned guest, const Xbyak::Reg64& to);
  // Where a guest register's new value is to be made: its host register or `scratch`, which does
  // not have the old one. written() then puts it in its place.
  Xbyak::Reg64 place(unsigned guest, const Xbyak::Reg64& scratch);
  void written(unsigned guest, const Xbyak::Reg64& where);
  VectorRegisters& vectors() { return vectors_; }
  static Xbyak::Reg sized(const Xbyak::Reg64& reg, Width width);
  static Xbyak::Address at(const Xbyak::Reg64& reg, Width width);

  // kAddress = the memory operand's offset in its segment. kSecond may change.
  void offset_in_segment();
  // kAddress = the linear address of the memory operand. kSecond may change.
  void linear_address();
  // kAddress, a linear address, becomes the host's, good for `size` bytes; where the fast path does
  // not lead, the instruction's handler does all of it. Nothing of the guest may have changed yet.
  // kSecond, kThird and the host's flags change.
  void reach(unsigned size, AccessKind kind);
  void reach_operand(unsigned size, AccessKind kind) {
    linear_address();
    reach(size, kind);
  }
  // If `condition` holds, the handler does all of it.
  void handler_if(unsigned condition);
  // The instruction's handler is called, for better or worse.
  void call_handler();

  // ---- Flags
  bool flags_live() const { return form().flags_live; }
  // The host's flags are the guest's: keeps them where somebody may read them. Logical instructions
  // have no AF of their own.
  enum class Kind : std::uint8_t { Arithmetic, Logical };
  void keep_flags(Kind kind);
  // The host's CF is the guest's; the other flags stay as they were. kSecond changes.
  void keep_carry();
  // Makes AH right about AF and AL 0 or 1, for those who change single flags in them. kSecond
  // changes.
  void settle_aux();
  // Something else has been written to AX, or will the host's flags be used for other things.
  void lose_host_flags() { host_flags_valid_ = false; }
  // The host's flags become the guest's, as far as this condition needs them. kThird may change.
  void need_flags(unsigned condition);
  // The host's CF becomes the guest's.
  void need_carry();

  // RIP in memory: of the block's first instruction.
  Xbyak::Address rip() const { return in_memory(Cpu::kRip); }

  // ---- Ends of blocks. `delta` is from the block's first byte.
  void leave_to(std::int64_t delta);
  void leave_to_checked(std::int64_t delta);  // the target might not be canonical
  // To the address in kAddress, which is canonical.
  void leave_to_address();
  // The handler does it if the address in kAddress is not canonical with 48 bits. kSecond changes.
  void check_canonical();
  unsigned next_offset() const { return form().offset + insn().length; }
  bool is_in_page(std::int64_t delta) const {
    const std::int64_t at = static_cast<std::int64_t>(page_offset_) + delta;
    return at >= 0 && at < static_cast<std::int64_t>(kPageSize);
  }

 private:
  // A path that is seldom taken, and lies behind the block's own code.
  struct Cold {
    enum class What : std::uint8_t {
      Instruction,  // is done by its handler
      LoadControl,  // and if that cannot be, as the next
      Rest,         // of the block is done by handlers
    } what;
    std::size_t jump;    // that leads to it
    std::size_t resume;  // where it goes on when that is done
    unsigned index;
    VectorRegisters::Halves changed;  // in the host's registers when it begins,
    VectorRegisters::Halves held{};   // and what has to be there when it goes on
  };
  // Where the Cpu has a guest register.
  Xbyak::Address in_memory(unsigned guest) const {
    return field(offsets_.gpr + 8 * static_cast<int>(guest));
  }
  void begin();
  void instruction();
  void check_vector_unit();
  void cold_if(Cold::What what, unsigned condition);
  void cold_path(const Cold& cold);
  void where_to_second();
  void cold_paths();
  void exit_by_slot();

  Assembler& code_;
  const Stubs& stubs_;
  const CpuOffsets& offsets_;
  const int xcr0_;
  std::vector<Form>& forms_;
  const unsigned page_offset_;
  ExitSlot* const slots_;
  unsigned slots_used_ = 0;
  std::size_t entry_ = 0, too_few_left_ = 0;
  unsigned index_ = 0;
  bool host_flags_valid_ = false;
  bool ended_ = false;
  VectorRegisters vectors_;
  std::vector<Cold> cold_;
  std::size_t first_cold_ = 0;  // of the present instruction
};

}  // namespace ringside::soft
