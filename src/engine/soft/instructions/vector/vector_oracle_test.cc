#include "engine/soft/instructions/vector/vector_oracle_test.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ucontext.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string_view>

#include "engine/soft/cpu/board.h"
#include "engine/soft/cpu/cpu.h"
#include "engine/soft/decode/lower.h"
#include "engine/soft/instructions/instructions.h"
#include "engine/soft/testing/host_features.h"
#include "engine/soft/testing/nan_lanes.h"

namespace ringside::soft::oracle {
namespace {

// ---- Native execution
// Code at a fixed address, so that instruction pointers compare too: load everything from the state
// at RDI, the instruction, store everything, return. A trap resumes at the storing part.
constexpr std::uint64_t kCodeAddress = 0x20000000;
constexpr unsigned kInstructionOffset = 256;

class Assembler {
 public:
  explicit Assembler(std::uint8_t* at) : at_(at) {}
  void bytes(std::initializer_list<unsigned> values) {
    for (const unsigned value : values)
      *at_++ = static_cast<std::uint8_t>(value);
  }
  void dword(std::uint32_t value) {
    std::memcpy(at_, &value, 4);
    at_ += 4;
  }
  // MOV between [rdi + disp32] and a general register.
  void load(unsigned reg, std::size_t offset) { move(0x8b, reg, offset); }
  void store(unsigned reg, std::size_t offset) { move(0x89, reg, offset); }
  std::uint8_t* position() const { return at_; }

 private:
  void move(unsigned opcode, unsigned reg, std::size_t offset) {
    bytes({0x48 | (reg >> 3 << 2), opcode, 0x87 | (reg & 7) << 3});
    dword(static_cast<std::uint32_t>(offset));
  }
  std::uint8_t* at_;
};

constexpr unsigned kRdi = 7, kRsp = 4;
constexpr std::size_t gpr_offset(unsigned i) { return offsetof(State, gpr) + 8 * i; }

volatile sig_atomic_t trapped_signal = 0;
volatile std::uint64_t resume_address = 0;

extern "C" void on_trap(int signal, siginfo_t*, void* context) {
  auto* user = static_cast<ucontext_t*>(context);
  const auto rip = static_cast<std::uint64_t>(user->uc_mcontext.gregs[REG_RIP]);
  if (rip - kCodeAddress >= 4096) {  // not ours: the process ends as it would have
    struct sigaction action = {};
    action.sa_handler = SIG_DFL;
    sigaction(signal, &action, nullptr);
    return;
  }
  trapped_signal = signal;
  user->uc_mcontext.gregs[REG_RIP] = static_cast<greg_t>(resume_address);
}

class NativeHost {
 public:
  NativeHost() {
    constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    void* code = mmap(reinterpret_cast<void*>(kCodeAddress), 4096,
                      PROT_READ | PROT_WRITE | PROT_EXEC, kFlags, -1, 0);
    void* memory = mmap(reinterpret_cast<void*>(kMemoryAddress), kMemorySize,
                        PROT_READ | PROT_WRITE, kFlags, -1, 0);
    usable_ = code == reinterpret_cast<void*>(kCodeAddress) &&
              memory == reinterpret_cast<void*>(kMemoryAddress);
    if (!usable_) return;
    build();
    struct sigaction action = {};
    action.sa_sigaction = on_trap;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    for (const int signal : {SIGFPE, SIGSEGV, SIGILL, SIGBUS})
      sigaction(signal, &action, nullptr);
  }

  Outcome run(std::span<const std::uint8_t> bytes, const State& state, const Memory& memory) {
    if (!usable_) throw std::runtime_error("the fixed test mappings are not available");
    std::uint8_t* at = code() + kInstructionOffset;
    std::memcpy(at, bytes.data(), bytes.size());
    Assembler tail(at + bytes.size());
    tail.bytes({0xe9});  // JMP to the storing part
    tail.dword(static_cast<std::uint32_t>(store_ - (tail.position() + 4)));
    std::memcpy(data(), memory.data(), memory.size());

    Outcome outcome;
    outcome.state = state;
    trapped_signal = 0;
    resume_address = reinterpret_cast<std::uint64_t>(store_);
    reinterpret_cast<void (*)(State*)>(kCodeAddress)(&outcome.state);
    std::memcpy(outcome.memory.data(), data(), memory.size());
    outcome.trap = trap_of(trapped_signal, state);
    return outcome;
  }

