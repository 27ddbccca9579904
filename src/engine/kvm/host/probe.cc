#include "engine/kvm/host/probe.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>

#include "engine/kvm/host/api.h"
#include "engine/kvm/host/local_apic_page.h"
#include "engine/kvm/host/tsc_offset.h"
#include "ringside/types.h"

namespace ringside::kvm {
namespace {

constexpr std::uint64_t kMemory = 2u << 20, kCode = 0x8000, kData = 0x9000;
constexpr std::uint64_t kPml4 = 0x1000, kPdpt = 0x2000, kPd = 0x3000, kPml5 = 0x4000;
constexpr std::uint64_t kLoops = 1000;

// A guest of one vCPU in 64-bit mode, ring 0, with 2 MiB mapped one to one.
class TinyGuest {
 public:
  static Result<TinyGuest> create(const Fd& kvm) {
    void* memory =
        ::mmap(nullptr, kMemory, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return fail(Error::from_errno("cannot map memory", errno));
    TinyGuest guest(static_cast<std::uint8_t*>(memory));
    guest.vm_ = TRY(create_vm(kvm));
    kvm_userspace_memory_region region{};
    region.memory_size = kMemory;
    region.userspace_addr = reinterpret_cast<std::uint64_t>(memory);
    TRY(control(guest.vm_, KVM_SET_USER_MEMORY_REGION, &region, "a memory slot"));
    guest.vcpu_.emplace(TRY(VcpuFile::create(kvm, guest.vm_, 0)));
    const std::vector<kvm_cpuid_entry2> cpuid = TRY(supported_cpuid(kvm));
    TRY(set_cpuid(guest.vcpu_->fd(), cpuid));
    return guest;
  }
  TinyGuest(TinyGuest&& other) noexcept
      : memory_(std::exchange(other.memory_, nullptr)),
        vm_(std::move(other.vm_)),
        vcpu_(std::move(other.vcpu_)) {}
  TinyGuest& operator=(TinyGuest&&) = delete;
  ~TinyGuest() {
    vcpu_.reset();
    if (memory_ != nullptr) ::munmap(memory_, kMemory);
  }

  enum class Mode { Bits64, Bits32 };  // the latter in protected mode without paging
  // Puts `code` at kCode and the vCPU there. False when KVM refuses.
  bool start(std::initializer_list<std::uint8_t> code, Mode mode = Mode::Bits64) {
    std::memset(memory_, 0, 0x10000);
    std::memcpy(memory_ + kCode, code.begin(), code.size());
    write_entry(kPml5, kPml4 | 3);  // for whoever switches five-level paging on
    write_entry(kPml4, kPdpt | 3);
    write_entry(kPdpt, kPd | 3);
    write_entry(kPd, 0x83);  // one 2 MiB page
    kvm_sregs sregs{};
    if (::ioctl(fd(), KVM_GET_SREGS, &sregs) != 0) return false;
    const bool long_mode = mode == Mode::Bits64;
    sregs.cr3 = kPml4;
    sregs.cr4 = 0x20;
    sregs.cr0 = long_mode ? 0x80000011 : 0x11;
    sregs.efer = long_mode ? 0x500 : 0;
    const kvm_segment code_segment = segment(0x08, 11, long_mode ? 1 : 0);
    const kvm_segment data_segment = segment(0x10, 3, 0);
    sregs.cs = code_segment;
    sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data_segment;
    if (::ioctl(fd(), KVM_SET_SREGS, &sregs) != 0) return false;
    kvm_regs regs{};
    regs.rip = kCode;
    regs.rsp = 0xf000;
    regs.rbx = kData;
    regs.rcx = kLoops;
    regs.rflags = 2;
    return ::ioctl(fd(), KVM_SET_REGS, &regs) == 0;
  }

  bool debug(std::uint32_t control, std::uint64_t address = 0, std::uint64_t dr7 = 0) {
    kvm_guest_debug request{};
    request.control = control;
    request.arch.debugreg[0] = address;
    request.arch.debugreg[7] = dr7;
    return ::ioctl(fd(), KVM_SET_GUEST_DEBUG, &request) == 0;
  }

  bool allow_writes(std::uint64_t page, bool on) {
    return ::mprotect(memory_ + page, kPageSize, on ? PROT_READ | PROT_WRITE : PROT_READ) == 0;
  }

  // Runs to the next exit; KVM_EXIT_UNKNOWN when KVM_RUN itself fails.
  std::uint32_t run() {
    for (int tries = 0; tries < 1000; ++tries) {
      if (::ioctl(fd(), KVM_RUN, 0) == 0) return vcpu_->run().exit_reason;
      if (errno != EINTR && errno != EAGAIN) break;
    }
    return KVM_EXIT_UNKNOWN;
  }
  const kvm_run& page() const { return vcpu_->run(); }
  std::uint64_t rip() {
    kvm_regs regs{};
    ::ioctl(fd(), KVM_GET_REGS, &regs);
    return regs.rip;
  }

 private:
  explicit TinyGuest(std::uint8_t* memory) : memory_(memory) {}
  int fd() const { return vcpu_->fd().get(); }
  void write_entry(std::uint64_t at, std::uint64_t value) {
    std::memcpy(memory_ + at, &value, sizeof value);
  }
  static kvm_segment segment(std::uint16_t selector, std::uint8_t type, std::uint8_t long_mode) {
    kvm_segment result{};
    result.limit = 0xffffffff;
    result.selector = selector;
    result.type = type;
    result.present = 1;
    result.s = 1;
    result.l = long_mode;
    result.db = long_mode == 0;
    result.g = 1;
    return result;
  }

  std::uint8_t* memory_;
  Fd vm_;
  std::optional<VcpuFile> vcpu_;
};

constexpr std::uint32_t kEnable = KVM_GUESTDBG_ENABLE;
constexpr std::uint64_t kDr7Execute = 0x401, kDr7Write8 = 0x401 | 0x9ull << 16,
                        kDr7Access8 = 0x401 | 0xbull << 16;

// The best of a few short runs: in the first one the host maps the guest's pages, and any may lose
// the processor to another program.
void probe_speed(TinyGuest& guest, Facts& facts) {
  constexpr int kRuns = 4;
  for (int i = 0; i < kRuns && !facts.hardware_ring0; ++i) {
    // dec rcx; jnz -5; hlt
    if (!guest.start({0x48, 0xff, 0xc9, 0x75, 0xfb, 0xf4})) return;
    guest.debug(0);
    const auto begin = std::chrono::steady_clock::now();
    const std::uint32_t why = guest.run();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    if (why != KVM_EXIT_HLT) {
      facts.reason =
          fmt::format("a tiny guest ended with KVM exit reason {} instead of running", why);
      return;
    }
    facts.usable = true;
    facts.ring0_mips =
        std::max(facts.ring0_mips, 2.0 * static_cast<double>(kLoops) / took.count() / 1e6);
    // An interpreter in the kernel manages 1 to 2 MIPS; hardware hundreds, the exit included.
    facts.hardware_ring0 = facts.ring0_mips > 10;
  }
}

void probe_int3(TinyGuest& guest, Facts& facts) {
  if (!guest.start({0x90, 0xcc, 0x90, 0xf4})) return;
  if (!guest.debug(kEnable | KVM_GUESTDBG_USE_SW_BP)) return;
  const std::uint32_t why = guest.run();
  const bool on_int3 = guest.rip() == kCode + 1;
  facts.int3_exit = why == KVM_EXIT_DEBUG && guest.page().debug.arch.exception == 3 && on_int3;
  facts.int3_as_error = why == KVM_EXIT_INTERNAL_ERROR && on_int3;
}

bool debug_exit(TinyGuest& guest, std::uint32_t control, std::uint64_t address, std::uint64_t dr7,
                std::uint64_t expected_rip) {
  // mov [rbx], eax; mov eax, [rbx]; nop; hlt
  if (!guest.start({0x89, 0x03, 0x8b, 0x03, 0x90, 0xf4})) return false;
  if (!guest.debug(kEnable | control, address, dr7)) return false;
  // Some processors leave a trap behind when the first access to a page is not mapped by the host
  // yet: it comes before the instruction, which is executed the next time or the one after.
  constexpr int kPagesTouched = 32;
  for (int i = 0; i < kPagesTouched; ++i) {
    if (guest.run() != KVM_EXIT_DEBUG || guest.page().debug.arch.exception != 1) return false;
    if (guest.rip() != kCode) break;
  }
  return guest.rip() == expected_rip;
}

// A write to a page that this process may only read ends KVM_RUN with that error, or as the access
// of a device where KVM emulates instructions.
bool probe_page_watch(TinyGuest& guest) {
  // mov [rbx], eax; hlt
  if (!guest.start({0x89, 0x03, 0xf4}) || !guest.allow_writes(kData, false)) return false;
  const std::uint32_t why = guest.run();
  const bool seen = (why == KVM_EXIT_UNKNOWN && errno == EFAULT && guest.rip() == kCode) ||
                    (why == KVM_EXIT_MMIO && guest.page().mmio.phys_addr == kData);
  return guest.allow_writes(kData, true) && seen;
}

// Some announce five-level paging and refuse the bit in CR4, which ends this guest by a triple
// fault.
bool probe_five_level_paging(TinyGuest& guest) {
  const bool started = guest.start(
      {
          0xb8, 0x20, 0x10, 0x00, 0x00,  // mov eax, PAE | LA57
          0x0f, 0x22, 0xe0,              // mov cr4, eax
          0xb8, 0x00, 0x40, 0x00, 0x00,  // mov eax, kPml5
          0x0f, 0x22, 0xd8,              // mov cr3, eax
          0xb9, 0x80, 0x00, 0x00, 0xc0,  // mov ecx, EFER
          0xb8, 0x00, 0x01, 0x00, 0x00,  // mov eax, LME
          0x31, 0xd2,                    // xor edx, edx
          0x0f, 0x30,                    // wrmsr
          0xb8, 0x11, 0x00, 0x00, 0x80,  // mov eax, PG | ET | PE
          0x0f, 0x22, 0xc0,              // mov cr0, eax
          0xf4,                          // hlt
      },
      TinyGuest::Mode::Bits32);
  return started && guest.debug(0) && guest.run() == KVM_EXIT_HLT;
}

bool has(const Fd& kvm, long capability) {
  return ::ioctl(kvm.get(), KVM_CHECK_EXTENSION, capability) > 0;
}

void ask_capabilities(const Fd& kvm, Facts& facts) {
  const int debug2 = ::ioctl(kvm.get(), KVM_CHECK_EXTENSION, KVM_CAP_SET_GUEST_DEBUG2);
  facts.block_interrupts = debug2 > 0 && (debug2 & KVM_GUESTDBG_BLOCKIRQ) != 0;
  facts.sync_registers = has(kvm, KVM_CAP_SYNC_REGS);
  facts.immediate_exit = has(kvm, KVM_CAP_IMMEDIATE_EXIT);
  facts.interrupt_controllers = has(kvm, KVM_CAP_IRQCHIP) && has(kvm, KVM_CAP_IRQ_ROUTING) &&
                                has(kvm, KVM_CAP_SIGNAL_MSI) && has(kvm, KVM_CAP_MP_STATE);
  facts.timer = has(kvm, KVM_CAP_PIT2);
  facts.tsc_deadline = has(kvm, KVM_CAP_TSC_DEADLINE_TIMER);
  if (const auto cpuid = supported_cpuid(kvm)) {
    for (const kvm_cpuid_entry2& leaf : *cpuid) {
      if (leaf.function == 7 && leaf.index == 0)
        facts.five_level_paging = (leaf.ecx & 1u << 16) != 0;
    }
  }
}

// Sends a second processor INIT and a start-up IPI, and sets a time-stamp counter back. Their state
// tells, without their ever running.
Result<void> probe_two_processors(const Fd& kvm, Facts& facts) {
  const Fd vm = TRY(create_vm(kvm));
  TRY(control(vm, KVM_CREATE_IRQCHIP, 0ul, "interrupt controllers"));
  const VcpuFile boot = TRY(VcpuFile::create(kvm, vm, 0));
  const VcpuFile other = TRY(VcpuFile::create(kvm, vm, 1));
  const std::vector<kvm_cpuid_entry2> cpuid = TRY(supported_cpuid(kvm));
  TRY(set_cpuid(other.fd(), cpuid));
  // KVM finds a local APIC by a map that it makes when one of them changes, which a guest's first
  // steps see to.
  const LocalApicPage apic = TRY(LocalApicPage::get(other.fd()));
  TRY(apic.set(other.fd()));
  kvm_mp_state state{};
  using namespace x86::apic;
  constexpr std::uint32_t kStart[] = {message_data(0, DeliveryMode::Init),
                                      message_data(8, DeliveryMode::StartUp)};
  for (const std::uint32_t command : kStart) {
    kvm_msi message{};
    message.address_lo = message_address(1, DestinationMode::Physical);
    message.data = command;
    TRY(control(vm, KVM_SIGNAL_MSI, &message, "an interrupt message"));
    TRY(control(other.fd(), KVM_GET_MP_STATE, &state, "a vCPU's state"));
  }
  facts.starts_processors = state.mp_state == KVM_MP_STATE_RUNNABLE;
  // Some take a new offset and go on with the old one.
  constexpr std::uint64_t kBack = 1'000'000'000;
  const std::uint64_t offset = TRY(TscOffset::get(boot.fd()));
  TRY(TscOffset::set(boot.fd(), offset - kBack));
  facts.tsc_offset = TRY(TscOffset::get(boot.fd())) == offset - kBack;
  return {};
}

}  // namespace

Facts probe(const char* device) {
  Facts facts;
  auto kvm = open_kvm(device);
  if (!kvm) {
    facts.reason = kvm.error().text();
    return facts;
  }
  ask_capabilities(*kvm, facts);
  if (!facts.immediate_exit) {
    facts.reason =
        "this kernel's KVM is too old: it lacks KVM_CAP_IMMEDIATE_EXIT (use Linux 4.13 or newer)";
    return facts;
  }
  auto guest = TinyGuest::create(*kvm);
  if (!guest) {
    facts.reason = guest.error().text();
    return facts;
  }
  probe_speed(*guest, facts);
  if (!facts.usable) return facts;
  probe_int3(*guest, facts);
  // Each starts a fresh guest: a KVM that ended in an internal error may refuse to go on.
  const auto fresh = [&](auto test) {
    auto another = TinyGuest::create(*kvm);
    return another && test(*another);
  };
  facts.step =
      fresh([](TinyGuest& g) { return debug_exit(g, KVM_GUESTDBG_SINGLESTEP, 0, 0, kCode + 2); });
  facts.execute_slot = fresh([](TinyGuest& g) {
    return debug_exit(g, KVM_GUESTDBG_USE_HW_BP, kCode + 4, kDr7Execute, kCode + 4);
  });
  facts.write_watch = fresh([](TinyGuest& g) {
    return debug_exit(g, KVM_GUESTDBG_USE_HW_BP, kData, kDr7Write8, kCode + 2);
  });
  facts.access_watch = fresh([](TinyGuest& g) {
    return debug_exit(g, KVM_GUESTDBG_USE_HW_BP, kData, kDr7Access8, kCode + 2);
  });
  facts.page_watch = facts.step && fresh(probe_page_watch);
  if (facts.five_level_paging) facts.five_level_paging = fresh(probe_five_level_paging);
  if (facts.interrupt_controllers) (void)probe_two_processors(*kvm, facts);
  return facts;
}

const Facts& host_facts() {
  static const Facts facts = probe();
  return facts;
}

std::vector<std::string> describe(const Facts& facts) {
  if (!facts.usable) return {fmt::format("kvm: not usable: {}", facts.reason)};
  const auto yes = [](bool value) { return value ? "yes" : "no"; };
  return {
      fmt::format("kvm: ring 0 {} ({:.0f} MIPS)",
                  facts.hardware_ring0 ? "runs on hardware" : "is interpreted", facts.ring0_mips),
      fmt::format("kvm: int3 is intercepted: {}{}", yes(facts.int3_exit),
                  facts.int3_as_error ? " (reported as an emulation failure)" : ""),
      fmt::format("kvm: single-step: {}", yes(facts.step)),
      fmt::format("kvm: execution breakpoint in a debug register: {}", yes(facts.execute_slot)),
      fmt::format("kvm: write watchpoint: {}, read/write watchpoint: {}", yes(facts.write_watch),
                  yes(facts.access_watch)),
      fmt::format("kvm: watchpoints by page protection: {}", yes(facts.page_watch)),
      fmt::format("kvm: interrupts can be blocked in a step: {}", yes(facts.block_interrupts)),
      fmt::format("kvm: registers without a system call: {}", yes(facts.sync_registers)),
      fmt::format("kvm: in-kernel interrupt controllers: {}, timer: {}; they start processors: {}",
                  yes(facts.interrupt_controllers), yes(facts.timer), yes(facts.starts_processors)),
      fmt::format("kvm: the time-stamp counter can stand still while the guest does: {}",
                  yes(facts.tsc_offset)),
      fmt::format("kvm: five-level paging: {}", yes(facts.five_level_paging)),
  };
}

}  // namespace ringside::kvm
