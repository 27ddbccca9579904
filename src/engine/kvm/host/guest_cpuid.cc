#include "engine/kvm/host/guest_cpuid.h"

#include <bit>
#include <cstring>
#include <string_view>

namespace ringside::kvm {
namespace {

constexpr std::uint32_t bit(unsigned n) { return 1u << n; }
// Leaf 1 (SDM 2A, CPUID, tables 3-10 and 3-11).
constexpr std::uint32_t kVmx = bit(5), kX2apic = bit(21), kTscDeadline = bit(24),
                        kHypervisor = bit(31);  // ECX
constexpr std::uint32_t kHtt = bit(28);         // EDX
constexpr std::uint32_t kLa57 = bit(16);        // leaf 7 ECX
constexpr std::uint32_t kSvm = bit(2);          // leaf 80000001H ECX
constexpr std::uint32_t kFirstHypervisorLeaf = 0x40000000, kLastHypervisorLeaf = 0x4fffffff;
constexpr std::uint32_t kApicTimerKhz = 1'000'000;  // the machine's APIC bus: 1 GHz
constexpr std::string_view kSignature = "ringside VMM";

std::uint32_t word(std::string_view text, unsigned index) {
  std::uint32_t value;
  std::memcpy(&value, text.data() + index * 4, 4);
  return value;
}

// Every vCPU is a core of one package with one thread.
class Topology {
 public:
  Topology(VcpuId vcpu, unsigned vcpus)
      : id_(vcpu.value), count_(vcpus), bits_(static_cast<unsigned>(std::bit_width(vcpus - 1))) {}

  // Leaf 0BH, a sub-leaf a level; KVM has no use for the host's own.
  std::vector<kvm_cpuid_entry2> levels() const {
    std::vector<kvm_cpuid_entry2> result(3);
    for (std::uint32_t i = 0; i < 3; ++i) {
      result[i].function = 0xb;
      result[i].index = i;
      result[i].flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
      result[i].edx = id_;
      result[i].ecx = i;
    }
    result[0].ebx = 1;
    result[0].ecx |= 1u << 8;  // threads
    result[1].eax = bits_;
    result[1].ebx = count_;
    result[1].ecx |= 2u << 8;  // cores
    return result;
  }

  void apply(kvm_cpuid_entry2& leaf) const {
    switch (leaf.function) {
      case 1:
        leaf.ebx = (leaf.ebx & 0xffff) | id_ << 24 | (1u << bits_) << 16;
        if (count_ > 1) leaf.edx |= kHtt;
        break;
      case 4:
      case 0x8000001d:
        share_caches(leaf);
        break;
      case 0x80000008:
        leaf.ecx = (leaf.ecx & ~0xf0ffu) | bits_ << 12 | (count_ - 1);
        break;
      case 0x8000001e:
        leaf.eax = id_;
        leaf.ebx = id_;
        leaf.ecx = 0;
        break;
      default:
        break;
    }
  }

 private:
  // The last level belongs to all, the others to one core each.
  void share_caches(kvm_cpuid_entry2& leaf) const {
    const unsigned level = leaf.eax >> 5 & 7;
    const std::uint32_t ids = 1u << bits_;
    leaf.eax &= 0x3fff;
    if (level >= 3) leaf.eax |= (ids - 1) << 14;
    if (leaf.function == 4 && (leaf.eax & 0x1f) != 0) leaf.eax |= (ids - 1) << 26;
  }

  std::uint32_t id_, count_, bits_;
};

void choose_features(kvm_cpuid_entry2& leaf, ApicFeatures apic, const Facts& facts) {
  switch (leaf.function) {
    case 1:
      leaf.ecx = (leaf.ecx & ~(kVmx | kTscDeadline)) | kHypervisor;
      if (apic == ApicFeatures::None) leaf.ecx &= ~kX2apic;
      // Not among what KVM names as supported: it cannot know whose APIC it will be.
      if (apic == ApicFeatures::KernelWithTscDeadline) leaf.ecx |= kTscDeadline;
      break;
    case 7:
      if (leaf.index == 0 && !facts.five_level_paging) leaf.ecx &= ~kLa57;
      break;
    case 0xa:  // performance counters interrupt through the kernel's APIC
      if (apic == ApicFeatures::None) leaf.eax = leaf.ebx = leaf.ecx = leaf.edx = 0;
      break;
    case 0x80000001:
      leaf.ecx &= ~kSvm;
      break;
    case 0x80000008:  // the width of linear addresses
      if (!facts.five_level_paging) leaf.eax = (leaf.eax & ~0xff00u) | 48u << 8;
      break;
    default:
      break;
  }
}

}  // namespace

std::vector<kvm_cpuid_entry2> guest_cpuid(const std::vector<kvm_cpuid_entry2>& supported,
                                          VcpuId vcpu, unsigned vcpus, unsigned tsc_khz,
                                          ApicFeatures apic, const Facts& facts) {
  std::vector<kvm_cpuid_entry2> result;
  const Topology topology(vcpu, vcpus);
  for (kvm_cpuid_entry2 leaf : supported) {
    if (leaf.function >= kFirstHypervisorLeaf && leaf.function <= kLastHypervisorLeaf) continue;
    if (leaf.function == 0xb || leaf.function == 0x1f) continue;
    choose_features(leaf, apic, facts);
    topology.apply(leaf);
    result.push_back(leaf);
  }
  for (const kvm_cpuid_entry2& level : topology.levels())
    result.push_back(level);
  kvm_cpuid_entry2 leaf{};
  leaf.function = kFirstHypervisorLeaf;
  leaf.eax = kFirstHypervisorLeaf + 0x10;
  leaf.ebx = word(kSignature, 0);
  leaf.ecx = word(kSignature, 1);
  leaf.edx = word(kSignature, 2);
  result.push_back(leaf);
  leaf = {};
  leaf.function = kFirstHypervisorLeaf + 0x10;
  leaf.eax = tsc_khz;
  leaf.ebx = kApicTimerKhz;
  result.push_back(leaf);
  return result;
}

Identity identity_of(const std::vector<kvm_cpuid_entry2>& supported) {
  Identity identity;
  for (const kvm_cpuid_entry2& leaf : supported) {
    if (leaf.function == 1) identity.signature = leaf.eax;
    if (leaf.function == 0x80000008) identity.physical_address_bits = leaf.eax & 0xff;
  }
  return identity;
}

}  // namespace ringside::kvm
