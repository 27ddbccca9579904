#include "machine/smbios/smbios.h"

#include <algorithm>
#include <initializer_list>
#include <string_view>

#include "base/little_endian.h"

namespace ringside::machine {
namespace {

// Handles, by which tables name each other.
enum : std::uint16_t {
  kFirmware = 0x0000,
  kSystem = 0x0100,
  kChassis = 0x0300,
  kProcessor = 0x0400,
  kArray = 0x1000,
  kDevice = 0x1100,
  kLowRange = 0x1300,
  kHighRange = 0x1301,
  kBoot = 0x2000,
  kEnd = 0x7f00,
  kNone = 0xfffe,  // of errors: not provided
};

constexpr std::uint64_t kKiB = 1 << 10, kMiB = 1 << 20;

// One table: a header, fields of little-endian numbers, and strings that fields name from 1 on.
class Table {
 public:
  Table(std::uint8_t type, std::uint16_t handle) { u8(type).u8(0).u16(handle); }
  Table& u8(std::uint64_t value) { return put(value, 1); }
  Table& u16(std::uint64_t value) { return put(value, 2); }
  Table& u32(std::uint64_t value) { return put(value, 4); }
  Table& u64(std::uint64_t value) { return put(value, 8); }
  Table& zeros(unsigned count) {
    fields_.append(count, '\0');
    return *this;
  }
  std::string finish(std::initializer_list<std::string_view> strings = {}) {
    fields_[1] = static_cast<char>(fields_.size());
    for (const std::string_view string : strings) {
      fields_ += string;
      fields_ += '\0';
    }
    // Two zeros end it, also where there is no string.
    fields_.append(strings.size() == 0 ? 2 : 1, '\0');
    return std::move(fields_);
  }

