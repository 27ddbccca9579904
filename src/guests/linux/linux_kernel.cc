#include "guests/linux/linux_kernel.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/result.h"
#include "guests/linux/vmcoreinfo.h"
#include "x86/linear_address.h"

namespace ringside::guests {
namespace {

// How much memory is looked through for the tables of symbols.
constexpr std::uint64_t kLargestImage = 128u << 20;
// More CPUs than a machine of ours has, and as many as Linux may think of (NR_CPUS).
constexpr std::uint32_t kMostCpus = 8192;
constexpr std::size_t kLongestBanner = 512;

// The image from its first byte on: shown where memory can be, else copied.
struct ImageBytes {
  std::span<const std::byte> shown;
  std::vector<std::byte> copy;
};
ImageBytes image_bytes(hypervisor::Memory& memory, Gpa where) {
  ImageBytes image;
  for (const hypervisor::MemoryRegion& region : memory.regions()) {
    const std::uint64_t offset = where.value - region.base.value;
    if (region.kind != hypervisor::MemoryKind::Ram || offset >= region.size) continue;
    const std::uint64_t size = std::min(kLargestImage, region.size - offset);
    image.shown = memory.view(where, size);
    if (image.shown.size() == size) return image;
    for (std::uint64_t at = 0; at < size; at += kPageSize) {
      image.copy.resize(at + kPageSize);
      if (!memory.read_ram(where + at, std::span(image.copy).subspan(at, kPageSize))) break;
    }
    image.shown = image.copy;
  }
  return image;
}

bool runs_32_bit_kernel(hypervisor::Vm& vm) {
  const Result<x86::CpuState> state = vm.vcpu({0}).state();
  return state && !x86::in_long_mode(*state) && (state->cr0 & x86::cr0::PG) != 0 &&
         x86::linear_pc(*state).value >= 0xc0000000;
}

// The text of a member of type char[].
std::optional<std::uint64_t> number_after(std::string_view text, std::string_view key) {
  const std::size_t at = text.find(key);
  if (at == text.npos) return std::nullopt;
  std::uint64_t value = 0;
  const char* const begin = text.data() + at + key.size();
  const auto [end, error] = std::from_chars(begin, text.data() + text.size(), value, 16);
  if (error != std::errc() || end == begin) return std::nullopt;
  return value;
}

}  // namespace

Result<std::shared_ptr<const LinuxKernel>> LinuxKernel::find(hypervisor::Vm& vm) {
  const std::optional<KernelImage> image = find_kernel_image(vm);
  if (!image) {
    return fail(ErrorCode::NotFound,
                runs_32_bit_kernel(vm)
                    ? "the guest is in 32-bit code; only 64-bit Linux kernels are known"
                    : "no vCPU is in a 64-bit Linux kernel, or has set up its system calls");
  }
  const std::uint64_t first = image->moved_by + kImageMap.value + kLinkedAt;
  const Gpa where{image->physical_base + (first - kImageMap.value)};
  const ImageBytes bytes = image_bytes(vm.memory(), where);
  Kallsyms symbols = TRY(Kallsyms::find(bytes.shown, Gva{first}));
  const auto by_cpu = TRY(KernelMemory::of(vm, image->vcpu, image->page_table.value));
  std::shared_ptr<LinuxKernel> kernel(new LinuxKernel(vm, *image, by_cpu));
  kernel->table_ = image->page_table.value;
  kernel->symbols_ = std::make_shared<const Kallsyms>(std::move(symbols));
  kernel->take_symbols();
  kernel->take_layouts();
  return std::shared_ptr<const LinuxKernel>(std::move(kernel));
}

bool LinuxKernel::is_current(const KernelImage& image) const {
  if (image.physical_base != image_.physical_base || image.five_levels != image_.five_levels)
    return false;
  const std::span<const std::byte> was = symbols_->tokens();
  const auto now = memory_.read(symbols_->tokens_at(), was.size());
  // Structures and lists may still have been unreadable, and VMCOREINFO not there yet.
  return now && std::ranges::equal(*now, was) && tasks_ && modules_ && !vmcoreinfo_.empty();
}

void LinuxKernel::take_symbols() {
  constexpr std::array<std::string_view, 19> kNames = {
      "_text",           "_stext",          "_etext",          "init_top_pgt",     "linux_banner",
      "__start_BTF",     "__stop_BTF",      "init_task",       "modules",          "do_init_module",
      "free_module",     "current_task",    "pcpu_hot",        "__per_cpu_offset", "nr_cpu_ids",
      "vmcoreinfo_data", "vmcoreinfo_size", "phys_startup_64", "swapper_pg_dir"};
  const auto found = symbols_->addresses(kNames);
  const auto at = [&](std::string_view name) {
    return found[static_cast<std::size_t>(std::ranges::find(kNames, name) - kNames.begin())];
  };
  // A process's page table need not have the kernel in it (page table isolation).
  if (const auto table = at("init_top_pgt"); table && *table >= kImageMap) {
    const std::uint64_t cr3 = table->value - kImageMap.value + image_.physical_base;
    const Result<KernelMemory> memory = KernelMemory::of(vm_, image_.vcpu, cr3);
    const auto probe = at("init_task");
    if (memory && probe && memory->get<std::uint64_t>(*probe)) {
      memory_ = *memory;
      table_ = cr3;
    }
  }
  text_ = at("_text").value_or(at("_stext").value_or(Gva{}));
  text_end_ = at("_etext").value_or(text_);
  type_begin_ = at("__start_BTF");
  type_end_ = at("__stop_BTF");
  init_task_ = at("init_task");
  module_list_ = at("modules");
  module_comes_ = at("do_init_module");
  module_goes_ = at("free_module");
  cpu_offsets_ = at("__per_cpu_offset");
  current_task_ = at("current_task");
  hot_ = at("pcpu_hot");
  if (const auto where = at("linux_banner")) {
    banner_ = memory_.text(*where, kLongestBanner).value_or("");
    while (banner_.ends_with('?'))
      banner_.pop_back();
  }
  if (const auto where = at("nr_cpu_ids")) cpus_ = memory_.get<std::uint32_t>(*where);
  if (cpus_) cpus_ = std::min(*cpus_, kMostCpus);
  if (const auto data = at("vmcoreinfo_data"), size = at("vmcoreinfo_size"); data && size) {
    const auto text = memory_.pointer(*data);
    const auto length = memory_.get<std::uint64_t>(*size);
    if (text && length && *length != 0 && *length <= kPageSize) {
      const auto bytes = memory_.read(*text, *length);
      if (bytes) {
        for (const std::byte byte : *bytes) {
          const char c = static_cast<char>(byte);
          vmcoreinfo_ += c == '\n' || (c >= ' ' && c <= '~') ? c : '?';
        }
      }
    }
  }
  // Where it was linked to be is a symbol that nobody moves, and else as all distributions have it.
  std::uint64_t linked = kLinkedAt;
  if (const auto start = at("phys_startup_64"); start && start->value < kLargestImage)
    linked = start->value;
  moved_by_ = text_.value - kImageMap.value - linked;
  if (const auto said = number_after(vmcoreinfo_, "\nKERNELOFFSET=")) moved_by_ = *said;
}

Result<Btf> LinuxKernel::type_information() const {
  if (!type_begin_ || !type_end_) {
    return fail(ErrorCode::NotFound,
                "the kernel has no type information (BTF) in its memory: it was built without "
                "CONFIG_DEBUG_INFO_BTF");
  }
  const std::uint64_t size = type_end_->value - type_begin_->value;
  if (size > Btf::kMostBytes) {
    return fail(ErrorCode::BadRequest,
                "the kernel's type information (BTF) is damaged: it is too large");
  }
  auto bytes = memory_.read(*type_begin_, size);
  if (!bytes)
    return fail(ErrorCode::BadAddress, "the kernel's type information (BTF) is not in memory");
  return Btf::parse(*std::move(bytes));
}

void LinuxKernel::take_layouts() {
  const Result<Btf> types = type_information();
  if (!types) {
    tasks_ = fail(types.error());
    modules_ = fail(types.error());
    return;
  }
  std::string missing;
  // A member by the first of its names that there is.
  const auto member = [&](std::string_view owner, std::initializer_list<std::string_view> names) {
    for (const std::string_view name : names)
      if (const auto place = types->member(owner, name)) return *place;
    if (missing.empty()) {
      missing = fmt::format("the kernel's type information has no {} in struct {}", *names.begin(),
                            owner);
    }
    return Btf::Place{};
  };
  TaskLayout task;
  task.state = member("task_struct", {"__state", "state"});
  task.exit_state = member("task_struct", {"exit_state"});
  task.pid = member("task_struct", {"pid"});
  task.tgid = member("task_struct", {"tgid"});
  task.comm = member("task_struct", {"comm"});
  task.tasks = member("task_struct", {"tasks"});
  task.thread_node = member("task_struct", {"thread_node"});
  task.signal = member("task_struct", {"signal"});
  task.thread_head = member("signal_struct", {"thread_head"});
  task.stack = member("task_struct", {"stack"});
  task.stack_pointer = member("task_struct", {"thread.sp"});
  task.mm = types->member("task_struct", "mm");
  if (hot_ && !current_task_) {
    const auto place = types->member("pcpu_hot", "current_task");
    if (place) current_task_ = *hot_ + place->offset;
  }
  if (missing.empty()) {
    tasks_ = task;
  } else {
    tasks_ = fail(ErrorCode::NotFound, std::exchange(missing, {}));
  }
  ModuleLayout module;
  module.state = member("module", {"state"});
  module.list = member("module", {"list"});
  module.name = member("module", {"name"});
  // Since 6.4 a module has its memory in parts, of which the code is the first.
  module.base = member("module", {"mem.base", "core_layout.base"});
  module.size = member("module", {"mem.size", "core_layout.size"});
  module.section_attributes = member("module", {"sect_attrs"});
  module.section_count = member("module_sect_attrs", {"nsections"});
  module.sections = member("module_sect_attrs", {"attrs"});
  module.section_name = member("module_sect_attr", {"battr.attr.name"});
  module.section_address = member("module_sect_attr", {"address"});
  module.section_size = types->size_of("module_sect_attr").value_or(0);
  if (missing.empty()) {
    modules_ = module;
  } else {
    modules_ = fail(ErrorCode::NotFound, std::move(missing));
  }
}

std::optional<LinuxKernel::Running> LinuxKernel::running(VcpuId vcpu) const {
  if (!cpu_offsets_ || !current_task_ || !cpus_) return std::nullopt;
  hypervisor::Vcpu& cpu = vm_.vcpu(vcpu);
  if (!cpu.active()) return std::nullopt;
  const Result<x86::CpuState> state = cpu.state();
  if (!state || !x86::in_long_mode(*state)) return std::nullopt;
  const Result<KernelMemory> memory = KernelMemory::of(vm_, vcpu, table_);
  if (!memory) return std::nullopt;
  // The CPU's own memory: in the kernel by GS, in a program by what GS will be. Which of the two
  // is told by the kernel's list of them.
  const std::uint64_t bases[] = {state->seg(x86::SegmentName::Gs).base, state->kernel_gs_base};
  std::array<std::uint64_t, kPageSize / 8> known;
  for (std::uint32_t from = 0; from < *cpus_; from += known.size()) {
    const std::size_t count = std::min<std::size_t>(known.size(), *cpus_ - from);
    const std::span<std::uint64_t> offsets(known.data(), count);
    if (!memory->read(*cpu_offsets_ + 8 * std::uint64_t{from}, std::as_writable_bytes(offsets)))
      return std::nullopt;
    for (const std::uint64_t base : bases) {
      const auto found = std::ranges::find(offsets, base);
      if (base == 0 || found == offsets.end()) continue;
      const auto task = memory->pointer(Gva{base} + current_task_->value);
      if (!task) return std::nullopt;
      return Running{*task, from + static_cast<std::uint32_t>(found - offsets.begin())};
    }
  }
  return std::nullopt;
}

Result<std::shared_ptr<const LinuxKernel>> LinuxKernels::now() {
  if (last_) {
    const std::optional<KernelImage> image = find_kernel_image(vm_);
    if (image && last_->is_current(*image)) return last_;
  }
  last_ = TRY(LinuxKernel::find(vm_));
  return last_;
}

}  // namespace ringside::guests
