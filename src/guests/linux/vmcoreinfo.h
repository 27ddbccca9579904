// VMCOREINFO, in which a Linux kernel describes itself to those who read a dump of its memory: its
// version, where its page tables are, how far it was moved (Documentation/admin-guide/kdump/
// vmcoreinfo.rst). Lines of KEY=VALUE.
//
// The kernel keeps it as an ELF note at the beginning of a page, once its subsystems are
// initialised; there it is found without symbols. Of a kernel that has not come so far, the lines
// that debuggers cannot do without are made from its page tables and its banner.
//
// On the thread that may use the Vm, while every vCPU is out of the guest.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "guests/linux/kernel_image.h"
#include "ringside/vm.h"

namespace ringside::guests {

enum class VmcoreinfoOrigin : std::uint8_t {
  None,      // no Linux kernel, or none that could be recognised
  Kernels,   // as the kernel keeps it
  Inferred,  // made here
};

// Looks for it in all of memory, a slice at a time.
class VmcoreinfoSearch {
 public:
  explicit VmcoreinfoSearch(hypervisor::Vm& vm);

  // About a millisecond's work. True once it is over.
  bool advance();
  std::uint64_t total() const { return total_; }  // bytes of memory
  std::uint64_t done() const { return done_; }

  VmcoreinfoOrigin origin() const { return origin_; }
  const std::string& text() const { return text_; }

 private:
  enum class Pass : std::uint8_t { Note, Banner, Over };
  void begin(Pass pass);
  void look_for_note(std::span<const std::byte> memory);
  void look_for_banner(std::span<const std::byte> memory);

  bool is_of_this_kernel(std::string_view text) const;

  hypervisor::Vm& vm_;
  const std::optional<KernelImage> image_;  // of a 64-bit kernel
  std::vector<hypervisor::MemoryRegion> ram_;
  std::uint64_t total_ = 0, done_ = 0;
  Pass pass_ = Pass::Note;
  std::size_t region_ = 0;
  std::uint64_t offset_ = 0;  // in that region
  std::string end_of_piece_;  // a banner may begin there
  VmcoreinfoOrigin origin_ = VmcoreinfoOrigin::None;
  std::string text_;
};

// The text of the note that begins at the beginning of `page`, where there is one.
std::optional<std::string> vmcoreinfo_note(std::span<const std::byte> page);
// What it says the address of a symbol to be.
std::optional<std::uint64_t> vmcoreinfo_symbol(std::string_view vmcoreinfo, std::string_view name);
// Where a kernel's banner begins in a text: "Linux version 6.1.0-56-cloud-amd64 (".
std::optional<std::size_t> find_banner(std::string_view text);
// The physical address of the page table that a 64-bit kernel's own tasks use (swapper_pg_dir).
std::optional<std::uint64_t> kernels_page_table(std::string_view vmcoreinfo);
// The lines that can be had without the kernel's help.
std::string infer_vmcoreinfo(const KernelImage& image, std::string_view release);

}  // namespace ringside::guests
