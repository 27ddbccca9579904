#include "engine/soft/translate/emitter/stubs.h"

#include <algorithm>
#include <utility>

#include "engine/soft/translate/emitter/assembler.h"
#include "engine/soft/translate/emitter/host_calls.h"
#include "engine/soft/translate/emitter/vector_use.h"

namespace ringside::soft {
namespace {

using namespace Xbyak::util;

class Writer {
 public:
  Writer(Assembler& code, const CpuOffsets& offsets, const JumpEntry* jumps)
      : code_(code), offsets_(offsets), jumps_(jumps) {}

  Stubs all() {
    Stubs stubs;
    frame_of_block();
    stubs.exit_without = start();
    code_.xor_(edx, edx);
    stubs.exit = start();
    save_guest();
    code_.mov(rax, rdx);
    const std::size_t epilogue = start();
    leave_frame();
    leave_stub_ = epilogue;
    stubs.enter = start();
    enter();
    stubs.look_up = start();
    look_up(stubs.exit_without);
    stubs.call_handler = start();
    frame(8, 0);
    code_.sub(rsp, 8);
    frame(16, 0);
    call(reinterpret_cast<const void*>(&host_calls::in_block));
    code_.add(rsp, 8);
    frame(8, 0);
    code_.ret();
    frame(16, 0);
    code_.set_destination(leave_, start());
    code_.add(rsp, 16);
    frame_of_block();
    code_.jump(leave_stub_);
    stubs.call_last_handler = start();
    end_block(reinterpret_cast<const void*>(&host_calls::last_in_block), stubs);
    stubs.call_rest = start();
    end_block(reinterpret_cast<const void*>(&host_calls::rest_of_block), stubs);
    stubs.load_control = start();
    frame(8, 0);
    load_control();
    frame_of_block();
    stubs.frames = std::move(frames_);
    return stubs;
  }

 private:
  std::size_t start() const { return code_.position(); }
  Xbyak::Address field(int offset) const { return qword[rbp + offset]; }
  Xbyak::Address guest(unsigned number) const {
    return field(offsets_.gpr + 8 * static_cast<int>(number));
  }

  void save_guest() {
    for (unsigned i = 0; i < 16; ++i) {
      if (kHostRegister[i] >= 0) code_.mov(guest(i), Xbyak::Reg64(kHostRegister[i]));
    }
    code_.mov(field(offsets_.flags), rax);  // all of it, because it is read whole
    unload_control();
  }
  void unload_control() {
    code_.cmp(byte[rbp + offsets_.control_loaded], 0);
    const std::size_t not_loaded = code_.jump_if(condition::kEqual);
    code_.stmxcsr(dword[rbp + offsets_.mxcsr]);
    code_.ldmxcsr(dword[rbp + offsets_.host_control]);
    code_.mov(byte[rbp + offsets_.control_loaded], 0);
    code_.set_destination(not_loaded, start());
  }
  // As check_sse; and an exception that is not masked, or a reserved bit, is the handlers' affair.
  void load_control() {
    code_.test(byte[rbp + offsets_.cr0], kSseOff);
    const std::size_t off = code_.jump_if(condition::kNotEqual);
    code_.mov(esi, dword[rbp + offsets_.cr4]);
    code_.not_(esi);
    code_.test(esi, kSseOn);
    const std::size_t not_on = code_.jump_if(condition::kNotEqual);
    code_.mov(esi, dword[rbp + offsets_.mxcsr]);
    code_.and_(esi, kMxcsrReserved | kMxcsrMasks);
    code_.cmp(esi, kMxcsrMasks);
    const std::size_t not_masked = code_.jump_if(condition::kNotEqual);
    code_.stmxcsr(dword[rbp + offsets_.host_control]);
    code_.ldmxcsr(dword[rbp + offsets_.mxcsr]);
    code_.mov(byte[rbp + offsets_.control_loaded], 1);
    for (const std::size_t jump : {off, not_on, not_masked})
      code_.set_destination(jump, start());
    code_.ret();
  }
  void load_guest() {
    for (unsigned i = 0; i < 16; ++i) {
      if (kHostRegister[i] >= 0) code_.mov(Xbyak::Reg64(kHostRegister[i]), guest(i));
    }
    code_.movzx(eax, word[rbp + offsets_.flags]);
  }

  // What is on the stack from here on (FrameRow).
  void frame(unsigned depth, unsigned pushed) { frames_.push_back({start(), depth, pushed}); }
  void frame_of_block() { frame(kBlockDepth, kPushedRegisters.size()); }

  // HostBlock::entry and a pointer into the Cpu come as arguments. Seven words on the stack keep
  // calls from blocks aligned: one for their return address is missing to a multiple of 16.
  void enter() {
    frame(8, 0);
    for (unsigned pushed = 0; pushed < kPushedRegisters.size();) {
      code_.push(Xbyak::Reg64(kPushedRegisters[pushed]));
      ++pushed;
      frame(8 * (pushed + 1), pushed);
    }
    code_.sub(rsp, 8);
    frame_of_block();
    code_.mov(rbp, rsi);
    code_.mov(rcx, rdi);
    load_guest();
    code_.jmp(rcx);
  }
  void leave_frame() {
    code_.add(rsp, 8);
    for (unsigned pushed = kPushedRegisters.size(); pushed > 0;) {
      frame(8 * (pushed + 1), pushed);
      --pushed;
      code_.pop(Xbyak::Reg64(kPushedRegisters[pushed]));
    }
    frame(8, 0);
    code_.ret();
  }

