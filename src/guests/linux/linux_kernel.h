// The Linux kernel that a guest runs, as far as its memory tells: its symbols (kallsyms), where the
// members of its structures lie (BTF, or else their shapes), how far it was moved, and which task a
// vCPU runs. Kernels of 64 and of 32 bits: readers ask its memory for a word, and it for the rest.
//
// Nothing here is asked of the guest, and nothing in it is believed beyond the bounds that each
// reader has. Made while every vCPU is out of the guest; not changed afterwards, so that any thread
// that may read guest memory may ask.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "guests/linux/btf.h"
#include "guests/linux/kallsyms.h"
#include "guests/linux/kernel_image.h"
#include "guests/linux/kernel_memory.h"
#include "guests/linux/layout_search.h"
#include "ringside/vm.h"

namespace ringside::guests {

class LinuxKernel {
 public:
  // The error says in words what the guest lacks.
  static Result<std::shared_ptr<const LinuxKernel>> find(hypervisor::Vm& vm);
  // Whether it is still there: its tables are where they were.
  bool is_there(const KernelImage& image) const;
  // Structures and lists could be read, and VMCOREINFO was there. Otherwise they may be later.
  bool is_complete() const;

  const KernelMemory& memory() const { return memory_; }
  Word word() const { return memory_.word(); }
  // Where the kernel's half of memory begins.
  Gva lowest() const;
  std::uint64_t stack_size() const { return stack_size_of(word()); }
  const Kallsyms& symbols() const { return *symbols_; }
  const std::string& banner() const { return banner_; }
  std::optional<Gva> symbol(std::string_view name) const { return symbols_->address(name); }
  // From where it was linked to be.
  std::uint64_t moved_by() const { return moved_by_; }
  Gva text() const { return text_; }
  bool is_text(Gva address) const { return address >= text_ && address < text_end_; }
  const std::string& vmcoreinfo() const { return vmcoreinfo_; }  // empty: none yet

  // The errors say what is missing.
  const Result<TaskLayout>& tasks() const { return tasks_; }
  // Of a kernel that does not carry it, by the modules that are there now.
  Result<ModuleLayout> modules() const;
  std::optional<Gva> init_task() const { return init_task_; }
  std::optional<Gva> module_list() const { return module_list_; }
  // Where the kernel is when a module's sections are in place, and when one is about to go.
  std::optional<Gva> module_comes() const { return module_comes_; }
  std::optional<Gva> module_goes() const { return module_goes_; }

  // What a vCPU runs, and its number as Linux counts; nothing where that is not to be seen, as
  // before the kernel has set up its CPUs. On the thread that may read the vCPU's registers.
  struct Running {
    Gva task;
    std::uint32_t cpu = 0;
  };
  std::optional<Running> running(VcpuId vcpu) const;
  std::optional<std::uint32_t> cpu_count() const { return cpus_; }

 private:
  LinuxKernel(hypervisor::Vm& vm, KernelImage image, KernelMemory memory)
      : vm_(vm), image_(image), memory_(std::move(memory)) {}
  // What of the image is searched for symbols, and where that begins.
  struct ImagePart {
    std::span<const std::byte> bytes;
    Gva first;
  };
  void take_symbols(const ImagePart& image);
  void take_kernels_table(std::optional<Gva> table, std::optional<Gva> probe);
  void take_banner(std::optional<Gva> where, const ImagePart& image);
  void take_vmcoreinfo(std::optional<Gva> data, std::optional<Gva> size);
  void take_layouts();
  bool is_without_types() const { return !type_begin_ || !type_end_; }
  Result<Btf> type_information() const;

  hypervisor::Vm& vm_;
  KernelImage image_;
  KernelMemory memory_;
  std::uint64_t table_ = 0;  // what memory_ goes by, as CR3
  std::shared_ptr<const Kallsyms> symbols_;
  std::string banner_, vmcoreinfo_;
  std::uint64_t moved_by_ = 0;
  Gva text_, text_end_;
  std::optional<Gva> type_begin_, type_end_, init_task_, module_list_, module_comes_, module_goes_,
      cpu_offsets_, current_task_, hot_;
  std::optional<std::uint32_t> cpus_;
  Result<TaskLayout> tasks_ = fail(ErrorCode::NotFound, "");
  Result<ModuleLayout> modules_ = fail(ErrorCode::NotFound, "");
};

// Keeps the kernel that was found last, because to search for one is much work; and where none was
// found, that.
class LinuxKernels {
 public:
  explicit LinuxKernels(hypervisor::Vm& vm) : vm_(vm) {}
  // Of a guest that has not run since the last search, or has run little since one that found
  // nothing in the same image, it is what that found.
  Result<std::shared_ptr<const LinuxKernel>> now();
  hypervisor::Vm& vm() { return vm_; }
  unsigned searches() const { return searches_; }  // so far; for tests

 private:
  struct Search {
    KernelImage image;
    std::vector<std::uint64_t> progress;    // of vCPUs: another one after they have run
    std::optional<std::uint64_t> executed;  // instructions, where they are counted
    Result<std::shared_ptr<const LinuxKernel>> found;
  };
  bool still_holds(const Search& search, const Search& now) const;

  hypervisor::Vm& vm_;
  std::optional<Search> last_;
  unsigned searches_ = 0;
};

}  // namespace ringside::guests
