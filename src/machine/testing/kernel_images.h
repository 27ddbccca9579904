// Kernel files built by hand for the loaders' tests: every field in its place, no content that
// runs.
#pragma once

#include <elf.h>

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "machine/boot/boot_image.h"

namespace ringside::machine::testing {

using Image = std::vector<std::byte>;

template <typename T>
void put(Image& image, std::uint64_t offset, T value) {
  if (image.size() < offset + sizeof value) image.resize(offset + sizeof value);
  std::memcpy(&image[offset], &value, sizeof value);
}

inline void put_text(Image& image, std::uint64_t offset, std::string_view text) {
  if (image.size() < offset + text.size()) image.resize(offset + text.size());
  std::memcpy(&image[offset], text.data(), text.size());
}

struct TestSegment {
  std::uint64_t physical = 0x100000, virtual_address = 0x100000;
  Image content;
  std::uint64_t memory_size = 0;  // 0: that of the content
  std::uint32_t type = PT_LOAD;
};

template <typename Header, typename Program>
Image make_elf(std::uint16_t machine, unsigned char elf_class, std::uint64_t entry,
               const std::vector<TestSegment>& segments) {
  Header header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = elf_class;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_EXEC;
  header.e_machine = machine;
  header.e_version = EV_CURRENT;
  header.e_entry = static_cast<decltype(header.e_entry)>(entry);
  header.e_phoff = sizeof header;
  header.e_ehsize = sizeof header;
  header.e_phentsize = sizeof(Program);
  header.e_phnum = static_cast<std::uint16_t>(segments.size());
  Image image;
  put(image, 0, header);
  std::uint64_t offset = (sizeof header + segments.size() * sizeof(Program) + 15) & ~15ull;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const TestSegment& segment = segments[i];
    Program program{};
    program.p_type = segment.type;
    program.p_offset = static_cast<decltype(program.p_offset)>(offset);
    program.p_vaddr = static_cast<decltype(program.p_vaddr)>(segment.virtual_address);
    program.p_paddr = static_cast<decltype(program.p_paddr)>(segment.physical);
    program.p_filesz = static_cast<decltype(program.p_filesz)>(segment.content.size());
    program.p_memsz = static_cast<decltype(program.p_memsz)>(
        segment.memory_size == 0 ? segment.content.size() : segment.memory_size);
    put(image, sizeof header + i * sizeof program, program);
    image.resize(offset);
    image.insert(image.end(), segment.content.begin(), segment.content.end());
    offset = (image.size() + 15) & ~15ull;
  }
  return image;
}

inline Image make_elf32(std::uint64_t entry, const std::vector<TestSegment>& segments) {
  return make_elf<Elf32_Ehdr, Elf32_Phdr>(EM_386, ELFCLASS32, entry, segments);
}
inline Image make_elf64(std::uint64_t entry, const std::vector<TestSegment>& segments) {
  return make_elf<Elf64_Ehdr, Elf64_Phdr>(EM_X86_64, ELFCLASS64, entry, segments);
}

// A segment's content that begins with a multiboot 1 header.
inline Image multiboot_content(std::uint32_t flags = 3, std::size_t size = 64) {
  Image content(size);
  put<std::uint32_t>(content, 0, 0x1badb002);
  put<std::uint32_t>(content, 4, flags);
  put<std::uint32_t>(content, 8, 0u - 0x1badb002u - flags);
  return content;
}

inline Image pvh_note(std::uint32_t entry) {
  Image note;
  put<std::uint32_t>(note, 0, 4);
  put<std::uint32_t>(note, 4, 4);
  put<std::uint32_t>(note, 8, 18);
  put_text(note, 12, std::string_view("Xen\0", 4));
  put<std::uint32_t>(note, 16, entry);
  return note;
}

// A vmlinux of one segment at 16 MiB, linked high.
inline Image make_vmlinux(std::size_t bss = 0x2000) {
  Image text;
  put_text(text, 0x40, "Linux version 6.1.0-test (nobody)");
  text.resize(0x1000, std::byte{0x90});
  return make_elf64(0x1000000, {{0x1000000, 0xffffffff81000000, text, text.size() + bss, PT_LOAD}});
}

// One setup sector, 256 bytes of unpacking code, then the payload.
inline Image make_bzimage(const Image& payload, std::uint16_t version = 0x20f) {
  Image image(2 * 512 + 0x100);
  put<std::uint8_t>(image, 0x1f1, 1);
  put<std::uint16_t>(image, 0x1fa, 0xffff);
  put<std::uint16_t>(image, 0x1fe, 0xaa55);
  put<std::uint16_t>(image, 0x200, 0x66eb);  // the header ends at 0x202 + 0x66
  put_text(image, 0x202, "HdrS");
  put<std::uint16_t>(image, 0x206, version);
  put<std::uint16_t>(image, 0x20e, 0x100);
  put_text(image, 0x300, std::string_view("6.1.0-test (nobody) #1\0", 23));
  put<std::uint8_t>(image, 0x211, 1);
  put<std::uint32_t>(image, 0x214, 0x100000);
  put<std::uint32_t>(image, 0x22c, 0x7fffffff);
  put<std::uint32_t>(image, 0x230, 0x200000);
  put<std::uint8_t>(image, 0x234, 1);
  put<std::uint32_t>(image, 0x238, 2047);
  put<std::uint32_t>(image, 0x248, 0x100);
  put<std::uint32_t>(image, 0x24c, static_cast<std::uint32_t>(payload.size()));
  put<std::uint64_t>(image, 0x258, 0x1000000);
  put<std::uint32_t>(image, 0x260, 0x8000);
  for (const std::byte b : payload)
    image.push_back(b);
  return image;
}

}  // namespace ringside::machine::testing