 private:
  static std::uint8_t* code() { return reinterpret_cast<std::uint8_t*>(kCodeAddress); }
  static std::uint8_t* data() {
    return reinterpret_cast<std::uint8_t*>(kMemoryAddress) + kMemoryOffset;
  }
  static Trap trap_of(int signal, const State& state) {
    switch (signal) {
      case 0:
        return Trap::None;
      case SIGFPE:
        return (state.status & 0x80) != 0 ? Trap::X87Error : Trap::SimdError;
      case SIGSEGV:
      case SIGBUS:
        return Trap::Protection;
      case SIGILL:
        return Trap::InvalidOpcode;
      default:
        return Trap::Other;
    }
  }

  void build() {
    Assembler in(code());
    in.bytes({0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57});  // push rbx rbp r12..15
    in.bytes({0x57});                                                        // push rdi
    in.bytes({0x48, 0x0f, 0xae, 0x0f});                                      // fxrstor64 [rdi]
    in.bytes({0xff, 0xb7});                                                  // push [rdi + rflags]
    in.dword(offsetof(State, rflags));
    in.bytes({0x9d});  // popfq
    for (unsigned i = 0; i < 16; ++i) {
      if (i != kRsp && i != kRdi) in.load(i, gpr_offset(i));
    }
    in.load(kRdi, gpr_offset(kRdi));
    in.bytes({0xe9});
    in.dword(static_cast<std::uint32_t>(code() + kInstructionOffset - (in.position() + 4)));

    store_ = code() + 512;
    Assembler out(store_);
    out.bytes({0x9c});                          // pushfq
    out.bytes({0x57});                          // push rdi
    out.bytes({0x48, 0x8b, 0x7c, 0x24, 0x10});  // mov rdi, [rsp + 16]
    for (unsigned i = 0; i < 16; ++i) {
      if (i != kRsp && i != kRdi) out.store(i, gpr_offset(i));
    }
    out.bytes({0x58});  // pop rax
    out.store(0, gpr_offset(kRdi));
    out.bytes({0x58});  // pop rax
    out.store(0, offsetof(State, rflags));
    out.bytes({0x48, 0x0f, 0xae, 0x07});  // fxsave64 [rdi]
    out.bytes({0xdb, 0xe3});              // fninit
    out.bytes({0x68, 0x80, 0x1f, 0, 0});  // push 1f80h
    out.bytes({0x0f, 0xae, 0x14, 0x24});  // ldmxcsr [rsp]
    out.bytes({0x58, 0x58, 0xfc});        // pop rax; pop rax; cld
    out.bytes({0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d, 0x41, 0x5c, 0x5d, 0x5b, 0xc3});
  }

  bool usable_ = false;
  std::uint8_t* store_ = nullptr;
};

// ---- The software CPU
class NoPlatform final : public hypervisor::Platform {
 public:
  hypervisor::Access port_read(VcpuId, std::uint16_t, unsigned, std::uint32_t&) override {
    return hypervisor::Access::Done;
  }
  hypervisor::Access port_write(VcpuId, std::uint16_t, unsigned, std::uint32_t) override {
    return hypervisor::Access::Done;
  }
  bool mmio_read(VcpuId, Gpa, unsigned, std::uint64_t&) override { return false; }
  bool mmio_peek(VcpuId, Gpa, unsigned, std::uint64_t&) const override { return false; }
  bool mmio_write(VcpuId, Gpa, unsigned, std::uint64_t) override { return false; }
  bool is_mmio(Gpa) const override { return false; }
  std::optional<std::uint8_t> acknowledge_interrupt(VcpuId) override { return std::nullopt; }
  std::uint8_t task_priority(VcpuId) override { return 0; }
  void set_task_priority(VcpuId, std::uint8_t) override {}
  bool apic_msr_read(VcpuId, std::uint32_t, std::uint64_t&) override { return false; }
  bool apic_msr_write(VcpuId, std::uint32_t, std::uint64_t) override { return false; }
  VirtualTime next_event() const override { return {}; }
  void run_events(VirtualTime) override {}
};

class SoftHost {
 public:
  SoftHost()
      : ram_(std::move(*hypervisor::GuestRam::create(std::uint64_t{512} << 20))),
        board_(ram_, platform_),
        cpu_(std::make_unique<Cpu>(VcpuId{0}, board_)) {
    board_.cpus.push_back(cpu_.get());
    board_.running = cpu_.get();
    // 64-bit code without paging: no real CPU can be there, but instructions cannot tell.
    cpu_->cr0 = x86::cr0::PE | x86::cr0::ET | x86::cr0::NE;
    cpu_->cr4 = x86::cr4::PAE | x86::cr4::OSFXSR | x86::cr4::OSXMMEXCPT;
    cpu_->efer = x86::efer::LME | x86::efer::LMA;
    x86::Segment& code = cpu_->seg(x86::SegmentName::Cs);
    code.attributes = x86::kAttributesCode64;
    code.limit = 0xffffffff;
    cpu_->set_cpl(0);
    cpu_->update_mode();
  }

