// Boots kernel files for the targets that make some up: twice, in memory that is filled with a
// pattern, so that what a loader has written is seen. For the targets alone.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "choices.h"
#include "machine/boot/acpi_placement.h"
#include "machine/boot/bios_remains.h"
#include "machine/boot/boot.h"
#include "machine/boot/boot_image.h"
#include "platform/guest_ram.h"

namespace ringside::fuzz {

inline constexpr std::uint64_t kKernelMemory = 4u << 20;
inline constexpr std::byte kPattern{0xa5};

using Image = std::vector<std::byte>;

class KernelMemory {
 public:
  KernelMemory() : ram_(hypervisor::GuestRam::create(kKernelMemory).value()) {
    page_.fill(kPattern);
    for_each_page([&](Gpa, std::byte* page) { std::memcpy(page, page_.data(), kPageSize); });
  }
  hypervisor::GuestRam& ram() { return ram_; }
  // What it has, or nothing where there is no memory for all of it.
  std::optional<machine::Bytes> at(Gpa address, std::uint64_t size) const {
    const std::uint8_t* host = ram_.host(address, size);
    if (host == nullptr) return std::nullopt;
    return std::as_bytes(std::span(host, size));
  }
  template <typename T>
  T get(Gpa address) const {
    const auto value = machine::read_at<T>(at(address, sizeof(T)).value_or(machine::Bytes()), 0);
    check(value.has_value());
    return *value;
  }
  std::vector<Gpa> changed_pages() {
    std::vector<Gpa> pages;
    for_each_page([&](Gpa address, const std::byte* page) {
      if (std::memcmp(page, page_.data(), kPageSize) != 0) pages.push_back(address);
    });
    return pages;
  }
  bool operator==(const KernelMemory& other) const {
    for (const hypervisor::RamSlot& slot : ram_.slots()) {
      if (std::memcmp(slot.host, other.ram_.host(slot.base, slot.size), slot.size) != 0)
        return false;
    }
    return true;
  }
  void clear() {
    for_each_page([&](Gpa, std::byte* page) {
      if (std::memcmp(page, page_.data(), kPageSize) != 0)
        std::memcpy(page, page_.data(), kPageSize);
    });
  }

 private:
  template <typename Function>
  void for_each_page(const Function& function) {
    for (const hypervisor::RamSlot& slot : ram_.slots()) {
      for (std::uint64_t at = 0; at < slot.size; at += kPageSize)
        function(slot.base + at, reinterpret_cast<std::byte*>(slot.host) + at);
    }
  }

