#include "lockstep/lockstep.h"
#include "hypervisor/guest_memory.h"

#include <Zydis/Zydis.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <stdexcept>

#include "x86/linear_address.h"
#include "x86/msr_numbers.h"

namespace ringside::testing {
namespace {

using x86::Gpr;

template <typename T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().text());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

std::vector<std::byte> read_file(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw std::runtime_error("cannot read " + path);
  const std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

// Machine code from pieces of hexadecimal and numbers.
class Code {
 public:
  Code& hex(std::string_view digits) {
    for (std::size_t i = 0; i + 1 < digits.size(); i += 2)
      bytes_ += static_cast<char>(std::stoi(std::string(digits.substr(i, 2)), nullptr, 16));
    return *this;
  }
  Code& u16(std::uint64_t value) { return number(value, 2); }
  Code& u32(std::uint64_t value) { return number(value, 4); }
  const std::string& bytes() const { return bytes_; }

 private:
  Code& number(std::uint64_t value, unsigned size) {
    for (unsigned i = 0; i < size; ++i)
      bytes_ += static_cast<char>(value >> 8 * i);
    return *this;
  }
  std::string bytes_;
};

// From real mode at kStart to `entry`, whose tables lie in memory already.
std::string way_to(const x86::CpuState& entry) {
  const bool wide = x86::in_long_mode(entry);
  constexpr std::uint64_t kPointer = kStart + 0x200, kFlat = kStart + 0x100;
  Code code;
  code.hex("fa660f0116").u16(kPointer);           // cli; lgdtl [pointer]
  code.hex("66b8").u32(entry.cr4).hex("0f22e0");  // mov eax, n; mov cr4, eax
  code.hex("66b8").u32(entry.cr3).hex("0f22d8");  // mov cr3, eax
  if (wide) {
    code.hex("66b9").u32(x86::msr::kEfer);  // mov ecx, EFER; mov eax, LME; wrmsr
    code.hex("66b8").u32(x86::efer::LME).hex("6631d20f30");
  }
  code.hex("66b8").u32(entry.cr0).hex("0f22c0");  // mov cr0, eax
  const x86::Segment& cs = entry.seg(x86::SegmentName::Cs);
  code.hex("66ea").u32(kFlat).u16(cs.selector);  // ljmpl
  std::string bytes = code.bytes();
  bytes.resize(kFlat - kStart, '\x90');

  // The same bytes in 32-bit and in 64-bit code.
  Code flat;
  flat.hex("b8").u32(entry.seg(x86::SegmentName::Ds).selector);
  flat.hex("8ed88ec08ed08ee08ee8");  // mov ds, es, ss, fs, gs, eax
  flat.hex("bc").u32(entry.reg(Gpr::Rsp));
  flat.hex("68").u32(entry.rip);  // push
  flat.hex("b8").u32(entry.reg(Gpr::Rax)).hex("b9").u32(entry.reg(Gpr::Rcx));
  flat.hex("ba").u32(entry.reg(Gpr::Rdx)).hex("bb").u32(entry.reg(Gpr::Rbx));
  flat.hex("bd").u32(entry.reg(Gpr::Rbp)).hex("be").u32(entry.reg(Gpr::Rsi));
  flat.hex("bf").u32(entry.reg(Gpr::Rdi)).hex("c3");  // ret
  bytes += flat.bytes();
  bytes.resize(kPointer - kStart, '\x90');
  return bytes + Code().u16(entry.gdtr.limit).u32(entry.gdtr.base).bytes();
}

void put(hypervisor::GuestRam& ram, std::uint64_t address, const std::string& bytes) {
  std::memcpy(ram.host({address}, bytes.size()), bytes.data(), bytes.size());
}

void write_pages(const std::string& path, const hypervisor::GuestRam& ram, std::uint64_t from,
                 std::uint64_t end) {
  std::ofstream file(path, std::ios::binary);
  const std::string zeros(kPageSize, '\0');
  for (std::uint64_t at = from; at < end; at += kPageSize) {
    const std::uint8_t* page = ram.host({at}, kPageSize);
    file.write(page == nullptr ? zeros.data() : reinterpret_cast<const char*>(page), kPageSize);
  }
}

ZydisDecoder decoder_for(const x86::CpuState& state) {
  const x86::Segment& cs = state.seg(x86::SegmentName::Cs);
  ZydisDecoder decoder;
  if (x86::in_64_bit_mode(state)) {
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
  } else if (cs.big()) {
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
  } else {
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
  }
  return decoder;
}

}  // namespace

// The instruction that both are about to execute.
struct Lockstep::Last {
  std::uint64_t rip = 0;
  std::string bytes, text;
  bool repeats = false;
  std::uint64_t undefined_flags = 0;
  std::vector<std::size_t> own;  // rows that each machine fills in its own way
  bool own_load = false;         // its operand is a device's register
};

Lockstep::Lockstep(const Options& options)
    : base_(::testing::TempDir() + "ringside-lockstep-" + std::to_string(::getpid())),
      ram_(std::make_unique<hypervisor::GuestRam>(
          must(hypervisor::GuestRam::create(options.memory)))) {}

Lockstep::~Lockstep() {
  for (const char* suffix : {".ram", ".bios"})
    ::unlink((base_ + suffix).c_str());
}

Lockstep Lockstep::kernel(const std::string& path, const Options& options) {
  Lockstep both(options);
  const std::vector<std::byte> file = read_file(path);
  machine::BootRequest request;
  request.kernel_name = path;
  request.kernel = file;
  request.command_line = options.command_line;
  const machine::BootResult boot = must(machine::boot(request, *both.ram_));
  put(*both.ram_, kStart, way_to(boot.entry));
  both.start(options);
  return both;
}

Lockstep Lockstep::real_mode(const std::string& code, const Options& options) {
  Lockstep both(options);
  put(*both.ram_, kStart, code);
  both.start(options);
  return both;
}

void Lockstep::start(const Options& options) {
  program_end_ = options.program_end;
  if (!options.floating_point) rows_ = row::kFpuControl;
  machine_ = std::make_unique<machine::Machine>(*ram_, machine::MachineOptions{});
  x86::CpuState entry = x86::reset_state();
  entry.seg(x86::SegmentName::Cs).selector = 0;
  entry.seg(x86::SegmentName::Cs).base = 0;
  entry.rip = kStart;
  engine_ = soft::create(*ram_, *machine_, entry,
                         soft::Options{.vcpus = 1, .processor = options.processor});
  machine_->connect(*engine_);
  hypervisor::Vcpu& vcpu = engine_->vcpu({0});
  must(vcpu.set_capability(hypervisor::Capability::MonitorTrap, true));
  must(vcpu.set_capability(hypervisor::Capability::MaskInterrupts, !options.interrupts));
  engine_->stop_instead_of_death(true);

  // QEMU's firmware stands where our memory is between 768 KiB and 1 MiB; it has the same bytes,
  // and the jump to kStart at the reset vector.
  put(*ram_, 0xffff0, Code().hex("ea").u16(kStart).u16(0).bytes());
  write_pages(base_ + ".bios", *ram_, 0xc0000, 0x100000);
  write_pages(base_ + ".ram", *ram_, 0, options.memory);
  qemu_ = std::make_unique<QemuTrace>(
      QemuTrace::Machine{base_ + ".ram", options.memory, base_ + ".bios", options.cpu,
                         options.floating_point},
      base_ + ".trace");
}

bool Lockstep::step() {
  engine_->resume({0});
  for (int idle = 0; idle < 2;) {
    if (const auto event = engine_->take_event()) {
      if (const auto* dead = std::get_if<hypervisor::exit::Dead>(&event->exit)) end_ = dead->reason;
      return std::holds_alternative<hypervisor::exit::MonitorTrap>(event->exit);
    }
    if (engine_->ended()) return false;
    if (!engine_->run_slice()) ++idle;
  }
  return false;
}

Lockstep::Last Lockstep::look_at(const x86::CpuState& state) {
  Last last;
  last.own = {static_cast<std::size_t>(Gpr::Rdx)};  // after a reset, the signature of the processor
  last.rip = state.rip;
  const auto bytes = hypervisor::read_virtual(*engine_, {0}, x86::linear_pc(state), 15);
  if (!bytes) return last;
  ZydisDecoder decoder = decoder_for(state);
  ZydisDecodedInstruction insn;
  std::array<ZydisDecodedOperand, ZYDIS_MAX_OPERAND_COUNT> operands;
  if (!ZYAN_SUCCESS(
          ZydisDecoderDecodeFull(&decoder, bytes->data(), bytes->size(), &insn, operands.data())))
    return last;
  for (unsigned i = 0; i < insn.length; ++i)
    last.bytes += fmt::format("{:02x}", std::to_integer<unsigned>((*bytes)[i]));
  last.text = ZydisMnemonicGetString(insn.mnemonic);
  last.repeats = (insn.attributes &
                  (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE)) != 0;
  if (insn.cpu_flags != nullptr) last.undefined_flags = insn.cpu_flags->undefined;
  constexpr auto kRax = static_cast<std::size_t>(Gpr::Rax),
                 kRbx = static_cast<std::size_t>(Gpr::Rbx),
                 kRcx = static_cast<std::size_t>(Gpr::Rcx),
                 kRdx = static_cast<std::size_t>(Gpr::Rdx);
  switch (insn.mnemonic) {
    case ZYDIS_MNEMONIC_CPUID:
      last.own = {kRax, kRbx, kRcx, kRdx};
      break;
    case ZYDIS_MNEMONIC_RDTSC:
    case ZYDIS_MNEMONIC_RDMSR:
      last.own = {kRax, kRdx};
      break;
    case ZYDIS_MNEMONIC_RDTSCP:
      last.own = {kRax, kRcx, kRdx};
      break;
    case ZYDIS_MNEMONIC_IN:
      last.own = {kRax};
      break;
    default:
      break;
  }
  for (unsigned i = 0; i < insn.operand_count; ++i) {
    const ZydisDecodedOperand& operand = operands[i];
    const bool reads = (operand.actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0;
    if (operand.type != ZYDIS_OPERAND_TYPE_MEMORY || !reads) continue;
    ZydisRegisterContext context = {};
    static constexpr ZydisRegister kNames[] = {
        ZYDIS_REGISTER_RAX, ZYDIS_REGISTER_RCX, ZYDIS_REGISTER_RDX, ZYDIS_REGISTER_RBX,
        ZYDIS_REGISTER_RSP, ZYDIS_REGISTER_RBP, ZYDIS_REGISTER_RSI, ZYDIS_REGISTER_RDI};
    for (std::size_t r = 0; r < 16; ++r) {
      const ZydisRegister name =
          r < 8 ? kNames[r] : static_cast<ZydisRegister>(ZYDIS_REGISTER_R8 + (r - 8));
      context.values[name] = state.gpr[r];
      const unsigned narrow = ZYDIS_REGISTER_EAX + (name - ZYDIS_REGISTER_RAX);
      context.values[narrow] = state.gpr[r] & 0xffffffff;
    }
    context.values[ZYDIS_REGISTER_RIP] = context.values[ZYDIS_REGISTER_EIP] = state.rip;
    ZyanU64 address = 0;
    if (!ZYAN_SUCCESS(ZydisCalcAbsoluteAddressEx(&insn, &operand, state.rip, &context, &address)))
      continue;
    const auto where = hypervisor::translate(*engine_, {0}, {address});
    last.own_load = where && engine_->memory().kind(*where) != hypervisor::MemoryKind::Ram;
  }
  return last;
}

void Lockstep::compare(const Fields& theirs, const Last& last, Report& report) {
  hypervisor::Vcpu& vcpu = engine_->vcpu({0});
  x86::CpuState state = must(vcpu.state());
  const Fields ours = fields_of(state);
  bool copied = false, undefined = false, changed = false;
  std::string text;
  for (std::size_t i = 0; i < rows_; ++i) {
    if (same(ours, theirs, i)) continue;
    changed = true;
    copy_row(theirs, i, state);
    if (i == row::kRflags && ((ours.rows[i][0] ^ theirs.rows[i][0]) & ~last.undefined_flags) == 0) {
      undefined = true;
    } else if (last.own_load || std::find(last.own.begin(), last.own.end(), i) != last.own.end()) {
      copied = true;
    } else {
      text +=
          fmt::format("  {} ours {:x} {:x} {:x} {:x}, theirs {:x} {:x} {:x} {:x}\n", name_of(i),
                      ours.rows[i][0], ours.rows[i][1], ours.rows[i][2], ours.rows[i][3],
                      theirs.rows[i][0], theirs.rows[i][1], theirs.rows[i][2], theirs.rows[i][3]);
    }
  }
  ++report.compared;
  report.copied += copied ? 1 : 0;
  report.undefined += undefined ? 1 : 0;
  if (!text.empty())
    report.divergences.push_back(
        {program_rip_, fmt::format("after {} instructions, {} ({}) at {:x}\n{}", report.compared,
                                   last.text, last.bytes, last.rip, text)});
  if (changed) must(vcpu.set_state(state));
}

Lockstep::Report Lockstep::run(std::uint64_t instructions) {
  constexpr std::size_t kMostDivergences = 50;
  Report report;
  hypervisor::Vcpu& vcpu = engine_->vcpu({0});
  std::optional<Fields> theirs;
  do {
    theirs = qemu_->next();
    if (!theirs) {
      report.end = "QEMU ended: " + qemu_->errors();
      return report;
    }
  } while (theirs->rip() != kStart);
  Last last;
  last.own = {static_cast<std::size_t>(Gpr::Rdx)};  // after a reset, the signature of the processor
  while (report.compared < instructions) {
    // Both may or may not show the iterations of a repeated instruction.
    if (last.repeats && theirs && theirs->rip() == last.rip) theirs = qemu_->next(last.rip);
    while (last.repeats && must(vcpu.state()).rip == last.rip) {
      if (!step()) break;
    }
    if (!theirs) {
      report.end = "QEMU ended: " + qemu_->errors();
      return report;
    }
    // An instruction that a data breakpoint of QEMU's CPU is for is begun twice.
    if (!last.repeats && theirs->rip() == last.rip && must(vcpu.state()).rip != last.rip) {
      theirs = qemu_->next(last.rip);
      if (!theirs) continue;
    }
    // A jump to where nothing can be fetched, or an instruction and the interrupt behind it, is two
    // steps of ours, the jump and the fault.
    if (!same(fields_of(must(vcpu.state())), *theirs, row::kRip)) step();
    compare(*theirs, last, report);
    if (report.divergences.size() >= kMostDivergences) {
      report.end = "too much is different";
      return report;
    }
    last = look_at(must(vcpu.state()));
    if (last.rip < program_end_) program_rip_ = last.rip;
    if (last.bytes == "ebfe") {  // a jump to itself
      report.end = "spins";
      return report;
    }
    if (!step()) {
      report.end = fmt::format("our CPU does not go on after {} ({}) at {:x}", last.text,
                               last.bytes, last.rip);
      return report;
    }
    theirs = qemu_->next();
  }
  report.end = fmt::format("still at {:x}", last.rip);
  return report;
}

}  // namespace ringside::testing