 private:
  Table& put(std::uint64_t value, unsigned size) {
    fields_ += little_endian(value, size);
    return *this;
  }
  std::string fields_;
};

constexpr std::string_view kMaker = "ringside", kVersion = "1";

// 7.1. The segment and size are those of the last 64 KiB below 1 MiB.
std::string firmware() {
  constexpr unsigned kNoCharacteristics = 1 << 3, kVirtualMachine = 1 << 4;
  Table table(0, kFirmware);
  table.u8(1).u8(2).u16(0xf000).u8(3).u8(0).u64(kNoCharacteristics).u8(0).u8(kVirtualMachine);
  table.u8(1).u8(0).u8(0xff).u8(0xff);
  return table.finish({kMaker, kVersion, "01/01/2024"});
}

// 7.2. It has no identity of its own: serial number and UUID are not there.
std::string system() {
  constexpr unsigned kPowerSwitch = 6;
  Table table(1, kSystem);
  table.u8(1).u8(2).u8(3).u8(0).zeros(16).u8(kPowerSwitch).u8(0).u8(0);
  return table.finish({kMaker, "virtual machine", kVersion});
}

// 7.4
std::string chassis() {
  constexpr unsigned kOther = 1, kSafe = 3, kUnknown = 2;
  Table table(3, kChassis);
  table.u8(1).u8(kOther).u8(2).u8(0).u8(0).u8(kSafe).u8(kSafe).u8(kSafe).u8(kUnknown);
  table.u32(0).u8(0).u8(0).u8(0).u8(0).u8(0);
  return table.finish({kMaker, kVersion});
}

// 7.5. All vCPUs are cores of one.
std::string processor(unsigned vcpus) {
  constexpr unsigned kCentral = 3, kOther = 1, kEnabled = 0x41, kNoUpgrade = 1, kNoCache = 0xffff;
  constexpr unsigned k64Bit = 1 << 2, kManyCores = 1 << 3;
  Table table(4, kProcessor);
  table.u8(1).u8(kCentral).u8(kOther).u8(2).u64(0).u8(2).u8(0).u16(0).u16(0).u16(0);
  table.u8(kEnabled).u8(kNoUpgrade).u16(kNoCache).u16(kNoCache).u16(kNoCache).u8(0).u8(0).u8(0);
  table.u8(vcpus).u8(vcpus).u8(vcpus).u16(k64Bit | (vcpus > 1 ? kManyCores : 0)).u16(kOther);
  return table.finish({"CPU 0", kMaker});
}

// 7.17
std::string memory_array(std::uint64_t size) {
  constexpr unsigned kBoard = 3, kSystemMemory = 3, kNoCorrection = 3;
  constexpr std::uint32_t kExtended = 0x80000000;
  const std::uint64_t kilobytes = size / kKiB;
  const bool fits = kilobytes < kExtended;
  Table table(16, kArray);
  table.u8(kBoard).u8(kSystemMemory).u8(kNoCorrection).u32(fits ? kilobytes : kExtended);
  table.u16(kNone).u16(1).u64(fits ? 0 : size);
  return table.finish();
}

// 7.18
std::string memory_device(std::uint64_t size) {
  constexpr unsigned kUnknownWidth = 0xffff, kDimm = 9, kRam = 7, kOtherDetail = 1 << 1,
                     kExtended = 0x7fff;
  // Sizes are in MiB, or in KiB with the highest bit.
  const std::uint64_t megabytes = size / kMiB;
  const bool whole = size % kMiB == 0, fits = megabytes < kExtended;
  const std::uint64_t small =
      whole ? megabytes : 0x8000 | std::min<std::uint64_t>(size / kKiB, 0x7fff);
  Table table(17, kDevice);
  table.u16(kArray).u16(kNone).u16(kUnknownWidth).u16(kUnknownWidth);
  table.u16(!fits ? kExtended : small).u8(kDimm).u8(0).u8(1).u8(0).u8(kRam).u16(kOtherDetail);
  table.u16(0).u8(2).u8(0).u8(0).u8(0).u8(0).u32(fits ? 0 : megabytes).u16(0).zeros(6);
  return table.finish({"DIMM 0", kMaker});
}

// 7.20. Addresses are in KiB, the last one inclusive; those beyond 32 bits have fields of their
// own.
std::string memory_range(std::uint16_t handle, std::uint64_t first, std::uint64_t size) {
  const std::uint64_t last = first + size - 1;
  const bool fits = last / kKiB < 0xffffffff;
  Table table(19, handle);
  table.u32(fits ? first / kKiB : 0xffffffff).u32(fits ? last / kKiB : 0xffffffff);
  table.u16(kArray).u8(1).u64(fits ? 0 : first).u64(fits ? 0 : last);
  return table.finish();
}

// 7.33: no errors.
std::string boot_status() { return Table(32, kBoot).zeros(6).u8(0).finish(); }

std::uint8_t negative_sum(std::string_view bytes) {
  unsigned sum = 0;
  for (const char byte : bytes)
    sum += static_cast<std::uint8_t>(byte);
  return static_cast<std::uint8_t>(-sum);
}

// The entry point (5.2.1), whose second part has a sum of its own.
constexpr std::size_t kEntrySize = 0x1f, kMiddle = 0x10;
constexpr std::size_t kEntrySum = 0x04, kLargest = 0x08, kMiddleSum = 0x15, kLength = 0x16,
                      kAddress = 0x18, kCount = 0x1c, kRevision = 0x1e;

void set(std::string& bytes, std::size_t at, std::uint64_t value, unsigned size) {
  bytes.replace(at, size, little_endian(value, size));
}

}  // namespace

Smbios make_smbios(const SmbiosOptions& options) {
  constexpr std::uint64_t kFourGigabytes = std::uint64_t{1} << 32;
  const std::uint64_t memory = options.low_memory + options.high_memory;
  std::string tables;
  std::size_t largest = 0;
  unsigned count = 0;
  const auto add = [&](const std::string& table) {
    tables += table;
    largest = std::max(largest, table.size());
    ++count;
  };
  add(firmware());
  add(system());
  add(chassis());
  add(processor(options.vcpus));
  add(memory_array(memory));
  add(memory_device(memory));
  add(memory_range(kLowRange, 0, options.low_memory));
  if (options.high_memory != 0) add(memory_range(kHighRange, kFourGigabytes, options.high_memory));
  add(boot_status());
  add(Table(127, kEnd).finish());

  std::string entry(kEntrySize, '\0');
  entry.replace(0, 4, "_SM_");
  entry.replace(kMiddle, 5, "_DMI_");
  set(entry, 0x05, kEntrySize, 1);
  set(entry, 0x06, 2, 1);
  set(entry, 0x07, 8, 1);
  set(entry, kLargest, largest, 2);
  set(entry, kLength, tables.size(), 2);
  set(entry, kCount, count, 2);
  set(entry, kRevision, 0x28, 1);
  Smbios made{std::move(entry), std::move(tables)};
  place(made, {0});
  return made;
}

void place(Smbios& smbios, Gpa tables) {
  std::string& entry = smbios.entry;
  set(entry, kAddress, tables.value, 4);
  set(entry, kMiddleSum, 0, 1);
  set(entry, kMiddleSum, negative_sum(std::string_view(entry).substr(kMiddle)), 1);
  set(entry, kEntrySum, 0, 1);
  set(entry, kEntrySum, negative_sum(entry), 1);
}

}  // namespace ringside::machine