  // Falls through with the guest's registers loaded; `leave_` is to lead to the run loop.
  void call(const void* function) {
    save_guest();
    code_.lea(rdi, ptr[rbp - offsets_.base]);
    code_.mov(rax, reinterpret_cast<std::uint64_t>(function));
    code_.call(rax);
    code_.test(eax, eax);
    code_.mov(eax, 0);  // no slot
    leave_ = code_.jump_if(condition::kNotEqual);
    load_guest();
  }

  // The block is over when the function has been called.
  void end_block(const void* function, const Stubs& stubs) {
    call(function);
    code_.mov(rcx, field(offsets_.gpr + 8 * static_cast<int>(Cpu::kRip)));
    code_.jump(stubs.look_up);
    code_.set_destination(leave_, start());
    code_.jump(leave_stub_);
  }

  // The same questions as the run loop's: does the last code page go on to be fetched from, or is
  // the translation of this one known; and has it what lay there when the block was made? Whether a
  // page is checked need not be compared: no entry is older than the breakpoints.
  void look_up(std::size_t miss) {
    code_.mov(edx, ecx);
    code_.shr(edx, kJumpBits);
    code_.xor_(edx, ecx);
    code_.and_(edx, (1u << kJumpBits) - 1);
    code_.shl(edx, 4);
    code_.address_of(rsi, jumps_);
    code_.add(rdx, rsi);
    code_.cmp(ptr[rdx], rcx);
    const std::size_t unknown = code_.jump_if(condition::kNotEqual);
    code_.mov(rdx, ptr[rdx + offsetof(JumpEntry, block)]);
    code_.mov(rsi, rcx);
    code_.and_(rsi, -static_cast<int>(kPageSize));
    code_.cmp(field(offsets_.fetch_page), rsi);
    const std::size_t same_page = code_.jump_if(condition::kEqual);
    code_.shr(rcx, 12);
    code_.and_(ecx, Cpu::kFetchEntries - 1);
    code_.shl(ecx, 5);
    code_.add(rcx, field(offsets_.fetch));
    code_.or_(rsi, field(offsets_.generation));
    code_.cmp(ptr[rcx + offsetof(FetchEntry, tag)], rsi);
    const std::size_t unknown_page = code_.jump_if(condition::kNotEqual);
    code_.and_(rsi, -static_cast<int>(kPageSize));
    code_.mov(field(offsets_.fetch_page), rsi);
    code_.mov(rsi, ptr[rcx + offsetof(FetchEntry, gpa_page)]);
    code_.mov(field(offsets_.fetch_gpa_page), rsi);
    code_.mov(cl, byte[rcx + offsetof(FetchEntry, checked)]);
    code_.mov(byte[rbp + offsets_.fetch_page_checked], cl);
    code_.cmp(ptr[rdx + offsetof(HostBlock, gpa_page)], rsi);
    const std::size_t other_memory = code_.jump_if(condition::kNotEqual);
    code_.jmp(ptr[rdx + offsetof(HostBlock, entry)]);
    code_.set_destination(same_page, start());
    code_.mov(rcx, field(offsets_.fetch_gpa_page));
    code_.cmp(ptr[rdx + offsetof(HostBlock, gpa_page)], rcx);
    const std::size_t other_block = code_.jump_if(condition::kNotEqual);
    code_.jmp(ptr[rdx + offsetof(HostBlock, entry)]);
    for (const std::size_t jump : {unknown, unknown_page, other_memory, other_block})
      code_.set_destination(jump, miss);
  }

  Assembler& code_;
  const CpuOffsets& offsets_;
  const JumpEntry* const jumps_;
  std::size_t leave_stub_ = 0, leave_ = 0;
  std::vector<FrameRow> frames_;
};

}  // namespace

std::vector<NamedStub> in_order(const Stubs& stubs) {
  std::vector<NamedStub> named = {{"enter", stubs.enter},
                                  {"exit", stubs.exit},
                                  {"exit_without", stubs.exit_without},
                                  {"look_up", stubs.look_up},
                                  {"call_handler", stubs.call_handler},
                                  {"call_last_handler", stubs.call_last_handler},
                                  {"call_rest", stubs.call_rest},
                                  {"load_control", stubs.load_control}};
  std::sort(named.begin(), named.end(),
            [](const auto& one, const auto& other) { return one.position < other.position; });
  return named;
}

Stubs write_stubs(Assembler& code, const CpuOffsets& offsets, const JumpEntry* jumps) {
  return Writer(code, offsets, jumps).all();
}

}  // namespace ringside::soft