  Outcome run(std::span<const std::uint8_t> bytes, const State& state, const Memory& memory) {
    Cpu& cpu = *cpu_;
    put_state(state);
    std::uint8_t* at = ram_.host({kMemoryAddress + kMemoryOffset}, sizeof(Memory));
    std::memcpy(at, memory.data(), memory.size());
    Outcome outcome;
    const Insn insn = decode(bytes, Width::Bits64);
    cpu.insn_rip = kCodeAddress + kInstructionOffset;
    cpu.rip() = cpu.insn_rip + insn.length;
    try {
      insn.execute(cpu, insn);
    } catch (const GuestFault& fault) {
      outcome.trap = trap_of(fault.exception.vector);
    }
    outcome.state = take_state(state);
    std::memcpy(outcome.memory.data(), at, memory.size());
    return outcome;
  }

 private:
  static Trap trap_of(x86::Vector vector) {
    switch (vector) {
      case x86::Vector::InvalidOpcode:
        return Trap::InvalidOpcode;
      case x86::Vector::GeneralProtection:
      case x86::Vector::PageFault:
        return Trap::Protection;
      case x86::Vector::SimdError:
        return Trap::SimdError;
      case x86::Vector::X87Error:
        return Trap::X87Error;
      default:
        return Trap::Other;
    }
  }
  void put_state(const State& state) {
    Cpu& cpu = *cpu_;
    std::copy(state.gpr.begin(), state.gpr.end(), cpu.gpr.begin());
    cpu.flags.set_value(state.rflags);
    Fpu& fpu = cpu.fpu;
    fpu.control = state.control;
    fpu.status = state.status;
    fpu.empty = static_cast<std::uint8_t>(~state.valid);
    fpu.opcode = state.opcode;
    fpu.instruction_pointer = state.instruction_pointer;
    fpu.data_pointer = state.data_pointer;
    fpu.instruction_selector = fpu.data_selector = 0;
    fpu.mxcsr = state.mxcsr;
    for (unsigned i = 0; i < 8; ++i) {
      std::memcpy(&fpu.st(i).significand, state.st[i].data(), 8);
      std::memcpy(&fpu.st(i).sign_exponent, state.st[i].data() + 8, 2);
    }
    for (unsigned i = 0; i < 16; ++i)
      fpu.xmm[i].bytes = state.xmm[i];
  }
  State take_state(const State& before) const {
    const Cpu& cpu = *cpu_;
    const Fpu& fpu = cpu.fpu;
    State state = before;
    std::copy_n(cpu.gpr.begin(), 16, state.gpr.begin());
    state.rflags = cpu.flags.value();
    state.control = fpu.control;
    state.status = fpu.status;
    state.valid = static_cast<std::uint8_t>(~fpu.empty);
    state.opcode = fpu.opcode;
    state.instruction_pointer = fpu.instruction_pointer;
    state.data_pointer = fpu.data_pointer;
    state.mxcsr = fpu.mxcsr;
    for (unsigned i = 0; i < 8; ++i) {
      std::memcpy(state.st[i].data(), &fpu.st(i).significand, 8);
      std::memcpy(state.st[i].data() + 8, &fpu.st(i).sign_exponent, 2);
    }
    for (unsigned i = 0; i < 16; ++i)
      state.xmm[i] = fpu.xmm[i].bytes;
    return state;
  }

