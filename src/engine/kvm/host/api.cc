#include "engine/kvm/host/api.h"

#include <cpuid.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

namespace ringside::kvm {
namespace {

// A kernel struct with a header and a flexible array, in aligned storage.
template <typename Header, typename Entry>
class Flexible {
 public:
  explicit Flexible(std::size_t count, std::size_t header_size)
      : storage_((header_size + count * sizeof(Entry) + 7) / 8), header_size_(header_size) {}
  Header* header() { return reinterpret_cast<Header*>(storage_.data()); }
  Entry* entries() {
    return reinterpret_cast<Entry*>(reinterpret_cast<char*>(storage_.data()) + header_size_);
  }

 private:
  std::vector<std::uint64_t> storage_;
  std::size_t header_size_;
};

constexpr std::size_t kCpuidHeader = 8, kMsrsHeader = 8;
constexpr std::size_t kMsrNumbersHeader = 4;
constexpr std::size_t kMaxCpuidEntries = 4096;

}  // namespace

Result<int> control(const Fd& fd, unsigned long request, void* argument, const char* what) {
  for (;;) {
    const int result = ::ioctl(fd.get(), request, argument);
    if (result >= 0) return result;
    if (errno != EINTR) return fail(Error::from_errno(fmt::format("KVM refused {}", what), errno));
  }
}

Result<int> control(const Fd& fd, unsigned long request, unsigned long argument, const char* what) {
  return control(fd, request, reinterpret_cast<void*>(argument), what);
}

Result<Fd> open_kvm(const char* device) {
  Fd fd(::open(device, O_RDWR | O_CLOEXEC));
  if (!fd) {
    switch (errno) {
      case ENOENT:
      case ENXIO:
      case ENODEV:
        return fail(ErrorCode::NotSupported,
                    fmt::format("there is no {} (load kvm_intel or kvm_amd, or switch "
                                "virtualization on in the firmware)",
                                device));
      case EACCES:
      case EPERM:
        return fail(ErrorCode::NotSupported,
                    fmt::format("{} may not be opened by this user (join the group kvm)", device));
      default:
        return fail(Error::from_errno(fmt::format("{} cannot be opened", device), errno));
    }
  }
  const int version = ::ioctl(fd.get(), KVM_GET_API_VERSION, 0);
  if (version < 0) return fail(ErrorCode::NotSupported, fmt::format("{} is not KVM", device));
  if (version != KVM_API_VERSION) {
    return fail(ErrorCode::NotSupported,
                fmt::format("{} speaks KVM's API version {}, not {} (use Linux 2.6.22 or newer)",
                            device, version, KVM_API_VERSION));
  }
  return fd;
}

Result<Fd> create_vm(const Fd& kvm) {
  return Fd(TRY(control(kvm, KVM_CREATE_VM, 0ul, "to create a virtual machine")));
}

Result<std::vector<kvm_cpuid_entry2>> supported_cpuid(const Fd& kvm) {
  for (std::size_t count = 64; count <= kMaxCpuidEntries; count *= 2) {
    Flexible<kvm_cpuid2, kvm_cpuid_entry2> list(count, kCpuidHeader);
    list.header()->nent = static_cast<std::uint32_t>(count);
    if (::ioctl(kvm.get(), number::kGetSupportedCpuid, list.header()) == 0) {
      return std::vector<kvm_cpuid_entry2>(list.entries(), list.entries() + list.header()->nent);
    }
    if (errno != E2BIG) return fail(Error::from_errno("KVM refused its CPUID", errno));
  }
  return fail(ErrorCode::NotSupported, "KVM has more CPUID entries than anybody expects");
}

Result<std::vector<std::uint32_t>> msr_numbers(const Fd& kvm) {
  kvm_msr_list size{};  // too small: KVM says how many there are
  if (::ioctl(kvm.get(), number::kGetMsrNumbers, &size) != 0 && errno != E2BIG)
    return fail(Error::from_errno("KVM refused to name its MSRs", errno));
  Flexible<kvm_msr_list, std::uint32_t> list(size.nmsrs, kMsrNumbersHeader);
  list.header()->nmsrs = size.nmsrs;
  TRY(control(kvm, number::kGetMsrNumbers, list.header(), "to name its MSRs"));
  return std::vector<std::uint32_t>(list.entries(), list.entries() + list.header()->nmsrs);
}

Result<void> set_cpuid(const Fd& vcpu, const std::vector<kvm_cpuid_entry2>& entries) {
  Flexible<kvm_cpuid2, kvm_cpuid_entry2> list(entries.size(), kCpuidHeader);
  list.header()->nent = static_cast<std::uint32_t>(entries.size());
  std::copy(entries.begin(), entries.end(), list.entries());
  TRY(control(vcpu, number::kSetCpuid2, list.header(), "a vCPU's CPUID"));
  return {};
}

Result<std::uint64_t> get_msr(const Fd& vcpu, std::uint32_t number) {
  Flexible<kvm_msrs, kvm_msr_entry> list(1, kMsrsHeader);
  list.header()->nmsrs = 1;
  *list.entries() = {number, 0, 0};
  const int done = TRY(control(vcpu, number::kGetMsrs, list.header(), "an MSR read"));
  if (done != 1) return fail(ErrorCode::NotFound, fmt::format("there is no MSR {:#x}", number));
  return list.entries()->data;
}

Result<std::size_t> get_msrs(const Fd& vcpu, std::vector<kvm_msr_entry>& entries) {
  Flexible<kvm_msrs, kvm_msr_entry> list(entries.size(), kMsrsHeader);
  list.header()->nmsrs = static_cast<std::uint32_t>(entries.size());
  std::copy(entries.begin(), entries.end(), list.entries());
  const int done = TRY(control(vcpu, number::kGetMsrs, list.header(), "an MSR read"));
  std::copy_n(list.entries(), done, entries.begin());
  return static_cast<std::size_t>(done);
}

Result<void> set_msr(const Fd& vcpu, std::uint32_t number, std::uint64_t value) {
  Flexible<kvm_msrs, kvm_msr_entry> list(1, kMsrsHeader);
  list.header()->nmsrs = 1;
  *list.entries() = {number, 0, value};
  const int done = TRY(control(vcpu, number::kSetMsrs, list.header(), "an MSR write"));
  if (done != 1) {
    return fail(ErrorCode::BadRequest, fmt::format("MSR {:#x} does not take {:#x}", number, value));
  }
  return {};
}

unsigned XsaveArea::pkru_place() {
  static const unsigned place = [] {
    constexpr unsigned kOspke = 1u << 4;  // leaf 7 ECX: this host's kernel uses protection keys
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0 || (ecx & kOspke) == 0) return 0u;
    if (__get_cpuid_count(0xd, 9, &eax, &ebx, &ecx, &edx) == 0) return 0u;
    return ebx + eax <= sizeof bytes ? ebx : 0u;
  }();
  return place;
}

Result<VcpuFile> VcpuFile::create(const Fd& kvm, const Fd& vm, unsigned id) {
  Fd fd(TRY(control(vm, KVM_CREATE_VCPU, static_cast<unsigned long>(id), "to create a vCPU")));
  const auto size = static_cast<std::size_t>(
      TRY(control(kvm, KVM_GET_VCPU_MMAP_SIZE, 0ul, "the size of the run page")));
  void* run = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (run == MAP_FAILED) return fail(Error::from_errno("cannot map a vCPU's run page", errno));
  return VcpuFile(std::move(fd), static_cast<kvm_run*>(run), size);
}

VcpuFile::VcpuFile(VcpuFile&& other) noexcept
    : fd_(std::move(other.fd_)), run_(std::exchange(other.run_, nullptr)), size_(other.size_) {}

VcpuFile::~VcpuFile() {
  if (run_ != nullptr) ::munmap(run_, size_);
}

}  // namespace ringside::kvm
