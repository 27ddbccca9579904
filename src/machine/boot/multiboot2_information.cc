#include "machine/boot/multiboot2_information.h"

#include <cstring>

#include "machine/bus/platform_map.h"
#include "platform/guest_ram.h"

namespace ringside::machine {
namespace {

constexpr std::size_t kAlignment = 8, kOldRsdpSize = 20;

template <typename T>
void append(std::vector<std::byte>& to, const T& value) {
  const Bytes bytes = bytes_of(value);
  to.insert(to.end(), bytes.begin(), bytes.end());
}

void append_bytes(std::vector<std::byte>& to, Bytes bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}

std::uint32_t low32(Gpa address) { return static_cast<std::uint32_t>(address.value); }

struct MapEntry {
  std::uint64_t base, size;
  std::uint32_t kind, reserved;
};
static_assert(sizeof(MapEntry) == 24);

}  // namespace

// The size counts the tag's head and not what aligns the next one.
void Multiboot2Information::add(TagType type, std::vector<std::byte> content) {
  append(bytes_, static_cast<std::uint32_t>(type));
  append(bytes_, static_cast<std::uint32_t>(2 * sizeof(std::uint32_t) + content.size()));
  append_bytes(bytes_, content);
  bytes_.resize((bytes_.size() + kAlignment - 1) / kAlignment * kAlignment);
}

void Multiboot2Information::add_text(TagType type, std::string_view text) {
  std::vector<std::byte> content;
  append_bytes(content, bytes_of_text(text.data(), text.size()));
  content.push_back(std::byte{0});
  add(type, std::move(content));
}

void Multiboot2Information::add_module(Gpa begin, Gpa end, std::string_view text) {
  std::vector<std::byte> content;
  append(content, low32(begin));
  append(content, low32(end));
  append_bytes(content, bytes_of_text(text.data(), text.size()));
  content.push_back(std::byte{0});
  add(kModule, std::move(content));
}

void Multiboot2Information::add_memory(const std::vector<MemoryRange>& map) {
  std::uint32_t lower = 0, upper = 0;  // KiB
  std::vector<std::byte> entries;
  append(entries, static_cast<std::uint32_t>(sizeof(MapEntry)));
  append(entries, std::uint32_t{0});  // the version of entries
  for (const MemoryRange& range : map) {
    append(entries,
           MapEntry{range.base.value, range.size, static_cast<std::uint32_t>(range.kind), 0});
    if (range.base.value == 0) lower = static_cast<std::uint32_t>(range.size >> 10);
    if (range.base.value == 1u << 20) upper = static_cast<std::uint32_t>(range.size >> 10);
  }
  std::vector<std::byte> basic;
  append(basic, lower);
  append(basic, upper);
  add(kBasicMemory, std::move(basic));
  add(kMemoryMap, std::move(entries));
}

// Three numbers of 32 bits, as GRUB gives them and kernels read them; the specification's table has
// 16 bits each.
void Multiboot2Information::add_sections(const SectionHeaders& sections) {
  std::vector<std::byte> content;
  append(content, sections.count);
  append(content, sections.entry_size);
  append(content, sections.names);
  append_bytes(content, sections.headers);
  add(kElfSections, std::move(content));
}

void Multiboot2Information::add_rsdp(Bytes rsdp) {
  add(kOldRsdp, {rsdp.begin(), rsdp.begin() + kOldRsdpSize});
  add(kNewRsdp, {rsdp.begin(), rsdp.end()});
}

void Multiboot2Information::add_load_base(Gpa base) {
  std::vector<std::byte> content;
  append(content, low32(base));
  add(kLoadBase, std::move(content));
}

// 3.6.12: of text, width and height are in characters, and the pitch is a row's bytes.
void Multiboot2Information::add_text_screen() {
  constexpr std::uint8_t kBitsOfCell = 16, kEgaText = 2;
  std::vector<std::byte> content;
  append(content, hypervisor::kTextMemory.value);
  append(content, std::uint32_t{kTextColumns} * kBitsOfCell / 8);
  append(content, std::uint32_t{kTextColumns});
  append(content, std::uint32_t{kTextRows});
  append(content, kBitsOfCell);
  append(content, kEgaText);
  append(content, std::uint16_t{0});
  add(kFramebuffer, std::move(content));
}

std::vector<std::byte> Multiboot2Information::finish() {
  add(kEnd, {});
  const auto size = static_cast<std::uint32_t>(bytes_.size());
  std::memcpy(bytes_.data(), &size, sizeof size);
  return std::move(bytes_);
}

}  // namespace ringside::machine