  hypervisor::GuestRam ram_;
  NoPlatform platform_;
  Board board_;
  std::unique_ptr<Cpu> cpu_;
};

NativeHost& native_host() {
  static NativeHost host;
  return host;
}
SoftHost& soft_host() {
  static SoftHost host;
  return host;
}

// ---- Encoding of rows
constexpr unsigned kBase = 3;  // RBX addresses memory

struct Encoding {
  std::vector<std::uint8_t> prefixes;
  std::vector<std::uint8_t> opcode;
  bool wide = false, modrm = false, immediate = false;
  int field = -1;
};

Encoding parse(std::string_view text) {
  Encoding encoding;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    const std::string token(text.substr(at, end - at));
    at = end + 1;
    if (token == "/r") {
      encoding.modrm = true;
    } else if (token[0] == '/') {
      encoding.modrm = true;
      encoding.field = token[1] - '0';
    } else if (token == "ib") {
      encoding.immediate = true;
    } else if (token == "W") {
      encoding.wide = true;
    } else {
      const auto value = static_cast<std::uint8_t>(std::stoul(token, nullptr, 16));
      const bool prefix =
          encoding.opcode.empty() && (value == 0x66 || value == 0xf2 || value == 0xf3);
      (prefix ? encoding.prefixes : encoding.opcode).push_back(value);
    }
  }
  return encoding;
}

std::vector<std::uint8_t> encode(const Encoding& encoding, const Row& row, bool memory,
                                 Values& values, State& state) {
  std::vector<std::uint8_t> bytes = encoding.prefixes;
  const auto number = [&](Operand operand) {
    for (;;) {
      const auto n = static_cast<unsigned>(values.bits() % 16);
      // RSP holds the native stack; RBX stays the base.
      if (operand == Operand::Vector || (n != kRsp && n != kBase)) return n;
    }
  };
  const unsigned reg =
      encoding.field >= 0 ? static_cast<unsigned>(encoding.field) : number(row.reg);
  const unsigned rm = memory ? kBase : number(row.rm);
  const bool x87 = row.data == Data::Extended;
  const unsigned rex = 0x40 | (encoding.wide ? 8 : 0) | (reg >> 3 << 2) | (x87 ? 0 : rm >> 3);
  if (encoding.modrm && rex != 0x40) bytes.push_back(static_cast<std::uint8_t>(rex));
  bytes.insert(bytes.end(), encoding.opcode.begin(), encoding.opcode.end());
  if (encoding.modrm) {
    bytes.push_back(static_cast<std::uint8_t>((memory ? 0x80 : 0xc0) | (reg & 7) << 3 | (rm & 7)));
    if (memory) {
      // Mostly aligned, at times across the page boundary or simply misaligned.
      std::uint32_t displacement = static_cast<std::uint32_t>(values.bits() % 900);
      if (!values.one_in(8)) displacement &= ~15u;
      for (unsigned i = 0; i < 4; ++i)
        bytes.push_back(static_cast<std::uint8_t>(displacement >> (8 * i)));
      state.gpr[kBase] = kMemoryAddress + kMemoryOffset;
    }
  }
  if (row.rdi_is_data) state.gpr[kRdi] = kMemoryAddress + kMemoryOffset + values.bits() % 900;
  if (encoding.immediate) {
    const auto any = static_cast<std::uint8_t>(values.bits());
    bytes.push_back(values.one_in(2) ? any : any % 32);
  }
  return bytes;
}

std::string hex(std::span<const std::uint8_t> bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes)
    text += fmt::format("{:02x} ", byte);
  return text;
}
std::string value_hex(const std::array<std::uint8_t, 16>& value) {
  std::uint64_t halves[2];
  std::memcpy(halves, value.data(), 16);
  return fmt::format("{:016x}:{:016x}", halves[1], halves[0]);
}

