// Reads a core as gdb, crash and drgn do, for tests: it shares nothing with what writes one but the
// structures of the host's <elf.h>. What does not hold together throws.
#pragma once

#include <elf.h>
#include <sys/procfs.h>
#include <sys/stat.h>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace ringside::guests::testing {

class CoreFile {
 public:
  explicit CoreFile(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    bytes_.assign(std::istreambuf_iterator<char>(file), {});
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) throw std::runtime_error(path + " is not there");
    mode = status.st_mode & 0777;
    stored = static_cast<std::uint64_t>(status.st_blocks) * 512;
    const auto header = at<Elf64_Ehdr>(0);
    if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_type != ET_CORE ||
        header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_X86_64)
      throw std::runtime_error(path + " is no core");
    for (unsigned i = 0; i < header.e_phnum; ++i) {
      const auto segment = at<Elf64_Phdr>(header.e_phoff + i * sizeof(Elf64_Phdr));
      if (segment.p_offset + segment.p_filesz > bytes_.size())
        throw std::runtime_error("a segment ends behind the file");
      if (segment.p_type == PT_NOTE && i == 0) read_notes(segment.p_offset, segment.p_filesz);
      if (segment.p_type == PT_LOAD) loads.push_back(segment);
    }
  }

  std::uint64_t size() const { return bytes_.size(); }
  // The first segment that has all of it, as all of its readers look.
  std::optional<std::string> linear(std::uint64_t address, std::uint64_t size) const {
    return find(address, size, &Elf64_Phdr::p_vaddr);
  }
  std::optional<std::string> physical(std::uint64_t address, std::uint64_t size) const {
    return find(address, size, &Elf64_Phdr::p_paddr);
  }
  // Of a note "QEMU".
  static std::uint64_t cr3(const std::string& qemu) { return word(qemu, 8 + 18 * 8 + 240 + 24); }
  static std::uint64_t rip(const std::string& qemu) { return word(qemu, 8 + 16 * 8); }

  unsigned mode = 0;
  std::uint64_t stored = 0;  // bytes that the file has on the disk
  std::vector<Elf64_Phdr> loads;
  std::vector<user_regs_struct> registers;  // by vCPU
  std::vector<int> threads;
  std::vector<std::string> xstate;  // by the thread before it
  std::vector<std::string> qemu;
  std::optional<std::string> vmcoreinfo;

 private:
  template <typename T>
  T at(std::uint64_t offset) const {
    T value;
    if (offset + sizeof value > bytes_.size()) throw std::runtime_error("the core is cut off");
    std::memcpy(&value, bytes_.data() + offset, sizeof value);
    return value;
  }
  static std::uint64_t word(const std::string& bytes, std::size_t offset) {
    std::uint64_t value = 0;
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
  }
  std::optional<std::string> find(std::uint64_t address, std::uint64_t size,
                                  Elf64_Addr Elf64_Phdr::*where) const {
    for (const Elf64_Phdr& load : loads) {
      const std::uint64_t offset = address - load.*where;
      if (offset < load.p_filesz && size <= load.p_filesz - offset)
        return bytes_.substr(load.p_offset + offset, size);
    }
    return std::nullopt;
  }
  void read_notes(std::uint64_t offset, std::uint64_t size) {
    const auto padded = [](std::uint64_t n) { return (n + 3) / 4 * 4; };
    for (const std::uint64_t end = offset + size; offset < end;) {
      const auto header = at<Elf64_Nhdr>(offset);
      offset += sizeof header;
      const std::string name = bytes_.substr(offset, header.n_namesz - 1);
      offset += padded(header.n_namesz);
      const std::string description = bytes_.substr(offset, header.n_descsz);
      offset += padded(header.n_descsz);
      if (name == "CORE" && header.n_type == NT_PRSTATUS) {
        elf_prstatus status;
        std::memcpy(&status, description.data(), sizeof status);
        user_regs_struct user;
        std::memcpy(&user, &status.pr_reg, sizeof user);
        registers.push_back(user);
        threads.push_back(status.pr_pid);
      } else if (name == "LINUX" && header.n_type == NT_X86_XSTATE) {
        xstate.push_back(description);
        if (xstate.size() != threads.size())
          throw std::runtime_error("an extended state is not behind its thread");
      } else if (name == "QEMU") {
        qemu.push_back(description);
      } else if (name == "VMCOREINFO") {
        vmcoreinfo = description;
      }
    }
  }

  std::string bytes_;
};

}  // namespace ringside::guests::testing
