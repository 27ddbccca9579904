// The thin layer over /dev/kvm: file descriptors that close themselves and ioctls that say what
// failed. No policy. Used by the probe and the engine.
#pragma once

#include <linux/kvm.h>
#include <sys/ioctl.h>

#include <cstdint>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace ringside::kvm {

// ioctl numbers of structs that end in a flexible array. As C++, <linux/kvm.h> gives some of them a
// size of 12 instead of 8, which would encode a number the kernel does not know; so they are built
// here from the size in C.
namespace number {
inline constexpr unsigned long kGetSupportedCpuid = _IOC(_IOC_READ | _IOC_WRITE, KVMIO, 0x05, 8);
inline constexpr unsigned long kSetCpuid2 = _IOC(_IOC_WRITE, KVMIO, 0x90, 8);
inline constexpr unsigned long kGetMsrs = _IOC(_IOC_READ | _IOC_WRITE, KVMIO, 0x88, 8);
inline constexpr unsigned long kSetMsrs = _IOC(_IOC_WRITE, KVMIO, 0x89, 8);
inline constexpr unsigned long kGetMsrNumbers = _IOC(_IOC_READ | _IOC_WRITE, KVMIO, 0x02, 4);
inline constexpr unsigned long kGetXsave = _IOC(_IOC_READ, KVMIO, 0xa4, 4096);
inline constexpr unsigned long kSetXsave = _IOC(_IOC_WRITE, KVMIO, 0xa5, 4096);
inline constexpr unsigned long kSetSignalMask = _IOC(_IOC_WRITE, KVMIO, 0x8b, 4);
}  // namespace number

// Calls ioctl again on EINTR. `what` names the call in the error.
Result<int> control(const Fd& fd, unsigned long request, void* argument, const char* what);
Result<int> control(const Fd& fd, unsigned long request, unsigned long argument, const char* what);

// The device, opened and of the right API version; the error says what to do about it.
Result<Fd> open_kvm(const char* device = "/dev/kvm");
Result<Fd> create_vm(const Fd& kvm);
// What the host offers; grown until it fits.
Result<std::vector<kvm_cpuid_entry2>> supported_cpuid(const Fd& kvm);
Result<void> set_cpuid(const Fd& vcpu, const std::vector<kvm_cpuid_entry2>& entries);
// NotFound for an MSR that this host's KVM does not have.
Result<std::uint64_t> get_msr(const Fd& vcpu, std::uint32_t number);
// Those that KVM saves and restores.
Result<std::vector<std::uint32_t>> msr_numbers(const Fd& kvm);
// Reads as many of `entries` as this host's KVM has, in their order; gives how many.
Result<std::size_t> get_msrs(const Fd& vcpu, std::vector<kvm_msr_entry>& entries);
Result<void> set_msr(const Fd& vcpu, std::uint32_t number, std::uint64_t value);

// struct kvm_xsave, of the size that its ioctls have in C.
struct XsaveArea {
  static constexpr unsigned kMxcsr = 24, kInUse = 512 /* XSTATE_BV */, kYmmHigh = 576;
  static constexpr std::uint8_t kX87AndSse = 3, kAvx = 4;
  static constexpr unsigned kKeysInUse = kInUse + 1;
  static constexpr std::uint8_t kPkru = 2;
  // Where this host has PKRU, or 0 where it has none.
  static unsigned pkru_place();
  alignas(8) std::uint8_t bytes[4096];
};

// A vCPU's file and its shared run page.
class VcpuFile {
 public:
  static Result<VcpuFile> create(const Fd& kvm, const Fd& vm, unsigned id);
  VcpuFile(VcpuFile&& other) noexcept;
  VcpuFile& operator=(VcpuFile&&) = delete;
  ~VcpuFile();
  const Fd& fd() const { return fd_; }
  kvm_run& run() { return *run_; }
  const kvm_run& run() const { return *run_; }

 private:
  VcpuFile(Fd fd, kvm_run* run, std::size_t size) : fd_(std::move(fd)), run_(run), size_(size) {}
  Fd fd_;
  kvm_run* run_;
  std::size_t size_;
};

}  // namespace ringside::kvm