// What differs, one line each; empty when nothing does.
std::string difference(const Row& row, std::optional<unsigned> operand, const Outcome& native,
                       const Outcome& soft) {
  std::string text;
  const auto note = [&](std::string_view what, auto host, auto ours) {
    if (host != ours) text += fmt::format("  {}: host {:x}, soft {:x}\n", what, host, ours);
  };
  if (native.trap != soft.trap) {
    text += fmt::format("  trap: host {}, soft {}\n", name(native.trap), name(soft.trap));
  }
  const State& n = native.state;
  const State& s = soft.state;
  constexpr unsigned kErrorSummary = 0x80;
  const bool error = row.data == Data::Extended && (n.status & kErrorSummary) != 0;
  if (error && (n.status & ~n.control & row.not_unmasked) != 0) return {};
  note("mxcsr", n.mxcsr, s.mxcsr);
  note("control", n.control, s.control);
  const bool x87_open = row.x87_open_after_trap && native.trap == Trap::SimdError;
  if (!x87_open) {
    const unsigned defined =
        ~(row.undefined_status | (error ? row.undefined_after_error : 0u)) & 0xffffu;
    note("status", n.status & defined, s.status & defined);
    note("tags", static_cast<unsigned>(n.valid), static_cast<unsigned>(s.valid));
  }
  // Some processors report the pointers only when an unmasked exception is pending.
  if (error) {
    note("opcode", n.opcode, s.opcode);
    note("instruction pointer", n.instruction_pointer, s.instruction_pointer);
    if (operand) note("data pointer", n.data_pointer, s.data_pointer);
  }
  const std::uint64_t flags =
      error && row.flags_open_after_error ? 0 : 0x8d5u & ~row.undefined_flags;
  note("rflags", n.rflags & flags, s.rflags & flags);
  for (unsigned i = 0; i < 16; ++i) {
    if (i != kRsp) note(fmt::format("gpr {}", i), n.gpr[i], s.gpr[i]);
  }
  const auto values = [&](const char* what, unsigned i, const auto& host, const auto& ours) {
    if (host != ours) {
      text += fmt::format("  {}{}: host {}, soft {}\n", what, i, value_hex(host), value_hex(ours));
    }
  };
  for (unsigned i = 0; i < 8 && !x87_open; ++i)
    values("st", i, n.st[i], s.st[i]);
  for (unsigned i = 0; i < 16; ++i) {
    auto wanted = s.xmm[i];
    if (row.any_nan && row.data == Data::Singles) testing::take_nans<float>(n.xmm[i], wanted);
    if (row.any_nan && row.data == Data::Doubles) testing::take_nans<double>(n.xmm[i], wanted);
    values("xmm", i, n.xmm[i], wanted);
  }
  for (unsigned i = 0; i < sizeof(Memory); ++i) {
    const bool skipped = i - operand.value_or(0) - row.open_from < row.open_to - row.open_from;
    if (native.memory[i] == soft.memory[i] || skipped) continue;
    text += fmt::format("  memory at {:#x}: host {:02x}, soft {:02x}\n", i, native.memory[i],
                        soft.memory[i]);
    break;
  }
  return text;
}

std::string inputs(const Row& row, const State& state) {
  std::string text =
      fmt::format("  before: mxcsr {:x} control {:x} status {:x} tags {:x} rflags {:x}\n",
                  state.mxcsr, state.control, state.status, state.valid, state.rflags);
  if (row.data == Data::Extended) {
    for (unsigned i = 0; i < 8; ++i)
      text += fmt::format("  st{} {}\n", i, value_hex(state.st[i]));
  } else {
    for (unsigned i = 0; i < 16; ++i)
      text += fmt::format("  xmm{} {}\n", i, value_hex(state.xmm[i]));
  }
  return text;
}

}  // namespace

const char* name(Trap trap) {
  switch (trap) {
    case Trap::None:
      return "none";
    case Trap::InvalidOpcode:
      return "#UD";
    case Trap::Protection:
      return "#GP or #PF";
    case Trap::SimdError:
      return "#XM";
    case Trap::X87Error:
      return "#MF";
    case Trap::Other:
      break;
  }
  return "other";
}

Outcome run_native(std::span<const std::uint8_t> bytes, const State& state, const Memory& memory) {
  return native_host().run(bytes, state, memory);
}
Outcome run_soft(std::span<const std::uint8_t> bytes, const State& state, const Memory& memory) {
  return soft_host().run(bytes, state, memory);
}

namespace {

// Whether this host's processor has the extension that an instruction belongs to.
bool host_has_form(std::span<const std::uint8_t> bytes) {
  ZydisDecoder decoder;
  ZydisDecodedInstruction insn;
  ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
  const auto status =
      ZydisDecoderDecodeInstruction(&decoder, nullptr, bytes.data(), bytes.size(), &insn);
  return !ZYAN_SUCCESS(status) || testing::host_has(insn.meta.isa_set);
}

}  // namespace