  hypervisor::GuestRam ram_;
  std::array<std::byte, kPageSize> page_;
};

// The memory of the first of the two.
inline KernelMemory& kernel_memory() {
  static KernelMemory memory;
  return memory;
}

// Boots, with what holds of every file: the answer is a result or a sentence, the same again in
// other memory, and the same for the beginning of the file as far as that can tell.
inline std::optional<machine::BootResult> boot_twice(const machine::BootRequest& request) {
  static KernelMemory other;
  KernelMemory& memory = kernel_memory();
  memory.clear();
  other.clear();
  Result<machine::BootResult> result = machine::boot(request, memory.ram());
  const Result<machine::BootResult> again = machine::boot(request, other.ram());
  check(memory == other);
  check(result.has_value() == again.has_value());
  const auto beginning =
      request.kernel.first(std::min(request.kernel.size(), machine::kRecognisedBy));
  const Result<void> recognised = machine::recognise(request.kernel_name, beginning);
  if (!result) {
    check(result.error().text() == again.error().text());
    check_sentence(result.error().text());
    return std::nullopt;
  }
  check(recognised.has_value());
  check_sentence(result->format);
  check(result->entry.rip == again->entry.rip && result->entry.gpr == again->entry.gpr);
  return *std::move(result);
}

// Whoever loads may be told to give up at any time, and does.
inline void give_up_at(machine::BootRequest request, unsigned call) {
  static KernelMemory memory;
  bool is_over = false;
  request.meanwhile = [&](const Stage&) -> Result<void> {
    if (!is_over && call-- != 0) return {};
    is_over = true;
    return fail(ErrorCode::Busy, "given up");
  };
  const Result<machine::BootResult> result = machine::boot(request, memory.ram());
  if (is_over) check(!result && result.error().text() == "given up");
}

// Beside what `is_kernels` says, the loader has used few pages: descriptors, six page tables, its
// own tables, and the module.
template <typename Predicate>
void check_beside(KernelMemory& memory, const Predicate& is_kernels, std::size_t module_size) {
  constexpr std::size_t kMostOwnPages = 16;
  const std::size_t most = kMostOwnPages + module_size / kPageSize + 1;
  std::size_t pages = 0;
  for (const Gpa page : memory.changed_pages()) {
    const bool is_acpi = page.value - machine::kAcpiStart.value < machine::kAcpiSize;
    const bool is_bios = page.value - machine::kBiosStart.value < machine::kBiosSize ||
                         page.value == 0 ||
                         page.value == (machine::kExtendedBios.value & kPageMask);
    if (!is_acpi && !is_bios && !is_kernels(page)) ++pages;
  }
  check(pages <= most);
}

inline std::string text_at(const KernelMemory& memory, Gpa address) {
  std::string text;
  while (const char c = memory.get<char>(address + text.size()))
    text += c;
  return text;
}

inline void check_content(const KernelMemory& memory, Gpa address, std::uint64_t size,
                          machine::Bytes content) {
  check(size == content.size());
  const auto there = memory.at(address, size);
  check(there && std::memcmp(there->data(), content.data(), size) == 0);
}

// boot_params of the kernel's Documentation/arch/x86/zero-page.rst.
inline void check_zero_page(const KernelMemory& memory, const machine::BootResult& result,
                            const machine::BootRequest& request) {
  const Gpa page{result.entry.reg(x86::Gpr::Rsi)};
  check(page.value % kPageSize == 0);
  check(memory.get<std::uint32_t>(page + 0x202) == 0x53726448);
  check(memory.get<std::uint8_t>(page + 0x210) == 0xff);
  check(memory.get<std::uint8_t>(page + 0x1e8) == 5);
  check(text_at(memory, {memory.get<std::uint32_t>(page + 0x228)}) == request.command_line);
  check(request.command_line.size() <= memory.get<std::uint32_t>(page + 0x238));
  const Gpa initrd{memory.get<std::uint32_t>(page + 0x218)};
  const auto size = memory.get<std::uint32_t>(page + 0x21c);
  if (request.modules.empty() || request.modules[0].content.empty()) return;
  check_content(memory, initrd, size, request.modules[0].content);
  const std::uint64_t highest = memory.get<std::uint32_t>(page + 0x22c);
  check(initrd.value + size - 1 <= (highest == 0 ? 0x37ffffff : highest));
}

// The tags that multiboot 2 tells all by: they end where they say, and the module is among them.
inline void check_tags(const KernelMemory& memory, Gpa table, const machine::BootRequest& request) {
  constexpr std::uint32_t kEnd = 0, kModule = 3;
  const auto number = [&](Gpa at) { return memory.get<std::uint32_t>(at); };
  const Gpa end = table + number(table);
  std::size_t modules = 0;
  Gpa at = table + 8;
  while (number(at) != kEnd) {
    const std::uint32_t size = number(at + 4);
    check(size >= 8);
    if (number(at) == kModule) {
      ++modules;
      const Gpa begin{number(at + 8)};
      check_content(memory, begin, number(at + 12) - begin.value, request.modules[0].content);
      check(text_at(memory, at + 16) == request.modules[0].argument);
    }
    at = at + (size + 7) / 8 * 8;
    check(at < end);
  }
  check(at + 8 == end && modules == request.modules.size());
}

// The module as multiboot and PVH tell of it; EBX has the address of either's table.
inline void check_module(const KernelMemory& memory, const machine::BootResult& result,
                         const machine::BootRequest& request) {
  const Gpa table{result.entry.reg(x86::Gpr::Rbx)};
  const auto number = [&](Gpa at) { return memory.get<std::uint32_t>(at); };
  if (result.entry.reg(x86::Gpr::Rax) == 0x36d76289) {
    check_tags(memory, table, request);
    return;
  }
  const bool is_pvh = number(table) == 0x336ec578;
  check(is_pvh || result.entry.reg(x86::Gpr::Rax) == 0x2badb002);
  check(number(table + (is_pvh ? 12 : 20)) == request.modules.size());
  if (request.modules.empty()) return;
  const Gpa module{number(table + (is_pvh ? 16 : 24))};
  const Gpa begin{number(module)};
  const std::uint64_t size = is_pvh ? number(module + 8) : number(module + 4) - begin.value;
  check_content(memory, begin, size, request.modules[0].content);
}

}  // namespace ringside::fuzz