void check(std::span<const Row> rows, unsigned cases) {
  constexpr unsigned kShown = 3;
  if (const char* wanted = std::getenv("RINGSIDE_CASES")) cases = std::stoul(wanted);
  unsigned forms = 0, absent = 0, tried = 0, traps = 0;
  for (const Row& row : rows) {
    const Encoding encoding = parse(row.bytes);
    for (const bool memory_form : {false, true}) {
      if (memory_form ? row.memory == 0 : !row.registers) continue;
      ++forms;
      Values values(std::hash<std::string_view>{}(row.name) + (memory_form ? 1 : 0));
      unsigned different = 0;
      for (unsigned i = 0; i < cases; ++i) {
        State state = values.state(row.data);
        const Memory memory = values.memory(row.data);
        const auto bytes = encode(encoding, row, memory_form, values, state);
        std::optional<unsigned> operand;  // its offset in Memory
        if (memory_form && !encoding.immediate)
          std::memcpy(&operand.emplace(), bytes.data() + bytes.size() - 4, 4);
        if (i == 0 && !host_has_form(bytes)) {
          ++absent;
          break;
        }
        const auto compare = [&](bool& trap) {
          const Outcome native = run_native(bytes, state, memory);
          trap = native.trap != Trap::None;
          return difference(row, operand, native, run_soft(bytes, state, memory));
        };
        bool trap = false;
        std::string text = compare(trap);
        ++tried;
        if (trap) ++traps;
        if (text.empty()) continue;
        // A hypervisor under the host emulates an instruction now and then, and not always rightly.
        if (const std::string again = compare(trap); again.empty()) {
          fmt::print("{} differed once, and not when it was repeated: {}\n{}", row.name, hex(bytes),
                     text);
          continue;
        }
        if (++different <= kShown) {
          ADD_FAILURE() << row.name << (memory_form ? " (memory)" : "") << ": " << hex(bytes)
                        << "\n"
                        << text << inputs(row, state);
        }
      }
      if (different > kShown) {
        ADD_FAILURE() << row.name << (memory_form ? " (memory)" : "") << ": " << different << " of "
                      << cases << " cases differ";
      }
    }
  }
  EXPECT_GT(forms, 0u);
  if (absent == forms) GTEST_SKIP() << "this host's processor has not got these instructions";
  if (absent != 0) fmt::print("{} forms that this host's processor has not got\n", absent);
  printf("%u forms, %u cases, %u with a trap\n", forms, tried, traps);
}

State Values::state(Data data) {
  State state;
  for (auto& gpr : state.gpr) {
    gpr = bits();
    if (one_in(3))
      gpr = static_cast<std::uint64_t>(static_cast<std::int64_t>(gpr) >> (bits() % 60));
  }
  if (data == Data::Strings && !one_in(4)) {  // lengths for PCMPESTRx in RAX and RDX
    state.gpr[0] = bits() % 20;
    state.gpr[2] = 0 - bits() % 20;
  }
  state.rflags = (bits() & 0x8d5) | 0x202;
  for (auto& xmm : state.xmm)
    xmm = values_.vector(data == Data::Extended ? Data::Integers : data);
  const auto rounding = static_cast<std::uint32_t>(bits() & 3);
  std::uint32_t masks = 0x3f;
  if (one_in(4)) masks = static_cast<std::uint32_t>(bits() & 0x3f);
  const auto flags = one_in(2) ? static_cast<std::uint32_t>(bits() & 0x3f) : 0u;
  state.mxcsr = 0x1f80;
  if (!one_in(3)) {
    state.mxcsr =
        flags | masks << 7 | rounding << 13 | (one_in(3) ? 0x40u : 0u) | (one_in(3) ? 0x8000u : 0u);
  }
  // No exception is pending: what is flagged is masked.
  const auto precision = one_in(2) ? 3u : static_cast<std::uint32_t>(one_in(2) ? 2 : 0);
  state.control = static_cast<std::uint16_t>(0x40 | masks | precision << 8 | rounding << 10);
  state.status = static_cast<std::uint16_t>((flags & masks) | (bits() & 0x7f40 & ~0x80u));
  state.valid = static_cast<std::uint8_t>(one_in(3) ? bits() : 0xff);
  state.opcode = static_cast<std::uint16_t>(bits() & 0x7ff);
  state.instruction_pointer = bits() & 0xffffffff;
  state.data_pointer = bits() & 0xffffffff;
  for (auto& st : state.st)
    st = values_.extended();
  return state;
}

Memory Values::memory(Data data) {
  Memory memory;
  for (unsigned i = 0; i < memory.size(); i += 16) {
    const auto value = values_.in_memory(data);
    std::memcpy(memory.data() + i, value.data(), 16);
  }
  return memory;
}

}  // namespace ringside::soft::oracle
